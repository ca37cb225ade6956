/*
 * Answer: what the data node adds to one, over real sockets on both sides, with a
 * compute node that costs nothing behind it.
 *
 * First the time from a request's last byte to the compute node's first, less that of
 * the search alone (the same question, in the same process, just before), with the
 * person's context and without.  Then the time of each token of a stream: out of the
 * compute node, over the wire, through the gateway, to the client; beside that of the
 * wire alone, in the same run.  All of it shares the machine's cores with the
 * compute node and the client.
 *
 *   data_answer [ITEMS [QUESTIONS]]      default 100000 200
 */
#include <arpa/inet.h>
#include <ftw.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "answer/generation.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "fake_compute.h"
#include "gateway/http.h"
#include "gateway/station.h"
#include "recall/recall.h"
#include "wire/key.h"

#define TOKENS 2000u
#define ROUNDS 5
#define START_NS (INT64_C(1735689600) * NS_PER_S)
#define BATCH ((size_t)1000)

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	(void)fprintf(stderr, "data_answer: %s\n", what);
	exit(1);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct bench {
	char dir[64];
	struct station_created created;
	struct station *station;
	struct http *http;
	struct fake_compute fake;
	int fd;
	size_t items;
};

/* ---- a life of random words ------------------------------------------------------ */

static void put_text(uint64_t *seed, size_t words, char *out, size_t max)
{
	size_t len = 0;

	for (size_t i = 0; i < words; i++) {
		double u = (double)(random_next(seed) >> 11) / 9007199254740992.0;
		/* Rank r with a chance like 1/r. */
		unsigned rank = 1;

		for (double f = u * 10.3; f > 1; f -= 1)
			rank = rank * 2718 / 1000 + 1;
		int n = snprintf(out + len, max - len, "w%ux%u ", rank,
		    (unsigned)(random_next(seed) % (rank + 1)));
		must(n > 0 && len + (size_t)n < max, "text");
		len += (size_t)n;
	}
}

static void fill(struct bench *b)
{
	static char texts[BATCH][1024];
	static struct observation obs[BATCH];
	struct errmsg why = ERRMSG_INIT;
	uint64_t seed = 1, cursor = 0;

	for (size_t done = 0; done < b->items; done += BATCH) {
		for (size_t i = 0; i < BATCH; i++) {
			put_text(&seed, 5 + random_next(&seed) % 20, texts[i], sizeof(texts[i]));
			obs[i] = (struct observation){ .source = "phone",
				.client_id = "",
				.layer = LAYER_TEXT,
				.kind = "message",
				.shape = SHAPE_INSTANT,
				.clock_id = "",
				.boot_epoch = "",
				.zone = "",
				.dev_t0_ns = START_NS + (int64_t)(done + i) * 5 * NS_PER_MIN,
				.origin = ORIGIN_OWNER,
				.text = texts[i],
				.data_json = "" };
			obs[i].dev_t1_ns = obs[i].dev_t0_ns;
		}
		enum rc rc =
		    store_append(station_store(b->station), obs, BATCH, NULL, &cursor, &why);
		must(rc == RC_OK, errmsg_text(&why, rc));
	}
}

/* ---- the station, its node and its client ---------------------------------------------- */

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void dial(struct bench *b)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(http_port(b->http)) };
	int on = 1;

	b->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(b->fd >= 0 && connect(b->fd, (struct sockaddr *)&to, sizeof(to)) == 0, "connect");
	(void)setsockopt(b->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void open_all(struct bench *b)
{
	struct station_config config = { .dir = b->dir, .zone = "UTC" };
	struct fake_script script = fake_script_default();
	struct errmsg why = ERRMSG_INIT;
	uint8_t key[WIRE_KEY_BYTES];

	(void)snprintf(b->dir, sizeof(b->dir), "%s/hearth-answer-XXXXXX",
	    getenv("TMPDIR") == NULL ? "/tmp" : getenv("TMPDIR"));
	must(mkdtemp(b->dir) != NULL, "mkdtemp");
	must(station_create(&config, &b->created, &why) == RC_OK, why.text);
	config.parts = STATION_RECALL | STATION_POOL;
	must(station_open(&config, &b->station, &why) == RC_OK, why.text);
	fill(b);
	must(wire_key_parse(station_public_key(b->station), key, &why) == RC_OK, why.text);
	script.tokens = TOKENS;
	script.context = 32768;
	fake_compute_open(&b->fake, &script, key);
	must(pool_add(station_pool(b->station), "node", b->fake.address, b->fake.keys.public_key,
		 &why) == RC_OK,
	    why.text);
	must(pool_wait(station_pool(b->station), "tiny", 20 * NS_PER_S), "no node");
	const struct http_config listen = { .station = b->station, .host = "127.0.0.1" };
	must(http_open(&listen, &b->http, &why) == RC_OK, why.text);
	dial(b);
}

static void close_all(struct bench *b)
{
	(void)close(b->fd);
	http_close(b->http, 0);
	station_close(b->station);
	fake_compute_close(&b->fake);
	(void)nftw(b->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- one request -------------------------------------------------------------------------- */

/* When its last byte was handed to the kernel. */
static int64_t ask(const struct bench *b, const char *model, const char *question, unsigned tokens)
{
	char body[2048], head[512];
	int n = snprintf(body, sizeof(body),
	    "{\"model\":\"%s\",\"stream\":true,\"store\":false,\"max_tokens\":%u,\"messages\":"
	    "[{\"role\":\"user\",\"content\":\"%s\"}]}",
	    model, tokens, question);
	int m = snprintf(head, sizeof(head),
	    "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
	    "Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n",
	    http_port(b->http), b->created.owner_token, n);

	must(n > 0 && (size_t)n < sizeof(body) && m > 0 && (size_t)m < sizeof(head), "request");
	must(send(b->fd, head, (size_t)m, MSG_MORE) == m, "send");
	must(send(b->fd, body, (size_t)n, 0) == n, "send");
	return clock_mono_ns();
}

/* The stream to its end; ns between the first and the last byte. */
static double drain(const struct bench *b)
{
	static const char end[] = "\r\n0\r\n\r\n";
	char bytes[65536], tail[sizeof(end)] = "";
	int64_t first_ns = 0, last_ns = 0;

	while (memcmp(tail, end, sizeof(end) - 1) != 0) {
		ssize_t n = recv(b->fd, bytes, sizeof(bytes), 0);
		must(n > 0, "the stream broke");
		last_ns = clock_mono_ns();
		first_ns = first_ns == 0 ? last_ns : first_ns;
		for (ssize_t i = n > 16 ? n - 16 : 0; i < n; i++) {
			memmove(tail, tail + 1, sizeof(end) - 2);
			tail[sizeof(end) - 2] = bytes[i];
		}
	}
	return (double)(last_ns - first_ns);
}

/* What an answer's search costs by itself, in ms. */
static double search(const struct bench *b, const char *question)
{
	const struct recall_query query = { .text = question,
		.text_len = strlen(question),
		.k = 64,
		.read_timewords = true,
		.now_utc_ns = clock_utc_ns() };
	struct recall_result result;
	struct arena arena;

	arena_init(&arena, (size_t)64 << 20);
	int64_t start_ns = clock_mono_ns();
	must(recall_search(station_recall(b->station), &query, &arena, &result, NULL) == RC_OK,
	    "search");
	double ms = (double)(clock_mono_ns() - start_ns) / 1e6;
	arena_fini(&arena);
	return ms;
}

/* ---- the two measurements ----------------------------------------------------------------- */

static void measure_start(struct bench *b, const char *model, size_t n)
{
	double *whole = calloc(n, sizeof(*whole)), *beyond = calloc(n, sizeof(*beyond));
	bool personal = strcmp(model, "hearth") == 0;
	uint64_t seed = 7;
	char question[512];

	must(whole != NULL && beyond != NULL, "memory");
	for (size_t i = 0; i < n; i++) {
		put_text(&seed, 3 + random_next(&seed) % 5, question, sizeof(question));
		double alone = personal ? search(b, question) : 0;
		unsigned before = fake_compute_get(&b->fake, &b->fake.generates);
		int64_t sent_ns = ask(b, model, question, 1);
		(void)drain(b);
		must(fake_compute_get(&b->fake, &b->fake.generates) == before + 1, "asked twice");
		whole[i] = (double)(b->fake.last_generate_ns - sent_ns) / 1e6;
		beyond[i] = whole[i] - alone;
	}
	qsort(whole, n, sizeof(*whole), compare);
	qsort(beyond, n, sizeof(*beyond), compare);
	printf("%-7s request to compute node: median %.2f ms, p95 %.2f; beyond the search %.2f, "
	       "p95 %.2f\n",
	    model, whole[n / 2], whole[n * 95 / 100], beyond[n / 2], beyond[n * 95 / 100]);
	free(whole);
	free(beyond);
}

/* ms a token out of the pool, without gateway and client. */
static double wire_alone(struct bench *b)
{
	static const struct wire_part part = {
		.data = (const uint8_t *)"hello", .data_len = 5, .media_type = ""
	};
	static const struct wire_chat_message message = { .role = "user",
		.parts = &part,
		.parts_len = 1,
		.name = "",
		.tool_call_id = "",
		.tool_calls_json = "" };
	const struct generation_request request = {
		.generate = { .model = "tiny", .messages = &message, .messages_len = 1 },
	};
	struct generation_event event = { .kind = GENERATION_IDLE };
	struct generation *generation = NULL;
	int64_t first_ns = 0;

	must(generation_start(station_pool(b->station), &request, &generation, NULL) == RC_OK,
	    "generation");
	while (event.kind != GENERATION_DONE) {
		generation_next(generation, 10 * NS_PER_S, &event);
		must(event.kind != GENERATION_FAILED, "the answer failed");
		if (first_ns == 0 && event.kind == GENERATION_TEXT)
			first_ns = clock_mono_ns();
	}
	double ms = (double)(clock_mono_ns() - first_ns) / 1e6 / TOKENS;
	generation_free(generation);
	return ms;
}

static void measure_tokens(struct bench *b)
{
	double path[ROUNDS], wire[ROUNDS];

	for (size_t i = 0; i < ROUNDS; i++) {
		wire[i] = wire_alone(b);
		(void)ask(b, "tiny", "hello", TOKENS);
		path[i] = drain(b) / 1e6 / TOKENS;
	}
	qsort(path, ROUNDS, sizeof(path[0]), compare);
	qsort(wire, ROUNDS, sizeof(wire[0]), compare);
	printf("a token over the whole path %.4f ms, over the wire alone %.4f (%.2f x)\n",
	    path[ROUNDS / 2], wire[ROUNDS / 2], path[ROUNDS / 2] / wire[ROUNDS / 2]);
}

int main(int argc, char **argv)
{
	static struct bench bench;
	size_t questions = argc > 2 ? (size_t)strtoull(argv[2], NULL, 10) : 200;

	bench.items = argc > 1 ? (size_t)strtoull(argv[1], NULL, 10) : 100000;
	log_set_level(LOG_LEVEL_ERROR);
	must(questions > 0, "no questions");
	open_all(&bench);
	/* Once, unmeasured: it waits for the index. */
	(void)ask(&bench, "hearth", "hello", 1);
	(void)drain(&bench);
	printf("%zu items, %zu questions\n", bench.items, questions);
	measure_start(&bench, "tiny", questions);
	measure_start(&bench, "hearth", questions);
	measure_tokens(&bench);
	close_all(&bench);
	return 0;
}
