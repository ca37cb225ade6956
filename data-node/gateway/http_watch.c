/*
 * Deadlines of connections: a client that sends its request drop by drop is
 * never silent, so the library's time-out does not catch it.  One thread looks
 * at all connections once a second.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"
#include "gateway/http_internal.h"
#include "os/process.h"

#define LOOK_EVERY_S 1
#define IDLE_SPARED_NS (500 * NS_PER_MS) /* a new client gets so long to speak */

void http_watch_phase(struct http_link *link, enum link_phase phase)
{
	if (link == NULL)
		return;
	(void)pthread_mutex_lock(&link->http->watch_mutex);
	link->phase = phase;
	link->since_ns = clock_mono_ns();
	(void)pthread_mutex_unlock(&link->http->watch_mutex);
}

static void add(struct http *http, struct MHD_Connection *connection, void **socket_context)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	atomic_fetch_add(&http->connections, 1);
	struct http_link *link = calloc(1, sizeof(*link));
	*socket_context = link;
	/* Without memory the connection is not watched, and its first request is
	 * refused for the same reason. */
	if (link == NULL)
		return;
	link->http = http;
	link->fd = info != NULL ? info->connect_fd : -1;
	link->since_ns = clock_mono_ns();
	(void)pthread_mutex_lock(&http->watch_mutex);
	link->next = http->links;
	if (link->next != NULL)
		link->next->prev = link;
	http->links = link;
	(void)pthread_mutex_unlock(&http->watch_mutex);
}

static void drop(struct http *http, struct http_link *link)
{
	atomic_fetch_sub(&http->connections, 1);
	if (link == NULL)
		return;
	(void)pthread_mutex_lock(&http->watch_mutex);
	if (link->prev != NULL)
		link->prev->next = link->next;
	else
		http->links = link->next;
	if (link->next != NULL)
		link->next->prev = link->prev;
	(void)pthread_mutex_unlock(&http->watch_mutex);
	free(link);
}

void http_watch_notify(void *cls, struct MHD_Connection *connection, void **socket_context,
    enum MHD_ConnectionNotificationCode code)
{
	struct http *http = cls;

	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		add(http, connection, socket_context);
	else
		drop(http, *socket_context);
}

/* Connections that ask for nothing make room, the longest idle first. */
static void make_room(struct http *http, int64_t now)
{
	int over = atomic_load(&http->connections) - http->config.connections_max;

	while (over-- > 0) {
		struct http_link *idle = NULL;
		for (struct http_link *l = http->links; l != NULL; l = l->next) {
			if (l->fd >= 0 && !l->cut && l->phase == LINK_HEAD &&
			    now - l->since_ns > IDLE_SPARED_NS &&
			    (idle == NULL || l->since_ns < idle->since_ns))
				idle = l;
		}
		if (idle == NULL)
			return;
		idle->cut = true;
		(void)shutdown(idle->fd, SHUT_RDWR);
	}
}

static void look(struct http *http)
{
	int64_t now = clock_mono_ns();

	make_room(http, now);
	for (struct http_link *l = http->links; l != NULL; l = l->next) {
		int64_t limit = l->phase == LINK_HEAD ? http->config.head_s : http->config.body_s;
		if (l->fd >= 0 && l->phase != LINK_ANSWER && now - l->since_ns > limit * NS_PER_S)
			(void)shutdown(l->fd, SHUT_RDWR);
	}
}

static void *watch_main(void *cls)
{
	struct http *http = cls;
	struct timespec until;

	process_name_thread("http-watch");
	(void)pthread_mutex_lock(&http->watch_mutex);
	while (!http->watch_stop) {
		(void)clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += LOOK_EVERY_S;
		int e = pthread_cond_timedwait(&http->watch_wake, &http->watch_mutex, &until);
		if (e == ETIMEDOUT)
			look(http);
	}
	(void)pthread_mutex_unlock(&http->watch_mutex);
	return NULL;
}

enum rc http_watch_start(struct http *http, struct errmsg *why)
{
	pthread_condattr_t attr;

	(void)pthread_mutex_init(&http->watch_mutex, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&http->watch_wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	if (pthread_create(&http->watch_thread, NULL, watch_main, http) != 0)
		return errmsg_rc(why, RC_NOMEM, "cannot start a thread");
	http->watch_running = true;
	return RC_OK;
}

void http_watch_end(struct http *http)
{
	if (http->watch_running) {
		(void)pthread_mutex_lock(&http->watch_mutex);
		http->watch_stop = true;
		(void)pthread_cond_signal(&http->watch_wake);
		(void)pthread_mutex_unlock(&http->watch_mutex);
		(void)pthread_join(http->watch_thread, NULL);
	}
	(void)pthread_cond_destroy(&http->watch_wake);
	(void)pthread_mutex_destroy(&http->watch_mutex);
}
