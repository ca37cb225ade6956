/* Facts and marks: as observations and back, and what is refused. */
#include "memory_fixture.h"

static const uint8_t ids[2][OBS_ID_BYTES] = { { 1, 2, 3 }, { 4, 5, 6 } };

static struct fact make_fact(void)
{
	return (struct fact){ .number = 7,
		.class = FACT_PEOPLE,
		.subject = "Anna \"Ann\" M\xC3\xBCller",
		.attribute = "birthday",
		.text = "Her birthday is on 3 May; <|im_end|> is only text.",
		.valid_from_ns = T0_NS,
		.valid_to_ns = T0_NS + 1,
		.learned_ns = T0_NS + 2,
		.at_ns = T0_NS - 5,
		.by = FACT_BY_NIGHT,
		.who = "small-model",
		.about = ids,
		.about_len = 2,
		.proposed = true };
}

static void test_a_fact_is_read_back(void **state)
{
	struct fact fact = make_fact(), back;
	struct observation obs;
	struct arena arena;
	uint8_t id[OBS_ID_BYTES];

	(void)state;
	arena_init(&arena, 1 << 20);
	PASS(fact_check(&fact, &pass_why));
	PASS(fact_encode(&fact, &arena, &obs));
	PASS(observation_check(&obs, &pass_why));
	assert_string_equal(obs.source, OBS_SOURCE_MEMORY);
	assert_string_equal(obs.client_id, "7");
	assert_int_equal(obs.origin, ORIGIN_SYSTEM);
	assert_true(observation_is_memory(&obs) && !observation_is_mark(&obs));
	assert_false(observation_feeds_slices(&obs));
	assert_true(observation_about(&obs, 1, id));
	assert_memory_equal(id, ids[1], OBS_ID_BYTES);
	assert_false(observation_about(&obs, 2, id));
	PASS(fact_decode(&obs, &arena, &back));
	assert_int_equal(back.number, 7);
	assert_int_equal(back.class, FACT_PEOPLE);
	assert_string_equal(back.subject, fact.subject);
	assert_string_equal(back.attribute, fact.attribute);
	assert_string_equal(back.text, fact.text);
	assert_string_equal(back.who, fact.who);
	assert_true(back.valid_from_ns == fact.valid_from_ns &&
		    back.valid_to_ns == fact.valid_to_ns && back.learned_ns == fact.learned_ns &&
		    back.at_ns == fact.at_ns);
	assert_true(back.by == FACT_BY_NIGHT && back.proposed);
	assert_int_equal(back.about_len, 2);
	assert_memory_equal(back.about, ids, sizeof ids);
	arena_fini(&arena);
}

static void test_a_mark_is_read_back_and_holds_no_content(void **state)
{
	const struct fact_mark mark = { .number = 9,
		.fact = 7,
		.act = FACT_SUPERSEDED,
		.at_ns = T0_NS,
		.next = 8,
		.marked_ns = T0_NS + 3,
		.by = FACT_BY_OWNER,
		.who = "",
		.about = ids,
		.about_len = 1 };
	struct fact_mark back;
	struct observation obs;
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 20);
	PASS(fact_mark_encode(&mark, &arena, &obs));
	PASS(observation_check(&obs, &pass_why));
	assert_true(observation_is_mark(&obs));
	assert_string_equal(obs.text, "");
	PASS(fact_mark_decode(&obs, &arena, &back));
	assert_true(back.number == 9 && back.fact == 7 && back.act == FACT_SUPERSEDED &&
		    back.at_ns == T0_NS && back.next == 8 && back.marked_ns == T0_NS + 3 &&
		    back.by == FACT_BY_OWNER && back.about_len == 1);
	arena_fini(&arena);
}

static void test_lines_that_hide_something_are_refused(void **state)
{
	static const char *const bad[] = { "", " begins with a blank", "ends with one ",
		"two\nlines", "a tab\there", "a \x1B[31m colour", "\xFF not UTF-8",
		"turned \xE2\x80\xAE round", "separated\xE2\x80\xA8lines", "nul\x7F" };
	static const char *const good[] = { "a", "\xE6\x97\xA5\xE6\x9C\xAC",
		"family \xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9",
		"{{ braces }} <|im_start|>" };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(fact_line_is_good(bad[i], strlen(bad[i]), 100));
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_true(fact_line_is_good(good[i], strlen(good[i]), 100));
	assert_false(fact_line_is_good("abc", 3, 2));
	assert_false(fact_line_is_good("a\0b", 3, 9));
}

static void test_a_fact_out_of_its_limits_is_refused(void **state)
{
	struct fact facts[7];
	char text[FACT_TEXT_BYTES_MAX + 2];

	(void)state;
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	for (size_t i = 0; i < 7; i++)
		facts[i] = make_fact();
	facts[0].text = text;
	facts[1].class = (enum fact_class)6;
	facts[2].valid_to_ns = facts[2].valid_from_ns;
	facts[3].subject = "two\nlines";
	facts[4].about_len = FACT_ABOUT_MAX + 1;
	facts[5].by = (enum fact_by)0;
	facts[6].learned_ns = INT64_MAX;
	for (size_t i = 0; i < 7; i++)
		assert_int_not_equal(fact_check(&facts[i], NULL), RC_OK);
	text[FACT_TEXT_BYTES_MAX] = '\0';
	PASS(fact_check(&facts[0], &pass_why));
}

static void test_malformed_records_are_refused(void **state)
{
	static const char *const data[] = {
		"", "{}", "{\"about\":[],\"by\":\"night\"}",
		"{\"about\":[],\"by\":\"night\",\"class\":\"people\",\"learned\":1e3}",
		"{\"about\":[],\"by\":\"night\",\"class\":\"people\",\"learned\":"
		"99999999999999999999}",
		"{\"about\":[],\"by\":\"x\",\"class\":\"people\",\"learned\":1}",
		"{\"about\":[],\"by\":\"night\",\"class\":\"people\",\"learned\":1,\"subject\":"
		"\"a\\u202eb\"}",
		"{\"about\":[],\"by\":\"night\",\"class\":\"people\",\"learned\":1,\"subject\":5}"
	};
	struct fact fact = make_fact(), back;
	struct observation obs;
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 20);
	PASS(fact_encode(&fact, &arena, &obs));
	for (size_t i = 0; i < sizeof data / sizeof data[0]; i++) {
		obs.data_json = data[i];
		if (fact_decode(&obs, &arena, &back) != RC_CORRUPT)
			fail_msg("taken: %s", data[i]);
	}
	obs.data_json = "{\"about\":[],\"by\":\"night\",\"class\":\"people\",\"learned\":1}";
	PASS(fact_decode(&obs, &arena, &back));
	obs.client_id = "07x";
	assert_int_equal(fact_decode(&obs, &arena, &back), RC_CORRUPT);
	obs.client_id = "7";
	obs.text = "two\nlines";
	assert_int_equal(fact_decode(&obs, &arena, &back), RC_CORRUPT);
	/* What a sender wrote is none, whatever it is called. */
	obs.text = "one line";
	obs.origin = ORIGIN_OWNER;
	assert_int_equal(fact_decode(&obs, &arena, &back), RC_NOTFOUND);
	arena_fini(&arena);
}

static void test_texts_that_say_the_same_fold_to_the_same(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 20);
	assert_string_equal(fact_fold("Likes  Caf\xC3\xA9s, a lot!", &arena), "likes cafes a lot");
	assert_string_equal(fact_fold("...likes cafes a lot", &arena), "likes cafes a lot");
	assert_string_equal(fact_fold("!?", &arena), "!?");
	assert_string_equal(fact_fold("", &arena), "");
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_fact_is_read_back),
		cmocka_unit_test(test_a_mark_is_read_back_and_holds_no_content),
		cmocka_unit_test(test_lines_that_hide_something_are_refused),
		cmocka_unit_test(test_a_fact_out_of_its_limits_is_refused),
		cmocka_unit_test(test_malformed_records_are_refused),
		cmocka_unit_test(test_texts_that_say_the_same_fold_to_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
