/*
 * `data-node mcp`: the Model Context Protocol on standard input and output, for
 * agents that start their servers as programs.  Each line is a message; it goes
 * to POST /mcp of the node, whose answer is the line that comes back.
 *
 * The node is looked for anew with each message and nothing is held in between: it
 * may start, stop and restart as it likes while the agent runs.  A message that
 * does not get through is answered with an error, and the next one is tried.
 */
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rc.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "gateway/station.h"

#define LINE_BYTES_MAX ((size_t)512 << 10) /* longer ones are cut, and refused for it */
#define RPC_SERVER_ERROR (-32000)

struct mcp_options {
	const char *dir;
};

static const struct conf_option options[] = {
	CLI_OPTION_DIR(struct mcp_options),
	{ .name = NULL },
};

static const struct conf_command command = {
	.name = "mcp",
	.summary = "let an agent use the timeline (Model Context Protocol on stdio)",
	.detail = "For agents that start a server themselves: command \"data-node\", argument\n"
		  "\"mcp\". Others connect to POST /mcp with a token.",
	.options = options,
};

/* The next line without its break; false at the end. */
static bool read_line(char *line, size_t *len)
{
	if (fgets(line, (int)LINE_BYTES_MAX, stdin) == NULL)
		return false;
	*len = strlen(line);
	bool whole = *len > 0 && line[*len - 1] == '\n';
	for (int c = 0; !whole && c != EOF && c != '\n';)
		c = getchar();
	while (*len > 0 && (line[*len - 1] == '\n' || line[*len - 1] == '\r'))
		(*len)--;
	return true;
}

/* False once nobody reads any more. */
static bool write_line(const char *text, size_t len)
{
	(void)fwrite(text, 1, len, stdout);
	(void)putchar('\n');
	return fflush(stdout) == 0;
}

/* The message did not get through: whoever waits for its answer is told. */
static bool write_failure(const char *line, size_t len, const char *reason)
{
	json_t *message = json_loadb(line, len, 0, NULL);
	json_t *error = json_pack("{s:s,s:O,s:{s:i,s:s}}", "jsonrpc", "2.0", "id",
	    json_object_get(message, "id"), "error", "code", RPC_SERVER_ERROR, "message", reason);
	char *text = error != NULL ? cli_json_text(error) : NULL;
	bool reads = text == NULL || write_line(text, strlen(text));

	free(text);
	json_decref(error);
	json_decref(message);
	return reads;
}

static enum rc ask(const char *dir, const char *line, size_t len, struct control_client_call *call,
    struct errmsg *why)
{
	struct control_client *client = NULL;

	*call = (struct control_client_call){
		.method = "POST", .target = "/mcp", .body = line, .body_len = len
	};
	enum rc rc = control_client_open(dir, STATION_RECALL | STATION_SLICES, &client, why);
	if (rc == RC_OK)
		rc = control_client_send(client, call, why);
	if (rc == RC_OK && call->status != 400) /* 400 is an answer of the protocol too */
		rc = control_client_check(call, why);
	control_client_close(client);
	return rc;
}

/* False once nobody reads any more. */
static bool pass_on(const char *dir, const char *line, size_t len)
{
	struct control_client_call call;
	struct errmsg why = ERRMSG_INIT;
	bool reads = true;

	enum rc rc = ask(dir, line, len, &call, &why);
	if (rc != RC_OK)
		reads = write_failure(line, len, errmsg_text(&why, rc));
	else if (call.answer.len > 0)
		reads = write_line(buf_text(&call.answer), call.answer.len);
	control_client_done(&call);
	return reads;
}

static enum rc serve(const char *dir, struct errmsg *why)
{
	char *line = malloc(LINE_BYTES_MAX);
	bool reads = true;
	size_t len = 0;

	if (line == NULL)
		return RC_NOMEM;
	while (reads && read_line(line, &len)) {
		if (len > 0)
			reads = pass_on(dir, line, len);
	}
	free(line);
	return reads ? RC_OK : errmsg_rc(why, RC_CLOSED, "nobody reads the answers");
}

int cli_mcp(int argc, char **argv)
{
	struct mcp_options values = { 0 };
	struct conf_argv args = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct arena arena;

	arena_init(&arena, CLI_ARENA_BYTES);
	int code = cli_parse(&command, argc, argv, &values, &args, &arena);
	const char *dir = code == CLI_GO_ON ? cli_dir(values.dir, &arena) : NULL;
	if (code == CLI_GO_ON) {
		enum rc rc = dir == NULL ? RC_NOMEM : serve(dir, &why);
		code = rc == RC_OK ? EXIT_DONE : cli_fail(command.name, rc, &why);
	}
	arena_fini(&arena);
	return code;
}
