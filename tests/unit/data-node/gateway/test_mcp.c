/* MCP: handshake, tools and what they answer, refusals, the ledger. */
#include "gateway_fixture.h"

#include "gateway/catalogue.h"
#include "gateway/mcp_tools.h"

static struct fixture fx;

static int setup(void **state)
{
	(void)state;
	fixture_init(&fx, STATION_RECALL | STATION_SLICES);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_fini(&fx);
	return 0;
}

static int rpc(const char *body)
{
	return fixture_call(&fx, "POST", "/mcp", body);
}

static const json_t *result(void)
{
	return json_object_get(fx.json, "result");
}

static json_int_t error_code(void)
{
	return json_integer_value(json_object_get(json_object_get(fx.json, "error"), "code"));
}

/* The text of a tool's answer. */
static const char *text(void)
{
	const json_t *first = json_array_get(json_object_get(result(), "content"), 0);
	const char *out = json_string_value(json_object_get(first, "text"));

	return out != NULL ? out : "";
}

static bool is_error(void)
{
	return json_is_true(json_object_get(result(), "isError"));
}

static void test_a_client_shakes_hands_in_its_own_revision(void **state)
{
	(void)state;
	assert_int_equal(rpc("{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{"
			     "\"protocolVersion\":\"2025-03-26\",\"capabilities\":{}}}"),
	    200);
	assert_string_equal(
	    json_string_value(json_object_get(result(), "protocolVersion")), "2025-03-26");
	assert_non_null(json_object_get(json_object_get(result(), "capabilities"), "tools"));
	assert_int_equal(
	    rpc("{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"initialize\",\"params\":"
		"{\"protocolVersion\":\"1999-01-01\"}}"),
	    200);
	assert_string_equal(
	    json_string_value(json_object_get(result(), "protocolVersion")), "2025-06-18");
	assert_string_equal(json_string_value(json_object_get(fx.json, "id")), "a");
	assert_int_equal(
	    rpc("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}"), 202);
	assert_int_equal(fx.response.body.len, 0);
	assert_int_equal(rpc("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}"), 200);
	assert_int_equal(json_object_size(result()), 0);
	assert_int_equal(fixture_call(&fx, "GET", "/mcp", NULL), 405);
}

static void test_tools_are_listed_with_schemas(void **state)
{
	size_t i;
	const json_t *tool;

	(void)state;
	assert_int_equal(rpc("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}"), 200);
	const json_t *tools = json_object_get(result(), "tools");
	assert_int_equal(json_array_size(tools), 6);
	json_array_foreach(tools, i, tool)
	{
		const json_t *schema = json_object_get(tool, "inputSchema");
		assert_string_equal(json_string_value(json_object_get(schema, "type")), "object");
		assert_true(json_object_size(json_object_get(schema, "properties")) > 0);
		const char *name = json_string_value(json_object_get(tool, "name"));
		bool proposes = strcmp(name, "memory_propose") == 0;
		assert_true(json_array_size(json_object_get(schema, "required")) > 0 ||
			    strcmp(name, "memory_read") == 0);
		assert_true(json_is_true(json_object_get(
				json_object_get(tool, "annotations"), "readOnlyHint")) != proposes);
	}
}

static void post_events(void)
{
	assert_int_equal(
	    fixture_call(&fx, "POST", "/api/v1/events",
		"{\"source\":\"pen\",\"id\":\"soup\",\"layer\":\"text\",\"kind\":\"note\","
		"\"start\":"
		"\"2026-11-19T12:00:00Z\",\"text\":\"lentil soup at Ofelia\"}\n"
		"{\"source\":\"phone\",\"id\":\"v\",\"layer\":\"environment\",\"kind\":\"visit\","
		"\"start\":\"2026-11-19T11:50:00Z\",\"end\":\"2026-11-19T12:40:00Z\",\"text\":"
		"\"Ofelia\",\"data\":{\"place\":\"Ofelia\"}}\n"),
	    200);
}

#define CALL(name, arguments)                                                                      \
	"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{\"name\":\"" name     \
	"\",\"arguments\":" arguments "}}"
#define DAY "\"from\":\"2026-11-19T00:00:00Z\",\"to\":\"2026-11-20T00:00:00Z\""

static void test_each_tool_answers_as_its_route_does(void **state)
{
	(void)state;
	post_events();
	assert_int_equal(rpc(CALL("search_timeline", "{\"query\":\"soup\",\"limit\":3}")), 200);
	assert_false(is_error());
	assert_non_null(strstr(text(), "\"id\":\"soup\""));
	assert_int_equal(rpc(CALL("read_events", "{" DAY ",\"layer\":\"text\"}")), 200);
	assert_non_null(strstr(text(), "lentil soup at Ofelia"));
	assert_null(strstr(text(), "\"visit\""));
	assert_int_equal(rpc(CALL("read_slices",
			     "{\"from\":\"2026-11-19T12:00:00Z\",\"to\":\"2026-11-19T12:10:00Z\","
			     "\"step\":\"5m\",\"facets\":\"location\"}")),
	    200);
	assert_non_null(strstr(text(), "\"slices\":[{"));
	assert_int_equal(rpc(CALL("read_episodes", "{" DAY "}")), 200);
	assert_non_null(strstr(text(), "\"episodes\":["));
}

static void test_memory_is_read_and_proposed_to(void **state)
{
	(void)state;
	assert_int_equal(
	    fixture_call(&fx, "PUT", "/api/v1/memory", "## Profile\n- Is called Jo\n"), 200);
	assert_int_equal(rpc(CALL("memory_propose",
			     "{\"class\":\"people\",\"subject\":\"Anna\",\"text\":\"Anna says "
			     "\\\"hi\\\"\"}")),
	    200);
	assert_false(is_error());
	assert_non_null(strstr(text(), "\"proposed\":[{\"id\":\"f2\"}]"));
	assert_int_equal(rpc(CALL("memory_read", "{}")), 200);
	assert_non_null(strstr(text(), "Is called Jo"));
	assert_null(strstr(text(), "Anna"));
	/* What waits is not an agent's to read, with the owner's token neither. */
	assert_int_equal(rpc(CALL("read_events", "{\"from\":\"2000-01-01T00:00:00Z\",\"to\":"
						 "\"2100-01-01T00:00:00Z\"}")),
	    200);
	assert_false(is_error());
	assert_null(strstr(text(), "Anna"));
	assert_int_equal(rpc(CALL("memory_propose", "{\"class\":\"people\"}")), 200);
	assert_int_equal(error_code(), -32602);
	assert_int_equal(rpc(CALL("memory_propose", "{\"class\":\"none\",\"text\":\"x\"}")), 200);
	assert_true(is_error());
	assert_int_equal(fixture_call(&fx, "GET", "/api/v1/memory/proposals", NULL), 200);
	assert_non_null(strstr(buf_text(&fx.response.body), "Anna says \\\"hi\\\""));
	/* The ledger has a line for each call that went through, and no words. */
	assert_int_equal(fixture_control(&fx, "GET", "/control/audit?limit=3", NULL), 200);
	assert_non_null(strstr(buf_text(&fx.response.body), "memory_propose"));
	assert_non_null(strstr(buf_text(&fx.response.body), "memory_read"));
	assert_null(strstr(buf_text(&fx.response.body), "Anna"));
}

static void test_what_a_route_refuses_is_a_tool_error(void **state)
{
	(void)state;
	assert_int_equal(rpc(CALL("read_events", "{\"from\":\"tomorrowish\",\"to\":\"x\"}")), 200);
	assert_true(is_error());
	assert_true(text()[0] != '\0');
	assert_null(strstr(text(), "tomorrowish"));
}

static void test_bad_messages_get_typed_errors(void **state)
{
	(void)state;
	assert_int_equal(rpc("{not json"), 400);
	assert_int_equal(error_code(), -32700);
	assert_int_equal(rpc("[]"), 200);
	assert_int_equal(error_code(), -32600);
	assert_int_equal(rpc("{\"id\":1}"), 200);
	assert_int_equal(error_code(), -32600);
	assert_int_equal(rpc("{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"ping\"}"), 200);
	assert_int_equal(error_code(), -32600);
	assert_int_equal(rpc("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/list\"}"), 200);
	assert_int_equal(error_code(), -32601);
	assert_int_equal(rpc("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\"}"), 200);
	assert_int_equal(error_code(), -32602);
	assert_int_equal(rpc(CALL("drop_everything", "{}")), 200);
	assert_int_equal(error_code(), -32602);
	assert_int_equal(rpc(CALL("search_timeline", "[]")), 200);
	assert_int_equal(error_code(), -32602);
	assert_int_equal(rpc(CALL("search_timeline", "{}")), 200);
	assert_int_equal(error_code(), -32602);
	assert_int_equal(rpc(CALL("search_timeline", "{\"query\":\"x\",\"limit\":\"3\"}")), 200);
	assert_int_equal(error_code(), -32602);
	assert_int_equal(rpc(CALL("search_timeline", "{\"query\":\"x\",\"sql\":1}")), 200);
	assert_int_equal(error_code(), -32602);
}

static void test_a_batch_is_answered_as_one(void **state)
{
	(void)state;
	assert_int_equal(rpc("[{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\"},"
			     "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"},"
			     "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"nope\"}]"),
	    200);
	assert_int_equal(json_array_size(fx.json), 2);
}

/* Three days of four events: two of them fit a request's answers, three do not. */
static void test_answers_of_a_request_share_one_limit(void **state)
{
	struct buf body;

	(void)state;
	buf_init(&body, (size_t)32 << 20);
	for (int i = 0; i < 12; i++) {
		buf_printf(&body,
		    "{\"source\":\"pen\",\"id\":\"long%d\",\"layer\":\"text\",\"kind\":\"note\","
		    "\"start\":\"2026-11-%02dT12:00:00Z\",\"text\":\"",
		    i, 10 + i / 4);
		for (size_t k = 0; k < MCP_ANSWER_BYTES_MAX / 10; k++)
			buf_putc(&body, 'x');
		buf_puts(&body, "\"}\n");
	}
	assert_int_equal(fixture_call(&fx, "POST", "/api/v1/events", buf_text(&body)), 200);
	assert_int_equal(fixture_number(&fx, "accepted"), 12);
	buf_fini(&body);
#define READ(id, from, to)                                                                         \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"tools/call\",\"params\":{\"name\":"       \
	"\"read_events\",\"arguments\":{\"from\":\"2026-11-" from                                  \
	"T00:00:00Z\",\"to\":\"2026-11-" to "T00:00:00Z\"}}}"
	assert_int_equal(rpc(READ("1", "10", "12")), 200);
	assert_false(is_error());
	assert_int_equal(rpc(READ("1", "10", "13")), 200);
	assert_true(is_error());
	assert_non_null(strstr(text(), "shorter range"));
	assert_int_equal(rpc("[" READ("1", "10", "12") "," READ("2", "12", "13") "]"), 200);
	const json_t *last = json_object_get(json_array_get(fx.json, 1), "result");
	assert_true(json_is_true(json_object_get(last, "isError")));
	assert_int_equal(rpc("[" READ("1", "10", "11") "," READ("2", "11", "12") "]"), 200);
	last = json_object_get(json_array_get(fx.json, 1), "result");
	assert_false(json_is_true(json_object_get(last, "isError")));
}

static void test_a_batch_has_a_limit(void **state)
{
	struct buf body;

	(void)state;
	buf_init(&body, (size_t)1 << 20);
	for (int i = 0; i < 65; i++)
		buf_puts(&body, i == 0 ? "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}"
				       : ",{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}");
	buf_putc(&body, ']');
	assert_int_equal(rpc(buf_text(&body)), 200);
	assert_int_equal(error_code(), -32600);
	buf_fini(&body);
}

static void test_each_call_stands_in_the_ledger_without_content(void **state)
{
	struct catalogue_audit *lines;
	size_t len = 0;

	(void)state;
	post_events();
	assert_int_equal(rpc(CALL("search_timeline", "{\"query\":\"soup\"}")), 200);
	PASS(catalogue_audit_list(
	    station_catalogue(fx.station), false, 1, &fx.arena, &lines, &len, &pass_why));
	assert_int_equal(len, 1);
	assert_string_equal(lines[0].action, "mcp");
	assert_string_equal(lines[0].object, "search_timeline");
	assert_true(lines[0].n >= 1);
	/* A call that hands nothing out leaves no line, and no call its words. */
	assert_int_equal(rpc(CALL("search_timeline", "{\"query\":\"\",\"from\":\"soup\"}")), 200);
	assert_true(is_error());
	PASS(catalogue_audit_list(
	    station_catalogue(fx.station), false, 99, &fx.arena, &lines, &len, &pass_why));
	size_t of_mcp = 0;
	for (size_t i = 0; i < len; i++) {
		of_mcp += strcmp(lines[i].action, "mcp") == 0;
		assert_null(strstr(lines[i].object, "soup"));
	}
	assert_int_equal(of_mcp, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		WITH(test_a_client_shakes_hands_in_its_own_revision),
		WITH(test_tools_are_listed_with_schemas),
		WITH(test_each_tool_answers_as_its_route_does),
		WITH(test_memory_is_read_and_proposed_to),
		WITH(test_what_a_route_refuses_is_a_tool_error),
		WITH(test_bad_messages_get_typed_errors),
		WITH(test_a_batch_is_answered_as_one),
		WITH(test_answers_of_a_request_share_one_limit),
		WITH(test_a_batch_has_a_limit),
		WITH(test_each_call_stands_in_the_ledger_without_content),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
