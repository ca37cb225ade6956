/* Manifest and segment: what is written is read back; nothing else is. */
#include "../store/store_fixture.h"

#include "backup/manifest.h"
#include "backup/segment.h"
#include "os/file.h"

static const uint8_t key[MANIFEST_KEY_BYTES] = { 1, 2, 3 };

static void add(struct manifest *m, enum manifest_kind kind, uint64_t first, uint64_t last)
{
	struct manifest_file file = {
		.kind = kind, .bytes = 10 + first, .first_seq = first, .last_seq = last
	};

	(void)snprintf(
	    file.name, sizeof(file.name), "%s-%u", manifest_kind_word(kind), (unsigned)first);
	file.hash[3] = (uint8_t)first;
	PASS(manifest_add(m, &file, &pass_why));
}

static struct manifest sample(uint64_t logs)
{
	struct manifest m = { .made_ns = T0_NS, .cursor = 10 * logs };

	for (uint64_t i = 0; i < logs; i++)
		add(&m, MANIFEST_LOG, 10 * i + 1, 10 * i + 10);
	for (unsigned kind = 0; kind < MANIFEST_LOG; kind++)
		add(&m, (enum manifest_kind)kind, 0, 0);
	return m;
}

static struct buf text_of(const struct manifest *m)
{
	struct buf text;

	buf_init(&text, MANIFEST_BYTES_MAX);
	assert_int_equal(manifest_encode(m, key, &text), RC_OK);
	return text;
}

static void test_a_manifest_is_read_as_it_was_written(void **state)
{
	(void)state;
	struct manifest m = sample(500), back = { 0 };
	struct buf text = text_of(&m);

	PASS(manifest_decode(buf_text(&text), text.len, &back, &pass_why));
	assert_int_equal(back.files_len, m.files_len);
	assert_int_equal(back.cursor, 5000);
	assert_int_equal(back.made_ns, T0_NS);
	for (size_t i = 0; i < m.files_len; i++)
		assert_memory_equal(&back.files[i], &m.files[i], sizeof(m.files[i]));
	PASS(manifest_authenticate(buf_text(&text), text.len, key, &pass_why));
	uint8_t other[MANIFEST_KEY_BYTES] = { 9 };
	assert_int_equal(manifest_authenticate(buf_text(&text), text.len, other, NULL), RC_DENIED);
	manifest_fini(&back);
	manifest_fini(&m);
	buf_fini(&text);
}

static void test_a_manifest_with_anything_amiss_is_refused(void **state)
{
	(void)state;
	struct manifest m = sample(3), back = { 0 };
	struct buf text = text_of(&m);

	for (size_t len = 0; len < text.len; len++)
		assert_int_equal(manifest_decode(buf_text(&text), len, &back, NULL), RC_CORRUPT);
	for (size_t at = 0; at < text.len; at++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			text.bytes[at] ^= (uint8_t)(1u << bit);
			enum rc rc = manifest_decode(buf_text(&text), text.len, &back, NULL);
			if (rc == RC_OK) {
				rc = manifest_authenticate(buf_text(&text), text.len, key, NULL);
				manifest_fini(&back);
			}
			assert_int_not_equal(rc, RC_OK);
			text.bytes[at] ^= (uint8_t)(1u << bit);
		}
	}
	buf_fini(&text);
	m.files[1].first_seq = 12; /* a gap */
	text = text_of(&m);
	assert_int_equal(manifest_decode(buf_text(&text), text.len, &back, NULL), RC_CORRUPT);
	buf_fini(&text);
	m.files[1].first_seq = 11;
	m.cursor = 31; /* more than there is */
	text = text_of(&m);
	assert_int_equal(manifest_decode(buf_text(&text), text.len, &back, NULL), RC_CORRUPT);
	buf_fini(&text);
	m.cursor = 30;
	add(&m, MANIFEST_KEYRING, 0, 0); /* two keyrings */
	text = text_of(&m);
	assert_int_equal(manifest_decode(buf_text(&text), text.len, &back, NULL), RC_CORRUPT);
	buf_fini(&text);
	m.files_len--;
	memcpy(m.files[0].name, "../../etc", 10); /* out of its place */
	text = text_of(&m);
	assert_int_equal(manifest_decode(buf_text(&text), text.len, &back, NULL), RC_CORRUPT);
	buf_fini(&text);
	manifest_fini(&m);
}

static void test_a_newer_manifest_is_refused_as_such(void **state)
{
	(void)state;
	const char *text = "hearth-backup 2\nanything\n";
	struct manifest back = { 0 };

	assert_int_equal(manifest_decode(text, strlen(text), &back, NULL), RC_UNSUPPORTED);
}

#define ENTRIES 3000

static void test_a_segment_is_read_as_it_was_written(void **state)
{
	(void)state;
	static uint8_t value[40000];
	uint8_t id[SEGMENT_ID_BYTES] = { 7 }, log_key[8] = { 0 }, hash[32], again[32];
	struct segment_writer *w = NULL;
	struct segment_reader *r = NULL;
	struct store_raw entry;
	uint64_t bytes, rng = 1;
	char dir[256], path[300];

	fixture_dir(dir);
	(void)snprintf(path, sizeof(path), "%s/segment", dir);
	PASS(segment_create(path, id, &w, &pass_why));
	for (unsigned i = 0; i < ENTRIES; i++) {
		log_key[6] = (uint8_t)(i >> 8);
		log_key[7] = (uint8_t)i;
		memset(value, (int)(i % 251), sizeof(value));
		entry = (struct store_raw){ STORE_TRUTH_LOG, log_key, value, 8,
			random_next(&rng) % (i % 50 == 0 ? sizeof(value) : 300) };
		PASS(segment_put(w, &entry, &pass_why));
	}
	uint64_t expected = segment_bytes(w);
	PASS(segment_end(w, &bytes, hash, &pass_why));
	assert_int_equal(bytes, expected);
	PASS(segment_open(path, id, &r, &pass_why));
	rng = 1;
	for (unsigned i = 0; i < ENTRIES; i++) {
		PASS(segment_next(r, &entry, &pass_why));
		size_t want = random_next(&rng) % (i % 50 == 0 ? sizeof(value) : 300);
		assert_int_equal(entry.key_len, 8);
		assert_int_equal(entry.key[7], i & 0xFF);
		assert_int_equal(entry.value_len, want);
		assert_true(
		    want == 0 || (entry.value[0] == i % 251 && entry.value[want - 1] == i % 251));
	}
	assert_int_equal(segment_next(r, &entry, NULL), RC_NOTFOUND);
	segment_hash(r, again);
	assert_memory_equal(hash, again, sizeof(hash));
	segment_close(r);
	id[0]++;
	assert_int_equal(segment_open(path, id, &r, NULL), RC_CORRUPT);
	fixture_remove(dir);
}

static void test_a_segment_cut_off_anywhere_is_refused(void **state)
{
	(void)state;
	uint8_t id[SEGMENT_ID_BYTES] = { 7 }, log_key[8] = { 0 }, value[100] = { 0 }, hash[32];
	struct store_raw entry = { STORE_TRUTH_LOG, log_key, value, 8, sizeof(value) };
	struct segment_writer *w = NULL;
	struct segment_reader *r;
	char dir[256], path[300];
	uint8_t *bytes;
	size_t len;
	uint64_t n;

	fixture_dir(dir);
	(void)snprintf(path, sizeof(path), "%s/segment", dir);
	PASS(segment_create(path, id, &w, &pass_why));
	for (unsigned i = 0; i < 3; i++)
		PASS(segment_put(w, &entry, &pass_why));
	PASS(segment_end(w, &n, hash, &pass_why));
	PASS(file_read(path, 1 << 20, &bytes, &len, &pass_why));
	for (size_t cut = 0; cut <= len + 1; cut++) {
		if (cut == len)
			continue;
		uint8_t longer[1000] = { 0 };
		memcpy(longer, bytes, len);
		PASS(file_write_atomic(path, 0600, longer, cut, &pass_why));
		r = NULL;
		enum rc rc = segment_open(path, id, &r, NULL);
		while (rc == RC_OK)
			rc = segment_next(r, &entry, NULL);
		assert_int_equal(rc, RC_CORRUPT);
		segment_close(r);
	}
	free(bytes);
	fixture_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_manifest_is_read_as_it_was_written),
		cmocka_unit_test(test_a_manifest_with_anything_amiss_is_refused),
		cmocka_unit_test(test_a_newer_manifest_is_refused_as_such),
		cmocka_unit_test(test_a_segment_is_read_as_it_was_written),
		cmocka_unit_test(test_a_segment_cut_off_anywhere_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
