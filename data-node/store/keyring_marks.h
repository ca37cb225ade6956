/*
 * Keyring marks: which keys there are, without telling them.
 *
 * A mark is a keyed hash of the keys of one (day, layer): the one in use and,
 * while something is being forgotten, the one that retired.  A copy of the timeline keeps
 * the marks of the keyring it was made with: where a mark went or changed since,
 * something was forgotten and what the copy holds of that day and layer has to
 * be fetched again.  Stored form: KEYRING_MARK_BYTES each, sorted by (day,
 * layer): day(4, big-endian, sign bit
 * flipped) layer(1) hash(8).
 */
#ifndef STORE_KEYRING_MARKS_H
#define STORE_KEYRING_MARKS_H

#include <stdbool.h>

#include "base/buf.h"
#include "store/keyring.h"

#define KEYRING_MARK_BYTES ((size_t)13)

/* Append the mark of every key to `out`. */
enum rc keyring_marks(struct keyring *keyring, struct buf *out) RC_CHECK;

/* RC_CORRUPT: a wrong length, or out of order. */
enum rc keyring_marks_check(const uint8_t *marks, size_t len) RC_CHECK;

/* Is the mark of (day, layer) in `old` gone from `now`, or another one there? */
bool keyring_marks_changed(const uint8_t *old, size_t old_len, const uint8_t *now, size_t now_len,
    int32_t day, unsigned layer);

/* Is any? */
bool keyring_marks_any_changed(
    const uint8_t *old, size_t old_len, const uint8_t *now, size_t now_len);

#endif
