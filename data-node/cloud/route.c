/* Route: rules tried in order, each upstream checked, reasons kept. */
#include "cloud/route.h"

#include <string.h>

const char *route_code(enum route_reason reason)
{
	static const char *const codes[] = {
#define X(name, code, words) code,
		ROUTE_REASONS(X)
#undef X
	};

	return codes[reason];
}

const char *route_words(enum route_reason reason)
{
	static const char *const words_of[] = {
#define X(name, code, words) words,
		ROUTE_REASONS(X)
#undef X
	};

	return words_of[reason];
}

enum route_reason route_spent(enum spend_limit limit)
{
	static const enum route_reason reasons[] = {
		[SPEND_DAY_TOKENS] = ROUTE_DAY_TOKENS,
		[SPEND_MONTH_TOKENS] = ROUTE_MONTH_TOKENS,
		[SPEND_DAY_MONEY] = ROUTE_DAY_MONEY,
		[SPEND_MONTH_MONEY] = ROUTE_MONTH_MONEY,
	};

	return reasons[limit];
}

bool route_names_upstream(const char *model)
{
	return strncmp(model, ROUTE_MODEL_PREFIX, strlen(ROUTE_MODEL_PREFIX)) == 0;
}

void route_step(struct route_decision *out, const char *to, enum route_reason reason)
{
	if (out->steps_len < ROUTE_STEPS_MAX)
		out->steps[out->steps_len++] = (struct route_step){ .to = to, .reason = reason };
}

const struct route_step *route_last(const struct route_decision *decision)
{
	return &decision->steps[decision->steps_len - 1];
}

/* What stands in the way: what the person allows first, then what the upstream can do. */
static bool obstacle(const struct cloud_policy *policy, const struct cloud_upstream *upstream,
    const struct route_state *state, const struct route_ask *ask, bool named,
    enum route_reason *out)
{
	const struct cloud_leave *leave = &policy->leave[upstream->trust];

	enum spend_limit limit = spend_check(
	    &upstream->budget, &state->day, &state->month, ask->prompt_tokens, ask->answer_tokens);
	if (!named && !leave->question)
		*out = ROUTE_QUESTION;
	else if (!named && ask->conversation && !leave->conversation)
		*out = ROUTE_CONVERSATION;
	else if (state->keyless)
		*out = ROUTE_KEY;
	else if (upstream->context != 0 && ask->prompt_tokens >= upstream->context)
		*out = ROUTE_CONTEXT;
	else if (limit != SPEND_FITS)
		*out = route_spent(limit);
	else if (state->down)
		*out = ROUTE_DOWN;
	else
		return false;
	return true;
}

/* True: it is taken. */
static bool try_upstream(const struct cloud_policy *policy, const struct route_state *states,
    size_t i, const struct route_ask *ask, enum route_reason taken, struct route_decision *out)
{
	const struct cloud_upstream *upstream = &policy->upstreams[i];
	enum route_reason reason = taken;

	bool blocked = obstacle(policy, upstream, &states[i], ask, taken == ROUTE_NAMED, &reason);
	route_step(out, upstream->name, reason);
	if (!blocked)
		out->upstream = upstream;
	return !blocked;
}

static bool rule_leads_to(const struct cloud_rule *rule, const struct cloud_upstream *upstream)
{
	return strcmp(rule->to, upstream->name) == 0 ||
	       strcmp(rule->to, cloud_size_word(upstream->size)) == 0;
}

static bool rule_holds(
    const struct cloud_rule *rule, const struct route_ask *ask, struct route_decision *out)
{
	if (rule->when == CLOUD_LONG && ask->prompt_tokens < rule->tokens)
		route_step(out, rule->to, ROUTE_NOT_LONG);
	else if (rule->when == CLOUD_AWAY && ask->local)
		route_step(out, rule->to, ROUTE_NOT_AWAY);
	else
		return true;
	return false;
}

static void decide_hearth(const struct cloud_policy *policy, const struct route_state *states,
    const struct route_ask *ask, struct route_decision *out)
{
	if (policy->rules_len == 0)
		route_step(out, "", ROUTE_NO_RULE);
	for (size_t i = 0; i < policy->rules_len; i++) {
		if (!rule_holds(&policy->rules[i], ask, out))
			continue;
		for (size_t j = 0; j < policy->upstreams_len; j++) {
			if (rule_leads_to(&policy->rules[i], &policy->upstreams[j]) &&
			    try_upstream(policy, states, j, ask, ROUTE_RULE, out))
				return;
		}
	}
	/* Rules for a size that no upstream has. */
	if (out->steps_len == 0)
		route_step(out, policy->rules[0].to, ROUTE_UNKNOWN);
}

void route_decide(const struct cloud_policy *policy, const struct route_state *states,
    const struct route_ask *ask, struct route_decision *out)
{
	*out = (struct route_decision){ .upstream = NULL };
	if (!route_names_upstream(ask->model)) {
		decide_hearth(policy, states, ask, out);
		return;
	}
	const char *name = ask->model + strlen(ROUTE_MODEL_PREFIX);
	const struct cloud_upstream *upstream = cloud_policy_find(policy, name);
	if (upstream == NULL)
		route_step(out, name, ROUTE_UNKNOWN);
	else
		(void)try_upstream(
		    policy, states, (size_t)(upstream - policy->upstreams), ask, ROUTE_NAMED, out);
}

/* ---- moments ---- */

static bool lists(const struct cloud_words *words, const char *word)
{
	for (size_t i = 0; i < words->len; i++) {
		if (strcmp(words->words[i], word) == 0)
			return true;
	}
	return false;
}

/* "scene" stands for "scene=work" too. */
static bool lists_label(const struct cloud_words *words, const struct route_moment *moment)
{
	for (size_t i = 0; i < words->len; i++) {
		size_t len = strlen(words->words[i]);
		for (size_t j = 0; j < moment->labels_len; j++) {
			const char *label = moment->labels[j];
			if (strncmp(label, words->words[i], len) == 0 &&
			    (label[len] == '\0' || label[len] == '='))
				return true;
		}
	}
	return false;
}

enum route_kept route_moment(const struct cloud_leave *leave, const struct route_moment *moment)
{
	if ((leave->layers & LAYER_MASK(moment->layer)) == 0 &&
	    !lists(&leave->sources, moment->source) && !lists_label(&leave->labels, moment))
		return ROUTE_KEPT_LAYER;
	return route_denied(leave, moment);
}

enum route_kept route_denied(const struct cloud_leave *leave, const struct route_moment *moment)
{
	if (lists(&leave->not_sources, moment->source))
		return ROUTE_KEPT_SOURCE;
	if (lists_label(&leave->not_labels, moment))
		return ROUTE_KEPT_LABEL;
	if (leave->not_labels.len > 0 && moment->unlabelled)
		return ROUTE_KEPT_UNLABELLED;
	return ROUTE_LEAVES;
}

const char *route_kept_word(enum route_kept kept)
{
	static const char *const words[ROUTE_KEPT_COUNT] = { "leaves", "layer", "source", "label",
		"unlabelled" };

	return words[kept];
}

bool route_needs_labels(const struct cloud_leave *leave)
{
	return leave->labels.len > 0 || leave->not_labels.len > 0;
}
