/*
 * One session of a link: connect, Hello, messages and heartbeats, end.  I/O
 * thread only.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "wire/client_state.h"

#define SESSION_MESSAGES 128              /* read in one round */
#define SESSION_RETRY_NS (20 * NS_PER_MS) /* while Hello cannot go out yet */

static void end(struct dial *dial, enum rc reason)
{
	if (dial->over)
		return;
	dial->over = true;
	dial->reason = reason;
}

static void read_monitor(struct dial *dial)
{
	int event, value;

	while (socket_monitor_next(dial->monitor, &event, &value)) {
		switch (event) {
		case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
		case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
			end(dial, RC_DENIED);
			break;
		case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
			dial->cut = true;
			end(dial, RC_CLOSED);
			break;
		case ZMQ_EVENT_CLOSED:
		case ZMQ_EVENT_DISCONNECTED:
			dial->disconnected = true;
			break;
		default:
			break;
		}
	}
}

/* Now or never: Hello, heartbeats.  False: the socket takes none yet. */
static bool send_now(struct dial *dial, const struct message *message, uint32_t protocol)
{
	struct frame *frame = NULL;

	if (frame_new(message, protocol, NULL, &frame, NULL) != RC_OK)
		return false;
	bool sent = frame_send(frame, dial->socket);
	frame_free(frame);
	return sent;
}

static void say_hello(struct wire_client *client, struct dial *dial)
{
	const struct message message = {
		.kind = MESSAGE_HELLO,
		.u.hello = {
			.protocol_min = WIRE_PROTOCOL_MIN,
			.protocol_max = WIRE_PROTOCOL_MAX,
			.program = client->program,
		},
	};

	dial->greeted = send_now(dial, &message, WIRE_PROTOCOL_MAX);
}

static void take_capabilities(
    struct wire_client *client, struct dial *dial, const struct message *message)
{
	const struct wire_capabilities *capabilities = &message->u.capabilities;

	if (dial->up)
		return; /* one Hello, one answer */
	if (capabilities->protocol < WIRE_PROTOCOL_MIN ||
	    capabilities->protocol > WIRE_PROTOCOL_MAX) {
		end(dial, RC_UNSUPPORTED);
		return;
	}
	dial->up = true;
	dial->beat_ns = clock_mono_ns() + client->config.heartbeat_ns;
	client_link_up(client, capabilities);
}

/* What the other end sends, but for Capabilities (compute.proto). */
static bool is_answer(enum message_kind kind)
{
	switch (kind) {
	case MESSAGE_HEARTBEAT:
	case MESSAGE_ERROR:
	case MESSAGE_PLAN:
	case MESSAGE_LEASE_STATE:
	case MESSAGE_ADAPTER_STATE:
	case MESSAGE_STARTED:
	case MESSAGE_TOKENS:
	case MESSAGE_DONE:
	case MESSAGE_VECTORS:
	case MESSAGE_TOKEN_IDS:
	case MESSAGE_STATS:
	case MESSAGE_FOLLOW_PART:
		return true;
	default:
		return false;
	}
}

static void dispatch(struct wire_client *client, struct dial *dial, const struct message *message)
{
	if (message->kind == MESSAGE_CAPABILITIES) {
		take_capabilities(client, dial, message);
	} else if (message->kind == MESSAGE_ERROR && message->request_id == 0) {
		/* Of the session as a whole: it is over there. */
		bool version = message->u.error.code == WIRE_ERROR_VERSION;
		end(dial, version && !dial->up ? RC_UNSUPPORTED : RC_CLOSED);
	} else if (dial->up && is_answer(message->kind) && client->config.on_message != NULL) {
		client->config.on_message(client->config.ctx, message);
	}
}

/*
 * A request whose answer cannot be read must not wait for ever: it is told as
 * an Error of the peer.
 */
static void tell_unreadable(struct wire_client *client, struct dial *dial, uint64_t request_id,
    const struct errmsg *why, enum rc rc)
{
	const struct message message = {
		.protocol = client->protocol,
		.request_id = request_id,
		.kind = MESSAGE_ERROR,
		.u.error = { .code = WIRE_ERROR_INTERNAL, .text = errmsg_text(why, rc) },
	};

	if (request_id != 0)
		dispatch(client, dial, &message);
}

static void handle(struct wire_client *client, struct dial *dial, const uint8_t *bytes, size_t len)
{
	struct errmsg why = ERRMSG_INIT;
	struct message message;
	struct arena arena;

	dial->seen_ns = clock_mono_ns();
	arena_init(&arena, WIRE_ARENA_BYTES_MAX);
	enum rc rc = message_decode(bytes, len, &arena, &message, &why);
	if (rc == RC_OK)
		dispatch(client, dial, &message);
	else
		tell_unreadable(client, dial, message.request_id, &why, rc);
	arena_fini(&arena);
}

/* True: more may wait. */
static bool read_messages(struct wire_client *client, struct dial *dial)
{
	for (int i = 0; i < SESSION_MESSAGES && !dial->over; i++) {
		zmq_msg_t message;
		(void)zmq_msg_init(&message);
		if (zmq_msg_recv(&message, dial->socket, ZMQ_DONTWAIT) < 0) {
			(void)zmq_msg_close(&message);
			return false;
		}
		if (!frame_skip_rest(dial->socket))
			handle(client, dial, zmq_msg_data(&message), zmq_msg_size(&message));
		frame_wipe_received(&message);
	}
	return !dial->over;
}

/* True: the socket is full. */
static bool flush(struct wire_client *client, struct dial *dial)
{
	size_t sent = 0, bytes = 0;
	bool full = false;

	(void)pthread_mutex_lock(&client->lock);
	frame_list_append(&dial->sending, &client->waiting);
	(void)pthread_mutex_unlock(&client->lock);
	while (dial->sending.head != NULL && !full) {
		full = !frame_send(dial->sending.head, dial->socket);
		if (full)
			break;
		struct frame *frame = frame_list_pop(&dial->sending);
		sent++;
		bytes += frame->len;
		frame_free(frame);
	}
	if (sent > 0) {
		(void)pthread_mutex_lock(&client->lock);
		client->queued -= sent;
		client->queued_bytes -= bytes;
		(void)pthread_mutex_unlock(&client->lock);
	}
	return full;
}

/* Heartbeat and silence; returns when to come again. */
static int64_t tick(struct wire_client *client, struct dial *dial, int64_t now_ns, bool drained)
{
	int64_t last_ns = dial->up ? dial->seen_ns : dial->start_ns;

	if (drained && now_ns - last_ns >= client->config.dead_ns)
		end(dial, RC_TIMEOUT);
	if (!dial->up)
		return last_ns + client->config.dead_ns;
	if (now_ns >= dial->beat_ns) {
		const struct message message = {
			.kind = MESSAGE_HEARTBEAT,
			.u.heartbeat.sequence = ++dial->beats,
		};
		/* With a backlog it is not missed: what waits shows we live. */
		if (dial->sending.head == NULL)
			(void)send_now(dial, &message, client->protocol);
		dial->beat_ns = now_ns + client->config.heartbeat_ns;
	}
	int64_t dead_ns = last_ns + client->config.dead_ns;
	return dial->beat_ns < dead_ns ? dial->beat_ns : dead_ns;
}

void client_session_run(struct wire_client *client, struct dial *dial)
{
	void *const sockets[] = { dial->socket, dial->monitor };
	enum { SOCKET = 1, MONITOR = 2, WAKER = 4 };
	unsigned ready = SOCKET | MONITOR;

	while (!dial->over && !atomic_load(&client->stop)) {
		if ((ready & WAKER) != 0)
			waker_clear(&client->waker);
		if ((ready & MONITOR) != 0)
			read_monitor(dial);
		bool more = read_messages(client, dial);
		if (dial->disconnected && !more)
			end(dial, RC_CLOSED);
		int64_t now_ns = clock_mono_ns();
		int64_t wait_ns = tick(client, dial, now_ns, !more) - now_ns;
		if (dial->over)
			break;
		if (!dial->greeted)
			say_hello(client, dial);
		bool full = dial->up && flush(client, dial);
		if ((!dial->greeted || full) && wait_ns > SESSION_RETRY_NS)
			wait_ns = SESSION_RETRY_NS;
		if (more || wait_ns < 0)
			wait_ns = 0;
		ready = socket_wait(
		    sockets, sizeof(sockets) / sizeof(sockets[0]), client->waker.fds[0], wait_ns);
	}
}
