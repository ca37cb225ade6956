/*
 * Snapshot: any bytes are refused or are a segment of an index (and another on top of
 * it), any bytes are refused or are conversations beside it; what was taken can be
 * asked and goes on growing.
 */
#include <stdlib.h>

#include "recall/document.h"
#include "recall/index_segment.h"
#include "recall/varint.h"

#define SEED_DOCS 6u
#define BYTES_MAX ((size_t)16 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

static const struct language_model *model_of(void)
{
	static struct language_model *model;

	if (model == NULL)
		must(language_new(&model) == RC_OK);
	return model;
}

static void take(struct index *index, struct document_talks *talks, uint64_t seq)
{
	struct observation obs = { .seq = seq,
		.source = "phone",
		.client_id = "",
		.layer = LAYER_TEXT,
		.kind = "note",
		.zone = "",
		.origin = ORIGIN_OWNER,
		.text = seq % 2 == 0 ? "a train to the sea" : "the sea was cold",
		.data_json = "" };
	bool added;

	obs.place.t0_ns = obs.place.t1_ns = (int64_t)seq;
	must(document_take(index, talks, &obs, &added) == RC_OK && added);
}

static void use(struct index *index, struct document_talks *talks)
{
	static const struct index_query_term terms[] = { { "sea", 3, 1 }, { "train", 5, 1 } };
	const struct index_range any = { .set = false };
	size_t docs_len = index_docs_len(index);
	struct index_hit hits[8];
	uint64_t last = docs_len == 0 ? 0 : index_docs(index)[docs_len - 1].seq;

	long found = index_query(index, terms, 2, 0, &any, hits, 8);
	must(found >= 0);
	for (long i = 0; i < found; i++)
		must(hits[i].doc < docs_len);
	if (last < UINT64_MAX - 2) {
		take(index, talks, last + 1);
		take(index, talks, last + 2);
	}
}

/* A segment of ours, with `changes` [len] over it: where(1), what(1). */
static void make_ours(const uint8_t *changes, size_t len, struct buf *out)
{
	struct document_talks *talks;
	struct index *index;

	must(index_new(&index) == RC_OK && document_talks_new(model_of(), &talks) == RC_OK);
	for (uint64_t seq = 1; seq <= SEED_DOCS; seq++)
		take(index, talks, seq);
	index_segment_encode(index, out);
	must(buf_rc(out) == RC_OK);
	for (size_t i = 0; i + 1 < len; i += 2)
		out->bytes[changes[i] % out->len] ^= changes[i + 1];
	document_talks_free(talks);
	index_free(index);
}

static enum rc take_segment(struct index *index, const uint8_t *data, size_t len)
{
	struct buf ours;
	enum rc rc;

	if (len == 0)
		return RC_OK;
	buf_init(&ours, BYTES_MAX);
	if (data[0] == 0) {
		make_ours(data + 1, len - 1, &ours);
		rc = index_segment_take(index, ours.bytes, ours.len);
	} else {
		rc = index_segment_take(index, data, len);
	}
	buf_fini(&ours);
	must(rc == RC_OK || rc == RC_CORRUPT || rc == RC_NOMEM);
	must(rc != RC_OK || index_unsaved(index) == 0);
	return rc;
}

/* Length(2) of two segments, them, and conversations.  One that begins with a zero is of
 * ours. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct document_talks *talks;
	struct index *index;
	enum rc rc = RC_OK;

	if (size < 4)
		return 0;
	must(index_new(&index) == RC_OK && document_talks_new(model_of(), &talks) == RC_OK);
	const uint8_t *lens = data;
	data += 4;
	size -= 4;
	for (size_t i = 0; i < 2 && rc == RC_OK; i++) {
		size_t len = (size_t)lens[2 * i] << 8 | lens[2 * i + 1];
		len = len < size ? len : size;
		rc = take_segment(index, data, len);
		data += len;
		size -= len;
	}
	if (rc == RC_OK) {
		struct varint_view view = { data, data + size, false };
		rc = document_talks_take(
		    talks, &view, index_docs_len(index), index_terms_len(index));
		must(rc == RC_OK || rc == RC_CORRUPT || rc == RC_NOMEM);
	}
	if (rc == RC_OK)
		use(index, talks);
	document_talks_free(talks);
	index_free(index);
	return 0;
}
