/*
 * Service: the compute node while it serves, from socket to engine.
 *
 * Three threads besides the caller's and the engine's own:
 *   wire       (wire/server.h) receives; only copies requests into bounded
 *              queues, answers what needs no work, and flags cancels
 *   desk       (desk.h) decodes, tokenises, plans
 *   scheduler  (scheduler.h) owns the engines
 * Nothing is written to a file, and no content to the log.
 */
#ifndef SERVE_SERVICE_H
#define SERVE_SERVICE_H

#include <stddef.h>
#include <stdint.h>

#include "base/errmsg.h"
#include "serve/fleet.h"
#include "wire/key.h"

#define SERVICE_PEERS_MAX ((size_t)64)

struct service;
struct watch;

struct service_config {
	const char *listen;              /* "tcp://HOST:PORT" */
	const struct wire_keypair *keys; /* borrowed until service_close() */
	const char *allow_path;          /* likewise */
	struct fleet_config fleet;
	size_t queue_max;          /* 0: the scheduler's default */
	uint64_t waiting_bytes;    /* that requests may take of the heap; 0: FLEET_WAITING_BYTES */
	int64_t stall_ns;          /* likewise */
	int64_t lease_idle_ns;     /* likewise */
	int64_t lease_idle_max_ns; /* likewise */
	int64_t heartbeat_ns;      /* 0: the wire's default */
	int64_t dead_ns;           /* likewise */
	size_t peer_queue_max;     /* likewise */
	struct watch *watch;       /* shared with a supervisor; NULL: there is none */
};

/* Load, listen, serve.  The errors of fleet_open() and wire_server_open(). */
enum rc service_open(
    const struct service_config *config, struct service **out, struct errmsg *why) RC_CHECK;

/* Ends everything at once; caches, queues and buffers are wiped. */
void service_close(struct service *service);

/* The address bound, with the real port. */
const char *service_address(const struct service *service);

const struct fleet *service_fleet(const struct service *service);

#endif
