/* Lease messages, and sequences passing from lease to job and back. */
#include "serve/scheduler_impl.h"

#include <assert.h>
#include <string.h>

#include "base/wipe.h"

static enum rc open_lease(struct scheduler *sched, wire_peer peer,
    const uint8_t key[WIRE_KEY_BYTES], const struct message *message,
    struct wire_lease_state *answer, struct fault *fault)
{
	struct errmsg why = ERRMSG_INIT;
	struct lease *lease = NULL;
	const struct lease_open open = { .id = message->lease_id,
		.key = key,
		.peer = peer,
		.model = fleet_find(sched->config.fleet, message->u.lease_open.model),
		.idle_ns = (int64_t)message->u.lease_open.idle_ms * NS_PER_MS };

	if (open.model == NULL) {
		fault_set(fault, WIRE_ERROR_NO_MODEL, "no such model here");
		return RC_NOTFOUND;
	}
	if (scheduler_short(sched)) {
		fault_set(fault, WIRE_ERROR_BUSY, SHORT_TEXT);
		return RC_BUSY;
	}
	(void)pthread_mutex_lock(&sched->lock);
	enum rc rc = lease_open(&sched->leases, &open, clock_mono_ns(), &lease, &why);
	if (rc == RC_OK)
		*answer = (struct wire_lease_state){ .open = true,
			.idle_ms = (uint32_t)(lease->idle_ns / NS_PER_MS) };
	(void)pthread_mutex_unlock(&sched->lock);
	if (rc != RC_OK)
		fault_from_rc(fault, rc, &why);
	return rc;
}

enum rc scheduler_lease(struct scheduler *sched, wire_peer peer, const uint8_t key[WIRE_KEY_BYTES],
    const struct message *message, struct wire_lease_state *answer, bool *has_answer,
    struct fault *fault)
{
	*has_answer = true;
	if (!message->has_lease) {
		fault_set(fault, WIRE_ERROR_INVALID, "lease_id: missing");
		return RC_INVALID;
	}
	if (message->kind == MESSAGE_LEASE_OPEN)
		return open_lease(sched, peer, key, message, answer, fault);
	(void)pthread_mutex_lock(&sched->lock);
	struct lease *lease = lease_find(&sched->leases, message->lease_id, key);
	if (lease != NULL && message->kind == MESSAGE_LEASE_RENEW) {
		lease->peer = peer;
		lease_touch(lease, clock_mono_ns());
		*answer = (struct wire_lease_state){ .open = true,
			.idle_ms = (uint32_t)(lease->idle_ns / NS_PER_MS) };
	} else if (lease != NULL) {
		lease->answer_close = true;
		lease->close_peer = peer;
		lease->close_request = message->request_id;
		lease_close(lease);
		*has_answer = false;
	}
	(void)pthread_mutex_unlock(&sched->lock);
	if (lease == NULL) {
		fault_set(fault, WIRE_ERROR_NO_LEASE, "no such lease");
		return RC_DENIED;
	}
	scheduler_wake(sched);
	return RC_OK;
}

struct sequence *scheduler_seat(struct scheduler *sched, struct lane *lane, struct job *job)
{
	const struct lease *own =
	    job->has_lease ? lease_find(&sched->leases, job->lease_id, job->key) : NULL;
	struct sequence *empty = NULL, *oldest = NULL;

	for (uint32_t i = 0; i < lane->model->config.n_seq; i++) {
		struct sequence *seq = &lane->seqs[i];

		if (seq->job != NULL)
			continue;
		if (own != NULL && seq->lease == own)
			return seq;
		if (seq->lease == NULL)
			empty = empty == NULL ? seq : empty;
		else if (oldest == NULL || seq->lease->used_ns < oldest->lease->used_ns)
			oldest = seq;
	}
	return empty != NULL ? empty : oldest;
}

void sequence_wipe(struct lane *lane, struct sequence *seq)
{
	engine_seq_wipe(lane->model->engine, (uint32_t)(seq - lane->seqs));
	wipe(seq->ids, seq->len * sizeof(seq->ids[0]));
	seq->len = 0;
	seq->lease = NULL;
	seq->adapter = 0;
}

/* What was computed with another adapter is another past. */
static uint32_t common_prefix(
    const struct sequence *seq, const struct generation *gen, uint64_t adapter)
{
	uint32_t n = 0;

	if (seq->adapter != adapter)
		return 0;
	while (n < seq->len && n < gen->len && seq->ids[n] == gen->ids[n])
		n++;
	/* The last token is computed anew: its logits are needed. */
	return n == gen->len ? n - 1 : n;
}

void sequence_begin(struct lane *lane, struct sequence *seq, struct job *job)
{
	const struct lease_adapter *adapter = job->adapted != NULL ? &job->adapted->adapter : NULL;
	uint64_t number = adapter != NULL ? adapter->number : 0;
	uint32_t index = (uint32_t)(seq - lane->seqs), kept = common_prefix(seq, &job->gen, number);

	if (kept < seq->len) {
		if (kept == 0 || engine_seq_truncate(lane->model->engine, index, kept) != RC_OK) {
			struct lease *lease = seq->lease;

			sequence_wipe(lane, seq);
			seq->lease = lease;
			kept = 0;
		}
		wipe(seq->ids + kept, (seq->len - kept) * sizeof(seq->ids[0]));
		seq->len = kept;
	}
	seq->adapter = number;
	if (adapter != NULL &&
	    engine_seq_adapt(lane->model->engine, index, adapter->adapter) != RC_OK)
		job_fail(job, WIRE_ERROR_INTERNAL, "the engine takes no adapter");
	job->fed = kept;
	job->cached_tokens = kept < job->gen.prompt_len ? kept : job->gen.prompt_len;
}

void sequence_end(struct scheduler *sched, struct lane *lane, struct sequence *seq, bool keep)
{
	bool open = false;

	if (seq->lease != NULL) {
		(void)pthread_mutex_lock(&sched->lock);
		seq->lease->busy = false;
		open = seq->lease->state == LEASE_OPEN;
		if (open)
			lease_touch(seq->lease, clock_mono_ns());
		(void)pthread_mutex_unlock(&sched->lock);
	}
	seq->job = NULL;
	(void)!engine_seq_adapt(lane->model->engine, (uint32_t)(seq - lane->seqs), NULL);
	for (unsigned i = 0; i < lane->n_samplers; i++)
		wipe(lane->scratch[i].sampling, sample_scratch_bytes(lane->model->info->n_vocab));
	if (!keep || !open)
		sequence_wipe(lane, seq);
}

static void answer_close(struct scheduler *sched, const struct lease *lease)
{
	struct message message = {
		.request_id = lease->close_request, .has_lease = true, .kind = MESSAGE_LEASE_STATE
	};

	memcpy(message.lease_id, lease->id, WIRE_LEASE_BYTES);
	sched->config.reply(sched->config.ctx, lease->close_peer, &message);
}

/* The sequence that holds a lease's KV. */
static struct sequence *sequence_of(
    struct scheduler *sched, const struct lease *lease, struct lane **lane)
{
	*lane = scheduler_lane(sched, lease->model);
	for (uint32_t i = 0; (*lane)->present && i < lease->model->config.n_seq; i++) {
		if ((*lane)->seqs[i].lease == lease)
			return &(*lane)->seqs[i];
	}
	return NULL;
}

bool scheduler_release_leases(struct scheduler *sched)
{
	bool any = false;

	for (size_t i = 0; i < LEASES_MAX; i++) {
		struct lease *lease = &sched->leases.leases[i];
		struct lane *lane = NULL;

		(void)pthread_mutex_lock(&sched->lock);
		bool closing = lease->state == LEASE_CLOSING;
		(void)pthread_mutex_unlock(&sched->lock);
		if (!closing)
			continue;
		struct sequence *seq = sequence_of(sched, lease, &lane);
		if (seq != NULL && seq->job != NULL) {
			/* Ends within this round; the lease goes with the next. */
			atomic_store(&seq->job->cancelled, true);
			continue;
		}
		if (seq != NULL)
			sequence_wipe(lane, seq);
		if (!scheduler_adapter_release(sched, lease))
			continue;
		if (lease->answer_close)
			answer_close(sched, lease);
		(void)pthread_mutex_lock(&sched->lock);
		lease_release(lease);
		(void)pthread_mutex_unlock(&sched->lock);
		any = true;
	}
	return any;
}
