/* `data-node search`: moments that match, best first. */
#include <stddef.h>

#include "base/rc.h"
#include "cli/cli_list.h"
#include "cli/commands.h"
#include "gateway/station.h"
#include "gateway/target.h"

#define TEXT_COLUMNS 100

struct search_options {
	const char *dir;
	int64_t from_ns, to_ns, k;
	bool json;
};

#define ROW(row_name, row_type, field)                                                             \
	.name = row_name, .type = row_type, .offset = offsetof(struct search_options, field)

static const struct conf_option options[] = {
	CLI_OPTION_DIR(struct search_options),
	{ ROW("k", CONF_INT, k), .letter = 'k', .value = "N", .fallback = "10", .min = 1,
	    .max = 1000, .help = "at most so many" },
	{ ROW("from", CONF_TIME, from_ns), .value = "TIME", .help = "from this time on" },
	{ ROW("to", CONF_TIME, to_ns), .value = "TIME", .help = "before this time" },
	{ ROW("json", CONF_BOOL, json), .help = "print the JSON of GET /api/v1/search" },
	{ .name = NULL },
};

static const struct conf_command command = {
	.name = "search",
	.args = "QUERY",
	.args_min = 1,
	.args_max = CONF_ARGS_MAX,
	.summary = "find moments",
	.detail = "Without --from and --to, words such as \"yesterday\" or \"last week\" in\n"
		  "QUERY narrow the time.",
	.options = options,
};

static void print_hit(const json_t *hit)
{
	(void)printf("%7.3f  ", json_number_value(json_object_get(hit, "score")));
	cli_put_time(stdout, cli_list_member(hit, "start"));
	(void)printf("  %-11s  ", cli_list_member(hit, "layer"));
	cli_put_text(stdout, cli_list_member(hit, "text"), TEXT_COLUMNS);
	(void)printf("\n");
}

static enum rc ask(struct control_client *client, const void *arg, const struct conf_argv *args,
    struct errmsg *why)
{
	const struct search_options *values = arg;
	struct buf target;

	buf_init(&target, TARGET_BYTES_MAX);
	buf_printf(&target, "/api/v1/search?k=%lld", (long long)values->k);
	cli_list_time(&target, "from", values->from_ns);
	cli_list_time(&target, "to", values->to_ns);
	buf_puts(&target, "&q=");
	for (size_t i = 0; i < args->args_len; i++) {
		buf_puts(&target, i > 0 ? "+" : "");
		target_escape(&target, args->args[i]);
	}
	enum rc rc = cli_list_show(client, &target, values->json, "results", print_hit, why);
	buf_fini(&target);
	return rc;
}

int cli_search(int argc, char **argv)
{
	struct search_options values = { .from_ns = CLI_TIME_UNSET, .to_ns = CLI_TIME_UNSET };

	return cli_list_run(&command, argc, argv, &values, &values.dir, STATION_RECALL, ask);
}
