/* What requests hold of the heap has a bound: beyond it others wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "os/heap.h"
#include "serve_fixture.h"

#define HEAP_BYTES ((size_t)4 << 20)

static struct serve_fixture node;

static const struct serve_answer *run(enum message_kind kind)
{
	const struct wire_part part = { .data = (const uint8_t *)"wait", .data_len = 4 };
	struct message message = { .kind = kind };

	if (kind == MESSAGE_GENERATE)
		message.u.generate = (struct wire_generate){
			.model = "tiny", .raw = &part, .raw_len = 1, .max_tokens = 3, .credit = 100
		};
	if (kind == MESSAGE_TOKENIZE)
		message.u.tokenize =
		    (struct wire_tokenize){ .model = "tiny", .parts = &part, .parts_len = 1 };
	return serve_fixture_wait(&node, serve_fixture_send(&node, 0, &message));
}

static void test_requests_that_hold_all_memory_set_aside_make_others_wait(void **state)
{
	static const enum message_kind kinds[] = { MESSAGE_GENERATE, MESSAGE_TOKENIZE };

	(void)state;
	if (heap_used() == 0)
		skip(); /* nobody counts */
	for (size_t i = 0; i < 2; i++) {
		assert_false(run(kinds[i])->failed);
		/* the node is in one process with the test: as if of others' requests */
		char *held = malloc(2 * HEAP_BYTES);
		assert_non_null(held);
		memset(held, 1, 2 * HEAP_BYTES);
		const struct serve_answer *answer = run(kinds[i]);
		assert_true(answer->failed);
		assert_int_equal(answer->code, WIRE_ERROR_BUSY);
		free(held);
		assert_false(run(kinds[i])->failed);
	}
	assert_true(run(MESSAGE_STATS_REQUEST)->stats.refused == 2);
}

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	serve_fixture_init(&node, &(struct tiny_gguf){ .seed = 11 });
	node.config.waiting_bytes = HEAP_BYTES;
	serve_fixture_start(&node);
	serve_fixture_connect(&node, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	serve_fixture_fini(&node);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_requests_that_hold_all_memory_set_aside_make_others_wait, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
