/* GGUF: crafted files, whole and broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "gguf_build.h"
#include "model/gguf.h"

#define SEED 3

static void build_small(struct gguf_build *b)
{
	static const char *const words[] = { "a", "", "längeres Wort" };
	static const float floats[] = { 1.5f, -2.0f };
	static const int32_t ints[] = { 7, -8, 9 };

	gguf_build_init(b, SEED);
	gguf_build_string(b, "general.architecture", "llama");
	gguf_build_u32(b, "number", 42);
	gguf_build_f32(b, "real", 0.25f);
	gguf_build_bool(b, "yes", true);
	gguf_build_strings(b, "words", words, 3);
	gguf_build_f32s(b, "floats", floats, 2);
	gguf_build_i32s(b, "ints", ints, 3);
	gguf_build_tensor(b, "vector", TYPE_F32, 5, 0, 1, 0);
	gguf_build_tensor(b, "matrix", TYPE_Q8_0, 64, 3, 1, 0);
}

/* Parse a copy of exactly `len` bytes, so that a read past the end is seen. */
static enum rc parse_copy(const uint8_t *bytes, size_t len, struct errmsg *why)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	struct gguf *g = NULL;
	enum rc rc;

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	errmsg_reset(why);
	rc = gguf_parse(copy, len, &g, why);
	if (rc == RC_OK)
		gguf_close(g);
	free(copy);
	return rc;
}

/* Finish, parse, expect `rc` and `text` somewhere in the message. */
static void expect(struct gguf_build *b, enum rc rc, const char *text)
{
	struct errmsg why = ERRMSG_INIT;
	size_t len = 0;
	uint8_t *bytes = gguf_build_finish(b, &len);

	assert_int_equal(parse_copy(bytes, len, &why), rc);
	if (strstr(why.text, text) == NULL)
		fail_msg("'%s' does not name '%s'", why.text, text);
	free(bytes);
	gguf_build_fini(b);
}

static void test_values_and_tensors_are_read_back(void **unused)
{
	struct gguf_build b;
	struct errmsg why = ERRMSG_INIT;
	struct gguf *g = NULL;
	struct gguf_string_view text;
	const struct gguf_pair *pair = NULL;
	const struct gguf_tensor *t;
	const uint8_t *cursor = NULL;
	uint32_t number = 0;
	float real = 0;
	bool yes = false;
	int64_t item = 0;
	size_t len;
	uint8_t *bytes;

	(void)unused;
	build_small(&b);
	bytes = gguf_build_finish(&b, &len);
	assert_int_equal(gguf_parse(bytes, len, &g, &why), RC_OK);
	assert_int_equal(gguf_version(g), 3);
	assert_int_equal(gguf_get_u32(g, "number", &number, &why), RC_OK);
	assert_int_equal(number, 42);
	assert_int_equal(gguf_get_f32(g, "real", &real, &why), RC_OK);
	assert_true(real >= 0.25f && real <= 0.25f);
	assert_int_equal(gguf_get_bool(g, "yes", &yes, &why), RC_OK);
	assert_true(yes);
	assert_int_equal(gguf_get_string(g, "general.architecture", &text, &why), RC_OK);
	assert_true(gguf_view_is(text, "llama"));
	assert_int_equal(gguf_get_array(g, "words", GGUF_STRING, &pair, &why), RC_OK);
	assert_int_equal(pair->n, 3);
	for (int i = 0; i < 3; i++)
		assert_true(gguf_next_string(pair, &cursor, &text));
	assert_true(gguf_view_is(text, "längeres Wort"));
	assert_int_equal(gguf_get_array(g, "ints", GGUF_I32, &pair, &why), RC_OK);
	assert_true(gguf_item_i64(pair, 1, &item));
	assert_int_equal(item, -8);
	assert_false(gguf_item_i64(pair, 3, &item));
	t = gguf_find_tensor(g, "matrix");
	assert_non_null(t);
	assert_int_equal(t->dims[0], 64);
	assert_int_equal(t->dims[1], 3);
	assert_int_equal(t->n_bytes, 3 * 2 * 34);
	assert_ptr_equal(t->data + t->n_bytes, bytes + len);
	assert_null(gguf_find_tensor(g, "matri"));
	assert_null(gguf_find(g, "numbe"));
	gguf_close(g);
	free(bytes);
	gguf_build_fini(&b);
}

static void test_a_getter_names_the_key_of_another_type(void **unused)
{
	struct gguf_build b;
	struct errmsg why = ERRMSG_INIT;
	struct gguf *g = NULL;
	uint32_t number = 5;
	bool yes = false;
	const struct gguf_pair *pair = NULL;
	size_t len;
	uint8_t *bytes;

	(void)unused;
	build_small(&b);
	bytes = gguf_build_finish(&b, &len);
	assert_int_equal(gguf_parse(bytes, len, &g, &why), RC_OK);
	assert_int_equal(gguf_get_u32(g, "words", &number, &why), RC_INVALID);
	assert_non_null(strstr(why.text, "words"));
	errmsg_reset(&why);
	assert_int_equal(gguf_get_bool(g, "number", &yes, &why), RC_INVALID);
	assert_non_null(strstr(why.text, "number"));
	errmsg_reset(&why);
	assert_int_equal(gguf_get_array(g, "floats", GGUF_STRING, &pair, &why), RC_INVALID);
	assert_non_null(strstr(why.text, "floats"));
	assert_int_equal(gguf_get_u32(g, "absent", &number, &why), RC_NOTFOUND);
	assert_int_equal(number, 5);
	gguf_close(g);
	free(bytes);
	gguf_build_fini(&b);
}

static void test_a_file_cut_at_any_byte_is_refused(void **unused)
{
	struct gguf_build b;
	struct errmsg why = ERRMSG_INIT;
	size_t len;
	uint8_t *bytes;

	(void)unused;
	build_small(&b);
	bytes = gguf_build_finish(&b, &len);
	assert_int_equal(parse_copy(bytes, len, &why), RC_OK);
	for (size_t n = 0; n < len; n++) {
		assert_int_equal(parse_copy(bytes, n, &why), RC_INVALID);
		assert_true(why.text[0] != '\0');
	}
	free(bytes);
	gguf_build_fini(&b);
}

static void test_a_file_with_any_bytes_changed_is_refused_or_harmless(void **unused)
{
	struct gguf_build b;
	struct errmsg why = ERRMSG_INIT;
	uint64_t state = 9;
	size_t len, header;
	uint8_t *bytes;

	(void)unused;
	build_small(&b);
	bytes = gguf_build_finish(&b, &len);
	header = len - 3 * 68 - 32;
	for (int round = 0; round < 20000; round++) {
		size_t at = random_next(&state) % header;
		uint8_t old = bytes[at];

		bytes[at] = (uint8_t)random_next(&state);
		if (parse_copy(bytes, len, &why) != RC_OK)
			assert_true(why.text[0] != '\0');
		bytes[at] = old;
	}
	free(bytes);
	gguf_build_fini(&b);
}

static void test_counts_beyond_the_file_are_refused_before_allocating(void **unused)
{
	struct gguf_build b;

	(void)unused;
	build_small(&b);
	b.n_tensors = UINT64_MAX;
	expect(&b, RC_LIMIT, "tensors");
	build_small(&b);
	b.n_pairs = UINT64_C(1) << 62;
	expect(&b, RC_LIMIT, "keys");
	build_small(&b);
	b.n_pairs = 60000;
	expect(&b, RC_INVALID, "do not fit");
}

static void test_versions_and_byte_orders_are_told_apart(void **unused)
{
	struct gguf_build b;
	struct errmsg why = ERRMSG_INIT;
	size_t len;
	uint8_t *bytes;

	(void)unused;
	build_small(&b);
	b.version = 2;
	bytes = gguf_build_finish(&b, &len);
	assert_int_equal(parse_copy(bytes, len, &why), RC_OK);
	free(bytes);
	gguf_build_fini(&b);
	build_small(&b);
	b.version = 4;
	expect(&b, RC_UNSUPPORTED, "version 4");
	build_small(&b);
	b.version = 3u << 24;
	expect(&b, RC_UNSUPPORTED, "big-endian");
}

static void test_names_that_stand_twice_are_refused(void **unused)
{
	struct gguf_build b;

	(void)unused;
	build_small(&b);
	gguf_build_u32(&b, "number", 43);
	expect(&b, RC_INVALID, "number stands twice");
	build_small(&b);
	gguf_build_tensor(&b, "vector", TYPE_F32, 8, 0, 1, 0);
	expect(&b, RC_INVALID, "vector stands twice");
}

static void test_an_unknown_tensor_type_is_named(void **unused)
{
	struct gguf_build b;
	uint32_t unknown = 77;

	(void)unused;
	build_small(&b);
	/* the type stands before the offset, 12 bytes from the end */
	memcpy(b.infos.bytes + b.infos.len - 12, &unknown, sizeof(unknown));
	expect(&b, RC_UNSUPPORTED, "matrix has unknown type 77");
}

static void test_offsets_must_follow_each_other(void **unused)
{
	struct gguf_build b;
	uint64_t offset = 64;

	(void)unused;
	build_small(&b);
	memcpy(b.infos.bytes + b.infos.len - 8, &offset, sizeof(offset));
	expect(&b, RC_INVALID, "matrix lies at offset 64, expected 32");
	build_small(&b);
	offset = UINT64_MAX - 31;
	memcpy(b.infos.bytes + b.infos.len - 8, &offset, sizeof(offset));
	expect(&b, RC_INVALID, "matrix lies at offset");
}

static void test_dimensions_that_overflow_are_refused(void **unused)
{
	struct gguf_build b;
	uint64_t huge = UINT64_C(1) << 62;

	(void)unused;
	build_small(&b);
	memcpy(b.infos.bytes + b.infos.len - 20, &huge, sizeof(huge));
	expect(&b, RC_INVALID, "matrix: dimension 1");
	build_small(&b);
	huge = 65; /* not whole blocks of 32 */
	memcpy(b.infos.bytes + b.infos.len - 28, &huge, sizeof(huge));
	expect(&b, RC_INVALID, "not whole Q8_0 blocks");
	build_small(&b);
	huge = 0;
	memcpy(b.infos.bytes + b.infos.len - 20, &huge, sizeof(huge));
	expect(&b, RC_INVALID, "dimension 1 is 0");
}

static void test_the_alignment_key_is_obeyed_and_checked(void **unused)
{
	struct gguf_build b;
	struct errmsg why = ERRMSG_INIT;
	size_t len;
	uint8_t *bytes;

	(void)unused;
	gguf_build_init(&b, SEED);
	b.alignment = 256;
	gguf_build_u32(&b, "general.alignment", 256);
	gguf_build_tensor(&b, "one", TYPE_F32, 3, 0, 1, 0);
	gguf_build_tensor(&b, "two", TYPE_F32, 3, 0, 1, 0);
	bytes = gguf_build_finish(&b, &len);
	assert_int_equal(parse_copy(bytes, len, &why), RC_OK);
	free(bytes);
	gguf_build_fini(&b);
	for (uint32_t bad = 0; bad < 100; bad += 33) {
		build_small(&b);
		gguf_build_u32(&b, "general.alignment", bad);
		expect(&b, RC_INVALID, "general.alignment");
	}
}

static void test_absurd_strings_and_arrays_are_refused(void **unused)
{
	struct gguf_build b;
	uint64_t len = UINT64_C(1) << 40;
	uint32_t nested = 9;

	(void)unused;
	gguf_build_init(&b, SEED);
	gguf_build_string(&b, "key", "value");
	memcpy(b.pairs.bytes + b.pairs.len - 13, &len, sizeof(len));
	expect(&b, RC_LIMIT, "a string of");
	gguf_build_init(&b, SEED);
	gguf_build_f32s(&b, "key", (const float[]){ 1, 2 }, 2);
	memcpy(b.pairs.bytes + b.pairs.len - 16, &len, sizeof(len));
	expect(&b, RC_LIMIT, "key: array of");
	gguf_build_init(&b, SEED);
	gguf_build_f32s(&b, "key", (const float[]){ 1, 2 }, 2);
	memcpy(b.pairs.bytes + b.pairs.len - 20, &nested, sizeof(nested));
	expect(&b, RC_INVALID, "key: array of type 9");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_and_tensors_are_read_back),
		cmocka_unit_test(test_a_getter_names_the_key_of_another_type),
		cmocka_unit_test(test_a_file_cut_at_any_byte_is_refused),
		cmocka_unit_test(test_a_file_with_any_bytes_changed_is_refused_or_harmless),
		cmocka_unit_test(test_counts_beyond_the_file_are_refused_before_allocating),
		cmocka_unit_test(test_versions_and_byte_orders_are_told_apart),
		cmocka_unit_test(test_names_that_stand_twice_are_refused),
		cmocka_unit_test(test_an_unknown_tensor_type_is_named),
		cmocka_unit_test(test_offsets_must_follow_each_other),
		cmocka_unit_test(test_dimensions_that_overflow_are_refused),
		cmocka_unit_test(test_the_alignment_key_is_obeyed_and_checked),
		cmocka_unit_test(test_absurd_strings_and_arrays_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
