/* Cite: marks found, held against the pack, left or taken out. */
#include "answer/cite.h"

#include <string.h>

#define SHAPE_BYTES 64
#define HEX_BYTES_MIN ((size_t)6)

/* ---- what is known ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

static bool is_hex(const char *id, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!is_digit(id[i]) && (id[i] < 'a' || id[i] > 'f') && id[i] != '-')
			return false;
	}
	return len >= HEX_BYTES_MIN;
}

/* Runs of letters and digits as one of each, "f12" → "a9"; of hexadecimal digits, as in
 * obs_ids and UUIDs, as one.  False: no digit is in it, so it may as well be a word. */
static bool shape_of(const char *id, size_t len, char out[SHAPE_BYTES])
{
	bool hex = is_hex(id, len), digit = false;
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = is_digit(id[i]) ? '9' : is_letter(id[i]) ? 'a' : id[i];

		digit = digit || c == '9';
		if (hex && c == 'a')
			c = '9';
		if ((c == '9' || c == 'a') && n > 0 && out[n - 1] == c)
			continue;
		if (n + 1 == SHAPE_BYTES)
			return false;
		out[n++] = c;
	}
	out[n] = '\0';
	return digit;
}

enum id_state { ID_KNOWN, ID_UNKNOWN, ID_NONE };

/* It stands in brackets in what was said before: in an earlier answer, or quoted. */
static bool was_said(const struct chat_request *request, const char *id, size_t len)
{
	for (size_t i = 0; request != NULL && i < request->messages_len; i++) {
		const struct wire_part *part = request->messages[i].parts;
		if (part->data_len == 0)
			continue;
		const char *at = (const char *)part->data, *end = at + part->data_len;

		for (; (at = memmem(at, (size_t)(end - at), id, len)) != NULL; at++) {
			if (at > (const char *)part->data && strchr("[ ,", at[-1]) != NULL &&
			    at + len < end && strchr("],", at[len]) != NULL)
				return true;
		}
	}
	return false;
}

static void hold_against(const char *known, const char *id, size_t len, bool shaped,
    const char *shape, enum id_state *state)
{
	char other[SHAPE_BYTES];

	if (strlen(known) == len && memcmp(known, id, len) == 0)
		*state = ID_KNOWN;
	else if (*state == ID_NONE && shaped && shape_of(known, strlen(known), other) &&
		 strcmp(other, shape) == 0)
		*state = ID_UNKNOWN;
}

static enum id_state state_of(const struct cite *cite, const char *id, size_t len)
{
	const struct pack *pack = cite->pack;
	enum id_state state = ID_NONE;
	char shape[SHAPE_BYTES];
	bool shaped = shape_of(id, len, shape);

	for (size_t i = 0; i < pack->len; i++)
		hold_against(pack->items[i].id, id, len, shaped, shape, &state);
	for (size_t i = 0; i < pack->facts_len; i++) {
		if (pack->facts[i].kept)
			hold_against(pack->facts[i].item.id, id, len, shaped, shape, &state);
	}
	if (state != ID_KNOWN && len > 0 && was_said(cite->request, id, len))
		return ID_KNOWN;
	return state;
}

/* ---- a mark ---- */

/* "Thu 2026-11-19 18:30" is in it: the form in which the prompt shows them. */
static bool has_date(const char *text, size_t len)
{
	for (size_t i = 0; i + 10 <= len; i++) {
		const char *p = text + i;

		if (is_digit(p[0]) && is_digit(p[3]) && p[4] == '-' && is_digit(p[5]) &&
		    is_digit(p[6]) && p[7] == '-' && is_digit(p[8]) && is_digit(p[9]))
			return true;
	}
	return false;
}

struct id {
	const char *text;
	size_t len;
};

/* The next of a list with commas or semicolons between; false: there is none. */
static bool next_id(const char **at, const char *end, struct id *out)
{
	if (*at > end)
		return false;
	const char *stop = *at;
	while (stop < end && *stop != ',' && *stop != ';')
		stop++;
	out->text = *at;
	out->len = (size_t)(stop - *at);
	*at = stop + 1;
	while (out->len > 0 && *out->text == ' ') {
		out->text++;
		out->len--;
	}
	while (out->len > 0 && out->text[out->len - 1] == ' ')
		out->len--;
	return true;
}

/* `[inner]` with only the known ones; true: nothing had to go. */
static bool write_known(struct cite *cite, const char *inner, size_t len)
{
	const char *at = inner;
	struct id id;
	size_t n = 0;
	bool whole = true, other = false;

	cite->instead_len = 0;
	while (next_id(&at, inner + len, &id)) {
		enum id_state state = state_of(cite, id.text, id.len);

		other = other || state == ID_NONE;
		if (state != ID_KNOWN) {
			whole = false;
			continue;
		}
		cite->instead[cite->instead_len++] = n++ == 0 ? '[' : ',';
		if (n > 1)
			cite->instead[cite->instead_len++] = ' ';
		memcpy(cite->instead + cite->instead_len, id.text, id.len);
		cite->instead_len += id.len;
	}
	if (n > 0)
		cite->instead[cite->instead_len++] = ']';
	/* Words among them: it is something else. */
	return whole || other;
}

/* True: it stays as it is; else `instead` is what is left of it. */
static bool stays(struct cite *cite, const char *inner, size_t len)
{
	const char *at = inner;
	struct id first;

	cite->instead_len = 0;
	if (len == 0 || !next_id(&at, inner + len, &first))
		return true;
	if (has_date(inner, len) && first.len < len)
		return state_of(cite, first.text, first.len) == ID_KNOWN;
	return write_known(cite, inner, len);
}

/* ---- the front of a text ---- */

static enum cite_verdict give(struct cite *cite, const char *text, size_t len, size_t *n)
{
	for (size_t i = 0; i < len; i++)
		cite->in_code ^= text[i] == '`';
	cite->before = text[len - 1];
	*n = len;
	return CITE_GIVE;
}

/* `[` may open a mark here: not behind a word or a closing parenthesis, as in code. */
static bool opens(const struct cite *cite, char before)
{
	bool word = is_digit(before) || (is_letter(before) && (unsigned char)before < 0x80);

	return !cite->in_code && !word && before != '_' && before != ')';
}

/* As much as cannot belong to a mark. */
static size_t plain(struct cite *cite, const char *text, size_t len, bool ended)
{
	bool in_code = cite->in_code;
	size_t i = 0;

	for (; i < len; i++) {
		in_code ^= text[i] == '`';
		if (text[i] == '[' && !in_code)
			break;
	}
	/* The blank before a mark goes with it. */
	if (i > 0 && text[i - 1] == ' ' && (i < len || !ended))
		i--;
	return i;
}

/* Of `text`, which opens with a bracket at `open`, the bytes up to where it closes, or
 * cannot; 0: that is still to come. */
static size_t bracket(const char *text, size_t len, size_t open, bool ended)
{
	size_t end = open + 1, most = open + 1 + CITE_BYTES_MAX;

	while (end < len && end < most && strchr("[]\n`", text[end]) == NULL)
		end++;
	/* What follows may make it a link. */
	if (!ended && end < most && (end == len || (text[end] == ']' && end + 1 == len)))
		return 0;
	return end < len && text[end] == ']' ? end + 1 : end;
}

static enum cite_verdict swap(struct cite *cite, bool blank)
{
	if (cite->instead_len == 0)
		return CITE_SWAP;
	if (blank) {
		memmove(cite->instead + 1, cite->instead, cite->instead_len);
		cite->instead[0] = ' ';
		cite->instead_len++;
	}
	cite->before = ']';
	return CITE_SWAP;
}

enum cite_verdict cite_look(struct cite *cite, const char *text, size_t len, bool ended, size_t *n)
{
	size_t front = plain(cite, text, len, ended), open = text[0] == ' ' ? 1 : 0;

	*n = 0;
	if (front > 0)
		return give(cite, text, front, n);
	if (open == len)
		return CITE_HOLD;
	if (text[open] != '[' || !opens(cite, open == 1 ? ' ' : cite->before))
		return give(cite, text, open + 1, n);
	size_t end = bracket(text, len, open, ended);
	if (end == 0)
		return CITE_HOLD;
	bool link = end < len && text[end] == '(';
	if (text[end - 1] != ']' || link || stays(cite, text + open + 1, end - open - 2))
		return give(cite, text, end, n);
	*n = end;
	return swap(cite, open == 1);
}
