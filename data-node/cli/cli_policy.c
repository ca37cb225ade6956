/* `data-node policy`: the rules that slices are made by, as a file. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "align/policy_file.h"
#include "base/hex.h"
#include "base/rc.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "os/file.h"

struct policy_options {
	const char *dir, *check;
	bool built_in;
};

#define ROW(option, kind, field)                                                                   \
	.name = option, .type = kind, .offset = offsetof(struct policy_options, field)

static const struct conf_option options[] = {
	CLI_OPTION_DIR(struct policy_options),
	{ ROW("default", CONF_BOOL, built_in), .help = "print the built-in policy" },
	{ ROW("check", CONF_STRING, check), .value = "FILE",
	    .help = "read FILE instead, and say what is wrong with it" },
	{ .name = NULL },
};

static const struct conf_command command = {
	.name = "policy",
	.summary = "show the rules that slices are made by",
	.detail = "Prints the policy in force as JSON, its hash on standard error. To change it, "
		  "write the text to policy.json in the directory, edit it, give it another "
		  "version and start the node again: what was built is then built anew.",
	.options = options,
};

static enum rc read_file(const char *path, struct policy *out, struct errmsg *why)
{
	uint8_t *bytes = NULL;
	size_t len = 0;

	enum rc rc = file_read(path, POLICY_FILE_BYTES_MAX, &bytes, &len, why);
	if (rc == RC_OK)
		rc = policy_parse((const char *)bytes, len, out, why);
	free(bytes);
	return rc;
}

static enum rc show(const struct policy *policy)
{
	uint8_t hash[POLICY_HASH_BYTES];
	char text[2 * POLICY_HASH_BYTES + 1];
	struct buf out;

	buf_init(&out, POLICY_FILE_BYTES_MAX);
	policy_print(policy, &out);
	policy_hash(policy, hash);
	hex_encode(hash, sizeof hash, text);
	enum rc rc = buf_rc(&out);
	if (rc == RC_OK) {
		(void)fputs(buf_text(&out), stdout);
		(void)fprintf(
		    stderr, "policy %llu, hash %s\n", (unsigned long long)policy->version, text);
	}
	buf_fini(&out);
	return rc;
}

int cli_policy(int argc, char **argv)
{
	struct policy_options values = { 0 };
	struct conf_argv args = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct policy policy;
	struct arena arena;

	arena_init(&arena, CLI_ARENA_BYTES);
	int code = cli_parse(&command, argc, argv, &values, &args, &arena);
	if (code == CLI_GO_ON) {
		enum rc rc = RC_OK;
		policy = *policy_default();
		if (values.check != NULL)
			rc = read_file(values.check, &policy, &why);
		else if (!values.built_in)
			rc = policy_load(cli_dir(values.dir, &arena), &policy, &why);
		if (rc == RC_OK)
			rc = show(&policy);
		code = rc == RC_OK ? EXIT_DONE : cli_fail(command.name, rc, &why);
	}
	arena_fini(&arena);
	return code;
}
