/* `data-node compute`: which compute nodes this node may ask. */
#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/rc.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "gateway/target.h"

struct compute_options {
	const char *dir;
	bool json;
};

static const struct conf_option options[] = {
	CLI_OPTION_DIR(struct compute_options),
	{ .name = "json",
	    .type = CONF_BOOL,
	    .offset = offsetof(struct compute_options, json),
	    .help = "list as JSON" },
	{ .name = NULL },
};

static const struct conf_command command = {
	.name = "compute",
	.args = "add NAME tcp://HOST:PORT PUBKEY | list | remove NAME | drain NAME | undrain NAME",
	.args_min = 1,
	.args_max = 4,
	.summary = "register the compute nodes it may ask",
	.detail =
	    "PUBKEY is what `compute-node init` printed. The compute node must know\n"
	    "this node's key too: `compute-node allow`. Nothing new goes to one that drains,\n"
	    "until `undrain`; what runs there ends there.",
	.options = options,
};

static enum rc add(struct control_client *client, const struct conf_argv *args, struct errmsg *why)
{
	struct control_client_call call = { .method = "POST", .target = "/control/compute" };

	json_t *body = json_pack("{s:s, s:s, s:s}", "name", args->args[1], "address", args->args[2],
	    "public_key", args->args[3]);
	char *text = body != NULL ? cli_json_text(body) : NULL;
	json_decref(body);
	if (text == NULL)
		return errmsg_rc(why, RC_INVALID, "an argument is not UTF-8");
	call.body = text;
	call.body_len = strlen(text);
	enum rc rc = control_client_send(client, &call, why);
	if (rc == RC_OK)
		rc = control_client_check(&call, why);
	control_client_done(&call);
	free(text);
	return rc;
}

/* `method` on `target` of the node `name`. */
static void print_node(const json_t *node)
{
	const char *name = json_string_value(json_object_get(node, "name"));
	const char *address = json_string_value(json_object_get(node, "address"));
	const char *state = json_string_value(json_object_get(node, "state"));
	const char *drain = json_string_value(json_object_get(node, "drain"));
	const char *key = json_string_value(json_object_get(node, "public_key"));
	char both[64];

	(void)snprintf(both, sizeof(both), "%s%s%s", state != NULL ? state : "",
	    drain != NULL ? ", " : "", drain != NULL ? drain : "");
	(void)printf("%-16s %-28s %-20s %s\n", name != NULL ? name : "",
	    address != NULL ? address : "", both, key != NULL ? key : "");
}

static enum rc list(struct control_client *client, bool as_json, struct errmsg *why)
{
	struct control_client_call call = { .method = "GET", .target = "/control/compute" };
	const json_t *node = NULL;
	size_t i = 0;

	enum rc rc = control_client_send(client, &call, why);
	if (rc == RC_OK)
		rc = control_client_check(&call, why);
	if (rc == RC_OK && as_json) {
		(void)fputs(buf_text(&call.answer), stdout);
	} else if (rc == RC_OK) {
		json_t *root = json_loadb(buf_text(&call.answer), call.answer.len, 0, NULL);
		(void)printf("%-16s %-28s %-20s %s\n", "NAME", "ADDRESS", "STATE", "PUBLIC KEY");
		json_array_foreach(json_object_get(root, "compute"), i, node)
		{
			print_node(node);
		}
		json_decref(root);
	}
	control_client_done(&call);
	return rc;
}

enum action { ADD, LIST, REMOVE, DRAIN, UNDRAIN, ACTIONS };

/* ACTIONS: none of them. */
static enum action action_of(const struct conf_argv *args)
{
	static const struct {
		const char *word;
		size_t args_len;
	} actions[ACTIONS] = { { "add", 4 }, { "list", 1 }, { "remove", 2 }, { "drain", 2 },
		{ "undrain", 2 } };
	size_t i = 0;

	while (i < ACTIONS && (strcmp(args->args[0], actions[i].word) != 0 ||
				  args->args_len != actions[i].args_len))
		i++;
	return (enum action)i;
}

static enum rc run(struct control_client *client, enum action action, const struct conf_argv *args,
    bool as_json, struct errmsg *why)
{
	switch (action) {
	case ADD:
		return add(client, args, why);
	case REMOVE:
		return control_client_act(
		    client, "DELETE", "/control/compute?name=", args->args[1], why);
	case DRAIN:
		return control_client_act(
		    client, "POST", "/control/compute/drain?name=", args->args[1], why);
	case UNDRAIN:
		return control_client_act(
		    client, "DELETE", "/control/compute/drain?name=", args->args[1], why);
	default:
		return list(client, as_json, why);
	}
}

int cli_compute(int argc, char **argv)
{
	struct compute_options values = { 0 };
	struct control_client *client = NULL;
	struct conf_argv args = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct arena arena;

	arena_init(&arena, CLI_ARENA_BYTES);
	int code = cli_parse(&command, argc, argv, &values, &args, &arena);
	if (code != CLI_GO_ON)
		goto out;
	enum action action = action_of(&args);
	if (action == ACTIONS) {
		(void)fprintf(stderr, "usage: data-node compute %s\n", command.args);
		code = EXIT_USAGE;
		goto out;
	}
	enum rc rc = control_client_open(cli_dir(values.dir, &arena), 0, &client, &why);
	if (rc == RC_OK)
		rc = run(client, action, &args, values.json, &why);
	code = rc == RC_OK ? EXIT_DONE : cli_fail(command.name, rc, &why);
out:
	control_client_close(client);
	arena_fini(&arena);
	return code;
}
