/*
 * API: requests and responses without a transport.
 *
 * Handlers see struct api_request and fill struct api_response; the HTTP
 * listener (http.c), the control socket and a command run in-process all call
 * api_handle().  A response is either whole (`body`) or a pull stream (`pull`).
 */
#ifndef GATEWAY_API_H
#define GATEWAY_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/errmsg.h"

struct station; /* gateway/station.h: store, recall, pool, catalogue of this node */

enum api_peer {
	API_PEER_TOKEN,   /* over HTTP with a bearer token */
	API_PEER_CONTROL, /* through the control socket: the operator */
	API_PEER_NONE,    /* no token: open routes only */
};

struct api_param {
	const char *name, *value; /* percent-decoded */
};

struct api_request {
	const char *method;             /* "GET" */
	const char *path;               /* "/api/v1/events", decoded */
	const struct api_param *params; /* [params_len] of the query string */
	size_t params_len;
	const char *body; /* [body_len], NUL behind it */
	size_t body_len;
	void *upload;      /* what api_sink.begin() made and the body went into; NULL */
	const char *range; /* the Range header; NULL */
	enum api_peer peer;
	int64_t device;      /* catalogue id of the token's device; 0 = owner */
	bool agents;         /* made by an agent, whoever's token it has (mcp_tools.h) */
	unsigned layers;     /* LAYER_MASK bits the device is limited to; 0: no limit */
	int64_t error_ns;    /* ε that the device is registered with; 0: the default */
	uint64_t request_id; /* for logs and x-request-id */
	/* True once the client is gone: long work polls it. */
	bool (*gone)(void *ctx);
	void *gone_ctx;
};

/*
 * Where a body goes as it comes in, for routes that take more than memory
 * should hold.  `end` is called once for what `begin` made, after the handler.
 * Calls come from the request's thread; a failure refuses the request.
 */
struct api_sink {
	enum rc (*begin)(struct station *station, uint64_t announced_bytes, void **upload,
	    struct errmsg *why) RC_CHECK; /* 0: the sender did not say */
	enum rc (*put)(void *upload, const char *bytes, size_t len, struct errmsg *why) RC_CHECK;
	void (*end)(void *upload);
	uint64_t bytes_max;
};

/* The sink of the request's route; NULL: its body is kept. */
const struct api_sink *api_sink(const struct api_request *request);

/*
 * Pull stream: fill at most `max` bytes, return how many; 0 = nothing within
 * a moment (call again), API_PULL_END = finished, API_PULL_FAIL = break off.
 */
#define API_PULL_END (-1)
#define API_PULL_FAIL (-2)
typedef long api_pull_fn(void *ctx, char *out, size_t max);

#define API_HEADERS_MAX 8

struct api_response {
	int status; /* 200 */
	const char *content_type;
	struct {
		const char *name, *value; /* in the request's arena or static */
	} headers[API_HEADERS_MAX];
	size_t headers_len;
	struct buf body;
	api_pull_fn *pull; /* NULL: body is the whole answer */
	void *pull_ctx;
	uint64_t pull_bytes;          /* how many it will give; 0: not known */
	void (*pull_free)(void *ctx); /* called once, also after an abort */
};

const char *api_param(const struct api_request *request, const char *name); /* NULL */

/* The route's path, a constant, for logs; "-" if there is none. */
const char *api_route(const struct api_request *request);

/* True if the route needs no token. */
bool api_open(const struct api_request *request);

/* The 401 of the contract, with WWW-Authenticate. */
void api_unauthorized(struct api_response *response);

/* Route and run on an initialised response; always leaves a complete response.  `arena` outlives
 * it. */
void api_handle(struct station *station, const struct api_request *request, struct arena *arena,
    struct api_response *response);

/* A row of the router: the shape of every handler. */
typedef void api_handler_fn(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response);

#define API_BODY_BYTES_MAX ((size_t)64 << 20) /* of a whole response */

/* 200, empty JSON body of at most API_BODY_BYTES_MAX. */
void api_response_init(struct api_response *response);
/* Frees the body and the pull stream. */
void api_response_fini(struct api_response *response);

/* `name` and `value` are static or in the request's arena; more than
 * API_HEADERS_MAX are dropped. */
void api_header(struct api_response *response, const char *name, const char *value);

/* OpenAI-shaped error body: {"error":{"message","type","param","code"}}.
 * Replaces what the response held; `code` and `param` may be NULL. */
void api_error(struct api_response *response, int status, const char *type, const char *code,
    const char *param, const char *message);

/* The same from a result code: status, type and code follow from `rc`. */
void api_error_rc(
    struct api_response *response, enum rc rc, const char *param, const struct errmsg *why);

/* True if the client has gone away or the node is stopping. */
bool api_gone(const struct api_request *request);

#endif
