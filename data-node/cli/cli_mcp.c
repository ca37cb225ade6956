/*
 * `data-node mcp`: the Model Context Protocol on standard input and output, for
 * agents that start their servers as programs.  Each line is a message; it goes
 * to POST /mcp of the node, whose answer is the line that comes back.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rc.h"
#include "cli/cli_list.h"
#include "cli/commands.h"
#include "gateway/station.h"

#define LINE_BYTES_MAX ((size_t)512 << 10) /* longer ones are cut, and refused for it */

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

static enum rc pass_on(
    struct control_client *client, const char *line, size_t len, struct errmsg *why)
{
	struct control_client_call call = {
		.method = "POST", .target = "/mcp", .body = line, .body_len = len
	};

	enum rc rc = control_client_send(client, &call, why);
	if (rc == RC_OK && call.status != 400) /* 400 is an answer of the protocol too */
		rc = control_client_check(&call, why);
	if (rc == RC_OK && call.answer.len > 0) {
		(void)fwrite(buf_text(&call.answer), 1, call.answer.len, stdout);
		(void)putchar('\n');
		if (fflush(stdout) != 0)
			rc = errmsg_rc(why, RC_CLOSED, "nobody reads the answers");
	}
	control_client_done(&call);
	return rc;
}

static enum rc serve(struct control_client *client, const void *values,
    const struct conf_argv *args, struct errmsg *why)
{
	char *line = malloc(LINE_BYTES_MAX);
	enum rc rc = line == NULL ? RC_NOMEM : RC_OK;
	size_t len = 0;

	(void)values;
	(void)args;
	while (rc == RC_OK && read_line(line, &len)) {
		if (len > 0)
			rc = pass_on(client, line, len, why);
	}
	free(line);
	return rc;
}

int cli_mcp(int argc, char **argv)
{
	struct mcp_options values = { 0 };

	return cli_list_run(
	    &command, argc, argv, &values, &values.dir, STATION_RECALL | STATION_SLICES, serve);
}
