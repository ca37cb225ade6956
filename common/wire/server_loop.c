/*
 * The server's I/O thread: a round reads disconnects, messages, handshakes,
 * then sends, then minds the time, then waits.
 *
 * Disconnects come before messages: a descriptor may be used again only by a
 * connection whose handshake this thread answers, in a round that ends after
 * libzmq told of the old one's end, so a message of the new one is never read
 * before that end.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "os/process.h"
#include "wire/server_state.h"

/* The property that ZAP's answer names; the shipped header keeps it to drafts. */
#define LOOP_USER_ID "User-Id"
#define LOOP_MESSAGES 128             /* read in one round */
#define LOOP_RETRY_NS (5 * NS_PER_MS) /* a full pipe is tried again at the latest */
#define GATE_WINDOW_NS (10 * NS_PER_S)
#define GATE_LINES 8

void server_count(struct wire_server *server, uint64_t *counter)
{
	(void)pthread_mutex_lock(&server->lock);
	(*counter)++;
	(void)pthread_mutex_unlock(&server->lock);
}

bool server_log_gate(struct wire_server *server)
{
	struct log_gate *gate = &server->gate;
	int64_t now_ns = clock_mono_ns();

	if (gate->window_ns == 0 || now_ns - gate->window_ns >= GATE_WINDOW_NS) {
		if (gate->suppressed > 0)
			log_warn("WIRE-SUPPRESSED", "lines=%u", gate->suppressed);
		*gate = (struct log_gate){ .window_ns = now_ns };
	}
	if (gate->passed < GATE_LINES) {
		gate->passed++;
		return true;
	}
	gate->suppressed++;
	return false;
}

/* One message as it came from the ROUTER; lives for one call of handle(). */
struct inbound {
	const void *routing;
	size_t routing_len;
	const char *user; /* 64 hex digits: the key that CURVE authenticated */
	int fd;
	struct peer *peer; /* NULL: not greeted */
	uint64_t request_id;
};

static void answer_error(
    struct wire_server *server, const struct inbound *in, enum wire_error code, const char *text)
{
	struct message message = {
		.request_id = in->request_id,
		.kind = MESSAGE_ERROR,
		.u.error = { .code = code, .text = text },
	};

	if (in->peer == NULL) {
		server_peer_send_now(
		    server, in->routing, in->routing_len, &message, WIRE_PROTOCOL_MAX);
		return;
	}
	/* A peer that does not read its answers does without this one. */
	enum rc rc = wire_server_send(server, in->peer->id, &message);
	(void)rc;
}

static void refuse(struct wire_server *server, const struct inbound *in, const char *reason)
{
	server_count(server, &server->counts.bad_messages);
	if (server_log_gate(server))
		log_warn("WIRE-BAD", "peer=%" PRIu64 " key=%.8s request=%" PRIu64 " reason=%s",
		    in->peer == NULL ? 0 : in->peer->id, in->user, in->request_id, reason);
}

static void greet(struct wire_server *server, struct inbound *in, const struct wire_hello *hello)
{
	struct message message = { .kind = MESSAGE_CAPABILITIES, .request_id = in->request_id };
	uint32_t protocol;
	uint8_t key[WIRE_KEY_BYTES];

	if (in->peer != NULL)
		server_peer_gone(server, in->peer, "replaced", false);
	in->peer = NULL;
	if (wire_key_parse(in->user, key, NULL) != RC_OK || !wire_allow_has(&server->allow, key)) {
		refuse(server, in, "key no longer allowed");
		return;
	}
	if (!socket_version_choose(WIRE_PROTOCOL_MIN, WIRE_PROTOCOL_MAX, hello->protocol_min,
		hello->protocol_max, &protocol)) {
		refuse(server, in, "no common protocol version");
		answer_error(server, in, WIRE_ERROR_VERSION, "no common protocol version");
		return;
	}
	in->peer =
	    server_peer_add(server, in->routing, in->routing_len, in->user, in->fd, protocol);
	if (in->peer == NULL) {
		refuse(server, in, "too many peers");
		answer_error(server, in, WIRE_ERROR_BUSY, "too many peers");
		return;
	}
	if (server->config.capabilities != NULL)
		server->config.capabilities(server->config.ctx, &message.u.capabilities);
	message.u.capabilities.protocol = protocol;
	if (wire_server_send(server, in->peer->id, &message) != RC_OK) {
		server_peer_gone(server, in->peer, "capabilities do not encode", true);
		return;
	}
	log_info("WIRE-PEER", "peer=%" PRIu64 " key=%.8s protocol=%" PRIu32, in->peer->id, in->user,
	    protocol);
	if (server->config.on_peer != NULL)
		server->config.on_peer(server->config.ctx, in->peer->id, in->peer->key);
}

/* What a data node sends, to a compute node or to the data node it follows; the
 * rest is ours to send (compute.proto). */
static bool is_request(enum message_kind kind)
{
	switch (kind) {
	case MESSAGE_PLAN_REQUEST:
	case MESSAGE_LEASE_OPEN:
	case MESSAGE_LEASE_RENEW:
	case MESSAGE_LEASE_CLOSE:
	case MESSAGE_ADAPTER_PUT:
	case MESSAGE_GENERATE:
	case MESSAGE_CREDIT:
	case MESSAGE_CANCEL:
	case MESSAGE_EMBED:
	case MESSAGE_TOKENIZE:
	case MESSAGE_STATS_REQUEST:
	case MESSAGE_FOLLOW_ASK:
		return true;
	default:
		return false;
	}
}

static void dispatch(struct wire_server *server, struct inbound *in, const struct message *message)
{
	if (message->kind == MESSAGE_HELLO) {
		greet(server, in, &message->u.hello);
	} else if (in->peer == NULL) {
		/* Its session is over here: request 0 tells it to begin a new one. */
		in->request_id = 0;
		answer_error(server, in, WIRE_ERROR_INVALID, "no session: say Hello first");
	} else if (message->kind == MESSAGE_HEARTBEAT) {
		return;
	} else if (message->protocol != in->peer->protocol) {
		refuse(server, in, "other protocol version than agreed");
		answer_error(server, in, WIRE_ERROR_VERSION, "other protocol version than agreed");
	} else if (!is_request(message->kind)) {
		refuse(server, in, "body not known here");
		answer_error(server, in, WIRE_ERROR_UNSUPPORTED, "body not known here");
	} else if (server->config.on_message != NULL) {
		server->config.on_message(server->config.ctx, in->peer->id, message);
	}
}

static void handle(struct wire_server *server, struct inbound *in, const uint8_t *bytes, size_t len)
{
	struct errmsg why = ERRMSG_INIT;
	struct message message;
	struct arena arena;

	in->peer = server_peer_find(server, in->routing, in->routing_len);
	if (in->peer != NULL && (strcmp(in->peer->user, in->user) != 0 || in->peer->fd != in->fd)) {
		server_peer_gone(server, in->peer, "another connection", false);
		in->peer = NULL;
	}
	if (in->peer != NULL)
		in->peer->seen_ns = clock_mono_ns();
	arena_init(&arena, WIRE_ARENA_BYTES_MAX);
	enum rc rc = message_decode(bytes, len, &arena, &message, &why);
	in->request_id = message.request_id;
	if (rc == RC_OK) {
		dispatch(server, in, &message);
	} else {
		refuse(server, in, errmsg_text(&why, rc));
		answer_error(server, in, rc == RC_INVALID ? WIRE_ERROR_INVALID : WIRE_ERROR_LIMIT,
		    errmsg_text(&why, rc));
	}
	arena_fini(&arena);
}

/* Routing id and body; false: nothing waits. */
static bool receive_one(struct wire_server *server)
{
	uint8_t routing[SERVER_ROUTING_BYTES_MAX];
	zmq_msg_t body;

	int routing_len = zmq_recv(server->router, routing, sizeof(routing), ZMQ_DONTWAIT);
	if (routing_len < 0)
		return false;
	(void)zmq_msg_init(&body);
	if (zmq_msg_recv(&body, server->router, ZMQ_DONTWAIT) < 0) {
		(void)zmq_msg_close(&body);
		return true;
	}
	struct inbound in = {
		.routing = routing,
		.routing_len = (size_t)routing_len,
		.user = zmq_msg_gets(&body, LOOP_USER_ID),
		.fd = zmq_msg_get(&body, ZMQ_SRCFD),
	};
	bool parts = frame_skip_rest(server->router);
	if (in.user == NULL || strlen(in.user) != WIRE_KEY_TEXT_BYTES - 1 ||
	    in.routing_len > sizeof(routing)) {
		/* ZAP lets no such message through: no answer, no trust. */
		in.user = "none";
		refuse(server, &in, "not authenticated");
	} else if (parts) {
		refuse(server, &in, "more than one part");
	} else {
		handle(server, &in, zmq_msg_data(&body), zmq_msg_size(&body));
	}
	frame_wipe_received(&body);
	return true;
}

static void read_monitor(struct wire_server *server)
{
	int event, value;

	while (socket_monitor_next(server->monitor, &event, &value)) {
		if (event != ZMQ_EVENT_DISCONNECTED) {
			server_count(server, &server->counts.refused_handshake);
			if (server_log_gate(server))
				log_warn("WIRE-HANDSHAKE", "event=%#x detail=%#x", (unsigned)event,
				    (unsigned)value);
			continue;
		}
		for (size_t i = 0; i < server->config.peers_max; i++) {
			struct peer *peer = &server->peers[i];
			if (peer->id != 0 && peer->fd == value)
				server_peer_gone(server, peer, "disconnected", false);
		}
	}
}

static bool read_messages(struct wire_server *server)
{
	for (int i = 0; i < LOOP_MESSAGES; i++) {
		if (!receive_one(server))
			return false;
	}
	return true;
}

void *server_loop(void *arg)
{
	struct wire_server *server = arg;
	void *const sockets[] = { server->router, server->monitor, server->zap };
	enum { ROUTER = 1, MONITOR = 2, ZAP = 4, WAKER = 8 };
	unsigned ready = ROUTER | MONITOR | ZAP;

	process_name_thread("wire-server");
	while (!atomic_load(&server->stop)) {
		if ((ready & WAKER) != 0)
			waker_clear(&server->waker);
		if ((ready & MONITOR) != 0)
			read_monitor(server);
		bool more = read_messages(server);
		int64_t now_ns = clock_mono_ns();
		int64_t next_ns = server_peer_tick(server, now_ns, !more);
		bool knocking = (ready & ZAP) != 0 && server_zap_serve(server);
		more = more || knocking;
		(void)socket_events(server->router); /* room that came free is known now */
		if (server_peer_flush(server))
			more = true;
		int64_t wait_ns = next_ns - now_ns;
		if (server->blocked && wait_ns > LOOP_RETRY_NS)
			wait_ns = LOOP_RETRY_NS;
		if (more || wait_ns < 0)
			wait_ns = 0;
		ready = socket_wait(
		    sockets, sizeof(sockets) / sizeof(sockets[0]), server->waker.fds[0], wait_ns);
		if (knocking)
			ready |= ZAP; /* not read to its end */
	}
	for (size_t i = 0; i < server->config.peers_max; i++) {
		if (server->peers[i].id != 0)
			server_peer_gone(server, &server->peers[i], "stopping", false);
	}
	return NULL;
}
