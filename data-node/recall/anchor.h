/*
 * Anchor: a time that a question names by what happened then.
 *
 * "before the trip to Lisbon", "two days after Noor's birthday", "vor dem
 * Zahnarzt": a word for before, after, since, until or
 * during, in English, German, Spanish or French, what it is about, and perhaps a
 * distance in front.  Where that lies is looked up in the index (search_anchor()).
 */
#ifndef RECALL_ANCHOR_H
#define RECALL_ANCHOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recall/language.h"

#define ANCHOR_NEAR_NS (INT64_C(3) * 86400 * 1000000000) /* "before", "after": so near */

enum anchor_side {
	ANCHOR_BEFORE,
	ANCHOR_AFTER,
	ANCHOR_SINCE,
	ANCHOR_UNTIL,
	ANCHOR_DURING,
};

struct anchor {
	bool found;
	enum anchor_side side;
	int64_t distance_ns;         /* 0: none was named */
	int64_t margin_ns;           /* half of the distance's unit */
	size_t what_begin, what_end; /* bytes of the question that say what happened */
};

void anchor_parse(const char *question, size_t len, const enum language *languages,
    size_t languages_len, struct anchor *out);

/* The range that it names if what happened lies at [t0, t1]. */
void anchor_range(const struct anchor *anchor, int64_t t0_ns, int64_t t1_ns, int64_t now_ns,
    int64_t *from_ns, int64_t *to_ns);

#endif
