/* Output: where text, reasoning and calls begin and end. */
#include "answer/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer/cite.h"
#include "answer/tool_calls.h"
#include "base/buf.h"
#include "base/random.h"

static const char think_open[] = "<think>", think_close[] = "</think>";

enum where { AT_START, IN_REASONING, BEHIND_REASONING, IN_TEXT, IN_CALL, OVER };

struct output {
	struct output_config config;
	enum where where;
	bool ended;
	const struct tool_marks *marks; /* NULL: none open a call */
	struct buf held;                /* what was not given out yet */
	size_t given;                   /* bytes of it that the last piece was */
	struct tool_calls *ready;       /* calls that were read, one a piece */
	size_t ready_at;
	unsigned calls;
	char id[OUTPUT_ID_BYTES];
};

enum rc output_new(const struct output_config *config, struct output **out)
{
	struct output *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return RC_NOMEM;
	o->config = *config;
	if (config->calls == OUTPUT_CALLS_TAGS)
		o->marks = tool_marks_of(config->format);
	o->where = config->within                         ? IN_REASONING
		   : config->calls == OUTPUT_CALLS_FORCED ? IN_CALL
		   : config->reasoning                    ? AT_START
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

/* Where `mark` stands in what is held, or may still: `*whole` tells which.  held.len: nowhere. */
static size_t find(const struct output *o, const char *mark, bool *whole)
{
	const char *text = buf_text(&o->held);
	size_t len = strlen(mark);
	const char *found = memmem(text, o->held.len, mark, len);

	*whole = found != NULL;
	if (found != NULL)
		return (size_t)(found - text);
	for (size_t n = len - 1 < o->held.len ? len - 1 : o->held.len; n > 0; n--) {
		if (memcmp(text + o->held.len - n, mark, n) == 0)
			return o->held.len - n;
	}
	return o->held.len;
}

static bool give(struct output *o, enum output_kind kind, size_t len, struct output_piece *out)
{
	*out = (struct output_piece){ .kind = kind, .text = buf_text(&o->held), .len = len };
	o->given = len;
	return len > 0;
}

/* The front: reasoning, or a text that is nothing but a call, or neither. */
static bool begin(struct output *o)
{
	size_t n = blanks(o), left = o->held.len - n;
	const char *text = buf_text(&o->held) + n;
	size_t len = strlen(think_open);

	if (left == 0)
		return false;
	if (o->where == AT_START && left < len && memcmp(text, think_open, left) == 0 && !o->ended)
		return false;
	if (o->where == AT_START && left >= len && memcmp(text, think_open, len) == 0) {
		buf_consume(&o->held, n + len);
		o->where = IN_REASONING;
		return true;
	}
	if (o->where == BEHIND_REASONING)
		buf_consume(&o->held, n); /* the blanks between the two are neither's */
	o->where = o->config.calls == OUTPUT_CALLS_FORCED               ? IN_CALL
		   : o->marks != NULL && o->marks->bare && *text == '{' ? IN_CALL
									: IN_TEXT;
	return true;
}

static bool next_reasoning(struct output *o, struct output_piece *out)
{
	bool whole;
	size_t at = find(o, think_close, &whole);

	if (at > 0)
		return give(o, OUTPUT_REASONING, !whole && o->ended ? o->held.len : at, out);
	if (whole) {
		buf_consume(&o->held, strlen(think_close));
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
	bool whole = false;
	size_t at = o->held.len;

	for (size_t i = 0; o->marks != NULL && i < TOOL_MARKS_MAX && o->marks->open[i] != NULL;
	     i++) {
		bool this_whole;
		size_t this_at = find(o, o->marks->open[i], &this_whole);

		if (this_at < at) {
			at = this_at;
			whole = this_whole;
		}
	}
	if (!whole && o->ended)
		at = o->held.len;
	if (at > 0)
		return give_text(o, at, whole || o->ended, out);
	if (!whole)
		return false;
	o->where = IN_CALL;
	return output_next(o, out);
}

/* ---- calls ---- */

/* The calls that are held, up to `len` bytes; false: they cannot be read. */
static bool read_calls(struct output *o, size_t len)
{
	const char *text = buf_text(&o->held);

	o->ready = o->config.calls == OUTPUT_CALLS_FORCED
		       ? tool_calls_parse(TOOL_FORM_FORCED, text, len)
		       : tool_calls_parse(o->marks->form, text, len);
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

/* A call is read when its end is there, or the answer's. */
static bool next_call(struct output *o, struct output_piece *out)
{
	const char *close = o->marks != NULL ? o->marks->close : NULL;
	bool whole = false;
	size_t at = close != NULL ? find(o, close, &whole) : o->held.len;

	if (!whole && !o->ended)
		return false;
	size_t len = whole ? at + strlen(close) : o->held.len;
	if (len == 0)
		return false;
	if (!read_calls(o, len)) {
		o->where = IN_TEXT;
		if (o->config.calls != OUTPUT_CALLS_FORCED && !o->ended)
			return give(o, OUTPUT_TEXT, len, out);
		o->where = OVER;
		return give(o, OUTPUT_TEXT, o->held.len, out);
	}
	buf_consume(&o->held, len);
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
