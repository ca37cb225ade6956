/*
 * Limits, enum ranges, UTF-8 and finite floats of plain messages, field by
 * field; each failure names its field as in proto/compute.proto.
 */
#include "wire/message_check.h"

#include <math.h>
#include <string.h>

#include "base/utf8.h"

static enum rc check_text(const char *field, const char *text, size_t max, struct errmsg *why)
{
	if (text == NULL)
		return RC_OK;
	size_t len = strnlen(text, max + 1);
	if (len > max)
		return errmsg_rc(why, RC_LIMIT, "%s: longer than %zu bytes", field, max);
	if (!utf8_valid(text, len))
		return errmsg_rc(why, RC_INVALID, "%s: not valid UTF-8", field);
	return RC_OK;
}

static enum rc check_name(const char *field, const char *text, struct errmsg *why)
{
	return check_text(field, text, WIRE_NAME_BYTES_MAX, why);
}

static enum rc check_count(const char *field, size_t n, size_t max, struct errmsg *why)
{
	if (n > max)
		return errmsg_rc(why, RC_LIMIT, "%s: more than %zu entries", field, max);
	return RC_OK;
}

static enum rc check_finite(const char *field, double value, struct errmsg *why)
{
	if (!isfinite(value))
		return errmsg_rc(why, RC_INVALID, "%s: not a finite number", field);
	return RC_OK;
}

static enum rc check_load(const struct wire_load *load, struct errmsg *why)
{
	return check_finite("load.tokens_per_second", load->tokens_per_second, why);
}

static enum rc check_model(const struct wire_model *model, struct errmsg *why)
{
	enum rc rc = check_name("models.name", model->name, why);

	if (rc == RC_OK)
		rc = check_name("models.architecture", model->architecture, why);
	if (rc == RC_OK)
		rc = check_name("models.chat_template", model->chat_template, why);
	if (rc == RC_OK)
		rc = check_name("models.cache_type", model->cache_type, why);
	if (rc == RC_OK)
		rc = check_name("models.tool_format", model->tool_format, why);
	return rc;
}

static enum rc check_capabilities(const struct wire_capabilities *body, struct errmsg *why)
{
	enum rc rc = check_name("capabilities.program", body->program, why);

	if (rc == RC_OK)
		rc = check_name("capabilities.numerics_id", body->numerics_id, why);
	if (rc == RC_OK)
		rc = check_count("capabilities.models", body->models_len, WIRE_MODELS_MAX, why);
	for (size_t i = 0; rc == RC_OK && i < body->models_len; i++)
		rc = check_model(&body->models[i], why);
	return rc == RC_OK ? check_load(&body->load, why) : rc;
}

static enum rc check_error(const struct wire_error_body *body, struct errmsg *why)
{
	if ((unsigned)body->code > WIRE_ERROR_LIMIT)
		return errmsg_rc(why, RC_INVALID, "error.code: not a known value");
	return check_text("error.text", body->text, WIRE_ERROR_TEXT_BYTES_MAX, why);
}

static enum rc check_parts(
    const char *field, const struct wire_part *parts, size_t n, struct errmsg *why)
{
	enum rc rc = check_count(field, n, WIRE_PARTS_MAX, why);

	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		const struct wire_part *part = &parts[i];
		if ((unsigned)part->kind > WIRE_PART_AUDIO)
			return errmsg_rc(why, RC_INVALID, "%s.kind: not a known value", field);
		if (part->data_len > WIRE_MESSAGE_BYTES_MAX)
			return errmsg_rc(why, RC_LIMIT, "%s.data: longer than a message", field);
		if (part->kind == WIRE_PART_TEXT && !utf8_valid(part->data, part->data_len))
			return errmsg_rc(why, RC_INVALID, "%s.data: not valid UTF-8", field);
		rc = check_name("parts.media_type", part->media_type, why);
	}
	return rc;
}

static enum rc check_chat_message(const struct wire_chat_message *message, struct errmsg *why)
{
	enum rc rc = check_name("messages.role", message->role, why);

	if (rc == RC_OK)
		rc = check_name("messages.name", message->name, why);
	if (rc == RC_OK)
		rc = check_name("messages.tool_call_id", message->tool_call_id, why);
	if (rc == RC_OK)
		rc = check_text("messages.tool_calls_json", message->tool_calls_json,
		    WIRE_MESSAGE_BYTES_MAX, why);
	if (rc == RC_OK)
		rc = check_parts("messages.parts", message->parts, message->parts_len, why);
	return rc;
}

static enum rc check_chat_messages(const struct wire_generate *body, struct errmsg *why)
{
	size_t parts = 0;
	enum rc rc = check_count("generate.messages", body->messages_len, WIRE_PARTS_MAX, why);

	for (size_t i = 0; rc == RC_OK && i < body->messages_len; i++) {
		rc = check_chat_message(&body->messages[i], why);
		parts += body->messages[i].parts_len;
		if (rc == RC_OK)
			rc = check_count("generate.messages.parts", parts, WIRE_PARTS_MAX, why);
	}
	return rc;
}

static enum rc check_sampling(const struct wire_sampling *sampling, struct errmsg *why)
{
	const struct {
		const char *field;
		float value;
	} floats[] = {
		{ "sampling.temperature", sampling->temperature },
		{ "sampling.top_p", sampling->top_p },
		{ "sampling.min_p", sampling->min_p },
		{ "sampling.repeat_penalty", sampling->repeat_penalty },
		{ "sampling.presence_penalty", sampling->presence_penalty },
		{ "sampling.frequency_penalty", sampling->frequency_penalty },
	};
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < sizeof(floats) / sizeof(floats[0]); i++)
		rc = check_finite(floats[i].field, (double)floats[i].value, why);
	return rc;
}

static enum rc check_constraint(const struct wire_constraint *constraint, struct errmsg *why)
{
	if ((unsigned)constraint->kind > WIRE_CONSTRAINT_MUST_CALL)
		return errmsg_rc(why, RC_INVALID, "constraint.kind: not a known value");
	return check_text("constraint.schema", constraint->schema, WIRE_SCHEMA_BYTES_MAX, why);
}

static enum rc check_generate(const struct wire_generate *body, struct errmsg *why)
{
	enum rc rc = check_name("generate.model", body->model, why);

	if (rc == RC_OK)
		rc = check_chat_messages(body, why);
	if (rc == RC_OK)
		rc = check_parts("generate.raw", body->raw, body->raw_len, why);
	if (rc == RC_OK)
		rc = check_count("generate.prompt_ids", body->prompt_ids_len, WIRE_IDS_MAX, why);
	if (rc == RC_OK)
		rc = check_count(
		    "generate.generated_ids", body->generated_ids_len, WIRE_IDS_MAX, why);
	if (rc == RC_OK)
		rc = check_sampling(&body->sampling, why);
	if (rc == RC_OK)
		rc = check_count("generate.stop", body->stop_len, WIRE_STOPS_MAX, why);
	for (size_t i = 0; rc == RC_OK && i < body->stop_len; i++)
		rc = check_text("generate.stop", body->stop[i], WIRE_STOP_BYTES_MAX, why);
	if (rc == RC_OK)
		rc = check_name("generate.now_zone", body->now_zone, why);
	if (rc == RC_OK)
		rc = check_text(
		    "generate.tools_json", body->tools_json, WIRE_MESSAGE_BYTES_MAX, why);
	return rc == RC_OK ? check_constraint(&body->constraint, why) : rc;
}

static enum rc check_started(const struct wire_started *body, struct errmsg *why)
{
	enum rc rc = check_count("started.prompt_ids", body->prompt_ids_len, WIRE_IDS_MAX, why);

	if (rc == RC_OK)
		rc = check_name("started.numerics_id", body->numerics_id, why);
	if (rc == RC_OK)
		rc = check_name("started.chat_template", body->chat_template, why);
	if (rc == RC_OK)
		rc = check_name("started.cache_type", body->cache_type, why);
	return rc;
}

static enum rc check_logprobs(const struct wire_token_logprobs *entry, struct errmsg *why)
{
	enum rc rc = check_finite("tokens.logprobs.logprob", (double)entry->logprob, why);

	if (rc == RC_OK)
		rc = check_count("tokens.logprobs.top_ids", entry->top_len, WIRE_PARTS_MAX, why);
	for (size_t i = 0; rc == RC_OK && i < entry->top_len; i++)
		rc = check_finite(
		    "tokens.logprobs.top_logprobs", (double)entry->top_logprobs[i], why);
	return rc;
}

static enum rc check_tokens(const struct wire_tokens *body, struct errmsg *why)
{
	enum rc rc = check_count("tokens.ids", body->ids_len, WIRE_IDS_MAX, why);

	if (rc != RC_OK)
		return rc;
	if (body->text_len > WIRE_MESSAGE_BYTES_MAX)
		return errmsg_rc(why, RC_LIMIT, "tokens.text: longer than a message");
	if (!utf8_valid(body->text, body->text_len))
		return errmsg_rc(why, RC_INVALID, "tokens.text: not whole code points");
	if (body->logprobs_len != 0 && body->logprobs_len != body->ids_len)
		return errmsg_rc(why, RC_INVALID, "tokens.logprobs: not one for each id");
	for (size_t i = 0; rc == RC_OK && i < body->logprobs_len; i++)
		rc = check_logprobs(&body->logprobs[i], why);
	return rc;
}

static enum rc check_done(const struct wire_done *body, struct errmsg *why)
{
	if ((unsigned)body->finish > WIRE_FINISH_ERROR)
		return errmsg_rc(why, RC_INVALID, "done.finish: not a known value");
	return check_text("done.stop", body->stop, WIRE_STOP_BYTES_MAX, why);
}

static enum rc check_adapter_put(const struct wire_adapter_put *body, struct errmsg *why)
{
	if (body->chunk_len > WIRE_MESSAGE_BYTES_MAX)
		return errmsg_rc(why, RC_LIMIT, "adapter_put.chunk: longer than a message");
	if (body->offset > body->total_bytes || body->chunk_len > body->total_bytes - body->offset)
		return errmsg_rc(why, RC_INVALID, "adapter_put.offset: chunk outside the whole");
	return RC_OK;
}

static enum rc check_embed(const struct wire_embed *body, struct errmsg *why)
{
	enum rc rc = check_name("embed.model", body->model, why);

	if (rc == RC_OK)
		rc = check_count("embed.texts", body->texts_len, WIRE_PARTS_MAX, why);
	for (size_t i = 0; rc == RC_OK && i < body->texts_len; i++)
		rc = check_text("embed.texts", body->texts[i], WIRE_MESSAGE_BYTES_MAX, why);
	return rc;
}

static enum rc check_vectors(const struct wire_vectors *body, struct errmsg *why)
{
	enum rc rc = check_count(
	    "vectors.values", body->values_len, WIRE_MESSAGE_BYTES_MAX / sizeof(float), why);

	if (rc != RC_OK)
		return rc;
	if (body->length == 0 ? body->values_len != 0 : body->values_len % body->length != 0)
		return errmsg_rc(why, RC_INVALID, "vectors.values: not whole vectors");
	for (size_t i = 0; rc == RC_OK && i < body->values_len; i++)
		rc = check_finite("vectors.values", (double)body->values[i], why);
	return rc;
}

static enum rc check_tokenize(const struct wire_tokenize *body, struct errmsg *why)
{
	enum rc rc = check_name("tokenize.model", body->model, why);

	return rc == RC_OK ? check_parts("tokenize.parts", body->parts, body->parts_len, why) : rc;
}

static enum rc check_token_ids(const struct wire_token_ids *body, struct errmsg *why)
{
	enum rc rc = check_count("token_ids.ids", body->ids_len, WIRE_IDS_MAX, why);

	if (rc == RC_OK)
		rc = check_count(
		    "token_ids.part_counts", body->part_counts_len, WIRE_PARTS_MAX, why);
	return rc;
}

static enum rc check_follow_ask(const struct wire_follow_ask *body, struct errmsg *why)
{
	enum rc rc = check_name("follow_ask.name", body->name, why);

	return rc == RC_OK ? check_count("follow_ask.seqs", body->seqs_len, WIRE_SEQS_MAX, why)
			   : rc;
}

static enum rc check_follow_part(const struct wire_follow_part *body, struct errmsg *why)
{
	if (body->offset > body->total ||
	    (body->total > 0 && body->data_len > body->total - body->offset))
		return errmsg_rc(why, RC_INVALID, "follow_part.data: beyond its total");
	return RC_OK;
}

enum rc message_check(const struct message *message, struct errmsg *why)
{
	switch (message->kind) {
	case MESSAGE_HELLO:
		return check_name("hello.program", message->u.hello.program, why);
	case MESSAGE_CAPABILITIES:
		return check_capabilities(&message->u.capabilities, why);
	case MESSAGE_HEARTBEAT:
		return check_load(&message->u.heartbeat.load, why);
	case MESSAGE_ERROR:
		return check_error(&message->u.error, why);
	case MESSAGE_PLAN_REQUEST:
		return check_name("plan_request.model", message->u.plan_request.model, why);
	case MESSAGE_LEASE_OPEN:
		return check_name("lease_open.model", message->u.lease_open.model, why);
	case MESSAGE_ADAPTER_PUT:
		return check_adapter_put(&message->u.adapter_put, why);
	case MESSAGE_GENERATE:
		return check_generate(&message->u.generate, why);
	case MESSAGE_STARTED:
		return check_started(&message->u.started, why);
	case MESSAGE_TOKENS:
		return check_tokens(&message->u.tokens, why);
	case MESSAGE_DONE:
		return check_done(&message->u.done, why);
	case MESSAGE_EMBED:
		return check_embed(&message->u.embed, why);
	case MESSAGE_VECTORS:
		return check_vectors(&message->u.vectors, why);
	case MESSAGE_TOKENIZE:
		return check_tokenize(&message->u.tokenize, why);
	case MESSAGE_TOKEN_IDS:
		return check_token_ids(&message->u.token_ids, why);
	case MESSAGE_STATS:
		return check_load(&message->u.stats.load, why);
	case MESSAGE_FOLLOW_ASK:
		return check_follow_ask(&message->u.follow_ask, why);
	case MESSAGE_FOLLOW_PART:
		return check_follow_part(&message->u.follow_part, why);
	case MESSAGE_UNKNOWN:
	case MESSAGE_PLAN:
	case MESSAGE_LEASE_RENEW:
	case MESSAGE_LEASE_CLOSE:
	case MESSAGE_LEASE_STATE:
	case MESSAGE_ADAPTER_STATE:
	case MESSAGE_CREDIT:
	case MESSAGE_CANCEL:
	case MESSAGE_STATS_REQUEST:
		break;
	}
	return RC_OK; /* a body without anything to bound */
}
