/*
 * Keyed hashes: obs_id and content hash (BLAKE2b under the dedup key).
 *
 * Every field goes in with its length in front, each use with a word of its
 * own, so that no two different observations feed the same bytes.
 */
#include <sodium.h>
#include <string.h>

#include "store/store_internal.h"

static void feed(crypto_generichash_state *h, const void *bytes, size_t len)
{
	uint8_t size[8];

	store_put_be64(size, len);
	(void)crypto_generichash_update(h, size, sizeof(size));
	if (len > 0)
		(void)crypto_generichash_update(h, bytes, len);
}

static void feed_text(crypto_generichash_state *h, const char *text)
{
	feed(h, text, text == NULL ? 0 : strlen(text));
}

static void feed_number(crypto_generichash_state *h, uint64_t value)
{
	uint8_t bytes[8];

	store_put_be64(bytes, value);
	(void)crypto_generichash_update(h, bytes, sizeof(bytes));
}

static void feed_real(crypto_generichash_state *h, double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	feed_number(h, bits);
}

static void begin(const struct store *store, crypto_generichash_state *h, const char *use)
{
	(void)crypto_generichash_init(
	    h, keyring_dedup_key(store->keyring), KEYRING_KEY_BYTES, OBS_ID_BYTES);
	feed_text(h, use);
}

/* Everything the sender said; nothing of when or how it came, nor how the time
 * was written: an event read back (in UTC) and sent again is the same event. */
static void hash_content(
    const struct store *store, const struct observation *obs, uint8_t out[OBS_ID_BYTES])
{
	crypto_generichash_state h;

	begin(store, &h, "content");
	feed_text(&h, obs->source);
	feed_text(&h, obs->client_id);
	feed_number(&h, (uint64_t)obs->layer);
	feed_text(&h, obs->kind);
	feed_number(&h, (uint64_t)obs->shape);
	feed_text(&h, obs->clock_id);
	feed_text(&h, obs->boot_epoch);
	feed_number(&h, obs->has_source_seq);
	feed_number(&h, obs->source_seq);
	feed_number(&h, (uint64_t)obs->dev_t0_ns);
	feed_number(&h, (uint64_t)obs->dev_t1_ns);
	feed_number(&h, obs->has_end);
	feed_text(&h, obs->zone);
	feed_text(&h, obs->text);
	feed_text(&h, obs->data_json);
	feed_real(&h, obs->rate_hz);
	feed_number(&h, obs->values_len);
	for (size_t i = 0; i < obs->values_len; i++)
		feed_real(&h, obs->values[i]);
	feed_number(&h, obs->has_pulse);
	feed_real(&h, obs->pulse_s);
	feed_number(&h, obs->gap);
	feed_text(&h, obs->extra_json);
	(void)crypto_generichash_final(&h, out, OBS_ID_BYTES);
}

void store_hash(const struct store *store, const struct observation *obs,
    uint8_t obs_id[OBS_ID_BYTES], uint8_t content[OBS_ID_BYTES])
{
	crypto_generichash_state h;

	hash_content(store, obs, content);
	if (obs->client_id == NULL || obs->client_id[0] == '\0') {
		begin(store, &h, "obs_id of payload");
		feed_text(&h, obs->source);
		feed(&h, content, OBS_ID_BYTES);
	} else {
		begin(store, &h, "obs_id of id");
		feed_text(&h, obs->source);
		feed_text(&h, obs->client_id);
	}
	(void)crypto_generichash_final(&h, obs_id, OBS_ID_BYTES);
}

void store_hash_version(const struct store *store, const uint8_t obs_id[OBS_ID_BYTES],
    const uint8_t content[OBS_ID_BYTES], uint8_t out[OBS_ID_BYTES])
{
	crypto_generichash_state h;

	begin(store, &h, "version");
	feed(&h, obs_id, OBS_ID_BYTES);
	feed(&h, content, OBS_ID_BYTES);
	(void)crypto_generichash_final(&h, out, OBS_ID_BYTES);
}

void store_obs_id(
    const struct store *store, const struct observation *obs, uint8_t out[OBS_ID_BYTES])
{
	uint8_t content[OBS_ID_BYTES];

	store_hash(store, obs, out, content);
}
