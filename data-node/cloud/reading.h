/*
 * Reading: the chunks of an OpenAI-compatible stream, parted into what the answer says,
 * thinks and calls.  They are foreign bytes: every size has a limit.
 *
 * What several chunks brought before the caller looks is one piece; reasoning goes
 * before text.  Calls come in fragments and are handed out whole, behind the text: with a
 * name, an object as arguments, and an id, made here where none came.  What is no such
 * call, or was cut short, is left out.
 * One thread at a time.
 */
#ifndef CLOUD_READING_H
#define CLOUD_READING_H

#include <stdbool.h>

#include "base/buf.h"

#define READING_BYTES_MAX ((size_t)16 << 20) /* of a whole answer */
#define READING_CALLS_MAX ((size_t)64)
#define READING_NAME_BYTES_MAX ((size_t)256)

struct reading_call {
	struct buf id, name, arguments;
};

struct reading {
	struct buf text, reasoning; /* not handed out yet */
	struct buf logprobs;        /* JSON objects with commas between; the caller's to reset */
	struct buf given;           /* handed out last */
	struct reading_call calls[READING_CALLS_MAX];
	size_t calls_len, calls_seen, calls_given; /* seen: handed out or left out */
	size_t bytes;                              /* of everything so far */
	bool begun, finished, cut_short, done;
	bool has_usage;
	uint32_t prompt_tokens, completion_tokens; /* as it counts them */
	struct buf error;                          /* "" = none: what it says went wrong */
};

enum reading_kind { READING_TEXT, READING_REASONING, READING_CALL };

struct reading_piece {
	enum reading_kind kind;
	const char *text; /* [len]; CALL: the arguments.  Lives until the next call */
	size_t len;
	const char *name, *id; /* CALL */
	unsigned index;
};

void reading_init(struct reading *reading);
void reading_fini(struct reading *reading);

/*
 * The data of one event; "[DONE]" sets `done`.  RC_CORRUPT: no chunk; RC_LIMIT, RC_NOMEM;
 * RC_CANCELLED: it says that it failed, in `error`.
 */
enum rc reading_push(struct reading *reading, const char *data) RC_CHECK;

/* `over`: nothing more comes, so calls are whole. */
bool reading_next(struct reading *reading, bool over, struct reading_piece *out);

/* Append the message of an error body, whole and as it came; nothing if it has none. */
void reading_error(const char *body, size_t len, struct buf *out);

#endif
