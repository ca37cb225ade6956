/*
 * Follow link: a client of the wire with one question at a time.
 *
 * The wire's thread puts the answer into the mailbox; the asking thread waits
 * for it under the lock.
 */
#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "follow/follow.h"
#include "wire/client.h"

#define LOOK_NS (200 * NS_PER_MS)

struct follow_link {
	struct wire_client *client;
	pthread_mutex_t lock;
	pthread_cond_t news;
	uint64_t asked;    /* request id that is waited for; 0: none */
	bool there, stop;  /* [lock] the answer; asked to end */
	enum rc rc;        /* [lock] of the answer */
	struct errmsg why; /* [lock] */
	struct follow_answer *answer;
	uint64_t downs; /* [lock] */
};

void follow_hash(const void *bytes, size_t len, uint8_t out[FOLLOW_HASH_BYTES])
{
	(void)crypto_generichash(out, FOLLOW_HASH_BYTES, bytes, len, NULL, 0);
}

void follow_answer_init(struct follow_answer *answer)
{
	memset(answer, 0, sizeof(*answer));
	buf_init(&answer->data, WIRE_MESSAGE_BYTES_MAX);
}

void follow_answer_fini(struct follow_answer *answer)
{
	buf_fini(&answer->data);
}

/* Under the lock. */
static void take_answer(struct follow_link *link, const struct message *message)
{
	struct follow_answer *out = link->answer;

	link->there = true;
	link->rc = RC_OK;
	if (message->kind == MESSAGE_ERROR) {
		bool mine = message->u.error.code == WIRE_ERROR_INVALID ||
			    message->u.error.code == WIRE_ERROR_UNSUPPORTED;
		link->rc = mine ? RC_INVALID : RC_AGAIN;
		errmsg_reset(&link->why);
		errmsg_set(&link->why, "%s", message->u.error.text);
		return;
	}
	out->part = message->u.follow_part;
	buf_reset(&out->data);
	buf_append(&out->data, message->u.follow_part.data, message->u.follow_part.data_len);
	out->part.data = out->data.bytes;
	link->rc = buf_rc(&out->data);
}

static void on_message(void *ctx, const struct message *message)
{
	struct follow_link *link = ctx;

	if (message->kind != MESSAGE_FOLLOW_PART && message->kind != MESSAGE_ERROR)
		return;
	(void)pthread_mutex_lock(&link->lock);
	if (link->asked != 0 && message->request_id == link->asked && !link->there) {
		take_answer(link, message);
		(void)pthread_cond_broadcast(&link->news);
	}
	(void)pthread_mutex_unlock(&link->lock);
}

static void on_up(void *ctx, const struct wire_capabilities *capabilities)
{
	struct follow_link *link = ctx;

	(void)capabilities;
	(void)pthread_mutex_lock(&link->lock);
	(void)pthread_cond_broadcast(&link->news);
	(void)pthread_mutex_unlock(&link->lock);
}

static void on_down(void *ctx, enum rc reason)
{
	struct follow_link *link = ctx;

	(void)reason;
	(void)pthread_mutex_lock(&link->lock);
	link->downs++;
	(void)pthread_cond_broadcast(&link->news);
	(void)pthread_mutex_unlock(&link->lock);
}

enum rc follow_link_open(
    const struct follow_link_config *config, struct follow_link **out, struct errmsg *why)
{
	struct follow_link *link = calloc(1, sizeof(*link));
	pthread_condattr_t mono;

	if (link == NULL)
		return RC_NOMEM;
	(void)pthread_mutex_init(&link->lock, NULL);
	(void)pthread_condattr_init(&mono);
	(void)pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&link->news, &mono);
	(void)pthread_condattr_destroy(&mono);
	struct wire_client_config wire = { .address = config->address,
		.server_key = config->server_key,
		.keys = config->keys,
		.program = "data-node " HEARTH_VERSION,
		.ctx = link,
		.on_up = on_up,
		.on_message = on_message,
		.on_down = on_down };
	enum rc rc = wire_client_open(&wire, &link->client, why);
	if (rc != RC_OK) {
		follow_link_close(link);
		return rc;
	}
	*out = link;
	return RC_OK;
}

void follow_link_close(struct follow_link *link)
{
	if (link == NULL)
		return;
	wire_client_close(link->client);
	(void)pthread_cond_destroy(&link->news);
	(void)pthread_mutex_destroy(&link->lock);
	free(link);
}

const char *follow_link_word(struct follow_link *link)
{
	switch (wire_client_state(link->client)) {
	case WIRE_LINK_UP:
		return "up";
	case WIRE_LINK_CONNECTING:
		return "connecting";
	case WIRE_LINK_REFUSED:
		return "refused";
	case WIRE_LINK_DOWN:
		break;
	}
	return "down";
}

void follow_link_stop(struct follow_link *link)
{
	(void)pthread_mutex_lock(&link->lock);
	link->stop = true;
	(void)pthread_cond_broadcast(&link->news);
	(void)pthread_mutex_unlock(&link->lock);
}

static void wait_for_news(struct follow_link *link)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += LOOK_NS;
	if (until.tv_nsec >= NS_PER_S) {
		until.tv_nsec -= NS_PER_S;
		until.tv_sec++;
	}
	(void)pthread_cond_timedwait(&link->news, &link->lock, &until);
}

/* Under the lock; RC_OK: the question is on its way. */
static enum rc send_ask(struct follow_link *link, const struct message *message, int64_t until_ns)
{
	for (;;) {
		(void)pthread_mutex_unlock(&link->lock);
		enum rc rc = wire_client_send(link->client, message);
		(void)pthread_mutex_lock(&link->lock);
		if (rc != RC_CLOSED && rc != RC_AGAIN)
			return rc;
		if (link->stop)
			return RC_CANCELLED;
		if (clock_mono_ns() >= until_ns)
			return RC_TIMEOUT;
		wait_for_news(link);
	}
}

enum rc follow_link_ask(struct follow_link *link, const struct wire_follow_ask *ask,
    int64_t timeout_ns, struct follow_answer *out, struct errmsg *why)
{
	struct message message = { .kind = MESSAGE_FOLLOW_ASK,
		.request_id = wire_client_next_id(),
		.u.follow_ask = *ask };
	int64_t until_ns = clock_mono_ns() + timeout_ns;

	(void)pthread_mutex_lock(&link->lock);
	link->asked = message.request_id;
	link->there = false;
	link->answer = out;
	enum rc rc = send_ask(link, &message, until_ns);
	uint64_t downs = link->downs;
	while (rc == RC_OK && !link->there) {
		if (link->stop)
			rc = RC_CANCELLED;
		else if (link->downs != downs)
			rc = RC_CLOSED;
		else if (clock_mono_ns() >= until_ns)
			rc = RC_TIMEOUT;
		else
			wait_for_news(link);
	}
	if (rc == RC_OK) {
		rc = link->rc;
		if (rc != RC_OK)
			errmsg_set(why, "%s", link->why.text);
	}
	link->asked = 0;
	(void)pthread_mutex_unlock(&link->lock);
	if (rc == RC_OK && out->part.what != ask->what)
		rc = errmsg_rc(why, RC_INVALID, "an answer to something else");
	return rc;
}

enum rc follow_link_file(struct follow_link *link, const char *name, const uint8_t *store_id,
    int64_t timeout_ns, struct buf *out, struct follow_answer *last, struct errmsg *why)
{
	struct wire_follow_ask ask = { .what = FOLLOW_FILE, .name = name };

	if (store_id != NULL)
		memcpy(ask.store_id, store_id, WIRE_STORE_ID_BYTES);
	buf_reset(out);
	do {
		ask.after = out->len;
		enum rc rc = follow_link_ask(link, &ask, timeout_ns, last, why);
		if (rc != RC_OK)
			return rc;
		if (last->part.offset != out->len || last->part.total > FOLLOW_FILE_BYTES_MAX ||
		    (last->data.len == 0 && last->part.total > out->len))
			return errmsg_rc(
			    why, RC_INVALID, "%s comes in pieces that do not fit", name);
		buf_append(out, last->data.bytes, last->data.len);
		if (buf_rc(out) != RC_OK)
			return buf_rc(out);
	} while (out->len < last->part.total);
	return RC_OK;
}
