/* Lease: which one a prompt goes under. */
#include "answer/lease.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"

/* After so long a conversation is half as likely to go on. */
#define HALF_LIFE_NS (300 * NS_PER_S)

static void empty(struct lease *lease)
{
	prefix_fini(&lease->holds);
	*lease = (struct lease){ 0 };
}

void leases_fini(struct leases *leases)
{
	for (size_t i = 0; i < LEASES_A_NODE; i++)
		empty(&leases->all[i]);
}

static bool is_for(const struct lease *lease, const uint8_t content_hash[WIRE_HASH_BYTES])
{
	return lease->open && memcmp(lease->content_hash, content_hash, WIRE_HASH_BYTES) == 0;
}

size_t leases_hold(const struct leases *leases, const uint8_t content_hash[WIRE_HASH_BYTES],
    const struct prefix *prefix)
{
	size_t best = 0;

	for (size_t i = 0; i < LEASES_A_NODE; i++) {
		const struct lease *lease = &leases->all[i];
		size_t n = 0;

		if (is_for(lease, content_hash) && !lease->taken)
			n = prefix_shared(&lease->holds, prefix);
		best = n > best ? n : best;
	}
	return best;
}

/* Steps gained by taking it, less those that whoever had it is likely to miss. */
static double worth(const struct lease *lease, size_t shared, int64_t now_ns)
{
	double halves = (double)(now_ns - lease->used_ns) / (double)HALF_LIFE_NS;
	double lost = (double)(lease->holds.len - shared);

	return (double)shared - lost / (1 + halves);
}

/* The one to take; NULL: none.  One that is in use and begins alike is not doubled:
 * the same prompt several times over would drive out everything else. */
static struct lease *choose(struct leases *leases, const uint8_t content_hash[WIRE_HASH_BYTES],
    const struct prefix *prefix, int64_t now_ns)
{
	struct lease *best = NULL;
	double best_worth = 0;

	for (size_t i = 0; i < LEASES_A_NODE; i++) {
		struct lease *lease = &leases->all[i];
		size_t shared =
		    is_for(lease, content_hash) ? prefix_shared(&lease->holds, prefix) : 0;
		double w = lease->open ? worth(lease, shared, now_ns) : 0;

		if (lease->taken) {
			if (shared > prefix->len / 2)
				return NULL;
			continue;
		}
		if (best == NULL || w > best_worth) {
			best = lease;
			best_worth = w;
		}
	}
	return best;
}

static void keep(struct lease *lease, const struct prefix *prefix)
{
	uint64_t *steps = malloc(prefix->len * sizeof(*steps));

	prefix_fini(&lease->holds);
	if (steps == NULL)
		return;
	memcpy(steps, prefix->steps, prefix->len * sizeof(*steps));
	lease->holds = (struct prefix){ .steps = steps, .len = prefix->len };
}

struct lease *lease_take(struct leases *leases, const uint8_t content_hash[WIRE_HASH_BYTES],
    const struct prefix *prefix, int64_t now_ns, uint8_t closed[WIRE_LEASE_BYTES])
{
	struct lease *lease =
	    prefix->len == 0 ? NULL : choose(leases, content_hash, prefix, now_ns);

	memset(closed, 0, WIRE_LEASE_BYTES);
	if (lease == NULL)
		return NULL;
	if (!is_for(lease, content_hash)) {
		if (lease->open)
			memcpy(closed, lease->id, WIRE_LEASE_BYTES);
		empty(lease);
		random_bytes(lease->id, sizeof(lease->id));
		memcpy(lease->content_hash, content_hash, WIRE_HASH_BYTES);
		lease->open = true;
	}
	keep(lease, prefix);
	lease->taken = true;
	lease->used_ns = now_ns;
	return lease;
}

bool lease_give_back(struct lease *lease, int64_t now_ns, uint8_t closed[WIRE_LEASE_BYTES])
{
	lease->taken = false;
	lease->used_ns = now_ns;
	if (!lease->stale)
		return true;
	memcpy(closed, lease->id, WIRE_LEASE_BYTES);
	empty(lease);
	return false;
}

void leases_lost(struct leases *leases)
{
	for (size_t i = 0; i < LEASES_A_NODE; i++)
		prefix_fini(&leases->all[i].holds);
}

size_t leases_forget(struct leases *leases, uint8_t closed[][WIRE_LEASE_BYTES])
{
	size_t n = 0;

	for (size_t i = 0; i < LEASES_A_NODE; i++) {
		struct lease *lease = &leases->all[i];

		if (!lease->open)
			continue;
		prefix_fini(&lease->holds);
		if (lease->taken) {
			lease->stale = true;
			continue;
		}
		memcpy(closed[n++], lease->id, WIRE_LEASE_BYTES);
		empty(lease);
	}
	return n;
}
