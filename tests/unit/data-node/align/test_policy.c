/*
 * Policy files: printed and read back the same, wrong members named, hash by
 * content; a changed policy builds anew and reopens with its cause; manifests
 * pin what they were made from.
 */
#include "../store/store_fixture.h"

#include "align/builder.h"
#include "align/policy_file.h"
#include "align/slice_manifest.h"
#include "align/slice_serve.h"

#define BASE_NS (T0_NS / NS_PER_HOUR * NS_PER_HOUR)
#define MIN NS_PER_MIN

static enum rc parse(const char *text, struct policy *out)
{
	errmsg_reset(&pass_why);
	return policy_parse(text, strlen(text), out, &pass_why);
}

static void test_a_printed_policy_reads_back_the_same(void **state)
{
	struct policy back;
	uint8_t one[POLICY_HASH_BYTES], two[POLICY_HASH_BYTES];
	struct buf text;

	(void)state;
	buf_init(&text, POLICY_FILE_BYTES_MAX);
	policy_print(policy_default(), &text);
	PASS(policy_parse(buf_text(&text), text.len, &back, &pass_why));
	assert_int_equal(back.reach_ns, policy_default()->reach_ns);
	assert_int_equal(back.ahead_ns, policy_default()->ahead_ns);
	assert_memory_equal(back.rules, policy_default()->rules, sizeof back.rules);
	policy_hash(&back, one);
	policy_hash(policy_default(), two);
	assert_memory_equal(one, two, sizeof one);
	PASS(parse("{\"version\":1,\"facets\":{\"visual\":{\"carry_s\":30.5}}}", &back));
	assert_int_equal(back.rules[FACET_VISUAL].carry_ns, 30500 * NS_PER_MS);
	policy_hash(&back, one);
	assert_memory_not_equal(one, two, sizeof one); /* the number alone does not name it */
	buf_fini(&text);
}

static void test_what_is_wrong_is_named(void **state)
{
	static const struct {
		const char *text, *names;
	} cases[] = {
		{ "", "line" },
		{ "[]", "object" },
		{ "{}", "version" },
		{ "{\"version\":0}", "version" },
		{ "{\"version\":1.5}", "version" },
		{ "{\"version\":2,\"version\":3}", "duplicate" },
		{ "{\"version\":2,\"pace\":3}", "pace" },
		{ "{\"version\":2,\"error_s\":-1}", "error_s" },
		{ "{\"version\":2,\"error_s\":\"1\"}", "error_s" },
		{ "{\"version\":2,\"late_s\":60}", "late_s" },
		{ "{\"version\":2,\"facets\":{\"aura\":{}}}", "aura" },
		{ "{\"version\":2,\"facets\":{\"scene\":{}}}", "scene" },
		{ "{\"version\":2,\"facets\":{\"visual\":{\"carry\":\"ever\"}}}", "visual.carry" },
		{ "{\"version\":2,\"facets\":{\"visual\":{\"carry\":\"step\"}}}", "visual.carry" },
		{ "{\"version\":2,\"facets\":{\"visual\":{\"carry_s\":null}}}", "visual.carry_s" },
		{ "{\"version\":2,\"facets\":{\"body\":{\"carry\":\"periods\",\"carry_s\":null}}}",
		    "body.carry_s" },
		{ "{\"version\":2,\"facets\":{\"body\":{\"carry_periods\":1.5}}}",
		    "body.carry_periods" },
		{ "{\"version\":2,\"facets\":{\"home\":{\"all\":1}}}", "home.all" },
	};
	struct policy policy = *policy_default();

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(parse(cases[i].text, &policy), RC_CONFIG);
		if (strstr(pass_why.text, cases[i].names) == NULL)
			fail_msg("%s: %s", cases[i].text, pass_why.text);
	}
	assert_int_equal(policy.version, policy_default()->version); /* untouched */
}

/* ---- in force ------------------------------------------------------------------------- */

struct seen_slice {
	size_t len;
	uint64_t version;
	char cause[16];
	enum cell_mode mode;
};

static bool see(void *ctx, const struct slice *slice)
{
	struct seen_slice *seen = ctx;

	seen->len++;
	seen->version = slice->version;
	seen->mode = slice->cells[FACET_LOCATION].mode;
	(void)snprintf(
	    seen->cause, sizeof seen->cause, "%s", slice->cause == NULL ? "" : slice->cause);
	return true;
}

static void put_fix(struct fixture *f, int64_t at_ns)
{
	struct observation obs = make_obs("", at_ns, "");

	obs.layer = LAYER_ENVIRONMENT;
	obs.kind = "location";
	obs.data_json = "{\"lat\":50.5,\"lon\":13.5,\"vel\":0}";
	obs.recv_utc_ns = at_ns;
	(void)append_one(f->store, &obs);
}

static struct seen_slice look(struct fixture *f, const struct policy *policy, int64_t minute)
{
	struct slice_query query = { .from_ns = BASE_NS + minute * MIN,
		.to_ns = BASE_NS + (minute + 1) * MIN,
		.step_ns = MIN };
	struct slice_source source = { f->store, policy, BASE_NS + NS_PER_DAY, false, false };
	struct seen_slice seen = { 0 };

	PASS(slice_serve(&source, &query, see, &seen, NULL, &pass_why));
	return seen;
}

static void build_all(struct fixture *f, const struct policy *policy)
{
	struct builder *builder;
	bool more = true;

	PASS(builder_new(f->store, policy, &builder, &pass_why));
	while (more)
		PASS(builder_pass(builder, &more, &pass_why));
	builder_close(builder);
}

static void test_a_changed_policy_builds_anew_and_reopens_what_differs(void **state)
{
	struct fixture f = { 0 };
	struct policy longer;

	(void)state;
	fixture_init(&f);
	put_fix(&f, BASE_NS);
	put_fix(&f, BASE_NS + 3 * NS_PER_HOUR);
	put_fix(&f, BASE_NS + 3 * NS_PER_HOUR + MIN);
	build_all(&f, policy_default());
	assert_int_equal(look(&f, policy_default(), 10).mode, CELL_CARRIED);
	assert_int_equal(look(&f, policy_default(), 25).len, 0);
	PASS(parse("{\"version\":2,\"facets\":{\"location\":{\"carry_s\":1800}}}", &longer));
	/* Before it is built anew no row of the old policy is shown. */
	assert_int_equal(look(&f, &longer, 25).mode, CELL_CARRIED);
	build_all(&f, &longer);
	struct seen_slice seen = look(&f, &longer, 25);
	assert_int_equal(seen.mode, CELL_CARRIED);
	assert_int_equal(seen.version, 2);
	assert_string_equal(seen.cause, "policy");
	seen = look(&f, &longer, 10); /* the same under both */
	assert_int_equal(seen.version, 1);
	fixture_fini(&f);
}

/* ---- manifests -------------------------------------------------------------------------- */

static bool add(void *ctx, const struct slice *slice)
{
	return slice_manifest_add(ctx, slice) == RC_OK;
}

static void manifest_of(struct fixture *f, bool work_out, uint64_t cursor, struct buf *out)
{
	struct slice_query query = { .from_ns = BASE_NS - NS_PER_HOUR,
		.to_ns = BASE_NS + 5 * NS_PER_HOUR,
		.step_ns = MIN,
		.facets = FACET_MASK_ALL,
		.as_of_seq = cursor };
	struct slice_source source = { f->store, policy_default(), BASE_NS + NS_PER_DAY, false,
		work_out };
	struct slice_manifest manifest;

	slice_manifest_begin(&manifest, &query, 0, policy_default());
	PASS(slice_serve(&source, &query, add, &manifest, NULL, &pass_why));
	slice_manifest_end(&manifest);
	buf_fini(out);
	buf_init(out, 4096);
	slice_manifest_json(&manifest, out);
	slice_manifest_fini(&manifest);
}

static void assert_same(const struct buf *a, const struct buf *b)
{
	assert_string_equal(buf_text(a), buf_text(b));
}

static void test_a_manifest_is_the_same_recomputed_restarted_and_later(void **state)
{
	struct fixture f = { 0 };
	struct buf first, again;

	(void)state;
	buf_init(&first, 1);
	buf_init(&again, 1);
	fixture_init(&f);
	for (int i = 0; i < 200; i++)
		put_fix(&f, BASE_NS + i * MIN);
	build_all(&f, policy_default());
	manifest_of(&f, false, 200, &first);
	manifest_of(&f, true, 200, &again);
	assert_same(&first, &again);
	fixture_close(&f);
	fixture_open(&f);
	manifest_of(&f, false, 200, &again);
	assert_same(&first, &again);
	put_fix(&f, BASE_NS + 100 * MIN + NS_PER_S); /* later knowledge does not leak in */
	build_all(&f, policy_default());
	manifest_of(&f, false, 200, &again);
	assert_same(&first, &again);
	manifest_of(&f, false, 201, &again);
	assert_string_not_equal(buf_text(&first), buf_text(&again));
	buf_fini(&first);
	buf_fini(&again);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_printed_policy_reads_back_the_same),
		cmocka_unit_test(test_what_is_wrong_is_named),
		cmocka_unit_test(test_a_changed_policy_builds_anew_and_reopens_what_differs),
		cmocka_unit_test(test_a_manifest_is_the_same_recomputed_restarted_and_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
