/* Server half of the wire: opening, closing, and what other threads call. */
#include "wire/server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "wire/server_state.h"

#define SERVER_HEARTBEAT_NS NS_PER_S
#define SERVER_DEAD_NS (4 * NS_PER_S)
#define SERVER_PEERS_MAX ((size_t)64)
#define SERVER_QUEUE_MAX ((size_t)256)
#define SERVER_QUEUE_BYTES_MAX ((size_t)16 << 20)
/* Not in the header of this release unless drafts are on; present in the library. */
#define SERVER_ZAP_ENFORCE_DOMAIN 93

static enum rc copy_config(
    const struct wire_server_config *config, struct wire_server *server, struct errmsg *why)
{
	struct wire_server_config *own = &server->config;

	enum rc rc = socket_check_address(config->listen, true, why);
	if (rc != RC_OK)
		return rc;
	*own = *config;
	own->keys = NULL; /* the socket has them */
	own->listen = NULL;
	own->heartbeat_ns = config->heartbeat_ns > 0 ? config->heartbeat_ns : SERVER_HEARTBEAT_NS;
	own->dead_ns = config->dead_ns > 0 ? config->dead_ns : SERVER_DEAD_NS;
	own->peers_max = config->peers_max > 0 ? config->peers_max : SERVER_PEERS_MAX;
	own->peer_queue_max =
	    config->peer_queue_max > 0 ? config->peer_queue_max : SERVER_QUEUE_MAX;
	own->peer_queue_bytes_max = config->peer_queue_bytes_max > 0 ? config->peer_queue_bytes_max
								     : SERVER_QUEUE_BYTES_MAX;
	server->allow_path = strdup(config->allow_path);
	server->peers = calloc(own->peers_max, sizeof(server->peers[0]));
	own->allow_path = server->allow_path;
	return server->allow_path == NULL || server->peers == NULL ? RC_NOMEM : RC_OK;
}

/* A ROUTER that speaks CURVE with those ZAP lets in, and drops nothing silently. */
static enum rc set_up_router(
    struct wire_server *server, const struct wire_server_config *config, struct errmsg *why)
{
	const char *domain = "hearth";

	enum rc rc = socket_set_limits(server->router, config->listen, why);
	if (rc == RC_OK)
		rc = socket_set_int(server->router, ZMQ_ROUTER_MANDATORY, 1, why);
	if (rc == RC_OK)
		rc = socket_set_int(server->router, ZMQ_CURVE_SERVER, 1, why);
	if (rc == RC_OK)
		rc = socket_set(server->router, ZMQ_CURVE_SECRETKEY, config->keys->secret_key,
		    WIRE_KEY_BYTES, why);
	if (rc == RC_OK)
		rc = socket_set(server->router, ZMQ_ZAP_DOMAIN, domain, strlen(domain), why);
	if (rc == RC_OK)
		rc = socket_set_int(server->router, SERVER_ZAP_ENFORCE_DOMAIN, 1, why);
	if (rc == RC_OK)
		rc = socket_monitor(server->zmq, server->router, "inproc://router-monitor",
		    ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
			ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL,
		    &server->monitor, why);
	return rc;
}

static enum rc bind_router(struct wire_server *server, const char *listen, struct errmsg *why)
{
	char address[SOCKET_ADDRESS_BYTES_MAX + 1];
	size_t len = sizeof(server->address);

	(void)snprintf(address, sizeof(address), "%s", listen);
	char *port = strrchr(address, ':') + 1;
	if (strtoul(port, NULL, 10) == 0)
		(void)memcpy(port, "*", 2); /* libzmq knows no port 0 */
	if (zmq_bind(server->router, address) != 0) {
		enum rc rc = errno == EADDRINUSE ? RC_BUSY : RC_CONFIG;
		return errmsg_rc(why, rc, "cannot listen on %s: %s", listen, zmq_strerror(errno));
	}
	if (zmq_getsockopt(server->router, ZMQ_LAST_ENDPOINT, server->address, &len) != 0)
		return errmsg_rc(why, RC_BUG, "the bound address is unknown");
	return RC_OK;
}

static enum rc open_sockets(
    struct wire_server *server, const struct wire_server_config *config, struct errmsg *why)
{
	enum rc rc = wire_check_curve(why);
	if (rc == RC_OK)
		rc = waker_init(&server->waker, why);
	if (rc != RC_OK)
		return rc;
	server->zmq = zmq_ctx_new();
	if (server->zmq == NULL)
		return errmsg_rc(why, RC_NOMEM, "no context: %s", zmq_strerror(errno));
	/* The ZAP handler is there before anyone can connect. */
	rc = server_zap_open(server, why);
	if (rc != RC_OK)
		return rc;
	server->router = zmq_socket(server->zmq, ZMQ_ROUTER);
	if (server->router == NULL)
		return errmsg_rc(why, RC_NOMEM, "no socket: %s", zmq_strerror(errno));
	rc = set_up_router(server, config, why);
	return rc == RC_OK ? bind_router(server, config->listen, why) : rc;
}

/* The I/O thread takes no signals: they are main()'s. */
static enum rc start_thread(struct wire_server *server, struct errmsg *why)
{
	sigset_t all, old;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	int err = pthread_create(&server->thread, NULL, server_loop, server);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err != 0)
		return errmsg_rc(why, RC_NOMEM, "cannot start a thread: %s", strerror(err));
	server->started = true;
	return RC_OK;
}

size_t wire_server_pool_bytes(const struct wire_pool *pools, size_t pools_len)
{
	return frame_pool_bytes(pools, pools_len);
}

enum rc wire_server_open(
    const struct wire_server_config *config, struct wire_server **out, struct errmsg *why)
{
	struct wire_server *server = calloc(1, sizeof(*server));

	if (server == NULL)
		return RC_NOMEM;
	server->waker.fds[0] = server->waker.fds[1] = -1;
	if (pthread_mutex_init(&server->lock, NULL) != 0) {
		free(server);
		return RC_NOMEM;
	}
	enum rc rc = copy_config(config, server, why);
	if (rc == RC_OK && config->pools_len > 0)
		rc = frame_pool_new(config->pools, config->pools_len, &server->pool);
	if (rc == RC_OK)
		rc = wire_allow_load(server->allow_path, &server->allow, why);
	if (rc == RC_OK)
		rc = open_sockets(server, config, why);
	if (rc == RC_OK)
		rc = start_thread(server, why);
	if (rc != RC_OK) {
		wire_server_close(server);
		return rc;
	}
	*out = server;
	return RC_OK;
}

void wire_server_close(struct wire_server *server)
{
	if (server == NULL)
		return;
	if (server->started) {
		atomic_store(&server->stop, true);
		waker_wake(&server->waker);
		(void)pthread_join(server->thread, NULL);
	}
	if (server->router != NULL) {
		(void)zmq_socket_monitor(server->router, NULL, 0);
		(void)zmq_close(server->router);
	}
	if (server->monitor != NULL)
		(void)zmq_close(server->monitor);
	if (server->zap != NULL)
		(void)zmq_close(server->zap);
	if (server->zmq != NULL)
		(void)zmq_ctx_term(server->zmq);
	waker_fini(&server->waker);
	frame_pool_free(server->pool);
	(void)pthread_mutex_destroy(&server->lock);
	free(server->peers);
	free(server->allow_path);
	free(server);
}

const char *wire_server_address(const struct wire_server *server)
{
	return server->address;
}

static struct peer *find_by_id(struct wire_server *server, wire_peer id)
{
	for (size_t i = 0; id != 0 && i < server->config.peers_max; i++) {
		if (server->peers[i].id == id)
			return &server->peers[i];
	}
	return NULL;
}

/* A first message always fits, however long. */
static bool has_room(const struct wire_server *server, const struct peer *peer, size_t len)
{
	size_t bytes_max = server->config.peer_queue_bytes_max;

	if (peer->queued == 0)
		return true;
	return peer->queued < server->config.peer_queue_max && peer->queued_bytes < bytes_max &&
	       len <= bytes_max - peer->queued_bytes;
}

enum rc wire_server_send(struct wire_server *server, wire_peer id, const struct message *message)
{
	struct frame *frame = NULL;
	uint32_t protocol = 0;

	(void)pthread_mutex_lock(&server->lock);
	struct peer *peer = find_by_id(server, id);
	enum rc rc = peer == NULL ? RC_CLOSED : has_room(server, peer, 0) ? RC_OK : RC_AGAIN;
	if (peer != NULL)
		protocol = peer->protocol;
	(void)pthread_mutex_unlock(&server->lock);
	if (rc == RC_OK)
		rc = frame_new(message, protocol, server->pool, &frame, NULL);
	if (rc != RC_OK)
		return rc;
	(void)pthread_mutex_lock(&server->lock);
	peer = find_by_id(server, id);
	rc = peer == NULL ? RC_CLOSED : has_room(server, peer, frame->len) ? RC_OK : RC_AGAIN;
	if (rc == RC_OK) {
		peer->queued++;
		peer->queued_bytes += frame->len;
		frame_list_push(&peer->waiting, frame);
	}
	(void)pthread_mutex_unlock(&server->lock);
	if (rc != RC_OK) {
		frame_free(frame);
		return rc;
	}
	waker_wake(&server->waker);
	return RC_OK;
}

void wire_server_get_counts(struct wire_server *server, struct wire_server_counts *out)
{
	(void)pthread_mutex_lock(&server->lock);
	*out = server->counts;
	(void)pthread_mutex_unlock(&server->lock);
}
