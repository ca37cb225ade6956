/* Markdown: written, read, and what it changes. */
#include "memory_fixture.h"

#include "memory/change.h"
#include "memory/proposal.h"

#define NOW_NS (T0_NS + 50 * DAY_NS)

static int32_t hour_east(const void *ctx, int64_t utc_ns)
{
	(void)ctx;
	(void)utc_ns;
	return 3600;
}

static const struct markdown_zone zone = { .offset_s = hour_east };

/* The text of what holds at `at_ns`, the caller's to free. */
static char *written(struct memory_fixture *m, int64_t at_ns)
{
	struct book_view view = memory_holds(m, at_ns);
	struct markdown_base base;
	struct buf out;

	buf_init(&out, MARKDOWN_BYTES_MAX);
	markdown_base_of(m->store.store, &view, at_ns, &base);
	markdown_write(&view, &base, &zone, &out);
	PASS(buf_rc(&out));
	size_t len;
	return (char *)buf_take(&out, &len);
}

static struct change_counts change(struct memory_fixture *m, const char *text, int64_t now_ns)
{
	struct change_counts counts = { 0 };

	PASS(memory_change(m->book, text, strlen(text), &zone, now_ns, &counts, &pass_why));
	return counts;
}

/* `text` with the first `old` replaced, into a buffer of its own. */
static const char *edit(const char *text, const char *old, const char *new)
{
	static char out[1 << 16];
	const char *at = strstr(text, old);

	assert_non_null(at);
	(void)snprintf(out, sizeof out, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
	return out;
}

#define START                                                                                      \
	"# Memory\n\n## Profile\n\n- Is called Jo\n- Works at Acme #employer\n\n"                  \
	"## Standing wishes\r\n\r\n- Answer briefly\r\n\n## People\n\n### Anna\n\n"                \
	"* Anna is a nurse (since 2024-05-01)\n- Plays chess (2020-01-01 to 2021-01-01)\n"

static void start(struct memory_fixture *m)
{
	memory_init(m);
	struct change_counts counts = change(m, START, T0_NS);
	assert_int_equal(counts.added, 5);
}

static void test_a_text_by_hand_is_taken_in(void **state)
{
	struct memory_fixture m;

	(void)state;
	start(&m);
	char *text = written(&m, NOW_NS);
	assert_non_null(strstr(text, "\n- Works at Acme #employer ^f2\n"));
	assert_non_null(strstr(text, "### Anna\n\n- Anna is a nurse (since 2024-05-01) ^f4\n"));
	assert_null(strstr(text, "chess")); /* it holds no more */
	struct book_view view = memory_view(&m, (struct book_query){ .number = 5 });
	assert_int_equal(view.entries[0].to_ns - view.entries[0].from_ns, 366 * DAY_NS);
	assert_int_equal((view.entries[0].from_ns + 3600 * NS_PER_S) % NS_PER_DAY, 0);
	/* Read again, by numbers or without: nothing changes. */
	struct change_counts counts = change(&m, text, NOW_NS);
	assert_true(counts.unchanged == 4 && counts.added + counts.ended + counts.superseded == 0);
	counts = change(&m, "## Profile\n- is called  JO.\n", NOW_NS);
	assert_true(counts.unchanged == 1 && counts.added + counts.ended + counts.superseded == 0);
	free(text);
	memory_fini(&m);
}

static void test_a_changed_line_supersedes_and_the_past_is_kept(void **state)
{
	struct memory_fixture m;

	(void)state;
	start(&m);
	char *text = written(&m, NOW_NS);
	struct change_counts counts = change(&m, edit(text, "at Acme", "at Bolt"), NOW_NS);
	assert_true(counts.superseded == 1 && counts.unchanged == 3 && counts.ended == 0);
	free(text);
	text = written(&m, NOW_NS - 1);
	assert_non_null(strstr(text, "Acme"));
	assert_null(strstr(text, "Bolt"));
	free(text);
	text = written(&m, NOW_NS);
	assert_non_null(strstr(text, "- Works at Bolt #employer ^f6\n"));
	assert_null(strstr(text, "Acme"));
	/* With its date it is put right, from the beginning. */
	counts = change(&m, edit(text, "is a nurse (", "is a midwife ("), NOW_NS);
	assert_int_equal(counts.superseded, 1);
	free(text);
	text = written(&m, NOW_NS - DAY_NS);
	assert_non_null(strstr(text, "midwife (since 2024-05-01)"));
	assert_null(strstr(text, "nurse"));
	free(text);
	/* All of it is kept. */
	struct book_view view = memory_view(&m, (struct book_query){ 0 });
	assert_int_equal(view.len, 7);
	memory_reopen(&m);
	text = written(&m, NOW_NS);
	assert_non_null(strstr(text, "Bolt"));
	assert_non_null(strstr(text, "midwife"));
	free(text);
	memory_fini(&m);
}

static void test_a_date_says_since_when_and_until_when(void **state)
{
	struct memory_fixture m;

	(void)state;
	start(&m);
	char *text = written(&m, NOW_NS);
	(void)change(&m, edit(text, "at Acme", "at Bolt (since 2025-12-01)"), NOW_NS);
	free(text);
	int64_t since_ns;
	PASS(markdown_day("2025-12-01", &zone, &since_ns));
	text = written(&m, since_ns - 1);
	assert_non_null(strstr(text, "Acme"));
	free(text);
	text = written(&m, since_ns);
	assert_non_null(strstr(text, "- Works at Bolt (since 2025-12-01) #employer"));
	assert_null(strstr(text, "Acme"));
	(void)change(&m, edit(text, "Answer briefly", "Answer briefly (until 2026-03-01)"), NOW_NS);
	free(text);
	int64_t until_ns;
	PASS(markdown_day("2026-03-01", &zone, &until_ns));
	text = written(&m, until_ns - 1);
	assert_non_null(strstr(text, "Answer briefly (until 2026-03-01)"));
	free(text);
	text = written(&m, until_ns);
	assert_null(strstr(text, "briefly"));
	free(text);
	memory_fini(&m);
}

static void test_a_line_taken_away_ends_and_what_came_meanwhile_stays(void **state)
{
	struct memory_fixture m;
	uint8_t said[1][OBS_ID_BYTES];

	(void)state;
	start(&m);
	memory_said(&m, "a", T0_NS + 10 * DAY_NS, ORIGIN_OWNER, said);
	struct fact first = memory_fact(FACT_PLACES, "", "home", "Lives in Aachen", said);
	assert_int_equal(memory_learn_one(&m, first), LEARN_ADDED);
	char *text = written(&m, NOW_NS);
	/* While the text is edited the night goes on. */
	memory_said(&m, "b", T0_NS + 20 * DAY_NS, ORIGIN_OWNER, said);
	struct fact second = memory_fact(FACT_PLACES, "", "home", "Lives in Bonn", said);
	assert_int_equal(memory_learn_one(&m, second), LEARN_SUPERSEDED);
	struct fact third = memory_fact(FACT_PLACES, "", "", "Swims in the lake", said);
	assert_int_equal(memory_learn_one(&m, third), LEARN_ADDED);
	struct change_counts counts = change(&m, edit(text, "- Answer briefly ^f3\n", ""), NOW_NS);
	assert_true(counts.ended == 1 && counts.added + counts.superseded == 0);
	char *now = written(&m, NOW_NS);
	assert_null(strstr(now, "briefly"));
	assert_non_null(strstr(now, "Bonn"));
	assert_null(strstr(now, "Aachen"));
	assert_non_null(strstr(now, "lake"));
	free(now);
	/* The owner's change of what was superseded meanwhile supersedes the newest. */
	counts = change(&m, edit(text, "in Aachen", "in Cologne"), NOW_NS + 1);
	assert_int_equal(counts.superseded, 1);
	now = written(&m, NOW_NS + 1);
	assert_non_null(strstr(now, "Cologne"));
	assert_null(strstr(now, "Bonn"));
	/* And the night does not win it back. */
	assert_int_equal(memory_learn_one(&m, second), LEARN_KNOWN);
	free(now);
	free(text);
	/* Without the comment nothing ends. */
	counts = change(&m, "## Profile\n- Has a dog\n", NOW_NS + 2);
	assert_true(counts.added == 1 && counts.ended == 0);
	memory_fini(&m);
}

static void test_a_text_of_another_timeline_is_new(void **state)
{
	struct memory_fixture one, two;

	(void)state;
	start(&one);
	char *text = written(&one, NOW_NS);
	memory_init(&two);
	(void)change(&two, "## Places\n- Lives in Bonn\n", T0_NS);
	struct change_counts counts = change(&two, text, NOW_NS);
	assert_true(counts.added == 4 && counts.ended == 0 && counts.superseded == 0);
	free(text);
	text = written(&two, NOW_NS);
	assert_non_null(strstr(text, "Bonn"));
	assert_non_null(strstr(text, "nurse"));
	free(text);
	memory_fini(&one);
	memory_fini(&two);
}

static void test_an_edited_fact_still_goes_with_what_it_was_read_from(void **state)
{
	struct memory_fixture m;
	uint8_t said[1][OBS_ID_BYTES];

	(void)state;
	start(&m);
	memory_said(&m, "a", T0_NS, ORIGIN_OWNER, said);
	struct fact fact = memory_fact(FACT_PLACES, "", "", "Lives in Aachen", said);
	assert_int_equal(memory_learn_one(&m, fact), LEARN_ADDED);
	char *text = written(&m, NOW_NS);
	(void)change(&m, edit(text, "Lives in Aachen", "Lives in Aachen, by the park"), NOW_NS);
	free(text);
	struct book_view view = memory_view(&m, (struct book_query){ .number = 7 });
	assert_string_equal(view.entries[0].fact.text, "Lives in Aachen, by the park");
	assert_int_equal(view.entries[0].fact.about_len, 1);
	memory_fini(&m);
}

static void test_bad_texts_change_nothing_and_name_the_line(void **state)
{
	static const struct {
		const char *text, *line;
	} bad[] = {
		{ "- before any heading\n", "line 1:" },
		{ "## Secrets\n- x\n", "line 1:" },
		{ "## Profile\n\nplain words\n", "line 3:" },
		{ "## Profile\n- \n", "line 2:" },
		{ "## Profile\n- colour \x1B[31m\n", "line 2:" },
		{ "## Profile\n- turned \xE2\x80\xAE round\n", "line 2:" },
		{ "## Profile\n- not UTF-8 \xC3\x28\n", "line 2:" },
		{ "## Profile\n- x ^f99\n", "line 2:" },
		{ "## Profile\n- x ^f0\n", "line 2:" },
		{ "## Profile\n- x ^fzz\n", "line 2:" },
		{ "## Profile\n- x ^f1\n- y ^f1\n", "line 3:" },
		{ "## Profile\n- x (since 2024-02-31)\n", "line 2:" },
		{ "## Profile\n- x (2024-03-01 to 2024-02-01)\n", "line 2:" },
		{ "### Anna\n- x\n", "line 1:" },
		{ "## People\n### \x01\n- x\n", "line 2:" },
		{ "<!-- memory zz 1 2026-01-01T00:00:00Z: -->\n", "line 1:" },
		{ "<!-- memory 0011223344556677 1 -->\n", "line 1:" },
	};
	struct memory_fixture m;
	struct change_counts counts;
	struct errmsg why;

	(void)state;
	start(&m);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		errmsg_reset(&why);
		if (memory_change(m.book, bad[i].text, strlen(bad[i].text), &zone, NOW_NS, &counts,
			&why) != RC_INVALID ||
		    strstr(why.text, bad[i].line) == NULL)
			fail_msg("%zu: %s", i, why.text);
	}
	char *huge = malloc(1 << 20);
	assert_non_null(huge);
	memset(huge, 'x', 1 << 20);
	memcpy(huge, "## Profile\n- ", 13);
	assert_int_equal(
	    memory_change(m.book, huge, 1 << 20, &zone, NOW_NS, &counts, NULL), RC_LIMIT);
	for (size_t i = 11; i + 3 < 1 << 20; i += 3)
		memcpy(huge + i, "\n\n\n", 3);
	assert_int_equal(
	    memory_change(m.book, huge, 1 << 20, &zone, NOW_NS, &counts, NULL), RC_LIMIT);
	free(huge);
	assert_int_equal(
	    memory_change(m.book, "## Profile\n- a\0b\n", 17, &zone, NOW_NS, &counts, NULL),
	    RC_INVALID);
	assert_int_equal(memory_view(&m, (struct book_query){ 0 }).len, 5);
	memory_fini(&m);
}

static uint64_t propose(
    struct memory_fixture *m, const char *attribute, const char *text, enum rc want)
{
	struct fact fact = memory_fact(FACT_PROFILE, "", attribute, text, NULL);
	uint64_t number = 0;

	fact.who = "mailbot";
	assert_int_equal(memory_propose(m->book, &fact, &number, NULL), want);
	return number;
}

static void test_a_proposal_counts_for_nothing_until_it_is_accepted(void **state)
{
	struct memory_fixture m;

	(void)state;
	start(&m);
	uint64_t number = propose(&m, "employer", "Works at Bolt", RC_OK);
	uint64_t other = propose(&m, "", "Obeys the mail", RC_OK);
	(void)propose(&m, "", "obeys the mail!", RC_EXISTS);
	(void)propose(&m, "", "Is called Jo", RC_EXISTS);
	(void)propose(&m, "", "two\nlines", RC_INVALID);
	char *text = written(&m, NOW_NS);
	assert_null(strstr(text, "Bolt"));
	assert_null(strstr(text, "Obeys"));
	/* A number that only a proposal has is none of the text's. */
	struct change_counts counts;
	assert_int_equal(
	    memory_change(m.book, "## Profile\n- x ^f7\n", 19, &zone, NOW_NS, &counts, NULL),
	    RC_INVALID);
	free(text);
	PASS(memory_decide(m.book, number, true, NULL, NOW_NS, &pass_why));
	PASS(memory_decide(m.book, other, false, NULL, NOW_NS, &pass_why));
	assert_int_equal(memory_decide(m.book, other, true, NULL, NOW_NS, NULL), RC_NOTFOUND);
	assert_int_equal(memory_decide(m.book, 1, true, NULL, NOW_NS, NULL), RC_NOTFOUND);
	(void)propose(&m, "", "Obeys the mail", RC_EXISTS);
	text = written(&m, NOW_NS);
	assert_non_null(strstr(text, "Bolt"));
	assert_null(strstr(text, "Acme"));
	assert_null(strstr(text, "Obeys"));
	free(text);
	text = written(&m, NOW_NS - 1);
	assert_non_null(strstr(text, "Acme"));
	assert_null(strstr(text, "Bolt"));
	free(text);
	memory_fini(&m);
}

static void test_only_so_many_proposals_wait(void **state)
{
	struct memory_fixture m;
	char text[40];

	(void)state;
	memory_init(&m);
	for (size_t i = 0; i <= PROPOSALS_OPEN_MAX; i++) {
		(void)snprintf(text, sizeof text, "Proposal %zu", i);
		(void)propose(&m, "", text, i < PROPOSALS_OPEN_MAX ? RC_OK : RC_LIMIT);
	}
	memory_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_text_by_hand_is_taken_in),
		cmocka_unit_test(test_a_changed_line_supersedes_and_the_past_is_kept),
		cmocka_unit_test(test_a_date_says_since_when_and_until_when),
		cmocka_unit_test(test_a_line_taken_away_ends_and_what_came_meanwhile_stays),
		cmocka_unit_test(test_a_text_of_another_timeline_is_new),
		cmocka_unit_test(test_an_edited_fact_still_goes_with_what_it_was_read_from),
		cmocka_unit_test(test_bad_texts_change_nothing_and_name_the_line),
		cmocka_unit_test(test_a_proposal_counts_for_nothing_until_it_is_accepted),
		cmocka_unit_test(test_only_so_many_proposals_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
