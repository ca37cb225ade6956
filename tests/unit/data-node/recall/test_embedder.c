/*
 * Vectors beside the index: made in the background by an encoder that comes and
 * goes, kept over restarts, gone with what is forgotten, and counted in searches.
 */
#include "../store/store_fixture.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>

#include "recall/recall.h"
#include "store/store_forget.h"
#include "store/store_vector.h"

#define ARENA_BYTES ((size_t)32 << 20)
#define LENGTH 8u
#define LONG_BYTES ((size_t)500) /* a longer text does not fit the encoder */

/*
 * An encoder that knows a few meanings: what texts of the same topic have in common
 * are no words.
 */
struct fake {
	pthread_mutex_t lock;
	bool away, busy, slow_to_stop;
	uint8_t hash;
	unsigned texts, questions, refused; /* embedded so far */
	enum rc fails;                      /* what embed() returns, once */
};

static const char *const topics[LENGTH][3] = { { "dog", "puppy", "terrier" },
	{ "car", "garage", "engine" }, { "bread", "bakery", "loaf" },
	{ "piano", "sonata", "music" } };

static void meaning(const char *text, float *out)
{
	for (unsigned i = 0; i < LENGTH; i++)
		out[i] = 0.01f;
	for (unsigned i = 0; i < LENGTH; i++) {
		for (unsigned k = 0; k < 3 && topics[i][k] != NULL; k++)
			out[i] += strstr(text, topics[i][k]) != NULL ? 1.0f : 0.0f;
	}
}

static enum rc fake_which(void *ctx, const uint8_t *former, uint8_t hash[RECALL_ENCODER_BYTES])
{
	struct fake *fake = ctx;

	(void)former;
	pthread_mutex_lock(&fake->lock);
	bool away = fake->away;
	memset(hash, fake->hash, RECALL_ENCODER_BYTES);
	pthread_mutex_unlock(&fake->lock);
	return away ? RC_UNAVAILABLE : RC_OK;
}

static enum rc fake_embed(void *ctx, const uint8_t hash[RECALL_ENCODER_BYTES],
    const char *const *texts, size_t n, bool question, int64_t timeout_ns, float **values,
    uint32_t *length)
{
	struct fake *fake = ctx;
	enum rc rc = RC_OK;

	assert_true(timeout_ns > 0);
	pthread_mutex_lock(&fake->lock);
	if (fake->away || hash[0] != fake->hash)
		rc = RC_UNAVAILABLE;
	if (rc == RC_OK && fake->fails != RC_OK) {
		rc = fake->fails;
		fake->fails = RC_OK;
	}
	for (size_t i = 0; i < n && rc == RC_OK; i++)
		rc = strlen(texts[i]) > LONG_BYTES ? RC_CONTEXT : RC_OK;
	fake->refused += rc != RC_OK;
	*(question ? &fake->questions : &fake->texts) += rc == RC_OK ? (unsigned)n : 0;
	pthread_mutex_unlock(&fake->lock);
	if (rc != RC_OK)
		return rc;
	*values = calloc(n * LENGTH, sizeof **values);
	assert_non_null(*values);
	for (size_t i = 0; i < n; i++)
		meaning(texts[i], *values + i * LENGTH);
	*length = LENGTH;
	return RC_OK;
}

static bool fake_busy(void *ctx)
{
	struct fake *fake = ctx;

	pthread_mutex_lock(&fake->lock);
	bool busy = fake->busy;
	pthread_mutex_unlock(&fake->lock);
	return busy;
}

struct bench {
	struct fixture store;
	struct recall *recall;
	struct fake fake;
	struct arena arena;
	struct recall_result result;
};

static void open_recall(struct bench *b)
{
	const struct recall_encoder encoder = {
		.ctx = &b->fake, .which = fake_which, .embed = fake_embed, .busy = fake_busy
	};

	PASS(recall_open(b->store.store, &b->recall, &pass_why));
	PASS(recall_set_encoder(b->recall, &encoder, &pass_why));
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof *b);

	b->store.in_memory = true;
	fixture_init(&b->store);
	pthread_mutex_init(&b->fake.lock, NULL);
	b->fake.hash = 1;
	open_recall(b);
	arena_init(&b->arena, ARENA_BYTES);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	recall_close(b->recall);
	arena_fini(&b->arena);
	fixture_fini(&b->store);
	pthread_mutex_destroy(&b->fake.lock);
	free(b);
	return 0;
}

static void restart(struct bench *b)
{
	recall_close(b->recall);
	fixture_close(&b->store);
	fixture_open(&b->store);
	open_recall(b);
}

static void add(struct bench *b, const char *id, int64_t t0_ns, const char *text)
{
	struct observation obs = make_obs(id, t0_ns, text);

	(void)append_one(b->store.store, &obs);
}

/* Sooner or later: the test's own limit ends a wait in vain. */
static void wait_for_vectors(struct bench *b, size_t n)
{
	while (recall_vectors(b->recall) != n)
		(void)usleep(2000);
}

static void set_away(struct bench *b, bool away)
{
	pthread_mutex_lock(&b->fake.lock);
	b->fake.away = away;
	pthread_mutex_unlock(&b->fake.lock);
}

static void ask(struct bench *b, const char *text, bool has_range, int64_t from_ns, int64_t to_ns)
{
	const struct recall_query query = { .text = text,
		.text_len = strlen(text),
		.k = 3,
		.has_range = has_range,
		.from_ns = from_ns,
		.to_ns = to_ns,
		.now_utc_ns = T0_NS,
		.need_cursor = store_cursor(b->store.store),
		.wait_ns = 20 * NS_PER_S };

	arena_reset(&b->arena);
	PASS(recall_search(b->recall, &query, &b->arena, &b->result, &pass_why));
	assert_false(b->result.behind);
}

static void assert_first(struct bench *b, const char *id)
{
	assert_true(b->result.hits_len > 0);
	assert_string_equal(b->result.hits[0].obs.client_id, id);
}

static void add_some(struct bench *b)
{
	add(b, "dog", T0_NS, "the terrier chased its tail");
	add(b, "car", T0_NS + 2 * NS_PER_DAY, "a new engine went in");
	add(b, "bread", T0_NS + 4 * NS_PER_DAY, "the loaf was still warm");
	add(b, "sound", T0_NS + 6 * NS_PER_DAY, "she played a sonata");
}

static void meaning_finds_what_words_do_not(void **state)
{
	struct bench *b = *state;

	ask(b, "puppy", false, 0, 0);
	assert_false(b->result.vectors);
	add_some(b);
	wait_for_vectors(b, 4);
	ask(b, "puppy", false, 0, 0);
	assert_true(b->result.vectors);
	assert_first(b, "dog");
	ask(b, "bakery", false, 0, 0);
	assert_first(b, "bread");
	/* A range given is strict for it as well. */
	ask(b, "puppy", true, T0_NS + NS_PER_DAY, T0_NS + 5 * NS_PER_DAY);
	for (size_t i = 0; i < b->result.hits_len; i++)
		assert_string_not_equal(b->result.hits[i].obs.client_id, "dog");
	/* Words count for more than meaning. */
	ask(b, "sonata garage", false, 0, 0);
	assert_first(b, "sound");
	assert_true(b->result.hits_len >= 2);
	assert_string_equal(b->result.hits[1].obs.client_id, "car");
}

static void without_an_encoder_words_do_and_it_catches_up(void **state)
{
	struct bench *b = *state;

	set_away(b, true);
	add_some(b);
	ask(b, "terrier", false, 0, 0);
	assert_first(b, "dog");
	assert_false(b->result.vectors);
	assert_int_equal(recall_vectors(b->recall), 0);
	set_away(b, false);
	wait_for_vectors(b, 4);
	/* It goes again: questions are answered all the same. */
	set_away(b, true);
	ask(b, "terrier", false, 0, 0);
	assert_first(b, "dog");
	assert_false(b->result.vectors);
	set_away(b, false);
	ask(b, "puppy", false, 0, 0);
	assert_true(b->result.vectors);
}

static void a_restart_embeds_nothing_again(void **state)
{
	struct bench *b = *state;

	add_some(b);
	wait_for_vectors(b, 4);
	set_away(b, true);
	restart(b);
	wait_for_vectors(b, 4);
	assert_int_equal(b->fake.texts, 4);
	set_away(b, false);
	add(b, "late", T0_NS, "a puppy slept");
	wait_for_vectors(b, 5);
	assert_int_equal(b->fake.texts, 5);
	ask(b, "terrier", false, 0, 0);
	assert_int_equal(b->result.hits_len, 3);
}

static void another_encoder_begins_anew(void **state)
{
	struct bench *b = *state;

	add_some(b);
	wait_for_vectors(b, 4);
	pthread_mutex_lock(&b->fake.lock);
	b->fake.hash = 2;
	pthread_mutex_unlock(&b->fake.lock);
	for (;;) { /* until it asks with the new one */
		ask(b, "puppy", false, 0, 0);
		if (b->result.vectors && recall_vectors(b->recall) == 4)
			break;
		(void)usleep(2000);
	}
	assert_first(b, "dog");
	assert_int_equal(b->fake.texts, 8);
	struct store_vector_state kept;
	PASS(store_vector_state(b->store.store, &kept, &pass_why));
	assert_int_equal(kept.encoder[0], 2);
}

static void what_is_forgotten_is_near_nothing(void **state)
{
	struct store_forget what = { .from_ns = T0_NS, .to_ns = T0_NS + NS_PER_S };
	struct bench *b = *state;
	struct store_forgotten out;

	add_some(b);
	add(b, "same-day", T0_NS + INT64_C(60) * NS_PER_S, "a puppy barked");
	wait_for_vectors(b, 5);
	PASS(store_forget(b->store.store, &what, &out, &pass_why));
	assert_int_equal(out.records, 1);
	wait_for_vectors(b, 4); /* the index was made anew */
	ask(b, "dog", false, 0, 0);
	assert_first(b, "same-day");
	for (size_t i = 0; i < b->result.hits_len; i++)
		assert_string_not_equal(b->result.hits[i].obs.client_id, "dog");
	/* What shares the day comes back into the store too, under its new key. */
	for (size_t n = 0; n != 4;) {
		struct store_vector_state kept;
		n = 0;
		if (store_vector_state(b->store.store, &kept, NULL) == RC_OK && kept.done >= 5)
			n = 4;
		(void)usleep(2000);
	}
	restart(b);
	wait_for_vectors(b, 4);
}

static void a_text_that_is_too_long_is_cut_and_stands_alone(void **state)
{
	struct bench *b = *state;
	char text[1600];

	memset(text, 'x', sizeof text);
	memcpy(text, "a puppy ", 8);
	text[sizeof text - 1] = '\0';
	set_away(b, true);
	add(b, "long", T0_NS, text);
	add_some(b);
	set_away(b, false);
	wait_for_vectors(b, 5);
	ask(b, "terrier", false, 0, 0);
	assert_true(b->fake.refused >= 2);
	assert_first(b, "dog");
	assert_string_equal(b->result.hits[1].obs.client_id, "long");
}

static void trouble_is_tried_again(void **state)
{
	struct bench *b = *state;

	pthread_mutex_lock(&b->fake.lock);
	b->fake.fails = RC_TIMEOUT;
	b->fake.busy = true;
	pthread_mutex_unlock(&b->fake.lock);
	add_some(b);
	add(b, "none", T0_NS, "");
	wait_for_vectors(b, 4);
	assert_int_equal(b->fake.texts, 4);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(meaning_finds_what_words_do_not),
		TEST(without_an_encoder_words_do_and_it_catches_up),
		TEST(a_restart_embeds_nothing_again),
		TEST(another_encoder_begins_anew),
		TEST(what_is_forgotten_is_near_nothing),
		TEST(a_text_that_is_too_long_is_cut_and_stands_alone),
		TEST(trouble_is_tried_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
