/* `data-node verify`: read everything stored, or a backup, and name each fault. */
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/rc.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/job_client.h"
#include "os/process.h"

struct verify_options {
	const char *dir, *backup;
	bool json, quiet;
};

#define ROW(row_name, row_type, field)                                                             \
	.name = row_name, .type = row_type, .offset = offsetof(struct verify_options, field)

static const struct conf_option options[] = {
	CLI_OPTION_DIR(struct verify_options),
	{ ROW("backup", CONF_STRING, backup), .value = "DEST",
	    .help = "check the backup there instead of what is in DIR" },
	{ ROW("json", CONF_BOOL, json), .help = "print JSON" },
	{ ROW("quiet", CONF_BOOL, quiet), .letter = 'q', .help = "no progress bar" },
	{ .name = NULL },
};

static const struct conf_command command = {
	.name = "verify",
	.summary = "check everything stored",
	.detail = "Also on a node that serves. Exit code 4 if anything is damaged.",
	.options = options,
};

static long long number(const json_t *object, const char *name)
{
	return (long long)json_integer_value(json_object_get(object, name));
}

static void print(const json_t *result, bool backup, bool as_json)
{
	char *text = as_json ? cli_json_text(result) : NULL;
	const json_t *message = NULL;
	size_t i = 0;

	if (text != NULL) {
		(void)printf("%s\n", text);
		free(text);
		return;
	}
	json_array_foreach(json_object_get(result, "messages"), i, message)
	{
		(void)printf("fault: ");
		cli_put_text(stdout, json_string_value(message), 200);
		(void)printf("\n");
	}
	if (backup)
		(void)printf("%lld records, %lld files: %lld faults\n", number(result, "records"),
		    number(result, "files"), number(result, "faults"));
	else
		(void)printf("%lld records, %lld time entries, %lld ids: %lld faults\n",
		    number(result, "records"), number(result, "time_entries"),
		    number(result, "dedup_entries"), number(result, "faults"));
}

/* RC_CORRUPT if there was any fault. */
static enum rc verify(
    struct control_client *client, const struct verify_options *o, struct errmsg *why)
{
	struct bar bar = bar_begin("verify", o->quiet);
	char path[PATH_MAX];
	json_t *result = NULL;

	if (o->backup != NULL && realpath(o->backup, path) == NULL)
		return errmsg_errno(why, "cannot look at %s", o->backup);
	json_t *body = o->backup == NULL ? json_object() : json_pack("{s:s}", "backup", path);
	enum rc rc = job_client_run(client, "/control/verify", body, &bar, &result, why);
	if (rc != RC_OK)
		return rc;
	print(result, o->backup != NULL, o->json);
	if (number(result, "faults") > 0)
		rc = errmsg_rc(why, RC_CORRUPT, "%lld faults", number(result, "faults"));
	json_decref(result);
	return rc;
}

int cli_verify(int argc, char **argv)
{
	struct verify_options values = { 0 };
	struct control_client *client = NULL;
	struct conf_argv args = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct arena arena;

	arena_init(&arena, CLI_ARENA_BYTES);
	int code = cli_parse(&command, argc, argv, &values, &args, &arena);
	if (code == CLI_GO_ON) {
		enum rc rc = process_catch_signals(&why);
		if (rc == RC_OK)
			rc = control_client_open(cli_dir(values.dir, &arena), 0, &client, &why);
		if (rc == RC_OK)
			rc = verify(client, &values, &why);
		code = rc == RC_OK ? EXIT_DONE : cli_fail(command.name, rc, &why);
	}
	control_client_close(client);
	arena_fini(&arena);
	return code;
}
