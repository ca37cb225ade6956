/*
 * Follow serve: answers the questions of those who follow.
 *
 * The wire's thread queues a question; one worker answers them in turn.  A
 * question for records that are not there yet waits for a moment, so that a
 * follower which is level learns of a new record at once without asking all the
 * time.  A peer has one question at a time; a newer one takes its place.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backup/backup_seal.h"
#include "backup/segment.h"
#include "base/clock.h"
#include "base/log.h"
#include "follow/follow_internal.h"
#include "os/file.h"
#include "os/process.h"
#include "store/keyring.h"
#include "store/store.h"
#include "store/store_raw.h"
#include "wire/server.h"

#define HOLD_NS (500 * NS_PER_MS) /* a question that waits for a record */
#define LOOK_NS (50 * NS_PER_MS)  /* for new questions, while one waits */
#define STATE_NS (2 * NS_PER_S)   /* how old what we know of the state may be */
#define RECORD_ARENA_BYTES ((size_t)24 << 20)

struct peer {
	wire_peer id; /* 0: a free slot */
	struct follow_peer shown;
	bool asks;
	uint64_t request_id;
	int64_t asked_ns;
	struct wire_follow_ask ask; /* its seqs and name are the two below */
	uint64_t *seqs;
	char name[96];
};

struct follow_serve {
	struct follow_serve_config config;
	char keyring_path[4096], allow_path[4096];
	struct wire_server *wire;
	pthread_t thread;
	bool started;
	atomic_bool stop;
	pthread_mutex_t lock;
	pthread_cond_t asked;
	struct peer peers[FOLLOW_PEERS_MAX]; /* [lock] */
	/* Worker: */
	struct stat keyring_stat;
	struct buf keyring, state, data;
	uint8_t keyring_hash[FOLLOW_HASH_BYTES], state_hash[FOLLOW_HASH_BYTES];
	int64_t state_ns;
};

/* ---- the wire's thread ----------------------------------------------------------------- */

static struct peer *peer_find(struct follow_serve *s, wire_peer id)
{
	for (size_t i = 0; i < FOLLOW_PEERS_MAX; i++) {
		if (s->peers[i].id == id)
			return &s->peers[i];
	}
	return NULL;
}

static void on_peer(void *ctx, wire_peer id, const uint8_t key[WIRE_KEY_BYTES])
{
	struct follow_serve *s = ctx;

	(void)pthread_mutex_lock(&s->lock);
	struct peer *peer = peer_find(s, 0);
	if (peer != NULL) {
		memset(peer, 0, sizeof(*peer));
		peer->id = id;
		wire_key_format(key, peer->shown.key);
		peer->shown.asked_ns = clock_mono_ns();
		log_info("FOLLOW-PEER", "key=%.8s", peer->shown.key);
	}
	(void)pthread_mutex_unlock(&s->lock);
}

static void on_gone(void *ctx, wire_peer id)
{
	struct follow_serve *s = ctx;

	(void)pthread_mutex_lock(&s->lock);
	struct peer *peer = peer_find(s, id);
	if (peer != NULL) {
		log_info("FOLLOW-PEER-GONE", "key=%.8s cursor=%" PRIu64, peer->shown.key,
		    peer->shown.cursor);
		free(peer->seqs);
		memset(peer, 0, sizeof(*peer));
	}
	(void)pthread_mutex_unlock(&s->lock);
}

/* The question outlives the message. */
static void take_ask(struct peer *peer, const struct message *message)
{
	const struct wire_follow_ask *ask = &message->u.follow_ask;
	uint64_t *seqs = NULL;

	if (ask->seqs_len > 0) {
		seqs = malloc(ask->seqs_len * sizeof(*seqs));
		if (seqs == NULL)
			return; /* it will ask again */
		memcpy(seqs, ask->seqs, ask->seqs_len * sizeof(*seqs));
	}
	free(peer->seqs);
	peer->seqs = seqs;
	peer->ask = *ask;
	peer->ask.seqs = seqs;
	(void)snprintf(peer->name, sizeof(peer->name), "%s", ask->name);
	peer->ask.name = peer->name;
	peer->request_id = message->request_id;
	peer->asked_ns = peer->shown.asked_ns = clock_mono_ns();
	peer->asks = true;
	if (ask->what == FOLLOW_LOG)
		peer->shown.cursor = ask->after;
}

static void send_error(struct follow_serve *s, wire_peer peer, uint64_t request_id,
    enum wire_error code, const char *text)
{
	const struct message message = { .kind = MESSAGE_ERROR,
		.request_id = request_id,
		.u.error = { .code = code, .text = text } };

	enum rc ignored = wire_server_send(s->wire, peer, &message);
	(void)ignored; /* one that does not read its answers does without */
}

static void on_message(void *ctx, wire_peer id, const struct message *message)
{
	struct follow_serve *s = ctx;

	(void)pthread_mutex_lock(&s->lock);
	struct peer *peer = peer_find(s, id);
	bool known = peer != NULL && message->kind == MESSAGE_FOLLOW_ASK;
	if (known) {
		take_ask(peer, message);
		(void)pthread_cond_signal(&s->asked);
	}
	(void)pthread_mutex_unlock(&s->lock);
	if (!known)
		send_error(s, id, message->request_id,
		    peer == NULL ? WIRE_ERROR_BUSY : WIRE_ERROR_UNSUPPORTED,
		    peer == NULL ? "too many follow this node"
				 : "a data node answers no such thing");
}

/* ---- what there is to tell ---------------------------------------------------------------- */

/* The keyring is replaced whole: another inode, another content. */
static enum rc keyring_look(struct follow_serve *s, struct errmsg *why)
{
	struct stat st;
	uint8_t *bytes = NULL;
	size_t len = 0;

	if (stat(s->keyring_path, &st) != 0)
		return errmsg_errno(why, "cannot look at the keyring");
	const struct stat *old = &s->keyring_stat;
	if (s->keyring.len > 0 && st.st_ino == old->st_ino && st.st_size == old->st_size &&
	    st.st_mtim.tv_sec == old->st_mtim.tv_sec && st.st_mtim.tv_nsec == old->st_mtim.tv_nsec)
		return RC_OK;
	enum rc rc = file_read(s->keyring_path, FOLLOW_FILE_BYTES_MAX, &bytes, &len, why);
	if (rc != RC_OK)
		return rc;
	s->keyring_stat = st;
	buf_reset(&s->keyring);
	buf_append(&s->keyring, bytes, len);
	follow_hash(bytes, len, s->keyring_hash);
	free(bytes);
	return buf_rc(&s->keyring);
}

static enum rc state_look(struct follow_serve *s, struct errmsg *why)
{
	int64_t now_ns = clock_mono_ns();
	struct buf plain;

	if (s->state_ns != 0 && now_ns - s->state_ns < STATE_NS)
		return RC_OK;
	buf_init(&plain, FOLLOW_FILE_BYTES_MAX);
	enum rc rc = s->config.state(s->config.ctx, &plain, why);
	buf_reset(&s->state);
	if (rc == RC_OK)
		rc = backup_seal(s->config.keyring, plain.bytes, plain.len, &s->state, why);
	buf_fini(&plain);
	if (rc != RC_OK)
		return rc;
	follow_hash(s->state.bytes, s->state.len, s->state_hash);
	s->state_ns = now_ns;
	return RC_OK;
}

static bool take_frame(void *ctx, const struct store_raw *entry)
{
	struct follow_serve *s = ctx;

	if (s->data.len > 0 &&
	    s->data.len + entry->key_len + entry->value_len + SEGMENT_FRAME_BYTES >
		FOLLOW_PART_BYTES)
		return false;
	segment_frame(&s->data, entry);
	return buf_rc(&s->data) == RC_OK;
}

static enum rc read_truth(struct follow_serve *s, struct errmsg *why)
{
	enum rc rc = RC_OK;

	for (unsigned t = 1; t <= STORE_TRUTH_COUNT && rc == RC_OK; t++) {
		if (t != STORE_TRUTH_LOG)
			rc = store_raw_scan(
			    s->config.store, (enum store_truth)t, NULL, 0, take_frame, s, why);
	}
	return rc;
}

/* ---- answers --------------------------------------------------------------------------------- */

/* Two nodes that took records of their own must not be mixed. */
static enum rc check_past(
    struct follow_serve *s, const struct wire_follow_ask *ask, struct errmsg *why)
{
	static const uint8_t unknown[WIRE_STORE_ID_BYTES];
	struct observation obs;
	struct arena arena;

	if (memcmp(ask->store_id, unknown, sizeof(unknown)) != 0 &&
	    memcmp(ask->store_id, store_id(s->config.store), sizeof(unknown)) != 0)
		return errmsg_rc(why, RC_INVALID, "this node has another timeline");
	if (ask->what != FOLLOW_LOG || ask->after == 0)
		return RC_OK;
	if (ask->after > store_cursor(s->config.store))
		return errmsg_rc(why, RC_INVALID, "it holds more records than this node");
	if (memcmp(ask->last_id, unknown, sizeof(unknown)) == 0)
		return RC_OK;
	arena_init(&arena, RECORD_ARENA_BYTES);
	enum rc rc = store_get_seq(s->config.store, ask->after, &arena, &obs, why);
	if (rc == RC_OK && memcmp(obs.obs_id, ask->last_id, OBS_ID_BYTES) != 0)
		rc = errmsg_rc(why, RC_INVALID,
		    "both nodes took records of their own: seq %" PRIu64 " is another one here",
		    ask->after);
	arena_fini(&arena);
	return rc == RC_CORRUPT ? RC_OK : rc;
}

static enum rc read_file(struct follow_serve *s, const struct wire_follow_ask *ask,
    struct wire_follow_part *part, struct errmsg *why)
{
	const struct buf *file = NULL;
	enum rc rc = RC_OK;

	if (strncmp(ask->name, FOLLOW_FILE_BLOB, strlen(FOLLOW_FILE_BLOB)) == 0)
		return follow_blob_read(s->config.store, ask, &s->data, part, why);
	if (strcmp(ask->name, FOLLOW_FILE_KEYRING) == 0)
		file = &s->keyring;
	else if (strcmp(ask->name, FOLLOW_FILE_STATE) == 0)
		file = &s->state;
	else if (strcmp(ask->name, FOLLOW_FILE_TRUTH) == 0) {
		rc = read_truth(s, why);
		file = &s->data;
	} else {
		rc = errmsg_rc(why, RC_INVALID, "there is no such file");
	}
	if (rc != RC_OK)
		return rc;
	if (ask->after > file->len)
		return errmsg_rc(why, RC_INVALID, "it is shorter than that");
	size_t left = file->len - (size_t)ask->after;
	part->total = file->len;
	part->offset = ask->after;
	part->data = file->bytes + ask->after;
	part->data_len = left < FOLLOW_PART_BYTES ? left : FOLLOW_PART_BYTES;
	return RC_OK;
}

static enum rc read_records(struct follow_serve *s, const struct wire_follow_ask *ask,
    struct wire_follow_part *part, struct errmsg *why)
{
	uint8_t before[FOLLOW_HASH_BYTES];

	memcpy(before, s->keyring_hash, sizeof(before));
	enum rc rc =
	    ask->what == FOLLOW_LOG
		? store_raw_scan_log(s->config.store, ask->after, take_frame, s, why)
		: store_raw_get(s->config.store, ask->seqs, ask->seqs_len, take_frame, s, why);
	if (rc == RC_OK)
		rc = keyring_look(s, why);
	if (rc != RC_OK)
		return rc;
	/* Keys changed meanwhile: what was read may be under one that went. */
	if (memcmp(before, s->keyring_hash, sizeof(before)) != 0)
		buf_reset(&s->data);
	memcpy(part->keyring_hash, s->keyring_hash, sizeof(part->keyring_hash));
	part->data = s->data.bytes;
	part->data_len = s->data.len;
	return RC_OK;
}

static void answer(struct follow_serve *s, const struct peer *peer)
{
	const struct wire_follow_ask *ask = &peer->ask;
	struct message message = { .kind = MESSAGE_FOLLOW_PART, .request_id = peer->request_id };
	struct wire_follow_part *part = &message.u.follow_part;
	struct errmsg why = ERRMSG_INIT;

	buf_reset(&s->data);
	enum rc rc = check_past(s, ask, &why);
	if (rc == RC_OK)
		rc = keyring_look(s, &why);
	if (rc == RC_OK)
		rc = state_look(s, &why);
	part->what = ask->what;
	part->cursor = store_cursor(s->config.store);
	memcpy(part->store_id, store_id(s->config.store), WIRE_STORE_ID_BYTES);
	memcpy(part->keyring_hash, s->keyring_hash, sizeof(part->keyring_hash));
	memcpy(part->state_hash, s->state_hash, sizeof(part->state_hash));
	if (rc == RC_OK && ask->what == FOLLOW_FILE)
		rc = read_file(s, ask, part, &why);
	else if (rc == RC_OK && (ask->what == FOLLOW_LOG || ask->what == FOLLOW_SEQS))
		rc = read_records(s, ask, part, &why);
	else if (rc == RC_OK)
		rc = errmsg_rc(&why, RC_INVALID, "this node knows no such question");
	if (rc == RC_OK)
		rc = wire_server_send(s->wire, peer->id, &message);
	if (rc != RC_OK && rc != RC_CLOSED)
		send_error(s, peer->id, peer->request_id,
		    rc == RC_INVALID ? WIRE_ERROR_INVALID : WIRE_ERROR_INTERNAL,
		    errmsg_text(&why, rc));
}

/* ---- the worker ------------------------------------------------------------------------------ */

/* A level follower's question is held until there is something, or a moment. */
static bool is_ready(struct follow_serve *s, const struct peer *peer)
{
	if (!peer->asks)
		return false;
	if (peer->ask.what != FOLLOW_LOG || peer->ask.after < store_cursor(s->config.store))
		return true;
	struct stat st;
	bool same_keys = stat(s->keyring_path, &st) == 0 && st.st_ino == s->keyring_stat.st_ino;
	return !same_keys || clock_mono_ns() - peer->asked_ns >= HOLD_NS;
}

/* Under the lock: a question to answer now, taken out; false: there is none. */
static bool ask_take(struct follow_serve *s, struct peer *out, bool *held)
{
	*held = false;
	for (size_t i = 0; i < FOLLOW_PEERS_MAX; i++) {
		struct peer *peer = &s->peers[i];
		if (peer->id == 0 || !peer->asks)
			continue;
		*held = true;
		if (!is_ready(s, peer))
			continue;
		*out = *peer;
		out->ask.name = out->name;
		peer->seqs = NULL; /* it goes with the copy */
		peer->asks = false;
		return true;
	}
	return false;
}

static void *serve_main(void *arg)
{
	struct follow_serve *s = arg;
	struct peer peer;
	bool held;

	process_name_thread("follow-serve");
	(void)pthread_mutex_lock(&s->lock);
	while (!atomic_load(&s->stop)) {
		if (ask_take(s, &peer, &held)) {
			(void)pthread_mutex_unlock(&s->lock);
			answer(s, &peer);
			free(peer.seqs);
			(void)pthread_mutex_lock(&s->lock);
		} else if (held) {
			(void)pthread_mutex_unlock(&s->lock);
			(void)store_wait(s->config.store, store_cursor(s->config.store), LOOK_NS);
			(void)pthread_mutex_lock(&s->lock);
		} else {
			(void)pthread_cond_wait(&s->asked, &s->lock);
		}
	}
	(void)pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- opening and closing ------------------------------------------------------------------------
 */

static enum rc copy_config(
    const struct follow_serve_config *config, struct follow_serve *s, struct errmsg *why)
{
	s->config = *config;
	if (snprintf(s->keyring_path, sizeof(s->keyring_path), "%s/keyring", config->dir) >=
		(int)sizeof(s->keyring_path) ||
	    snprintf(s->allow_path, sizeof(s->allow_path), "%s", config->allow_path) >=
		(int)sizeof(s->allow_path))
		return errmsg_rc(why, RC_LIMIT, "path too long");
	s->config.keys = NULL;
	return RC_OK;
}

enum rc follow_serve_open(
    const struct follow_serve_config *config, struct follow_serve **out, struct errmsg *why)
{
	struct follow_serve *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return RC_NOMEM;
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_cond_init(&s->asked, NULL);
	buf_init(&s->keyring, FOLLOW_FILE_BYTES_MAX);
	buf_init(&s->state, FOLLOW_FILE_BYTES_MAX);
	buf_init(&s->data, FOLLOW_FILE_BYTES_MAX);
	enum rc rc = copy_config(config, s, why);
	struct wire_server_config wire = { .listen = config->listen,
		.keys = config->keys,
		.allow_path = s->allow_path,
		.peers_max = FOLLOW_PEERS_MAX,
		.ctx = s,
		.on_peer = on_peer,
		.on_message = on_message,
		.on_gone = on_gone };
	if (rc == RC_OK)
		rc = wire_server_open(&wire, &s->wire, why);
	if (rc == RC_OK && pthread_create(&s->thread, NULL, serve_main, s) != 0)
		rc = errmsg_rc(why, RC_NOMEM, "no thread for those who follow");
	s->started = rc == RC_OK;
	if (rc != RC_OK) {
		follow_serve_close(s);
		return rc;
	}
	*out = s;
	return RC_OK;
}

void follow_serve_close(struct follow_serve *s)
{
	if (s == NULL)
		return;
	if (s->started) {
		atomic_store(&s->stop, true);
		(void)pthread_mutex_lock(&s->lock);
		(void)pthread_cond_signal(&s->asked);
		(void)pthread_mutex_unlock(&s->lock);
		(void)pthread_join(s->thread, NULL);
	}
	wire_server_close(s->wire);
	for (size_t i = 0; i < FOLLOW_PEERS_MAX; i++)
		free(s->peers[i].seqs);
	buf_fini(&s->keyring);
	buf_fini(&s->state);
	buf_fini(&s->data);
	(void)pthread_cond_destroy(&s->asked);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

const char *follow_serve_address(const struct follow_serve *s)
{
	return wire_server_address(s->wire);
}

size_t follow_serve_peers(struct follow_serve *s, struct follow_peer out[FOLLOW_PEERS_MAX])
{
	size_t n = 0;

	(void)pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < FOLLOW_PEERS_MAX; i++) {
		if (s->peers[i].id != 0)
			out[n++] = s->peers[i].shown;
	}
	(void)pthread_mutex_unlock(&s->lock);
	return n;
}
