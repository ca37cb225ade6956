/* Schema compiler: numbers, also between bounds, digit by digit. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grammar/schema_impl.h"

#define BOUND_DIGITS_MAX 18 /* of a bound, before and behind the point */
#define FRACTION_MAX (BOUND_DIGITS_MAX + 1)
#define TOO_LARGE 1e18

/* A magnitude in decimal: digits before the point without leading zeros ("0" alone), and
 * behind it without trailing ones. */
struct decimal {
	char whole[BOUND_DIGITS_MAX + 2];
	char fraction[BOUND_DIGITS_MAX + 2];
	size_t n_whole, n_fraction;
};

struct bound {
	bool is, negative, exclusive;
	double real;
	struct decimal magnitude;
};

static void put_byte(struct compiler *c, uint16_t from, char byte, uint16_t to)
{
	builder_bytes(c->builder, from, (uint8_t)byte, (uint8_t)byte, to);
}

/* ---- without bounds ---- */

/* Up to `n` digits more; each may be the last. */
static void put_digits(struct compiler *c, int n, uint16_t from, uint16_t to)
{
	for (int i = 0; i < n; i++) {
		uint16_t next = builder_state(c->builder);

		builder_empty(c->builder, from, to);
		builder_bytes(c->builder, from, '0', '9', next);
		from = next;
	}
	builder_empty(c->builder, from, to);
}

static void put_whole(struct compiler *c, uint16_t from, uint16_t zero, uint16_t to)
{
	uint16_t first = builder_state(c->builder);

	put_byte(c, from, '0', zero);
	builder_bytes(c->builder, from, '1', '9', first);
	put_digits(c, SCHEMA_DIGITS_MAX - 1, first, to);
}

/* -0 is no integer that anyone sends. */
void schema_put_integer_any(struct compiler *c, uint16_t from, uint16_t to)
{
	uint16_t minus = builder_state(c->builder), first = builder_state(c->builder);

	put_whole(c, from, to, to);
	put_byte(c, from, '-', minus);
	builder_bytes(c->builder, minus, '1', '9', first);
	put_digits(c, SCHEMA_DIGITS_MAX - 1, first, to);
}

void schema_put_number_any(struct compiler *c, uint16_t from, uint16_t to)
{
	uint16_t minus = builder_state(c->builder), whole = builder_state(c->builder);
	uint16_t point = builder_state(c->builder), first = builder_state(c->builder);
	uint16_t fraction = builder_state(c->builder), exponent = builder_state(c->builder);
	uint16_t sign = builder_state(c->builder), digit = builder_state(c->builder);

	put_whole(c, from, whole, whole);
	put_byte(c, from, '-', minus);
	put_whole(c, minus, whole, whole);
	builder_empty(c->builder, whole, fraction);
	put_byte(c, whole, '.', point);
	builder_bytes(c->builder, point, '0', '9', first);
	put_digits(c, SCHEMA_DIGITS_MAX - 1, first, fraction);
	builder_empty(c->builder, fraction, to);
	put_byte(c, fraction, 'e', exponent);
	put_byte(c, fraction, 'E', exponent);
	builder_empty(c->builder, exponent, sign);
	put_byte(c, exponent, '+', sign);
	put_byte(c, exponent, '-', sign);
	builder_bytes(c->builder, sign, '0', '9', digit);
	builder_empty(c->builder, digit, to);
	builder_bytes(c->builder, digit, '0', '9', to);
}

/* ---- bounds ---- */

static enum rc write_decimal(struct compiler *c, double real, struct decimal *out)
{
	char text[64];
	int digits = 0;

	/* The fewest digits behind the point that mean this number. */
	do
		(void)snprintf(text, sizeof(text), "%.*f", digits, real);
	while ((strtod(text, NULL) < real || strtod(text, NULL) > real) &&
	       ++digits <= BOUND_DIGITS_MAX);
	if (digits > BOUND_DIGITS_MAX)
		return schema_fail(c, RC_LIMIT, "a bound has over %d digits", BOUND_DIGITS_MAX);
	char *point = strchr(text, '.');
	*out = (struct decimal){ .n_whole = point == NULL ? strlen(text) : (size_t)(point - text) };
	memcpy(out->whole, text, out->n_whole);
	if (point != NULL) {
		out->n_fraction = strlen(point + 1);
		memcpy(out->fraction, point + 1, out->n_fraction);
	}
	return RC_OK;
}

/* One that no number that is written here reaches is none. */
static enum rc read_bound(
    struct compiler *c, const struct value *value, bool lower, bool exclusive, struct bound *out)
{
	struct bound bound = { .is = true, .exclusive = exclusive };

	if (value->kind != VALUE_INT && value->kind != VALUE_REAL)
		return schema_fail(c, RC_INVALID, "a bound must be a number");
	bound.real = value->kind == VALUE_INT ? (double)value->u.integer : value->u.real;
	bound.negative = bound.real < 0;
	if (!(fabs(bound.real) < TOO_LARGE)) {
		bound.is = false;
		if (bound.negative != lower)
			return schema_fail(
			    c, RC_UNSUPPORTED, "a bound leaves no number that is written");
	}
	enum rc rc = RC_OK;
	if (bound.is && value->kind == VALUE_INT) {
		long long n = value->u.integer;
		int len = snprintf(
		    bound.magnitude.whole, sizeof(bound.magnitude.whole), "%lld", n < 0 ? -n : n);

		bound.magnitude.n_whole = (size_t)len;
	} else if (bound.is) {
		rc = write_decimal(c, fabs(bound.real), &bound.magnitude);
	}
	if (rc == RC_OK)
		*out = bound;
	return rc;
}

/* The tighter of the keyword and its exclusive twin; which may also be draft 4's flag. */
static enum rc read_side(struct compiler *c, struct value schema, bool lower, struct bound *out)
{
	const struct value *plain = schema_get(schema, lower ? "minimum" : "maximum");
	const struct value *strict =
	    schema_get(schema, lower ? "exclusiveMinimum" : "exclusiveMaximum");
	bool flag = strict != NULL && strict->kind == VALUE_BOOL;
	struct bound second = { .is = false };
	enum rc rc = RC_OK;

	*out = (struct bound){ .is = false };
	if (plain != NULL)
		rc = read_bound(c, plain, lower, flag && strict->u.boolean, out);
	if (rc == RC_OK && strict != NULL && !flag)
		rc = read_bound(c, strict, lower, true, &second);
	if (second.is &&
	    (!out->is || (lower ? second.real >= out->real : second.real <= out->real)))
		*out = second;
	return rc;
}

/* ---- between bounds ---- */

/*
 * Magnitudes from `lo` to `hi` (NULL: no end), by states of (digits so far, still equal to
 * lo's, still equal to hi's).
 */
struct range {
	struct compiler *c;
	const struct bound *lo, *hi;
	bool integer;
	size_t n; /* digits before the point, in this round */
	uint16_t to;
	uint16_t memo[2 * FRACTION_MAX + 2][2][2]; /* 0: not there yet */
};

static bool zeros(const struct decimal *d, size_t from)
{
	for (size_t i = from; i < d->n_fraction; i++) {
		if (d->fraction[i] != '0')
			return false;
	}
	return true;
}

/* The digit at `at`, counted over the point. */
static char digit_of(const struct range *r, const struct bound *bound, size_t at)
{
	const struct decimal *d = &bound->magnitude;

	if (at < r->n)
		return d->whole[at];
	return at - r->n < d->n_fraction ? d->fraction[at - r->n] : '0';
}

/* May the number end behind `at` digits? */
static bool may_end(const struct range *r, size_t at, bool low, bool high)
{
	size_t behind = at - r->n;

	if (low && (!zeros(&r->lo->magnitude, behind) || r->lo->exclusive))
		return false;
	return !(high && r->hi->exclusive && zeros(&r->hi->magnitude, behind));
}

static uint16_t range_state(struct range *r, size_t at, bool low, bool high);

static void put_digit_edges(struct range *r, uint16_t from, size_t at, bool low, bool high)
{
	for (char digit = at == 0 && r->n > 1 ? '1' : '0'; digit <= '9'; digit++) {
		if ((low && digit < digit_of(r, r->lo, at)) ||
		    (high && digit > digit_of(r, r->hi, at)))
			continue;
		put_byte(r->c, from, digit,
		    range_state(r, at + 1, low && digit == digit_of(r, r->lo, at),
			high && digit == digit_of(r, r->hi, at)));
	}
}

static uint16_t range_state(struct range *r, size_t at, bool low, bool high)
{
	uint16_t *memo = &r->memo[at][low][high];
	uint16_t digits;

	if (*memo != 0 || builder_rc(r->c->builder) != RC_OK)
		return *memo;
	*memo = digits = builder_state(r->c->builder);
	if (at < r->n) {
		put_digit_edges(r, digits, at, low, high);
		return *memo;
	}
	if (may_end(r, at, low, high))
		builder_empty(r->c->builder, digits, r->to);
	if (r->integer || at - r->n == FRACTION_MAX)
		return *memo;
	if (at == r->n) {
		digits = builder_state(r->c->builder);
		put_byte(r->c, *memo, '.', digits);
	}
	uint16_t result = *memo;
	put_digit_edges(r, digits, at, low, high);
	return result;
}

static void put_magnitudes(struct compiler *c, const struct bound *lo, const struct bound *hi,
    bool integer, uint16_t from, uint16_t to)
{
	struct range r = { .c = c, .lo = lo, .hi = hi, .integer = integer, .to = to };
	size_t least = lo->magnitude.n_whole;
	size_t most = hi != NULL                  ? hi->magnitude.n_whole
		      : least > SCHEMA_DIGITS_MAX ? least
						  : SCHEMA_DIGITS_MAX;

	for (r.n = least; r.n <= most; r.n++) {
		memset(r.memo, 0, sizeof(r.memo));
		builder_empty(
		    c->builder, from, range_state(&r, 0, r.n == least, hi != NULL && r.n == most));
	}
}

static const struct bound zero = { .is = true, .magnitude = { .whole = "0", .n_whole = 1 } };

enum rc schema_put_number(
    struct compiler *c, struct value schema, bool integer, uint16_t from, uint16_t to)
{
	struct bound lo, hi, above_zero = zero;
	enum rc rc = read_side(c, schema, true, &lo);

	if (rc == RC_OK)
		rc = read_side(c, schema, false, &hi);
	if (rc != RC_OK)
		return rc;
	if (!lo.is && !hi.is) {
		builder_call(c->builder, from,
		    schema_shared(c, integer ? SHARED_INTEGER : SHARED_NUMBER), to);
		return RC_OK;
	}
	if (!hi.is || !hi.negative)
		put_magnitudes(
		    c, lo.is && !lo.negative ? &lo : &zero, hi.is ? &hi : NULL, integer, from, to);
	/* Below zero: magnitudes the other way round, zero not among them. */
	above_zero.exclusive = true;
	if (!lo.is || lo.negative) {
		uint16_t minus = builder_state(c->builder);

		put_byte(c, from, '-', minus);
		put_magnitudes(c, hi.is && hi.negative ? &hi : &above_zero, lo.is ? &lo : NULL,
		    integer, minus, to);
	}
	return RC_OK;
}
