/*
 * Leases: how a data node may leave state here between two requests.
 *
 * A lease is a random id chosen by the data node, bound to the public key that
 * opened it.  Prefixes are never shared between leases.  This table knows ids,
 * owners and clocks; what a lease holds (a sequence's KV) belongs to the
 * scheduler, which wipes it and only then releases the lease.
 *
 * Invariants:
 *  L1  an open lease answers to its key alone; to all others it is not there.
 *  L2  a lease that is busy (a generation runs under it), or whose adapter an answer is
 *      computed with, does not expire: also beside it, and while the answer rests.
 *  L3  a closing lease is not found any more; its slot is free after
 *      lease_release(), that is, after its memory was wiped.
 * Not thread-safe: the scheduler's lock guards it.
 */
#ifndef SERVE_LEASE_H
#define SERVE_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errmsg.h"
#include "wire/message.h"
#include "wire/server.h"

#define LEASES_MAX ((size_t)64)
#define LEASES_KEY_MAX ((size_t)16) /* of one key */

struct served_model;

enum lease_state { LEASE_FREE, LEASE_OPEN, LEASE_CLOSING };

enum lease_adapter_state { LEASE_ADAPTER_NONE, LEASE_ADAPTER_ARRIVING, LEASE_ADAPTER_ACTIVE };

/* serve/scheduler_adapter.c */
struct lease_adapter {
	enum lease_adapter_state state;
	uint8_t *place; /* of the adapter space: the file, then its table */
	size_t place_len, total, received;
	uint8_t hash[WIRE_HASH_BYTES];
	const struct adapter *adapter; /* ACTIVE */
	uint64_t number;               /* ACTIVE: no two adapters have the same */
	unsigned users;                /* jobs */
	bool working;                  /* the desk reads or writes it without the lock */
};

struct lease {
	enum lease_state state;
	uint8_t id[WIRE_LEASE_BYTES];
	uint8_t key[WIRE_KEY_BYTES];
	wire_peer peer; /* the connection that opened or renewed it last */
	const struct served_model *model;
	int64_t idle_ns;
	int64_t used_ns; /* monotonic, last use */
	bool busy;
	bool answer_close; /* a LeaseClose waits for its answer */
	wire_peer close_peer;
	uint64_t close_request;
	struct lease_adapter adapter;
};

struct lease_table {
	int64_t idle_default_ns, idle_max_ns;
	struct lease leases[LEASES_MAX];
};

void lease_table_init(struct lease_table *table, int64_t idle_default_ns, int64_t idle_max_ns);

struct lease_open {
	const uint8_t *id;  /* [WIRE_LEASE_BYTES] */
	const uint8_t *key; /* [WIRE_KEY_BYTES] */
	wire_peer peer;
	const struct served_model *model;
	int64_t idle_ns; /* asked for; 0: the default */
};

/*
 * Open, or renew one that is open under the same key and model.  RC_DENIED: the
 * id is someone else's or closing; RC_INVALID: open for another model;
 * RC_LIMIT: this key has LEASES_KEY_MAX; RC_BUSY: the table is full.
 */
enum rc lease_open(struct lease_table *table, const struct lease_open *open, int64_t now_ns,
    struct lease **out, struct errmsg *why) RC_CHECK;

/* NULL: no open lease of that id and key. */
struct lease *lease_find(struct lease_table *table, const uint8_t id[WIRE_LEASE_BYTES],
    const uint8_t key[WIRE_KEY_BYTES]);

/* It was used: the idle time starts anew. */
void lease_touch(struct lease *lease, int64_t now_ns);

/* From here on it is closing. */
void lease_close(struct lease *lease);

/* Close what a lost connection opened, all that nobody uses just now, and what was
 * idle for too long. */
void lease_close_of_peer(struct lease_table *table, wire_peer peer);
void lease_close_spare(struct lease_table *table);
void lease_close_idle(struct lease_table *table, int64_t now_ns);

/* What it held is wiped: the slot is free, its bytes are zero. */
void lease_release(struct lease *lease);

/* Open ones; of one key (NULL: of all). */
size_t lease_count(const struct lease_table *table, const uint8_t *key);

#endif
