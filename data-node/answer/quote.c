/* Quote: a moment's words as one line of bounded length. */
#include "answer/quote.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/timestamp.h"
#include "base/utf8.h"

#define WORD_BYTES_MIN 4 /* shorter words say little about where to look */
#define QUESTION_WORDS_MAX 64
#define SCAN_BYTES_MAX ((size_t)64 << 10) /* of a long text */
#define LEAD_BYTES 80                     /* shown before the word found */
#define ELLIPSIS "\xE2\x80\xA6"

static const char *const weekdays[] = { "Monday", "Tuesday", "Wednesday", "Thursday", "Friday",
	"Saturday", "Sunday" };
static const char *const months[] = { "January", "February", "March", "April", "May", "June",
	"July", "August", "September", "October", "November", "December" };

/* One line: blanks and controls (also U+0085, U+2028, U+2029) to one blank. */
static size_t flatten(const char *text, size_t len, char *out)
{
	size_t n = 0;
	size_t i = 0;

	while (i < len) {
		uint32_t cp = 0;
		size_t step = utf8_decode((const uint8_t *)text + i, len - i, &cp);
		if (step == 0) {
			step = 1;
			cp = ' ';
		}
		if (cp <= ' ' || (cp >= 0x7F && cp <= 0xA0) || cp == 0x2028 || cp == 0x2029) {
			if (n > 0 && out[n - 1] != ' ')
				out[n++] = ' ';
		} else {
			memcpy(out + n, text + i, step);
			n += step;
		}
		i += step;
	}
	if (n > 0 && out[n - 1] == ' ')
		n--;
	return n;
}

static bool word_byte(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c & 0x80) != 0;
}

static char fold(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool word_at(const char *text, const char *word, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (fold(text[i]) != fold(word[i]))
			return false;
	}
	return true;
}

/* Where the first word of the question that the text holds begins; 0. */
static size_t find_word(const char *text, size_t len, const char *question, size_t question_len)
{
	size_t best = len;
	size_t words = 0;

	for (size_t i = 0; i < question_len && words < QUESTION_WORDS_MAX;) {
		size_t end = i;
		while (end < question_len && word_byte(question[end]))
			end++;
		size_t word_len = end - i;
		if (word_len >= WORD_BYTES_MIN) {
			words++;
			for (size_t at = 0; at + word_len <= len && at < best; at++) {
				if ((at == 0 || !word_byte(text[at - 1])) &&
				    word_at(text + at, question + i, word_len))
					best = at;
			}
		}
		i = end + 1;
	}
	return best == len ? 0 : best;
}

/* Back to the start of a code point. */
static size_t boundary(const char *text, size_t at)
{
	while (at > 0 && ((unsigned char)text[at] & 0xC0) == 0x80)
		at--;
	return at;
}

const char *quote_make(const struct observation *obs, const char *question, size_t question_len,
    size_t max, struct arena *arena)
{
	const char *source = obs->text != NULL && obs->text[0] != '\0' ? obs->text : obs->data_json;
	size_t len = source == NULL ? 0 : strlen(source);
	size_t mark = strlen(ELLIPSIS);
	if (len > SCAN_BYTES_MAX)
		len = boundary(source, SCAN_BYTES_MAX);
	char *flat = arena_alloc(arena, len + 1);

	if (flat == NULL)
		return NULL;
	len = flatten(source == NULL ? "" : source, len, flat);
	flat[len] = '\0';
	if (len <= max || max <= 2 * mark)
		return flat;
	size_t room = max - 2 * mark;
	size_t from = find_word(flat, len, question, question_len);
	from = from > LEAD_BYTES ? from - LEAD_BYTES : 0;
	if (from + room > len)
		from = len - room;
	from = boundary(flat, from);
	size_t to = boundary(flat, from + room > len ? len : from + room);
	return arena_printf(arena, "%s%.*s%s", from > 0 ? ELLIPSIS : "", (int)(to - from),
	    flat + from, to < len ? ELLIPSIS : "");
}

void quote_time(int64_t utc_ns, int32_t offset_s, char out[QUOTE_TIME_BYTES])
{
	int64_t local_ns = utc_ns + offset_s * NS_PER_S;
	struct civil at;

	civil_of_ns(local_ns, &at);
	int weekday = civil_weekday(civil_days(at.year, at.month, at.day));
	(void)snprintf(out, QUOTE_TIME_BYTES, "%.3s %04d-%02d-%02d %02d:%02d", weekdays[weekday],
	    at.year, at.month, at.day, at.hour, at.minute);
}

void quote_now(int64_t utc_ns, int32_t offset_s, const char *zone, char out[QUOTE_NOW_BYTES])
{
	int64_t local_ns = utc_ns + offset_s * NS_PER_S;
	int32_t minutes = (offset_s < 0 ? -offset_s : offset_s) / 60;
	struct civil at;

	civil_of_ns(local_ns, &at);
	int weekday = civil_weekday(civil_days(at.year, at.month, at.day));
	bool named = zone != NULL && zone[0] != '\0' && strlen(zone) < 24;
	(void)snprintf(out, QUOTE_NOW_BYTES, "%s, %d %s %04d, %02d:%02d (%s%sUTC%c%02d:%02d)",
	    weekdays[weekday], at.day, months[at.month - 1], at.year, at.hour, at.minute,
	    named ? zone : "", named ? ", " : "", offset_s < 0 ? '-' : '+', minutes / 60,
	    minutes % 60);
}
