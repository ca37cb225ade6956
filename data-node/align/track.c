/* Tracks: the window's memory of one row of items. */
#include "align/track.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"

#define TRACK_ENTRIES_FIRST ((size_t)8)
/* facets, role and all that follows: alike where their bytes are. */
#define ITEM_MARKS_BYTES (sizeof(struct item) - offsetof(struct item, facets))

/* ---- holds ---------------------------------------------------------------------- */

#define STRINGS 5

static const char *keep(char **at, const char *text, size_t len)
{
	if (len == 0)
		return "";
	memcpy(*at, text, len + 1);
	*at += len + 1;
	return *at - len - 1;
}

/* What a copy of the block takes behind the strings, aligned. */
static size_t block_bytes(const struct item *item)
{
	const struct observation *obs = item->rest->block;

	if (obs == NULL)
		return 0;
	size_t times = obs->times_ns == NULL ? 0 : observation_frames(obs);
	const char *extra = obs->extra_json == NULL ? "" : obs->extra_json;
	return _Alignof(max_align_t) + sizeof *obs + obs->values_len * sizeof(double) +
	       times * sizeof(int64_t) + strlen(extra) + 1;
}

/* The block's samples, at `at` or the next place where one may begin. */
static void keep_block(char *at, struct item_rest *rest)
{
	const struct observation *obs = rest->block;

	if (obs == NULL)
		return;
	size_t align = _Alignof(max_align_t), values = obs->values_len * sizeof(double);
	size_t times = obs->times_ns == NULL ? 0 : observation_frames(obs) * sizeof(int64_t);
	at += (align - (uintptr_t)at % align) % align;
	struct observation *copy = (struct observation *)(void *)at;
	*copy = *obs;
	at += sizeof *copy;
	copy->values = memcpy(at, obs->values, values);
	at += values;
	if (times > 0)
		copy->times_ns = memcpy(at, obs->times_ns, times);
	at += times;
	const char *extra = obs->extra_json == NULL ? "" : obs->extra_json;
	copy->extra_json = keep(&at, extra, strlen(extra));
	copy->data_json = rest->data_json;
	rest->block = copy;
}

static size_t steps_of(size_t bytes)
{
	return (bytes + TRACK_SPARE_STEP - 1) / TRACK_SPARE_STEP;
}

static struct track_hold *take_room(struct track_use *use, size_t bytes)
{
	size_t steps = steps_of(bytes);

	if (steps >= TRACK_SPARE_SIZES)
		return malloc(bytes);
	struct track_hold *hold = use->spare[steps];
	if (hold == NULL)
		return malloc(steps * TRACK_SPARE_STEP);
	use->spare[steps] = hold->spare;
	use->spare_bytes -= steps * TRACK_SPARE_STEP;
	return hold;
}

static void give_room(struct track_use *use, struct track_hold *hold, size_t bytes)
{
	size_t steps = steps_of(bytes);

	if (steps >= TRACK_SPARE_SIZES) {
		free(hold);
		return;
	}
	hold->spare = use->spare[steps];
	use->spare[steps] = hold;
	use->spare_bytes += steps * TRACK_SPARE_STEP;
}

void track_use_fini(struct track_use *use)
{
	for (size_t i = 0; i < TRACK_SPARE_SIZES; i++) {
		for (struct track_hold *hold = use->spare[i], *next; hold != NULL; hold = next) {
			next = hold->spare;
			free(hold);
		}
	}
	*use = (struct track_use){ .entries = 0 };
}

const struct item *track_hold_new(const struct item *item, struct track_use *use)
{
	const struct item_rest *rest = item->rest;
	const char *texts[STRINGS] = { rest->client_id, rest->text, rest->data_json, rest->source,
		rest->kind };
	size_t lens[STRINGS], len = block_bytes(item), n = item->named ? STRINGS - 2 : STRINGS;

	for (size_t i = 0; i < n; i++) {
		lens[i] = texts[i][0] == '\0' ? 0 : strlen(texts[i]);
		len += lens[i] + 1;
	}
	struct track_hold *hold = take_room(use, sizeof *hold + len);

	if (hold == NULL)
		return NULL;
	hold->refs = 1;
	hold->bytes_len = len;
	hold->item = *item;
	hold->rest = *rest;
	hold->item.rest = &hold->rest;
	hold->item.held = true;
	use->bytes += sizeof *hold + len;
	char *at = hold->bytes;
	hold->rest.client_id = keep(&at, texts[0], lens[0]);
	hold->rest.text = keep(&at, texts[1], lens[1]);
	hold->rest.data_json = keep(&at, texts[2], lens[2]);
	if (!item->named) {
		hold->rest.source = keep(&at, texts[3], lens[3]);
		hold->rest.kind = keep(&at, texts[4], lens[4]);
	}
	keep_block(at, &hold->rest);
	return &hold->item;
}

void track_hold_drop(const struct item *item, struct track_use *use)
{
	struct track_hold *hold = track_hold_of(item);

	if (--hold->refs > 0)
		return;
	size_t bytes = sizeof *hold + hold->bytes_len;
	use->bytes -= bytes;
	wipe(hold->bytes, hold->bytes_len);
	give_room(use, hold, bytes);
}

/* ---- entries -------------------------------------------------------------------- */

/* Gone for good when the slice begins at `start_ns`. */
static bool is_expired(const struct item *item, int64_t start_ns)
{
	if (item->role == ITEM_STOP)
		return item->t0_ns <= start_ns;
	if (item->role == ITEM_NOTE)
		return item->t1_ns <= start_ns;
	if (item_is_instant(item))
		return item->t0_ns + item->late_ns < start_ns;
	return item->t1_ns + item->late_ns <= start_ns;
}

static bool is_newer_left(const struct item *item, const struct item *left)
{
	if (item_end_ns(item) != item_end_ns(left))
		return item_end_ns(item) > item_end_ns(left);
	return item_order(item, left) >= 0;
}

static void replace(
    struct track_entry *slot, bool *has, const struct track_entry *entry, struct track_use *use)
{
	if (*has)
		track_hold_put(slot->item, use);
	*slot = *entry;
	*has = true;
}

/* An expired entry becomes left or the last note, or goes.  Plain ones expire
 * in order, so of two the later one wins; `odd` says that this one did not. */
static void settle(
    struct track *track, const struct track_entry *entry, bool odd, struct track_use *use)
{
	if (odd && entry->item->role == ITEM_NOTE) {
		if (!track->has_note || item_order(entry->item, track->note.item) >= 0) {
			replace(&track->note, &track->has_note, entry, use);
			return;
		}
	} else if (!track->has_left || (!odd && !track->left_odd) ||
		   is_newer_left(entry->item, track->left.item)) {
		replace(&track->left, &track->has_left, entry, use);
		track->left_odd = odd;
		return;
	}
	track_hold_put(entry->item, use);
}

/* What gives `item` its period; the pause between two wide ones says nothing. */
static int64_t next_pause(struct track *track, const struct policy *policy, const struct item *item)
{
	int64_t pause_ns =
	    track->has_start && !item->wide ? item_since_ns(item->t0_ns, track->last_t0_ns) : 0;

	if (item->pulses)
		pause_ns = item->rest->pulse_ns < policy->period_max_ns ? item->rest->pulse_ns
									: policy->period_max_ns;
	if (!track->has_last || item_end_ns(item) > track->last_t1_ns)
		track->last_t1_ns = item_end_ns(item);
	track->has_last = true;
	if (!item->wide) {
		track->has_start = true;
		track->last_t0_ns = item->t0_ns;
	}
	return pause_ns;
}

static enum rc make_room(struct track *track)
{
	if (track->len < track->cap)
		return RC_OK;
	size_t live = track->len - track->head;
	if (track->head > live) {
		memmove(
		    track->entries, track->entries + track->head, live * sizeof *track->entries);
		track->mid -= track->head;
		track->first -= track->head;
		track->best -= track->head;
		track->len = live;
		track->head = 0;
		return RC_OK;
	}
	size_t cap = track->cap == 0 ? TRACK_ENTRIES_FIRST : track->cap * 2;
	struct track_entry *entries = realloc(track->entries, cap * sizeof *entries);
	if (entries == NULL)
		return RC_NOMEM;
	track->entries = entries;
	track->cap = cap;
	return RC_OK;
}

/* Unlike the plain entries of the track? */
static bool is_odd(const struct track *track, const struct item *item)
{
	return !item->plain || item->early_ns != track->early_ns || item->late_ns != track->late_ns;
}

/* ---- usual ones ----------------------------------------------------------------------- */

static void put_entry(
    struct track *track, const struct item *item, int64_t pause_ns, struct track_use *use)
{
	track->entries[track->len++] = (struct track_entry){ item->t0_ns, pause_ns, item };
	use->entries++;
}

/* Twice the distance to the middle of the stretch. */
static int64_t off_middle(const struct track *track, int64_t t0_ns, int64_t step_ns)
{
	int64_t off_ns = 2 * (t0_ns - track->stretch_end_ns) + step_ns;

	return off_ns < 0 ? -off_ns : off_ns;
}

/* The item begins a stretch. */
static void open_stretch(struct track *track, const struct item *item, int64_t pause_ns,
    const struct track_round *round, struct track_use *use)
{
	int64_t step_ns = round->step_ns;

	if (track->stretch_end_ns != INT64_MIN && item->t0_ns - track->stretch_end_ns < step_ns)
		track->stretch_end_ns += step_ns; /* of a dense track it is the next one */
	else
		track->stretch_end_ns =
		    item->t0_ns - (item->t0_ns - round->start_ns) % step_ns + step_ns;
	track->first = track->best = track->len;
	track->best_off_ns = off_middle(track, item->t0_ns, round->step_ns);
	put_entry(track, item, pause_ns, use);
}

/* The item is the last of its stretch; what it hides is left out (T5). */
static void put_last(struct track *track, const struct item *item, int64_t pause_ns,
    const struct track_round *round, struct track_use *use)
{
	int64_t off_ns = off_middle(track, item->t0_ns, round->step_ns);
	bool nearer = off_ns < track->best_off_ns;
	size_t kept = (nearer ? track->first : track->best) + 1;

	if (nearer) {
		track->best = kept;
		track->best_off_ns = off_ns;
	}
	for (size_t i = kept; i < track->len && use->bytes > 0; i++)
		track_hold_put(track->entries[i].item, use);
	use->entries -= track->len - kept;
	track->len = kept;
	put_entry(track, item, pause_ns, use);
}

/* One alone. */
static void put_usual(struct track *track, const struct item *item, const struct track_round *round,
    struct track_use *use)
{
	int64_t pause_ns = item->t0_ns - track->last_t0_ns;

	if (!track->thins)
		put_entry(track, item, pause_ns, use);
	else if (item->t0_ns >= track->stretch_end_ns)
		open_stretch(track, item, pause_ns, round, use);
	else
		put_last(track, item, pause_ns, round, use);
	track->last_t0_ns = item->t0_ns;
}

/* items[i], behind the one before it; the track's last one was at `last_ns`. */
static void put_after(struct track *track, const struct item *items, size_t i, int64_t last_ns,
    const struct track_round *round, struct track_use *use)
{
	put_last(
	    track, &items[i], items[i].t0_ns - (i == 0 ? last_ns : items[i - 1].t0_ns), round, use);
}

/* Of the items, those of the open stretch: they come ever nearer to its middle and
 * then go away from it, so the nearer one of the two around it and the last one are
 * all it takes. */
static size_t put_stretch(struct track *track, const struct item *items, size_t n, int64_t last_ns,
    const struct track_round *round, struct track_use *use)
{
	int64_t step_ns = round->step_ns, end_ns = track->stretch_end_ns;
	int64_t middle_ns = end_ns - step_ns / 2;
	size_t nearest = 0, end;

	while (nearest < n && items[nearest].t0_ns < middle_ns)
		nearest++;
	for (end = nearest; end < n && items[end].t0_ns < end_ns;)
		end++;
	if (nearest == end ||
	    (nearest > 0 && off_middle(track, items[nearest - 1].t0_ns, step_ns) <=
				off_middle(track, items[nearest].t0_ns, step_ns)))
		nearest--; /* the earlier one of two that are as near */
	put_after(track, items, nearest, last_ns, round, use);
	if (nearest + 1 < end)
		put_after(track, items, end - 1, last_ns, round, use);
	return end;
}

/* How many of the items are alike, and like the plain entries. */
static size_t run_length(const struct track *track, const struct item *items, size_t n)
{
	int64_t early_ns = track->early_ns, late_ns = track->late_ns;
	uint64_t key = items->track;
	size_t i = 0;

	if (!items->usual)
		return 0;
	while (i + 1 < n && items[i].track == key &&
	       memcmp(&items[i].facets, &items->facets, ITEM_MARKS_BYTES) == 0 &&
	       items[i].early_ns == early_ns && items[i].late_ns == late_ns &&
	       items[i + 1].t0_ns != items[i].t0_ns)
		i++;
	return i;
}

size_t track_push_run(struct track *track, const struct item *items, size_t n,
    const struct track_round *round, struct track_use *use)
{
	size_t room = track->cap - track->len;
	int64_t last_ns = track->last_t0_ns;

	if (items->t0_ns < round->start_ns)
		return 0; /* it may have expired */
	n = run_length(track, items, n <= room ? n : room + 1);
	for (size_t i = 0; i < n && track->thins;) {
		if (items[i].t0_ns >= track->stretch_end_ns) {
			open_stretch(track, &items[i], items[i].t0_ns - last_ns, round, use);
			i++;
		} else {
			i += put_stretch(track, items + i, n - i, last_ns, round, use);
		}
		last_ns = items[i - 1].t0_ns;
	}
	for (size_t i = 0; i < n && !track->thins; i++) {
		put_entry(track, &items[i], items[i].t0_ns - last_ns, use);
		last_ns = items[i].t0_ns;
	}
	track->last_t0_ns = last_ns;
	return n;
}

/* ---- any ---------------------------------------------------------------------------- */

enum rc track_push(struct track *track, const struct item *item, bool tied,
    const struct track_round *round, struct track_use *use)
{
	struct track_entry entry = { .t0_ns = item->t0_ns, .item = item };

	if (make_room(track) != RC_OK)
		return RC_NOMEM;
	if (!tied && item->usual && !is_odd(track, item) && item->t0_ns >= round->start_ns) {
		put_usual(track, item, round, use);
		return RC_OK;
	}
	track->stretch_end_ns = INT64_MIN;
	if (item->role == ITEM_VALUE)
		entry.pause_ns = next_pause(track, round->policy, item);
	if (is_expired(item, round->start_ns)) {
		settle(track, &entry, true, use); /* odd: it may have been overtaken */
		return RC_OK;
	}
	if (track->head == track->len && item->plain) { /* the first decides */
		track->early_ns = item->early_ns;
		track->late_ns = item->late_ns;
	}
	track->odd_len += is_odd(track, item);
	track->entries[track->len++] = entry;
	use->entries++;
	return RC_OK;
}

/* ---- the next slice --------------------------------------------------------------- */

/* All are plain: they expire from the front, and [head..mid) is what touches. */
static void advance_plain(
    struct track *track, int64_t start_ns, int64_t end_ns, struct track_use *use)
{
	const struct track_entry *entries = track->entries;
	int64_t expired_ns = start_ns - track->late_ns, ahead_ns = end_ns + track->early_ns;
	size_t first = track->head, head = first, mid = track->mid;

	while (head < track->len && entries[head].t0_ns < expired_ns)
		head++;
	if (head > first) {
		for (size_t i = first; i + 1 < head && use->bytes > 0; i++)
			track_hold_put(entries[i].item, use);
		settle(track, &entries[head - 1], false, use);
		use->entries -= head - first;
	}
	while (mid > head && entries[mid - 1].t0_ns >= ahead_ns)
		mid--;
	if (mid < head)
		mid = head;
	for (; mid < track->len && entries[mid].t0_ns < ahead_ns; mid++)
		__builtin_prefetch(entries[mid].item); /* it is shown soon */
	track->head = head;
	track->mid = mid;
}

static void advance_any(
    struct track *track, int64_t start_ns, int64_t end_ns, struct track_use *use)
{
	while (track->mid < track->len &&
	       item_key_ns(track->entries[track->mid].item) - PLACEMENT_NARROW_NS < end_ns)
		track->mid++;
	/* What was read ahead is looked at here for the first time as well. */
	bool hole = false;
	for (size_t i = track->head; i < track->mid; i++)
		hole = hole || is_expired(track->entries[i].item, start_ns);
	if (!hole)
		return;
	for (size_t i = track->head; i < track->mid; i++) {
		struct track_entry *entry = &track->entries[i];
		if (!is_expired(entry->item, start_ns))
			continue;
		track->odd_len -= is_odd(track, entry->item);
		settle(track, entry, true, use); /* they expire in no order */
		entry->item = NULL;
	}
	size_t kept = track->mid;
	for (size_t i = track->mid; i-- > track->head;) {
		if (track->entries[i].item != NULL) {
			kept--;
			if (kept != i)
				track->entries[kept] = track->entries[i];
		}
	}
	use->entries -= kept - track->head;
	track->head = kept;
}

void track_advance(struct track *track, int64_t start_ns, int64_t end_ns, struct track_use *use)
{
	if (track->odd_len > 0)
		advance_any(track, start_ns, end_ns, use);
	if (track->odd_len == 0)
		advance_plain(track, start_ns, end_ns, use);
	if (track->mid > track->first)
		track->stretch_end_ns = INT64_MIN;
}

bool track_is_spent(const struct track *track, int64_t start_ns, const struct policy *policy)
{
	if (track->head < track->len)
		return false;
	if (!track->has_left)
		return !track->has_note ||
		       item_since_ns(start_ns, track->note.item->t1_ns) > policy->reach_ns;
	if (policy->rules[track->facet].carry == POLICY_CARRY_STEP)
		return false;
	return item_since_ns(start_ns, item_end_ns(track->left.item)) > policy->reach_ns;
}

void track_fini(struct track *track, struct track_use *use)
{
	for (size_t i = track->head; i < track->len; i++)
		track_hold_put(track->entries[i].item, use);
	use->entries -= track->len - track->head;
	if (track->has_left)
		track_hold_put(track->left.item, use);
	if (track->has_note)
		track_hold_put(track->note.item, use);
	free(track->entries);
	*track = (struct track){ .entries = NULL };
}
