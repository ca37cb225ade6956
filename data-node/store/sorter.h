/*
 * Sorter: rows of one size, put in any order, read back sorted, in memory of a
 * fixed size.
 *
 * External merge sort: a full buffer is sorted and written as a run to an
 * unnamed temporary file, and reading merges the runs.  Rows compare as bytes,
 * from the first to the last.  Rows must hold nothing that may not stand on disk
 * in the clear.  One thread at a time.
 */
#ifndef STORE_SORTER_H
#define STORE_SORTER_H

#include <stddef.h>
#include <stdint.h>

#include "base/errmsg.h"

#define SORTER_ROW_BYTES_MAX ((size_t)128)
#define SORTER_RUNS_MAX ((size_t)4096)

struct sorter;

/* `dir` is where runs go once `memory_bytes` are full; borrowed. */
enum rc sorter_new(const char *dir, size_t row_bytes, size_t memory_bytes, struct sorter **out,
    struct errmsg *why) RC_CHECK;
void sorter_free(struct sorter *sorter);

/* Copies the row.  Not after the first sorter_next().  RC_LIMIT: too many runs. */
enum rc sorter_put(struct sorter *sorter, const uint8_t *row, struct errmsg *why) RC_CHECK;

/*
 * The next row in order; `*row` lives until the next call.  RC_NOTFOUND: that
 * was all of them.
 */
enum rc sorter_next(struct sorter *sorter, const uint8_t **row, struct errmsg *why) RC_CHECK;

/* Rows put so far. */
uint64_t sorter_rows(const struct sorter *sorter);

#endif
