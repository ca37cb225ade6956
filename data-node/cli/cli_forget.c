/* `data-node forget`: what a range, a layer or a source holds is gone for good. */
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
#include "gateway/station.h"

#define LINE_BYTES_MAX ((size_t)64 << 10)
#define BAR_COLUMNS 40

struct forget_options {
	const char *dir, *layer, *source;
	int64_t from_ns, to_ns;
	bool dry_run, yes, json;
};

#define ROW(row_name, row_type, field)                                                             \
	.name = row_name, .type = row_type, .offset = offsetof(struct forget_options, field)

static const struct conf_option options[] = {
	CLI_OPTION_DIR(struct forget_options),
	{ ROW("from", CONF_TIME, from_ns), .value = "TIME", .help = "from this time on" },
	{ ROW("to", CONF_TIME, to_ns), .value = "TIME", .help = "before this time" },
	{ ROW("layer", CONF_STRING, layer), .value = "LAYER,...",
	    .help = "text, visual, auditory, behaviour, environment, home" },
	{ ROW("source", CONF_STRING, source), .value = "NAME", .help = "of this source only" },
	{ ROW("dry-run", CONF_BOOL, dry_run), .help = "only count what would be forgotten" },
	{ ROW("yes", CONF_BOOL, yes), .letter = 'y', .help = "do not ask" },
	{ ROW("json", CONF_BOOL, json), .help = "print the JSON of POST /api/v1/forget" },
	{ .name = NULL },
};

static const struct conf_command command = {
	.name = "forget",
	.summary = "forget a time, a layer or a source for good",
	.detail =
	    "Any combination; --source alone is everything that came from it. Times are the\n"
	    "hub's: an event of a device whose clock is not known for certain goes if it\n"
	    "may lie between them. What the night's labels say of those days goes too. The keys\n"
	    "of what is forgotten are destroyed, so that no copy of the timeline in the\n"
	    "directory can be read any more. It cannot be undone. On a terminal it asks\n"
	    "first, unless --yes is given.",
	.options = options,
};

/* The last line is the report; those before it draw the bar. */
struct listening {
	bool bar;
	struct buf line;
};

static void draw(const char *line, size_t len)
{
	json_t *root = json_loadb(line, len, 0, NULL);
	int64_t looked = json_integer_value(json_object_get(root, "looked"));
	int64_t of = json_integer_value(json_object_get(root, "of"));
	int full = of > 0 ? (int)(looked * BAR_COLUMNS / of) : 0;

	if (json_object_get(root, "of") != NULL) {
		(void)fprintf(stderr, "\rforgetting [");
		for (int i = 0; i < BAR_COLUMNS; i++)
			(void)fputc(i < full ? '#' : '.', stderr);
		(void)fprintf(stderr, "] %" PRId64 " of %" PRId64, looked, of);
		(void)fflush(stderr);
	}
	json_decref(root);
}

static bool listen(void *ctx, const char *bytes, size_t len)
{
	struct listening *l = ctx;

	for (size_t i = 0; i < len; i++) {
		if (l->line.len > 0 && l->line.bytes[l->line.len - 1] == '\n')
			buf_reset(&l->line);
		buf_putc(&l->line, bytes[i]);
		if (bytes[i] == '\n' && l->bar)
			draw(buf_text(&l->line), l->line.len);
	}
	return buf_rc(&l->line) == RC_OK;
}

/* A member that cannot be told must not make it forget more. */
static bool add_text(json_t *body, const char *name, const char *text)
{
	return text == NULL || json_object_set_new(body, name, json_string(text)) == 0;
}

static bool add_time(json_t *body, const char *name, int64_t ns)
{
	return ns == CLI_TIME_UNSET || json_object_set_new(body, name, json_integer(ns)) == 0;
}

/* Send the request; the report goes to `l->line`. */
static enum rc send(struct control_client *client, const struct forget_options *values,
    bool dry_run, struct listening *l, struct errmsg *why)
{
	struct control_client_call call = {
		.method = "POST", .target = "/api/v1/forget", .sink = listen, .sink_ctx = l
	};

	json_t *body = json_pack("{s:b, s:b}", "dry_run", dry_run, "progress", !dry_run);
	bool whole =
	    add_time(body, "from", values->from_ns) && add_time(body, "to", values->to_ns) &&
	    add_text(body, "layer", values->layer) && add_text(body, "source", values->source);
	char *text = whole && body != NULL ? cli_json_text(body) : NULL;
	json_decref(body);
	if (text == NULL)
		return errmsg_rc(why, RC_INVALID, "an argument is not UTF-8 or too long");
	call.body = text;
	call.body_len = strlen(text);
	buf_reset(&l->line);
	enum rc rc = control_client_send(client, &call, why);
	if (rc == RC_OK)
		rc = control_client_check(&call, why);
	control_client_done(&call);
	free(text);
	return rc;
}

static enum rc report_number(
    const struct listening *l, const char *name, int64_t *out, struct errmsg *why)
{
	json_t *root = json_loadb(buf_text(&l->line), l->line.len, 0, NULL);
	const json_t *number = json_object_get(root, name);
	enum rc rc = RC_OK;

	if (json_is_integer(number))
		*out = json_integer_value(number);
	else
		rc = errmsg_rc(why, RC_IO, "the node's answer is no report");
	json_decref(root);
	return rc;
}

/* How many it would be, and whether that is meant. */
static enum rc confirm(struct control_client *client, const struct forget_options *values,
    struct listening *l, struct errmsg *why)
{
	char answer[16] = "";
	int64_t records = 0;

	enum rc rc = send(client, values, true, l, why);
	if (rc == RC_OK)
		rc = report_number(l, "forgotten", &records, why);
	if (rc != RC_OK)
		return rc;
	(void)fprintf(
	    stderr, "%" PRId64 " observations will be gone for good. Forget them? [y/N] ", records);
	if (fgets(answer, sizeof(answer), stdin) == NULL || (answer[0] != 'y' && answer[0] != 'Y'))
		return errmsg_rc(why, RC_CANCELLED, "nothing was forgotten");
	return RC_OK;
}

/* A backup that could not be reached keeps what it has, and says so by name. */
static void print_backups(const struct listening *l)
{
	json_t *root = json_loadb(buf_text(&l->line), l->line.len, 0, NULL);
	const json_t *backup = NULL;
	size_t i = 0;

	json_array_foreach(json_object_get(root, "backups"), i, backup)
	{
		const char *path = json_string_value(json_object_get(backup, "path"));
		const char *error = json_string_value(json_object_get(backup, "error"));
		(void)printf("backup %s: %s%s\n", path != NULL ? path : "",
		    error != NULL ? "STILL HOLDS IT, with its keys: " : "holds it no more",
		    error != NULL ? error : "");
	}
	json_decref(root);
}

static enum rc print_report(
    const struct forget_options *values, const struct listening *l, struct errmsg *why)
{
	int64_t forgotten = 0, keys = 0;

	if (values->json) {
		(void)fputs(buf_text(&l->line), stdout);
		return RC_OK;
	}
	enum rc rc = report_number(l, "forgotten", &forgotten, why);
	if (rc == RC_OK && values->dry_run)
		(void)printf("%" PRId64 " observations would be forgotten\n", forgotten);
	else if (rc == RC_OK)
		rc = report_number(l, "keys", &keys, why);
	if (rc == RC_OK && !values->dry_run)
		(void)printf("%" PRId64 " observations forgotten, %" PRId64 " keys destroyed\n",
		    forgotten, keys);
	if (rc == RC_OK && !values->dry_run)
		print_backups(l);
	return rc;
}

static enum rc run(struct control_client *client, const struct forget_options *values,
    struct listening *l, struct errmsg *why)
{
	enum rc rc = RC_OK;

	if (!values->dry_run && !values->yes && isatty(STDIN_FILENO))
		rc = confirm(client, values, l, why);
	l->bar = !values->dry_run && !values->json && isatty(STDERR_FILENO);
	if (rc == RC_OK)
		rc = send(client, values, values->dry_run, l, why);
	if (l->bar)
		(void)fputc('\n', stderr);
	return rc == RC_OK ? print_report(values, l, why) : rc;
}

int cli_forget(int argc, char **argv)
{
	struct forget_options values = { .from_ns = CLI_TIME_UNSET, .to_ns = CLI_TIME_UNSET };
	struct control_client *client = NULL;
	struct conf_argv args = { 0 };
	struct listening l = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct arena arena;

	arena_init(&arena, CLI_ARENA_BYTES);
	buf_init(&l.line, LINE_BYTES_MAX);
	int code = cli_parse(&command, argc, argv, &values, &args, &arena);
	if (code == CLI_GO_ON) {
		enum rc rc = control_client_open(cli_dir(values.dir, &arena), 0, &client, &why);
		if (rc == RC_OK)
			rc = run(client, &values, &l, &why);
		code = rc == RC_OK ? EXIT_DONE : cli_fail(command.name, rc, &why);
	}
	control_client_close(client);
	buf_fini(&l.line);
	arena_fini(&arena);
	return code;
}
