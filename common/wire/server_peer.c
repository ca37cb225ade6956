/*
 * Peers of the server half: the slots, their queues, heartbeats and ends.
 * I/O thread only.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "wire/server_state.h"

/* Messages one peer may send before it is another's turn. */
#define PEER_ROUND 64

static atomic_uint_fast64_t next_id = 1;

struct peer *server_peer_find(struct wire_server *server, const void *routing, size_t routing_len)
{
	for (size_t i = 0; i < server->config.peers_max; i++) {
		struct peer *peer = &server->peers[i];
		if (peer->id != 0 && peer->routing_len == routing_len &&
		    memcmp(peer->routing, routing, routing_len) == 0)
			return peer;
	}
	return NULL;
}

struct peer *server_peer_add(struct wire_server *server, const void *routing, size_t routing_len,
    const char *user, int fd, uint32_t protocol)
{
	struct peer *peer = NULL;
	int64_t now_ns = clock_mono_ns();

	for (size_t i = 0; peer == NULL && i < server->config.peers_max; i++) {
		if (server->peers[i].id == 0)
			peer = &server->peers[i];
	}
	if (peer == NULL || routing_len > sizeof(peer->routing))
		return NULL;
	(void)pthread_mutex_lock(&server->lock);
	memset(peer, 0, sizeof(*peer));
	memcpy(peer->routing, routing, routing_len);
	peer->routing_len = routing_len;
	memcpy(peer->user, user, sizeof(peer->user));
	if (wire_key_parse(user, peer->key, NULL) == RC_OK) {
		peer->fd = fd;
		peer->protocol = protocol;
		peer->seen_ns = now_ns;
		peer->beat_ns = now_ns + server->config.heartbeat_ns;
		peer->id = atomic_fetch_add(&next_id, 1);
		server->counts.accepted++;
	}
	(void)pthread_mutex_unlock(&server->lock);
	return peer->id == 0 ? NULL : peer;
}

void server_peer_gone(
    struct wire_server *server, struct peer *peer, const char *reason, bool dropped)
{
	struct frame_list rest = peer->sending;
	wire_peer id = peer->id;

	(void)pthread_mutex_lock(&server->lock);
	frame_list_append(&rest, &peer->waiting);
	memset(peer, 0, sizeof(*peer));
	if (dropped)
		server->counts.dropped_peers++;
	(void)pthread_mutex_unlock(&server->lock);
	frame_list_clear(&rest);
	log_info("WIRE-GONE", "peer=%llu reason=%s", (unsigned long long)id, reason);
	if (server->config.on_gone != NULL)
		server->config.on_gone(server->config.ctx, id);
}

/* 0, or the errno: EAGAIN (its pipe is full), EHOSTUNREACH (it is gone). */
static int send_frame(
    struct wire_server *server, const void *routing, size_t routing_len, struct frame *frame)
{
	if (zmq_send(server->router, routing, routing_len, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
		return errno;
	if (!frame_send(frame, server->router))
		return errno;
	return 0;
}

void server_peer_send_now(struct wire_server *server, const void *routing, size_t routing_len,
    const struct message *message, uint32_t protocol)
{
	struct frame *frame = NULL;

	if (frame_new(message, protocol, NULL, &frame, NULL) != RC_OK)
		return;
	(void)send_frame(server, routing, routing_len, frame);
	frame_free(frame);
}

/* A round of `peer`'s queue; true: it has more and could take it. */
static bool flush_peer(struct wire_server *server, struct peer *peer)
{
	size_t sent = 0, bytes = 0;
	int err = 0;

	while (peer->sending.head != NULL && sent < PEER_ROUND) {
		err = send_frame(server, peer->routing, peer->routing_len, peer->sending.head);
		if (err != 0)
			break;
		struct frame *frame = frame_list_pop(&peer->sending);
		sent++;
		bytes += frame->len;
		frame_free(frame);
	}
	if (err != 0 && err != EAGAIN) {
		server_peer_gone(server, peer, "unroutable", true);
		return false;
	}
	if (err == EAGAIN)
		server->blocked = true;
	if (sent > 0) {
		(void)pthread_mutex_lock(&server->lock);
		peer->queued -= sent;
		peer->queued_bytes -= bytes;
		(void)pthread_mutex_unlock(&server->lock);
	}
	return err == 0 && peer->sending.head != NULL;
}

bool server_peer_flush(struct wire_server *server)
{
	bool more = false;

	server->blocked = false;
	(void)pthread_mutex_lock(&server->lock);
	for (size_t i = 0; i < server->config.peers_max; i++)
		frame_list_append(&server->peers[i].sending, &server->peers[i].waiting);
	(void)pthread_mutex_unlock(&server->lock);
	for (size_t i = 0; i < server->config.peers_max; i++) {
		if (server->peers[i].sending.head != NULL && flush_peer(server, &server->peers[i]))
			more = true;
	}
	return more;
}

/* A peer with a backlog needs no heartbeat: what waits will show we live. */
static void beat(struct wire_server *server, struct peer *peer)
{
	struct message message = { .kind = MESSAGE_HEARTBEAT };

	if (peer->sending.head != NULL)
		return;
	message.u.heartbeat.sequence = ++peer->beats;
	if (server->config.load != NULL)
		server->config.load(server->config.ctx, &message.u.heartbeat.load);
	server_peer_send_now(server, peer->routing, peer->routing_len, &message, peer->protocol);
}

static void drop_revoked(struct wire_server *server)
{
	for (size_t i = 0; i < server->config.peers_max; i++) {
		struct peer *peer = &server->peers[i];
		if (peer->id != 0 && !wire_allow_has(&server->allow, peer->key))
			server_peer_gone(server, peer, "revoked", true);
	}
}

int64_t server_peer_tick(struct wire_server *server, int64_t now_ns, bool drained)
{
	if (now_ns >= server->allow_ns) {
		server->allow_ns = now_ns + NS_PER_S;
		if (server_allow_refresh(server))
			drop_revoked(server);
	}
	int64_t next_ns = server->allow_ns;
	for (size_t i = 0; i < server->config.peers_max; i++) {
		struct peer *peer = &server->peers[i];
		if (peer->id == 0)
			continue;
		/* Silence counts only when nothing of it waits to be read. */
		if (drained && now_ns - peer->seen_ns >= server->config.dead_ns) {
			server_peer_gone(server, peer, "silent", true);
			continue;
		}
		if (now_ns >= peer->beat_ns) {
			beat(server, peer);
			peer->beat_ns = now_ns + server->config.heartbeat_ns;
		}
		int64_t dead_ns = peer->seen_ns + server->config.dead_ns;
		next_ns = peer->beat_ns < next_ns ? peer->beat_ns : next_ns;
		next_ns = dead_ns < next_ns ? dead_ns : next_ns;
	}
	return next_ns;
}
