/*
 * Cite: the marks in an answer against what the prompt held.
 *
 * A model gives the ids of what it relies on in square brackets, and now and then makes
 * one up.  A mark that names nothing of the pack, and nothing that stands in the
 * conversation in brackets already, is taken out of the answer, with the blank before
 * it.  Brackets that are no marks stay: code, links, check boxes, words.  What counts as
 * a mark: an id alone or several with commas between, where one is known or it is
 * written as known ones are (letters and digits in the same places, with a digit among
 * them), and the whole form [id, date, source].
 *
 * Pure; works on the front of a text that is still coming.  One thread.
 */
#ifndef ANSWER_CITE_H
#define ANSWER_CITE_H

#include <stdbool.h>
#include <stddef.h>

#include "answer/chat_request.h"
#include "answer/pack.h"

#define CITE_BYTES_MAX ((size_t)200) /* of a mark; what is longer is none */

struct cite {
	const struct pack *pack;
	const struct chat_request *request;
	bool in_code; /* between backticks */
	char before;  /* the byte given last; 0: none */
	char instead[2 * CITE_BYTES_MAX + 4];
	size_t instead_len;
};

enum cite_verdict {
	CITE_GIVE, /* the first `*n` bytes, as they are */
	CITE_SWAP, /* `instead` for the first `*n` bytes */
	CITE_HOLD, /* more has to come first */
};

/* The front of `text` [len > 0]; `ended`: no more will come.  What it says is taken as
 * done. */
enum cite_verdict cite_look(struct cite *cite, const char *text, size_t len, bool ended, size_t *n);

#endif
