/*
 * Adapters of leases: received in chunks, checked when whole, computed with from the
 * lease's next job on, wiped with the lease.
 *
 * The desk receives and checks, one message at a time; while it works on a lease's
 * adapter without the lock, `working` keeps the lease from being released.  Jobs count
 * as users from their first sequence to their last; meanwhile the adapter stays.
 */
#include "serve/scheduler_impl.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#include "base/wipe.h"
#include "model/adapter.h"

/* Under the lock, which is given up while the memory is wiped. */
static void drop(struct scheduler *sched, struct lease_adapter *a)
{
	assert(a->users == 0);
	a->state = LEASE_ADAPTER_NONE;
	if (a->place != NULL) {
		a->working = true;
		(void)pthread_mutex_unlock(&sched->lock);
		wipe(a->place, a->place_len);
		(void)pthread_mutex_lock(&sched->lock);
		adapter_space_give(&sched->adapters, a->place);
	}
	*a = (struct lease_adapter){ .state = LEASE_ADAPTER_NONE };
}

/* Under the lock: what this key may take beside what its leases have (S2). */
static size_t room_of_key(const struct scheduler *sched, const uint8_t key[WIRE_KEY_BYTES])
{
	size_t room = sched->adapters.len - sched->adapters.len / 4;

	for (size_t i = 0; i < LEASES_MAX; i++) {
		const struct lease *lease = &sched->leases.leases[i];

		if (lease->adapter.place != NULL && memcmp(lease->key, key, WIRE_KEY_BYTES) == 0)
			room -= lease->adapter.place_len;
	}
	return room;
}

/* Under the lock: a place for what the first chunk announces. */
static enum rc begin(struct scheduler *sched, struct lease *lease,
    const struct wire_adapter_put *put, struct errmsg *why)
{
	struct lease_adapter *a = &lease->adapter;
	size_t table = adapter_table_bytes(lease->model->model);

	drop(sched, a);
	if (!lease->model->config.adapters)
		return errmsg_rc(why, RC_UNSUPPORTED, "adapter_put: this model takes none here");
	if (put->total_bytes > sched->adapters.len || table > sched->adapters.len)
		return errmsg_rc(why, RC_BUDGET,
		    "adapter_put.total_bytes: %" PRIu64 " of an adapter space of %zu",
		    put->total_bytes, sched->adapters.len);
	a->place_len = ((size_t)put->total_bytes + ADAPTER_ALIGN + table + ADAPTER_ALIGN - 1) /
		       ADAPTER_ALIGN * ADAPTER_ALIGN;
	if (a->place_len > room_of_key(sched, lease->key))
		return errmsg_rc(why, RC_BUDGET,
		    "adapter_put.total_bytes: with %" PRIu64
		    " one key's leases would hold over three quarters of the adapter space",
		    put->total_bytes);
	a->place = adapter_space_take(&sched->adapters, a->place_len);
	if (a->place == NULL)
		return errmsg_rc(why, RC_BUDGET,
		    "adapter_put.total_bytes: no room for %" PRIu64
		    " beside other leases' adapters",
		    put->total_bytes);
	a->state = LEASE_ADAPTER_ARRIVING;
	a->total = (size_t)put->total_bytes;
	memcpy(a->hash, put->content_hash, WIRE_HASH_BYTES);
	return RC_OK;
}

/* Under the lock: does the chunk follow the ones before? */
static enum rc check_chunk(
    const struct lease_adapter *a, const struct wire_adapter_put *put, struct errmsg *why)
{
	if (a->state != LEASE_ADAPTER_ARRIVING || put->offset != a->received)
		return errmsg_rc(why, RC_INVALID, "adapter_put.offset: %" PRIu64 ", expected %zu",
		    put->offset, a->state == LEASE_ADAPTER_ARRIVING ? a->received : 0);
	if (put->total_bytes != a->total)
		return errmsg_rc(why, RC_INVALID, "adapter_put.total_bytes: not as before");
	if (memcmp(put->content_hash, a->hash, WIRE_HASH_BYTES) != 0)
		return errmsg_rc(why, RC_INVALID, "adapter_put.content_hash: not as before");
	if (put->chunk_len == 0)
		return errmsg_rc(why, RC_INVALID, "adapter_put.chunk: empty");
	return RC_OK;
}

/* The whole file is there. */
static enum rc check_whole(const struct model *model, struct lease_adapter *a, struct errmsg *why)
{
	size_t table_at = (a->total + ADAPTER_ALIGN - 1) / ADAPTER_ALIGN * ADAPTER_ALIGN;
	uint8_t hash[WIRE_HASH_BYTES];

	if (crypto_generichash(hash, sizeof(hash), a->place, a->total, NULL, 0) != 0)
		return errmsg_rc(why, RC_BUG, "hash of an adapter");
	if (memcmp(hash, a->hash, sizeof(hash)) != 0)
		return errmsg_rc(
		    why, RC_INVALID, "adapter_put.content_hash: not of the bytes that came");
	return adapter_parse(model, a->place, a->total, a->place + table_at, &a->adapter, why);
}

/* Under the lock, which is given up while bytes are copied and checked. */
static enum rc receive(struct scheduler *sched, struct lease *lease,
    const struct wire_adapter_put *put, struct errmsg *why)
{
	struct lease_adapter *a = &lease->adapter;
	enum rc rc = RC_OK;

	if (put->offset == 0 && put->total_bytes == 0) { /* none from now on */
		drop(sched, a);
		return RC_OK;
	}
	if (put->offset == 0)
		rc = begin(sched, lease, put, why);
	if (rc == RC_OK)
		rc = check_chunk(a, put, why);
	if (rc == RC_OK) {
		bool whole = a->received + put->chunk_len == a->total;

		a->working = true;
		(void)pthread_mutex_unlock(&sched->lock);
		memcpy(a->place + a->received, put->chunk, put->chunk_len);
		if (whole)
			rc = check_whole(lease->model->model, a, why);
		(void)pthread_mutex_lock(&sched->lock);
		a->working = false;
		a->received += put->chunk_len;
		if (whole && rc == RC_OK) {
			a->state = LEASE_ADAPTER_ACTIVE;
			a->number = ++sched->next_adapter;
		}
	}
	if (rc != RC_OK)
		drop(sched, a);
	return rc;
}

enum rc scheduler_adapter(struct scheduler *sched, const uint8_t key[WIRE_KEY_BYTES],
    const struct message *message, struct wire_adapter_state *answer, struct errmsg *why)
{
	enum rc rc = RC_OK;

	if (!message->has_lease)
		return errmsg_rc(why, RC_INVALID, "lease_id: missing");
	(void)pthread_mutex_lock(&sched->lock);
	struct lease *lease = lease_find(&sched->leases, message->lease_id, key);
	if (lease == NULL)
		rc = errmsg_rc(why, RC_DENIED, "no such lease");
	else if (lease->adapter.users > 0)
		rc =
		    errmsg_rc(why, RC_BUSY, "adapter_put: an answer runs with the lease's adapter");
	else if (scheduler_short(sched))
		rc = errmsg_rc(why, RC_BUSY, SHORT_TEXT);
	if (rc == RC_OK) {
		rc = receive(sched, lease, &message->u.adapter_put, why);
		lease_touch(lease, clock_mono_ns());
		*answer = (struct wire_adapter_state){ .received_bytes = lease->adapter.received,
			.active = lease->adapter.state == LEASE_ADAPTER_ACTIVE };
	}
	(void)pthread_mutex_unlock(&sched->lock);
	/* The lease may have been closed meanwhile. */
	scheduler_wake(sched);
	return rc;
}

void scheduler_adapter_use(struct job *job, struct lease *lease)
{
	assert(job->adapted == NULL);
	if (lease->adapter.state != LEASE_ADAPTER_ACTIVE)
		return;
	job->adapted = lease;
	lease->adapter.users++;
}

void scheduler_adapter_leave(struct job *job)
{
	if (job->adapted != NULL)
		job->adapted->adapter.users--;
	job->adapted = NULL;
}

bool scheduler_adapter_release(struct scheduler *sched, struct lease *lease)
{
	bool gone;

	for (size_t i = 0; i < sched->live_len; i++) {
		if (sched->live[i]->adapted == lease)
			atomic_store(&sched->live[i]->cancelled, true);
	}
	(void)pthread_mutex_lock(&sched->lock);
	gone = lease->adapter.users == 0 && !lease->adapter.working;
	if (gone)
		drop(sched, &lease->adapter);
	(void)pthread_mutex_unlock(&sched->lock);
	return gone;
}
