/*
 * Remote: an answer from a model elsewhere, from the decision to the last token.
 *
 * remote_plan() decides (cloud/route.h) and picks the moments that may go along;
 * remote_open() counts what it may cost, writes the ledger, and only then asks: what is
 * not in the ledger has not left.  Failures before the first token are the caller's
 * reason to answer at home; later ones end the answer.  One thread at a time.
 */
#ifndef ANSWER_REMOTE_H
#define ANSWER_REMOTE_H

#include "answer/generation.h"
#include "answer/host.h"
#include "answer/prompt.h"

struct remote;

struct remote_ask {
	const struct host *host; /* with a cloud place */
	const struct chat_request *request;
	unsigned choice;
	const struct pack *found; /* best first; NULL: nothing of the person goes along */
	bool local;               /* some compute node takes requests */
	int64_t now_utc_ns;
};

struct remote_plan {
	struct cloud_policy policy;
	struct route_decision decision;
	struct pack pack; /* what goes along; of `ask->found` */
	int32_t day;
	uint32_t answer_tokens;            /* at most, or as is supposed */
	uint32_t kept[ROUTE_KEPT_COUNT];   /* moments, by why */
	uint32_t leaving[LAYER_COUNT + 1]; /* moments, by layer */
	uint32_t facts, facts_kept;        /* that go along; that the policy keeps */
};

/*
 * In `arena`, which must outlive it.  RC_OK also where the answer is to be made at home:
 * `(*out)->decision` tells.  RC_NOTFOUND: there is nothing to decide, as there is no
 * policy or no rule for hearth.  RC_NOMEM.
 */
enum rc remote_plan(
    const struct remote_ask *ask, struct arena *arena, struct remote_plan **out) RC_CHECK;

/*
 * Ask the upstream of the plan; `ask` and `plan` are borrowed until remote_free().
 * RC_UNAVAILABLE: not asked; the plan's last step tells why.  RC_NOMEM.
 */
enum rc remote_open(const struct remote_ask *ask, struct remote_plan *plan, struct arena *arena,
    struct remote **out) RC_CHECK;
/* Ends the request if needed, and counts what it came to. */
void remote_free(struct remote *remote);

/* As generation_next(): STARTED, TEXT, REASONING, CALL, IDLE, DONE, FAILED. */
void remote_next(struct remote *remote, int64_t timeout_ns, struct generation_event *event);

/* It FAILED, with that code, and is made up for at home: one more step of the plan, a
 * line in the ledger, and the upstream is left alone for a while. */
void remote_fell(const struct remote_ask *ask, struct remote_plan *plan, enum rc rc);

/* Append where the answer comes from and why: {"to","reason","words","moments","facts",
 * "tried"}. */
void remote_told(const struct remote_plan *plan, struct buf *out);

#endif
