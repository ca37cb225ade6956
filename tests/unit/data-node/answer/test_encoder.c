/* Recall's encoder over a pool: which model it takes, what it sends, what it returns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "answer/encoder.h"
#include "rig.h"

static struct fake_script script_of(const char *model, bool embeds, uint8_t hash)
{
	struct fake_script script = fake_script_default();

	script.model = model;
	script.embeds = embeds;
	script.hash = hash;
	return script;
}

static void the_makers_prefixes_stand_before_texts(void **state)
{
	(void)state;
	assert_string_equal(
	    encoder_prefix("nomic-embed-text", "nomic-bert", true), "search_query: ");
	assert_string_equal(encoder_prefix("x", "nomic-bert", false), "search_document: ");
	assert_string_equal(encoder_prefix("multilingual-e5-small", "bert", true), "query: ");
	assert_string_equal(encoder_prefix("E5_base", "bert", false), "passage: ");
	assert_string_equal(encoder_prefix("made5", "bert", false), "");
	assert_string_equal(encoder_prefix("all-MiniLM-L6-v2", "bert", true), "");
	assert_string_equal(encoder_prefix("bge-small-en-v1.5", "bert", false), "");
	assert_string_equal(encoder_prefix("bge-small-en-v1.5", "bert", true),
	    "Represent this sentence for searching relevant passages: ");
}

static void a_model_that_only_embeds_is_taken(void **state)
{
	const struct fake_script scripts[] = { script_of("talker", false, 1),
		script_of("small-e5", true, 2) };
	uint8_t hash[RECALL_ENCODER_BYTES], again[RECALL_ENCODER_BYTES];
	const char *texts[] = { "one", "another" };
	struct encoder *encoder;
	float *values = NULL;
	uint32_t length = 0;
	struct rig rig;

	(void)state;
	rig_open(&rig, scripts, 2);
	assert_int_equal(encoder_new(rig.pool, NULL, &encoder), RC_OK);
	struct recall_encoder table = encoder_for_recall(encoder);
	assert_int_equal(table.embed(table.ctx, hash, texts, 1, false, NS_PER_S, &values, &length),
	    RC_UNAVAILABLE);
	assert_int_equal(table.which(table.ctx, NULL, hash), RC_OK);
	assert_int_equal(table.which(table.ctx, hash, again), RC_OK);
	assert_memory_equal(hash, again, sizeof hash);
	assert_false(table.busy(table.ctx));
	assert_int_equal(
	    table.embed(table.ctx, hash, texts, 2, false, RIG_DEADLINE_NS, &values, &length),
	    RC_OK);
	assert_int_equal(length, FAKE_VECTOR_LEN);
	const char *sent[] = { "passage: one", "passage: another" };
	for (size_t i = 0; i < 2; i++) {
		float want[FAKE_VECTOR_LEN];
		fake_compute_vector(sent[i], want);
		assert_memory_equal(values + i * length, want, sizeof want);
	}
	free(values);
	assert_int_equal(rig.nodes[0].embeds, 0);
	encoder_stop(encoder);
	assert_int_equal(
	    table.embed(table.ctx, hash, texts, 2, true, RIG_DEADLINE_NS, &values, &length),
	    RC_OK); /* an answer that is there is taken; one that is not is not waited for */
	free(values);
	encoder_free(encoder);
	rig_close(&rig);
}

static void a_named_model_is_taken_alone(void **state)
{
	const struct fake_script scripts[] = { script_of("first", true, 1),
		script_of("second", true, 2) };
	uint8_t named[RECALL_ENCODER_BYTES], any[RECALL_ENCODER_BYTES];
	struct encoder *encoder, *other, *none;
	struct rig rig;

	(void)state;
	rig_open(&rig, scripts, 2);
	assert_int_equal(encoder_new(rig.pool, "second", &encoder), RC_OK);
	assert_int_equal(encoder_new(rig.pool, NULL, &other), RC_OK);
	assert_int_equal(encoder_new(rig.pool, "third", &none), RC_OK);
	struct recall_encoder table = encoder_for_recall(encoder);
	assert_int_equal(table.which(table.ctx, NULL, named), RC_OK);
	table = encoder_for_recall(other);
	assert_int_equal(table.which(table.ctx, NULL, any), RC_OK);
	assert_memory_not_equal(named, any, sizeof any);
	/* Vectors are of the second: it is kept to, though the first stands before it. */
	uint8_t kept[RECALL_ENCODER_BYTES];
	assert_int_equal(table.which(table.ctx, named, kept), RC_OK);
	assert_memory_equal(kept, named, sizeof named);
	/* Of one that nobody has: not at once another. */
	memset(kept, 9, sizeof kept);
	assert_int_equal(table.which(table.ctx, kept, any), RC_UNAVAILABLE);
	table = encoder_for_recall(none);
	assert_int_equal(table.which(table.ctx, NULL, any), RC_UNAVAILABLE);
	encoder_free(encoder);
	encoder_free(other);
	encoder_free(none);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_makers_prefixes_stand_before_texts),
		cmocka_unit_test(a_model_that_only_embeds_is_taken),
		cmocka_unit_test(a_named_model_is_taken_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
