/* `data-node slices`: what was true in each step of a time range. */
#include <stddef.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/rc.h"
#include "cli/cli_list.h"
#include "cli/commands.h"
#include "gateway/station.h"
#include "gateway/target.h"

#define VALUE_COLUMNS 60

struct slices_options {
	const char *day, *zone;
	const char *dir, *facets;
	int64_t from_ns, to_ns, step_ns, as_of;
	bool json, manifest;
};

#define ROW(row_name, row_type, field)                                                             \
	.name = row_name, .type = row_type, .offset = offsetof(struct slices_options, field)

static const struct conf_option options[] = {
	CLI_OPTION_DIR(struct slices_options),
	{ ROW("from", CONF_TIME, from_ns), .value = "TIME",
	    .help = "from this time on (else a day before --to)" },
	{ ROW("to", CONF_TIME, to_ns), .value = "TIME",
	    .help = "before this time (else a day after --from, or now)" },
	{ ROW("step", CONF_DURATION, step_ns), .value = "TIME", .fallback = "60s",
	    .help = "length of a slice: whole seconds that divide a day" },
	{ ROW("facets", CONF_STRING, facets), .value = "FACET,...",
	    .help = "visual, audio, language, device, location, environment, body, scene, home" },
	{ ROW("as-of", CONF_INT, as_of), .value = "CURSOR", .fallback = "0", .min = 0, .max = 9e18,
	    .help = "as the timeline was known up to this sequence number" },
	{ ROW("json", CONF_BOOL, json), .help = "print the JSON of GET /api/v1/slices" },
	{ ROW("day", CONF_STRING, day), .value = "DATE",
	    .help = "instead of a range: that local day" },
	{ ROW("zone", CONF_STRING, zone), .value = "ZONE",
	    .help = "whose day it is, if not the one that events tell" },
	{ ROW("manifest", CONF_BOOL, manifest),
	    .help = "print what an export of the range is made from, and a hash over it" },
	{ .name = NULL },
};

static const struct conf_command command = {
	.name = "slices",
	.summary = "show what was true in each step of a time range",
	.options = options,
};

/* A value in few words: its text, else its data. */
static void print_value(const json_t *value)
{
	const char *text = json_string_value(json_object_get(value, "text"));
	const json_t *data = json_object_get(value, "data");

	cli_put_text(stdout, cli_list_member(value, "kind"), 20);
	if (text != NULL) {
		(void)printf(": ");
		cli_put_text(stdout, text, VALUE_COLUMNS);
	} else if (data != NULL) {
		char *dump = cli_json_text(data);
		(void)printf(": ");
		cli_put_text(stdout, dump != NULL ? dump : "", VALUE_COLUMNS);
		free(dump);
	}
}

static void print_slice(const json_t *slice)
{
	const char *facet = NULL;
	const json_t *cell = NULL;

	cli_put_time(stdout, cli_list_member(slice, "start"));
	(void)printf("\n");
	json_object_foreach(json_object_get(slice, "cells"), facet, cell)
	{
		const char *mode = json_string_value(json_object_get(cell, "mode"));
		const json_t *values = json_object_get(cell, "values");
		if (mode == NULL || json_array_size(values) == 0)
			continue;
		(void)printf(
		    "    %-11s  %-12s  %-8s  ", facet, mode, cli_list_member(cell, "certainty"));
		print_value(json_array_get(values, 0));
		if (json_array_size(values) > 1)
			(void)printf("  (+%zu)", json_array_size(values) - 1);
		(void)printf("\n");
	}
}

static enum rc ask(struct control_client *client, const void *arg, const struct conf_argv *args,
    struct errmsg *why)
{
	const struct slices_options *values = arg;
	struct buf target;

	(void)args;
	buf_init(&target, TARGET_BYTES_MAX);
	buf_printf(&target, "/api/v1/slices%s?as_of=%lld", values->manifest ? "/manifest" : "",
	    (long long)values->as_of);
	if (values->step_ns % NS_PER_S == 0)
		buf_printf(&target, "&step=%llds", (long long)(values->step_ns / NS_PER_S));
	else
		buf_printf(&target, "&step=%lldms", (long long)(values->step_ns / NS_PER_MS));
	cli_list_time(&target, "from", values->from_ns);
	cli_list_time(&target, "to", values->to_ns);
	cli_list_text(&target, "day", values->day);
	cli_list_text(&target, "zone", values->zone);
	cli_list_text(&target, "facets", values->facets);
	enum rc rc = cli_list_show(
	    client, &target, values->json || values->manifest, "slices", print_slice, why);
	buf_fini(&target);
	return rc;
}

int cli_slices(int argc, char **argv)
{
	struct slices_options values = { .from_ns = CLI_TIME_UNSET, .to_ns = CLI_TIME_UNSET };

	return cli_list_run(&command, argc, argv, &values, &values.dir, STATION_SLICES, ask);
}
