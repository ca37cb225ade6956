/* `data-node restore`: a data node's directory from a backup. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#include "base/rc.h"
#include "cli/bar_work.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "gateway/station_copy.h"

struct restore_options {
	const char *dir, *key_file, *passphrase_file, *recovery_file;
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
	{ ROW("recovery-file", CONF_STRING, recovery_file), .value = "FILE",
	    .help = "key file or passphrase are lost: the recovery key is this file's first "
		    "line; a new key is made" },
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
		  "before it counts. Broken off anywhere, it is run again. With the recovery key\n"
		  "from paper a new key file is made in DIR, and what opened it before is void;\n"
		  "`data-node key passphrase` puts a passphrase in its place. FILE may be a pipe\n"
		  "or /dev/stdin.",
	.options = options,
};

struct restore {
	struct station_config config;
	const char *src;
	struct backup_checked out;
	enum rc rc;
};

static enum rc restore(
    void *ctx, store_progress_fn *progress, void *progress_ctx, struct errmsg *why)
{
	struct restore *r = ctx;

	r->rc = r->config.dir == NULL
		    ? RC_NOMEM
		    : station_restore(&r->config, r->src, progress, progress_ctx, &r->out, why);
	return r->rc;
}

static int keys_named(const struct restore_options *values)
{
	return (values->key_file != NULL) + (values->passphrase_file != NULL) +
	       (values->recovery_file != NULL);
}

static int run(const struct restore_options *values, const char *src, struct arena *arena)
{
	struct restore r = { .config = { .dir = cli_dir(values->dir, arena),
				 .key_file = values->key_file,
				 .passphrase_file = values->passphrase_file,
				 .recovery_file = values->recovery_file },
		.src = src };

	int code = bar_work(command.name, values->quiet, restore, &r);
	if (r.rc == RC_DENIED && keys_named(values) == 0)
		(void)fprintf(stderr,
		    "Give the key that no backup holds: --key-file or --passphrase-file, or put it "
		    "at %s/key.\nIf it is lost: --recovery-file, with the recovery key that `init` "
		    "printed.\n",
		    r.config.dir);
	if (code != EXIT_DONE)
		return code;
	(void)printf(
	    "%" PRIu64 " records restored and verified in %s\n", r.out.records, r.config.dir);
	if (values->recovery_file != NULL)
		(void)printf("A new key file opens it: %s/key. Keep a copy of it in another place; "
			     "the recovery key stays valid.\n",
		    r.config.dir);
	return code;
}

int cli_restore(int argc, char **argv)
{
	struct restore_options values = { 0 };
	struct conf_argv args = { 0 };
	struct arena arena;

	arena_init(&arena, CLI_ARENA_BYTES);
	int code = cli_parse(&command, argc, argv, &values, &args, &arena);
	if (code == CLI_GO_ON && keys_named(&values) > 1) {
		(void)fprintf(stderr, "data-node restore: give one of --key-file, "
				      "--passphrase-file and --recovery-file\n");
		code = EXIT_USAGE;
	}
	if (code == CLI_GO_ON)
		code = run(&values, args.args[0], &arena);
	arena_fini(&arena);
	return code;
}
