/* The policy of what may leave: read, refused by name, written back; and its URLs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cloud/cloud_policy.h"
#include "cloud/cloud_url.h"
#include "store/observation.h"

#define BIG                                                                                        \
	"{\"name\":\"big\",\"url\":\"https://api.example.com/v1\",\"model\":\"m-70b\","            \
	"\"size\":\"large\",\"price_in\":2.5,\"price_out\":10,\"month_money\":20.000001,"          \
	"\"idle_s\":30.5}"
#define NEAR                                                                                       \
	"{\"name\":\"near\",\"url\":\"http://192.168.1.9:8000/v1\",\"model\":\"q\","               \
	"\"trust\":\"home\"}"

static struct arena arena;
static struct errmsg why;

static enum rc parse(const char *text, struct cloud_policy *out)
{
	arena_fini(&arena);
	arena_init(&arena, (size_t)1 << 20);
	errmsg_reset(&why);
	return cloud_policy_parse(text, strlen(text), &arena, out, &why);
}

static void test_what_a_file_leaves_out_is_absent_or_forbidden(void **state)
{
	struct cloud_policy policy;

	(void)state;
	assert_int_equal(parse("{}", &policy), RC_OK);
	assert_int_equal(policy.upstreams_len, 0);
	assert_int_equal(policy.rules_len, 0);
	for (size_t i = 0; i < CLOUD_TRUSTS; i++) {
		assert_false(policy.leave[i].question);
		assert_false(policy.leave[i].conversation);
		assert_false(policy.leave[i].facts);
		assert_int_equal(policy.leave[i].layers, 0);
		assert_int_equal(policy.leave[i].sources.len, 0);
		assert_int_equal(policy.leave[i].labels.len, 0);
	}
	assert_int_equal(parse("{\"upstreams\":[" BIG "]}", &policy), RC_OK);
	assert_int_equal(policy.upstreams[0].trust, CLOUD_OUTSIDE);
	assert_string_equal(policy.upstreams[0].ca, "");
	assert_int_equal(cloud_policy_load("/nonexistent", &arena, &policy, NULL), RC_OK);
	assert_int_equal(policy.upstreams_len, 0);
}

static void test_all_of_it_is_read_and_written_back(void **state)
{
	static const char text[] =
	    "{\"upstreams\":[" BIG "," NEAR "],\"leave\":{\"home\":{\"question\":true,"
	    "\"layers\":[\"home\",\"text\"],\"sources\":[\"watch\"],\"labels\":[\"scene=work\"],"
	    "\"not_sources\":[\"diary\"],\"not_labels\":[\"scene=sleep\",\"role\"]}},"
	    "\"hearth\":[{\"to\":\"near\",\"when\":\"long\",\"tokens\":8000},"
	    "{\"to\":\"large\",\"when\":\"away\"}]}";
	struct cloud_policy policy, again;
	struct buf first, second;

	(void)state;
	assert_int_equal(parse(text, &policy), RC_OK);
	const struct cloud_upstream *big = cloud_policy_find(&policy, "big");
	assert_int_equal(big->size, CLOUD_LARGE);
	assert_int_equal(big->budget.in_micros, 2500000);
	assert_int_equal(big->budget.month_micros, 20000001);
	assert_true(big->idle_ns == INT64_C(30500000000));
	const struct cloud_leave *home = &policy.leave[CLOUD_HOME];
	assert_int_equal(home->layers, LAYER_MASK(LAYER_TEXT) | LAYER_MASK(LAYER_HOME));
	assert_string_equal(home->not_labels.words[1], "role");
	assert_false(policy.leave[CLOUD_OUTSIDE].question);
	assert_int_equal(policy.rules[0].when, CLOUD_LONG);
	assert_int_equal(policy.rules[0].tokens, 8000);
	assert_null(cloud_policy_find(&policy, "huge"));

	buf_init(&first, CLOUD_POLICY_BYTES_MAX);
	buf_init(&second, CLOUD_POLICY_BYTES_MAX);
	cloud_policy_print(&policy, &first);
	assert_int_equal(
	    cloud_policy_parse(buf_text(&first), first.len, &arena, &again, &why), RC_OK);
	cloud_policy_print(&again, &second);
	assert_string_equal(buf_text(&first), buf_text(&second));
	assert_non_null(strstr(buf_text(&first), "\"month_money\": 20.000001"));
	buf_fini(&first);
	buf_fini(&second);
}

static void test_what_is_wrong_is_named(void **state)
{
	static const char *const rows[][2] = {
		{ "[]", "object" },
		{ "{\"leaves\":{}}", "leaves" },
		{ "{\"leave\":{\"abroad\":{}}}", "abroad" },
		{ "{\"leave\":{\"home\":{\"layers\":[\"texts\"]}}}", "leave.home.layers" },
		{ "{\"leave\":{\"home\":{\"question\":1}}}", "leave.home.question" },
		{ "{\"leave\":{\"home\":{\"sources\":\"a\"}}}", "leave.home.sources" },
		{ "{\"hearth\":[{\"to\":\"far\"}]}", "rule 1" },
		{ "{\"hearth\":[{\"to\":\"large\",\"when\":\"never\"}]}", "hearth.when" },
		{ "{\"upstreams\":[" BIG "," BIG "]}", "stands twice" },
		{ "{\"upstreams\":[{\"name\":\"local\"}]}", "name" },
		{ "{\"upstreams\":[{\"name\":\"a b\"}]}", "name" },
		{ "{\"upstreams\":[{\"name\":\"a\",\"url\":\"https://h/v1\"}]}", "which model" },
		{ "{\"upstreams\":[{\"name\":\"a\",\"model\":\"m\",\"url\":\"ftp://h/v1\"}]}",
		    "url" },
		{ "{\"upstreams\":[{\"name\":\"a\",\"price_in\":-1}]}", "upstreams.price_in" },
		{ "{\"upstreams\":[{\"name\":\"a\",\"day_tokens\":1.5}]}", "upstreams.day_tokens" },
		{ "{\"upstreams\":[{\"name\":\"a\",\"url\":\"https://h/v1\",\"model\":\"m\","
		  "\"idle_s\":0}]}",
		    "timeouts" },
		{ "{\"upstreams\":{},\"upstreams\":{}}", "duplicate" },
		{ "{", "line 1" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cloud_policy policy;
		assert_int_equal(parse(rows[i][0], &policy), RC_CONFIG);
		if (strstr(why.text, rows[i][1]) == NULL)
			fail_msg("%s: %s", rows[i][0], why.text);
		/* Half of a policy could allow what the whole does not. */
		assert_int_equal(policy.upstreams_len, 0);
	}
}

static void test_plain_http_stays_at_home(void **state)
{
	static const struct {
		const char *url;
		bool outside, home;
	} rows[] = {
		{ "https://api.example.com/v1", true, true },
		{ "https://api.example.com:8443", true, true },
		{ "https://[2001:db8::1]:443/v1", true, true },
		{ "http://127.0.0.1:8420/v1", false, true },
		{ "http://localhost:8420/v1", false, true },
		{ "http://10.0.0.7/v1", false, true },
		{ "http://172.31.0.1/v1", false, true },
		{ "http://[::1]:8000/v1", false, true },
		{ "http://[fd00::7]/v1", false, true },
		{ "http://172.32.0.1/v1", false, false },
		{ "http://192.169.0.1/v1", false, false },
		{ "http://93.184.215.14/v1", false, false },
		{ "http://box.lan/v1", false, false }, /* a name may come to mean anything */
		{ "http://0x7f.1/v1", false, false },
		{ "http://[2001:db8::1]/v1", false, false },
		{ "https://user@host/v1", false, false },
		{ "https://host/v1?key=1", false, false },
		{ "https://host/v1#a", false, false },
		{ "https://host/v1/", false, false },
		{ "https://host:0/v1", false, false },
		{ "https://host:65536/v1", false, false },
		{ "https://host:/v1", false, false },
		{ "https:///v1", false, false },
		{ "https://ho st/v1", false, false },
		{ "https://[::1/v1", false, false },
		{ "HTTPS://host/v1", false, false },
		{ "file:///etc/passwd", false, false },
		{ "", false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool outside = cloud_url_check(rows[i].url, CLOUD_OUTSIDE, NULL) == RC_OK;
		bool home = cloud_url_check(rows[i].url, CLOUD_HOME, NULL) == RC_OK;
		if (outside != rows[i].outside || home != rows[i].home)
			fail_msg("%s: outside %d, home %d", rows[i].url, outside, home);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_a_file_leaves_out_is_absent_or_forbidden),
		cmocka_unit_test(test_all_of_it_is_read_and_written_back),
		cmocka_unit_test(test_what_is_wrong_is_named),
		cmocka_unit_test(test_plain_http_stays_at_home),
	};

	arena_init(&arena, (size_t)1 << 20);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	arena_fini(&arena);
	return failed;
}
