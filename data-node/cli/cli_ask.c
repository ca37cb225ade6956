/* `data-node ask`: a question, its answer as it comes, the sources under it. */
#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/rc.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cloud/sse.h"
#include "gateway/station.h"

#define QUOTE_COLUMNS 100
#define EVENT_BYTES_MAX ((size_t)8 << 20)

struct ask_options {
	const char *dir, *model;
	int64_t max_tokens;
};

static const struct conf_option options[] = {
	CLI_OPTION_DIR(struct ask_options),
	{ .name = "model",
	    .type = CONF_STRING,
	    .offset = offsetof(struct ask_options, model),
	    .value = "NAME",
	    .fallback = "hearth",
	    .help = "\"hearth\" answers with your moments, a model's own name without" },
	{ .name = "max-tokens",
	    .letter = 'n',
	    .type = CONF_INT,
	    .offset = offsetof(struct ask_options, max_tokens),
	    .value = "N",
	    .fallback = "0",
	    .min = 0,
	    .max = 1000000,
	    .help = "longest answer; 0: the node's setting" },
	{ .name = NULL },
};

static const struct conf_command command = {
	.name = "ask",
	.args = "QUESTION",
	.args_min = 1,
	.args_max = CONF_ARGS_MAX,
	.summary = "ask a question",
	.detail = "Streams the answer, then lists the moments that it rests on.",
	.options = options,
};

struct asking {
	struct sse sse;
	json_t *sources; /* the "hearth" object of the last chunk */
	bool said, failed, finished;
	char error[256];
};

static void note_error(struct asking *a, const json_t *error)
{
	const char *message = json_string_value(json_object_get(error, "message"));

	a->failed = true;
	(void)snprintf(a->error, sizeof(a->error), "%s",
	    message != NULL ? message : "the answer ended in an error");
}

static bool on_event(void *ctx, const char *data)
{
	struct asking *a = ctx;

	if (strcmp(data, "[DONE]") == 0) {
		a->finished = true;
		return true;
	}
	json_t *chunk = json_loads(data, 0, NULL);
	const json_t *error = json_object_get(chunk, "error");
	if (json_is_object(error))
		note_error(a, error);
	const json_t *choice = json_array_get(json_object_get(chunk, "choices"), 0);
	const char *text =
	    json_string_value(json_object_get(json_object_get(choice, "delta"), "content"));
	if (text != NULL && text[0] != 0) {
		cli_put_text(stdout, text, 0);
		(void)fflush(stdout);
		a->said = true;
	}
	json_t *hearth = json_object_get(chunk, "hearth");
	if (json_is_object(hearth)) {
		json_decref(a->sources);
		a->sources = json_incref(hearth);
	}
	json_decref(chunk);
	return true;
}

static bool on_bytes(void *ctx, const char *bytes, size_t len)
{
	return sse_push(&((struct asking *)ctx)->sse, bytes, len);
}

static void print_sources(const json_t *hearth)
{
	const json_t *list = json_object_get(hearth, "sources");
	const json_t *source = NULL;
	size_t i = 0;

	if (json_array_size(list) == 0)
		return;
	(void)printf("\nSources:\n");
	json_array_foreach(list, i, source)
	{
		const char *start = json_string_value(json_object_get(source, "start"));
		const char *layer = json_string_value(json_object_get(source, "layer"));
		const char *quote = json_string_value(json_object_get(source, "quote"));
		(void)printf("  [%zu] ", i + 1);
		cli_put_time(stdout, start != NULL ? start : "");
		(void)printf("  %-11s  ", layer != NULL ? layer : "");
		cli_put_text(stdout, quote != NULL ? quote : "", QUOTE_COLUMNS);
		(void)printf("\n");
	}
}

/* The words of the command line are one question. */
static char *request_body(
    const struct ask_options *values, const struct conf_argv *args, struct arena *arena)
{
	const char *question = args->args[0];

	for (size_t i = 1; i < args->args_len && question != NULL; i++)
		question = arena_printf(arena, "%s %s", question, args->args[i]);
	if (question == NULL)
		return NULL;
	json_t *body = json_pack("{s:s, s:b, s:{s:b}, s:[{s:s, s:s}]}", "model", values->model,
	    "stream", 1, "stream_options", "include_usage", 1, "messages", "role", "user",
	    "content", question);
	if (body != NULL && values->max_tokens > 0 &&
	    json_object_set_new(body, "max_tokens", json_integer(values->max_tokens)) != 0) {
		json_decref(body);
		body = NULL;
	}
	char *text = body != NULL ? cli_json_text(body) : NULL;
	json_decref(body);
	return text;
}

static enum rc ask(const struct ask_options *values, const struct conf_argv *args,
    struct arena *arena, struct errmsg *why)
{
	struct control_client_call call = { .method = "POST", .target = "/v1/chat/completions" };
	struct control_client *client = NULL;
	struct asking a = { .said = false };

	sse_init(&a.sse, EVENT_BYTES_MAX, on_event, &a);
	char *body = request_body(values, args, arena);
	enum rc rc = body == NULL ? errmsg_rc(why, RC_INVALID, "the question is not UTF-8") : RC_OK;
	if (rc == RC_OK)
		rc = control_client_open(cli_dir(values->dir, arena), STATION_ALL, &client, why);
	if (rc == RC_OK) {
		call.body = body;
		call.body_len = strlen(body);
		call.sink = on_bytes;
		call.sink_ctx = &a;
		rc = control_client_send(client, &call, why);
		if (rc == RC_OK)
			rc = control_client_check(&call, why);
	}
	if (a.said)
		(void)printf("\n");
	if (rc == RC_OK && a.failed)
		rc = errmsg_rc(why, RC_UNAVAILABLE, "%s", a.error);
	else if (rc == RC_OK && !a.finished)
		rc = errmsg_rc(why, RC_CLOSED, "the answer broke off");
	print_sources(a.sources);
	json_decref(a.sources);
	control_client_done(&call);
	control_client_close(client);
	sse_fini(&a.sse);
	free(body);
	return rc;
}

int cli_ask(int argc, char **argv)
{
	struct ask_options values = { 0 };
	struct conf_argv args = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct arena arena;

	arena_init(&arena, CLI_ARENA_BYTES);
	int code = cli_parse(&command, argc, argv, &values, &args, &arena);
	if (code == CLI_GO_ON) {
		enum rc rc = ask(&values, &args, &arena, &why);
		code = rc == RC_OK ? EXIT_DONE : cli_fail(command.name, rc, &why);
	}
	arena_fini(&arena);
	return code;
}
