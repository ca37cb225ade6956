/*
 * Text of an answer.  Bytes pass two stages: `raw` holds a code point that is
 * not whole yet, `held` what could still become a stop string.
 */
#include "infer/textstream.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "base/wipe.h"
#include "tokenize/tokenizer.h"

#define STOPS_MAX 64u
#define STOP_BYTES_MAX 1024u
#define REPLACEMENT "\xef\xbf\xbd"
#define REPLACEMENT_BYTES 3

struct textstream {
	const struct tokenizer *tokenizer;
	char **stops;
	size_t stops_len, stop_bytes_max;
	bool skip_space; /* until the first byte */
	uint8_t raw[UTF8_BYTES_MAX];
	size_t raw_len;
	char *held; /* [held_cap] */
	size_t held_len, held_cap;
	uint64_t offset;
	const char *stop; /* the one that matched */
	bool markers;
	char *piece; /* [TOKEN_BYTES_MAX] */
};

static enum rc copy_stops(
    struct textstream *s, const char *const *stop, size_t stop_len, struct errmsg *why)
{
	if (stop_len > STOPS_MAX)
		return errmsg_rc(
		    why, RC_LIMIT, "stop: %zu strings (limit %u)", stop_len, STOPS_MAX);
	s->stops = calloc(stop_len + 1, sizeof(*s->stops));
	if (s->stops == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < stop_len; i++) {
		size_t len = strlen(stop[i]);

		if (len == 0)
			return errmsg_rc(why, RC_INVALID, "stop: string %zu is empty", i);
		if (len > STOP_BYTES_MAX)
			return errmsg_rc(why, RC_LIMIT, "stop: string %zu of %zu bytes (limit %u)",
			    i, len, STOP_BYTES_MAX);
		s->stops[i] = strdup(stop[i]);
		if (s->stops[i] == NULL)
			return RC_NOMEM;
		s->stops_len++;
		if (len > s->stop_bytes_max)
			s->stop_bytes_max = len;
	}
	return RC_OK;
}

enum rc textstream_new(const struct tokenizer *tokenizer, const char *const *stop, size_t stop_len,
    bool skip_first_space, struct textstream **out, struct errmsg *why)
{
	struct textstream *s = calloc(1, sizeof(*s));
	enum rc rc;

	if (s == NULL)
		return RC_NOMEM;
	s->tokenizer = tokenizer;
	s->skip_space = skip_first_space;
	rc = copy_stops(s, stop, stop_len, why);
	if (rc == RC_OK) {
		s->held_cap = s->stop_bytes_max + UTF8_BYTES_MAX;
		s->held = malloc(s->held_cap);
		s->piece = malloc(TOKEN_BYTES_MAX);
		if (s->held == NULL || s->piece == NULL)
			rc = RC_NOMEM;
	}
	if (rc != RC_OK) {
		textstream_free(s);
		return rc;
	}
	*out = s;
	return RC_OK;
}

void textstream_free(struct textstream *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->stops_len; i++)
		free(s->stops[i]);
	free(s->stops);
	if (s->held != NULL)
		wipe(s->held, s->held_cap);
	free(s->held);
	if (s->piece != NULL)
		wipe(s->piece, TOKEN_BYTES_MAX);
	free(s->piece);
	wipe(s->raw, sizeof(s->raw));
	free(s);
}

static void give(struct textstream *s, size_t len, struct buf *out)
{
	buf_append(out, s->held, len);
	s->offset += len;
	s->held_len -= len;
	memmove(s->held, s->held + len, s->held_len);
}

/* True if held text ends with the stop string. */
static bool ends_with(const struct textstream *s, const char *stop)
{
	size_t len = strlen(stop);

	return len <= s->held_len && memcmp(s->held + s->held_len - len, stop, len) == 0;
}

/* The longest end of the held text that begins a stop string. */
static size_t could_stop(const struct textstream *s)
{
	size_t longest = 0;

	for (size_t i = 0; i < s->stops_len; i++) {
		size_t len = strlen(s->stops[i]) - 1;

		for (len = len < s->held_len ? len : s->held_len; len > longest; len--) {
			if (memcmp(s->held + s->held_len - len, s->stops[i], len) == 0)
				longest = len;
		}
	}
	return longest;
}

/* One whole code point.  Returns true when a stop string is complete; of
 * several that end here the longest counts. */
static bool add(struct textstream *s, const void *bytes, size_t len, struct buf *out)
{
	const uint8_t *at = bytes;
	size_t longest = 0;

	if (s->skip_space) {
		s->skip_space = false;
		if (len == 1 && at[0] == ' ')
			return false;
	}
	memcpy(s->held + s->held_len, bytes, len);
	s->held_len += len;
	for (size_t i = 0; i < s->stops_len; i++) {
		if (ends_with(s, s->stops[i]) && strlen(s->stops[i]) > longest) {
			longest = strlen(s->stops[i]);
			s->stop = s->stops[i];
		}
	}
	give(s, s->held_len - (longest > 0 ? longest : could_stop(s)), out);
	return longest > 0;
}

/* Take whole code points out of `raw`; `last`: nothing follows. */
static bool drain(struct textstream *s, bool last, struct buf *out)
{
	while (s->raw_len > 0) {
		uint32_t cp;
		size_t len = utf8_decode(s->raw, s->raw_len, &cp);
		bool stopped;

		if (len == 0 && !last && utf8_pending(s->raw, s->raw_len) == s->raw_len)
			return false;
		if (len > 0)
			stopped = add(s, s->raw, len, out);
		else
			stopped = add(s, REPLACEMENT, REPLACEMENT_BYTES, out);
		len = len > 0 ? len : 1;
		s->raw_len -= len;
		memmove(s->raw, s->raw + len, s->raw_len);
		if (stopped)
			return true;
	}
	return false;
}

void textstream_show_markers(struct textstream *s)
{
	s->markers = true;
}

static bool is_marker(const char *text, size_t len)
{
#define BAR "\xef\xbd\x9c"
#define GAP "\xe2\x96\x81"
	static const char *const markers[] = { "<think>", "</think>", "<tool_call>", "</tool_call>",
		"<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>", "[TOOL_CALLS]", "[ARGS]",
		"[CALL_ID]", "<|python_tag|>", "<" BAR "tool" GAP "calls" GAP "begin" BAR ">",
		"<" BAR "tool" GAP "calls" GAP "end" BAR ">",
		"<" BAR "tool" GAP "call" GAP "begin" BAR ">",
		"<" BAR "tool" GAP "call" GAP "end" BAR ">", "<" BAR "tool" GAP "sep" BAR ">",
		"<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<|constrain|>",
		"<|tool_call>", "<tool_call|>", "<|channel>", "<channel|>", "<|\"|>" };

	for (size_t i = 0; i < sizeof(markers) / sizeof(markers[0]); i++) {
		if (strlen(markers[i]) == len && memcmp(markers[i], text, len) == 0)
			return true;
	}
	return false;
}

bool textstream_push(struct textstream *s, int32_t token, struct buf *out)
{
	size_t len = tokenizer_piece(s->tokenizer, token, false, s->piece, TOKEN_BYTES_MAX);

	if (len == 0 && s->markers) {
		len = tokenizer_piece(s->tokenizer, token, true, s->piece, TOKEN_BYTES_MAX);
		len = len <= TOKEN_BYTES_MAX && is_marker(s->piece, len) ? len : 0;
	}
	if (s->stop != NULL)
		return true;
	for (size_t i = 0; i < len; i++) {
		s->raw[s->raw_len++] = (uint8_t)s->piece[i];
		if (drain(s, false, out))
			return true;
	}
	return false;
}

void textstream_flush(struct textstream *s, struct buf *out)
{
	if (s->stop != NULL || drain(s, true, out))
		return;
	give(s, s->held_len, out);
}

uint64_t textstream_offset(const struct textstream *s)
{
	return s->offset;
}

const char *textstream_stop(const struct textstream *s)
{
	return s->stop;
}
