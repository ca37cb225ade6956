/* Facts: what the owner says is learned once, with where it was said, and goes with it. */
#include "night_model.h"

#include "night/fact_gate.h"
#include "store/store_forget.h"

static const struct {
	const char *said, *class, *subject, *attribute, *text, *quote, *from;
} good[] = {
	{ "By the way, I am allergic to nuts.", "profile", "", "", "allergic to nuts",
	    "I am allergic to nuts", NULL },
	{ "I don't like olives.", "preferences", "", "", "does not like olives",
	    "I don't like olives", NULL },
	{ "My sister Anna lives in Hamburg. It rained.", "people", "Anna", "",
	    "sister, lives in Hamburg", "My sister Anna lives in Hamburg.", NULL },
	{ "Since 2021 I work at Nordlicht.", "profile", "", "employer", "works at Nordlicht",
	    "Since 2021 I work at Nordlicht", "2021-01-01" },
	{ "Please call me Max from now on.", "wishes", "", "", "wants to be called Max",
	    "call me Max from now on", NULL },
	{ "Ich esse kein Fleisch, wie du weißt.", "preferences", "", "", "kein Fleisch essen",
	    "Ich esse kein Fleisch", NULL },
	{ "Mein Bruder Jörg wohnt in Köln.", "people", "Jörg", "", "Bruder, wohnt in Köln",
	    "Mein Bruder Jörg wohnt in Köln", NULL },
	{ "Mi hermana se llama Lucía.", "people", "Lucía", "", "hermana",
	    "Mi hermana se llama Lucía", NULL },
	{ "I never drink coffee after five.", "preferences", "", "", "never drinks coffee",
	    "I never drink coffee", NULL },
	{ "Ich bin nicht verheiratet, wie gesagt.", "profile", "", "", "nicht verheiratet",
	    "Ich bin nicht verheiratet", NULL },
	{ "Je ne mange pas de viande.", "preferences", "", "", "ne mange pas de viande",
	    "Je ne mange pas de viande", NULL },
	{ "I stopped eating meat.", "preferences", "", "", "stopped eating meat",
	    "I stopped eating meat", NULL },
	{ "I gave it up to smoke.", "preferences", "", "", "gave up to smoke",
	    "I gave it up to smoke", NULL },
	{ "Ich habe mit dem Rauchen aufgehört.", "profile", "", "", "mit dem Rauchen aufgehört",
	    "Ich habe mit dem Rauchen aufgehört", NULL },
	{ "I used a bike to go to work.", "preferences", "", "", "used a bike",
	    "I used a bike to go to work", NULL },
	{ "10 pm in Bonn: I like tea.", "preferences", "", "", "likes tea", "I like tea", NULL },
	{ "我喜欢喝绿茶。", "preferences", "", "", "喜欢喝绿茶", "我喜欢喝绿茶", NULL },
};
#define GOODS (sizeof good / sizeof good[0])

static struct buf reply;

static void put_good(size_t i, size_t moment)
{
	buf_printf(&reply,
	    "{\"class\":\"%s\",\"subject\":\"%s\",\"attribute\":\"%s\",\"text\":\"%s\","
	    "\"quote\":\"%s\",\"moment\":%zu,\"to\":null,\"from\":",
	    good[i].class, good[i].subject, good[i].attribute, good[i].text, good[i].quote, moment);
	if (good[i].from == NULL)
		buf_puts(&reply, "null}");
	else
		buf_printf(&reply, "\"%s\"}", good[i].from);
}

static const struct moments_zone zone = { .offset_s = NULL };

static void test_what_the_owner_says_passes(void **state)
{
	struct words *words = NULL;
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 20);
	assert_int_equal(words_new(&words), RC_OK);
	for (size_t i = 0; i < GOODS; i++) {
		const struct fact_source source = { .text = good[i].said, .owner = true };
		struct gate_counts counts = { .of = { 0 } };
		struct fact facts[FACT_GATE_FACTS_MAX];
		size_t len;

		buf_reset(&reply);
		buf_puts(&reply, "{\"facts\":[");
		put_good(i, 1);
		buf_puts(&reply, "]}");
		assert_int_equal(fact_gate(words, &zone, &source, 1, buf_text(&reply), reply.len,
				     &arena, facts, &len, &counts),
		    RC_OK);
		for (enum gate gate = GATE_PASSED + 1; gate < GATE_COUNT; gate++) {
			if (counts.of[gate] != 0)
				fail_msg("%s: %s", good[i].said, gate_word(gate));
		}
		assert_int_equal(len, 1);
		assert_string_equal(facts[0].subject, good[i].subject);
		assert_string_equal(facts[0].attribute, good[i].attribute);
		if (good[i].from != NULL)
			assert_int_equal(facts[0].valid_from_ns, INT64_C(1609459200) * NS_PER_S);
	}
	words_free(words);
	arena_fini(&arena);
}

/* Two hours east in winter, three before it. */
static int32_t in_helsinki(const void *ctx, int64_t utc_ns)
{
	(void)ctx;
	return utc_ns < INT64_C(1792890000) * NS_PER_S ? 10800 : 7200;
}

static int64_t day_read(int64_t said_ns, const char *said, const char *from)
{
	const struct moments_zone helsinki = { .offset_s = in_helsinki };
	const struct fact_source source = { .text = said, .owner = true, .at_ns = said_ns };
	struct gate_counts counts = { .of = { 0 } };
	struct fact facts[FACT_GATE_FACTS_MAX];
	struct words *words = NULL;
	struct arena arena;
	size_t len;

	arena_init(&arena, 1 << 20);
	assert_int_equal(words_new(&words), RC_OK);
	buf_reset(&reply);
	buf_printf(&reply,
	    "{\"facts\":[{\"class\":\"profile\",\"subject\":\"\",\"attribute\":\"job\","
	    "\"text\":\"works at Nordlicht\",\"quote\":\"I work at Nordlicht\",\"moment\":1,"
	    "\"to\":null,\"from\":\"%s\"}]}",
	    from);
	assert_int_equal(fact_gate(words, &helsinki, &source, 1, buf_text(&reply), reply.len,
			     &arena, facts, &len, &counts),
	    RC_OK);
	assert_int_equal(len, 1);
	int64_t from_ns = facts[0].valid_from_ns;
	words_free(words);
	arena_fini(&arena);
	return from_ns;
}

/* 2026-11-19T23:30Z is half past one of the next day there. */
static void test_days_are_the_owners(void **state)
{
	const int64_t said_ns = INT64_C(1795131000) * NS_PER_S;
	const int64_t midnight_ns = INT64_C(1795125600) * NS_PER_S;

	(void)state;
	assert_int_equal(
	    day_read(said_ns, "From today I work at Nordlicht.", "2026-11-20"), midnight_ns);
	assert_int_equal(day_read(said_ns, "From today I work at Nordlicht.", "2026-11-19"),
	    FACT_ALWAYS_FROM_NS);
	assert_int_equal(
	    day_read(said_ns, "Since November 2026 I work at Nordlicht.", "2026-11-20"),
	    midnight_ns);
	/* In summer. */
	assert_int_equal(day_read(said_ns, "Since July 2026 I work at Nordlicht.", "2026-07-01"),
	    INT64_C(1782853200) * NS_PER_S);
}

/* The fact of each line that says one. */
static const char *read_them(const struct ask_question *question)
{
	bool any = false;

	if (question->schema != fact_schema)
		return GOOD_NOTE;
	buf_reset(&reply);
	buf_puts(&reply, "{\"facts\":[");
	const char *line = question->material;
	for (size_t moment = 1; *line != '\0'; moment++) {
		for (size_t i = 0; i < GOODS; i++) {
			const char *at = strstr(line, good[i].said);
			if (at == NULL || at > strchr(line, '\n'))
				continue;
			buf_puts(&reply, any ? "," : "");
			put_good(i, moment);
			any = true;
		}
		line = strchr(line, '\n') + 1;
	}
	buf_puts(&reply, "]}");
	return buf_text(&reply);
}

static size_t known(struct fixture *f, struct arena *arena, struct book_view *view)
{
	const struct book_query now = { .holds = true, .at_ns = T0_NS + 100 * NS_PER_DAY };
	struct book *book = NULL;

	arena_reset(arena);
	PASS(book_open(f->store, &book, &pass_why));
	PASS(book_read(book, &now, arena, view, &pass_why));
	book_close(book);
	return view->len;
}

static void test_facts_are_learned_once_and_forgotten(void **state)
{
	struct store_forget what = { .from_ns = T0_NS, .to_ns = T0_NS + NS_PER_MIN };
	struct scripted model = scripted_new();
	struct fixture f = { .in_memory = true };
	struct book_view view;
	struct arena arena;
	char id[32];

	(void)state;
	fixture_init(&f);
	arena_init(&arena, (size_t)64 << 20);
	model.think = read_them;
	for (size_t i = 0; i < GOODS; i++) {
		(void)snprintf(id, sizeof id, "%zu", i);
		write_text(
		    &f, id, T0_NS + (int64_t)(i * 3) * NS_PER_HOUR + 10 * NS_PER_S, good[i].said);
	}
	annotate(&f, &model);
	assert_int_equal(annotated.facts, GOODS);
	assert_int_equal(gate_refused(&annotated.facts_gate), 0);
	assert_int_equal(known(&f, &arena, &view), GOODS);
	assert_string_equal(view.entries[0].fact.who, "scripted");
	assert_int_equal(view.entries[0].fact.about_len, 1);
	unsigned asked = model.of_facts;
	uint64_t cursor = store_cursor(f.store);
	annotate(&f, &model);
	assert_int_equal(model.of_facts, asked);
	assert_int_equal(store_cursor(f.store), cursor);
	/* Said again it is known already. */
	write_text(&f, "again", T0_NS + 20 * NS_PER_DAY, good[0].said);
	annotate(&f, &model);
	assert_int_equal(model.of_facts, asked + 1);
	assert_int_equal(annotated.facts, 0);
	assert_int_equal(annotated.facts_known, 1);
	/* A chunk is asked about anew once what it lay in was forgotten, and its fact is gone. */
	PASS(store_forget(f.store, &what, NULL, &pass_why));
	assert_int_equal(known(&f, &arena, &view), GOODS - 1);
	annotate(&f, &model);
	assert_true(model.of_facts > asked + 1);
	assert_int_equal(annotated.facts, 0);
	assert_int_equal(known(&f, &arena, &view), GOODS - 1);
	arena_fini(&arena);
	fixture_fini(&f);
}

/* The model that could not answer is not asked again; another one is. */
static void test_a_chunk_that_had_no_answer(void **state)
{
	struct scripted model = scripted_new();
	struct fixture f = { .in_memory = true };

	(void)state;
	fixture_init(&f);
	write_text(&f, "1", T0_NS + 10 * NS_PER_S, good[0].said);
	model.rc = RC_LIMIT;
	annotate(&f, &model);
	assert_int_equal(annotated.facts_gate.of[GATE_ANSWER], 1);
	assert_int_equal(annotated.notes_gate.of[GATE_ANSWER], 1);
	uint64_t cursor = store_cursor(f.store);
	annotate(&f, &model);
	assert_int_equal(store_cursor(f.store), cursor);
	model.rc = RC_OK;
	model.name = "another";
	model.think = read_them;
	write_text(&f, "2", T0_NS + 5 * NS_PER_HOUR, "ok");
	annotate(&f, &model);
	assert_int_equal(annotated.facts, 1);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_the_owner_says_passes),
		cmocka_unit_test(test_days_are_the_owners),
		cmocka_unit_test(test_facts_are_learned_once_and_forgotten),
		cmocka_unit_test(test_a_chunk_that_had_no_answer),
	};

	buf_init(&reply, 1 << 16);
	int code = cmocka_run_group_tests(tests, NULL, NULL);
	buf_fini(&reply);
	return code;
}
