/*
 * Store: random histories of small and large records, versions and reopenings.
 * What the database library leaves on disk must always pass the page checks:
 * a false alarm would lock a person out.  HEARTH_RANDOM_ROUNDS: more of it.
 */
#include "store_fixture.h"

#define ROUNDS 40
#define IDS 300
#define BATCH_MAX 60
#define TEXT_MAX ((size_t)60000)

static char text[TEXT_MAX + 1];

static size_t random_len(uint64_t *rng)
{
	switch (random_next(rng) % 8) {
	case 0:
		return random_next(rng) % TEXT_MAX;
	case 1:
		return 1500 + random_next(rng) % 4000; /* about a page */
	default:
		return random_next(rng) % 300;
	}
}

static void append_random(struct fixture *f, uint64_t *rng, uint64_t *stamp)
{
	static char ids[BATCH_MAX][16], texts[BATCH_MAX][TEXT_MAX + 1];
	struct observation obs[BATCH_MAX];
	struct store_result results[BATCH_MAX];
	size_t n = 1 + random_next(rng) % BATCH_MAX;

	for (size_t i = 0; i < n; i++) {
		size_t len = random_len(rng);
		(void)snprintf(ids[i], sizeof(ids[i]), "%u", (unsigned)(random_next(rng) % IDS));
		memcpy(texts[i], text, len);
		texts[i][len] = '\0';
		obs[i] = make_obs(
		    ids[i], T0_NS + (int64_t)(random_next(rng) % (uint64_t)NS_PER_DAY), texts[i]);
		obs[i].source_seq = ++*stamp; /* never a duplicate */
		obs[i].has_source_seq = true;
		if (random_next(rng) % 3 == 0) {
			obs[i].shape = SHAPE_INTERVAL;
			obs[i].dev_t1_ns += (int64_t)(random_next(rng) % (uint64_t)NS_PER_HOUR);
		}
	}
	PASS(store_append(f->store, obs, n, results, NULL, &pass_why));
	for (size_t i = 0; i < n; i++)
		assert_int_equal(results[i].outcome, STORE_ACCEPTED);
}

static void print_fault(void *ctx, const char *fault)
{
	(void)ctx;
	print_error("%s\n", fault);
}

static void test_random_histories_verify_and_reopen(void **state)
{
	(void)state;
	const char *more = getenv("HEARTH_RANDOM_ROUNDS");
	size_t rounds = more == NULL ? ROUNDS : (size_t)strtoul(more, NULL, 10);
	struct fixture f = { 0 };
	uint64_t rng = more == NULL ? 11 : rounds, stamp = 0;

	memset(text, 'r', TEXT_MAX);
	f.config.map_bytes = 1 << 20;
	f.config.recent_ids_max = 100;
	fixture_init(&f);
	for (size_t round = 0; round < rounds; round++) {
		for (uint64_t i = random_next(&rng) % 6; i > 0; i--)
			append_random(&f, &rng, &stamp);
		PASS(store_verify(f.store, print_fault, NULL, NULL, &pass_why));
		if (random_next(&rng) % 3 == 0) {
			fixture_close(&f);
			fixture_open(&f); /* checks every page */
		}
		assert_int_equal(store_cursor(f.store), stamp);
	}
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_histories_verify_and_reopen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
