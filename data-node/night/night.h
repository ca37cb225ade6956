/*
 * Night: the pass that labels what was observed.
 *
 * Rules say things about observations; this drives them.  From the log it
 * learns which UTC days were touched since last time, runs each rule over each
 * touched day with the context it asks for, and writes the difference between
 * what the rules say and the labels that are there.  So a rerun writes nothing,
 * a newer rule's labels supersede the older ones, and late data costs its own
 * day.  A label is a function of the observations and the owner's zone.
 *
 * Progress is an observation too (kind OBS_KIND_PROGRESS): the log carries its
 * own cursor, into backups as well.  A pass that was cut off anywhere goes on
 * at the day it had come to.  One pass at a time; any thread.
 */
#ifndef NIGHT_NIGHT_H
#define NIGHT_NIGHT_H

#include "store/store.h"

#define NIGHT_RULES_MAX 16

struct night_state {
	uint64_t days_done, days_total; /* so far, of those known to be touched */
	const char *rule;               /* the step's first rule; static */
	uint64_t observations, written;
};

struct night_table; /* night_rule.h */

struct night_config {
	struct store *store;
	const struct night_table *table; /* NULL: night_rules */
	/* Seconds east of UTC where the owner is, at that instant. */
	int32_t (*offset_s)(const void *ctx, int64_t utc_ns);
	const void *offset_ctx;
	int64_t deadline_mono_ns; /* 0: none; a day that was begun is finished */
	/* Called about once a day's worth of work; false ends the pass.  May be NULL. */
	bool (*go_on)(void *ctx, const struct night_state *state);
	void *go_on_ctx;
};

struct night_report {
	uint64_t observations;       /* read, with repetitions */
	uint64_t days;               /* days × steps */
	uint64_t written, withdrawn; /* labels */
	uint64_t cursor;             /* everything up to it is labelled */
	bool finished; /* false: deadline or go_on() ended it; the rest is for the next one */
};

/*
 * Label what is new.  RC_OK also when it was cut short.  RC_CORRUPT after the
 * rest was labelled: some record could not be read.  RC_LIMIT: a day has more
 * labels than NIGHT_LABELS_MAX.  The store's errors.
 */
enum rc night_run(
    const struct night_config *config, struct night_report *out, struct errmsg *why) RC_CHECK;

/* The cursor of the last pass that was finished, and when that was; 0 if there was none. */
enum rc night_last(
    struct store *store, uint64_t *cursor, int64_t *at_ns, struct errmsg *why) RC_CHECK;

#endif
