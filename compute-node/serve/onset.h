/*
 * Onset: where in an answer its constraint begins, seen from the answer's text as it comes,
 * with the texts of special tokens.
 *
 * Behind reasoning that the prompt opened, or behind the header of a harmony message
 * that is not reasoning; and for calls again and again: behind the mark that begins one.
 * A constraint of calls is over with each of them, or with the last of a row that has one mark,
 * and then text is free again.
 *
 * Pure but for its own state, which is a function of the bytes pushed; they may be cut
 * anywhere.
 */
#ifndef SERVE_ONSET_H
#define SERVE_ONSET_H

#include <stdbool.h>
#include <stddef.h>

#define ONSET_PIECE_BYTES_MAX 512  /* of one push */
#define ONSET_HEADER_BYTES_MAX 528 /* a longer one is none */

enum onset_kind {
	ONSET_THOUGHT,   /* behind </think> */
	ONSET_MESSAGE,   /* behind <|message|>, but for the analysis */
	ONSET_RECIPIENT, /* behind <|message|> for a function: NAME and a line feed go before */
	ONSET_MARK,      /* behind `mark` */
	ONSET_BARE,      /* the same, and at a { in front of the answer, or behind a call */
};

struct onset {
	enum onset_kind kind;
	const char *mark;  /* static */
	bool front;        /* nothing but blanks so far, of the answer or behind a call */
	bool again;        /* a call or reasoning is over: no other opens */
	const char *close; /* of the reasoning that it is within; NULL: none */
	char tail[ONSET_HEADER_BYTES_MAX + ONSET_PIECE_BYTES_MAX]; /* not looked through yet */
	size_t tail_len;
};

/* `thinking`: the prompt opened reasoning.  `mark` lives on; NULL where there is none. */
void onset_init(struct onset *onset, enum onset_kind kind, const char *mark, bool thinking);

/* A call is over: look for the next one. */
void onset_again(struct onset *onset);

/*
 * What the answer is a few bytes away from: when they have come the constraint begins behind them,
 * or,
 * `*whole`, with them.  NULL: nothing, or nobody can tell.  Static.
 */
const char *onset_missing(const struct onset *onset, bool *whole);

/* True: it begins here, and *behind [*behind_len] belongs to it already; until the next call. */
bool onset_push(
    struct onset *onset, const char *text, size_t len, const char **behind, size_t *behind_len);

#endif
