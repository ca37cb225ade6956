/*
 * Cloud labels: what the night says of one observation, for a policy that keeps or lets
 * go by label.
 *
 * A label counts if the observation is among what it is about, or lies in the stretch
 * that it is about: what was written in a meeting is of the meeting.  Its words are
 * "RULE", and "RULE=VALUE" for a text that is its value or a member of it.
 */
#ifndef GATEWAY_CLOUD_LABELS_H
#define GATEWAY_CLOUD_LABELS_H

#include "cloud/route.h"

struct store;

#define CLOUD_LABELS_MAX ((size_t)128)

/*
 * Fills labels, labels_len and unlabelled; in `arena`.  unlabelled: it came after the
 * last night's work.  RC_LIMIT: more than CLOUD_LABELS_MAX words; RC_NOMEM; the store's.
 */
enum rc cloud_labels(struct store *store, const struct observation *obs, struct arena *arena,
    struct route_moment *out, struct errmsg *why) RC_CHECK;

#endif
