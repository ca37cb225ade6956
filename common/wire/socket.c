/* What both halves share around libzmq. */
#include "wire/socket.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "base/clock.h"

enum rc socket_check_address(const char *address, bool listen, struct errmsg *why)
{
	const char *scheme = "tcp://";

	if (strncmp(address, scheme, strlen(scheme)) != 0)
		return errmsg_rc(why, RC_CONFIG, "an address is tcp://HOST:PORT");
	if (strlen(address) >= SOCKET_ADDRESS_BYTES_MAX)
		return errmsg_rc(why, RC_CONFIG, "an address is shorter than %zu bytes",
		    SOCKET_ADDRESS_BYTES_MAX);
	const char *host = address + strlen(scheme);
	const char *port = strrchr(host, ':');
	if (port == NULL || port == host || strchr(host, '/') != NULL || strchr(host, ';') != NULL)
		return errmsg_rc(why, RC_CONFIG, "an address is tcp://HOST:PORT");
	port++;
	if (strcmp(port, "*") == 0 && listen)
		return RC_OK;
	char *end;
	unsigned long number = isdigit((unsigned char)*port) ? strtoul(port, &end, 10) : 65536;
	if (number > 65535 || *end != '\0' || (number == 0 && !listen))
		return errmsg_rc(why, RC_CONFIG, "a port is a number from 1 to 65535");
	return RC_OK;
}

enum rc socket_set(void *socket, int option, const void *value, size_t len, struct errmsg *why)
{
	if (zmq_setsockopt(socket, option, value, len) != 0)
		return errmsg_rc(
		    why, RC_CONFIG, "libzmq refuses option %d: %s", option, zmq_strerror(errno));
	return RC_OK;
}

enum rc socket_set_int(void *socket, int option, int value, struct errmsg *why)
{
	return socket_set(socket, option, &value, sizeof(value), why);
}

enum rc socket_set_limits(void *socket, const char *address, struct errmsg *why)
{
	const int64_t message_max = SOCKET_MESSAGE_BYTES_MAX;
	const struct {
		int option, value;
	} options[] = {
		{ ZMQ_SNDHWM, SOCKET_HWM },
		{ ZMQ_RCVHWM, SOCKET_HWM },
		{ ZMQ_LINGER, 0 },
		{ ZMQ_HANDSHAKE_IVL, SOCKET_HANDSHAKE_MS },
		{ ZMQ_IPV6, strchr(address, '[') != NULL },
	};
	enum rc rc = socket_set(socket, ZMQ_MAXMSGSIZE, &message_max, sizeof(message_max), why);

	for (size_t i = 0; rc == RC_OK && i < sizeof(options) / sizeof(options[0]); i++)
		rc = socket_set_int(socket, options[i].option, options[i].value, why);
	return rc;
}

int socket_events(void *socket)
{
	int events = 0;
	size_t len = sizeof(events);

	if (zmq_getsockopt(socket, ZMQ_EVENTS, &events, &len) != 0)
		return 0;
	return events;
}

unsigned socket_wait(void *const *sockets, size_t sockets_len, int fd, int64_t timeout_ns)
{
	struct pollfd items[SOCKET_POLL_MAX + 1];
	unsigned ready = 0;

	assert(sockets_len <= SOCKET_POLL_MAX);
	for (size_t i = 0; i < sockets_len; i++) {
		size_t len = sizeof(items[i].fd);
		items[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
		if (zmq_getsockopt(sockets[i], ZMQ_FD, &items[i].fd, &len) != 0)
			timeout_ns = 0;
	}
	items[sockets_len] = (struct pollfd){ .fd = fd, .events = POLLIN };
	if (sockets_len > 0 && (socket_events(sockets[0]) & ZMQ_POLLIN) != 0) {
		ready |= 1;
		timeout_ns = 0;
	}
	int64_t ms = (timeout_ns + NS_PER_MS - 1) / NS_PER_MS;
	if (poll(items, sockets_len + 1, ms > 1000 ? 1000 : (int)ms) < 0)
		return ready;
	for (size_t i = 0; i <= sockets_len; i++)
		ready |= items[i].revents != 0 ? 1u << i : 0;
	return ready;
}

enum rc socket_monitor(
    void *zmq, void *socket, const char *name, int events, void **out, struct errmsg *why)
{
	if (zmq_socket_monitor(socket, name, events) != 0)
		return errmsg_rc(why, RC_CONFIG, "libzmq has no monitor: %s", zmq_strerror(errno));
	void *monitor = zmq_socket(zmq, ZMQ_PAIR);
	if (monitor == NULL)
		return errmsg_rc(why, RC_NOMEM, "no socket: %s", zmq_strerror(errno));
	enum rc rc = socket_set_int(monitor, ZMQ_LINGER, 0, why);
	if (rc == RC_OK && zmq_connect(monitor, name) != 0)
		rc = errmsg_rc(why, RC_CONFIG, "libzmq has no monitor: %s", zmq_strerror(errno));
	if (rc != RC_OK) {
		(void)zmq_close(monitor);
		return rc;
	}
	*out = monitor;
	return RC_OK;
}

/* Frame 1: uint16 event, uint32 value, host order; frame 2: the endpoint. */
bool socket_monitor_next(void *monitor, int *event, int *value)
{
	uint8_t head[6];
	uint16_t event_code;
	int32_t event_value;
	char endpoint[8];

	int len = zmq_recv(monitor, head, sizeof(head), ZMQ_DONTWAIT);
	if (len < 0)
		return false;
	(void)zmq_recv(monitor, endpoint, sizeof(endpoint), ZMQ_DONTWAIT);
	if (len != (int)sizeof(head))
		return false;
	memcpy(&event_code, head, sizeof(event_code));
	memcpy(&event_value, head + sizeof(event_code), sizeof(event_value));
	*event = event_code;
	*value = event_value;
	return true;
}

bool socket_version_choose(
    uint32_t our_min, uint32_t our_max, uint32_t their_min, uint32_t their_max, uint32_t *out)
{
	uint32_t low = our_min > their_min ? our_min : their_min;
	uint32_t high = our_max < their_max ? our_max : their_max;

	if (their_min > their_max || low > high)
		return false;
	*out = high;
	return true;
}
