/*
 * Lease: what a compute node keeps of a prompt for the next one that begins alike.
 *
 * An agent sends the same long head with every request; under the lease of its last
 * one the node computes only what is new.  This table says, for one node, under which
 * lease a prompt goes: the one that holds the most of it, unless another conversation
 * would lose more by that than is gained.  One request at a time is under a lease.
 *
 * Invariants, under the pool's lock:
 *  A1  a lease is taken by one call at most, and not handed out meanwhile.
 *  A2  `holds` is what the node can have under it at best; it is empty after the
 *      link went down, and after leases_forget().
 */
#ifndef ANSWER_LEASE_H
#define ANSWER_LEASE_H

#include <stdbool.h>

#include "answer/prefix.h"

#define LEASES_A_NODE ((size_t)8)

struct lease {
	uint8_t id[WIRE_LEASE_BYTES];
	uint8_t content_hash[WIRE_HASH_BYTES]; /* of the model it is for */
	bool open;                             /* the node was asked to */
	bool taken;
	bool stale; /* has to be closed by who gives it back */
	struct prefix holds;
	int64_t used_ns;
};

struct leases {
	struct lease all[LEASES_A_NODE];
};

void leases_fini(struct leases *leases);

/* Steps of `prefix` that are there for this model under a lease that is free. */
size_t leases_hold(const struct leases *leases, const uint8_t content_hash[WIRE_HASH_BYTES],
    const struct prefix *prefix);

/*
 * The lease for this prompt, taken; NULL: it goes without one (it is short, its
 * lease is in use, or all are).  `prefix` is copied; without memory for that the
 * lease is not told apart again.  `closed`, if not all zero: the node has to close
 * that one first, it was for another model.
 */
struct lease *lease_take(struct leases *leases, const uint8_t content_hash[WIRE_HASH_BYTES],
    const struct prefix *prefix, int64_t now_ns, uint8_t closed[WIRE_LEASE_BYTES]);

/* False: it has to be closed now, its id is in `closed`. */
bool lease_give_back(struct lease *lease, int64_t now_ns, uint8_t closed[WIRE_LEASE_BYTES]);

/* The link went down: the node wiped them all. */
void leases_lost(struct leases *leases);

/* The ids of all that must be closed now, in `closed` [LEASES_A_NODE]; those that are
 * taken are closed as they are given back. */
size_t leases_forget(struct leases *leases, uint8_t closed[][WIRE_LEASE_BYTES]);

#endif
