/*
 * Ingest numbers: the long arrays of a block, read without a tree of JSON.
 *
 * A tree costs an allocation for each number, which is most of the work of
 * taking in a block.  So `values` and `times` are read from the text first and
 * the parser sees them empty.  Whatever is not plainly an array of numbers is
 * left where it is: then the parser sees it all and names what is wrong.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/ingest_internal.h"

#define MANTISSA_MAX (UINT64_C(1) << 53)
#define POWER_MAX 22 /* the largest power of ten that a double holds exactly */

static const double powers[POWER_MAX + 1] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9,
	1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };

struct text {
	const char *at, *end;
};

struct number {
	double value;
	int64_t integer;
	bool is_integer;
};

static bool is_digit(const struct text *t)
{
	return t->at < t->end && *t->at >= '0' && *t->at <= '9';
}

static void skip_blank(struct text *t)
{
	t->at += ingest_json_blank(t->at, (size_t)(t->end - t->at));
}

/* Digits into *mantissa (as many as it holds); how many there were. */
static size_t read_digits(struct text *t, uint64_t *mantissa, bool *large)
{
	const char *begin = t->at;

	for (; is_digit(t); t->at++) {
		*large = *large || *mantissa > MANTISSA_MAX / 10;
		if (!*large)
			*mantissa = *mantissa * 10 + (uint64_t)(*t->at - '0');
	}
	return (size_t)(t->at - begin);
}

static bool read_exponent(struct text *t, int *exponent)
{
	bool minus;
	int value = 0;

	t->at++;
	minus = t->at < t->end && *t->at == '-';
	if (t->at < t->end && (*t->at == '-' || *t->at == '+'))
		t->at++;
	if (!is_digit(t))
		return false;
	for (; is_digit(t); t->at++)
		value = value > 9999 ? value : value * 10 + (*t->at - '0');
	*exponent += minus ? -value : value;
	return true;
}

/*
 * The double nearest to the number, as strtod() finds it: where mantissa and
 * power of ten are both exact, one division or product rounds once.
 */
static bool number_value(const struct text *behind, const char *begin, bool minus,
    uint64_t mantissa, int exponent, bool large, double *out)
{
	if (!large && exponent >= -POWER_MAX && exponent <= POWER_MAX) {
		double m = (double)mantissa;
		*out = exponent < 0 ? m / powers[-exponent] : m * powers[exponent];
		*out = minus ? -*out : *out;
		return true;
	}
	if (behind->at == behind->end)
		return false; /* nothing that ends it for strtod() */
	*out = strtod(begin, NULL);
	return isfinite(*out);
}

static bool read_number(struct text *t, struct number *out)
{
	const char *begin = t->at;
	uint64_t mantissa = 0;
	bool large = false, minus = t->at < t->end && *t->at == '-';
	int exponent = 0;

	if (minus)
		t->at++;
	bool zero = t->at < t->end && *t->at == '0';
	size_t digits = read_digits(t, &mantissa, &large);
	if (digits == 0 || (zero && digits > 1))
		return false;
	out->is_integer = true;
	if (t->at < t->end && *t->at == '.') {
		t->at++;
		digits = read_digits(t, &mantissa, &large);
		if (digits == 0 || digits > INT16_MAX)
			return false;
		exponent = -(int)digits;
		out->is_integer = false;
	}
	if (t->at < t->end && (*t->at == 'e' || *t->at == 'E')) {
		out->is_integer = false;
		if (!read_exponent(t, &exponent))
			return false;
	}
	if (!out->is_integer)
		return number_value(t, begin, minus, mantissa, exponent, large, &out->value);
	/* An integer has no minus zero, and all its digits count. */
	out->integer = minus ? -(int64_t)mantissa : (int64_t)mantissa;
	out->value = (double)out->integer;
	return !large;
}

/* Into `values`, or `times` if that is not NULL, [n] of them. */
static bool read_items(struct text *t, size_t n, double *values, int64_t *times)
{
	struct number number = { 0 };

	t->at++;
	for (size_t i = 0; i < n; i++) {
		skip_blank(t);
		if (!read_number(t, &number) || (times != NULL && !number.is_integer))
			return false;
		if (times != NULL)
			times[i] = number.integer;
		else
			values[i] = number.value;
		skip_blank(t);
		if (t->at == t->end || *t->at != (i + 1 < n ? ',' : ']'))
			return false;
		t->at++;
	}
	return true;
}

/* Items of the array at the bracket t->at if it holds numbers only; 0: no. */
static size_t count_items(const struct text *t)
{
	const char *end = memchr(t->at, ']', (size_t)(t->end - t->at));
	size_t commas = 0;

	if (end == NULL)
		return 0;
	for (const char *at = t->at; at < end; at++)
		commas += *at == ',';
	return commas >= OBS_VALUES_MAX ? 0 : commas + 1;
}

static bool read_array(struct text *t, struct arena *arena, bool times, struct ingest_numbers *out)
{
	size_t n = count_items(t);
	void *items = n == 0 ? NULL : arena_array(arena, n, sizeof(double));

	_Static_assert(sizeof(double) == sizeof(int64_t), "one size for both");
	if (items == NULL || !read_items(t, n, times ? NULL : items, times ? items : NULL))
		return false;
	if (times) {
		out->times = items;
		out->times_len = n;
	} else {
		out->values = items;
		out->values_len = n;
	}
	return true;
}

static void put(char **to, const char *from, const char *end)
{
	memcpy(*to, from, (size_t)(end - from));
	*to += end - from;
}

/* One member at its key; what is not taken is passed over. */
static bool read_member(
    struct text *t, struct arena *arena, char **rest, struct ingest_numbers *out)
{
	static const char empty[] = "[]";
	const char *begin = t->at;
	size_t left = (size_t)(t->end - t->at), key = ingest_json_span(t->at, left);

	if (key == 0 || *begin != '"')
		return false;
	bool values = key == 8 && memcmp(begin, "\"values\"", key) == 0;
	bool times = key == 7 && memcmp(begin, "\"times\"", key) == 0;
	t->at += key;
	skip_blank(t);
	if (t->at == t->end || *t->at++ != ':')
		return false;
	skip_blank(t);
	if ((values || times) && t->at < t->end && *t->at == '[' &&
	    (values ? out->values == NULL : out->times == NULL)) {
		put(rest, begin, t->at);
		put(rest, empty, empty + strlen(empty));
		return read_array(t, arena, times, out);
	}
	size_t span = ingest_json_span(t->at, (size_t)(t->end - t->at));
	t->at += span;
	put(rest, begin, t->at);
	return span > 0;
}

static bool read_object(
    struct text *t, struct arena *arena, char **rest, struct ingest_numbers *out)
{
	skip_blank(t);
	if (t->at == t->end || *t->at != '{')
		return false;
	for (bool on = true; on;) {
		put(rest, t->at, t->at + 1); /* the brace or the comma */
		t->at++;
		skip_blank(t);
		if (t->at == t->end || !read_member(t, arena, rest, out))
			return false;
		skip_blank(t);
		on = t->at < t->end && *t->at == ',';
	}
	put(rest, t->at, t->end);
	return true;
}

enum rc ingest_numbers_take(
    const char *json, size_t len, struct arena *arena, struct ingest_numbers *out)
{
	struct text t = { json, json + len };

	*out = (struct ingest_numbers){ .rest = json, .rest_len = len };
	if (memmem(json, len, "\"values\"", 8) == NULL)
		return RC_OK;
	struct ingest_numbers taken = { 0 };
	char *rest = arena_alloc(arena, len + 1), *end = rest;
	if (rest == NULL)
		return RC_NOMEM;
	if (!read_object(&t, arena, &end, &taken) || taken.values == NULL)
		return RC_OK;
	*out = taken;
	out->rest = rest;
	out->rest_len = (size_t)(end - rest);
	return RC_OK;
}
