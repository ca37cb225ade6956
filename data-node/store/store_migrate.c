/*
 * Store migration: an older format is brought forward, step by step.
 *
 * Each step leads from one number to the next and the number is written last,
 * so a step that was cut off is simply run again.  All of this is before the
 * writer thread starts; data.mdb is only ever read or rewritten by LMDB's own
 * transactions, so a power cut leaves the format before or the one after.
 *
 *   2  the log may hold records that say what was forgotten (a program of
 *      format 1 would show them as events); databases added since format 1
 *   3  episodes are kept (a program of format 2 would build slices anew and leave
 *      episodes of the old ones)
 *   4  the newest ids are in `recent` alone (a program of format 3 would take
 *      what is sent again for new)
 */
#include <inttypes.h>

#include "base/log.h"
#include "store/store_internal.h"

static enum rc format_read(struct store *store, uint64_t *format, struct errmsg *why)
{
	MDB_val key = store_text_val("format"), value;
	MDB_txn *txn = NULL;

	enum rc rc = store_read_begin(store, &txn, why);
	if (rc != RC_OK)
		return rc;
	int err = mdb_get(txn, store->dbi[DB_META], &key, &value);
	if (err != 0 || value.mv_size != 8)
		rc = errmsg_rc(why, RC_CORRUPT, "the timeline has no format number");
	else
		*format = store_get_be64(value.mv_data);
	store_read_end(store, txn);
	return rc;
}

enum rc store_write(struct store *store, store_task_fn *task, void *ctx, struct errmsg *why)
{
	for (;;) {
		MDB_txn *txn = NULL;
		int err = mdb_txn_begin(store->env, NULL, 0, &txn);
		if (err != 0)
			return store_mdb_error(why, err, "the store cannot be written");
		enum rc rc = task(store, txn, ctx, &err, why);
		if (rc == RC_OK && err == 0)
			err = mdb_txn_commit(txn);
		else
			mdb_txn_abort(txn);
		if (rc != RC_OK || err == 0)
			return rc;
		if (err != MDB_MAP_FULL)
			return store_mdb_error(why, err, "the store cannot be written");
		rc = store_map_grow(store, why);
		if (rc != RC_OK)
			return rc;
	}
}

static enum rc format_put(
    struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	const uint64_t *format = ctx;
	uint8_t bytes[8];
	MDB_val key = store_text_val("format"), value = { sizeof(bytes), bytes };

	(void)why;
	store_put_be64(bytes, *format);
	*err = mdb_put(txn, store->dbi[DB_META], &key, &value, 0);
	return RC_OK;
}

enum rc store_migrate(struct store *store, const struct store_step *steps, size_t steps_len,
    uint64_t target, struct errmsg *why)
{
	uint64_t format = 0;

	enum rc rc = format_read(store, &format, why);
	if (rc == RC_OK && format > target)
		return errmsg_rc(why, RC_UNSUPPORTED,
		    "the timeline has format %" PRIu64 ", this program reads up to %" PRIu64
		    ": use a newer one",
		    format, target);
	if (rc == RC_OK && format < target && store->read_only)
		return errmsg_rc(why, RC_UNSUPPORTED,
		    "the timeline has format %" PRIu64 " and must be opened for writing once, to"
		    " become %" PRIu64,
		    format, target);
	while (rc == RC_OK && format < target) {
		const struct store_step *step = NULL;
		for (size_t i = 0; i < steps_len; i++)
			step = steps[i].from == format ? &steps[i] : step;
		if (step == NULL)
			return errmsg_rc(why, RC_UNSUPPORTED,
			    "the timeline has format %" PRIu64
			    ", from which no step leads to %" PRIu64,
			    format, target);
		log_info("STORE-MIGRATE", "from=%" PRIu64 " to=%" PRIu64 " what=%s", format,
		    format + 1, step->what);
		rc = step->run(store, why);
		format++;
		if (rc == RC_OK)
			rc = store_write(store, format_put, &format, why);
	}
	return rc;
}

/* ---- the steps ---------------------------------------------------------------- */

static enum rc databases_make(
    struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	(void)ctx;
	(void)why;
	for (unsigned db = 0; db < DB_COUNT && *err == 0; db++) {
		MDB_dbi dbi;
		*err = mdb_dbi_open(txn, store_db_name((enum store_db)db), MDB_CREATE, &dbi);
	}
	(void)store;
	return RC_OK;
}

static enum rc add_databases(struct store *store, struct errmsg *why)
{
	return store_write(store, databases_make, NULL, why);
}

static const struct store_step steps[] = {
	{ 1, "databases", add_databases },
	{ 2, "episodes", add_databases },
	{ 3, "recent ids", add_databases },
};

enum rc store_format_check(struct store *store, struct errmsg *why)
{
	return store_migrate(store, steps, sizeof(steps) / sizeof(steps[0]), STORE_FORMAT, why);
}
