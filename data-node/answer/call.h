/*
 * Call: one request in flight on one compute node of the pool.
 *
 * The pool's second face, for code that talks to nodes (generation.c,
 * count.c).  Lock order: the pool's lock is outside the handlers' own; a
 * handler runs with the pool's lock held, so it copies, signals and returns,
 * and never calls the pool.  Any thread.
 */
#ifndef ANSWER_CALL_H
#define ANSWER_CALL_H

#include "answer/pool.h"
#include "answer/prefix.h"

struct call;

#define CALL_AVOID_MAX POOL_NODES_MAX

struct call_want {
	const char *model;           /* NULL: any */
	bool embeds;                 /* a model that embeds; else one that chats */
	const uint8_t *content_hash; /* this very model, by any name; NULL: any */
	const char *numerics_id;     /* preferred; NULL: no matter */
	const char *cache_type;      /* preferred; NULL: no matter */
	bool constrains;             /* holds the answer to a constraint */
	bool holds_calls;            /* to those of calls */
	bool goes_on;                /* has begun: a node that drains will do */
	uint64_t context_min;        /* tokens one sequence must hold; 0: no matter */
	const struct prefix *prefix; /* goes under a lease (lease.h); NULL: it does not */
	const uint64_t *avoid;       /* [avoid_len] node ids that will not do now */
	size_t avoid_len;
};

struct call_handler {
	void *ctx;
	void (*message)(void *ctx, const struct message *message);
	void (*down)(void *ctx, enum rc reason); /* at most once; no message follows */
};

/*
 * Pick a node that is up: the preferred ones first, then those that do not drain, then
 * one that has a place free and much of the prompt under a lease, then the one where the answer
 * should be over first, by its load and by how fast it has answered so far, then the one added
 * first.  One whose speed is not known yet counts as fast as the fastest: it is tried.  Nothing is
 * sent yet. RC_UNAVAILABLE.
 */
enum rc call_open(struct pool *pool, const struct call_want *want,
    const struct call_handler *handler, struct call **out) RC_CHECK;

/* Fills in the request id and the lease, and queues it.  RC_CLOSED (the node is gone),
 * RC_AGAIN (its queue is full). */
enum rc call_send(struct call *call, struct message *message) RC_CHECK;

/* After it returns no handler runs any more.  NULL is fine. */
void call_close(struct call *call);

uint64_t call_node(const struct call *call);     /* its id, never reused */
uint64_t call_request(const struct call *call);  /* the request id */
const char *call_model(const struct call *call); /* the name on that node */

/* Tell the node to stop; needs no call, so any thread may.  A node that is
 * gone has stopped already. */
void call_cancel(struct pool *pool, uint64_t node, uint64_t request_id);

/* One answer that somebody waits for begins, or has ended. */
void pool_answer_begins(struct pool *pool);
void pool_answer_ended(struct pool *pool);

/* `changed` runs (as a handler does) whenever a node comes, goes or is removed. */
struct pool_watch {
	void *ctx;
	void (*changed)(void *ctx);
	struct pool_watch *prev, *next;
};
void pool_watch_add(struct pool *pool, struct pool_watch *watch);
void pool_watch_remove(struct pool *pool, struct pool_watch *watch);

#endif
