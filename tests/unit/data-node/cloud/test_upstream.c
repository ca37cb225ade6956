/* Upstreams: what is sent, what is read, and every way in which they fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cloud/upstream.h"
#include "fake_upstream.h"

#define DEADLINE_NS (30 * NS_PER_S) /* ends a hang, measures nothing */
#define LEN(array) (sizeof(array) / sizeof((array)[0]))

struct asked {
	struct upstream *upstream;
	struct upstream_event event;
	char text[4096], calls[256], thought[256], logprobs[256];
};

static bool may_again;
static unsigned agains;

static bool again(void *ctx)
{
	(void)ctx;
	agains++;
	return may_again;
}

static int setup(void **state)
{
	(void)state;
	may_again = true;
	agains = 0;
	return 0;
}

static void ask(struct asked *asked, const char *url, const char *key, int64_t idle_ns)
{
	const struct upstream_config config = { .url = url,
		.ca = "",
		.key = key,
		.connect_ns = DEADLINE_NS,
		.idle_ns = idle_ns,
		.again = again };
	struct buf body;

	memset(asked, 0, sizeof(*asked));
	buf_init(&body, UPSTREAM_BODY_BYTES_MAX);
	buf_puts(&body, "{\"stream\":true}");
	assert_int_equal(upstream_open(&config, &body, &asked->upstream, NULL), RC_OK);
	buf_fini(&body);
}

static void put(char *to, size_t size, const char *text, size_t len)
{
	size_t at = strlen(to);

	(void)snprintf(to + at, size - at, "%.*s", (int)len, text);
}

static void take(struct asked *asked)
{
	struct upstream_event *e = &asked->event;

	upstream_next(asked->upstream, NS_PER_S, e);
	if (e->kind == UPSTREAM_TEXT)
		put(asked->text, sizeof(asked->text), e->text, e->len);
	else if (e->kind == UPSTREAM_REASONING)
		put(asked->thought, sizeof(asked->thought), e->text, e->len);
	else if (e->kind == UPSTREAM_CALL) {
		put(asked->calls, sizeof(asked->calls), e->name, strlen(e->name));
		put(asked->calls, sizeof(asked->calls), e->text, e->len);
		put(asked->calls, sizeof(asked->calls), e->id, strlen(e->id));
	}
	put(asked->logprobs, sizeof(asked->logprobs), e->logprobs, e->logprobs_len);
}

static void to_end(struct asked *asked)
{
	int64_t deadline = clock_mono_ns() + DEADLINE_NS;

	while (asked->event.kind != UPSTREAM_DONE && asked->event.kind != UPSTREAM_FAILED) {
		assert_true(clock_mono_ns() < deadline);
		take(asked);
	}
}

static void test_an_answer_is_read_and_the_request_is_what_was_given(void **state)
{
	static const struct fake_answer answers[] = { { FAKE_STREAM
	    ": a comment\n\n"
	    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"reasoning\":\"Hm.\"}}]}\n\n"
	    "data: {\"choices\":[{\"delta\":{\"content\":\"one \"},"
	    "\"logprobs\":{\"content\":[{\"token\":\"one\"}]}}]}\n\n" FAKE_TEXT("two\\u0000")
		FAKE_END,
	    false } };
	struct fake_upstream fake;
	struct asked asked;
	char url[96];

	(void)state;
	fake_upstream_open(&fake, answers, LEN(answers));
	(void)snprintf(url, sizeof(url), "%s/chat/completions", fake.url);
	ask(&asked, url, "sk-secret", DEADLINE_NS);
	take(&asked);
	assert_int_equal(asked.event.kind, UPSTREAM_STARTED);
	to_end(&asked);
	assert_int_equal(asked.event.kind, UPSTREAM_DONE);
	assert_string_equal(asked.text, "one two\xEF\xBF\xBD"); /* NUL is no text */
	assert_string_equal(asked.thought, "Hm.");
	assert_string_equal(asked.logprobs, "{\"token\":\"one\"}");
	assert_false(asked.event.cut_short);
	assert_true(asked.event.has_usage);
	assert_int_equal(asked.event.prompt_tokens, 11);
	assert_int_equal(asked.event.completion_tokens, 3);
	assert_true(fake_upstream_saw(&fake, "POST /v1/chat/completions HTTP/1.1\r\n"));
	assert_true(fake_upstream_saw(&fake, "\r\nAuthorization: Bearer sk-secret\r\n"));
	assert_true(fake_upstream_saw(&fake, "\r\n\r\n{\"stream\":true}"));
	assert_false(fake_upstream_saw(&fake, "Expect:"));
	assert_false(fake_upstream_saw(&fake, "Cookie"));
	upstream_free(asked.upstream);
	fake_upstream_close(&fake);
}

static void test_calls_come_whole_behind_the_text(void **state)
{
	static const struct fake_answer answers[] = { { FAKE_STREAM
	    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c1\","
	    "\"function\":{\"name\":\"look\",\"arguments\":\"{\\\"a\\\"\"}}]}}]}\n\n"
	    "data: {\"choices\":[{\"delta\":{\"content\":\"well\",\"tool_calls\":[{\"index\":0,"
	    "\"function\":{\"arguments\":\":1}\"}},{\"index\":1,\"id\":\"c2\","
	    "\"function\":{\"name\":\"wait\"}}]}}]}\n\n"
	    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n"
	    "data: [DONE]\n\n",
	    false } };
	struct fake_upstream fake;
	struct asked asked;

	(void)state;
	fake_upstream_open(&fake, answers, LEN(answers));
	ask(&asked, fake.url, "", DEADLINE_NS);
	to_end(&asked);
	assert_int_equal(asked.event.kind, UPSTREAM_DONE);
	assert_string_equal(asked.text, "well");
	assert_string_equal(asked.calls, "look{\"a\":1}c1wait{}c2");
	assert_false(asked.event.has_usage);
	assert_false(fake_upstream_saw(&fake, "Authorization"));
	upstream_free(asked.upstream);
	fake_upstream_close(&fake);
}

#define CALL(index, more) "{\"index\":" index ",\"function\":{" more "}}"
#define CALLS(list, finish)                                                                        \
	FAKE_STREAM "data: {\"choices\":[{\"delta\":{\"tool_calls\":[" list "]}}]}\n\n"            \
		    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"" finish "\"}]}\n\n"    \
		    "data: [DONE]\n\n"

static void test_what_is_no_whole_call_is_left_out(void **state)
{
	static const struct {
		struct fake_answer answer;
		const char *calls; /* with numbers of their own, without ids that were made */
	} rows[] = {
		/* Cut in the midst of arguments, and in front of them. */
		{ { CALLS(CALL("0", "\"name\":\"a\",\"arguments\":\"{\\\"x\\\":1}\"") "," CALL(
			      "1", "\"name\":\"b\",\"arguments\":\"{\\\"x\\\":\""),
			"length"),
		      false },
		    "0a{\"x\":1}" },
		{ { CALLS(CALL("0", "\"name\":\"a\""), "length"), false }, "" },
		{ { CALLS(CALL("0", "\"name\":\"a\""), "tool_calls"), false }, "0a{}" },
		/* No name, no object. */
		{ { CALLS(CALL("0", "\"arguments\":\"{}\"") "," CALL(
			      "1", "\"name\":\"b\",\"arguments\":\"[1]\"") "," CALL("2",
			      "\"name\":\"c\",\"arguments\":\"{\\\"x\\\":123456789012345678901}\""),
			"tool_calls"),
		      false },
		    "0c{\"x\":123456789012345678901}" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct fake_upstream fake;
		struct asked asked;
		char calls[256] = "";
		fake_upstream_open(&fake, &rows[i].answer, 1);
		ask(&asked, fake.url, "", DEADLINE_NS);
		while (asked.event.kind != UPSTREAM_DONE) {
			const struct upstream_event *e = &asked.event;
			take(&asked);
			assert_int_not_equal(e->kind, UPSTREAM_FAILED);
			if (e->kind != UPSTREAM_CALL)
				continue;
			assert_true(strncmp(e->id, "call_", 5) == 0 && strlen(e->id) > 5);
			(void)snprintf(calls + strlen(calls), sizeof(calls) - strlen(calls),
			    "%u%s%s", e->index, e->name, e->text);
		}
		assert_string_equal(calls, rows[i].calls);
		upstream_free(asked.upstream);
		fake_upstream_close(&fake);
	}
}

#define STATUS(line) "HTTP/1.1 " line "\r\nConnection: close\r\n"

static void test_each_failure_has_its_code(void **state)
{
	static const struct {
		struct fake_answer answers[2];
		enum rc rc;
		unsigned connections, asked; /* asked: that it may have worked on */
		const char *error;
	} rows[] = {
		{ { { STATUS("401 No") "Content-Length: 36\r\n\r\n"
				       "{\"error\":{\"message\":\"no such key\"}}\n\n",
		      false } },
		    RC_DENIED, 1, 0, "it answered 401: no such key" },
		{ { { STATUS("429 Slow") "\r\n", false } }, RC_BUSY, 1, 0, "it answered 429" },
		{ { { STATUS("400 Bad") "\r\nno JSON \xFF", false } }, RC_INVALID, 1, 0,
		    "it answered 400" },
		/* A redirect is not followed: it could lead the question anywhere. */
		{ { { STATUS("302 Found") "Location: http://127.0.0.1:9/\r\n\r\n", false } },
		    RC_UNAVAILABLE, 1, 0, "it answered 302" },
		/* Before the first byte, once more. */
		{ { { "", false }, { "", false } }, RC_UNAVAILABLE, 2, 2, NULL },
		{ { { STATUS("503 Away") "\r\n", false }, { STATUS("503 Away") "\r\n", false } },
		    RC_UNAVAILABLE, 2, 0, "it answered 503" },
		/* A gateway may have asked who stands behind it. */
		{ { { STATUS("503 Away") "\r\n", false }, { STATUS("504 Late") "\r\n", false } },
		    RC_UNAVAILABLE, 2, 1, "it answered 504" },
		/* So may who fails, or one that something in front of it did not wait for. */
		{ { { STATUS("500 Oops") "\r\n", false } }, RC_UNAVAILABLE, 1, 1,
		    "it answered 500" },
		{ { { STATUS("522 Late") "\r\n", false } }, RC_UNAVAILABLE, 1, 1,
		    "it answered 522" },
		{ { { STATUS("524 Late") "\r\n", false } }, RC_UNAVAILABLE, 1, 1,
		    "it answered 524" },
		{ { { STATUS("408 Late") "\r\n", false } }, RC_TIMEOUT, 1, 1, "it answered 408" },
		/* After it, never. */
		{ { { FAKE_STREAM FAKE_TEXT("half"), false } }, RC_UNAVAILABLE, 1, 1,
		    "the answer broke off" },
		{ { { FAKE_STREAM "data: {\"error\":{\"message\":\"out of memory\"}}\n\n",
		      false } },
		    RC_UNAVAILABLE, 1, 1, "out of memory" },
		{ { { FAKE_STREAM "data: nonsense\n\n", false } }, RC_CORRUPT, 1, 1,
		    "its answer is no stream of chunks" },
		{ { { STATUS("200 OK") "\r\n{\"choices\":[]}", false } }, RC_UNAVAILABLE, 1, 1,
		    "it answered no stream of chunks" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct fake_upstream fake;
		struct asked asked;
		fake_upstream_open(&fake, rows[i].answers, rows[i].connections);
		ask(&asked, fake.url, "", DEADLINE_NS);
		to_end(&asked);
		assert_int_equal(asked.event.kind, UPSTREAM_FAILED);
		if (asked.event.rc != rows[i].rc)
			fail_msg("row %zu: %s, %s", i, rc_word(asked.event.rc), asked.event.error);
		if (rows[i].error != NULL)
			assert_string_equal(asked.event.error, rows[i].error);
		assert_int_equal(upstream_asked(asked.upstream), rows[i].asked);
		upstream_free(asked.upstream);
		fake_upstream_close(&fake);
		assert_int_equal(fake.connections, rows[i].connections);
	}
}

static void test_a_second_try_may_succeed(void **state)
{
	static const struct fake_answer answers[] = { { "", false },
		{ FAKE_STREAM FAKE_TEXT("yes") FAKE_END, false } };
	struct fake_upstream fake;
	struct asked asked;

	(void)state;
	fake_upstream_open(&fake, answers, LEN(answers));
	ask(&asked, fake.url, "", DEADLINE_NS);
	to_end(&asked);
	assert_int_equal(asked.event.kind, UPSTREAM_DONE);
	assert_string_equal(asked.text, "yes");
	assert_int_equal(upstream_asked(asked.upstream), 2);
	assert_int_equal(agains, 1);
	upstream_free(asked.upstream);
	fake_upstream_close(&fake);
}

static void test_what_was_sent_is_sent_again_only_by_leave(void **state)
{
	static const struct fake_answer answers[] = { { "", false },
		{ FAKE_STREAM FAKE_TEXT("yes") FAKE_END, false } };
	struct fake_upstream fake;
	struct asked asked;

	(void)state;
	may_again = false;
	fake_upstream_open(&fake, answers, LEN(answers));
	ask(&asked, fake.url, "", DEADLINE_NS);
	to_end(&asked);
	assert_int_equal(asked.event.rc, RC_UNAVAILABLE);
	assert_int_equal(upstream_asked(asked.upstream), 1);
	assert_int_equal(agains, 1);
	upstream_free(asked.upstream);
	fake_upstream_close(&fake);
	assert_int_equal(fake.connections, 1);
}

/* The second try is silent; that the first one was refused says nothing of it. */
static void test_a_refusal_is_of_its_own_try(void **state)
{
	static const struct fake_answer answers[] = { { STATUS("503 Away") "\r\n", false },
		{ "", true } };
	struct fake_upstream fake;
	struct asked asked;

	(void)state;
	fake_upstream_open(&fake, answers, LEN(answers));
	ask(&asked, fake.url, "", 100 * NS_PER_MS);
	to_end(&asked);
	assert_int_equal(asked.event.rc, RC_TIMEOUT);
	assert_int_equal(upstream_asked(asked.upstream), 1);
	upstream_free(asked.upstream);
	fake_upstream_close(&fake);
}

static void test_a_refusal_is_not_waited_for_without_end(void **state)
{
	static char endless[2 * UPSTREAM_ERROR_BYTES_MAX] = STATUS("400 No") "\r\n";
	const struct fake_answer answers[] = { { endless, true } };
	struct fake_upstream fake;
	struct asked asked;

	(void)state;
	memset(endless + strlen(endless), 'a', sizeof(endless) - strlen(endless) - 1);
	fake_upstream_open(&fake, answers, LEN(answers));
	ask(&asked, fake.url, "", 2 * DEADLINE_NS);
	to_end(&asked);
	assert_int_equal(asked.event.rc, RC_INVALID);
	assert_int_equal(asked.event.status, 400);
	upstream_free(asked.upstream);
	fake_upstream_close(&fake);
}

static void test_a_key_that_is_said_back_is_not_told(void **state)
{
	static const struct fake_answer answers[] = {
		{ STATUS("400 No") "\r\n{\"error\":{\"message\":\"odd: Bearer sk-CANARY\"}}",
		    false },
		{ FAKE_STREAM "data: {\"error\":{\"message\":\"sk-CANARY is used up\"}}\n\n",
		    false }
	};
	struct fake_upstream fake;
	struct asked asked;

	(void)state;
	fake_upstream_open(&fake, answers, LEN(answers));
	for (size_t i = 0; i < LEN(answers); i++) {
		ask(&asked, fake.url, "sk-CANARY", DEADLINE_NS);
		to_end(&asked);
		assert_string_equal(asked.event.error, "it said something that holds the key");
		upstream_free(asked.upstream);
	}
	fake_upstream_close(&fake);
}

/* Where it would be cut, where the server cut it, and where only its front is said. */
static void test_of_a_long_key_no_front_is_told(void **state)
{
	char key[1001] = "sk-CANARY-", text[150 + 1], answer[2048];
	static const size_t said[] = { sizeof(key) - 1, 500, 8, 7 };

	(void)state;
	memset(key + strlen(key), 'k', sizeof(key) - 1 - strlen(key));
	key[sizeof(key) - 1] = '\0';
	memset(text, 't', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (size_t i = 0; i < 4 * LEN(said); i++) {
		size_t len = said[i / 4];
		const struct fake_answer answers[] = { { answer, false } };
		struct fake_upstream fake;
		struct asked asked;
		(void)snprintf(answer, sizeof(answer), "%s{\"error\":{\"message\":\"%s%.*s\"}}\n\n",
		    i % 2 == 0 ? STATUS("400 No") "\r\n" : FAKE_STREAM "data: ",
		    i / 2 % 2 == 0 ? "" : text, (int)len, key);
		fake_upstream_open(&fake, answers, LEN(answers));
		ask(&asked, fake.url, key, DEADLINE_NS);
		to_end(&asked);
		if ((strcmp(asked.event.error, "it said something that holds the key") == 0) !=
		    (len >= 8))
			fail_msg("%zu bytes of the key: %s", len, asked.event.error);
		upstream_free(asked.upstream);
		fake_upstream_close(&fake);
	}
}

static void test_nobody_there_and_a_silent_one_are_told_apart(void **state)
{
	static const struct fake_answer answers[] = { { FAKE_STREAM FAKE_TEXT("so far"), true } };
	struct fake_upstream fake;
	struct asked asked;
	char url[64];

	(void)state;
	fake_upstream_open(&fake, answers, LEN(answers));
	ask(&asked, fake.url, "", 50 * NS_PER_MS);
	to_end(&asked);
	assert_int_equal(asked.event.kind, UPSTREAM_FAILED);
	assert_int_equal(asked.event.rc, RC_TIMEOUT);
	assert_int_equal(upstream_asked(asked.upstream), 1);
	upstream_free(asked.upstream);
	(void)snprintf(url, sizeof(url), "%s", fake.url);
	fake_upstream_close(&fake);
	ask(&asked, url, "", DEADLINE_NS);
	to_end(&asked);
	assert_int_equal(asked.event.rc, RC_UNAVAILABLE);
	assert_int_equal(upstream_asked(asked.upstream), 0);
	assert_int_equal(agains, 0);
	upstream_free(asked.upstream);
}

static void test_who_lets_go_ends_the_connection(void **state)
{
	static const struct fake_answer answers[] = { { FAKE_STREAM FAKE_TEXT("on and"), true } };
	int64_t deadline = clock_mono_ns() + DEADLINE_NS;
	struct fake_upstream fake;
	struct asked asked;

	(void)state;
	fake_upstream_open(&fake, answers, LEN(answers));
	ask(&asked, fake.url, "", DEADLINE_NS);
	while (asked.event.kind != UPSTREAM_TEXT)
		take(&asked);
	upstream_free(asked.upstream);
	while (atomic_load(&fake.left) == 0) {
		assert_true(clock_mono_ns() < deadline);
		(void)usleep(1000);
	}
	fake_upstream_close(&fake);
}

static void test_a_proxy_of_the_environment_is_not_used(void **state)
{
	static const struct fake_answer answers[] = { { FAKE_STREAM FAKE_TEXT("direct") FAKE_END,
	    false } };
	struct fake_upstream fake;
	struct asked asked;

	(void)state;
	assert_int_equal(setenv("http_proxy", "http://127.0.0.1:9", 1), 0);
	assert_int_equal(unsetenv("no_proxy"), 0);
	fake_upstream_open(&fake, answers, LEN(answers));
	ask(&asked, fake.url, "", DEADLINE_NS);
	to_end(&asked);
	assert_string_equal(asked.text, "direct");
	upstream_free(asked.upstream);
	fake_upstream_close(&fake);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		TEST(test_an_answer_is_read_and_the_request_is_what_was_given),
		TEST(test_calls_come_whole_behind_the_text),
		TEST(test_what_is_no_whole_call_is_left_out),
		TEST(test_each_failure_has_its_code),
		TEST(test_a_second_try_may_succeed),
		TEST(test_what_was_sent_is_sent_again_only_by_leave),
		TEST(test_a_refusal_is_of_its_own_try),
		TEST(test_a_refusal_is_not_waited_for_without_end),
		TEST(test_a_key_that_is_said_back_is_not_told),
		TEST(test_of_a_long_key_no_front_is_told),
		TEST(test_nobody_there_and_a_silent_one_are_told_apart),
		TEST(test_who_lets_go_ends_the_connection),
		TEST(test_a_proxy_of_the_environment_is_not_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
