/* `data-node slices`: what was true in each step of a time range. */
#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rc.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/control_client.h"
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

static bool to_stdout(void *ctx, const char *bytes, size_t len)
{
	(void)ctx;
	return fwrite(bytes, 1, len, stdout) == len;
}

/* A value in few words: its text, else its data. */
static void print_value(const json_t *value)
{
	const char *text = json_string_value(json_object_get(value, "text"));
	const char *kind = json_string_value(json_object_get(value, "kind"));
	const json_t *data = json_object_get(value, "data");

	cli_put_text(stdout, kind != NULL ? kind : "", 20);
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

static void print_slice(json_t *slice)
{
	const char *start = json_string_value(json_object_get(slice, "start"));
	const char *facet = NULL;
	json_t *cell = NULL;

	cli_put_time(stdout, start != NULL ? start : "");
	(void)printf("\n");
	json_object_foreach(json_object_get(slice, "cells"), facet, cell)
	{
		const char *mode = json_string_value(json_object_get(cell, "mode"));
		const json_t *values = json_object_get(cell, "values");
		const char *certainty = json_string_value(json_object_get(cell, "certainty"));
		if (mode == NULL || json_array_size(values) == 0)
			continue;
		(void)printf(
		    "    %-11s  %-12s  %-8s  ", facet, mode, certainty != NULL ? certainty : "");
		print_value(json_array_get(values, 0));
		if (json_array_size(values) > 1)
			(void)printf("  (+%zu)", json_array_size(values) - 1);
		(void)printf("\n");
	}
}

static void print_table(const struct buf *answer)
{
	json_t *root = json_loadb(buf_text(answer), answer->len, 0, NULL);
	json_t *slice = NULL;
	size_t i = 0;

	json_array_foreach(json_object_get(root, "slices"), i, slice)
	{
		print_slice(slice);
	}
	json_decref(root);
}

static enum rc show(
    struct control_client *client, const struct slices_options *values, struct errmsg *why)
{
	struct control_client_call call = { .method = "GET" };
	struct buf target;

	buf_init(&target, TARGET_BYTES_MAX);
	buf_printf(&target, "/api/v1/slices%s?as_of=%lld", values->manifest ? "/manifest" : "",
	    (long long)values->as_of);
	if (values->step_ns % NS_PER_S == 0)
		buf_printf(&target, "&step=%llds", (long long)(values->step_ns / NS_PER_S));
	else
		buf_printf(&target, "&step=%lldms", (long long)(values->step_ns / NS_PER_MS));
	if (values->from_ns != CLI_TIME_UNSET)
		buf_printf(&target, "&from=%lld", (long long)values->from_ns);
	if (values->to_ns != CLI_TIME_UNSET)
		buf_printf(&target, "&to=%lld", (long long)values->to_ns);
	if (values->day != NULL) {
		buf_puts(&target, "&day=");
		target_escape(&target, values->day);
	}
	if (values->zone != NULL) {
		buf_puts(&target, "&zone=");
		target_escape(&target, values->zone);
	}
	if (values->facets != NULL) {
		buf_puts(&target, "&facets=");
		target_escape(&target, values->facets);
	}
	call.target = buf_text(&target);
	call.sink = values->json || values->manifest ? to_stdout : NULL;
	enum rc rc = control_client_send(client, &call, why);
	if (rc == RC_OK)
		rc = control_client_check(&call, why);
	if (rc == RC_OK && call.sink == NULL)
		print_table(&call.answer);
	control_client_done(&call);
	buf_fini(&target);
	return rc;
}

int cli_slices(int argc, char **argv)
{
	struct slices_options values = { .from_ns = CLI_TIME_UNSET, .to_ns = CLI_TIME_UNSET };
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
