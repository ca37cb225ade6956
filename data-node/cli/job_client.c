/* Job client: lines of progress, and the last one. */
#include "cli/job_client.h"

#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

#define LINE_BYTES_MAX ((size_t)16 << 20)

struct reading {
	const struct bar *bar;
	struct buf line; /* the last one, or what is there of the next */
	bool whole;      /* it had its end */
};

static void take_line(struct reading *r)
{
	json_t *root = json_loadb(buf_text(&r->line), r->line.len, 0, NULL);
	const json_t *done = json_object_get(root, "done");

	if (json_is_integer(done))
		bar_draw(r->bar, (uint64_t)json_integer_value(done),
		    (uint64_t)json_integer_value(json_object_get(root, "total")));
	json_decref(root);
	r->whole = true;
}

static bool take(void *ctx, const char *bytes, size_t len)
{
	struct reading *r = ctx;

	while (len > 0) {
		const char *end = memchr(bytes, '\n', len);
		size_t n = end != NULL ? (size_t)(end - bytes) : len;
		if (r->whole)
			buf_reset(&r->line);
		r->whole = false;
		buf_append(&r->line, bytes, n);
		if (end != NULL)
			take_line(r);
		n += end != NULL;
		bytes += n;
		len -= n;
	}
	return buf_rc(&r->line) == RC_OK;
}

static enum rc rc_of_word(const char *word)
{
	for (int rc = RC_OK + 1; rc <= RC_BUG; rc++) {
		if (strcmp(rc_word((enum rc)rc), word) == 0)
			return (enum rc)rc;
	}
	return RC_IO;
}

static enum rc read_result(const struct reading *r, json_t **result, struct errmsg *why)
{
	json_t *root = r->whole ? json_loadb(buf_text(&r->line), r->line.len, 0, NULL) : NULL;
	const json_t *error = json_object_get(root, "error");
	const char *message = json_string_value(json_object_get(error, "message"));
	const char *code = json_string_value(json_object_get(error, "code"));

	if (root == NULL || json_object_get(root, "done") != NULL) {
		json_decref(root);
		return errmsg_rc(why, RC_CLOSED, "the node broke off");
	}
	if (error != NULL) {
		enum rc rc = rc_of_word(code != NULL ? code : "");
		errmsg_set(why, "%s", message != NULL ? message : rc_text(rc));
		json_decref(root);
		return rc;
	}
	*result = root;
	return RC_OK;
}

enum rc job_client_run(struct control_client *client, const char *target, json_t *body_take,
    const struct bar *bar, json_t **result, struct errmsg *why)
{
	struct reading reading = { .bar = bar };
	char *body = cli_json_text(body_take);
	struct control_client_call call = {
		.method = "POST", .target = target, .sink = take, .sink_ctx = &reading
	};

	json_decref(body_take);
	if (body == NULL)
		return RC_NOMEM;
	call.body = body;
	call.body_len = strlen(body);
	buf_init(&reading.line, LINE_BYTES_MAX);
	enum rc rc = control_client_send(client, &call, why);
	bar_end(bar);
	if (rc == RC_OK)
		rc = control_client_check(&call, why);
	if (rc == RC_OK)
		rc = read_result(&reading, result, why);
	control_client_done(&call);
	buf_fini(&reading.line);
	free(body);
	return rc;
}
