/* `data-node night`: label what is new and have a model note it, with a bar on a terminal. */
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rc.h"
#include "cli/bar.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "gateway/station.h"

#define LINE_BYTES_MAX ((size_t)4096)
#define TIME_S 3600 /* where nothing is said */

struct night_options {
	const char *dir;
	int64_t time_ns;
	bool now, json, quiet;
};

#define ROW(row_name, row_type, field)                                                             \
	.name = row_name, .type = row_type, .offset = offsetof(struct night_options, field)

static const struct conf_option options[] = {
	CLI_OPTION_DIR(struct night_options),
	{ ROW("now", CONF_BOOL, now), .help = "to the end, however long it takes" },
	{ ROW("for", CONF_DURATION, time_ns), .value = "TIME", .fallback = "0s",
	    .help = "stop after this, the next one goes on; 0s: an hour, with --now no bound" },
	{ ROW("quiet", CONF_BOOL, quiet), .letter = 'q', .help = "no progress bar" },
	{ ROW("json", CONF_BOOL, json), .help = "print JSON" },
	{ .name = NULL },
};

static const struct conf_command command = {
	.name = "night",
	.summary = "do the night's work: label what is new, have a model note it",
	.detail =
	    "Languages, duplicates, units, outliers, places and scenes become labels\n"
	    "beside what was observed; nothing observed is changed. Where a compute node\n"
	    "serves a model it writes titles and summaries of what happened, which are kept\n"
	    "if every name and number in them was there, and reads facts from the owner's own\n"
	    "words (see `data-node memory`). What was done before is not done again. A\n"
	    "serving node does this by itself (see `data-node serve --help`, night-at).",
	.options = options,
};

/* Lines of progress go to the bar; the last one stays. */
struct lines {
	struct buf line;
	struct bar bar;
	char step[16]; /* that `bar` shows */
	bool quiet;
	json_t *outcome;
};

/* A bar a step. */
static void show_step(struct lines *lines, const json_t *root)
{
	const char *step = json_string_value(json_object_get(root, "step"));

	if (step != NULL && strcmp(lines->step, step) != 0) {
		bar_end(&lines->bar);
		(void)snprintf(lines->step, sizeof lines->step, "%s", step);
		lines->bar = bar_begin(lines->step, lines->quiet);
	}
	bar_draw(&lines->bar, (uint64_t)json_integer_value(json_object_get(root, "days_done")),
	    (uint64_t)json_integer_value(json_object_get(root, "days_total")));
}

static void take_line(struct lines *lines)
{
	json_t *root = json_loadb(buf_text(&lines->line), lines->line.len, 0, NULL);

	if (json_is_true(json_object_get(root, "done"))) {
		json_decref(lines->outcome);
		lines->outcome = json_incref(root);
	} else if (json_is_integer(json_object_get(root, "days_total"))) {
		show_step(lines, root);
	}
	json_decref(root);
	buf_reset(&lines->line);
}

static bool take(void *ctx, const char *bytes, size_t len)
{
	struct lines *lines = ctx;

	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == '\n')
			take_line(lines);
		else
			buf_putc(&lines->line, bytes[i]);
	}
	return buf_rc(&lines->line) == RC_OK;
}

static long long number(const json_t *root, const char *name)
{
	return (long long)json_integer_value(json_object_get(root, name));
}

/* " (name 2, number 1)" */
static void print_reasons(json_t *refused)
{
	const char *reason;
	json_t *count;
	bool any = false;

	json_object_foreach(refused, reason, count)
	{
		(void)printf(
		    "%s%s %lld", any ? ", " : " (", reason, (long long)json_integer_value(count));
		any = true;
	}
	(void)printf("%s", any ? ")" : "");
}

static long long sum(json_t *refused)
{
	const char *reason;
	json_t *count;
	long long all = 0;

	json_object_foreach(refused, reason, count) all += (long long)json_integer_value(count);
	return all;
}

static void print_notes(const json_t *outcome)
{
	const json_t *notes = json_object_get(outcome, "notes");
	json_t *refused = json_object_get(notes, "refused");
	const json_t *facts = json_object_get(notes, "facts");
	const json_t *vectors = json_object_get(outcome, "vectors");
	const char *model = json_string_value(json_object_get(notes, "model"));
	const char *end = json_string_value(json_object_get(notes, "end"));

	if (notes == NULL)
		return;
	(void)printf("%lld notes on %lld days, %lld withdrawn, %lld answers refused",
	    number(notes, "notes"), number(notes, "days"), number(notes, "withdrawn"),
	    sum(refused));
	print_reasons(refused);
	if (model != NULL) {
		(void)printf(", by ");
		cli_put_text(stdout, model, 60);
	}
	if (end != NULL && strcmp(end, "no-model") == 0)
		(void)printf("; no compute node with a model is up, the next night goes on");
	else if (end != NULL && strcmp(end, "unfit-model") == 0)
		(void)printf("; the model cannot be held to a form");
	else if (end != NULL && strcmp(end, "stopped") == 0)
		(void)printf("; the rest is for next time");
	(void)printf("\n%lld facts learned, %lld wait for you, %lld known, %lld refused",
	    number(facts, "learned"), number(facts, "proposed"), number(facts, "known"),
	    sum(json_object_get(facts, "refused")));
	print_reasons(json_object_get(facts, "refused"));
	(void)printf("\n");
	if (vectors != NULL && number(vectors, "have") > 0)
		(void)printf("%lld of %lld texts have vectors\n", number(vectors, "have"),
		    number(vectors, "of"));
}

static enum rc report(const json_t *outcome, bool as_json, struct errmsg *why)
{
	const char *error = json_string_value(json_object_get(outcome, "error"));
	const char *word = json_string_value(json_object_get(outcome, "rc"));

	if (outcome == NULL)
		return errmsg_rc(why, RC_CLOSED, "the node ended before its work did");
	if (as_json) {
		char *text = cli_json_text(outcome);
		if (text == NULL)
			return RC_NOMEM;
		(void)printf("%s\n", text);
		free(text);
	} else {
		(void)printf("%lld labels written, %lld withdrawn, from %lld observations%s\n",
		    number(outcome, "written"), number(outcome, "withdrawn"),
		    number(outcome, "observations"),
		    json_is_true(json_object_get(outcome, "finished"))
			? ""
			: "; the rest is for next time");
		print_notes(outcome);
	}
	if (error == NULL)
		return RC_OK;
	bool corrupt = word != NULL && strcmp(word, rc_word(RC_CORRUPT)) == 0;
	return errmsg_rc(why, corrupt ? RC_CORRUPT : RC_IO, "%s", error);
}

static enum rc run(const struct night_options *values, struct arena *arena, struct errmsg *why)
{
	struct lines lines = { .bar = bar_begin("night", values->quiet), .quiet = values->quiet };
	struct control_client_call call = {
		.method = "POST", .target = "/control/night", .sink = take, .sink_ctx = &lines
	};
	struct control_client *client = NULL;
	long long time_s = (long long)(values->time_ns / NS_PER_S);

	if (time_s == 0 && !values->now)
		time_s = TIME_S;

	call.body = arena_printf(arena, "{\"time_s\":%lld}", time_s);
	if (call.body == NULL)
		return RC_NOMEM;
	call.body_len = strlen(call.body);
	buf_init(&lines.line, LINE_BYTES_MAX);
	enum rc rc = control_client_open(
	    cli_dir(values->dir, arena), STATION_NIGHT | STATION_POOL, &client, why);
	if (rc == RC_OK)
		rc = control_client_send(client, &call, why);
	bar_end(&lines.bar);
	if (rc == RC_OK)
		rc = control_client_check(&call, why);
	if (rc == RC_OK)
		rc = report(lines.outcome, values->json, why);
	json_decref(lines.outcome);
	buf_fini(&lines.line);
	control_client_done(&call);
	control_client_close(client);
	return rc;
}

int cli_night(int argc, char **argv)
{
	struct night_options values = { 0 };
	struct conf_argv args = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct arena arena;

	arena_init(&arena, CLI_ARENA_BYTES);
	int code = cli_parse(&command, argc, argv, &values, &args, &arena);
	if (code == CLI_GO_ON) {
		enum rc rc = run(&values, &arena, &why);
		code = rc == RC_OK ? EXIT_DONE : cli_fail(command.name, rc, &why);
	}
	arena_fini(&arena);
	return code;
}
