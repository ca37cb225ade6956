/* One fact edited: what holds, what became of the other, and what is left alone. */
#include "memory_fixture.h"

#include "memory/edit.h"
#include "memory/proposal.h"

#define NOW_NS (T0_NS + 50 * DAY_NS)
#define SINCE_NS (T0_NS + 10 * DAY_NS)

static struct memory_fixture m;

static uint64_t edited(const struct edit *edit, int64_t now_ns)
{
	uint64_t number = 0;

	PASS(memory_edit(m.book, edit, now_ns, &number, &pass_why));
	return number;
}

static enum rc refused(struct edit edit)
{
	uint64_t number = 0;

	enum rc rc = memory_edit(m.book, &edit, NOW_NS, &number, NULL);
	assert_int_equal(number, 0);
	return rc;
}

static struct book_entry entry_of(uint64_t number)
{
	struct book_view view = memory_view(&m, (struct book_query){ .number = number });

	assert_int_equal(view.len, 1);
	return view.entries[0];
}

/* "Anna is a nurse", since SINCE_NS. */
static uint64_t add_nurse(int64_t now_ns)
{
	const int64_t since_ns = SINCE_NS;
	const struct edit edit = { .how = EDIT_ADD,
		.class = FACT_PEOPLE,
		.subject = "Anna",
		.attribute = "work",
		.text = "Anna is a nurse",
		.from_ns = &since_ns };

	return edited(&edit, now_ns);
}

static int setup(void **state)
{
	(void)state;
	memory_init(&m);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	memory_fini(&m);
	return 0;
}

static void test_what_is_added_holds_and_is_the_owners(void **state)
{
	(void)state;
	struct book_entry entry = entry_of(add_nurse(T0_NS + 20 * DAY_NS));
	assert_int_equal(entry.fact.by, FACT_BY_OWNER);
	assert_string_equal(entry.fact.subject, "Anna");
	assert_string_equal(entry.fact.attribute, "work");
	assert_true(entry.from_ns == SINCE_NS && entry.to_ns == FACT_ALWAYS_TO_NS);
	/* Twice is once, however it is written. */
	assert_int_equal(refused((struct edit){ .how = EDIT_ADD,
			     .class = FACT_PEOPLE,
			     .subject = "anna",
			     .text = "anna is a  NURSE." }),
	    RC_EXISTS);
	/* The same of somebody else is another fact. */
	const struct edit other = {
		.how = EDIT_ADD, .class = FACT_PEOPLE, .subject = "Ines", .text = "Anna is a nurse"
	};
	assert_int_equal(edited(&other, NOW_NS), 2);
}

static void test_a_change_holds_from_now_on_and_keeps_the_rest(void **state)
{
	(void)state;
	uint64_t nurse = add_nurse(T0_NS + 20 * DAY_NS);
	const struct edit edit = {
		.how = EDIT_CHANGE, .number = nurse, .text = "Anna is a midwife"
	};
	uint64_t midwife = edited(&edit, NOW_NS);
	struct book_entry was = entry_of(nurse), is = entry_of(midwife);
	assert_int_equal(was.state, FACT_STATE_SUPERSEDED);
	assert_int_equal(was.next, midwife);
	assert_true(was.from_ns == SINCE_NS && was.to_ns == NOW_NS);
	assert_true(is.from_ns == NOW_NS && is.to_ns == FACT_ALWAYS_TO_NS);
	assert_string_equal(is.fact.subject, "Anna");
	assert_string_equal(is.fact.attribute, "work");
	assert_int_equal(is.fact.class, FACT_PEOPLE);
	/* Since another day: until then the old one held. */
	const int64_t day_ns = NOW_NS - 5 * DAY_NS, none_ns = FACT_ALWAYS_TO_NS;
	const struct edit since = { .how = EDIT_CHANGE,
		.number = midwife,
		.text = "Anna rests",
		.from_ns = &day_ns,
		.to_ns = &none_ns };
	assert_int_equal(edited(&since, NOW_NS + DAY_NS), midwife + 2);
	assert_true(entry_of(midwife).to_ns == day_ns);
}

static void test_a_correction_never_let_the_other_hold(void **state)
{
	(void)state;
	uint64_t nurse = add_nurse(T0_NS + 20 * DAY_NS);
	const struct edit edit = {
		.how = EDIT_CORRECT, .number = nurse, .text = "Anna is a midwife"
	};
	uint64_t midwife = edited(&edit, NOW_NS);
	struct book_entry was = entry_of(nurse);
	assert_true(was.to_ns <= was.from_ns);
	assert_true(entry_of(midwife).from_ns == SINCE_NS);
	struct book_view then = memory_holds(&m, NOW_NS - DAY_NS);
	assert_int_equal(then.len, 1);
	assert_string_equal(then.entries[0].fact.text, "Anna is a midwife");
	/* Also of one that always held, and with another date. */
	const struct edit always = { .how = EDIT_ADD, .class = FACT_PROFILE, .text = "Sings" };
	uint64_t sings = edited(&always, T0_NS);
	const int64_t since_ns = T0_NS + DAY_NS;
	const struct edit dated = { .how = EDIT_CORRECT, .number = sings, .from_ns = &since_ns };
	uint64_t sung = edited(&dated, NOW_NS);
	assert_int_equal(memory_holds(&m, T0_NS).len, 0);
	assert_true(entry_of(sung).from_ns == since_ns);
	assert_string_equal(entry_of(sung).fact.text, "Sings");
}

static void test_an_end_is_now_or_then_and_a_denial_always(void **state)
{
	const int64_t then_ns = SINCE_NS + DAY_NS;

	(void)state;
	uint64_t nurse = add_nurse(T0_NS + 20 * DAY_NS);
	const struct edit end = { .how = EDIT_END, .number = nurse, .to_ns = &then_ns };
	assert_int_equal(edited(&end, NOW_NS), nurse);
	assert_int_equal(entry_of(nurse).state, FACT_STATE_ENDED);
	assert_int_equal(memory_holds(&m, then_ns - 1).len, 1);
	assert_int_equal(memory_holds(&m, then_ns).len, 0);
	uint64_t again = add_nurse(T0_NS + 20 * DAY_NS);
	const struct edit now = { .how = EDIT_END, .number = again };
	(void)edited(&now, NOW_NS);
	assert_true(entry_of(again).to_ns == NOW_NS);
	uint64_t never = add_nurse(NOW_NS);
	const struct edit deny = { .how = EDIT_DENY, .number = never };
	(void)edited(&deny, NOW_NS);
	assert_true(entry_of(never).to_ns <= entry_of(never).from_ns);
	memory_reopen(&m);
	assert_true(entry_of(never).to_ns <= entry_of(never).from_ns);
}

/* What came meanwhile is nobody's to lose. */
static void test_what_was_changed_or_ended_meanwhile_is_left_alone(void **state)
{
	(void)state;
	uint64_t nurse = add_nurse(T0_NS + 20 * DAY_NS);
	const struct edit first = {
		.how = EDIT_CHANGE, .number = nurse, .text = "Anna is a midwife"
	};
	uint64_t midwife = edited(&first, NOW_NS - 1);
	static const enum edit_how hows[] = { EDIT_CHANGE, EDIT_CORRECT, EDIT_END, EDIT_DENY };
	for (size_t i = 0; i < sizeof hows / sizeof hows[0]; i++)
		assert_int_equal(
		    refused((struct edit){ .how = hows[i], .number = nurse, .text = "Anna rests" }),
		    RC_EXISTS);
	/* Nor one whose end is settled, though it still holds. */
	const int64_t later_ns = NOW_NS + DAY_NS;
	const struct edit ahead = {
		.how = EDIT_CHANGE, .number = midwife, .text = "Anna rests", .from_ns = &later_ns
	};
	(void)edited(&ahead, NOW_NS);
	assert_string_equal(memory_holds(&m, NOW_NS).entries[0].fact.text, "Anna is a midwife");
	assert_int_equal(refused((struct edit){ .how = EDIT_END, .number = midwife }), RC_EXISTS);
	assert_int_equal(memory_view(&m, (struct book_query){ 0 }).len, 3);
}

/* What is yet to hold is said once, and can be put right before it does. */
static void test_what_is_yet_to_hold_can_be_edited(void **state)
{
	const int64_t later_ns = NOW_NS + 5 * DAY_NS, end_ns = NOW_NS + 9 * DAY_NS;
	const int64_t past_end_ns = end_ns + 1;
	const struct edit add = { .how = EDIT_ADD,
		.class = FACT_PROFILE,
		.text = "Works at the mill",
		.from_ns = &later_ns,
		.to_ns = &end_ns };

	(void)state;
	uint64_t mill = edited(&add, NOW_NS);
	assert_int_equal(refused(add), RC_EXISTS);
	/* It would be taken and change nothing. */
	assert_int_equal(
	    refused((struct edit){ .how = EDIT_END, .number = mill, .to_ns = &past_end_ns }),
	    RC_INVALID);
	const struct edit change = {
		.how = EDIT_CHANGE, .number = mill, .text = "Works at the quarry"
	};
	uint64_t quarry = edited(&change, NOW_NS);
	assert_int_equal(memory_holds(&m, NOW_NS).len, 0);
	struct book_view then = memory_holds(&m, later_ns);
	assert_int_equal(then.len, 1);
	assert_int_equal(then.entries[0].fact.number, quarry);
	const struct edit deny = { .how = EDIT_DENY, .number = quarry };
	(void)edited(&deny, NOW_NS);
	assert_int_equal(memory_holds(&m, later_ns).len, 0);
	assert_int_equal(refused((struct edit){ .how = EDIT_DENY, .number = quarry }), RC_EXISTS);
}

static void test_bad_edits_change_nothing(void **state)
{
	const int64_t before_ns = SINCE_NS - DAY_NS, far_ns = INT64_MAX;
	uint64_t waits = 0;

	(void)state;
	uint64_t nurse = add_nurse(T0_NS + 20 * DAY_NS);
	struct fact fact = memory_fact(FACT_PROFILE, "", "", "Likes noise", NULL);
	PASS(memory_propose(m.book, &fact, &waits, &pass_why));
	assert_int_equal(refused((struct edit){ .how = EDIT_END, .number = 99 }), RC_NOTFOUND);
	assert_int_equal(refused((struct edit){ .how = EDIT_END, .number = waits }), RC_NOTFOUND);
	assert_int_equal(refused((struct edit){ .how = EDIT_ADD, .text = "x" }), RC_INVALID);
	assert_int_equal(
	    refused((struct edit){ .how = EDIT_ADD, .class = FACT_PROFILE }), RC_INVALID);
	assert_int_equal(
	    refused((struct edit){ .how = EDIT_CHANGE, .number = nurse, .text = "two\nlines" }),
	    RC_INVALID);
	assert_int_equal(
	    refused((struct edit){ .how = EDIT_CORRECT, .number = nurse, .to_ns = &before_ns }),
	    RC_INVALID);
	assert_int_equal(
	    refused((struct edit){ .how = EDIT_END, .number = nurse, .to_ns = &far_ns }),
	    RC_INVALID);
	book_hold(m.book);
	assert_int_equal(refused((struct edit){ .how = EDIT_END, .number = nurse }), RC_BUSY);
	book_release(m.book);
	assert_int_equal(entry_of(nurse).state, FACT_STATE_HOLDS);
	assert_int_equal(memory_view(&m, (struct book_query){ 0 }).len, 2);
}

/* Other words for what was read tell it still. */
static void test_an_edited_fact_goes_with_what_it_was_read_from(void **state)
{
	uint8_t about[1][OBS_ID_BYTES];

	(void)state;
	memory_said(&m, "a", T0_NS, ORIGIN_OWNER, about);
	struct fact fact = memory_fact(FACT_PROFILE, "", "", "Works at the quarry", NULL);
	memory_about(&fact, about, 1);
	assert_int_equal(memory_learn_one(&m, fact), LEARN_ADDED);
	const struct edit edit = { .how = EDIT_CHANGE, .number = 1, .text = "Works at the mill" };
	struct book_entry entry = entry_of(edited(&edit, NOW_NS));
	assert_int_equal(entry.fact.about_len, 1);
	assert_memory_equal(entry.fact.about[0], about[0], OBS_ID_BYTES);
	assert_int_equal(entry.fact.by, FACT_BY_OWNER);
	assert_string_equal(entry.fact.who, "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_added_holds_and_is_the_owners),
		TEST(test_a_change_holds_from_now_on_and_keeps_the_rest),
		TEST(test_a_correction_never_let_the_other_hold),
		TEST(test_an_end_is_now_or_then_and_a_denial_always),
		TEST(test_what_was_changed_or_ended_meanwhile_is_left_alone),
		TEST(test_what_is_yet_to_hold_can_be_edited),
		TEST(test_bad_edits_change_nothing),
		TEST(test_an_edited_fact_goes_with_what_it_was_read_from),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
