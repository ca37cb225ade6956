/* Labels to observations and back, and the labels of one observation. */
#include "night/label.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "align/peek.h"
#include "base/hex.h"

#define DIGITS 10000 /* of a confidence */
#define FIND_ARENA_BYTES ((size_t)8 << 20)
#define HASH_FACTOR UINT64_C(0x9E3779B97F4A7C15)

void label_obs_key(const uint8_t obs_id[OBS_ID_BYTES], char out[LABEL_OBS_KEY_BYTES])
{
	hex_encode(obs_id, OBS_ID_BYTES, out);
}

void label_member_key(
    const char *member, const uint8_t obs_id[OBS_ID_BYTES], char out[LABEL_KEY_BYTES_MAX])
{
	char id[LABEL_OBS_KEY_BYTES];

	label_obs_key(obs_id, id);
	(void)snprintf(out, LABEL_KEY_BYTES_MAX, "%s@%s", member, id);
}

bool label_is(const struct observation *obs)
{
	return observation_is_label(obs);
}

bool label_is_withdrawn(const struct label *label)
{
	return strcmp(label->value_json, "null") == 0;
}

static unsigned digits_of(double confidence)
{
	return (unsigned)(confidence * DIGITS + 0.5);
}

/* ---- writing --------------------------------------------------------------------- */

static void put_data(const struct label *label, struct buf *out)
{
	char id[LABEL_OBS_KEY_BYTES];

	buf_puts(out, "{\"about\":[");
	for (size_t i = 0; i < label->about_len; i++) {
		label_obs_key(label->about[i], id);
		buf_printf(out, "%s\"%s\"", i > 0 ? "," : "", id);
	}
	unsigned digits = digits_of(label->confidence);
	buf_printf(out, "],\"confidence\":%u.%04u", digits / DIGITS, digits % DIGITS);
	if (label->revision > 0)
		buf_printf(out, ",\"revision\":%" PRIu32, label->revision);
	buf_printf(out, ",\"rule\":\"%s\",\"value\":%s,\"version\":%" PRIu32 "}", label->rule,
	    label->value_json, label->version);
}

enum rc label_encode(const struct label *label, struct arena *arena, struct observation *out)
{
	struct buf data;

	if (strlen(label->rule) > LABEL_RULE_BYTES_MAX ||
	    strlen(label->key) > LABEL_KEY_BYTES_MAX || label->about_len == 0 ||
	    label->about_len > LABEL_ABOUT_MAX || label->life >= LABEL_LIVES_MAX ||
	    strchr(label->key, '~') != NULL || strlen(label->value_json) > LABEL_VALUE_BYTES_MAX)
		return RC_LIMIT;
	buf_init(&data, OBS_DATA_BYTES_MAX);
	put_data(label, &data);
	enum rc rc = buf_rc(&data);
	const char *text = rc == RC_OK ? arena_copy(arena, data.bytes, data.len) : NULL;
	buf_fini(&data);
	const char *id = label->life == 0 ? arena_printf(arena, "%s:%s", label->rule, label->key)
					  : arena_printf(arena, "%s:%s~%u", label->rule, label->key,
						label->life);
	if (rc != RC_OK)
		return rc;
	if (text == NULL || id == NULL)
		return RC_NOMEM;
	*out = (struct observation){
		.source = OBS_SOURCE_NIGHT,
		.client_id = id,
		.layer = label->layer,
		.kind = OBS_KIND_LABEL,
		.shape = label->t1_ns > label->t0_ns ? SHAPE_INTERVAL : SHAPE_INSTANT,
		.clock_id = "",
		.boot_epoch = "",
		.dev_t0_ns = label->t0_ns,
		.dev_t1_ns = label->t1_ns,
		.has_end = label->t1_ns > label->t0_ns,
		.zone = "",
		.origin = ORIGIN_SYSTEM,
		.text = "",
		.data_json = text,
		.extra_json = "",
	};
	return RC_OK;
}

/* ---- reading ---------------------------------------------------------------------- */

static enum rc read_about(const struct peek *member, struct arena *arena, struct label *out)
{
	const char *p = member->value + 1, *end = member->value + member->value_len;
	size_t most = member->value_len / (2 * OBS_ID_BYTES + 3) + 1;

	if (member->value[0] != '[' || most > LABEL_ABOUT_MAX + 1)
		return RC_CORRUPT;
	uint8_t(*about)[OBS_ID_BYTES] = arena_array(arena, most, sizeof *about);
	if (about == NULL)
		return RC_NOMEM;
	while (out->about_len < most && end - p > 2 * OBS_ID_BYTES + 2 && *p == '"') {
		char id[LABEL_OBS_KEY_BYTES] = "";
		memcpy(id, p + 1, 2 * OBS_ID_BYTES);
		if (hex_decode(id, about[out->about_len], OBS_ID_BYTES) != RC_OK)
			return RC_CORRUPT;
		out->about_len++;
		p += 2 * OBS_ID_BYTES + 2;
		p += *p == ',' ? 1 : 0;
	}
	out->about = (const uint8_t(*)[OBS_ID_BYTES])about;
	return *p == ']' && p + 1 == end && out->about_len > 0 ? RC_OK : RC_CORRUPT;
}

static bool read_count(const struct peek *member, uint32_t *out)
{
	double number;

	if (!peek_number(member, &number) || number < 0 || number > UINT32_MAX)
		return false;
	*out = (uint32_t)number;
	return true;
}

/* "RULE:KEY" or "RULE:KEY~LIFE"; a rule is called by small letters and '_'. */
static enum rc read_id(const char *client_id, struct arena *arena, struct label *out)
{
	const char *colon = strchr(client_id, ':'), *tilde = strchr(client_id, '~');

	if (colon == NULL || colon == client_id || (tilde != NULL && tilde < colon) ||
	    client_id + strspn(client_id, "abcdefghijklmnopqrstuvwxyz_") != colon ||
	    (size_t)(colon - client_id) > LABEL_RULE_BYTES_MAX)
		return RC_CORRUPT;
	size_t len = tilde != NULL ? (size_t)(tilde - colon) - 1 : strlen(colon + 1);
	size_t digits = tilde != NULL ? strspn(tilde + 1, "0123456789") : 0;
	if (tilde != NULL &&
	    (digits == 0 || digits > 2 || tilde[1] == '0' || tilde[1 + digits] != '\0'))
		return RC_CORRUPT;
	for (size_t i = 0; i < digits; i++)
		out->life = out->life * 10 + (unsigned)(tilde[1 + i] - '0');
	if (len == 0 || len > LABEL_KEY_BYTES_MAX || out->life >= LABEL_LIVES_MAX)
		return RC_CORRUPT;
	out->rule = arena_copy(arena, client_id, (size_t)(colon - client_id));
	out->key = arena_copy(arena, colon + 1, len);
	return out->rule == NULL || out->key == NULL ? RC_NOMEM : RC_OK;
}

static enum rc read_member(const struct peek *member, struct arena *arena, struct label *out)
{
	if (peek_is(member, "about"))
		return out->about_len == 0 ? read_about(member, arena, out) : RC_CORRUPT;
	if (peek_is(member, "value")) {
		out->value_json = arena_copy(arena, member->value, member->value_len);
		return out->value_json == NULL ? RC_NOMEM : RC_OK;
	}
	bool good = true;
	if (peek_is(member, "confidence"))
		good = peek_number(member, &out->confidence) && out->confidence >= 0 &&
		       out->confidence <= 1;
	else if (peek_is(member, "revision"))
		good = read_count(member, &out->revision);
	else if (peek_is(member, "version"))
		good = read_count(member, &out->version);
	return good ? RC_OK : RC_CORRUPT;
}

enum rc label_decode(const struct observation *obs, struct arena *arena, struct label *out)
{
	struct label label = {
		.layer = obs->layer, .t0_ns = obs->dev_t0_ns, .t1_ns = obs->dev_t1_ns
	};
	struct peek member;

	if (!label_is(obs))
		return RC_NOTFOUND;
	enum rc rc = read_id(obs->client_id, arena, &label);
	peek_open(&member, obs->data_json);
	while (rc == RC_OK && peek_next(&member))
		rc = read_member(&member, arena, &label);
	if (rc == RC_OK && (label.about_len == 0 || label.value_json == NULL || label.version == 0))
		rc = RC_CORRUPT;
	if (rc == RC_OK)
		*out = label;
	return rc;
}

/* ---- comparing --------------------------------------------------------------------- */

static void feed(struct label_digest *digest, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint64_t word;

	for (size_t i = 0; i <= len; i += sizeof word) {
		size_t n = len - i < sizeof word ? len - i : sizeof word;
		word = 0;
		memcpy(&word, p + i, n);
		word ^= (uint64_t)n << 56;
		digest->word[0] = (digest->word[0] ^ word) * HASH_FACTOR;
		digest->word[0] ^= digest->word[0] >> 32;
		digest->word[1] = (digest->word[1] + word) * UINT64_C(0xD1B54A32D192ED03);
		digest->word[1] ^= digest->word[1] >> 29;
	}
}

struct label_digest label_digest(const struct label *label)
{
	struct label_digest digest = { { 1, 2 } };
	const uint64_t numbers[] = { label->version, (uint64_t)label->layer, (uint64_t)label->t0_ns,
		(uint64_t)label->t1_ns, digits_of(label->confidence) };

	feed(&digest, numbers, sizeof numbers);
	feed(&digest, label->about, label->about_len * OBS_ID_BYTES);
	feed(&digest, label->value_json, strlen(label->value_json));
	feed(&digest, label->key, strlen(label->key));
	return digest;
}

/* ---- getting ----------------------------------------------------------------------- */

enum rc label_stands(struct store *store, const char *rule, const char *key, struct arena *arena,
    struct observation *out, unsigned *life, uint8_t id[OBS_ID_BYTES], struct errmsg *why)
{
	static const uint8_t nothing[1][OBS_ID_BYTES];
	struct label label = { .rule = rule,
		.key = key,
		.layer = LAYER_TEXT,
		.about = nothing,
		.about_len = 1,
		.value_json = "null" };

	for (; label.life < LABEL_LIVES_MAX; label.life++) {
		*life = label.life;
		enum rc rc = label_encode(&label, arena, out);
		if (rc != RC_OK)
			return rc;
		store_obs_id(store, out, id);
		rc = store_get_id(store, id, arena, out, why);
		if (rc != RC_OK || !out->tombstone)
			return rc;
	}
	return RC_LIMIT;
}

enum rc label_get(struct store *store, const char *rule, const char *key, struct arena *arena,
    struct label *out, uint8_t label_id[OBS_ID_BYTES], struct errmsg *why)
{
	struct observation obs;
	uint8_t id[OBS_ID_BYTES];
	unsigned life;

	enum rc rc = label_stands(store, rule, key, arena, &obs, &life, id, why);
	if (rc != RC_OK)
		return rc == RC_LIMIT ? RC_NOTFOUND : rc;
	rc = label_decode(&obs, arena, out);
	if (rc == RC_OK && label_id != NULL)
		memcpy(label_id, id, OBS_ID_BYTES);
	return rc == RC_OK && label_is_withdrawn(out) ? RC_NOTFOUND : rc;
}

/* ---- finding ----------------------------------------------------------------------- */

struct find {
	const uint8_t *obs_id;
	struct arena arena;
	label_visit_fn *visit;
	void *ctx;
	enum rc rc;
};

static bool is_about(const struct label *label, const uint8_t obs_id[OBS_ID_BYTES])
{
	for (size_t i = 0; i < label->about_len; i++) {
		if (memcmp(label->about[i], obs_id, OBS_ID_BYTES) == 0)
			return true;
	}
	return false;
}

static bool find_visit(void *ctx, const struct observation *obs)
{
	struct find *find = ctx;
	struct label label;

	arena_reset(&find->arena);
	enum rc rc = label_decode(obs, &find->arena, &label);
	if (rc == RC_NOMEM) {
		find->rc = rc;
		return false;
	}
	if (rc != RC_OK || label_is_withdrawn(&label) || !is_about(&label, find->obs_id))
		return true;
	return find->visit(find->ctx, &label, obs);
}

enum rc label_find(struct store *store, const uint8_t obs_id[OBS_ID_BYTES], enum layer layer,
    int64_t t0_ns, int64_t t1_ns, label_visit_fn *visit, void *ctx, struct errmsg *why)
{
	struct find find = { .obs_id = obs_id, .visit = visit, .ctx = ctx };
	struct store_range range = { .from_ns = t0_ns - LABEL_REACH_NS,
		.to_ns = t1_ns + LABEL_REACH_NS + 1,
		.layers = LAYER_MASK(layer),
		.source = OBS_SOURCE_NIGHT };
	struct store_position pos = { .set = false };

	arena_init(&find.arena, FIND_ARENA_BYTES);
	enum rc rc = store_scan_time(store, &range, &pos, 0, find_visit, &find, why);
	arena_fini(&find.arena);
	return rc == RC_OK ? find.rc : rc;
}
