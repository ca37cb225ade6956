/*
 * What both halves share around libzmq: addresses, limits of a socket, events,
 * monitors, the version both ends speak.  Inside wire only.
 */
#ifndef WIRE_SOCKET_H
#define WIRE_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errmsg.h"

/* Bytes of one message on the wire beyond which libzmq drops the connection:
 * the largest Envelope and room for one too large to be told apart from it. */
#define SOCKET_MESSAGE_BYTES_MAX ((int64_t)(8 << 20) + (64 << 10))
#define SOCKET_HWM 32            /* messages in libzmq per peer, each way */
#define SOCKET_HANDSHAKE_MS 5000 /* a peer that does not finish it is cut */
#define SOCKET_POLL_MAX ((size_t)4)
#define SOCKET_ADDRESS_BYTES_MAX ((size_t)256)

/* RC_CONFIG unless "tcp://HOST:PORT"; port 0 or * only where `listen`. */
enum rc socket_check_address(const char *address, bool listen, struct errmsg *why) RC_CHECK;

/* RC_CONFIG if libzmq refuses the option: it is not the library we know. */
enum rc socket_set(
    void *socket, int option, const void *value, size_t len, struct errmsg *why) RC_CHECK;
enum rc socket_set_int(void *socket, int option, int value, struct errmsg *why) RC_CHECK;

/* High-water marks, largest message, no lingering, handshake time; IPv6 where
 * `address` is one. */
enum rc socket_set_limits(void *socket, const char *address, struct errmsg *why) RC_CHECK;

/* ZMQ_POLLIN | ZMQ_POLLOUT now; also runs what libzmq has pending. */
int socket_events(void *socket);

/*
 * Wait until a socket, or the descriptor `fd`, may have something, or until
 * `timeout_ns` (≥ 0) passed; bit i of the result: sockets[i] may have input, and
 * the bit behind the last one: `fd` has.
 * Wakes too often rather than too late: also when room came free in a peer's
 * queue.  All but the first must have been read until they had nothing, and
 * not been sent on since: only then does libzmq's descriptor tell all.
 */
unsigned socket_wait(void *const *sockets, size_t sockets_len, int fd, int64_t timeout_ns) RC_CHECK;

/* A PAIR that reports `events` of `socket`; name: unique in the context. */
enum rc socket_monitor(
    void *zmq, void *socket, const char *name, int events, void **out, struct errmsg *why) RC_CHECK;

/* Next event of a monitor without waiting; false: none. */
bool socket_monitor_next(void *monitor, int *event, int *value);

/*
 * The highest version in both ranges; false: none in common, or a range that
 * is upside down.
 */
bool socket_version_choose(
    uint32_t our_min, uint32_t our_max, uint32_t their_min, uint32_t their_max, uint32_t *out);

#endif
