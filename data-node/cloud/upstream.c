/* Upstream: a transfer of libcurl, driven by whoever pulls. */
#include "cloud/upstream.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/wipe.h"
#include "cloud/reading.h"
#include "cloud/sse.h"

#define EVENT_BYTES_MAX ((size_t)4 << 20)
#define TRIES_MAX 2
#define KEY_FRONT_BYTES 8 /* of a key: so much of it is not told */

struct upstream {
	CURLM *multi;
	CURL *easy;
	struct curl_slist *headers;
	struct buf body;
	const char *key; /* within `headers`; NULL: none */
	int64_t idle_ns;
	char curl_error[CURL_ERROR_SIZE];

	bool (*again)(void *ctx);
	void *ctx;

	unsigned tries;
	bool sent;             /* of this try something went out */
	unsigned lost;         /* tries before it that may have been worked on */
	int64_t heard_mono_ns; /* when it last sent anything */
	struct sse sse;
	struct reading reading;
	enum rc reading_rc; /* of a chunk that cannot be read */
	struct buf refusal; /* the body of another status than 200 */
	bool started, over, logprobs_given;
	struct upstream_event last; /* once `over` */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void start_curl(void)
{
	/* Without it every handle fails, which is told. */
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* ---- what comes in ---- */

static bool on_event(void *ctx, const char *data)
{
	struct upstream *u = ctx;

	u->reading_rc = reading_push(&u->reading, data);
	return u->reading_rc == RC_OK;
}

static int status_of(const struct upstream *u)
{
	long status = 0;

	(void)curl_easy_getinfo(u->easy, CURLINFO_RESPONSE_CODE, &status);
	return (int)status;
}

static size_t on_bytes(char *bytes, size_t size, size_t n, void *ctx)
{
	struct upstream *u = ctx;

	(void)size;                /* is 1 */
	if (status_of(u) != 200) { /* and is waited for no longer than silence is */
		size_t room = UPSTREAM_ERROR_BYTES_MAX - u->refusal.len;
		buf_append(&u->refusal, bytes, n < room ? n : room);
		return n;
	}
	u->heard_mono_ns = clock_mono_ns();
	if (sse_push(&u->sse, bytes, n))
		return n;
	if (u->reading_rc == RC_OK)
		u->reading_rc = RC_LIMIT;
	return CURL_WRITEFUNC_ERROR;
}

static size_t on_header(char *bytes, size_t size, size_t n, void *ctx)
{
	struct upstream *u = ctx;

	(void)bytes;
	u->heard_mono_ns = clock_mono_ns();
	return size * n;
}

/* ---- asking ---- */

/* The connection stands, with TLS if it is to have that, and the request goes. */
static int on_request(void *ctx, char *to, char *from, int to_port, int from_port)
{
	struct upstream *u = ctx;

	(void)to;
	(void)from;
	(void)to_port;
	(void)from_port;
	u->sent = true;
	return CURL_PREREQFUNC_OK;
}

/* The key is held by libcurl until the headers go. */
static enum rc add_key(struct upstream *u, const char *key, struct errmsg *why)
{
	static const char front[] = "Authorization: Bearer ";
	char line[sizeof(front) + UPSTREAM_KEY_BYTES_MAX];

	if (key[0] == '\0')
		return RC_OK;
	if (strlen(key) > UPSTREAM_KEY_BYTES_MAX || strpbrk(key, "\r\n") != NULL)
		return errmsg_rc(why, RC_CONFIG, "the key of an upstream is no single short line");
	(void)snprintf(line, sizeof(line), "%s%s", front, key);
	struct curl_slist *more = curl_slist_append(u->headers, line);
	wipe(line, sizeof(line));
	if (more == NULL)
		return RC_NOMEM;
	u->headers = more;
	while (more->next != NULL)
		more = more->next;
	u->key = more->data + sizeof(front) - 1;
	return RC_OK;
}

static enum rc add_headers(struct upstream *u, const char *key, struct errmsg *why)
{
	static const char *const lines[] = { "Content-Type: application/json",
		"Accept: text/event-stream", "Expect:" };

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct curl_slist *more = curl_slist_append(u->headers, lines[i]);
		if (more == NULL)
			return RC_NOMEM;
		u->headers = more;
	}
	return add_key(u, key, why);
}

/* What is trusted: of the transport nothing that is not set here. */
static CURLcode set_trust(CURL *easy, const struct upstream_config *config)
{
	struct curl_blob ca = {
		.data = (char *)config->ca, .len = strlen(config->ca), .flags = CURL_BLOB_COPY
	};

	CURLcode code = curl_easy_setopt(easy, CURLOPT_URL, config->url);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_PROXY, "");
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (code == CURLE_OK && ca.len > 0)
		code = curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &ca);
	if (code == CURLE_OK && ca.len > 0)
		code = curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	return code;
}

static CURLcode set_transfer(struct upstream *u, const struct upstream_config *config)
{
	CURL *easy = u->easy;

	CURLcode code = curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	if (code == CURLE_OK)
		code = curl_easy_setopt(
		    easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(config->connect_ns / NS_PER_MS));
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	/* A connection that has grown old makes libcurl send once more by itself. */
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_request);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_PREREQDATA, u);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, u->curl_error);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_HTTPHEADER, u->headers);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)u->body.len);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_POSTFIELDS, buf_text(&u->body));
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_WRITEDATA, u);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_HEADERDATA, u);
	return code;
}

static enum rc begin(struct upstream *u, const struct upstream_config *config, struct errmsg *why)
{
	enum rc rc = add_headers(u, config->key, why);
	if (rc != RC_OK)
		return rc;
	CURLcode code = set_trust(u->easy, config);
	if (code == CURLE_OK)
		code = set_transfer(u, config);
	if (code != CURLE_OK)
		return errmsg_rc(why, code == CURLE_OUT_OF_MEMORY ? RC_NOMEM : RC_CONFIG,
		    "this libcurl cannot ask an upstream: %s", curl_easy_strerror(code));
	u->tries = 1;
	u->heard_mono_ns = clock_mono_ns();
	return curl_multi_add_handle(u->multi, u->easy) == CURLM_OK ? RC_OK : RC_NOMEM;
}

enum rc upstream_open(const struct upstream_config *config, struct buf *body, struct upstream **out,
    struct errmsg *why)
{
	(void)pthread_once(&once, start_curl);
	struct upstream *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return RC_NOMEM;
	u->multi = curl_multi_init();
	u->easy = curl_easy_init();
	u->idle_ns = config->idle_ns;
	u->again = config->again;
	u->ctx = config->ctx;
	buf_init(&u->refusal, UPSTREAM_ERROR_BYTES_MAX);
	sse_init(&u->sse, EVENT_BYTES_MAX, on_event, u);
	reading_init(&u->reading);
	u->body = *body;
	buf_init(body, body->max);
	enum rc rc = u->multi == NULL || u->easy == NULL ? RC_NOMEM : begin(u, config, why);
	if (rc != RC_OK) {
		upstream_free(u);
		return rc;
	}
	*out = u;
	return RC_OK;
}

void upstream_free(struct upstream *u)
{
	if (u == NULL)
		return;
	if (u->multi != NULL && u->easy != NULL)
		(void)curl_multi_remove_handle(u->multi, u->easy);
	curl_easy_cleanup(u->easy);
	if (u->multi != NULL)
		(void)curl_multi_cleanup(u->multi);
	for (struct curl_slist *line = u->headers; line != NULL; line = line->next)
		wipe(line->data, strlen(line->data));
	curl_slist_free_all(u->headers);
	sse_fini(&u->sse);
	reading_fini(&u->reading);
	buf_fini(&u->refusal);
	buf_fini(&u->body);
	free(u);
}

/* ---- how it ends ---- */

/* Who fails, or waits in vain, may have begun: a gateway that lost the server behind it had
 * asked that.  Other refusals, and 503, which sends away at the door, are free. */
static bool may_have_worked(const struct upstream *u)
{
	int status = status_of(u);

	return u->sent && (status < 300 || status == 408 || (status >= 500 && status != 503));
}

unsigned upstream_asked(const struct upstream *u)
{
	return u->lost + may_have_worked(u);
}

/* The key, or its front: it may be cut where it is said, or broken up. */
static bool tells_key(const struct upstream *u, const char *text)
{
	char front[KEY_FRONT_BYTES + 1];

	if (u->key == NULL)
		return false;
	(void)snprintf(front, sizeof(front), "%s", u->key);
	bool tells = strstr(text, front) != NULL;
	wipe(front, sizeof(front));
	return tells;
}

/* What a server says goes to who asked; the key is not theirs, also where it says that.
 * `text` is whole: of what is cut nobody can say what it was. */
static void fail(struct upstream *u, enum rc rc, int status, const char *text)
{
	u->over = true;
	if (tells_key(u, text))
		text = "it said something that holds the key";
	u->last = (struct upstream_event){ .kind = UPSTREAM_FAILED, .rc = rc, .status = status };
	(void)snprintf(u->last.error, sizeof(u->last.error), "%s", text);
	for (char *c = u->last.error; *c != '\0'; c++)
		*c = *c >= ' ' && *c < 0x7F ? *c : '?';
}

static enum rc rc_of_status(int status)
{
	if (status == 401 || status == 403)
		return RC_DENIED;
	if (status == 429)
		return RC_BUSY;
	if (status == 408)
		return RC_TIMEOUT;
	return status >= 400 && status < 500 ? RC_INVALID : RC_UNAVAILABLE;
}

static void end_with_status(struct upstream *u, int status)
{
	struct buf said, text;

	buf_init(&said, UPSTREAM_ERROR_BYTES_MAX);
	buf_init(&text, 2 * UPSTREAM_ERROR_BYTES_MAX);
	reading_error(buf_text(&u->refusal), u->refusal.len, &said);
	buf_printf(&text, "it answered %d%s", status, said.len > 0 ? ": " : "");
	buf_append(&text, said.bytes, said.len);
	fail(u, rc_of_status(status), status, buf_text(&text));
	buf_fini(&said);
	buf_fini(&text);
}

static void end_with_answer(struct upstream *u)
{
	if (!u->reading.finished && !u->reading.done) {
		fail(u, RC_UNAVAILABLE, 200,
		    u->reading.begun ? "the answer broke off" : "it answered no stream of chunks");
		return;
	}
	u->over = true;
	u->last = (struct upstream_event){
		.kind = UPSTREAM_DONE,
		.cut_short = u->reading.cut_short,
	};
}

static void end_with_code(struct upstream *u, CURLcode code)
{
	const char *text = u->curl_error[0] != '\0' ? u->curl_error : curl_easy_strerror(code);

	if (u->reading_rc == RC_CANCELLED)
		fail(u, RC_UNAVAILABLE, 200,
		    u->reading.error.len > 0 ? buf_text(&u->reading.error)
					     : "it says that it failed");
	else if (u->reading_rc != RC_OK)
		fail(u, u->reading_rc, 200,
		    u->reading_rc == RC_LIMIT ? "its answer is too large"
					      : "its answer is no stream of chunks");
	else
		fail(u, code == CURLE_OPERATION_TIMEDOUT ? RC_TIMEOUT : RC_UNAVAILABLE, 0, text);
}

static bool passing_fault(CURLcode code, int status)
{
	if (code == CURLE_OK)
		return status == 502 || status == 503 || status == 504;
	return code == CURLE_COULDNT_CONNECT || code == CURLE_SEND_ERROR ||
	       code == CURLE_RECV_ERROR || code == CURLE_GOT_NOTHING;
}

static bool try_again(struct upstream *u)
{
	u->tries++;
	u->lost += may_have_worked(u);
	u->sent = false;
	buf_reset(&u->refusal);
	sse_fini(&u->sse);
	sse_init(&u->sse, EVENT_BYTES_MAX, on_event, u);
	u->curl_error[0] = '\0';
	u->heard_mono_ns = clock_mono_ns();
	return curl_multi_add_handle(u->multi, u->easy) == CURLM_OK;
}

/* The transfer is over; maybe it is worth another try. */
static void settle(struct upstream *u, CURLcode code)
{
	int status = status_of(u);

	(void)curl_multi_remove_handle(u->multi, u->easy);
	if (passing_fault(code, status) && !u->reading.begun && u->tries < TRIES_MAX &&
	    (!u->sent || (u->again != NULL && u->again(u->ctx))) && try_again(u))
		return;
	/* Some servers close without a proper end once all was said. */
	if (u->reading_rc == RC_OK && (u->reading.done || (code == CURLE_OK && status == 200)))
		end_with_answer(u);
	else if (code == CURLE_OK)
		end_with_status(u, status);
	else
		end_with_code(u, code);
}

/* ---- the run ---- */

static void perform(struct upstream *u)
{
	int running = 0, left = 0;
	CURLMsg *message;

	if (curl_multi_perform(u->multi, &running) != CURLM_OK) {
		fail(u, RC_UNAVAILABLE, 0, "the connection cannot be driven");
		return;
	}
	while (!u->over && (message = curl_multi_info_read(u->multi, &left)) != NULL) {
		if (message->msg == CURLMSG_DONE)
			settle(u, message->data.result);
	}
	if (!u->over && (u->reading.done || u->refusal.len == UPSTREAM_ERROR_BYTES_MAX))
		settle(u, CURLE_OK);
	/* What was waited for and has come counts, however late it is looked at. */
	if (!u->over && clock_mono_ns() - u->heard_mono_ns > u->idle_ns)
		fail(u, RC_TIMEOUT, 0, "it was silent for too long");
}

static void take_logprobs(struct upstream *u, struct upstream_event *event)
{
	event->logprobs = buf_text(&u->reading.logprobs);
	event->logprobs_len = u->reading.logprobs.len;
	u->logprobs_given = true;
}

static bool next_piece(struct upstream *u, struct upstream_event *event)
{
	static const enum upstream_kind kinds[] = {
		[READING_TEXT] = UPSTREAM_TEXT,
		[READING_REASONING] = UPSTREAM_REASONING,
		[READING_CALL] = UPSTREAM_CALL,
	};
	struct reading_piece piece;
	bool whole = u->over && u->last.kind == UPSTREAM_DONE;

	if (!reading_next(&u->reading, whole, &piece))
		return false;
	event->kind = kinds[piece.kind];
	event->text = piece.text;
	event->len = piece.len;
	event->name = piece.name;
	event->id = piece.id;
	event->index = piece.index;
	if (event->kind == UPSTREAM_TEXT)
		take_logprobs(u, event);
	return true;
}

/* Something to tell without waiting. */
static bool ready(struct upstream *u, struct upstream_event *event)
{
	*event = (struct upstream_event){ .kind = UPSTREAM_IDLE, .logprobs = "" };
	event->text = event->name = event->id = "";
	if (u->reading.begun && !u->started) {
		u->started = true;
		event->kind = UPSTREAM_STARTED;
		return true;
	}
	if (next_piece(u, event))
		return true;
	if (!u->over)
		return false;
	event->kind = u->last.kind;
	event->cut_short = u->last.cut_short;
	event->rc = u->last.rc;
	event->status = u->last.status;
	memcpy(event->error, u->last.error, sizeof(event->error));
	event->has_usage = u->reading.has_usage;
	event->prompt_tokens = u->reading.prompt_tokens;
	event->completion_tokens = u->reading.completion_tokens;
	take_logprobs(u, event);
	return true;
}

void upstream_next(struct upstream *u, int64_t timeout_ns, struct upstream_event *event)
{
	int64_t until = clock_mono_ns() + timeout_ns;

	if (u->logprobs_given)
		buf_reset(&u->reading.logprobs);
	u->logprobs_given = false;
	while (!ready(u, event)) {
		perform(u);
		if (ready(u, event))
			return;
		int64_t left_ms = (until - clock_mono_ns()) / NS_PER_MS;
		if (left_ms <= 0)
			return;
		(void)curl_multi_poll(
		    u->multi, NULL, 0, (int)(left_ms < 1000 ? left_ms : 1000), NULL);
	}
}
