/*
 * Store upkeep: what has to be looked at from time to time.
 *
 * One thread, a look a minute: a reader that holds the same old snapshot for
 * two looks while commits go on is named (the file grows for as long as it
 * stays), dead readers of LMDB's table are cleared every hour, and the ballast
 * is made again when there is room.
 */
#include "base/log.h"
#include "os/process.h"
#include "store/store_internal.h"

#define LOOK_NS (60 * NS_PER_S)
#define LOOKS_A_CLEARING 60

void store_upkeep_look(struct store *store)
{
	struct store_readers readers;
	int dead = 0;

	store_ballast_make(store);
	if (++store->upkeep_looks % LOOKS_A_CLEARING == 0) {
		(void)pthread_rwlock_rdlock(&store->map_lock);
		int err = mdb_reader_check(store->env, &dead);
		(void)pthread_rwlock_unlock(&store->map_lock);
		if (err == 0 && dead > 0)
			log_warn("STORE-READERS-DEAD", "cleared=%d", dead);
	}
	if (store_readers_look(store, &readers) != RC_OK)
		return;
	bool stuck = readers.behind > 0 && readers.oldest == store->upkeep_oldest;
	if (stuck && atomic_fetch_add(&store->reader_alarms, 1) == 0)
		log_warn("STORE-READER-LAG", "open=%u commits_behind=%llu", readers.open,
		    (unsigned long long)readers.behind);
	if (!stuck)
		atomic_store(&store->reader_alarms, 0);
	store->upkeep_oldest = readers.oldest;
}

static void *upkeep_main(void *arg)
{
	struct store *store = arg;

	process_name_thread("store-upkeep");
	(void)pthread_mutex_lock(&store->lock);
	while (!store->stopping) {
		struct timespec deadline;
		store_deadline(LOOK_NS, &deadline);
		int err = 0;
		while (!store->stopping && err == 0)
			err = pthread_cond_timedwait(&store->upkeep, &store->lock, &deadline);
		if (store->stopping)
			break;
		(void)pthread_mutex_unlock(&store->lock);
		store_upkeep_look(store);
		(void)pthread_mutex_lock(&store->lock);
	}
	(void)pthread_mutex_unlock(&store->lock);
	return NULL;
}

enum rc store_upkeep_start(struct store *store, struct errmsg *why)
{
	store_ballast_make(store);
	if (pthread_create(&store->upkeep_thread, NULL, upkeep_main, store) != 0)
		return errmsg_rc(why, RC_NOMEM, "no thread for the store's upkeep");
	store->upkeep_started = true;
	return RC_OK;
}

void store_upkeep_stop(struct store *store)
{
	if (!store->upkeep_started)
		return;
	(void)pthread_mutex_lock(&store->lock);
	store->stopping = true;
	(void)pthread_cond_broadcast(&store->upkeep);
	(void)pthread_mutex_unlock(&store->lock);
	(void)pthread_join(store->upkeep_thread, NULL);
	store->upkeep_started = false;
}
