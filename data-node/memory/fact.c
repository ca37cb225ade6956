/* Facts and marks to observations and back, and the checks on them. */
#include "memory/fact.h"

#include <inttypes.h>
#include <string.h>

#include "align/peek.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/unicode.h"
#include "base/utf8.h"
#include "recall/fold.h"
#include "store/store_memory.h"

#define HEX_BYTES (2 * OBS_ID_BYTES + 1)
#define DATA_BYTES_MAX ((size_t)8 << 10)

static const char *const class_words[] = { NULL, "profile", "wishes", "preferences", "people",
	"places" };
static const char *const by_words[] = { NULL, "owner", "night", "agent" };
static const char *const act_words[] = { NULL, "ended", "superseded", "accepted", "refused" };

#define WORDS(table) (sizeof(table) / sizeof((table)[0]))

static int word_find(const char *const *words, size_t n, const char *text, size_t len)
{
	for (size_t i = 1; i < n; i++) {
		if (strlen(words[i]) == len && memcmp(words[i], text, len) == 0)
			return (int)i;
	}
	return 0;
}

const char *fact_class_word(enum fact_class class)
{
	return class >= 1 && (size_t) class < WORDS(class_words) ? class_words[class] : NULL;
}

enum fact_class fact_class_parse(const char *word)
{
	return (enum fact_class)word_find(class_words, WORDS(class_words), word, strlen(word));
}

const char *fact_by_word(enum fact_by by)
{
	return by >= 1 && (size_t)by < WORDS(by_words) ? by_words[by] : NULL;
}

/* ---- checks ------------------------------------------------------------------------ */

/* Line ends of their own, marks that turn the direction of writing, a byte order mark. */
static bool hides(uint32_t cp)
{
	enum unicode_category category = unicode_category(cp);

	return category == UNICODE_CC || category == UNICODE_ZL || category == UNICODE_ZP ||
	       cp == 0x200E || cp == 0x200F || cp == 0x061C || (cp >= 0x202A && cp <= 0x202E) ||
	       (cp >= 0x2066 && cp <= 0x2069) || cp == 0xFEFF || (cp >= 0xE0000 && cp <= 0xE007F);
}

bool fact_line_is_good(const char *text, size_t len, size_t max)
{
	const uint8_t *p = (const uint8_t *)text;
	uint32_t first = 0, last = 0;

	if (len == 0 || len > max)
		return false;
	for (size_t i = 0; i < len;) {
		size_t n = utf8_decode(p + i, len - i, &last);
		if (n == 0 || hides(last))
			return false;
		if (i == 0)
			first = last;
		i += n;
	}
	return !unicode_is_space(first) && !unicode_is_space(last);
}

static bool is_good_or_empty(const char *text, size_t max)
{
	return text[0] == '\0' || fact_line_is_good(text, strlen(text), max);
}

/* A word that can stand behind '#'. */
static bool attribute_is_good(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-");

	return text[len] == '\0' && len <= FACT_ATTRIBUTE_BYTES_MAX;
}

static bool is_time(int64_t ns)
{
	return ns >= OBS_TIME_MIN_NS && ns <= OBS_TIME_MAX_NS;
}

enum rc fact_check(const struct fact *fact, struct errmsg *why)
{
	if (fact_class_word(fact->class) == NULL)
		return errmsg_rc(why, RC_INVALID, "class: unknown");
	if (fact_by_word(fact->by) == NULL)
		return errmsg_rc(why, RC_INVALID, "by: unknown");
	if (!fact_line_is_good(fact->text, strlen(fact->text), FACT_TEXT_BYTES_MAX))
		return errmsg_rc(why, RC_INVALID,
		    "text: one line of 1 to %zu bytes without control characters",
		    FACT_TEXT_BYTES_MAX);
	if (!is_good_or_empty(fact->subject, FACT_SUBJECT_BYTES_MAX))
		return errmsg_rc(why, RC_INVALID, "subject: one line of at most %zu bytes",
		    FACT_SUBJECT_BYTES_MAX);
	if (!attribute_is_good(fact->attribute))
		return errmsg_rc(why, RC_INVALID, "attribute: at most %zu of a-z, 0-9, '_' and '-'",
		    FACT_ATTRIBUTE_BYTES_MAX);
	if (!is_good_or_empty(fact->who, FACT_WHO_BYTES_MAX))
		return errmsg_rc(
		    why, RC_INVALID, "who: one line of at most %zu bytes", FACT_WHO_BYTES_MAX);
	if (!is_time(fact->valid_from_ns) || !is_time(fact->valid_to_ns) ||
	    fact->valid_to_ns <= fact->valid_from_ns)
		return errmsg_rc(why, RC_INVALID,
		    "valid: from must lie before to, within 1900 "
		    "to 2200");
	if (!is_time(fact->learned_ns) || !is_time(fact->at_ns))
		return errmsg_rc(why, RC_INVALID, "learned: not within 1900 to 2200");
	if (fact->about_len > FACT_ABOUT_MAX)
		return errmsg_rc(
		    why, RC_LIMIT, "about: more than %zu observations", FACT_ABOUT_MAX);
	return RC_OK;
}

/* ---- writing: members in the order of their names, "about" first ---------------------- */

static void put_about(const uint8_t (*about)[OBS_ID_BYTES], size_t len, struct buf *out)
{
	char id[HEX_BYTES];

	buf_puts(out, "{\"about\":[");
	for (size_t i = 0; i < len; i++) {
		hex_encode(about[i], OBS_ID_BYTES, id);
		buf_printf(out, "%s\"%s\"", i > 0 ? "," : "", id);
	}
	buf_putc(out, ']');
}

static void put_text(struct buf *out, const char *name, const char *text)
{
	if (text[0] == '\0')
		return;
	buf_printf(out, ",\"%s\":", name);
	buf_json_string(out, text, strlen(text));
}

static void put_time(struct buf *out, const char *name, int64_t ns)
{
	buf_printf(out, ",\"%s\":%" PRId64, name, ns);
}

static void put_fact(const struct fact *fact, struct buf *out)
{
	put_about(fact->about, fact->about_len, out);
	put_text(out, "attribute", fact->attribute);
	put_text(out, "by", fact_by_word(fact->by));
	put_text(out, "class", fact_class_word(fact->class));
	put_time(out, "learned", fact->learned_ns);
	if (fact->proposed)
		buf_puts(out, ",\"proposed\":true");
	put_text(out, "subject", fact->subject);
	if (fact->valid_from_ns != FACT_ALWAYS_FROM_NS)
		put_time(out, "valid_from", fact->valid_from_ns);
	if (fact->valid_to_ns != FACT_ALWAYS_TO_NS)
		put_time(out, "valid_to", fact->valid_to_ns);
	put_text(out, "who", fact->who);
	buf_putc(out, '}');
}

static void put_mark(const struct fact_mark *mark, struct buf *out)
{
	put_about(mark->about, mark->about_len, out);
	put_text(out, "act", act_words[mark->act]);
	put_time(out, "at", mark->at_ns);
	put_text(out, "by", fact_by_word(mark->by));
	buf_printf(out, ",\"fact\":%" PRIu64, mark->fact);
	put_time(out, "marked", mark->marked_ns);
	if (mark->next != 0)
		buf_printf(out, ",\"next\":%" PRIu64, mark->next);
	put_text(out, "who", mark->who);
	buf_putc(out, '}');
}

/* `data` as it is in the arena, and ended. */
static enum rc finish(uint64_t number, const char *kind, int64_t at_ns, const char *text,
    struct buf *data, struct arena *arena, struct observation *out)
{
	char id[STORE_MEMORY_ID_BYTES];

	store_memory_id(number, id);
	enum rc rc = buf_rc(data);
	*out = (struct observation){
		.source = OBS_SOURCE_MEMORY,
		.client_id = arena_strdup(arena, id),
		.layer = LAYER_TEXT,
		.kind = kind,
		.shape = SHAPE_INSTANT,
		.clock_id = "",
		.boot_epoch = "",
		.dev_t0_ns = at_ns,
		.dev_t1_ns = at_ns,
		.recv_utc_ns = clock_utc_ns(),
		.recv_mono_ns = clock_mono_ns(),
		.zone = "",
		.origin = ORIGIN_SYSTEM,
		.text = arena_strdup(arena, text),
		.data_json = rc == RC_OK ? arena_copy(arena, data->bytes, data->len) : NULL,
		.extra_json = "",
	};
	buf_fini(data);
	if (rc != RC_OK)
		return rc;
	return out->client_id == NULL || out->text == NULL || out->data_json == NULL ? RC_NOMEM
										     : RC_OK;
}

enum rc fact_encode(const struct fact *fact, struct arena *arena, struct observation *out)
{
	struct buf data;

	buf_init(&data, DATA_BYTES_MAX);
	put_fact(fact, &data);
	return finish(fact->number, OBS_KIND_FACT, fact->at_ns, fact->text, &data, arena, out);
}

enum rc fact_mark_encode(const struct fact_mark *mark, struct arena *arena, struct observation *out)
{
	struct buf data;

	buf_init(&data, DATA_BYTES_MAX);
	put_mark(mark, &data);
	return finish(mark->number, OBS_KIND_MARK, mark->marked_ns, "", &data, arena, out);
}

/* ---- reading ---------------------------------------------------------------------------- */

struct reading {
	struct arena *arena;
	enum rc rc;
};

/* Digits, and a sign before them: all that we write. */
static bool read_number(const struct peek *member, int64_t *out)
{
	bool minus = member->value[0] == '-';
	int64_t number = 0;

	if (member->value_len == (size_t)minus || member->value_len > 20)
		return false;
	for (size_t i = minus; i < member->value_len; i++) {
		int digit = member->value[i] - '0';
		if (digit < 0 || digit > 9 || __builtin_mul_overflow(number, 10, &number) ||
		    __builtin_sub_overflow(number, digit, &number))
			return false;
	}
	if (!minus && number == INT64_MIN)
		return false;
	*out = minus ? number : -number;
	return true;
}

static bool read_time(const struct peek *member, int64_t *out)
{
	return read_number(member, out) && is_time(*out);
}

static bool read_count(const struct peek *member, uint64_t *out)
{
	int64_t number;

	if (!read_number(member, &number) || number <= 0)
		return false;
	*out = (uint64_t)number;
	return true;
}

static int read_word(const struct peek *member, const char *const *words, size_t n)
{
	const char *text;
	size_t len;

	return peek_string(member, &text, &len) ? word_find(words, n, text, len) : 0;
}

struct line {
	struct arena *arena;
	const char *text;
};

static void line_visit(void *ctx, const char *text, size_t len)
{
	struct line *line = ctx;

	line->text = arena_copy(line->arena, text, len);
}

/* A string, its escapes undone.  Strings that we write are shorter than peek's limit. */
static bool read_line(const struct peek *member, size_t max, struct reading *r, const char **out)
{
	struct line line = { .arena = r->arena };
	const char *text, *value = arena_copy(r->arena, member->value, member->value_len);
	size_t len;

	if (value == NULL) {
		r->rc = RC_NOMEM;
		return false;
	}
	if (!peek_string(member, &text, &len) || len > 6 * max)
		return false;
	peek_strings(value, PEEK_STRING_BYTES_MAX, line_visit, &line);
	if (line.text == NULL || !fact_line_is_good(line.text, strlen(line.text), max))
		return false;
	*out = line.text;
	return true;
}

/* "about", by the one reader of it. */
static enum rc read_about(const struct observation *obs, struct arena *arena,
    const uint8_t (**out)[OBS_ID_BYTES], size_t *out_len)
{
	uint8_t id[OBS_ID_BYTES];
	size_t len = 0;

	while (len <= FACT_ABOUT_MAX && observation_about(obs, len, id))
		len++;
	if (len > FACT_ABOUT_MAX)
		return RC_CORRUPT;
	uint8_t(*about)[OBS_ID_BYTES] = arena_array(arena, len, sizeof *about);
	if (about == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < len; i++)
		(void)observation_about(obs, i, about[i]);
	*out = (const uint8_t(*)[OBS_ID_BYTES])about;
	*out_len = len;
	return RC_OK;
}

static bool read_id(const struct observation *obs, uint64_t *number)
{
	const struct peek id = { .value = obs->client_id, .value_len = strlen(obs->client_id) };

	return read_count(&id, number);
}

static bool fact_member(const struct peek *member, struct reading *r, struct fact *fact)
{
	if (peek_is(member, "attribute"))
		return read_line(member, FACT_ATTRIBUTE_BYTES_MAX, r, &fact->attribute);
	if (peek_is(member, "subject"))
		return read_line(member, FACT_SUBJECT_BYTES_MAX, r, &fact->subject);
	if (peek_is(member, "who"))
		return read_line(member, FACT_WHO_BYTES_MAX, r, &fact->who);
	if (peek_is(member, "by"))
		fact->by = (enum fact_by)read_word(member, by_words, WORDS(by_words));
	else if (peek_is(member, "class"))
		fact->class = (enum fact_class)read_word(member, class_words, WORDS(class_words));
	else if (peek_is(member, "proposed"))
		fact->proposed = peek_true(member);
	else if (peek_is(member, "learned"))
		return read_time(member, &fact->learned_ns);
	else if (peek_is(member, "valid_from"))
		return read_time(member, &fact->valid_from_ns);
	else if (peek_is(member, "valid_to"))
		return read_time(member, &fact->valid_to_ns);
	return true;
}

enum rc fact_decode(const struct observation *obs, struct arena *arena, struct fact *out)
{
	struct reading r = { .arena = arena };
	struct fact fact = { .subject = "",
		.attribute = "",
		.who = "",
		.valid_from_ns = FACT_ALWAYS_FROM_NS,
		.valid_to_ns = FACT_ALWAYS_TO_NS,
		.at_ns = obs->dev_t0_ns };
	struct peek member;

	if (!observation_is_memory(obs) || strcmp(obs->kind, OBS_KIND_FACT) != 0)
		return RC_NOTFOUND;
	bool good = read_id(obs, &fact.number);
	peek_open(&member, obs->data_json);
	while (good && peek_next(&member))
		good = fact_member(&member, &r, &fact);
	if (r.rc != RC_OK)
		return r.rc;
	fact.text = arena_strdup(arena, obs->text);
	if (fact.text == NULL)
		return RC_NOMEM;
	if (!good || fact_check(&fact, NULL) != RC_OK)
		return RC_CORRUPT;
	enum rc rc = read_about(obs, arena, &fact.about, &fact.about_len);
	if (rc == RC_OK)
		*out = fact;
	return rc;
}

static bool mark_member(const struct peek *member, struct reading *r, struct fact_mark *mark)
{
	if (peek_is(member, "who"))
		return read_line(member, FACT_WHO_BYTES_MAX, r, &mark->who);
	if (peek_is(member, "act"))
		mark->act = (enum fact_act)read_word(member, act_words, WORDS(act_words));
	else if (peek_is(member, "by"))
		mark->by = (enum fact_by)read_word(member, by_words, WORDS(by_words));
	else if (peek_is(member, "at"))
		return read_time(member, &mark->at_ns);
	else if (peek_is(member, "marked"))
		return read_time(member, &mark->marked_ns);
	else if (peek_is(member, "fact"))
		return read_count(member, &mark->fact);
	else if (peek_is(member, "next"))
		return read_count(member, &mark->next);
	return true;
}

enum rc fact_mark_decode(const struct observation *obs, struct arena *arena, struct fact_mark *out)
{
	struct reading r = { .arena = arena };
	struct fact_mark mark = { .who = "" };
	struct peek member;

	if (!observation_is_mark(obs))
		return RC_NOTFOUND;
	bool good = read_id(obs, &mark.number);
	peek_open(&member, obs->data_json);
	while (good && peek_next(&member))
		good = mark_member(&member, &r, &mark);
	if (r.rc != RC_OK)
		return r.rc;
	if (!good || mark.act == 0 || mark.by == 0 || mark.fact == 0)
		return RC_CORRUPT;
	enum rc rc = read_about(obs, arena, &mark.about, &mark.about_len);
	if (rc == RC_OK)
		*out = mark;
	return rc;
}

/* ---- comparing ---------------------------------------------------------------------------- */

char *fact_fold(const char *text, struct arena *arena)
{
	const uint8_t *p = (const uint8_t *)text;
	size_t left = strlen(text), len = 0;
	char *out = arena_alloc(arena, left * FOLD_OUT_MAX * 2 + UTF8_BYTES_MAX + 2);
	bool apart = false;

	if (out == NULL)
		return NULL;
	while (left > 0) {
		uint32_t cp = 0, folded[FOLD_OUT_MAX];
		size_t n = utf8_decode(p, left, &cp);
		n = n == 0 ? 1 : n;
		p += n;
		left -= n;
		size_t m = fold_letter(cp, folded);
		for (size_t i = 0; i < m; i++) {
			if (fold_classify(folded[i]) == FOLD_BREAK) {
				apart = true;
				continue;
			}
			if (apart && len > 0)
				out[len++] = ' ';
			apart = false;
			len += utf8_encode(folded[i], (uint8_t *)out + len);
		}
	}
	out[len] = '\0';
	return len > 0 ? out : arena_strdup(arena, text);
}
