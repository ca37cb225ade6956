/* Tracks: the window's memory of one row of items. */
#include "align/track.h"

#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"

#define TRACK_ENTRIES_FIRST ((size_t)8)

/* ---- strings -------------------------------------------------------------------- */

static const char *keep(char **at, const char *text)
{
	size_t len = strlen(text) + 1;

	memcpy(*at, text, len);
	*at += len;
	return *at - len;
}

struct track_strings *track_strings_new(struct item *item, struct track_use *use)
{
	size_t len = strlen(item->client_id) + strlen(item->source) + strlen(item->kind) +
		     strlen(item->text) + strlen(item->data_json) + 5;
	struct track_strings *strings = malloc(sizeof *strings + len);

	if (strings == NULL)
		return NULL;
	strings->refs = 1;
	strings->bytes_len = len;
	use->bytes += sizeof *strings + len;
	char *at = strings->bytes;
	item->client_id = keep(&at, item->client_id);
	item->source = keep(&at, item->source);
	item->kind = keep(&at, item->kind);
	item->text = keep(&at, item->text);
	item->data_json = keep(&at, item->data_json);
	return strings;
}

void track_strings_put(struct track_strings *strings, struct track_use *use)
{
	if (strings == NULL || --strings->refs > 0)
		return;
	use->bytes -= sizeof *strings + strings->bytes_len;
	wipe(strings->bytes, strings->bytes_len);
	free(strings);
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
		track_strings_put(slot->strings, use);
	*slot = *entry;
	*has = true;
}

/* An expired entry becomes left or the last note, or goes. */
static void settle(struct track *track, const struct track_entry *entry, struct track_use *use)
{
	if (entry->item.role == ITEM_NOTE) {
		if (!track->has_note || item_order(&entry->item, &track->note.item) >= 0) {
			replace(&track->note, &track->has_note, entry, use);
			return;
		}
	} else if (!track->has_left || is_newer_left(&entry->item, &track->left.item)) {
		replace(&track->left, &track->has_left, entry, use);
		return;
	}
	track_strings_put(entry->strings, use);
}

/* The pause between two wide ones says nothing. */
static void set_period(struct track *track, const struct policy *policy, struct item *item)
{
	int64_t pause_ns =
	    track->has_start && !item->wide ? item_since_ns(item->t0_ns, track->last_t0_ns) : 0;

	if (item->pulse_ns > 0)
		item->period_ns = item->pulse_ns;
	else if (pause_ns > 0 && pause_ns <= policy->period_max_ns)
		item->period_ns = pause_ns;
	else
		item->period_ns = policy->period_default_ns;
	if (item->period_ns > policy->period_max_ns)
		item->period_ns = policy->period_max_ns;
	if (!track->has_last || item_end_ns(item) > track->last_t1_ns)
		track->last_t1_ns = item_end_ns(item);
	track->has_last = true;
	if (item->wide)
		return;
	track->has_start = true;
	track->last_t0_ns = item->t0_ns;
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

enum rc track_push(struct track *track, const struct item *item, struct track_strings *strings,
    const struct policy *policy, int64_t slice_start_ns, struct track_use *use)
{
	struct track_entry entry = { .item = *item, .strings = strings };

	if (make_room(track) != RC_OK)
		return RC_NOMEM;
	if (item->role == ITEM_VALUE)
		set_period(track, policy, &entry.item);
	if (is_expired(item, slice_start_ns)) {
		settle(track, &entry, use);
		return RC_OK;
	}
	track->entries[track->len++] = entry;
	use->entries++;
	return RC_OK;
}

void track_advance(struct track *track, int64_t start_ns, int64_t end_ns, struct track_use *use)
{
	size_t kept = track->mid;

	while (track->mid < track->len &&
	       track->entries[track->mid].item.key_ns - PLACEMENT_NARROW_NS < end_ns)
		track->mid++;
	/* What was read ahead is looked at here for the first time as well. */
	bool hole = false;
	for (size_t i = track->head; i < track->mid; i++)
		hole = hole || is_expired(&track->entries[i].item, start_ns);
	if (!hole)
		return;
	for (size_t i = track->head; i < track->mid; i++) {
		struct track_entry *entry = &track->entries[i];
		if (is_expired(&entry->item, start_ns))
			settle(track, entry, use);
	}
	kept = track->mid;
	for (size_t i = track->mid; i-- > track->head;) {
		if (!is_expired(&track->entries[i].item, start_ns)) {
			kept--;
			if (kept != i)
				track->entries[kept] = track->entries[i];
		}
	}
	use->entries -= kept - track->head;
	track->head = kept;
}

bool track_is_spent(const struct track *track, int64_t start_ns, const struct policy *policy)
{
	if (track->head < track->len)
		return false;
	if (!track->has_left)
		return !track->has_note ||
		       item_since_ns(start_ns, track->note.item.t1_ns) > policy->reach_ns;
	if (policy->rules[track->facet].carry == POLICY_CARRY_STEP)
		return false;
	return item_since_ns(start_ns, item_end_ns(&track->left.item)) > policy->reach_ns;
}

void track_fini(struct track *track, struct track_use *use)
{
	for (size_t i = track->head; i < track->len; i++)
		track_strings_put(track->entries[i].strings, use);
	use->entries -= track->len - track->head;
	if (track->has_left)
		track_strings_put(track->left.strings, use);
	if (track->has_note)
		track_strings_put(track->note.strings, use);
	free(track->entries);
	*track = (struct track){ .entries = NULL };
}
