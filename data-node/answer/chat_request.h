/*
 * Chat request: the JSON body of /v1/chat/completions and /v1/completions,
 * checked field by field.  Interfaces §4.
 *
 * Unknown fields are ignored.  What we know but cannot do (images, echo) is refused by
 * name rather than ignored, where ignoring it would hand the client something else than
 * it asked for.  What the answer has to be is read by response_format.h.
 *
 * Defaults: temperature 0.7 for "hearth", the API's 1 for a model's own id;
 * a random seed; 16 completion tokens for /v1/completions, as in OpenAI's API.
 */
#ifndef ANSWER_CHAT_REQUEST_H
#define ANSWER_CHAT_REQUEST_H

#include "base/arena.h"
#include "wire/message.h"

#define CHAT_BODY_BYTES_MAX ((size_t)8 << 20)
#define CHAT_TEXT_BYTES_MAX ((size_t)6 << 20) /* of all messages: above, no context holds it */
#define CHAT_MESSAGES_MAX ((size_t)4096)
#define CHAT_PARTS_MAX ((size_t)4096) /* content parts of one message */
#define CHAT_NAME_BYTES_MAX ((size_t)64)
#define CHAT_USER_BYTES_MAX ((size_t)256)
#define CHAT_TOP_LOGPROBS_MAX 20
#define COMPLETION_LOGPROBS_MAX 5
#define CHAT_CHOICES_MAX 8
#define CHAT_MODEL_HEARTH "hearth"
#define COMPLETION_TOKENS_DEFAULT 16u

enum chat_kind { CHAT_KIND_CHAT, CHAT_KIND_COMPLETION };

enum chat_tool_choice { CHAT_TOOLS_NONE, CHAT_TOOLS_AUTO, CHAT_TOOLS_REQUIRED, CHAT_TOOLS_NAMED };

struct chat_tools {
	const char *json;   /* the array as it came, for the template; "" = show none */
	const char **names; /* [len] */
	size_t len, named;  /* NAMED: which */
	enum chat_tool_choice choice;
	bool one_call; /* parallel_tool_calls is false */
	bool strict;   /* AUTO, and some of them are: calls are held where a node can */
	/* REQUIRED, NAMED: of the array those that may be called, for a node that holds the model
	 * to its own way to call; NULL: it cannot be asked to. */
	const char *must;
};

struct chat_format {
	struct wire_constraint constraint;
	const char *param; /* the field that a refusal of the constraint is about */
	bool calls; /* the constraint lets calls through, as {"name":…,"arguments":…}: see must */
};

struct chat_request {
	enum chat_kind kind;
	const char *model;
	bool hearth;                        /* model is "hearth" */
	bool background;                    /* a title, tag or follow-up call of a client program */
	struct wire_chat_message *messages; /* [messages_len], one untrusted part each */
	size_t messages_len;
	const char *prompt; /* COMPLETION */
	size_t prompt_len;
	const char *question; /* the last user text, or the prompt; "" = none */
	size_t question_len;
	struct wire_sampling sampling;
	bool seeded;         /* the client set the seed */
	uint32_t max_tokens; /* 0: the client set none */
	const char **stop;   /* [stop_len] */
	size_t stop_len;
	bool stream, include_usage;
	bool logprobs;
	uint32_t top_logprobs;
	size_t choices;   /* n */
	bool forget;      /* "store": false: not remembered, whoever answers */
	const char *user; /* "" = none */
	struct chat_tools tools;
	struct chat_format format;
	/* For another server: "NAME":VALUE of what the client said about how to answer, as it
	 * came, each with a comma behind it; "" = nothing, and of a model's own id always. */
	const char *forward;
	bool forward_limit; /* the limit of tokens is among them */
	bool forward_words; /* so are texts: of tools, of a format, to stop at */
};

struct chat_fault {
	int status; /* 400, or 413 */
	const char *code;
	char param[96]; /* "messages[2].content"; "" = the body as a whole */
	char message[200];
};

/* RC_OK, RC_NOMEM, or RC_INVALID with `fault` filled.  Strings of `out` live
 * in `arena`.  Pure but for the random seed; any thread. */
enum rc chat_request_parse(enum chat_kind kind, const char *body, size_t len, struct arena *arena,
    struct chat_request *out, struct chat_fault *fault) RC_CHECK;

#endif
