/* Lines: which epoch an event belongs to, and what a sync tells. */
#include "clock/line.h"

#include <string.h>

#define S_NS INT64_C(1000000000)
#define HOUR_NS (3600 * S_NS)
/* One-way delays are short more often than long: the best guess lies close to
 * the bound that receipts give. */
#define ONE_WAY_GUESS_NS (S_NS / 20)
#define YEAR_2000_NS (INT64_C(946684800) * S_NS)

/* ---- small things ------------------------------------------------------------------ */

static int64_t add(int64_t a, int64_t b)
{
	int64_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return b < 0 ? INT64_MIN + 1 : INT64_MAX - 1;
	return sum;
}

static int64_t sub(int64_t a, int64_t b)
{
	int64_t rest;

	if (__builtin_sub_overflow(a, b, &rest))
		return b > 0 ? INT64_MIN + 1 : INT64_MAX - 1;
	return rest;
}

static int64_t min(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t max(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

int64_t line_grain_ns(int64_t stamp_ns)
{
	int64_t grain_ns = 1;

	while (grain_ns < S_NS && stamp_ns % (grain_ns * 10) == 0)
		grain_ns *= 10;
	return grain_ns;
}

/* The true reading of the clock lies in [stamp - grain/2, stamp + grain]. */
static int64_t stamp_least(int64_t stamp_ns)
{
	return sub(stamp_ns, line_grain_ns(stamp_ns) / 2);
}

static int64_t stamp_most(int64_t stamp_ns)
{
	int64_t grain_ns = line_grain_ns(stamp_ns);

	return grain_ns == 1 ? stamp_ns : add(stamp_ns, grain_ns);
}

void line_init(struct line *line)
{
	*line = (struct line){ .recv_mono_ns = INT64_MIN };
}

const struct line_epoch *line_current(const struct line *line)
{
	return line->len == 0 ? NULL : &line->epochs[line->len - 1];
}

static bool goes_on(const struct line_epoch *epoch)
{
	return epoch->end_ns == INT64_MAX;
}

static const struct line_epoch *look(const struct line *line, uint64_t number)
{
	for (size_t i = line->len; i-- > 0;) {
		if (line->epochs[i].number == number)
			return &line->epochs[i];
	}
	return NULL;
}

/* Let one go: what was never synced places nothing but what has its place. */
static void drop_epoch(struct line *line)
{
	size_t at = 0;

	while (at < line->len && line->epochs[at].synced)
		at++;
	if (at == line->len) {
		at = 0;
		line->overflowed = true;
	}
	memmove(&line->epochs[at], &line->epochs[at + 1],
	    (line->len - at - 1) * sizeof line->epochs[0]);
	line->len--;
}

static struct line_epoch *open_epoch(struct line *line, uint64_t number, int64_t begin_ns)
{
	if (line->len == LINE_EPOCHS_MAX)
		drop_epoch(line);
	struct line_epoch *epoch = &line->epochs[line->len++];
	*epoch = (struct line_epoch){
		.number = number,
		.begin_ns = begin_ns,
		.end_ns = INT64_MAX,
		.sync_ns = INT64_MIN,
	};
	curve_init(&epoch->curve);
	return epoch;
}

/* ---- an event under one epoch -------------------------------------------------------- */

/* [lo, hi] of both ends and the best guess, all on the hub's time. */
struct span {
	int64_t lo0, hi0, lo1, hi1, t0, t1;
};

static int64_t guess(const struct line_epoch *epoch, int64_t lo, int64_t hi)
{
	int64_t half = sub(hi, lo) / 2;

	return hi - (epoch->assumed ? min(half, ONE_WAY_GUESS_NS) : half);
}

static void bounds(
    const struct line_epoch *epoch, int64_t stamp_ns, int64_t *lo, int64_t *hi, int64_t *t)
{
	int64_t unused;

	curve_bounds(&epoch->curve, stamp_least(stamp_ns), lo, &unused);
	curve_bounds(&epoch->curve, stamp_most(stamp_ns), &unused, hi);
	*t = guess(epoch, *lo, *hi);
}

static struct span span_of(const struct line_epoch *epoch, const struct line_event *event)
{
	struct span span;

	bounds(epoch, event->dev_t0_ns, &span.lo0, &span.hi0, &span.t0);
	bounds(epoch, event->dev_t1_ns, &span.lo1, &span.hi1, &span.t1);
	return span;
}

/* Can it have happened in the epoch, and before it was received? */
static bool fits(
    const struct line_epoch *epoch, const struct span *span, const struct line_event *event)
{
	return span->lo1 <= event->recv_ns && span->hi1 >= epoch->begin_ns &&
	       span->lo0 <= epoch->end_ns;
}

static bool came_soon(const struct span *span, const struct line_event *event)
{
	return sub(event->recv_ns, span->hi1) <= LINE_LIVE_NS;
}

/* How long it lasted at the least, on the hub's time. */
static int64_t length_least(const struct line_event *event)
{
	return max(
	    curve_span_min_ns(sub(stamp_least(event->dev_t1_ns), stamp_most(event->dev_t0_ns))), 0);
}

static void cut(struct span *span, int64_t recv_ns)
{
	span->hi0 = min(span->hi0, recv_ns);
	span->hi1 = min(span->hi1, recv_ns);
}

static void join(struct span *span, const struct span *other)
{
	span->lo0 = min(span->lo0, other->lo0);
	span->hi0 = max(span->hi0, other->hi0);
	span->lo1 = min(span->lo1, other->lo1);
	span->hi1 = max(span->hi1, other->hi1);
}

/* Not confirmed yet: the clock may have been set since its last sync. */
static void widen(struct span *span, int64_t sync_ns, const struct line_event *event)
{
	int64_t delay_ns = max(sub(event->recv_ns, span->hi1), 0);
	int64_t length_ns = length_least(event);

	if (delay_ns <= LINE_LIVE_NS) {
		span->lo0 = sub(span->lo0, delay_ns);
		span->lo1 = sub(span->lo1, delay_ns);
	} else {
		span->lo0 = min(span->lo0, sub(sync_ns, length_ns));
		span->lo1 = min(span->lo1, add(span->lo0, length_ns));
	}
	span->hi0 = max(span->hi0, sub(event->recv_ns, length_ns));
	span->hi1 = event->recv_ns;
}

/* In limbo: from what was last known to the receipt, its length kept. */
static struct span span_limbo(
    const struct line *line, const struct line_epoch *epoch, const struct line_event *event)
{
	int64_t length_ns = length_least(event);
	int64_t hi0 = sub(event->recv_ns, length_ns), lo0 = min(epoch->begin_ns, hi0);

	if (epoch->begin_ns == INT64_MIN || line->overflowed) {
		lo0 = sub(hi0, LINE_HISTORY_NS);
		if (event->dev_t0_ns >= YEAR_2000_NS)
			lo0 = min(lo0, sub(event->dev_t0_ns, S_NS));
		if (epoch->begin_ns != INT64_MIN)
			lo0 = min(lo0, epoch->begin_ns);
	}
	/* The device's own word is the best guess where it can be true. */
	int64_t t0 = max(min(event->dev_t0_ns, hi0), lo0);

	return (struct span){
		.lo0 = lo0,
		.hi0 = hi0,
		.lo1 = min(add(lo0, length_ns), event->recv_ns),
		.hi1 = event->recv_ns,
		.t0 = t0,
		.t1 = min(add(t0, length_ns), event->recv_ns),
	};
}

static void set_place(const struct span *span, struct line_place *out)
{
	int64_t t0 = max(min(span->t0, span->hi0), span->lo0);
	int64_t t1 = max(max(min(span->t1, span->hi1), span->lo1), t0);

	out->t0_ns = t0;
	out->t1_ns = t1;
	out->early_ns = max(max(sub(t0, span->lo0), sub(t1, span->lo1)), 0);
	out->late_ns = max(max(sub(span->hi0, t0), sub(span->hi1, t1)), 0);
}

/* ---- which epochs it can belong to ------------------------------------------------------ */

/*
 * Late under `epoch`: another one that holds its device time may be the one.
 * Joined into `span`; if epochs were let go, so is all that they can have held.
 */
static void join_others(const struct line *line, const struct line_epoch *epoch,
    const struct line_event *event, struct span *span)
{
	for (size_t i = 0; i < line->len; i++) {
		const struct line_epoch *other = &line->epochs[i];
		if (other == epoch || !other->synced)
			continue;
		struct span theirs = span_of(other, event);
		if (!fits(other, &theirs, event))
			continue;
		cut(&theirs, event->recv_ns);
		join(span, &theirs);
	}
	if (line->overflowed)
		span->lo0 = min(span->lo0, sub(event->recv_ns, LINE_HISTORY_NS));
}

/* The synced epoch under which it is live, the newest first; else the newest
 * under which it can be at all; NULL. */
static const struct line_epoch *choose(
    const struct line *line, const struct line_event *event, struct span *span, bool *soon)
{
	const struct line_epoch *late = NULL;
	struct span late_span = { 0 };

	for (size_t i = line->len; i-- > 0;) {
		const struct line_epoch *epoch = &line->epochs[i];
		if (!epoch->synced)
			continue;
		*span = span_of(epoch, event);
		if (!fits(epoch, span, event))
			continue;
		*soon = came_soon(span, event);
		if (*soon)
			return epoch;
		if (late == NULL) {
			late = epoch;
			late_span = *span;
		}
	}
	*soon = false;
	*span = late_span;
	return late;
}

bool line_place(const struct line *line, const struct line_change *change,
    const struct line_event *event, struct line_place *out)
{
	const struct line_epoch *epoch = look(line, change->epoch);
	const struct line_epoch *other = look(line, change->other);
	struct span span, theirs;
	bool soon;

	if (epoch == NULL || !epoch->synced)
		return false;
	const struct line_epoch *mine = choose(line, event, &span, &soon);
	if (mine == NULL)
		return false; /* let it lie as wide as it does */
	cut(&span, event->recv_ns);
	if (!soon)
		join_others(line, mine, event, &span);
	else if (other != NULL) {
		/* A small step: live under both, so it may be either's. */
		const struct line_epoch *rest = mine == epoch ? other : epoch;
		theirs = span_of(rest, event);
		if (fits(rest, &theirs, event) && came_soon(&theirs, event)) {
			cut(&theirs, event->recv_ns);
			join(&span, &theirs);
		}
	}
	*out = (struct line_place){ .epoch = mine->number };
	set_place(&span, out);
	return true;
}

/* ---- syncs ------------------------------------------------------------------------------- */

static void push_change(struct line_news *news, uint64_t epoch, uint64_t other, int64_t until_ns)
{
	if (news->len < LINE_CHANGES_MAX)
		news->changes[news->len++] = (struct line_change){ epoch, other, until_ns };
}

struct sync {
	uint64_t seq;
	int64_t dev_ns, lo_ns, hi_ns; /* lo ≤ f(dev) ≤ hi */
	int64_t recv_ns;
	int64_t until_ns; /* what was received later is not confirmed by it */
	bool assumed;
};

/* False if the epoch's map and this sync contradict each other. */
static bool try_sync(struct line_epoch *epoch, const struct sync *sync, bool *news)
{
	struct line_epoch next = *epoch;

	*news = false;
	if (next.assumed && !sync->assumed) {
		/* Assumptions give way to measurements. */
		curve_init(&next.curve);
		next.assumed = false;
	}
	if (!curve_state(&next.curve, sync->dev_ns, sync->lo_ns, sync->hi_ns, news))
		return false;
	if (!next.synced) {
		/* Receipts in limbo tell a wrong scale, but some may be another's. */
		curve_init(&next.curve);
		(void)curve_state(&next.curve, sync->dev_ns, sync->lo_ns, sync->hi_ns, news);
	}
	*epoch = next;
	return true;
}

static struct line_epoch *newest_synced(struct line *line)
{
	for (size_t i = line->len; i-- > 0;) {
		if (line->epochs[i].synced && goes_on(&line->epochs[i]))
			return &line->epochs[i];
	}
	return NULL;
}

/* Move an epoch to the end: it is the one that goes on. */
static struct line_epoch *make_current(struct line *line, struct line_epoch *epoch)
{
	struct line_epoch moved = *epoch;
	size_t at = (size_t)(epoch - line->epochs);

	memmove(&line->epochs[at], &line->epochs[at + 1],
	    (line->len - at - 1) * sizeof line->epochs[0]);
	line->epochs[line->len - 1] = moved;
	return &line->epochs[line->len - 1];
}

/* The epoch that this sync goes with, one that has syncs first.  None that has
 * ended: a clock that is set back never gets quite where it was. */
static struct line_epoch *sync_find(struct line *line, const struct sync *sync, bool *stated)
{
	for (int synced = 1; synced >= 0; synced--) {
		for (size_t i = line->len; i-- > 0;) {
			struct line_epoch *epoch = &line->epochs[i];
			if (goes_on(epoch) && epoch->synced == (synced != 0) &&
			    try_sync(epoch, sync, stated))
				return epoch;
		}
	}
	return NULL;
}

static void take_sync(
    struct line *line, struct line_clock *clock, const struct sync *sync, struct line_news *news)
{
	struct line_epoch *before = newest_synced(line);
	uint64_t before_number = before == NULL ? 0 : before->number;
	bool stated;

	struct line_epoch *epoch = sync_find(line, sync, &stated);
	if (epoch == NULL) {
		epoch = open_epoch(line, sync->seq, clock->known_ns);
		(void)try_sync(epoch, sync, &stated);
	}
	bool first = !epoch->synced;
	if (first)
		epoch->assumed = sync->assumed;
	epoch->synced = true;
	epoch->sync_ns = max(epoch->sync_ns, sync->lo_ns);
	epoch = make_current(line, epoch);
	for (size_t i = 0; i + 1 < line->len; i++)
		line->epochs[i].end_ns = min(line->epochs[i].end_ns, sync->recv_ns);
	clock->known_ns = max(clock->known_ns, sync->lo_ns);
	news->map_changed = news->map_changed || stated || first;
	if (before_number != 0 && before_number != epoch->number)
		push_change(news, before_number, epoch->number, INT64_MAX);
	push_change(news, epoch->number, 0, sync->until_ns);
}

bool line_ping_valid(const struct line_ping *ping)
{
	int64_t away_ns = sub(stamp_most(ping->t4_ns), stamp_least(ping->t1_ns));

	return ping->t1_ns <= ping->t4_ns && ping->t2_ns <= ping->t3_ns &&
	       sub(ping->t3_ns, ping->t2_ns) <= curve_span_max_ns(away_ns);
}

bool line_ping(struct line *line, struct line_clock *clock, const struct line_ping *ping,
    struct line_news *news)
{
	int64_t t1_ns = stamp_least(ping->t1_ns), t4_ns = stamp_most(ping->t4_ns);

	*news = (struct line_news){ .len = 0 };
	if (!line_ping_valid(ping))
		return false;
	clock->pings = true;
	/* f(t4) ≥ t3, so f(t1) ≥ t3 less the longest that t4 - t1 can have taken. */
	struct sync sync = {
		.seq = ping->seq,
		.dev_ns = t1_ns,
		.lo_ns = sub(ping->t3_ns, curve_span_max_ns(sub(t4_ns, t1_ns))),
		.hi_ns = ping->t2_ns,
		.recv_ns = ping->t3_ns,
		.until_ns = INT64_MAX,
	};
	if (sync.lo_ns > sync.hi_ns)
		return false;
	take_sync(line, clock, &sync, news);
	return true;
}

/* ---- contacts ----------------------------------------------------------------------------- */

/* Is the event now the newest contact?  Of those too close only the soonest counts. */
static bool contact_push(struct line *line, const struct line_event *event)
{
	struct line_contact next = { event->recv_ns, stamp_least(event->dev_t1_ns),
		stamp_most(event->dev_t1_ns) };
	struct line_contact *last =
	    line->contacts_len == 0 ? NULL : &line->contacts[line->contacts_len - 1];

	if (last != NULL && next.recv_ns < last->recv_ns)
		line->contacts_len = 0; /* the hub's time went back */
	else if (last != NULL && sub(next.recv_ns, last->recv_ns) < LINE_CONTACT_GAP_NS) {
		bool sooner =
		    sub(next.recv_ns, next.dev_least_ns) < sub(last->recv_ns, last->dev_least_ns);
		if (sooner)
			*last = next;
		return sooner;
	}
	if (line->contacts_len == LINE_CONTACTS) {
		memmove(&line->contacts[0], &line->contacts[1],
		    (LINE_CONTACTS - 1) * sizeof line->contacts[0]);
		line->contacts_len--;
	}
	line->contacts[line->contacts_len++] = next;
	return true;
}

/* Do the last contacts look live, whatever the clock shows?  Then A4 holds. */
static bool contacts_agree(const struct line *line)
{
	const struct line_contact *c = line->contacts;

	if (line->contacts_len < LINE_CONTACTS)
		return false;
	int64_t over_ns = sub(c[LINE_CONTACTS - 1].recv_ns, c[0].recv_ns);
	int64_t least = INT64_MAX, most = INT64_MIN;
	for (size_t i = 0; i < LINE_CONTACTS; i++) {
		int64_t delay_ns = sub(c[i].recv_ns, c[i].dev_least_ns);
		least = min(least, delay_ns);
		most = max(most, delay_ns);
	}
	return over_ns <= LINE_CONTACT_NS_MAX && sub(most, least) <= LINE_LIVE_NS;
}

/*
 * One of them took at most LINE_LIVE_NS; which one is not known, so the least of
 * what each would say holds.  From above all of them hold.  The newest only
 * confirms: of what came late over a jump one in many looks like a contact.
 */
static void take_contacts(struct line *line, struct line_clock *clock,
    const struct line_event *event, struct line_news *news)
{
	const struct line_contact *c = line->contacts, *last = &c[LINE_CONTACTS - 2];
	struct sync sync = {
		.seq = event->seq,
		.dev_ns = last->dev_most_ns,
		.lo_ns = INT64_MAX,
		.hi_ns = INT64_MAX - 1,
		.recv_ns = last->recv_ns,
		.until_ns = last->recv_ns,
		.assumed = true,
	};

	for (size_t i = 0; i + 1 < LINE_CONTACTS; i++) {
		int64_t least_ns = sub(sync.dev_ns, c[i].dev_most_ns);
		int64_t most_ns = sub(sync.dev_ns, c[i].dev_least_ns);
		int64_t lo = add(sub(c[i].recv_ns, LINE_LIVE_NS), curve_span_min_ns(least_ns));
		sync.lo_ns = min(sync.lo_ns, lo);
		sync.hi_ns = min(sync.hi_ns, add(c[i].recv_ns, curve_span_max_ns(most_ns)));
	}
	take_sync(line, clock, &sync, news);
}

/* ---- events ---------------------------------------------------------------------------------- */

/* The hub's own clock was set while it ran: nothing stated before holds on. */
static void check_hub(struct line *line, const struct line_event *event)
{
	int64_t utc_ns = sub(event->recv_ns, line->recv_ns);
	int64_t mono_ns = sub(event->recv_mono_ns, line->recv_mono_ns);

	if (line->recv_mono_ns != INT64_MIN && mono_ns >= 0 &&
	    (sub(utc_ns, mono_ns) > LINE_HUB_STEP_NS || sub(mono_ns, utc_ns) > LINE_HUB_STEP_NS)) {
		for (size_t i = 0; i < line->len; i++) {
			line->epochs[i].end_ns = min(line->epochs[i].end_ns, line->recv_ns);
		}
		line->contacts_len = 0;
	}
	line->recv_ns = event->recv_ns;
	line->recv_mono_ns = event->recv_mono_ns;
}

/* The newest epoch without a sync that this receipt goes with, or a new one. */
static struct line_epoch *limbo_epoch(
    struct line *line, const struct line_clock *clock, const struct line_event *event, bool *opened)
{
	int64_t dev_ns = stamp_least(event->dev_t1_ns);
	bool stated;

	*opened = false;
	for (size_t i = line->len; i-- > 0;) {
		struct line_epoch *epoch = &line->epochs[i];
		if (!epoch->synced && goes_on(epoch) &&
		    curve_state(&epoch->curve, dev_ns, CURVE_OPEN_LO, event->recv_ns, &stated))
			return epoch;
	}
	*opened = true;
	struct line_epoch *epoch = open_epoch(line, event->seq, clock->known_ns);
	(void)curve_state(&epoch->curve, dev_ns, CURVE_OPEN_LO, event->recv_ns, &stated);
	return epoch;
}

static void place_new(struct line *line, const struct line_clock *clock,
    const struct line_event *event, struct line_place *out, struct line_news *news)
{
	struct line_epoch *newest = newest_synced(line);
	struct span span;
	bool soon;

	const struct line_epoch *epoch = choose(line, event, &span, &soon);
	if (epoch == NULL) {
		epoch = limbo_epoch(line, clock, event, &news->map_changed);
		span = span_limbo(line, epoch, event);
		out->limbo = true;
		out->open = epoch->number;
	} else {
		if (!soon)
			join_others(line, epoch, event, &span);
		if (newest != NULL) {
			widen(&span, newest->sync_ns, event);
			out->open = newest->number;
		}
		cut(&span, event->recv_ns);
	}
	out->epoch = epoch->number;
	set_place(&span, out);
}

void line_event(struct line *line, struct line_clock *clock, const struct line_event *event,
    struct line_place *out, struct line_news *news)
{
	*news = (struct line_news){ .len = 0 };
	*out = (struct line_place){ .limbo = false };
	check_hub(line, event);
	place_new(line, clock, event, out, news);
	if (!clock->pings && contact_push(line, event) && contacts_agree(line))
		take_contacts(line, clock, event, news);
}
