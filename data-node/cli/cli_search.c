/* `data-node search`: moments that match, best first. */
#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/rc.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/control_client.h"
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

static void print_results(const struct buf *answer)
{
	json_t *root = json_loadb(buf_text(answer), answer->len, 0, NULL);
	const json_t *hit = NULL;
	size_t i = 0;

	json_array_foreach(json_object_get(root, "results"), i, hit)
	{
		const char *start = json_string_value(json_object_get(hit, "start"));
		const char *layer = json_string_value(json_object_get(hit, "layer"));
		const char *text = json_string_value(json_object_get(hit, "text"));
		(void)printf("%7.3f  ", json_number_value(json_object_get(hit, "score")));
		cli_put_time(stdout, start != NULL ? start : "");
		(void)printf("  %-11s  ", layer != NULL ? layer : "");
		cli_put_text(stdout, text != NULL ? text : "", TEXT_COLUMNS);
		(void)printf("\n");
	}
	json_decref(root);
}

static enum rc search(struct control_client *client, const struct search_options *values,
    const struct conf_argv *args, struct errmsg *why)
{
	struct control_client_call call = { .method = "GET" };
	struct buf target;

	buf_init(&target, TARGET_BYTES_MAX);
	buf_printf(&target, "/api/v1/search?k=%lld", (long long)values->k);
	if (values->from_ns != CLI_TIME_UNSET)
		buf_printf(&target, "&from=%lld", (long long)values->from_ns);
	if (values->to_ns != CLI_TIME_UNSET)
		buf_printf(&target, "&to=%lld", (long long)values->to_ns);
	buf_puts(&target, "&q=");
	for (size_t i = 0; i < args->args_len; i++) {
		buf_puts(&target, i > 0 ? "+" : "");
		target_escape(&target, args->args[i]);
	}
	call.target = buf_text(&target);
	enum rc rc = buf_rc(&target) == RC_OK ? control_client_send(client, &call, why)
					      : errmsg_rc(why, RC_LIMIT, "the query is too long");
	if (rc == RC_OK)
		rc = control_client_check(&call, why);
	if (rc == RC_OK && values->json)
		(void)fputs(buf_text(&call.answer), stdout);
	else if (rc == RC_OK)
		print_results(&call.answer);
	control_client_done(&call);
	buf_fini(&target);
	return rc;
}

int cli_search(int argc, char **argv)
{
	struct search_options values = { .from_ns = CLI_TIME_UNSET, .to_ns = CLI_TIME_UNSET };
	struct control_client *client = NULL;
	struct conf_argv args = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct arena arena;

	arena_init(&arena, CLI_ARENA_BYTES);
	int code = cli_parse(&command, argc, argv, &values, &args, &arena);
	if (code == CLI_GO_ON) {
		enum rc rc =
		    control_client_open(cli_dir(values.dir, &arena), STATION_RECALL, &client, &why);
		if (rc == RC_OK)
			rc = search(client, &values, &args, &why);
		code = rc == RC_OK ? EXIT_DONE : cli_fail(command.name, rc, &why);
	}
	control_client_close(client);
	arena_fini(&arena);
	return code;
}
