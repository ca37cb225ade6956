/*
 * Plain structs → protobuf Envelope → bytes.  The structs of the generated
 * code are built in a scratch arena; strings and bytes are borrowed.
 */
#include <stdalign.h>
#include <stddef.h>
#include <string.h>

#include "compute.pb-c.h"
#include "wire/message.h"
#include "wire/message_check.h"

/* What messages of every token need; larger ones take memory besides. */
#define SCRATCH_BYTES 2048

/* One body (or part of one) in the scratch arena; returns RC_NOMEM. */
#define NEW(var, Type, type)                                                                       \
	Hearth__Compute__##Type *var = arena_alloc(arena, sizeof(*var));                           \
	if (var == NULL)                                                                           \
		return RC_NOMEM;                                                                   \
	hearth__compute__##type##__init(var)

/* The same as the body of `env`. */
#define NEW_BODY(var, Type, type, TYPE)                                                            \
	NEW(var, Type, type);                                                                      \
	env->body_case = HEARTH__COMPUTE__ENVELOPE__BODY_##TYPE;                                   \
	env->type = var

static char *text_of(const char *text)
{
	return text == NULL ? (char *)"" : (char *)text;
}

static ProtobufCBinaryData bytes_of(const uint8_t *bytes, size_t len)
{
	return (ProtobufCBinaryData){ .len = len, .data = (uint8_t *)bytes };
}

static enum rc put_load(
    struct arena *arena, const struct wire_load *load, Hearth__Compute__Load **out)
{
	NEW(to, Load, load);
	to->active = load->active;
	to->queued = load->queued;
	to->slots = load->slots;
	to->tokens_per_second = load->tokens_per_second;
	*out = to;
	return RC_OK;
}

static enum rc put_hello(
    struct arena *arena, const struct wire_hello *body, Hearth__Compute__Envelope *env)
{
	NEW_BODY(to, Hello, hello, HELLO);
	to->protocol_min = body->protocol_min;
	to->protocol_max = body->protocol_max;
	to->program = text_of(body->program);
	return RC_OK;
}

static enum rc put_model(
    struct arena *arena, const struct wire_model *model, Hearth__Compute__Model **out)
{
	NEW(to, Model, model);
	to->name = text_of(model->name);
	to->content_hash = bytes_of(model->content_hash, WIRE_HASH_BYTES);
	to->architecture = text_of(model->architecture);
	to->context = model->context;
	to->parameters = model->parameters;
	to->weights_bytes = model->weights_bytes;
	to->chat = model->chat;
	to->embed = model->embed;
	to->chat_template = text_of(model->chat_template);
	to->cache_type = text_of(model->cache_type);
	to->embedding_length = model->embedding_length;
	to->absent = model->absent;
	to->constrains = model->constrains;
	to->holds_calls = model->holds_calls;
	to->tool_format = text_of(model->tool_format);
	*out = to;
	return RC_OK;
}

static enum rc put_capabilities(
    struct arena *arena, const struct wire_capabilities *body, Hearth__Compute__Envelope *env)
{
	NEW_BODY(to, Capabilities, capabilities, CAPABILITIES);
	to->protocol = body->protocol;
	to->program = text_of(body->program);
	to->numerics_id = text_of(body->numerics_id);
	to->budget_bytes = body->budget_bytes;
	to->boot_id = bytes_of(body->boot_id, WIRE_LEASE_BYTES);
	to->models = arena_array(arena, body->models_len, sizeof(to->models[0]));
	if (to->models == NULL)
		return RC_NOMEM;
	to->n_models = body->models_len;
	enum rc rc = put_load(arena, &body->load, &to->load);
	for (size_t i = 0; rc == RC_OK && i < body->models_len; i++)
		rc = put_model(arena, &body->models[i], &to->models[i]);
	return rc;
}

static enum rc put_heartbeat(
    struct arena *arena, const struct wire_heartbeat *body, Hearth__Compute__Envelope *env)
{
	NEW_BODY(to, Heartbeat, heartbeat, HEARTBEAT);
	to->sequence = body->sequence;
	return put_load(arena, &body->load, &to->load);
}

static enum rc put_error(
    struct arena *arena, const struct wire_error_body *body, Hearth__Compute__Envelope *env)
{
	NEW_BODY(to, Error, error, ERROR);
	to->code = (Hearth__Compute__Error__Code)body->code;
	to->text = text_of(body->text);
	to->context = body->context;
	to->needed = body->needed;
	return RC_OK;
}

static enum rc put_plan_request(
    struct arena *arena, const struct wire_plan_request *body, Hearth__Compute__Envelope *env)
{
	NEW_BODY(to, PlanRequest, plan_request, PLAN_REQUEST);
	to->model = text_of(body->model);
	to->context = body->context;
	to->parallel = body->parallel;
	return RC_OK;
}

static enum rc put_plan(
    struct arena *arena, const struct wire_plan *body, Hearth__Compute__Envelope *env)
{
	NEW_BODY(to, Plan, plan, PLAN);
	to->fits = body->fits;
	to->weights_bytes = body->weights_bytes;
	to->cache_bytes = body->cache_bytes;
	to->scratch_bytes = body->scratch_bytes;
	to->total_bytes = body->total_bytes;
	to->budget_bytes = body->budget_bytes;
	to->largest_context = body->largest_context;
	return RC_OK;
}

static enum rc put_lease_open(
    struct arena *arena, const struct wire_lease_open *body, Hearth__Compute__Envelope *env)
{
	NEW_BODY(to, LeaseOpen, lease_open, LEASE_OPEN);
	to->model = text_of(body->model);
	to->idle_ms = body->idle_ms;
	return RC_OK;
}

static enum rc put_lease_state(
    struct arena *arena, const struct wire_lease_state *body, Hearth__Compute__Envelope *env)
{
	NEW_BODY(to, LeaseState, lease_state, LEASE_STATE);
	to->open = body->open;
	to->idle_ms = body->idle_ms;
	return RC_OK;
}

static enum rc put_adapter_put(
    struct arena *arena, const struct wire_adapter_put *body, Hearth__Compute__Envelope *env)
{
	NEW_BODY(to, AdapterPut, adapter_put, ADAPTER_PUT);
	to->content_hash = bytes_of(body->content_hash, WIRE_HASH_BYTES);
	to->total_bytes = body->total_bytes;
	to->offset = body->offset;
	to->chunk = bytes_of(body->chunk, body->chunk_len);
	return RC_OK;
}

static enum rc put_adapter_state(
    struct arena *arena, const struct wire_adapter_state *body, Hearth__Compute__Envelope *env)
{
	NEW_BODY(to, AdapterState, adapter_state, ADAPTER_STATE);
	to->received_bytes = body->received_bytes;
	to->active = body->active;
	return RC_OK;
}

static enum rc put_parts(struct arena *arena, const struct wire_part *parts, size_t n,
    Hearth__Compute__Part ***out, size_t *out_len)
{
	Hearth__Compute__Part **list = arena_array(arena, n, sizeof(list[0]));

	if (list == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < n; i++) {
		NEW(to, Part, part);
		to->kind = (Hearth__Compute__Part__Kind)parts[i].kind;
		to->data = bytes_of(parts[i].data, parts[i].data_len);
		to->trusted = parts[i].trusted;
		to->media_type = text_of(parts[i].media_type);
		list[i] = to;
	}
	*out = list;
	*out_len = n;
	return RC_OK;
}

static enum rc put_chat_message(struct arena *arena, const struct wire_chat_message *message,
    Hearth__Compute__ChatMessage **out)
{
	NEW(to, ChatMessage, chat_message);
	to->role = text_of(message->role);
	to->name = text_of(message->name);
	to->tool_call_id = text_of(message->tool_call_id);
	to->tool_calls_json = text_of(message->tool_calls_json);
	*out = to;
	return put_parts(arena, message->parts, message->parts_len, &to->parts, &to->n_parts);
}

static enum rc put_texts(
    struct arena *arena, const char *const *texts, size_t n, char ***out, size_t *out_len)
{
	char **list = arena_array(arena, n, sizeof(list[0]));

	if (list == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < n; i++)
		list[i] = text_of(texts[i]);
	*out = list;
	*out_len = n;
	return RC_OK;
}

static enum rc put_sampling(
    struct arena *arena, const struct wire_sampling *sampling, Hearth__Compute__Sampling **out)
{
	NEW(to, Sampling, sampling);
	to->temperature = sampling->temperature;
	to->top_k = sampling->top_k;
	to->top_p = sampling->top_p;
	to->min_p = sampling->min_p;
	to->repeat_penalty = sampling->repeat_penalty;
	to->repeat_last_n = sampling->repeat_last_n;
	to->presence_penalty = sampling->presence_penalty;
	to->frequency_penalty = sampling->frequency_penalty;
	to->seed = sampling->seed;
	to->ignore_eos = sampling->ignore_eos;
	*out = to;
	return RC_OK;
}

static enum rc put_constraint(struct arena *arena, const struct wire_constraint *constraint,
    Hearth__Compute__Constraint **out)
{
	NEW(to, Constraint, constraint);
	to->kind = (Hearth__Compute__Constraint__Kind)constraint->kind;
	to->schema = text_of(constraint->schema);
	to->one = constraint->one;
	*out = to;
	return RC_OK;
}

static enum rc put_generate(
    struct arena *arena, const struct wire_generate *body, Hearth__Compute__Envelope *env)
{
	NEW_BODY(to, Generate, generate, GENERATE);
	to->model = text_of(body->model);
	to->messages = arena_array(arena, body->messages_len, sizeof(to->messages[0]));
	if (to->messages == NULL)
		return RC_NOMEM;
	to->n_messages = body->messages_len;
	enum rc rc = RC_OK;
	for (size_t i = 0; rc == RC_OK && i < body->messages_len; i++)
		rc = put_chat_message(arena, &body->messages[i], &to->messages[i]);
	if (rc == RC_OK)
		rc = put_parts(arena, body->raw, body->raw_len, &to->raw, &to->n_raw);
	if (rc == RC_OK)
		rc = put_texts(arena, body->stop, body->stop_len, &to->stop, &to->n_stop);
	if (rc == RC_OK)
		rc = put_sampling(arena, &body->sampling, &to->sampling);
	if (rc == RC_OK && body->constraint.kind != WIRE_CONSTRAINT_NONE)
		rc = put_constraint(arena, &body->constraint, &to->constraint);
	to->prompt_ids = (uint32_t *)body->prompt_ids;
	to->n_prompt_ids = body->prompt_ids_len;
	to->generated_ids = (uint32_t *)body->generated_ids;
	to->n_generated_ids = body->generated_ids_len;
	to->max_tokens = body->max_tokens;
	to->now_utc_ns = body->now_utc_ns;
	to->now_zone = text_of(body->now_zone);
	to->credit = body->credit;
	to->tools_json = text_of(body->tools_json);
	to->logprobs = body->logprobs;
	to->add_generation_prompt = body->add_generation_prompt;
	to->markers = body->markers;
	return rc;
}

static enum rc put_started(
    struct arena *arena, const struct wire_started *body, Hearth__Compute__Envelope *env)
{
	NEW_BODY(to, Started, started, STARTED);
	to->prompt_ids = (uint32_t *)body->prompt_ids;
	to->n_prompt_ids = body->prompt_ids_len;
	to->numerics_id = text_of(body->numerics_id);
	to->content_hash = bytes_of(body->content_hash, WIRE_HASH_BYTES);
	to->chat_template = text_of(body->chat_template);
	to->cached_tokens = body->cached_tokens;
	to->cache_type = text_of(body->cache_type);
	to->reasoning = body->reasoning;
	return RC_OK;
}

static enum rc put_logprobs(struct arena *arena, const struct wire_token_logprobs *entry,
    Hearth__Compute__TokenLogprobs **out)
{
	NEW(to, TokenLogprobs, token_logprobs);
	to->logprob = entry->logprob;
	to->text = bytes_of(entry->text, entry->text_len);
	to->top_ids = (uint32_t *)entry->top_ids;
	to->top_logprobs = (float *)entry->top_logprobs;
	to->n_top_ids = to->n_top_logprobs = to->n_top_texts = entry->top_len;
	to->top_texts = arena_array(arena, entry->top_len, sizeof(to->top_texts[0]));
	if (to->top_texts == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < entry->top_len; i++)
		to->top_texts[i] = bytes_of(entry->top_texts[i], entry->top_text_lens[i]);
	*out = to;
	return RC_OK;
}

static enum rc put_tokens(
    struct arena *arena, const struct wire_tokens *body, Hearth__Compute__Envelope *env)
{
	NEW_BODY(to, Tokens, tokens, TOKENS);
	to->first_index = body->first_index;
	to->ids = (uint32_t *)body->ids;
	to->n_ids = body->ids_len;
	to->text = bytes_of(body->text, body->text_len);
	to->text_offset = body->text_offset;
	to->logprobs = arena_array(arena, body->logprobs_len, sizeof(to->logprobs[0]));
	if (to->logprobs == NULL)
		return RC_NOMEM;
	to->n_logprobs = body->logprobs_len;
	enum rc rc = RC_OK;
	for (size_t i = 0; rc == RC_OK && i < body->logprobs_len; i++)
		rc = put_logprobs(arena, &body->logprobs[i], &to->logprobs[i]);
	return rc;
}

static enum rc put_done(
    struct arena *arena, const struct wire_done *body, Hearth__Compute__Envelope *env)
{
	NEW_BODY(to, Done, done, DONE);
	to->finish = (Hearth__Compute__Done__Finish)body->finish;
	to->prompt_tokens = body->prompt_tokens;
	to->generated_tokens = body->generated_tokens;
	to->prompt_ns = body->prompt_ns;
	to->generate_ns = body->generate_ns;
	to->stop = text_of(body->stop);
	return RC_OK;
}

static enum rc put_embed(
    struct arena *arena, const struct wire_embed *body, Hearth__Compute__Envelope *env)
{
	NEW_BODY(to, Embed, embed, EMBED);
	to->model = text_of(body->model);
	return put_texts(arena, body->texts, body->texts_len, &to->texts, &to->n_texts);
}

static enum rc put_vectors(
    struct arena *arena, const struct wire_vectors *body, Hearth__Compute__Envelope *env)
{
	NEW_BODY(to, Vectors, vectors, VECTORS);
	to->length = body->length;
	to->values = (float *)body->values;
	to->n_values = body->values_len;
	to->prompt_tokens = body->prompt_tokens;
	return RC_OK;
}

static enum rc put_tokenize(
    struct arena *arena, const struct wire_tokenize *body, Hearth__Compute__Envelope *env)
{
	NEW_BODY(to, Tokenize, tokenize, TOKENIZE);
	to->model = text_of(body->model);
	to->add_bos = body->add_bos;
	to->count_only = body->count_only;
	return put_parts(arena, body->parts, body->parts_len, &to->parts, &to->n_parts);
}

static enum rc put_token_ids(
    struct arena *arena, const struct wire_token_ids *body, Hearth__Compute__Envelope *env)
{
	NEW_BODY(to, TokenIds, token_ids, TOKEN_IDS);
	to->ids = (uint32_t *)body->ids;
	to->n_ids = body->ids_len;
	to->part_counts = (uint32_t *)body->part_counts;
	to->n_part_counts = body->part_counts_len;
	return RC_OK;
}

static enum rc put_stats(
    struct arena *arena, const struct wire_stats *body, Hearth__Compute__Envelope *env)
{
	NEW_BODY(to, Stats, stats, STATS);
	to->uptime_ns = body->uptime_ns;
	to->tokens_generated = body->tokens_generated;
	to->tokens_prompt = body->tokens_prompt;
	to->requests = body->requests;
	to->refused = body->refused;
	to->leases = body->leases;
	to->budget_bytes = body->budget_bytes;
	to->planned_bytes = body->planned_bytes;
	to->mem_available_bytes = body->mem_available_bytes;
	to->restarts = body->restarts;
	to->memory_kills = body->memory_kills;
	to->memory_short = body->memory_short;
	to->watchdog_kills = body->watchdog_kills;
	to->kv_tokens = body->kv_tokens;
	to->kv_tokens_used = body->kv_tokens_used;
	to->memory_stalled_us = body->memory_stalled_us;
	return put_load(arena, &body->load, &to->load);
}

/* Bodies of no or one field. */
static enum rc put_small(
    struct arena *arena, const struct message *message, Hearth__Compute__Envelope *env)
{
	if (message->kind == MESSAGE_LEASE_RENEW) {
		NEW_BODY(to, LeaseRenew, lease_renew, LEASE_RENEW);
	} else if (message->kind == MESSAGE_LEASE_CLOSE) {
		NEW_BODY(to, LeaseClose, lease_close, LEASE_CLOSE);
	} else if (message->kind == MESSAGE_CANCEL) {
		NEW_BODY(to, Cancel, cancel, CANCEL);
	} else if (message->kind == MESSAGE_STATS_REQUEST) {
		NEW_BODY(to, StatsRequest, stats_request, STATS_REQUEST);
	} else if (message->kind == MESSAGE_CREDIT) {
		NEW_BODY(to, Credit, credit, CREDIT);
		to->tokens = message->u.credit;
	}
	return RC_OK; /* MESSAGE_UNKNOWN: an envelope without a body */
}

static enum rc put_follow_ask(
    struct arena *arena, const struct wire_follow_ask *body, Hearth__Compute__Envelope *env)
{
	NEW_BODY(to, FollowAsk, follow_ask, FOLLOW_ASK);
	to->what = body->what;
	to->store_id = bytes_of(body->store_id, WIRE_STORE_ID_BYTES);
	to->after = body->after;
	to->last_id = bytes_of(body->last_id, WIRE_STORE_ID_BYTES);
	to->seqs = (uint64_t *)body->seqs;
	to->n_seqs = body->seqs_len;
	to->name = text_of(body->name);
	return RC_OK;
}

static enum rc put_follow_part(
    struct arena *arena, const struct wire_follow_part *body, Hearth__Compute__Envelope *env)
{
	NEW_BODY(to, FollowPart, follow_part, FOLLOW_PART);
	to->what = body->what;
	to->store_id = bytes_of(body->store_id, WIRE_STORE_ID_BYTES);
	to->cursor = body->cursor;
	to->keyring_hash = bytes_of(body->keyring_hash, WIRE_HASH_BYTES);
	to->state_hash = bytes_of(body->state_hash, WIRE_HASH_BYTES);
	to->total = body->total;
	to->offset = body->offset;
	to->data = bytes_of(body->data, body->data_len);
	return RC_OK;
}

static enum rc put_body(
    struct arena *arena, const struct message *message, Hearth__Compute__Envelope *env)
{
	switch (message->kind) {
	case MESSAGE_HELLO:
		return put_hello(arena, &message->u.hello, env);
	case MESSAGE_CAPABILITIES:
		return put_capabilities(arena, &message->u.capabilities, env);
	case MESSAGE_HEARTBEAT:
		return put_heartbeat(arena, &message->u.heartbeat, env);
	case MESSAGE_ERROR:
		return put_error(arena, &message->u.error, env);
	case MESSAGE_PLAN_REQUEST:
		return put_plan_request(arena, &message->u.plan_request, env);
	case MESSAGE_PLAN:
		return put_plan(arena, &message->u.plan, env);
	case MESSAGE_LEASE_OPEN:
		return put_lease_open(arena, &message->u.lease_open, env);
	case MESSAGE_LEASE_STATE:
		return put_lease_state(arena, &message->u.lease_state, env);
	case MESSAGE_ADAPTER_PUT:
		return put_adapter_put(arena, &message->u.adapter_put, env);
	case MESSAGE_ADAPTER_STATE:
		return put_adapter_state(arena, &message->u.adapter_state, env);
	case MESSAGE_GENERATE:
		return put_generate(arena, &message->u.generate, env);
	case MESSAGE_STARTED:
		return put_started(arena, &message->u.started, env);
	case MESSAGE_TOKENS:
		return put_tokens(arena, &message->u.tokens, env);
	case MESSAGE_DONE:
		return put_done(arena, &message->u.done, env);
	case MESSAGE_EMBED:
		return put_embed(arena, &message->u.embed, env);
	case MESSAGE_VECTORS:
		return put_vectors(arena, &message->u.vectors, env);
	case MESSAGE_TOKENIZE:
		return put_tokenize(arena, &message->u.tokenize, env);
	case MESSAGE_TOKEN_IDS:
		return put_token_ids(arena, &message->u.token_ids, env);
	case MESSAGE_STATS:
		return put_stats(arena, &message->u.stats, env);
	case MESSAGE_FOLLOW_ASK:
		return put_follow_ask(arena, &message->u.follow_ask, env);
	case MESSAGE_FOLLOW_PART:
		return put_follow_part(arena, &message->u.follow_part, env);
	case MESSAGE_UNKNOWN:
	case MESSAGE_LEASE_RENEW:
	case MESSAGE_LEASE_CLOSE:
	case MESSAGE_CREDIT:
	case MESSAGE_CANCEL:
	case MESSAGE_STATS_REQUEST:
		break;
	}
	return put_small(arena, message, env);
}

struct sink {
	ProtobufCBuffer base; /* first: protobuf-c hands back its address */
	struct buf *out;
};

static void sink_append(ProtobufCBuffer *base, size_t len, const uint8_t *bytes)
{
	struct sink *sink = (struct sink *)base;

	buf_append(sink->out, bytes, len);
}

/* Pack behind what `out` holds, all or nothing: memory for it is taken at once. */
static enum rc pack(const Hearth__Compute__Envelope *env, struct buf *out, struct errmsg *why)
{
	size_t len = hearth__compute__envelope__get_packed_size(env);
	struct sink sink = { .base = { .append = sink_append }, .out = out };

	if (len > WIRE_MESSAGE_BYTES_MAX)
		return errmsg_rc(why, RC_LIMIT, "message of %zu bytes: longer than %zu", len,
		    WIRE_MESSAGE_BYTES_MAX);
	buf_reserve(out, out->len + len);
	if (buf_rc(out) == RC_OK)
		(void)hearth__compute__envelope__pack_to_buffer(env, &sink.base);
	return buf_rc(out);
}

enum rc message_encode(const struct message *message, struct buf *out, struct errmsg *why)
{
	Hearth__Compute__Envelope env = HEARTH__COMPUTE__ENVELOPE__INIT;
	alignas(max_align_t) uint8_t scratch[SCRATCH_BYTES] = { 0 };
	struct arena arena;

	enum rc rc = message_check(message, why);
	if (rc != RC_OK)
		return rc;
	arena_init_over(&arena, scratch, sizeof(scratch), WIRE_ARENA_BYTES_MAX);
	env.protocol = message->protocol == 0 ? WIRE_PROTOCOL_MAX : message->protocol;
	env.request_id = message->request_id;
	env.ttl_ms = message->ttl_ms;
	if (message->has_lease)
		env.lease_id = bytes_of(message->lease_id, WIRE_LEASE_BYTES);
	rc = put_body(&arena, message, &env);
	if (rc == RC_OK)
		rc = pack(&env, out, why);
	arena_fini(&arena);
	return rc;
}
