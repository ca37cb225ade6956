/*
 * Bytes of a peer → protobuf Envelope → plain structs, in the caller's arena.
 * Strings, bytes and number arrays are shared with what protobuf-c unpacked
 * there; nothing is allocated outside the arena's cap.
 */
#include <string.h>

#include "compute.pb-c.h"
#include "wire/message.h"
#include "wire/message_check.h"

struct arena_allocator {
	ProtobufCAllocator base;
	struct arena *arena;
	bool failed; /* the cap was hit: tells RC_NOMEM from RC_INVALID */
};

static void *unpack_alloc(void *data, size_t len)
{
	struct arena_allocator *allocator = data;
	void *out = arena_alloc(allocator->arena, len);

	if (out == NULL)
		allocator->failed = true;
	return out;
}

static void unpack_free(void *data, void *bytes)
{
	(void)data; /* the arena ends as a whole */
	(void)bytes;
}

/* Fixed-length bytes: exactly `len` of them. */
static enum rc get_fixed(const char *field, const ProtobufCBinaryData *from, uint8_t *out,
    size_t len, struct errmsg *why)
{
	if (from->len != len)
		return errmsg_rc(
		    why, RC_INVALID, "%s: %zu bytes instead of %zu", field, from->len, len);
	memcpy(out, from->data, len);
	return RC_OK;
}

static void get_load(const Hearth__Compute__Load *from, struct wire_load *out)
{
	if (from == NULL)
		return; /* proto3: absent is all zero */
	out->active = from->active;
	out->queued = from->queued;
	out->slots = from->slots;
	out->tokens_per_second = from->tokens_per_second;
}

static void get_hello(const Hearth__Compute__Hello *from, struct wire_hello *out)
{
	out->protocol_min = from->protocol_min;
	out->protocol_max = from->protocol_max;
	out->program = from->program;
}

static enum rc get_model(
    const Hearth__Compute__Model *from, struct wire_model *out, struct errmsg *why)
{
	out->name = from->name;
	out->architecture = from->architecture;
	out->context = from->context;
	out->parameters = from->parameters;
	out->weights_bytes = from->weights_bytes;
	out->chat = from->chat;
	out->embed = from->embed;
	out->chat_template = from->chat_template;
	out->cache_type = from->cache_type;
	out->embedding_length = from->embedding_length;
	out->absent = from->absent;
	out->constrains = from->constrains;
	out->holds_calls = from->holds_calls;
	out->tool_format = from->tool_format;
	return get_fixed(
	    "models.content_hash", &from->content_hash, out->content_hash, WIRE_HASH_BYTES, why);
}

static enum rc get_capabilities(const Hearth__Compute__Capabilities *from, struct arena *arena,
    struct wire_capabilities *out, struct errmsg *why)
{
	if (from->n_models > WIRE_MODELS_MAX)
		return errmsg_rc(
		    why, RC_LIMIT, "capabilities.models: more than %zu entries", WIRE_MODELS_MAX);
	struct wire_model *models = arena_array(arena, from->n_models, sizeof(models[0]));
	if (models == NULL)
		return RC_NOMEM;
	out->protocol = from->protocol;
	out->program = from->program;
	out->numerics_id = from->numerics_id;
	out->models = models;
	out->models_len = from->n_models;
	out->budget_bytes = from->budget_bytes;
	get_load(from->load, &out->load);
	enum rc rc =
	    get_fixed("capabilities.boot_id", &from->boot_id, out->boot_id, WIRE_LEASE_BYTES, why);
	for (size_t i = 0; rc == RC_OK && i < from->n_models; i++)
		rc = get_model(from->models[i], &models[i], why);
	return rc;
}

static void get_error(const Hearth__Compute__Error *from, struct wire_error_body *out)
{
	int code = (int)from->code;

	out->code =
	    code < 0 || code > (int)WIRE_ERROR_LIMIT ? WIRE_ERROR_UNKNOWN : (enum wire_error)code;
	out->text = from->text;
	out->context = from->context;
	out->needed = from->needed;
}

static void get_plan(const Hearth__Compute__Plan *from, struct wire_plan *out)
{
	out->fits = from->fits;
	out->weights_bytes = from->weights_bytes;
	out->cache_bytes = from->cache_bytes;
	out->scratch_bytes = from->scratch_bytes;
	out->total_bytes = from->total_bytes;
	out->budget_bytes = from->budget_bytes;
	out->largest_context = from->largest_context;
}

static enum rc get_adapter_put(
    const Hearth__Compute__AdapterPut *from, struct wire_adapter_put *out, struct errmsg *why)
{
	out->total_bytes = from->total_bytes;
	out->offset = from->offset;
	out->chunk = from->chunk.data;
	out->chunk_len = from->chunk.len;
	return get_fixed("adapter_put.content_hash", &from->content_hash, out->content_hash,
	    WIRE_HASH_BYTES, why);
}

static enum rc get_follow_ask(
    const Hearth__Compute__FollowAsk *from, struct wire_follow_ask *out, struct errmsg *why)
{
	out->what = from->what;
	out->after = from->after;
	out->seqs = from->seqs;
	out->seqs_len = from->n_seqs;
	out->name = from->name;
	enum rc rc = get_fixed(
	    "follow_ask.store_id", &from->store_id, out->store_id, WIRE_STORE_ID_BYTES, why);
	return rc == RC_OK ? get_fixed("follow_ask.last_id", &from->last_id, out->last_id,
				 WIRE_STORE_ID_BYTES, why)
			   : rc;
}

static enum rc get_follow_part(
    const Hearth__Compute__FollowPart *from, struct wire_follow_part *out, struct errmsg *why)
{
	out->what = from->what;
	out->cursor = from->cursor;
	out->total = from->total;
	out->offset = from->offset;
	out->data = from->data.data;
	out->data_len = from->data.len;
	enum rc rc = get_fixed(
	    "follow_part.store_id", &from->store_id, out->store_id, WIRE_STORE_ID_BYTES, why);
	if (rc == RC_OK)
		rc = get_fixed("follow_part.keyring_hash", &from->keyring_hash, out->keyring_hash,
		    WIRE_HASH_BYTES, why);
	return rc == RC_OK ? get_fixed("follow_part.state_hash", &from->state_hash, out->state_hash,
				 WIRE_HASH_BYTES, why)
			   : rc;
}

static enum rc get_parts(const char *field, Hearth__Compute__Part *const *from, size_t n,
    struct arena *arena, const struct wire_part **out, size_t *out_len, struct errmsg *why)
{
	if (n > WIRE_PARTS_MAX)
		return errmsg_rc(why, RC_LIMIT, "%s: more than %zu entries", field, WIRE_PARTS_MAX);
	struct wire_part *parts = arena_array(arena, n, sizeof(parts[0]));
	if (parts == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < n; i++) {
		int kind = (int)from[i]->kind;
		if (kind < 0 || kind > (int)WIRE_PART_AUDIO)
			return errmsg_rc(why, RC_INVALID, "%s.kind: not a known value", field);
		parts[i].kind = (enum wire_part_kind)kind;
		parts[i].data = from[i]->data.data;
		parts[i].data_len = from[i]->data.len;
		parts[i].trusted = from[i]->trusted;
		parts[i].media_type = from[i]->media_type;
	}
	*out = parts;
	*out_len = n;
	return RC_OK;
}

static enum rc get_chat_messages(const Hearth__Compute__Generate *from, struct arena *arena,
    struct wire_generate *out, struct errmsg *why)
{
	if (from->n_messages > WIRE_PARTS_MAX)
		return errmsg_rc(
		    why, RC_LIMIT, "generate.messages: more than %zu entries", WIRE_PARTS_MAX);
	struct wire_chat_message *messages =
	    arena_array(arena, from->n_messages, sizeof(messages[0]));
	if (messages == NULL)
		return RC_NOMEM;
	enum rc rc = RC_OK;
	for (size_t i = 0; rc == RC_OK && i < from->n_messages; i++) {
		const Hearth__Compute__ChatMessage *message = from->messages[i];
		messages[i].role = message->role;
		messages[i].name = message->name;
		messages[i].tool_call_id = message->tool_call_id;
		messages[i].tool_calls_json = message->tool_calls_json;
		rc = get_parts("messages.parts", message->parts, message->n_parts, arena,
		    &messages[i].parts, &messages[i].parts_len, why);
	}
	out->messages = messages;
	out->messages_len = from->n_messages;
	return rc;
}

static void get_sampling(const Hearth__Compute__Sampling *from, struct wire_sampling *out)
{
	if (from == NULL)
		return;
	out->temperature = from->temperature;
	out->top_k = from->top_k;
	out->top_p = from->top_p;
	out->min_p = from->min_p;
	out->repeat_penalty = from->repeat_penalty;
	out->repeat_last_n = from->repeat_last_n;
	out->presence_penalty = from->presence_penalty;
	out->frequency_penalty = from->frequency_penalty;
	out->seed = from->seed;
	out->ignore_eos = from->ignore_eos;
}

/* A kind that is not known must not be passed over: the answer would be free. */
static enum rc get_constraint(
    const Hearth__Compute__Constraint *from, struct wire_constraint *out, struct errmsg *why)
{
	*out = (struct wire_constraint){ .schema = "" };
	if (from == NULL)
		return RC_OK;
	int kind = (int)from->kind;
	if (kind < 0 || kind > (int)WIRE_CONSTRAINT_MUST_CALL)
		return errmsg_rc(why, RC_INVALID, "constraint.kind: not a known value");
	out->kind = (enum wire_constraint_kind)kind;
	out->schema = from->schema;
	out->one = from->one;
	return RC_OK;
}

static enum rc get_generate(const Hearth__Compute__Generate *from, struct arena *arena,
    struct wire_generate *out, struct errmsg *why)
{
	out->model = from->model;
	out->prompt_ids = from->prompt_ids;
	out->prompt_ids_len = from->n_prompt_ids;
	out->generated_ids = from->generated_ids;
	out->generated_ids_len = from->n_generated_ids;
	out->max_tokens = from->max_tokens;
	out->stop = (const char *const *)from->stop;
	out->stop_len = from->n_stop;
	out->now_utc_ns = from->now_utc_ns;
	out->now_zone = from->now_zone;
	out->credit = from->credit;
	out->tools_json = from->tools_json;
	out->logprobs = from->logprobs;
	out->add_generation_prompt = from->add_generation_prompt;
	out->markers = from->markers;
	get_sampling(from->sampling, &out->sampling);
	enum rc rc = get_constraint(from->constraint, &out->constraint, why);
	if (rc == RC_OK)
		rc = get_chat_messages(from, arena, out, why);
	if (rc == RC_OK)
		rc = get_parts(
		    "generate.raw", from->raw, from->n_raw, arena, &out->raw, &out->raw_len, why);
	return rc;
}

static enum rc get_started(
    const Hearth__Compute__Started *from, struct wire_started *out, struct errmsg *why)
{
	out->prompt_ids = from->prompt_ids;
	out->prompt_ids_len = from->n_prompt_ids;
	out->numerics_id = from->numerics_id;
	out->chat_template = from->chat_template;
	out->cached_tokens = from->cached_tokens;
	out->cache_type = from->cache_type;
	out->reasoning = from->reasoning;
	return get_fixed(
	    "started.content_hash", &from->content_hash, out->content_hash, WIRE_HASH_BYTES, why);
}

static enum rc get_logprobs(const Hearth__Compute__TokenLogprobs *from, struct arena *arena,
    struct wire_token_logprobs *out, struct errmsg *why)
{
	size_t n = from->n_top_ids;

	if (from->n_top_logprobs != n || from->n_top_texts != n)
		return errmsg_rc(why, RC_INVALID, "tokens.logprobs.top_ids: lists differ");
	const uint8_t **texts = arena_array(arena, n, sizeof(texts[0]));
	size_t *lens = arena_array(arena, n, sizeof(lens[0]));
	if (texts == NULL || lens == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < n; i++) {
		texts[i] = from->top_texts[i].data;
		lens[i] = from->top_texts[i].len;
	}
	out->logprob = from->logprob;
	out->text = from->text.data;
	out->text_len = from->text.len;
	out->top_ids = from->top_ids;
	out->top_logprobs = from->top_logprobs;
	out->top_texts = texts;
	out->top_text_lens = lens;
	out->top_len = n;
	return RC_OK;
}

static enum rc get_tokens(const Hearth__Compute__Tokens *from, struct arena *arena,
    struct wire_tokens *out, struct errmsg *why)
{
	if (from->n_logprobs > WIRE_IDS_MAX)
		return errmsg_rc(
		    why, RC_LIMIT, "tokens.logprobs: more than %zu entries", WIRE_IDS_MAX);
	struct wire_token_logprobs *logprobs =
	    arena_array(arena, from->n_logprobs, sizeof(logprobs[0]));
	if (logprobs == NULL)
		return RC_NOMEM;
	out->first_index = from->first_index;
	out->ids = from->ids;
	out->ids_len = from->n_ids;
	out->text = from->text.data;
	out->text_len = from->text.len;
	out->text_offset = from->text_offset;
	out->logprobs = logprobs;
	out->logprobs_len = from->n_logprobs;
	enum rc rc = RC_OK;
	for (size_t i = 0; rc == RC_OK && i < from->n_logprobs; i++)
		rc = get_logprobs(from->logprobs[i], arena, &logprobs[i], why);
	return rc;
}

static void get_done(const Hearth__Compute__Done *from, struct wire_done *out)
{
	int finish = (int)from->finish;

	out->finish = finish < 0 || finish > (int)WIRE_FINISH_ERROR ? WIRE_FINISH_UNKNOWN
								    : (enum wire_finish)finish;
	out->prompt_tokens = from->prompt_tokens;
	out->generated_tokens = from->generated_tokens;
	out->prompt_ns = from->prompt_ns;
	out->generate_ns = from->generate_ns;
	out->stop = from->stop;
}

static void get_vectors(const Hearth__Compute__Vectors *from, struct wire_vectors *out)
{
	out->length = from->length;
	out->values = from->values;
	out->values_len = from->n_values;
	out->prompt_tokens = from->prompt_tokens;
}

static enum rc get_tokenize(const Hearth__Compute__Tokenize *from, struct arena *arena,
    struct wire_tokenize *out, struct errmsg *why)
{
	out->model = from->model;
	out->add_bos = from->add_bos;
	out->count_only = from->count_only;
	return get_parts(
	    "tokenize.parts", from->parts, from->n_parts, arena, &out->parts, &out->parts_len, why);
}

static void get_token_ids(const Hearth__Compute__TokenIds *from, struct wire_token_ids *out)
{
	out->ids = from->ids;
	out->ids_len = from->n_ids;
	out->part_counts = from->part_counts;
	out->part_counts_len = from->n_part_counts;
}

static void get_stats(const Hearth__Compute__Stats *from, struct wire_stats *out)
{
	get_load(from->load, &out->load);
	out->uptime_ns = from->uptime_ns;
	out->tokens_generated = from->tokens_generated;
	out->tokens_prompt = from->tokens_prompt;
	out->requests = from->requests;
	out->refused = from->refused;
	out->leases = from->leases;
	out->budget_bytes = from->budget_bytes;
	out->planned_bytes = from->planned_bytes;
	out->mem_available_bytes = from->mem_available_bytes;
	out->restarts = from->restarts;
	out->memory_kills = from->memory_kills;
	out->memory_short = from->memory_short != 0;
	out->watchdog_kills = from->watchdog_kills;
	out->kv_tokens = from->kv_tokens;
	out->kv_tokens_used = from->kv_tokens_used;
	out->memory_stalled_us = from->memory_stalled_us;
}

/* Bodies of few scalars, and those without any. */
static void get_small(const Hearth__Compute__Envelope *env, struct message *out)
{
	switch (env->body_case) {
	case HEARTH__COMPUTE__ENVELOPE__BODY_HEARTBEAT:
		out->kind = MESSAGE_HEARTBEAT;
		out->u.heartbeat.sequence = env->heartbeat->sequence;
		get_load(env->heartbeat->load, &out->u.heartbeat.load);
		break;
	case HEARTH__COMPUTE__ENVELOPE__BODY_PLAN_REQUEST:
		out->kind = MESSAGE_PLAN_REQUEST;
		out->u.plan_request.model = env->plan_request->model;
		out->u.plan_request.context = env->plan_request->context;
		out->u.plan_request.parallel = env->plan_request->parallel;
		break;
	case HEARTH__COMPUTE__ENVELOPE__BODY_LEASE_OPEN:
		out->kind = MESSAGE_LEASE_OPEN;
		out->u.lease_open.model = env->lease_open->model;
		out->u.lease_open.idle_ms = env->lease_open->idle_ms;
		break;
	case HEARTH__COMPUTE__ENVELOPE__BODY_LEASE_RENEW:
		out->kind = MESSAGE_LEASE_RENEW;
		break;
	case HEARTH__COMPUTE__ENVELOPE__BODY_LEASE_CLOSE:
		out->kind = MESSAGE_LEASE_CLOSE;
		break;
	case HEARTH__COMPUTE__ENVELOPE__BODY_LEASE_STATE:
		out->kind = MESSAGE_LEASE_STATE;
		out->u.lease_state.open = env->lease_state->open;
		out->u.lease_state.idle_ms = env->lease_state->idle_ms;
		break;
	case HEARTH__COMPUTE__ENVELOPE__BODY_ADAPTER_STATE:
		out->kind = MESSAGE_ADAPTER_STATE;
		out->u.adapter_state.received_bytes = env->adapter_state->received_bytes;
		out->u.adapter_state.active = env->adapter_state->active;
		break;
	case HEARTH__COMPUTE__ENVELOPE__BODY_CREDIT:
		out->kind = MESSAGE_CREDIT;
		out->u.credit = env->credit->tokens;
		break;
	case HEARTH__COMPUTE__ENVELOPE__BODY_CANCEL:
		out->kind = MESSAGE_CANCEL;
		break;
	case HEARTH__COMPUTE__ENVELOPE__BODY_STATS_REQUEST:
		out->kind = MESSAGE_STATS_REQUEST;
		break;
	default:
		out->kind = MESSAGE_UNKNOWN;
	}
}

static enum rc get_body(const Hearth__Compute__Envelope *env, struct arena *arena,
    struct message *out, struct errmsg *why)
{
	switch (env->body_case) {
	case HEARTH__COMPUTE__ENVELOPE__BODY_HELLO:
		out->kind = MESSAGE_HELLO;
		get_hello(env->hello, &out->u.hello);
		return RC_OK;
	case HEARTH__COMPUTE__ENVELOPE__BODY_CAPABILITIES:
		out->kind = MESSAGE_CAPABILITIES;
		return get_capabilities(env->capabilities, arena, &out->u.capabilities, why);
	case HEARTH__COMPUTE__ENVELOPE__BODY_ERROR:
		out->kind = MESSAGE_ERROR;
		get_error(env->error, &out->u.error);
		return RC_OK;
	case HEARTH__COMPUTE__ENVELOPE__BODY_PLAN:
		out->kind = MESSAGE_PLAN;
		get_plan(env->plan, &out->u.plan);
		return RC_OK;
	case HEARTH__COMPUTE__ENVELOPE__BODY_ADAPTER_PUT:
		out->kind = MESSAGE_ADAPTER_PUT;
		return get_adapter_put(env->adapter_put, &out->u.adapter_put, why);
	case HEARTH__COMPUTE__ENVELOPE__BODY_GENERATE:
		out->kind = MESSAGE_GENERATE;
		return get_generate(env->generate, arena, &out->u.generate, why);
	case HEARTH__COMPUTE__ENVELOPE__BODY_STARTED:
		out->kind = MESSAGE_STARTED;
		return get_started(env->started, &out->u.started, why);
	case HEARTH__COMPUTE__ENVELOPE__BODY_TOKENS:
		out->kind = MESSAGE_TOKENS;
		return get_tokens(env->tokens, arena, &out->u.tokens, why);
	case HEARTH__COMPUTE__ENVELOPE__BODY_DONE:
		out->kind = MESSAGE_DONE;
		get_done(env->done, &out->u.done);
		return RC_OK;
	case HEARTH__COMPUTE__ENVELOPE__BODY_EMBED:
		out->kind = MESSAGE_EMBED;
		out->u.embed.model = env->embed->model;
		out->u.embed.texts = (const char *const *)env->embed->texts;
		out->u.embed.texts_len = env->embed->n_texts;
		return RC_OK;
	case HEARTH__COMPUTE__ENVELOPE__BODY_VECTORS:
		out->kind = MESSAGE_VECTORS;
		get_vectors(env->vectors, &out->u.vectors);
		return RC_OK;
	case HEARTH__COMPUTE__ENVELOPE__BODY_TOKENIZE:
		out->kind = MESSAGE_TOKENIZE;
		return get_tokenize(env->tokenize, arena, &out->u.tokenize, why);
	case HEARTH__COMPUTE__ENVELOPE__BODY_TOKEN_IDS:
		out->kind = MESSAGE_TOKEN_IDS;
		get_token_ids(env->token_ids, &out->u.token_ids);
		return RC_OK;
	case HEARTH__COMPUTE__ENVELOPE__BODY_STATS:
		out->kind = MESSAGE_STATS;
		get_stats(env->stats, &out->u.stats);
		return RC_OK;
	case HEARTH__COMPUTE__ENVELOPE__BODY_FOLLOW_ASK:
		out->kind = MESSAGE_FOLLOW_ASK;
		return get_follow_ask(env->follow_ask, &out->u.follow_ask, why);
	case HEARTH__COMPUTE__ENVELOPE__BODY_FOLLOW_PART:
		out->kind = MESSAGE_FOLLOW_PART;
		return get_follow_part(env->follow_part, &out->u.follow_part, why);
	default:
		get_small(env, out);
		return RC_OK;
	}
}

static enum rc get_envelope(const Hearth__Compute__Envelope *env, struct arena *arena,
    struct message *out, struct errmsg *why)
{
	out->protocol = env->protocol;
	out->request_id = env->request_id;
	out->ttl_ms = env->ttl_ms;
	out->has_lease = env->lease_id.len != 0;
	enum rc rc = RC_OK;
	if (out->has_lease)
		rc = get_fixed("lease_id", &env->lease_id, out->lease_id, WIRE_LEASE_BYTES, why);
	if (rc == RC_OK)
		rc = get_body(env, arena, out, why);
	return rc == RC_OK ? message_check(out, why) : rc;
}

enum rc message_decode(
    const uint8_t *bytes, size_t len, struct arena *arena, struct message *out, struct errmsg *why)
{
	struct arena_allocator allocator = {
		.base = { .alloc = unpack_alloc, .free = unpack_free },
		.arena = arena,
	};

	memset(out, 0, sizeof(*out));
	if (len > WIRE_MESSAGE_BYTES_MAX)
		return errmsg_rc(why, RC_LIMIT, "message of %zu bytes: longer than %zu", len,
		    WIRE_MESSAGE_BYTES_MAX);
	allocator.base.allocator_data = &allocator;
	Hearth__Compute__Envelope *env =
	    hearth__compute__envelope__unpack(&allocator.base, len, bytes);
	if (env == NULL && allocator.failed)
		return errmsg_rc(why, RC_NOMEM, "message does not fit its arena");
	if (env == NULL)
		return errmsg_rc(why, RC_INVALID, "message: not a protobuf Envelope");
	enum rc rc = get_envelope(env, arena, out, why);
	if (rc != RC_OK)
		*out = (struct message){ .request_id = env->request_id };
	return rc;
}
