/* `data-node follow`: make a directory that follows another node, or take over. */
#include <stddef.h>
#include <stdio.h>

#include "base/rc.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "gateway/station_follow.h"
#include "os/process.h"

struct follow_options {
	const char *dir, *key_file, *passphrase_file;
	int64_t wait_ns;
	bool take_over;
};

#define ROW(row_name, row_type, field)                                                             \
	.name = row_name, .type = row_type, .offset = offsetof(struct follow_options, field)

static const struct conf_option options[] = {
	CLI_OPTION_DIR(struct follow_options),
	{ ROW("key-file", CONF_STRING, key_file), .value = "FILE",
	    .help = "the other node's key, carried over (else DIR/key, put there before)" },
	{ ROW("passphrase-file", CONF_STRING, passphrase_file), .value = "FILE",
	    .help = "the other node's passphrase is this file's first line" },
	{ ROW("wait", CONF_DURATION, wait_ns), .value = "TIME", .fallback = "600s",
	    .help = "how long to wait until the other node lets this one in" },
	{ ROW("take-over", CONF_BOOL, take_over),
	    .help = "stop following: from now on events are sent here" },
	{ .name = NULL },
};

static const struct conf_command command = {
	.name = "follow",
	.args = "tcp://HOST:PORT KEY",
	.args_min = 0,
	.args_max = 2,
	.summary = "hold what another data node holds, ready to take over",
	.detail = "KEY is the other node's public key (`data-node status` there); it serves with\n"
		  "--follow-listen. DIR is missing or empty. Only encrypted data is sent: bring\n"
		  "the key file or the passphrase here yourself. Afterwards `data-node serve`\n"
		  "follows, and answers questions, but takes no events.\n"
		  "`data-node follow --take-over` makes it the first node; do so only when the\n"
		  "other one is gone, and let it follow this one if it comes back.",
	.options = options,
};

static void tell_key(void *ctx, const char *public_key)
{
	(void)ctx;
	(void)printf("public key: %s\n", public_key);
	(void)fflush(stdout);
	(void)fprintf(stderr,
	    "On the other node, once: data-node follower allow %s\nwaiting for it ...\n",
	    public_key);
}

static enum rc begin(const struct follow_options *values, const struct conf_argv *args,
    struct arena *arena, struct errmsg *why)
{
	struct station_config config = { .dir = cli_dir(values->dir, arena),
		.key_file = values->key_file,
		.passphrase_file = values->passphrase_file };

	if (config.dir == NULL)
		return RC_NOMEM;
	enum rc rc = station_follow_begin(
	    &config, args->args[0], args->args[1], values->wait_ns, tell_key, NULL, why);
	if (rc == RC_OK)
		(void)printf("%s follows %s: run `data-node serve --dir %s` there\n", config.dir,
		    args->args[0], config.dir);
	if (rc == RC_DENIED && values->key_file == NULL && values->passphrase_file == NULL)
		(void)fprintf(stderr,
		    "Bring the other node's key here: --key-file or --passphrase-file, or put it "
		    "at %s/key, and run this again.\nIf it is lost, make a new one there: "
		    "`data-node key file --recovery-file FILE`.\n",
		    config.dir);
	return rc;
}

static enum rc take_over(
    const struct follow_options *values, struct arena *arena, struct errmsg *why)
{
	struct control_client_call call = {
		.method = "POST", .target = "/control/take-over", .body = "{}", .body_len = 2
	};
	struct control_client *client = NULL;

	enum rc rc = control_client_open(cli_dir(values->dir, arena), 0, &client, why);
	if (rc == RC_OK)
		rc = control_client_send(client, &call, why);
	if (rc == RC_OK)
		rc = control_client_check(&call, why);
	if (rc == RC_OK)
		(void)printf("this node has taken over: send events here\n");
	control_client_done(&call);
	control_client_close(client);
	return rc;
}

int cli_follow(int argc, char **argv)
{
	struct follow_options values = { 0 };
	struct conf_argv args = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct arena arena;

	arena_init(&arena, CLI_ARENA_BYTES);
	int code = cli_parse(&command, argc, argv, &values, &args, &arena);
	if (code == CLI_GO_ON && args.args_len != (values.take_over ? 0 : 2)) {
		(void)fprintf(
		    stderr, "data-node follow: give tcp://HOST:PORT KEY, or --take-over\n");
		code = EXIT_USAGE;
	}
	if (code == CLI_GO_ON) {
		enum rc rc = values.take_over ? take_over(&values, &arena, &why)
					      : begin(&values, &args, &arena, &why);
		code = rc == RC_OK ? EXIT_DONE : cli_fail(command.name, rc, &why);
	}
	arena_fini(&arena);
	return code;
}
