/* The listener's life: sockets, the library's daemon, start and stop. */
#include "gateway/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "gateway/guard.h"
#include "gateway/http_internal.h"
#include "gateway/station.h"

#define BACKLOG 256
#define CONNECTION_BYTES ((size_t)128 << 10) /* head and read buffer of one */
#define CONTROL_CONNECTIONS_MAX 16
#define CLOSE_LOOK_NS (5 * NS_PER_MS)
#define PATH_BYTES_MAX 4096
#define TLS_PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

static enum rc listen_tcp(struct http *http, struct errmsg *why)
{
	const char *host = http->config.host;
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	struct sockaddr_in four = { .sin_family = AF_INET };
	struct sockaddr *address = (struct sockaddr *)&four;
	socklen_t len = sizeof(four);
	int yes = 1;

	if (http->config.tls_key == NULL && !guard_loopback(host))
		return errmsg_rc(
		    why, RC_CONFIG, "listen: %s is beyond loopback and needs TLS", host);
	if (strcmp(host, "localhost") == 0)
		host = "127.0.0.1";
	four.sin_port = htons(http->config.port);
	six.sin6_port = htons(http->config.port);
	if (inet_pton(AF_INET, host, &four.sin_addr) != 1) {
		if (inet_pton(AF_INET6, host, &six.sin6_addr) != 1)
			return errmsg_rc(why, RC_CONFIG, "listen: %s is no address", host);
		address = (struct sockaddr *)&six;
		len = sizeof(six);
	}
	http->listen_fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (http->listen_fd < 0)
		return errmsg_errno(why, "listen: no socket");
	(void)setsockopt(http->listen_fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(http->listen_fd, address, len) != 0) {
		if (errno == EADDRINUSE)
			return errmsg_rc(why, RC_BUSY, "listen: port %u of %s is taken",
			    http->config.port, host);
		return errmsg_errno(why, "listen: cannot bind to %s", host);
	}
	if (listen(http->listen_fd, BACKLOG) != 0 ||
	    getsockname(http->listen_fd, address, &len) != 0)
		return errmsg_errno(why, "listen: %s", host);
	http->port = ntohs(address->sa_family == AF_INET ? four.sin_port : six.sin6_port);
	return RC_OK;
}

/* Bind in the directory's own descriptor when the path is too long for the
 * address; the socket gets its mode before it has a name. */
static enum rc listen_unix(struct http *http, struct errmsg *why)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = http->config.control_path;
	char copy[PATH_BYTES_MAX];
	int dir_fd = -1;
	enum rc rc = RC_OK;

	size_t len = strlen(path);
	if (len >= sizeof(copy))
		return errmsg_rc(why, RC_CONFIG, "control socket: the path is too long");
	if (len < sizeof(address.sun_path)) {
		memcpy(address.sun_path, path, len + 1);
	} else {
		memcpy(copy, path, len + 1);
		char *slash = strrchr(copy, '/');
		if (slash == NULL || strlen(slash) > 64)
			return errmsg_rc(why, RC_CONFIG, "control socket: the name is too long");
		*slash = 0;
		dir_fd = open(copy, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (dir_fd < 0)
			return errmsg_errno(why, "control socket: %s", copy);
		(void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%.64s",
		    dir_fd, slash + 1);
	}
	http->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (http->listen_fd < 0 || fchmod(http->listen_fd, 0600) != 0) {
		rc = errmsg_errno(why, "control socket");
		goto out;
	}
	(void)unlink(address.sun_path);
	if (bind(http->listen_fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    chmod(address.sun_path, 0600) != 0 || listen(http->listen_fd, BACKLOG) != 0)
		rc = errmsg_errno(why, "control socket: %s", path);
out:
	if (dir_fd >= 0)
		(void)close(dir_fd);
	return rc;
}

static void fill_defaults(struct http_config *c)
{
	if (c->connections_max <= 0)
		c->connections_max =
		    c->control_path != NULL ? CONTROL_CONNECTIONS_MAX : HTTP_CONNECTIONS_MAX;
	if (c->body_bytes_max == 0)
		c->body_bytes_max = HTTP_BODY_BYTES_MAX;
	if (c->idle_s <= 0)
		c->idle_s = 30;
	if (c->head_s <= 0)
		c->head_s = 60;
	if (c->body_s <= 0)
		c->body_s = 300;
	if (c->handle == NULL)
		c->handle = api_handle;
}

static enum rc start_daemon(struct http *http, struct errmsg *why)
{
	const struct http_config *c = &http->config;
	unsigned flags = MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_ITC;
	/* Without TLS the list ends before it begins. */
	struct MHD_OptionItem tls[] = {
		{ c->tls_key != NULL ? MHD_OPTION_HTTPS_MEM_KEY : MHD_OPTION_END, 0,
		    (void *)(uintptr_t)c->tls_key },
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)c->tls_cert },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_PRIORITIES },
		{ MHD_OPTION_END, 0, NULL },
	};

	if (c->tls_key != NULL && MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
		return errmsg_rc(why, RC_CONFIG, "this libmicrohttpd was built without TLS");
	http->daemon = MHD_start_daemon(c->tls_key != NULL ? flags | MHD_USE_TLS : flags, 0, NULL,
	    NULL, http_request_step, http, MHD_OPTION_ARRAY, tls, MHD_OPTION_LISTEN_SOCKET,
	    http->listen_fd, MHD_OPTION_CONNECTION_LIMIT,
	    (unsigned int)(c->connections_max + HTTP_CONNECTIONS_RESERVE),
	    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)c->idle_s,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1,
	    MHD_OPTION_URI_LOG_CALLBACK, http_request_begin, http, MHD_OPTION_NOTIFY_COMPLETED,
	    http_request_end, http, MHD_OPTION_NOTIFY_CONNECTION, http_watch_notify, http,
	    MHD_OPTION_END);
	if (http->daemon == NULL)
		return errmsg_rc(why, RC_IO, "the HTTP listener does not start");
	return RC_OK;
}

enum rc http_open(const struct http_config *config, struct http **out, struct errmsg *why)
{
	struct http *http = calloc(1, sizeof(*http));

	if (http == NULL)
		return RC_NOMEM;
	http->config = *config;
	http->listen_fd = -1;
	fill_defaults(&http->config);
	enum rc rc = http_watch_start(http, why);
	if (rc == RC_OK)
		rc = config->control_path != NULL ? listen_unix(http, why) : listen_tcp(http, why);
	if (rc == RC_OK)
		rc = start_daemon(http, why);
	if (rc != RC_OK) {
		http_close(http, 0);
		return rc;
	}
	*out = http;
	return RC_OK;
}

void http_close(struct http *http, int64_t grace_ns)
{
	if (http == NULL)
		return;
	if (http->daemon != NULL) {
		MHD_socket fd = MHD_quiesce_daemon(http->daemon);
		if (fd == MHD_INVALID_SOCKET)
			http->listen_fd = -1;
		int64_t until = clock_mono_ns() + grace_ns;
		while (atomic_load(&http->requests) > 0 && clock_mono_ns() < until) {
			struct timespec pause = { .tv_nsec = CLOSE_LOOK_NS };
			(void)nanosleep(&pause, NULL);
		}
		atomic_store(&http->stopping, true);
		MHD_stop_daemon(http->daemon);
	}
	if (http->listen_fd >= 0)
		(void)close(http->listen_fd);
	if (http->config.control_path != NULL)
		(void)unlink(http->config.control_path);
	http_watch_end(http);
	free(http);
}

uint16_t http_port(const struct http *http)
{
	return http->port;
}

int http_connections(const struct http *http)
{
	return atomic_load(&http->connections);
}
