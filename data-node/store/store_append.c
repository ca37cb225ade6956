/*
 * Store append: one writer thread, group commit.
 *
 * Callers prepare their records (hash, encode) in their own thread, queue a job
 * that lives on their stack and sleep.  The writer takes what has queued up,
 * applies it in one transaction, makes new keys durable, commits, and wakes
 * them.  It waits for company only while the last groups showed that there is
 * some, never longer than half a usual commit or the commit interval.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "os/process.h"
#include "store/store_internal.h"

static struct store_entry entry_of(const struct observation *obs, uint64_t seq)
{
	return (struct store_entry){
		.layer = (uint8_t)obs->layer,
		.t0_ns = obs->dev_t0_ns,
		.t1_ns = obs->dev_t1_ns,
		.seq = seq,
	};
}

static int seq_get(struct store *store, MDB_txn *txn, enum store_db db,
    const uint8_t id[OBS_ID_BYTES], uint64_t *seq)
{
	uint8_t bytes[OBS_ID_BYTES];
	MDB_val key = { sizeof(bytes), bytes }, value;

	memcpy(bytes, id, sizeof(bytes));
	int err = mdb_get(txn, store->dbi[db], &key, &value);
	if (err == 0 && value.mv_size != 8)
		return MDB_CORRUPTED;
	if (err == 0)
		*seq = store_get_be64(value.mv_data);
	return err;
}

static int seq_put(struct store *store, MDB_txn *txn, enum store_db db,
    const uint8_t id[OBS_ID_BYTES], uint64_t seq)
{
	uint8_t id_bytes[OBS_ID_BYTES], seq_bytes[8];
	MDB_val key = { sizeof(id_bytes), id_bytes }, value = { sizeof(seq_bytes), seq_bytes };

	memcpy(id_bytes, id, sizeof(id_bytes));
	store_put_be64(seq_bytes, seq);
	return mdb_put(txn, store->dbi[db], &key, &value, 0);
}

/* Seal and write one record and its index entries; `err` gets LMDB's code. */
static enum rc record_put(struct store *store, MDB_txn *txn, const struct observation *obs,
    const uint8_t *record, size_t len, uint64_t seq, int *err, struct errmsg *why)
{
	uint8_t seq_bytes[8];
	MDB_val key = { sizeof(seq_bytes), seq_bytes }, value;
	struct store_entry entry = entry_of(obs, seq);

	store_put_be64(seq_bytes, seq);
	buf_reset(&store->sealed);
	enum rc rc = store_seal(store, DB_LOG, &key, store_day(obs->dev_t0_ns),
	    (unsigned)obs->layer, record, len, &store->sealed, why);
	if (rc != RC_OK)
		return rc;
	value = (MDB_val){ store->sealed.len, store->sealed.bytes };
	*err = mdb_put(txn, store->dbi[DB_LOG], &key, &value, MDB_APPEND);
	if (*err == MDB_KEYEXIST)
		*err = MDB_CORRUPTED;
	if (*err == 0)
		*err = store_index_put(store, txn, &entry);
	return RC_OK;
}

/* The current version `old` gives way to `seq`; its content stays known. */
static int supersede(struct store *store, MDB_txn *txn, const struct observation *old, uint64_t seq)
{
	uint8_t version[OBS_ID_BYTES];
	struct store_entry entry = entry_of(old, old->seq);

	entry.by_seq = seq;
	store_hash_version(store, old->obs_id, old->content_hash, version);
	int err = seq_put(store, txn, DB_SEEN, version, old->seq);
	return err != 0 || old->tombstone ? err : store_index_supersede(store, txn, &entry);
}

/*
 * Is it a duplicate?  The current version, or one before it, has this content.
 * Otherwise `old` is the current version if there is one (old->seq != 0).
 */
static enum rc duplicate_find(struct store *store, MDB_txn *txn, const struct store_plain *plain,
    struct observation *old, uint64_t *duplicate_seq, int *err, struct errmsg *why)
{
	uint8_t version[OBS_ID_BYTES];
	uint64_t seq = 0;

	*duplicate_seq = 0;
	old->seq = 0;
	*err = seq_get(store, txn, DB_DEDUP, plain->obs_id, &seq);
	if (*err == MDB_NOTFOUND)
		*err = 0;
	if (*err != 0 || seq == 0)
		return RC_OK;
	arena_reset(&store->old);
	enum rc rc = store_record_get(store, txn, seq, &store->scratch, &store->old, old, why);
	if (rc != RC_OK)
		return rc == RC_NOTFOUND ? RC_CORRUPT : rc;
	if (old->tombstone || memcmp(old->content_hash, plain->content_hash, OBS_ID_BYTES) == 0) {
		*duplicate_seq = seq;
		return RC_OK;
	}
	store_hash_version(store, plain->obs_id, plain->content_hash, version);
	*err = seq_get(store, txn, DB_SEEN, version, duplicate_seq);
	if (*err == MDB_NOTFOUND)
		*err = 0;
	return RC_OK;
}

/* A record that supersedes says so inside, so it is encoded again. */
static enum rc reencode(struct store *store, const struct observation *obs,
    const struct store_plain *plain, uint64_t supersedes_seq, struct errmsg *why)
{
	struct observation copy = *obs;

	memcpy(copy.obs_id, plain->obs_id, OBS_ID_BYTES);
	memcpy(copy.content_hash, plain->content_hash, OBS_ID_BYTES);
	copy.supersedes_seq = supersedes_seq;
	buf_reset(&store->scratch);
	return observation_encode(&copy, &store->scratch, why);
}

static enum rc apply_one(struct store *store, MDB_txn *txn, const struct store_job *job, size_t i,
    struct store_result *result, int *err, struct errmsg *why)
{
	const struct store_plain *plain = &job->plain[i];
	const uint8_t *record = job->records->bytes + plain->begin;
	size_t len = plain->len;
	struct observation old;
	uint64_t duplicate_seq;

	enum rc rc = duplicate_find(store, txn, plain, &old, &duplicate_seq, err, why);
	if (rc != RC_OK || *err != 0)
		return rc;
	memcpy(result->obs_id, plain->obs_id, OBS_ID_BYTES);
	if (duplicate_seq != 0) {
		result->outcome = STORE_DUPLICATE;
		result->seq = duplicate_seq;
		store->group_duplicates++;
		return RC_OK;
	}
	uint64_t seq = store->next_seq;
	if (old.seq != 0) {
		*err = supersede(store, txn, &old, seq);
		if (*err != 0)
			return RC_OK;
		rc = reencode(store, &job->obs[i], plain, old.seq, why);
		if (rc != RC_OK)
			return rc;
		record = store->scratch.bytes;
		len = store->scratch.len;
	}
	rc = record_put(store, txn, &job->obs[i], record, len, seq, err, why);
	if (rc == RC_OK && *err == 0)
		*err = seq_put(store, txn, DB_DEDUP, plain->obs_id, seq);
	if (rc != RC_OK || *err != 0)
		return rc;
	result->outcome = STORE_ACCEPTED;
	result->seq = seq;
	store->next_seq++;
	return RC_OK;
}

/* One transaction over the jobs from `first` up to `end`; aborted on failure. */
static enum rc group_txn(struct store *store, struct store_job *first, const struct store_job *end,
    int *err, struct errmsg *why)
{
	struct store_result unused;
	MDB_txn *txn = NULL;

	store->next_seq = atomic_load(&store->cursor) + 1;
	store->group_duplicates = 0;
	*err = mdb_txn_begin(store->env, NULL, 0, &txn);
	if (*err != 0)
		return store_mdb_error(why, *err, "the store cannot be written");
	enum rc rc = RC_OK;
	for (struct store_job *job = first; job != end && rc == RC_OK; job = job->next) {
		for (size_t i = 0; i < job->n && rc == RC_OK; i++) {
			struct store_result *result =
			    job->results == NULL ? &unused : &job->results[i];
			rc = apply_one(store, txn, job, i, result, err, why);
			if (rc == RC_OK && *err != 0)
				rc = store_mdb_error(
				    *err == MDB_MAP_FULL ? NULL : why, *err, "append");
		}
		job->cursor = store->next_seq - 1;
	}
	if (rc == RC_OK)
		rc = keyring_sync(store->keyring, why);
	if (rc != RC_OK) {
		mdb_txn_abort(txn);
		return rc;
	}
	*err = mdb_txn_commit(txn);
	if (*err == 0)
		return RC_OK;
	/* Out of room leaves the last commit as it was; anything else that a
	 * write or a sync says ends the environment (S4). */
	rc = store_mdb_rc(*err);
	if (*err != MDB_MAP_FULL && rc != RC_FULL && rc != RC_NOMEM && rc != RC_LIMIT)
		atomic_store(&store->failed, true);
	return store_mdb_error(*err == MDB_MAP_FULL ? NULL : why, *err, "commit");
}

static void commit_time_note(struct store *store, int64_t ns)
{
	(void)pthread_mutex_lock(&store->lock);
	store->commit_ns[store->commit_ns_next] = ns;
	store->commit_ns_next = (store->commit_ns_next + 1) % STORE_COMMIT_TIMES;
	if (store->commit_ns_len < STORE_COMMIT_TIMES)
		store->commit_ns_len++;
	store->commits++;
	store->duplicates += store->group_duplicates;
	(void)pthread_mutex_unlock(&store->lock);
	store->commit_ns_mean += (ns - store->commit_ns_mean) / 8;
}

static enum rc group_commit(
    struct store *store, struct store_job *first, const struct store_job *end, struct errmsg *why)
{
	size_t bytes = 0;
	int err = 0;

	if (atomic_load(&store->failed))
		return errmsg_rc(why, RC_IO, "an earlier write failed: restart the data node");
	for (const struct store_job *job = first; job != end; job = job->next)
		bytes += job->records->len;
	enum rc rc = store_room_check(store, bytes, why);
	if (rc != RC_OK)
		return rc;
	int64_t begin_ns = clock_mono_ns();
	for (;;) {
		rc = group_txn(store, first, end, &err, why);
		if (rc != RC_FULL || err != MDB_MAP_FULL)
			break;
		rc = store_map_grow(store, why);
		if (rc != RC_OK)
			return rc;
	}
	if (rc == RC_OK) {
		commit_time_note(store, clock_mono_ns() - begin_ns);
		atomic_store(&store->cursor, store->next_seq - 1);
	}
	return rc;
}

/* Together if possible; else each alone, so that one cannot spoil the rest. */
static void group_run(struct store *store, struct store_job *first)
{
	struct errmsg why = ERRMSG_INIT;

	enum rc rc = group_commit(store, first, NULL, &why);
	if (rc == RC_OK || first->next == NULL) {
		for (struct store_job *job = first; job != NULL; job = job->next)
			job->rc = rc;
		first->why = why;
		return;
	}
	for (struct store_job *job = first; job != NULL; job = job->next)
		job->rc = group_commit(store, job, job->next, &job->why);
}

static void deadline_after(int64_t ns, struct timespec *out)
{
	(void)clock_gettime(CLOCK_MONOTONIC, out);
	int64_t sum = out->tv_nsec + ns % NS_PER_S;
	out->tv_sec += (time_t)(ns / NS_PER_S + sum / NS_PER_S);
	out->tv_nsec = (long)(sum % NS_PER_S);
}

/* Under `lock`: let those that usually come along arrive. */
static void wait_for_company(struct store *store)
{
	int64_t wait_ns = store->commit_ns_mean / 2;
	struct timespec deadline;

	if (wait_ns > store->commit_interval_ns)
		wait_ns = store->commit_interval_ns;
	deadline_after(wait_ns, &deadline);
	while (store->queue_jobs < store->jobs_expected && !store->stopping &&
	       store->queue_records < store->commit_records_max) {
		if (pthread_cond_timedwait(&store->work, &store->lock, &deadline) == ETIMEDOUT)
			return;
	}
}

/* Detach the next group; NULL when stopping and nothing is left. */
static struct store_job *group_take(struct store *store, size_t *jobs)
{
	size_t records = 0;

	(void)pthread_mutex_lock(&store->lock);
	while (store->queue == NULL && !store->stopping)
		(void)pthread_cond_wait(&store->work, &store->lock);
	if (store->queue != NULL)
		wait_for_company(store);
	struct store_job *first = store->queue, **link = &store->queue;
	*jobs = 0;
	while (*link != NULL && (*jobs == 0 || records + (*link)->n <= store->commit_records_max)) {
		records += (*link)->n;
		(*jobs)++;
		link = &(*link)->next;
	}
	store->queue = *link;
	*link = NULL;
	if (store->queue == NULL)
		store->queue_tail = &store->queue;
	store->queue_records -= records;
	store->queue_jobs -= *jobs;
	(void)pthread_mutex_unlock(&store->lock);
	return first;
}

static void group_finish(struct store *store, struct store_job *first, size_t jobs)
{
	(void)pthread_mutex_lock(&store->lock);
	while (first != NULL) {
		struct store_job *next = first->next; /* gone once it is done */
		first->done = true;
		first = next;
	}
	store->jobs_expected = jobs + store->queue_jobs;
	(void)pthread_cond_broadcast(&store->finished);
	(void)pthread_cond_broadcast(&store->committed);
	(void)pthread_mutex_unlock(&store->lock);
}

static void *writer_main(void *arg)
{
	struct store *store = arg;
	struct store_job *first;
	size_t jobs;

	process_name_thread("store-writer");
	while ((first = group_take(store, &jobs)) != NULL) {
		group_run(store, first);
		group_finish(store, first, jobs);
	}
	return NULL;
}

enum rc store_writer_start(struct store *store, struct errmsg *why)
{
	int err = pthread_create(&store->writer, NULL, writer_main, store);

	if (err != 0)
		return errmsg_rc(why, RC_NOMEM, "no thread for the store's writer");
	store->writer_started = true;
	return RC_OK;
}

void store_writer_stop(struct store *store)
{
	if (!store->writer_started)
		return;
	(void)pthread_mutex_lock(&store->lock);
	store->stopping = true;
	(void)pthread_cond_broadcast(&store->work);
	(void)pthread_mutex_unlock(&store->lock);
	(void)pthread_join(store->writer, NULL);
	store->writer_started = false;
}

/* Check, hash and encode in the caller's thread. */
static enum rc prepare(struct store *store, const struct observation *obs, size_t n,
    struct store_plain *plain, struct buf *records, struct errmsg *why)
{
	for (size_t i = 0; i < n; i++) {
		struct observation copy = obs[i];
		enum rc rc = observation_check(&copy, why);
		if (rc != RC_OK)
			return rc;
		if (copy.tombstone)
			return errmsg_rc(why, RC_INVALID, "a tombstone cannot be appended");
		store_hash(store, &copy, plain[i].obs_id, plain[i].content_hash);
		memcpy(copy.obs_id, plain[i].obs_id, OBS_ID_BYTES);
		memcpy(copy.content_hash, plain[i].content_hash, OBS_ID_BYTES);
		copy.supersedes_seq = 0;
		plain[i].begin = records->len;
		rc = observation_encode(&copy, records, why);
		if (rc != RC_OK)
			return rc;
		plain[i].len = records->len - plain[i].begin;
	}
	return RC_OK;
}

static enum rc queue_and_wait(struct store *store, struct store_job *job, struct errmsg *why)
{
	enum rc rc = RC_OK;

	(void)pthread_mutex_lock(&store->lock);
	if (store->stopping)
		rc = errmsg_rc(why, RC_CLOSED, "the store is closing");
	else if (store->queue_jobs > 0 && store->queue_records + job->n > store->queue_records_max)
		rc = errmsg_rc(why, RC_AGAIN, "the store's queue is full");
	if (rc == RC_OK) {
		*store->queue_tail = job;
		store->queue_tail = &job->next;
		store->queue_records += job->n;
		store->queue_jobs++;
		(void)pthread_cond_signal(&store->work);
		while (!job->done)
			(void)pthread_cond_wait(&store->finished, &store->lock);
		rc = job->rc;
	}
	(void)pthread_mutex_unlock(&store->lock);
	return rc;
}

enum rc store_append(struct store *store, const struct observation *obs, size_t n,
    struct store_result *results, uint64_t *cursor, struct errmsg *why)
{
	struct buf records;
	struct store_job job = { .obs = obs, .n = n, .results = results, .records = &records };

	if (store->read_only)
		return errmsg_rc(why, RC_DENIED, "the store is open for reading only");
	if (n > STORE_BATCH_MAX)
		return errmsg_rc(why, RC_LIMIT, "more than %zu records at once", STORE_BATCH_MAX);
	if (n == 0) {
		if (cursor != NULL)
			*cursor = store_cursor(store);
		return RC_OK;
	}
	struct store_plain *plain = calloc(n, sizeof(*plain));
	if (plain == NULL)
		return RC_NOMEM;
	buf_init(&records, STORE_BATCH_BYTES_MAX);
	job.plain = plain;
	enum rc rc = prepare(store, obs, n, plain, &records, why);
	if (rc == RC_OK)
		rc = queue_and_wait(store, &job, why);
	if (rc == RC_OK && cursor != NULL)
		*cursor = job.cursor;
	if (rc != RC_OK && job.why.text[0] != '\0')
		errmsg_set(why, "%s", job.why.text);
	buf_fini(&records);
	free(plain);
	return rc;
}

uint64_t store_cursor(const struct store *store)
{
	return atomic_load(&store->cursor);
}

uint64_t store_wait(struct store *store, uint64_t seq, int64_t timeout_ns)
{
	struct timespec deadline;

	deadline_after(timeout_ns, &deadline);
	(void)pthread_mutex_lock(&store->lock);
	while (atomic_load(&store->cursor) <= seq && !store->stopping) {
		if (pthread_cond_timedwait(&store->committed, &store->lock, &deadline) == ETIMEDOUT)
			break;
	}
	(void)pthread_mutex_unlock(&store->lock);
	return store_cursor(store);
}
