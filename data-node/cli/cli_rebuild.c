/* `data-node rebuild`: drop every derived database and remake it from the log. */
#include <inttypes.h>
#include <stddef.h>

#include "base/rc.h"
#include "cli/bar.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "gateway/station.h"
#include "os/process.h"
#include "store/store_rebuild.h"

struct rebuild_options {
	const char *dir, *key_file, *passphrase_file;
	bool quiet;
};

#define ROW(row_name, row_type, field)                                                             \
	.name = row_name, .type = row_type, .offset = offsetof(struct rebuild_options, field)

static const struct conf_option options[] = {
	CLI_OPTION_DIR(struct rebuild_options),
	{ ROW("key-file", CONF_STRING, key_file), .value = "FILE",
	    .help = "the key that unlocks the timeline (else the one of init)" },
	{ ROW("passphrase-file", CONF_STRING, passphrase_file), .value = "FILE",
	    .help = "unlock with the passphrase in this file's first line" },
	{ ROW("quiet", CONF_BOOL, quiet), .letter = 'q', .help = "no progress bar" },
	{ .name = NULL },
};

static const struct conf_command command = {
	.name = "rebuild",
	.summary = "remake every index from the log",
	.detail = "While nothing serves the directory. Broken off anywhere, it is finished by\n"
		  "running it again or when the node next starts.",
	.options = options,
};

static bool draw(void *ctx, uint64_t done, uint64_t total)
{
	bar_draw(ctx, done, total);
	return !process_stopping();
}

int cli_rebuild(int argc, char **argv)
{
	struct rebuild_options values = { 0 };
	struct station_config config = { 0 };
	struct store_rebuilt out = { 0 };
	struct conf_argv args = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct arena arena;

	arena_init(&arena, CLI_ARENA_BYTES);
	int code = cli_parse(&command, argc, argv, &values, &args, &arena);
	if (code == CLI_GO_ON) {
		struct bar bar = bar_begin("rebuild", values.quiet);
		config.dir = cli_dir(values.dir, &arena);
		config.key_file = values.key_file;
		config.passphrase_file = values.passphrase_file;
		enum rc rc = config.dir == NULL ? RC_NOMEM : process_catch_signals(&why);
		if (rc == RC_OK)
			rc = station_rebuild(&config, draw, &bar, &out, &why);
		bar_end(&bar);
		code = rc == RC_OK ? EXIT_DONE : cli_fail(command.name, rc, &why);
	}
	if (code == EXIT_DONE && !args.help)
		(void)printf("%" PRIu64 " records read, %" PRIu64 " entries made, %" PRIu64
			     " records unreadable\n",
		    out.records, out.entries, out.unreadable);
	if (code == EXIT_DONE && out.unreadable > 0)
		code = EXIT_INTEGRITY;
	arena_fini(&arena);
	return code;
}
