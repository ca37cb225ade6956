/*
 * Nightly: the thread that does the night's work, at a quiet hour or when told: rules label,
 * the aligner has a while to catch up, a model writes notes and reads facts.
 *
 * One pass at a time; who asks while one runs joins it.  Any thread.
 */
#ifndef GATEWAY_NIGHTLY_H
#define GATEWAY_NIGHTLY_H

#include "night/annotate.h"
#include "night/night.h"

struct nightly;
struct builder; /* align/builder.h */

#define NIGHTLY_NEVER (-1)

struct nightly_config {
	struct store *store;
	/* Seconds east of UTC where the owner is, at that instant. */
	int32_t (*offset_s)(const void *ctx, int64_t utc_ns);
	const void *offset_ctx;
	int at_s;        /* local time of day in seconds; NIGHTLY_NEVER: only when told */
	int64_t most_ns; /* a pass by itself ends after it; 0: not */
	bool log;        /* NIGHT-DONE, NIGHT-NOTES and NIGHT-FAILED */
	/* What asks a model; NULL: nothing is asked. */
	const struct ask *ask;
	const struct policy *(*policy)(const void *ctx); /* of the slices, now; with `ask` */
	const void *policy_ctx;
	struct book *book;       /* where facts go; with `ask` */
	struct builder *builder; /* given a while to be as far; NULL */
};

/* In the order in which they are done; the last two only if there is a model. */
enum nightly_step { NIGHTLY_LABELS, NIGHTLY_ALIGN, NIGHTLY_NOTES };
const char *nightly_step_word(enum nightly_step step); /* "labels", "align", "notes" */

struct nightly_view {
	bool running;
	uint64_t passes;              /* ended since nightly_open() */
	enum nightly_step step;       /* of the one that runs, */
	struct night_state state;     /* and how far it is */
	struct night_report report;   /* of the last one that ended */
	bool annotates;               /* a model is asked, if there is one */
	struct annotate_report notes; /* of the one that runs, or the last one */
	enum rc rc;
	struct errmsg why;
	int64_t ended_ns; /* UTC; 0: none yet */
};

/* `config` is copied.  RC_NOMEM. */
enum rc nightly_open(
    const struct nightly_config *config, struct nightly **out, struct errmsg *why) RC_CHECK;
/* Ends a pass that runs after the day it is at, or the question. */
void nightly_close(struct nightly *nightly);

/* Begin a pass of at most `most_ns` (0: no limit), or join the one that runs;
 * the number that `passes` will have once it has ended. */
uint64_t nightly_start(struct nightly *nightly, int64_t most_ns);

/*
 * Between hold and release no pass writes: hold returns once the one that runs has
 * stopped behind the day or before the answer it is at, and release lets it go on from there.  For
 * who takes observations away, so that no label is made of what is going.
 */
void nightly_hold(struct nightly *nightly);
void nightly_release(struct nightly *nightly);

/* How it stands; waits until `passes` ≥ `pass`, something moved, or `wait_ns`. */
void nightly_look(
    struct nightly *nightly, uint64_t pass, int64_t wait_ns, struct nightly_view *out);

/* Next instant after `now_ns` at which the local time is `at_s`. */
int64_t nightly_next(int64_t now_ns, int at_s, int32_t offset_s);

#endif
