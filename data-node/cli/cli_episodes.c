/* `data-node episodes`: what happened, one line each. */
#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/rc.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "gateway/station.h"
#include "gateway/target.h"

#define WORD_COLUMNS 40

struct episodes_options {
	const char *dir, *day, *zone;
	int64_t from_ns, to_ns, as_of;
	bool json;
};

#define ROW(option, kind, field)                                                                   \
	.name = option, .type = kind, .offset = offsetof(struct episodes_options, field)

static const struct conf_option options[] = {
	CLI_OPTION_DIR(struct episodes_options),
	{ ROW("from", CONF_TIME, from_ns), .value = "TIME", .help = "from this time on" },
	{ ROW("to", CONF_TIME, to_ns), .value = "TIME", .help = "before this time" },
	{ ROW("day", CONF_STRING, day), .value = "DATE", .help = "instead: that local day" },
	{ ROW("zone", CONF_STRING, zone), .value = "ZONE",
	    .help = "whose day it is, if not the one that events tell" },
	{ ROW("as-of", CONF_INT, as_of), .value = "CURSOR", .fallback = "0", .min = 0, .max = 9e18,
	    .help = "as the timeline was known up to this sequence number" },
	{ ROW("json", CONF_BOOL, json), .help = "print the JSON of GET /api/v1/episodes" },
	{ .name = NULL },
};

static const struct conf_command command = {
	.name = "episodes",
	.summary = "show what happened, cut where the scene changed",
	.options = options,
};

static void print_word(const json_t *episode, const char *name)
{
	const char *text = json_string_value(json_object_get(episode, name));

	if (text == NULL)
		return;
	(void)printf("  ");
	cli_put_text(stdout, text, WORD_COLUMNS);
}

static void print_table(const struct buf *answer)
{
	json_t *root = json_loadb(buf_text(answer), answer->len, 0, NULL);
	json_t *episode = NULL, *person = NULL;
	size_t i = 0, k = 0;

	json_array_foreach(json_object_get(root, "episodes"), i, episode)
	{
		const char *start = json_string_value(json_object_get(episode, "start"));
		const char *end = json_string_value(json_object_get(episode, "end"));
		cli_put_time(stdout, start != NULL ? start : "");
		(void)printf(" - ");
		cli_put_time(stdout, end != NULL ? end : "");
		print_word(episode, "scene");
		print_word(episode, "place");
		json_array_foreach(json_object_get(episode, "people"), k, person)
		{
			(void)printf("%s", k == 0 ? "  with " : ", ");
			cli_put_text(stdout, json_string_value(person), WORD_COLUMNS);
		}
		(void)printf("\n");
	}
	json_decref(root);
}

static void put_text(struct buf *target, const char *name, const char *text)
{
	if (text == NULL)
		return;
	buf_printf(target, "&%s=", name);
	target_escape(target, text);
}

static enum rc show(
    struct control_client *client, const struct episodes_options *values, struct errmsg *why)
{
	struct control_client_call call = { .method = "GET" };
	struct buf target;

	buf_init(&target, TARGET_BYTES_MAX);
	buf_printf(&target, "/api/v1/episodes?as_of=%lld", (long long)values->as_of);
	if (values->from_ns != CLI_TIME_UNSET)
		buf_printf(&target, "&from=%lld", (long long)values->from_ns);
	if (values->to_ns != CLI_TIME_UNSET)
		buf_printf(&target, "&to=%lld", (long long)values->to_ns);
	put_text(&target, "day", values->day);
	put_text(&target, "zone", values->zone);
	call.target = buf_text(&target);
	enum rc rc = control_client_send(client, &call, why);
	if (rc == RC_OK)
		rc = control_client_check(&call, why);
	if (rc == RC_OK && values->json)
		(void)fputs(buf_text(&call.answer), stdout);
	else if (rc == RC_OK)
		print_table(&call.answer);
	control_client_done(&call);
	buf_fini(&target);
	return rc;
}

int cli_episodes(int argc, char **argv)
{
	struct episodes_options values = { .from_ns = CLI_TIME_UNSET, .to_ns = CLI_TIME_UNSET };
	struct control_client *client = NULL;
	struct conf_argv args = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct arena arena;

	arena_init(&arena, CLI_ARENA_BYTES);
	int code = cli_parse(&command, argc, argv, &values, &args, &arena);
	if (code == CLI_GO_ON) {
		enum rc rc =
		    control_client_open(cli_dir(values.dir, &arena), STATION_SLICES, &client, &why);
		if (rc == RC_OK)
			rc = show(client, &values, &why);
		code = rc == RC_OK ? EXIT_DONE : cli_fail(command.name, rc, &why);
	}
	control_client_close(client);
	arena_fini(&arena);
	return code;
}
