/*
 * Inside of the client half, shared by client*.c only.
 *
 * Threads: the I/O thread owns everything but what is marked [lock]; other
 * threads touch that under `lock` alone.  No lock is held in a callback.
 *
 * Invariants:
 *  I1  `waiting` is empty unless the state is UP: what is queued belongs to
 *      the session that is up and dies with it.
 *  I2  one session, one socket: nothing of an old one can arrive in a new one.
 *  I3  on_up and on_down alternate, but for on_down of a link that is refused.
 */
#ifndef WIRE_CLIENT_STATE_H
#define WIRE_CLIENT_STATE_H

#include <pthread.h>

#include "wire/client.h"
#include "wire/frame.h"
#include "wire/socket.h"
#include "wire/waker.h"

/* One dialling and, if it succeeds, one session. */
struct dial {
	void *socket, *monitor;
	bool greeted;      /* Hello went out */
	bool up;           /* and was answered */
	bool over;         /* `reason` says why */
	bool disconnected; /* read what is left, then over */
	bool cut;          /* during the handshake, without a word */
	enum rc reason;
	int64_t start_ns, seen_ns, beat_ns;
	uint64_t beats;
	struct frame_list sending;
};

struct wire_client {
	struct wire_client_config config; /* defaults filled in, pointers our own */
	char *address, *program;
	uint8_t server_key[WIRE_KEY_BYTES];
	struct wire_keypair keys;
	void *zmq;
	struct waker waker;
	pthread_t thread;
	bool started;
	atomic_bool stop;
	uint64_t dials;
	unsigned cuts;   /* dials in a row that were cut */
	enum rc refused; /* what on_down last said of a refused link; RC_OK: nothing */
	pthread_mutex_t lock;
	enum wire_link_state state; /* [lock] */
	uint64_t session;           /* [lock] */
	uint32_t protocol;          /* [lock] the version agreed on */
	struct frame_list waiting;  /* [lock] */
	size_t queued;              /* [lock] waiting and sending together */
	size_t queued_bytes;        /* [lock] */
};

/* client_loop.c: dial, run, wait, again. */
void *client_loop(void *client);

/*
 * The longest wait after `dial`, which ended at `now_ns`; the last one was `last_ns`
 * (0: none yet).  It doubles; a session that held for a second starts it over, so that
 * a node that is restarted now and then is back in a moment.
 */
int64_t client_backoff(int64_t last_ns, const struct dial *dial, int64_t now_ns, int64_t max_ns);

/* client_session.c: run one dial to its end; `dial->reason` says how it went. */
void client_session_run(struct wire_client *client, struct dial *dial);

/* client_loop.c, told by the session. */
void client_link_up(struct wire_client *client, const struct wire_capabilities *capabilities);

#endif
