/*
 * What the files of the HTTP listener share: http.c (sockets, life),
 * http_request.c (one request), http_watch.c (deadlines of connections).
 */
#ifndef GATEWAY_HTTP_INTERNAL_H
#define GATEWAY_HTTP_INTERNAL_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "gateway/api.h"
#include "gateway/http.h"

enum link_phase {
	LINK_HEAD,   /* waiting for a request's head */
	LINK_BODY,   /* receiving its body */
	LINK_ANSWER, /* working or sending: idle_s watches the client */
};

/* One connection; in the list from its start to its close. */
struct http_link {
	struct http_link *next, *prev;
	struct http *http;
	int fd;
	enum link_phase phase; /* guarded by watch_mutex */
	int64_t since_ns;      /* monotone; of the phase */
	bool cut;              /* shut down to make room */
};

struct http {
	struct http_config config;
	struct MHD_Daemon *daemon;
	int listen_fd;
	uint16_t port;
	atomic_int connections, requests;
	atomic_size_t bodies_bytes;
	atomic_bool stopping;
	pthread_mutex_t watch_mutex;
	pthread_cond_t watch_wake;
	pthread_t watch_thread;
	bool watch_running, watch_stop;
	struct http_link *links;
};

/* http_watch.c */
enum rc http_watch_start(struct http *http, struct errmsg *why) RC_CHECK;
void http_watch_end(struct http *http);
void http_watch_notify(void *cls, struct MHD_Connection *connection, void **socket_context,
    enum MHD_ConnectionNotificationCode code);
void http_watch_phase(struct http_link *link, enum link_phase phase);

/* http_request.c: callbacks of the library */
void *http_request_begin(void *cls, const char *uri, struct MHD_Connection *connection);
enum MHD_Result http_request_step(void *cls, struct MHD_Connection *connection, const char *url,
    const char *method, const char *version, const char *upload, size_t *upload_len, void **state);
void http_request_end(void *cls, struct MHD_Connection *connection, void **state,
    enum MHD_RequestTerminationCode code);

#endif
