/* Embeddings: checking the request, batches to the pool, the answer. */
#include "answer/embeddings.h"

#include <inttypes.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer/chat_request.h"
#include "answer/vectors.h"
#include "base/clock.h"
#include "gateway/metric.h"

#define TIMEOUT_NS (10 * NS_PER_MIN) /* of one batch */
#define AWAY_TIMEOUT_NS (2 * NS_PER_S)
#define FLOAT_DIGITS_MIN 6
#define FLOAT_DIGITS_MAX 9 /* these always read back exactly */

struct ask {
	const struct host *host;
	const struct api_request *request;
	struct api_response *response;
	struct arena *arena;
	const char *model;
	const uint8_t *content_hash;
	const char **texts; /* [n] */
	size_t n;
	bool base64;
	int64_t dimensions; /* 0: any */
	uint64_t prompt_tokens;
};

static bool refuse(
    struct ask *ask, int status, const char *code, const char *param, const char *message)
{
	api_error(ask->response, status, status >= 500 ? "server_error" : "invalid_request_error",
	    code, param, message);
	if (status == 503)
		api_header(ask->response, "Retry-After", "5");
	return false;
}

/* ---- the request ---- */

static bool read_input(struct ask *ask, const json_t *input, size_t i)
{
	const char *text = json_string_value(input);
	char *param = arena_printf(ask->arena, "input[%zu]", i);

	if (param == NULL)
		return refuse(ask, 503, "no_memory", NULL, "no memory for the inputs");
	if (json_is_integer(input) || json_is_array(input))
		return refuse(ask, 400, "unsupported", param,
		    "token ids are not supported as input: send text");
	if (text == NULL)
		return refuse(
		    ask, 400, "invalid_type", param, "input must be text, or an array of texts");
	if (json_string_length(input) == 0)
		return refuse(ask, 400, "invalid_value", param, "an input is empty");
	if (strlen(text) != json_string_length(input))
		return refuse(
		    ask, 400, "invalid_value", param, "an input holds the character U+0000");
	if (json_string_length(input) > EMBEDDINGS_TEXT_BYTES_MAX)
		return refuse(ask, 400, "invalid_value", param, "an input is over 1 MiB");
	ask->texts[i] = arena_copy(ask->arena, text, json_string_length(input));
	if (ask->texts[i] == NULL)
		return refuse(ask, 503, "no_memory", NULL, "no memory for the inputs");
	return true;
}

static bool read_inputs(struct ask *ask, const json_t *root)
{
	const json_t *input = json_object_get(root, "input");
	bool many = json_is_array(input);

	if (input == NULL || json_is_null(input))
		return refuse(ask, 400, "missing_required_parameter", "input", "input is missing");
	ask->n = many ? json_array_size(input) : 1;
	if (ask->n == 0 || ask->n > EMBEDDINGS_INPUTS_MAX)
		return refuse(
		    ask, 400, "invalid_value", "input", "input must hold 1 to 2048 texts");
	ask->texts = arena_array(ask->arena, ask->n, sizeof(*ask->texts));
	if (ask->texts == NULL)
		return refuse(ask, 503, "no_memory", NULL, "no memory for the inputs");
	for (size_t i = 0; i < ask->n; i++) {
		if (!read_input(ask, many ? json_array_get(input, i) : input, i))
			return false;
	}
	return true;
}

static bool read_options(struct ask *ask, const json_t *root)
{
	const json_t *format = json_object_get(root, "encoding_format");
	const json_t *dimensions = json_object_get(root, "dimensions");
	const char *word = json_string_value(format);

	if (format != NULL && !json_is_null(format)) {
		if (word == NULL || (strcmp(word, "float") != 0 && strcmp(word, "base64") != 0))
			return refuse(ask, 400, "invalid_value", "encoding_format",
			    "encoding_format must be float or base64");
		ask->base64 = strcmp(word, "base64") == 0;
	}
	if (dimensions != NULL && !json_is_null(dimensions)) {
		ask->dimensions = json_integer_value(dimensions);
		if (!json_is_integer(dimensions) || ask->dimensions < 1)
			return refuse(ask, 400, "invalid_value", "dimensions",
			    "dimensions must be a positive integer");
	}
	return true;
}

static bool read_root(struct ask *ask, const json_t *root)
{
	const json_t *model = json_object_get(root, "model");

	if (!json_is_object(root))
		return refuse(ask, 400, "invalid_type", NULL, "the body must be a JSON object");
	if (!json_is_string(model) || json_string_length(model) == 0 ||
	    json_string_length(model) >= POOL_MODEL_NAME_BYTES_MAX)
		return refuse(ask, 400,
		    model == NULL ? "missing_required_parameter" : "invalid_value", "model",
		    "model must name a model of GET /v1/models");
	ask->model = arena_copy(ask->arena, json_string_value(model), json_string_length(model));
	if (ask->model == NULL)
		return refuse(ask, 503, "no_memory", NULL, "no memory for the request");
	return read_inputs(ask, root) && read_options(ask, root);
}

static bool read_body(struct ask *ask)
{
	json_error_t error;
	json_t *root;
	bool ok;

	if (ask->request->body_len > EMBEDDINGS_BODY_BYTES_MAX)
		return refuse(ask, 413, "request_too_large", NULL, "the body is over 8 MiB");
	root = json_loadb(
	    ask->request->body, ask->request->body_len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	/* jansson's text quotes the input. */
	if (root == NULL)
		return refuse(ask, 400, "invalid_json", NULL, "the body is not valid JSON");
	ok = read_root(ask, root);
	json_decref(root);
	return ok;
}

/* ---- the model ---- */

/* Who embeds by that name, now or when last seen. */
static bool find_model(struct ask *ask)
{
	struct pool_node *nodes = NULL;
	size_t len = 0;
	bool any_up = false, other = false, known = false;

	if (ask->host->pool != NULL &&
	    pool_list(ask->host->pool, ask->arena, &nodes, &len) != RC_OK)
		return refuse(ask, 503, "no_memory", NULL, "no memory for the request");
	for (size_t i = 0; i < len; i++) {
		any_up = any_up || nodes[i].state == WIRE_LINK_UP;
		for (size_t j = 0; j < nodes[i].models_len; j++) {
			const struct pool_model *model = &nodes[i].models[j];

			if (strcmp(model->name, ask->model) != 0)
				continue;
			other = other || !model->embed;
			known = known || model->embed;
			if (model->embed && (ask->content_hash == NULL || nodes[i].takes))
				ask->content_hash = model->content_hash;
		}
	}
	if (known)
		return true;
	if (other || strcmp(ask->model, CHAT_MODEL_HEARTH) == 0)
		return refuse(ask, 400, "unsupported", "model", "this model does not embed");
	if (!any_up)
		return refuse(ask, 503, "model_unavailable", NULL, "no compute node is up");
	return refuse(ask, 404, "model_not_found", "model",
	    "no such model: GET /v1/models lists what there is");
}

/* ---- the answer ---- */

static void put_float(struct buf *out, float value)
{
	char text[32];

	for (int digits = FLOAT_DIGITS_MIN; digits <= FLOAT_DIGITS_MAX; digits++) {
		(void)snprintf(text, sizeof(text), "%.*g", digits, (double)value);
		if (strtof(text, NULL) == value)
			break;
	}
	buf_puts(out, text);
}

static void put_base64(struct buf *out, struct arena *arena, const float *values, uint32_t n)
{
	size_t max = sodium_base64_encoded_len(n * sizeof(float), sodium_base64_VARIANT_ORIGINAL);
	uint8_t *bytes = arena_alloc(arena, n * sizeof(float));
	char *text = arena_alloc(arena, max);

	if (bytes == NULL || text == NULL) {
		out->rc = RC_NOMEM;
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		uint32_t bits;

		memcpy(&bits, &values[i], sizeof(bits));
		for (uint32_t b = 0; b < sizeof(bits); b++)
			bytes[i * sizeof(bits) + b] = (uint8_t)(bits >> (8 * b));
	}
	(void)sodium_bin2base64(
	    text, max, bytes, n * sizeof(float), sodium_base64_VARIANT_ORIGINAL);
	buf_putc(out, '"');
	buf_puts(out, text);
	buf_putc(out, '"');
}

static void put_vector(struct ask *ask, size_t index, const float *values, uint32_t n)
{
	struct buf *out = &ask->response->body;

	buf_printf(out,
	    "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", index == 0 ? "" : ",",
	    index);
	if (ask->base64) {
		struct arena scratch;

		arena_init(&scratch, EMBEDDINGS_TEXT_BYTES_MAX);
		put_base64(out, &scratch, values, n);
		arena_fini(&scratch);
	} else {
		for (uint32_t i = 0; i < n; i++) {
			buf_putc(out, i == 0 ? '[' : ',');
			put_float(out, values[i]);
		}
		buf_putc(out, ']');
	}
	buf_putc(out, '}');
}

static bool gone(void *ctx)
{
	const struct ask *ask = ctx;

	return api_gone(ask->request) ||
	       (ask->host->stopping != NULL && ask->host->stopping(ask->host->ctx));
}

static bool respond_rc(
    struct ask *ask, enum rc rc, const struct vectors *got, size_t first, const struct errmsg *why)
{
	struct errmsg text = ERRMSG_INIT;
	char *param = arena_printf(ask->arena, "input[%zu]", first);

	if (rc == RC_UNAVAILABLE)
		return refuse(ask, 503, "model_unavailable", NULL,
		    "the compute node that serves this model is away");
	if (rc == RC_CONTEXT && got->needed != 0) {
		errmsg_set(&text, "an input has %" PRIu64 " tokens, the model's context %" PRIu64,
		    got->needed, got->context);
		why = &text;
	}
	api_error_rc(ask->response, rc,
	    rc == RC_CONTEXT && ask->n == 1 && param != NULL ? param
	    : rc == RC_CONTEXT                               ? "input"
							     : NULL,
	    why);
	return false;
}

/* How many texts from `first` on go into one message. */
static size_t batch_of(const struct ask *ask, size_t first)
{
	size_t n = 0, bytes = 0;

	while (first + n < ask->n && n < VECTORS_BATCH_MAX) {
		bytes += strlen(ask->texts[first + n]);
		if (n > 0 && bytes > VECTORS_BATCH_BYTES_MAX)
			break;
		n++;
	}
	return n;
}

static bool embed_batch(struct ask *ask, size_t first, size_t n)
{
	int64_t away_ns = ask->host->start_timeout_ns;
	const struct vectors_want want = { .model = ask->model,
		.content_hash = ask->content_hash,
		.texts = ask->texts + first,
		.n = n,
		.timeout_ns = TIMEOUT_NS,
		.away_ns = away_ns > 0 ? away_ns : AWAY_TIMEOUT_NS,
		.gone = gone,
		.ctx = ask };
	struct vectors got;
	struct errmsg why = ERRMSG_INIT;
	enum rc rc = vectors_get(ask->host->pool, &want, &got, &why);
	bool ok = rc == RC_OK;

	if (!ok) {
		(void)respond_rc(ask, rc, &got, first, &why);
	} else if (ask->dimensions != 0 && ask->dimensions != got.length) {
		ok = refuse(ask, 400, "unsupported", "dimensions",
		    "this model gives vectors of another length only");
	} else {
		for (size_t i = 0; i < n; i++)
			put_vector(ask, first + i, got.values + i * got.length, got.length);
		ask->prompt_tokens += got.prompt_tokens;
	}
	vectors_fini(&got);
	return ok;
}

static bool embed_all(struct ask *ask)
{
	struct buf *out = &ask->response->body;

	ask->response->status = 200;
	ask->response->content_type = "application/json";
	buf_puts(out, "{\"object\":\"list\",\"data\":[");
	for (size_t at = 0; at < ask->n;) {
		size_t n = batch_of(ask, at);

		if (!embed_batch(ask, at, n))
			return false;
		at += n;
	}
	buf_puts(out, "],\"model\":");
	buf_json_string(out, ask->model, strlen(ask->model));
	buf_printf(out,
	    ",\"usage\":{\"prompt_tokens\":%" PRIu64 ",\"total_tokens\":%" PRIu64 "}}\n",
	    ask->prompt_tokens, ask->prompt_tokens);
	if (buf_rc(out) == RC_LIMIT)
		return refuse(ask, 400, "limit_exceeded", "input",
		    "the vectors do not fit one answer: send fewer inputs, or base64");
	if (buf_rc(out) != RC_OK)
		return refuse(ask, 503, "no_memory", NULL, "no memory for the vectors");
	return true;
}

void answer_embeddings(const struct host *host, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct ask ask = { .host = host, .request = request, .response = response, .arena = arena };

	if (read_body(&ask) && find_model(&ask) && embed_all(&ask))
		metric_add(METRIC_TOKENS_PROMPT, ask.prompt_tokens);
}

void answer_api_embeddings(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct host host;

	host_of(station, &host);
	answer_embeddings(&host, request, arena, response);
}
