/* Arguments and errors of the commands. */
#include "cli/cli_args.h"

#include <string.h>

#include "serve/fleet.h"

int cli_args(const struct conf_command *cmd, int argc, char **argv, void *values,
    struct conf_argv *args, struct arena *arena)
{
	struct errmsg why = ERRMSG_INIT;
	enum rc rc = conf_defaults(cmd, values, arena, &why);

	if (rc == RC_OK)
		rc = conf_parse_argv(cmd, argc, argv, values, args, arena, &why);
	if (rc != RC_OK) {
		(void)fprintf(stderr, "compute-node %s: %s\n`compute-node %s --help` tells more.\n",
		    cmd->name, errmsg_text(&why, rc), cmd->name);
		return EXIT_USAGE;
	}
	if (args->help) {
		conf_print_help(cmd, "compute-node", stdout);
		return EXIT_DONE;
	}
	return CLI_GO_ON;
}

enum rc cli_adapter_space(const char *text, uint64_t *out)
{
	if (strcmp(text, "auto") != 0)
		return conf_bytes(text, out);
	*out = FLEET_ADAPTERS_AUTO;
	return RC_OK;
}

int cli_fail(
    const struct conf_command *cmd, const char *subject, enum rc rc, const struct errmsg *why)
{
	const char *text = errmsg_text(why, rc);

	/* Errors of the file system name the path themselves. */
	if (subject != NULL && strncmp(text, subject, strlen(subject)) == 0)
		subject = NULL;
	(void)fprintf(stderr, "compute-node %s: %s%s%s\n", cmd->name,
	    subject != NULL ? subject : "", subject != NULL ? ": " : "", text);
	if (rc == RC_UNSUPPORTED)
		(void)fprintf(stderr, "`compute-node inspect MODEL` shows what the file holds.\n");
	return rc_exit_code(rc);
}
