/* Documents: the newest texts of each conversation as bytes, and back. */
#include <stdlib.h>

#include "recall/document_inner.h"
#include "recall/varint.h"

static void put_last(const struct text_terms *last, struct buf *out)
{
	varint_put(out, last->seq);
	varint_put_signed(out, last->t0_ns);
	varint_put(out, last->len);
	for (size_t i = 0; i < last->len; i++)
		varint_put(out, last->terms[i]);
}

void document_talks_encode(const struct document_talks *talks, struct buf *out)
{
	varint_put(out, LANGUAGE_COUNT);
	for (size_t i = 0; i < LANGUAGE_COUNT; i++)
		varint_put(out, talks->written[i]);
	varint_put(out, talks->lookup.len);
	for (size_t i = 0; i < talks->lookup.cap; i++) {
		const struct lookup_slot *slot = &talks->lookup.slots[i];
		const struct talk *talk = slot->value;
		if (talk == NULL)
			continue;
		varint_put(out, slot->key);
		varint_put(out, talk->doc);
		varint_put(out, talk->turns_len);
		varint_put(out, talk->len);
		for (size_t k = 0; k < talk->len; k++)
			put_last(&talk->last[k], out);
	}
}

static void take_last(struct varint_view *view, size_t terms, struct text_terms *last)
{
	last->seq = varint_get(view, UINT64_MAX);
	last->t0_ns = varint_get_signed(view);
	last->len = (size_t)varint_get(view, DOCUMENT_NEIGHBOUR_TERMS_MAX);
	for (size_t i = 0; i < last->len; i++) {
		last->terms[i] = (uint32_t)varint_get(view, UINT32_MAX);
		view->failed = view->failed || last->terms[i] >= terms;
	}
}

static enum rc take_talk(
    struct document_talks *talks, struct varint_view *view, size_t docs, size_t terms)
{
	uint64_t key = varint_get(view, UINT64_MAX);

	if (view->failed || lookup_find(&talks->lookup, key) != NULL)
		return RC_CORRUPT;
	struct talk *talk = calloc(1, sizeof *talk);
	if (talk == NULL)
		return RC_NOMEM;
	talk->doc = (uint32_t)varint_get(view, UINT32_MAX);
	talk->turns_len = (size_t)varint_get(view, DOCUMENT_STRETCH_MAX);
	talk->len = (size_t)varint_get(view, DOCUMENT_NEIGHBOURS);
	for (size_t k = 0; k < talk->len; k++)
		take_last(view, terms, &talk->last[k]);
	enum rc rc = view->failed || talk->doc >= docs ? RC_CORRUPT : RC_OK;
	if (rc == RC_OK)
		rc = lookup_put(&talks->lookup, key, talk);
	if (rc != RC_OK)
		free(talk);
	return rc;
}

enum rc document_talks_take(
    struct document_talks *talks, struct varint_view *view, size_t docs, size_t terms)
{
	enum rc rc = RC_OK;

	if (varint_get(view, LANGUAGE_COUNT) != LANGUAGE_COUNT)
		return RC_CORRUPT;
	for (size_t i = 0; i < LANGUAGE_COUNT; i++)
		talks->written[i] =
		    varint_get(view, UINT64_MAX / LANGUAGE_COUNT / DOCUMENT_LANGUAGE_SHARE);
	size_t len = (size_t)varint_get(view, DOCUMENT_TALKS_MAX);
	for (size_t i = 0; i < len && rc == RC_OK; i++)
		rc = take_talk(talks, view, docs, terms);
	return rc == RC_OK && view->failed ? RC_CORRUPT : rc;
}
