/*
 * Recall month: a synthetic month of one life in six layers, with questions
 * whose needed moments are known.
 *
 * A generator (facts in templates of three languages among chatter and device
 * noise) and a part written by hand.  The same seed gives the same month.  The
 * questions are split in two: what is tuned looks at the even ones only, the
 * odd ones tell whether it was more than tuning.
 */
#ifndef SUPPORT_RECALL_MONTH_H
#define SUPPORT_RECALL_MONTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recall/language.h"
#include "store/observation.h"

#define RECALL_MONTH_SEED UINT64_C(20261101)
#define RECALL_MONTH_NEEDED_MAX 8

enum recall_question_kind {
	RECALL_SINGLE,   /* one moment holds the answer */
	RECALL_MULTI,    /* two or more do together */
	RECALL_TEMPORAL, /* the time in the question decides */
	RECALL_ABSENT,   /* no moment answers it */
	RECALL_KINDS,
};

struct recall_question {
	char text[160];
	enum recall_question_kind kind;
	enum language language;
	bool by_hand;
	uint32_t needed[RECALL_MONTH_NEEDED_MAX]; /* [needed_len] places in moments */
	size_t needed_len;
};

struct recall_month {
	struct observation *moments; /* [moments_len], by time; seq is the place plus one */
	size_t moments_len;
	struct recall_question *questions; /* [questions_len] */
	size_t questions_len;
	int64_t now_ns; /* when they are asked, UTC */
};

/* Ends the program on no memory.  recall_month_fini() frees all of it. */
void recall_month_init(struct recall_month *month, uint64_t seed);
void recall_month_fini(struct recall_month *month);

#endif
