/*
 * Quote: a moment's words as one line of bounded length.
 */
#ifndef ANSWER_QUOTE_H
#define ANSWER_QUOTE_H

#include "base/arena.h"
#include "store/observation.h"

/*
 * The moment's text (without one: its data) on one line: line breaks, control
 * characters and runs of blanks become one blank, so a moment cannot pose as
 * two.  Longer than `max` bytes: the stretch around the first word it shares
 * with `question`, "…" where something is left out.  Whole code points only.
 * NULL on no memory.
 */
const char *quote_make(const struct observation *obs, const char *question, size_t question_len,
    size_t max, struct arena *arena);

/* "Thu 2026-11-19 18:30" at `offset_s` east of UTC. */
#define QUOTE_TIME_BYTES 32
void quote_time(int64_t utc_ns, int32_t offset_s, char out[QUOTE_TIME_BYTES]);

/* "Thursday, 19 November 2026, 18:30 (CET, UTC+01:00)" */
#define QUOTE_NOW_BYTES 96
void quote_now(int64_t utc_ns, int32_t offset_s, const char *zone, char out[QUOTE_NOW_BYTES]);

#endif
