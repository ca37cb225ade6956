/*
 * Answers from elsewhere: what leaves and what does not, on the bytes that the upstream
 * gets; how an answer falls back, ends, is cancelled, counted and noted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "remote_world.h"

/* ---- what leaves ---- */

static void test_by_default_nothing_leaves_and_nothing_is_said_of_it(void **state)
{
	(void)state;
	read_all(ASK_HEARTH "}");
	assert_true(reads("\"mode\":\"full\""));
	assert_false(reads("route"));
	policy("", "");
	read_all(ASK_HEARTH ",\"stream\":true}");
	assert_true(reads("\"mode\":\"full\""));
	assert_false(reads("route"));
	assert_int_equal(fake.connections, 0);
	assert_null(last_line());
}

static void test_who_names_a_model_sends_his_own_words_alone(void **state)
{
	(void)state;
	policy("", "\"leave\":{\"home\":{\"question\":true,\"layers\":[\"text\",\"home\"]}}");
	read_all(ASK_NEAR ",\"stream\":true}");
	assert_int_equal(world.response.status, 200);
	assert_true(reads("{\"content\":\"from "));
	assert_true(reads("elsewhere\"}"));
	assert_true(reads("data: [DONE]"));
	assert_true(reads("\"hearth\":{\"route\":{\"to\":\"cloud/near\",\"reason\":\"named\""));
	assert_false(reads("\"mode\""));
	assert_true(fake_upstream_saw(&fake, "{\"model\":\"m-70b\",\"stream\":true,"));
	assert_true(fake_upstream_saw(&fake, "Plain words"));
	assert_false(fake_upstream_saw(&fake, "CANARY"));
	assert_false(fake_upstream_saw(&fake, "talk-of-mine"));
	assert_false(fake_upstream_saw(&fake, "Hearth"));
	assert_int_equal(world.searches, 0);
	assert_int_equal(world.appends, 0);
	expect_line("cloud-ask", "near reason=named bytes=");
	assert_int_equal(last_line()->n, 0);
}

static void test_a_rule_takes_the_question_and_leaves_the_moments(void **state)
{
	(void)state;
	policy("", RULE ",\"leave\":{\"home\":{\"question\":true}}");
	read_all(ASK_HEARTH "}");
	assert_true(reads("\"content\":\"from elsewhere\""));
	assert_true(reads("\"mode\":\"full\",\"sources\":[],\"route\":{\"to\":\"cloud/near\","
			  "\"reason\":\"rule\""));
	assert_true(reads("\"moments\":{\"sent\":0,\"kept\":{\"layer\":3}}"));
	assert_true(reads("\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":3"));
	assert_true(fake_upstream_saw(&fake, "What was for lunch?"));
	assert_false(fake_upstream_saw(&fake, "CANARY"));
	/* It is an answer to the person, wherever it was made. */
	assert_int_equal(world.stored_len, 2);
	assert_string_equal(world.stored[1].text, "from elsewhere");
	assert_non_null(strstr(world.stored[1].data_json, "\"model\":\"cloud/near\""));
}

static void test_a_layer_goes_along_and_a_source_of_it_stays(void **state)
{
	(void)state;
	policy("", RULE ",\"leave\":{\"home\":{\"question\":true,\"layers\":[\"text\"],"
			"\"not_sources\":[\"diary\"]}}");
	read_all(ASK_HEARTH "}");
	assert_true(reads("\"moments\":{\"sent\":1,\"kept\":{\"layer\":1,\"source\":1}}"));
	assert_true(reads("\"sources\":[{\"id\":\"note-1\""));
	assert_true(fake_upstream_saw(&fake, "CANARY-TEXT lunch was soup"));
	assert_false(fake_upstream_saw(&fake, "CANARY-DIARY"));
	assert_false(fake_upstream_saw(&fake, "CANARY-HOME"));
	expect_line("cloud-ask", "near reason=rule bytes=");
	assert_non_null(strstr(last_line()->object, " text=1"));
	assert_int_equal(last_line()->n, 1);
}

/* In pieces, so that marks are cut; what stayed at home cannot be relied on there. */
static void test_marks_of_what_did_not_go_along_are_taken_out(void **state)
{
	static const struct fake_answer marked[] = {
		{ .bytes = FAKE_STREAM FAKE_TEXT("Soup [no") FAKE_TEXT("te-1], a sad one [note-")
			FAKE_TEXT("2]. [note-9") FAKE_TEXT("]") FAKE_TEXT(" [") FAKE_END }
	};

	(void)state;
	fake_upstream_turn(&fake, marked, 1);
	policy("", RULE ",\"leave\":{\"home\":{\"question\":true,\"layers\":[\"text\"],"
			"\"not_sources\":[\"diary\"]}}");
	read_all(ASK_HEARTH "}");
	assert_true(reads("\"content\":\"Soup [note-1], a sad one. [\""));
	assert_string_equal(world.stored[1].text, "Soup [note-1], a sad one. [");
	read_all(ASK_HEARTH ",\"stream\":true}");
	assert_true(reads("[note-1]"));
	assert_false(reads("note-2"));
	assert_false(reads("note-9"));
	assert_true(reads("data: [DONE]"));
	/* Who names the model gets its words as they are. */
	read_all(ASK_NEAR "}");
	assert_true(reads("[note-2]. [note-9] ["));
}

/* In pieces that come one by one, with thoughts before them and between. */
static void test_marks_are_checked_behind_thoughts_too(void **state)
{
	static const struct fake_answer marked[] = {
		{ FAKE_STREAM FAKE_THOUGHT("Hm.") FAKE_GATE FAKE_TEXT("Soup [no")
			FAKE_GATE FAKE_TEXT("te-1], a sad one [note-") FAKE_GATE FAKE_THOUGHT("So.")
			    FAKE_GATE FAKE_TEXT("2]. [note-9") FAKE_GATE FAKE_TEXT("], eaten [")
				FAKE_END,
		    false }
	};
	static const char *const seen[] = { "\"Hm.\"", "\"Soup", "a sad one", "\"So.\"", "\".\"" };

	(void)state;
	fake_upstream_turn(&fake, marked, 1);
	policy("", RULE ",\"leave\":{\"home\":{\"question\":true,\"layers\":[\"text\"],"
			"\"not_sources\":[\"diary\"]}}");
	world_post(&world, false, ASK_HEARTH ",\"stream\":true}");
	for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++) {
		world_pull_to(&world, seen[i]);
		fake_upstream_go_on(&fake);
	}
	world_pull_all(&world);
	assert_true(reads("data: [DONE]"));
	assert_string_equal(world.stored[1].text, "Soup [note-1], a sad one., eaten [");
}

static enum rc one_fact(void *ctx, const struct book_query *query, struct arena *arena,
    struct book_view *out, struct errmsg *why)
{
	static const struct book_entry entry = { .fact = { .number = 12,
						     .class = FACT_PROFILE,
						     .subject = "",
						     .attribute = "",
						     .text = "CANARY-FACT has a bad back",
						     .valid_from_ns = FACT_ALWAYS_FROM_NS,
						     .valid_to_ns = FACT_ALWAYS_TO_NS,
						     .by = FACT_BY_OWNER,
						     .who = "" },
		.from_ns = FACT_ALWAYS_FROM_NS,
		.to_ns = FACT_ALWAYS_TO_NS };

	(void)ctx;
	(void)query;
	(void)arena;
	(void)why;
	*out = (struct book_view){ .entries = &entry, .len = 1 };
	return RC_OK;
}

static void test_facts_stay_unless_they_may_leave(void **state)
{
	(void)state;
	world.host.facts = one_fact;
	policy("", RULE ",\"leave\":{\"home\":{\"question\":true,\"layers\":[\"text\",\"home\"]}}");
	read_all(ASK_HEARTH "}");
	assert_true(
	    reads("\"moments\":{\"sent\":3,\"kept\":{}},\"facts\":{\"sent\":0,\"kept\":1}"));
	assert_true(fake_upstream_saw(&fake, "CANARY-TEXT"));
	assert_false(fake_upstream_saw(&fake, "CANARY-FACT"));
	assert_false(reads("\"id\":\"f12\""));
	/* And alone, where they alone may. */
	fake_upstream_turn(&fake, said, 1);
	policy("", RULE ",\"leave\":{\"home\":{\"question\":true,\"facts\":true}}");
	read_all(ASK_HEARTH "}");
	assert_true(reads("\"moments\":{\"sent\":0,\"kept\":{\"layer\":3}},"
			  "\"facts\":{\"sent\":1,\"kept\":0}"));
	assert_true(reads("\"sources\":[{\"id\":\"f12\""));
	assert_true(fake_upstream_saw(&fake, "CANARY-FACT"));
	assert_false(fake_upstream_saw(&fake, "CANARY-TEXT"));
	assert_non_null(strstr(last_line()->object, " facts=1"));
	assert_null(strstr(last_line()->object, "CANARY"));
}

/* One that was read from the moments "note-1" and "note-2". */
static enum rc fact_of_notes(void *ctx, const struct book_query *query, struct arena *arena,
    struct book_view *out, struct errmsg *why)
{
	static uint8_t about[2][OBS_ID_BYTES];
	struct book_entry *entry = arena_alloc(arena, sizeof(*entry));

	assert_int_equal(one_fact(ctx, query, arena, out, why), RC_OK);
	*entry = out->entries[0];
	memset(about[0], 1, OBS_ID_BYTES);
	memset(about[1], 2, OBS_ID_BYTES);
	entry->fact.about = (const uint8_t(*)[OBS_ID_BYTES])about;
	entry->fact.about_len = 2;
	out->entries = entry;
	return RC_OK;
}

static enum rc moment_of_id(void *ctx, const uint8_t obs_id[OBS_ID_BYTES], struct arena *arena,
    struct observation *out, struct errmsg *why)
{
	const struct world *in = ctx;

	(void)arena;
	(void)why;
	for (size_t i = 0; i < in->hits_len; i++) {
		if (memcmp(in->hits[i].obs.obs_id, obs_id, OBS_ID_BYTES) == 0) {
			*out = in->hits[i].obs;
			return RC_OK;
		}
	}
	return RC_NOTFOUND;
}

static enum rc label_diary(
    void *ctx, const struct observation *obs, struct arena *arena, struct route_moment *out)
{
	static const char *const words[] = { "scene", "scene=home" };

	(void)ctx;
	(void)arena;
	out->labels = words;
	out->labels_len = strcmp(obs->source, "diary") == 0 ? 2 : 0;
	out->unlabelled = obs->layer == LAYER_HOME;
	return RC_OK;
}

static void expect_fact(const char *more, bool leaves)
{
	char rest[512];

	(void)snprintf(rest, sizeof(rest),
	    RULE ",\"leave\":{\"home\":{\"question\":true,\"facts\":true%s}}", more);
	policy("", rest);
	fake_upstream_turn(&fake, said, 1);
	read_all(ASK_HEARTH ",\"store\":false}");
	if (reads("\"facts\":{\"sent\":1,\"kept\":0}") != leaves ||
	    reads("\"facts\":{\"sent\":0,\"kept\":1}") == leaves ||
	    fake_upstream_saw(&fake, "CANARY-FACT") != leaves)
		fail_msg("%s: %s", more, buf_text(&world.read));
}

static void test_a_fact_stays_with_what_it_was_read_from(void **state)
{
	(void)state;
	world.host.facts = fact_of_notes;
	world.host.observation = moment_of_id;
	world.host.labels = label_diary;
	expect_fact("", true);
	expect_fact(",\"not_sources\":[\"watch\"]", true);
	expect_fact(",\"not_sources\":[\"diary\"]", false);
	expect_fact(",\"not_sources\":[\"memory\"]", false);
	expect_fact(",\"not_labels\":[\"scene=work\"]", true);
	expect_fact(",\"not_labels\":[\"scene\"]", false);
	/* What cannot be looked up may be what is to stay. */
	world.hits_len = 1;
	expect_fact(",\"not_sources\":[\"watch\"]", false);
	world.hits_len = 2;
	world.host.labels = NULL;
	expect_fact(",\"not_labels\":[\"scene=work\"]", false);
	world.host.observation = NULL;
	expect_fact(",\"not_sources\":[\"watch\"]", false);
	expect_fact("", true);
}

static void test_a_label_keeps_what_its_layer_would_let_go(void **state)
{
	static const char rest[] =
	    RULE ",\"leave\":{\"home\":{\"question\":true,\"layers\":[\"text\",\"home\"],"
		 "\"not_labels\":[\"scene=home\"]}}";

	(void)state;
	policy("", rest);
	world.host.labels = label_diary;
	read_all(ASK_HEARTH "}");
	assert_true(reads("\"sent\":1,\"kept\":{\"label\":1,\"unlabelled\":1}"));
	assert_true(fake_upstream_saw(&fake, "CANARY-TEXT"));
	assert_false(fake_upstream_saw(&fake, "CANARY-DIARY"));
	assert_false(fake_upstream_saw(&fake, "CANARY-HOME"));
	/* Where labels cannot be had at all, nothing goes. */
	fake_upstream_turn(&fake, said, 1);
	world.host.labels = NULL;
	read_all(ASK_HEARTH "}");
	assert_true(reads("\"sent\":0,\"kept\":{\"unlabelled\":3}"));
	assert_false(fake_upstream_saw(&fake, "CANARY"));
}

static void test_earlier_turns_stay_at_home_unless_they_may_leave(void **state)
{
	static const char turns[] =
	    "{\"model\":\"hearth\",\"messages\":[{\"role\":\"user\",\"content\":\"Lunch?\"},"
	    "{\"role\":\"assistant\",\"content\":\"CANARY-SAID soup\"},"
	    "{\"role\":\"user\",\"content\":\"And then?\"}]}";

	(void)state;
	policy("", RULE ",\"leave\":{\"home\":{\"question\":true}}");
	read_all(turns);
	assert_true(reads("\"route\":{\"to\":\"local\",\"reason\":\"conversation\""));
	assert_int_equal(fake.connections, 0);
	expect_line("cloud-stay", "near reason=conversation");
	policy("", RULE ",\"leave\":{\"home\":{\"question\":true,\"conversation\":true}}");
	read_all(turns);
	assert_true(reads("\"route\":{\"to\":\"cloud/near\""));
	assert_true(fake_upstream_saw(&fake, "CANARY-SAID"));
}

static void test_a_system_message_and_a_raw_prompt_are_more_than_a_question(void **state)
{
	static const char with_system[] =
	    "{\"model\":\"hearth\",\"messages\":[{\"role\":\"system\",\"content\":"
	    "\"CANARY-SYSTEM the owner is ill\"},{\"role\":\"user\",\"content\":\"Lunch?\"}]}";
	static const char raw[] = "{\"model\":\"hearth\",\"prompt\":\"CANARY-RAW said: Lunch?\"}";

	(void)state;
	policy("", RULE ",\"leave\":{\"home\":{\"question\":true}}");
	read_all(with_system);
	assert_true(reads("\"route\":{\"to\":\"local\",\"reason\":\"conversation\""));
	world_post(&world, true, raw);
	assert_true(reads("\"route\":{\"to\":\"local\",\"reason\":\"conversation\""));
	assert_int_equal(fake.connections, 0);
	policy("", RULE ",\"leave\":{\"home\":{\"question\":true,\"conversation\":true}}");
	read_all(with_system);
	world_post(&world, true, raw);
	assert_true(fake_upstream_saw(&fake, "CANARY-SYSTEM"));
	assert_true(fake_upstream_saw(&fake, "CANARY-RAW"));
}

static void test_what_stands_beside_the_question_is_more_than_it(void **state)
{
	static const char *const bodies[] = {
		ASK_HEARTH ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"look\","
			   "\"description\":\"CANARY-TOOL the owner is ill\"}}]}",
		ASK_HEARTH ",\"tool_choice\":\"none\",\"tools\":[{\"type\":\"function\","
			   "\"function\":{\"name\":\"CANARY-NONE\"}}]}",
		ASK_HEARTH ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{"
			   "\"name\":\"x\",\"schema\":{\"const\":\"CANARY-FORMAT\"}}}}",
		ASK_HEARTH ",\"stop\":[\"CANARY-STOP\"]}",
		"{\"model\":\"hearth\",\"messages\":[{\"role\":\"user\",\"content\":\"Lunch?\","
		"\"name\":\"CANARY-NAME\"}]}",
		"{\"model\":\"hearth\",\"messages\":[{\"role\":\"user\",\"content\":\"Lunch?\","
		"\"tool_call_id\":\"CANARY-ID\"}]}",
		"{\"model\":\"hearth\",\"messages\":[{\"role\":\"user\",\"content\":\"Lunch?\","
		"\"tool_calls\":[{\"id\":\"CANARY-CALL\"}]}]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		world.stored_len = 0;
		fake_upstream_turn(&fake, said, 1);
		policy("", RULE ",\"leave\":{\"home\":{\"question\":true}}");
		read_all(bodies[i]);
		if (fake.connections != 0)
			fail_msg("%s left", bodies[i]);
		expect_line("cloud-stay", "near reason=conversation");
		policy("", RULE ",\"leave\":{\"home\":{\"question\":true,\"conversation\":true}}");
		read_all(bodies[i]);
		if (!fake_upstream_saw(&fake, "CANARY"))
			fail_msg("%s stayed", bodies[i]);
	}
}

static void test_titles_and_the_like_are_made_at_home(void **state)
{
	(void)state;
	policy("", RULE ",\"leave\":{\"home\":{\"question\":true,\"conversation\":true}}");
	read_all("{\"model\":\"hearth\",\"messages\":[{\"role\":\"user\",\"content\":"
		 "\"### Task:\\nGenerate a concise title of the chat history\"}]}");
	assert_int_equal(world.response.status, 200);
	assert_int_equal(fake.connections, 0);
}

static void test_a_policy_that_cannot_be_read_lets_nothing_out(void **state)
{
	(void)state;
	policy("", RULE ",\"leave\":{\"home\":{\"question\":true,\"layers\":[\"txt\"]}}");
	read_all(ASK_HEARTH "}");
	assert_true(reads("\"route\":{\"to\":\"local\",\"reason\":\"policy\""));
	assert_true(reads("one0"));
	read_all(ASK_NEAR "}");
	assert_true(reads("\"reason\":\"policy\""));
	assert_int_equal(fake.connections, 0);
}

/* ---- how it is asked ---- */

static void test_what_the_client_asked_for_is_handed_on(void **state)
{
	static const struct fake_answer called[] = { { FAKE_STREAM
	    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c1\","
	    "\"function\":{\"name\":\"look\",\"arguments\":\"{\\\"at\\\":1}\"}}]}}]}\n\n"
	    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n"
	    "data: [DONE]\n\n",
	    false } };

	(void)state;
	policy("", "");
	fake_upstream_turn(&fake, called, 1);
	read_all(ASK_NEAR
	    ",\"temperature\":0.25,\"seed\":7,\"max_completion_tokens\":33,\"stop\":[\"x\"],"
	    "\"metadata\":{\"who\":\"me\"},\"repeat_penalty\":1.1,"
	    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"look\"}}],"
	    "\"tool_choice\":\"auto\"}");
	assert_true(fake_upstream_saw(&fake, "\"temperature\":0.25,"));
	assert_true(fake_upstream_saw(&fake, "\"seed\":7,"));
	assert_true(fake_upstream_saw(&fake, "\"max_completion_tokens\":33,"));
	assert_true(fake_upstream_saw(&fake, "\"stop\":[\"x\"],"));
	assert_true(fake_upstream_saw(
	    &fake, "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"look\"}}],"));
	assert_true(fake_upstream_saw(&fake, "\"tool_choice\":\"auto\","));
	assert_false(fake_upstream_saw(&fake, "metadata"));
	assert_false(fake_upstream_saw(&fake, "repeat_penalty"));
	assert_false(fake_upstream_saw(&fake, "\"max_tokens\""));
	assert_true(reads("\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":"
			  "{\"name\":\"look\",\"arguments\":\"{\\\"at\\\":1}\"}}]"));
	assert_true(reads("\"finish_reason\":\"tool_calls\""));
}

static void test_completions_and_choices_are_asked_one_by_one(void **state)
{
	static const struct fake_answer completed[] = { { FAKE_STREAM
	    "data: {\"choices\":[{\"index\":0,\"text\":\"raw\",\"logprobs\":"
	    "{\"tokens\":[\"ra\",\"w\"],\"token_logprobs\":[-0.5,-1],"
	    "\"top_logprobs\":[{\"ra\":-0.5,\"ru\":-2},null],\"text_offset\":[7,9]}}]}"
	    "\n\n" FAKE_END,
	    false } };

	(void)state;
	policy("", "");
	fake_upstream_turn(&fake, completed, 1);
	world_post(&world, true,
	    "{\"model\":\"cloud/near\",\"prompt\":\"Once\",\"n\":2,\"seed\":4,\"logprobs\":2}");
	assert_int_equal(world.response.status, 200);
	assert_true(reads("{\"index\":1,\"text\":\"raw\",\"logprobs\":{\"tokens\":[\"ra\",\"w\"],"
			  "\"token_logprobs\":[-0.5,-1],\"top_logprobs\":"
			  "[{\"ra\":-0.5,\"ru\":-2},{\"w\":-1}],\"text_offset\":[0,2]}"));
	assert_true(fake_upstream_saw(&fake, "\"logprobs\":2,"));
	assert_true(fake_upstream_saw(&fake, "POST /v1/completions "));
	assert_true(fake_upstream_saw(&fake, "\"prompt\":\"Once\"}"));
	assert_true(fake_upstream_saw(&fake, "\"seed\":4,"));
	assert_true(fake_upstream_saw(&fake, "\"seed\":5,"));
	assert_int_equal(fake.connections, 2);
}

static void test_a_key_goes_to_the_address_it_was_given_for_and_no_other(void **state)
{
	struct cloud_upstream upstream = { .name = "near", .url = fake.url };

	(void)state;
	policy("", "");
	assert_int_equal(
	    cloud_place_set_key(world.host.cloud, &upstream, "sk-CANARY", NULL), RC_OK);
	read_all(ASK_NEAR "}");
	assert_true(fake_upstream_saw(&fake, "Authorization: Bearer sk-CANARY\r\n"));
	fake_upstream_turn(&fake, said, 1);
	upstream.url = "https://else.example/v1";
	assert_int_equal(
	    cloud_place_set_key(world.host.cloud, &upstream, "sk-CANARY", NULL), RC_OK);
	read_all(ASK_NEAR "}");
	assert_true(reads("\"route\":{\"to\":\"local\",\"reason\":\"key\""));
	assert_int_equal(fake.connections, 0);
}

/* ---- how it ends ---- */

static void test_a_dead_upstream_is_answered_for_at_home(void **state)
{
	static const struct fake_answer dead[] = { { "", false } };
	(void)state;
	policy("", RULE ",\"leave\":{\"home\":{\"question\":true}}");
	fake_upstream_turn(&fake, dead, 1);
	read_all(ASK_HEARTH ",\"stream\":true}");
	assert_true(reads("one0"));
	assert_true(reads("\"route\":{\"to\":\"local\",\"reason\":\"unreachable\""));
	assert_true(reads("\"sources\":[{\"id\":\"note-1\""));
	assert_int_equal(fake.connections, 2);
	expect_line("cloud-fell", "near reason=unreachable");
	/* And not asked again at once. */
	read_all(ASK_HEARTH "}");
	assert_true(reads("\"reason\":\"down\""));
	assert_int_equal(fake.connections, 2);
}

static void test_with_nobody_at_home_either_it_is_said_so(void **state)
{
	static const struct fake_answer busy[] = {
		{ "HTTP/1.1 429 Slow\r\nConnection: close\r\n\r\n", false }
	};

	(void)state;
	policy("", RULE ",\"leave\":{\"home\":{\"question\":true}}");
	fake_upstream_turn(&fake, busy, 1);
	assert_int_equal(pool_remove(world.rig.pool, "node1"), RC_OK);
	read_all(ASK_HEARTH "}");
	assert_true(reads("\"mode\":\"recall-only\""));
	assert_true(reads("\"route\":{\"to\":\"local\",\"reason\":\"busy\""));
	read_all(ASK_NEAR "}");
	assert_int_equal(world.response.status, 503);
	assert_true(reads("cloud/near: it is too busy; and no compute node is up"));
}

static void test_what_it_refuses_is_told_to_who_named_it(void **state)
{
	static const struct fake_answer no[] = { { "HTTP/1.1 400 No\r\nConnection: close\r\n\r\n"
						   "{\"error\":{\"message\":\"too odd\"}}",
	    false } };

	(void)state;
	policy("", RULE ",\"leave\":{\"home\":{\"question\":true}}");
	fake_upstream_turn(&fake, no, 1);
	read_all(ASK_NEAR "}");
	assert_int_equal(world.response.status, 400);
	assert_true(reads("cloud/near: it answered 400: too odd"));
	read_all(ASK_HEARTH "}");
	assert_true(reads("\"reason\":\"refused\""));
	assert_true(reads("one0"));
	read_all("{\"model\":\"cloud/far\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}");
	assert_int_equal(world.response.status, 404);
	assert_true(reads("\"code\":\"model_not_found\""));
}

static void test_an_answer_that_breaks_off_ends_in_an_error(void **state)
{
	static const struct fake_answer half[] = { { FAKE_STREAM FAKE_TEXT("half"), false } };

	(void)state;
	policy("", RULE ",\"leave\":{\"home\":{\"question\":true}}");
	fake_upstream_turn(&fake, half, 1);
	read_all(ASK_HEARTH ",\"stream\":true}");
	assert_true(reads("{\"content\":\"half\"}"));
	assert_true(reads("\"code\":\"upstream_failed\""));
	assert_false(reads("one0"));
	assert_false(reads("[DONE]"));
	assert_int_equal(world.appends, 0);
}

static void test_a_client_that_goes_takes_the_request_along(void **state)
{
	static const struct fake_answer on[] = { { FAKE_STREAM FAKE_TEXT("on"), true } };
	int64_t deadline = clock_mono_ns() + RIG_DEADLINE_NS;

	(void)state;
	policy("", "");
	fake_upstream_turn(&fake, on, 1);
	world_post(&world, false, ASK_NEAR ",\"stream\":true}");
	world_pull_to(&world, "\"content\":\"on\"");
	world_reset(&world);
	while (atomic_load(&fake.left) == 0) {
		assert_true(clock_mono_ns() < deadline);
		(void)usleep(1000);
	}
}

static void test_responses_come_from_elsewhere_too(void **state)
{
	(void)state;
	policy("", "");
	world_ask(&world, ANSWER_RESPONSES,
	    "{\"model\":\"cloud/near\",\"input\":\"Plain words\",\"max_output_tokens\":9,"
	    "\"metadata\":{\"who\":\"me\"},\"text\":{\"format\":{\"type\":\"json_object\"}}}");
	assert_int_equal(world.response.status, 200);
	assert_true(reads("\"text\":\"from elsewhere\""));
	assert_true(reads("\"hearth\":{\"route\":{\"to\":\"cloud/near\""));
	assert_true(fake_upstream_saw(&fake, "\"response_format\":{\"type\":\"json_object\"},"));
	assert_true(fake_upstream_saw(&fake, "\"max_tokens\":9,"));
	assert_false(fake_upstream_saw(&fake, "metadata"));
}

static void test_upstreams_stand_in_the_list_of_models(void **state)
{
	struct api_response response;

	(void)state;
	policy("", "");
	api_response_init(&response);
	answer_models(&world.host, &world.arena, &response);
	assert_non_null(
	    strstr(buf_text(&response.body), "{\"id\":\"cloud/near\",\"object\":\"model\""));
	assert_non_null(strstr(buf_text(&response.body), "\"id\":\"tiny\""));
	api_response_fini(&response);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REMOTE_TEST(test_by_default_nothing_leaves_and_nothing_is_said_of_it),
		REMOTE_TEST(test_who_names_a_model_sends_his_own_words_alone),
		REMOTE_TEST(test_a_rule_takes_the_question_and_leaves_the_moments),
		REMOTE_TEST(test_a_layer_goes_along_and_a_source_of_it_stays),
		REMOTE_TEST(test_facts_stay_unless_they_may_leave),
		REMOTE_TEST(test_marks_of_what_did_not_go_along_are_taken_out),
		REMOTE_TEST(test_marks_are_checked_behind_thoughts_too),
		REMOTE_TEST(test_a_fact_stays_with_what_it_was_read_from),
		REMOTE_TEST(test_a_label_keeps_what_its_layer_would_let_go),
		REMOTE_TEST(test_earlier_turns_stay_at_home_unless_they_may_leave),
		REMOTE_TEST(test_a_system_message_and_a_raw_prompt_are_more_than_a_question),
		REMOTE_TEST(test_what_stands_beside_the_question_is_more_than_it),
		REMOTE_TEST(test_titles_and_the_like_are_made_at_home),
		REMOTE_TEST(test_a_policy_that_cannot_be_read_lets_nothing_out),
		REMOTE_TEST(test_what_the_client_asked_for_is_handed_on),
		REMOTE_TEST(test_completions_and_choices_are_asked_one_by_one),
		REMOTE_TEST(test_a_key_goes_to_the_address_it_was_given_for_and_no_other),
		REMOTE_TEST(test_a_dead_upstream_is_answered_for_at_home),
		REMOTE_TEST(test_with_nobody_at_home_either_it_is_said_so),
		REMOTE_TEST(test_what_it_refuses_is_told_to_who_named_it),
		REMOTE_TEST(test_an_answer_that_breaks_off_ends_in_an_error),
		REMOTE_TEST(test_a_client_that_goes_takes_the_request_along),
		REMOTE_TEST(test_responses_come_from_elsewhere_too),
		REMOTE_TEST(test_upstreams_stand_in_the_list_of_models),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
