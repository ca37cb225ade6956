/*
 * Night plan: which days each rule has to look at, learned from the log.
 *
 * A set of UTC days for each rule, from 1900 to 2200: a bit a day.
 */
#ifndef NIGHT_NIGHT_PLAN_H
#define NIGHT_NIGHT_PLAN_H

#include "night/night_rule.h"

#define NIGHT_DAY_FIRST (-25567) /* 1900-01-01 */
#define NIGHT_DAY_COUNT 109573   /* to 2200-01-01 */

struct night_plan;

enum rc night_plan_new(size_t rules_len, struct night_plan **out) RC_CHECK;
void night_plan_free(struct night_plan *plan);

/*
 * Mark the days that records in (after_seq, up_to_seq] touch, for each rule
 * of `table` with `after_seqs[i]` of its own.  Labels
 * and other SYSTEM records touch nothing, but scenes for rules that see them; a new version touches
 * where the old one was, a tombstone where the forgotten one was; a record that changed a clock map
 * touches where it moved others from and to; one that forgets touches, for every rule, the days
 * whose labels went along.  A rule that depends on another is touched around where that one is, if
 * `all_dependents`.
 */
enum rc night_plan_read(struct night_plan *plan, struct store *store,
    const struct night_table *table, const uint64_t *after_seqs, uint64_t up_to_seq,
    bool all_dependents, struct errmsg *why) RC_CHECK;

/* Days [day - around, day + around] of rule `i`. */
void night_plan_mark(struct night_plan *plan, size_t i, int32_t day, int around);
bool night_plan_has(const struct night_plan *plan, size_t i, int32_t day);
/* First day from `day` on that is marked for any rule of `mask` (bit i: rule
 * i); false if none is. */
bool night_plan_next(const struct night_plan *plan, uint32_t mask, int32_t *day);
uint64_t night_plan_count(const struct night_plan *plan, uint32_t mask);

#endif
