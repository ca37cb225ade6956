/*
 * The generation's inside, shared by generation.c (the puller's half) and
 * generation_inbox.c (the half that runs on the links' I/O threads).
 *
 * Invariants:
 *  G1  everything in `inbox` is guarded by `lock`; the rest is the puller's.
 *  G2  `ids` and `text_end` only grow, and ids[0..ids_len) with the text up to
 *      text_end is what the client has or will get: a resumed node's overlap
 *      is dropped against them.
 *  G3  the lock is inside the pool's: never call the pool with it held.
 */
#ifndef ANSWER_GENERATION_STATE_H
#define ANSWER_GENERATION_STATE_H

#include <pthread.h>

#include "answer/call.h"
#include "answer/generation.h"

#define GENERATION_TEXT_BYTES_MAX ((size_t)8 << 20) /* received, not yet pulled */

struct inbox {
	uint64_t news;          /* counts what came in; the puller waits for it to move */
	bool cancelled;         /* by generation_cancel() */
	uint64_t node, request; /* of the open call; 0 = none: for Cancel */

	/* this call */
	bool started, down, error, done, fault;
	bool numerics_changed;
	struct wire_error_body refusal;
	char refusal_text[200];
	enum wire_finish finish;
	char numerics_id[128];
	uint32_t limit; /* ids the node may have sent with the credit it has */

	/* the whole answer */
	bool known; /* the first Started came: the fields below stand */
	uint8_t content_hash[WIRE_HASH_BYTES];
	char first_numerics_id[128];
	char cache_type[32];
	bool reasoning;       /* the answer begins within it */
	uint32_t cached;      /* of the prompt's ids, not computed for this answer */
	uint32_t *prompt_ids; /* [prompt_ids_len] */
	size_t prompt_ids_len;
	uint32_t *ids; /* [ids_len] generated */
	size_t ids_len, ids_cap;
	uint64_t text_end;   /* bytes of the answer received */
	struct buf text;     /* its end that was not pulled yet */
	struct buf logprobs; /* of the ids that were not pulled yet: JSON objects, commas between */
	bool text_gap;       /* a node left out text: the next one starts from the prompt */
};

struct avoid {
	uint64_t node;
	int64_t until_ns;
};

enum generation_phase {
	PHASE_SEEKING, /* no call: a node is needed */
	PHASE_ASKED,   /* sent, Started is awaited */
	PHASE_RUNNING,
	PHASE_ENDED,
};

struct generation {
	struct pool *pool;
	struct pool_watch watch;
	struct arena arena; /* of `base` */
	struct wire_generate base;
	struct prefix prefix; /* of it; empty: it goes without a lease */
	int64_t resume_timeout_ns, start_timeout_ns;
	int64_t expires_ns; /* of the whole answer */

	enum generation_phase phase;
	struct call *call;
	bool announced_start;   /* STARTED was handed out */
	bool announced_waiting; /* WAITING was, for this absence */
	uint64_t seen;          /* inbox.news at the last look */
	int64_t begun_ns;
	enum rc seek_rc;       /* why we seek, what FAILED will say; OK: the first time */
	int64_t away_since_ns; /* first loss since the last new token; 0: none */
	int64_t busy_since_ns; /* first refusal since then; 0: none */
	int64_t wake_ns;       /* seek again then, if nothing happens before */
	unsigned faults;       /* of nodes, since the last new token */
	unsigned refusals;     /* BUSY in a row: back-off */
	uint64_t context_min;
	struct avoid avoid[CALL_AVOID_MAX];
	size_t avoid_len;

	uint32_t drained;      /* ids whose text was pulled */
	uint32_t credited;     /* ids the node may send in all */
	struct buf out;        /* text of the event handed out */
	struct buf logprobs;   /* of the ids since the last event that had them */
	size_t logprobs_given; /* bytes of them that the last event handed out */
	uint32_t top_logprobs; /* alternatives beside each token */
	bool background;       /* not counted among the pool's answers */
	char model[POOL_MODEL_NAME_BYTES_MAX];
	char numerics_id[128];
	uint32_t prompt_tokens, cached_tokens;
	bool reasoning;
	struct generation_event last;

	pthread_mutex_t lock;
	pthread_cond_t cond;
	struct inbox inbox;
};

/* Room above the credit for a node that counts in batches. */
#define GENERATION_SLACK GENERATION_WINDOW

/* A token's log-probability as clients read it, with `top` alternatives. */
void generation_put_logprob(struct buf *out, const struct wire_token_logprobs *entry, uint32_t top);

/* Handlers of a call and of the pool's watch; `ctx` is the generation. */
void generation_on_message(void *ctx, const struct message *message);
void generation_on_down(void *ctx, enum rc reason);
void generation_on_change(void *ctx);

/* Under the lock, before a call is opened: forget what the last one said. */
void generation_inbox_reset(struct inbox *inbox);
void generation_inbox_fini(struct inbox *inbox);

/* Deep copy of a request into `arena`.  RC_NOMEM. */
enum rc generation_copy(
    struct arena *arena, const struct wire_generate *from, struct wire_generate *out) RC_CHECK;

#endif
