/*
 * Pack: the moments and facts that go into a prompt.  reference: recall-and-training
 * §1.
 *
 * Greedy by score under a budget of tokens, restored to the order of time,
 * each on its line `[id, Thu 2026-11-19 18:30, source] kind: text`.
 *
 * Facts about the person (memory/) have a reserve of the budget (reserve.h), each on
 * a line of its own in the same form.
 *
 * What earlier conversations left in the timeline must not crowd out what
 * happened.  So: what a model said (origin assistant) and machine chatter
 * (system) never enter a pack; what the person said to hearth counts half,
 * and not at all if it is a bare question or (nearly) the present one.
 */
#ifndef ANSWER_PACK_H
#define ANSWER_PACK_H

#include "answer/count.h"
#include "answer/host.h"

#define PACK_ITEMS_MAX ((size_t)128)
#define PACK_LINE_TEXT_BYTES_MAX ((size_t)1000)
#define PACK_QUOTE_BYTES_MAX ((size_t)240)
#define PACK_SOURCE_CHAT "hearth" /* "source" of stored exchanges */

struct pack_item {
	const struct observation *obs;
	double score;
	const char *id;    /* as in the answer's sources: the sender's, or the obs_id in hex */
	const char *line;  /* with a line break at its end */
	const char *quote; /* ≤ PACK_QUOTE_BYTES_MAX and an ellipsis */
	uint32_t tokens;   /* of the line */
	int32_t offset_s;  /* the zone its time is shown in */
};

struct pack_fact {
	struct pack_item item; /* its obs is the fact: kind = class, client_id = "f12" */
	unsigned named;        /* words of the question that it shares */
	double share;          /* of them all, 0 to 1 */
	enum fact_class class;
	const uint8_t (*about)[OBS_ID_BYTES]; /* [about_len] that it was read from */
	size_t about_len;
	bool kept; /* by the last pack_fit(), or shown by recall alone */
};

struct pack {
	struct pack_item *items; /* [len], best first */
	size_t len;
	struct pack_fact *facts; /* [facts_len], in the order in which they are told */
	size_t facts_len;
	uint32_t tokens; /* of the items, and of the facts that are kept */
	double support;  /* of the question by its best moments, see recall.h; pack_find() */
};

/*
 * Candidates for `question` out of the timeline, best first: recall, less what
 * must not enter; and the facts that hold now, or held at the time that it names.  All `len` of
 * them, not yet under a budget; nothing found is RC_OK and an empty pack.  Everything lives in
 * `arena`.
 */
enum rc pack_find(const struct host *host, const char *question, size_t question_len,
    int64_t now_utc_ns, struct arena *arena, struct pack *out, struct errmsg *why) RC_CHECK;

/* The same from given hits (best first): filter, weigh, write lines. */
enum rc pack_of_hits(const struct host *host, const struct recall_hit *hits, size_t hits_len,
    const char *question, size_t question_len, struct arena *arena, struct pack *out) RC_CHECK;

/* Set `tokens` of every item: asked of a node that serves `model`, else estimated. */
void pack_count(struct pack *pack, struct pool *pool, const char *model, struct arena *arena);

/* Keep what fits: facts in their reserve, then moments greedily, best first.  The
 * order stays; facts are only marked, so that another budget may be tried. */
void pack_fit(struct pack *pack, uint32_t budget_tokens);

/* The line, quote and mark of one thing, in `arena`. */
enum rc pack_write_item(const struct host *host, const struct observation *obs,
    const char *question, size_t question_len, struct arena *arena,
    struct pack_item *item) RC_CHECK;

/* Pointers to the items in order of time (ties: seq), [pack->len]; NULL on no memory. */
const struct pack_item **pack_by_time(const struct pack *pack, struct arena *arena);

#endif
