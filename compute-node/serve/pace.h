/*
 * Pace: how many rows of prompts a round takes beside running answers.
 *
 * What a round costs is learned as it goes, sampling included: answers alone by their
 * number, D(d) = fixed + d · each, and a row of a prompt, b, which grows with its depth.
 * With k rows of prompts a round takes D + k · b, and a gap between two tokens of an answer
 * is stretched s = 1 + k · b / D times.  Prompts then get k rows in s · D; alone they would
 * get U rows (an ubatch) in about D + U · b.  Their share of that rate is
 *
 *     (k / (s · D)) / (U / (D + U · b))  =  (1 - 1 / s) · (1 + D / (b · U)),
 *
 * so a gap of 4 leaves them 0.75 at best, and 0.7 of their rate costs a gap of 3.3.  What
 * the aim leaves below 4 is for rounds that take longer than was learned.  Few rows take
 * more time each than an ubatch's do, which is why the share is less where k is small:
 * where b is large against D, at depth.
 *
 * One thread at a time; pure but for its own state.
 */
#ifndef SERVE_PACE_H
#define SERVE_PACE_H

#include <stdint.h>

/* Least squares of y over x; what came before counts ever less. */
struct pace_line {
	double n, x, y, xx, xy;
};

/* All zero: nothing is known yet. */
struct pace {
	struct pace_line answers; /* ns of a round by its rows, no prompts in it */
	double prompt_ns;         /* smoothed: one row of a prompt; 0: not known */
};

/* A round with so many rows of each took so long. */
void pace_learn(struct pace *pace, uint32_t answers, uint32_t prompts, int64_t took_ns);

/* How many rows prompts get beside `answers`; at most `room`, at least 1 of it. */
uint32_t pace_rows(const struct pace *pace, uint32_t answers, uint32_t room);

#endif
