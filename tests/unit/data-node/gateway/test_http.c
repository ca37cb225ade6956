/*
 * The listener on real sockets: refusals, limits, slow and vanishing clients,
 * streams, stop.  A handler of the test's own stands behind it.
 */
#include "gateway_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "gateway/http.h"
#include "os/file.h"

#define DEADLINE_NS (20 * NS_PER_S)
#define REPLY_BYTES ((size_t)1 << 20)

static struct fixture fx;
static struct http *http;
static atomic_int pulls_open, pulls_freed, works_gone, works_running;

static void nap(void)
{
	struct timespec t = { .tv_nsec = 2 * NS_PER_MS };

	(void)nanosleep(&t, NULL);
}

#define WAIT_FOR(condition)                                                                        \
	do {                                                                                       \
		int64_t wait_until = clock_mono_ns() + DEADLINE_NS;                                \
		while (!(condition) && clock_mono_ns() < wait_until)                               \
			nap();                                                                     \
		assert_true(condition);                                                            \
	} while (0)

/* ---- the handler behind the listener ---------------------------------------------- */

struct ticks {
	int left;
	int64_t every_ns, next_ns;
};

/* "tick\n" so often, with nothing in between. */
static long tick(void *ctx, char *out, size_t max)
{
	struct ticks *t = ctx;

	if (t->left == 0)
		return API_PULL_END;
	if (clock_mono_ns() < t->next_ns) {
		nap();
		return 0;
	}
	t->left--;
	t->next_ns = clock_mono_ns() + t->every_ns;
	assert_true(max >= 5);
	memcpy(out, "tick\n", 5);
	return 5;
}

static void tick_free(void *ctx)
{
	free(ctx);
	atomic_fetch_add(&pulls_freed, 1);
}

static void stream(struct api_response *response, int n, int64_t every_ns)
{
	struct ticks *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	t->left = n;
	t->every_ns = every_ns;
	response->content_type = "text/event-stream";
	response->pull = tick;
	response->pull_ctx = t;
	response->pull_free = tick_free;
	atomic_fetch_add(&pulls_open, 1);
}

static void handle(struct station *station, const struct api_request *request, struct arena *arena,
    struct api_response *response)
{
	int64_t begun = clock_mono_ns();

	if (strcmp(request->path, "/echo") == 0) {
		buf_append(&response->body, request->body, request->body_len);
	} else if (strcmp(request->path, "/stream") == 0) {
		stream(response, 3, 0);
	} else if (strcmp(request->path, "/endless") == 0) {
		stream(response, -1, 10 * NS_PER_MS);
	} else if (strcmp(request->path, "/rare") == 0) {
		stream(response, 2, 1500 * NS_PER_MS);
	} else if (strcmp(request->path, "/long") == 0) {
		while (clock_mono_ns() - begun < 1500 * NS_PER_MS)
			nap();
		buf_puts(&response->body, "\"done\"");
	} else if (strcmp(request->path, "/until-gone") == 0) {
		atomic_fetch_add(&works_running, 1);
		while (!api_gone(request) && clock_mono_ns() - begun < DEADLINE_NS)
			nap();
		atomic_fetch_add(&works_gone, api_gone(request));
	} else {
		api_handle(station, request, arena, response);
	}
}

/* ---- a client of few words --------------------------------------------------------- */

static int dial(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(http_port(http)) };
	struct timeval limit = { .tv_sec = 20 };

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* False if the peer closed first. */
static bool put(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

/* Everything until the peer closes; NUL-terminated; the caller frees. */
static char *get_all(int fd)
{
	char *reply = calloc(1, REPLY_BYTES);
	size_t len = 0;

	assert_non_null(reply);
	for (;;) {
		ssize_t n = recv(fd, reply + len, REPLY_BYTES - 1 - len, 0);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	return reply;
}

static int status_of(const char *reply)
{
	return strncmp(reply, "HTTP/1.1 ", 9) == 0 ? (int)strtol(reply + 9, NULL, 10) : 0;
}

/* One request with the owner's token; the whole reply. */
static char *ask(
    const char *method, const char *target, const char *extra, const char *body, size_t body_len)
{
	char head[2048];

	(void)snprintf(head, sizeof(head),
	    "%s %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n%s"
	    "Content-Length: %zu\r\nConnection: close\r\n\r\n",
	    method, target, fx.created.owner_token, extra, body_len);
	int fd = dial();
	assert_true(put(fd, head, strlen(head)));
	(void)put(fd, body, body_len);
	char *reply = get_all(fd);
	(void)close(fd);
	return reply;
}

static void expect(
    const char *method, const char *target, const char *extra, int status, const char *text)
{
	char *reply = ask(method, target, extra, "", 0);

	assert_int_equal(status_of(reply), status);
	if (text != NULL && strstr(reply, text) == NULL)
		fail_msg("%s %s: no %s in the reply", method, target, text);
	assert_non_null(strstr(reply, "X-Request-Id: "));
	free(reply);
}

static void listen_with(struct http_config config)
{
	config.station = fx.station;
	config.host = "127.0.0.1";
	config.handle = handle;
	PASS(http_open(&config, &http, &pass_why));
}

static int setup(void **state)
{
	(void)state;
	fixture_init(&fx, 0);
	listen_with((struct http_config){ .idle_s = 1 });
	atomic_store(&pulls_open, 0);
	atomic_store(&pulls_freed, 0);
	atomic_store(&works_gone, 0);
	atomic_store(&works_running, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	http_close(http, 0);
	http = NULL;
	assert_int_equal(atomic_load(&pulls_open), atomic_load(&pulls_freed));
	fixture_fini(&fx);
	return 0;
}

/* ---- tests --------------------------------------------------------------------------- */

static void test_a_token_a_host_and_an_origin_are_asked_for(void **state)
{
	static const struct {
		const char *head;
		int status;
	} cases[] = {
		{ "GET /healthz HTTP/1.1\r\nHost: localhost\r\n", 200 },
		{ "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:8420\r\n", 200 },
		{ "GET /healthz HTTP/1.1\r\nHost: evil.com\r\n", 403 },
		{ "GET /healthz HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.com\r\n", 403 },
		{ "GET /healthz HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n", 403 },
		{ "GET /healthz HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n", 200 },
		{ "GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n", 401 },
		{ "GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n",
		    401 },
		{ "GET /nowhere HTTP/1.1\r\nHost: localhost\r\n", 401 },
		{ "GET /healthz HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n", 200 },
		{ "GET /healthz HTTP/1.0\r\n", 403 },
		{ "GET /%zz HTTP/1.1\r\nHost: localhost\r\n", 400 },
		{ "GET /healthz?a=1&a=2 HTTP/1.1\r\nHost: localhost\r\n", 400 },
		{ "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n", 401 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int fd = dial();
		assert_true(put(fd, cases[i].head, strlen(cases[i].head)));
		assert_true(put(fd, "Connection: close\r\n\r\n[]", 23));
		char *reply = get_all(fd);
		if (status_of(reply) != cases[i].status)
			fail_msg("case %zu gave %d, not %d", i, status_of(reply), cases[i].status);
		if (cases[i].status >= 400)
			assert_non_null(strstr(reply, "{\"error\":{\"message\":"));
		if (cases[i].status == 401)
			assert_non_null(strstr(reply, "WWW-Authenticate: Bearer"));
		free(reply);
		(void)close(fd);
	}
	expect("GET", "/api/v1/status", "", 200, "\"version\"");
	expect("HEAD", "/api/v1/status", "", 200, NULL);
	expect("GET", "/nowhere", "", 404, "not_found");
}

static void test_bodies_over_the_limit_are_413_however_they_are_sent(void **state)
{
	static const size_t limit = 100000;
	char chunk[4096 + 8];

	(void)state;
	http_close(http, 0);
	listen_with((struct http_config){ .body_bytes_max = limit });
	char *body = calloc(1, limit + 1);
	assert_non_null(body);
	memset(body, 'x', limit + 1);
	char *reply = ask("POST", "/echo", "", body, limit);
	assert_int_equal(status_of(reply), 200);
	free(reply);
	reply = ask("POST", "/echo", "", body, limit + 1);
	assert_int_equal(status_of(reply), 413);
	assert_non_null(strstr(reply, "body_too_large"));
	free(reply);
	free(body);
	/* Chunked: the length is not announced. */
	int fd = dial();
	(void)snprintf(chunk, sizeof(chunk),
	    "POST /echo HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
	    "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
	    fx.created.owner_token);
	assert_true(put(fd, chunk, strlen(chunk)));
	memset(chunk, 'x', sizeof(chunk));
	memcpy(chunk, "1000\r\n", 6);
	memcpy(chunk + 6 + 4096, "\r\n", 2);
	for (size_t i = 0; i < limit / 4096 + 2; i++)
		assert_true(put(fd, chunk, 6 + 4096 + 2));
	assert_true(put(fd, "0\r\n\r\n", 5));
	reply = get_all(fd);
	assert_int_equal(status_of(reply), 413);
	free(reply);
	(void)close(fd);
}

static void *echo_client(void *ctx)
{
	int id = *(int *)ctx;

	for (int i = 0; i < 20; i++) {
		char body[64];
		(void)snprintf(body, sizeof(body), "client %d request %d.", id, i);
		char *reply = ask("POST", "/echo", "", body, strlen(body));
		if (status_of(reply) != 200 || strstr(reply, body) == NULL) {
			free(reply);
			return (void *)"wrong";
		}
		free(reply);
	}
	return NULL;
}

static void test_many_clients_each_get_their_own_answer(void **state)
{
	pthread_t threads[16];
	int ids[16];

	(void)state;
	for (int i = 0; i < 16; i++) {
		ids[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, echo_client, &ids[i]), 0);
	}
	for (int i = 0; i < 16; i++) {
		void *wrong = NULL;
		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
}

static int open_request(const char *target)
{
	char head[512];

	(void)snprintf(head, sizeof(head),
	    "GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", target,
	    fx.created.owner_token);
	int fd = dial();
	assert_true(put(fd, head, strlen(head)));
	return fd;
}

static void test_requests_over_the_limit_are_told_and_recover(void **state)
{
	int held[3];

	(void)state;
	http_close(http, 0);
	listen_with((struct http_config){ .connections_max = 3, .idle_s = 20 });
	for (int i = 0; i < 3; i++)
		held[i] = open_request("/until-gone");
	WAIT_FOR(atomic_load(&works_running) == 3);
	char *reply = ask("GET", "/healthz", "", "", 0);
	assert_int_equal(status_of(reply), 503);
	assert_non_null(strstr(reply, "too_many_requests"));
	assert_non_null(strstr(reply, "Retry-After: "));
	free(reply);
	for (int i = 0; i < 3; i++)
		(void)close(held[i]);
	WAIT_FOR(http_connections(http) == 0);
	expect("GET", "/healthz", "", 200, NULL);
}

static void test_idle_connections_make_room_for_those_that_ask(void **state)
{
	int held[60];

	(void)state;
	http_close(http, 0);
	listen_with((struct http_config){ .connections_max = 3, .idle_s = 20 });
	/* Far over the limit, and the next one is answered all the same. */
	for (int i = 0; i < 60; i++)
		held[i] = dial();
	expect("GET", "/healthz", "", 200, NULL);
	WAIT_FOR(http_connections(http) <= 3);
	for (int i = 0; i < 60; i++)
		(void)close(held[i]);
}

static void test_a_client_that_sends_drop_by_drop_is_cut_off(void **state)
{
	static const char head[] = "GET /healthz HTTP/1.1\r\nX-Slow: ";
	bool open = true;

	(void)state;
	http_close(http, 0);
	listen_with((struct http_config){ .head_s = 1, .idle_s = 20 });
	int fd = dial();
	assert_true(put(fd, head, strlen(head)));
	int64_t until = clock_mono_ns() + DEADLINE_NS;
	while (open && clock_mono_ns() < until) {
		struct pollfd p = { .fd = fd, .events = POLLIN | POLLRDHUP };
		open = put(fd, "x", 1) && poll(&p, 1, 100) == 0;
	}
	assert_false(open);
	(void)close(fd);
}

static void test_a_silent_client_is_cut_off(void **state)
{
	char byte;

	(void)state;
	int fd = dial(); /* idle_s is 1 */
	assert_true(put(fd, "GET /hea", 8));
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	(void)close(fd);
}

static void test_work_longer_than_the_idle_limit_is_still_answered(void **state)
{
	(void)state;
	expect("GET", "/long", "", 200, "\"done\"");
}

static void test_a_stream_with_pauses_longer_than_the_idle_limit_goes_on(void **state)
{
	(void)state;
	char *reply = ask("GET", "/rare", "", "", 0);
	assert_int_equal(status_of(reply), 200);
	const char *first = strstr(reply, "tick\n");
	assert_non_null(first);
	assert_non_null(strstr(first + 5, "tick\n"));
	assert_non_null(strstr(reply, "\r\n0\r\n\r\n")); /* ended, not broken off */
	free(reply);
}

static void test_a_client_that_leaves_a_stream_frees_it(void **state)
{
	char bytes[256];

	(void)state;
	int fd = open_request("/endless");
	assert_true(recv(fd, bytes, sizeof(bytes), 0) > 0);
	assert_int_equal(atomic_load(&pulls_freed), 0);
	(void)close(fd);
	WAIT_FOR(atomic_load(&pulls_freed) == 1);
}

static void test_a_client_that_leaves_during_work_is_noticed(void **state)
{
	(void)state;
	int fd = open_request("/until-gone");
	WAIT_FOR(atomic_load(&works_running) == 1);
	assert_int_equal(atomic_load(&works_gone), 0);
	(void)close(fd);
	WAIT_FOR(atomic_load(&works_gone) == 1);
	expect("GET", "/healthz", "", 200, NULL);
}

static void test_stopping_ends_streams_and_work(void **state)
{
	char bytes[256];

	(void)state;
	int a = open_request("/endless"), b = open_request("/until-gone");
	assert_true(recv(a, bytes, sizeof(bytes), 0) > 0);
	WAIT_FOR(atomic_load(&works_running) == 1);
	station_stop(fx.station);
	http_close(http, DEADLINE_NS);
	http = NULL;
	assert_int_equal(atomic_load(&pulls_freed), 1);
	assert_int_equal(atomic_load(&works_gone), 1);
	(void)close(a);
	(void)close(b);
}

static void test_requests_on_one_connection_follow_each_other(void **state)
{
	char head[512], bytes[2048];
	size_t seen = 0;

	(void)state;
	(void)snprintf(head, sizeof(head),
	    "POST /echo HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
	    "Content-Length: 4\r\n\r\n",
	    fx.created.owner_token);
	int fd = dial();
	for (int i = 0; i < 5; i++) {
		char body[5];
		(void)snprintf(body, sizeof(body), "b%03d", i);
		assert_true(put(fd, head, strlen(head)) && put(fd, body, 4));
		seen = 0;
		while (seen < sizeof(bytes) - 1) {
			ssize_t n = recv(fd, bytes + seen, sizeof(bytes) - 1 - seen, 0);
			assert_true(n > 0);
			seen += (size_t)n;
			bytes[seen] = 0;
			if (strstr(bytes, body) != NULL)
				break;
		}
		assert_int_equal(status_of(bytes), 200);
	}
	(void)close(fd);
}

static void test_only_loopback_is_listened_on(void **state)
{
	static const char *const hosts[] = { "0.0.0.0", "192.168.0.1", "::", "example.com", "" };
	struct http_config config = { .station = fx.station };
	struct http *other = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		config.host = hosts[i];
		assert_int_equal(http_open(&config, &other, NULL), RC_CONFIG);
	}
	config.host = "127.0.0.1";
	config.port = http_port(http);
	assert_int_equal(http_open(&config, &other, NULL), RC_BUSY);
}

/* ---- the control socket -------------------------------------------------------------- */

static char *ask_control(const char *path, const char *request)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	assert_true(strlen(path) < sizeof(a.sun_path));
	memcpy(a.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_true(put(fd, request, strlen(request)));
	char *reply = get_all(fd);
	(void)close(fd);
	return reply;
}

static void test_the_control_socket_needs_no_token_and_is_private(void **state)
{
	struct http_config config = { .station = fx.station };
	struct http *control = NULL;
	char path[512];
	struct stat st;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/control.sock", fx.dir);
	PASS(file_create(path, 0644, "stale", 5, &pass_why));
	config.control_path = path;
	PASS(http_open(&config, &control, &pass_why));
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
	char *reply = ask_control(
	    path, "GET /control/devices HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	assert_int_equal(status_of(reply), 200);
	assert_non_null(strstr(reply, "\"owner\""));
	free(reply);
	http_close(control, 0);
	assert_false(file_exists(path));
}

static void test_a_control_path_too_long_for_an_address_works(void **state)
{
	struct http_config config = { .station = fx.station };
	struct http *control = NULL;
	char dir[600], path[700];

	(void)state;
	(void)snprintf(dir, sizeof(dir),
	    "%s/a-directory-whose-name-is-so-long-that-no-address-of-a-unix-socket-can-hold-it-"
	    "and-then-some-more-of-it",
	    fx.dir);
	PASS(file_mkdir(dir, 0700, &pass_why));
	(void)snprintf(path, sizeof(path), "%s/control.sock", dir);
	config.control_path = path;
	PASS(http_open(&config, &control, &pass_why));
	assert_true(file_exists(path));
	http_close(control, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_token_a_host_and_an_origin_are_asked_for),
		TEST(test_bodies_over_the_limit_are_413_however_they_are_sent),
		TEST(test_many_clients_each_get_their_own_answer),
		TEST(test_requests_over_the_limit_are_told_and_recover),
		TEST(test_idle_connections_make_room_for_those_that_ask),
		TEST(test_a_client_that_sends_drop_by_drop_is_cut_off),
		TEST(test_a_silent_client_is_cut_off),
		TEST(test_work_longer_than_the_idle_limit_is_still_answered),
		TEST(test_a_stream_with_pauses_longer_than_the_idle_limit_goes_on),
		TEST(test_a_client_that_leaves_a_stream_frees_it),
		TEST(test_a_client_that_leaves_during_work_is_noticed),
		TEST(test_stopping_ends_streams_and_work),
		TEST(test_requests_on_one_connection_follow_each_other),
		TEST(test_only_loopback_is_listened_on),
		TEST(test_the_control_socket_needs_no_token_and_is_private),
		TEST(test_a_control_path_too_long_for_an_address_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
