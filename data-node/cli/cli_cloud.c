/* `data-node cloud`: models elsewhere, what may leave for them, and why. */
#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/rc.h"
#include "base/wipe.h"
#include "cli/cli.h"
#include "cli/cli_list.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cloud/cloud_policy.h"
#include "cloud/upstream.h"
#include "gateway/station.h"
#include "gateway/target.h"
#include "os/file.h"

struct cloud_options {
	const char *dir, *model, *size, *trust, *key_file, *ca_file, *when;
	int64_t context, day_tokens, month_tokens, tokens;
	double day_money, month_money, price_in, price_out;
	bool json;
};

#define ROW(option, kind, field)                                                                   \
	.name = option, .type = kind, .offset = offsetof(struct cloud_options, field),             \
	.flag_only = true
#define TOKENS .value = "N", .fallback = "0", .min = 0, .max = 1000000000000
#define MONEY .value = "X", .fallback = "0", .min = 0, .max = 1000000

static const struct conf_option options[] = {
	CLI_OPTION_DIR(struct cloud_options),
	{ ROW("model", CONF_STRING, model), .value = "NAME",
	    .help = "add: the model as it is called there; explain: which is asked for" },
	{ ROW("size", CONF_STRING, size), .value = "medium|large", .fallback = "medium",
	    .help = "add: what rules call it" },
	{ ROW("trust", CONF_STRING, trust), .value = "home|outside",
	    .help = "whose it is: your own, or anybody else's (add: outside)" },
	{ ROW("key-file", CONF_STRING, key_file), .value = "FILE",
	    .help = "add: its API key, kept sealed" },
	{ ROW("ca-file", CONF_STRING, ca_file), .value = "FILE",
	    .help = "add: certificates to trust there instead of the system's" },
	{ ROW("context", CONF_INT, context), TOKENS, .help = "add: tokens that a prompt may have" },
	{ ROW("day-tokens", CONF_INT, day_tokens), TOKENS, .help = "add: budget; 0: none" },
	{ ROW("month-tokens", CONF_INT, month_tokens), TOKENS, .help = "add: likewise" },
	{ ROW("day-money", CONF_REAL, day_money), MONEY, .help = "add: likewise, by its prices" },
	{ ROW("month-money", CONF_REAL, month_money), MONEY, .help = "add: likewise" },
	{ ROW("price-in", CONF_REAL, price_in), MONEY,
	    .help = "add: of a million tokens of prompt" },
	{ ROW("price-out", CONF_REAL, price_out), MONEY, .help = "add: of a million of answer" },
	{ ROW("when", CONF_STRING, when), .value = "always|long|away", .fallback = "always",
	    .help = "route: always, for long prompts, or while no compute node is up" },
	{ ROW("tokens", CONF_INT, tokens), TOKENS, .help = "route: how long is long" },
	{ ROW("json", CONF_BOOL, json), .help = "list, explain, ledger: as JSON" },
	{ .name = NULL },
};

static const struct conf_command command = {
	.name = "cloud",
	.args = "add NAME URL | list | remove NAME | allow WHAT... | deny WHAT... | route TO | "
		"explain [QUESTION] | ledger",
	.args_min = 1,
	.args_max = 64,
	.summary = "say which models elsewhere may be asked, and what may leave",
	.detail =
	    "URL is an OpenAI-compatible server's, https://HOST/v1. Programs ask it as the model\n"
	    "cloud/NAME: their own words leave then, nothing of the timeline does. `route` sends\n"
	    "hearth there too (TO: a NAME, medium, large, or none to end it), and only what is\n"
	    "allowed for its trust goes along: WHAT is a layer, question, conversation, facts,\n"
	    "source:NAME or label:RULE[=VALUE]. A source or label that is denied stays, also "
	    "where\n"
	    "its layer is allowed. `explain` tells where a question would go and why, and asks\n"
	    "nobody; `ledger` what went. All of it stands in cloud.json.",
	.options = options,
};

/* ---- requests ---- */

struct sent {
	struct control_client_call call;
	char *text; /* of the body */
};

/* Takes `body`; the answer is in `out`, sent_done() it. */
static enum rc send_json(struct control_client *client, const char *target, json_t *body,
    struct sent *out, struct errmsg *why)
{
	*out = (struct sent){ .call = { .method = "POST", .target = target } };
	out->text = body != NULL ? cli_json_text(body) : NULL;
	json_decref(body);
	if (out->text == NULL)
		return errmsg_rc(why, RC_INVALID, "an argument is not UTF-8");
	out->call.body = out->text;
	out->call.body_len = strlen(out->text);
	enum rc rc = control_client_send(client, &out->call, why);
	return rc == RC_OK ? control_client_check(&out->call, why) : rc;
}

static void sent_done(struct sent *sent)
{
	control_client_done(&sent->call);
	if (sent->text != NULL)
		wipe(sent->text, strlen(sent->text));
	free(sent->text);
}

static enum rc post(
    struct control_client *client, const char *target, json_t *body, struct errmsg *why)
{
	struct sent sent;

	enum rc rc = send_json(client, target, body, &sent, why);
	sent_done(&sent);
	return rc;
}

/* A file's text into `object`, without the line's end if it is one line; the file may be
 * a pipe's. */
static enum rc put_file(
    json_t *object, const char *member, const char *path, size_t max, struct errmsg *why)
{
	char text[CLOUD_CA_BYTES_MAX + 1];

	FILE *file = fopen(path, "re");
	if (file == NULL)
		return errmsg_errno(why, "cannot open %s", path);
	(void)setvbuf(file, NULL, _IONBF, 0); /* no copy of it stays behind */
	size_t len = fread(text, 1, sizeof(text) - 1, file);
	bool whole = feof(file) != 0 && len <= max;
	(void)fclose(file);
	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	text[len] = '\0';
	enum rc rc = RC_OK;
	if (!whole)
		rc = errmsg_rc(why, RC_LIMIT, "%s is too large", path);
	else if (len == 0 || json_object_set_new(object, member, json_string(text)) != 0)
		rc = errmsg_rc(why, RC_INVALID, "%s holds no text", path);
	wipe(text, sizeof(text));
	return rc;
}

static enum rc add(struct control_client *client, const struct cloud_options *values,
    const struct conf_argv *args, struct errmsg *why)
{
	json_t *upstream = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:f}",
	    "name", args->args[1], "url", args->args[2], "model", values->model, "size",
	    values->size, "trust", values->trust == NULL ? "outside" : values->trust, "context",
	    (json_int_t)values->context, "day_tokens", (json_int_t)values->day_tokens,
	    "month_tokens", (json_int_t)values->month_tokens, "day_money", values->day_money,
	    "month_money", values->month_money, "price_in", values->price_in, "price_out",
	    values->price_out);
	json_t *body = upstream == NULL ? NULL : json_pack("{s:o}", "upstream", upstream);
	enum rc rc = body == NULL ? errmsg_rc(why, RC_INVALID, "an argument is not UTF-8") : RC_OK;

	if (rc == RC_OK && values->ca_file != NULL)
		rc = put_file(upstream, "ca", values->ca_file, CLOUD_CA_BYTES_MAX, why);
	if (rc == RC_OK && values->key_file != NULL)
		rc = put_file(body, "key", values->key_file, UPSTREAM_KEY_BYTES_MAX, why);
	if (rc != RC_OK) {
		json_decref(body);
		return rc;
	}
	return post(client, "/control/cloud", body, why);
}

static enum rc leave(struct control_client *client, const struct cloud_options *values,
    const struct conf_argv *args, struct errmsg *why)
{
	json_t *words = json_array();

	for (size_t i = 1; i < args->args_len; i++)
		(void)json_array_append_new(words, json_string(args->args[i]));
	return post(client, "/control/cloud/leave",
	    json_pack("{s:s?, s:o}", "trust", values->trust, args->args[0], words), why);
}

static enum rc route(struct control_client *client, const struct cloud_options *values,
    const struct conf_argv *args, struct errmsg *why)
{
	const char *to = strcmp(args->args[1], "none") == 0 ? NULL : args->args[1];

	return post(client, "/control/cloud/route",
	    json_pack("{s:s?, s:s, s:I}", "to", to, "when", values->when, "tokens",
		(json_int_t)values->tokens),
	    why);
}

/* ---- shown ---- */

static void print_upstream(const json_t *upstream, const json_t *states)
{
	const json_t *state = json_object_get(states, cli_list_member(upstream, "name"));
	const json_t *day = json_object_get(state, "day"), *month = json_object_get(state, "month");

	(void)printf("%-16s %-8s %-8s %-9s %-5s %s, model %s\n", cli_list_member(upstream, "name"),
	    cli_list_member(upstream, "trust"), cli_list_member(upstream, "size"),
	    cli_list_member(state, "key"),
	    json_is_true(json_object_get(state, "down")) ? "down" : "up",
	    cli_list_member(upstream, "url"), cli_list_member(upstream, "model"));
	(void)printf("                 today %lld tokens, %.4f; this month %lld tokens, %.4f\n",
	    (long long)(json_integer_value(json_object_get(day, "tokens_in")) +
			json_integer_value(json_object_get(day, "tokens_out"))),
	    json_number_value(json_object_get(day, "money")),
	    (long long)(json_integer_value(json_object_get(month, "tokens_in")) +
			json_integer_value(json_object_get(month, "tokens_out"))),
	    json_number_value(json_object_get(month, "money")));
}

static void print_words(const char *before, const json_t *words)
{
	for (size_t i = 0; i < json_array_size(words); i++)
		(void)printf(" %s%s", before, json_string_value(json_array_get(words, i)));
}

static void print_leave(const char *trust, const json_t *leave)
{
	static const char *const flags[] = { "question", "conversation", "facts" };

	(void)printf("to %-8s may leave:", trust);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (json_is_true(json_object_get(leave, flags[i])))
			(void)printf(" %s", flags[i]);
	}
	print_words("", json_object_get(leave, "layers"));
	print_words("source:", json_object_get(leave, "sources"));
	print_words("label:", json_object_get(leave, "labels"));
	print_words("not source:", json_object_get(leave, "not_sources"));
	print_words("not label:", json_object_get(leave, "not_labels"));
	(void)printf("\n");
}

static void print_all(const json_t *root)
{
	const json_t *policy = json_object_get(root, "policy");
	const json_t *list = json_object_get(policy, "upstreams");
	const json_t *rules = json_object_get(policy, "hearth");
	const json_t *leaves = json_object_get(policy, "leave");

	(void)printf(
	    "%-16s %-8s %-8s %-9s %-5s %s\n", "NAME", "TRUST", "SIZE", "KEY", "STATE", "URL");
	for (size_t i = 0; i < json_array_size(list); i++)
		print_upstream(json_array_get(list, i), json_object_get(root, "state"));
	print_leave("home", json_object_get(leaves, "home"));
	print_leave("outside", json_object_get(leaves, "outside"));
	for (size_t i = 0; i < json_array_size(rules); i++) {
		const json_t *rule = json_array_get(rules, i);
		(void)printf("hearth goes to %s, %s\n", cli_list_member(rule, "to"),
		    cli_list_member(rule, "when"));
	}
	if (json_array_size(rules) == 0)
		(void)printf("hearth stays at home\n");
}

static enum rc list(struct control_client *client, bool as_json, struct errmsg *why)
{
	struct control_client_call call = { .method = "GET", .target = "/control/cloud" };

	enum rc rc = control_client_send(client, &call, why);
	if (rc == RC_OK)
		rc = control_client_check(&call, why);
	if (rc == RC_OK && as_json) {
		(void)fputs(buf_text(&call.answer), stdout);
	} else if (rc == RC_OK) {
		json_t *root = json_loadb(buf_text(&call.answer), call.answer.len, 0, NULL);
		print_all(root);
		json_decref(root);
	}
	control_client_done(&call);
	return rc;
}

static void print_line(const json_t *line)
{
	const int64_t device = json_integer_value(json_object_get(line, "device"));

	cli_put_time(stdout, cli_list_member(line, "at"));
	if (device > 0)
		(void)printf("  device %-4lld", (long long)device);
	else
		(void)printf("  %-11s", device == 0 ? "owner" : "operator");
	(void)printf(
	    "  %-13s %s\n", cli_list_member(line, "action"), cli_list_member(line, "object"));
}

static enum rc ledger(struct control_client *client, bool as_json, struct errmsg *why)
{
	struct buf target;

	buf_init(&target, TARGET_BYTES_MAX);
	buf_puts(&target, "/control/audit?of=cloud&limit=1000");
	enum rc rc = cli_list_show(client, &target, as_json, "audit", print_line, why);
	buf_fini(&target);
	return rc;
}

static void print_counts(const char *what, const json_t *counts)
{
	const char *name;
	json_t *n;

	json_object_foreach((json_t *)counts, name, n)
	{
		(void)printf("  %s %s: %lld\n", what, name, (long long)json_integer_value(n));
	}
}

static void print_route(const json_t *root)
{
	const json_t *told = json_object_get(root, "route");
	const json_t *tried = json_object_get(told, "tried");
	const json_t *moments = json_object_get(told, "moments");

	(void)printf("%s: %s\n", cli_list_member(told, "to"), cli_list_member(told, "words"));
	for (size_t i = 0; i + 1 < json_array_size(tried); i++) {
		const json_t *step = json_array_get(tried, i);
		(void)printf(
		    "  not %s: %s\n", cli_list_member(step, "to"), cli_list_member(step, "reason"));
	}
	if (moments == NULL)
		return;
	(void)printf(
	    "moments found: %lld\n", (long long)json_integer_value(json_object_get(root, "found")));
	print_counts("would leave,", json_object_get(root, "leaving"));
	print_counts("would stay, by", json_object_get(moments, "kept"));
	print_counts("facts", json_object_get(told, "facts"));
}

static enum rc explain(struct control_client *client, const struct cloud_options *values,
    const struct conf_argv *args, struct errmsg *why)
{
	struct sent sent;
	struct buf question;

	buf_init(&question, TARGET_BYTES_MAX);
	for (size_t i = 1; i < args->args_len; i++)
		buf_printf(&question, "%s%s", i > 1 ? " " : "", args->args[i]);
	enum rc rc = send_json(client, "/control/cloud/explain",
	    json_pack("{s:s, s:s}", "question", buf_text(&question), "model",
		values->model == NULL ? "hearth" : values->model),
	    &sent, why);
	if (rc == RC_OK && values->json) {
		(void)fputs(buf_text(&sent.call.answer), stdout);
	} else if (rc == RC_OK) {
		json_t *root =
		    json_loadb(buf_text(&sent.call.answer), sent.call.answer.len, 0, NULL);
		print_route(root);
		json_decref(root);
	}
	sent_done(&sent);
	buf_fini(&question);
	return rc;
}

/* ---- the command ---- */

enum action { ADD, LIST, REMOVE, ALLOW, DENY, ROUTE, EXPLAIN, LEDGER, ACTIONS };

/* ACTIONS: none of them. */
static enum action action_of(const struct conf_argv *args, const struct cloud_options *values)
{
	static const struct {
		const char *word;
		size_t min, max;
	} actions[ACTIONS] = { { "add", 3, 3 }, { "list", 1, 1 }, { "remove", 2, 2 },
		{ "allow", 2, 64 }, { "deny", 2, 64 }, { "route", 2, 2 }, { "explain", 1, 64 },
		{ "ledger", 1, 1 } };
	size_t i = 0;

	while (
	    i < ACTIONS && (strcmp(args->args[0], actions[i].word) != 0 ||
			       args->args_len < actions[i].min || args->args_len > actions[i].max))
		i++;
	bool lacks = (i == ADD && values->model == NULL) || (i == ALLOW && values->trust == NULL);
	return lacks ? ACTIONS : (enum action)i;
}

static enum rc run(struct control_client *client, enum action action,
    const struct cloud_options *values, const struct conf_argv *args, struct errmsg *why)
{
	switch (action) {
	case ADD:
		return add(client, values, args, why);
	case REMOVE:
		return control_client_act(
		    client, "DELETE", "/control/cloud?name=", args->args[1], why);
	case ALLOW:
	case DENY:
		return leave(client, values, args, why);
	case ROUTE:
		return route(client, values, args, why);
	case EXPLAIN:
		return explain(client, values, args, why);
	case LEDGER:
		return ledger(client, values->json, why);
	default:
		return list(client, values->json, why);
	}
}

int cli_cloud(int argc, char **argv)
{
	struct cloud_options values = { 0 };
	struct control_client *client = NULL;
	struct conf_argv args = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct arena arena;

	arena_init(&arena, CLI_ARENA_BYTES);
	int code = cli_parse(&command, argc, argv, &values, &args, &arena);
	if (code != CLI_GO_ON)
		goto out;
	enum action action = action_of(&args, &values);
	if (action == ACTIONS) {
		(void)fprintf(stderr,
		    "usage: data-node cloud %s\nadd needs --model, allow needs --trust\n",
		    command.args);
		code = EXIT_USAGE;
		goto out;
	}
	unsigned parts = action == EXPLAIN ? STATION_RECALL | STATION_POOL : 0;
	enum rc rc = control_client_open(cli_dir(values.dir, &arena), parts, &client, &why);
	if (rc == RC_OK)
		rc = run(client, action, &values, &args, &why);
	code = rc == RC_OK ? EXIT_DONE : cli_fail(command.name, rc, &why);
out:
	control_client_close(client);
	arena_fini(&arena);
	return code;
}
