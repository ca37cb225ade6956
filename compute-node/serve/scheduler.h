/*
 * Scheduler: many generations, few sequences, one thread that computes.
 *
 * Life of a job:  PREPARING (at the desk) → WAITING (for a sequence) → RUNNING
 * (holds one) ⇄ RESTING (gave it up) → CLOSING (result on its way) → gone.  In each round every
 * running job that may go on gets one row, prompts share the rows that are left
 * of one ubatch, and one engine_forward() computes them all: a long prompt
 * holds a running answer up for no more than one ubatch, and for less where
 * the round's target time says so.
 *
 * A job stops for a moment, and holds nobody up, when its credit is used up or
 * its peer's queue is full: its one unsent token stays with it.  If others wait
 * for a sequence meanwhile, it gives its own up and computes it again later: the
 * answer is the same.  A job that cannot deliver for `stall_ns` is ended.
 *
 * Leases keep their sequence's KV between jobs.  When a job finds no free
 * sequence, the idle lease used longest ago loses its KV (it stays open).  A
 * job under a lease whose sequence is busy runs beside it on a sequence of its
 * own, which is wiped at the end, as is every sequence without a lease.
 *
 * A request for an absent model waits until that is there: nothing new begins on models
 * that have to go for it, the least recently used ones, what runs there ends, and then
 * they go and it comes (fleet.h).  It computes something before it goes again.  Leases of
 * a model that goes stay open and lose their KV.  If it cannot come, all are as before, and
 * requests for it are refused for a while.
 *
 * A lease may have an adapter: its answers are computed with it, and what was computed
 * with another one is not reused.  While one arrives, the lease's answers are refused;
 * those that wait while one goes begin without it.  An answer ends with what it began with.
 *
 * Invariants:
 *  S1  queue, jobs and leases are bounded; the queue answers BUSY, never grows.
 *  S2  one key never takes the last quarter of the queue or of the adapter space: others
 *      find room.
 *  S3  a sequence that belongs to no open lease and no running job is zero.
 *  S4  no callback of ours is made while the lock is held.
 *  S5  while the host is short of memory nothing new is taken (BUSY) and no lease
 *      stays open without a running job; what runs goes on.
 *
 * Threads: scheduler_step() and scheduler_wait() belong to one thread; all
 * else may be called from any.
 */
#ifndef SERVE_SCHEDULER_H
#define SERVE_SCHEDULER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "infer/embed.h"
#include "serve/fault.h"
#include "serve/fleet.h"
#include "serve/generation.h"
#include "serve/tally.h"
#include "wire/message.h"
#include "wire/server.h"

#define SCHEDULER_JOBS_MAX ((size_t)256)
#define SCHEDULER_EMBEDS_MAX ((size_t)64)
#define SCHEDULER_EMBED_TOKENS_MAX ((size_t)1 << 22) /* of all that wait */

struct scheduler;
struct job;

struct scheduler_config {
	struct fleet *fleet;       /* its models come and go */
	size_t queue_max;          /* jobs not yet running; 0: 32, at most SCHEDULER_JOBS_MAX / 2 */
	int64_t stall_ns;          /* 0: 120 s */
	int64_t lease_idle_ns;     /* default; 0: 10 min */
	int64_t lease_idle_max_ns; /* 0: 60 min */
	const atomic_bool *short_of_memory; /* while true nothing new is taken; NULL: never */
	void *ctx;
	/* RC_AGAIN: try later; RC_CLOSED: the peer is gone. */
	enum rc (*send)(void *ctx, wire_peer peer, const struct message *message);
	/* A single answer; whoever is behind keeps what cannot be sent now. */
	void (*reply)(void *ctx, wire_peer peer, const struct message *message);
};

/* What a present model takes here besides its engine (and embed_bytes()); what all have
 * in common is counted with each. */
uint64_t scheduler_lane_bytes(const struct model_info *info, const struct engine_config *config);

/* Takes all its memory here; borrows `config->fleet` until scheduler_free(). */
enum rc scheduler_new(
    const struct scheduler_config *config, struct scheduler **out, struct errmsg *why) RC_CHECK;

/* Ends all jobs without a word, wipes all sequences. */
void scheduler_free(struct scheduler *sched);

/*
 * A place in the queue for the Generate `message` of `peer`.  Fails with a
 * filled `fault`: BUSY, NO_MODEL, NO_LEASE, INVALID (request id in use).
 * The job is the caller's until scheduler_ready() or scheduler_abandon().
 */
enum rc scheduler_register(struct scheduler *sched, wire_peer peer,
    const uint8_t key[WIRE_KEY_BYTES], const struct message *message, struct job **out,
    struct fault *fault) RC_CHECK;

/* Where the desk puts the answer together (job PREPARING only). */
struct generation *scheduler_generation(struct job *job);
const struct served_model *scheduler_model(const struct job *job);
/* Cancelled or gone: preparing it is a waste. */
bool scheduler_unwanted(const struct job *job);

void scheduler_ready(struct scheduler *sched, struct job *job);
/* Drop a job that could not be prepared; the caller has told the peer why. */
void scheduler_abandon(struct scheduler *sched, struct job *job);

/* Unknown ids are ignored: the job may have ended meanwhile. */
void scheduler_cancel(struct scheduler *sched, wire_peer peer, uint64_t request_id);
void scheduler_credit(
    struct scheduler *sched, wire_peer peer, uint64_t request_id, uint32_t tokens);
/* Its jobs end, its leases close. */
void scheduler_peer_gone(struct scheduler *sched, wire_peer peer);

/*
 * LeaseOpen, LeaseRenew, LeaseClose.  RC_OK: `answer` is filled, or (close)
 * has_answer is false: the answer follows through `reply` after the wipe.
 */
enum rc scheduler_lease(struct scheduler *sched, wire_peer peer, const uint8_t key[WIRE_KEY_BYTES],
    const struct message *message, struct wire_lease_state *answer, bool *has_answer,
    struct fault *fault) RC_CHECK;

/*
 * AdapterPut: one chunk, and with the last one the check of the whole (model/adapter.h).
 * An adapter replaces the lease's, and 0 bytes in all stand for none; on an error the
 * lease has none.  RC_DENIED: no such lease; RC_BUSY: an answer runs with it, or the host
 * is short of memory (both leave it as it is); RC_BUDGET: the adapter space, or the key's
 * share of it; RC_UNSUPPORTED: the model takes none; RC_INVALID: a chunk that does
 * not follow, or bytes of another hash; and what adapter_parse() returns.  The desk's
 * thread alone.
 */
enum rc scheduler_adapter(struct scheduler *sched, const uint8_t key[WIRE_KEY_BYTES],
    const struct message *message, struct wire_adapter_state *answer, struct errmsg *why) RC_CHECK;

/* Texts to embed; each has passed embed_check(). */
struct embed_request {
	wire_peer peer;
	const uint8_t *key; /* [WIRE_KEY_BYTES] */
	uint64_t request_id;
	int64_t deadline_ns; /* 0: none */
	const struct served_model *model;
	struct tokens *ids; /* of all texts; taken on RC_OK */
	const size_t *ends; /* [n] where each text ends in `ids` */
	size_t n;           /* at least 1 */
};

/* The answer, Vectors or Error, comes through `reply`.  RC_BUSY, RC_LIMIT,
 * RC_NOMEM: it does not, the caller tells the peer. */
enum rc scheduler_embed(
    struct scheduler *sched, const struct embed_request *request, struct errmsg *why) RC_CHECK;

/* One round; false if there was nothing to do. */
bool scheduler_step(struct scheduler *sched);

/* Sleep until something comes, or a deadline, or a blocked peer is worth
 * another try. */
void scheduler_wait(struct scheduler *sched);
void scheduler_wake(struct scheduler *sched);

struct scheduler_counts {
	uint64_t counts[TALLY_WHATS];
	uint32_t leases;
	uint64_t kv_tokens; /* of all caches; not by key */
};
/* Of one data node; the others are none of its business. */
void scheduler_get_counts(
    struct scheduler *sched, const uint8_t key[WIRE_KEY_BYTES], struct scheduler_counts *out);
void scheduler_get_load(struct scheduler *sched, struct wire_load *out);
void scheduler_count_refused(struct scheduler *sched, const uint8_t key[WIRE_KEY_BYTES]);

#endif
