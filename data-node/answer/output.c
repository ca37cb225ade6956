/* Output: where text, reasoning and calls begin and end. */
#include "answer/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer/cite.h"
#include "answer/output_state.h"
#include "answer/tool_calls.h"
#include "base/random.h"
#include "wire/thought.h"

enum rc output_new(const struct output_config *config, struct output **out)
{
	struct output *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return RC_NOMEM;
	o->config = *config;
	if (config->calls == OUTPUT_CALLS_TAGS)
		o->marks = tool_marks_of(config->format);
	/* They were read before, so what is none is no memory: calls are read without. */
	if (o->marks != NULL && config->tools != NULL)
		o->tools = (struct tool_schema){ json_loads(config->tools, JSON_ALLOW_NUL, NULL),
			config->must };
	o->close = wire_thoughts[0].close;
	o->where = config->within                         ? IN_REASONING
		   : config->reasoning                    ? AT_START
		   : config->calls == OUTPUT_CALLS_FORCED ? IN_CALL
							  : IN_TEXT;
	buf_init(&o->held, OUTPUT_BYTES_MAX);
	*out = o;
	return RC_OK;
}

void output_free(struct output *o)
{
	if (o == NULL)
		return;
	tool_calls_free(o->ready);
	json_decref(o->tools.tools);
	buf_fini(&o->held);
	free(o);
}

void output_begin_within(struct output *o)
{
	o->where = IN_REASONING;
}

void output_push(struct output *o, const char *text, size_t len)
{
	buf_append(&o->held, text, len);
}

void output_end(struct output *o)
{
	o->ended = true;
}

enum rc output_rc(const struct output *o)
{
	return buf_rc(&o->held);
}

unsigned output_calls(const struct output *o)
{
	return o->calls;
}

/* ---- looking ---- */

static size_t blanks(const struct output *o)
{
	size_t n = 0;

	while (n < o->held.len && strchr(" \n\r\t", buf_text(&o->held)[n]) != NULL)
		n++;
	return n;
}

size_t output_find_from(const struct output *o, size_t from, const char *mark, bool *whole)
{
	const char *text = buf_text(&o->held);
	size_t len = strlen(mark), left = o->held.len - from;
	const char *found = memmem(text + from, left, mark, len);

	*whole = found != NULL;
	if (found != NULL)
		return (size_t)(found - text);
	for (size_t n = len - 1 < left ? len - 1 : left; n > 0; n--) {
		if (memcmp(text + o->held.len - n, mark, n) == 0)
			return o->held.len - n;
	}
	return o->held.len;
}

size_t output_find(const struct output *o, const char *mark, bool *whole)
{
	return output_find_from(o, 0, mark, whole);
}

bool output_begins(const struct output *o, size_t at, const char *mark, bool *whole)
{
	size_t len = strlen(mark), left = o->held.len - at;

	*whole = left >= len;
	if (*whole)
		return memcmp(buf_text(&o->held) + at, mark, len) == 0;
	return !o->ended && memcmp(buf_text(&o->held) + at, mark, left) == 0;
}

static bool give(struct output *o, enum output_kind kind, size_t len, struct output_piece *out)
{
	*out = (struct output_piece){ .kind = kind, .text = buf_text(&o->held), .len = len };
	o->given = len;
	return len > 0;
}

/* Reasoning or a message begins here; false: neither.  `*wait`: or it may still. */
static bool begin_within(struct output *o, size_t at, bool *wait)
{
	bool whole;

	*wait = false;
	for (size_t i = 0; i < WIRE_THOUGHTS_LEN; i++) {
		if ((o->where != AT_START && !wire_thoughts[i].again) ||
		    !output_begins(o, at, wire_thoughts[i].open, &whole))
			continue;
		*wait = !whole;
		if (!whole)
			return false;
		buf_consume(&o->held, at + strlen(wire_thoughts[i].open));
		o->close = wire_thoughts[i].close;
		o->where = IN_REASONING;
		return true;
	}
	if ((o->where != AT_START && !o->harmony) || !output_harmony_begins(o, at, &whole))
		return false;
	*wait = !whole;
	if (!whole)
		return false;
	buf_consume(&o->held, at);
	o->harmony = true;
	o->where = IN_HEADER;
	return true;
}

/* The front: reasoning, or a text that is nothing but a call, or neither. */
static bool begin(struct output *o)
{
	size_t n = blanks(o);
	bool wait;

	if (n == o->held.len)
		return false;
	if (o->config.reasoning && begin_within(o, n, &wait))
		return true;
	if (o->config.reasoning && wait)
		return false;
	if (o->where == BEHIND_REASONING || o->config.must) {
		buf_consume(&o->held, n); /* the blanks between the two are neither's */
		n = 0;
	}
	o->where = o->config.calls == OUTPUT_CALLS_FORCED                               ? IN_CALL
		   : o->marks != NULL && o->marks->bare && buf_text(&o->held)[n] == '{' ? IN_CALL
											: IN_TEXT;
	return true;
}

static bool next_reasoning(struct output *o, struct output_piece *out)
{
	bool whole;
	size_t mark_len = strlen(o->close);
	size_t at = o->harmony ? output_harmony_end(o, 0, &whole, &mark_len)
			       : output_find(o, o->close, &whole);

	if (at > 0)
		return give(o, OUTPUT_REASONING, !whole && o->ended ? o->held.len : at, out);
	if (whole) {
		buf_consume(&o->held, mark_len);
		o->where = BEHIND_REASONING;
		return output_next(o, out);
	}
	return give(o, OUTPUT_REASONING, o->ended ? o->held.len : 0, out);
}

/* Text of the first `len` bytes that are held; `whole`: they end where they do. */
static bool give_text(struct output *o, size_t len, bool whole, struct output_piece *out)
{
	struct cite *cite = o->config.cite;

	if (cite == NULL)
		return give(o, OUTPUT_TEXT, len, out);
	while (len > 0) {
		size_t n = 0;
		enum cite_verdict verdict = cite_look(cite, buf_text(&o->held), len, whole, &n);

		if (verdict == CITE_HOLD)
			return false;
		if (verdict == CITE_GIVE)
			return give(o, OUTPUT_TEXT, n, out);
		buf_consume(&o->held, n);
		len -= n;
		if (cite->instead_len == 0)
			continue;
		*out = (struct output_piece){
			.kind = OUTPUT_TEXT, .text = cite->instead, .len = cite->instead_len
		};
		return true;
	}
	return output_next(o, out);
}

static bool next_text(struct output *o, struct output_piece *out)
{
	bool whole = false, over = false;
	size_t mark_len = 0;
	size_t at = o->harmony ? output_harmony_end(o, 0, &over, &mark_len) : o->held.len;

	whole = over;
	for (size_t i = 0; o->marks != NULL && i < TOOL_MARKS_MAX && o->marks->open[i] != NULL;
	     i++) {
		bool this_whole;
		size_t this_at = output_find(o, o->marks->open[i], &this_whole);

		if (this_at < at) {
			at = this_at;
			whole = this_whole;
			over = false;
		}
	}
	if (!whole && o->ended)
		at = o->held.len;
	if (at > 0)
		return give_text(o, at, whole || o->ended, out);
	if (!whole)
		return false;
	buf_consume(&o->held, over ? mark_len : 0);
	o->where = over ? BEHIND_REASONING : IN_CALL;
	return output_next(o, out);
}

/* ---- calls ---- */

/* The calls that are held, up to `len` bytes; false: they cannot be read. */
static bool read_calls(struct output *o, size_t len)
{
	const char *text = buf_text(&o->held);

	o->ready = o->config.calls == OUTPUT_CALLS_FORCED
		       ? tool_calls_parse(TOOL_FORM_FORCED, &o->tools, text, len)
		   : o->callee[0] != '\0' ? tool_calls_of(o->callee, text, len)
					  : tool_calls_parse(o->marks->form, &o->tools, text, len);
	o->ready_at = 0;
	return o->ready != NULL;
}

static bool give_ready(struct output *o, struct output_piece *out)
{
	const struct tool_call *call;

	if (o->ready_at == o->ready->len || o->calls >= OUTPUT_CALLS_MAX ||
	    (o->config.one_call && o->calls > 0)) {
		tool_calls_free(o->ready);
		o->ready = NULL;
		return output_next(o, out);
	}
	call = &o->ready->calls[o->ready_at++];
	(void)snprintf(o->id, sizeof(o->id), "call_%016llx%08llx", (unsigned long long)random_u64(),
	    (unsigned long long)(random_u64() >> 32));
	*out = (struct output_piece){ .kind = OUTPUT_CALL,
		.text = call->arguments,
		.len = strlen(call->arguments),
		.name = call->name,
		.id = o->id,
		.index = o->calls++ };
	return true;
}

/* What is held of a call's text: up to where, and the bytes that end it behind that.  False:
 * its end is not there yet. */
static bool call_ends(struct output *o, size_t *len, size_t *behind)
{
	/* Within a message tags may stand, where the model was told of calls in words. */
	const bool message =
	    o->harmony && (o->callee[0] != '\0' || o->config.calls == OUTPUT_CALLS_FORCED);
	const char *close = o->marks != NULL ? o->marks->close : NULL;
	const enum tool_form form = message            ? TOOL_FORM_FORCED
				    : o->marks != NULL ? o->marks->form
						       : 0;
	bool whole = false;

	*behind = 0;
	*len = o->looked; /* and no further back: texts may be full of what would end it */
	/* What would end it may stand in a text among its arguments. */
	do {
		*len = message         ? output_harmony_end(o, *len, &whole, behind)
		       : close != NULL ? output_find_from(o, *len, close, &whole)
				       : o->held.len;
	} while (whole && tool_calls_within(form, &o->tools, buf_text(&o->held), *len) && ++*len);
	if (whole && !message)
		*len += strlen(close);
	o->looked = whole || o->ended ? 0 : *len;
	if (!whole)
		*len = o->held.len;
	return whole || o->ended;
}

/* A call is read when its end is there, or the answer's. */
static bool next_call(struct output *o, struct output_piece *out)
{
	size_t len, behind;

	if (!call_ends(o, &len, &behind))
		return false;
	if (len == 0 && behind == 0)
		return false;
	bool is = len > 0 && read_calls(o, len);

	o->callee[0] = '\0';
	if (!is) {
		const bool all =
		    !o->harmony && (o->ended || o->config.calls == OUTPUT_CALLS_FORCED);

		o->where = all ? OVER : IN_TEXT;
		return give(o, OUTPUT_TEXT, all ? o->held.len : len, out) ||
		       (behind > 0 && output_next(o, out));
	}
	buf_consume(&o->held, len + behind);
	o->where = BEHIND_REASONING; /* blanks between calls are nobody's */
	return give_ready(o, out);
}

bool output_next(struct output *o, struct output_piece *out)
{
	if (o->given > 0) {
		buf_consume(&o->held, o->given);
		o->given = 0;
	}
	if (o->ready != NULL)
		return give_ready(o, out);
	switch (o->where) {
	case AT_START:
	case BEHIND_REASONING:
		return begin(o) && output_next(o, out);
	case IN_HEADER:
		return output_harmony_header(o) && output_next(o, out);
	case IN_REASONING:
		return next_reasoning(o, out);
	case IN_TEXT:
		return next_text(o, out);
	case IN_CALL:
		return next_call(o, out);
	case OVER:
		break;
	}
	return false;
}
