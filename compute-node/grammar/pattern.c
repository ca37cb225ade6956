/*
 * Patterns: the regular expressions of JSON schemas (ECMA-262), as far as an automaton is
 * one.  Alternatives, groups, classes, counts and anchors at the ends; assertions and
 * references back are refused by name.
 *
 * A part that is repeated is parsed again for each time it may stand there.
 */
#include <stdbool.h>
#include <string.h>

#include "base/utf8.h"
#include "grammar/schema_impl.h"

#define CODE_POINT_MAX 0x10FFFFu
#define RANGES_MAX 256
#define GROUPS_MAX 32 /* within one another */
#define REPEAT_MAX 1000
#define NO_END (-1)
#define PARTS_MAX 65536u /* laid down in all, repetitions counted */

struct range {
	uint32_t lo, hi;
};

struct class
{
	struct range ranges[RANGES_MAX];
	size_t n;
};

struct pattern {
	struct compiler *c;
	const char *at, *end;
	unsigned groups, parts;
};

static enum rc put_choice(struct pattern *p, uint16_t from, uint16_t to) RC_CHECK;

static enum rc refuse(struct pattern *p, const char *what)
{
	return schema_fail(p->c, RC_UNSUPPORTED, "pattern: %s cannot be honoured", what);
}

static enum rc broken(struct pattern *p)
{
	return schema_fail(p->c, RC_INVALID, "pattern: not a regular expression");
}

static bool next_is(const struct pattern *p, char c)
{
	return p->at < p->end && *p->at == c;
}

static bool take(struct pattern *p, char c)
{
	bool is = next_is(p, c);

	p->at += is;
	return is;
}

static enum rc take_code_point(struct pattern *p, uint32_t *cp)
{
	size_t len = utf8_decode((const uint8_t *)p->at, (size_t)(p->end - p->at), cp);

	if (len == 0)
		return broken(p);
	p->at += len;
	return RC_OK;
}

/* ---- classes ---- */

static enum rc class_add(struct pattern *p, struct class *class, uint32_t lo, uint32_t hi)
{
	if (class->n == RANGES_MAX)
		return refuse(p, "a class of so many ranges");
	class->ranges[class->n++] = (struct range){ lo, hi };
	return RC_OK;
}

/* What is in none of the ranges. */
static enum rc class_invert(struct pattern *p, struct class *class)
{
	struct class out = { .n = 0 };
	uint32_t next = 0;
	enum rc rc = RC_OK;

	while (rc == RC_OK && next <= CODE_POINT_MAX) {
		uint32_t lo = CODE_POINT_MAX + 1, hi = 0;

		/* The nearest range at or behind `next`. */
		for (size_t i = 0; i < class->n; i++) {
			if (class->ranges[i].hi >= next && class->ranges[i].lo < lo) {
				lo = class->ranges[i].lo;
				hi = class->ranges[i].hi;
			}
		}
		if (lo > next)
			rc = class_add(p, &out, next, lo - 1);
		next = lo > CODE_POINT_MAX ? lo : hi + 1;
	}
	*class = out;
	return rc;
}

/* \d, \w, \s and what they leave; false: no such class. */
static bool named_class(char letter, struct class *class)
{
	static const struct class digits = { .ranges = { { '0', '9' } }, .n = 1 };
	static const struct class words = {
		.ranges = { { '0', '9' }, { 'A', 'Z' }, { '_', '_' }, { 'a', 'z' } }, .n = 4
	};
	static const struct class blanks = { .ranges = { { '\t', '\r' }, { ' ', ' ' },
						 { 0xA0, 0xA0 }, { 0x2028, 0x2029 } },
		.n = 4 };

	switch (letter | 0x20) {
	case 'd':
		*class = digits;
		return true;
	case 'w':
		*class = words;
		return true;
	case 's':
		*class = blanks;
		return true;
	default:
		return false;
	}
}

static enum rc take_hex(struct pattern *p, int digits, uint32_t *cp)
{
	*cp = 0;
	for (int i = 0; i < digits; i++) {
		static const char hex[] = "0123456789abcdef";
		const char *found =
		    p->at < p->end && *p->at != '\0'
			? strchr(hex, *p->at >= 'A' && *p->at <= 'F' ? *p->at | 0x20 : *p->at)
			: NULL;

		if (found == NULL)
			return broken(p);
		*cp = *cp << 4 | (uint32_t)(found - hex);
		p->at++;
	}
	return RC_OK;
}

/* Behind a backslash: a code point, or a class (`*is_class`). */
static enum rc take_escape(struct pattern *p, struct class *class, uint32_t *cp, bool *is_class)
{
	static const char letters[] = "t\tn\nr\rf\fv\v";
	char letter = p->at < p->end ? *p->at : '\0';

	*is_class = named_class(letter, class);
	if (*is_class) {
		p->at++;
		return letter >= 'A' && letter <= 'Z' ? class_invert(p, class) : RC_OK;
	}
	if ((letter >= '0' && letter <= '9') || letter == 'k')
		return refuse(p, "a reference back");
	if (letter == 'b' || letter == 'B')
		return refuse(p, "a word's border");
	if (letter == 'p' || letter == 'P')
		return refuse(p, "a class of Unicode");
	if (letter == 'u' || letter == 'x') {
		p->at++;
		return take_hex(p, letter == 'u' ? 4 : 2, cp);
	}
	for (const char *at = letters; *at != '\0'; at += 2) {
		if (at[0] == letter) {
			*cp = (uint32_t)at[1];
			p->at++;
			return RC_OK;
		}
	}
	if ((letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z'))
		return refuse(p, "an escape that is not known");
	return take_code_point(p, cp);
}

static enum rc take_member(struct pattern *p, struct class *class, uint32_t *cp, bool *is_class)
{
	*is_class = false;
	return take(p, '\\') ? take_escape(p, class, cp, is_class) : take_code_point(p, cp);
}

/* Behind `[`. */
static enum rc take_class(struct pattern *p, struct class *out)
{
	bool inverted = take(p, '^');
	enum rc rc = RC_OK;

	out->n = 0;
	while (rc == RC_OK && !take(p, ']')) {
		struct class inner;
		uint32_t lo = 0, hi = 0;
		bool is_class;

		rc = take_member(p, &inner, &lo, &is_class);
		for (size_t i = 0; rc == RC_OK && is_class && i < inner.n; i++)
			rc = class_add(p, out, inner.ranges[i].lo, inner.ranges[i].hi);
		if (rc != RC_OK || is_class)
			continue;
		hi = lo;
		if (p->at + 1 < p->end && p->at[0] == '-' && p->at[1] != ']') {
			p->at++;
			rc = take_member(p, &inner, &hi, &is_class);
			if (rc == RC_OK && (is_class || hi < lo))
				return broken(p);
		}
		if (rc == RC_OK)
			rc = class_add(p, out, lo, hi);
	}
	return rc == RC_OK && inverted ? class_invert(p, out) : rc;
}

static void put_class(struct pattern *p, const struct class *class, uint16_t from, uint16_t to)
{
	for (size_t i = 0; i < class->n; i++)
		schema_put_range(p->c, from, class->ranges[i].lo, class->ranges[i].hi, to);
}

/* ---- parts ---- */

static enum rc put_group(struct pattern *p, uint16_t from, uint16_t to)
{
	if (take(p, '?')) {
		if (take(p, '<')) {
			if (next_is(p, '=') || next_is(p, '!'))
				return refuse(p, "a look behind");
			const char *close = memchr(p->at, '>', (size_t)(p->end - p->at));
			if (close == NULL)
				return broken(p);
			p->at = close + 1;
		} else if (!take(p, ':')) {
			return refuse(p, "a look ahead");
		}
	}
	if (++p->groups > GROUPS_MAX)
		return refuse(p, "so many groups within one another");
	enum rc rc = put_choice(p, from, to);
	p->groups--;
	return rc == RC_OK && !take(p, ')') ? broken(p) : rc;
}

static enum rc put_atom(struct pattern *p, uint16_t from, uint16_t to)
{
	struct class class = { .n = 0 };
	uint32_t cp = 0;
	bool is_class = false;
	enum rc rc = builder_rc(p->c->builder);

	if (rc != RC_OK || ++p->parts > PARTS_MAX)
		return schema_fail(p->c, RC_LIMIT, "pattern: it needs too many states");
	if (take(p, '('))
		return put_group(p, from, to);
	if (next_is(p, '^') || next_is(p, '$'))
		return refuse(p, "an anchor within");
	if (p->at < p->end && strchr("*+?{", *p->at) != NULL)
		return broken(p);
	if (take(p, '[')) {
		rc = take_class(p, &class);
		is_class = true;
	} else if (take(p, '.')) {
		is_class = true;
		rc = class_add(p, &class, '\n', '\n');
		if (rc == RC_OK)
			rc = class_add(p, &class, '\r', '\r');
		if (rc == RC_OK)
			rc = class_invert(p, &class);
	} else {
		rc = take_member(p, &class, &cp, &is_class);
	}
	if (rc == RC_OK && is_class)
		put_class(p, &class, from, to);
	else if (rc == RC_OK)
		schema_put_range(p->c, from, cp, cp, to);
	return rc;
}

static bool take_count(struct pattern *p, long *out)
{
	bool any = false;

	*out = 0;
	for (; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++, any = true) {
		if (*out <= REPEAT_MAX)
			*out = *out * 10 + (*p->at - '0');
	}
	return any;
}

static enum rc take_repeat(struct pattern *p, long *least, long *most)
{
	*least = *most = 1;
	if (take(p, '*')) {
		*least = 0;
		*most = NO_END;
	} else if (take(p, '+')) {
		*most = NO_END;
	} else if (take(p, '?')) {
		*least = 0;
	} else if (take(p, '{')) {
		if (!take_count(p, least))
			return broken(p);
		*most = *least;
		if (take(p, ',') && !take_count(p, most))
			*most = NO_END;
		if (!take(p, '}') || (*most != NO_END && *most < *least))
			return broken(p);
		if (*least > REPEAT_MAX || *most > REPEAT_MAX)
			return schema_fail(
			    p->c, RC_LIMIT, "pattern: a count is over %d", REPEAT_MAX);
	} else {
		return RC_OK;
	}
	(void)take(p, '?'); /* lazy or not: the same texts */
	return RC_OK;
}

/* An atom and how often it stands there. */
static enum rc put_repeated(struct pattern *p, uint16_t from, uint16_t to)
{
	const char *atom = p->at;
	uint16_t nowhere = builder_state(p->c->builder);
	uint16_t once = builder_state(p->c->builder);
	long least, most;

	/* Once aside, to find its end and its count; nothing leads there but `nowhere`. */
	enum rc rc = put_atom(p, nowhere, once);
	if (rc == RC_OK)
		rc = take_repeat(p, &least, &most);
	if (rc != RC_OK)
		return rc;
	const char *behind = p->at;
	if (least == 1 && most == 1) {
		builder_empty(p->c->builder, from, nowhere);
		builder_empty(p->c->builder, once, to);
		return RC_OK;
	}
	long n = most == NO_END ? (least == 0 ? 1 : least) : most;
	if (least == 0)
		builder_empty(p->c->builder, from, to);
	for (long i = 0; rc == RC_OK && i < n; i++) {
		uint16_t next = builder_state(p->c->builder);

		p->at = atom;
		rc = put_atom(p, from, next);
		if (i + 1 >= least)
			builder_empty(p->c->builder, next, to);
		if (most == NO_END && i + 1 == n)
			builder_empty(p->c->builder, next, from);
		from = next;
	}
	p->at = behind;
	return rc;
}

static enum rc put_row(struct pattern *p, uint16_t from, uint16_t to)
{
	enum rc rc = RC_OK;

	while (rc == RC_OK && p->at < p->end && *p->at != '|' && *p->at != ')') {
		uint16_t next = builder_state(p->c->builder);

		rc = put_repeated(p, from, next);
		from = next;
	}
	builder_empty(p->c->builder, from, to);
	return rc;
}

static enum rc put_choice(struct pattern *p, uint16_t from, uint16_t to)
{
	enum rc rc;

	do
		rc = put_row(p, from, to);
	while (rc == RC_OK && take(p, '|'));
	return rc;
}

/* ---- the whole ---- */

/* A `$` at the end that is not escaped. */
static bool ends_anchored(const char *pattern, size_t len)
{
	size_t slashes = 0;

	if (len == 0 || pattern[len - 1] != '$')
		return false;
	while (slashes + 1 < len && pattern[len - 2 - slashes] == '\\')
		slashes++;
	return slashes % 2 == 0;
}

/* Is there a choice that no group holds?  Anchors would belong to its ends alone. */
static bool open_choice(const char *pattern, size_t len)
{
	bool in_class = false;
	long depth = 0;

	for (size_t i = 0; i < len; i++) {
		if (pattern[i] == '\\')
			i++;
		else if (in_class)
			in_class = pattern[i] != ']';
		else if (pattern[i] == '[')
			in_class = true;
		else if (pattern[i] == '|' && depth == 0)
			return true;
		else
			depth += (pattern[i] == '(') - (pattern[i] == ')');
	}
	return false;
}

enum rc pattern_put(struct compiler *c, const char *pattern, size_t len, uint16_t from, uint16_t to)
{
	bool front = len > 0 && pattern[0] == '^', back = ends_anchored(pattern, len);
	struct pattern p = { .c = c, .at = pattern + front, .end = pattern + len - back };
	uint16_t before = builder_state(c->builder), behind = builder_state(c->builder);
	uint16_t character = schema_shared(c, SHARED_CHARACTER);

	if ((front || back) && open_choice(pattern, len))
		return refuse(&p, "an anchor of one alternative");
	builder_empty(c->builder, from, before);
	builder_empty(c->builder, behind, to);
	if (!front)
		builder_call(c->builder, before, character, before);
	if (!back)
		builder_call(c->builder, behind, character, behind);
	enum rc rc = put_choice(&p, before, behind);
	return rc == RC_OK && p.at != p.end ? broken(&p) : rc;
}
