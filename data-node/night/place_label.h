/*
 * Place labels: the stays of a day and the roles of its places, as the values
 * of labels and back.
 *
 *   place  {"stays":[{"fixes":n,"from_s":s,"lat":..,"lon":..,"to_s":s,"word":".."}]}
 *          seconds of the UTC day; key: the date
 *   role   {"home":{"confidence":..,"lat":..,"lon":..},"work":{..}}; key: the date
 */
#ifndef NIGHT_PLACE_LABEL_H
#define NIGHT_PLACE_LABEL_H

#include "night/night_rule.h"
#include "night/place.h"

#define PLACE_LABEL_KEY_BYTES 12
#define PLACE_LABEL_STAYS_MAX ((size_t)288) /* of one day */

extern const char place_label_rule_place[], place_label_rule_role[]; /* "place", "role" */

/* "2026-11-19" of a day's start. */
void place_label_key(int64_t day_from_ns, char out[PLACE_LABEL_KEY_BYTES]);

enum rc place_label_put_stays(
    const struct stay *stays, size_t len, int64_t day_from_ns, struct buf *out) RC_CHECK;
enum rc place_label_put_roles(const struct place_roles *roles, struct buf *out) RC_CHECK;

/*
 * Stays of the day that starts at `day_from_ns`, at most PLACE_LABEL_STAYS_MAX
 * into `stays`, with the ids of the observations; *len 0 if none are known.
 * `*label_id` (may be NULL) is the label's own obs_id.
 */
enum rc place_label_get_stays(struct store *store, int64_t day_from_ns,
    struct stay stays[PLACE_LABEL_STAYS_MAX], size_t *len, uint8_t label_id[OBS_ID_BYTES],
    struct errmsg *why) RC_CHECK;
enum rc place_label_get_roles(
    struct store *store, int64_t day_from_ns, struct place_roles *out, struct errmsg *why) RC_CHECK;

#endif
