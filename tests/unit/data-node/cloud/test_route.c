/* Routes: who is asked under which policy, why not, and which moments may go along. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cloud/route.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

static struct cloud_policy two_upstreams(void)
{
	return (struct cloud_policy){
		.upstreams = { { .name = "near", .size = CLOUD_MEDIUM, .trust = CLOUD_HOME },
		    { .name = "far",
			.size = CLOUD_LARGE,
			.trust = CLOUD_OUTSIDE,
			.context = 4000,
			.budget = { .day_tokens = 1000 } } },
		.upstreams_len = 2,
	};
}

/* A row changes what its letters say. */
struct row {
	const char *what, *model;
	const char *rules;   /* "nl": always to near, then always to large; capital: when away */
	const char *allowed; /* "qc": question, conversation; of home; "QC": of outside */
	const char *ask;     /* "c" conversation, "l" local is there, "L" long */
	const char *states;  /* "d" near is down, "D" far is; "K" far has no key, "S" is spent */
	const char *to;      /* NULL: at home */
	const char *code;
};

static bool has(const char *letters, char letter)
{
	return strchr(letters, letter) != NULL;
}

static void add_rules(struct cloud_policy *policy, const char *letters)
{
	for (; *letters != '\0'; letters++) {
		struct cloud_rule *rule = &policy->rules[policy->rules_len++];
		rule->to = *letters == 'n' || *letters == 'N' ? "near"
			   : *letters == 'm'                  ? "medium"
							      : "large";
		rule->when = *letters == 'N' || *letters == 'L' ? CLOUD_AWAY
			     : *letters == 'g'                  ? CLOUD_LONG
								: CLOUD_ALWAYS;
		rule->tokens = 500;
	}
}

static void decide(const struct row *row, struct cloud_policy *policy, struct route_decision *out)
{
	*policy = two_upstreams();
	struct route_state states[CLOUD_UPSTREAMS_MAX] = { 0 };
	const struct route_ask ask = {
		.model = row->model,
		.conversation = has(row->ask, 'c'),
		.local = has(row->ask, 'l'),
		.prompt_tokens = has(row->ask, 'L')   ? 600
				 : has(row->ask, 'H') ? 4000
						      : 100,
		.answer_tokens = 50,
	};

	add_rules(policy, row->rules);
	policy->leave[CLOUD_HOME].question = has(row->allowed, 'q');
	policy->leave[CLOUD_HOME].conversation = has(row->allowed, 'c');
	policy->leave[CLOUD_OUTSIDE].question = has(row->allowed, 'Q');
	policy->leave[CLOUD_OUTSIDE].conversation = has(row->allowed, 'C');
	states[0].down = has(row->states, 'd');
	states[1].down = has(row->states, 'D');
	states[1].keyless = has(row->states, 'K');
	states[1].day.in = has(row->states, 'S') ? 900 : 0;
	route_decide(policy, states, &ask, out);
}

static void test_each_request_goes_where_the_policy_says(void **state)
{
	static const struct row rows[] = {
		{ "by default hearth stays", "hearth", "", "", "", "", NULL, "no-rule" },
		{ "also where much may leave", "hearth", "", "qcQC", "", "", NULL, "no-rule" },
		{ "a rule alone lets nothing out", "hearth", "n", "", "", "", NULL, "question" },
		{ "the other trust's word does not count", "hearth", "l", "q", "", "", NULL,
		    "question" },
		{ "with the question it may", "hearth", "n", "q", "", "", "near", "rule" },
		{ "but not with earlier turns", "hearth", "n", "q", "c", "", NULL, "conversation" },
		{ "unless they may too", "hearth", "n", "qc", "c", "", "near", "rule" },
		{ "the next rule", "hearth", "nl", "qQ", "", "d", "far", "rule" },
		{ "a size", "hearth", "m", "q", "", "", "near", "rule" },
		{ "all are down", "hearth", "nl", "qQ", "", "dD", NULL, "down" },
		{ "only while no node is there", "hearth", "N", "q", "l", "", NULL, "not-away" },
		{ "and none is", "hearth", "N", "q", "", "", "near", "rule" },
		{ "only long prompts", "hearth", "g", "Q", "", "", NULL, "not-long" },
		{ "a long one", "hearth", "g", "Q", "L", "", "far", "rule" },
		{ "longer than the context", "hearth", "l", "Q", "H", "", NULL, "context" },
		{ "the day is spent", "hearth", "l", "Q", "", "S", NULL, "day-tokens" },
		{ "the key is gone", "hearth", "l", "Q", "", "K", NULL, "key" },
		{ "what may not leave is said first", "hearth", "l", "", "H", "DKS", NULL,
		    "question" },
		{ "who names it needs no rule", "cloud/far", "", "", "c", "", "far", "named" },
		{ "named, and down", "cloud/far", "", "", "", "D", NULL, "down" },
		{ "named, and spent", "cloud/far", "n", "q", "", "S", NULL, "day-tokens" },
		{ "named, and not there", "cloud/big", "n", "q", "", "", NULL, "unknown" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct cloud_policy policy;
		struct route_decision out;
		decide(&rows[i], &policy, &out);
		const char *to = out.upstream == NULL ? NULL : out.upstream->name;
		const char *code = route_code(route_last(&out)->reason);
		bool same = to == NULL || rows[i].to == NULL ? to == rows[i].to
							     : strcmp(to, rows[i].to) == 0;
		if (!same || strcmp(code, rows[i].code) != 0)
			fail_msg("%s: %s, %s", rows[i].what, to == NULL ? "home" : to, code);
	}
}

static void test_every_step_is_told(void **state)
{
	static const struct row row = { "", "hearth", "Nml", "qQ", "l", "dD", NULL, NULL };
	struct cloud_policy policy;
	struct route_decision out;

	(void)state;
	decide(&row, &policy, &out);
	assert_int_equal(out.steps_len, 3);
	assert_string_equal(out.steps[0].to, "near");
	assert_int_equal(out.steps[0].reason, ROUTE_NOT_AWAY);
	assert_int_equal(out.steps[1].reason, ROUTE_DOWN);
	assert_string_equal(out.steps[2].to, "far");
	for (int r = 0; r <= ROUTE_FAULTY; r++) {
		assert_true(strlen(route_code((enum route_reason)r)) > 0);
		assert_true(strlen(route_words((enum route_reason)r)) > 0);
	}
}

static void test_moments_leave_only_by_what_is_listed(void **state)
{
	static const char *watch[] = { "watch" }, *diary[] = { "diary" };
	static const char *work[] = { "scene=work" }, *scene[] = { "scene" }, *sce[] = { "sce" };
	static const char *const at_work[] = { "language=de", "scene=work" };
	const struct {
		struct cloud_leave leave;
		struct route_moment moment;
		enum route_kept want;
	} rows[] = {
		{ { 0 }, { LAYER_TEXT, "phone", NULL, 0, false }, ROUTE_KEPT_LAYER },
		{ { .question = true, .conversation = true, .facts = true },
		    { LAYER_TEXT, "phone", NULL, 0, false }, ROUTE_KEPT_LAYER },
		{ { .layers = LAYER_MASK(LAYER_TEXT) }, { LAYER_TEXT, "phone", NULL, 0, false },
		    ROUTE_LEAVES },
		{ { .layers = LAYER_MASK(LAYER_TEXT) }, { LAYER_HOME, "phone", NULL, 0, false },
		    ROUTE_KEPT_LAYER },
		{ { .sources = { watch, 1 } }, { LAYER_BEHAVIOUR, "watch", NULL, 0, false },
		    ROUTE_LEAVES },
		{ { .labels = { work, 1 } }, { LAYER_TEXT, "phone", at_work, 2, false },
		    ROUTE_LEAVES },
		{ { .labels = { scene, 1 } }, { LAYER_TEXT, "phone", at_work, 2, false },
		    ROUTE_LEAVES },
		{ { .labels = { sce, 1 } }, { LAYER_TEXT, "phone", at_work, 2, false },
		    ROUTE_KEPT_LAYER },
		/* What is kept wins over what may leave. */
		{ { .layers = LAYER_MASK(LAYER_TEXT), .not_sources = { diary, 1 } },
		    { LAYER_TEXT, "diary", NULL, 0, false }, ROUTE_KEPT_SOURCE },
		{ { .layers = LAYER_MASK(LAYER_TEXT), .not_labels = { work, 1 } },
		    { LAYER_TEXT, "phone", at_work, 2, false }, ROUTE_KEPT_LABEL },
		{ { .layers = LAYER_MASK(LAYER_TEXT), .not_labels = { work, 1 } },
		    { LAYER_TEXT, "phone", at_work, 1, false }, ROUTE_LEAVES },
		/* What nobody has looked at yet may bear the label tomorrow. */
		{ { .layers = LAYER_MASK(LAYER_TEXT), .not_labels = { work, 1 } },
		    { LAYER_TEXT, "phone", NULL, 0, true }, ROUTE_KEPT_UNLABELLED },
		{ { .layers = LAYER_MASK(LAYER_TEXT) }, { LAYER_TEXT, "phone", NULL, 0, true },
		    ROUTE_LEAVES },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		enum route_kept got = route_moment(&rows[i].leave, &rows[i].moment);
		if (got != rows[i].want)
			fail_msg("row %zu: %s", i, route_kept_word(got));
	}
	assert_false(route_needs_labels(&rows[2].leave));
	assert_true(route_needs_labels(&rows[5].leave));
	assert_true(route_needs_labels(&rows[9].leave));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_request_goes_where_the_policy_says),
		cmocka_unit_test(test_every_step_is_told),
		cmocka_unit_test(test_moments_leave_only_by_what_is_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
