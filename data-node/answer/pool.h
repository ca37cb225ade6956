/*
 * Pool: the compute nodes this data node knows, one link each.
 *
 * Picks by capability, load and measured speed; keeps links dialled; tells
 * waiters when any comes up or goes down.  Any thread.  What a node could do is
 * remembered while it is away, so that "away" and "unknown" can be told apart.
 * Every node that is up is asked for its figures every POOL_STATS_NS; who wants
 * them gets the last ones and never waits.
 */
#ifndef ANSWER_POOL_H
#define ANSWER_POOL_H

#include "base/arena.h"
#include "wire/client.h"

struct pool;

#define POOL_NODES_MAX ((size_t)32)
#define POOL_NAME_BYTES_MAX ((size_t)64)
#define POOL_MODEL_NAME_BYTES_MAX ((size_t)256)
#define POOL_STATS_NS (INT64_C(2) * 1000000000)

/* Borrows `keys` until pool_close. */
enum rc pool_open(const struct wire_keypair *keys, struct pool **out, struct errmsg *why) RC_CHECK;

/*
 * Be told of each link that comes up (`up`, reason RC_OK) and goes down; on the
 * link's own thread, so it must not block.  Before the first pool_add().
 */
typedef void pool_link_fn(void *ctx, const char *name, bool up, enum rc reason);
void pool_on_link(struct pool *pool, pool_link_fn *fn, void *ctx);

/* Every generation and call must have ended. */
void pool_close(struct pool *pool);

/* RC_EXISTS, RC_INVALID (name, address, key), RC_LIMIT / RC_NOTFOUND. */
enum rc pool_add(struct pool *pool, const char *name, const char *address,
    const uint8_t server_key[WIRE_KEY_BYTES], struct errmsg *why) RC_CHECK;
enum rc pool_remove(struct pool *pool, const char *name) RC_CHECK;

/*
 * A node that drains gets nothing new; what has begun there, or on a node that was
 * lost, may go on there.  RC_NOTFOUND.
 */
enum rc pool_drain(struct pool *pool, const char *name, bool drains) RC_CHECK;

/*
 * Have every node wipe what it keeps of earlier prompts for later ones; what it needs for
 * an answer that runs goes with that.  Who forgets something here, forgets it there.
 */
void pool_forget(struct pool *pool);

struct pool_model {
	const char *name, *architecture, *chat_template, *numerics_id, *cache_type, *tool_format;
	const uint8_t *content_hash; /* [WIRE_HASH_BYTES] */
	uint64_t context, parameters;
	bool chat, embed, constrains, holds_calls;
	double tokens_per_second; /* of one answer, as measured here; 0: not yet */
};

struct pool_node {
	const char *name, *address;
	enum wire_link_state state;
	struct wire_load load;
	const struct pool_model *models; /* [models_len]: now, or when last seen */
	size_t models_len;
	uint64_t session;
	bool takes;          /* new requests: it is up and does not drain */
	bool drains;         /* see pool_drain() */
	unsigned running;    /* requests of ours on it */
	int64_t stats_at_ns; /* when `stats` came (monotonic); 0: never */
	struct wire_stats stats;
};

/* A copy of what is known now, in `arena`: [*len], in the order of pool_add. */
enum rc pool_list(
    struct pool *pool, struct arena *arena, struct pool_node **out, size_t *len) RC_CHECK;

/* True if some node takes new requests for `model` (NULL: any chat model). */
bool pool_serves(struct pool *pool, const char *model);

/* Wait until pool_serves() or `timeout_ns`; true if it does. */
bool pool_wait(struct pool *pool, const char *model, int64_t timeout_ns);

/* Answers that somebody waits for (generation.h: all but background ones), from their start to
 * their end.  What can wait looks here and lets them go first. */
unsigned pool_answers(struct pool *pool);

#endif
