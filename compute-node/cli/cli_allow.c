/* `compute-node allow PUBKEY`: let a data node in; a serving node notices. */
#include <stddef.h>
#include <stdio.h>

#include "cli/cli_args.h"
#include "cli/commands.h"
#include "os/file.h"
#include "serve/home.h"
#include "wire/key.h"

struct options {
	const char *dir;
};

static const struct conf_option table[] = {
	{ .name = "dir",
	    .type = CONF_STRING,
	    .offset = offsetof(struct options, dir),
	    .value = "DIR",
	    .help = "Directory of key, allow-list and configuration "
		    "(~/.config/hearth-compute)." },
	{ .name = NULL },
};
static const struct conf_command command = {
	.name = "allow",
	.args = "PUBKEY",
	.args_min = 1,
	.args_max = 1,
	.summary = "let a data node in",
	.detail = "PUBKEY is the 64 hex digits that `data-node init` printed.",
	.options = table,
};

static int allow(const char *dir, const char *text, struct arena *arena)
{
	struct errmsg why = ERRMSG_INIT;
	uint8_t key[WIRE_KEY_BYTES];
	struct home home;

	enum rc rc = wire_key_parse(text, key, &why);
	if (rc != RC_OK)
		return cli_fail(&command, "PUBKEY", rc, &why);
	rc = home_paths(dir, arena, &home, &why);
	if (rc == RC_OK && !file_exists(home.key))
		rc = errmsg_rc(&why, RC_CONFIG, "no key in %s: run compute-node init", home.dir);
	if (rc == RC_OK)
		rc = wire_allow_add(home.allow, key, &why);
	if (rc != RC_OK && rc != RC_EXISTS)
		return cli_fail(&command, NULL, rc, &why);
	(void)printf(rc == RC_EXISTS ? "already allowed: %s\n" : "allowed: %s\n", text);
	return EXIT_DONE;
}

int cli_allow(int argc, char **argv)
{
	struct options options = { .dir = NULL };
	struct conf_argv args = { .args_len = 0 };
	struct arena arena;

	arena_init(&arena, CLI_ARENA_BYTES);
	int code = cli_args(&command, argc, argv, &options, &args, &arena);
	if (code == CLI_GO_ON)
		code = allow(options.dir, args.args[0], &arena);
	arena_fini(&arena);
	return code;
}
