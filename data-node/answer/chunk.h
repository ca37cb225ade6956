/*
 * Chunk: the bytes clients read, in OpenAI's shapes.  Interfaces §4.
 *
 * One function per piece of a stream, in the order they are sent: role, text,
 * finish, usage, done; and the whole body for an answer that is not streamed.
 * Pure; errors stick in the buffer.
 */
#ifndef ANSWER_CHUNK_H
#define ANSWER_CHUNK_H

#include "answer/chat_request.h"
#include "answer/pack.h"
#include "base/buf.h"

struct chunk_head {
	enum chat_kind kind;
	unsigned index; /* of the choice */
	const char *id; /* "chatcmpl-…" */
	int64_t created_s;
	const char *model;       /* as the client named it */
	const char *fingerprint; /* numerics of the node that answers; "" = none */
	bool include_usage;      /* the client asked: every chunk has a usage field */
	/* Of completions with log-probabilities: characters of the tokens that were put so
	 * far, which it counts on; NULL: from 0. */
	uint64_t *characters;
};

struct chunk_end {
	enum wire_finish finish;
	uint32_t prompt_tokens, completion_tokens;
	uint32_t cached_tokens;  /* of the prompt */
	const char *mode;        /* "full", "recall-only"; NULL: without the person's context */
	const struct pack *pack; /* its sources; may be NULL */
	const char *route; /* JSON: where it was answered and why; NULL: nothing was decided */
	unsigned calls;    /* of tools, in the answer */
};

/* A whole answer. */
struct chunk_answer {
	const struct buf *text, *reasoning;
	const struct buf *calls;    /* what chunk_put_call() wrote, with commas between */
	const struct buf *logprobs; /* JSON objects with commas between; NULL: not asked for */
};

/*
 * The objects of chats' log-probabilities as /v1/completions has them: {"tokens",
 * "token_logprobs","top_logprobs","text_offset"}, the offsets from `*characters` on, which
 * it moves.
 */
void chunk_put_token_logprobs(struct buf *out, const struct buf *logprobs, uint64_t *characters);

void chunk_role(struct buf *out, const struct chunk_head *head); /* nothing for completions */
/* `logprobs` as in struct chunk_answer. */
void chunk_text(struct buf *out, const struct chunk_head *head, const char *text, size_t len,
    const struct buf *logprobs);
void chunk_reasoning(struct buf *out, const struct chunk_head *head, const char *text, size_t len);
/* One whole call: clients read the first of a chunk only. */
void chunk_call(struct buf *out, const struct chunk_head *head, unsigned index, const char *id,
    const char *name, const char *arguments);
/* {"id":…,"type":"function","function":{…}}, with an index if `index` ≥ 0. */
void chunk_put_call(
    struct buf *out, int index, const char *id, const char *name, const char *arguments);
/* ,"hearth":{…}, if there is a mode or a route. */
void chunk_put_hearth(struct buf *out, const struct chunk_end *end);
void chunk_finish(struct buf *out, const struct chunk_head *head, const struct chunk_end *end,
    const struct buf *logprobs);
/* The usage chunk, if the client asked for it; it carries the hearth object
 * again, as it is then the last one. */
void chunk_usage(struct buf *out, const struct chunk_head *head, const struct chunk_end *end);
/* What n choices took: the prompt once. */
struct chunk_end chunk_sum(const struct chunk_end *ends, size_t n);
void chunk_done(struct buf *out);
void chunk_comment(struct buf *out, const char *words);
void chunk_error(struct buf *out, const char *type, const char *code, const char *message);

/* One choice or several; usage is of all, the hearth object the first one's. */
void chunk_body(struct buf *out, const struct chunk_head *head, const struct chunk_end *ends,
    const struct chunk_answer *answers, size_t n);

#endif
