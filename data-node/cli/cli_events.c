/* `data-node events`: the events of a time range, as a table or as JSON. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/rc.h"
#include "base/timestamp.h"
#include "cli/cli_list.h"
#include "cli/commands.h"
#include "gateway/target.h"

#define PAGE_EVENTS 1000
#define TEXT_COLUMNS 100
#define NEXT_BYTES_MAX 128

struct events_options {
	const char *dir, *layer, *source;
	int64_t from_ns, to_ns, limit;
	bool json;
};

#define ROW(row_name, row_type, field)                                                             \
	.name = row_name, .type = row_type, .offset = offsetof(struct events_options, field)

static const struct conf_option options[] = {
	CLI_OPTION_DIR(struct events_options),
	{ ROW("from", CONF_TIME, from_ns), .value = "TIME", .help = "from this time on" },
	{ ROW("to", CONF_TIME, to_ns), .value = "TIME", .help = "before this time" },
	{ ROW("layer", CONF_STRING, layer), .value = "LAYER,...",
	    .help = "text, visual, auditory, behaviour, environment, home" },
	{ ROW("source", CONF_STRING, source), .value = "NAME", .help = "of this source only" },
	{ ROW("limit", CONF_INT, limit), .letter = 'n', .value = "N", .fallback = "0", .min = 0,
	    .max = 1e12, .help = "at most so many; 0: all" },
	{ ROW("json", CONF_BOOL, json), .help = "print the JSON of GET /api/v1/events" },
	{ .name = NULL },
};

static const struct conf_command command = {
	.name = "events",
	.summary = "list events of a time range",
	.options = options,
};

static void print_event(const json_t *event)
{
	const char *start = json_string_value(json_object_get(event, "start"));
	const char *text = json_string_value(json_object_get(event, "text"));
	const json_t *data = json_object_get(event, "data");

	if (start != NULL)
		cli_put_time(stdout, start);
	else /* integers are shown as they were sent */
		(void)printf(
		    "%-19lld", (long long)json_integer_value(json_object_get(event, "start")));
	(void)printf("  %-11s  ", cli_list_member(event, "layer"));
	cli_put_text(stdout, cli_list_member(event, "kind"), 20);
	(void)printf("  ");
	cli_put_text(stdout, cli_list_member(event, "source"), 20);
	(void)printf("  ");
	if (text != NULL) {
		cli_put_text(stdout, text, TEXT_COLUMNS);
	} else if (data != NULL) {
		char *dump = cli_json_text(data);
		cli_put_text(stdout, dump != NULL ? dump : "", TEXT_COLUMNS);
		free(dump);
	}
	(void)printf("\n");
}

/* The events' text of a page: what stands between the outer brackets. */
static bool page_inner(const struct buf *answer, const char **inner, size_t *len)
{
	static const char head[] = "{\"events\":[", tail[] = "],\"next\":";
	const char *text = buf_text(answer);

	if (strncmp(text, head, sizeof(head) - 1) != 0)
		return false;
	const char *end = text + answer->len;
	while (end > text + sizeof(head) - 1 && strncmp(end, tail, sizeof(tail) - 1) != 0)
		end--;
	*inner = text + sizeof(head) - 1;
	*len = (size_t)(end - *inner);
	return strncmp(end, tail, sizeof(tail) - 1) == 0;
}

struct listing {
	const struct events_options *values;
	int64_t shown;
	char next[NEXT_BYTES_MAX]; /* "" = that was the last page */
};

/* Print one page and note where the next begins. */
static enum rc print_page(struct listing *l, const struct buf *answer, struct errmsg *why)
{
	const json_t *event = NULL;
	const char *inner = NULL;
	size_t i = 0, len = 0;

	json_t *root = json_loadb(buf_text(answer), answer->len, 0, NULL);
	const json_t *events = json_object_get(root, "events");
	const char *next = json_string_value(json_object_get(root, "next"));
	if (!json_is_array(events) || !page_inner(answer, &inner, &len)) {
		json_decref(root);
		return errmsg_rc(why, RC_IO, "the node's answer is no list of events");
	}
	(void)snprintf(l->next, sizeof(l->next), "%s", next != NULL ? next : "");
	if (l->values->json) {
		if (l->shown > 0 && len > 0)
			(void)fputc(',', stdout);
		(void)fwrite(inner, 1, len, stdout);
	} else {
		json_array_foreach(events, i, event)
		{
			print_event(event);
		}
	}
	l->shown += (int64_t)json_array_size(events);
	json_decref(root);
	return RC_OK;
}

static enum rc get_page(struct control_client *client, struct listing *l, struct errmsg *why)
{
	const struct events_options *v = l->values;
	struct control_client_call call = { .method = "GET" };
	struct buf target;

	int64_t left = v->limit > 0 ? v->limit - l->shown : PAGE_EVENTS;
	buf_init(&target, TARGET_BYTES_MAX);
	buf_printf(&target, "/api/v1/events?limit=%lld",
	    (long long)(left < PAGE_EVENTS ? left : PAGE_EVENTS));
	cli_list_time(&target, "from", v->from_ns);
	cli_list_time(&target, "to", v->to_ns);
	cli_list_text(&target, "layer", v->layer);
	cli_list_text(&target, "source", v->source);
	cli_list_text(&target, "cursor", l->next[0] != 0 ? l->next : NULL);
	call.target = buf_text(&target);
	enum rc rc = buf_rc(&target);
	if (rc == RC_OK)
		rc = control_client_send(client, &call, why);
	if (rc == RC_OK)
		rc = control_client_check(&call, why);
	if (rc == RC_OK)
		rc = print_page(l, &call.answer, why);
	control_client_done(&call);
	buf_fini(&target);
	return rc;
}

static enum rc ask(struct control_client *client, const void *arg, const struct conf_argv *args,
    struct errmsg *why)
{
	const struct events_options *values = arg;
	struct listing l = { .values = values };
	enum rc rc = RC_OK;

	(void)args;
	if (values->json)
		(void)fputs("{\"events\":[", stdout);
	do {
		rc = get_page(client, &l, why);
	} while (rc == RC_OK && l.next[0] != 0 && (values->limit == 0 || l.shown < values->limit));
	if (rc != RC_OK || !values->json)
		return rc;
	if (l.next[0] != 0)
		(void)printf("],\"next\":\"%s\"}\n", l.next);
	else
		(void)printf("],\"next\":null}\n");
	return RC_OK;
}

int cli_events(int argc, char **argv)
{
	struct events_options values = { .from_ns = CLI_TIME_UNSET, .to_ns = CLI_TIME_UNSET };

	return cli_list_run(&command, argc, argv, &values, &values.dir, 0, ask);
}
