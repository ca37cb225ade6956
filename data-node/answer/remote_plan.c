/* Remote plan: the decision, and the moments that may go along. */
#include <inttypes.h>
#include <string.h>

#include "answer/remote.h"
#include "gateway/cloud_place.h"

#define CONTEXT_TOKENS 2000
#define ANSWER_TOKENS 1024u

/* What was said before the newest question: it may quote the timeline. */
static bool has_turns(const struct chat_request *request)
{
	for (size_t i = 0; i + 1 < request->messages_len; i++) {
		if (strcmp(request->messages[i].role, "system") != 0)
			return true;
	}
	return false;
}

static int64_t budget_of(const struct remote_ask *ask)
{
	return ask->host->context_tokens == 0 ? CONTEXT_TOKENS : ask->host->context_tokens;
}

static int64_t prompt_tokens(const struct remote_ask *ask)
{
	const struct prompt_config config = { .pack = ask->found };
	int64_t moments = ask->found == NULL ? 0 : ask->found->tokens;

	if (moments > budget_of(ask))
		moments = budget_of(ask);
	return prompt_estimate(ask->request, &config) + moments;
}

static uint32_t answer_tokens(const struct remote_ask *ask)
{
	if (ask->request->max_tokens != 0)
		return ask->request->max_tokens;
	return ask->host->answer_tokens == 0 ? ANSWER_TOKENS : ask->host->answer_tokens;
}

/* Whatever cannot be known of a moment keeps it at home. */
static enum rc look(const struct remote_ask *ask, const struct cloud_leave *leave,
    const struct observation *obs, struct arena *arena, enum route_kept *out)
{
	struct route_moment moment = { .layer = obs->layer, .source = obs->source };

	if (route_needs_labels(leave)) {
		enum rc rc = ask->host->labels == NULL
				 ? RC_UNAVAILABLE
				 : ask->host->labels(ask->host->ctx, obs, arena, &moment);
		if (rc == RC_NOMEM)
			return rc;
		moment.unlabelled = moment.unlabelled || rc != RC_OK;
	}
	*out = route_moment(leave, &moment);
	return RC_OK;
}

/* All of what is known of the person, or nothing; a copy, as the budget of an answer at
 * home marks other ones. */
static enum rc pick_facts(
    const struct remote_ask *ask, struct remote_plan *plan, struct arena *arena)
{
	const struct cloud_upstream *upstream = plan->decision.upstream;
	size_t n = ask->found->facts_len;

	if (n == 0)
		return RC_OK;
	if (!plan->policy.leave[upstream->trust].facts) {
		plan->facts_kept = (uint32_t)n;
		return RC_OK;
	}
	plan->pack.facts = arena_array(arena, n, sizeof(*plan->pack.facts));
	if (plan->pack.facts == NULL)
		return RC_NOMEM;
	memcpy(plan->pack.facts, ask->found->facts, n * sizeof(*plan->pack.facts));
	plan->pack.facts_len = n;
	return RC_OK;
}

/* Of the moments found those that may leave, as many as fit, and the facts. */
static enum rc pick(const struct remote_ask *ask, struct remote_plan *plan, struct arena *arena)
{
	const struct cloud_upstream *upstream = plan->decision.upstream;
	struct pack *pack = &plan->pack;

	if (ask->found == NULL)
		return RC_OK;
	*pack = (struct pack){ .support = ask->found->support,
		.items = arena_array(arena, ask->found->len, sizeof(*pack->items)) };
	if (pack->items == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < ask->found->len; i++) {
		const struct pack_item *item = &ask->found->items[i];
		enum route_kept kept = ROUTE_KEPT_LAYER;
		enum rc rc =
		    look(ask, &plan->policy.leave[upstream->trust], item->obs, arena, &kept);
		if (rc != RC_OK)
			return rc;
		plan->kept[kept]++;
		if (kept == ROUTE_LEAVES)
			pack->items[pack->len++] = *item;
	}
	enum rc rc = pick_facts(ask, plan, arena);
	if (rc != RC_OK)
		return rc;
	int64_t room = budget_of(ask);
	if (upstream->context != 0 && room > upstream->context / 2)
		room = upstream->context / 2;
	pack_fit(pack, (uint32_t)room);
	for (size_t i = 0; i < pack->len; i++)
		plan->leaving[pack->items[i].obs->layer]++;
	for (size_t i = 0; i < pack->facts_len; i++)
		plan->facts += pack->facts[i].kept;
	return RC_OK;
}

static enum rc decide(const struct remote_ask *ask, struct remote_plan *plan)
{
	struct route_state states[CLOUD_UPSTREAMS_MAX] = { 0 };
	const struct route_ask route = {
		.model = ask->request->model,
		.conversation = has_turns(ask->request),
		.local = ask->local,
		.prompt_tokens = prompt_tokens(ask),
		.answer_tokens = plan->answer_tokens,
	};

	enum rc rc = cloud_place_states(ask->host->cloud, &plan->policy, plan->day, states, NULL);
	if (rc == RC_NOMEM)
		return rc;
	if (rc == RC_OK)
		route_decide(&plan->policy, states, &route, &plan->decision);
	else
		route_step(&plan->decision, "", ROUTE_LEDGER);
	return RC_OK;
}

enum rc remote_plan(const struct remote_ask *ask, struct arena *arena, struct remote_plan **out)
{
	const struct host *host = ask->host;

	if (host->cloud == NULL)
		return RC_NOTFOUND;
	struct remote_plan *plan = arena_alloc(arena, sizeof(*plan));
	if (plan == NULL)
		return RC_NOMEM;
	plan->answer_tokens = answer_tokens(ask);
	plan->day = spend_day(ask->now_utc_ns,
	    host->offset_s == NULL ? 0 : host->offset_s(host->ctx, ask->now_utc_ns));
	enum rc rc = cloud_place_policy(host->cloud, arena, &plan->policy, NULL);
	if (rc == RC_NOMEM)
		return rc;
	if (rc != RC_OK) {
		route_step(&plan->decision, "", ROUTE_POLICY);
		*out = plan;
		return RC_OK;
	}
	if (ask->request->hearth && plan->policy.rules_len == 0)
		return RC_NOTFOUND;
	rc = decide(ask, plan);
	if (rc == RC_OK && plan->decision.upstream != NULL)
		rc = pick(ask, plan, arena);
	if (rc == RC_OK)
		*out = plan;
	return rc;
}

/* ---- told ---- */

static void put_step(struct buf *out, const struct route_step *step)
{
	buf_puts(out, "{\"to\":");
	buf_json_string(out, step->to, strlen(step->to));
	buf_printf(out, ",\"reason\":\"%s\"}", route_code(step->reason));
}

void remote_told(const struct remote_plan *plan, struct buf *out)
{
	const struct route_decision *decision = &plan->decision;
	const struct route_step *last = route_last(decision);
	bool any = false;

	buf_printf(out, "{\"to\":\"%s%s\",\"reason\":\"%s\",\"words\":\"%s\"",
	    decision->upstream != NULL ? ROUTE_MODEL_PREFIX : "",
	    decision->upstream != NULL ? decision->upstream->name : "local",
	    route_code(last->reason), route_words(last->reason));
	if (decision->upstream != NULL) {
		buf_printf(out, ",\"moments\":{\"sent\":%zu,\"kept\":{", plan->pack.len);
		for (int kept = ROUTE_LEAVES + 1; kept < ROUTE_KEPT_COUNT; kept++) {
			if (plan->kept[kept] == 0)
				continue;
			buf_printf(out, "%s\"%s\":%" PRIu32, any ? "," : "",
			    route_kept_word((enum route_kept)kept), plan->kept[kept]);
			any = true;
		}
		buf_puts(out, "}}");
		if (plan->facts + plan->facts_kept > 0)
			buf_printf(out, ",\"facts\":{\"sent\":%" PRIu32 ",\"kept\":%" PRIu32 "}",
			    plan->facts, plan->facts_kept);
	}
	buf_puts(out, ",\"tried\":[");
	for (size_t i = 0; i < decision->steps_len; i++) {
		buf_puts(out, i > 0 ? "," : "");
		put_step(out, &decision->steps[i]);
	}
	buf_puts(out, "]}");
}
