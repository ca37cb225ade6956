/* Note: to its record and back. */
#include "night/note.h"

#include <inttypes.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/hex.h"

#define KEY_BYTES 24
#define DIGEST_BYTES 16

void note_digest(uint32_t version, const char *text, char out[NOTE_DIGEST_BYTES])
{
	uint8_t head[4] = { (uint8_t)(version >> 24), (uint8_t)(version >> 16),
		(uint8_t)(version >> 8), (uint8_t)version };
	uint8_t digest[DIGEST_BYTES];
	crypto_generichash_state state;

	(void)crypto_generichash_init(&state, NULL, 0, sizeof digest);
	(void)crypto_generichash_update(&state, head, sizeof head);
	(void)crypto_generichash_update(&state, (const uint8_t *)text, strlen(text));
	(void)crypto_generichash_final(&state, digest, sizeof digest);
	hex_encode(digest, sizeof digest, out);
}

/* ---- writing -------------------------------------------------------------------------- */

static void put_string(struct buf *out, const char *name, const char *text)
{
	buf_printf(out, "\"%s\":", name);
	buf_json_string(out, text, strlen(text));
}

/* ,"tags":[…] */
static void put_tags(const struct note *note, struct buf *out)
{
	buf_puts(out, ",\"tags\":[");
	for (size_t i = 0; i < note->tags_len; i++) {
		if (i > 0)
			buf_putc(out, ',');
		buf_json_string(out, note->tags[i], strlen(note->tags[i]));
	}
	buf_putc(out, ']');
}

static void put_words(const struct note *note, struct buf *out)
{
	if (note->mood != NULL) {
		buf_puts(out, ",\"mood\":{");
		put_string(out, "quote", note->mood_quote);
		buf_putc(out, ',');
		put_string(out, "word", note->mood);
		buf_putc(out, '}');
	}
	buf_putc(out, ',');
	put_string(out, "summary", note->summary);
	put_tags(note, out);
	buf_putc(out, ',');
	put_string(out, "title", note->title);
}

static void put_value(const struct note *note, struct buf *out)
{
	buf_putc(out, '{');
	put_string(out, "digest", note->digest);
	buf_putc(out, ',');
	put_string(out, "model", note->model);
	if (note->refused == GATE_PASSED) {
		put_words(note, out);
	} else {
		buf_putc(out, ',');
		put_string(out, "refused", gate_word(note->refused));
	}
	buf_putc(out, '}');
}

static enum rc put(
    struct store *store, const struct note *note, const char *value, struct errmsg *why)
{
	char key[KEY_BYTES];
	struct label label = { .rule = NOTE_RULE,
		.version = note->version,
		.key = key,
		.t0_ns = note->start_ns,
		.t1_ns = note->end_ns,
		.about = note->about,
		.about_len = note->about_len,
		.value_json = value,
		.confidence = 0,
		.revision = note->revision,
		.life = note->life };

	(void)snprintf(key, sizeof key, "%" PRId64, note->start_ns);
	return said_put(store, &label, why);
}

enum rc note_put(struct store *store, const struct note *note, struct errmsg *why)
{
	struct note written = *note;
	struct buf value;

	written.version = NOTE_VERSION;
	buf_init(&value, LABEL_VALUE_BYTES_MAX);
	put_value(note, &value);
	enum rc rc = buf_rc(&value);
	if (rc == RC_OK)
		rc = put(store, &written, buf_text(&value), why);
	buf_fini(&value);
	return rc;
}

enum rc note_withdraw(struct store *store, const struct note *note, struct errmsg *why)
{
	struct note last = *note;

	last.revision++;
	return put(store, &last, "null", why);
}

/* ---- reading ---------------------------------------------------------------------------- */

/* A member that is a string of at most `chars` characters, in `arena`; NULL: there is none. */
static const char *read_string(
    const json_t *root, const char *name, size_t chars, struct arena *arena, enum rc *rc)
{
	const json_t *member = json_object_get(root, name);

	if (member == NULL || *rc != RC_OK)
		return NULL;
	const char *text = json_string_value(member);
	if (text == NULL || strlen(text) != json_string_length(member) ||
	    json_string_length(member) > chars * 4) {
		*rc = RC_CORRUPT;
		return NULL;
	}
	const char *copy = arena_strdup(arena, text);
	if (copy == NULL)
		*rc = RC_NOMEM;
	return copy;
}

static enum rc read_tags(const json_t *root, struct arena *arena, struct note *out)
{
	const json_t *tags = json_object_get(root, "tags");

	if (!json_is_array(tags) || json_array_size(tags) > NOTE_TAGS_MAX)
		return RC_CORRUPT;
	for (size_t i = 0; i < json_array_size(tags); i++) {
		const json_t *tag = json_array_get(tags, i);
		if (!json_is_string(tag) || json_string_length(tag) > NOTE_TAG_CHARS_MAX * 4)
			return RC_CORRUPT;
		out->tags[i] = arena_strdup(arena, json_string_value(tag));
		if (out->tags[i] == NULL)
			return RC_NOMEM;
	}
	out->tags_len = json_array_size(tags);
	return RC_OK;
}

static enum rc read_words(const json_t *root, struct arena *arena, struct note *out)
{
	const json_t *mood = json_object_get(root, "mood");
	enum rc rc = RC_OK;

	out->title = read_string(root, "title", NOTE_TITLE_CHARS_MAX, arena, &rc);
	out->summary = read_string(root, "summary", NOTE_SUMMARY_CHARS_MAX, arena, &rc);
	out->mood = read_string(mood, "word", NOTE_MOOD_CHARS_MAX, arena, &rc);
	out->mood_quote = read_string(mood, "quote", NOTE_QUOTE_CHARS_MAX, arena, &rc);
	if (rc == RC_OK && (out->title == NULL || out->summary == NULL ||
			       (out->mood == NULL) != (out->mood_quote == NULL)))
		rc = RC_CORRUPT;
	return rc == RC_OK ? read_tags(root, arena, out) : rc;
}

static enum gate read_gate(const char *word)
{
	for (enum gate gate = GATE_PASSED + 1; gate < GATE_COUNT; gate++) {
		if (strcmp(gate_word(gate), word) == 0)
			return gate;
	}
	return GATE_FORM; /* a newer program's reason */
}

static enum rc read_value(const char *json, struct arena *arena, struct note *out)
{
	json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
	enum rc rc = root != NULL ? RC_OK : RC_CORRUPT;
	const char *refused = read_string(root, "refused", NOTE_TAG_CHARS_MAX, arena, &rc);

	out->digest = read_string(root, "digest", NOTE_DIGEST_BYTES, arena, &rc);
	out->model = read_string(root, "model", 256, arena, &rc);
	if (rc == RC_OK && (out->digest == NULL || out->model == NULL))
		rc = RC_CORRUPT;
	if (refused != NULL)
		out->refused = read_gate(refused);
	else if (rc == RC_OK)
		rc = read_words(root, arena, out);
	json_decref(root);
	return rc;
}

static enum rc of_label(const struct label *label, struct arena *arena, struct note *out)
{
	*out = (struct note){ .start_ns = label->t0_ns,
		.end_ns = label->t1_ns,
		.about = label->about,
		.about_len = label->about_len,
		.version = label->version,
		.revision = label->revision,
		.life = label->life };
	if (strcmp(label->rule, NOTE_RULE) != 0 || label_is_withdrawn(label))
		return RC_NOTFOUND;
	return read_value(label->value_json, arena, out);
}

enum rc note_decode(const struct observation *obs, struct arena *arena, struct note *out)
{
	struct label label;

	enum rc rc = said_decode(obs, arena, &label);
	return rc == RC_OK ? of_label(&label, arena, out) : rc;
}

enum rc note_get(struct store *store, int64_t start_ns, struct arena *arena, struct note *out,
    struct errmsg *why)
{
	char key[KEY_BYTES];
	struct label label;

	(void)snprintf(key, sizeof key, "%" PRId64, start_ns);
	enum rc rc = said_get(store, NOTE_RULE, key, arena, &label, why);
	bool there = rc == RC_OK;
	if (rc != RC_OK && rc != RC_NOTFOUND && rc != RC_CORRUPT)
		return rc;
	rc = there ? of_label(&label, arena, out) : RC_NOTFOUND;
	out->life = label.life;
	out->revision = label.revision + there;
	return rc == RC_CORRUPT ? RC_NOTFOUND : rc;
}

struct listing {
	struct arena *arena;
	struct note *notes; /* [len] of [cap] */
	size_t len, cap;
	int64_t from_ns, to_ns;
	enum rc rc;
};

static enum rc list_add(struct listing *listing, const struct note *note)
{
	if (listing->len == NOTE_EPISODES_MAX)
		return RC_LIMIT;
	if (listing->len == listing->cap) {
		size_t cap = listing->cap == 0 ? 64 : listing->cap * 2;
		struct note *grown = arena_array(listing->arena, cap, sizeof *grown);
		if (grown == NULL)
			return RC_NOMEM;
		if (listing->len > 0)
			memcpy(grown, listing->notes, listing->len * sizeof *grown);
		listing->notes = grown;
		listing->cap = cap;
	}
	listing->notes[listing->len++] = *note;
	return RC_OK;
}

static bool list_visit(void *ctx, const struct observation *obs)
{
	struct listing *listing = ctx;
	struct note note;

	if (obs->dev_t0_ns < listing->from_ns || obs->dev_t0_ns >= listing->to_ns)
		return true;
	enum rc rc = note_decode(obs, listing->arena, &note);
	if (rc == RC_NOMEM)
		listing->rc = rc;
	else if (rc == RC_OK)
		listing->rc = list_add(listing, &note);
	return listing->rc == RC_OK;
}

enum rc note_list(struct store *store, int64_t from_ns, int64_t to_ns, uint64_t as_of_seq,
    struct arena *arena, struct note **out, size_t *len, struct errmsg *why)
{
	struct listing listing = { .arena = arena, .from_ns = from_ns, .to_ns = to_ns };
	struct store_range range = { .from_ns = from_ns,
		.to_ns = to_ns,
		.layers = LAYER_MASK(LAYER_TEXT),
		.source = OBS_SOURCE_NIGHT,
		.as_of_seq = as_of_seq };

	enum rc rc = store_scan_time(store, &range, NULL, 0, list_visit, &listing, why);
	if (listing.rc != RC_OK)
		return errmsg_rc(why, listing.rc, "too many notes: ask in parts");
	*out = listing.notes;
	*len = listing.len;
	return rc == RC_CORRUPT ? RC_OK : rc;
}

/* ---- showing ------------------------------------------------------------------------------ */

void note_json(const struct note *note, struct buf *out)
{
	if (note == NULL || note->refused != GATE_PASSED) {
		buf_puts(out,
		    ",\"title\":null,\"summary\":null,\"tags\":[],\"mood\":null,\"model\":null");
		return;
	}
	buf_putc(out, ',');
	put_string(out, "title", note->title);
	buf_putc(out, ',');
	put_string(out, "summary", note->summary);
	put_tags(note, out);
	buf_puts(out, ",\"mood\":");
	if (note->mood == NULL) {
		buf_puts(out, "null");
	} else {
		buf_putc(out, '{');
		put_string(out, "word", note->mood);
		buf_putc(out, ',');
		put_string(out, "quote", note->mood_quote);
		buf_putc(out, '}');
	}
	buf_putc(out, ',');
	put_string(out, "model", note->model);
}
