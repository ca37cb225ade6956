/*
 * A compute node for tests: the real server half of the wire, and behind it a
 * scripted model whose token k is a function of k.  It keeps credit strictly,
 * checks that a resumed answer brings the right ids, and does on demand what
 * real ones do on bad days.
 *
 * Its text lags its ids as a real node's does: every third token holds its
 * bytes back until the next one comes.
 */
#ifndef SUPPORT_FAKE_COMPUTE_H
#define SUPPORT_FAKE_COMPUTE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "wire/client.h"
#include "wire/server.h"

#define FAKE_RUNS_MAX 16
#define FAKE_LEASES_MAX 32
#define FAKE_NEVER UINT32_MAX

/* Change it only through fake_compute_set() once the node is open. */
struct fake_script {
	const char *model;       /* "tiny" */
	uint8_t hash;            /* every byte of the content hash */
	const char *numerics_id; /* "cpu/fake/1" */
	const char *cache_type;  /* "f16" */
	uint64_t context;        /* 4096 */
	uint64_t parameters;     /* 1000 */
	uint32_t tokens;         /* of a whole answer: 40 */
	uint32_t prompt_tokens;  /* ids that Started reports: 7 */
	uint32_t batch;          /* tokens a message: 1 */
	uint32_t stall_at;       /* send no token from this index on */
	uint32_t overlap;        /* a resumed answer repeats so many tokens */
	uint32_t refuse_times;   /* so many Generates are refused */
	enum wire_error refuse;
	uint64_t refuse_context, refuse_needed;
	uint64_t prompt_bytes_max; /* more in a Generate: CONTEXT; 0: no limit */
	bool mute;                 /* never answers a Generate */
	bool mute_tokenize;
	bool embeds; /* and does not chat: a text's vector is fake_compute_vector() */
	bool mute_embed;
	bool lie_about_text; /* leaves a gap in the text once */
	bool ignore_credit;
	enum wire_finish finish; /* STOP */
	const char *text;        /* ASCII: the answer, three bytes a token; NULL: made up */
	bool free_only;          /* cannot be held to a constraint */
	bool holds_calls;        /* knows that of calls */
	bool reasoning;          /* its answers begin within it */
	const char *tool_format; /* "" */
	bool no_leases;          /* opens none */
	struct wire_stats stats; /* what a StatsRequest is answered with */
};

struct fake_run {
	bool active;
	bool cached; /* all of the prompt but its last token */
	wire_peer peer;
	uint64_t request_id;
	uint32_t next, limit, end, logprobs;
};

struct fake_compute {
	char dir[64];
	char allow_path[96];
	char address[64]; /* kept over restarts */
	struct wire_keypair keys;
	struct wire_server *server;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stop;
	struct fake_script script;
	struct fake_run runs[FAKE_RUNS_MAX];
	struct wire_model offered;
	struct {
		bool open, used;
		uint8_t id[WIRE_LEASE_BYTES];
	} leases[FAKE_LEASES_MAX];
	/* [lock] what it saw */
	unsigned embeds, texts;                        /* Embed messages, and what was in them */
	unsigned stats;                                /* StatsRequests */
	unsigned leases_opened, leases_closed, leased; /* messages; Generates under one */
	uint8_t last_lease[WIRE_LEASE_BYTES];
	unsigned generates, resumes, cancels, tokenizes, refused, sent_ahead_max;
	uint32_t last_max_tokens, last_resumed_from;
	int64_t last_generate_ns; /* when it came, monotonic */
	struct wire_sampling last_sampling;
	enum wire_constraint_kind last_constraint;
	bool last_one; /* of it */
	struct buf last_schema, last_tools;
	struct buf last_prompt; /* "<trust>role: text" of every part, one a line */
};

/* `client_key` is let in.  Aborts on failure, as all of these do. */
void fake_compute_open(struct fake_compute *fake, const struct fake_script *script,
    const uint8_t client_key[WIRE_KEY_BYTES]);
void fake_compute_close(struct fake_compute *fake);

/* kill −9 and start again, at the same address. */
void fake_compute_kill(struct fake_compute *fake);
void fake_compute_start(struct fake_compute *fake);

struct fake_script fake_script_default(void);
void fake_compute_set(struct fake_compute *fake, const struct fake_script *script);

/* Wait until `*counter` is at least `n`. */
void fake_compute_wait(struct fake_compute *fake, const unsigned *counter, unsigned n);
unsigned fake_compute_get(struct fake_compute *fake, const unsigned *counter);

#define FAKE_VECTOR_LEN 5
void fake_compute_vector(const char *text, float out[FAKE_VECTOR_LEN]);

/* The text of the first `tokens` tokens of a whole answer. */
void fake_compute_text(uint32_t tokens, struct buf *out);

#endif
