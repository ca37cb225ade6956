/* Facts as Markdown, and Markdown as lines to compare with them. */
#include "memory/markdown.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "align/civil.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/timestamp.h"

#define DATE_LEN 10
#define COMMENT_OPEN "<!-- memory "
#define NUMBER_DIGITS_MAX 18

/* Headings, by class. */
static const char *const titles[] = { NULL, "Profile", "Standing wishes", "Preferences", "People",
	"Places" };

void markdown_base_of(
    struct store *store, const struct book_view *view, int64_t at_ns, struct markdown_base *out)
{
	*out = (struct markdown_base){ .number = view->number, .at_ns = at_ns };
	hex_encode(store_id(store), (MARKDOWN_STORE_BYTES - 1) / 2, out->store);
}

/* ---- dates -------------------------------------------------------------------------- */

static void put_date(int64_t ns, const struct markdown_zone *zone, char out[MARKDOWN_DATE_BYTES])
{
	int64_t local_ns = ns + zone->offset_s(zone->ctx, ns) * NS_PER_S;
	int64_t day = local_ns / NS_PER_DAY - (local_ns % NS_PER_DAY < 0);

	civil_format_date(day, out);
}

void markdown_since(const struct fact *fact, int64_t from_ns, const struct markdown_zone *zone,
    char out[MARKDOWN_DATE_BYTES])
{
	out[0] = '\0';
	/* Since it was said: nobody told since when. */
	if (from_ns != FACT_ALWAYS_FROM_NS && from_ns != fact->at_ns)
		put_date(from_ns, zone, out);
}

void markdown_until(int64_t to_ns, const struct markdown_zone *zone, char out[MARKDOWN_DATE_BYTES])
{
	out[0] = '\0';
	if (to_ns != FACT_ALWAYS_TO_NS)
		put_date(to_ns, zone, out);
}

enum rc markdown_day(const char *date, const struct markdown_zone *zone, int64_t *out_ns)
{
	int64_t day;

	enum rc rc = civil_parse_date(date, &day);
	if (rc != RC_OK)
		return rc;
	if (day < OBS_TIME_MIN_NS / NS_PER_DAY + 1 || day > OBS_TIME_MAX_NS / NS_PER_DAY - 1)
		return RC_INVALID;
	int64_t ns = day * NS_PER_DAY;
	int64_t near_ns = ns - zone->offset_s(zone->ctx, ns) * NS_PER_S;
	*out_ns = ns - zone->offset_s(zone->ctx, near_ns) * NS_PER_S;
	return RC_OK;
}

/* ---- writing ------------------------------------------------------------------------- */

void markdown_put_line(const struct fact *fact, int64_t from_ns, int64_t to_ns,
    const struct markdown_zone *zone, struct buf *out)
{
	char since[MARKDOWN_DATE_BYTES], until[MARKDOWN_DATE_BYTES];

	markdown_since(fact, from_ns, zone, since);
	markdown_until(to_ns, zone, until);
	buf_puts(out, fact->text);
	if (since[0] != '\0' && until[0] != '\0')
		buf_printf(out, " (%s to %s)", since, until);
	else if (since[0] != '\0')
		buf_printf(out, " (since %s)", since);
	else if (until[0] != '\0')
		buf_printf(out, " (until %s)", until);
	if (fact->attribute[0] != '\0')
		buf_printf(out, " #%s", fact->attribute);
	buf_printf(out, " ^f%" PRIu64, fact->number);
}

void markdown_write(const struct book_view *view, const struct markdown_base *base,
    const struct markdown_zone *zone, struct buf *out)
{
	char at[TIMESTAMP_TEXT_BYTES];
	size_t i = 0;

	timestamp_format(base->at_ns, at);
	buf_printf(out,
	    "# Memory\n\n" COMMENT_OPEN "%s %" PRIu64
	    " %s: leave this line. A changed line supersedes what it said, a line taken away "
	    "ends, a line without ^ is new. -->\n",
	    base->store, base->number, at);
	for (int class = 1; class <= FACT_CLASS_COUNT; class ++) {
		const char *subject = "";
		buf_printf(out, "\n## %s\n", titles[class]);
		for (bool first = true; i < view->len; i++, first = false) {
			const struct book_entry *entry = &view->entries[i];
			if ((int)entry->fact.class != class)
				break;
			bool same = strcmp(entry->fact.subject, subject) == 0;
			if (!same)
				buf_printf(out, "\n### %s\n", entry->fact.subject);
			buf_puts(out, first || !same ? "\n- " : "- ");
			subject = entry->fact.subject;
			markdown_put_line(&entry->fact, entry->from_ns, entry->to_ns, zone, out);
			buf_putc(out, '\n');
		}
	}
}

/* ---- reading --------------------------------------------------------------------------- */

struct reading {
	struct arena *arena;
	struct markdown *out;
	size_t cap;
	size_t at; /* the line */
	enum fact_class class;
	const char *subject;
	struct errmsg *why;
};

static enum rc fail(const struct reading *r, const char *what)
{
	return errmsg_rc(r->why, RC_INVALID, "line %zu: %s", r->at, what);
}

/* Without the blanks at its ends; in place. */
static char *trim(char *text)
{
	size_t len = strlen(text);

	while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t' || text[len - 1] == '\r'))
		text[--len] = '\0';
	return text + strspn(text, " \t");
}

static bool read_digits(const char *text, uint64_t *out)
{
	size_t len = strspn(text, "0123456789");

	*out = 0;
	if (len == 0 || len > NUMBER_DIGITS_MAX || text[len] != '\0' || text[0] == '0')
		return false;
	for (size_t i = 0; i < len; i++)
		*out = *out * 10 + (uint64_t)(text[i] - '0');
	return true;
}

/* " ^f7" at the end is cut off.  False: it is there and no number. */
static bool cut_number(char *text, uint64_t *out)
{
	char *mark = strrchr(text, '^');

	*out = 0;
	if (mark == NULL || mark[1] != 'f' || strchr(mark, ' ') != NULL ||
	    (mark > text && mark[-1] != ' '))
		return true;
	if (!read_digits(mark + 2, out))
		return false;
	*mark = '\0';
	return true;
}

/* " #word" at the end. */
static const char *cut_attribute(char *text)
{
	char *mark = strrchr(text, '#');

	if (mark == NULL || mark == text || mark[-1] != ' ' || mark[1] == '\0' ||
	    mark[1 + strspn(mark + 1, "abcdefghijklmnopqrstuvwxyz0123456789_-")] != '\0' ||
	    strlen(mark + 1) > FACT_ATTRIBUTE_BYTES_MAX)
		return "";
	mark[-1] = '\0';
	return mark + 1;
}

static bool is_date(const char *text)
{
	static const char shape[] = "dddd-dd-dd";

	for (size_t i = 0; i < DATE_LEN; i++) {
		bool digit = text[i] >= '0' && text[i] <= '9';
		if (shape[i] == 'd' ? !digit : text[i] != '-')
			return false;
	}
	return true;
}

/* " (since D)", " (until D)" or " (D to D)" at the end. */
static void cut_dates(char *text, struct markdown_line *line)
{
	char *open = strrchr(text, '(');
	size_t len = open == NULL ? 0 : strlen(open);

	line->since = line->until = "";
	if (open == NULL || open == text || open[-1] != ' ' || open[len - 1] != ')')
		return;
	bool since = len == DATE_LEN + 8 && strncmp(open, "(since ", 7) == 0;
	bool until = len == DATE_LEN + 8 && strncmp(open, "(until ", 7) == 0;
	if ((since || until) && is_date(open + 7)) {
		*(since ? &line->since : &line->until) = open + 7;
	} else if (len == 2 * DATE_LEN + 6 && is_date(open + 1) &&
		   strncmp(open + 1 + DATE_LEN, " to ", 4) == 0 && is_date(open + 5 + DATE_LEN)) {
		line->since = open + 1;
		line->until = open + 5 + DATE_LEN;
		open[1 + DATE_LEN] = '\0';
	} else {
		return;
	}
	open[len - 1] = '\0';
	open[-1] = '\0';
}

static enum rc take_item(struct reading *r, char *text)
{
	struct markdown_line line = { .at = r->at, .class = r->class, .subject = r->subject };

	if (r->class == 0)
		return fail(r, "stands before any of the headings Profile, Standing wishes, "
			       "Preferences, People, Places");
	text = trim(text);
	line.whole = arena_strdup(r->arena, text);
	if (line.whole == NULL)
		return RC_NOMEM;
	if (!cut_number(text, &line.number))
		return fail(r, "what stands behind ^f is no number");
	text = trim(text);
	line.attribute = cut_attribute(text);
	text = trim(text);
	cut_dates(text, &line);
	line.text = trim(text);
	if (!fact_line_is_good(line.text, strlen(line.text), FACT_TEXT_BYTES_MAX))
		return fail(r, "must say something, in at most 400 bytes of UTF-8 without control "
			       "characters");
	if (r->out->len == r->cap)
		return errmsg_rc(r->why, RC_LIMIT, "line %zu: there are too many", r->at);
	r->out->lines[r->out->len++] = line;
	return RC_OK;
}

static enum rc take_class(struct reading *r, const char *text)
{
	r->class = 0;
	r->subject = "";
	for (int i = 1; i <= FACT_CLASS_COUNT; i++) {
		if (strcasecmp(text, titles[i]) == 0 ||
		    strcasecmp(text, fact_class_word((enum fact_class)i)) == 0)
			r->class = (enum fact_class)i;
	}
	return r->class != 0 ? RC_OK
			     : fail(r, "no such heading: there are Profile, Standing wishes, "
				       "Preferences, People, Places");
}

static enum rc take_subject(struct reading *r, const char *text)
{
	if (r->class == 0)
		return fail(r, "a subject stands below a heading of the second level");
	if (!fact_line_is_good(text, strlen(text), FACT_SUBJECT_BYTES_MAX))
		return fail(r, "a subject has 1 to 80 bytes of UTF-8 without control characters");
	r->subject = text;
	return RC_OK;
}

/* "8d2f6a01c3b4e597 12 2026-11-27T12:00:00.000000000Z: …" */
static enum rc take_base(struct reading *r, char *text)
{
	struct markdown_base base = { .number = 0 };
	char *store = strtok_r(text, " ", &text), *number = strtok_r(NULL, " ", &text);
	char *at = strtok_r(NULL, " ", &text);
	size_t len = at == NULL ? 0 : strlen(at);
	uint8_t bytes[(MARKDOWN_STORE_BYTES - 1) / 2];

	if (len > 0 && at[len - 1] == ':')
		at[len - 1] = '\0';
	if (at == NULL || r->out->base.store[0] != '\0' ||
	    hex_decode(store, bytes, sizeof bytes) != RC_OK ||
	    (strcmp(number, "0") != 0 && !read_digits(number, &base.number)) ||
	    timestamp_parse(at, &base.at_ns, NULL) != RC_OK)
		return fail(r, "the comment that says what the text was written from is broken, or "
			       "stands twice");
	hex_encode(bytes, sizeof bytes, base.store);
	r->out->base = base;
	return RC_OK;
}

static enum rc take_line(struct reading *r, char *text)
{
	char *trimmed = trim(text);

	if (trimmed[0] == '\0')
		return RC_OK;
	if (strncmp(trimmed, "- ", 2) == 0 || strncmp(trimmed, "* ", 2) == 0)
		return take_item(r, trimmed + 2);
	if (strncmp(trimmed, "### ", 4) == 0)
		return take_subject(r, trim(trimmed + 4));
	if (strncmp(trimmed, "## ", 3) == 0)
		return take_class(r, trim(trimmed + 3));
	if (strncmp(trimmed, "# ", 2) == 0 && r->class == 0)
		return RC_OK; /* the title */
	if (strncmp(trimmed, COMMENT_OPEN, strlen(COMMENT_OPEN)) == 0)
		return take_base(r, trimmed + strlen(COMMENT_OPEN));
	return fail(r, "neither a heading nor an item of a list (\"- \")");
}

static size_t count_lines(const char *text, size_t len)
{
	size_t n = 1;

	for (size_t i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

enum rc markdown_read(
    const char *text, size_t len, struct arena *arena, struct markdown *out, struct errmsg *why)
{
	struct reading r = { .arena = arena, .out = out, .subject = "", .why = why };
	enum rc rc = RC_OK;

	*out = (struct markdown){ .len = 0 };
	if (len > MARKDOWN_BYTES_MAX)
		return errmsg_rc(why, RC_LIMIT, "more than %zu bytes", MARKDOWN_BYTES_MAX);
	r.cap = count_lines(text, len);
	if (r.cap > MARKDOWN_LINES_MAX)
		return errmsg_rc(why, RC_LIMIT, "more than %zu lines", MARKDOWN_LINES_MAX);
	out->lines = arena_array(arena, r.cap, sizeof *out->lines);
	if (out->lines == NULL)
		return RC_NOMEM;
	for (const char *end = text + len; text < end && rc == RC_OK;) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((stop == NULL ? end : stop) - text);
		r.at++;
		if (n > MARKDOWN_LINE_BYTES_MAX)
			return errmsg_rc(why, RC_LIMIT, "line %zu: longer than %zu bytes", r.at,
			    MARKDOWN_LINE_BYTES_MAX);
		if (memchr(text, '\0', n) != NULL)
			return fail(&r, "has a byte of zero");
		char *line = arena_copy(arena, text, n);
		rc = line == NULL ? RC_NOMEM : take_line(&r, line);
		text = stop == NULL ? end : stop + 1;
	}
	return rc;
}
