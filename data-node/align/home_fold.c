/* Home fold: what is kept of a list of references, and its bytes. */
#include "align/home_fold.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "align/bytes.h"
#include "align/lookup.h"

#define FORMAT 1u
#define FLAG_DENSE 1u
#define FLAG_BOOT 0x80u
#define REF_BYTES_MIN ((size_t)20) /* role, track, lane, and three numbers */

_Static_assert(HOME_HASH_KEY_BYTES == crypto_shorthash_KEYBYTES, "the key of a hash");

void home_fold_init(struct home_fold *fold)
{
	*fold = (struct home_fold){ .len = 0 };
}

void home_fold_fini(struct home_fold *fold)
{
	free(fold->refs);
	home_fold_init(fold);
}

void home_fold_reset(struct home_fold *fold)
{
	fold->len = 0;
	fold->first_seq = fold->last_seq = 0;
	fold->dense = false;
}

/* ---- references ------------------------------------------------------------------ */

static uint64_t keyed(uint64_t value, const uint8_t key[HOME_HASH_KEY_BYTES])
{
	uint8_t bytes[8], hash[crypto_shorthash_BYTES];
	uint64_t out = 0;

	for (unsigned i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(value >> (56 - 8 * i));
	(void)crypto_shorthash(hash, bytes, sizeof bytes, key);
	for (unsigned i = 0; i < 8; i++)
		out = out << 8 | hash[i];
	return out == 0 ? 1 : out;
}

struct home_ref home_ref_of(const struct item *item, const uint8_t key[HOME_HASH_KEY_BYTES])
{
	struct home_ref ref = { .seq = item->seq,
		.key_ns = item_key_ns(item),
		.end_ns = item_end_ns(item),
		.track = keyed(item->track, key),
		.lane = keyed(item->rest->lane, key),
		.role = HOME_VALUE };

	if (item->boots && !item->wide) /* as check_epoch() in window.c */
		ref.boot = keyed(item->rest->boot, key);
	if ((item->facets & FACET_MASK(FACET_HOME)) == 0 || item->role == ITEM_NOTE)
		ref.role = HOME_PASSING;
	else if (item->role == ITEM_STOP)
		ref.role = item->stop_lane ? HOME_LANE : HOME_STOP;
	return ref;
}

static enum rc make_room(struct home_fold *fold, size_t more)
{
	if (fold->cap - fold->len >= more)
		return RC_OK;
	size_t cap = fold->cap < 32 ? 64 : fold->cap * 2;
	while (cap - fold->len < more)
		cap *= 2;
	struct home_ref *refs = realloc(fold->refs, cap * sizeof *refs);
	if (refs == NULL)
		return RC_NOMEM;
	fold->refs = refs;
	fold->cap = cap;
	return RC_OK;
}

enum rc home_fold_add(struct home_fold *fold, const struct home_ref *ref)
{
	if (make_room(fold, 1) != RC_OK)
		return RC_NOMEM;
	fold->refs[fold->len++] = *ref;
	return RC_OK;
}

enum rc home_fold_join(struct home_fold *fold, const struct home_fold *later)
{
	if (make_room(fold, later->len) != RC_OK)
		return RC_NOMEM;
	if (later->len > 0)
		memcpy(fold->refs + fold->len, later->refs, later->len * sizeof *later->refs);
	fold->len += later->len;
	fold->dense = fold->dense || later->dense;
	if (later->first_seq != 0 && (fold->first_seq == 0 || later->first_seq < fold->first_seq))
		fold->first_seq = later->first_seq;
	if (later->last_seq > fold->last_seq)
		fold->last_seq = later->last_seq;
	return RC_OK;
}

/* ---- what stays -------------------------------------------------------------------- */

/* Of one track: the latest ends of what has ended. */
struct track_ends {
	bool has_value, has_stop;
	int64_t value_ns, stop_ns;
};

/* Of one lane: its last stop, and where its epoch changed last. */
struct lane_ends {
	bool has_stop, has_boot, has_change, has_tie, has_next;
	int64_t stop_ns;
	size_t first, last;    /* that name an epoch */
	size_t before, change; /* the two around the last change */
	int64_t tie_ns;        /* has_tie: it was among those of this moment, */
	size_t next;           /* or right behind them */
};

struct keep {
	const struct home_fold *fold;
	int64_t end_ns;
	struct lookup tracks, lanes;
	struct track_ends *track_ends; /* [fold->len] */
	struct lane_ends *lane_ends;   /* [fold->len] */
	size_t tracks_len, lanes_len;
};

static bool has_ended(const struct home_ref *ref, int64_t end_ns)
{
	return ref->end_ns < end_ns - PLACEMENT_NARROW_NS;
}

static void later_end(bool *has, int64_t *latest_ns, int64_t end_ns)
{
	if (!*has || end_ns > *latest_ns)
		*latest_ns = end_ns;
	*has = true;
}

static void note_boot(const struct home_fold *fold, size_t i, struct lane_ends *lane)
{
	const struct home_ref *ref = &fold->refs[i], *last = &fold->refs[lane->last];
	bool differs = lane->has_boot && last->boot != ref->boot;

	if (!lane->has_boot) {
		lane->first = i;
	} else if (last->key_ns == ref->key_ns) {
		if (differs) {
			lane->has_tie = true;
			lane->tie_ns = ref->key_ns;
			lane->has_next = false;
		}
	} else if (lane->has_tie && !lane->has_next && last->key_ns == lane->tie_ns) {
		lane->has_next = true;
		lane->next = i;
	} else if (differs) {
		lane->has_change = true;
		lane->has_tie = false;
		lane->before = lane->last;
		lane->change = i;
	}
	lane->has_boot = true;
	lane->last = i;
}

static bool boot_stays(const struct keep *keep, const struct lane_ends *lane, size_t i)
{
	if (lane->has_tie)
		return keep->fold->refs[i].key_ns == lane->tie_ns ||
		       (lane->has_next && i == lane->next);
	return lane->has_change ? i == lane->change || i == lane->before : i == lane->first;
}

static enum rc note_ref(struct keep *keep, size_t i)
{
	const struct home_ref *ref = &keep->fold->refs[i];
	struct track_ends *track = lookup_find(&keep->tracks, ref->track);
	struct lane_ends *lane = lookup_find(&keep->lanes, ref->lane);

	if (track == NULL) {
		track = &keep->track_ends[keep->tracks_len++];
		if (lookup_put(&keep->tracks, ref->track, track) != RC_OK)
			return RC_NOMEM;
	}
	if (lane == NULL) {
		lane = &keep->lane_ends[keep->lanes_len++];
		if (lookup_put(&keep->lanes, ref->lane, lane) != RC_OK)
			return RC_NOMEM;
	}
	if (has_ended(ref, keep->end_ns)) {
		if (ref->role == HOME_VALUE)
			later_end(&track->has_value, &track->value_ns, ref->end_ns);
		else if (ref->role == HOME_STOP)
			later_end(&track->has_stop, &track->stop_ns, ref->end_ns);
		else if (ref->role == HOME_LANE)
			later_end(&lane->has_stop, &lane->stop_ns, ref->end_ns);
	}
	if (ref->boot != 0)
		note_boot(keep->fold, i, lane);
	return RC_OK;
}

static bool stays(const struct keep *keep, size_t i)
{
	const struct home_ref *ref = &keep->fold->refs[i];
	const struct track_ends *track = lookup_find(&keep->tracks, ref->track);
	const struct lane_ends *lane = lookup_find(&keep->lanes, ref->lane);

	if (!has_ended(ref, keep->end_ns))
		return true;
	if (ref->boot != 0 && boot_stays(keep, lane, i))
		return true;
	switch (ref->role) {
	case HOME_VALUE:
		return ref->end_ns == track->value_ns;
	case HOME_STOP:
		return ref->end_ns == track->stop_ns &&
		       (!track->has_value || track->stop_ns >= track->value_ns);
	case HOME_LANE:
		return ref->end_ns == lane->stop_ns;
	case HOME_PASSING:
		break;
	}
	return false;
}

enum rc home_fold_keep(struct home_fold *fold, int64_t end_ns)
{
	struct keep keep = { .fold = fold, .end_ns = end_ns };
	bool *stay = calloc(fold->len + 1, sizeof *stay);
	enum rc rc = RC_OK;

	keep.track_ends = calloc(fold->len + 1, sizeof *keep.track_ends);
	keep.lane_ends = calloc(fold->len + 1, sizeof *keep.lane_ends);
	if (stay == NULL || keep.track_ends == NULL || keep.lane_ends == NULL)
		rc = RC_NOMEM;
	for (size_t i = 0; i < fold->len && rc == RC_OK; i++)
		rc = note_ref(&keep, i);
	for (size_t i = 0; i < fold->len && rc == RC_OK; i++)
		stay[i] = stays(&keep, i);
	size_t kept = 0;
	for (size_t i = 0; i < fold->len && rc == RC_OK; i++) {
		if (stay[i])
			fold->refs[kept++] = fold->refs[i];
	}
	if (rc == RC_OK)
		fold->len = kept;
	lookup_fini(&keep.tracks);
	lookup_fini(&keep.lanes);
	free(keep.track_ends);
	free(keep.lane_ends);
	free(stay);
	return rc;
}

/* ---- stored form --------------------------------------------------------------------- */

enum rc home_fold_encode(const struct home_fold *fold, int64_t start_ns, struct buf *out)
{
	int64_t key_ns = start_ns;

	bytes_put8(out, FORMAT);
	bytes_put8(out, fold->dense ? FLAG_DENSE : 0);
	bytes_put_varint(out, fold->first_seq);
	bytes_put_varint(out, fold->last_seq);
	for (size_t i = 0; i < fold->len && !fold->dense; i++) {
		const struct home_ref *ref = &fold->refs[i];
		bytes_put8(out, (unsigned)ref->role | (ref->boot != 0 ? FLAG_BOOT : 0));
		bytes_put64(out, ref->track);
		bytes_put64(out, ref->lane);
		if (ref->boot != 0)
			bytes_put64(out, ref->boot);
		bytes_put_varint(out, ref->seq);
		bytes_put_varint(out, (uint64_t)(ref->key_ns - key_ns));
		bytes_put_varint(out, (uint64_t)(ref->end_ns - ref->key_ns));
		key_ns = ref->key_ns;
	}
	return buf_rc(out);
}

static void get_ref(struct bytes *in, int64_t *key_ns, int64_t to_ns, struct home_ref *ref)
{
	unsigned how = bytes_get8(in);
	uint64_t ahead, length;

	*ref = (struct home_ref){ .role = (enum home_role)(how & ~FLAG_BOOT) };
	ref->track = bytes_get64(in);
	ref->lane = bytes_get64(in);
	if ((how & FLAG_BOOT) != 0)
		ref->boot = bytes_get64(in);
	ref->seq = bytes_get_varint(in);
	ahead = bytes_get_varint(in);
	length = bytes_get_varint(in);
	if (in->bad || ref->role < HOME_VALUE || ref->role > HOME_PASSING || ref->seq == 0 ||
	    ((how & FLAG_BOOT) != 0 && ref->boot == 0) || ahead >= (uint64_t)(to_ns - *key_ns) ||
	    __builtin_add_overflow(*key_ns + (int64_t)ahead, length, &ref->end_ns)) {
		in->bad = true;
		return;
	}
	ref->key_ns = *key_ns = *key_ns + (int64_t)ahead;
}

enum rc home_fold_decode(
    const uint8_t *bytes, size_t len, int64_t start_ns, int64_t span_ns, struct home_fold *fold)
{
	struct bytes in = { bytes, len, false };
	unsigned format = bytes_get8(&in), flags = bytes_get8(&in);
	int64_t key_ns = start_ns;

	home_fold_reset(fold);
	fold->dense = (flags & FLAG_DENSE) != 0;
	fold->first_seq = bytes_get_varint(&in);
	fold->last_seq = bytes_get_varint(&in);
	if (in.bad || format != FORMAT || flags > FLAG_DENSE || fold->first_seq > fold->last_seq ||
	    (fold->dense && in.left > 0))
		return RC_CORRUPT;
	if (make_room(fold, in.left / REF_BYTES_MIN + 1) != RC_OK)
		return RC_NOMEM;
	while (in.left > 0) {
		struct home_ref ref;
		get_ref(&in, &key_ns, start_ns + span_ns, &ref);
		if (in.bad)
			return RC_CORRUPT;
		if (home_fold_add(fold, &ref) != RC_OK)
			return RC_NOMEM;
	}
	return RC_OK;
}
