/* The table of leases: ids, owners, clocks. */
#include "serve/lease.h"

#include <assert.h>
#include <string.h>

#include "base/wipe.h"

void lease_table_init(struct lease_table *table, int64_t idle_default_ns, int64_t idle_max_ns)
{
	*table =
	    (struct lease_table){ .idle_default_ns = idle_default_ns, .idle_max_ns = idle_max_ns };
}

/* Whatever its state; ids are compared in constant time: they are secrets. */
static struct lease *find_id(struct lease_table *table, const uint8_t id[WIRE_LEASE_BYTES])
{
	struct lease *found = NULL;

	for (size_t i = 0; i < LEASES_MAX; i++) {
		struct lease *lease = &table->leases[i];

		if (wipe_equal(lease->id, id, WIRE_LEASE_BYTES) && lease->state != LEASE_FREE)
			found = lease;
	}
	return found;
}

struct lease *lease_find(struct lease_table *table, const uint8_t id[WIRE_LEASE_BYTES],
    const uint8_t key[WIRE_KEY_BYTES])
{
	struct lease *lease = find_id(table, id);

	if (lease == NULL || lease->state != LEASE_OPEN)
		return NULL;
	return memcmp(lease->key, key, WIRE_KEY_BYTES) == 0 ? lease : NULL;
}

static int64_t granted_ns(const struct lease_table *table, int64_t asked_ns)
{
	if (asked_ns <= 0)
		return table->idle_default_ns;
	return asked_ns < table->idle_max_ns ? asked_ns : table->idle_max_ns;
}

static enum rc reopen(struct lease_table *table, struct lease *lease, const struct lease_open *open,
    int64_t now_ns, struct errmsg *why)
{
	if (lease->state != LEASE_OPEN || memcmp(lease->key, open->key, WIRE_KEY_BYTES) != 0)
		return errmsg_rc(why, RC_DENIED, "no such lease");
	if (lease->model != open->model)
		return errmsg_rc(why, RC_INVALID, "model: the lease is open for another one");
	lease->peer = open->peer;
	lease->idle_ns = granted_ns(table, open->idle_ns);
	lease_touch(lease, now_ns);
	return RC_OK;
}

enum rc lease_open(struct lease_table *table, const struct lease_open *open, int64_t now_ns,
    struct lease **out, struct errmsg *why)
{
	struct lease *lease = find_id(table, open->id);
	size_t of_key = 0;

	if (lease != NULL) {
		enum rc rc = reopen(table, lease, open, now_ns, why);

		if (rc == RC_OK)
			*out = lease;
		return rc;
	}
	for (size_t i = 0; i < LEASES_MAX; i++) {
		struct lease *at = &table->leases[i];

		if (at->state == LEASE_FREE)
			lease = lease == NULL ? at : lease;
		else if (memcmp(at->key, open->key, WIRE_KEY_BYTES) == 0)
			of_key++;
	}
	if (of_key >= LEASES_KEY_MAX)
		return errmsg_rc(why, RC_LIMIT, "one key may hold %zu leases", LEASES_KEY_MAX);
	if (lease == NULL)
		return errmsg_rc(why, RC_BUSY, "all %zu leases are taken", LEASES_MAX);
	*lease = (struct lease){ .state = LEASE_OPEN,
		.peer = open->peer,
		.model = open->model,
		.idle_ns = granted_ns(table, open->idle_ns),
		.used_ns = now_ns };
	memcpy(lease->id, open->id, WIRE_LEASE_BYTES);
	memcpy(lease->key, open->key, WIRE_KEY_BYTES);
	*out = lease;
	return RC_OK;
}

void lease_touch(struct lease *lease, int64_t now_ns)
{
	lease->used_ns = now_ns;
}

void lease_close(struct lease *lease)
{
	assert(lease->state != LEASE_FREE);
	lease->state = LEASE_CLOSING;
}

void lease_close_of_peer(struct lease_table *table, wire_peer peer)
{
	for (size_t i = 0; i < LEASES_MAX; i++) {
		if (table->leases[i].state == LEASE_OPEN && table->leases[i].peer == peer)
			lease_close(&table->leases[i]);
	}
}

/* Nothing runs or rests under it. */
static bool is_unused(const struct lease *lease)
{
	return lease->state == LEASE_OPEN && !lease->busy && lease->adapter.users == 0;
}

void lease_close_spare(struct lease_table *table)
{
	for (size_t i = 0; i < LEASES_MAX; i++) {
		struct lease *lease = &table->leases[i];

		if (is_unused(lease))
			lease_close(lease);
	}
}

void lease_close_idle(struct lease_table *table, int64_t now_ns)
{
	for (size_t i = 0; i < LEASES_MAX; i++) {
		struct lease *lease = &table->leases[i];

		if (is_unused(lease) && now_ns - lease->used_ns >= lease->idle_ns)
			lease_close(lease);
	}
}

void lease_release(struct lease *lease)
{
	wipe(lease, sizeof(*lease));
}

size_t lease_count(const struct lease_table *table, const uint8_t *key)
{
	size_t n = 0;

	for (size_t i = 0; i < LEASES_MAX; i++) {
		const struct lease *lease = &table->leases[i];

		n += lease->state == LEASE_OPEN &&
		     (key == NULL || memcmp(lease->key, key, WIRE_KEY_BYTES) == 0);
	}
	return n;
}
