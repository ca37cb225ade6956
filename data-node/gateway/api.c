/* Responses, errors and parameters: what every handler uses. */
#include "gateway/api.h"

#include <string.h>

void api_response_init(struct api_response *response)
{
	memset(response, 0, sizeof(*response));
	response->status = 200;
	response->content_type = "application/json";
	buf_init(&response->body, API_BODY_BYTES_MAX);
}

void api_response_fini(struct api_response *response)
{
	if (response->pull_free != NULL)
		response->pull_free(response->pull_ctx);
	response->pull_free = NULL;
	response->pull = NULL;
	response->pull_ctx = NULL;
	response->pull_bytes = 0;
	buf_fini(&response->body);
}

void api_header(struct api_response *response, const char *name, const char *value)
{
	if (response->headers_len >= API_HEADERS_MAX)
		return;
	response->headers[response->headers_len].name = name;
	response->headers[response->headers_len].value = value;
	response->headers_len++;
}

const char *api_param(const struct api_request *request, const char *name)
{
	for (size_t i = 0; i < request->params_len; i++) {
		if (strcmp(request->params[i].name, name) == 0)
			return request->params[i].value;
	}
	return NULL;
}

bool api_gone(const struct api_request *request)
{
	return request->gone != NULL && request->gone(request->gone_ctx);
}

static void put_text_or_null(struct buf *body, const char *text)
{
	if (text == NULL)
		buf_puts(body, "null");
	else
		buf_json_string(body, text, strlen(text));
}

void api_error(struct api_response *response, int status, const char *type, const char *code,
    const char *param, const char *message)
{
	size_t max = response->body.max;

	api_response_fini(response);
	buf_init(&response->body, max);
	response->status = status;
	response->content_type = "application/json";
	response->headers_len = 0;
	buf_puts(&response->body, "{\"error\":{\"message\":");
	put_text_or_null(&response->body, message);
	buf_puts(&response->body, ",\"type\":");
	put_text_or_null(&response->body, type);
	buf_puts(&response->body, ",\"param\":");
	put_text_or_null(&response->body, param);
	buf_puts(&response->body, ",\"code\":");
	put_text_or_null(&response->body, code);
	buf_puts(&response->body, "}}\n");
}

static const struct {
	enum rc rc;
	int status;
	const char *type, *code;
} rc_errors[] = {
	{ RC_INVALID, 400, "invalid_request_error", "invalid_value" },
	{ RC_LIMIT, 400, "invalid_request_error", "limit_exceeded" },
	{ RC_CONTEXT, 400, "invalid_request_error", "context_length_exceeded" },
	{ RC_UNSUPPORTED, 400, "invalid_request_error", "unsupported" },
	{ RC_DENIED, 403, "permission_error", "denied" },
	{ RC_NOTFOUND, 404, "invalid_request_error", "not_found" },
	{ RC_EXISTS, 409, "invalid_request_error", "exists" },
	{ RC_AGAIN, 503, "server_error", "busy" },
	{ RC_BUSY, 503, "server_error", "busy" },
	{ RC_UNAVAILABLE, 503, "server_error", "unavailable" },
	{ RC_NOMEM, 503, "server_error", "no_memory" },
	{ RC_CANCELLED, 499, "server_error", "cancelled" },
	{ RC_TIMEOUT, 504, "server_error", "timeout" },
	{ RC_FULL, 507, "server_error", "storage_full" },
};

void api_error_rc(
    struct api_response *response, enum rc rc, const char *param, const struct errmsg *why)
{
	for (size_t i = 0; i < sizeof(rc_errors) / sizeof(rc_errors[0]); i++) {
		if (rc_errors[i].rc != rc)
			continue;
		api_error(response, rc_errors[i].status, rc_errors[i].type, rc_errors[i].code,
		    param, errmsg_text(why, rc));
		if (rc_errors[i].status == 503)
			api_header(response, "Retry-After", "2");
		return;
	}
	api_error(response, 500, "server_error", rc_word(rc), param, errmsg_text(why, rc));
}

void api_unauthorized(struct api_response *response)
{
	api_error(response, 401, "authentication_error", "invalid_token", NULL,
	    "a valid bearer token is needed: Authorization: Bearer TOKEN");
	api_header(response, "WWW-Authenticate", "Bearer realm=\"hearth\"");
}
