/* Comparison of two wire messages, field by field. */
#include <string.h>

#include "message_random.h"

/* Hand back the field's name if the two differ. */
#define SAME(field)                                                                                \
	do {                                                                                       \
		if (a->field != b->field)                                                          \
			return #field;                                                             \
	} while (0)
#define SAME_TEXT(field)                                                                           \
	do {                                                                                       \
		if (strcmp(a->field ? a->field : "", b->field ? b->field : "") != 0)               \
			return #field;                                                             \
	} while (0)
#define SAME_FIXED(field)                                                                          \
	do {                                                                                       \
		if (memcmp(a->field, b->field, sizeof(a->field)) != 0)                             \
			return #field;                                                             \
	} while (0)
/* Arrays of scalars or bytes: pointer and length. */
#define SAME_ARRAY(field, len)                                                                     \
	do {                                                                                       \
		if (a->len != b->len ||                                                            \
		    (a->len > 0 && memcmp(a->field, b->field, a->len * sizeof(a->field[0])) != 0)) \
			return #field;                                                             \
	} while (0)
#define SAME_DEEP(call)                                                                            \
	do {                                                                                       \
		const char *deep = (call);                                                         \
		if (deep != NULL)                                                                  \
			return deep;                                                               \
	} while (0)

static const char *compare_load(const struct wire_load *a, const struct wire_load *b)
{
	SAME(active);
	SAME(queued);
	SAME(slots);
	SAME(tokens_per_second);
	return NULL;
}

static const char *compare_parts(
    const struct wire_part *x, const struct wire_part *y, size_t n, size_t m)
{
	if (n != m)
		return "parts_len";
	for (size_t i = 0; i < n; i++) {
		const struct wire_part *a = &x[i], *b = &y[i];
		SAME(kind);
		SAME_ARRAY(data, data_len);
		SAME(trusted);
		SAME_TEXT(media_type);
	}
	return NULL;
}

static const char *compare_texts(const char *const *x, const char *const *y, size_t n, size_t m)
{
	if (n != m)
		return "texts_len";
	for (size_t i = 0; i < n; i++) {
		if (strcmp(x[i], y[i]) != 0)
			return "texts";
	}
	return NULL;
}

static const char *compare_model(const struct wire_model *a, const struct wire_model *b)
{
	SAME_TEXT(name);
	SAME_FIXED(content_hash);
	SAME_TEXT(architecture);
	SAME(context);
	SAME(parameters);
	SAME(weights_bytes);
	SAME(chat);
	SAME(embed);
	SAME_TEXT(chat_template);
	SAME_TEXT(cache_type);
	SAME(embedding_length);
	SAME(absent);
	SAME(constrains);
	SAME(holds_calls);
	SAME_TEXT(tool_format);
	return NULL;
}

static const char *compare_capabilities(
    const struct wire_capabilities *a, const struct wire_capabilities *b)
{
	SAME(protocol);
	SAME_TEXT(program);
	SAME_TEXT(numerics_id);
	SAME(models_len);
	for (size_t i = 0; i < a->models_len; i++)
		SAME_DEEP(compare_model(&a->models[i], &b->models[i]));
	SAME_DEEP(compare_load(&a->load, &b->load));
	SAME(budget_bytes);
	SAME_FIXED(boot_id);
	return NULL;
}

static const char *compare_sampling(const struct wire_sampling *a, const struct wire_sampling *b)
{
	SAME(temperature);
	SAME(top_k);
	SAME(top_p);
	SAME(min_p);
	SAME(repeat_penalty);
	SAME(repeat_last_n);
	SAME(presence_penalty);
	SAME(frequency_penalty);
	SAME(seed);
	SAME(ignore_eos);
	return NULL;
}

static const char *compare_generate(const struct wire_generate *a, const struct wire_generate *b)
{
	SAME_TEXT(model);
	SAME(messages_len);
	for (size_t i = 0; i < a->messages_len; i++) {
		const struct wire_chat_message *x = &a->messages[i], *y = &b->messages[i];
		if (strcmp(x->role, y->role) != 0 || strcmp(x->name, y->name) != 0 ||
		    strcmp(x->tool_call_id, y->tool_call_id) != 0 ||
		    strcmp(x->tool_calls_json, y->tool_calls_json) != 0)
			return "messages";
		SAME_DEEP(compare_parts(x->parts, y->parts, x->parts_len, y->parts_len));
	}
	SAME_DEEP(compare_parts(a->raw, b->raw, a->raw_len, b->raw_len));
	SAME_ARRAY(prompt_ids, prompt_ids_len);
	SAME_ARRAY(generated_ids, generated_ids_len);
	SAME_DEEP(compare_sampling(&a->sampling, &b->sampling));
	SAME(max_tokens);
	SAME_DEEP(compare_texts(a->stop, b->stop, a->stop_len, b->stop_len));
	SAME(now_utc_ns);
	SAME_TEXT(now_zone);
	SAME(credit);
	SAME_TEXT(tools_json);
	SAME(logprobs);
	SAME(add_generation_prompt);
	SAME(markers);
	SAME(constraint.kind);
	/* Without a kind there is no constraint, whatever its text says. */
	if (a->constraint.kind != WIRE_CONSTRAINT_NONE)
		SAME_TEXT(constraint.schema);
	if (a->constraint.kind != WIRE_CONSTRAINT_NONE)
		SAME(constraint.one);
	return NULL;
}

static const char *compare_started(const struct wire_started *a, const struct wire_started *b)
{
	SAME_ARRAY(prompt_ids, prompt_ids_len);
	SAME_TEXT(numerics_id);
	SAME_FIXED(content_hash);
	SAME_TEXT(chat_template);
	SAME(cached_tokens);
	SAME_TEXT(cache_type);
	SAME(reasoning);
	return NULL;
}

static const char *compare_logprobs(
    const struct wire_token_logprobs *a, const struct wire_token_logprobs *b)
{
	SAME(logprob);
	SAME_ARRAY(text, text_len);
	SAME_ARRAY(top_ids, top_len);
	SAME_ARRAY(top_logprobs, top_len);
	for (size_t i = 0; i < a->top_len; i++) {
		SAME(top_text_lens[i]);
		if (a->top_text_lens[i] > 0 &&
		    memcmp(a->top_texts[i], b->top_texts[i], a->top_text_lens[i]) != 0)
			return "top_texts";
	}
	return NULL;
}

static const char *compare_tokens(const struct wire_tokens *a, const struct wire_tokens *b)
{
	SAME(first_index);
	SAME_ARRAY(ids, ids_len);
	SAME_ARRAY(text, text_len);
	SAME(text_offset);
	SAME(logprobs_len);
	for (size_t i = 0; i < a->logprobs_len; i++)
		SAME_DEEP(compare_logprobs(&a->logprobs[i], &b->logprobs[i]));
	return NULL;
}

static const char *compare_stats(const struct wire_stats *a, const struct wire_stats *b)
{
	SAME_DEEP(compare_load(&a->load, &b->load));
	SAME(uptime_ns);
	SAME(tokens_generated);
	SAME(tokens_prompt);
	SAME(requests);
	SAME(refused);
	SAME(leases);
	SAME(budget_bytes);
	SAME(planned_bytes);
	SAME(mem_available_bytes);
	SAME(restarts);
	SAME(memory_kills);
	SAME(memory_short);
	SAME(watchdog_kills);
	SAME(kv_tokens);
	SAME(kv_tokens_used);
	SAME(memory_stalled_us);
	return NULL;
}

static const char *compare_done(const struct wire_done *a, const struct wire_done *b)
{
	SAME(finish);
	SAME(prompt_tokens);
	SAME(generated_tokens);
	SAME(prompt_ns);
	SAME(generate_ns);
	SAME_TEXT(stop);
	return NULL;
}

static const char *compare_plan(const struct wire_plan *a, const struct wire_plan *b)
{
	SAME(fits);
	SAME(weights_bytes);
	SAME(cache_bytes);
	SAME(scratch_bytes);
	SAME(total_bytes);
	SAME(budget_bytes);
	SAME(largest_context);
	return NULL;
}

static const char *compare_lists(const struct message *a, const struct message *b)
{
	switch (a->kind) {
	case MESSAGE_EMBED:
		SAME_TEXT(u.embed.model);
		return compare_texts(
		    a->u.embed.texts, b->u.embed.texts, a->u.embed.texts_len, b->u.embed.texts_len);
	case MESSAGE_VECTORS:
		SAME(u.vectors.length);
		SAME_ARRAY(u.vectors.values, u.vectors.values_len);
		SAME(u.vectors.prompt_tokens);
		return NULL;
	case MESSAGE_TOKENIZE:
		SAME_TEXT(u.tokenize.model);
		SAME(u.tokenize.add_bos);
		SAME(u.tokenize.count_only);
		return compare_parts(a->u.tokenize.parts, b->u.tokenize.parts,
		    a->u.tokenize.parts_len, b->u.tokenize.parts_len);
	case MESSAGE_TOKEN_IDS:
		SAME_ARRAY(u.token_ids.ids, u.token_ids.ids_len);
		SAME_ARRAY(u.token_ids.part_counts, u.token_ids.part_counts_len);
		return NULL;
	case MESSAGE_FOLLOW_ASK:
		SAME(u.follow_ask.what);
		SAME(u.follow_ask.after);
		SAME_FIXED(u.follow_ask.store_id);
		SAME_FIXED(u.follow_ask.last_id);
		SAME_ARRAY(u.follow_ask.seqs, u.follow_ask.seqs_len);
		SAME_TEXT(u.follow_ask.name);
		return NULL;
	case MESSAGE_FOLLOW_PART:
		SAME(u.follow_part.what);
		SAME(u.follow_part.cursor);
		SAME_FIXED(u.follow_part.store_id);
		SAME_FIXED(u.follow_part.keyring_hash);
		SAME_FIXED(u.follow_part.state_hash);
		SAME(u.follow_part.total);
		SAME(u.follow_part.offset);
		SAME_ARRAY(u.follow_part.data, u.follow_part.data_len);
		return NULL;
	case MESSAGE_ADAPTER_PUT:
		SAME_FIXED(u.adapter_put.content_hash);
		SAME(u.adapter_put.total_bytes);
		SAME(u.adapter_put.offset);
		SAME_ARRAY(u.adapter_put.chunk, u.adapter_put.chunk_len);
		return NULL;
	default:
		return NULL;
	}
}

static const char *compare_scalars(const struct message *a, const struct message *b)
{
	switch (a->kind) {
	case MESSAGE_HELLO:
		SAME(u.hello.protocol_min);
		SAME(u.hello.protocol_max);
		SAME_TEXT(u.hello.program);
		return NULL;
	case MESSAGE_HEARTBEAT:
		SAME(u.heartbeat.sequence);
		return compare_load(&a->u.heartbeat.load, &b->u.heartbeat.load);
	case MESSAGE_ERROR:
		SAME(u.error.code);
		SAME_TEXT(u.error.text);
		SAME(u.error.context);
		SAME(u.error.needed);
		return NULL;
	case MESSAGE_PLAN_REQUEST:
		SAME_TEXT(u.plan_request.model);
		SAME(u.plan_request.context);
		SAME(u.plan_request.parallel);
		return NULL;
	case MESSAGE_LEASE_OPEN:
		SAME_TEXT(u.lease_open.model);
		SAME(u.lease_open.idle_ms);
		return NULL;
	case MESSAGE_LEASE_STATE:
		SAME(u.lease_state.open);
		SAME(u.lease_state.idle_ms);
		return NULL;
	case MESSAGE_ADAPTER_STATE:
		SAME(u.adapter_state.received_bytes);
		SAME(u.adapter_state.active);
		return NULL;
	case MESSAGE_CREDIT:
		SAME(u.credit);
		return NULL;
	default:
		return compare_lists(a, b);
	}
}

const char *message_difference(const struct message *a, const struct message *b)
{
	uint32_t a_protocol = a->protocol == 0 ? WIRE_PROTOCOL_MAX : a->protocol;
	uint32_t b_protocol = b->protocol == 0 ? WIRE_PROTOCOL_MAX : b->protocol;

	if (a_protocol != b_protocol)
		return "protocol";
	SAME(request_id);
	SAME(has_lease);
	SAME_FIXED(lease_id);
	SAME(ttl_ms);
	SAME(kind);
	switch (a->kind) {
	case MESSAGE_CAPABILITIES:
		return compare_capabilities(&a->u.capabilities, &b->u.capabilities);
	case MESSAGE_GENERATE:
		return compare_generate(&a->u.generate, &b->u.generate);
	case MESSAGE_STARTED:
		return compare_started(&a->u.started, &b->u.started);
	case MESSAGE_TOKENS:
		return compare_tokens(&a->u.tokens, &b->u.tokens);
	case MESSAGE_STATS:
		return compare_stats(&a->u.stats, &b->u.stats);
	case MESSAGE_DONE:
		return compare_done(&a->u.done, &b->u.done);
	case MESSAGE_PLAN:
		return compare_plan(&a->u.plan, &b->u.plan);
	default:
		return compare_scalars(a, b);
	}
}
