/* Cloud place: the file, sealed keys, counts in the catalogue, and who is down. */
#include "gateway/cloud_place.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/random.h"
#include "base/wipe.h"
#include "gateway/catalogue.h"
#include "os/file.h"
#include "store/keyring.h"

#define PATH_BYTES_MAX 4200
#define KEY_SETTING "cloud-key:" /* the upstream's name follows */
#define KEY_PURPOSE "cloud-key"
#define NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_BYTES crypto_aead_xchacha20poly1305_ietf_ABYTES
#define SEALED_BYTES_MAX (NONCE_BYTES + UPSTREAM_KEY_BYTES_MAX + TAG_BYTES)
#define SETTING_ARENA_BYTES ((size_t)64 << 10)

struct fallen {
	char name[CLOUD_NAME_BYTES_MAX + 1];
	int64_t until_mono_ns;
};

struct cloud_place {
	char path[PATH_BYTES_MAX];
	const char *dir;
	struct catalogue *catalogue;
	const struct keyring *keyring;
	pthread_mutex_t mutex; /* edits, reservations, `fallen` */
	struct fallen fallen[CLOUD_UPSTREAMS_MAX];
	size_t fallen_at; /* the one that is replaced next */
};

enum rc cloud_place_open(const char *dir, struct catalogue *catalogue,
    const struct keyring *keyring, struct cloud_place **out)
{
	struct cloud_place *place = calloc(1, sizeof(*place));

	if (place == NULL)
		return RC_NOMEM;
	(void)snprintf(place->path, sizeof(place->path), "%s/" CLOUD_POLICY_FILE_NAME, dir);
	place->dir = dir;
	place->catalogue = catalogue;
	place->keyring = keyring;
	(void)pthread_mutex_init(&place->mutex, NULL);
	*out = place;
	return RC_OK;
}

void cloud_place_close(struct cloud_place *place)
{
	if (place == NULL)
		return;
	(void)pthread_mutex_destroy(&place->mutex);
	free(place);
}

/* ---- the file ---- */

enum rc cloud_place_policy(
    struct cloud_place *place, struct arena *arena, struct cloud_policy *out, struct errmsg *why)
{
	return cloud_policy_load(place->dir, arena, out, why);
}

/* Only what will be read back. */
static enum rc write_policy(struct cloud_place *place, const struct cloud_policy *policy,
    struct arena *arena, struct errmsg *why)
{
	struct cloud_policy again;
	struct buf text;

	buf_init(&text, CLOUD_POLICY_BYTES_MAX);
	cloud_policy_print(policy, &text);
	enum rc rc = buf_rc(&text) == RC_LIMIT
			 ? errmsg_rc(why, RC_CONFIG, "the policy would be too large")
			 : buf_rc(&text);
	if (rc == RC_OK)
		rc = cloud_policy_parse(buf_text(&text), text.len, arena, &again, why);
	if (rc == RC_OK)
		rc = file_write_atomic(place->path, 0600, text.bytes, text.len, why);
	buf_fini(&text);
	return rc;
}

enum rc cloud_place_edit(struct cloud_place *place, cloud_edit_fn *edit, void *ctx,
    struct arena *arena, struct errmsg *why)
{
	struct cloud_policy policy;

	(void)pthread_mutex_lock(&place->mutex);
	enum rc rc = cloud_policy_load(place->dir, arena, &policy, why);
	if (rc == RC_OK)
		rc = edit(ctx, arena, &policy, why);
	if (rc == RC_OK)
		rc = write_policy(place, &policy, arena, why);
	(void)pthread_mutex_unlock(&place->mutex);
	return rc;
}

/* ---- keys ---- */

struct bound {
	uint8_t bytes[CLOUD_NAME_BYTES_MAX + 1 + CLOUD_URL_BYTES_MAX];
	size_t len;
};

/* Names hold no blank. */
static struct bound bind_to(const struct cloud_upstream *upstream)
{
	struct bound out = { .len = 0 };
	char text[sizeof(out.bytes) + 1];

	(void)snprintf(text, sizeof(text), "%s %s", upstream->name, upstream->url);
	out.len = strlen(text);
	memcpy(out.bytes, text, out.len);
	return out;
}

static void setting_name(const struct cloud_upstream *upstream, char out[64])
{
	(void)snprintf(out, 64, KEY_SETTING "%s", upstream->name);
}

enum rc cloud_place_check_key(const char *key, struct errmsg *why)
{
	if (strlen(key) > UPSTREAM_KEY_BYTES_MAX)
		return errmsg_rc(
		    why, RC_INVALID, "a key of over %zu bytes", UPSTREAM_KEY_BYTES_MAX);
	for (const char *c = key; *c != '\0'; c++) {
		if (*c <= ' ' || *c >= 0x7F)
			return errmsg_rc(why, RC_INVALID, "a key is one word on one line");
	}
	return RC_OK;
}

enum rc cloud_place_set_key(struct cloud_place *place, const struct cloud_upstream *upstream,
    const char *key, struct errmsg *why)
{
	uint8_t seal[KEYRING_KEY_BYTES], sealed[SEALED_BYTES_MAX];
	const struct bound bound = bind_to(upstream);
	char name[64], text[2 * SEALED_BYTES_MAX + 1];
	unsigned long long len = 0;

	setting_name(upstream, name);
	if (key[0] == '\0')
		return catalogue_setting_del(place->catalogue, name, why);
	enum rc rc = cloud_place_check_key(key, why);
	if (rc == RC_OK)
		rc = keyring_derive(place->keyring, KEY_PURPOSE, seal);
	if (rc != RC_OK)
		return rc;
	random_bytes(sealed, NONCE_BYTES);
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + NONCE_BYTES, &len,
	    (const uint8_t *)key, strlen(key), bound.bytes, bound.len, NULL, sealed, seal);
	wipe(seal, sizeof(seal));
	hex_encode(sealed, NONCE_BYTES + (size_t)len, text);
	return catalogue_setting_set(place->catalogue, name, text, why);
}

static enum rc unseal(struct cloud_place *place, const struct cloud_upstream *upstream,
    const char *text, char out[CLOUD_KEY_TEXT_BYTES], struct errmsg *why)
{
	uint8_t seal[KEYRING_KEY_BYTES], sealed[SEALED_BYTES_MAX];
	const struct bound bound = bind_to(upstream);
	size_t len = strlen(text) / 2;
	unsigned long long plain = 0;

	if (len < NONCE_BYTES + TAG_BYTES || len > sizeof(sealed) ||
	    hex_decode(text, sealed, len) != RC_OK)
		return errmsg_rc(why, RC_CORRUPT, "the key of an upstream is damaged");
	enum rc rc = keyring_derive(place->keyring, KEY_PURPOSE, seal);
	if (rc == RC_OK &&
	    crypto_aead_xchacha20poly1305_ietf_decrypt((uint8_t *)out, &plain, NULL,
		sealed + NONCE_BYTES, len - NONCE_BYTES, bound.bytes, bound.len, sealed, seal) != 0)
		rc = errmsg_rc(why, RC_DENIED,
		    "the key of %s was given for another address: give it again", upstream->name);
	wipe(seal, sizeof(seal));
	out[rc == RC_OK ? plain : 0] = '\0';
	return rc;
}

enum rc cloud_place_key(struct cloud_place *place, const struct cloud_upstream *upstream,
    char out[CLOUD_KEY_TEXT_BYTES], struct errmsg *why)
{
	const char *text = NULL;
	struct arena arena;
	char name[64];

	out[0] = '\0';
	arena_init(&arena, SETTING_ARENA_BYTES);
	setting_name(upstream, name);
	enum rc rc = catalogue_setting_get(place->catalogue, name, &arena, &text, why);
	rc = rc == RC_NOTFOUND ? RC_OK : rc == RC_OK ? unseal(place, upstream, text, out, why) : rc;
	arena_fini(&arena);
	return rc;
}

/* ---- who is down ---- */

void cloud_place_fell(struct cloud_place *place, const char *name, bool down)
{
	size_t i = 0;

	(void)pthread_mutex_lock(&place->mutex);
	while (i < CLOUD_UPSTREAMS_MAX && strcmp(place->fallen[i].name, name) != 0)
		i++;
	if (i == CLOUD_UPSTREAMS_MAX && down) {
		i = place->fallen_at;
		place->fallen_at = (place->fallen_at + 1) % CLOUD_UPSTREAMS_MAX;
		(void)snprintf(place->fallen[i].name, sizeof(place->fallen[i].name), "%s", name);
	}
	if (i < CLOUD_UPSTREAMS_MAX)
		place->fallen[i].until_mono_ns = down ? clock_mono_ns() + CLOUD_DOWN_NS : 0;
	(void)pthread_mutex_unlock(&place->mutex);
}

static bool is_down(struct cloud_place *place, const char *name)
{
	int64_t now = clock_mono_ns();
	bool down = false;

	(void)pthread_mutex_lock(&place->mutex);
	for (size_t i = 0; i < CLOUD_UPSTREAMS_MAX; i++)
		down = down || (strcmp(place->fallen[i].name, name) == 0 &&
				   now < place->fallen[i].until_mono_ns);
	(void)pthread_mutex_unlock(&place->mutex);
	return down;
}

/* ---- what was spent ---- */

static enum rc sums(struct cloud_place *place, const char *name, int32_t day, struct spend *of_day,
    struct spend *of_month, struct errmsg *why)
{
	int32_t first, last;

	spend_month(day, &first, &last);
	enum rc rc = catalogue_spend_sum(place->catalogue, name, day, day, of_day, why);
	if (rc == RC_OK)
		rc = catalogue_spend_sum(place->catalogue, name, first, last, of_month, why);
	return rc;
}

enum rc cloud_place_states(struct cloud_place *place, const struct cloud_policy *policy,
    int32_t day, struct route_state *out, struct errmsg *why)
{
	char key[CLOUD_KEY_TEXT_BYTES];
	enum rc rc = RC_OK;

	for (size_t i = 0; i < policy->upstreams_len && rc == RC_OK; i++) {
		const struct cloud_upstream *upstream = &policy->upstreams[i];
		out[i] = (struct route_state){
			.down = is_down(place, upstream->name),
			.keyless = cloud_place_key(place, upstream, key, NULL) != RC_OK,
		};
		wipe(key, sizeof(key));
		rc = sums(place, upstream->name, day, &out[i].day, &out[i].month, why);
	}
	return rc;
}

enum rc cloud_place_reserve(struct cloud_place *place, const struct cloud_upstream *upstream,
    int32_t day, const struct spend *estimate, enum spend_limit *limit, struct errmsg *why)
{
	struct spend of_day, of_month;

	(void)pthread_mutex_lock(&place->mutex);
	enum rc rc = sums(place, upstream->name, day, &of_day, &of_month, why);
	if (rc == RC_OK)
		*limit =
		    spend_check(&upstream->budget, &of_day, &of_month, estimate->in, estimate->out);
	if (rc == RC_OK && *limit == SPEND_FITS)
		rc = catalogue_spend_add(place->catalogue, upstream->name, day, estimate, why);
	(void)pthread_mutex_unlock(&place->mutex);
	return rc;
}

enum rc cloud_place_settle(struct cloud_place *place, const struct cloud_upstream *upstream,
    int32_t day, const struct spend *estimate, const struct spend *used, struct errmsg *why)
{
	const struct spend more = { .in = used->in - estimate->in,
		.out = used->out - estimate->out,
		.micros = used->micros - estimate->micros };

	return catalogue_spend_add(place->catalogue, upstream->name, day, &more, why);
}

enum rc cloud_place_note(struct cloud_place *place, int64_t device, const char *action,
    const char *object, int64_t n, struct errmsg *why)
{
	const struct catalogue_audit line = { .at_ns = clock_utc_ns(),
		.device = device,
		.action = action,
		.object = object,
		.n = n };

	return catalogue_audit_add(place->catalogue, &line, why);
}
