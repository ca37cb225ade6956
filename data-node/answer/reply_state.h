/*
 * The inside of a reply, and what its files share: reply_open.c finds and asks at home,
 * reply_remote.c elsewhere, reply.c runs.
 */
#ifndef ANSWER_REPLY_STATE_H
#define ANSWER_REPLY_STATE_H

#include "answer/cite.h"
#include "answer/output.h"
#include "answer/remote.h"
#include "answer/reply.h"

#define REPLY_ID_BYTES 40

enum reply_mode { REPLY_PLAIN, REPLY_FULL, REPLY_RECALL_ONLY };

struct reply {
	struct host host;
	const struct chat_request *request;
	unsigned choice;
	struct arena arena;
	char id[REPLY_ID_BYTES];
	struct chunk_head head;
	struct chunk_end end;
	enum reply_mode mode;
	int64_t asked_utc_ns;

	const char *model; /* on the nodes */
	uint64_t context;
	const char *tool_format;
	bool holds_calls;
	bool unheld;       /* some node has the model, but cannot hold it to a constraint */
	struct pack found; /* every candidate */
	struct pack pack;  /* what is in the prompt */
	uint32_t max_tokens;
	struct generation *generation;
	bool started, resumed, over;
	char fingerprint[128];
	char answered_by[POOL_MODEL_NAME_BYTES_MAX];

	struct remote_ask ask;
	struct remote_plan *plan; /* NULL: nothing was decided, it is answered at home */
	struct remote *remote;    /* NULL: it is answered at home */
	unsigned remote_calls;
	struct output
	    *checked;     /* its text, whose marks are held against the pack; NULL: as it is */
	bool waits;       /* `last` follows what `checked` has left */
	struct buf route; /* the plan, as it is told */

	struct cite cite;
	struct output *output; /* of a chat; NULL: the text is what it is */
	bool ending;           /* `last` follows what `output` has left */
	struct generation_event last;

	struct buf text, reasoning, calls; /* the answer so far */
	struct buf logprobs;               /* of what was not handed out by a stream */
	struct buf canned;                 /* RECALL_ONLY: the answer */
	size_t canned_given;               /* bytes of it handed out */
};

bool reply_personal(const struct reply *reply);    /* with the person's context, and kept */
bool reply_constrained(const struct reply *reply); /* the answer has to be of a form */
void reply_set_fault(struct reply_fault *fault, int status, const char *type, const char *code,
    const char *param, const char *message);

/*
 * reply_open.c.  reply_node_up: some node takes requests for a model that chats.
 * reply_open_here: at home, by a compute node or by recall alone.  reply_ask: the node,
 * with what is in the pack.  reply_fit_pack: from all candidates again, under a budget.
 */
bool reply_node_up(struct reply *reply);
enum rc reply_open_here(struct reply *reply, struct reply_fault *fault) RC_CHECK;
enum rc reply_ask(struct reply *reply, struct reply_fault *fault) RC_CHECK;
enum rc reply_fit_pack(struct reply *reply, uint32_t budget) RC_CHECK;
void reply_go_recall_only(struct reply *reply);

/* reply_remote.c.  reply_route: RC_OK: it is asked elsewhere; RC_UNAVAILABLE: it is to be
 * answered at home.  The next event of such an answer. */
enum rc reply_route(struct reply *reply, struct reply_fault *fault) RC_CHECK;
void reply_next_remote(struct reply *reply, int64_t timeout_ns, struct generation_event *event,
    struct reply_fault *fault);

/* reply.c: what is kept of a piece, of log-probabilities; the end. */
void reply_keep_piece(struct reply *reply, const struct output_piece *piece);
void reply_keep_logprobs(struct reply *reply, const struct generation_event *event);
void reply_finish(struct reply *reply, struct generation_event *event);

#endif
