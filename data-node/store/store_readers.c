/*
 * Store readers: how far the oldest read transaction lags behind.
 *
 * Pages that an old snapshot holds cannot be used again, so the file grows for
 * as long as it lasts.  LMDB tells its readers as lines of text only.
 */
#include <inttypes.h>
#include <stdio.h>

#include "store/store_internal.h"

struct look {
	struct store_readers *out;
	uint64_t newest;
};

/* "       pid   thread   txnid", then lines of numbers; "-": holds nothing. */
static int reader_line(const char *line, void *ctx)
{
	struct look *look = ctx;
	uint64_t txnid;

	if (sscanf(line, "%*d %*x %" SCNu64, &txnid) != 1)
		return 0;
	look->out->open++;
	if (look->out->oldest == 0 || txnid < look->out->oldest)
		look->out->oldest = txnid;
	return 0;
}

enum rc store_readers_look(struct store *store, struct store_readers *out)
{
	struct look look = { .out = out };
	MDB_envinfo info;

	*out = (struct store_readers){ 0 };
	(void)pthread_rwlock_rdlock(&store->map_lock);
	int err = mdb_env_info(store->env, &info);
	look.newest = info.me_last_txnid;
	if (err == 0)
		err = mdb_reader_list(store->env, reader_line, &look) < 0 ? MDB_CORRUPTED : 0;
	(void)pthread_rwlock_unlock(&store->map_lock);
	if (err == 0 && out->oldest != 0 && out->oldest < look.newest)
		out->behind = look.newest - out->oldest;
	return store_mdb_rc(err);
}
