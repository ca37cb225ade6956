/* Remote plan: the decision, and the moments that may go along. */
#include <inttypes.h>
#include <string.h>

#include "answer/remote.h"
#include "gateway/cloud_place.h"

#define LOOK_ARENA_BYTES ((size_t)16 << 20) /* one observation and its labels at a time */

/* What stands beside the newest question may quote the timeline: earlier turns, a system
 * message that a client program wrote its memory into, the words of a tool or of a format,
 * a raw prompt, which has no parts. */
static bool more_than_a_question(const struct chat_request *request)
{
	const struct wire_chat_message *asked = request->messages;

	return request->kind != CHAT_KIND_CHAT || request->messages_len != 1 ||
	       strcmp(asked->role, "user") != 0 || asked->name[0] != '\0' ||
	       asked->tool_call_id[0] != '\0' || asked->tool_calls_json[0] != '\0' ||
	       request->forward_words;
}

static int64_t prompt_tokens(const struct remote_ask *ask)
{
	const struct prompt_config config = { .pack = ask->found };
	int64_t moments = ask->found == NULL ? 0 : ask->found->tokens;

	if (moments > host_context_tokens(ask->host))
		moments = host_context_tokens(ask->host);
	return prompt_estimate(ask->request, &config) + moments;
}

static uint32_t answer_tokens(const struct remote_ask *ask)
{
	if (ask->request->max_tokens != 0)
		return ask->request->max_tokens;
	return host_answer_tokens(ask->host);
}

/* What the policy looks at; whatever cannot be known of a moment keeps it at home. */
static enum rc look(const struct remote_ask *ask, const struct cloud_leave *leave,
    const struct observation *obs, struct arena *arena, struct route_moment *out)
{
	*out = (struct route_moment){ .layer = obs->layer, .source = obs->source };
	if (!route_needs_labels(leave))
		return RC_OK;
	enum rc rc = ask->host->labels == NULL ? RC_UNAVAILABLE
					       : ask->host->labels(ask->host->ctx, obs, arena, out);
	if (rc == RC_NOMEM)
		return rc;
	out->unlabelled = out->unlabelled || rc != RC_OK;
	return RC_OK;
}

/* What cannot be looked up may be what is to stay. */
static bool is_denied(const struct remote_ask *ask, const struct cloud_leave *leave,
    const uint8_t obs_id[OBS_ID_BYTES], struct arena *scratch)
{
	struct observation obs;
	struct route_moment moment;

	arena_reset(scratch);
	if (ask->host->observation == NULL ||
	    ask->host->observation(ask->host->ctx, obs_id, scratch, &obs, NULL) != RC_OK ||
	    look(ask, leave, &obs, scratch, &moment) != RC_OK)
		return true;
	return route_denied(leave, &moment) != ROUTE_LEAVES;
}

/* It says what it was read from, and stays with any of that. */
static bool fact_leaves(const struct remote_ask *ask, const struct cloud_leave *leave,
    const struct pack_fact *fact, struct arena *scratch)
{
	const struct route_moment itself = { .layer = fact->item.obs->layer,
		.source = fact->item.obs->source };
	bool any = leave->not_sources.len > 0 || leave->not_labels.len > 0;

	if (!leave->facts || route_denied(leave, &itself) != ROUTE_LEAVES)
		return false;
	for (size_t i = 0; any && i < fact->about_len; i++) {
		if (is_denied(ask, leave, fact->about[i], scratch))
			return false;
	}
	return true;
}

/* A copy, as the budget of an answer at home marks other ones. */
static enum rc pick_facts(
    const struct remote_ask *ask, struct remote_plan *plan, struct arena *arena)
{
	const struct cloud_leave *leave = &plan->policy.leave[plan->decision.upstream->trust];
	size_t n = ask->found->facts_len;
	struct arena scratch;

	plan->pack.facts = arena_array(arena, n, sizeof(*plan->pack.facts));
	if (plan->pack.facts == NULL)
		return RC_NOMEM;
	arena_init(&scratch, LOOK_ARENA_BYTES);
	for (size_t i = 0; i < n; i++) {
		if (fact_leaves(ask, leave, &ask->found->facts[i], &scratch))
			plan->pack.facts[plan->pack.facts_len++] = ask->found->facts[i];
		else
			plan->facts_kept++;
	}
	arena_fini(&scratch);
	return RC_OK;
}

/* Of the moments found those that may leave, as many as fit, and the facts. */
static enum rc pick(const struct remote_ask *ask, struct remote_plan *plan, struct arena *arena)
{
	const struct cloud_upstream *upstream = plan->decision.upstream;
	const struct cloud_leave *leave = &plan->policy.leave[upstream->trust];
	struct pack *pack = &plan->pack;

	if (ask->found == NULL)
		return RC_OK;
	*pack = (struct pack){ .support = ask->found->support,
		.items = arena_array(arena, ask->found->len, sizeof(*pack->items)) };
	if (pack->items == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < ask->found->len; i++) {
		const struct pack_item *item = &ask->found->items[i];
		struct route_moment moment;
		enum rc rc = look(ask, leave, item->obs, arena, &moment);
		if (rc != RC_OK)
			return rc;
		enum route_kept kept = route_moment(leave, &moment);
		plan->kept[kept]++;
		if (kept == ROUTE_LEAVES)
			pack->items[pack->len++] = *item;
	}
	enum rc rc = pick_facts(ask, plan, arena);
	if (rc != RC_OK)
		return rc;
	int64_t room = host_context_tokens(ask->host);
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
		.conversation = more_than_a_question(ask->request),
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
