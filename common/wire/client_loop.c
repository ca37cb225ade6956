/*
 * The client's I/O thread: dial on a new socket, run the session to its end,
 * tell of it, wait, again.
 */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/random.h"
#include "os/process.h"
#include "wire/client_state.h"

#define LOOP_BACKOFF_MIN_NS (100 * NS_PER_MS)
#define LOOP_STEADY_NS NS_PER_S
#define LOOP_ROUTING_BYTES 16
/* A node that stops may cut one handshake; one with another key cuts them all. */
#define LOOP_CUTS_DENIED 3

static void set_state(struct wire_client *client, enum wire_link_state state)
{
	(void)pthread_mutex_lock(&client->lock);
	client->state = state;
	(void)pthread_mutex_unlock(&client->lock);
}

void client_link_up(struct wire_client *client, const struct wire_capabilities *capabilities)
{
	(void)pthread_mutex_lock(&client->lock);
	client->state = WIRE_LINK_UP;
	client->protocol = capabilities->protocol;
	client->session++;
	(void)pthread_mutex_unlock(&client->lock);
	client->refused = RC_OK;
	if (client->config.on_up != NULL)
		client->config.on_up(client->config.ctx, capabilities);
}

/* After the end of a dial: its queue dies with it; tell once. */
static void link_down(struct wire_client *client, struct dial *dial)
{
	struct frame_list rest = dial->sending;

	client->cuts = dial->cut ? client->cuts + 1 : 0;
	if (client->cuts >= LOOP_CUTS_DENIED)
		dial->reason = RC_DENIED;
	bool refused = dial->reason == RC_DENIED || dial->reason == RC_UNSUPPORTED;

	(void)pthread_mutex_lock(&client->lock);
	frame_list_append(&rest, &client->waiting);
	client->queued = client->queued_bytes = 0;
	client->state = refused ? WIRE_LINK_REFUSED : WIRE_LINK_DOWN;
	(void)pthread_mutex_unlock(&client->lock);
	frame_list_clear(&rest);
	bool tell = dial->up || (refused && client->refused != dial->reason);
	client->refused = refused ? dial->reason : RC_OK;
	if (tell && client->config.on_down != NULL)
		client->config.on_down(client->config.ctx, dial->reason);
}

static enum rc set_up_socket(struct wire_client *client, void *socket)
{
	uint8_t routing[LOOP_ROUTING_BYTES];
	const struct wire_keypair *keys = &client->keys;
	int dial_ms = (int)(client->config.dead_ns / NS_PER_MS) + 1;

	random_bytes(routing, sizeof(routing));
	routing[0] |= 1; /* ids that begin with 0 are libzmq's own */
	enum rc rc = socket_set_limits(socket, client->address, NULL);
	if (rc == RC_OK)
		rc = socket_set(socket, ZMQ_ROUTING_ID, routing, sizeof(routing), NULL);
	if (rc == RC_OK)
		rc = socket_set_int(socket, ZMQ_IMMEDIATE, 1, NULL);
	if (rc == RC_OK)
		rc = socket_set_int(socket, ZMQ_RECONNECT_IVL, -1, NULL);
	if (rc == RC_OK)
		rc = socket_set_int(socket, ZMQ_CONNECT_TIMEOUT, dial_ms, NULL);
	if (rc == RC_OK)
		rc = socket_set(
		    socket, ZMQ_CURVE_SERVERKEY, client->server_key, WIRE_KEY_BYTES, NULL);
	if (rc == RC_OK)
		rc =
		    socket_set(socket, ZMQ_CURVE_PUBLICKEY, keys->public_key, WIRE_KEY_BYTES, NULL);
	if (rc == RC_OK)
		rc =
		    socket_set(socket, ZMQ_CURVE_SECRETKEY, keys->secret_key, WIRE_KEY_BYTES, NULL);
	return rc;
}

static enum rc open_socket(struct wire_client *client, struct dial *dial)
{
	char name[64];

	dial->socket = zmq_socket(client->zmq, ZMQ_DEALER);
	if (dial->socket == NULL)
		return RC_NOMEM;
	(void)snprintf(
	    name, sizeof(name), "inproc://dial-monitor-%llu", (unsigned long long)++client->dials);
	enum rc rc = set_up_socket(client, dial->socket);
	if (rc == RC_OK)
		rc = socket_monitor(
		    client->zmq, dial->socket, name, ZMQ_EVENT_ALL, &dial->monitor, NULL);
	if (rc == RC_OK && zmq_connect(dial->socket, client->address) != 0)
		rc = RC_CONFIG;
	return rc;
}

static void close_socket(struct dial *dial)
{
	if (dial->socket != NULL) {
		(void)zmq_socket_monitor(dial->socket, NULL, 0);
		(void)zmq_close(dial->socket);
	}
	if (dial->monitor != NULL)
		(void)zmq_close(dial->monitor);
}

/* Half of it fixed, half by chance: many clients do not come at once. */
static int64_t jittered(int64_t backoff_ns)
{
	int64_t half = backoff_ns / 2;

	return half + (int64_t)(random_u64() % (uint64_t)(half + 1));
}

int64_t client_backoff(int64_t last_ns, const struct dial *dial, int64_t now_ns, int64_t max_ns)
{
	bool steady = dial->up && now_ns - dial->start_ns >= LOOP_STEADY_NS;
	int64_t next_ns = last_ns == 0 || steady ? LOOP_BACKOFF_MIN_NS : 2 * last_ns;

	return next_ns < max_ns ? next_ns : max_ns;
}

static void wait_until(struct wire_client *client, int64_t until_ns)
{
	while (!atomic_load(&client->stop)) {
		int64_t left_ns = until_ns - clock_mono_ns();
		if (left_ns <= 0)
			return;
		if (socket_wait(NULL, 0, client->waker.fds[0], left_ns) != 0)
			waker_clear(&client->waker);
	}
}

void *client_loop(void *arg)
{
	struct wire_client *client = arg;
	int64_t backoff_ns = 0;

	process_name_thread("wire-client");
	while (!atomic_load(&client->stop)) {
		struct dial dial = { .start_ns = clock_mono_ns(), .reason = RC_CLOSED };
		if (client->refused == RC_OK)
			set_state(client, WIRE_LINK_CONNECTING);
		if (open_socket(client, &dial) == RC_OK)
			client_session_run(client, &dial);
		close_socket(&dial);
		link_down(client, &dial);
		int64_t now_ns = clock_mono_ns();
		backoff_ns =
		    client_backoff(backoff_ns, &dial, now_ns, client->config.backoff_max_ns);
		wait_until(client, now_ns + jittered(backoff_ns));
	}
	return NULL;
}
