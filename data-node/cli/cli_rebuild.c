/* `data-node rebuild`: drop every derived database and remake it from the log. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#include "base/rc.h"
#include "cli/bar_work.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "gateway/station.h"
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

struct rebuild {
	struct station_config config;
	struct store_rebuilt out;
};

static enum rc rebuild(
    void *ctx, store_progress_fn *progress, void *progress_ctx, struct errmsg *why)
{
	struct rebuild *r = ctx;

	return r->config.dir == NULL
		   ? RC_NOMEM
		   : station_rebuild(&r->config, progress, progress_ctx, &r->out, why);
}

int cli_rebuild(int argc, char **argv)
{
	struct rebuild_options values = { 0 };
	struct conf_argv args = { 0 };
	struct rebuild r = { 0 };
	struct arena arena;

	arena_init(&arena, CLI_ARENA_BYTES);
	int code = cli_parse(&command, argc, argv, &values, &args, &arena);
	if (code == CLI_GO_ON) {
		r.config.dir = cli_dir(values.dir, &arena);
		r.config.key_file = values.key_file;
		r.config.passphrase_file = values.passphrase_file;
		code = bar_work(command.name, values.quiet, rebuild, &r);
		if (code == EXIT_DONE)
			(void)printf("%" PRIu64 " records read, %" PRIu64 " entries made, %" PRIu64
				     " records unreadable\n",
			    r.out.records, r.out.entries, r.out.unreadable);
		if (code == EXIT_DONE && r.out.unreadable > 0)
			code = EXIT_INTEGRITY;
	}
	arena_fini(&arena);
	return code;
}
