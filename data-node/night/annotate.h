/*
 * Annotate: the part of the night's work that asks a model.
 *
 * Day by day, oldest first, over the days that the log touched and those that have ended
 * since: notes about episodes (note.h), facts about the owner (fact_gate.h).  Each answer is
 * committed before the next question is asked, and what was asked is known by its digest: a pass
 * that was cut off anywhere is done again and asks nothing twice, and over the same log a second
 * one writes nothing. How far it has come is an observation, as the rules' progress is
 * (night_progress.h). One pass at a time; any thread.
 */
#ifndef NIGHT_ANNOTATE_H
#define NIGHT_ANNOTATE_H

#include "night/ask.h"
#include "night/gate.h"
#include "night/moments.h"

#define ANNOTATE_ANSWER_NS (INT64_C(600) * 1000000000) /* for one answer */

enum annotate_end {
	ANNOTATE_FINISHED, /* all that there is */
	ANNOTATE_STOPPED,  /* its time was up, or go_on() said so */
	ANNOTATE_NO_MODEL, /* none was there, or it went away: the next night goes on */
	ANNOTATE_UNFIT,    /* the model cannot be held to a form */
};
const char *annotate_end_word(enum annotate_end end); /* "finished", "stopped", … */

struct annotate_report {
	enum annotate_end end;
	char model[ASK_MODEL_BYTES_MAX]; /* the one asked; "": none */
	uint64_t days, days_total;       /* done, and planned */
	uint64_t questions;              /* answered */
	uint64_t notes, notes_withdrawn;
	struct gate_counts notes_gate; /* answers refused, by reason */
	uint64_t facts, facts_proposed, facts_known;
	struct gate_counts facts_gate; /* facts refused; GATE_PASSED: those that were not */
};

struct policy;
struct book; /* memory/book.h */

struct annotate_config {
	struct store *store;
	const struct ask *ask;
	const struct policy *policy; /* of the slices */
	struct book *book;           /* where facts go */
	struct moments_zone zone;
	int64_t deadline_mono_ns; /* 0: none; a question that was asked is waited for */
	/* Looked at between questions, and several times a second while one is answered; false
	 * ends the pass.  May be NULL. */
	bool (*go_on)(void *ctx, const struct annotate_report *so_far);
	void *go_on_ctx;
};

/* RC_OK however it ended; the store's errors, RC_NOMEM. */
enum rc annotate_run(
    const struct annotate_config *config, struct annotate_report *out, struct errmsg *why) RC_CHECK;

#endif
