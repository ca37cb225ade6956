/*
 * One request: refuse early, receive the body, run the handler, send what it
 * made.  Everything here runs on the connection's own thread.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "gateway/auth.h"
#include "gateway/guard.h"
#include "gateway/http_internal.h"
#include "gateway/metric.h"
#include "gateway/station.h"
#include "gateway/target.h"

#define PULL_BLOCK_BYTES ((size_t)64 << 10)
#define ADDRESS_BYTES 64
#define ORIGIN_LOGGED 100

struct request {
	struct http *http;
	struct MHD_Connection *connection;
	struct http_link *link;
	struct arena arena;
	struct api_request api;
	struct api_response response;
	struct buf body;
	const struct api_sink *sink; /* takes the body instead of `body`; NULL */
	char *uri;
	char id[17];
	size_t body_seen; /* bytes received, kept or dropped */
	size_t body_counted;
	int64_t begun_ns;
	bool started, refused, handled;
};

static atomic_uint_fast64_t next_id;

static uint64_t make_id(void)
{
	uint_fast64_t none = 0;

	/* A random start, so that ids of two runs are not confused. */
	(void)atomic_compare_exchange_strong(&next_id, &none, random_u64() | 1);
	return atomic_fetch_add(&next_id, 1);
}

void *http_request_begin(void *cls, const char *uri, struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct http *http = cls;

	struct request *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return NULL;
	r->http = http;
	r->connection = connection;
	r->link = info != NULL ? info->socket_context : NULL;
	r->begun_ns = clock_mono_ns();
	arena_init(&r->arena, HTTP_ARENA_BYTES_MAX);
	api_response_init(&r->response);
	buf_init(&r->body, http->config.body_bytes_max);
	r->api.method = r->api.path = "";
	r->api.request_id = make_id();
	(void)snprintf(r->id, sizeof(r->id), "%016" PRIx64, r->api.request_id);
	r->uri = strdup(uri);
	atomic_fetch_add(&http->requests, 1);
	return r;
}

void http_request_end(void *cls, struct MHD_Connection *connection, void **state,
    enum MHD_RequestTerminationCode code)
{
	struct request *r = *state;
	struct http *http = cls;

	(void)connection;
	if (r == NULL)
		return;
	*state = NULL;
	if (r->handled && code != MHD_REQUEST_TERMINATED_COMPLETED_OK)
		metric_add(METRIC_CLIENTS_GONE, 1);
	log_debug("HTTP-REQUEST", "request=%s status=%d ms=%" PRId64, r->id, r->response.status,
	    (clock_mono_ns() - r->begun_ns) / NS_PER_MS);
	api_response_fini(&r->response);
	if (r->api.upload != NULL)
		r->sink->end(r->api.upload);
	buf_fini(&r->body);
	atomic_fetch_sub(&http->bodies_bytes, r->body_counted);
	arena_fini(&r->arena);
	http_watch_phase(r->link, LINK_HEAD);
	free(r->uri);
	free(r);
	atomic_fetch_sub(&http->requests, 1);
}

/* ---- is the client still there? ------------------------------------------------ */

static bool client_gone(void *ctx)
{
	struct request *r = ctx;
	struct pollfd p = { .fd = r->link->fd, .events = POLLRDHUP };

	if (atomic_load(&r->http->stopping) || station_stopping(r->http->config.station))
		return true;
	return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

/* Silence counts from now on: the library's clock stood while we worked. */
static void touch(struct request *r)
{
	(void)MHD_set_connection_option(r->connection, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
	(void)MHD_set_connection_option(
	    r->connection, MHD_CONNECTION_OPTION_TIMEOUT, (unsigned int)r->http->config.idle_s);
}

/* ---- refusing before the body --------------------------------------------------- */

static const char *header(const struct request *r, const char *name)
{
	return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

static void peer_address(const struct request *r, char out[ADDRESS_BYTES])
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const void *bytes = NULL;

	(void)snprintf(out, ADDRESS_BYTES, "unknown");
	if (info == NULL || info->client_addr == NULL)
		return;
	const struct sockaddr *a = info->client_addr;
	if (a->sa_family == AF_INET)
		bytes = &((const struct sockaddr_in *)a)->sin_addr;
	else if (a->sa_family == AF_INET6)
		bytes = &((const struct sockaddr_in6 *)a)->sin6_addr;
	if (bytes != NULL)
		(void)inet_ntop(a->sa_family, bytes, out, ADDRESS_BYTES);
}

/* Who is it?  False: refused, the response says so. */
static bool check_token(struct request *r)
{
	struct auth_identity identity = { 0 };
	char address[ADDRESS_BYTES];

	const char *value = header(r, MHD_HTTP_HEADER_AUTHORIZATION);
	r->api.peer = API_PEER_NONE;
	if (api_open(&r->api))
		return true;
	peer_address(r, address);
	switch (auth_check(station_auth(r->http->config.station), value, address, &identity)) {
	case AUTH_ACCEPTED:
		r->api.peer = API_PEER_TOKEN;
		r->api.device = identity.device;
		r->api.layers = identity.layers;
		r->api.error_ns = identity.error_ns;
		return true;
	case AUTH_LIMITED:
		metric_add(METRIC_REFUSED_TOKEN, 1);
		metric_add(METRIC_REFUSED_RATE, 1);
		api_error(&r->response, 429, "rate_limit_error", "too_many_failures", NULL,
		    "too many requests without a valid token");
		api_header(&r->response, "Retry-After", "5");
		return false;
	case AUTH_REFUSED:
		break;
	}
	metric_add(METRIC_REFUSED_TOKEN, 1);
	log_warn("AUTH-REFUSED", "request=%s from=%s", r->id, address);
	api_unauthorized(&r->response);
	return false;
}

static bool check_origin(struct request *r)
{
	const char *host = header(r, MHD_HTTP_HEADER_HOST);

	if (guard_host(host, r->http->config.name, r->http->config.tls_key != NULL) &&
	    guard_origin(header(r, MHD_HTTP_HEADER_ORIGIN), host))
		return true;
	metric_add(METRIC_REFUSED_ORIGIN, 1);
	/* A page may try without end: the log shows the first ones, then samples. */
	uint64_t n = metric_get(METRIC_REFUSED_ORIGIN);
	if (n <= ORIGIN_LOGGED || n % ORIGIN_LOGGED == 0)
		log_warn("ORIGIN-REFUSED", "request=%s count=%" PRIu64, r->id, n);
	api_error(&r->response, 403, "permission_error", "foreign_origin", NULL,
	    "the Host or Origin header is not this node's");
	return false;
}

/* Content-Length, or 0 when there is none. */
static uint64_t announced(const struct request *r)
{
	const char *text = header(r, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return text != NULL ? strtoull(text, NULL, 10) : 0;
}

static void refuse_too_large(struct request *r)
{
	api_error(&r->response, 413, "invalid_request_error", "body_too_large", NULL,
	    "the body is larger than this node takes in one request");
	api_header(&r->response, "Connection", "close");
}

static void refuse_rc(struct request *r, enum rc rc, const struct errmsg *why)
{
	if (rc == RC_LIMIT)
		refuse_too_large(r);
	else
		api_error_rc(&r->response, rc, NULL, why);
}

static bool sink_begin(struct request *r)
{
	struct errmsg why = ERRMSG_INIT;

	enum rc rc = r->sink->begin(r->http->config.station, announced(r), &r->api.upload, &why);
	if (rc != RC_OK)
		refuse_rc(r, rc, &why);
	return rc == RC_OK;
}

/* True: go on to receive the body. */
static bool admit(struct request *r, const char *method)
{
	struct http *http = r->http;
	struct errmsg why = ERRMSG_INIT;

	if (r->link == NULL || r->link->fd < 0 || r->uri == NULL) {
		api_error_rc(&r->response, RC_NOMEM, NULL, NULL);
		return false;
	}
	if (atomic_load(&http->requests) > http->config.connections_max) {
		metric_add(METRIC_REFUSED_CONNECTION, 1);
		api_error(&r->response, 503, "server_error", "too_many_requests", NULL,
		    "too many requests at one time: try again in a moment");
		api_header(&r->response, "Retry-After", "1");
		api_header(&r->response, "Connection", "close");
		return false;
	}
	r->api.method = arena_strdup(&r->arena, method);
	enum rc rc =
	    r->api.method == NULL ? RC_NOMEM : target_parse(r->uri, &r->arena, &r->api, &why);
	if (rc != RC_OK) {
		r->api.path = "";
		api_error_rc(&r->response, rc, NULL, &why);
		return false;
	}
	r->api.gone = client_gone;
	r->api.gone_ctx = r;
	if (http->config.control_path != NULL)
		r->api.peer = API_PEER_CONTROL;
	else if (!check_origin(r) || !check_token(r))
		return false;
	r->api.range = header(r, MHD_HTTP_HEADER_RANGE);
	r->sink = http->config.handle == api_handle ? api_sink(&r->api) : NULL;
	if (announced(r) > (r->sink != NULL ? r->sink->bytes_max : http->config.body_bytes_max)) {
		refuse_too_large(r);
		return false;
	}
	return r->sink == NULL || sink_begin(r);
}

/* ---- the body -------------------------------------------------------------------- */

/* Keep a piece of the body, or turn the request into a refusal. */
static void keep(struct request *r, const char *bytes, size_t len)
{
	struct http *http = r->http;

	if (r->sink != NULL) {
		struct errmsg why = ERRMSG_INIT;
		enum rc rc = r->sink->put(r->api.upload, bytes, len, &why);
		if (rc != RC_OK)
			refuse_rc(r, rc, &why);
		r->refused = rc != RC_OK;
	} else if (r->body_seen > http->config.body_bytes_max) {
		refuse_too_large(r);
		r->refused = true;
	} else if (atomic_fetch_add(&http->bodies_bytes, len) + len > HTTP_BODIES_BYTES_MAX) {
		r->body_counted += len;
		api_error_rc(&r->response, RC_AGAIN, NULL, NULL);
		r->refused = true;
	} else {
		r->body_counted += len;
		buf_append(&r->body, bytes, len);
		if (buf_rc(&r->body) != RC_OK) {
			api_error_rc(&r->response, RC_NOMEM, NULL, NULL);
			r->refused = true;
		}
	}
	if (r->refused)
		buf_fini(&r->body);
}

/* ---- the answer ------------------------------------------------------------------- */

static ssize_t read_pull(void *cls, uint64_t pos, char *out, size_t max)
{
	struct request *r = cls;

	(void)pos;
	for (;;) {
		if (client_gone(r))
			return MHD_CONTENT_READER_END_WITH_ERROR;
		long n = r->response.pull(r->response.pull_ctx, out, max);
		touch(r);
		if (n > 0)
			return (ssize_t)n;
		if (n == API_PULL_END)
			return MHD_CONTENT_READER_END_OF_STREAM;
		if (n < 0)
			return MHD_CONTENT_READER_END_WITH_ERROR;
	}
}

static enum MHD_Result send_response(struct request *r)
{
	struct api_response *a = &r->response;
	struct MHD_Response *m = NULL;

	if (a->pull != NULL)
		m = MHD_create_response_from_callback(
		    a->pull_bytes > 0 ? a->pull_bytes : MHD_SIZE_UNKNOWN, PULL_BLOCK_BYTES,
		    read_pull, r, NULL);
	else
		m = MHD_create_response_from_buffer(
		    a->body.len, a->body.bytes, MHD_RESPMEM_PERSISTENT);
	if (m == NULL)
		return MHD_NO;
	(void)MHD_add_response_header(m, MHD_HTTP_HEADER_CONTENT_TYPE, a->content_type);
	(void)MHD_add_response_header(m, "X-Request-Id", r->id);
	for (size_t i = 0; i < a->headers_len; i++)
		(void)MHD_add_response_header(m, a->headers[i].name, a->headers[i].value);
	if (a->status >= 500)
		log_warn("HTTP-ERROR", "request=%s status=%d route=%s", r->id, a->status,
		    api_route(&r->api));
	touch(r);
	enum MHD_Result ok = MHD_queue_response(r->connection, (unsigned int)a->status, m);
	MHD_destroy_response(m);
	return ok;
}

static enum MHD_Result run(struct request *r)
{
	http_watch_phase(r->link, LINK_ANSWER);
	if (!r->refused) {
		r->api.body = buf_text(&r->body);
		r->api.body_len = r->body.len;
		metric_add(METRIC_BODY_BYTES, r->sink != NULL ? r->body_seen : r->body.len);
		r->handled = true;
		r->http->config.handle(r->http->config.station, &r->api, &r->arena, &r->response);
	} else {
		metric_add(METRIC_REQUESTS, 1);
		metric_add(
		    r->response.status >= 500 ? METRIC_ERRORS_SERVER : METRIC_ERRORS_CLIENT, 1);
	}
	return send_response(r);
}

/*
 * A refusal is sent after the body was read and dropped, because closing with
 * bytes unread would reset the connection before the client sees why.  Not for
 * clients that wait for "100 Continue", nor for bodies too large to drain.
 */
static bool answer_at_once(const struct request *r)
{
	return r->refused &&
	       (header(r, MHD_HTTP_HEADER_EXPECT) != NULL || announced(r) > HTTP_DRAIN_BYTES_MAX);
}

enum MHD_Result http_request_step(void *cls, struct MHD_Connection *connection, const char *url,
    const char *method, const char *version, const char *upload, size_t *upload_len, void **state)
{
	struct request *r = *state;

	(void)cls;
	(void)connection;
	(void)url;
	(void)version;
	if (r == NULL)
		return MHD_NO; /* no memory at its begin */
	if (!r->started) {
		r->started = true;
		http_watch_phase(r->link, LINK_BODY);
		r->refused = !admit(r, method);
		return answer_at_once(r) ? run(r) : MHD_YES;
	}
	if (*upload_len > 0) {
		r->body_seen += *upload_len;
		if (r->body_seen > HTTP_DRAIN_BYTES_MAX && (r->refused || r->sink == NULL))
			return MHD_NO;
		if (!r->refused)
			keep(r, upload, *upload_len);
		*upload_len = 0;
		return MHD_YES;
	}
	return run(r);
}
