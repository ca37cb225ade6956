/*
 * The pool's inside, shared by pool.c (nodes) and call.c (requests on them).
 *
 * Invariants, all under `lock`:
 *  P1  a node is in `nodes` from pool_add to pool_remove, and is freed when
 *      `users` is 0 after that; `users` counts threads that talk to its client.
 *  P2  `up` follows the link's callbacks, so every call of a session hears of
 *      its end before the next session begins.
 *  P3  wire_client_*() is never called with `lock` held.
 */
#ifndef ANSWER_POOL_STATE_H
#define ANSWER_POOL_STATE_H

#include <pthread.h>

#include "answer/call.h"
#include "answer/lease.h"
#include "answer/speed.h"

struct call {
	struct pool *pool;
	struct node *node; /* NULL once the node was removed */
	uint64_t node_id, request_id;
	bool told_down;
	struct lease *lease; /* NULL: none, or the node was removed */
	bool leased;         /* its requests go under the one of this id */
	uint8_t lease_id[WIRE_LEASE_BYTES];
	uint8_t lease_closed[WIRE_LEASE_BYTES]; /* to be closed before; all zero: none */
	struct call_handler handler;
	struct call *prev, *next;
	uint8_t content_hash[WIRE_HASH_BYTES]; /* of the model asked */
	struct speed_run run;
	char model[POOL_MODEL_NAME_BYTES_MAX];
};

struct node {
	struct pool *pool;
	uint64_t id;
	char *name, *address;
	struct wire_client *client; /* NULL until the link is open */
	bool up, removed;
	unsigned users;
	struct arena known; /* `can` and what it points to */
	struct wire_capabilities can;
	struct wire_load load;
	struct speeds speeds;
	struct leases leases;
	struct call *calls;
	unsigned calls_len;
	bool drains;
	struct wire_stats stats;
	int64_t stats_at_ns, asked_ns; /* monotonic; 0: never */
	uint64_t stats_request;
};

struct pool {
	const struct wire_keypair *keys;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* a node came, went or lost a user */
	struct node *nodes[POOL_NODES_MAX];
	size_t nodes_len;
	uint64_t node_ids;
	struct pool_watch *watches;
	unsigned answers;      /* people's, see pool_answers() */
	pool_link_fn *on_link; /* NULL: nobody asked */
	void *on_link_ctx;
};

/* Under the lock: hold and let go of a node while talking to its client. */
void node_hold(struct node *node);
void node_release(struct node *node);

/* Whether it may be asked at all now. */
bool node_takes(const struct node *node, const struct call_want *want);

/* The model of `node` that serves `want`; NULL. */
const struct wire_model *node_find(const struct node *node, const struct call_want *want);

/* Have a lease closed; a node that is gone, or takes nothing now, ends it by itself. */
void lease_close_on(struct wire_client *client, const uint8_t id[WIRE_LEASE_BYTES]);

/* Under the lock: hand a message, or the loss of the link, to the calls. */
void call_deliver(struct node *node, const struct message *message);
void call_tell_down(struct node *node, enum rc reason);

#endif
