/*
 * An HTTP server of few words on loopback: one scripted answer a connection, and every
 * byte that was sent to it kept, for tests of what leaves.
 */
#ifndef SUPPORT_FAKE_UPSTREAM_H
#define SUPPORT_FAKE_UPSTREAM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/buf.h"

struct fake_answer {
	const char *bytes; /* of the whole response, with FAKE_GATEs in it */
	bool hold;         /* then wait until the client goes; else close */
};

struct fake_upstream {
	int fd, wake[2], gate[2];
	unsigned port;
	char url[64];                      /* "http://127.0.0.1:PORT/v1" */
	const struct fake_answer *answers; /* [answers_len]; the last one repeats */
	size_t answers_len;
	pthread_t thread;
	atomic_uint connections, left; /* left: clients that went while it held */
	pthread_mutex_t mutex;
	struct buf seen; /* under the mutex while the thread runs */
};

/* Borrows `answers` until fake_upstream_close(). */
void fake_upstream_open(
    struct fake_upstream *fake, const struct fake_answer *answers, size_t answers_len);
void fake_upstream_close(struct fake_upstream *fake);
/* Whether these bytes were ever sent to it. */
bool fake_upstream_saw(struct fake_upstream *fake, const char *text);
/* From now on these; nothing that was seen counts any more. */
void fake_upstream_turn(
    struct fake_upstream *fake, const struct fake_answer *answers, size_t answers_len);
/* Past the next FAKE_GATE. */
void fake_upstream_go_on(struct fake_upstream *fake);

/* What is behind it waits for fake_upstream_go_on(). */
#define FAKE_GATE "\x01"
#define FAKE_STREAM                                                                                \
	"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
#define FAKE_TEXT(text)                                                                            \
	"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" text "\"}}]}\n\n"
#define FAKE_THOUGHT(text)                                                                         \
	"data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning\":\"" text "\"}}]}\n\n"
#define FAKE_END                                                                                   \
	"data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"          \
	"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":3}}\n\n"      \
	"data: [DONE]\n\n"

#endif
