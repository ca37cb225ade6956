/* Bearer tokens: a table of valid hashes, and a bucket of failures an address. */
#include "gateway/auth.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/wipe.h"
#include "gateway/catalogue.h"
#include "store/keyring.h"

#define TOKEN_BYTES 32
#define ADDRESS_BYTES 64
#define LIST_ARENA_BYTES ((size_t)4 << 20)
#define SEEN_EVERY_NS (60 * NS_PER_S)
#define PURPOSE "gateway token hash"

struct entry {
	int64_t device;
	unsigned layers;
	int64_t error_ns;
	uint8_t hash[AUTH_HASH_BYTES];
	int64_t seen_mono_ns; /* of the last write to the catalogue */
	bool seen;
};

struct peer {
	char address[ADDRESS_BYTES];
	double failures; /* level of the bucket */
	int64_t at_ns;   /* monotone */
};

struct auth {
	struct catalogue *catalogue;
	uint8_t key[AUTH_HASH_BYTES];
	pthread_mutex_t mutex; /* guards what follows */
	struct entry entries[CATALOGUE_DEVICES_MAX + 1];
	size_t entries_len;
	struct peer peers[AUTH_PEERS_MAX];
	size_t peers_len;
};

void auth_token_new(char out[AUTH_TOKEN_TEXT_BYTES])
{
	uint8_t bytes[TOKEN_BYTES];

	random_bytes(bytes, sizeof(bytes));
	memcpy(out, "ht_", 3);
	(void)sodium_bin2base64(out + 3, AUTH_TOKEN_TEXT_BYTES - 3, bytes, sizeof(bytes),
	    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	wipe(bytes, sizeof(bytes));
}

static void hash_under(const uint8_t *key, const char *token, size_t len, uint8_t *out)
{
	(void)crypto_generichash(
	    out, AUTH_HASH_BYTES, (const uint8_t *)token, len, key, AUTH_HASH_BYTES);
}

void auth_token_hash(const struct auth *auth, const char *token, uint8_t out[AUTH_HASH_BYTES])
{
	hash_under(auth->key, token, strlen(token), out);
}

enum rc auth_token_hash_with(
    const struct keyring *keyring, const char *token, uint8_t out[AUTH_HASH_BYTES])
{
	uint8_t key[KEYRING_KEY_BYTES];

	enum rc rc = keyring_derive(keyring, PURPOSE, key);
	if (rc == RC_OK)
		hash_under(key, token, strlen(token), out);
	wipe(key, sizeof(key));
	return rc;
}

enum rc auth_open(
    struct catalogue *catalogue, struct keyring *keyring, struct auth **out, struct errmsg *why)
{
	_Static_assert(KEYRING_KEY_BYTES == AUTH_HASH_BYTES, "one size of key");
	struct auth *auth = calloc(1, sizeof(*auth));

	if (auth == NULL)
		return RC_NOMEM;
	auth->catalogue = catalogue;
	(void)pthread_mutex_init(&auth->mutex, NULL);
	enum rc rc = keyring_derive(keyring, PURPOSE, auth->key);
	if (rc == RC_OK)
		rc = auth_reload(auth, why);
	if (rc != RC_OK) {
		auth_close(auth);
		return rc;
	}
	*out = auth;
	return RC_OK;
}

void auth_close(struct auth *auth)
{
	if (auth == NULL)
		return;
	(void)pthread_mutex_destroy(&auth->mutex);
	wipe(auth, sizeof(*auth));
	free(auth);
}

enum rc auth_reload(struct auth *auth, struct errmsg *why)
{
	struct catalogue_device *devices = NULL;
	size_t len = 0, n = 0;
	struct arena arena;

	arena_init(&arena, LIST_ARENA_BYTES);
	enum rc rc = catalogue_device_list(auth->catalogue, &arena, &devices, &len, why);
	if (rc == RC_OK) {
		(void)pthread_mutex_lock(&auth->mutex);
		for (size_t i = 0; i < len && n <= CATALOGUE_DEVICES_MAX; i++) {
			if (devices[i].revoked_ns != 0)
				continue;
			struct entry *e = &auth->entries[n++];
			memset(e, 0, sizeof(*e));
			e->device = devices[i].id;
			e->layers = devices[i].layers;
			e->error_ns = devices[i].error_ns;
			memcpy(e->hash, devices[i].token_hash, AUTH_HASH_BYTES);
		}
		auth->entries_len = n;
		(void)pthread_mutex_unlock(&auth->mutex);
	}
	arena_fini(&arena);
	return rc;
}

/* The token of "Bearer TOKEN", or NULL. */
static const char *bearer(const char *header, size_t *len)
{
	if (header == NULL || strlen(header) > AUTH_HEADER_BYTES_MAX ||
	    strncasecmp(header, "Bearer ", 7) != 0)
		return NULL;
	const char *token = header + 7;
	token += strspn(token, " ");
	*len = strlen(token);
	while (*len > 0 && token[*len - 1] == ' ')
		(*len)--;
	return *len > 0 ? token : NULL;
}

/* The bucket of an address; takes the longest idle one when all are in use. */
static struct peer *peer_of(struct auth *auth, const char *address, int64_t now)
{
	struct peer *oldest = &auth->peers[0];

	for (size_t i = 0; i < auth->peers_len; i++) {
		struct peer *p = &auth->peers[i];
		if (strncmp(p->address, address, ADDRESS_BYTES - 1) == 0)
			return p;
		if (p->at_ns < oldest->at_ns)
			oldest = p;
	}
	if (auth->peers_len < AUTH_PEERS_MAX)
		oldest = &auth->peers[auth->peers_len++];
	memset(oldest, 0, sizeof(*oldest));
	memcpy(oldest->address, address, strnlen(address, ADDRESS_BYTES - 1));
	oldest->at_ns = now;
	return oldest;
}

/* Count a failure; true if the address is over its limit. */
static bool over_limit(struct auth *auth, const char *address)
{
	int64_t now = clock_mono_ns();
	struct peer *p = peer_of(auth, address, now);

	p->failures -= (double)(now - p->at_ns) / (double)NS_PER_S;
	if (p->failures < 0)
		p->failures = 0;
	p->at_ns = now;
	if (p->failures + 1 > AUTH_FAILURES_BURST)
		return true;
	p->failures += 1;
	return false;
}

enum auth_verdict auth_check(
    struct auth *auth, const char *header, const char *address, struct auth_identity *out)
{
	uint8_t hash[AUTH_HASH_BYTES];
	struct entry *found = NULL;
	bool write_seen = false;
	size_t len = 0;

	const char *token = bearer(header, &len);
	if (token != NULL)
		hash_under(auth->key, token, len, hash);
	(void)pthread_mutex_lock(&auth->mutex);
	for (size_t i = 0; token != NULL && i < auth->entries_len; i++) {
		struct entry *e = &auth->entries[i];
		if (wipe_equal(e->hash, hash, sizeof(hash)))
			found = e;
	}
	if (found == NULL) {
		bool limited = over_limit(auth, address);
		(void)pthread_mutex_unlock(&auth->mutex);
		return limited ? AUTH_LIMITED : AUTH_REFUSED;
	}
	out->device = found->device;
	out->layers = found->layers;
	out->error_ns = found->error_ns;
	int64_t now = clock_mono_ns();
	if (!found->seen || now - found->seen_mono_ns > SEEN_EVERY_NS) {
		found->seen = true;
		found->seen_mono_ns = now;
		write_seen = true;
	}
	(void)pthread_mutex_unlock(&auth->mutex);
	if (write_seen) {
		/* A lost "last seen" is no reason to refuse the request. */
		enum rc ignored =
		    catalogue_device_seen(auth->catalogue, out->device, clock_utc_ns(), NULL);
		(void)ignored;
	}
	return AUTH_ACCEPTED;
}
