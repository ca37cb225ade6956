/*
 * Budgets of answers from elsewhere: what is asked for, what is counted, and that a second
 * try is counted too.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "remote_world.h"

/* The budget is asked for the one that goes along, and there is no other. */
static void test_one_limit_of_tokens_goes_along(void **state)
{
	(void)state;
	policy(",\"day_tokens\":100", "");
	read_all(ASK_NEAR ",\"max_completion_tokens\":5,\"max_tokens\":90000}");
	assert_true(reads("from elsewhere"));
	assert_true(fake_upstream_saw(&fake, "\"max_completion_tokens\":5,"));
	assert_false(fake_upstream_saw(&fake, "90000"));
	read_all(ASK_NEAR ",\"max_completion_tokens\":null,\"max_tokens\":6}");
	assert_true(fake_upstream_saw(&fake, "\"max_tokens\":6,"));
}

static void test_a_budget_that_is_spent_answers_at_home(void **state)
{
	(void)state;
	policy(",\"day_tokens\":60,\"price_in\":2,\"price_out\":10", "");
	read_all(ASK_NEAR ",\"max_tokens\":3}");
	assert_true(reads("from elsewhere"));
	struct spend spent = spent_so_far();
	assert_int_equal(spent.in, 11); /* as it counts them */
	assert_int_equal(spent.out, 3);
	assert_int_equal(spent.micros, 22 + 30);
	fake_upstream_turn(&fake, said, 1);
	read_all(ASK_NEAR ",\"max_tokens\":300}");
	assert_true(reads("\"route\":{\"to\":\"local\",\"reason\":\"day-tokens\""));
	assert_true(reads("one0"));
	assert_int_equal(fake.connections, 0);
	assert_int_equal(world.appends, 0);
	expect_line("cloud-stay", "near reason=day-tokens");
}

static size_t asked_lines(void)
{
	struct catalogue_audit *lines = NULL;
	size_t len = 0, n = 0;

	assert_int_equal(
	    catalogue_audit_list(catalogue, false, 100, &world.arena, &lines, &len, NULL), RC_OK);
	for (size_t i = 0; i < len; i++)
		n += strcmp(lines[i].action, "cloud-ask") == 0;
	return n;
}

/* An answer that counts as so many whole requests. */
static void expect_spent(const struct fake_answer *answer, const char *more, int64_t times)
{
	struct spend before = spent_so_far();
	size_t lines = asked_lines();

	policy(more, "");
	cloud_place_fell(world.host.cloud, "near", false);
	fake_upstream_turn(&fake, answer, 1);
	read_all(ASK_NEAR ",\"max_tokens\":300}");
	assert_false(reads("elsewhere"));
	struct spend after = spent_so_far();
	assert_int_equal(after.out - before.out, times * 300);
	assert_int_equal(after.in - before.in > 0, times > 0);
	/* Each time that it left stands in the ledger. */
	assert_int_equal(asked_lines() - lines, fake.connections);
}

static void test_what_may_have_been_worked_on_counts_as_spent(void **state)
{
	static const struct fake_answer dead = { "", false }, silent = { "", true };
	static const struct fake_answer busy = { "HTTP/1.1 429 Slow\r\nConnection: close\r\n\r\n",
		false };
	static const struct fake_answer away = { "HTTP/1.1 503 Away\r\nConnection: close\r\n\r\n",
		false };

	(void)state;
	expect_spent(&dead, "", 2);
	/* A budget that holds one more holds no second try. */
	expect_spent(&dead, ",\"day_tokens\":1200", 1);
	expect_spent(&silent, ",\"idle_s\":0.1", 1);
	expect_spent(&busy, "", 0);
	expect_spent(&away, "", 0);
}

static void test_a_second_try_that_is_answered_counts_both(void **state)
{
	static const struct fake_answer then[] = { { "", false },
		{ FAKE_STREAM FAKE_TEXT("from elsewhere") FAKE_END, false } };

	(void)state;
	policy("", "");
	fake_upstream_turn(&fake, then, 2);
	read_all(ASK_NEAR ",\"max_tokens\":300}");
	assert_true(reads("from elsewhere"));
	assert_true(reads("\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":3"));
	assert_int_equal(spent_so_far().out, 300 + 3);
	assert_int_equal(asked_lines(), 2);
}

static void test_usage_of_what_broke_off_counts_no_less_than_what_came(void **state)
{
	static const struct fake_answer half[] = { { FAKE_STREAM
	    "data: {\"choices\":[{\"delta\":{\"content\":\"half of what was meant\"}}],"
	    "\"usage\":{\"prompt_tokens\":5000,\"completion_tokens\":1}}\n\n",
	    false } };

	(void)state;
	policy("", "");
	fake_upstream_turn(&fake, half, 1);
	read_all(ASK_NEAR "}");
	assert_int_equal(spent_so_far().in, 5000);
	assert_int_equal(spent_so_far().out, 6);
}

/* ---- many at once ---- */

#define THREADS 4
#define ASKS 50
#define DAY 20261127
#define DAY_TOKENS 10 /* of one request: whoever is second has to wait for the first */

struct asker {
	struct cloud_upstream upstream;
	unsigned fits;
	enum rc rc;
	pthread_t thread;
};

/* -1: they cannot be had. */
static int64_t tokens_of_day(void)
{
	struct spend spent;

	return catalogue_spend_sum(catalogue, "near", DAY, DAY, &spent, NULL) == RC_OK
		   ? spent.in + spent.out
		   : -1;
}

/* It comes to nothing in the end, so the next one may spend it again. */
static enum rc reserve_one(struct asker *asker)
{
	const struct spend one = { .in = 7, .out = 3 }, none = { .in = 0 };
	struct cloud_place *place = world.host.cloud;
	enum spend_limit limit = SPEND_FITS;

	enum rc rc = cloud_place_reserve(place, &asker->upstream, DAY, &one, &limit, NULL);
	int64_t tokens = tokens_of_day();
	if (tokens < 0 || tokens > DAY_TOKENS)
		return RC_LIMIT;
	if (rc != RC_OK || limit != SPEND_FITS)
		return rc;
	asker->fits++;
	return cloud_place_settle(place, &asker->upstream, DAY, &one, &none, NULL);
}

static void *ask_often(void *ctx)
{
	struct asker *asker = ctx;

	for (int i = 0; i < ASKS && asker->rc == RC_OK; i++)
		asker->rc = reserve_one(asker);
	return NULL;
}

static void test_a_budget_holds_however_many_ask_at_once(void **state)
{
	struct asker askers[THREADS];
	unsigned fits = 0;

	(void)state;
	for (size_t i = 0; i < THREADS; i++) {
		askers[i] = (struct asker){ .upstream = { .name = "near",
						.budget = { .day_tokens = DAY_TOKENS } } };
		assert_int_equal(pthread_create(&askers[i].thread, NULL, ask_often, &askers[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(askers[i].thread, NULL), 0);
		assert_int_equal(askers[i].rc, RC_OK);
		fits += askers[i].fits;
	}
	assert_true(fits > 0);
	assert_int_equal(tokens_of_day(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REMOTE_TEST(test_one_limit_of_tokens_goes_along),
		REMOTE_TEST(test_a_budget_that_is_spent_answers_at_home),
		REMOTE_TEST(test_what_may_have_been_worked_on_counts_as_spent),
		REMOTE_TEST(test_a_second_try_that_is_answered_counts_both),
		REMOTE_TEST(test_usage_of_what_broke_off_counts_no_less_than_what_came),
		REMOTE_TEST(test_a_budget_holds_however_many_ask_at_once),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
