/* Owner: marks of other speakers in data and text. */
#include "night/owner.h"

#include <strings.h>

#include "align/peek.h"
#include "base/utf8.h"
#include "night/line.h"

#define PREFIX_BYTES_MAX 40 /* of a name before a text, without a time in front */
#define PREFIX_WORDS_MAX 3

static const char *const self_words[] = { "me", "self", "owner", "i", "myself", "ich", "yo", "je",
	"moi", "eu", "io" };
/* Members that name who speaks. */
static const char *const speakers[] = { "from", "sender", "author", "speaker", "by" };
static const char *const incoming[] = { "in", "incoming", "received", "inbound" };
/* What follows is somebody else's. */
static const char *const forwards[] = { "-----original message", "---------- forwarded message",
	"begin forwarded message", "forwarded message:", "weitergeleitete nachricht",
	"mensaje reenviado", "message transf" };
/* Heads of a mail: so is what follows them. */
static const char *const headers[] = { "from", "von", "de", "da", "sender", "absender", "subject",
	"betreff", "asunto", "objet", "oggetto", "assunto" };
/* Before a colon they say so too. */
static const char *const wrote[] = { "wrote", "schrieb", "escribió", "écrit", "scritto", "escreveu",
	"schreef" };
/* Small words within a name. */
static const char *const particles[] = { "van", "von", "vom", "der", "den", "de", "het", "ter",
	"ten", "zu", "zum", "zur", "la", "las", "le", "les", "los", "lo", "du", "del", "della",
	"di", "da", "das", "do", "dos", "e", "y", "i", "af", "av", "al", "el", "bin", "ibn", "bint",
	"ben", "bar", "abu" };
/* Behind the digits of a time. */
static const char *const halves_of_day[] = { "am", "pm", "a.m.", "p.m.", "uhr", "h" };
/* Between its parts, beside ASCII: blanks that do not break, marks of direction, dashes. */
static const char *const wide_gaps[] = { "\u00a0", "\u202f", "\u2009", "\u200e", "\u200f", "\u2013",
	"\u2014" };
#define WIDE_GAPS (sizeof(wide_gaps) / sizeof(wide_gaps[0]))
static const char wide_colon[] = "：";

static bool is_one_of(const char *text, size_t len, const char *const *words, size_t words_len)
{
	for (size_t i = 0; i < words_len; i++) {
		if (strlen(words[i]) == len && strncasecmp(words[i], text, len) == 0)
			return true;
	}
	return false;
}

#define IS_ONE_OF(text, len, words) is_one_of(text, len, words, sizeof(words) / sizeof(words)[0])

static bool names_speaker(const struct peek *member)
{
	for (size_t i = 0; i < sizeof speakers / sizeof speakers[0]; i++) {
		if (peek_is(member, speakers[i]))
			return true;
	}
	return false;
}

/* Does the member say that somebody else speaks? */
static bool speaks_for_another(const struct peek *member)
{
	const char *text;
	size_t len;

	if (peek_is(member, "incoming") || peek_is(member, "forwarded"))
		return !peek_empty(member);
	if (peek_is(member, "outgoing") || peek_is(member, "from_me") ||
	    peek_is(member, "is_from_me"))
		return !peek_true(member);
	if (peek_is(member, "direction"))
		return !peek_string(member, &text, &len) || IS_ONE_OF(text, len, incoming);
	if (!names_speaker(member) || peek_empty(member))
		return false;
	return !peek_string(member, &text, &len) || !IS_ONE_OF(text, len, self_words);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool begins_word(const char *line, const char *p)
{
	return !is_blank(*p) && (p == line || is_blank(p[-1]));
}

/* The colon behind a name or a head: a wide one, or one with a blank, a letter beyond ASCII or
 * nothing behind it.  NULL: there is none. */
static const char *find_colon(const char *line, size_t len)
{
	for (size_t i = 0; i < len && i < PREFIX_BYTES_MAX; i++) {
		if (line[i] == ':' &&
		    (i + 1 == len || is_blank(line[i + 1]) || (line[i + 1] & 0x80) != 0))
			return line + i;
		if (strncmp(line + i, wide_colon, strlen(wide_colon)) == 0)
			return line + i;
	}
	return NULL;
}

static size_t word_len(const char *word)
{
	return strcspn(word, " \t\r\n\v\f:,()[]");
}

static bool is_half_of_day(const char *word)
{
	return IS_ONE_OF(word, word_len(word), halves_of_day);
}

static bool follows_digit(const char *line, const char *p)
{
	while (p > line && is_blank(p[-1]))
		p--;
	return p > line && p[-1] >= '0' && p[-1] <= '9';
}

/* Bytes of the time that an exported line begins with: "[19/11/2026, 10:02 pm] ", "10:02 - ". */
static size_t time_len(const char *line)
{
	bool digits = false;
	size_t at = 0;

	for (;;) {
		size_t step = strspn(line + at, "0123456789 \t[](),.:/-");
		for (size_t i = 0; i < step; i++)
			digits = digits || (line[at + i] >= '0' && line[at + i] <= '9');
		if (step == 0)
			step = line_mark_len(wide_gaps, WIDE_GAPS, line + at);
		if (step == 0 && digits && is_half_of_day(line + at))
			step = word_len(line + at);
		if (step == 0)
			return at;
		at += step;
	}
}

/* "Papa: …", "Dr. Meier: …", "[10:02 pm] mallory: …", "Anna von der Heide: …": up to three
 * words, each with a capital or no case, or one word of any.  Small words of names do not
 * count, nor does what is no word, a time say. */
static bool has_speaker_prefix(const char *line, size_t len)
{
	size_t skip = time_len(line), words = 0, between = 0;
	bool small = false;

	line += skip;
	const char *colon = find_colon(line, len - skip);
	for (const char *p = line; colon != NULL && p < colon; p++) {
		bool is_small = *p >= 'a' && *p <= 'z';
		if (!begins_word(line, p) ||
		    !(is_small || (*p >= 'A' && *p <= 'Z') || (*p & 0x80) != 0))
			continue;
		if (is_half_of_day(p) && follows_digit(line, p))
			continue;
		bool particle = IS_ONE_OF(p, word_len(p), particles);
		between += particle;
		words += !particle;
		small = small || (is_small && !particle);
	}
	return words + between == 1 || (words > 0 && words <= PREFIX_WORDS_MAX && !small);
}

static size_t line_len(const char *text)
{
	return strcspn(text, "\n\r\v\f");
}

bool owner_said(const struct observation *obs)
{
	struct peek member;

	if (obs->origin != ORIGIN_OWNER || obs->tombstone || obs->text[0] == '\0')
		return false;
	peek_open(&member, obs->data_json);
	while (peek_next(&member)) {
		if (speaks_for_another(&member))
			return false;
	}
	return !has_speaker_prefix(obs->text, line_len(obs->text));
}

/* "From: Max", "*Von:* Max", "De : Max" */
static bool is_header(const char *line, size_t len)
{
	size_t at = 0;

	while (at < len && strchr(" \t*_", line[at]) != NULL)
		at++;
	size_t word = at;
	while (word < len && strchr(" \t*_:", line[word]) == NULL)
		word++;
	size_t colon = word;
	while (colon < len && strchr(" \t*_", line[colon]) != NULL)
		colon++;
	return colon < len && line[colon] == ':' && IS_ONE_OF(line + at, word - at, headers);
}

/* Such a word stands at `at`, with a colon behind it, or somewhere behind it. */
static bool wrote_at(const char *line, size_t len, size_t at, bool colon)
{
	for (size_t i = 0; i < sizeof wrote / sizeof wrote[0]; i++) {
		size_t end = at + strlen(wrote[i]);
		if (end >= len || strncasecmp(line + at, wrote[i], end - at) != 0)
			continue;
		if (line[end] == ':' || (is_blank(line[end]) && colon))
			return true;
		end += strspn(line + end, " \t");
		if (is_blank(line[end - 1]) && line[end] == ':')
			return true;
	}
	return false;
}

/* "On Monday, Max wrote:", "Am Montag schrieb Max:", "Max wrote: …" */
static bool says_who_wrote(const char *line, size_t len)
{
	while (len > 0 && is_blank(line[len - 1]))
		len--;
	bool colon = len > 0 && line[len - 1] == ':';
	for (size_t at = 0; at < len; at++) {
		if (begins_word(line, line + at) && wrote_at(line, len, at, colon))
			return true;
	}
	/* In other words. */
	return colon && len > 8 && memchr(line, ' ', len) != NULL &&
	       (strncasecmp(line, "On ", 3) == 0 || strncasecmp(line, "Am ", 3) == 0 ||
		   strncasecmp(line, "El ", 3) == 0 || strncasecmp(line, "Le ", 3) == 0);
}

/* From this line on it is somebody else's. */
static bool ends_here(const char *line, size_t len)
{
	for (size_t i = 0; i < sizeof forwards / sizeof forwards[0]; i++) {
		size_t n = strlen(forwards[i]);
		for (size_t at = 0; at + n <= len; at++) {
			if (strncasecmp(line + at, forwards[i], n) == 0)
				return true;
		}
	}
	return is_header(line, len) || says_who_wrote(line, len);
}

static bool is_anothers(const char *line, size_t len)
{
	size_t lead = 0;

	while (lead < len && is_blank(line[lead]))
		lead++;
	return (lead < len && (line[lead] == '>' || line[lead] == '|')) ||
	       has_speaker_prefix(line + lead, len - lead);
}

const char *owner_words(const struct observation *obs, struct arena *arena, bool *cut)
{
	const char *text = owner_said(obs) ? obs->text : "";
	char kept[OWNER_WORDS_BYTES_MAX];
	size_t n = 0;

	while (text[0] != '\0') {
		size_t len = line_len(text);
		if (ends_here(text, len))
			break;
		if (!is_anothers(text, len)) {
			size_t room = sizeof kept - n;
			size_t kept_len = len < room ? len : room;
			memcpy(kept + n, text, kept_len);
			n += kept_len;
			if (kept_len == room) {
				n -= utf8_pending(kept, n);
				*cut = true;
				break;
			}
			kept[n++] = ' ';
		}
		text += len + (text[len] != '\0');
	}
	return line_make(kept, n, SIZE_MAX, arena);
}
