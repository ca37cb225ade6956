/*
 * Night day: one UTC day under a set of rules.
 *
 * The labels that are there are gathered by the same scan that feeds the
 * rules; what a rule says is compared with them, and only differences are
 * written, in batches.  At the end, labels that no rule said again are
 * withdrawn.  Belongs to the thread of the pass.
 */
#ifndef NIGHT_NIGHT_DAY_H
#define NIGHT_NIGHT_DAY_H

#include "night/night_rule.h"

#define NIGHT_LABELS_MAX ((size_t)1 << 20) /* of one day */

/* A rule within a pass. */
struct night_step {
	const struct night_rule *rule;
	void *state;
	bool active;      /* on the day at hand */
	uint64_t changed; /* labels written on the day at hand */
};

struct night_day;

/* `config` and `steps` [steps_len] are borrowed; records after `as_of_seq` are
 * not seen.  RC_NOMEM. */
enum rc night_day_new(const struct night_config *config, struct night_step *steps, size_t steps_len,
    uint64_t as_of_seq, struct night_day **out) RC_CHECK;
void night_day_free(struct night_day *day);

/* Write what was said so far: labels of several days go into one commit. */
enum rc night_day_flush(struct night_day *day, struct errmsg *why) RC_CHECK;

/* Label UTC day number `number` (since 1970) by the active steps.  RC_CORRUPT:
 * a record could not be read, the rest was labelled.  Adds to `report`. */
enum rc night_day_run(struct night_day *day, int32_t number, struct night_report *report,
    struct errmsg *why) RC_CHECK;

#endif
