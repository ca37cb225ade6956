/* Learning at night: the gate, what is known, what supersedes what. */
#include "memory_fixture.h"

static void test_a_fact_is_learned_once(void **state)
{
	struct memory_fixture m;
	uint8_t said[1][OBS_ID_BYTES], again[1][OBS_ID_BYTES];

	(void)state;
	memory_init(&m);
	memory_said(&m, "a", T0_NS, ORIGIN_OWNER, said);
	memory_said(&m, "b", T0_NS + DAY_NS, ORIGIN_DEVICE, again);
	struct fact fact = memory_fact(FACT_PEOPLE, "Anna", "", "Anna is a nurse", said);
	assert_int_equal(memory_learn_one(&m, fact), LEARN_ADDED);
	assert_int_equal(memory_learn_one(&m, fact), LEARN_KNOWN);
	fact.text = "anna is  a nurse.";
	fact.subject = "ANNA";
	memory_about(&fact, again, 1);
	assert_int_equal(memory_learn_one(&m, fact), LEARN_KNOWN);
	memory_reopen(&m);
	assert_int_equal(memory_learn_one(&m, fact), LEARN_KNOWN);
	struct book_view view = memory_holds(&m, T0_NS - DAY_NS);
	assert_int_equal(view.len, 1);
	assert_string_equal(view.entries[0].fact.text, "Anna is a nurse");
	assert_int_equal(view.entries[0].fact.by, FACT_BY_NIGHT);
	assert_int_equal(view.entries[0].fact.at_ns, T0_NS);
	/* Twice in one call is once as well. */
	struct fact two[2];
	two[0] = two[1] = memory_fact(FACT_PEOPLE, "Ben", "", "Ben sings", said);
	enum learn_outcome outcomes[2];
	PASS(memory_learn(m.book, two, 2, outcomes, &pass_why));
	assert_true(outcomes[0] == LEARN_ADDED && outcomes[1] == LEARN_KNOWN);
	memory_fini(&m);
}

static void test_untrusted_text_never_becomes_a_fact(void **state)
{
	static const enum origin refused[] = { ORIGIN_UNTRUSTED, ORIGIN_ASSISTANT, ORIGIN_SYSTEM };
	struct memory_fixture m;
	uint8_t said[2][OBS_ID_BYTES];

	(void)state;
	memory_init(&m);
	memory_said(&m, "good", T0_NS, ORIGIN_OWNER, &said[0]);
	for (size_t i = 0; i < 3; i++) {
		char id[2] = { (char)('a' + i), '\0' };
		memory_said(&m, id, T0_NS, refused[i], &said[1]);
		struct fact fact = memory_fact(FACT_PROFILE, "", "", "The owner obeys", &said[1]);
		assert_int_equal(memory_learn_one(&m, fact), LEARN_REFUSED);
		/* Nor beside something that is the owner's own. */
		memory_about(&fact, said, 2);
		assert_int_equal(memory_learn_one(&m, fact), LEARN_REFUSED);
	}
	struct fact fact = memory_fact(FACT_PROFILE, "", "", "From nowhere", NULL);
	assert_int_equal(memory_learn_one(&m, fact), LEARN_REFUSED);
	memset(said[1], 9, OBS_ID_BYTES);
	fact = memory_fact(FACT_PROFILE, "", "", "From what is not there", &said[1]);
	assert_int_equal(memory_learn_one(&m, fact), LEARN_REFUSED);
	fact = memory_fact(FACT_PROFILE, "", "", "two\nlines", &said[0]);
	assert_int_equal(memory_learn_one(&m, fact), LEARN_REFUSED);
	assert_int_equal(memory_view(&m, (struct book_query){ 0 }).len, 0);
	memory_fini(&m);
}

static void test_a_newer_value_supersedes_and_the_past_stays(void **state)
{
	struct memory_fixture m;
	uint8_t first[1][OBS_ID_BYTES], second[1][OBS_ID_BYTES];

	(void)state;
	memory_init(&m);
	memory_said(&m, "a", T0_NS, ORIGIN_OWNER, first);
	memory_said(&m, "b", T0_NS + 9 * DAY_NS, ORIGIN_OWNER, second);
	struct fact old = memory_fact(FACT_PROFILE, "", "employer", "Works at Acme", first);
	struct fact new = memory_fact(FACT_PROFILE, "", "employer", "Works at Bolt", second);
	assert_int_equal(memory_learn_one(&m, old), LEARN_ADDED);
	assert_int_equal(memory_learn_one(&m, new), LEARN_SUPERSEDED);
	for (int pass = 0; pass < 2; pass++) {
		struct book_view view = memory_holds(&m, T0_NS + 9 * DAY_NS - 1);
		assert_int_equal(view.len, 1);
		assert_string_equal(view.entries[0].fact.text, "Works at Acme");
		view = memory_holds(&m, T0_NS + 9 * DAY_NS);
		assert_int_equal(view.len, 1);
		assert_string_equal(view.entries[0].fact.text, "Works at Bolt");
		view = memory_view(&m, (struct book_query){ .number = 1 });
		assert_int_equal(view.entries[0].state, FACT_STATE_SUPERSEDED);
		assert_int_equal(view.entries[0].next, 2);
		/* The same night over again says both: nothing comes of it. */
		assert_int_equal(memory_learn_one(&m, old), LEARN_KNOWN);
		assert_int_equal(memory_learn_one(&m, new), LEARN_KNOWN);
		memory_reopen(&m);
	}
	memory_fini(&m);
}

static void test_an_older_value_learned_later_is_of_the_past(void **state)
{
	struct memory_fixture m;
	uint8_t older[1][OBS_ID_BYTES], newer[1][OBS_ID_BYTES];

	(void)state;
	memory_init(&m);
	memory_said(&m, "a", T0_NS, ORIGIN_OWNER, older);
	memory_said(&m, "b", T0_NS + 9 * DAY_NS, ORIGIN_OWNER, newer);
	struct fact new = memory_fact(FACT_PROFILE, "", "home", "Lives in Bonn", newer);
	struct fact old = memory_fact(FACT_PROFILE, "", "home", "Lives in Aachen", older);
	assert_int_equal(memory_learn_one(&m, new), LEARN_ADDED);
	assert_int_equal(memory_learn_one(&m, old), LEARN_ADDED);
	assert_int_equal(memory_learn_one(&m, old), LEARN_KNOWN);
	assert_int_equal(memory_learn_one(&m, new), LEARN_KNOWN);
	struct book_view view = memory_holds(&m, T0_NS + 10 * DAY_NS);
	assert_int_equal(view.len, 1);
	assert_string_equal(view.entries[0].fact.text, "Lives in Bonn");
	memory_fini(&m);
}

/* What the owner writes is in change.c; here it is put by hand. */
static void owner_writes(
    struct memory_fixture *m, const struct fact *fact, const struct fact_mark *mark)
{
	struct book_draft draft;
	uint64_t number;

	PASS(book_write_begin(m->book, &draft, &pass_why));
	if (fact != NULL)
		PASS(book_draft_fact(&draft, fact, &number));
	if (mark != NULL)
		PASS(book_draft_mark(&draft, mark));
	PASS(book_write_end(m->book, &draft, true, &pass_why));
}

static void test_the_owners_word_stands(void **state)
{
	struct memory_fixture m;
	uint8_t said[1][OBS_ID_BYTES];

	(void)state;
	memory_init(&m);
	memory_said(&m, "a", T0_NS + DAY_NS, ORIGIN_OWNER, said);
	struct fact own = memory_fact(FACT_PEOPLE, "Anna", "birthday", "Born on 3 May", NULL);
	own.by = FACT_BY_OWNER;
	own.who = "";
	own.at_ns = T0_NS;
	owner_writes(&m, &own, NULL);
	struct fact other = memory_fact(FACT_PEOPLE, "Anna", "birthday", "Born on 4 May", said);
	assert_int_equal(memory_learn_one(&m, other), LEARN_PROPOSED);
	assert_int_equal(memory_learn_one(&m, other), LEARN_KNOWN);
	struct book_view view = memory_holds(&m, T0_NS + 2 * DAY_NS);
	assert_int_equal(view.len, 1);
	assert_string_equal(view.entries[0].fact.text, "Born on 3 May");
	assert_int_equal(memory_view(&m, (struct book_query){ .proposals = true }).len, 1);
	memory_fini(&m);
}

static void test_what_the_owner_removed_or_refused_does_not_come_back(void **state)
{
	struct memory_fixture m;
	uint8_t said[1][OBS_ID_BYTES], later[1][OBS_ID_BYTES];

	(void)state;
	memory_init(&m);
	memory_said(&m, "a", T0_NS, ORIGIN_OWNER, said);
	memory_said(&m, "b", T0_NS + 5 * DAY_NS, ORIGIN_OWNER, later);
	struct fact fact = memory_fact(FACT_PREFERENCES, "", "tea", "Likes green tea", said);
	assert_int_equal(memory_learn_one(&m, fact), LEARN_ADDED);
	struct fact_mark end = { .fact = 1,
		.act = FACT_ENDED,
		.at_ns = T0_NS + DAY_NS,
		.marked_ns = T0_NS + DAY_NS,
		.by = FACT_BY_OWNER,
		.who = "" };
	owner_writes(&m, NULL, &end);
	assert_int_equal(memory_holds(&m, T0_NS + DAY_NS).len, 0);
	assert_int_equal(memory_holds(&m, T0_NS).len, 1);
	assert_int_equal(memory_learn_one(&m, fact), LEARN_KNOWN);
	/* In other words, from the same time; or in the same, whenever. */
	fact.text = "Drinks green tea";
	assert_int_equal(memory_learn_one(&m, fact), LEARN_KNOWN);
	fact.text = "Likes green tea";
	memory_about(&fact, later, 1);
	assert_int_equal(memory_learn_one(&m, fact), LEARN_KNOWN);
	fact.text = "Drinks black tea now";
	assert_int_equal(memory_learn_one(&m, fact), LEARN_ADDED);
	memory_fini(&m);
}

static void test_a_wish_that_only_a_device_heard_waits_for_the_owner(void **state)
{
	struct memory_fixture m;
	uint8_t said[1][OBS_ID_BYTES];

	(void)state;
	memory_init(&m);
	memory_said(&m, "a", T0_NS, ORIGIN_DEVICE, said);
	struct fact wish = memory_fact(FACT_WISHES, "", "", "Always agree", said);
	assert_int_equal(memory_learn_one(&m, wish), LEARN_PROPOSED);
	assert_int_equal(memory_learn_one(&m, wish), LEARN_KNOWN);
	assert_int_equal(memory_holds(&m, T0_NS + DAY_NS).len, 0);
	memory_said(&m, "b", T0_NS, ORIGIN_OWNER, said);
	wish.text = "Answer briefly";
	assert_int_equal(memory_learn_one(&m, wish), LEARN_ADDED);
	memory_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_fact_is_learned_once),
		cmocka_unit_test(test_untrusted_text_never_becomes_a_fact),
		cmocka_unit_test(test_a_newer_value_supersedes_and_the_past_stays),
		cmocka_unit_test(test_an_older_value_learned_later_is_of_the_past),
		cmocka_unit_test(test_the_owners_word_stands),
		cmocka_unit_test(test_a_wish_that_only_a_device_heard_waits_for_the_owner),
		cmocka_unit_test(test_what_the_owner_removed_or_refused_does_not_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
