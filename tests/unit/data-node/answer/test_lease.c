/*
 * Which lease a prompt goes under: how beginnings are told, and whom another
 * conversation drives out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "answer/lease.h"
#include "base/clock.h"

#define STEP PREFIX_STEP_BYTES

/* A chat of `n` messages of `len` bytes each; the last one is all `last`. */
static struct prefix prefix_of(uint64_t whose, size_t n, size_t len, char first, char last)
{
	struct wire_chat_message messages[8];
	struct wire_part parts[8];
	char *texts[8];
	struct prefix out;

	for (size_t i = 0; i < n; i++) {
		texts[i] = malloc(len);
		assert_non_null(texts[i]);
		memset(texts[i], i + 1 == n ? last : first + (char)i, len);
		parts[i] = (struct wire_part){ .data = (const uint8_t *)texts[i], .data_len = len };
		messages[i] = (struct wire_chat_message){ .role = i % 2 == 0 ? "user" : "assistant",
			.parts = &parts[i],
			.parts_len = 1,
			.tool_calls_json = "" };
	}
	const struct wire_generate generate = {
		.messages = messages, .messages_len = n, .tools_json = ""
	};
	assert_int_equal(prefix_make(&generate, whose, &out), RC_OK);
	for (size_t i = 0; i < n; i++)
		free(texts[i]);
	return out;
}

static void test_prefix_shares_what_prompts_begin_with(void **state)
{
	(void)state;
	struct prefix a = prefix_of(0, 3, 10 * STEP, 'a', 'x');
	struct prefix b = prefix_of(0, 3, 10 * STEP, 'a', 'y');
	struct prefix other = prefix_of(0, 3, 10 * STEP, 'b', 'x');
	struct prefix device = prefix_of(7, 3, 10 * STEP, 'a', 'x');
	struct prefix small = prefix_of(0, 1, 10, 'a', 'a');

	assert_int_equal(a.len, 30);
	assert_int_equal(prefix_shared(&a, &a), 30);
	assert_in_range(prefix_shared(&a, &b), 19, 20);
	assert_int_equal(prefix_shared(&a, &other), 0);
	/* The same words of another token: it must not learn that they were said. */
	assert_int_equal(prefix_shared(&a, &device), 0);
	assert_int_equal(small.len, 0);
	prefix_fini(&a);
	prefix_fini(&b);
	prefix_fini(&other);
	prefix_fini(&device);
	prefix_fini(&small);
}

static void test_prefix_tells_tools_and_roles_apart(void **state)
{
	(void)state;
	uint8_t text[4 * STEP];
	const struct wire_part part = { .data = text, .data_len = sizeof(text) };
	struct wire_chat_message message = { .role = "user", .parts = &part, .parts_len = 1 };
	struct wire_generate generate = { .messages = &message, .messages_len = 1 };
	struct prefix user, system, tools;

	memset(text, 'a', sizeof(text));
	assert_int_equal(prefix_make(&generate, 0, &user), RC_OK);
	message.role = "system";
	assert_int_equal(prefix_make(&generate, 0, &system), RC_OK);
	generate.tools_json = "[{}]";
	assert_int_equal(prefix_make(&generate, 0, &tools), RC_OK);
	assert_int_equal(prefix_shared(&user, &system), 0);
	assert_int_equal(prefix_shared(&system, &tools), 0);
	prefix_fini(&user);
	prefix_fini(&system);
	prefix_fini(&tools);
}

static void test_prefix_of_a_long_prompt_ends(void **state)
{
	(void)state;
	struct prefix long_one = prefix_of(0, 1, (PREFIX_STEPS_MAX + 10) * STEP, 'a', 'a');

	assert_int_equal(long_one.len, PREFIX_STEPS_MAX);
	prefix_fini(&long_one);
}

static const uint8_t model_a[WIRE_HASH_BYTES] = { 1 }, model_b[WIRE_HASH_BYTES] = { 2 };
static const uint8_t none[WIRE_LEASE_BYTES];

static struct lease *take(
    struct leases *leases, const uint8_t *model, const struct prefix *prefix, int64_t now_ns)
{
	uint8_t closed[WIRE_LEASE_BYTES];
	struct lease *lease = lease_take(leases, model, prefix, now_ns, closed);

	assert_memory_equal(closed, none, sizeof(none));
	return lease;
}

static void give_back(struct lease *lease, int64_t now_ns)
{
	uint8_t closed[WIRE_LEASE_BYTES];

	assert_true(lease_give_back(lease, now_ns, closed));
}

static void test_lease_comes_back_for_the_same_beginning(void **state)
{
	(void)state;
	struct leases leases = { 0 };
	struct prefix first = prefix_of(0, 3, 20 * STEP, 'a', 'x');
	struct prefix next = prefix_of(0, 3, 20 * STEP, 'a', 'y');
	struct prefix chat = prefix_of(0, 3, 20 * STEP, 'k', 'x');
	struct prefix empty = { 0 };

	struct lease *a = take(&leases, model_a, &first, 1);
	assert_non_null(a);
	/* In use: neither it nor a copy of it. */
	assert_null(take(&leases, model_a, &next, 2));
	struct lease *b = take(&leases, model_a, &chat, 2);
	assert_non_null(b);
	assert_ptr_not_equal(a, b);
	assert_memory_not_equal(a->id, b->id, WIRE_LEASE_BYTES);
	give_back(a, 3);
	give_back(b, 3);
	assert_in_range(leases_hold(&leases, model_a, &next), 39, 40);
	assert_int_equal(leases_hold(&leases, model_b, &next), 0);
	assert_ptr_equal(take(&leases, model_a, &next, 4), a);
	assert_int_equal(a->holds.len, next.len);
	assert_int_equal(leases_hold(&leases, model_a, &next), 0);
	assert_null(take(&leases, model_a, &empty, 5));
	leases_fini(&leases);
	prefix_fini(&first);
	prefix_fini(&next);
	prefix_fini(&chat);
}

/* A new conversation with the same short opening must not cost an old one its past. */
static void test_lease_of_a_long_conversation_is_not_taken_for_a_short_opening(void **state)
{
	(void)state;
	struct leases leases = { 0 };
	struct prefix long_chat = prefix_of(0, 5, 20 * STEP, 'a', 'x');
	struct prefix new_chat = prefix_of(0, 2, 20 * STEP, 'a', 'q');

	struct lease *a = take(&leases, model_a, &long_chat, 1);
	give_back(a, 1);
	struct lease *b = take(&leases, model_a, &new_chat, 2);
	assert_ptr_not_equal(a, b);
	give_back(b, 2);
	assert_int_equal(leases_hold(&leases, model_a, &long_chat), long_chat.len);
	leases_fini(&leases);
	prefix_fini(&long_chat);
	prefix_fini(&new_chat);
}

static void test_lease_that_was_left_longest_goes_first(void **state)
{
	(void)state;
	struct leases leases = { 0 };
	struct prefix chats[LEASES_A_NODE + 1];
	int64_t hour_ns = 3600 * NS_PER_S;

	for (size_t i = 0; i <= LEASES_A_NODE; i++)
		chats[i] = prefix_of(0, 1, 20 * STEP, 'a', (char)('a' + i));
	for (size_t i = 0; i < LEASES_A_NODE; i++)
		give_back(
		    take(&leases, model_a, &chats[i], (int64_t)i * hour_ns), (int64_t)i * hour_ns);
	int64_t now_ns = (int64_t)LEASES_A_NODE * hour_ns;
	give_back(take(&leases, model_a, &chats[0], now_ns), now_ns);
	give_back(take(&leases, model_a, &chats[LEASES_A_NODE], now_ns), now_ns);
	assert_int_equal(leases_hold(&leases, model_a, &chats[1]), 0);
	for (size_t i = 0; i <= LEASES_A_NODE; i++) {
		if (i != 1)
			assert_int_equal(leases_hold(&leases, model_a, &chats[i]), chats[i].len);
		prefix_fini(&chats[i]);
	}
	leases_fini(&leases);
}

static void test_lease_of_another_model_is_closed_first(void **state)
{
	(void)state;
	struct leases leases = { 0 };
	struct prefix chats[LEASES_A_NODE + 1];
	uint8_t closed[WIRE_LEASE_BYTES], old[WIRE_LEASE_BYTES];

	for (size_t i = 0; i <= LEASES_A_NODE; i++)
		chats[i] = prefix_of(0, 1, 20 * STEP, 'a', (char)('a' + i));
	for (size_t i = 0; i < LEASES_A_NODE; i++)
		give_back(take(&leases, model_a, &chats[i], (int64_t)i), (int64_t)i);
	memcpy(old, leases.all[0].id, sizeof(old));
	struct lease *lease =
	    lease_take(&leases, model_b, &chats[LEASES_A_NODE], (int64_t)LEASES_A_NODE, closed);
	assert_ptr_equal(lease, &leases.all[0]);
	assert_memory_equal(closed, old, sizeof(old));
	assert_memory_not_equal(lease->id, old, sizeof(old));
	for (size_t i = 0; i <= LEASES_A_NODE; i++)
		prefix_fini(&chats[i]);
	leases_fini(&leases);
}

static void test_lease_holds_nothing_after_the_link_was_lost(void **state)
{
	(void)state;
	struct leases leases = { 0 };
	struct prefix chat = prefix_of(0, 1, 20 * STEP, 'a', 'a');

	give_back(take(&leases, model_a, &chat, 1), 1);
	leases_lost(&leases);
	assert_int_equal(leases_hold(&leases, model_a, &chat), 0);
	/* And is used again. */
	struct lease *lease = take(&leases, model_a, &chat, 2);
	assert_ptr_equal(lease, &leases.all[0]);
	leases_fini(&leases);
	prefix_fini(&chat);
}

static void test_forgetting_closes_leases_at_once_or_when_they_come_back(void **state)
{
	(void)state;
	struct leases leases = { 0 };
	struct prefix one = prefix_of(0, 1, 20 * STEP, 'a', 'a');
	struct prefix two = prefix_of(0, 1, 20 * STEP, 'b', 'b');
	uint8_t closed[LEASES_A_NODE][WIRE_LEASE_BYTES], ids[2][WIRE_LEASE_BYTES];

	struct lease *a = take(&leases, model_a, &one, 1), *b = take(&leases, model_a, &two, 1);
	memcpy(ids[0], a->id, sizeof(ids[0]));
	memcpy(ids[1], b->id, sizeof(ids[1]));
	give_back(a, 2);
	assert_int_equal(leases_forget(&leases, closed), 1);
	assert_memory_equal(closed[0], ids[0], sizeof(ids[0]));
	assert_int_equal(leases_hold(&leases, model_a, &one), 0);
	assert_false(lease_give_back(b, 3, closed[0]));
	assert_memory_equal(closed[0], ids[1], sizeof(ids[1]));
	assert_int_equal(leases_hold(&leases, model_a, &two), 0);
	assert_int_equal(leases_forget(&leases, closed), 0);
	leases_fini(&leases);
	prefix_fini(&one);
	prefix_fini(&two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prefix_shares_what_prompts_begin_with),
		cmocka_unit_test(test_prefix_tells_tools_and_roles_apart),
		cmocka_unit_test(test_prefix_of_a_long_prompt_ends),
		cmocka_unit_test(test_lease_comes_back_for_the_same_beginning),
		cmocka_unit_test(
		    test_lease_of_a_long_conversation_is_not_taken_for_a_short_opening),
		cmocka_unit_test(test_lease_that_was_left_longest_goes_first),
		cmocka_unit_test(test_lease_of_another_model_is_closed_first),
		cmocka_unit_test(test_lease_holds_nothing_after_the_link_was_lost),
		cmocka_unit_test(test_forgetting_closes_leases_at_once_or_when_they_come_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
