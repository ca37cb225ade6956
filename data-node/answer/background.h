/*
 * Background calls: what chat programs ask a model on their own behalf
 * (titles, tags, follow-up questions, search queries).  They are answered, but
 * nobody said them: no recall, no trace in the timeline.
 */
#ifndef ANSWER_BACKGROUND_H
#define ANSWER_BACKGROUND_H

#include <stdbool.h>
#include <stddef.h>

/* True if `text` (a user or system message) opens like such a call.  A wrapped
 * question of the person's own ("### Task: Respond to the user query …") is none. */
bool background_is(const char *text, size_t len);

/* The person's words inside a wrapper (<user_query>…</user_query>), or all of
 * `text`.  `*out` points into `text`. */
void background_unwrap(const char *text, size_t len, const char **out, size_t *out_len);

#endif
