/* Index segment: documents, terms and postings since the last one, written and read. */
#include "recall/index_segment.h"

#include <string.h>

#include "recall/index_inner.h"
#include "recall/varint.h"

static const uint8_t magic[4] = { 'H', 'X', 'S', INDEX_SEGMENT_VERSION };

size_t index_unsaved(const struct index *index)
{
	return index->docs_len - index->saved_docs;
}

/* ---- writing -------------------------------------------------------------------------- */

static void put_docs(const struct index *index, struct buf *out)
{
	uint64_t seq = 0;
	int64_t t0_ns = 0;

	for (size_t i = index->saved_docs; i < index->docs_len; i++) {
		const struct index_doc *doc = &index->docs[i];
		varint_put(out, doc->seq - seq);
		varint_put_signed(out, (int64_t)((uint64_t)doc->t0_ns - (uint64_t)t0_ns));
		varint_put(out, doc->span_s);
		varint_put(out, index->turns[i].back);
		seq = doc->seq;
		t0_ns = doc->t0_ns;
	}
}

static size_t count_changed(const struct index *index)
{
	size_t n = 0;

	for (size_t i = 0; i < index->terms_len; i++)
		n += index->terms[i].len > index->terms[i].saved;
	return n;
}

void index_segment_encode(const struct index *index, struct buf *out)
{
	size_t before = 0;

	buf_append(out, magic, sizeof magic);
	varint_put(out, index->saved_docs);
	varint_put(out, index->saved_terms);
	varint_put(out, index_unsaved(index));
	varint_put(out, index->terms_len - index->saved_terms);
	varint_put(out, count_changed(index));
	put_docs(index, out);
	for (size_t i = index->saved_terms; i < index->terms_len; i++) {
		const struct index_term *term = &index->terms[i];
		varint_put(out, term->text_len);
		buf_append(out, index->texts + term->text_at, term->text_len);
	}
	for (size_t i = 0; i < index->terms_len; i++) {
		const struct index_term *term = &index->terms[i];
		if (term->len == term->saved)
			continue;
		varint_put(out, i - before);
		varint_put(out, term->len - term->saved);
		buf_append(out, term->bytes + term->saved, term->len - term->saved);
		before = i;
	}
}

void index_segment_saved(struct index *index)
{
	for (size_t i = 0; i < index->terms_len; i++)
		index->terms[i].saved = index->terms[i].len;
	index->saved_docs = index->docs_len;
	index->saved_terms = index->terms_len;
}

/* ---- reading --------------------------------------------------------------------------- */

struct take {
	struct index *index;
	struct varint_view view;
	size_t docs, new_terms, changed;
};

static enum rc take_counts(struct take *take)
{
	struct index *index = take->index;
	const uint8_t *front = varint_bytes(&take->view, sizeof magic);

	if (front == NULL || memcmp(front, magic, sizeof magic) != 0)
		return RC_CORRUPT;
	uint64_t docs = varint_get(&take->view, INDEX_DOCS_MAX);
	uint64_t terms = varint_get(&take->view, UINT32_MAX);
	take->docs = (size_t)varint_get(&take->view, INDEX_SEGMENT_DOCS_MAX);
	take->new_terms = (size_t)varint_get(&take->view, UINT32_MAX);
	take->changed = (size_t)varint_get(&take->view, UINT32_MAX);
	/* A document takes four bytes here at least, a term two. */
	size_t left = (size_t)(take->view.end - take->view.at);
	bool fits = take->docs <= left / 4 && take->new_terms <= left / 2 &&
		    take->changed <= left / 2 && docs + take->docs <= INDEX_DOCS_MAX;
	return take->view.failed || !fits || docs != index->docs_len || terms != index->terms_len
		   ? RC_CORRUPT
		   : RC_OK;
}

/* The rows of the documents behind those that are there, and their stretches; they count
 * once their lengths are known. */
static enum rc take_docs(struct take *take)
{
	struct index *index = take->index;
	size_t before = index->docs_len;
	uint64_t seq = 0;
	int64_t t0_ns = 0;

	if (index_reserve_docs(index, take->docs) != RC_OK)
		return RC_NOMEM;
	uint64_t last = before > 0 ? index->docs[before - 1].seq : 0;
	for (size_t i = 0; i < take->docs; i++) {
		struct index_doc *doc = &index->docs[before + i];
		struct index_turn *turn = &index->turns[before + i];
		uint64_t step = varint_get(&take->view, UINT64_MAX - seq);
		seq += step;
		t0_ns = (int64_t)((uint64_t)t0_ns + (uint64_t)varint_get_signed(&take->view));
		*doc = (struct index_doc){ .seq = seq, .t0_ns = t0_ns };
		doc->span_s = (uint32_t)varint_get(&take->view, UINT32_MAX);
		*turn =
		    (struct index_turn){ .back = (uint32_t)varint_get(&take->view, before + i) };
		if (take->view.failed || seq <= last)
			return RC_CORRUPT;
		index_join_stretch(index, (uint32_t)(before + i));
		last = seq;
	}
	return RC_OK;
}

static enum rc take_terms(struct take *take)
{
	for (size_t i = 0; i < take->new_terms; i++) {
		size_t len = (size_t)varint_get(&take->view, INDEX_SEGMENT_TERM_BYTES_MAX);
		const uint8_t *text = varint_bytes(&take->view, len);
		if (text == NULL)
			return RC_CORRUPT;
		enum rc rc = index_put_term(take->index, (const char *)text, len);
		if (rc != RC_OK)
			return rc == RC_NOMEM ? rc : RC_CORRUPT;
	}
	return RC_OK;
}

/* Documents rise, and are those of this segment. */
static enum rc take_postings(struct take *take, struct index_term *term, size_t len)
{
	struct index *index = take->index;
	struct varint_view view = { .at = varint_bytes(&take->view, len) };
	size_t end = index->docs_len + take->docs;
	uint64_t doc = term->last_doc;

	if (view.at == NULL || len == 0)
		return RC_CORRUPT;
	if (index_reserve_posting(index, term, len) != RC_OK)
		return RC_NOMEM;
	memcpy(term->bytes + term->len, view.at, len);
	view.end = view.at + len;
	while (view.at < view.end) {
		uint32_t at = term->len + (uint32_t)(len - (size_t)(view.end - view.at));
		uint64_t step = varint_get(&view, UINT32_MAX);
		uint32_t units = (uint32_t)varint_get(&view, UINT32_MAX);
		doc += step;
		if (view.failed || doc < index->docs_len || doc >= end ||
		    (step == 0 && term->docs > 0))
			return RC_CORRUPT;
		index->turns[doc].units += units;
		if (index_reserve_posting(index, term, 0) != RC_OK)
			return RC_NOMEM;
		index_count_posting(index, term, (uint32_t)doc, at,
		    term->len + (uint32_t)(len - (size_t)(view.end - view.at)));
	}
	term->saved = term->len += (uint32_t)len;
	return RC_OK;
}

static enum rc take_changes(struct take *take)
{
	struct index *index = take->index;
	size_t number = 0;

	for (size_t i = 0; i < take->changed; i++) {
		size_t step = (size_t)varint_get(&take->view, UINT32_MAX);
		size_t len = (size_t)varint_get(&take->view, UINT32_MAX);
		number += step;
		if (take->view.failed || number >= index->terms_len || (i > 0 && step == 0))
			return RC_CORRUPT;
		struct index_term *term = &index->terms[number];
		if (len > UINT32_MAX - term->len)
			return RC_CORRUPT;
		enum rc rc = take_postings(take, term, len);
		if (rc != RC_OK)
			return rc;
	}
	return take->view.at == take->view.end ? RC_OK : RC_CORRUPT;
}

enum rc index_segment_take(struct index *index, const uint8_t *bytes, size_t len)
{
	struct take take = { .index = index, .view = { .at = bytes, .end = bytes + len } };

	enum rc rc = take_counts(&take);
	if (rc == RC_OK)
		rc = take_docs(&take);
	if (rc == RC_OK)
		rc = take_terms(&take);
	if (rc == RC_OK)
		rc = take_changes(&take);
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; i < take.docs; i++)
		index_put_turn(index);
	index->saved_docs = index->docs_len;
	index->saved_terms = index->terms_len;
	return RC_OK;
}
