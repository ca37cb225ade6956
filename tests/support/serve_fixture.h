/*
 * A serving compute node and data nodes that talk to it, in one process over
 * loopback CURVE: what came back for each request is kept and can be waited for.
 */
#ifndef SUPPORT_SERVE_FIXTURE_H
#define SUPPORT_SERVE_FIXTURE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/buf.h"
#include "serve/service.h"
#include "tiny_gguf.h"
#include "wire/client.h"

#define SERVE_FIXTURE_ANSWERS_MAX 512
#define SERVE_FIXTURE_IDS_MAX 4096
#define SERVE_FIXTURE_LINKS 3

/* All that came back for one request. */
struct serve_answer {
	uint64_t request_id; /* 0: free */
	unsigned messages;
	bool started, done, failed;
	char template_name[16], cache_type[16];
	uint32_t cached_tokens;
	uint32_t *prompt_ids;
	size_t prompt_len;
	uint32_t *ids;       /* [SERVE_FIXTURE_IDS_MAX] of all Tokens, or of TokenIds */
	uint64_t *text_ends; /* [SERVE_FIXTURE_IDS_MAX] text offset behind each token */
	int64_t *times_ns;   /* [SERVE_FIXTURE_IDS_MAX] when each token came */
	size_t len;
	bool broken; /* an index or offset did not follow the one before */
	uint32_t first_index;
	uint64_t first_offset;
	struct buf text;
	unsigned logprobs;     /* tokens that came with them */
	float logprob_sum;     /* of the chosen */
	bool logprobs_ordered; /* each list best first, chosen text present */
	struct wire_done end;
	char stop[64];
	enum wire_error code;
	char error[256];
	uint64_t context, needed;
	uint32_t counts[16];
	size_t counts_len;
	struct wire_vectors vectors; /* values are the answer's own */
	struct wire_plan plan;
	struct wire_stats stats;
	struct wire_lease_state lease;
	struct wire_adapter_state adapter;
	enum message_kind last_kind;
};

struct serve_link {
	struct serve_fixture *fixture;
	struct wire_keypair keys;
	struct wire_client *client;
	bool up;
	struct wire_model model; /* the first of Capabilities; strings are not kept */
	char model_name[64];
	struct wire_load load;
};

struct serve_fixture {
	char dir[64], model_path[96], allow_path[96];
	struct wire_keypair keys;
	char address[96];
	struct service *service; /* NULL while a program of its own serves */
	pid_t pid;
	const char *budget;           /* of that program; NULL: 1G */
	FILE *log;                    /* its standard error */
	struct service_config config; /* change it between init and start */
	const char *paths[1];
	struct serve_link links[SERVE_FIXTURE_LINKS];
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct serve_answer answers[SERVE_FIXTURE_ANSWERS_MAX]; /* [lock] */
};

/* The process that serves: the child of the one that was started. */
pid_t serve_fixture_worker(const struct serve_fixture *fixture);

/* A directory with a tiny model and an allow-list of all links' keys. */
void serve_fixture_init(struct serve_fixture *fixture, const struct tiny_gguf *model);
void serve_fixture_start(struct serve_fixture *fixture);
/* The same as a process of its own: the program beside the tests' folder. */
void serve_fixture_spawn(struct serve_fixture *fixture);
/* SIGTERM it and wait; its exit status, or -1 if a signal ended it. */
int serve_fixture_end(struct serve_fixture *fixture);
void serve_fixture_stop(struct serve_fixture *fixture);
void serve_fixture_fini(struct serve_fixture *fixture);

/* Connect link `i` and wait until it is up. */
void serve_fixture_connect(struct serve_fixture *fixture, int i);
void serve_fixture_disconnect(struct serve_fixture *fixture, int i);

/* Send on link `i` under a new request id, which is returned. */
uint64_t serve_fixture_send(struct serve_fixture *fixture, int i, struct message *message);
/* Send as it is (Cancel, Credit, a request id of the test's own). */
void serve_fixture_send_as(struct serve_fixture *fixture, int i, const struct message *message);

/* Wait until the request is over (Done, Error or its single answer); the
 * answer stays until serve_fixture_forget(). */
struct serve_answer *serve_fixture_wait(struct serve_fixture *fixture, uint64_t request_id);
/* Wait for `n` tokens, or the end. */
struct serve_answer *serve_fixture_wait_tokens(
    struct serve_fixture *fixture, uint64_t request_id, size_t n);
void serve_fixture_forget(struct serve_fixture *fixture, uint64_t request_id);

/* How many tokens came so far. */
size_t serve_fixture_tokens(struct serve_fixture *fixture, uint64_t request_id);

#endif
