/* `data-node verify`: read everything stored and name each fault. */
#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/rc.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/control_client.h"

struct verify_options {
	const char *dir;
	bool json;
};

static const struct conf_option options[] = {
	CLI_OPTION_DIR(struct verify_options),
	{ .name = "json",
	    .type = CONF_BOOL,
	    .offset = offsetof(struct verify_options, json),
	    .help = "print JSON" },
	{ .name = NULL },
};

static const struct conf_command command = {
	.name = "verify",
	.summary = "check everything stored",
	.detail = "Also on a node that serves. Exit code 4 if anything is damaged.",
	.options = options,
};

/* RC_CORRUPT if there was any fault. */
static enum rc report(const struct buf *answer, bool as_json, struct errmsg *why)
{
	json_t *root = json_loadb(buf_text(answer), answer->len, 0, NULL);
	const json_t *message = NULL;
	size_t i = 0;

	long long faults = (long long)json_integer_value(json_object_get(root, "faults"));
	if (as_json) {
		(void)fputs(buf_text(answer), stdout);
	} else {
		json_array_foreach(json_object_get(root, "messages"), i, message)
		{
			(void)printf("fault: ");
			cli_put_text(stdout, json_string_value(message), 200);
			(void)printf("\n");
		}
		(void)printf("%lld records, %lld time entries, %lld ids: %lld faults\n",
		    (long long)json_integer_value(json_object_get(root, "records")),
		    (long long)json_integer_value(json_object_get(root, "time_entries")),
		    (long long)json_integer_value(json_object_get(root, "dedup_entries")), faults);
	}
	bool known = json_is_integer(json_object_get(root, "faults"));
	json_decref(root);
	if (!known)
		return errmsg_rc(why, RC_IO, "the node's answer is no report");
	return faults == 0 ? RC_OK : errmsg_rc(why, RC_CORRUPT, "%lld faults", faults);
}

int cli_verify(int argc, char **argv)
{
	struct control_client_call call = { .method = "POST", .target = "/control/verify" };
	struct verify_options values = { 0 };
	struct control_client *client = NULL;
	struct conf_argv args = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct arena arena;

	arena_init(&arena, CLI_ARENA_BYTES);
	int code = cli_parse(&command, argc, argv, &values, &args, &arena);
	if (code == CLI_GO_ON) {
		call.body = "{}";
		call.body_len = 2;
		enum rc rc = control_client_open(cli_dir(values.dir, &arena), 0, &client, &why);
		if (rc == RC_OK)
			rc = control_client_send(client, &call, &why);
		if (rc == RC_OK)
			rc = control_client_check(&call, &why);
		if (rc == RC_OK)
			rc = report(&call.answer, values.json, &why);
		code = rc == RC_OK ? EXIT_DONE : cli_fail(command.name, rc, &why);
	}
	control_client_done(&call);
	control_client_close(client);
	arena_fini(&arena);
	return code;
}
