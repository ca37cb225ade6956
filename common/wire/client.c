/* Client half of the wire: opening, closing, and what other threads call. */
#include "wire/client.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "wire/client_state.h"

#define CLIENT_HEARTBEAT_NS NS_PER_S
#define CLIENT_DEAD_NS (4 * NS_PER_S)
#define CLIENT_BACKOFF_MAX_NS (5 * NS_PER_S)
#define CLIENT_QUEUE_MAX ((size_t)256)
#define CLIENT_QUEUE_BYTES_MAX ((size_t)64 << 20)

static atomic_uint_fast64_t next_id = 1;

uint64_t wire_client_next_id(void)
{
	return atomic_fetch_add(&next_id, 1);
}

static enum rc copy_config(
    const struct wire_client_config *config, struct wire_client *client, struct errmsg *why)
{
	struct wire_client_config *own = &client->config;

	enum rc rc = socket_check_address(config->address, false, why);
	if (rc != RC_OK)
		return rc;
	*own = *config;
	client->keys = *config->keys;
	memcpy(client->server_key, config->server_key, WIRE_KEY_BYTES);
	client->address = strdup(config->address);
	client->program = strdup(config->program == NULL ? "" : config->program);
	own->keys = &client->keys;
	own->server_key = client->server_key;
	own->address = client->address;
	own->program = client->program;
	own->heartbeat_ns = config->heartbeat_ns > 0 ? config->heartbeat_ns : CLIENT_HEARTBEAT_NS;
	own->dead_ns = config->dead_ns > 0 ? config->dead_ns : CLIENT_DEAD_NS;
	own->backoff_max_ns =
	    config->backoff_max_ns > 0 ? config->backoff_max_ns : CLIENT_BACKOFF_MAX_NS;
	own->queue_max = config->queue_max > 0 ? config->queue_max : CLIENT_QUEUE_MAX;
	return client->address == NULL || client->program == NULL ? RC_NOMEM : RC_OK;
}

/* The I/O thread takes no signals: they are main()'s. */
static enum rc start_thread(struct wire_client *client, struct errmsg *why)
{
	sigset_t all, old;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	int err = pthread_create(&client->thread, NULL, client_loop, client);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err != 0)
		return errmsg_rc(why, RC_NOMEM, "cannot start a thread: %s", strerror(err));
	client->started = true;
	return RC_OK;
}

enum rc wire_client_open(
    const struct wire_client_config *config, struct wire_client **out, struct errmsg *why)
{
	struct wire_client *client = calloc(1, sizeof(*client));

	if (client == NULL)
		return RC_NOMEM;
	client->waker.fds[0] = client->waker.fds[1] = -1;
	if (pthread_mutex_init(&client->lock, NULL) != 0) {
		free(client);
		return RC_NOMEM;
	}
	enum rc rc = copy_config(config, client, why);
	if (rc == RC_OK)
		rc = wire_check_curve(why);
	if (rc == RC_OK)
		rc = waker_init(&client->waker, why);
	if (rc == RC_OK) {
		client->zmq = zmq_ctx_new();
		if (client->zmq == NULL)
			rc = errmsg_rc(why, RC_NOMEM, "no context: %s", zmq_strerror(errno));
	}
	if (rc == RC_OK)
		rc = start_thread(client, why);
	if (rc != RC_OK) {
		wire_client_close(client);
		return rc;
	}
	*out = client;
	return RC_OK;
}

void wire_client_close(struct wire_client *client)
{
	if (client == NULL)
		return;
	if (client->started) {
		atomic_store(&client->stop, true);
		waker_wake(&client->waker);
		(void)pthread_join(client->thread, NULL);
	}
	if (client->zmq != NULL)
		(void)zmq_ctx_term(client->zmq);
	waker_fini(&client->waker);
	(void)pthread_mutex_destroy(&client->lock);
	wire_keypair_wipe(&client->keys);
	free(client->address);
	free(client->program);
	free(client);
}

/* A first message always fits, however long. */
static enum rc admit(const struct wire_client *client, size_t len)
{
	if (client->state != WIRE_LINK_UP)
		return RC_CLOSED;
	if (client->queued == 0)
		return RC_OK;
	if (client->queued >= client->config.queue_max ||
	    client->queued_bytes >= CLIENT_QUEUE_BYTES_MAX ||
	    len > CLIENT_QUEUE_BYTES_MAX - client->queued_bytes)
		return RC_AGAIN;
	return RC_OK;
}

enum rc wire_client_send(struct wire_client *client, const struct message *message)
{
	struct frame *frame = NULL;

	(void)pthread_mutex_lock(&client->lock);
	enum rc rc = admit(client, 0);
	uint32_t protocol = client->protocol;
	uint64_t session = client->session;
	(void)pthread_mutex_unlock(&client->lock);
	if (rc == RC_OK)
		rc = frame_new(message, protocol, NULL, &frame, NULL);
	if (rc != RC_OK)
		return rc;
	(void)pthread_mutex_lock(&client->lock);
	rc = client->session == session ? admit(client, frame->len) : RC_CLOSED;
	if (rc == RC_OK) {
		client->queued++;
		client->queued_bytes += frame->len;
		frame_list_push(&client->waiting, frame);
	}
	(void)pthread_mutex_unlock(&client->lock);
	if (rc != RC_OK) {
		frame_free(frame);
		return rc;
	}
	waker_wake(&client->waker);
	return RC_OK;
}

enum wire_link_state wire_client_state(struct wire_client *client)
{
	(void)pthread_mutex_lock(&client->lock);
	enum wire_link_state state = client->state;
	(void)pthread_mutex_unlock(&client->lock);
	return state;
}

uint64_t wire_client_session(struct wire_client *client)
{
	(void)pthread_mutex_lock(&client->lock);
	uint64_t session = client->session;
	(void)pthread_mutex_unlock(&client->lock);
	return session;
}
