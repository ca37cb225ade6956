/*
 * HTTP: the listener that carries api_handle() to sockets (libmicrohttpd).
 *
 * One thread a connection, so handlers and pull streams may block.  Limits:
 * requests at one time (over it: 503), connections (over it: those that ask
 * for nothing are closed, the longest idle first; far over it: new ones are
 * closed), body bytes of one request (413) and of all (503), silence while
 * receiving or sending, time for a request's head and body.  A client that goes
 * away shows in api_request.gone: the descriptor is polled for RDHUP, because
 * the library does not watch it while a handler runs.  microhttpd.h is seen by
 * http*.c only.
 */
#ifndef GATEWAY_HTTP_H
#define GATEWAY_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include "gateway/api.h"

struct http;

#define HTTP_BODY_BYTES_MAX ((size_t)32 << 20)
#define HTTP_BODIES_BYTES_MAX ((size_t)256 << 20) /* of all requests together */
#define HTTP_DRAIN_BYTES_MAX ((size_t)64 << 20)   /* read and dropped before a refusal */
#define HTTP_CONNECTIONS_MAX 128
#define HTTP_CONNECTIONS_RESERVE 128             /* beyond the limit, see above */
#define HTTP_ARENA_BYTES_MAX ((size_t)256 << 20) /* of one request */

struct http_config {
	struct station *station;
	const char *host;               /* numeric address or "localhost"; loopback unless TLS */
	uint16_t port;                  /* 0: any */
	const char *control_path;       /* a Unix socket instead of host and port: requests
					   through it are the operator's */
	const char *name;               /* another Host that is ours; NULL */
	const char *tls_key, *tls_cert; /* PEM; NULL: plain HTTP, on loopback alone */
	int connections_max;            /* 0: HTTP_CONNECTIONS_MAX; of requests too */
	size_t body_bytes_max;          /* 0: HTTP_BODY_BYTES_MAX */
	int idle_s;                     /* silence; 0: 30 */
	int head_s;                     /* for a request's head; 0: 60 */
	int body_s;                     /* for its body; 0: 300 */
	api_handler_fn *handle;         /* NULL: api_handle(); tests put their own in */
};

/*
 * Start listening.  RC_CONFIG: plain beyond loopback, or a host that is no address;
 * RC_BUSY: the port is taken.  A control socket is made with mode 0600; one
 * left behind is replaced, so the caller must hold the store's lock.  Strings
 * are borrowed until http_close().
 */
enum rc http_open(const struct http_config *config, struct http **out, struct errmsg *why) RC_CHECK;

/* Stop accepting, give requests in flight `grace_ns` to finish, end them. */
void http_close(struct http *http, int64_t grace_ns);

uint16_t http_port(const struct http *http);
int http_connections(const struct http *http);

#endif
