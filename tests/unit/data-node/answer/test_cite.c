/*
 * Marks in an answer: those that name nothing go, wherever a stream cuts them; whatever
 * else has brackets stays as it is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

#include "answer/cite.h"
#include "answer/output.h"
#include "base/random.h"

static struct pack_item items[] = { { .id = "m17" }, { .id = "menu" }, { .id = "0d5c-91" } };
static struct pack_fact facts[] = { { .item = { .id = "f3" }, .kept = true },
	{ .item = { .id = "f4" } } };
static const struct pack pack = { .items = items, .len = 3, .facts = facts, .facts_len = 2 };

static const struct row {
	const char *said, *shown;
} rows[] = {
	/* what is known */
	{ "Soup [m17].", "Soup [m17]." },
	{ "Soup [menu] and [f3]", "Soup [menu] and [f3]" },
	{ "Soup [m17, Fri 2026-11-20 13:00, glasses].",
	    "Soup [m17, Fri 2026-11-20 13:00, glasses]." },
	{ "Soup [m17][f3].", "Soup [m17][f3]." },
	{ "Soup [said-5].", "Soup [said-5]." }, /* from an earlier answer */
	/* what is made up */
	{ "Soup [m18].", "Soup." },
	{ "[m18] Soup", " Soup" },
	{ "Soup [f4].", "Soup." }, /* a fact that was not shown */
	{ "Soup [m17][m99].", "Soup [m17]." },
	{ "Soup [m17, m99, f3].", "Soup [m17, f3]." },
	{ "Soup [m18; m99]", "Soup" },
	{ "Soup [77aa-01], tea", "Soup, tea" },
	{ "Soup [lunch, Fri 2026-11-20 13:00, phone] and tea", "Soup and tea" },
	{ "\xe6\xb1\xa4[m18]\xe3\x80\x82", "\xe6\xb1\xa4\xe3\x80\x82" },
	/* what is no mark */
	{ "- [ ] buy milk\n- [x] call", "- [ ] buy milk\n- [x] call" },
	{ "He wrote [sic] and [no id, of ours]", "He wrote [sic] and [no id, of ours]" },
	{ "see [m18](https://example.org)", "see [m18](https://example.org)" },
	{ "a[m18] = b(c)[m18];", "a[m18] = b(c)[m18];" },
	{ "run `x [m18]` or ```\n[m18]\n```", "run `x [m18]` or ```\n[m18]\n```" },
	{ "open [m18\nnext", "open [m18\nnext" },
	{ "open [m18", "open [m18" },
	{ "[[m18]]", "[]" },
	{ "ends with a blank ", "ends with a blank " },
	{ " [", " [" },
	{ "", "" },
};

static void show(const char *said, size_t step, struct buf *out)
{
	static const struct wire_part part = { .data = (const uint8_t *)"It was soup [said-5].",
		.data_len = 21 };
	struct wire_chat_message message = { .role = "assistant", .parts = &part, .parts_len = 1 };
	const struct chat_request request = { .messages = &message, .messages_len = 1 };
	struct cite cite = { .pack = &pack, .request = &request };
	const struct output_config config = { .format = "", .cite = &cite };
	struct output *output = NULL;
	struct output_piece piece;
	size_t len = strlen(said);

	buf_reset(out);
	assert_int_equal(output_new(&config, &output), RC_OK);
	for (size_t at = 0; at <= len; at += step) {
		output_push(output, said + at, len - at < step ? len - at : step);
		if (at + step > len)
			output_end(output);
		while (output_next(output, &piece)) {
			assert_int_equal(piece.kind, OUTPUT_TEXT);
			assert_true(piece.len > 0);
			buf_append(out, piece.text, piece.len);
		}
	}
	output_free(output);
}

static void test_marks_that_name_nothing_go_wherever_the_stream_is_cut(void **state)
{
	(void)state;
	struct buf out;

	buf_init(&out, 1 << 16);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t step = 1; step <= 40; step++) {
			show(rows[i].said, step, &out);
			if (strcmp(buf_text(&out), rows[i].shown) != 0)
				fail_msg("'%s' in steps of %zu: '%s'", rows[i].said, step,
				    buf_text(&out));
		}
	}
	buf_fini(&out);
}

/* Text of brackets, blanks, backticks and ids: nothing is lost but marks. */
static void test_any_text_comes_out_the_same_in_any_pieces(void **state)
{
	static const char *const words[] = { "[", "]", " ", "`", "\n", "m17", "m18", ", ", "(",
		"f3", "x", "2026-11-20", "\xc3\xa4" };
	struct buf said, whole, pieces;
	uint64_t seed = 3;

	(void)state;
	buf_init(&said, 1 << 16);
	buf_init(&whole, 1 << 16);
	buf_init(&pieces, 1 << 16);
	for (int round = 0; round < 3000; round++) {
		buf_reset(&said);
		for (size_t n = random_next(&seed) % 40; n > 0; n--)
			buf_puts(&said, words[random_next(&seed) % 13]);
		show(buf_text(&said), said.len + 1, &whole);
		show(buf_text(&said), 1 + random_next(&seed) % 5, &pieces);
		if (strcmp(buf_text(&whole), buf_text(&pieces)) != 0)
			fail_msg("'%s': '%s' and '%s'", buf_text(&said), buf_text(&whole),
			    buf_text(&pieces));
		assert_true(whole.len <= said.len + 40);
	}
	buf_fini(&said);
	buf_fini(&whole);
	buf_fini(&pieces);
}

static void test_a_text_of_nothing_but_marks_is_no_deep_stack(void **state)
{
	(void)state;
	struct buf said, out;

	buf_init(&said, 1 << 20);
	buf_init(&out, 1 << 20);
	for (int i = 0; i < 5000; i++)
		buf_puts(&said, "[m18]");
	show(buf_text(&said), said.len, &out);
	assert_int_equal(out.len, 0);
	buf_fini(&said);
	buf_fini(&out);
}

static void test_an_answer_with_context_is_shown_and_kept_without_what_was_made_up(void **state)
{
	static const char said[] = "Soup [m17], tea [m18].", shown[] = "Soup [m17], tea.";
	struct fake_script script = fake_script_default();
	struct world world;

	(void)state;
	script.text = said;
	script.tokens = (sizeof(said) + 1) / 3;
	world_open(&world, &script, 1);
	(void)world_moment(&world, "m17", WORLD_NOW_NS - NS_PER_HOUR, "glasses", "lunch: soup");
	world_post(&world, false,
	    "{\"model\":\"hearth\",\"messages\":[{\"role\":\"user\",\"content\":\"Lunch?\"}]}");
	assert_non_null(strstr(buf_text(&world.read), shown));
	assert_int_equal(world.stored_len, 2);
	assert_string_equal(world.stored[1].text, shown);
	/* A model's own id has no marks to check. */
	world_post(&world, false,
	    "{\"model\":\"tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"Lunch?\"}]}");
	assert_non_null(strstr(buf_text(&world.read), said));
	world_close(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_marks_that_name_nothing_go_wherever_the_stream_is_cut),
		cmocka_unit_test(test_any_text_comes_out_the_same_in_any_pieces),
		cmocka_unit_test(test_a_text_of_nothing_but_marks_is_no_deep_stack),
		cmocka_unit_test(
		    test_an_answer_with_context_is_shown_and_kept_without_what_was_made_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
