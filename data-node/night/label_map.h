/*
 * Label map: the labels of many observations, by one scan.
 */
#ifndef NIGHT_LABEL_MAP_H
#define NIGHT_LABEL_MAP_H

#include "night/label.h"

#define LABEL_MAP_REFS_MAX ((size_t)1 << 20)

struct label_map; /* lives in the arena it was read into */

/*
 * Labels about observations of `layers` (LAYER_MASK bits; 0: all) within
 * [t0, t1], into `arena`.  Withdrawn ones are left out; what cannot be read is
 * passed over.  RC_LIMIT: more than LABEL_MAP_REFS_MAX of them; RC_NOMEM; the
 * store's errors.
 */
enum rc label_map_read(struct store *store, unsigned layers, int64_t t0_ns, int64_t t1_ns,
    struct arena *arena, struct label_map **out, struct errmsg *why) RC_CHECK;

/* [{"rule","version","value","confidence","obs_id"}] of the labels about
 * `obs_id`, in order of time, appended. */
void label_map_put(
    const struct label_map *map, const uint8_t obs_id[OBS_ID_BYTES], struct buf *out);

#endif
