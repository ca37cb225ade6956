/*
 * Home verify: each digest made again from the digests of its parts, the
 * smallest from the records.
 */
#include <stdio.h>
#include <string.h>

#include "align/home_inner.h"
#include "base/timestamp.h"

#define FAULT_BYTES 160

struct verify {
	struct store *store;
	struct home_make *make;
	struct home_fold stored, again;
	struct buf bytes, after; /* of the row, before and after it was made again */
	store_fault_fn *report;
	void *ctx;
	uint64_t *faults;
	struct errmsg *why;
};

static void fault(struct verify *v, unsigned level, int64_t start_ns, const char *what)
{
	char text[FAULT_BYTES], start[TIMESTAMP_TEXT_BYTES];

	timestamp_format(start_ns, start);
	(void)snprintf(text, sizeof text, "digest: level %u from %s %s: a rebuild makes it again",
	    level, start, what);
	++*v->faults;
	v->report(v->ctx, text);
}

static bool same_refs(const struct home_fold *a, const struct home_fold *b)
{
	for (size_t i = 0; i < a->len && i < b->len; i++) {
		const struct home_ref *x = &a->refs[i], *y = &b->refs[i];
		if (x->seq != y->seq || x->key_ns != y->key_ns || x->end_ns != y->end_ns ||
		    x->track != y->track || x->lane != y->lane || x->boot != y->boot ||
		    x->role != y->role)
			return false;
	}
	return a->len == b->len;
}

/* Does a reader of the stored one get what is there?  It may count for fewer
 * cursors than it could, or say that the records must be read. */
static bool holds(const struct home_fold *stored, const struct home_fold *again)
{
	if (stored->dense)
		return true;
	return !again->dense && stored->last_seq >= again->last_seq &&
	       (again->first_seq == 0 || stored->first_seq <= again->first_seq) &&
	       same_refs(stored, again);
}

static enum rc get(struct verify *v, unsigned level, int64_t start_ns, struct buf *out)
{
	buf_reset(out);
	return store_digest_get(v->store, LAYER_HOME, level, start_ns, out, v->why);
}

static enum rc check(struct verify *v, unsigned level, int64_t start_ns)
{
	bool good = false;

	enum rc rc = get(v, level, start_ns, &v->bytes);
	if (rc == RC_NOTFOUND)
		return RC_OK; /* gone, or it does not open: store_verify() tells that */
	if (rc == RC_OK)
		rc = home_fold_decode(v->bytes.bytes, v->bytes.len, start_ns,
		    store_digest_span_ns(level), &v->stored);
	if (rc == RC_OK) {
		rc = home_make_again(v->make, level, start_ns, &v->again);
		good = rc == RC_OK && holds(&v->stored, &v->again);
	} else if (rc == RC_CORRUPT) {
		rc = RC_OK;
	}
	if (rc != RC_OK || good)
		return rc;
	/* What changed under it meanwhile has taken it away. */
	rc = get(v, level, start_ns, &v->after);
	if (rc == RC_OK && v->after.len == v->bytes.len &&
	    memcmp(v->after.bytes, v->bytes.bytes, v->bytes.len) == 0)
		fault(v, level, start_ns, "says something else than its records");
	return rc == RC_NOTFOUND ? RC_OK : rc;
}

static enum rc check_level(struct verify *v, unsigned level)
{
	int64_t from_ns = INT64_MIN, start_ns;

	for (;;) {
		enum rc rc =
		    store_digest_next(v->store, LAYER_HOME, level, from_ns, &start_ns, v->why);
		if (rc == RC_OK)
			rc = check(v, level, start_ns);
		if (rc != RC_OK)
			return rc == RC_NOTFOUND ? RC_OK : rc;
		from_ns = start_ns + 1;
	}
}

enum rc home_verify(struct store *store, const struct policy *policy, store_fault_fn *report,
    void *ctx, uint64_t *faults, struct errmsg *why)
{
	struct verify v = {
		.store = store, .report = report, .ctx = ctx, .faults = faults, .why = why
	};

	home_fold_init(&v.stored);
	home_fold_init(&v.again);
	buf_init(&v.bytes, STORE_DIGEST_BYTES_MAX);
	buf_init(&v.after, STORE_DIGEST_BYTES_MAX);
	enum rc rc = home_make_new(store, policy, &v.make, why);
	for (unsigned level = 0; level < STORE_DIGEST_LEVELS && rc == RC_OK; level++)
		rc = check_level(&v, level);
	home_make_free(v.make);
	home_fold_fini(&v.stored);
	home_fold_fini(&v.again);
	buf_fini(&v.bytes);
	buf_fini(&v.after);
	return rc;
}
