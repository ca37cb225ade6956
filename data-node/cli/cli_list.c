/* Commands that ask the node for a list and print it. */
#include "cli/cli_list.h"

#include "base/rc.h"
#include "gateway/target.h"

void cli_list_text(struct buf *target, const char *name, const char *value)
{
	if (value == NULL)
		return;
	buf_printf(target, "&%s=", name);
	target_escape(target, value);
}

void cli_list_time(struct buf *target, const char *name, int64_t ns)
{
	if (ns != CLI_TIME_UNSET)
		buf_printf(target, "&%s=%lld", name, (long long)ns);
}

const char *cli_list_member(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL ? text : "";
}

static bool to_stdout(void *ctx, const char *bytes, size_t len)
{
	(void)ctx;
	return fwrite(bytes, 1, len, stdout) == len;
}

enum rc cli_list_show(struct control_client *client, const struct buf *target, bool raw,
    const char *list, cli_list_print_fn *print, struct errmsg *why)
{
	struct control_client_call call = {
		.method = "GET", .target = buf_text(target), .sink = raw ? to_stdout : NULL
	};
	const json_t *member = NULL;
	size_t i = 0;

	if (buf_rc(target) != RC_OK)
		return errmsg_rc(why, RC_LIMIT, "the question is too long");
	enum rc rc = control_client_send(client, &call, why);
	if (rc == RC_OK)
		rc = control_client_check(&call, why);
	if (rc == RC_OK && !raw) {
		json_t *root = json_loadb(buf_text(&call.answer), call.answer.len, 0, NULL);
		json_array_foreach(json_object_get(root, list), i, member)
		{
			print(member);
		}
		json_decref(root);
	}
	control_client_done(&call);
	return rc;
}

int cli_list_run(const struct conf_command *command, int argc, char **argv, void *values,
    const char *const *dir, unsigned parts, cli_list_ask_fn *ask)
{
	struct control_client *client = NULL;
	struct conf_argv args = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct arena arena;

	arena_init(&arena, CLI_ARENA_BYTES);
	int code = cli_parse(command, argc, argv, values, &args, &arena);
	if (code == CLI_GO_ON) {
		enum rc rc = control_client_open(cli_dir(*dir, &arena), parts, &client, &why);
		if (rc == RC_OK)
			rc = ask(client, values, &args, &why);
		code = rc == RC_OK ? EXIT_DONE : cli_fail(command->name, rc, &why);
	}
	control_client_close(client);
	arena_fini(&arena);
	return code;
}
