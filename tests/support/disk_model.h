/*
 * A model of what a disk may hold after the power went.
 *
 * Fed with the records of a write log, it knows for every file which bytes a
 * sync made durable and which changes came since, and writes images of the
 * directory: the durable part plus any choice of the rest.  What may happen to
 * changes that no sync covered: a write is kept, lost, or torn into sectors of
 * 512 bytes, whatever became of its neighbours; a truncation is kept or lost;
 * names of one directory are changed in order, up to any of them (a rename is
 * one step in it; from one to another it is one in each, which may come alone).  fsync of a file
 * makes no name durable.
 *
 * Aborts with a message when the log cannot be: it is our own.
 */
#ifndef SUPPORT_DISK_MODEL_H
#define SUPPORT_DISK_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "write_log.h"

struct disk_model;

struct disk_model *disk_model_new(void);
void disk_model_free(struct disk_model *model);

/* One record with what follows it (path, path2, data without NUL). */
void disk_model_apply(struct disk_model *model, const struct write_log_record *record,
    const char *path, const char *path2, const uint8_t *data);

/* Changes that no sync covers: 0 means there is one image only. */
size_t disk_model_pending(const struct disk_model *model);

enum disk_choice { DISK_NONE, DISK_ALL, DISK_SOME };

/* Write the image into the empty directory `dir`.  `seed` drives DISK_SOME. */
void disk_model_write(
    const struct disk_model *model, enum disk_choice choice, uint64_t seed, const char *dir);

#endif
