/*
 * Line: one device clock from one boot on, and the epochs that it falls into.
 *
 * reference: timeline §2.  Events and pings go in, in the order of the log;
 * out come placements on the hub's time and, when evidence arrives, which
 * events are to be placed anew.  An epoch is a stretch over which the clock was
 * not set; a jump opens the next one.  Two kinds of sync:
 *  ping      client stamps t1, t4 and the hub's t2, t3: f(t1) ≤ t2, f(t4) ≥ t3.
 *  contacts  of a clock that never pings: LINE_CONTACTS receipts whose delays
 *            agree; the hub's time is then known from one side by the receipts
 *            and from the other by assumption A4.
 * Assumed, beside A1 and A2 of curve.h:
 *  A3  the hub's UTC is true; nothing is received before it happens.
 *  A4  of LINE_CONTACTS receipts of a clock that never pings, LINE_CONTACT_GAP_NS
 *      and more apart, within LINE_CONTACT_NS_MAX, whose delays agree within
 *      LINE_LIVE_NS, all but perhaps the last are of one epoch and the least
 *      delay is at most LINE_LIVE_NS.
 *  A5  a clock that is set moves by more than the bounds leave open at the next
 *      sync; it is set at most once between two syncs, and not between its
 *      boot's first event and its first sync.
 *  A6  an event that comes late over a jump does not look live: the step is not
 *      its delay to within LINE_LIVE_NS.
 *  A7  boots are first heard of in their order; what comes from a clock of which
 *      nothing is known yet is younger than LINE_HISTORY_NS, or as old as it says.
 *  A8  stamps are cut or rounded to a power of ten of nanoseconds, ≤ 1 s; how
 *      coarse one is shows in its own trailing zeros.
 *
 * A placement is open until a sync of its epoch that came after it confirms it:
 * before that the clock may have been set without us knowing.  What came soon
 * (within LINE_LIVE_NS of its time on the map) is placed by the map, widened by
 * its apparent delay; what came late may lie anywhere up to its receipt.  An
 * epoch without any sync is in limbo: [last known, receipt].
 * Pure, fixed size; who keeps it gives it one thread.
 */
#ifndef CLOCK_LINE_H
#define CLOCK_LINE_H

#include "clock/curve.h"

#define LINE_EPOCHS_MAX 6 /* older ones are let go; their placements stand */
#define LINE_CONTACTS 5
#define LINE_CONTACT_GAP_NS (10 * INT64_C(1000000000))
#define LINE_LIVE_NS (5 * INT64_C(1000000000))
#define LINE_CONTACT_NS_MAX (7200 * INT64_C(1000000000))
#define LINE_HISTORY_NS (7 * 86400 * INT64_C(1000000000))
/* Times that the hub does not step over unnoticed while it runs. */
#define LINE_HUB_STEP_NS INT64_C(1000000000)

/* What is known of a clock across its boots. */
struct line_clock {
	int64_t known_ns; /* hub time of its newest sync; INT64_MIN: none */
	bool pings;
};

struct line_contact {
	int64_t recv_ns; /* of the least delay of one receipt */
	int64_t dev_least_ns, dev_most_ns;
};

struct line_epoch {
	uint64_t number;  /* the seq that opened it */
	int64_t begin_ns; /* hub time: nothing of it is older; INT64_MIN: A7 */
	int64_t end_ns;   /* hub time of what ended it; INT64_MAX: it goes on */
	int64_t sync_ns;  /* hub time of its newest sync */
	bool synced;
	bool assumed; /* by contacts, not by pings */
	struct curve curve;
};

struct line {
	struct line_epoch epochs[LINE_EPOCHS_MAX]; /* [len], the newest last */
	size_t len;
	bool overflowed; /* epochs were let go */
	struct line_contact contacts[LINE_CONTACTS];
	size_t contacts_len;
	int64_t recv_ns, recv_mono_ns; /* of the newest event */
};

struct line_event {
	uint64_t seq;
	int64_t dev_t0_ns, dev_t1_ns, recv_ns, recv_mono_ns;
};

struct line_ping {
	uint64_t seq;
	int64_t t1_ns, t2_ns, t3_ns, t4_ns; /* t1, t4 of the device; t2, t3 of the hub */
};

struct line_place {
	int64_t t0_ns, t1_ns, early_ns, late_ns;
	uint64_t epoch;
	uint64_t open; /* the epoch whose next sync places it anew; 0: it stands */
	bool limbo;
};

/* Open events of `epoch` that were received by `until_ns` are to be placed anew
 * by line_place(); they may belong to `other` as well, unless that is 0. */
struct line_change {
	uint64_t epoch, other;
	int64_t until_ns;
};
#define LINE_CHANGES_MAX 2

struct line_news {
	struct line_change changes[LINE_CHANGES_MAX]; /* [len] */
	size_t len;
	bool map_changed; /* a statement or an epoch was added */
};

void line_init(struct line *line);

/* The next event of this line; how it lies, and what that changes for others
 * (with it among them, if it is open). */
void line_event(struct line *line, struct line_clock *clock, const struct line_event *event,
    struct line_place *out, struct line_news *news);

/* The next ping.  False: its stamps cannot be (line_ping_valid). */
bool line_ping(struct line *line, struct line_clock *clock, const struct line_ping *ping,
    struct line_news *news);
bool line_ping_valid(const struct line_ping *ping);

/* Place an open event anew after `change`.  False: its epoch is not held any
 * more, the placement it has stands. */
bool line_place(const struct line *line, const struct line_change *change,
    const struct line_event *event, struct line_place *out);

/* The epoch that now places events; NULL before the first one. */
const struct line_epoch *line_current(const struct line *line);

/* How coarse a stamp is by A8: a power of ten, 1 s at most. */
int64_t line_grain_ns(int64_t stamp_ns);

#endif
