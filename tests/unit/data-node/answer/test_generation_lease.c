/*
 * Answers under leases: what a compute node keeps of one prompt is used for the next
 * that begins alike, and costs nothing where it is refused, lost or forgotten.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

#define HEAD_BYTES ((size_t)8000)

/* A long head, and a short question behind it. */
struct asked {
	char head[HEAD_BYTES];
	struct wire_part parts[2];
	struct wire_chat_message messages[2];
	struct generation_request request;
};

static struct generation_request *ask(struct asked *asked, char head, const char *question)
{
	memset(asked, 0, sizeof(*asked));
	memset(asked->head, head, sizeof(asked->head));
	asked->parts[0] = (struct wire_part){
		.data = (const uint8_t *)asked->head, .data_len = HEAD_BYTES, .media_type = ""
	};
	asked->parts[1] = (struct wire_part){
		.data = (const uint8_t *)question, .data_len = strlen(question), .media_type = ""
	};
	for (size_t i = 0; i < 2; i++) {
		asked->messages[i] = (struct wire_chat_message){ .role = i == 0 ? "system" : "user",
			.parts = &asked->parts[i],
			.parts_len = 1,
			.name = "",
			.tool_call_id = "",
			.tool_calls_json = "" };
	}
	asked->request = (struct generation_request){
		.generate = { .model = "tiny", .messages = asked->messages, .messages_len = 2 },
		.resume_timeout_ns = RIG_DEADLINE_NS,
		.begins_again = true,
	};
	return &asked->request;
}

/* To its end; how many tokens of the prompt the node still had. */
static uint32_t run(struct rig *rig, const struct generation_request *request)
{
	struct errmsg why = ERRMSG_INIT;
	struct generation *generation = NULL;
	struct generation_event event = { .kind = GENERATION_IDLE };

	assert_int_equal(generation_start(rig->pool, request, &generation, &why), RC_OK);
	while (event.kind != GENERATION_DONE) {
		generation_next(generation, RIG_DEADLINE_NS, &event);
		assert_int_not_equal(event.kind, GENERATION_IDLE);
		assert_int_not_equal(event.kind, GENERATION_FAILED);
	}
	uint32_t cached = event.cached_tokens;
	rig_look(rig);
	assert_int_equal(event.tokens, 40);
	generation_free(generation);
	return cached;
}

static void test_generation_goes_under_the_lease_of_the_same_beginning(void **state)
{
	(void)state;
	struct fake_script script = fake_script_default();
	struct fake_compute *node;
	struct asked asked;
	struct rig rig;
	uint8_t first[WIRE_LEASE_BYTES];

	rig_open(&rig, &script, 1);
	node = &rig.nodes[0];
	assert_int_equal(run(&rig, ask(&asked, 'a', "one?")), 0);
	assert_int_equal(fake_compute_get(node, &node->leased), 1);
	memcpy(first, node->last_lease, sizeof(first));
	assert_int_equal(run(&rig, ask(&asked, 'a', "two?")), script.prompt_tokens - 1);
	assert_memory_equal(node->last_lease, first, sizeof(first));
	assert_int_equal(run(&rig, ask(&asked, 'b', "two?")), 0);
	assert_memory_not_equal(node->last_lease, first, sizeof(first));
	/* What is asked in the background, or too short, leaves nothing behind. */
	asked.request.begins_again = false;
	assert_int_equal(run(&rig, &asked.request), 0);
	asked.request.begins_again = true;
	asked.parts[0].data_len = 20;
	assert_int_equal(run(&rig, &asked.request), 0);
	assert_int_equal(fake_compute_get(node, &node->leased), 3);
	/* Another token does not learn what this one asked. */
	(void)ask(&asked, 'a', "two?");
	asked.request.whose = 3;
	assert_int_equal(run(&rig, &asked.request), 0);
	rig_close(&rig);
}

static void test_generation_goes_without_a_lease_where_there_is_no_room(void **state)
{
	(void)state;
	struct fake_script script = fake_script_default();
	struct asked asked;
	struct rig rig;

	script.no_leases = true;
	rig_open(&rig, &script, 1);
	assert_int_equal(run(&rig, ask(&asked, 'a', "one?")), 0);
	assert_int_equal(fake_compute_get(&rig.nodes[0], &rig.nodes[0].generates), 2);
	assert_int_equal(fake_compute_get(&rig.nodes[0], &rig.nodes[0].leased), 0);
	rig_close(&rig);
}

static void test_generation_prefers_the_node_that_has_its_beginning(void **state)
{
	(void)state;
	struct fake_script scripts[2] = { fake_script_default(), fake_script_default() };
	struct asked asked;
	struct rig rig;

	rig_open(&rig, scripts, 2);
	/* The second one has it; by all else the first one is as good, and comes before. */
	assert_int_equal(pool_drain(rig.pool, "node1", true), RC_OK);
	(void)run(&rig, ask(&asked, 'a', "one?"));
	assert_int_equal(pool_drain(rig.pool, "node1", false), RC_OK);
	for (int i = 0; i < 5; i++)
		assert_int_equal(
		    run(&rig, ask(&asked, 'a', "again?")), scripts[0].prompt_tokens - 1);
	assert_int_equal(fake_compute_get(&rig.nodes[0], &rig.nodes[0].generates), 0);
	(void)run(&rig, ask(&asked, 'b', "another?"));
	assert_int_equal(fake_compute_get(&rig.nodes[0], &rig.nodes[0].generates), 1);
	rig_close(&rig);
}

static void test_generation_opens_its_lease_anew_after_a_restart(void **state)
{
	(void)state;
	struct fake_script script = fake_script_default();
	struct asked asked;
	struct rig rig;

	rig_open(&rig, &script, 1);
	(void)run(&rig, ask(&asked, 'a', "one?"));
	fake_compute_kill(&rig.nodes[0]);
	fake_compute_start(&rig.nodes[0]);
	asked.request.start_timeout_ns = RIG_DEADLINE_NS;
	/* Until the loss is noticed a call may still be put on the old link. */
	assert_int_equal(run(&rig, &asked.request), 0);
	assert_int_equal(run(&rig, &asked.request), script.prompt_tokens - 1);
	rig_close(&rig);
}

static void test_pool_forget_closes_what_nodes_keep(void **state)
{
	(void)state;
	struct fake_script script = fake_script_default();
	struct fake_compute *node;
	struct asked asked;
	struct rig rig;

	rig_open(&rig, &script, 1);
	node = &rig.nodes[0];
	(void)run(&rig, ask(&asked, 'a', "one?"));
	(void)run(&rig, ask(&asked, 'b', "one?"));
	pool_forget(rig.pool);
	fake_compute_wait(node, &node->leases_closed, 2);
	/* One that an answer runs under: with its end. */
	struct errmsg why = ERRMSG_INIT;
	struct generation *generation = NULL;
	assert_int_equal(
	    generation_start(rig.pool, ask(&asked, 'a', "one?"), &generation, &why), RC_OK);
	fake_compute_wait(node, &node->leased, 3);
	pool_forget(rig.pool);
	assert_int_equal(fake_compute_get(node, &node->leases_closed), 2);
	generation_free(generation);
	fake_compute_wait(node, &node->leases_closed, 3);
	assert_int_equal(run(&rig, ask(&asked, 'a', "one?")), 0);
	rig_close(&rig);
}

/* An agent's long head is the same with every question, whatever moments go along. */
static void test_hearth_prompts_with_the_same_head_share_a_lease(void **state)
{
	(void)state;
	struct fake_script script = fake_script_default();
	struct world world;
	char head[3000], body[4000];
	script.tokens = script.batch = 2;
	world_open(&world, &script, 1);
	memset(head, 'h', sizeof(head) - 1);
	head[sizeof(head) - 1] = '\0';
	for (int i = 0; i < 2; i++) {
		if (i == 1)
			(void)world_moment(&world, "menu", WORLD_NOW_NS - NS_PER_HOUR, "glasses",
			    "lunch: lentil soup");
		(void)snprintf(body, sizeof(body),
		    "{\"model\":\"hearth\",\"messages\":[{\"role\":\"system\",\"content\":"
		    "\"%s\"},{\"role\":\"user\",\"content\":\"What was for lunch, %d?\"}]}",
		    head, i);
		world_post(&world, false, body);
		assert_int_equal(world.response.status, 200);
	}
	assert_int_equal(world.rig.nodes[0].leased, 2);
	assert_non_null(strstr(buf_text(&world.read),
	    "\"total_tokens\":9,\"prompt_tokens_details\":{\"cached_tokens\":6}}"));
	world_close(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_generation_goes_under_the_lease_of_the_same_beginning),
		cmocka_unit_test(test_generation_goes_without_a_lease_where_there_is_no_room),
		cmocka_unit_test(test_generation_prefers_the_node_that_has_its_beginning),
		cmocka_unit_test(test_generation_opens_its_lease_anew_after_a_restart),
		cmocka_unit_test(test_pool_forget_closes_what_nodes_keep),
		cmocka_unit_test(test_hearth_prompts_with_the_same_head_share_a_lease),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
