/*
 * Keyed hashes: obs_id and content hash (BLAKE2b under the dedup key).
 *
 * Every field goes in with its length in front, each use with a word of its
 * own, so that no two different observations feed the same bytes.
 */
#include <sodium.h>
#include <string.h>

#include "store/store_internal.h"

#define BLOCK_NUMBERS 128 /* fed to the hash at once */

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

static void feed_reals(crypto_generichash_state *h, const double *values, size_t n)
{
	uint8_t bytes[8 * BLOCK_NUMBERS];

	feed_number(h, n);
	for (size_t i = 0; i < n;) {
		size_t len = 0;
		for (; len < sizeof(bytes) && i < n; len += 8, i++) {
			uint64_t bits;
			memcpy(&bits, &values[i], sizeof(bits));
			store_put_be64(bytes + len, bits);
		}
		(void)crypto_generichash_update(h, bytes, len);
	}
}

/* Nothing for what has one channel and no times: such hashes are older. */
static void feed_frames(crypto_generichash_state *h, const struct observation *obs)
{
	size_t times = obs->times_ns == NULL ? 0 : observation_frames(obs);

	if (obs->channels <= 1 && times == 0)
		return;
	feed_text(h, "frames");
	feed_number(h, obs->channels > 1 ? obs->channels : 1);
	feed_number(h, times);
	for (size_t i = 0; i < times; i++)
		feed_number(h, (uint64_t)obs->times_ns[i]);
}

static void feed_blobs(crypto_generichash_state *h, const struct observation *obs)
{
	if (obs->blobs_len == 0)
		return;
	feed_text(h, "blobs");
	feed(h, obs->blobs[0], obs->blobs_len * OBS_BLOB_ID_BYTES);
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
	feed_reals(&h, obs->values, obs->values_len);
	feed_number(&h, obs->has_pulse);
	feed_real(&h, obs->pulse_s);
	feed_number(&h, obs->gap);
	feed_text(&h, obs->extra_json);
	feed_frames(&h, obs);
	feed_blobs(&h, obs);
	(void)crypto_generichash_final(&h, out, OBS_ID_BYTES);
}

void store_hash_clock(const struct store *store, const char *clock, const char *boot,
    uint8_t clock_hash[OBS_ID_BYTES], uint8_t line_hash[OBS_ID_BYTES])
{
	crypto_generichash_state h;

	begin(store, &h, "clock");
	feed_text(&h, clock);
	(void)crypto_generichash_final(&h, clock_hash, OBS_ID_BYTES);
	begin(store, &h, "clock and boot");
	feed_text(&h, clock);
	feed_text(&h, boot);
	(void)crypto_generichash_final(&h, line_hash, OBS_ID_BYTES);
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
