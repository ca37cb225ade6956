/*
 * Exchange: a question and its answer become observations, with provenance.
 *
 * Layer text, kind "message", source "hearth": the question with origin owner,
 * the answer with origin assistant.  "data" says which model, in which mode,
 * from which moments, and in which conversation (the API's `user`).  A
 * recall-only answer holds nothing but quotes of the timeline: it is stored
 * without its text, which would only crowd the index with repetitions.
 */
#ifndef ANSWER_EXCHANGE_H
#define ANSWER_EXCHANGE_H

#include "answer/chat_request.h"
#include "answer/pack.h"

struct exchange {
	const char *id; /* "chatcmpl-…": makes both observations idempotent */
	const struct chat_request *request;
	const struct pack *pack; /* the answer's sources */
	const char *mode;        /* "full", "recall-only" */
	const char *model, *numerics_id;
	const char *finish; /* "stop", "length" */
	const char *text;   /* [text_len] */
	size_t text_len;
	int64_t asked_utc_ns, answered_utc_ns;
};

/* Both in one commit; returns when it is durable. */
enum rc exchange_store(
    const struct host *host, const struct exchange *exchange, struct errmsg *why) RC_CHECK;

#endif
