/* Owner: marks of other speakers in data and text. */
#include "night/owner.h"

#include <strings.h>

#include "align/peek.h"
#include "base/utf8.h"
#include "night/line.h"

#define PREFIX_BYTES_MAX 40 /* of a name before a text */
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

/* "Papa: …", "Dr. Meier: …": up to three words, each with a capital or no case. */
static bool has_speaker_prefix(const char *text)
{
	const char *colon = memchr(text, ':', strnlen(text, PREFIX_BYTES_MAX));
	size_t words = 0;

	if (colon == NULL || colon == text || (colon[1] != ' ' && colon[1] != '\n'))
		return false;
	for (const char *p = text; p < colon; p++) {
		bool begins = p == text || p[-1] == ' ';
		if (!begins)
			continue;
		words++;
		if (*p >= 'a' && *p <= 'z')
			return false;
	}
	return words <= PREFIX_WORDS_MAX;
}

bool owner_said(const struct observation *obs)
{
	bool addressed = false;
	struct peek member;

	if (obs->origin != ORIGIN_OWNER || obs->tombstone || obs->text[0] == '\0')
		return false;
	peek_open(&member, obs->data_json);
	while (peek_next(&member)) {
		if (speaks_for_another(&member))
			return false;
		addressed = addressed || (peek_is(&member, "to") && !peek_empty(&member));
	}
	return addressed || !has_speaker_prefix(obs->text);
}

static bool ends_here(const char *line, size_t len)
{
	for (size_t i = 0; i < sizeof forwards / sizeof forwards[0]; i++) {
		size_t n = strlen(forwards[i]);
		for (size_t at = 0; at + n <= len; at++) {
			if (strncasecmp(line + at, forwards[i], n) == 0)
				return true;
		}
	}
	/* "On Monday, Max wrote:" */
	return len > 1 && line[len - 1] == ':' && memchr(line, ' ', len) != NULL && len > 8 &&
	       (strncasecmp(line, "On ", 3) == 0 || strncasecmp(line, "Am ", 3) == 0 ||
		   strncasecmp(line, "El ", 3) == 0 || strncasecmp(line, "Le ", 3) == 0);
}

const char *owner_words(const struct observation *obs, struct arena *arena)
{
	const char *text = owner_said(obs) ? obs->text : "";
	size_t left = strlen(text), n = 0;
	char *kept = arena_alloc(arena, left + 1);

	if (kept == NULL)
		return NULL;
	while (left > 0) {
		const char *end = memchr(text, '\n', left);
		size_t len = end == NULL ? left : (size_t)(end - text);
		size_t lead = strspn(text, " \t");
		bool quotes = lead < len && (text[lead] == '>' || text[lead] == '|');
		if (ends_here(text, len))
			break;
		if (!quotes) {
			memcpy(kept + n, text, len);
			n += len;
			kept[n++] = ' ';
		}
		len += end != NULL;
		text += len;
		left -= len;
	}
	kept[n > 0 ? n - 1 : 0] = '\0';
	return line_make(kept, n > 0 ? n - 1 : 0, SIZE_MAX, arena);
}
