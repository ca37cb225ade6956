/* Snapshot: head and segments put, and read back. */
#include "recall/snapshot.h"

#include <string.h>

#include "base/errmsg.h"
#include "base/random.h"
#include "recall/index_segment.h"
#include "recall/language_internal.h"
#include "recall/varint.h"
#include "store/store_clock.h"
#include "store/store_follow.h"
#include "store/store_forget.h"

static const uint8_t magic[4] = { 'H', 'X', 'H', 1 };

/* ---- life ------------------------------------------------------------------------------ */

/* A hash over what becomes of some texts: it changes when rules for words do. */
static enum rc rules_hash(const struct language_model *model, uint64_t *out)
{
	struct document_talks *talks = NULL;
	struct index *index = NULL;

	enum rc rc = index_new(&index);
	if (rc == RC_OK)
		rc = document_talks_new(model, &talks);
	for (size_t i = 0; i < LANGUAGE_SAMPLES && rc == RC_OK; i++) {
		struct observation obs = { .seq = i + 1,
			.source = "phone",
			.client_id = "",
			.layer = LAYER_TEXT,
			.kind = "note",
			.zone = "",
			.dev_t0_ns = (int64_t)i,
			.origin = ORIGIN_OWNER,
			.text = language_samples[i].text,
			.data_json = "{\"title\":\"Caf\\u00e9 2.5 & 10:30, a@b.eu\"}" };
		bool added;
		rc = document_take(index, talks, &obs, &added);
	}
	if (rc == RC_OK)
		*out = index_checksum(index);
	document_talks_free(talks);
	index_free(index);
	return rc;
}

enum rc snapshot_init(struct snapshot *snapshot, struct store *store,
    const struct language_model *model, size_t segment_docs)
{
	*snapshot = (struct snapshot){ .store = store,
		.segment_docs = segment_docs == 0 ? SNAPSHOT_DOCS : segment_docs };
	return rules_hash(model, &snapshot->rules);
}

void snapshot_begin(struct snapshot *snapshot)
{
	struct store_snapshot now;
	struct buf unused;

	snapshot->moved_seq = store_cursor(snapshot->store);
	buf_init(&unused, STORE_SNAPSHOT_BYTES_MAX);
	enum rc rc = store_snapshot_head(snapshot->store, &now, &unused, NULL);
	buf_fini(&unused);
	snapshot->off = rc != RC_OK && rc != RC_NOTFOUND && rc != RC_CORRUPT;
	snapshot->at = (struct store_snapshot){ .epoch = now.epoch, .run = random_u64() };
	/* Its epoch has begun maybe, and what it forgets may still be read. */
	snapshot->off = snapshot->off || store_forget_unfinished(snapshot->store);
	if (rc == RC_NOTFOUND) /* what a forgetting left; in vain if nothing can be written */
		(void)!store_snapshot_clean(snapshot->store, NULL);
}

/* ---- writing ----------------------------------------------------------------------------- */

static void head_encode(const struct snapshot *snapshot, const struct index *index,
    const struct document_talks *talks, uint64_t seq, struct buf *out)
{
	size_t docs_len = index_docs_len(index), dead = 0, before = 0;

	for (size_t i = 0; i < docs_len; i++)
		dead += index_units(index, i) == 0;
	buf_append(out, magic, sizeof magic);
	varint_put(out, snapshot->rules);
	varint_put(out, seq);
	varint_put(out, snapshot->moved_seq);
	varint_put(out, docs_len);
	varint_put(out, index_terms_len(index));
	varint_put(out, dead);
	for (size_t i = 0; i < docs_len; i++) {
		if (index_units(index, i) != 0)
			continue;
		varint_put(out, i - before);
		before = i;
	}
	document_talks_encode(talks, out);
}

static enum rc put_segment(struct snapshot *snapshot, struct index *index,
    const struct document_talks *talks, uint64_t seq)
{
	struct buf segment, head;
	bool stale = false;

	buf_init(&segment, STORE_SNAPSHOT_BYTES_MAX);
	buf_init(&head, STORE_SNAPSHOT_BYTES_MAX);
	index_segment_encode(index, &segment);
	head_encode(snapshot, index, talks, seq, &head);
	enum rc rc = buf_rc(&segment) == RC_OK ? buf_rc(&head) : buf_rc(&segment);
	if (rc == RC_OK)
		rc = store_snapshot_put(
		    snapshot->store, &snapshot->at, &segment, &head, &stale, NULL);
	buf_fini(&segment);
	buf_fini(&head);
	if (rc != RC_OK || stale) {
		snapshot->off = true;
		return rc == RC_DENIED ? RC_OK : rc; /* open for reading only */
	}
	index_segment_saved(index);
	if (snapshot->at.segments++ > 0)
		return RC_OK;
	return store_snapshot_clean(snapshot->store, NULL); /* of the one before */
}

enum rc snapshot_step(struct snapshot *snapshot, struct index *index,
    const struct document_talks *talks, uint64_t seq)
{
	size_t unsaved = index_unsaved(index);

	if (snapshot->off || unsaved < snapshot->segment_docs)
		return RC_OK;
	if (store_following(snapshot->store) || store_forgetting(snapshot->store)) {
		snapshot->off = unsaved > SNAPSHOT_WAIT_FACTOR * snapshot->segment_docs;
		return RC_OK;
	}
	return put_segment(snapshot, index, talks, seq);
}

/* ---- reading -------------------------------------------------------------------------------- */

struct head {
	uint64_t cursor, moved_seq, docs, terms;
};

static enum rc head_begin(
    const struct snapshot *snapshot, struct varint_view *view, struct head *head)
{
	const uint8_t *front = varint_bytes(view, sizeof magic);

	if (front == NULL)
		return RC_CORRUPT;
	if (memcmp(front, magic, sizeof magic) != 0 ||
	    varint_get(view, UINT64_MAX) != snapshot->rules)
		return RC_UNSUPPORTED;
	head->cursor = varint_get(view, UINT64_MAX);
	head->moved_seq = varint_get(view, UINT64_MAX);
	head->docs = varint_get(view, INDEX_DOCS_MAX);
	head->terms = varint_get(view, UINT32_MAX);
	return view->failed || head->cursor > store_cursor(snapshot->store) ? RC_CORRUPT : RC_OK;
}

/* The rest of it, once the segments are there. */
static enum rc head_end(struct varint_view *view, const struct head *head, struct index *index,
    struct document_talks *talks)
{
	uint64_t doc = 0;

	if (index_docs_len(index) != head->docs || index_terms_len(index) != head->terms)
		return RC_CORRUPT;
	uint64_t dead = varint_get(view, head->docs);
	for (uint64_t i = 0; i < dead && !view->failed; i++) {
		doc += varint_get(view, head->docs);
		if (doc >= head->docs)
			return RC_CORRUPT;
		index_kill_doc(index, (uint32_t)doc);
	}
	enum rc rc =
	    view->failed ? RC_CORRUPT : document_talks_take(talks, view, head->docs, head->terms);
	return rc == RC_OK && view->at != view->end ? RC_CORRUPT : rc;
}

static enum rc take_segments(const struct snapshot *snapshot, struct index *index,
    snapshot_gone_fn *gone, void *ctx, struct errmsg *why)
{
	struct buf bytes;
	enum rc rc = RC_OK;

	buf_init(&bytes, STORE_SNAPSHOT_BYTES_MAX);
	for (uint32_t i = 0; i < snapshot->at.segments && rc == RC_OK; i++) {
		buf_reset(&bytes);
		rc = store_snapshot_segment(snapshot->store, i, &bytes, why);
		if (rc == RC_OK)
			rc = index_segment_take(index, bytes.bytes, bytes.len);
		if (rc == RC_NOTFOUND)
			rc = RC_CORRUPT;
		if (rc == RC_OK && gone(ctx))
			rc = RC_CANCELLED;
	}
	buf_fini(&bytes);
	return rc;
}

struct move {
	struct index *index;
	uint64_t seq; /* of the last visit, and where it is since; 0: none */
	int64_t t0_ns, t1_ns;
	bool far;
};

/* Where the last one visited is by now counts, not how it came there. */
static void move_settle(struct move *move)
{
	int64_t by_ns;
	uint32_t doc;

	if (move->seq == 0 || !index_find_doc(move->index, move->seq, &doc))
		return;
	/* Its day and what it follows are in its words and its stretch. */
	if (__builtin_sub_overflow(move->t0_ns, index_docs(move->index)[doc].t0_ns, &by_ns) ||
	    by_ns > SNAPSHOT_MOVE_NS_MAX || by_ns < -SNAPSHOT_MOVE_NS_MAX)
		move->far = true;
	else
		index_move(move->index, doc, move->t0_ns, move->t1_ns);
}

static bool move_visit(void *ctx, uint64_t seq, uint64_t by_seq, enum layer layer,
    const struct placement *from, const struct placement *to)
{
	struct move *move = ctx;

	(void)by_seq;
	(void)layer;
	(void)from;
	if (seq != move->seq)
		move_settle(move);
	move->seq = seq;
	move->t0_ns = to->t0_ns;
	move->t1_ns = to->t1_ns;
	return !move->far;
}

/* What clock maps have placed anew since the first segment: segments stay as they are. */
static enum rc follow_moves(
    const struct snapshot *snapshot, struct index *index, struct errmsg *why)
{
	struct move move = { .index = index };

	enum rc rc = store_clock_moved(snapshot->store, snapshot->moved_seq,
	    store_cursor(snapshot->store), move_visit, &move, why);
	move_settle(&move);
	return rc == RC_OK && move.far ? RC_AGAIN : rc;
}

enum rc snapshot_load(struct snapshot *snapshot, struct index *index, struct document_talks *talks,
    snapshot_gone_fn *gone, void *ctx, uint64_t *cursor, struct errmsg *why)
{
	struct store_snapshot now;
	struct head head;
	struct buf bytes, again;

	buf_init(&bytes, STORE_SNAPSHOT_BYTES_MAX);
	buf_init(&again, STORE_SNAPSHOT_BYTES_MAX);
	enum rc rc = store_snapshot_head(snapshot->store, &snapshot->at, &bytes, why);
	const uint8_t *first = (const uint8_t *)buf_text(&bytes); /* also where there are none */
	struct varint_view view = { .at = first, .end = first + bytes.len };
	if (rc == RC_OK)
		rc = head_begin(snapshot, &view, &head);
	if (rc == RC_OK)
		rc = take_segments(snapshot, index, gone, ctx, why);
	if (rc == RC_OK)
		rc = head_end(&view, &head, index, talks);
	if (rc == RC_OK) {
		snapshot->moved_seq = head.moved_seq;
		rc = follow_moves(snapshot, index, why);
	}
	/* Nothing was forgotten meanwhile: it is still the one that stands. */
	if (rc == RC_OK)
		rc = store_snapshot_head(snapshot->store, &now, &again, why);
	if (rc == RC_OK && (now.epoch != snapshot->at.epoch || now.run != snapshot->at.run))
		rc = RC_AGAIN;
	if (rc == RC_OK)
		*cursor = head.cursor;
	buf_fini(&bytes);
	buf_fini(&again);
	return rc;
}
