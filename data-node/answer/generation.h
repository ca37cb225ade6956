/*
 * Generation: one answer from the pool that survives its compute node.
 *
 * A pull stream: the caller asks for the next event with a deadline.  When the
 * node that serves it dies, the stream says so (GENERATION_WAITING), resumes on
 * the same or another node with the prompt ids and the ids so far, and the
 * whole text equals the uninterrupted one; past resume_timeout it ends with
 * GENERATION_FAILED.  One thread pulls; any thread may cancel.
 */
#ifndef ANSWER_GENERATION_H
#define ANSWER_GENERATION_H

#include "answer/pool.h"

struct generation;

#define GENERATION_RESUME_TIMEOUT_NS (INT64_C(120) * 1000000000)
#define GENERATION_TTL_NS (INT64_C(3600) * 1000000000)
#define GENERATION_WINDOW ((uint32_t)64) /* tokens a node may be ahead of the puller */

struct generation_request {
	struct wire_generate generate; /* copied, with everything it points to;
					  credit and ids are the generation's own */
	uint32_t top_logprobs;         /* alternatives beside each token, if it asks for any */
	int64_t resume_timeout_ns;     /* 0: the default */
	int64_t start_timeout_ns;      /* wait for a first node so long; 0: do not */
	int64_t ttl_ns;                /* of the whole answer; 0: the default */
	bool background;               /* nobody waits for it: pool_answers() */
	bool begins_again;             /* later prompts are likely to begin as this one */
	uint64_t whose;                /* with that: who may notice that one did */
};

enum generation_event_kind {
	GENERATION_STARTED, /* prompt is known: prompt_tokens, model, numerics_id */
	GENERATION_TEXT,    /* text, text_len (valid UTF-8), tokens */
	GENERATION_WAITING, /* the node is gone: keep the client's stream alive */
	GENERATION_RESUMED, /* numerics_changed tells whether bits may differ */
	GENERATION_IDLE,    /* nothing within the timeout */
	GENERATION_DONE,    /* finish, usage */
	GENERATION_FAILED,  /* rc, error text; ends the stream */
	/* What reply.h makes of the text besides. */
	GENERATION_REASONING, /* text, text_len */
	GENERATION_CALL,      /* call_name, call_id, call_index; text: its arguments */
};

struct generation_event {
	enum generation_event_kind kind;
	const char *text; /* lives until the next call */
	size_t text_len;
	uint32_t tokens; /* generated so far */
	uint32_t prompt_tokens;
	uint32_t cached_tokens; /* of the prompt: the node still had them under a lease */
	bool numerics_changed;
	bool reasoning; /* STARTED: the answer begins within it */
	enum wire_finish finish;
	enum rc rc; /* FAILED: UNAVAILABLE, TIMEOUT, CONTEXT, INVALID, … */
	char error[256];
	uint64_t context, needed; /* rc CONTEXT */
	/* TEXT, DONE: of the tokens since the last one that had them; JSON objects with commas
	 * between, "" where none were asked for. */
	const char *logprobs;
	size_t logprobs_len;
	const char *call_name, *call_id;
	unsigned call_index;
	/* Of the node that answers; live until the next call; "" before STARTED. */
	const char *model, *numerics_id;
};

/*
 * Asks a node at once.  A busy node is asked again, or another one, for some
 * seconds.  RC_UNAVAILABLE if no node serves the model now (and start_timeout
 * is 0), RC_LIMIT for a request larger than the wire carries.
 */
enum rc generation_start(struct pool *pool, const struct generation_request *request,
    struct generation **out, struct errmsg *why) RC_CHECK;

/*
 * Next event, at most `timeout_ns` later (then IDLE).  Not pulling holds the
 * compute node back: it gets no more than GENERATION_WINDOW tokens ahead.
 * DONE and FAILED repeat themselves.
 */
void generation_next(
    struct generation *generation, int64_t timeout_ns, struct generation_event *event);

/* Stop now: the compute node is told; the puller gets FAILED/CANCELLED. */
void generation_cancel(struct generation *generation);

/* Cancels if needed; wipes. */
void generation_free(struct generation *generation);

#endif
