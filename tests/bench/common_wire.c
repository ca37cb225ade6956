/*
 * The wire next to bare ZeroMQ CURVE in the same process: round trips one at a
 * time (p50, p99) and messages a second with many under way, as ratios.
 *
 *   common_wire [ROUNDS]      default 5; rounds of the two alternate, the table
 *                             shows their medians
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "base/clock.h"
#include "base/log.h"
#include "wire_fixture.h"

#define TRIPS 2000
#define MESSAGES 20000
#define WINDOW 64
#define TEXT_BYTES 256
#define ROUNDS_MAX 99

struct result {
	double p50_us, p99_us, per_s;
};

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	(void)fprintf(stderr, "common_wire: %s\n", what);
	exit(1);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static struct result summarise(double *trips_us, int64_t start_ns, int64_t end_ns)
{
	qsort(trips_us, TRIPS, sizeof(trips_us[0]), compare);
	return (struct result){
		.p50_us = trips_us[TRIPS / 2],
		.p99_us = trips_us[TRIPS * 99 / 100],
		.per_s = MESSAGES / ((double)(end_ns - start_ns) / 1e9),
	};
}

/* ---- bare: DEALER and an echoing ROUTER, CURVE, no ZAP, no codec ------------- */
struct bare {
	void *zmq, *router, *dealer;
	pthread_t thread;
};

static void set_key(void *socket, int option, const uint8_t *key)
{
	must(zmq_setsockopt(socket, option, key, WIRE_KEY_BYTES) == 0, "key");
}

static void *echo(void *router)
{
	for (;;) {
		zmq_msg_t id, body;
		(void)zmq_msg_init(&id);
		(void)zmq_msg_init(&body);
		must(zmq_msg_recv(&id, router, 0) >= 0, "recv id");
		must(zmq_msg_recv(&body, router, 0) >= 0, "recv body");
		bool stop = zmq_msg_size(&body) == 0;
		if (!stop) {
			must(zmq_msg_send(&id, router, ZMQ_SNDMORE) >= 0, "send id");
			must(zmq_msg_send(&body, router, 0) >= 0, "send body");
		}
		(void)zmq_msg_close(&id);
		(void)zmq_msg_close(&body);
		if (stop)
			return NULL;
	}
}

static void bare_open(struct bare *bare, const struct wire_fixture *keys)
{
	char address[64];
	size_t len = sizeof(address);
	int on = 1;

	bare->zmq = zmq_ctx_new();
	bare->router = zmq_socket(bare->zmq, ZMQ_ROUTER);
	bare->dealer = zmq_socket(bare->zmq, ZMQ_DEALER);
	must(zmq_setsockopt(bare->router, ZMQ_CURVE_SERVER, &on, sizeof(on)) == 0, "curve");
	set_key(bare->router, ZMQ_CURVE_SECRETKEY, keys->server_keys.secret_key);
	set_key(bare->dealer, ZMQ_CURVE_SERVERKEY, keys->server_keys.public_key);
	set_key(bare->dealer, ZMQ_CURVE_PUBLICKEY, keys->client_keys.public_key);
	set_key(bare->dealer, ZMQ_CURVE_SECRETKEY, keys->client_keys.secret_key);
	must(zmq_bind(bare->router, "tcp://127.0.0.1:*") == 0, "bind");
	must(zmq_getsockopt(bare->router, ZMQ_LAST_ENDPOINT, address, &len) == 0, "endpoint");
	must(zmq_connect(bare->dealer, address) == 0, "connect");
	must(pthread_create(&bare->thread, NULL, echo, bare->router) == 0, "thread");
}

static void bare_close(struct bare *bare)
{
	must(zmq_send(bare->dealer, "", 0, 0) == 0, "stop");
	(void)pthread_join(bare->thread, NULL);
	(void)zmq_close(bare->dealer);
	(void)zmq_close(bare->router);
	(void)zmq_ctx_term(bare->zmq);
}

static struct result bare_run(struct bare *bare)
{
	static double trips_us[TRIPS];
	char text[TEXT_BYTES] = { 1 };

	for (int i = 0; i < TRIPS; i++) {
		int64_t start_ns = clock_mono_ns();
		must(zmq_send(bare->dealer, text, sizeof(text), 0) > 0, "send");
		must(zmq_recv(bare->dealer, text, sizeof(text), 0) > 0, "recv");
		trips_us[i] = (double)(clock_mono_ns() - start_ns) / 1e3;
	}
	int64_t start_ns = clock_mono_ns();
	for (int sent = 0, got = 0; got < MESSAGES; got++) {
		for (; sent < MESSAGES && sent < got + WINDOW; sent++)
			must(zmq_send(bare->dealer, text, sizeof(text), 0) > 0, "send");
		must(zmq_recv(bare->dealer, text, sizeof(text), 0) > 0, "recv");
	}
	return summarise(trips_us, start_ns, clock_mono_ns());
}

/* ---- ours: Tokenize there, Tokens of the same text back ----------------------- */
static struct wire_server *server;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t arrived = PTHREAD_COND_INITIALIZER;
static int answers;

static void on_request(void *ctx, wire_peer peer, const struct message *message)
{
	const struct wire_part *part = &message->u.tokenize.parts[0];
	struct message tokens = { .kind = MESSAGE_TOKENS, .request_id = message->request_id };

	(void)ctx;
	tokens.u.tokens.text = part->data;
	tokens.u.tokens.text_len = part->data_len;
	must(wire_server_send(server, peer, &tokens) == RC_OK, "answer");
}

static void on_answer(void *ctx, const struct message *message)
{
	(void)ctx;
	if (message->kind != MESSAGE_TOKENS)
		return;
	(void)pthread_mutex_lock(&lock);
	answers++;
	(void)pthread_cond_signal(&arrived);
	(void)pthread_mutex_unlock(&lock);
}

static int wait_answers(int at_least)
{
	(void)pthread_mutex_lock(&lock);
	while (answers < at_least)
		(void)pthread_cond_wait(&arrived, &lock);
	int n = answers;
	(void)pthread_mutex_unlock(&lock);
	return n;
}

static struct result wire_run(struct wire_fixture *fixture)
{
	static double trips_us[TRIPS];
	char text[TEXT_BYTES] = { 1 };
	struct wire_part part = { .data = (const uint8_t *)text, .data_len = sizeof(text) };
	struct message message = { .kind = MESSAGE_TOKENIZE, .request_id = 1 };

	message.u.tokenize.parts = &part;
	message.u.tokenize.parts_len = 1;
	answers = 0;
	for (int i = 0; i < TRIPS; i++) {
		int64_t start_ns = clock_mono_ns();
		must(wire_client_send(fixture->client, &message) == RC_OK, "send");
		(void)wait_answers(i + 1);
		trips_us[i] = (double)(clock_mono_ns() - start_ns) / 1e3;
	}
	int64_t start_ns = clock_mono_ns();
	for (int sent = 0, got = 0; got < MESSAGES;) {
		for (; sent < MESSAGES && sent < got + WINDOW; sent++)
			must(wire_client_send(fixture->client, &message) == RC_OK, "send");
		got = wait_answers(TRIPS + got + 1) - TRIPS;
	}
	return summarise(trips_us, start_ns, clock_mono_ns());
}

static double median(const struct result *results, int n, size_t offset)
{
	double values[ROUNDS_MAX];

	for (int i = 0; i < n; i++)
		memcpy(&values[i], (const char *)&results[i] + offset, sizeof(values[i]));
	qsort(values, (size_t)n, sizeof(values[0]), compare);
	return values[n / 2];
}

static void print_row(
    const char *name, const struct result *bare, const struct result *wire, int n, size_t offset)
{
	double a = median(bare, n, offset), b = median(wire, n, offset);

	(void)printf("%-24s %12.1f %12.1f %8.2f\n", name, a, b, b / a);
}

int main(int argc, char **argv)
{
	static struct result bare_results[ROUNDS_MAX], wire_results[ROUNDS_MAX];
	static struct wire_fixture fixture;
	struct bare bare;
	long rounds_asked = argc > 1 ? strtol(argv[1], NULL, 10) : 5;

	if (rounds_asked < 1 || rounds_asked > ROUNDS_MAX) {
		(void)fprintf(stderr, "usage: common_wire [ROUNDS]\n");
		return 2;
	}
	int rounds = (int)rounds_asked;
	log_set_level(LOG_LEVEL_ERROR);
	wire_fixture_init(&fixture);
	fixture.server_config.on_message = on_request;
	fixture.client_config.on_message = on_answer;
	wire_fixture_open_server(&fixture);
	server = fixture.server;
	wire_fixture_open_client(&fixture);
	wire_fixture_wait(&fixture, &fixture.ups, 1);
	bare_open(&bare, &fixture);
	for (int i = 0; i < rounds; i++) {
		bare_results[i] = bare_run(&bare);
		wire_results[i] = wire_run(&fixture);
	}
	bare_close(&bare);
	wire_fixture_close(&fixture);
	(void)printf("%d rounds, %d trips and %d messages of %d bytes, %d under way\n", rounds,
	    TRIPS, MESSAGES, TEXT_BYTES, WINDOW);
	(void)printf("%-24s %12s %12s %8s\n", "", "bare CURVE", "wire", "ratio");
	print_row("round trip p50 (us)", bare_results, wire_results, rounds,
	    offsetof(struct result, p50_us));
	print_row("round trip p99 (us)", bare_results, wire_results, rounds,
	    offsetof(struct result, p99_us));
	print_row("messages a second", bare_results, wire_results, rounds,
	    offsetof(struct result, per_s));
	return 0;
}
