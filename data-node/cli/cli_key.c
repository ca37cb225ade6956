/* `data-node key`: what opens the timeline. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/rc.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "gateway/station_key.h"

struct key_options {
	const char *dir, *key_file, *passphrase_file, *recovery_file;
	const char *new_key_file, *new_passphrase_file;
};

#define ROW(row_name, field)                                                                       \
	.name = row_name, .type = CONF_STRING, .offset = offsetof(struct key_options, field),      \
	.value = "FILE"

static const struct conf_option options[] = {
	CLI_OPTION_DIR(struct key_options),
	{ ROW("key-file", key_file),
	    .help = "the key file that opens it now (else as remembered)" },
	{ ROW("passphrase-file", passphrase_file),
	    .help = "the passphrase that opens it now, in this file's first line" },
	{ ROW("recovery-file", recovery_file),
	    .help = "the recovery key, in this file's first line, where the others are lost" },
	{ ROW("new-passphrase-file", new_passphrase_file),
	    .help = "passphrase: the new one, in this file's first line" },
	{ ROW("new-key-file", new_key_file),
	    .help = "file: this key file, made if missing (else a fresh DIR/key)" },
	{ .name = NULL },
};

static const struct conf_command command = {
	.name = "key",
	.args = "show | passphrase | file | recovery | rekey",
	.args_min = 1,
	.args_max = 1,
	.summary = "change what opens the timeline",
	.detail =
	    "show        what opens it, and how many data keys there are\n"
	    "passphrase  from now on the passphrase of --new-passphrase-file opens it,\n"
	    "            instead of the key file or passphrase before\n"
	    "file        from now on a key file opens it: --new-key-file, or a fresh DIR/key\n"
	    "recovery    make a new recovery key and print it once; the old one is void\n"
	    "rekey       wrap every key under a fresh one; copies of the keyring made before\n"
	    "            open nothing that is stored from now on\n"
	    "A FILE may be a pipe or /dev/stdin. The node must not serve meanwhile. With a\n"
	    "lost passphrase or key file, --recovery-file opens it for any of these.",
	.options = options,
};

static const struct {
	const char *word;
	enum station_key_change change;
} changes[] = {
	{ "show", STATION_KEY_SHOW },
	{ "passphrase", STATION_KEY_PASSPHRASE },
	{ "file", STATION_KEY_FILE },
	{ "recovery", STATION_KEY_RECOVERY },
	{ "rekey", STATION_KEY_REKEY },
};

static enum rc show(void *ctx, const char *recovery_key)
{
	(void)ctx;
	return printf("recovery key: %s\n", recovery_key) > 0 && fflush(stdout) == 0 ? RC_OK
										     : RC_IO;
}

/* What is not for this change is a mistake, not noise. */
static bool files_fit(const struct key_options *values, enum station_key_change change)
{
	if (values->new_passphrase_file != NULL && change != STATION_KEY_PASSPHRASE)
		return false;
	if (values->new_key_file != NULL && change != STATION_KEY_FILE)
		return false;
	return change != STATION_KEY_PASSPHRASE || values->new_passphrase_file != NULL;
}

static void print_keys(const struct station_keys *keys)
{
	(void)printf("key files: %zu\npassphrases: %zu\nrecovery keys: %zu\ndata keys: %zu\n",
	    keys->key_files, keys->passphrases, keys->recovery_keys, keys->data_keys);
}

static int run(const struct key_options *values, enum station_key_change what, struct arena *arena)
{
	struct station_key_call call = { .dir = cli_dir(values->dir, arena),
		.unlock = { .key_file = values->key_file,
		    .passphrase_file = values->passphrase_file,
		    .recovery_file = values->recovery_file },
		.change = what,
		.new_file = what == STATION_KEY_PASSPHRASE ? values->new_passphrase_file
							   : values->new_key_file,
		.show = show };
	struct station_keys keys = { 0 };
	struct errmsg why = ERRMSG_INIT;

	enum rc rc = call.dir == NULL ? RC_NOMEM : station_key(&call, &keys, &why);
	if (rc != RC_OK)
		return cli_fail(command.name, rc, &why);
	if (what == STATION_KEY_SHOW)
		print_keys(&keys);
	return EXIT_DONE;
}

int cli_key(int argc, char **argv)
{
	struct key_options values = { 0 };
	struct conf_argv args = { 0 };
	struct arena arena;
	size_t i = 0;

	arena_init(&arena, CLI_ARENA_BYTES);
	int code = cli_parse(&command, argc, argv, &values, &args, &arena);
	if (code != CLI_GO_ON)
		goto out;
	while (
	    i < sizeof(changes) / sizeof(changes[0]) && strcmp(changes[i].word, args.args[0]) != 0)
		i++;
	if (i == sizeof(changes) / sizeof(changes[0]) || !files_fit(&values, changes[i].change)) {
		(void)fprintf(stderr,
		    "usage: data-node key %s\n`data-node key --help` tells more.\n", command.args);
		code = EXIT_USAGE;
		goto out;
	}
	code = run(&values, changes[i].change, &arena);
out:
	arena_fini(&arena);
	return code;
}
