/*
 * Serves the files of a directory over HTTP/1.1 on loopback, for tests of the
 * downloader: one connection after the other, until it is killed.
 *
 *   common_file_server DIRECTORY [--cut BYTES] [--no-range]
 *
 * Prints its port on a line.  --cut: every answer breaks off after so many
 * bytes of content.  --no-range: `Range` is ignored, as simple servers do.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"

#define REQUEST_BYTES_MAX ((size_t)16 << 10)
#define PATH_BYTES_MAX 512

struct values {
	int64_t cut;
	bool no_range;
};

static const struct conf_option options[] = {
	{ "cut", 0, CONF_INT, offsetof(struct values, cut), "BYTES", "0", 0, 1e15, false,
	    "break every answer off after so many bytes; 0: never" },
	{ "no-range", 0, CONF_BOOL, offsetof(struct values, no_range), NULL, "false", 0, 0, false,
	    "ignore Range" },
	{ .name = NULL },
};
static const struct conf_command command = { "", "DIRECTORY", 1, 1, "Serves files.", NULL,
	options };

/* The request's head, up to the blank line. */
static bool read_head(int fd, char *head)
{
	size_t len = 0;

	while (len < REQUEST_BYTES_MAX - 1) {
		ssize_t n = read(fd, head + len, REQUEST_BYTES_MAX - 1 - len);
		if (n <= 0)
			return false;
		len += (size_t)n;
		head[len] = '\0';
		if (strstr(head, "\r\n\r\n") != NULL)
			return true;
	}
	return false;
}

static void answer_status(int fd, const char *status)
{
	(void)dprintf(fd, "HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status);
}

static void send_content(int out, int file, off_t from, off_t to, int64_t cut)
{
	char block[65536];

	if (cut > 0 && to - from > cut)
		to = from + cut;
	while (from < to) {
		size_t want =
		    to - from < (off_t)sizeof(block) ? (size_t)(to - from) : sizeof(block);
		ssize_t n = pread(file, block, want, from);
		if (n <= 0 || write(out, block, (size_t)n) != n)
			return;
		from += n;
	}
}

static void answer_file(
    int fd, const char *path, bool head_only, const char *range, const struct values *values)
{
	long long from = 0;
	struct stat st;
	int file = open(path, O_RDONLY | O_CLOEXEC);

	if (file < 0 || fstat(file, &st) != 0 || !S_ISREG(st.st_mode)) {
		answer_status(fd, "404 Not Found");
		if (file >= 0)
			(void)close(file);
		return;
	}
	if (range != NULL && !values->no_range)
		from = strtoll(range, NULL, 10);
	if (from > 0 && from >= st.st_size) {
		answer_status(fd, "416 Range Not Satisfiable");
	} else {
		(void)dprintf(fd, "HTTP/1.1 %s\r\nContent-Length: %lld\r\n",
		    from > 0 ? "206 Partial Content" : "200 OK", (long long)st.st_size - from);
		if (from > 0)
			(void)dprintf(fd, "Content-Range: bytes %lld-%lld/%lld\r\n", from,
			    (long long)st.st_size - 1, (long long)st.st_size);
		(void)dprintf(fd, "Connection: close\r\n\r\n");
		if (!head_only)
			send_content(fd, file, from, st.st_size, values->cut);
	}
	(void)close(file);
}

static void serve_one(int fd, const char *dir, const struct values *values)
{
	static char head[REQUEST_BYTES_MAX];
	char path[PATH_BYTES_MAX];

	if (!read_head(fd, head))
		return;
	bool head_only = strncmp(head, "HEAD ", 5) == 0;
	if (!head_only && strncmp(head, "GET ", 4) != 0) {
		answer_status(fd, "405 Method Not Allowed");
		return;
	}
	const char *target = strchr(head, ' ') + 1;
	int len = (int)strcspn(target, " ?\r");
	if (snprintf(path, sizeof(path), "%s%.*s", dir, len, target) >= (int)sizeof(path) ||
	    strstr(path, "..") != NULL) {
		answer_status(fd, "400 Bad Request");
		return;
	}
	const char *range = strstr(head, "Range: bytes=");
	answer_file(fd, path, head_only, range != NULL ? range + 13 : NULL, values);
}

static int listen_on_loopback(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, 16) != 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) != 0)
		return -1;
	(void)printf("%d\n", ntohs(address.sin_port));
	(void)fflush(stdout);
	return fd;
}

int main(int argc, char **argv)
{
	struct values values = { 0 };
	struct conf_argv rest;
	struct errmsg why = ERRMSG_INIT;
	struct arena arena;

	arena_init(&arena, (size_t)1 << 16);
	enum rc rc = conf_defaults(&command, &values, &arena, &why);
	if (rc == RC_OK)
		rc = conf_parse_argv(&command, argc - 1, argv + 1, &values, &rest, &arena, &why);
	if (rc != RC_OK) {
		(void)fprintf(stderr, "%s\n", errmsg_text(&why, rc));
		return EXIT_USAGE;
	}
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	(void)sigaction(SIGPIPE, &ignore, NULL); /* a client that hangs up is no reason to end */
	int listener = listen_on_loopback();
	if (listener < 0) {
		perror("cannot listen");
		return EXIT_FAILED;
	}
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		if (fd < 0)
			continue;
		serve_one(fd, rest.args[0], &values);
		(void)close(fd);
	}
}
