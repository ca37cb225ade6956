/*
 * Store: kill -9 in the middle of appends, again and again.
 *
 * A child appends from two threads and tells the parent of each acknowledgement
 * through a pipe; the parent kills it after a random number of them, opens the
 * store and checks acknowledged ⊆ stored, nothing twice, nothing half-written.
 * HEARTH_KILL_CYCLES sets the number of cycles.
 */
#include "store_fixture.h"

#include <pthread.h>

#include "store_victim.h"

#define CYCLES 100
#define ROUND 100 /* then a new store: each check reads all of it */
#define ACKS_MAX 100000
#define THREADS 2

struct ack {
	uint32_t cycle, thread, number;
	uint32_t version; /* of the same id */
	uint64_t seq;
};

struct child {
	struct store *store;
	int out;
	uint32_t cycle, thread;
};

static void name_of(const struct ack *ack, char id[48], char text[48])
{
	(void)snprintf(id, 48, "%u-%u-%u", ack->cycle, ack->thread, ack->number);
	(void)snprintf(text, 48, "version %u", ack->version);
}

static void *child_thread(void *arg)
{
	struct child *child = arg;
	struct ack ack = { .cycle = child->cycle, .thread = child->thread };
	char id[48], text[48];

	for (ack.number = 0;; ack.number++) {
		/* Every fourth is sent in two versions, every one of them twice. */
		for (ack.version = 0; ack.version < (ack.number % 4 == 0 ? 2u : 1u);
		     ack.version++) {
			struct store_result result;
			name_of(&ack, id, text);
			struct observation obs =
			    make_obs(id, T0_NS + ack.number * NS_PER_HOUR + ack.version, text);
			for (int again = 0; again < 2; again++) {
				if (store_append(child->store, &obs, 1, &result, NULL, NULL) !=
				    RC_OK)
					_exit(1);
				ack.seq = result.seq;
				if (write(child->out, &ack, sizeof(ack)) != (ssize_t)sizeof(ack))
					_exit(2);
			}
		}
	}
	return NULL;
}

struct work {
	struct fixture *f;
	uint32_t cycle;
};

static void child_main(void *ctx, int out)
{
	const struct work *work = ctx;
	struct child children[THREADS];
	pthread_t threads[THREADS];

	fixture_open(work->f);
	for (uint32_t i = 0; i < THREADS; i++) {
		children[i] = (struct child){ work->f->store, out, work->cycle, i };
		if (pthread_create(&threads[i], NULL, child_thread, &children[i]) != 0)
			_exit(3);
	}
	for (uint32_t i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
}

/* Run one child until `want` acknowledgements came; all that did go to `acks`. */
static size_t run_and_kill(
    struct fixture *f, uint32_t cycle, size_t want, struct ack *acks, size_t acks_len)
{
	struct work work = { f, cycle };
	struct store_victim victim;

	assert_true(acks_len + want < ACKS_MAX);
	store_victim_start(&victim, child_main, &work);
	for (want += acks_len; acks_len < want; acks_len++)
		assert_true(store_victim_hear(&victim, &acks[acks_len], sizeof(*acks)));
	store_victim_kill(&victim);
	while (store_victim_hear(&victim, &acks[acks_len], sizeof(*acks)))
		assert_true(++acks_len < ACKS_MAX);
	assert_true(store_victim_end(&victim));
	return acks_len;
}

struct stored {
	char (*ids)[48]; /* [ACKS_MAX], by seq */
	char (*texts)[48];
	uint64_t newest;
};

static bool stored_visit(void *ctx, const struct observation *obs)
{
	struct stored *stored = ctx;

	assert_true(obs->seq == stored->newest + 1 && obs->seq < ACKS_MAX);
	stored->newest = obs->seq;
	(void)snprintf(stored->ids[obs->seq], 48, "%s", obs->client_id);
	(void)snprintf(stored->texts[obs->seq], 48, "%s", obs->text);
	return true;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void check(struct fixture *f, const struct ack *acks, size_t acks_len, struct stored *stored)
{
	char id[48], text[48];
	struct arena arena;
	struct observation obs;

	fixture_open(f);
	PASS(store_verify(f->store, NULL, NULL, NULL, &pass_why));
	stored->newest = 0;
	PASS(store_scan_log(f->store, 0, 0, stored_visit, stored, &pass_why));
	assert_int_equal(stored->newest, store_cursor(f->store));
	for (size_t i = 0; i < acks_len; i++) {
		name_of(&acks[i], id, text);
		assert_true(acks[i].seq <= stored->newest);
		assert_string_equal(stored->ids[acks[i].seq], id);
		assert_string_equal(stored->texts[acks[i].seq], text);
	}
	/* Nothing twice: (id, version) are unique over the whole log. */
	char(*names)[96] = calloc(stored->newest + 1, sizeof(*names));
	for (uint64_t seq = 1; seq <= stored->newest; seq++)
		(void)snprintf(names[seq - 1], sizeof(names[0]), "%s %s", stored->ids[seq],
		    stored->texts[seq]);
	qsort(names, stored->newest, sizeof(*names), compare_names);
	for (uint64_t i = 1; i < stored->newest; i++)
		assert_string_not_equal(names[i - 1], names[i]);
	free(names);
	arena_init(&arena, 1 << 20);
	if (stored->newest > 0)
		PASS(store_get_seq(f->store, stored->newest, &arena, &obs, &pass_why));
	arena_fini(&arena);
	fixture_close(f);
}

/* `cycles` kills of one store; returns the acknowledgements there were. */
static size_t kill_round(
    uint32_t first, uint32_t cycles, struct ack *acks, struct stored *stored, uint64_t *rng)
{
	struct fixture f = { 0 };
	size_t acks_len = 0;

	f.config.recent_ids_max = 50; /* some are moved in each cycle */
	fixture_init(&f);
	fixture_close(&f);
	for (uint32_t cycle = first; cycle < first + cycles; cycle++) {
		acks_len = run_and_kill(&f, cycle, random_next(rng) % 25, acks, acks_len);
		check(&f, acks, acks_len, stored);
	}
	fixture_remove(f.dir);
	return acks_len;
}

static void test_kill_nine_loses_nothing_acknowledged_and_writes_nothing_twice(void **state)
{
	(void)state;
	const char *cycles = getenv("HEARTH_KILL_CYCLES");
	uint32_t n = cycles == NULL ? CYCLES : (uint32_t)strtoul(cycles, NULL, 10);
	struct ack *acks = calloc(ACKS_MAX, sizeof(*acks));
	struct stored stored = { .ids = calloc(ACKS_MAX, 48), .texts = calloc(ACKS_MAX, 48) };
	size_t acks_len = 0;
	uint64_t rng = 99;

	for (uint32_t at = 0, round; at < n; at += round) {
		round = n - at < ROUND ? n - at : ROUND;
		acks_len += kill_round(at, round, acks, &stored, &rng);
	}
	assert_true(acks_len > n);
	free(acks);
	free(stored.ids);
	free(stored.texts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_kill_nine_loses_nothing_acknowledged_and_writes_nothing_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
