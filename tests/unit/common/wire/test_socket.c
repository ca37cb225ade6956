/* What both halves share: versions, addresses, wakes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "base/clock.h"
#include "wire/socket.h"
#include "wire/waker.h"

static void test_version_is_the_highest_that_both_speak(void **state)
{
	(void)state;
	const struct {
		uint32_t ours[2], theirs[2];
		bool agree;
		uint32_t chosen;
	} cases[] = {
		{ { 1, 1 }, { 1, 1 }, true, 1 },
		{ { 1, 1 }, { 1, 3 }, true, 1 },  /* they were upgraded first */
		{ { 1, 3 }, { 1, 2 }, true, 2 },  /* we were */
		{ { 2, 3 }, { 1, 2 }, true, 2 },  /* ranges that touch */
		{ { 2, 3 }, { 1, 1 }, false, 0 }, /* too old */
		{ { 1, 1 }, { 2, 9 }, false, 0 }, /* too new */
		{ { 1, 5 }, { 4, 2 }, false, 0 }, /* upside down */
		{ { 1, 1 }, { 0, 0 }, false, 0 },
		{ { 1, UINT32_MAX }, { 0, UINT32_MAX }, true, UINT32_MAX },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t chosen = 0;
		bool agree = socket_version_choose(cases[i].ours[0], cases[i].ours[1],
		    cases[i].theirs[0], cases[i].theirs[1], &chosen);
		assert_int_equal(agree, cases[i].agree);
		assert_int_equal(chosen, cases[i].chosen);
	}
}

static void test_address_is_tcp_with_a_host_and_a_port(void **state)
{
	(void)state;
	static const char *const good[] = { "tcp://127.0.0.1:8421", "tcp://[::1]:8421",
		"tcp://box.local:1", "tcp://*:65535" };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(socket_check_address(good[i], true, NULL), RC_OK);
	assert_int_equal(socket_check_address("tcp://127.0.0.1:0", true, NULL), RC_OK);
	assert_int_equal(socket_check_address("tcp://127.0.0.1:0", false, NULL), RC_CONFIG);
	assert_int_equal(socket_check_address("tcp://127.0.0.1:*", true, NULL), RC_OK);
	assert_int_equal(socket_check_address("tcp://127.0.0.1:*", false, NULL), RC_CONFIG);
	assert_int_equal(socket_check_address("tcp://127.0.0.1:", true, NULL), RC_CONFIG);
}

/* Two threads hand one number back and forth: a lost wake would hang. */
#define TURNS 20000

struct turns {
	struct waker wakers[2];
	atomic_int turn;
	atomic_bool late; /* a wait ran into its limit */
};

static void take_turns(struct turns *turns, int me)
{
	for (int i = 0; i < TURNS; i++) {
		while (atomic_load(&turns->turn) != me) {
			unsigned ready = socket_wait(NULL, 0, turns->wakers[me].fds[0], NS_PER_S);
			if (ready != 0)
				waker_clear(&turns->wakers[me]);
			else if (atomic_load(&turns->turn) == me)
				atomic_store(&turns->late, true);
		}
		atomic_store(&turns->turn, 1 - me);
		waker_wake(&turns->wakers[1 - me]);
	}
}

static void *other(void *arg)
{
	take_turns(arg, 1);
	return NULL;
}

static void test_waker_never_loses_a_wake(void **state)
{
	(void)state;
	struct turns turns = { .turn = 0 };
	pthread_t thread;

	for (int i = 0; i < 2; i++)
		assert_int_equal(waker_init(&turns.wakers[i], NULL), RC_OK);
	assert_int_equal(pthread_create(&thread, NULL, other, &turns), 0);
	take_turns(&turns, 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_false(atomic_load(&turns.late));
	for (int i = 0; i < 2; i++)
		waker_fini(&turns.wakers[i]);
}

static void test_waker_many_wakes_are_one_and_clearing_ends_them(void **state)
{
	(void)state;
	struct waker waker;

	assert_int_equal(waker_init(&waker, NULL), RC_OK);
	assert_int_equal(socket_wait(NULL, 0, waker.fds[0], 0), 0);
	for (int i = 0; i < 100000; i++)
		waker_wake(&waker); /* never blocks, however full the pipe */
	assert_int_equal(socket_wait(NULL, 0, waker.fds[0], 0), 1);
	waker_clear(&waker);
	assert_int_equal(socket_wait(NULL, 0, waker.fds[0], 0), 0);
	waker_fini(&waker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version_is_the_highest_that_both_speak),
		cmocka_unit_test(test_address_is_tcp_with_a_host_and_a_port),
		cmocka_unit_test(test_waker_never_loses_a_wake),
		cmocka_unit_test(test_waker_many_wakes_are_one_and_clearing_ends_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
