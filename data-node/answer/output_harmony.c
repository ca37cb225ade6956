/*
 * Harmony, the way of gpt-oss: an answer is a row of messages, and each has a header that
 * says its channel and whom it is for.
 *
 *   <|channel|>analysis<|message|>…<|end|>                           reasoning
 *   <|start|>assistant<|channel|>commentary to=functions.NAME
 *     <|constrain|>json<|message|>{…}<|call|>                        a call
 *   <|start|>assistant<|channel|>final<|message|>…<|return|>         text
 *
 * The prompt holds the first <|start|>assistant; whom it is for may also stand before the
 * channel.  Commentary for nobody is text: it is meant to be read.  Follows the format's
 * published description.
 */
#include <string.h>

#include "answer/output_state.h"

#define HEADER_BYTES_MAX ((size_t)512)

static const char start_mark[] = "<|start|>", channel_mark[] = "<|channel|>";
static const char message_mark[] = "<|message|>", recipient_mark[] = "to=";

bool output_harmony_begins(const struct output *o, size_t at, bool *whole)
{
	/* Without a name for the format a text may well begin with "to=". */
	const bool known = strcmp(o->config.format, "harmony") == 0;

	return output_begins(o, at, channel_mark, whole) ||
	       output_begins(o, at, start_mark, whole) ||
	       (known && output_begins(o, at, recipient_mark, whole));
}

size_t output_harmony_end(const struct output *o, size_t from, bool *whole, size_t *mark_len)
{
	/* The last two begin the next message, whatever was left out. */
	static const char *const marks[] = { "<|end|>", "<|call|>", "<|return|>", start_mark,
		channel_mark };
	size_t at = o->held.len;

	*whole = false;
	*mark_len = 0;
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		bool this_whole;
		size_t this_at = output_find_from(o, from, marks[i], &this_whole);

		if (this_at < at) {
			at = this_at;
			*whole = this_whole;
			*mark_len = i < 3 ? strlen(marks[i]) : 0;
		}
	}
	return at;
}

/* The word behind the last `mark` of a header; its length, 0: there is none. */
static size_t word_behind(const char *header, size_t len, const char *mark, const char **out)
{
	const char *found = NULL, *end = header + len;
	size_t n = 0;

	for (const char *at = header;
	     (at = memmem(at, (size_t)(end - at), mark, strlen(mark))) != NULL;)
		found = at += strlen(mark);
	while (found != NULL && found + n < end && strchr(" <\n\r\t", found[n]) == NULL)
		n++;
	*out = found;
	return n;
}

static bool is_word(const char *word, size_t len, const char *expected)
{
	return len == strlen(expected) && memcmp(word, expected, len) == 0;
}

/* What a message is, by its header of `len` bytes. */
static void enter(struct output *o, const char *header, size_t len)
{
	static const char functions[] = "functions.";
	const size_t front = strlen(functions);
	const char *channel, *recipient;
	size_t channel_len = word_behind(header, len, channel_mark, &channel);
	size_t recipient_len = word_behind(header, len, recipient_mark, &recipient);

	const bool calls = recipient_len > front && memcmp(recipient, functions, front) == 0;

	o->callee[0] = '\0';
	o->where = is_word(channel, channel_len, "analysis") ? IN_REASONING : IN_TEXT;
	/* Calls belong into commentary, but are also made from the analysis. */
	if (o->config.calls == OUTPUT_CALLS_FORCED && (calls || o->where == IN_TEXT)) {
		o->where = IN_CALL;
	} else if (o->config.calls == OUTPUT_CALLS_TAGS && calls &&
		   recipient_len - front <= OUTPUT_CALLEE_BYTES_MAX) {
		memcpy(o->callee, recipient + front, recipient_len - front);
		o->callee[recipient_len - front] = '\0';
		o->where = IN_CALL;
	}
}

bool output_harmony_header(struct output *o)
{
	bool whole;
	size_t at = output_find(o, message_mark, &whole);
	const char *text = buf_text(&o->held);
	/* However it is cut: behind the longest header its mark may be under way. */
	const bool fits = o->held.len < HEADER_BYTES_MAX + strlen(message_mark);

	if (!whole && !o->ended && fits)
		return false;
	if (whole && at <= HEADER_BYTES_MAX) {
		enter(o, text, at);
		buf_consume(&o->held, at + strlen(message_mark));
		return true;
	}
	/* A header that the answer's limit cut off says nothing; what is none is text. */
	if (o->ended && fits && memmem(text, o->held.len, "<|", 2) != NULL) {
		o->where = OVER;
		return false;
	}
	o->harmony = false;
	o->where = IN_TEXT;
	return true;
}
