/* `data-node restore`: a data node's directory from a backup. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#include "base/rc.h"
#include "cli/bar.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "gateway/station_copy.h"
#include "os/process.h"

struct restore_options {
	const char *dir, *key_file, *passphrase_file;
	bool quiet;
};

#define ROW(row_name, row_type, field)                                                             \
	.name = row_name, .type = row_type, .offset = offsetof(struct restore_options, field)

static const struct conf_option options[] = {
	CLI_OPTION_DIR(struct restore_options),
	{ ROW("key-file", CONF_STRING, key_file), .value = "FILE",
	    .help = "the key of the timeline (else DIR/key, put there before)" },
	{ ROW("passphrase-file", CONF_STRING, passphrase_file), .value = "FILE",
	    .help = "the passphrase is this file's first line" },
	{ ROW("quiet", CONF_BOOL, quiet), .letter = 'q', .help = "no progress bar" },
	{ .name = NULL },
};

static const struct conf_command command = {
	.name = "restore",
	.args = "SRC",
	.args_min = 1,
	.args_max = 1,
	.summary = "make a data node's directory from a backup",
	.detail = "DIR is missing or empty (a key in it is taken). SRC is checked from end to end\n"
		  "before anything is made of it, and what was made is read from end to end\n"
		  "before it counts. Broken off anywhere, it is run again.",
	.options = options,
};

static bool draw(void *ctx, uint64_t done, uint64_t total)
{
	bar_draw(ctx, done, total);
	return !process_stopping();
}

int cli_restore(int argc, char **argv)
{
	struct restore_options values = { 0 };
	struct station_config config = { 0 };
	struct backup_checked out = { 0 };
	struct conf_argv args = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct arena arena;

	arena_init(&arena, CLI_ARENA_BYTES);
	int code = cli_parse(&command, argc, argv, &values, &args, &arena);
	if (code == CLI_GO_ON) {
		struct bar bar = bar_begin("restore", values.quiet);
		config.dir = cli_dir(values.dir, &arena);
		config.key_file = values.key_file;
		config.passphrase_file = values.passphrase_file;
		enum rc rc = config.dir == NULL ? RC_NOMEM : process_catch_signals(&why);
		if (rc == RC_OK)
			rc = station_restore(&config, args.args[0], draw, &bar, &out, &why);
		bar_end(&bar);
		code = rc == RC_OK ? EXIT_DONE : cli_fail(command.name, rc, &why);
		if (rc == RC_DENIED && values.key_file == NULL && values.passphrase_file == NULL)
			(void)fprintf(stderr,
			    "Give the key that no backup holds: --key-file or --passphrase-file, "
			    "or put it at %s/key.\n",
			    config.dir);
		if (rc == RC_OK)
			(void)printf("%" PRIu64 " records restored and verified in %s\n",
			    out.records, config.dir);
	}
	arena_fini(&arena);
	return code;
}
