/* Split GGUF files: opened as one, and refused where they contradict. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gguf_build.h"
#include "model/gguf.h"
#include "model/model.h"

#define SEED 3
#define PARTS 3

static char dir[64];

/* What is written into the parts; a test changes one thing. */
struct plan {
	uint32_t no[PARTS], count[PARTS], tensors[PARTS];
	const char *names[PARTS]; /* of the one tensor of each part */
};

static const struct plan good = { .no = { 0, 1, 2 },
	.count = { PARTS, PARTS, PARTS },
	.tensors = { PARTS, PARTS, PARTS },
	.names = { "a", "b", "c" } };

static const char *path_of(const char *format, unsigned part)
{
	static char paths[4][160];
	static unsigned at;
	char name[64];

	(void)snprintf(name, sizeof(name), format, part, PARTS);
	at = (at + 1) % 4;
	(void)snprintf(paths[at], sizeof(paths[at]), "%s/%s", dir, name);
	return paths[at];
}

#define NAME "m-%05u-of-%05u.gguf"

static void put_split(struct gguf_build *b, uint32_t no, uint32_t count, uint32_t tensors)
{
	gguf_build_u32(b, "split.no", no);
	gguf_build_u32(b, "split.count", count);
	gguf_build_u32(b, "split.tensors.count", tensors);
}

static void write_parts(const struct plan *plan)
{
	for (unsigned i = 0; i < PARTS; i++) {
		struct gguf_build b;

		gguf_build_init(&b, SEED + i);
		if (i == 0)
			gguf_build_string(&b, "general.architecture", "llama");
		put_split(&b, plan->no[i], plan->count[i], plan->tensors[i]);
		gguf_build_tensor(&b, plan->names[i], TYPE_F32, 8, i + 1, 1, (float)i);
		assert_true(gguf_build_write(&b, path_of(NAME, i + 1)));
		gguf_build_fini(&b);
	}
}

static void expect(const char *path, enum rc rc, const char *text)
{
	struct errmsg why = ERRMSG_INIT;
	struct gguf *g = NULL;

	assert_int_equal(gguf_open(path, &g, &why), rc);
	assert_null(g);
	if (strstr(why.text, text) == NULL)
		fail_msg("'%s' does not say '%s'", why.text, text);
}

static void test_parts_are_one_table_of_tensors(void **unused)
{
	struct errmsg why = ERRMSG_INIT;
	struct gguf *g = NULL;

	(void)unused;
	write_parts(&good);
	if (gguf_open(path_of(NAME, 1), &g, &why) != RC_OK)
		fail_msg("%s", why.text);
	assert_int_equal(gguf_tensors_len(g), PARTS);
	assert_int_equal(gguf_parts_len(g), PARTS);
	for (unsigned i = 0; i < PARTS; i++) {
		const struct gguf_tensor *t = gguf_find_tensor(g, good.names[i]);
		struct gguf *one = NULL;

		assert_non_null(t);
		assert_true(t == gguf_tensor_at(g, i));
		assert_int_equal(t->dims[1], i + 1);
		for (size_t k = 0; k < 8 * (i + 1); k++) {
			float value;

			memcpy(&value, t->data + k * sizeof(value), sizeof(value));
			assert_true(value >= (float)i - 1 && value <= (float)i + 1);
		}
		if (i > 0)
			assert_int_equal(gguf_open(path_of(NAME, i + 1), &one, NULL), RC_INVALID);
	}
	gguf_close(g);
}

static void test_a_later_part_says_which_one_to_open(void **unused)
{
	(void)unused;
	write_parts(&good);
	expect(
	    path_of(NAME, 2), RC_INVALID, "part 2 of 3: open the first, NAME-00001-of-00003.gguf");
}

static void test_a_missing_part_is_named(void **unused)
{
	(void)unused;
	write_parts(&good);
	assert_int_equal(unlink(path_of(NAME, 3)), 0);
	expect(path_of(NAME, 1), RC_NOTFOUND, "m-00003-of-00003.gguf");
}

static void test_a_name_without_numbers_is_refused(void **unused)
{
	(void)unused;
	write_parts(&good);
	assert_int_equal(rename(path_of(NAME, 1), path_of("m.gguf", 0)), 0);
	expect(path_of("m.gguf", 0), RC_INVALID, "-00001-of-00003.gguf");
	assert_int_equal(unlink(path_of("m.gguf", 0)), 0);
}

static void test_parts_that_contradict_are_refused(void **unused)
{
	struct plan plan = good;

	(void)unused;
	plan.no[1] = 2;
	write_parts(&plan);
	expect(path_of(NAME, 1), RC_INVALID, "part 2 of 3: GGUF: keys split.no 2");
	plan = good;
	plan.count[2] = 4;
	write_parts(&plan);
	expect(
	    path_of(NAME, 1), RC_INVALID, "part 3 of 3: GGUF: keys split.no 2 and split.count 4");
	plan = good;
	plan.count[1] = 0; /* whole by itself */
	write_parts(&plan);
	expect(path_of(NAME, 1), RC_INVALID, "split.count 0");
	plan = good;
	plan.tensors[2] = 9;
	write_parts(&plan);
	expect(path_of(NAME, 1), RC_INVALID, "split.tensors.count: 9, 3 in the first part");
	plan = good;
	plan.tensors[0] = plan.tensors[1] = plan.tensors[2] = 4;
	write_parts(&plan);
	expect(path_of(NAME, 1), RC_INVALID, "split.tensors.count: 4, the parts hold 3");
	plan = good;
	plan.names[2] = "a";
	write_parts(&plan);
	expect(path_of(NAME, 1), RC_INVALID, "tensor a stands twice");
	plan = good;
	plan.no[0] = 3;
	write_parts(&plan);
	expect(path_of(NAME, 1), RC_INVALID, "split.no: 3 of a split into 3");
	plan = good;
	plan.count[0] = 100000;
	write_parts(&plan);
	expect(path_of(NAME, 1), RC_LIMIT, "split.count: 100000");
}

static void test_a_broken_part_is_refused_by_its_number(void **unused)
{
	(void)unused;
	write_parts(&good);
	assert_int_equal(truncate(path_of(NAME, 2), 100), 0);
	expect(path_of(NAME, 1), RC_INVALID, "part 2 of 3: GGUF: ");
}

/* A first part of keys alone, the weights in the second. */
static void test_a_split_model_opens_and_its_hash_covers_every_part(void **unused)
{
	const struct gguf_build_llama shape = { .n_vocab = 50,
		.n_ctx = 64,
		.n_embd = 32,
		.n_layer = 2,
		.n_head = 4,
		.n_head_kv = 2,
		.head_dim = 8,
		.n_ff = 48,
		.type = TYPE_F32 };
	uint8_t hashes[2][MODEL_HASH_BYTES];
	char first_path[96], second_path[96];

	(void)unused;
	(void)snprintf(first_path, sizeof(first_path), "%s/w-00001-of-00002.gguf", dir);
	(void)snprintf(second_path, sizeof(second_path), "%s/w-00002-of-00002.gguf", dir);
	for (uint32_t round = 0; round < 2; round++) {
		struct gguf_build first, second;
		struct model *model = NULL;
		struct errmsg why = ERRMSG_INIT;

		gguf_build_init(&second, SEED);
		gguf_build_llama(&second, &shape);
		gguf_build_u32(&second, "other", round);
		gguf_build_init(&first, SEED);
		gguf_build_llama(&first, &shape);
		put_split(&first, 0, 2, (uint32_t)second.n_tensors);
		put_split(&second, 1, 2, (uint32_t)second.n_tensors);
		first.n_tensors = 0;
		first.infos.len = first.data.len = 0;
		assert_true(gguf_build_write(&first, first_path));
		assert_true(gguf_build_write(&second, second_path));
		if (model_open(first_path, &model, &why) != RC_OK)
			fail_msg("%s", why.text);
		assert_string_equal(model_info(model)->name, "w-00001-of-00002");
		assert_int_equal(
		    model_info(model)->weights_bytes, 4 * model_info(model)->parameters);
		memcpy(hashes[round], model_info(model)->content_hash, MODEL_HASH_BYTES);
		model_close(model);
		gguf_build_fini(&first);
		gguf_build_fini(&second);
	}
	assert_memory_not_equal(hashes[0], hashes[1], MODEL_HASH_BYTES);
	(void)unlink(first_path);
	(void)unlink(second_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts_are_one_table_of_tensors),
		cmocka_unit_test(test_a_later_part_says_which_one_to_open),
		cmocka_unit_test(test_a_missing_part_is_named),
		cmocka_unit_test(test_a_name_without_numbers_is_refused),
		cmocka_unit_test(test_parts_that_contradict_are_refused),
		cmocka_unit_test(test_a_broken_part_is_refused_by_its_number),
		cmocka_unit_test(test_a_split_model_opens_and_its_hash_covers_every_part),
	};
	int failed;

	(void)snprintf(dir, sizeof(dir), "/tmp/hearth-test-split-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	for (unsigned i = 1; i <= PARTS; i++)
		(void)unlink(path_of(NAME, i));
	(void)rmdir(dir);
	return failed;
}
