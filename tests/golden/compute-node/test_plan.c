/*
 * The plan of every architecture and format is what serving then takes, for several
 * contexts and numbers of sequences; and the context that it says would fit does, the
 * next larger one does not.
 */
#include <glob.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "golden_models.h"
#include "os/pages.h"
#include "serve/fleet.h"
#include "serve/scheduler.h"
#include "wire/frame.h"

#define THREADS 2
#define SLACK_BYTES (2L << 10)
#define STACK_BYTES ((size_t)64 << 10) /* of a thread, as the plan counts it */

static glob_t files;

/* What this process holds: of the heap, and pages of its own. */
static size_t held(void)
{
	struct mallinfo2 heap = mallinfo2();

	return heap.uordblks + heap.hblkhd + pages_taken();
}

/* A sanitizer's allocator does not show in the C library's count. */
static bool heap_is_counted(void)
{
	size_t before = held();
	void *volatile block = malloc(STACK_BYTES);
	bool counted = held() - before >= STACK_BYTES;

	free(block);
	return counted;
}

static enum rc no_send(void *ctx, wire_peer peer, const struct message *message)
{
	(void)ctx;
	(void)peer;
	(void)message;
	return RC_OK;
}

static void no_reply(void *ctx, wire_peer peer, const struct message *message)
{
	(void)no_send(ctx, peer, message);
}

/* The blocks for messages, which the wire takes, and the bound of requests. */
static void check_messages(const struct fleet *fleet)
{
	struct wire_pool pools[FLEET_POOLS_MAX];
	struct frame_pool *pool = NULL;
	size_t n = fleet_pools(fleet, pools), before = pages_taken();

	assert_int_equal(frame_pool_new(pools, n, &pool), RC_OK);
	assert_int_equal(pages_taken() - before, fleet->message_bytes - FLEET_REQUESTS_BYTES);
	assert_int_equal(fleet->message_bytes, fleet->models[0].plan.message_bytes);
	frame_pool_free(pool);
}

/* Bytes that serving takes beyond the plan. */
static long excess(const char *path, uint32_t n_ctx, uint32_t n_seq)
{
	const struct fleet_config config = { .paths = &path,
		.paths_len = 1,
		.engine = { .n_ctx = n_ctx, .n_seq = n_seq, .n_threads = THREADS },
		.budget_bytes = (uint64_t)1 << 40,
		.adapter_bytes = FLEET_ADAPTERS_AUTO };
	struct scheduler *sched = NULL;
	struct fleet fleet;
	struct errmsg why = ERRMSG_INIT;
	size_t before = held(), pages = pages_taken(), planned, took;

	if (fleet_open(&config, &fleet, &why) != RC_OK)
		fail_msg("%s: %s", path, why.text);
	const struct scheduler_config serving = {
		.fleet = &fleet, .send = no_send, .reply = no_reply
	};
	assert_int_equal(scheduler_new(&serving, &sched, NULL), RC_OK);
	planned = (size_t)(fleet.planned_bytes - fleet.models[0].plan.weights_bytes -
			   fleet.message_bytes) -
		  THREADS * STACK_BYTES;
	check_messages(&fleet);
	took = held() - before;
	scheduler_free(sched);
	fleet_close(&fleet);
	assert_int_equal(pages_taken(), pages);
	return (long)took - (long)planned;
}

static void check(const char *path, uint32_t n_ctx, uint32_t n_seq)
{
	long bytes = excess(path, n_ctx, n_seq);

	/* malloc hands out a little more than it is asked for */
	if (bytes < -SLACK_BYTES || bytes > SLACK_BYTES)
		fail_msg("%s, context %u, %u sequences: took %+ld bytes more than planned", path,
		    n_ctx, n_seq, bytes);
}

static void test_what_is_planned_is_taken(void **unused)
{
	(void)unused;
	if (!heap_is_counted())
		skip();
	for (size_t i = 0; i < files.gl_pathc; i++) {
		/* Once for what the heap keeps of what was given back. */
		(void)excess(files.gl_pathv[i], 0, 1);
		check(files.gl_pathv[i], 0, 1);
		check(files.gl_pathv[i], 512, 4);
		check(files.gl_pathv[i], 64, 16);
	}
}

static enum rc open_with(
    const char *path, uint64_t budget, uint32_t n_ctx, struct fleet *fleet, struct errmsg *why)
{
	const struct fleet_config config = { .paths = &path,
		.paths_len = 1,
		.engine = { .n_ctx = n_ctx, .n_seq = 2, .n_threads = THREADS },
		.budget_bytes = budget };

	return fleet_open(&config, fleet, why);
}

/* A budget that holds the model with a part of its context. */
static void check_refusal(const char *path)
{
	struct fleet fleet;
	struct errmsg why = ERRMSG_INIT;
	uint64_t whole, least;
	const char *said;
	uint32_t fits, all;

	assert_int_equal(open_with(path, (uint64_t)1 << 40, 0, &fleet, NULL), RC_OK);
	whole = fleet.planned_bytes;
	all = fleet.models[0].config.n_ctx;
	fleet_close(&fleet);
	assert_int_equal(open_with(path, (uint64_t)1 << 40, 64, &fleet, NULL), RC_OK);
	least = fleet.planned_bytes;
	fleet_close(&fleet);
	if (all <= 128 || least == whole)
		return;
	assert_int_equal(open_with(path, least + (whole - least) / 3, 0, &fleet, &why), RC_BUDGET);
	said = strstr(why.text, "--context ");
	assert_non_null(said);
	fits = (uint32_t)strtoul(said + strlen("--context "), NULL, 10);
	assert_true(fits >= 64 && fits < all);
	assert_int_equal(open_with(path, least + (whole - least) / 3, fits, &fleet, NULL), RC_OK);
	fleet_close(&fleet);
	assert_int_equal(
	    open_with(path, least + (whole - least) / 3, fits + 64, &fleet, NULL), RC_BUDGET);
}

static void test_the_context_that_would_fit_does_and_the_next_does_not(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < files.gl_pathc; i++)
		check_refusal(files.gl_pathv[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_planned_is_taken),
		cmocka_unit_test(test_the_context_that_would_fit_does_and_the_next_does_not),
	};
	int rc;

	log_set_level(LOG_LEVEL_ERROR);
	(void)glob(GOLDEN_DATA "/arch/*.gguf", 0, NULL, &files);
	(void)glob(GOLDEN_DATA "/quant/*.gguf", GLOB_APPEND, NULL, &files);
	rc = files.gl_pathc == 0 ? 77 : cmocka_run_group_tests(tests, NULL, NULL);
	globfree(&files);
	return rc;
}
