/*
 * Recall on a labelled month: how much of what a question needs fits into 2,000
 * tokens of the moments found for it, and whether what is not there is found not
 * to be.  `test_recall_set -v` lists the questions that miss something.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "recall/diverse.h"
#include "recall/document.h"
#include "recall/recall.h"
#include "recall/search.h"
#include "recall_month.h"

#define BUDGET_TOKENS 2000
#define LINE_BYTES 48 /* around a moment's text: id, time, source, kind */
#define K 300

static struct recall_month month;
static struct language_model *model;
static struct document_talks *talks;
static struct index *recall_index;
static bool verbose;

static int setup(void **state)
{
	(void)state;
	recall_month_init(&month, RECALL_MONTH_SEED);
	if (language_new(&model) != RC_OK || document_talks_new(model, &talks) != RC_OK ||
	    index_new(&recall_index) != RC_OK)
		return -1;
	for (size_t i = 0; i < month.moments_len; i++) {
		bool added;
		if (document_take(recall_index, talks, &month.moments[i], &added) != RC_OK)
			return -1;
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	document_talks_free(talks);
	language_free(model);
	index_free(recall_index);
	recall_month_fini(&month);
	return 0;
}

static void find(const struct recall_question *question, struct arena *arena, struct search *search)
{
	enum language languages[LANGUAGE_COUNT];
	size_t len = strlen(question->text);
	size_t languages_len = document_languages(talks, question->text, len, languages);
	struct timewords when;

	assert_int_equal(recall_when(recall_index, question->text, len, languages, languages_len,
			     month.now_ns, 0, arena, &when),
	    RC_OK);
	*search = (struct search){ .k = K,
		.range = { .set = when.found, .from_ns = when.from_ns, .to_ns = when.to_ns },
		.range_is_hint = when.found };
	assert_int_equal(search_prepare(search, languages, languages_len, question->text, len,
			     when.begin, when.end, arena),
	    RC_OK);
	assert_int_equal(search_run(recall_index, search), RC_OK);
}

static bool needs(const struct recall_question *question, uint64_t seq)
{
	for (size_t i = 0; i < question->needed_len; i++) {
		if (question->needed[i] + 1 == seq)
			return true;
	}
	return false;
}

/* As they go into a prompt: what says something new first. */
static void vary(struct arena *arena, struct search *search)
{
	struct diverse_item items[K];
	struct search_hit hits[K];

	for (size_t i = 0; i < search->hits_len; i++) {
		const struct observation *obs = &month.moments[search->hits[i].seq - 1];
		items[i] = (struct diverse_item){ .text = obs->text[0] != '\0' ? obs->text
									       : obs->data_json,
			.t0_ns = obs->place.t0_ns,
			.score = search->hits[i].score };
	}
	assert_int_equal(diverse_rank(recall_index, items, search->hits_len, arena), RC_OK);
	for (size_t i = 0; i < search->hits_len; i++)
		hits[i] = (struct search_hit){ search->hits[items[i].place].seq, items[i].score };
	memcpy(search->hits, hits, search->hits_len * sizeof *hits);
}

/* Share of the needed moments among the best ones that fit the budget. */
static double coverage(const struct recall_question *question)
{
	struct search search;
	struct arena arena;
	size_t used = 0, found = 0;

	arena_init(&arena, (size_t)4 << 20);
	find(question, &arena, &search);
	vary(&arena, &search);
	for (size_t i = 0; i < search.hits_len; i++) {
		const struct observation *obs = &month.moments[search.hits[i].seq - 1];
		size_t bytes = strlen(obs->text[0] != '\0' ? obs->text : obs->data_json);
		used += (bytes + LINE_BYTES) / 4 + 1;
		if (used > BUDGET_TOKENS)
			break;
		found += needs(question, search.hits[i].seq);
	}
	arena_fini(&arena);
	double share = (double)found / (double)question->needed_len;
	if (verbose && share < 1)
		printf("  %.2f %s | %s\n", share, question->text,
		    month.moments[question->needed[0]].text);
	return share;
}

struct part {
	double sum;
	size_t len;
};

static double mean(const struct part *part)
{
	return part->len == 0 ? 1 : part->sum / (double)part->len;
}

static void test_2000_tokens_hold_what_questions_need(void **state)
{
	static const char *const names[] = { "single fact", "several", "temporal" };
	struct part all = { 0 }, kinds[RECALL_KINDS] = { 0 }, splits[2] = { 0 }, hand = { 0 },
		    languages[LANGUAGE_COUNT] = { 0 };

	(void)state;
	assert_true(month.questions_len >= 300);
	for (size_t i = 0; i < month.questions_len; i++) {
		const struct recall_question *question = &month.questions[i];
		if (question->kind == RECALL_ABSENT)
			continue;
		double share = coverage(question);
		struct part *parts[] = { &all, &kinds[question->kind], &splits[i % 2],
			&languages[question->language], question->by_hand ? &hand : NULL };
		for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++) {
			if (parts[k] != NULL) {
				parts[k]->sum += share;
				parts[k]->len++;
			}
		}
	}
	print_message("%zu moments, %zu questions; needed moments in %d tokens:\n",
	    month.moments_len, month.questions_len, BUDGET_TOKENS);
	for (size_t i = 0; i < RECALL_ABSENT; i++)
		print_message("  %-12s %4zu  %.3f\n", names[i], kinds[i].len, mean(&kinds[i]));
	for (size_t i = 0; i < LANGUAGE_COUNT; i++) {
		if (languages[i].len > 0)
			print_message("  %-12s %4zu  %.3f\n", language_code((enum language)i),
			    languages[i].len, mean(&languages[i]));
	}
	print_message("  %-12s %4zu  %.3f\n  tuned on     %4zu  %.3f\n  not tuned on %4zu  %.3f\n",
	    "by hand", hand.len, mean(&hand), splits[0].len, mean(&splits[0]), splits[1].len,
	    mean(&splits[1]));
	assert_true(mean(&all) >= 0.90);
	assert_true(mean(&splits[1]) >= 0.90);
	assert_true(mean(&kinds[RECALL_TEMPORAL]) >= 0.95);
}

/* What is not there: the best hits do not hold what is asked for. */
static void test_what_nothing_answers_is_said_to_be_absent(void **state)
{
	struct part absent[2] = { 0 }, answered[2] = { 0 };

	(void)state;
	for (size_t i = 0; i < month.questions_len; i++) {
		const struct recall_question *question = &month.questions[i];
		struct search search;
		struct arena arena;
		arena_init(&arena, (size_t)4 << 20);
		find(question, &arena, &search);
		bool refused = search.support < RECALL_SUPPORT_MIN;
		struct part *part =
		    question->kind == RECALL_ABSENT ? &absent[i % 2] : &answered[i % 2];
		part->sum += refused;
		part->len++;
		if (verbose && refused != (question->kind == RECALL_ABSENT))
			printf("  %.2f %s (%zu)\n", search.support, question->text, i % 2);
		arena_fini(&arena);
	}
	for (size_t i = 0; i < 2; i++)
		print_message("%s: said to be absent: %.3f of %zu that are, %.3f of %zu that are "
			      "not\n",
		    i == 0 ? "tuned on" : "not tuned on", mean(&absent[i]), absent[i].len,
		    mean(&answered[i]), answered[i].len);
	for (size_t i = 0; i < 2; i++) {
		assert_true(mean(&absent[i]) >= 0.95);
		assert_true(mean(&answered[i]) <= 0.10);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_2000_tokens_hold_what_questions_need),
		cmocka_unit_test(test_what_nothing_answers_is_said_to_be_absent),
	};

	verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
	return cmocka_run_group_tests(tests, setup, teardown);
}
