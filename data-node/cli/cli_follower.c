/* `data-node follower allow|list|remove`: who may follow this node. */
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rc.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "gateway/target.h"

struct follower_options {
	const char *dir;
};

static const struct conf_option options[] = {
	CLI_OPTION_DIR(struct follower_options),
	{ .name = NULL },
};

static const struct conf_command command = {
	.name = "follower",
	.args = "allow KEY | list | remove KEY",
	.args_min = 1,
	.args_max = 2,
	.summary = "say which data nodes may follow this one",
	.detail = "KEY is what `data-node follow` printed there. A follower gets all of the\n"
		  "timeline, encrypted, and without the key. `serve` listens for followers with\n"
		  "--follow-listen.",
	.options = options,
};

static void print_list(const struct buf *answer)
{
	json_t *root = json_loadb(buf_text(answer), answer->len, 0, NULL);
	const json_t *key = NULL;
	size_t i = 0;

	json_array_foreach(json_object_get(root, "followers"), i, key)
	{
		(void)printf("%s\n", json_string_value(key));
	}
	json_decref(root);
}

static enum rc run(const char *dir, const struct conf_argv *args, struct errmsg *why)
{
	struct control_client_call call = { .method = "GET", .target = "/control/followers" };
	struct control_client *client = NULL;
	bool allow = strcmp(args->args[0], "allow") == 0;
	bool remove = strcmp(args->args[0], "remove") == 0;
	json_t *object = allow ? json_pack("{s:s}", "key", args->args[1]) : NULL;
	char *body = allow ? cli_json_text(object) : NULL;
	struct buf target;

	buf_init(&target, TARGET_BYTES_MAX);
	if (allow) {
		call.method = "POST";
		call.body = body;
		call.body_len = body == NULL ? 0 : strlen(body);
	} else if (remove) {
		buf_puts(&target, "/control/followers?key=");
		target_escape(&target, args->args[1]);
		call.method = "DELETE";
		call.target = buf_text(&target);
	}
	enum rc rc = control_client_open(dir, 0, &client, why);
	if (rc == RC_OK)
		rc = control_client_send(client, &call, why);
	if (rc == RC_OK)
		rc = control_client_check(&call, why);
	if (rc == RC_OK && allow)
		(void)printf("allowed: %s\n", args->args[1]);
	else if (rc == RC_OK && remove)
		(void)printf("removed: %s\n", args->args[1]);
	else if (rc == RC_OK)
		print_list(&call.answer);
	control_client_done(&call);
	control_client_close(client);
	buf_fini(&target);
	json_decref(object);
	free(body);
	return rc;
}

int cli_follower(int argc, char **argv)
{
	struct follower_options values = { 0 };
	struct conf_argv args = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct arena arena;

	arena_init(&arena, CLI_ARENA_BYTES);
	int code = cli_parse(&command, argc, argv, &values, &args, &arena);
	if (code == CLI_GO_ON) {
		const char *verb = args.args[0];
		bool list = strcmp(verb, "list") == 0;
		bool one = strcmp(verb, "allow") == 0 || strcmp(verb, "remove") == 0;
		if ((!list && !one) || args.args_len != (list ? 1 : 2)) {
			(void)fprintf(
			    stderr, "data-node follower: give allow KEY, list or remove KEY\n");
			code = EXIT_USAGE;
		}
	}
	if (code == CLI_GO_ON) {
		enum rc rc = run(cli_dir(values.dir, &arena), &args, &why);
		code = rc == RC_OK ? EXIT_DONE : cli_fail(command.name, rc, &why);
	}
	arena_fini(&arena);
	return code;
}
