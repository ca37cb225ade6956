/* `data-node episodes`: what happened, one line each, and what a model noted of it. */
#include <stddef.h>

#include "base/rc.h"
#include "cli/cli_list.h"
#include "cli/commands.h"
#include "gateway/station.h"
#include "gateway/target.h"

#define WORD_COLUMNS 40
#define NOTE_COLUMNS 400

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
	const char *text = cli_list_member(episode, name);

	if (text[0] == '\0')
		return;
	(void)printf("  ");
	cli_put_text(stdout, text, WORD_COLUMNS);
}

/* What a model noted: a line of title, tags and mood, one of summary. */
static void print_note(const json_t *episode)
{
	const json_t *tag = NULL, *mood = json_object_get(episode, "mood");
	const char *title = cli_list_member(episode, "title");
	size_t k = 0;

	if (title[0] == '\0')
		return;
	(void)printf("    ");
	cli_put_text(stdout, title, NOTE_COLUMNS);
	json_array_foreach(json_object_get(episode, "tags"), k, tag)
	{
		(void)printf(" #");
		cli_put_text(stdout, json_string_value(tag), WORD_COLUMNS);
	}
	if (json_is_object(mood)) {
		(void)printf("  (");
		cli_put_text(stdout, cli_list_member(mood, "word"), WORD_COLUMNS);
		(void)printf(")");
	}
	(void)printf("\n    ");
	cli_put_text(stdout, cli_list_member(episode, "summary"), NOTE_COLUMNS);
	(void)printf("\n");
}

static void print_episode(const json_t *episode)
{
	const json_t *person = NULL;
	size_t k = 0;

	cli_put_time(stdout, cli_list_member(episode, "start"));
	(void)printf(" - ");
	cli_put_time(stdout, cli_list_member(episode, "end"));
	print_word(episode, "scene");
	print_word(episode, "place");
	json_array_foreach(json_object_get(episode, "people"), k, person)
	{
		(void)printf("%s", k == 0 ? "  with " : ", ");
		cli_put_text(stdout, json_string_value(person), WORD_COLUMNS);
	}
	(void)printf("\n");
	print_note(episode);
}

static enum rc ask(struct control_client *client, const void *arg, const struct conf_argv *args,
    struct errmsg *why)
{
	const struct episodes_options *values = arg;
	struct buf target;

	(void)args;
	buf_init(&target, TARGET_BYTES_MAX);
	buf_printf(&target, "/api/v1/episodes?as_of=%lld", (long long)values->as_of);
	cli_list_time(&target, "from", values->from_ns);
	cli_list_time(&target, "to", values->to_ns);
	cli_list_text(&target, "day", values->day);
	cli_list_text(&target, "zone", values->zone);
	enum rc rc = cli_list_show(client, &target, values->json, "episodes", print_episode, why);
	buf_fini(&target);
	return rc;
}

int cli_episodes(int argc, char **argv)
{
	struct episodes_options values = { .from_ns = CLI_TIME_UNSET, .to_ns = CLI_TIME_UNSET };

	return cli_list_run(&command, argc, argv, &values, &values.dir, STATION_SLICES, ask);
}
