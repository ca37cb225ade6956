/* Onset: the marks, and the headers of messages. */
#include "serve/onset.h"
#include "wire/thought.h"

#include <string.h>

static const char message_mark[] = "<|message|>";

void onset_init(struct onset *o, enum onset_kind kind, const char *mark, bool thinking)
{
	*o = (struct onset){
		.kind = kind,
		.mark = mark,
		.front = true,
		.again = thinking,
		.close = thinking ? wire_thoughts[0].close : NULL,
	};
}

void onset_again(struct onset *o)
{
	o->front = o->again = true;
	o->tail_len = 0;
}

static void drop(struct onset *o, size_t len)
{
	o->tail_len -= len;
	memmove(o->tail, o->tail + len, o->tail_len);
}

/* Drop what stands up to the mark, and the mark; false: it is not there, `keep` bytes stay. */
static bool pass(struct onset *o, const char *mark, size_t keep)
{
	const char *found = memmem(o->tail, o->tail_len, mark, strlen(mark));

	if (found != NULL)
		drop(o, (size_t)(found - o->tail) + strlen(mark));
	else if (o->tail_len > keep)
		drop(o, o->tail_len - keep);
	return found != NULL;
}

/* The last `mark` of a header; NULL: none. */
static const char *last(const char *at, const char *end, const char *mark)
{
	const char *found = NULL;

	while ((at = memmem(at, (size_t)(end - at), mark, strlen(mark))) != NULL) {
		found = at;
		at += strlen(mark);
	}
	return found;
}

/* A header [tail, end) of a message: whom it is for, up to a blank or a mark. */
static const char *recipient_of(const char *at, const char *end, size_t *len)
{
	static const char front[] = "to=functions.";
	const char *found = last(at, end, front);

	*len = 0;
	if (found == NULL)
		return NULL;
	found += strlen(front);
	while (found + *len < end && memchr(" <\n\r\t", found[*len], 5) == NULL)
		(*len)++;
	return found;
}

/* The front of a message whose header is whole; false: its text is free. */
static bool enter(struct onset *o, const char *end, const char **behind, size_t *behind_len)
{
	const char *start = last(o->tail, end, "<|start|>");
	const char *over = last(o->tail, end, "<|end|>");
	const char *begin = over == NULL || (start != NULL && start > over) ? start : over;
	const char *recipient;
	size_t mark_len = strlen(message_mark), len;

	/* The prompt holds the first one's <|start|>; of others it may have been left out. */
	if (begin == NULL && !o->front)
		begin = last(o->tail, end, "<|channel|>");
	begin = begin == NULL ? o->tail : begin;
	o->front = false;
	recipient = recipient_of(begin, end, &len);
	if (o->kind == ONSET_MESSAGE) {
		*behind = end + mark_len;
		*behind_len = (size_t)(o->tail + o->tail_len - *behind);
		return recipient != NULL || last(begin, end, "<|channel|>analysis") == NULL;
	}
	if (recipient == NULL)
		return false;
	/* NAME, a line feed, and what follows the header, in one. */
	size_t rest = (size_t)(o->tail + o->tail_len - end) - mark_len;
	memmove(o->tail, recipient, len);
	o->tail[len] = '\n';
	memmove(o->tail + len + 1, end + mark_len, rest);
	*behind = o->tail;
	*behind_len = len + 1 + rest;
	return true;
}

static bool look_at_headers(struct onset *o, const char **behind, size_t *behind_len)
{
	const char *end;

	while ((end = memmem(o->tail, o->tail_len, message_mark, strlen(message_mark))) != NULL) {
		if (enter(o, end, behind, behind_len))
			return true;
		drop(o, (size_t)(end - o->tail) + strlen(message_mark));
	}
	if (o->tail_len > ONSET_HEADER_BYTES_MAX)
		drop(o, o->tail_len - ONSET_HEADER_BYTES_MAX);
	return false;
}

/* The first bytes that are no blanks: reasoning opens, or a call without a mark.  False:
 * too few of them to tell. */
static bool look_at_front(struct onset *o, bool *begins)
{
	size_t n = 0;

	while (n < o->tail_len && o->tail[n] != '\0' && strchr(" \n\r\t", o->tail[n]) != NULL)
		n++;
	drop(o, n);
	if (o->tail_len == 0)
		return false;
	for (size_t i = 0; i < WIRE_THOUGHTS_LEN; i++) {
		size_t len = strlen(wire_thoughts[i].open);

		if ((o->again && !wire_thoughts[i].again) ||
		    memcmp(o->tail, wire_thoughts[i].open, len < o->tail_len ? len : o->tail_len) !=
			0)
			continue;
		if (o->tail_len < len)
			return false;
		drop(o, len);
		o->close = wire_thoughts[i].close;
		break;
	}
	*begins = o->close == NULL && o->kind == ONSET_BARE && o->tail[0] == '{';
	o->front = false;
	return true;
}

bool onset_push(
    struct onset *o, const char *text, size_t len, const char **behind, size_t *behind_len)
{
	bool begins = false;

	len = len < ONSET_PIECE_BYTES_MAX ? len : ONSET_PIECE_BYTES_MAX;
	memcpy(o->tail + o->tail_len, text, len);
	o->tail_len += len;
	if (o->kind == ONSET_MESSAGE || o->kind == ONSET_RECIPIENT)
		return look_at_headers(o, behind, behind_len);
	if (o->close == NULL && o->front && !look_at_front(o, &begins))
		return false;
	while (o->close != NULL) {
		if (!pass(o, o->close, strlen(o->close) - 1))
			return false;
		o->close = NULL;
		o->front = o->again = true;
		begins = o->kind == ONSET_THOUGHT;
		if (!begins && !look_at_front(o, &begins))
			return false;
	}
	if (!begins && o->mark != NULL)
		begins = pass(o, o->mark, strlen(o->mark) - 1);
	*behind = o->tail;
	*behind_len = o->tail_len;
	return begins;
}

const char *onset_missing(const struct onset *o, bool *whole)
{
	const char *mark = o->close == NULL ? o->mark : o->kind == ONSET_THOUGHT ? o->close : NULL;
	size_t len = mark == NULL ? 0 : strlen(mark);

	*whole = o->kind == ONSET_BARE && o->close == NULL && o->front && o->tail_len == 0;
	if (*whole)
		return "{";
	for (size_t n = len == 0 ? 0 : len - 1; n > 0; n--) {
		if (n <= o->tail_len && memcmp(o->tail + o->tail_len - n, mark, n) == 0)
			return mark + n;
	}
	return NULL;
}
