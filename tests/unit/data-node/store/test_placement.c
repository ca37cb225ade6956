/* Placements: defaults, and what the time index knows them by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/observation.h"

#define T0_NS INT64_C(1795172400000000000)
#define S_NS INT64_C(1000000000)

static void test_a_source_without_a_clock_is_trusted_to_its_epsilon(void **state)
{
	struct placement place = placement_trusted(T0_NS, T0_NS + 5, 0);

	(void)state;
	assert_true(place.t0_ns == T0_NS && place.t1_ns == T0_NS + 5 && place.defaulted);
	assert_true(place.early_ns == PLACEMENT_ERROR_NS && place.late_ns == PLACEMENT_ERROR_NS);
	place = placement_trusted(T0_NS, T0_NS, 3 * S_NS);
	assert_true(!place.defaulted && place.early_ns == 3 * S_NS && place.map_version == 0);
}

static void test_only_a_wide_placement_is_known_by_its_extent(void **state)
{
	struct placement place = placement_trusted(T0_NS, T0_NS + 5, PLACEMENT_NARROW_NS);
	int64_t k0_ns, k1_ns;

	(void)state;
	placement_extent(&place, &k0_ns, &k1_ns);
	assert_true(!placement_is_wide(&place) && k0_ns == T0_NS && k1_ns == T0_NS + 5);
	place.late_ns++;
	placement_extent(&place, &k0_ns, &k1_ns);
	assert_true(placement_is_wide(&place) && k0_ns == T0_NS - place.early_ns &&
		    k1_ns == T0_NS + 5 + place.late_ns);
	place.early_ns = place.late_ns = INT64_MAX;
	placement_extent(&place, &k0_ns, &k1_ns);
	assert_true(k0_ns == OBS_TIME_MIN_NS && k1_ns == OBS_TIME_MAX_NS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_source_without_a_clock_is_trusted_to_its_epsilon),
		cmocka_unit_test(test_only_a_wide_placement_is_known_by_its_extent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
