/*
 * Said: what a model said of a stretch of time, as an observation.
 *
 * It is written as a label is (label.h: rule, key, about, value, version, revision,
 * life), under a kind of its own, OBS_KIND_SAID: it does not follow from the
 * observations alone, and labels do.  It lies in the text layer, is never memory and
 * feeds no slice, and is forgotten as labels are: with what it may have been read from.
 */
#ifndef NIGHT_SAID_H
#define NIGHT_SAID_H

#include "night/label.h"

/*
 * The record of `rule` about `key`, everything in `arena`.  RC_NOTFOUND: there is none, or
 * it was forgotten; then life and revision of `out` are those to write with.  RC_LIMIT: it was
 * forgotten too often.  The store's errors.
 */
enum rc said_get(struct store *store, const char *rule, const char *key, struct arena *arena,
    struct label *out, struct errmsg *why) RC_CHECK;

/* RC_OK once it is on the disk.  Its layer is LAYER_TEXT whatever `label` says. */
enum rc said_put(struct store *store, const struct label *label, struct errmsg *why) RC_CHECK;

/* As label_decode(). */
enum rc said_decode(const struct observation *obs, struct arena *arena, struct label *out) RC_CHECK;

#endif
