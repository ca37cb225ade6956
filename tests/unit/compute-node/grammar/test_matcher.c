/* The matcher: its bitmaps against trying each token, forgetting, going on after a resume. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "grammar_fixture.h"

/* Many states at once, long strings that count, anything at all. */
static const char *const schemas[] = {
	NULL,
	"{\"properties\":{\"a\":{\"type\":\"string\"},\"b\":{\"type\":\"array\",\"items\":{}},"
	"\"name\":{\"enum\":[\"abc\",\"abd\",true,12]}},\"additionalProperties\":{\"type\":"
	"\"number\"}}",
	"{\"type\":\"array\",\"items\":{\"anyOf\":[{\"type\":\"string\",\"maxLength\":40},"
	"{\"type\":\"integer\",\"maximum\":1234},{\"pattern\":\"^(a|b|ab)*c\"}]},\"minItems\":900}",
};

static uint64_t seed;

static int32_t draw(const uint64_t *bitmap)
{
	for (;;) {
		int32_t id = (int32_t)(random_next(&seed) % FIXTURE_N);

		if (fixture_allows(bitmap, id))
			return id;
	}
}

static void replay(struct matcher *m, const int32_t *ids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_true(matcher_push(m, ids[i]));
}

/* Every token tried on a matcher of its own. */
static void check_bitmap(const char *schema, const int32_t *ids, size_t n, const uint64_t *bitmap)
{
	struct matcher *m = fixture_matcher(schema);

	replay(m, ids, n);
	bool accepts = matcher_accepts(m);
	for (int32_t id = 0; id < (int32_t)FIXTURE_N; id++) {
		bool allowed = matcher_push(m, id);

		if (id == FIXTURE_END) {
			assert_false(allowed);
			assert_int_equal(fixture_allows(bitmap, id), accepts);
			continue;
		}
		assert_int_equal(fixture_allows(bitmap, id), allowed);
		if (allowed) {
			matcher_free(m);
			m = fixture_matcher(schema);
			replay(m, ids, n);
		}
	}
	matcher_free(m);
}

static void test_bitmap_is_what_can_be_pushed(void **unused)
{
	(void)unused;
	for (size_t s = 0; s < sizeof(schemas) / sizeof(schemas[0]); s++) {
		struct matcher *m = fixture_matcher(schemas[s]);
		int32_t ids[16];

		seed = 5 + s;
		for (size_t n = 0; n < 16 && !matcher_over(m); n++) {
			const uint64_t *bitmap = matcher_allowed(m);

			if (n % 5 == 0)
				check_bitmap(schemas[s], ids, n, bitmap);
			do
				ids[n] = draw(bitmap);
			while (ids[n] == FIXTURE_END && !matcher_over(m));
			assert_true(matcher_push(m, ids[n]));
		}
		matcher_free(m);
	}
}

static void test_special_tokens_are_never_allowed(void **unused)
{
	struct matcher *m = fixture_matcher("{\"type\":\"string\"}");
	const int32_t special = fixture_word("<|x|>");

	(void)unused;
	assert_true(matcher_push_bytes(m, (const uint8_t *)"\"", 1));
	const uint64_t *bitmap = matcher_allowed(m);
	assert_false(fixture_allows(bitmap, special));
	assert_false(matcher_push(m, special));
	for (int32_t id = 0; id < 3; id++)
		assert_false(fixture_allows(bitmap, id));
	/* The same as letters is text. */
	assert_true(matcher_push_bytes(m, (const uint8_t *)"<|x|>", 5));
	matcher_free(m);
}

/* A long answer fills the tables again and again; one that is resumed from its ids at any
 * token allows the same. */
static void test_resumed_answer_goes_on_identically(void **unused)
{
	struct matcher *m = fixture_matcher(schemas[2]);
	static int32_t ids[1500];
	size_t n = 0, words = (FIXTURE_N + 63) / 64;

	(void)unused;
	seed = 99;
	for (; n < 1500; n++) {
		const uint64_t *bitmap = matcher_allowed(m);

		if (n % 300 == 299) {
			struct matcher *again = fixture_matcher(schemas[2]);

			replay(again, ids, n);
			assert_memory_equal(
			    matcher_allowed(again), bitmap, words * sizeof(*bitmap));
			matcher_free(again);
		}
		do
			ids[n] = draw(bitmap);
		while (ids[n] == FIXTURE_END);
		assert_true(matcher_push(m, ids[n]));
	}
	matcher_free(m);
}

/* Sixty patterns that all may have begun anywhere: bitmaps are cut short, alike whatever is
 * remembered, and something is always left. */
static void test_work_has_an_end(void **unused)
{
	static char schema[8192];
	static int32_t ids[200];
	size_t len = 0, n = 0, words = (FIXTURE_N + 63) / 64;

	(void)unused;
	len += (size_t)snprintf(schema, sizeof(schema), "{\"anyOf\":[");
	for (int i = 0; i < 60; i++)
		len += (size_t)snprintf(schema + len, sizeof(schema) - len,
		    "%s{\"pattern\":\"[a-z0-9][ !#-Z^-~]{%d}%c\"}", i > 0 ? "," : "", 20 + i % 7,
		    'a' + i * 7 % 26);
	(void)snprintf(schema + len, sizeof(schema) - len, "]}");
	struct matcher *m = fixture_matcher(schema);
	seed = 3;
	for (; n < 200; n++) {
		const uint64_t *bitmap = matcher_allowed(m);
		bool any = false;

		for (size_t i = 0; i < words; i++)
			any = any || bitmap[i] != 0;
		assert_true(any);
		if (n % 4 == 3) {
			struct matcher *again = fixture_matcher(schema);

			replay(again, ids, n);
			assert_memory_equal(
			    matcher_allowed(again), bitmap, words * sizeof(*bitmap));
			matcher_free(again);
		}
		do
			ids[n] = draw(bitmap);
		while (ids[n] == FIXTURE_END);
		assert_true(matcher_push(m, ids[n]));
		if (matcher_over(m))
			break;
	}
	matcher_free(m);
}

/* Text is free but for what would begin it with something that is refused. */
static void test_what_begins_it_has_to_fit(void **unused)
{
	struct matcher *m = fixture_matcher("{\"type\":\"string\"}");
	const uint64_t *bitmap = matcher_allowed_behind(m, "a", 1, false);

	(void)unused;
	assert_true(fixture_allows(bitmap, fixture_word("a\"")));
	assert_false(fixture_allows(bitmap, fixture_word("abc")));
	assert_true(fixture_allows(bitmap, 3 + 'a'));
	assert_true(fixture_allows(bitmap, fixture_word("{\"")));
	assert_true(fixture_allows(bitmap, FIXTURE_END));
	/* It is no bitmap of this place. */
	assert_false(fixture_allows(matcher_allowed(m), 3 + 'a'));
	matcher_free(m);
	m = fixture_matcher("{\"type\":\"object\",\"additionalProperties\":false}");
	assert_false(fixture_allows(matcher_allowed_behind(m, "{", 1, true), fixture_word("{\"")));
	assert_true(fixture_allows(matcher_allowed_behind(m, "{", 1, true), fixture_word("abc")));
	/* Nor behind blanks, which are not part of it. */
	assert_false(fixture_allows(matcher_allowed_behind(m, "{", 1, true), fixture_word(" {\"")));
	assert_true(fixture_allows(matcher_allowed_behind(m, "{", 1, true), fixture_word(" \"")));
	matcher_free(m);
}

static void test_blanks_have_an_end(void **unused)
{
	struct matcher *m = fixture_matcher(NULL);
	int n = 0;

	(void)unused;
	assert_true(matcher_push_bytes(m, (const uint8_t *)"{\n", 2));
	while (matcher_push_bytes(m, (const uint8_t *)" ", 1))
		n++;
	assert_int_equal(n, SCHEMA_INDENT_MAX);
	assert_false(matcher_push_bytes(m, (const uint8_t *)"\n", 1));
	assert_true(matcher_push_bytes(m, (const uint8_t *)"}", 1));
	assert_true(matcher_over(m));
	assert_true(fixture_allows(matcher_allowed(m), FIXTURE_END));
	matcher_free(m);
}

static void test_vocabulary_is_whole(void **unused)
{
	(void)unused;
	assert_true(fixture.vocab->whole);
	assert_in_range(fixture.vocab->taken_bytes, 1, FIXTURE_N * VOCAB_PLAN_BYTES);
	for (size_t i = 1; i < fixture.vocab->n; i++)
		assert_true(fixture.vocab->common[i] > 0 || fixture.vocab->rest[i] > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bitmap_is_what_can_be_pushed),
		cmocka_unit_test(test_special_tokens_are_never_allowed),
		cmocka_unit_test(test_resumed_answer_goes_on_identically),
		cmocka_unit_test(test_work_has_an_end),
		cmocka_unit_test(test_what_begins_it_has_to_fit),
		cmocka_unit_test(test_blanks_have_an_end),
		cmocka_unit_test(test_vocabulary_is_whole),
	};

	return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
