/*
 * Upstream: one request to an OpenAI-compatible server, as a pull stream of events.
 *
 * POST of a JSON body that asks for a stream, over HTTP/1.1 by libcurl; certificates are
 * checked, and no redirect, proxy of the environment, cookie or netrc is followed.  A
 * connection that breaks before the first byte of an answer is tried once more, and so is
 * a server that is away for now; after that nothing is.  What was sent is sent again only
 * by leave, for it may cost twice.  Freeing it ends the connection, which tells the
 * server to stop.
 * One thread at a time.
 */
#ifndef CLOUD_UPSTREAM_H
#define CLOUD_UPSTREAM_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/errmsg.h"

struct upstream;

#define UPSTREAM_BODY_BYTES_MAX ((size_t)16 << 20) /* of a request */
#define UPSTREAM_ERROR_BYTES_MAX ((size_t)64 << 10)
#define UPSTREAM_KEY_BYTES_MAX ((size_t)4096)

struct upstream_config {
	const char *url; /* with its path */
	const char *ca;  /* PEM; "" = the system's */
	const char *key; /* bearer; "" = none */
	int64_t connect_ns, idle_ns;
	/* Asked before a request is sent once more; NULL: it is not.  In upstream_next(). */
	bool (*again)(void *ctx);
	void *ctx;
};

enum upstream_kind {
	UPSTREAM_IDLE,
	UPSTREAM_STARTED, /* it answers */
	UPSTREAM_TEXT,
	UPSTREAM_REASONING,
	UPSTREAM_CALL,
	UPSTREAM_DONE,
	UPSTREAM_FAILED,
};

struct upstream_event {
	enum upstream_kind kind;
	const char *text; /* [len]; CALL: the arguments.  Live until the next call */
	size_t len;
	const char *name, *id; /* CALL */
	unsigned index;
	const char *logprobs; /* TEXT, DONE: since the last one; JSON objects with commas */
	size_t logprobs_len;
	bool cut_short; /* DONE: finish_reason is length */
	/* DONE, FAILED: as the server counts them, if it did. */
	bool has_usage;
	uint32_t prompt_tokens, completion_tokens;
	/*
	 * FAILED: UNAVAILABLE (not reached, 5xx, broken off), TIMEOUT, BUSY (429), DENIED
	 * (401, 403), INVALID (other refusals), CORRUPT, LIMIT.
	 */
	enum rc rc;
	int status; /* of HTTP; 0: none */
	char error[256];
};

/* `config` is copied; `body` becomes the upstream's.  RC_NOMEM, RC_CONFIG. */
enum rc upstream_open(const struct upstream_config *config, struct buf *body, struct upstream **out,
    struct errmsg *why) RC_CHECK;
void upstream_free(struct upstream *upstream);

/* How many requests went out that the server did not refuse: it may have worked on each,
 * whatever came of it. */
unsigned upstream_asked(const struct upstream *upstream);

/* The next event, at most `timeout_ns` later (then IDLE).  DONE and FAILED repeat. */
void upstream_next(struct upstream *upstream, int64_t timeout_ns, struct upstream_event *event);

#endif
