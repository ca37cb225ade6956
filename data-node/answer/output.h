/*
 * Output: a model's text, parted into what it says, what it thinks and what it calls.
 *
 * Reasoning stands in <think>…</think> or a thought channel (Gemma 4) at the front, or in
 * messages of its own (harmony); calls stand where the served
 * families have them: <tool_call> with JSON, functions or key and value tags in it (Hermes, Qwen,
 * GLM, Nemotron), [TOOL_CALLS] (Mistral), a text that is nothing but JSON (Llama 3),
 * DeepSeek's and Gemma's markers, and messages for a function (harmony).  Text goes out as it
 * comes; what may still become a marker is held back, so markers split over pieces never show.  A
 * call that cannot be read is text. Marks in the text that name nothing are taken out where it is
 * asked for (cite.h). Pure but for the random ids of calls; one thread at a time.
 */
#ifndef ANSWER_OUTPUT_H
#define ANSWER_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/rc.h"

struct cite; /* answer/cite.h */
struct output;

#define OUTPUT_BYTES_MAX ((size_t)16 << 20) /* held back: of one call */
#define OUTPUT_CALLS_MAX 128u
#define OUTPUT_ID_BYTES 32

enum output_calls {
	OUTPUT_CALLS_NONE,   /* whatever looks like one is text */
	OUTPUT_CALLS_TAGS,   /* as the model's format has them */
	OUTPUT_CALLS_FORCED, /* the whole answer is one, or JSON that is none */
};

struct output_config {
	enum output_calls calls;
	const char *format; /* of the model: see wire_model.tool_format; "": TAGS are Hermes' */
	const char *tools;  /* what may be called, as JSON, for TAGS; "" or NULL: nobody says */
	bool must;          /* something has to be, for TAGS */
	bool one_call;      /* those behind the first are left out */
	bool reasoning;     /* look for it, and for the messages of harmony */
	bool within;        /* the answer begins within it */
	struct cite *cite;  /* marks in the text are checked; NULL: they are not */
};

enum output_kind { OUTPUT_TEXT, OUTPUT_REASONING, OUTPUT_CALL };

struct output_piece {
	enum output_kind kind;
	const char
	    *text; /* [len]; CALL: the arguments, a JSON object.  Lives until the next call */
	size_t len;
	const char *name, *id; /* CALL */
	unsigned index;        /* CALL: of calls, from 0 */
};

/* Strings are borrowed.  RC_NOMEM. */
enum rc output_new(const struct output_config *config, struct output **out) RC_CHECK;
void output_free(struct output *output);

/* The answer turns out to begin within reasoning; before the first push. */
void output_begin_within(struct output *output);

/* More text; the answer is over.  Errors stick: output_rc(). */
void output_push(struct output *output, const char *text, size_t len);
void output_end(struct output *output);
enum rc output_rc(const struct output *output) RC_CHECK;

/* What can be given out, in order; false: nothing more for now. */
bool output_next(struct output *output, struct output_piece *out);

/* Calls given out so far. */
unsigned output_calls(const struct output *output);

#endif
