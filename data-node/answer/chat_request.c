/* Chat request: checking the JSON body and reading it into plain structs. */
#include "answer/chat_request.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "answer/background.h"
#include "answer/body.h"
#include "answer/response_format.h"
#include "base/random.h"
#include "cloud/route.h"

struct parse {
	struct arena *arena;
	struct chat_request *out;
	struct chat_fault *fault;
	size_t text_bytes; /* of all messages so far */
};

static enum rc read_bool(struct parse *parse, const json_t *root, const char *name, bool *out)
{
	const json_t *value = body_field(root, name);

	if (value == NULL)
		return RC_OK;
	if (!json_is_boolean(value))
		return body_refuse(
		    parse->fault, "invalid_type", name, "%s must be true or false", name);
	*out = json_is_true(value);
	return RC_OK;
}

static enum rc read_real(
    struct parse *parse, const json_t *root, const char *name, double min, double max, float *out)
{
	const json_t *value = body_field(root, name);

	if (value == NULL)
		return RC_OK;
	if (!json_is_number(value))
		return body_refuse(parse->fault, "invalid_type", name, "%s must be a number", name);
	double real = json_number_value(value);
	if (!(real >= min && real <= max))
		return body_refuse(
		    parse->fault, "invalid_value", name, "%s must lie in [%g, %g]", name, min, max);
	*out = (float)real;
	return RC_OK;
}

/* An integer; a real without a fraction is one too. */
static enum rc read_int(struct parse *parse, const json_t *root, const char *name, int64_t min,
    int64_t max, int64_t *out)
{
	const json_t *value = body_field(root, name);
	double real = value != NULL && json_is_real(value) ? json_real_value(value) : 0;

	if (value == NULL)
		return RC_OK;
	if (!json_is_integer(value) &&
	    !(json_is_real(value) &&
		real == (double)(int32_t)(real < 2e9 && real > -2e9 ? real : 0)))
		return body_refuse(
		    parse->fault, "invalid_type", name, "%s must be an integer", name);
	int64_t n = json_is_integer(value) ? json_integer_value(value) : (int64_t)real;
	if (n < min || n > max)
		return body_refuse(parse->fault, "invalid_value", name,
		    "%s must lie in [%lld, %lld]", name, (long long)min, (long long)max);
	*out = n;
	return RC_OK;
}

static enum rc read_text(struct parse *parse, const json_t *root, const char *name,
    const char *param, size_t max, const char **out)
{
	const json_t *value = body_field(root, name);

	*out = "";
	if (value == NULL)
		return RC_OK;
	if (!json_is_string(value))
		return body_refuse(
		    parse->fault, "invalid_type", param, "%s must be a string", param);
	if (json_string_length(value) > max)
		return body_refuse(parse->fault, "invalid_value", param,
		    "%s is longer than %zu bytes", param, max);
	*out = arena_copy(parse->arena, json_string_value(value), json_string_length(value));
	return *out == NULL ? RC_NOMEM : RC_OK;
}

/* ---- messages ---- */

static const char *role_of(const char *word)
{
	static const char *const roles[][2] = { { "system", "system" }, { "developer", "system" },
		{ "user", "user" }, { "assistant", "assistant" }, { "tool", "tool" },
		{ "function", "tool" } };

	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		if (strcmp(word, roles[i][0]) == 0)
			return roles[i][1];
	}
	return NULL;
}

/* The text of one content part, or NULL with the fault set. */
static const json_t *part_text(struct parse *parse, const json_t *part, const char *param)
{
	const char *type = json_string_value(json_object_get(part, "type"));

	if (type == NULL) {
		(void)body_refuse(
		    parse->fault, "invalid_type", param, "%s must be an object with a type", param);
		return NULL;
	}
	const char *key = strcmp(type, "refusal") == 0 ? "refusal" : "text";
	if (strcmp(type, "text") != 0 && strcmp(type, "input_text") != 0 &&
	    strcmp(type, "output_text") != 0 && strcmp(type, "refusal") != 0) {
		(void)body_refuse(parse->fault, "unsupported_content", param,
		    "%s: this model reads text only", param);
		return NULL;
	}
	const json_t *text = json_object_get(part, key);
	if (!json_is_string(text)) {
		(void)body_refuse(
		    parse->fault, "invalid_type", param, "%s.%s must be a string", param, key);
		return NULL;
	}
	return text;
}

static enum rc join_parts(
    struct parse *parse, const json_t *content, size_t index, const char **text, size_t *text_len)
{
	size_t n = json_array_size(content);
	size_t len = 0;
	char param[64];

	if (n > CHAT_PARTS_MAX) {
		(void)snprintf(param, sizeof(param), "messages[%zu].content", index);
		return body_refuse(parse->fault, "invalid_value", param, "%s has over %zu parts",
		    param, CHAT_PARTS_MAX);
	}
	for (size_t i = 0; i < n; i++) {
		(void)snprintf(param, sizeof(param), "messages[%zu].content[%zu]", index, i);
		const json_t *part = part_text(parse, json_array_get(content, i), param);
		if (part == NULL)
			return RC_INVALID;
		len += json_string_length(part) + 1;
	}
	char *joined = arena_alloc(parse->arena, len + 1);
	if (joined == NULL)
		return RC_NOMEM;
	len = 0;
	for (size_t i = 0; i < n; i++) {
		const json_t *part = part_text(parse, json_array_get(content, i), param);
		if (i > 0)
			joined[len++] = '\n';
		memcpy(joined + len, json_string_value(part), json_string_length(part));
		len += json_string_length(part);
	}
	*text = joined;
	*text_len = len;
	return RC_OK;
}

static enum rc read_content(
    struct parse *parse, const json_t *message, size_t index, const char **text, size_t *text_len)
{
	const json_t *content = body_field(message, "content");
	char param[64];

	*text = "";
	*text_len = 0;
	(void)snprintf(param, sizeof(param), "messages[%zu].content", index);
	if (content == NULL) {
		if (body_field(message, "tool_calls") != NULL ||
		    body_field(message, "function_call") != NULL)
			return RC_OK;
		return body_refuse(
		    parse->fault, "missing_required_parameter", param, "%s is missing", param);
	}
	if (json_is_array(content))
		return join_parts(parse, content, index, text, text_len);
	if (!json_is_string(content))
		return body_refuse(parse->fault, "invalid_type", param,
		    "%s must be a string or an array of parts", param);
	*text_len = json_string_length(content);
	*text = arena_copy(parse->arena, json_string_value(content), *text_len);
	return *text == NULL ? RC_NOMEM : RC_OK;
}

static enum rc read_tool_calls(
    struct parse *parse, const json_t *message, size_t index, struct wire_chat_message *out)
{
	const json_t *calls = body_field(message, "tool_calls");
	char param[64];

	out->tool_calls_json = "";
	if (calls == NULL || json_array_size(calls) == 0)
		return RC_OK;
	(void)snprintf(param, sizeof(param), "messages[%zu].tool_calls", index);
	if (!json_is_array(calls))
		return body_refuse(
		    parse->fault, "invalid_type", param, "%s must be an array", param);
	char *text = body_json(calls, parse->arena);
	if (text == NULL)
		return RC_NOMEM;
	out->tool_calls_json = text;
	parse->text_bytes += strlen(text);
	return RC_OK;
}

static enum rc check_text_bytes(struct parse *parse, size_t len, const char *param)
{
	parse->text_bytes += len;
	if (parse->text_bytes <= CHAT_TEXT_BYTES_MAX)
		return RC_OK;
	return body_refuse(parse->fault, "context_length_exceeded", param,
	    "the text is longer than %zu bytes: no model's context holds it", CHAT_TEXT_BYTES_MAX);
}

static enum rc read_message(
    struct parse *parse, const json_t *message, size_t index, struct wire_chat_message *out)
{
	char param[64];
	const char *role = json_string_value(json_object_get(message, "role"));

	(void)snprintf(param, sizeof(param), "messages[%zu]", index);
	if (!json_is_object(message))
		return body_refuse(
		    parse->fault, "invalid_type", param, "%s must be an object", param);
	(void)snprintf(param, sizeof(param), "messages[%zu].role", index);
	out->role = role == NULL ? NULL : role_of(role);
	if (out->role == NULL)
		return body_refuse(parse->fault, "invalid_value", param,
		    "%s must be system, developer, user, assistant or tool", param);
	struct wire_part *part = arena_array(parse->arena, 1, sizeof(*part));
	const char *text;
	if (part == NULL)
		return RC_NOMEM;
	enum rc rc = read_content(parse, message, index, &text, &part->data_len);
	if (rc != RC_OK)
		return rc;
	part->data = (const uint8_t *)text;
	part->media_type = "";
	out->parts = part;
	out->parts_len = 1;
	rc = check_text_bytes(parse, part->data_len, "messages");
	if (rc == RC_OK)
		rc = read_tool_calls(parse, message, index, out);
	(void)snprintf(param, sizeof(param), "messages[%zu].name", index);
	if (rc == RC_OK)
		rc = read_text(parse, message, "name", param, CHAT_NAME_BYTES_MAX, &out->name);
	(void)snprintf(param, sizeof(param), "messages[%zu].tool_call_id", index);
	if (rc == RC_OK)
		rc = read_text(
		    parse, message, "tool_call_id", param, CHAT_USER_BYTES_MAX, &out->tool_call_id);
	return rc;
}

/* What the person asks: the newest user text, without its wrapper. */
static void find_question(struct chat_request *out)
{
	out->question = "";
	for (size_t i = out->messages_len; i > 0; i--) {
		const struct wire_chat_message *message = &out->messages[i - 1];
		const char *text = (const char *)message->parts[0].data;
		if (strcmp(message->role, "user") == 0 && out->question_len == 0)
			background_unwrap(
			    text, message->parts[0].data_len, &out->question, &out->question_len);
	}
	for (size_t i = 0; i < out->messages_len; i++) {
		const struct wire_chat_message *message = &out->messages[i];
		bool asks = i == 0 || i + 1 == out->messages_len;
		if (asks && strcmp(message->role, "assistant") != 0 &&
		    background_is((const char *)message->parts[0].data, message->parts[0].data_len))
			out->background = true;
	}
}

static enum rc read_messages(struct parse *parse, const json_t *root)
{
	const json_t *messages = body_field(root, "messages");
	struct chat_request *out = parse->out;

	if (messages == NULL)
		return body_refuse(
		    parse->fault, "missing_required_parameter", "messages", "messages is missing");
	if (!json_is_array(messages))
		return body_refuse(
		    parse->fault, "invalid_type", "messages", "messages must be an array");
	size_t n = json_array_size(messages);
	if (n == 0)
		return body_refuse(parse->fault, "invalid_value", "messages", "messages is empty");
	if (n > CHAT_MESSAGES_MAX)
		return body_refuse(parse->fault, "invalid_value", "messages",
		    "messages has over %zu items", CHAT_MESSAGES_MAX);
	out->messages = arena_array(parse->arena, n, sizeof(*out->messages));
	if (out->messages == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < n; i++) {
		enum rc rc = read_message(parse, json_array_get(messages, i), i, &out->messages[i]);
		if (rc != RC_OK)
			return rc;
	}
	out->messages_len = n;
	find_question(out);
	return RC_OK;
}

static enum rc read_prompt(struct parse *parse, const json_t *root)
{
	const json_t *prompt = body_field(root, "prompt");
	struct chat_request *out = parse->out;

	if (prompt == NULL)
		return body_refuse(
		    parse->fault, "missing_required_parameter", "prompt", "prompt is missing");
	if (json_is_array(prompt)) {
		if (json_array_size(prompt) != 1)
			return body_refuse(parse->fault, "unsupported_value", "prompt",
			    "prompt: one string at a time");
		prompt = json_array_get(prompt, 0);
	}
	if (!json_is_string(prompt))
		return body_refuse(parse->fault, "invalid_type", "prompt",
		    "prompt must be a string or an array of one string");
	out->prompt_len = json_string_length(prompt);
	out->prompt = arena_copy(parse->arena, json_string_value(prompt), out->prompt_len);
	if (out->prompt == NULL)
		return RC_NOMEM;
	out->question = out->prompt;
	out->question_len = out->prompt_len;
	out->background = background_is(out->prompt, out->prompt_len);
	return check_text_bytes(parse, out->prompt_len, "prompt");
}

/* ---- the rest ---- */

static enum rc read_sampling(struct parse *parse, const json_t *root)
{
	struct wire_sampling *sampling = &parse->out->sampling;
	int64_t top_k = 0;
	int64_t seed = (int64_t)random_u64();

	*sampling = (struct wire_sampling){
		.temperature = parse->out->hearth ? 0.7F : 1.0F,
		.top_p = 1.0F,
		.repeat_penalty = 1.0F,
		.repeat_last_n = 64,
	};
	enum rc rc = read_real(parse, root, "temperature", 0, 2, &sampling->temperature);
	if (rc == RC_OK)
		rc = read_real(parse, root, "top_p", 0, 1, &sampling->top_p);
	if (rc == RC_OK)
		rc = read_real(parse, root, "min_p", 0, 1, &sampling->min_p);
	if (rc == RC_OK)
		rc = read_real(parse, root, "presence_penalty", -2, 2, &sampling->presence_penalty);
	if (rc == RC_OK)
		rc = read_real(
		    parse, root, "frequency_penalty", -2, 2, &sampling->frequency_penalty);
	if (rc == RC_OK)
		rc = read_real(parse, root, "repeat_penalty", 0, 10, &sampling->repeat_penalty);
	if (rc == RC_OK)
		rc = read_int(parse, root, "top_k", -1, INT32_MAX, &top_k);
	if (rc == RC_OK)
		rc = read_int(parse, root, "seed", INT64_MIN, INT64_MAX, &seed);
	if (rc == RC_OK)
		rc = read_bool(parse, root, "ignore_eos", &sampling->ignore_eos);
	parse->out->seeded = body_field(root, "seed") != NULL;
	sampling->top_k = top_k < 0 ? 0 : (uint32_t)top_k;
	sampling->seed = (uint64_t)seed;
	return rc;
}

static enum rc add_stop(struct parse *parse, const json_t *value)
{
	struct chat_request *out = parse->out;
	size_t len = json_string_length(value);

	if (!json_is_string(value))
		return body_refuse(parse->fault, "invalid_type", "stop", "stop must hold strings");
	if (len > WIRE_STOP_BYTES_MAX)
		return body_refuse(parse->fault, "invalid_value", "stop",
		    "a stop string is longer than %zu bytes", WIRE_STOP_BYTES_MAX);
	if (len == 0)
		return RC_OK; /* some clients send an empty one for none */
	const char *text = arena_copy(parse->arena, json_string_value(value), len);
	if (text == NULL)
		return RC_NOMEM;
	out->stop[out->stop_len++] = text;
	return RC_OK;
}

static enum rc read_stop(struct parse *parse, const json_t *root)
{
	const json_t *stop = body_field(root, "stop");

	if (stop == NULL)
		return RC_OK;
	if (json_array_size(stop) > WIRE_STOPS_MAX)
		return body_refuse(parse->fault, "invalid_value", "stop",
		    "stop has over %zu strings", WIRE_STOPS_MAX);
	parse->out->stop = arena_array(parse->arena, WIRE_STOPS_MAX, sizeof(char *));
	if (parse->out->stop == NULL)
		return RC_NOMEM;
	if (!json_is_array(stop))
		return add_stop(parse, stop);
	for (size_t i = 0; i < json_array_size(stop); i++) {
		enum rc rc = add_stop(parse, json_array_get(stop, i));
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

/* The newer name counts where both stand there. */
static const char *limit_name(const json_t *root)
{
	return body_field(root, "max_completion_tokens") != NULL ? "max_completion_tokens"
								 : "max_tokens";
}

static enum rc read_max_tokens(struct parse *parse, const json_t *root)
{
	int64_t n = 0;

	enum rc rc = read_int(parse, root, limit_name(root), 1, (int64_t)WIRE_IDS_MAX, &n);
	if (rc == RC_OK && n == 0 && parse->out->kind == CHAT_KIND_COMPLETION)
		n = COMPLETION_TOKENS_DEFAULT;
	parse->out->max_tokens = (uint32_t)n;
	return rc;
}

static enum rc read_stream(struct parse *parse, const json_t *root)
{
	const json_t *options = body_field(root, "stream_options");
	enum rc rc = read_bool(parse, root, "stream", &parse->out->stream);

	if (rc != RC_OK || options == NULL)
		return rc;
	if (!json_is_object(options))
		return body_refuse(parse->fault, "invalid_type", "stream_options",
		    "stream_options must be an object");
	return read_bool(parse, options, "include_usage", &parse->out->include_usage);
}

/* Of completions they are a number: so many beside each token. */
static enum rc read_count_of_logprobs(struct parse *parse, const json_t *root)
{
	const json_t *value = body_field(root, "logprobs");
	int64_t top = 0;

	if (value == NULL || json_is_false(value))
		return RC_OK;
	enum rc rc = read_int(parse, root, "logprobs", 0, COMPLETION_LOGPROBS_MAX, &top);
	parse->out->logprobs = true;
	parse->out->top_logprobs = (uint32_t)top;
	return rc;
}

static enum rc read_logprobs(struct parse *parse, const json_t *root)
{
	struct chat_request *out = parse->out;
	int64_t top = 0;

	if (out->kind == CHAT_KIND_COMPLETION)
		return read_count_of_logprobs(parse, root);
	enum rc rc = read_bool(parse, root, "logprobs", &out->logprobs);
	if (rc == RC_OK)
		rc = read_int(parse, root, "top_logprobs", 0, CHAT_TOP_LOGPROBS_MAX, &top);
	if (rc == RC_OK && top > 0 && !out->logprobs)
		return body_refuse(parse->fault, "invalid_value", "top_logprobs",
		    "top_logprobs: only with logprobs true");
	out->top_logprobs = (uint32_t)top;
	return rc;
}

static enum rc read_store(struct parse *parse, const json_t *root)
{
	bool store = true;
	enum rc rc = read_bool(parse, root, "store", &store);

	parse->out->forget = !store;
	return rc;
}

static enum rc refuse_unsupported(struct parse *parse, const json_t *root)
{
	int64_t n = 1;
	bool echo = false;
	enum rc rc = read_int(parse, root, "n", 1, CHAT_CHOICES_MAX, &n);

	parse->out->choices = (size_t)n;
	n = 1;
	if (rc == RC_OK)
		rc = read_int(parse, root, "best_of", 1, 128, &n);
	if (rc == RC_OK && n > 1)
		return body_refuse(
		    parse->fault, "unsupported_value", "best_of", "best_of: one choice at a time");
	if (rc == RC_OK)
		rc = read_logprobs(parse, root);
	if (rc == RC_OK)
		rc = read_bool(parse, root, "echo", &echo);
	if (rc == RC_OK && echo)
		return body_refuse(
		    parse->fault, "unsupported_value", "echo", "echo is not supported");
	const json_t *suffix = body_field(root, "suffix");
	if (rc == RC_OK && parse->out->kind == CHAT_KIND_COMPLETION && suffix != NULL &&
	    json_string_length(suffix) > 0)
		return body_refuse(
		    parse->fault, "unsupported_value", "suffix", "suffix is not supported");
	return rc;
}

/* Only what was checked above, and nothing that says who asks. */
static enum rc read_forward(struct parse *parse, const json_t *root)
{
	const char *const limit = limit_name(root);
	const struct {
		const char *name;
		bool words; /* texts of the client's own */
	} fields[] = { { "temperature", false }, { "top_p", false }, { "presence_penalty", false },
		{ "frequency_penalty", false }, { "stop", true }, { "logprobs", false },
		{ "top_logprobs", false }, { "tools", true }, { "tool_choice", false },
		{ "parallel_tool_calls", false }, { "response_format", true }, { limit, false } };
	struct chat_request *out = parse->out;
	struct buf text;

	buf_init(&text, CHAT_BODY_BYTES_MAX);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const json_t *value = body_field(root, fields[i].name);
		if (value == NULL || (json_is_array(value) && json_array_size(value) == 0))
			continue;
		const char *json = body_json(value, parse->arena);
		if (json == NULL) {
			buf_fini(&text);
			return RC_NOMEM;
		}
		buf_printf(&text, "\"%s\":", fields[i].name);
		buf_puts(&text, json);
		buf_putc(&text, ',');
		out->forward_words = out->forward_words || fields[i].words;
		out->forward_limit = out->forward_limit || fields[i].name == limit;
	}
	out->forward = arena_copy(parse->arena, buf_text(&text), text.len);
	enum rc rc = out->forward == NULL ? RC_NOMEM : buf_rc(&text);
	buf_fini(&text);
	return rc;
}

static enum rc read_root(struct parse *parse, const json_t *root)
{
	struct chat_request *out = parse->out;

	if (!json_is_object(root))
		return body_refuse(
		    parse->fault, "invalid_type", "", "the body must be a JSON object");
	enum rc rc = read_text(parse, root, "model", "model", CHAT_USER_BYTES_MAX, &out->model);
	if (rc != RC_OK)
		return rc;
	if (out->model[0] == '\0')
		return body_refuse(
		    parse->fault, "missing_required_parameter", "model", "model is missing");
	out->hearth = strcmp(out->model, CHAT_MODEL_HEARTH) == 0;
	rc = out->kind == CHAT_KIND_CHAT ? read_messages(parse, root) : read_prompt(parse, root);
	if (rc == RC_OK)
		rc = read_text(parse, root, "user", "user", CHAT_USER_BYTES_MAX, &out->user);
	if (rc == RC_OK)
		rc = read_sampling(parse, root);
	if (rc == RC_OK)
		rc = read_stop(parse, root);
	if (rc == RC_OK)
		rc = read_max_tokens(parse, root);
	if (rc == RC_OK)
		rc = read_stream(parse, root);
	if (rc == RC_OK)
		rc = read_store(parse, root);
	if (rc == RC_OK)
		rc = refuse_unsupported(parse, root);
	if (rc == RC_OK && out->kind == CHAT_KIND_CHAT)
		rc = response_format_read(root, parse->arena, out, parse->fault);
	if (rc == RC_OK && (out->hearth || route_names_upstream(out->model)))
		rc = read_forward(parse, root);
	return rc;
}

enum rc chat_request_parse(enum chat_kind kind, const char *body, size_t len, struct arena *arena,
    struct chat_request *out, struct chat_fault *fault)
{
	struct parse parse = { .arena = arena, .out = out, .fault = fault };
	json_error_t error;

	*out = (struct chat_request){ .kind = kind,
		.choices = 1,
		.tools = { .json = "" },
		.forward = "",
		.format = { .constraint = { .schema = "" } } };
	*fault = (struct chat_fault){ 0 };
	if (len > CHAT_BODY_BYTES_MAX) {
		(void)body_refuse(parse.fault, "request_too_large", "",
		    "the body is over %zu bytes", CHAT_BODY_BYTES_MAX);
		fault->status = 413;
		return RC_INVALID;
	}
	json_t *root = json_loadb(body, len, JSON_DECODE_ANY, &error);
	if (root == NULL) {
		/* jansson's text quotes the input: say only where. */
		if (json_error_code(&error) == json_error_invalid_utf8)
			return body_refuse(parse.fault, "invalid_utf8", "",
			    "the body is not valid UTF-8 at byte %d", error.position);
		return body_refuse(parse.fault, "invalid_json", "",
		    "the body is not valid JSON at line %d, column %d", error.line, error.column);
	}
	enum rc rc = read_root(&parse, root);
	json_decref(root);
	return rc;
}
