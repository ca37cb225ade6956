/*
 * Night progress: how far labelling has come, as an observation of its own.
 *
 * Its id is the table's, so each one supersedes the one before; it stands at the
 * time of the newest record that it counts.
 */
#ifndef NIGHT_NIGHT_PROGRESS_H
#define NIGHT_NIGHT_PROGRESS_H

#include "night/night_rule.h"

struct night_progress {
	uint64_t cursor;                    /* every rule has seen the log up to it, */
	uint32_t versions[NIGHT_RULES_MAX]; /* in these versions; 0: never */
	int64_t finished_ns;                /* when; 0: never */
	/* A pass that was begun: it labels up to `target` (0: none) and has done
	 * the days up to `day` of step `step`. */
	uint64_t target;
	uint32_t target_versions[NIGHT_RULES_MAX];
	unsigned step;
	int32_t day;
};

/* RC_OK with zeroes if there is none, or none that can be read.  Versions stand
 * in the order of `table`. */
enum rc night_progress_read(struct store *store, const struct night_table *table,
    struct night_progress *out, struct errmsg *why) RC_CHECK;
enum rc night_progress_write(struct store *store, const struct night_table *table,
    const struct night_progress *progress, struct errmsg *why) RC_CHECK;

#endif
