/*
 * What is said in a recall month: chatter, facts with their questions, and the
 * part written by hand.
 *
 * In texts %p is a person, %t a thing, %l a place, %c a city, %d a dish, %b a
 * book or film, %k a colour, %w a code word, %n a number.
 */
#ifndef SUPPORT_RECALL_MONTH_TEXT_H
#define SUPPORT_RECALL_MONTH_TEXT_H

#include <stddef.h>

#include "recall/language.h"
#include "store/observation.h"

struct recall_person {
	const char *name;
	enum language language;
};

/* A fact: what is said (second: what follows, NULL if nothing), what asks for it. */
struct recall_fact {
	enum language language;
	const char *first, *second, *question;
};

/* Something of the part written by hand. */
struct recall_hand_moment {
	const char *id, *start; /* "2026-11-04T18:30" */
	enum layer layer;
	const char *kind, *source, *text;
};

struct recall_hand_question {
	enum language language;
	const char *text;
	const char *needed; /* ids with blanks between; "": absent */
	char kind;          /* s, m, t, a */
};

#define RECALL_ROWS(name, type)                                                                    \
	extern const type name[];                                                                  \
	extern const size_t name##_len

RECALL_ROWS(recall_persons, struct recall_person);
RECALL_ROWS(recall_things, char *const);
RECALL_ROWS(recall_places, char *const);
RECALL_ROWS(recall_cities, char *const);
RECALL_ROWS(recall_dishes, char *const);
RECALL_ROWS(recall_titles, char *const);
RECALL_ROWS(recall_colours, char *const);
RECALL_ROWS(recall_chatter_en, char *const);
RECALL_ROWS(recall_chatter_de, char *const);
RECALL_ROWS(recall_chatter_es, char *const);
RECALL_ROWS(recall_facts, struct recall_fact);
RECALL_ROWS(recall_pairs, struct recall_fact);
RECALL_ROWS(recall_absent, struct recall_fact);
RECALL_ROWS(recall_hand_moments, struct recall_hand_moment);
RECALL_ROWS(recall_hand_questions, struct recall_hand_question);

#endif
