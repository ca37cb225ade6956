/*
 * Control client: one way for every command to reach the node.
 *
 * If a node serves the directory, requests go through DIR/control.sock; else
 * the station is opened in this process and api_handle() is called.  The same
 * routes and the same answers either way.
 */
#ifndef CLI_CONTROL_CLIENT_H
#define CLI_CONTROL_CLIENT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/errmsg.h"

struct control_client;

#define CONTROL_CLIENT_BODY_BYTES_MAX ((size_t)1 << 30) /* of an answer kept whole */

/* `parts`: STATION_… bits that the requests need when nothing serves. */
enum rc control_client_open(
    const char *dir, unsigned parts, struct control_client **out, struct errmsg *why) RC_CHECK;
void control_client_close(struct control_client *client);

/* True if a serving node answers, not this process. */
bool control_client_serving(const struct control_client *client);

/* Part of an answer's body; false breaks off. */
typedef bool control_client_sink_fn(void *ctx, const char *bytes, size_t len);

struct control_client_call {
	const char *method, *target; /* "/api/v1/events?limit=5" */
	const char *body;            /* NULL: none */
	size_t body_len;
	control_client_sink_fn *sink; /* of a 2xx answer; NULL: into `answer` */
	void *sink_ctx;
	int status;        /* out */
	struct buf answer; /* out: the body, or an error's; control_client_done() */
};

/*
 * Send and wait for the whole answer.  RC_OK for any status; RC_CLOSED: the
 * node went away, RC_CANCELLED: the sink said no.
 */
enum rc control_client_send(
    struct control_client *client, struct control_client_call *call, struct errmsg *why) RC_CHECK;

void control_client_done(struct control_client_call *call);

/* RC_OK for 2xx; else the rc that fits the status, and the error's message. */
enum rc control_client_check(const struct control_client_call *call, struct errmsg *why) RC_CHECK;

/* Do something to what has this name: `path` ends in its parameter, "/control/devices?name=".
 * The errors of both above. */
enum rc control_client_act(struct control_client *client, const char *method, const char *path,
    const char *name, struct errmsg *why) RC_CHECK;

#endif
