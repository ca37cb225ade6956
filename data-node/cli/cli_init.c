/* `data-node init`: make the directory, the keys and the owner's token. */
#include <stddef.h>

#include "base/rc.h"
#include "base/wipe.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "gateway/station.h"

struct init_options {
	const char *dir, *key_file, *passphrase_file;
};

static const struct conf_option options[] = {
	CLI_OPTION_DIR(struct init_options),
	{ .name = "key-file",
	    .type = CONF_STRING,
	    .offset = offsetof(struct init_options, key_file),
	    .value = "FILE",
	    .flag_only = true,
	    .help = "the key that unlocks the timeline; made if missing (else DIR/key)" },
	{ .name = "passphrase-file",
	    .type = CONF_STRING,
	    .offset = offsetof(struct init_options, passphrase_file),
	    .value = "FILE",
	    .flag_only = true,
	    .help = "unlock with the passphrase in this file's first line instead" },
	{ .name = NULL },
};

static const struct conf_command command = {
	.name = "init",
	.summary = "make a data node's directory",
	.detail = "Prints the owner's token, the node's public key and the recovery key. The\n"
		  "token is shown this once: it is stored as a hash. Give the public key to\n"
		  "`compute-node allow` on each compute node. Write the recovery key on paper:\n"
		  "it opens the timeline when the key file or passphrase is lost, see\n"
		  "`data-node key --help`.",
	.options = options,
};

int cli_init(int argc, char **argv)
{
	struct init_options values = { 0 };
	struct station_created created = { { 0 }, { 0 }, { 0 } };
	struct station_config config = { 0 };
	struct conf_argv args = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct arena arena;

	arena_init(&arena, CLI_ARENA_BYTES);
	int code = cli_parse(&command, argc, argv, &values, &args, &arena);
	if (code != CLI_GO_ON)
		goto out;
	config.dir = cli_dir(values.dir, &arena);
	config.key_file = values.key_file;
	config.passphrase_file = values.passphrase_file;
	enum rc rc = config.dir == NULL ? RC_NOMEM : station_create(&config, &created, &why);
	if (rc != RC_OK) {
		code = cli_fail(command.name, rc, &why);
		goto out;
	}
	(void)printf("owner token: %s\npublic key: %s\nrecovery key: %s\n", created.owner_token,
	    created.public_key, created.recovery_key);
	code = fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
out:
	wipe(&created, sizeof(created));
	arena_fini(&arena);
	return code;
}
