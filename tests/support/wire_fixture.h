/*
 * A wire server and a client of it in one process, with counters that tests
 * wait on; keys and the allow-list in a directory of their own.
 */
#ifndef SUPPORT_WIRE_FIXTURE_H
#define SUPPORT_WIRE_FIXTURE_H

#include <pthread.h>

#include "wire/client.h"
#include "wire/server.h"

#define WIRE_FIXTURE_IDS_MAX 8192

struct wire_fixture {
	char dir[64];
	char allow_path[96];
	struct wire_keypair server_keys, client_keys;
	struct wire_server_config server_config;
	struct wire_client_config client_config;
	struct wire_server *server;
	struct wire_client *client;
	char address[64]; /* of the server, kept over restarts */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* [lock] what the callbacks saw */
	unsigned peers, gone, server_messages;
	wire_peer peer; /* the newest */
	uint64_t last_request_id;
	enum message_kind last_kind;
	unsigned ups, downs, client_messages, client_errors, client_beats;
	enum rc down_reason;
	enum wire_error error_code;                /* of the last Error the client got */
	uint64_t client_ids[WIRE_FIXTURE_IDS_MAX]; /* request ids in order of arrival */
	size_t client_ids_len;
	bool echo; /* answer each server message with Done of its request id */
};

/* Directory, keys, allow-list with the client's key, a running server.  Peers
 * die of silence after a minute only, so that a busy machine does not end them. */
void wire_fixture_open(struct wire_fixture *fixture);
/* The same without starting the server. */
void wire_fixture_init(struct wire_fixture *fixture);
void wire_fixture_open_server(struct wire_fixture *fixture);
void wire_fixture_close_server(struct wire_fixture *fixture);
void wire_fixture_open_client(struct wire_fixture *fixture);
void wire_fixture_close_client(struct wire_fixture *fixture);
void wire_fixture_close(struct wire_fixture *fixture);

/* Wait until `*counter` is at least `n`; fails the test after a while. */
void wire_fixture_wait(struct wire_fixture *fixture, const unsigned *counter, unsigned n);

/* A counter as it is now. */
unsigned wire_fixture_get(struct wire_fixture *fixture, const unsigned *counter);

/* The newest peer. */
wire_peer wire_fixture_peer(struct wire_fixture *fixture);

/* When a test that polls for something may give up (monotonic clock). */
int64_t wire_fixture_deadline(void);

#endif
