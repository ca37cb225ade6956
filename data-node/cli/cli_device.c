/* `data-node device`: tokens for phones, watchers and other senders. */
#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/rc.h"
#include "base/wipe.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/qr.h"
#include "gateway/target.h"

#define LAYER_WORD_BYTES_MAX 32

struct device_options {
	const char *dir, *url;
	struct conf_list layers;
	bool json;
	int64_t error_ns;
};

static const struct conf_option options[] = {
	CLI_OPTION_DIR(struct device_options),
	{ .name = "layers",
	    .type = CONF_LIST,
	    .offset = offsetof(struct device_options, layers),
	    .value = "LAYER,...",
	    .flag_only = true,
	    .help = "it may send events of these layers and do nothing else" },
	{ .name = "error",
	    .type = CONF_DURATION,
	    .offset = offsetof(struct device_options, error_ns),
	    .value = "TIME",
	    .fallback = "0s",
	    .flag_only = true,
	    .help = "how far its times may be off where it names no clock (else 1s)" },
	{ .name = "url",
	    .type = CONF_STRING,
	    .offset = offsetof(struct device_options, url),
	    .value = "URL",
	    .help = "where the device reaches this node, for the code (else where it listens)" },
	{ .name = "json",
	    .type = CONF_BOOL,
	    .offset = offsetof(struct device_options, json),
	    .help = "print JSON" },
	{ .name = NULL },
};

static const struct conf_command command = {
	.name = "device",
	.args = "add NAME | list | revoke NAME",
	.args_min = 1,
	.args_max = 2,
	.summary = "give devices their tokens",
	.detail =
	    "`add` prints a token and a QR code that holds the address, the pin of its\n"
	    "TLS key and the token, once. A device without --layers may do what the\n"
	    "owner may over HTTP, but for changing what is known about them (it may propose),\n"
	    "deciding about proposals, and reading the ledger and the cloud policy.",
	.options = options,
};

/* --layers text,home --layers visual → ["text","home","visual"] */
static json_t *layer_list(const struct conf_list *flags)
{
	json_t *list = json_array();

	for (size_t i = 0; i < flags->n; i++) {
		for (const char *p = flags->items[i];;) {
			size_t len = strcspn(p, ",");
			if (len > LAYER_WORD_BYTES_MAX ||
			    json_array_append_new(list, json_stringn(p, len)) != 0) {
				json_decref(list);
				return NULL;
			}
			if (p[len] == 0)
				break;
			p += len + 1;
		}
	}
	return list;
}

static enum rc print_added(const struct device_options *values, const struct buf *answer)
{
	json_t *root = json_loadb(buf_text(answer), answer->len, 0, NULL);
	const char *token = json_string_value(json_object_get(root, "token"));
	const char *name = json_string_value(json_object_get(root, "name"));
	enum rc rc = RC_OK;

	if (token == NULL || name == NULL) {
		json_decref(root);
		return RC_BUG;
	}
	const char *url = json_string_value(json_object_get(root, "url"));
	if (values->url != NULL)
		url = values->url;
	else if (url == NULL || url[0] == 0) {
		url = "http://127.0.0.1:8420"; /* where it serves by default */
		(void)fprintf(stderr,
		    "nothing serves now: the code holds %s and no pin; add the "
		    "device while the node serves, or give --url\n",
		    url);
	}
	/* The pin stands for the TLS key: the device needs no authority. */
	json_t *pairing = json_pack("{s:i, s:s, s:s, s:s, s:s*}", "hearth", 1, "url", url, "name",
	    name, "token", token, "pin", json_string_value(json_object_get(root, "pin")));
	char *text = pairing != NULL ? cli_json_text(pairing) : NULL;
	(void)printf("token: %s\n", token);
	if (text != NULL) {
		(void)printf("pairing: %s\n\n", text);
		rc = qr_print(stdout, text);
		wipe(text, strlen(text));
		free(text);
	}
	json_decref(pairing);
	json_decref(root);
	return rc;
}

static enum rc add(struct control_client *client, const struct device_options *values,
    const char *name, struct errmsg *why)
{
	struct control_client_call call = { .method = "POST", .target = "/control/devices" };

	json_t *body = json_pack("{s:s, s:o}", "name", name, "layers", layer_list(&values->layers));
	if (values->error_ns > 0 &&
	    json_object_set_new(body, "error_s", json_real((double)values->error_ns / 1e9)) != 0) {
		json_decref(body);
		return RC_NOMEM;
	}
	char *text = body != NULL ? cli_json_text(body) : NULL;
	json_decref(body);
	if (text == NULL)
		return errmsg_rc(why, RC_INVALID, "an argument is not UTF-8 or too long");
	call.body = text;
	call.body_len = strlen(text);
	enum rc rc = control_client_send(client, &call, why);
	if (rc == RC_OK)
		rc = control_client_check(&call, why);
	if (rc == RC_OK && values->json)
		(void)fputs(buf_text(&call.answer), stdout);
	else if (rc == RC_OK)
		rc = print_added(values, &call.answer);
	control_client_done(&call);
	free(text);
	return rc;
}

static void print_device(const json_t *device)
{
	const char *name = json_string_value(json_object_get(device, "name"));
	const char *seen = json_string_value(json_object_get(device, "last_seen"));
	const json_t *layers = json_object_get(device, "layers");
	bool revoked = json_is_string(json_object_get(device, "revoked"));
	const json_t *layer = NULL;
	size_t i = 0;

	(void)printf("%-16s %-8s ", name != NULL ? name : "", revoked ? "revoked" : "valid");
	if (seen != NULL)
		cli_put_time(stdout, seen);
	else
		(void)printf("%-19s", "never");
	(void)printf(" ");
	if (json_array_size(layers) == 0)
		(void)printf(" all");
	json_array_foreach(layers, i, layer)
	{
		(void)printf(" %s", json_string_value(layer));
	}
	(void)printf("\n");
}

static enum rc list(struct control_client *client, bool as_json, struct errmsg *why)
{
	struct control_client_call call = { .method = "GET", .target = "/control/devices" };
	const json_t *device = NULL;
	size_t i = 0;

	enum rc rc = control_client_send(client, &call, why);
	if (rc == RC_OK)
		rc = control_client_check(&call, why);
	if (rc == RC_OK && as_json) {
		(void)fputs(buf_text(&call.answer), stdout);
	} else if (rc == RC_OK) {
		json_t *root = json_loadb(buf_text(&call.answer), call.answer.len, 0, NULL);
		(void)printf("%-16s %-8s %-19s  %s\n", "NAME", "STATE", "LAST SEEN", "LAYERS");
		json_array_foreach(json_object_get(root, "devices"), i, device)
		{
			print_device(device);
		}
		json_decref(root);
	}
	control_client_done(&call);
	return rc;
}

int cli_device(int argc, char **argv)
{
	struct device_options values = { 0 };
	struct control_client *client = NULL;
	struct conf_argv args = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct arena arena;

	arena_init(&arena, CLI_ARENA_BYTES);
	int code = cli_parse(&command, argc, argv, &values, &args, &arena);
	if (code != CLI_GO_ON)
		goto out;
	bool is_list = strcmp(args.args[0], "list") == 0 && args.args_len == 1;
	bool is_add = strcmp(args.args[0], "add") == 0 && args.args_len == 2;
	bool is_revoke = strcmp(args.args[0], "revoke") == 0 && args.args_len == 2;
	if (!is_list && !is_add && !is_revoke) {
		(void)fprintf(stderr, "usage: data-node device %s\n", command.args);
		code = EXIT_USAGE;
		goto out;
	}
	enum rc rc = control_client_open(cli_dir(values.dir, &arena), 0, &client, &why);
	if (rc == RC_OK && is_list)
		rc = list(client, values.json, &why);
	else if (rc == RC_OK && is_add)
		rc = add(client, &values, args.args[1], &why);
	else if (rc == RC_OK)
		rc = control_client_act(
		    client, "DELETE", "/control/devices?name=", args.args[1], &why);
	code = rc == RC_OK ? EXIT_DONE : cli_fail(command.name, rc, &why);
out:
	control_client_close(client);
	arena_fini(&arena);
	return code;
}
