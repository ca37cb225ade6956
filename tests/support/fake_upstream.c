/* A scripted HTTP server: one thread, one connection at a time. */
#include "fake_upstream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEEN_BYTES_MAX ((size_t)16 << 20)

static void must(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	abort();
}

/* False: the test is over. */
static bool readable(struct fake_upstream *fake, int fd)
{
	struct pollfd fds[2] = { { .fd = fd, .events = POLLIN },
		{ .fd = fake->wake[0], .events = POLLIN } };

	while (poll(fds, 2, -1) < 0)
		must(errno == EINTR, "poll");
	return fds[1].revents == 0;
}

/* The headers and as much of a body as they announce; what was read, 0 at the end. */
static bool request_whole(const char *bytes, size_t len)
{
	const char *end = memmem(bytes, len, "\r\n\r\n", 4);
	const char *line = end == NULL ? NULL : strcasestr(bytes, "\r\ncontent-length:");

	if (end == NULL)
		return false;
	size_t body = line == NULL || line > end ? 0 : strtoul(line + 17, NULL, 10);
	return (size_t)(bytes + len - end) >= 4 + body;
}

static bool take_request(struct fake_upstream *fake, int fd)
{
	struct buf request;
	char bytes[65536];
	bool whole = false;

	buf_init(&request, SEEN_BYTES_MAX);
	while (!whole && readable(fake, fd)) {
		ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
		if (n <= 0)
			break;
		buf_append(&request, bytes, (size_t)n);
		whole = request_whole(buf_text(&request), request.len);
	}
	(void)pthread_mutex_lock(&fake->mutex);
	buf_append(&fake->seen, request.bytes, request.len);
	(void)pthread_mutex_unlock(&fake->mutex);
	buf_fini(&request);
	return whole;
}

static void hold(struct fake_upstream *fake, int fd)
{
	char byte;

	if (readable(fake, fd) && recv(fd, &byte, 1, 0) <= 0)
		atomic_fetch_add(&fake->left, 1);
}

static bool wait_at_gate(struct fake_upstream *fake)
{
	char byte;

	return readable(fake, fake->gate[0]) && read(fake->gate[0], &byte, 1) == 1;
}

static void send_all(struct fake_upstream *fake, int fd, const char *bytes)
{
	while (bytes[0] != '\0') {
		if (bytes[0] == FAKE_GATE[0]) {
			if (!wait_at_gate(fake))
				return;
			bytes++;
		}
		ssize_t n = send(fd, bytes, strcspn(bytes, FAKE_GATE), MSG_NOSIGNAL);
		if (n < 0)
			return;
		bytes += n;
	}
}

static void serve(struct fake_upstream *fake, int fd)
{
	struct fake_answer answer = { .bytes = "" };

	bool whole = take_request(fake, fd);
	(void)pthread_mutex_lock(&fake->mutex);
	if (fake->answers_len > 0)
		answer = fake->answers[0];
	if (fake->answers_len > 1) {
		fake->answers++;
		fake->answers_len--;
	}
	(void)pthread_mutex_unlock(&fake->mutex);
	atomic_fetch_add(&fake->connections, 1);
	if (whole)
		send_all(fake, fd, answer.bytes);
	if (answer.hold)
		hold(fake, fd);
	(void)close(fd);
}

static void *run(void *ctx)
{
	struct fake_upstream *fake = ctx;

	while (readable(fake, fake->fd)) {
		int fd = accept(fake->fd, NULL, NULL);
		if (fd >= 0)
			serve(fake, fd);
	}
	return NULL;
}

void fake_upstream_open(
    struct fake_upstream *fake, const struct fake_answer *answers, size_t answers_len)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);

	memset(fake, 0, sizeof(*fake));
	fake->answers = answers;
	fake->answers_len = answers_len;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fake->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(fake->fd >= 0 && bind(fake->fd, (struct sockaddr *)&address, len) == 0 &&
		 listen(fake->fd, 8) == 0 &&
		 getsockname(fake->fd, (struct sockaddr *)&address, &len) == 0 &&
		 pipe(fake->wake) == 0 && pipe(fake->gate) == 0,
	    "fake upstream");
	fake->port = ntohs(address.sin_port);
	(void)snprintf(fake->url, sizeof(fake->url), "http://127.0.0.1:%u/v1", fake->port);
	(void)pthread_mutex_init(&fake->mutex, NULL);
	buf_init(&fake->seen, SEEN_BYTES_MAX);
	must(pthread_create(&fake->thread, NULL, run, fake) == 0, "thread");
}

void fake_upstream_close(struct fake_upstream *fake)
{
	must(write(fake->wake[1], "", 1) == 1, "wake");
	(void)pthread_join(fake->thread, NULL);
	(void)close(fake->fd);
	(void)close(fake->wake[0]);
	(void)close(fake->wake[1]);
	(void)close(fake->gate[0]);
	(void)close(fake->gate[1]);
	(void)pthread_mutex_destroy(&fake->mutex);
	buf_fini(&fake->seen);
}

bool fake_upstream_saw(struct fake_upstream *fake, const char *text)
{
	(void)pthread_mutex_lock(&fake->mutex);
	bool saw = fake->seen.len > 0 &&
		   memmem(fake->seen.bytes, fake->seen.len, text, strlen(text)) != NULL;
	(void)pthread_mutex_unlock(&fake->mutex);
	return saw;
}

void fake_upstream_go_on(struct fake_upstream *fake)
{
	must(write(fake->gate[1], "", 1) == 1, "gate");
}

void fake_upstream_turn(
    struct fake_upstream *fake, const struct fake_answer *answers, size_t answers_len)
{
	(void)pthread_mutex_lock(&fake->mutex);
	fake->answers = answers;
	fake->answers_len = answers_len;
	buf_reset(&fake->seen);
	(void)pthread_mutex_unlock(&fake->mutex);
	atomic_store(&fake->connections, 0);
	atomic_store(&fake->left, 0);
}
