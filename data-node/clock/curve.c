/* Curves: statements closed under the rates that a clock can have. */
#include "clock/curve.h"

#include <string.h>

#define PPB INT64_C(1000000000)
#define FIT_NS (60 * INT64_C(1000000000)) /* statements closer than this fit no rate */
/* A statement is kept if it narrows by this, or by 1/NEWS_SHARE of the width. */
#define NEWS_NS INT64_C(1000000)
#define NEWS_SHARE 64
#define NEWS_FLOOR_NS INT64_C(1000)

__extension__ typedef __int128 wide;

/* ---- arithmetic that neither overflows nor rounds inwards ------------------------ */

static int64_t clamp(wide value)
{
	if (value <= (wide)INT64_MIN + 1)
		return INT64_MIN + 1;
	return value >= (wide)INT64_MAX - 1 ? INT64_MAX - 1 : (int64_t)value;
}

static wide floor_div(wide a, wide b)
{
	wide q = a / b;

	return q * b > a ? q - 1 : q;
}

/* ns × (1 + rate), rounded down or up. */
static wide grow_floor(wide ns, int32_t ppb)
{
	return ns + floor_div(ns * ppb, PPB);
}

static wide grow_ceil(wide ns, int32_t ppb)
{
	return ns - floor_div(-ns * ppb, PPB);
}

int64_t curve_span_min_ns(int64_t ns)
{
	return clamp(grow_floor(ns, ns >= 0 ? -CURVE_RATE_PPB : CURVE_RATE_PPB));
}

int64_t curve_span_max_ns(int64_t ns)
{
	return clamp(grow_ceil(ns, ns >= 0 ? CURVE_RATE_PPB : -CURVE_RATE_PPB));
}

/* What a bound at `from` says at `to`. */
static int64_t carry_lo(const struct curve *c, int64_t lo, int64_t from, int64_t to)
{
	if (lo == CURVE_OPEN_LO)
		return lo;
	wide ns = (wide)to - from;
	return clamp(lo + grow_floor(ns, ns >= 0 ? c->rate_lo_ppb : c->rate_hi_ppb));
}

static int64_t carry_hi(const struct curve *c, int64_t hi, int64_t from, int64_t to)
{
	if (hi == CURVE_OPEN_HI)
		return hi;
	wide ns = (wide)to - from;
	return clamp(hi + grow_ceil(ns, ns >= 0 ? c->rate_hi_ppb : c->rate_lo_ppb));
}

/* ---- closing ------------------------------------------------------------------------ */

static void meet(const struct curve *c, struct curve_knot *knot, const struct curve_knot *other)
{
	int64_t lo = carry_lo(c, other->closed_lo, other->dev_ns, knot->dev_ns);
	int64_t hi = carry_hi(c, other->closed_hi, other->dev_ns, knot->dev_ns);

	if (lo > knot->closed_lo)
		knot->closed_lo = lo;
	if (hi < knot->closed_hi)
		knot->closed_hi = hi;
}

static bool close_bounds(struct curve *c)
{
	for (size_t i = 0; i < c->len; i++) {
		c->knots[i].closed_lo = c->knots[i].lo_ns;
		c->knots[i].closed_hi = c->knots[i].hi_ns;
	}
	for (size_t i = 1; i < c->len; i++)
		meet(c, &c->knots[i], &c->knots[i - 1]);
	for (size_t i = c->len; i-- > 1;)
		meet(c, &c->knots[i - 1], &c->knots[i]);
	for (size_t i = 0; i < c->len; i++) {
		if (c->knots[i].closed_lo > c->knots[i].closed_hi)
			return false;
	}
	return true;
}

/* The mean rate between two knots bounds every rate to within twice A2. */
static bool fit_pair(struct curve *c, const struct curve_knot *a, const struct curve_knot *b)
{
	wide ns = (wide)b->dev_ns - a->dev_ns;

	if (ns < FIT_NS || a->closed_lo == CURVE_OPEN_LO || a->closed_hi == CURVE_OPEN_HI ||
	    b->closed_lo == CURVE_OPEN_LO || b->closed_hi == CURVE_OPEN_HI)
		return true;
	wide least = floor_div(((wide)b->closed_lo - a->closed_hi - ns) * PPB, ns);
	wide most = -floor_div(-((wide)b->closed_hi - a->closed_lo - ns) * PPB, ns);
	least -= 2 * CURVE_WANDER_PPB;
	most += 2 * CURVE_WANDER_PPB;
	if (least > c->rate_lo_ppb)
		c->rate_lo_ppb = least > CURVE_RATE_PPB ? CURVE_RATE_PPB + 1 : (int32_t)least;
	if (most < c->rate_hi_ppb)
		c->rate_hi_ppb = most < -CURVE_RATE_PPB ? -CURVE_RATE_PPB - 1 : (int32_t)most;
	return c->rate_lo_ppb <= c->rate_hi_ppb;
}

static bool fit(struct curve *c, size_t at)
{
	int32_t lo_ppb = c->rate_lo_ppb, hi_ppb = c->rate_hi_ppb;

	for (size_t i = 0; i < c->len; i++) {
		const struct curve_knot *a = &c->knots[i < at ? i : at];
		const struct curve_knot *b = &c->knots[i < at ? at : i];
		if (i != at && !fit_pair(c, a, b))
			return false;
	}
	return (lo_ppb == c->rate_lo_ppb && hi_ppb == c->rate_hi_ppb) || close_bounds(c);
}

bool curve_close(struct curve *curve)
{
	for (size_t i = 0; i < curve->len; i++) {
		if (i > 0 && curve->knots[i].dev_ns <= curve->knots[i - 1].dev_ns)
			return false;
	}
	return curve->rate_lo_ppb >= -CURVE_RATE_PPB && curve->rate_hi_ppb <= CURVE_RATE_PPB &&
	       curve->rate_lo_ppb <= curve->rate_hi_ppb && close_bounds(curve);
}

/* ---- knots ------------------------------------------------------------------------------ */

void curve_init(struct curve *curve)
{
	curve->len = 0;
	curve->rate_lo_ppb = -CURVE_RATE_PPB;
	curve->rate_hi_ppb = CURVE_RATE_PPB;
}

/* The first knot not before `dev_ns`. */
static size_t find(const struct curve *c, int64_t dev_ns)
{
	size_t at = 0;

	while (at < c->len && c->knots[at].dev_ns < dev_ns)
		at++;
	return at;
}

/*
 * Make room: the knot goes whose neighbours are closest for its distance to the
 * newest one, so what stays gets sparser with age.  The ends stay.
 */
static void thin(struct curve *c)
{
	int64_t newest = c->knots[c->len - 1].dev_ns;
	wide least_gap = 0, least_age = 1;
	size_t worst = 0;

	for (size_t i = 1; i + 1 < c->len; i++) {
		wide gap = ((wide)c->knots[i + 1].dev_ns - c->knots[i - 1].dev_ns) / 1000;
		wide age = ((wide)newest - c->knots[i].dev_ns) / 1000 + 1;
		if (worst == 0 || gap * least_age < least_gap * age) {
			worst = i;
			least_gap = gap;
			least_age = age;
		}
	}
	memmove(&c->knots[worst], &c->knots[worst + 1], (c->len - worst - 1) * sizeof c->knots[0]);
	c->len--;
}

static size_t insert(struct curve *c, int64_t dev_ns, int64_t lo_ns, int64_t hi_ns)
{
	if (c->len == CURVE_KNOTS_MAX)
		thin(c);
	size_t at = find(c, dev_ns);
	if (at == c->len || c->knots[at].dev_ns != dev_ns) {
		memmove(&c->knots[at + 1], &c->knots[at], (c->len - at) * sizeof c->knots[0]);
		c->knots[at] = (struct curve_knot){
			.dev_ns = dev_ns, .lo_ns = CURVE_OPEN_LO, .hi_ns = CURVE_OPEN_HI
		};
		c->len++;
	}
	if (lo_ns > c->knots[at].lo_ns)
		c->knots[at].lo_ns = lo_ns;
	if (hi_ns < c->knots[at].hi_ns)
		c->knots[at].hi_ns = hi_ns;
	return at;
}

/* Is [lo, hi] enough narrower than [was_lo, was_hi] to be kept? */
static bool is_news(int64_t lo, int64_t hi, int64_t was_lo, int64_t was_hi)
{
	bool open = was_lo == CURVE_OPEN_LO || was_hi == CURVE_OPEN_HI;
	wide step = open ? NEWS_NS : ((wide)was_hi - was_lo) / NEWS_SHARE;

	if (step < NEWS_FLOOR_NS)
		step = NEWS_FLOOR_NS;
	if (lo != CURVE_OPEN_LO && (was_lo == CURVE_OPEN_LO || (wide)lo - was_lo >= step))
		return true;
	return hi != CURVE_OPEN_HI && (was_hi == CURVE_OPEN_HI || (wide)was_hi - hi >= step);
}

bool curve_state(struct curve *curve, int64_t dev_ns, int64_t lo_ns, int64_t hi_ns, bool *news)
{
	struct curve next;
	int64_t was_lo, was_hi;

	*news = false;
	curve_bounds(curve, dev_ns, &was_lo, &was_hi);
	if (lo_ns > hi_ns || lo_ns > was_hi || hi_ns < was_lo)
		return false;
	if (!is_news(lo_ns, hi_ns, was_lo, was_hi))
		return true;
	next = *curve;
	size_t at = insert(&next, dev_ns, lo_ns, hi_ns);
	if (!close_bounds(&next) || !fit(&next, at))
		return false;
	*curve = next;
	*news = true;
	return true;
}

void curve_bounds(const struct curve *curve, int64_t dev_ns, int64_t *lo_ns, int64_t *hi_ns)
{
	size_t at = find(curve, dev_ns);
	struct curve_knot knot = {
		.dev_ns = dev_ns, .closed_lo = CURVE_OPEN_LO, .closed_hi = CURVE_OPEN_HI
	};

	if (at < curve->len)
		meet(curve, &knot, &curve->knots[at]);
	if (at > 0)
		meet(curve, &knot, &curve->knots[at - 1]);
	*lo_ns = knot.closed_lo;
	*hi_ns = knot.closed_hi;
}
