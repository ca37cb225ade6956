/* What the files of annotate share. */
#ifndef NIGHT_ANNOTATE_INNER_H
#define NIGHT_ANNOTATE_INNER_H

#include "night/annotate.h"
#include "night/night_plan.h"

#define ANNOTATE_CONTEXT_SMALL ((uint64_t)2048) /* tokens: the short instructions below */

struct annotate_pass {
	const struct annotate_config *config;
	struct annotate_report *report;
	struct ask_model model;
	struct words *words;
	struct arena arena;     /* of the unit at hand */
	struct arena day_arena; /* of the day at hand */
	struct buf answer;
	int64_t until_ns; /* what ends later is not over yet */
	bool stopped;     /* report->end says why */
	struct errmsg *why;
};

/* May another question be asked?  Sets `stopped`. */
bool annotate_may_go_on(struct annotate_pass *pass);

/*
 * Ask; the answer is in pass->answer.  `*gate` is GATE_PASSED, or why there is no answer that
 * could be looked at: GATE_CONTEXT, GATE_ANSWER.  Where pass->stopped is set there is none and
 * the question stays open.  RC_NOMEM.
 */
enum rc annotate_ask(
    struct annotate_pass *pass, const struct ask_question *question, enum gate *gate) RC_CHECK;

/* Notes of the episodes that begin on UTC day `day`. */
enum rc annotate_notes(struct annotate_pass *pass, int32_t day) RC_CHECK;
/* Facts from what the owner said on it. */
enum rc annotate_facts(struct annotate_pass *pass, int32_t day) RC_CHECK;

#endif
