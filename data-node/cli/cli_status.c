/* `data-node status`: how the node is doing. */
#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/rc.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/control_client.h"

struct status_options {
	const char *dir;
	bool json;
};

static const struct conf_option options[] = {
	CLI_OPTION_DIR(struct status_options),
	{ .name = "json",
	    .type = CONF_BOOL,
	    .offset = offsetof(struct status_options, json),
	    .help = "print the JSON of GET /api/v1/status" },
	{ .name = NULL },
};

static const struct conf_command command = {
	.name = "status",
	.summary = "show how the node is doing",
	.options = options,
};

static long long number(const json_t *object, const char *name)
{
	return (long long)json_integer_value(json_object_get(object, name));
}

static const char *text(const json_t *object, const char *name)
{
	const char *value = json_string_value(json_object_get(object, name));

	return value != NULL ? value : "";
}

static void print_clocks(const json_t *clocks)
{
	const json_t *clock = NULL;
	size_t i = 0;

	json_array_foreach(clocks, i, clock)
	{
		const json_t *error_s = json_object_get(clock, "error_s");
		(void)printf("clock     ");
		cli_put_text(stdout, text(clock, "name"), 40);
		(void)printf("  boot ");
		cli_put_text(stdout, text(clock, "boot"), 20);
		(void)printf("  epoch %lld", number(clock, "epoch"));
		if (json_is_null(error_s))
			(void)printf("  never synced");
		else
			(void)printf("  error %.6f s by %s, last sync ", json_number_value(error_s),
			    text(clock, "synced"));
		if (!json_is_null(error_s))
			cli_put_time(stdout, text(clock, "last_sync"));
		(void)printf("  limbo %lld\n", number(clock, "limbo"));
	}
}

static void print_model(const json_t *model)
{
	const json_t *speed = json_object_get(model, "tokens_per_second");

	(void)printf("          model ");
	cli_put_text(stdout, text(model, "name"), 60);
	(void)printf("  context %lld", number(model, "context"));
	if (speed != NULL)
		(void)printf("  %.1f tokens/s an answer", json_number_value(speed));
	(void)printf("\n");
}

/* What a node has to do, and how it is; nothing of one that was never up. */
static void print_load(const json_t *node)
{
	const json_t *stats = json_object_get(node, "stats");

	if (strcmp(text(node, "state"), "up") == 0)
		(void)printf("          %lld of %lld answers, %lld waiting, %.1f tokens/s\n",
		    number(node, "active"), number(node, "slots"), number(node, "queued"),
		    json_number_value(json_object_get(node, "tokens_per_second")));
	if (!json_is_object(stats))
		return;
	(void)printf("          %lld restarts (%lld for memory, %lld silent), cache %lld of %lld"
		     " tokens, %lld leases",
	    number(stats, "restarts"), number(stats, "memory_kills"),
	    number(stats, "watchdog_kills"), number(stats, "kv_tokens_used"),
	    number(stats, "kv_tokens"), number(stats, "leases"));
	if (strcmp(text(node, "state"), "up") != 0)
		(void)printf(", %.0f s ago", json_number_value(json_object_get(stats, "age_s")));
	(void)printf("\n");
	if (json_is_true(json_object_get(stats, "memory_short")))
		(void)printf("          short of memory: takes nothing new\n");
}

static void print_compute(const json_t *compute)
{
	const json_t *node = NULL, *model = NULL;
	size_t i = 0, j = 0;

	if (json_array_size(compute) == 0)
		(void)printf("compute   none registered (`data-node compute add`)\n");
	json_array_foreach(compute, i, node)
	{
		const char *drain = text(node, "drain");
		(void)printf("compute   %s  %s  %s%s%s\n", text(node, "name"),
		    text(node, "address"), text(node, "state"), drain[0] != 0 ? ", " : "", drain);
		print_load(node);
		json_array_foreach(json_object_get(node, "models"), j, model)
		{
			print_model(model);
		}
	}
}

static void print_backups(const json_t *backups)
{
	const json_t *backup = NULL;
	size_t i = 0;

	if (json_array_size(backups) == 0)
		(void)printf("backup    none yet (`data-node backup DEST`)\n");
	json_array_foreach(backups, i, backup)
	{
		(void)printf("backup    ");
		if (text(backup, "made")[0] != 0)
			cli_put_time(stdout, text(backup, "made"));
		else
			(void)printf("never");
		(void)printf("  up to event %lld  ", number(backup, "cursor"));
		cli_put_text(stdout, text(backup, "path"), 200);
		if (text(backup, "error")[0] != 0) {
			(void)printf("\n          the last run failed: ");
			cli_put_text(stdout, text(backup, "error"), 200);
		}
		(void)printf("\n");
	}
}

/* What a model was asked last; nothing where it was not. */
static void print_notes(const json_t *notes)
{
	const json_t *facts = json_object_get(notes, "facts");
	const char *end = text(notes, "end");

	if (notes == NULL)
		return;
	if (strcmp(end, "no-model") == 0) {
		(void)printf("          no notes: no compute node with a model was up\n");
		return;
	}
	(void)printf("          %lld notes, %lld facts, by ", number(notes, "notes"),
	    number(facts, "learned"));
	cli_put_text(stdout, text(notes, "model"), 60);
	(void)printf("%s\n", strcmp(end, "finished") == 0 ? "" : "; the rest is for next time");
}

static void print_night(const json_t *night)
{
	const char *finished = text(night, "finished");

	if (json_is_true(json_object_get(night, "running"))) {
		(void)printf("night     %lld of %lld days\n", number(night, "days_done"),
		    number(night, "days_total"));
		return;
	}
	(void)printf("night     ");
	if (finished[0] == 0) {
		(void)printf("not yet (`data-node night`)\n");
		return;
	}
	(void)printf("labelled up to %lld, ", number(night, "cursor"));
	cli_put_time(stdout, finished);
	(void)printf("\n");
	print_notes(json_object_get(night, "notes"));
}

static void print_memory(const json_t *memory)
{
	long long proposals = number(memory, "proposals");

	(void)printf("memory    %lld facts", number(memory, "facts"));
	if (proposals > 0)
		(void)printf(", %lld proposals wait (`data-node memory proposals`)", proposals);
	(void)printf("\n");
}

static void print_follow(const json_t *root)
{
	const json_t *follow = json_object_get(root, "follow"), *peer = NULL;
	size_t i = 0;

	if (follow != NULL)
		(void)printf("follows   %s  %s  %lld events behind%s%s\n", text(follow, "address"),
		    text(follow, "state"), number(follow, "lag"),
		    text(follow, "error")[0] != 0 ? ": " : "", text(follow, "error"));
	json_array_foreach(json_object_get(root, "followers"), i, peer)
	{
		(void)printf("follower  %.16s...  %lld events behind\n", text(peer, "key"),
		    number(peer, "lag"));
	}
}

static void print_status(const struct buf *answer, bool serving)
{
	json_t *root = json_loadb(buf_text(answer), answer->len, 0, NULL);
	const json_t *store = json_object_get(root, "store");
	const json_t *recall = json_object_get(root, "recall");
	const char *first = text(store, "first"), *last = text(store, "last");

	(void)printf("version   %s\n", text(root, "version"));
	if (serving)
		(void)printf(
		    "serving   for %.0f s\n", json_number_value(json_object_get(root, "uptime_s")));
	else
		(void)printf("serving   no\n");
	(void)printf("timeline  %lld events, %lld bytes on disk\n", number(store, "records"),
	    number(store, "bytes"));
	if (first[0] != 0) {
		(void)printf("          from ");
		cli_put_time(stdout, first);
		(void)printf(" to ");
		cli_put_time(stdout, last);
		(void)printf("\n");
	}
	if (recall != NULL)
		(void)printf(
		    "index     %lld of %lld\n", number(recall, "cursor"), number(store, "cursor"));
	print_night(json_object_get(root, "night"));
	print_memory(json_object_get(root, "memory"));
	(void)printf("devices   %lld\n", number(root, "devices"));
	print_clocks(json_object_get(root, "clocks"));
	print_compute(json_object_get(root, "compute"));
	print_follow(root);
	print_backups(json_object_get(root, "backups"));
	(void)printf("key       %s\n", text(root, "public_key"));
	json_decref(root);
}

int cli_status(int argc, char **argv)
{
	struct control_client_call call = { .method = "GET", .target = "/api/v1/status" };
	struct status_options values = { 0 };
	struct control_client *client = NULL;
	struct conf_argv args = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct arena arena;

	arena_init(&arena, CLI_ARENA_BYTES);
	int code = cli_parse(&command, argc, argv, &values, &args, &arena);
	if (code == CLI_GO_ON) {
		enum rc rc = control_client_open(cli_dir(values.dir, &arena), 0, &client, &why);
		if (rc == RC_OK)
			rc = control_client_send(client, &call, &why);
		if (rc == RC_OK)
			rc = control_client_check(&call, &why);
		if (rc == RC_OK && values.json)
			(void)fputs(buf_text(&call.answer), stdout);
		else if (rc == RC_OK)
			print_status(&call.answer, control_client_serving(client));
		code = rc == RC_OK ? EXIT_DONE : cli_fail(command.name, rc, &why);
	}
	control_client_done(&call);
	control_client_close(client);
	arena_fini(&arena);
	return code;
}
