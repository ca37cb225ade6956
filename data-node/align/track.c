/* Tracks: the window's memory of one row of items. */
#include "align/track.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"

#define TRACK_ENTRIES_FIRST ((size_t)8)

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
	const struct observation *obs = item->block;

	if (obs == NULL)
		return 0;
	size_t times = obs->times_ns == NULL ? 0 : observation_frames(obs);
	const char *extra = obs->extra_json == NULL ? "" : obs->extra_json;
	return _Alignof(max_align_t) + sizeof *obs + obs->values_len * sizeof(double) +
	       times * sizeof(int64_t) + strlen(extra) + 1;
}

/* The block's samples, at `at` or the next place where one may begin. */
static void keep_block(char *at, struct item *item)
{
	const struct observation *obs = item->block;

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
	copy->data_json = item->data_json;
	item->block = copy;
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

struct track_hold *track_hold_new(const struct item *item, struct track_use *use)
{
	const char *texts[STRINGS] = { item->client_id, item->text, item->data_json, item->source,
		item->kind };
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
	use->bytes += sizeof *hold + len;
	char *at = hold->bytes;
	hold->item.client_id = keep(&at, texts[0], lens[0]);
	hold->item.text = keep(&at, texts[1], lens[1]);
	hold->item.data_json = keep(&at, texts[2], lens[2]);
	if (!item->named) {
		hold->item.source = keep(&at, texts[3], lens[3]);
		hold->item.kind = keep(&at, texts[4], lens[4]);
	}
	keep_block(at, &hold->item);
	return hold;
}

void track_hold_put(struct track_hold *hold, struct track_use *use)
{
	if (hold == NULL || --hold->refs > 0)
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
		track_hold_put(slot->hold, use);
	*slot = *entry;
	*has = true;
}

/* An expired entry becomes left or the last note, or goes.  Plain ones expire
 * in order, so of two the later one wins. */
static void settle(struct track *track, const struct track_entry *entry, struct track_use *use)
{
	if (entry->odd && entry->item->role == ITEM_NOTE) {
		if (!track->has_note || item_order(entry->item, track->note.item) >= 0) {
			replace(&track->note, &track->has_note, entry, use);
			return;
		}
	} else if (!track->has_left || (!entry->odd && !track->left.odd) ||
		   is_newer_left(entry->item, track->left.item)) {
		replace(&track->left, &track->has_left, entry, use);
		return;
	}
	track_hold_put(entry->hold, use);
}

/* The period at `item`; the pause between two wide ones says nothing. */
static int64_t next_period(
    struct track *track, const struct policy *policy, const struct item *item)
{
	int64_t period_ns = policy->period_default_ns;
	int64_t pause_ns =
	    track->has_start && !item->wide ? item_since_ns(item->t0_ns, track->last_t0_ns) : 0;

	if (item->pulse_ns > 0)
		period_ns = item->pulse_ns;
	else if (pause_ns > 0 && pause_ns <= policy->period_max_ns)
		period_ns = pause_ns;
	if (!track->has_last || item_end_ns(item) > track->last_t1_ns)
		track->last_t1_ns = item_end_ns(item);
	track->has_last = true;
	if (!item->wide) {
		track->has_start = true;
		track->last_t0_ns = item->t0_ns;
	}
	return period_ns < policy->period_max_ns ? period_ns : policy->period_max_ns;
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

/* The first entry decides which ε the plain ones have. */
static bool is_odd(struct track *track, const struct item *item)
{
	if (!item->plain)
		return true;
	if (track->head == track->len) {
		track->early_ns = item->early_ns;
		track->late_ns = item->late_ns;
	}
	return item->early_ns != track->early_ns || item->late_ns != track->late_ns;
}

enum rc track_push(struct track *track, const struct item *item, struct track_hold *hold,
    const struct policy *policy, int64_t slice_start_ns, struct track_use *use)
{
	bool plain = item->plain;
	int64_t period_ns = item->role == ITEM_VALUE ? next_period(track, policy, item) : 0;

	if (make_room(track) != RC_OK)
		return RC_NOMEM;
	if (hold != NULL)
		hold->refs++;
	if (plain ? item->t0_ns + item->late_ns < slice_start_ns
		  : is_expired(item, slice_start_ns)) {
		struct track_entry entry = { item->t0_ns, period_ns, item, hold, true };
		settle(track, &entry, use); /* odd: it may have been overtaken */
		return RC_OK;
	}
	bool odd = is_odd(track, item);
	track->odd_len += odd;
	track->entries[track->len++] =
	    (struct track_entry){ item->t0_ns, period_ns, item, hold, odd };
	use->entries++;
	return RC_OK;
}

/* ---- the next slice --------------------------------------------------------------- */

/* The first `n` entries have expired. */
static void hide(struct track_shown *shown, size_t n)
{
	size_t gone = n < shown->len ? n : shown->len;

	shown->first += gone;
	shown->len -= gone;
}

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
		for (size_t i = first; i + 1 < head; i++) {
			if (entries[i].hold != NULL)
				track_hold_put(entries[i].hold, use);
		}
		settle(track, &entries[head - 1], use);
		use->entries -= head - first;
		hide(&track->shown, head - first);
	}
	while (mid > head && entries[mid - 1].t0_ns >= ahead_ns)
		mid--;
	if (mid < head)
		mid = head;
	while (mid < track->len && entries[mid].t0_ns < ahead_ns)
		mid++;
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
		track->odd_len -= entry->odd;
		entry->odd = true; /* they expire in no order */
		settle(track, entry, use);
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
	if (track->odd_len > 0) {
		track->shown.len = 0;
		advance_any(track, start_ns, end_ns, use);
	}
	if (track->odd_len == 0)
		advance_plain(track, start_ns, end_ns, use);
}

enum rc track_show(struct track *track, size_t n)
{
	struct track_shown *shown = &track->shown;

	if (shown->len == 0)
		shown->first = 1;
	if (shown->first + n > shown->cap) {
		if (shown->first > 1)
			memmove(shown->values + 1, shown->values + shown->first,
			    shown->len * sizeof *shown->values);
		shown->first = 1;
	}
	if (n + 1 > shown->cap / 2) { /* room to move on in */
		struct cell_value *values =
		    realloc(shown->values, (4 * n + 4) * sizeof *shown->values);
		if (values == NULL)
			return RC_NOMEM;
		shown->values = values;
		shown->cap = 4 * n + 4;
	}
	for (; shown->len < n; shown->len++)
		item_show(track->entries[track->head + shown->len].item,
		    &shown->values[shown->first + shown->len]);
	return RC_OK;
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
		track_hold_put(track->entries[i].hold, use);
	use->entries -= track->len - track->head;
	if (track->has_left)
		track_hold_put(track->left.hold, use);
	if (track->has_note)
		track_hold_put(track->note.hold, use);
	free(track->entries);
	free(track->shown.values);
	*track = (struct track){ .entries = NULL };
}
