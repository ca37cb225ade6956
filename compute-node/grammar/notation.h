/*
 * Notation: how values are written, in JSON and in what else the families of models write the
 * arguments of their calls in.
 *
 * Spellings are bytes as they stand, but for MARK("…"), which one control token may be, or
 * several others spell, BLANKS: what may stand between two tokens of JSON, and LETTERS: nine
 * letters or digits.
 *
 * A text is escaped and quoted in JSON.  Elsewhere it stands as it is between two marks (or
 * what frames it), and never holds the marks that would end it: one that is counted or has a
 * pattern not even the front of such a mark, or no < at all.
 */
#ifndef GRAMMAR_NOTATION_H
#define GRAMMAR_NOTATION_H

#include <stdbool.h>
#include <stddef.h>

#define MARK(text) "\1" text "\1"
#define BLANKS "\2"
#define LETTERS "\3"
#define NOTATION_MARK '\1'
#define NOTATION_BLANKS '\2'
#define NOTATION_LETTERS '\3'
#define NOTATION_LETTERS_N 9
#define NOTATION_NEVER_MAX 5

enum notation_id {
	NOTATION_JSON,
	NOTATION_GEMMA,          /* {key:<|"|>text<|"|>,other:[1,true]} */
	NOTATION_FUNCTION,       /* <parameter=key>\nvalue\n</parameter> */
	NOTATION_FUNCTION_VALUE, /* a text of these */
	NOTATION_KEYED,          /* <arg_key>key</arg_key><arg_value>value</arg_value> */
	NOTATION_KEYED_VALUE,
	NOTATION_N,
};

struct notation {
	enum notation_id id;
	const char *open, *close; /* of an object */
	const char *name, *named; /* before a property's name, and behind it */
	const char *behind;       /* its value */
	const char *comma;        /* to the next one */
	const char *quote;        /* before and behind a text */
	/* What no text holds; each begins with < and has no other.  NULL: texts are escaped. */
	const char *never[NOTATION_NEVER_MAX];
	/* Properties are texts in one notation or all else in another; NULL: in this one. */
	const struct notation *text, *other;
	bool texts; /* values are texts, or null, and nothing else */
};

extern const struct notation notations[NOTATION_N];

#endif
