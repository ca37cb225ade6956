/* Placements: device times taken for the hub's, and what the index sorts by. */
#include "store/placement.h"

#include "store/observation.h"

struct placement placement_trusted(int64_t t0_ns, int64_t t1_ns, int64_t error_ns)
{
	int64_t side_ns = error_ns == 0 ? PLACEMENT_ERROR_NS : error_ns;

	return (struct placement){
		.t0_ns = t0_ns,
		.t1_ns = t1_ns,
		.early_ns = side_ns,
		.late_ns = side_ns,
		.defaulted = error_ns == 0,
	};
}

bool placement_same(const struct placement *a, const struct placement *b)
{
	return a->t0_ns == b->t0_ns && a->t1_ns == b->t1_ns && a->early_ns == b->early_ns &&
	       a->late_ns == b->late_ns && a->map_version == b->map_version &&
	       a->epoch == b->epoch && a->defaulted == b->defaulted && a->limbo == b->limbo;
}

bool placement_is_wide(const struct placement *place)
{
	return place->early_ns > PLACEMENT_NARROW_NS || place->late_ns > PLACEMENT_NARROW_NS;
}

static int64_t within(int64_t ns)
{
	if (ns < OBS_TIME_MIN_NS)
		return OBS_TIME_MIN_NS;
	return ns > OBS_TIME_MAX_NS ? OBS_TIME_MAX_NS : ns;
}

void placement_extent(const struct placement *place, int64_t *k0_ns, int64_t *k1_ns)
{
	bool wide = placement_is_wide(place);
	int64_t ns;

	if (!wide || __builtin_sub_overflow(place->t0_ns, place->early_ns, &ns))
		ns = wide ? OBS_TIME_MIN_NS : place->t0_ns;
	*k0_ns = within(ns);
	if (!wide || __builtin_add_overflow(place->t1_ns, place->late_ns, &ns))
		ns = wide ? OBS_TIME_MAX_NS : place->t1_ns;
	*k1_ns = within(ns);
}
