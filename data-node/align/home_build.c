/* Home build: digests from the smallest stretches up, put in portions. */
#include <stdlib.h>
#include <string.h>

#include "align/home_inner.h"

#define DAY_LEVEL 2u /* what is read at once where nothing stands yet */
#define DAY_LEAVES 16u
#define PUT_ROWS ((size_t)512)
#define ROWS_BYTES_MAX ((size_t)192 << 20)

_Static_assert(PUT_ROWS <= STORE_DIGEST_ROWS_MAX, "rows of one commit");

struct home_make {
	struct store *store;
	struct home_gather gather;
	const atomic_bool *stop;
	bool put_nothing;
	uint64_t touches;
	struct store_digest_row rows[PUT_ROWS]; /* [rows_len], not put yet */
	size_t rows_len;
	struct arena arena; /* of their bytes */
	struct buf bytes;
	struct home_fold day[DAY_LEAVES]; /* leaves of the day from day_ns on */
	int64_t day_ns;
	bool has_day;
	struct errmsg *why;
};

static enum rc put_rows(struct home_make *make)
{
	bool stale = false;

	if (make->rows_len == 0)
		return RC_OK;
	enum rc rc = store_digest_put(
	    make->store, LAYER_HOME, make->rows, make->rows_len, make->touches, &stale, make->why);
	make->rows_len = 0;
	arena_reset(&make->arena);
	return rc == RC_OK && stale ? RC_AGAIN : rc;
}

/* What does not fit is told as such: its parts are looked at. */
static enum rc add_row(
    struct home_make *make, unsigned level, int64_t start_ns, struct home_fold *fold)
{
	struct store_digest_row row = { .level = level, .start_ns = start_ns };

	buf_reset(&make->bytes);
	enum rc rc = home_fold_encode(fold, start_ns, &make->bytes);
	if (rc == RC_LIMIT) {
		fold->dense = true;
		fold->len = 0;
		buf_reset(&make->bytes);
		rc = home_fold_encode(fold, start_ns, &make->bytes);
	}
	if (rc != RC_OK || make->put_nothing)
		return rc;
	if (make->rows_len == PUT_ROWS)
		rc = put_rows(make);
	if (rc != RC_OK)
		return rc;
	row.bytes = (const uint8_t *)arena_copy(&make->arena, make->bytes.bytes, make->bytes.len);
	row.len = make->bytes.len;
	if (row.bytes == NULL)
		return RC_NOMEM;
	make->rows[make->rows_len++] = row;
	return RC_OK;
}

/* ---- leaves --------------------------------------------------------------------------- */

static enum rc gather_leaf(struct home_make *make, int64_t start_ns, int64_t end_ns)
{
	struct home_gather *gather = &make->gather;

	home_fold_reset(&gather->fold);
	gather->folded_len = 0;
	gather->damaged = false;
	enum rc rc = home_gather_log(gather, make->store, start_ns, end_ns, 0, make->why);
	if (rc == RC_OK && gather->damaged) {
		gather->fold.len = 0; /* whoever reads it is to be told */
		gather->fold.dense = true;
	}
	return rc;
}

/* The records of a day at once, cut into its leaves. */
static enum rc read_day(struct home_make *make, int64_t start_ns)
{
	struct home_fold *all = &make->gather.fold;
	enum rc rc = RC_OK;

	make->has_day = false;
	for (unsigned i = 0; i < DAY_LEAVES; i++)
		home_fold_reset(&make->day[i]);
	rc = gather_leaf(make, start_ns, start_ns + DAY_LEAVES * STORE_DIGEST_LEAF_NS);
	if (rc != RC_OK || all->dense || make->gather.folded_len != 0)
		return rc; /* damaged, or folded over the borders: leaf by leaf */
	for (size_t i = 0; i < all->len && rc == RC_OK; i++) {
		int64_t leaf = (all->refs[i].key_ns - start_ns) / STORE_DIGEST_LEAF_NS;
		rc = home_fold_add(&make->day[leaf], &all->refs[i]);
		make->day[leaf].last_seq = all->last_seq;
	}
	make->has_day = rc == RC_OK;
	make->day_ns = start_ns;
	return rc;
}

static enum rc make_leaf(struct home_make *make, int64_t start_ns, struct home_fold *out)
{
	int64_t end_ns = start_ns + STORE_DIGEST_LEAF_NS, leaf;
	struct store_digest_seqs seqs = { 0 };
	enum rc rc;

	leaf = make->has_day && start_ns >= make->day_ns
		   ? (start_ns - make->day_ns) / STORE_DIGEST_LEAF_NS
		   : DAY_LEAVES;
	if (leaf < DAY_LEAVES) {
		rc = home_fold_join(out, &make->day[leaf]);
	} else {
		rc = gather_leaf(make, start_ns, end_ns);
		if (rc == RC_OK)
			rc = home_fold_join(out, &make->gather.fold);
	}
	if (rc == RC_OK)
		rc = store_digest_seqs(
		    make->store, LAYER_HOME, start_ns, end_ns, false, &seqs, make->why);
	if (rc == RC_OK)
		rc = home_fold_keep(out, end_ns);
	out->first_seq = seqs.first;
	if (seqs.last > out->last_seq)
		out->last_seq = seqs.last;
	return rc == RC_OK ? add_row(make, 0, start_ns, out) : rc;
}

/* ---- stretches -------------------------------------------------------------------------- */

/* The row that stands, or that nothing lies in the stretch.  RC_NOTFOUND: neither. */
static enum rc have(struct home_make *make, unsigned level, int64_t start_ns, struct home_fold *out)
{
	int64_t span_ns = store_digest_span_ns(level);
	struct store_digest_seqs seqs;

	buf_reset(&make->bytes);
	enum rc rc =
	    store_digest_get(make->store, LAYER_HOME, level, start_ns, &make->bytes, make->why);
	if (rc == RC_OK)
		rc = home_fold_decode(make->bytes.bytes, make->bytes.len, start_ns, span_ns, out);
	if (rc != RC_NOTFOUND && rc != RC_CORRUPT)
		return rc;
	home_fold_reset(out);
	rc = store_digest_seqs(
	    make->store, LAYER_HOME, start_ns, start_ns + span_ns, true, &seqs, make->why);
	return rc == RC_OK && seqs.last != 0 ? RC_NOTFOUND : rc;
}

static enum rc make_block(
    struct home_make *make, unsigned level, int64_t start_ns, struct home_fold *out);

static enum rc make_parts(
    struct home_make *make, unsigned level, int64_t start_ns, struct home_fold *out)
{
	int64_t span_ns = store_digest_span_ns(level - 1);
	struct home_fold part;
	enum rc rc = RC_OK;

	home_fold_init(&part);
	for (unsigned i = 0; i < HOME_CHILDREN && rc == RC_OK; i++) {
		home_fold_reset(&part);
		rc = make_block(make, level - 1, start_ns + (int64_t)i * span_ns, &part);
		if (rc == RC_OK)
			rc = home_fold_join(out, &part);
	}
	home_fold_fini(&part);
	if (rc == RC_OK)
		rc = home_fold_keep(out, start_ns + (int64_t)HOME_CHILDREN * span_ns);
	return rc == RC_OK ? add_row(make, level, start_ns, out) : rc;
}

/* `out` is empty, and becomes what the stretch comes to. */
static enum rc make_block(
    struct home_make *make, unsigned level, int64_t start_ns, struct home_fold *out)
{
	bool parts = true;

	if (make->stop != NULL && atomic_load(make->stop))
		return RC_AGAIN;
	enum rc rc = have(make, level, start_ns, out);
	if (rc != RC_NOTFOUND)
		return rc;
	if (level == 0)
		return make_leaf(make, start_ns, out);
	if (level == DAY_LEVEL) {
		rc =
		    store_digest_below(make->store, LAYER_HOME, level, start_ns, &parts, make->why);
		if (rc == RC_OK && !parts)
			rc = read_day(make, start_ns);
		if (rc != RC_OK && rc != RC_NOTFOUND)
			return rc;
	}
	return make_parts(make, level, start_ns, out);
}

static enum rc make_one(void *ctx, unsigned level, int64_t start_ns)
{
	struct home_make *make = ctx;
	struct home_fold fold;

	home_fold_init(&fold);
	enum rc rc = make_block(make, level, start_ns, &fold);
	home_fold_fini(&fold);
	return rc;
}

enum rc home_make_new(
    struct store *store, const struct policy *policy, struct home_make **out, struct errmsg *why)
{
	struct home_make *make = calloc(1, sizeof *make);

	if (make == NULL)
		return RC_NOMEM;
	make->store = store;
	make->put_nothing = true;
	make->why = why;
	arena_init(&make->arena, ROWS_BYTES_MAX);
	buf_init(&make->bytes, STORE_DIGEST_BYTES_MAX);
	enum rc rc = home_gather_init(&make->gather, store, policy);
	if (rc == RC_OK)
		*out = make;
	else
		home_make_free(make);
	return rc;
}

void home_make_free(struct home_make *make)
{
	if (make == NULL)
		return;
	for (unsigned i = 0; i < DAY_LEAVES; i++)
		home_fold_fini(&make->day[i]);
	home_fold_fini(&make->gather.fold);
	buf_fini(&make->bytes);
	arena_fini(&make->arena);
	free(make);
}

enum rc home_make_again(
    struct home_make *make, unsigned level, int64_t start_ns, struct home_fold *out)
{
	make->has_day = false;
	home_fold_reset(out);
	return level == 0 ? make_leaf(make, start_ns, out) : make_parts(make, level, start_ns, out);
}

enum rc home_build(struct store *store, int64_t until_ns, const struct policy *policy,
    const atomic_bool *stop, struct errmsg *why)
{
	struct home_make *make = NULL;
	int64_t end_ns;

	enum rc rc = home_make_new(store, policy, &make, why);
	if (rc != RC_OK)
		return rc;
	make->stop = stop;
	make->put_nothing = false;
	rc = store_digest_begin(store, LAYER_HOME, until_ns, &make->touches, why);
	if (rc == RC_OK)
		rc = home_blocks(until_ns, make_one, make, &end_ns);
	if (rc == RC_OK)
		rc = put_rows(make);
	home_make_free(make);
	return rc;
}

void home_keep_init(struct home_keep *keep)
{
	*keep = (struct home_keep){ .until_ns = INT64_MIN };
}

enum rc home_keep(struct home_keep *keep, struct store *store, int64_t until_ns,
    const struct policy *policy, const atomic_bool *stop, struct errmsg *why)
{
	uint64_t touches = store_digest_touches(store);

	if (touches == keep->touches && keep->until_ns != INT64_MIN &&
	    until_ns - keep->until_ns < STORE_DIGEST_LEAF_NS)
		return RC_OK;
	until_ns -= until_ns % STORE_DIGEST_LEAF_NS;
	enum rc rc = home_build(store, until_ns, policy, stop, why);
	if (rc == RC_OK)
		*keep = (struct home_keep){ touches, until_ns };
	return rc;
}
