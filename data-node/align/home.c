/* Home: the digests up to a moment, what is read beside them, and the records. */
#include "align/home.h"

#include <string.h>

#include "align/home_inner.h"

#define RECORDS_BYTES_MAX ((size_t)64 << 20)

/* ---- shared ---------------------------------------------------------------------- */

enum rc home_gather_init(
    struct home_gather *gather, struct store *store, const struct policy *policy)
{
	uint8_t key[STORE_DERIVED_KEY_BYTES];

	*gather = (struct home_gather){ .policy = policy, .rc = RC_OK };
	home_fold_init(&gather->fold);
	enum rc rc = store_derive_key(store, "home", key);
	memcpy(gather->key, key, sizeof gather->key);
	return rc;
}

/* Fold what was gathered of the time before `end_ns`, once it is twice as much. */
static enum rc shrink(struct home_gather *gather, int64_t end_ns)
{
	size_t most = gather->folded_len * 2 + HOME_GATHER_MAX;

	if (gather->fold.len < most)
		return RC_OK;
	enum rc rc = home_fold_keep(&gather->fold, end_ns);
	gather->folded_len = gather->fold.len;
	return rc;
}

static bool take(void *ctx, const struct observation *obs)
{
	struct home_gather *gather = ctx;
	struct item_rest rest;
	struct item item;

	item_of_observation(obs, gather->policy, &item, &rest);
	if (item_key_ns(&item) < gather->from_ns)
		return true; /* it reaches in, from a stretch before */
	struct home_ref ref = home_ref_of(&item, gather->key);
	gather->rc = shrink(gather, ref.key_ns);
	if (gather->rc == RC_OK)
		gather->rc = home_fold_add(&gather->fold, &ref);
	if (obs->place.map_version > gather->fold.last_seq)
		gather->fold.last_seq = obs->place.map_version; /* it came to lie here then */
	return gather->rc == RC_OK;
}

enum rc home_gather_log(struct home_gather *gather, struct store *store, int64_t from_ns,
    int64_t to_ns, uint64_t cursor, struct errmsg *why)
{
	struct store_range range = { .from_ns = from_ns,
		.to_ns = to_ns,
		.layers = LAYER_MASK(LAYER_HOME),
		.as_of_seq = cursor };

	gather->from_ns = from_ns;
	enum rc rc = store_scan_time(store, &range, NULL, 0, take, gather, why);
	if (rc == RC_CORRUPT)
		gather->damaged = true;
	else if (rc != RC_OK)
		return rc;
	return gather->rc;
}

enum rc home_blocks(int64_t until_ns, home_block_fn *visit, void *ctx, int64_t *end_ns)
{
	unsigned level = STORE_DIGEST_LEVELS - 1;
	int64_t at_ns = -store_digest_span_ns(level); /* before 1900 */
	enum rc rc = RC_OK;

	for (;; level--) {
		int64_t span_ns = store_digest_span_ns(level);
		while (rc == RC_OK && at_ns <= until_ns - span_ns) {
			rc = visit(ctx, level, at_ns);
			at_ns += span_ns;
		}
		if (level == 0 || rc != RC_OK)
			break;
	}
	*end_ns = at_ns;
	return rc;
}

/* ---- finding -------------------------------------------------------------------------- */

struct find {
	struct store *store;
	uint64_t cursor;
	struct home_gather gather;
	struct home_fold row;
	struct buf bytes;
	int64_t log_from_ns, log_to_ns; /* to be read before what follows */
	struct errmsg *why;
};

static enum rc read_pending(struct find *find)
{
	if (find->log_from_ns >= find->log_to_ns)
		return RC_OK;
	enum rc rc = home_gather_log(&find->gather, find->store, find->log_from_ns, find->log_to_ns,
	    find->cursor, find->why);
	find->log_from_ns = find->log_to_ns;
	return rc;
}

/* Neighbouring stretches are read in one go. */
static enum rc read_later(struct find *find, int64_t from_ns, int64_t to_ns)
{
	enum rc rc = find->log_to_ns == from_ns ? RC_OK : read_pending(find);

	if (find->log_from_ns >= find->log_to_ns)
		find->log_from_ns = from_ns;
	find->log_to_ns = to_ns;
	return rc;
}

static enum rc get_row(struct find *find, unsigned level, int64_t start_ns)
{
	buf_reset(&find->bytes);
	enum rc rc =
	    store_digest_get(find->store, LAYER_HOME, level, start_ns, &find->bytes, find->why);
	if (rc == RC_OK)
		rc = home_fold_decode(find->bytes.bytes, find->bytes.len, start_ns,
		    store_digest_span_ns(level), &find->row);
	return rc == RC_CORRUPT ? RC_NOTFOUND : rc;
}

/* Without a row: nothing lies in it, or parts of it have rows, or it is read. */
static enum rc find_without(struct find *find, unsigned level, int64_t start_ns, bool *parts)
{
	int64_t end_ns = start_ns + store_digest_span_ns(level);
	struct store_digest_seqs seqs;

	enum rc rc = store_digest_below(find->store, LAYER_HOME, level, start_ns, parts, find->why);
	if (rc != RC_OK || *parts)
		return rc;
	rc = store_digest_seqs(find->store, LAYER_HOME, start_ns, end_ns, true, &seqs, find->why);
	if (rc != RC_OK || seqs.last == 0)
		return rc;
	return read_later(find, start_ns, end_ns);
}

static enum rc find_block(void *ctx, unsigned level, int64_t start_ns)
{
	struct find *find = ctx;
	int64_t span_ns = store_digest_span_ns(level);
	bool parts = true;

	enum rc rc = get_row(find, level, start_ns);
	if (rc == RC_OK && find->row.first_seq > find->cursor)
		return RC_OK; /* all of it came later */
	if (rc == RC_OK && !find->row.dense && find->row.last_seq <= find->cursor) {
		rc = read_pending(find);
		return rc == RC_OK ? home_fold_join(&find->gather.fold, &find->row) : rc;
	}
	if (rc == RC_NOTFOUND)
		rc = find_without(find, level, start_ns, &parts);
	if (rc != RC_OK || !parts)
		return rc;
	if (level == 0)
		return read_later(find, start_ns, start_ns + span_ns);
	for (unsigned i = 0; i < HOME_CHILDREN && rc == RC_OK; i++)
		rc = find_block(find, level - 1, start_ns + (int64_t)i * (span_ns / HOME_CHILDREN));
	return rc;
}

static enum rc find_all(struct find *find, int64_t before_ns)
{
	int64_t end_ns;

	enum rc rc = home_blocks(before_ns, find_block, find, &end_ns);
	if (rc == RC_OK && end_ns < before_ns)
		rc = read_later(find, end_ns, before_ns);
	if (rc == RC_OK)
		rc = read_pending(find);
	return rc == RC_OK ? home_fold_keep(&find->gather.fold, before_ns) : rc;
}

/* ---- the records ------------------------------------------------------------------------ */

static enum rc visit_log(struct find *find, int64_t before_ns, store_visit_fn *visit, void *ctx)
{
	struct store_range range = { .from_ns = OBS_TIME_MIN_NS,
		.to_ns = before_ns,
		.layers = LAYER_MASK(LAYER_HOME),
		.as_of_seq = find->cursor };

	return store_scan_time(find->store, &range, NULL, 0, visit, ctx, find->why);
}

/* Is the record where it was when it was folded? */
static bool stands(
    const struct find *find, const struct home_ref *ref, const struct observation *obs)
{
	struct item_rest rest;
	struct item item;

	if (obs->tombstone)
		return false;
	item_of_observation(obs, find->gather.policy, &item, &rest);
	return item_key_ns(&item) == ref->key_ns && item_end_ns(&item) == ref->end_ns;
}

/* RC_NOTFOUND: not all of them are what they were. */
static enum rc fetch(struct find *find, struct arena *arena, struct observation **out)
{
	const struct home_fold *fold = &find->gather.fold;
	uint64_t *seqs = arena_array(arena, fold->len + 1, sizeof *seqs);
	struct observation *all = arena_array(arena, fold->len + 1, sizeof *all);

	if (seqs == NULL || all == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < fold->len; i++)
		seqs[i] = fold->refs[i].seq;
	enum rc rc = store_get_seqs(find->store, seqs, fold->len, find->cursor, arena, all, NULL);
	for (size_t i = 0; i < fold->len && rc == RC_OK; i++) {
		if (!stands(find, &fold->refs[i], &all[i]))
			rc = RC_NOTFOUND;
	}
	*out = all;
	return rc;
}

enum rc home_visit(struct store *store, int64_t before_ns, uint64_t cursor,
    const struct policy *policy, store_visit_fn *visit, void *ctx, struct errmsg *why)
{
	struct find find = { .store = store, .cursor = cursor, .why = why };
	struct observation *all = NULL;
	struct arena arena;

	arena_init(&arena, RECORDS_BYTES_MAX);
	buf_init(&find.bytes, STORE_DIGEST_BYTES_MAX);
	home_fold_init(&find.row);
	enum rc rc = home_gather_init(&find.gather, store, policy);
	if (rc == RC_OK)
		rc = find_all(&find, before_ns);
	if (rc == RC_OK)
		rc = fetch(&find, &arena, &all);
	if (rc == RC_OK) {
		for (size_t i = 0; i < find.gather.fold.len; i++) {
			if (!visit(ctx, &all[i]))
				break;
		}
		rc = find.gather.damaged ? RC_CORRUPT : RC_OK;
	} else if (rc == RC_NOTFOUND || rc == RC_CORRUPT || rc == RC_NOMEM) {
		/* Forgotten or moved meanwhile, or too large to hold: one by one. */
		rc = visit_log(&find, before_ns, visit, ctx);
	}
	home_fold_fini(&find.gather.fold);
	home_fold_fini(&find.row);
	buf_fini(&find.bytes);
	arena_fini(&arena);
	return rc;
}
