/* `compute-node init`: the directory, the key, an empty allow-list, a sample
 * configuration.  Run again, it changes nothing and prints the key again. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"
#include "cli/cli_args.h"
#include "cli/commands.h"
#include "os/file.h"
#include "serve/home.h"
#include "serve/options.h"
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
	.name = "init",
	.summary = "make this node's key and directory",
	.detail = "Prints the public key, which data nodes pin: `data-node compute add`.",
	.options = table,
};

static const char allow_text[] =
    "# Public keys of the data nodes that may connect, one a line\n"
    "# (`compute-node allow KEY` adds one).  Read again whenever it changes.\n";

/* A file that is there stays as it is. */
static enum rc create(
    const char *path, mode_t mode, const void *bytes, size_t len, struct errmsg *why)
{
	enum rc rc = file_exists(path) ? RC_EXISTS : file_create(path, mode, bytes, len, why);

	return rc == RC_EXISTS ? RC_OK : rc;
}

static enum rc create_sample(const char *path, struct errmsg *why)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (out == NULL)
		return errmsg_errno(why, "cannot write the sample configuration");
	conf_print_sample(&options_serve, "compute-node", out);
	int failed = fclose(out);
	enum rc rc = failed != 0 ? errmsg_rc(why, RC_NOMEM, "no memory for the sample")
				 : create(path, 0644, text, len, why);
	free(text);
	return rc;
}

static enum rc load_or_make(
    const char *path, struct wire_keypair *keys, bool *made, struct errmsg *why)
{
	enum rc rc = wire_keypair_load(path, keys, why);

	*made = rc == RC_NOTFOUND;
	if (!*made)
		return rc;
	errmsg_reset(why);
	rc = wire_keypair_new(keys, why);
	if (rc == RC_OK)
		rc = wire_keypair_save(keys, path, why);
	return rc;
}

static enum rc init(const char *dir, struct arena *arena, struct errmsg *why)
{
	struct wire_keypair keys;
	char text[WIRE_KEY_TEXT_BYTES];
	struct home home;
	bool made = false;

	enum rc rc = home_paths(dir, arena, &home, why);
	if (rc == RC_OK)
		rc = wire_check_curve(why);
	if (rc == RC_OK)
		rc = file_mkdir(home.dir, 0700, why);
	if (rc == RC_OK)
		rc = load_or_make(home.key, &keys, &made, why);
	if (rc != RC_OK)
		return rc;
	wire_key_format(keys.public_key, text);
	wire_keypair_wipe(&keys);
	rc = create(home.allow, 0600, allow_text, sizeof(allow_text) - 1, why);
	if (rc == RC_OK)
		rc = create_sample(home.conf, why);
	if (rc != RC_OK)
		return rc;
	(void)printf("public key: %s\n", text);
	(void)fprintf(stderr, made ? "made %s\n" : "%s was there already\n", home.dir);
	return RC_OK;
}

int cli_init(int argc, char **argv)
{
	struct options options = { .dir = NULL };
	struct conf_argv args = { .args_len = 0 };
	struct errmsg why = ERRMSG_INIT;
	struct arena arena;

	arena_init(&arena, CLI_ARENA_BYTES);
	int code = cli_args(&command, argc, argv, &options, &args, &arena);
	if (code == CLI_GO_ON) {
		enum rc rc = init(options.dir, &arena, &why);

		code = rc == RC_OK ? EXIT_DONE : cli_fail(&command, NULL, rc, &why);
	}
	arena_fini(&arena);
	return code;
}
