/*
 * Segments: an index made of them equals the one they were made from, goes on as it
 * would, and no damaged byte is taken for one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "recall/document.h"
#include "recall/index_segment.h"
#include "recall/search.h"
#include "recall/varint.h"

#define NS INT64_C(1000000000)
#define BYTES_MAX ((size_t)8 << 20)
#define K 20

struct bench {
	struct language_model *model;
	struct index *index;
	struct document_talks *talks;
	uint64_t seed, seq;
};

static void begin(struct bench *b)
{
	*b = (struct bench){ .seed = 3 };
	assert_int_equal(language_new(&b->model), RC_OK);
	assert_int_equal(index_new(&b->index), RC_OK);
	assert_int_equal(document_talks_new(b->model, &b->talks), RC_OK);
}

static void end(struct bench *b)
{
	document_talks_free(b->talks);
	index_free(b->index);
	language_free(b->model);
}

/* The next record, a function of the seed: words of three conversations, now and then
 * one that replaces another. */
static void take(struct index *index, struct document_talks *talks, uint64_t seq, uint64_t seed)
{
	char text[256] = "", data[64];
	bool added;

	for (uint64_t n = random_next(&seed) % 12; n > 0; n--)
		(void)snprintf(text + strlen(text), sizeof text - strlen(text), "word%llu ",
		    (unsigned long long)(random_next(&seed) % (40 + seq)));
	(void)snprintf(data, sizeof data, "{\"chat\":\"c%llu\"}",
	    (unsigned long long)(random_next(&seed) % 3));
	struct observation obs = { .seq = seq,
		.source = "phone",
		.client_id = "",
		.layer = LAYER_TEXT,
		.kind = "message",
		.zone = "",
		.origin = ORIGIN_OWNER,
		.text = text,
		.data_json = data };
	obs.place.t0_ns = (int64_t)(seq * 300 + random_next(&seed) % 600) * NS;
	obs.place.t1_ns = obs.place.t0_ns + (int64_t)(random_next(&seed) % 3) * NS;
	obs.dev_t0_ns = obs.place.t0_ns;
	obs.dev_t1_ns = obs.place.t1_ns;
	if (random_next(&seed) % 8 == 0 && seq > 5)
		obs.supersedes_seq = seq - 1 - random_next(&seed) % 5;
	assert_int_equal(document_take(index, talks, &obs, &added), RC_OK);
	assert_true(added);
}

static void grow(struct bench *b, size_t n)
{
	for (size_t i = 0; i < n; i++, b->seq++)
		take(b->index, b->talks, b->seq + 1, b->seed + b->seq);
}

static struct buf segment_of(struct bench *b)
{
	struct buf bytes;

	buf_init(&bytes, BYTES_MAX);
	index_segment_encode(b->index, &bytes);
	assert_int_equal(buf_rc(&bytes), RC_OK);
	index_segment_saved(b->index);
	return bytes;
}

static void assert_same_answers(const struct index *a, const struct index *b)
{
	const struct index *both[] = { a, b };
	struct index_range any = { .set = false };

	for (size_t word = 0; word < 60; word++) {
		struct index_hit hits[2][K];
		long found[2];
		char text[16];
		(void)snprintf(text, sizeof text, "word%zu", word);
		struct index_query_term term = { text, strlen(text), 1 };
		for (size_t i = 0; i < 2; i++)
			found[i] = index_query(both[i], &term, 1, 0, &any, hits[i], K);
		assert_int_equal(found[0], found[1]);
		for (long i = 0; i < found[0]; i++) {
			assert_int_equal(hits[0][i].doc, hits[1][i].doc);
			assert_true(hits[0][i].score == hits[1][i].score);
		}
	}
}

/* Segments do not tell which documents are dead. */
static void kill_alike(const struct index *from, struct index *index)
{
	for (uint32_t i = 0; i < index_docs_len(from); i++) {
		if (index_units(from, i) == 0)
			index_kill_doc(index, i);
	}
}

static void test_an_index_of_segments_equals_the_one_they_are_of_and_goes_on_as_it(void **state)
{
	struct document_talks *talks;
	struct buf talk_bytes;
	struct index *index;
	struct bench b;

	(void)state;
	begin(&b);
	assert_int_equal(index_new(&index), RC_OK);
	assert_int_equal(document_talks_new(b.model, &talks), RC_OK);
	for (size_t n = 1; n < 200; n = n * 2 + 1) {
		grow(&b, n);
		assert_int_equal(index_unsaved(b.index), n);
		struct buf bytes = segment_of(&b);
		assert_int_equal(index_unsaved(b.index), 0);
		assert_int_equal(index_segment_take(index, bytes.bytes, bytes.len), RC_OK);
		buf_fini(&bytes);
	}
	kill_alike(b.index, index);
	buf_init(&talk_bytes, BYTES_MAX);
	document_talks_encode(b.talks, &talk_bytes);
	struct varint_view view = { talk_bytes.bytes, talk_bytes.bytes + talk_bytes.len, false };
	assert_int_equal(
	    document_talks_take(talks, &view, index_docs_len(index), index_terms_len(index)),
	    RC_OK);
	assert_ptr_equal(view.at, view.end);
	buf_fini(&talk_bytes);
	assert_int_equal(index_checksum(index), index_checksum(b.index));
	assert_same_answers(index, b.index);
	/* The next documents come to the same in both, and so does their segment. */
	struct bench other = { b.model, index, talks, b.seed, b.seq };
	grow(&b, 100);
	grow(&other, 100);
	assert_int_equal(index_checksum(index), index_checksum(b.index));
	assert_same_answers(index, b.index);
	struct buf one = segment_of(&b), two = segment_of(&other);
	assert_int_equal(one.len, two.len);
	assert_memory_equal(one.bytes, two.bytes, one.len);
	buf_fini(&one);
	buf_fini(&two);
	document_talks_free(talks);
	index_free(index);
	end(&b);
}

static enum rc take_alone(const uint8_t *bytes, size_t len)
{
	struct index *index;

	assert_int_equal(index_new(&index), RC_OK);
	enum rc rc = index_segment_take(index, bytes, len);
	if (rc == RC_OK) { /* then it is one: it can be asked and goes on */
		struct index_query_term term = { "word1", 5, 1 };
		struct index_range any = { .set = false };
		struct index_hit hits[K];
		assert_true(index_query(index, &term, 1, 0, &any, hits, K) >= 0);
	}
	index_free(index);
	return rc;
}

static void test_what_is_cut_off_or_changed_is_refused_or_is_a_segment(void **state)
{
	struct bench b;
	size_t refused = 0;

	(void)state;
	begin(&b);
	grow(&b, 12);
	struct buf bytes = segment_of(&b);
	assert_int_equal(take_alone(bytes.bytes, bytes.len), RC_OK);
	for (size_t len = 0; len < bytes.len; len++) {
		uint8_t *copy = malloc(len + 1); /* so that reading behind it is seen */
		assert_non_null(copy);
		memcpy(copy, bytes.bytes, len);
		assert_int_equal(take_alone(copy, len), RC_CORRUPT);
		free(copy);
	}
	for (size_t at = 0; at < bytes.len; at++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			bytes.bytes[at] ^= (uint8_t)(1u << bit);
			refused += take_alone(bytes.bytes, bytes.len) != RC_OK;
			bytes.bytes[at] ^= (uint8_t)(1u << bit);
		}
	}
	assert_true(refused > 0);
	/* One that stands on others, alone; and twice the same. */
	assert_int_equal(index_segment_take(b.index, bytes.bytes, bytes.len), RC_CORRUPT);
	buf_fini(&bytes);
	grow(&b, 5);
	bytes = segment_of(&b);
	assert_int_equal(take_alone(bytes.bytes, bytes.len), RC_CORRUPT);
	buf_fini(&bytes);
	end(&b);
}

static void test_conversations_that_cannot_be_are_refused(void **state)
{
	struct document_talks *talks;
	struct varint_view view;
	struct buf bytes;
	struct bench b;

	(void)state;
	begin(&b);
	grow(&b, 40);
	buf_init(&bytes, BYTES_MAX);
	document_talks_encode(b.talks, &bytes);
	for (size_t cut = 0; cut <= bytes.len; cut++) {
		view = (struct varint_view){ bytes.bytes, bytes.bytes + bytes.len - cut, false };
		assert_int_equal(document_talks_new(b.model, &talks), RC_OK);
		assert_int_equal(document_talks_take(talks, &view, index_docs_len(b.index),
				     index_terms_len(b.index)),
		    cut == 0 ? RC_OK : RC_CORRUPT);
		document_talks_free(talks);
	}
	/* They name documents and terms beyond those that there are. */
	for (int few = 0; few < 2; few++) {
		view = (struct varint_view){ bytes.bytes, bytes.bytes + bytes.len, false };
		assert_int_equal(document_talks_new(b.model, &talks), RC_OK);
		assert_int_equal(
		    document_talks_take(talks, &view, few == 0 ? 3 : index_docs_len(b.index),
			few == 0 ? index_terms_len(b.index) : 3),
		    RC_CORRUPT);
		document_talks_free(talks);
	}
	buf_fini(&bytes);
	end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_an_index_of_segments_equals_the_one_they_are_of_and_goes_on_as_it),
		cmocka_unit_test(test_what_is_cut_off_or_changed_is_refused_or_is_a_segment),
		cmocka_unit_test(test_conversations_that_cannot_be_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
