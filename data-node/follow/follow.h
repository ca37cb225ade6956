/*
 * Follow: a second data node holds what the first one holds, and can take over.
 *
 * The follower asks, over the same CURVE wire that compute nodes are asked over,
 * for what it lacks, one thing at a time; the node that is followed answers and
 * keeps nothing about it, so either may be restarted at any time.  All that is
 * sent is sealed as it lies on disk: the records of the log, the keyring
 * (wrapped), the catalogue's state.  The key is never sent: the owner carries it,
 * so a follower that is stolen without it tells nothing.
 *
 * Every answer says which keyring the other node has by now.  A follower that has
 * another one takes it first: where a day's key went or changed, it asks for the
 * records of that day anew, then becomes the newer keyring, then goes on with the
 * log.  So forgetting reaches it, and no record comes that it cannot open.
 */
#ifndef FOLLOW_FOLLOW_H
#define FOLLOW_FOLLOW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/errmsg.h"
#include "wire/key.h"
#include "wire/message.h"

struct store;
struct keyring;

/* Sent numbers: never reorder. */
enum follow_what {
	FOLLOW_LOG = 1, /* records behind `after` */
	FOLLOW_SEQS,    /* records by their numbers */
	FOLLOW_FILE,    /* a stretch of a small file */
};

#define FOLLOW_FILE_KEYRING "keyring" /* as it lies on disk */
#define FOLLOW_FILE_TRUTH "truth"     /* frames of what is small and no log */
#define FOLLOW_FILE_STATE "state"     /* sealed: devices and compute nodes */
#define FOLLOW_FILE_BYTES_MAX ((size_t)64 << 20)
#define FOLLOW_PART_BYTES ((size_t)4 << 20) /* of data in an answer */
#define FOLLOW_HASH_BYTES WIRE_HASH_BYTES

void follow_hash(const void *bytes, size_t len, uint8_t out[FOLLOW_HASH_BYTES]);

/* ---- follow_serve.c: being followed --------------------------------------------------- */

struct follow_serve;

struct follow_serve_config {
	const char *listen;              /* "tcp://HOST:PORT" */
	const char *allow_path;          /* public keys that may follow */
	const char *dir;                 /* the data node's */
	const struct wire_keypair *keys; /* borrowed for the call */
	struct store *store;
	struct keyring *keyring;
	/* The state, not sealed yet; the same bytes while nothing changed. */
	enum rc (*state)(void *ctx, struct buf *out, struct errmsg *why);
	void *ctx;
};

enum rc follow_serve_open(const struct follow_serve_config *config, struct follow_serve **out,
    struct errmsg *why) RC_CHECK;
void follow_serve_close(struct follow_serve *serve);
const char *follow_serve_address(const struct follow_serve *serve);

struct follow_peer {
	char key[WIRE_KEY_TEXT_BYTES];
	uint64_t cursor;  /* all up to here is there */
	int64_t asked_ns; /* on the monotonic clock */
};
#define FOLLOW_PEERS_MAX ((size_t)8)
/* Those connected now. */
size_t follow_serve_peers(struct follow_serve *serve, struct follow_peer out[FOLLOW_PEERS_MAX]);

/* ---- follow_link.c: one question, one answer -------------------------------------------- */

struct follow_link;

struct follow_link_config {
	const char *address;
	const uint8_t *server_key; /* [WIRE_KEY_BYTES] */
	const struct wire_keypair *keys;
};

enum rc follow_link_open(
    const struct follow_link_config *config, struct follow_link **out, struct errmsg *why) RC_CHECK;
void follow_link_close(struct follow_link *link);

/* "up", "connecting", "refused" (it does not let us in), "down" */
const char *follow_link_word(struct follow_link *link);

/* End a wait in follow_link_ask(), now and from now on: RC_CANCELLED. */
void follow_link_stop(struct follow_link *link);

struct follow_answer {
	struct wire_follow_part part; /* its data is `data` */
	struct buf data;
};
void follow_answer_init(struct follow_answer *answer);
void follow_answer_fini(struct follow_answer *answer);

/*
 * Ask and wait.  RC_TIMEOUT, also while there is no link; RC_CLOSED: it broke;
 * RC_INVALID: the other node will not answer this, and `why` says why (another
 * timeline, another past); RC_CANCELLED.
 */
enum rc follow_link_ask(struct follow_link *link, const struct wire_follow_ask *ask,
    int64_t timeout_ns, struct follow_answer *out, struct errmsg *why) RC_CHECK;

/* A whole small file into `out`, with the answer that held its end. */
enum rc follow_link_file(struct follow_link *link, const char *name, const uint8_t *store_id,
    int64_t timeout_ns, struct buf *out, struct follow_answer *last, struct errmsg *why) RC_CHECK;

/* ---- follow_run.c: following ---------------------------------------------------------------- */

struct follow_run;

struct follow_run_config {
	struct follow_link_config link;
	const char *dir; /* the data node's */
	struct store *store;
	struct keyring *keyring;
	/* The state, opened; called when it changed. */
	enum rc (*state)(void *ctx, const uint8_t *bytes, size_t len, struct errmsg *why);
	/* Something was forgotten: what holds words in memory lets go of them. */
	void (*forgotten)(void *ctx);
	/* Nothing more has come for now: time for work beside the records, in this
	 * thread, until `*stop`.  NULL: none. */
	void (*level)(void *ctx, const atomic_bool *stop);
	void *ctx;
};

/* Sets the store to following; a thread goes on until close. */
enum rc follow_run_open(
    const struct follow_run_config *config, struct follow_run **out, struct errmsg *why) RC_CHECK;
/* Ask no more; any thread, once or more often. */
void follow_run_stop(struct follow_run *run);
/* The store stays as it is: set to following. */
void follow_run_close(struct follow_run *run);

struct follow_status {
	const char *link;         /* follow_link_word() */
	uint64_t cursor;          /* the other node's, as it last said */
	int64_t level_ns;         /* monotonic clock: when all of it was last here; 0: never */
	char error[ERRMSG_BYTES]; /* why it does not go on; "" = it does */
};
void follow_run_status(struct follow_run *run, struct follow_status *out);

/* Entries in frames (backup/segment.h) of an answer: at most `max` into `out`,
 * which points into `data`; RC_INVALID for anything else.  Pure. */
struct store_raw;
enum rc follow_frames(const uint8_t *data, size_t len, struct store_raw *out, size_t max, size_t *n,
    struct errmsg *why) RC_CHECK;

#endif
