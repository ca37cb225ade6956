/*
 * Duplicates: a ring of the newest observations and chains of their keys.
 *
 * Every way to be a copy has a key that both sides share; chains run from the
 * newest to the oldest.  An entry of a chain may have been overwritten since:
 * then its serial is not older than the one before it, and the chain ends
 * there.
 */
#include "night/duplicate.h"

#include <stdlib.h>
#include <string.h>

#include "align/blend.h"
#include "align/peek.h"
#include "base/clock.h"
#include "night/duplicate_text.h"

#define KEYS_MAX (DUPLICATE_BANDS + 3)
#define ENTRIES (DUPLICATE_ITEMS_MAX * KEYS_MAX)
#define HEADS ((size_t)1 << 15)
#define CANDIDATES_MAX 64 /* looked at, of one key */
#define GROUP_SOURCES_MAX 8
#define SHORT_LETTERS 8 /* so few say little: they must come at one time */
#define SHORT_WINDOW_NS (15 * NS_PER_S)
#define NEAR_LETTERS 24 /* from here on texts may be nearly equal */
#define INSIDE_SHARE 0.95
#define FIX_WINDOW_NS (NS_PER_S + NS_PER_S / 2)
#define FIX_BUCKET_NS (4 * NS_PER_S)
#define FIX_METRES 2.0
#define DATA_WINDOW_NS (2 * NS_PER_S)
#define DATA_BYTES_MIN 24
#define HASH_FACTOR UINT64_C(0x9E3779B97F4A7C15)

enum key_use { USE_TEXT = 1, USE_HEAD, USE_BAND, USE_FIX, USE_FILE, USE_DATA };

struct seen {
	uint64_t serial;
	uint8_t obs_id[OBS_ID_BYTES];
	int64_t t0_ns;
	enum layer layer;
	uint64_t source, kind, sender, receiver; /* hashes; of people 0: not named */
	bool repeats;                            /* one source may show it again */
	bool has_text, has_fix;
	struct duplicate_text text;
	double lat, lon;
	uint64_t file, file_name, data; /* hashes; 0: none */
	/* The group: its first, and the sources in it (kept by the first). */
	uint64_t first_serial;
	uint64_t group_sources[GROUP_SOURCES_MAX];
	size_t group_len;
};

struct entry {
	uint64_t key, serial;
	uint32_t next; /* index + 1 */
};

struct duplicate_window {
	struct seen *items;    /* [DUPLICATE_ITEMS_MAX], by serial */
	struct entry *entries; /* [ENTRIES], a ring */
	uint32_t *heads;       /* [HEADS]: index + 1 */
	uint64_t serial;       /* of the newest; from 1 */
	uint64_t entries_next;
};

static const char *const words[] = { "none", "same_text", "near_text", "cut_text", "same_fix",
	"same_file", "same_data" };

const char *duplicate_word(enum duplicate_how how)
{
	return words[how];
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * HASH_FACTOR;
	return hash ^ hash >> 32;
}

static uint64_t hash_bytes(const char *bytes, size_t len)
{
	uint64_t hash = len + 1;

	for (size_t i = 0; i < len; i++)
		hash = mix(hash, (uint8_t)bytes[i]);
	return hash | 1;
}

/* ---- what an observation offers ------------------------------------------------------ */

static bool is_one_of(const struct peek *member, const char *const *names)
{
	for (; *names != NULL; names++) {
		if (peek_is(member, *names))
			return true;
	}
	return false;
}

static void read_data(const struct observation *obs, struct seen *out)
{
	static const char *const hashes[] = { "sha256", "sha1", "md5", "hash", "checksum", "etag",
		NULL };
	static const char *const senders[] = { "from", "sender", "author", "speaker", NULL };
	uint64_t name = 0, size = 0;
	struct peek member;

	peek_open(&member, obs->data_json);
	while (peek_next(&member)) {
		uint64_t value = hash_bytes(member.value, member.value_len);
		if (is_one_of(&member, hashes) && member.value_len > 8)
			out->file = value;
		else if (is_one_of(&member, senders))
			out->sender = value;
		else if (peek_is(&member, "to"))
			out->receiver = value;
		else if (peek_is(&member, "name") || peek_is(&member, "filename"))
			name = value;
		else if (peek_is(&member, "size") || peek_is(&member, "bytes"))
			size = value;
	}
	if (name != 0 && size != 0)
		out->file_name = mix(name, size) | 1;
}

static void read_item(const struct observation *obs, struct seen *out)
{
	struct blend_fix fix;
	bool data = obs->data_json != NULL && obs->data_json[0] != '\0';

	memcpy(out->obs_id, obs->obs_id, OBS_ID_BYTES);
	out->t0_ns = obs->place.t0_ns;
	out->layer = obs->layer;
	out->source = hash_bytes(obs->source, strlen(obs->source));
	out->kind = hash_bytes(obs->kind, strlen(obs->kind));
	out->repeats = strcmp(obs->kind, "notification") == 0;
	if (data)
		read_data(obs, out);
	out->has_text = obs->text[0] != '\0';
	if (out->has_text)
		duplicate_text_read(obs->text, strlen(obs->text), &out->text);
	out->has_text = out->has_text && out->text.letters > 0;
	if (data && obs->layer == LAYER_ENVIRONMENT && strcmp(obs->kind, "location") == 0 &&
	    blend_fix_of(obs->data_json, &fix)) {
		out->has_fix = true;
		out->lat = fix.lat;
		out->lon = fix.lon;
	}
	size_t data_len = data ? strlen(obs->data_json) : 0;
	if (!out->has_text && !out->has_fix && data_len >= DATA_BYTES_MIN &&
	    obs->place.t0_ns == obs->place.t1_ns)
		out->data = hash_bytes(obs->data_json, data_len);
}

/* ---- chains ---------------------------------------------------------------------------- */

static uint64_t key_of(enum key_use use, enum layer layer, uint64_t value)
{
	return mix(mix((uint64_t)use, (uint64_t)layer), value) | 1;
}

static void put(struct duplicate_window *window, uint64_t key)
{
	uint32_t index = (uint32_t)(window->entries_next++ % ENTRIES);
	uint32_t *head = &window->heads[key >> 20 & (HEADS - 1)];

	window->entries[index] =
	    (struct entry){ .key = key, .serial = window->serial, .next = *head };
	*head = index + 1;
}

static void put_all(struct duplicate_window *window, const struct seen *item)
{
	if (item->has_text) {
		put(window, key_of(USE_TEXT, item->layer, item->text.whole));
		if (item->text.letters >= NEAR_LETTERS) {
			put(window, key_of(USE_HEAD, item->layer, item->text.head));
			for (int band = 0; band < DUPLICATE_BANDS; band++)
				put(window, key_of(USE_BAND, item->layer, item->text.bands[band]));
		}
	}
	if (item->has_fix)
		put(window, key_of(USE_FIX, item->layer, (uint64_t)(item->t0_ns / FIX_BUCKET_NS)));
	if (item->file != 0)
		put(window, key_of(USE_FILE, item->layer, item->file));
	else if (item->file_name != 0)
		put(window, key_of(USE_FILE, item->layer, item->file_name));
	if (item->data != 0)
		put(window, key_of(USE_DATA, item->layer, item->data));
}

static struct seen *item_of(struct duplicate_window *window, uint64_t serial)
{
	struct seen *item = &window->items[serial % DUPLICATE_ITEMS_MAX];

	return item->serial == serial ? item : NULL;
}

/* ---- is it the same? ---------------------------------------------------------------------- */

/* A group has each source once, but for what may be shown again. */
static bool may_join(struct duplicate_window *window, const struct seen *item,
    const struct seen *other, bool any_source)
{
	const struct seen *first = item_of(window, other->first_serial);

	if (first == NULL || item->t0_ns - first->t0_ns > DUPLICATE_REACH_NS ||
	    item->layer != other->layer)
		return false;
	for (size_t i = 0; i < first->group_len && !any_source; i++) {
		if (first->group_sources[i] == item->source)
			return false;
	}
	return any_source || first->group_len < GROUP_SOURCES_MAX;
}

static bool people_differ(const struct seen *a, const struct seen *b)
{
	return (a->sender != 0 && b->sender != 0 && a->sender != b->sender) ||
	       (a->receiver != 0 && b->receiver != 0 && a->receiver != b->receiver);
}

static bool same_text(const struct seen *item, const struct seen *other, struct duplicate *out)
{
	bool brief = item->text.letters < SHORT_LETTERS;

	if (!other->has_text || item->text.whole != other->text.whole ||
	    people_differ(item, other) ||
	    item->t0_ns - other->t0_ns > (brief ? SHORT_WINDOW_NS : DUPLICATE_WINDOW_NS))
		return false;
	out->how = DUPLICATE_SAME_TEXT;
	out->confidence = brief ? 0.8 : 0.98;
	return true;
}

static bool near_text(const struct seen *item, const struct seen *other, struct duplicate *out)
{
	if (!other->has_text || other->text.letters < NEAR_LETTERS || people_differ(item, other) ||
	    item->text.numbers != other->text.numbers ||
	    item->t0_ns - other->t0_ns > DUPLICATE_WINDOW_NS)
		return false;
	double likeness = duplicate_text_likeness(&item->text, &other->text);
	out->how = DUPLICATE_NEAR_TEXT;
	out->confidence = likeness * 0.95;
	return likeness >= DUPLICATE_LIKENESS;
}

static bool cut_text(const struct seen *item, const struct seen *other, struct duplicate *out)
{
	if (!other->has_text || item->text.head != other->text.head || people_differ(item, other) ||
	    item->t0_ns - other->t0_ns > DUPLICATE_WINDOW_NS)
		return false;
	out->how = DUPLICATE_CUT_TEXT;
	out->confidence = 0.85;
	return duplicate_text_inside(&item->text, &other->text) >= INSIDE_SHARE;
}

static bool same_fix(const struct seen *item, const struct seen *other, struct duplicate *out)
{
	if (!other->has_fix || item->t0_ns - other->t0_ns > FIX_WINDOW_NS)
		return false;
	out->how = DUPLICATE_SAME_FIX;
	out->confidence = 0.9;
	return blend_metres(item->lat, item->lon, other->lat, other->lon) <= FIX_METRES;
}

static bool same_file(const struct seen *item, const struct seen *other, struct duplicate *out)
{
	bool hash = item->file != 0 && item->file == other->file;

	if (item->t0_ns - other->t0_ns > DUPLICATE_WINDOW_NS ||
	    (!hash && (item->file_name == 0 || item->file_name != other->file_name)))
		return false;
	out->how = DUPLICATE_SAME_FILE;
	out->confidence = hash ? 0.99 : 0.9;
	return true;
}

static bool same_data(const struct seen *item, const struct seen *other, struct duplicate *out)
{
	out->how = DUPLICATE_SAME_DATA;
	out->confidence = 0.8;
	return item->data == other->data && item->kind == other->kind &&
	       item->t0_ns - other->t0_ns <= DATA_WINDOW_NS;
}

typedef bool same_fn(const struct seen *item, const struct seen *other, struct duplicate *out);

/* The newest candidate under `key` that `item` copies; NULL if none. */
static struct seen *search(struct duplicate_window *window, uint64_t key, const struct seen *item,
    same_fn *same, struct duplicate *out)
{
	uint64_t before = UINT64_MAX;
	uint32_t at = window->heads[key >> 20 & (HEADS - 1)];

	for (int looked = 0; at != 0 && looked < CANDIDATES_MAX; looked++) {
		const struct entry *entry = &window->entries[at - 1];
		if (entry->serial > before)
			break; /* overwritten: the chain is over */
		before = entry->serial;
		at = entry->next;
		struct seen *other = entry->key == key ? item_of(window, entry->serial) : NULL;
		if (other == NULL || other == item)
			continue;
		if (item->t0_ns - other->t0_ns > DUPLICATE_WINDOW_NS)
			break;
		if (!same(item, other, out))
			continue;
		bool any_source =
		    out->how == DUPLICATE_SAME_FILE ||
		    (out->how == DUPLICATE_SAME_TEXT && item->repeats && other->repeats);
		if (may_join(window, item, other, any_source))
			return other;
	}
	return NULL;
}

static struct seen *search_text(
    struct duplicate_window *window, const struct seen *item, struct duplicate *out)
{
	struct seen *other =
	    search(window, key_of(USE_TEXT, item->layer, item->text.whole), item, same_text, out);

	if (other != NULL || item->text.letters < NEAR_LETTERS)
		return other;
	for (int band = 0; band < DUPLICATE_BANDS && other == NULL; band++)
		other = search(window, key_of(USE_BAND, item->layer, item->text.bands[band]), item,
		    near_text, out);
	if (other == NULL)
		other = search(
		    window, key_of(USE_HEAD, item->layer, item->text.head), item, cut_text, out);
	return other;
}

static struct seen *search_all(
    struct duplicate_window *window, const struct seen *item, struct duplicate *out)
{
	struct seen *other = NULL;
	uint64_t bucket = (uint64_t)(item->t0_ns / FIX_BUCKET_NS);

	if (item->file != 0)
		other =
		    search(window, key_of(USE_FILE, item->layer, item->file), item, same_file, out);
	if (other == NULL && item->file_name != 0)
		other = search(
		    window, key_of(USE_FILE, item->layer, item->file_name), item, same_file, out);
	if (other == NULL && item->has_text)
		other = search_text(window, item, out);
	for (uint64_t back = 0; back < 2 && other == NULL && item->has_fix; back++)
		other = search(
		    window, key_of(USE_FIX, item->layer, bucket - back), item, same_fix, out);
	if (other == NULL && item->data != 0)
		other =
		    search(window, key_of(USE_DATA, item->layer, item->data), item, same_data, out);
	return other;
}

/* ---- the window -------------------------------------------------------------------------- */

void duplicate_push(
    struct duplicate_window *window, const struct observation *obs, struct duplicate *out)
{
	uint64_t serial = ++window->serial;
	struct seen *item = &window->items[serial % DUPLICATE_ITEMS_MAX];

	*item = (struct seen){ .serial = serial, .first_serial = serial };
	read_item(obs, item);
	*out = (struct duplicate){ .how = DUPLICATE_NONE };
	struct seen *other = search_all(window, item, out);
	struct seen *first = other == NULL ? item : item_of(window, other->first_serial);
	item->first_serial = first->serial;
	if (first->group_len < GROUP_SOURCES_MAX)
		first->group_sources[first->group_len++] = item->source;
	if (other == NULL) {
		*out = (struct duplicate){ .how = DUPLICATE_NONE };
	} else {
		memcpy(out->of, first->obs_id, OBS_ID_BYTES);
		out->apart_ns = item->t0_ns - first->t0_ns;
	}
	put_all(window, item);
}

void duplicate_reset(struct duplicate_window *window)
{
	for (size_t i = 0; i < DUPLICATE_ITEMS_MAX; i++)
		window->items[i].serial = 0;
	memset(window->heads, 0, HEADS * sizeof *window->heads);
	window->serial = 0;
	window->entries_next = 0;
}

enum rc duplicate_new(struct duplicate_window **out)
{
	struct duplicate_window *window = calloc(1, sizeof *window);

	if (window == NULL)
		return RC_NOMEM;
	window->items = calloc(DUPLICATE_ITEMS_MAX, sizeof *window->items);
	window->entries = calloc(ENTRIES, sizeof *window->entries);
	window->heads = calloc(HEADS, sizeof *window->heads);
	if (window->items == NULL || window->entries == NULL || window->heads == NULL) {
		duplicate_free(window);
		return RC_NOMEM;
	}
	*out = window;
	return RC_OK;
}

void duplicate_free(struct duplicate_window *window)
{
	if (window == NULL)
		return;
	free(window->items);
	free(window->entries);
	free(window->heads);
	free(window);
}
