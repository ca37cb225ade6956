/* `data-node import`: events from files, with a progress bar and a summary. */
#include <inttypes.h>
#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rc.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "gateway/target.h"
#include "ingest/import.h"

#define BAR_COLUMNS 32
#define ERRORS_SHOWN 20

struct import_options {
	const char *dir, *format, *source;
	bool quiet;
};

#define ROW(row_name, row_type, field)                                                             \
	.name = row_name, .type = row_type, .offset = offsetof(struct import_options, field)

static const struct conf_option options[] = {
	CLI_OPTION_DIR(struct import_options),
	{ ROW("format", CONF_STRING, format), .value = "FORMAT", .fallback = "ndjson",
	    .help = "ndjson: an event a line, or one JSON array" },
	{ ROW("source", CONF_STRING, source), .value = "NAME",
	    .help = "the source of events that name none" },
	{ ROW("quiet", CONF_BOOL, quiet), .letter = 'q', .help = "no progress bar" },
	{ .name = NULL },
};

static const struct conf_command command = {
	.name = "import",
	.args = "FILE...",
	.args_min = 1,
	.args_max = CONF_ARGS_MAX,
	.summary = "read events from files",
	.detail = "A FILE of - is standard input. What is there already is counted as\n"
		  "duplicate and changes nothing, so a broken import is simply repeated.\n"
		  "Events with errors are named and left out, the others are stored; the exit\n"
		  "code is then 1. Mend those and import the file again.",
	.options = options,
};

struct importing {
	struct control_client *client;
	const char *target;
	const char *name; /* of the file, for the bar */
	bool bar;
};

static void read_errors(const json_t *rejected, struct arena *arena, struct ingest_report *report)
{
	const json_t *item = NULL;
	size_t i = 0;

	report->errors = arena_array(arena, json_array_size(rejected) + 1, sizeof(*report->errors));
	if (report->errors == NULL)
		return;
	json_array_foreach(rejected, i, item)
	{
		struct ingest_error *e = &report->errors[report->errors_len++];
		const char *field = json_string_value(json_object_get(item, "field"));
		const char *text = json_string_value(json_object_get(item, "error"));
		e->index = (size_t)json_integer_value(json_object_get(item, "index"));
		(void)snprintf(e->field, sizeof(e->field), "%s", field != NULL ? field : "");
		(void)snprintf(e->text, sizeof(e->text), "%s", text != NULL ? text : "");
	}
}

/* The node's answer back to a report. */
static enum rc read_report(
    const struct buf *answer, struct arena *arena, struct ingest_report *report, struct errmsg *why)
{
	json_t *root = json_loadb(buf_text(answer), answer->len, 0, NULL);
	const json_t *accepted = json_object_get(root, "accepted");
	const json_t *rejected = json_object_get(root, "rejected");
	const json_t *total = json_object_get(root, "rejected_total");

	if (!json_is_integer(accepted) || !json_is_array(rejected)) {
		json_decref(root);
		return errmsg_rc(why, RC_IO, "the node's answer is no report");
	}
	report->accepted = (uint64_t)json_integer_value(accepted);
	report->duplicate = (uint64_t)json_integer_value(json_object_get(root, "duplicate"));
	report->rejected = total != NULL ? (uint64_t)json_integer_value(total)
					 : (uint64_t)json_array_size(rejected);
	report->cursor = (uint64_t)json_integer_value(json_object_get(root, "cursor"));
	read_errors(rejected, arena, report);
	json_decref(root);
	return RC_OK;
}

static enum rc sink(void *ctx, const char *body, size_t len, struct arena *arena,
    struct ingest_report *report, struct errmsg *why)
{
	struct importing *im = ctx;
	struct control_client_call call = {
		.method = "POST", .target = im->target, .body = body, .body_len = len
	};

	enum rc rc = control_client_send(im->client, &call, why);
	if (rc == RC_OK)
		rc = control_client_check(&call, why);
	if (rc == RC_OK)
		rc = read_report(&call.answer, arena, report, why);
	control_client_done(&call);
	return rc;
}

static bool draw(void *ctx, const struct import_progress *p)
{
	struct importing *im = ctx;

	if (!im->bar)
		return true;
	(void)fprintf(stderr, "\r%-24.24s [", im->name);
	uint64_t total = p->bytes_total > 0 ? p->bytes_total : 1;
	int full = p->bytes_total > 0 ? (int)(p->bytes_done * BAR_COLUMNS / total) : 0;
	for (int i = 0; i < BAR_COLUMNS; i++)
		(void)fputc(i < full ? '#' : '.', stderr);
	(void)fprintf(stderr, "] %" PRIu64 " events", p->accepted + p->duplicate + p->rejected);
	(void)fflush(stderr);
	return true;
}

static void print_errors(const char *name, const struct ingest_report *report)
{
	size_t shown = report->errors_len < ERRORS_SHOWN ? report->errors_len : ERRORS_SHOWN;

	for (size_t i = 0; i < shown; i++) {
		const struct ingest_error *e = &report->errors[i];
		(void)fprintf(stderr, "%s: event %zu: %s%s%s\n", name, e->index + 1, e->field,
		    e->field[0] != 0 ? ": " : "", e->text);
	}
	if (report->rejected > shown)
		(void)fprintf(stderr, "%s: and %" PRIu64 " more\n", name, report->rejected - shown);
}

static enum rc import_one(struct importing *im, const char *path, struct ingest_report *total,
    struct arena *arena, struct errmsg *why)
{
	struct import_source source = {
		.path = path, .sink = sink, .sink_ctx = im, .progress = draw, .progress_ctx = im
	};
	struct ingest_report report = { 0 };

	im->name = strcmp(path, "-") == 0 ? "standard input" : path;
	enum rc rc = import_file(&source, arena, &report, why);
	if (im->bar)
		(void)fputs("\r\033[K", stderr);
	print_errors(im->name, &report);
	total->accepted += report.accepted;
	total->duplicate += report.duplicate;
	total->rejected += report.rejected;
	(void)printf("%s: %" PRIu64 " accepted, %" PRIu64 " duplicate, %" PRIu64 " rejected\n",
	    im->name, report.accepted, report.duplicate, report.rejected);
	if (rc == RC_OK && report.rejected > 0)
		rc = errmsg_rc(why, RC_INVALID,
		    "%" PRIu64 " of its events were not taken: mend them and import it again, what "
		    "is stored stays",
		    report.rejected);
	return rc;
}

/* Every file is tried; the first failure decides the exit code. */
static int import_all(struct importing *im, const struct conf_argv *args, struct arena *arena)
{
	struct ingest_report total = { 0 };
	int code = EXIT_DONE;

	for (size_t i = 0; i < args->args_len; i++) {
		struct errmsg why = ERRMSG_INIT;
		enum rc rc = import_one(im, args->args[i], &total, arena, &why);
		if (rc == RC_OK)
			continue;
		(void)fprintf(
		    stderr, "data-node import: %s: %s\n", im->name, errmsg_text(&why, rc));
		if (code == EXIT_DONE)
			code = rc_exit_code(rc);
		/* Without a node or room on disk the next file fares no better. */
		if (rc == RC_CLOSED || rc == RC_FULL || rc == RC_IO)
			break;
	}
	if (args->args_len > 1)
		(void)printf("total: %" PRIu64 " accepted, %" PRIu64 " duplicate, %" PRIu64
			     " rejected\n",
		    total.accepted, total.duplicate, total.rejected);
	return code;
}

static enum rc make_target(const struct import_options *values, struct buf *target)
{
	buf_puts(target, "/api/v1/events");
	if (values->source != NULL) {
		buf_puts(target, "?source=");
		target_escape(target, values->source);
	}
	return buf_rc(target);
}

int cli_import(int argc, char **argv)
{
	struct import_options values = { 0 };
	struct importing im = { 0 };
	struct conf_argv args = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct arena arena;
	struct buf target;

	arena_init(&arena, CLI_ARENA_BYTES);
	buf_init(&target, TARGET_BYTES_MAX);
	int code = cli_parse(&command, argc, argv, &values, &args, &arena);
	if (code == CLI_GO_ON && strcmp(values.format, "ndjson") != 0 &&
	    strcmp(values.format, "json") != 0) {
		(void)fprintf(stderr, "data-node import: --format: ndjson or json\n");
		code = EXIT_USAGE;
	}
	if (code == CLI_GO_ON) {
		enum rc rc = make_target(&values, &target);
		if (rc == RC_OK)
			rc = control_client_open(cli_dir(values.dir, &arena), 0, &im.client, &why);
		im.target = buf_text(&target);
		im.bar = !values.quiet && isatty(STDERR_FILENO);
		code =
		    rc == RC_OK ? import_all(&im, &args, &arena) : cli_fail(command.name, rc, &why);
	}
	control_client_close(im.client);
	buf_fini(&target);
	arena_fini(&arena);
	return code;
}
