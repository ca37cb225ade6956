/* The lease table: who owns an id, and when it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/clock.h"
#include "serve/fleet.h"
#include "serve/lease.h"

static struct lease_table table;
static const struct served_model models[2];
static const uint8_t key_a[WIRE_KEY_BYTES] = { 1 }, key_b[WIRE_KEY_BYTES] = { 2 };

static int setup(void **state)
{
	(void)state;
	lease_table_init(&table, 60 * NS_PER_S, 600 * NS_PER_S);
	return 0;
}

static enum rc open_as(const uint8_t *key, uint8_t id_byte, wire_peer peer, int64_t idle_ns,
    int64_t now_ns, struct lease **out)
{
	uint8_t id[WIRE_LEASE_BYTES] = { 7, 7, 7, id_byte };
	const struct lease_open open = {
		.id = id, .key = key, .peer = peer, .model = &models[0], .idle_ns = idle_ns
	};

	return lease_open(&table, &open, now_ns, out, NULL);
}

static struct lease *find_as(const uint8_t *key, uint8_t id_byte)
{
	const uint8_t id[WIRE_LEASE_BYTES] = { 7, 7, 7, id_byte };

	return lease_find(&table, id, key);
}

static void test_a_lease_answers_to_its_own_key_only(void **state)
{
	(void)state;
	struct lease *lease = NULL;
	assert_int_equal(open_as(key_a, 1, 10, 0, 0, &lease), RC_OK);
	assert_ptr_equal(find_as(key_a, 1), lease);
	assert_null(find_as(key_b, 1));
	assert_null(find_as(key_a, 2));
}

static void test_the_id_of_someone_else_cannot_be_opened(void **state)
{
	(void)state;
	struct lease *lease = NULL, *other = NULL;
	assert_int_equal(open_as(key_a, 1, 10, 0, 0, &lease), RC_OK);
	assert_int_equal(open_as(key_b, 1, 11, 0, 0, &other), RC_DENIED);
	assert_null(other);
	assert_int_equal(lease_count(&table, NULL), 1);
}

static void test_the_idle_time_is_granted_up_to_the_most_allowed(void **state)
{
	(void)state;
	struct lease *lease = NULL;
	assert_int_equal(open_as(key_a, 1, 10, 0, 0, &lease), RC_OK);
	assert_int_equal(lease->idle_ns, 60 * NS_PER_S);
	assert_int_equal(open_as(key_a, 2, 10, 5 * NS_PER_S, 0, &lease), RC_OK);
	assert_int_equal(lease->idle_ns, 5 * NS_PER_S);
	assert_int_equal(open_as(key_a, 3, 10, NS_PER_DAY, 0, &lease), RC_OK);
	assert_int_equal(lease->idle_ns, 600 * NS_PER_S);
}

static void test_an_idle_lease_closes_and_a_busy_or_used_one_does_not(void **state)
{
	(void)state;
	struct lease *idle = NULL, *busy = NULL, *used = NULL;
	assert_int_equal(open_as(key_a, 1, 10, 0, 0, &idle), RC_OK);
	assert_int_equal(open_as(key_a, 2, 10, 0, 0, &busy), RC_OK);
	assert_int_equal(open_as(key_a, 3, 10, 0, 0, &used), RC_OK);
	busy->busy = true;
	lease_touch(used, 30 * NS_PER_S);
	lease_close_idle(&table, 60 * NS_PER_S - 1);
	assert_int_equal(idle->state, LEASE_OPEN);
	lease_close_idle(&table, 60 * NS_PER_S);
	assert_int_equal(idle->state, LEASE_CLOSING);
	assert_int_equal(busy->state, LEASE_OPEN);
	assert_int_equal(used->state, LEASE_OPEN);
	assert_null(find_as(key_a, 1));
}

static void test_a_closing_id_is_taken_until_its_memory_is_released(void **state)
{
	(void)state;
	struct lease *lease = NULL, *again = NULL;
	assert_int_equal(open_as(key_a, 1, 10, 0, 0, &lease), RC_OK);
	lease_close(lease);
	assert_int_equal(open_as(key_a, 1, 10, 0, 0, &again), RC_DENIED);
	lease_release(lease);
	assert_int_equal(open_as(key_a, 1, 10, 0, 0, &again), RC_OK);
}

static void test_a_released_slot_holds_no_trace(void **state)
{
	(void)state;
	struct lease *lease = NULL;
	static const struct lease zero;
	assert_int_equal(open_as(key_a, 1, 10, 0, 0, &lease), RC_OK);
	lease_close(lease);
	lease_release(lease);
	assert_memory_equal(lease, &zero, sizeof(zero));
}

static void test_a_lost_connection_closes_what_it_opened_or_renewed_last(void **state)
{
	(void)state;
	struct lease *first = NULL, *second = NULL, *moved = NULL;
	assert_int_equal(open_as(key_a, 1, 10, 0, 0, &first), RC_OK);
	assert_int_equal(open_as(key_a, 2, 11, 0, 0, &second), RC_OK);
	assert_int_equal(open_as(key_a, 3, 10, 0, 0, &moved), RC_OK);
	assert_int_equal(open_as(key_a, 3, 11, 0, 0, &moved), RC_OK);
	lease_close_of_peer(&table, 10);
	assert_int_equal(first->state, LEASE_CLOSING);
	assert_int_equal(second->state, LEASE_OPEN);
	assert_int_equal(moved->state, LEASE_OPEN);
}

static void test_opening_again_for_another_model_is_refused(void **state)
{
	(void)state;
	struct lease *lease = NULL;
	const uint8_t id[WIRE_LEASE_BYTES] = { 7, 7, 7, 1 };
	const struct lease_open open = { .id = id, .key = key_a, .peer = 10, .model = &models[1] };
	assert_int_equal(open_as(key_a, 1, 10, 0, 0, &lease), RC_OK);
	assert_int_equal(lease_open(&table, &open, 0, &lease, NULL), RC_INVALID);
}

static void test_one_key_cannot_take_all_leases_and_the_table_is_bounded(void **state)
{
	(void)state;
	struct lease *lease = NULL;
	for (size_t i = 0; i < LEASES_KEY_MAX; i++)
		assert_int_equal(open_as(key_a, (uint8_t)i, 10, 0, 0, &lease), RC_OK);
	assert_int_equal(open_as(key_a, 200, 10, 0, 0, &lease), RC_LIMIT);
	for (size_t i = LEASES_KEY_MAX; i < LEASES_MAX; i++) {
		const uint8_t key[WIRE_KEY_BYTES] = { 9, (uint8_t)i };

		assert_int_equal(open_as(key, (uint8_t)i, 12, 0, 0, &lease), RC_OK);
	}
	assert_int_equal(open_as(key_b, 200, 11, 0, 0, &lease), RC_BUSY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_a_lease_answers_to_its_own_key_only, setup),
		cmocka_unit_test_setup(test_the_id_of_someone_else_cannot_be_opened, setup),
		cmocka_unit_test_setup(test_the_idle_time_is_granted_up_to_the_most_allowed, setup),
		cmocka_unit_test_setup(
		    test_an_idle_lease_closes_and_a_busy_or_used_one_does_not, setup),
		cmocka_unit_test_setup(
		    test_a_closing_id_is_taken_until_its_memory_is_released, setup),
		cmocka_unit_test_setup(test_a_released_slot_holds_no_trace, setup),
		cmocka_unit_test_setup(
		    test_a_lost_connection_closes_what_it_opened_or_renewed_last, setup),
		cmocka_unit_test_setup(test_opening_again_for_another_model_is_refused, setup),
		cmocka_unit_test_setup(
		    test_one_key_cannot_take_all_leases_and_the_table_is_bounded, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
