/* A wire server and a client of it in one process. */
#include "wire_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

/* Far beyond what any test needs: it ends a hang, it measures nothing. */
#define DEADLINE_NS (60 * NS_PER_S)

static void require(bool holds, const char *what)
{
	if (holds)
		return;
	(void)fprintf(stderr, "wire_fixture: %s\n", what);
	abort();
}

int64_t wire_fixture_deadline(void)
{
	return clock_mono_ns() + DEADLINE_NS;
}

static void on_peer(void *ctx, wire_peer peer, const uint8_t key[WIRE_KEY_BYTES])
{
	struct wire_fixture *fixture = ctx;

	(void)key;
	(void)pthread_mutex_lock(&fixture->lock);
	fixture->peers++;
	fixture->peer = peer;
	(void)pthread_cond_broadcast(&fixture->changed);
	(void)pthread_mutex_unlock(&fixture->lock);
}

static void on_gone(void *ctx, wire_peer peer)
{
	struct wire_fixture *fixture = ctx;

	(void)peer;
	(void)pthread_mutex_lock(&fixture->lock);
	fixture->gone++;
	(void)pthread_cond_broadcast(&fixture->changed);
	(void)pthread_mutex_unlock(&fixture->lock);
}

static void on_server_message(void *ctx, wire_peer peer, const struct message *message)
{
	struct wire_fixture *fixture = ctx;

	(void)pthread_mutex_lock(&fixture->lock);
	fixture->server_messages++;
	fixture->last_request_id = message->request_id;
	fixture->last_kind = message->kind;
	bool echo = fixture->echo;
	(void)pthread_cond_broadcast(&fixture->changed);
	(void)pthread_mutex_unlock(&fixture->lock);
	if (echo) {
		const struct message done = {
			.kind = MESSAGE_DONE,
			.request_id = message->request_id,
		};
		require(wire_server_send(fixture->server, peer, &done) == RC_OK, "echo");
	}
}

static void capabilities(void *ctx, struct wire_capabilities *out)
{
	(void)ctx;
	out->program = "compute-node test";
	out->numerics_id = "cpu/scalar/k1";
}

static void on_up(void *ctx, const struct wire_capabilities *offered)
{
	struct wire_fixture *fixture = ctx;

	require(strcmp(offered->numerics_id, "cpu/scalar/k1") == 0, "capabilities");
	(void)pthread_mutex_lock(&fixture->lock);
	fixture->ups++;
	(void)pthread_cond_broadcast(&fixture->changed);
	(void)pthread_mutex_unlock(&fixture->lock);
}

static void on_down(void *ctx, enum rc reason)
{
	struct wire_fixture *fixture = ctx;

	(void)pthread_mutex_lock(&fixture->lock);
	fixture->downs++;
	fixture->down_reason = reason;
	(void)pthread_cond_broadcast(&fixture->changed);
	(void)pthread_mutex_unlock(&fixture->lock);
}

static void on_client_message(void *ctx, const struct message *message)
{
	struct wire_fixture *fixture = ctx;

	(void)pthread_mutex_lock(&fixture->lock);
	if (message->kind == MESSAGE_HEARTBEAT)
		fixture->client_beats++;
	else
		fixture->client_messages++;
	if (message->kind == MESSAGE_ERROR) {
		fixture->client_errors++;
		fixture->error_code = message->u.error.code;
	}
	if (message->kind != MESSAGE_HEARTBEAT && fixture->client_ids_len < WIRE_FIXTURE_IDS_MAX)
		fixture->client_ids[fixture->client_ids_len++] = message->request_id;
	(void)pthread_cond_broadcast(&fixture->changed);
	(void)pthread_mutex_unlock(&fixture->lock);
}

void wire_fixture_init(struct wire_fixture *fixture)
{
	memset(fixture, 0, sizeof(*fixture));
	(void)snprintf(fixture->dir, sizeof(fixture->dir), "/tmp/hearth-wire-XXXXXX");
	require(mkdtemp(fixture->dir) != NULL, "mkdtemp");
	(void)snprintf(fixture->allow_path, sizeof(fixture->allow_path), "%s/allow", fixture->dir);
	require(wire_keypair_new(&fixture->server_keys, NULL) == RC_OK, "server keys");
	require(wire_keypair_new(&fixture->client_keys, NULL) == RC_OK, "client keys");
	require(wire_allow_add(fixture->allow_path, fixture->client_keys.public_key, NULL) == RC_OK,
	    "allow");
	require(pthread_mutex_init(&fixture->lock, NULL) == 0, "mutex");
	pthread_condattr_t attr;
	require(pthread_condattr_init(&attr) == 0 &&
		    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 &&
		    pthread_cond_init(&fixture->changed, &attr) == 0,
	    "cond");
	(void)pthread_condattr_destroy(&attr);
	fixture->server_config = (struct wire_server_config){
		.listen = "tcp://127.0.0.1:0",
		.keys = &fixture->server_keys,
		.allow_path = fixture->allow_path,
		.dead_ns = DEADLINE_NS,
		.ctx = fixture,
		.on_peer = on_peer,
		.on_message = on_server_message,
		.on_gone = on_gone,
		.capabilities = capabilities,
	};
	fixture->client_config = (struct wire_client_config){
		.server_key = fixture->server_keys.public_key,
		.keys = &fixture->client_keys,
		.program = "data-node test",
		.dead_ns = DEADLINE_NS,
		.backoff_max_ns = 200 * NS_PER_MS,
		.ctx = fixture,
		.on_up = on_up,
		.on_message = on_client_message,
		.on_down = on_down,
	};
}

void wire_fixture_open_server(struct wire_fixture *fixture)
{
	struct errmsg why = ERRMSG_INIT;

	enum rc rc = wire_server_open(&fixture->server_config, &fixture->server, &why);
	require(rc == RC_OK, errmsg_text(&why, rc));
	(void)snprintf(
	    fixture->address, sizeof(fixture->address), "%s", wire_server_address(fixture->server));
	fixture->server_config.listen = fixture->address; /* the same port from now on */
}

void wire_fixture_open(struct wire_fixture *fixture)
{
	wire_fixture_init(fixture);
	wire_fixture_open_server(fixture);
}

void wire_fixture_close_server(struct wire_fixture *fixture)
{
	wire_server_close(fixture->server);
	fixture->server = NULL;
}

void wire_fixture_open_client(struct wire_fixture *fixture)
{
	struct errmsg why = ERRMSG_INIT;

	if (fixture->client_config.address == NULL)
		fixture->client_config.address = fixture->address;
	enum rc rc = wire_client_open(&fixture->client_config, &fixture->client, &why);
	require(rc == RC_OK, errmsg_text(&why, rc));
}

void wire_fixture_close_client(struct wire_fixture *fixture)
{
	wire_client_close(fixture->client);
	fixture->client = NULL;
}

void wire_fixture_close(struct wire_fixture *fixture)
{
	wire_fixture_close_client(fixture);
	wire_fixture_close_server(fixture);
	(void)unlink(fixture->allow_path);
	(void)rmdir(fixture->dir);
	(void)pthread_mutex_destroy(&fixture->lock);
	(void)pthread_cond_destroy(&fixture->changed);
}

void wire_fixture_wait(struct wire_fixture *fixture, const unsigned *counter, unsigned n)
{
	int64_t deadline_ns = wire_fixture_deadline();
	const struct timespec at = {
		.tv_sec = (time_t)(deadline_ns / NS_PER_S),
		.tv_nsec = (long)(deadline_ns % NS_PER_S),
	};
	int err = 0;

	(void)pthread_mutex_lock(&fixture->lock);
	while (*counter < n && err != ETIMEDOUT)
		err = pthread_cond_timedwait(&fixture->changed, &fixture->lock, &at);
	bool reached = *counter >= n;
	(void)pthread_mutex_unlock(&fixture->lock);
	require(reached, "waited in vain");
}

unsigned wire_fixture_get(struct wire_fixture *fixture, const unsigned *counter)
{
	(void)pthread_mutex_lock(&fixture->lock);
	unsigned value = *counter;
	(void)pthread_mutex_unlock(&fixture->lock);
	return value;
}

wire_peer wire_fixture_peer(struct wire_fixture *fixture)
{
	(void)pthread_mutex_lock(&fixture->lock);
	wire_peer peer = fixture->peer;
	(void)pthread_mutex_unlock(&fixture->lock);
	return peer;
}
