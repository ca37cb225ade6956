/*
 * Inside of the server half, shared by server*.c only.
 *
 * Threads: the I/O thread owns everything but what is marked [lock]; other
 * threads touch that under `lock` alone.  No lock is held in a callback or in
 * a call of libzmq that could wait.
 *
 * Invariants:
 *  I1  a slot with id 0 is free; only the I/O thread fills and frees slots.
 *  I2  one peer, one connection: routing id, user and descriptor all agree on
 *      every message, or the peer is gone.
 *  I3  queued, queued_bytes count `waiting` and `sending` together.
 */
#ifndef WIRE_SERVER_STATE_H
#define WIRE_SERVER_STATE_H

#include <pthread.h>
#include <sys/stat.h>

#include "wire/frame.h"
#include "wire/server.h"
#include "wire/socket.h"
#include "wire/waker.h"

#define SERVER_ROUTING_BYTES_MAX 255

struct peer {
	wire_peer id; /* [lock] 0: a free slot */
	uint8_t routing[SERVER_ROUTING_BYTES_MAX];
	size_t routing_len;
	uint8_t key[WIRE_KEY_BYTES];
	char user[WIRE_KEY_TEXT_BYTES]; /* the key as ZAP named it */
	int fd;                         /* of its connection, -1: not known */
	uint32_t protocol;              /* [lock] the version agreed on */
	int64_t seen_ns;                /* last message of it */
	int64_t beat_ns;                /* next heartbeat to it */
	uint64_t beats;
	struct frame_list waiting; /* [lock] from any thread */
	struct frame_list sending; /* taken out of `waiting` */
	size_t queued;             /* [lock] */
	size_t queued_bytes;       /* [lock] */
};

/* Log lines about strangers: so many a window, the rest is counted. */
struct log_gate {
	int64_t window_ns;
	unsigned passed, suppressed;
};

/* What stat(2) says of the allow-list: any change means read it again. */
struct file_stamp {
	bool there;
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec changed, modified;
};

struct wire_server {
	struct wire_server_config config; /* defaults filled in, strings our own */
	char *allow_path;
	char address[SOCKET_ADDRESS_BYTES_MAX];
	void *zmq, *router, *zap, *monitor;
	struct waker waker;
	pthread_t thread;
	bool started;
	atomic_bool stop;
	pthread_mutex_t lock;
	struct frame_pool *pool;          /* NULL: none */
	struct wire_server_counts counts; /* [lock] */
	struct peer *peers;               /* [peers_max] */
	bool blocked;                     /* some peer's pipe is full: look again soon */
	struct wire_allow allow;
	struct file_stamp allow_stamp;
	bool allow_good;  /* the file could be read */
	int64_t allow_ns; /* next look at it */
	struct log_gate gate;
};

/* server_zap.c */
enum rc server_zap_open(struct wire_server *server, struct errmsg *why) RC_CHECK;
/* Answer the handshakes that wait, at most a round of them; true: more wait. */
bool server_zap_serve(struct wire_server *server);
/* Look at the allow-list if it changed; true: it was read anew. */
bool server_allow_refresh(struct wire_server *server);

/* server_peer.c */
struct peer *server_peer_find(struct wire_server *server, const void *routing, size_t routing_len);
/* A greeted connection; NULL: all slots are taken. */
struct peer *server_peer_add(struct wire_server *server, const void *routing, size_t routing_len,
    const char *user, int fd, uint32_t protocol);
/* End a peer: queue dropped, callback told.  `dropped`: by our decision. */
void server_peer_gone(
    struct wire_server *server, struct peer *peer, const char *reason, bool dropped);
/* Send what can be sent without waiting; true: there is more to do at once. */
bool server_peer_flush(struct wire_server *server);
/* Heartbeats and deaths; returns when to come again. */
int64_t server_peer_tick(struct wire_server *server, int64_t now_ns, bool drained);
/* To a connection without a queue: now or never. */
void server_peer_send_now(struct wire_server *server, const void *routing, size_t routing_len,
    const struct message *message, uint32_t protocol);

/* server_loop.c */
void *server_loop(void *server);
void server_count(struct wire_server *server, uint64_t *counter);
/* May a line about a stranger be logged now? */
bool server_log_gate(struct wire_server *server);

#endif
