/* Requests to a serving node (libcurl over its socket) or to one opened here. */
#include "cli/control_client.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "answer/pool.h"
#include "base/clock.h"
#include "gateway/api.h"
#include "gateway/http.h"
#include "gateway/station.h"
#include "gateway/target.h"
#include "os/process.h"

#define SOCKET_NAME "control.sock"
#define BUSY_WAIT_NS (10 * NS_PER_S)
#define BUSY_LOOK_NS (50 * NS_PER_MS)
#define DIAL_WAIT_NS (3 * NS_PER_S)
#define LIST_ARENA_BYTES ((size_t)4 << 20)
#define PULL_BYTES ((size_t)64 << 10)
#define URL_BYTES_MAX (TARGET_BYTES_MAX + 64)

struct control_client {
	char socket_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int dir_fd;
	CURL *curl;              /* a node serves */
	struct station *station; /* or it is opened here */
};

/* A path that fits the address, through the directory's descriptor if needed. */
static enum rc find_socket(struct control_client *c, const char *dir, struct errmsg *why)
{
	size_t max = sizeof(c->socket_path);

	if ((size_t)snprintf(c->socket_path, max, "%s/" SOCKET_NAME, dir) < max)
		return RC_OK;
	c->dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (c->dir_fd < 0)
		return errmsg_errno(why, "cannot open %s", dir);
	(void)snprintf(c->socket_path, max, "/proc/self/fd/%d/" SOCKET_NAME, c->dir_fd);
	return RC_OK;
}

static bool is_served(const struct control_client *c)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memcpy(address.sun_path, c->socket_path, sizeof(address.sun_path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	bool ok = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	(void)close(fd);
	return ok;
}

/* Links that were dialled a moment ago get a moment to come up. */
static void await_compute(struct station *station)
{
	struct pool_node *nodes = NULL;
	struct arena arena;
	size_t len = 0;

	if (station_pool(station) == NULL)
		return;
	arena_init(&arena, LIST_ARENA_BYTES);
	if (pool_list(station_pool(station), &arena, &nodes, &len) == RC_OK && len > 0)
		(void)pool_wait(station_pool(station), NULL, DIAL_WAIT_NS);
	arena_fini(&arena);
}

/*
 * The serving node, or the directory itself.  Another command that has it open
 * for a moment, or a node that is about to serve, is waited for.
 */
static enum rc reach(struct control_client *c, const char *dir, unsigned parts, struct errmsg *why)
{
	struct station_config config = { .dir = dir, .parts = parts };
	int64_t until = clock_mono_ns() + BUSY_WAIT_NS;

	for (;;) {
		struct timespec pause = { .tv_nsec = BUSY_LOOK_NS };
		struct errmsg deep = ERRMSG_INIT;
		if (is_served(c)) {
			c->curl = curl_easy_init();
			return c->curl != NULL ? RC_OK : RC_NOMEM;
		}
		enum rc rc = station_open(&config, &c->station, &deep);
		if (rc == RC_OK)
			await_compute(c->station);
		if (rc != RC_BUSY || clock_mono_ns() > until)
			return rc == RC_OK ? rc : errmsg_rc(why, rc, "%s", errmsg_text(&deep, rc));
		(void)nanosleep(&pause, NULL);
	}
}

enum rc control_client_open(
    const char *dir, unsigned parts, struct control_client **out, struct errmsg *why)
{
	struct control_client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return RC_NOMEM;
	c->dir_fd = -1;
	enum rc rc = access(dir, F_OK) == 0
			 ? find_socket(c, dir, why)
			 : errmsg_rc(why, RC_CONFIG,
			       "%s is not there: run `data-node init --dir %s` first", dir, dir);
	if (rc == RC_OK)
		rc = reach(c, dir, parts, why);
	if (rc != RC_OK) {
		control_client_close(c);
		return rc;
	}
	*out = c;
	return RC_OK;
}

void control_client_close(struct control_client *c)
{
	if (c == NULL)
		return;
	station_close(c->station);
	if (c->curl != NULL)
		curl_easy_cleanup(c->curl);
	if (c->dir_fd >= 0)
		(void)close(c->dir_fd);
	free(c);
}

bool control_client_serving(const struct control_client *c)
{
	return c->curl != NULL;
}

void control_client_done(struct control_client_call *call)
{
	buf_fini(&call->answer);
}

/* One piece of the answer: to the sink if all is well, else kept. */
static bool take(struct control_client_call *call, const char *bytes, size_t len)
{
	if (call->sink != NULL && call->status >= 200 && call->status < 300)
		return call->sink(call->sink_ctx, bytes, len);
	buf_append(&call->answer, bytes, len);
	return buf_rc(&call->answer) == RC_OK;
}

/* ---- a serving node ------------------------------------------------------------- */

struct transfer {
	CURL *curl;
	struct control_client_call *call;
	bool refused;
};

static size_t on_bytes(char *bytes, size_t size, size_t n, void *ctx)
{
	struct transfer *t = ctx;
	long status = 0;

	(void)curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
	t->call->status = (int)status;
	if (take(t->call, bytes, size * n))
		return size * n;
	t->refused = true;
	return 0;
}

static enum rc set_up(struct control_client *c, struct transfer *t, const char *url,
    struct curl_slist *headers, struct errmsg *why)
{
	struct control_client_call *call = t->call;
	CURL *h = c->curl;
	int bad = 0;

	curl_easy_reset(h);
	bad |= curl_easy_setopt(h, CURLOPT_URL, url) != CURLE_OK;
	bad |= curl_easy_setopt(h, CURLOPT_UNIX_SOCKET_PATH, c->socket_path) != CURLE_OK;
	bad |= curl_easy_setopt(h, CURLOPT_PROXY, "") != CURLE_OK;
	bad |= curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, call->method) != CURLE_OK;
	bad |= curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers) != CURLE_OK;
	bad |= curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_bytes) != CURLE_OK;
	bad |= curl_easy_setopt(h, CURLOPT_WRITEDATA, t) != CURLE_OK;
	if (call->body != NULL) {
		bad |= curl_easy_setopt(h, CURLOPT_POSTFIELDS, call->body) != CURLE_OK;
		bad |= curl_easy_setopt(
			   h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_len) != CURLE_OK;
	}
	return bad ? errmsg_rc(why, RC_UNSUPPORTED, "libcurl cannot use a Unix socket") : RC_OK;
}

static enum rc send_served(
    struct control_client *c, struct control_client_call *call, struct errmsg *why)
{
	struct transfer t = { .curl = c->curl, .call = call };
	struct curl_slist *headers = NULL;
	long status = 0;

	char *url = malloc(URL_BYTES_MAX);
	if (url == NULL)
		return RC_NOMEM;
	(void)snprintf(url, URL_BYTES_MAX, "http://localhost%s", call->target);
	/* The socket is local: waiting for "100 Continue" would only cost time. */
	headers = curl_slist_append(headers, "Expect:");
	struct curl_slist *more = curl_slist_append(headers, "Content-Type: application/json");
	if (more != NULL)
		headers = more;
	enum rc rc = set_up(c, &t, url, headers, why);
	if (rc != RC_OK)
		goto out;
	CURLcode code = curl_easy_perform(c->curl);
	(void)curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	call->status = (int)status;
	if (t.refused)
		rc = RC_CANCELLED;
	else if (code != CURLE_OK)
		rc = errmsg_rc(why, RC_CLOSED, "the node broke off: %s", curl_easy_strerror(code));
out:
	curl_slist_free_all(headers);
	free(url);
	return rc;
}

/* ---- a station of our own --------------------------------------------------------- */

static bool stopped(void *ctx)
{
	(void)ctx;
	return process_stopping();
}

static enum rc read_all(
    struct api_response *response, struct control_client_call *call, struct errmsg *why)
{
	if (response->pull == NULL)
		return response->body.len == 0 ||
			       take(call, buf_text(&response->body), response->body.len)
			   ? RC_OK
			   : RC_CANCELLED;
	char *bytes = malloc(PULL_BYTES);
	if (bytes == NULL)
		return RC_NOMEM;
	enum rc rc = RC_OK;
	for (;;) {
		long n = response->pull(response->pull_ctx, bytes, PULL_BYTES);
		if (n == API_PULL_END)
			break;
		if (n == API_PULL_FAIL)
			rc = errmsg_rc(why, RC_CLOSED, "the answer broke off");
		else if (stopped(NULL) || (n > 0 && !take(call, bytes, (size_t)n)))
			rc = RC_CANCELLED;
		if (rc != RC_OK)
			break;
	}
	free(bytes);
	return rc;
}

static enum rc send_here(
    struct control_client *c, struct control_client_call *call, struct errmsg *why)
{
	struct api_request request = { .method = call->method,
		.body = call->body != NULL ? call->body : "",
		.body_len = call->body_len,
		.peer = API_PEER_CONTROL,
		.gone = stopped };
	struct api_response response;
	struct arena arena;

	arena_init(&arena, HTTP_ARENA_BYTES_MAX);
	api_response_init(&response);
	enum rc rc = target_parse(call->target, &arena, &request, why);
	if (rc == RC_OK) {
		api_handle(c->station, &request, &arena, &response);
		call->status = response.status;
		rc = read_all(&response, call, why);
	}
	api_response_fini(&response);
	arena_fini(&arena);
	return rc;
}

enum rc control_client_send(
    struct control_client *c, struct control_client_call *call, struct errmsg *why)
{
	call->status = 0;
	buf_init(&call->answer, CONTROL_CLIENT_BODY_BYTES_MAX);
	if (strlen(call->target) > TARGET_BYTES_MAX)
		return errmsg_rc(why, RC_LIMIT, "the request is too long");
	return c->curl != NULL ? send_served(c, call, why) : send_here(c, call, why);
}

static enum rc rc_of_status(int status)
{
	switch (status) {
	case 400:
	case 405:
	case 409:
	case 413:
		return RC_INVALID;
	case 401:
	case 403:
		return RC_DENIED;
	case 404:
		return RC_NOTFOUND;
	case 503:
		return RC_UNAVAILABLE;
	case 504:
		return RC_TIMEOUT;
	case 507:
		return RC_FULL;
	default:
		return RC_IO;
	}
}

enum rc control_client_check(const struct control_client_call *call, struct errmsg *why)
{
	if (call->status >= 200 && call->status < 300)
		return RC_OK;
	json_t *root = json_loadb(buf_text(&call->answer), call->answer.len, 0, NULL);
	const json_t *error = json_object_get(root, "error");
	const char *message = json_string_value(json_object_get(error, "message"));
	const char *param = json_string_value(json_object_get(error, "param"));
	if (message == NULL)
		errmsg_set(why, "the node answered %d", call->status);
	else if (param != NULL && strncmp(message, param, strlen(param)) != 0)
		errmsg_set(why, "%s: %s", param, message);
	else
		errmsg_set(why, "%s", message);
	json_decref(root);
	return rc_of_status(call->status);
}

enum rc control_client_act(struct control_client *client, const char *method, const char *path,
    const char *name, struct errmsg *why)
{
	struct control_client_call call = { .method = method };
	struct buf target;

	buf_init(&target, TARGET_BYTES_MAX);
	buf_puts(&target, path);
	target_escape(&target, name);
	enum rc rc = buf_rc(&target);
	call.target = buf_text(&target);
	if (rc == RC_OK)
		rc = control_client_send(client, &call, why);
	if (rc == RC_OK)
		rc = control_client_check(&call, why);
	control_client_done(&call);
	buf_fini(&target);
	return rc;
}
