/* Store keys: numbers and times as bytes that sort. */
#include <string.h>

#include "store/store_internal.h"

#define SIGN_BIT (UINT64_C(1) << 63)

MDB_val store_text_val(const char *text)
{
	union {
		const char *in;
		char *out;
	} u = { .in = text };

	return (MDB_val){ strlen(text), u.out };
}

void store_put_be64(uint8_t out[8], uint64_t value)
{
	for (unsigned i = 0; i < 8; i++)
		out[i] = (uint8_t)(value >> (56 - 8 * i));
}

uint64_t store_get_be64(const uint8_t in[8])
{
	uint64_t value = 0;

	for (unsigned i = 0; i < 8; i++)
		value = value << 8 | in[i];
	return value;
}

static void put_time(uint8_t out[8], int64_t ns)
{
	store_put_be64(out, (uint64_t)ns ^ SIGN_BIT);
}

static int64_t get_time(const uint8_t in[8])
{
	return (int64_t)(store_get_be64(in) ^ SIGN_BIT);
}

unsigned store_class(int64_t t0_ns, int64_t t1_ns)
{
	uint64_t span = (uint64_t)t1_ns - (uint64_t)t0_ns;
	unsigned bits = 0;

	for (; span != 0 && bits < STORE_CLASS_COUNT - 1; span >>= 1)
		bits++;
	return bits;
}

int64_t store_class_first_ns(unsigned cls, int64_t at_ns)
{
	int64_t first_ns;

	if (cls >= STORE_CLASS_COUNT - 1 ||
	    __builtin_sub_overflow(at_ns, (INT64_C(1) << cls) - 1, &first_ns) ||
	    first_ns < OBS_TIME_MIN_NS)
		return OBS_TIME_MIN_NS;
	return first_ns;
}

void store_time_key(const struct store_entry *entry, uint8_t out[STORE_TIME_KEY_BYTES])
{
	out[0] = entry->layer;
	put_time(out + 1, entry->t0_ns);
	store_put_be64(out + 9, entry->seq);
}

void store_span_key(const struct store_entry *entry, uint8_t out[STORE_SPAN_KEY_BYTES])
{
	out[0] = entry->layer;
	out[1] = (uint8_t)store_class(entry->t0_ns, entry->t1_ns);
	put_time(out + 2, entry->t0_ns);
	store_put_be64(out + 10, entry->seq);
	put_time(out + 18, entry->t1_ns);
}

void store_past_key(const struct store_entry *entry, uint8_t out[STORE_PAST_KEY_BYTES])
{
	store_span_key(entry, out);
	store_put_be64(out + STORE_SPAN_KEY_BYTES, entry->by_seq);
}

void store_entry_at(
    const struct placement *place, uint8_t layer, uint64_t seq, struct store_entry *out)
{
	*out = (struct store_entry){ .layer = layer, .seq = seq };
	placement_extent(place, &out->t0_ns, &out->t1_ns);
}

struct store_entry store_entry_of(const struct observation *obs, uint64_t seq)
{
	struct store_entry entry;

	store_entry_at(&obs->place, (uint8_t)obs->layer, seq, &entry);
	return entry;
}

static enum rc entry_check(const struct store_entry *entry)
{
	if (layer_word((enum layer)entry->layer) == NULL || entry->seq == 0 ||
	    entry->t0_ns < OBS_TIME_MIN_NS || entry->t0_ns > OBS_TIME_MAX_NS ||
	    entry->t1_ns < entry->t0_ns || entry->t1_ns > OBS_TIME_MAX_NS)
		return RC_CORRUPT;
	return RC_OK;
}

enum rc store_entry_parse(enum store_db db, const MDB_val *key, struct store_entry *out)
{
	const uint8_t *p = key->mv_data;
	size_t want = db == DB_TIME   ? STORE_TIME_KEY_BYTES
		      : db == DB_SPAN ? STORE_SPAN_KEY_BYTES
				      : STORE_PAST_KEY_BYTES;

	if (key->mv_size != want)
		return RC_CORRUPT;
	*out = (struct store_entry){ .layer = p[0] };
	if (db == DB_TIME) {
		out->t0_ns = out->t1_ns = get_time(p + 1);
		out->seq = store_get_be64(p + 9);
		return entry_check(out);
	}
	out->t0_ns = get_time(p + 2);
	out->seq = store_get_be64(p + 10);
	out->t1_ns = get_time(p + 18);
	if (db == DB_PAST)
		out->by_seq = store_get_be64(p + STORE_SPAN_KEY_BYTES);
	if (entry_check(out) != RC_OK || p[1] != store_class(out->t0_ns, out->t1_ns))
		return RC_CORRUPT;
	return RC_OK;
}

int32_t store_day(int64_t utc_ns)
{
	int64_t day = utc_ns / NS_PER_DAY;

	return (int32_t)(utc_ns % NS_PER_DAY < 0 ? day - 1 : day);
}

const char *store_db_name(enum store_db db)
{
	static const char *const names[DB_COUNT] = { "meta", "log", "time", "span", "past", "dedup",
		"seen", "dirty", "slice", "blobref", "clockmap", "bundle", "digest", "orphan",
		"vector", "episode", "recent", "snapshot" };

	return names[db];
}
