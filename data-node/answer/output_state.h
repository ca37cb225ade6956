/*
 * The inside of an output, and what its files share: output.c walks through texts,
 * reasoning and calls, output_harmony.c through messages with headers.
 */
#ifndef ANSWER_OUTPUT_STATE_H
#define ANSWER_OUTPUT_STATE_H

#include "answer/output.h"
#include "answer/tool_schema.h"
#include "base/buf.h"

#define OUTPUT_CALLEE_BYTES_MAX ((size_t)64)

struct tool_calls; /* answer/tool_calls.h */
struct tool_marks;

enum where { AT_START, IN_REASONING, BEHIND_REASONING, IN_HEADER, IN_TEXT, IN_CALL, OVER };

struct output {
	struct output_config config;
	enum where where;
	bool ended;
	const struct tool_marks *marks; /* NULL: none open a call */
	const char *close;              /* of the reasoning */
	struct buf held;                /* what was not given out yet */
	size_t looked;                  /* a call's end is not before these bytes of it */
	size_t given;                   /* bytes of it that the last piece was */
	struct tool_schema tools;
	struct tool_calls *ready; /* calls that were read, one a piece */
	size_t ready_at;
	unsigned calls;
	char id[OUTPUT_ID_BYTES];

	bool harmony;                             /* it is in messages */
	char callee[OUTPUT_CALLEE_BYTES_MAX + 1]; /* of the message that is a call */
};

/* Where `mark` stands in what is held, or may still: `*whole` tells which.  held.len: nowhere. */
size_t output_find(const struct output *output, const char *mark, bool *whole);

/* The same behind `from`. */
size_t output_find_from(const struct output *output, size_t from, const char *mark, bool *whole);

/* The text begins as `mark` does: with all of it, or, while more may come, with its front. */
bool output_begins(const struct output *output, size_t at, const char *mark, bool *whole);

/*
 * output_harmony.c.  output_harmony_begins: a header stands at `at`, or may still.
 * output_harmony_header: step into the message behind it; false: not yet, or nothing.
 * output_harmony_end: where the message ends behind `from`; `*mark_len` bytes say so.
 */
bool output_harmony_begins(const struct output *output, size_t at, bool *whole);
bool output_harmony_header(struct output *output);
size_t output_harmony_end(const struct output *output, size_t from, bool *whole, size_t *mark_len);

#endif
