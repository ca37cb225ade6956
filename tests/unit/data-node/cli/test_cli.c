/*
 * What the commands share: text for terminals, QR codes, and
 * the client that reaches a node through its socket or opens it itself.
 */
#include "../gateway/gateway_fixture.h"

#include "cli/cli.h"
#include "cli/control_client.h"
#include "cli/qr.h"
#include "gateway/http.h"

/* ---- the terminal ------------------------------------------------------------------ */

static char *printed(const char *text, size_t columns)
{
	char *out = NULL;
	size_t len = 0;

	FILE *f = open_memstream(&out, &len);
	assert_non_null(f);
	cli_put_text(f, text, columns);
	assert_int_equal(fclose(f), 0);
	return out;
}

static void test_stored_text_cannot_drive_the_terminal(void **state)
{
	static const struct {
		const char *in;
		size_t columns;
		const char *out;
	} cases[] = {
		{ "plain é 日", 0, "plain é 日" },
		{ "\x1b[31mred\x1b]0;title\x07", 0, " [31mred ]0;title " },
		{ "a\nb\tc\r", 0, "a\nb c " },
		{ "a\nb", 10, "a b" },
		{ "\xC2\x9B"
		  "2J",
		    0, " 2J" },
		{ "\xE2\x80\xAEtxt", 0, " txt" },
		{ "bad\xFFutf", 0, "bad utf" },
		{ "abcdef", 3, "abc…" },
		{ "abc", 3, "abc" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *out = printed(cases[i].in, cases[i].columns);
		assert_string_equal(out, cases[i].out);
		free(out);
	}
}

static void test_a_code_is_square_and_a_text_too_long_is_refused(void **state)
{
	char *out = NULL, big[8192];
	size_t len = 0, lines = 0;

	(void)state;
	FILE *f = open_memstream(&out, &len);
	assert_non_null(f);
	PASS(qr_print(f, "{\"token\":\"ht_x\"}"));
	assert_int_equal(fclose(f), 0);
	for (const char *p = out; *p != 0; p++)
		lines += *p == '\n';
	assert_true(lines >= 12 && lines < 40);
	free(out);
	memset(big, 'a', sizeof(big));
	big[sizeof(big) - 1] = 0;
	assert_int_equal(qr_print(stderr, big), RC_LIMIT);
}

static void test_the_directory_comes_from_flag_then_environment_then_home(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, 65536);
	assert_int_equal(setenv("HOME", "/home/x", 1), 0);
	assert_int_equal(unsetenv("HEARTH_DIR"), 0);
	assert_string_equal(cli_dir(NULL, &arena), "/home/x/.local/share/hearth");
	assert_int_equal(setenv("HEARTH_DIR", "/env", 1), 0);
	assert_string_equal(cli_dir(NULL, &arena), "/env");
	assert_string_equal(cli_dir("/flag", &arena), "/flag");
	assert_int_equal(unsetenv("HEARTH_DIR"), 0);
	arena_fini(&arena);
}

/* ---- the client --------------------------------------------------------------------- */

static const char one_event[] =
    "{\"source\":\"a\",\"id\":\"1\",\"layer\":\"text\",\"kind\":\"note\",\"start\":5,"
    "\"text\":\"hello\"}";

static int call(struct control_client *client, const char *method, const char *target,
    const char *body, const char *want)
{
	struct control_client_call c = { .method = method,
		.target = target,
		.body = body,
		.body_len = body != NULL ? strlen(body) : 0 };

	PASS(control_client_send(client, &c, &pass_why));
	if (want != NULL && strstr(buf_text(&c.answer), want) == NULL)
		fail_msg("%s: no %s in the answer", target, want);
	control_client_done(&c);
	return c.status;
}

/* The same calls, whoever answers. */
static void exercise(const char *dir, bool serving, const char *first)
{
	struct control_client_call bad = { .method = "GET", .target = "/api/v1/events?limit=x" };
	struct control_client *client = NULL;
	struct errmsg why = ERRMSG_INIT;

	PASS(control_client_open(dir, STATION_RECALL, &client, &pass_why));
	assert_true(control_client_serving(client) == serving);
	assert_int_equal(call(client, "POST", "/api/v1/events", one_event, first), 200);
	assert_int_equal(call(client, "GET", "/api/v1/events", NULL, "\"hello\""), 200);
	assert_int_equal(call(client, "GET", "/api/v1/slices?from=0&to=60000000000&step=1s", NULL,
			     "\"clock_map\""),
	    200);
	assert_int_equal(call(client, "GET", "/api/v1/search?q=hello", NULL, "\"hello\""), 200);
	assert_int_equal(call(client, "GET", "/control/devices", NULL, "\"owner\""), 200);
	assert_int_equal(call(client, "GET", "/nowhere", NULL, "not_found"), 404);
	PASS(control_client_send(client, &bad, &pass_why));
	assert_int_equal(control_client_check(&bad, &why), RC_INVALID);
	assert_non_null(strstr(why.text, "limit"));
	control_client_done(&bad);
	control_client_close(client);
}

static void test_a_command_gets_the_same_answers_from_a_serving_node_and_without(void **state)
{
	struct http_config config = { 0 };
	struct http *control = NULL;
	struct fixture f;
	char path[512];

	(void)state;
	fixture_init(&f, STATION_RECALL);
	(void)snprintf(path, sizeof(path), "%s/control.sock", f.dir);
	config.station = f.station;
	config.control_path = path;
	PASS(http_open(&config, &control, &pass_why));
	exercise(f.dir, true, "\"accepted\":1");
	http_close(control, NS_PER_S);
	station_close(f.station);
	exercise(f.dir, false, "\"duplicate\":1");
	fixture_open(&f, 0);
	fixture_fini(&f);
}

static bool refuse(void *ctx, const char *bytes, size_t len)
{
	(void)ctx;
	(void)bytes;
	(void)len;
	return false;
}

static void test_a_sink_that_says_no_ends_the_call(void **state)
{
	struct control_client_call c = { .method = "GET", .target = "/healthz", .sink = refuse };
	struct control_client *client = NULL;
	struct fixture f;

	(void)state;
	fixture_init(&f, 0);
	station_close(f.station);
	PASS(control_client_open(f.dir, 0, &client, &pass_why));
	assert_int_equal(control_client_send(client, &c, NULL), RC_CANCELLED);
	control_client_done(&c);
	control_client_close(client);
	fixture_open(&f, 0);
	fixture_fini(&f);
}

static void test_a_directory_without_a_node_is_a_configuration_error(void **state)
{
	struct control_client *client = NULL;
	char dir[256];

	(void)state;
	fixture_dir(dir);
	assert_int_equal(control_client_open(dir, 0, &client, NULL), RC_CONFIG);
	fixture_remove(dir);
	assert_int_equal(control_client_open(dir, 0, &client, NULL), RC_CONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stored_text_cannot_drive_the_terminal),
		cmocka_unit_test(test_a_code_is_square_and_a_text_too_long_is_refused),
		cmocka_unit_test(test_the_directory_comes_from_flag_then_environment_then_home),
		cmocka_unit_test(
		    test_a_command_gets_the_same_answers_from_a_serving_node_and_without),
		cmocka_unit_test(test_a_sink_that_says_no_ends_the_call),
		cmocka_unit_test(test_a_directory_without_a_node_is_a_configuration_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
