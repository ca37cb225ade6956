/* Freed memory is zero: read back through /proc/self/mem, so that no compiler
 * can know what the test looks at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "base/random.h"
#include "serve/wiping_free.h"

/* cmocka's headers may rename the allocator; these tests want the real one. */
#undef malloc
#undef calloc
#undef realloc
#undef free

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED 0
#endif

static int self_mem = -1;

static int setup(void **state)
{
	(void)state;
	self_mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	return self_mem < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	return close(self_mem);
}

/* How often the pattern byte run is in memory from `at` on; the allocator may
 * write its own links into a free block, so whole runs are counted. */
static size_t count_pattern(uintptr_t at, size_t len, uint8_t byte)
{
	static uint8_t copy[1 << 16];
	size_t hits = 0, run = 0;

	assert_true(len <= sizeof(copy));
	ssize_t n = pread(self_mem, copy, len, (off_t)at);
	if (n < 0)
		return 0; /* unmapped: gone for good */
	for (ssize_t i = 0; i < n; i++) {
		run = copy[i] == byte ? run + 1 : 0;
		if (run == 8) {
			hits++;
			run = 0;
		}
	}
	return hits;
}

static void skip_unless_active(void)
{
	if (!wiping_free_active())
		skip(); /* a sanitizer's allocator */
}

/* The other tests may skip; this one notices when they all would. */
static void test_wiping_is_in_force_in_every_build_without_a_sanitizer(void **state)
{
	(void)state;
#if SANITIZED
	skip();
#else
	assert_true(wiping_free_active());
#endif
}

static void test_freed_block_holds_nothing_of_its_content(void **state)
{
	(void)state;
	skip_unless_active();
	for (size_t len = 24; len <= 60000; len = len * 3 + 1) {
		uint8_t *block = malloc(len);

		assert_non_null(block);
		memset(block, 0xA7, len);
		uintptr_t at = (uintptr_t)block;
		assert_int_not_equal(count_pattern(at, len, 0xA7), 0);
		free(block);
		assert_int_equal(count_pattern(at, len, 0xA7), 0);
	}
}

static void test_grown_block_leaves_nothing_where_it_was(void **state)
{
	(void)state;
	skip_unless_active();
	uint8_t *block = malloc(2000);
	assert_non_null(block);
	void *fence = malloc(64); /* so that it cannot grow in place */
	memset(block, 0xB3, 2000);
	uintptr_t at = (uintptr_t)block;
	uint8_t *grown = realloc(block, 50000);
	assert_non_null(grown);
	assert_int_not_equal((uintptr_t)grown, at);
	for (size_t i = 0; i < 2000; i++)
		assert_int_equal(grown[i], 0xB3);
	assert_int_equal(count_pattern(at, 2000, 0xB3), 0);
	free(grown);
	free(fence);
}

static void test_shrunk_block_keeps_its_head_and_loses_its_tail(void **state)
{
	(void)state;
	skip_unless_active();
	static const size_t lens[] = { 3900, 2100, 1000, 100, 1 };
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		uint8_t *block = malloc(4000);

		assert_non_null(block);
		memset(block, 0xC5, 4000);
		uintptr_t at = (uintptr_t)block;
		uint8_t *shrunk = realloc(block, lens[i]);
		assert_non_null(shrunk);
		for (size_t j = 0; j < lens[i]; j++)
			assert_int_equal(shrunk[j], 0xC5);
		size_t kept = (uintptr_t)shrunk == at ? lens[i] : 0;
		assert_int_equal(count_pattern(at + kept, 4000 - kept, 0xC5), 0);
		free(shrunk);
	}
}

static void test_realloc_of_null_and_to_zero_behaves_like_malloc_and_free(void **state)
{
	(void)state;
	uint8_t *block = realloc(NULL, 100);
	assert_non_null(block);
	block[99] = 1;
	assert_null(realloc(block, 0));
}

static void test_realloc_refuses_what_cannot_be_and_keeps_the_block(void **state)
{
	(void)state;
	skip_unless_active();
	uint8_t *block = malloc(100);
	assert_non_null(block);
	memset(block, 7, 100);
	void *(*volatile ask)(void *, size_t) = realloc; /* the compiler need not know */
	assert_null(ask(block, SIZE_MAX / 2));
	assert_int_equal(block[99], 7);
	free(block);
}

/* libzmq frees a message's bytes from its own code. */
static void test_memory_freed_inside_a_library_is_wiped_too(void **state)
{
	(void)state;
	skip_unless_active();
	zmq_msg_t msg;
	assert_int_equal(zmq_msg_init_size(&msg, 8000), 0);
	memset(zmq_msg_data(&msg), 0xD9, 8000);
	uintptr_t at = (uintptr_t)zmq_msg_data(&msg);
	assert_int_not_equal(count_pattern(at, 8000, 0xD9), 0);
	assert_int_equal(zmq_msg_close(&msg), 0);
	assert_int_equal(count_pattern(at, 8000, 0xD9), 0);
}

/* Blocks of every size and alignment, grown, shrunk and freed at random by
 * several threads keep their content: each is filled with its own byte. */
static void *churn(void *arg)
{
	uint64_t state = (uint64_t)(uintptr_t)arg;
	uint8_t *blocks[64] = { NULL };
	size_t lens[64] = { 0 };
	intptr_t bad = 0;

	for (int round = 0; round < 20000; round++) {
		uint64_t r = random_next(&state);
		size_t i = r % 64, len = 1 + (r >> 8) % ((r >> 40) % 16 == 0 ? 200000 : 700);

		for (size_t j = 0; j < lens[i]; j += 97)
			bad += blocks[i][j] != (uint8_t)i;
		if ((r >> 60) % 4 == 0) {
			free(blocks[i]);
			blocks[i] = NULL;
			lens[i] = 0;
			continue;
		}
		if (blocks[i] == NULL && (r >> 58) % 2 == 0) {
			void *aligned = NULL;

			bad += posix_memalign(&aligned, 256, len) != 0;
			blocks[i] = aligned;
		} else {
			blocks[i] = realloc(blocks[i], len);
		}
		size_t kept = lens[i] < len ? lens[i] : len;
		for (size_t j = 0; j < kept; j += 97)
			bad += blocks[i][j] != (uint8_t)i;
		memset(blocks[i], (int)i, len);
		lens[i] = len;
	}
	for (size_t i = 0; i < 64; i++)
		free(blocks[i]);
	return (void *)bad;
}

static void test_random_allocations_of_several_threads_keep_their_bytes(void **state)
{
	(void)state;
	pthread_t threads[3];
	for (uintptr_t i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)), 0);
	for (size_t i = 0; i < 3; i++) {
		void *bad = NULL;

		assert_int_equal(pthread_join(threads[i], &bad), 0);
		assert_null(bad);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wiping_is_in_force_in_every_build_without_a_sanitizer),
		cmocka_unit_test(test_freed_block_holds_nothing_of_its_content),
		cmocka_unit_test(test_grown_block_leaves_nothing_where_it_was),
		cmocka_unit_test(test_shrunk_block_keeps_its_head_and_loses_its_tail),
		cmocka_unit_test(test_realloc_of_null_and_to_zero_behaves_like_malloc_and_free),
		cmocka_unit_test(test_realloc_refuses_what_cannot_be_and_keeps_the_block),
		cmocka_unit_test(test_memory_freed_inside_a_library_is_wiped_too),
		cmocka_unit_test(test_random_allocations_of_several_threads_keep_their_bytes),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
