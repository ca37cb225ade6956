/* Arena: alignment, zeroing, the hard cap, reset. */
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/random.h"

static void test_arena_hands_out_zeroed_aligned_bytes_that_do_not_overlap(void **state)
{
	enum { N = 2000 };
	struct arena arena;
	unsigned char *parts[N];
	size_t lens[N];
	uint64_t seed = 1;

	(void)state;
	arena_init(&arena, (size_t)64 << 20);
	for (size_t i = 0; i < N; i++) {
		lens[i] = random_next(&seed) % (i % 50 == 0 ? 40000 : 200);
		parts[i] = arena_alloc(&arena, lens[i]);
		assert_non_null(parts[i]);
		assert_int_equal((uintptr_t)parts[i] % _Alignof(max_align_t), 0);
		for (size_t k = 0; k < lens[i]; k++)
			assert_int_equal(parts[i][k], 0);
		memset(parts[i], (int)(i % 255 + 1), lens[i]);
	}
	for (size_t i = 0; i < N; i++) {
		for (size_t k = 0; k < lens[i]; k++)
			assert_int_equal(parts[i][k], i % 255 + 1);
	}
	arena_fini(&arena);
}

static void test_arena_never_takes_more_than_its_cap(void **state)
{
	struct arena arena;
	size_t got = 0;

	(void)state;
	arena_init(&arena, 100000);
	while (arena_alloc(&arena, 1000) != NULL) {
		got++;
		assert_true(arena.used_bytes <= 100000);
		assert_true(got <= 100);
	}
	assert_in_range(got, 90, 100);
	assert_null(arena_alloc(&arena, 100001));
	arena_fini(&arena);
}

static void test_arena_refuses_lengths_that_overflow(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, SIZE_MAX);
	assert_null(arena_alloc(&arena, SIZE_MAX));
	assert_null(arena_alloc(&arena, SIZE_MAX - 15));
	assert_null(arena_array(&arena, SIZE_MAX / 2, 3));
	assert_null(arena_array(&arena, (size_t)1 << 33, (size_t)1 << 33));
	assert_null(arena_copy(&arena, "x", SIZE_MAX));
	arena_fini(&arena);
}

static void test_arena_is_usable_again_after_reset(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, 50000);
	for (int round = 0; round < 20; round++) {
		assert_non_null(arena_alloc(&arena, 30000));
		assert_null(arena_alloc(&arena, 30000));
		arena_reset(&arena);
		assert_int_equal(arena.used_bytes, 0);
	}
	arena_fini(&arena);
}

static void test_arena_big_allocation_keeps_the_room_of_the_current_chunk(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, (size_t)1 << 20);
	char *small = arena_alloc(&arena, 16);
	assert_non_null(small);
	size_t before = arena.used_bytes;
	assert_non_null(arena_alloc(&arena, 100000));
	size_t with_big = arena.used_bytes;
	assert_true(with_big > before);
	assert_non_null(arena_alloc(&arena, 16));
	assert_int_equal(arena.used_bytes, with_big);
	arena_fini(&arena);
}

static void test_arena_of_cap_zero_gives_nothing(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, 0);
	assert_null(arena_alloc(&arena, 1));
	assert_null(arena_strdup(&arena, ""));
	assert_null(arena_printf(&arena, "%d", 1));
	arena_fini(&arena);
}

static void test_arena_copies_end_in_nul(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, 100000);
	assert_string_equal(arena_copy(&arena, "abcdef", 3), "abc");
	assert_string_equal(arena_copy(&arena, NULL, 0), "");
	assert_string_equal(arena_strdup(&arena, "moon"), "moon");
	assert_null(arena_strdup(&arena, NULL));
	assert_string_equal(arena_printf(&arena, "%s-%04d", "id", 17), "id-0017");
	arena_fini(&arena);
}

static void test_arena_over_the_callers_memory_uses_that_first_and_wipes_it(void **state)
{
	alignas(max_align_t) uint8_t storage[256] = { 0 };
	struct arena arena;

	(void)state;
	/* Nothing may be taken: all that is had lies in the storage. */
	arena_init_over(&arena, storage, sizeof(storage), 0);
	uint8_t *first = arena_alloc(&arena, 100);
	assert_true(first > storage && first + 100 <= storage + sizeof(storage));
	memset(first, 0xAA, 100);
	assert_null(arena_alloc(&arena, 200));
	arena_fini(&arena);
	for (size_t i = 0; i < sizeof(storage); i++)
		assert_int_not_equal(storage[i], 0xAA);
	/* What does not fit comes from elsewhere. */
	memset(storage, 0, sizeof(storage));
	arena_init_over(&arena, storage, sizeof(storage), (size_t)1 << 20);
	uint8_t *second = arena_alloc(&arena, 500);
	assert_non_null(second);
	assert_true(second < storage || second >= storage + sizeof(storage));
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arena_hands_out_zeroed_aligned_bytes_that_do_not_overlap),
		cmocka_unit_test(test_arena_never_takes_more_than_its_cap),
		cmocka_unit_test(test_arena_refuses_lengths_that_overflow),
		cmocka_unit_test(test_arena_is_usable_again_after_reset),
		cmocka_unit_test(test_arena_big_allocation_keeps_the_room_of_the_current_chunk),
		cmocka_unit_test(test_arena_of_cap_zero_gives_nothing),
		cmocka_unit_test(test_arena_copies_end_in_nul),
		cmocka_unit_test(test_arena_over_the_callers_memory_uses_that_first_and_wipes_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
