/* `data-node backup`: bring the copy at DEST up to date. */
#include <inttypes.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rc.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/job_client.h"
#include "gateway/target.h"
#include "os/process.h"

struct backup_options {
	const char *dir;
	bool verify, remove, json, quiet;
};

#define ROW(row_name, row_type, field)                                                             \
	.name = row_name, .type = row_type, .offset = offsetof(struct backup_options, field)

static const struct conf_option options[] = {
	CLI_OPTION_DIR(struct backup_options),
	{ ROW("verify", CONF_BOOL, verify), .help = "read all of it back afterwards" },
	{ ROW("remove", CONF_BOOL, remove),
	    .help = "forget about DEST: nothing in it is touched, and forgetting events "
		    "does not reach it any more" },
	{ ROW("json", CONF_BOOL, json), .help = "print JSON" },
	{ ROW("quiet", CONF_BOOL, quiet), .letter = 'q', .help = "no progress bar" },
	{ .name = NULL },
};

static const struct conf_command command = {
	.name = "backup",
	.args = "DEST",
	.args_min = 1,
	.args_max = 1,
	.summary = "copy what is new to a directory elsewhere",
	.detail = "Also while the node serves. The first run copies everything, later ones what\n"
		  "came after. All of it is encrypted, and the key is not in it: keep the key\n"
		  "file, the passphrase or the recovery key in another place, without it nothing\n"
		  "can be restored.",
	.options = options,
};

/* The node has another working directory. */
static const char *whole_path(const char *path, struct arena *arena)
{
	char cwd[PATH_MAX];

	if (path[0] == '/')
		return arena_strdup(arena, path);
	return getcwd(cwd, sizeof(cwd)) == NULL ? NULL : arena_printf(arena, "%s/%s", cwd, path);
}

static long long number(const json_t *object, const char *name)
{
	return (long long)json_integer_value(json_object_get(object, name));
}

static enum rc verify(
    struct control_client *client, const char *dest, bool quiet, bool json, struct errmsg *why)
{
	struct bar bar = bar_begin("verify", quiet);
	const json_t *message = NULL;
	json_t *result = NULL;
	size_t i = 0;

	enum rc rc = job_client_run(
	    client, "/control/verify", json_pack("{s:s}", "backup", dest), &bar, &result, why);
	json_array_foreach(json_object_get(result, "messages"), i, message)
	{
		(void)fprintf(stderr, "fault: ");
		cli_put_text(stderr, json_string_value(message), 200);
		(void)fprintf(stderr, "\n");
	}
	if (rc == RC_OK && number(result, "faults") > 0)
		rc = errmsg_rc(why, RC_CORRUPT, "%lld faults", number(result, "faults"));
	if (rc == RC_OK && !json)
		(void)printf("verified: %lld records in %lld files\n", number(result, "records"),
		    number(result, "files"));
	json_decref(result);
	return rc;
}

static void print(const json_t *result, bool json)
{
	char *text = json ? cli_json_text(result) : NULL;

	if (text != NULL)
		(void)printf("%s\n", text);
	else
		(void)printf(
		    "%s: %lld records, %lld bytes written; it holds all up to record %lld, "
		    "%lld bytes in %lld files\nThe key is not in it: keep it elsewhere.\n",
		    json_is_true(json_object_get(result, "base")) ? "first copy" : "added",
		    number(result, "records"), number(result, "bytes_written"),
		    number(result, "cursor"), number(result, "bytes"), number(result, "files"));
	free(text);
}

static enum rc backup(struct control_client *client, const struct backup_options *o,
    const char *dest, struct errmsg *why)
{
	struct bar bar = bar_begin("backup", o->quiet);
	json_t *result = NULL;

	enum rc rc = job_client_run(
	    client, "/control/backup", json_pack("{s:s}", "dest", dest), &bar, &result, why);
	if (rc == RC_OK)
		print(result, o->json);
	json_decref(result);
	return rc == RC_OK && o->verify ? verify(client, dest, o->quiet, o->json, why) : rc;
}

int cli_backup(int argc, char **argv)
{
	struct backup_options values = { 0 };
	struct control_client *client = NULL;
	struct conf_argv args = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct arena arena;

	arena_init(&arena, CLI_ARENA_BYTES);
	int code = cli_parse(&command, argc, argv, &values, &args, &arena);
	if (code == CLI_GO_ON) {
		const char *dest = whole_path(args.args[0], &arena);
		enum rc rc = dest == NULL ? RC_NOMEM : process_catch_signals(&why);
		if (rc == RC_OK)
			rc = control_client_open(cli_dir(values.dir, &arena), 0, &client, &why);
		if (rc == RC_OK)
			rc = values.remove ? control_client_act(client, "DELETE",
						 "/control/backup?dest=", dest, &why)
					   : backup(client, &values, dest, &why);
		code = rc == RC_OK ? EXIT_DONE : cli_fail(command.name, rc, &why);
	}
	control_client_close(client);
	arena_fini(&arena);
	return code;
}
