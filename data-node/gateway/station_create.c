/* Making a data node's directory: what `init` does. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "gateway/auth.h"
#include "gateway/catalogue.h"
#include "gateway/secret.h"
#include "gateway/station.h"
#include "gateway/station_key.h"
#include "gateway/tls.h"
#include "os/file.h"
#include "store/keyring.h"
#include "store/store.h"
#include "wire/key.h"

#define PATH_BYTES_MAX 4096

/* What may lie in the directory before: a disk's own, a key put there first,
 * what an init that was cut off left behind. */
static bool harmless(const char *name)
{
	const char *const names[] = { ".", "..", "lost+found", "key", "keyring", "lock", "wire.key",
		"tls.key", "tls.crt", "data.conf" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

/* Nothing of anybody is ever overwritten. */
static enum rc take_dir(const char *dir, struct errmsg *why)
{
	if (strlen(dir) > PATH_BYTES_MAX - 64)
		return errmsg_rc(why, RC_CONFIG, "the directory's name is too long");
	enum rc rc = file_mkdir(dir, 0700, why);
	if (rc != RC_OK)
		return rc;
	DIR *d = opendir(dir);
	if (d == NULL)
		return errmsg_errno(why, "cannot open %s", dir);
	const struct dirent *e = NULL;
	bool empty = true, ours = false;
	while ((e = readdir(d)) != NULL) {
		if (harmless(e->d_name))
			continue;
		empty = false;
		ours = ours || strcmp(e->d_name, "catalogue.sqlite") == 0;
	}
	(void)closedir(d);
	if (ours)
		return errmsg_rc(
		    why, RC_EXISTS, "%s holds a data node already; nothing was changed", dir);
	if (!empty)
		return errmsg_rc(why, RC_EXISTS,
		    "%s is not empty and holds no data node; nothing was changed", dir);
	if (chmod(dir, 0700) != 0)
		return errmsg_errno(why, "cannot set the mode of %s", dir);
	return RC_OK;
}

static enum rc make_keys(const char *dir, char public_key[WIRE_KEY_TEXT_BYTES], struct errmsg *why)
{
	struct wire_keypair keys;
	char path[PATH_BYTES_MAX];

	enum rc rc = wire_keypair_new(&keys, why);
	if (rc != RC_OK)
		return rc;
	(void)snprintf(path, sizeof(path), "%s/wire.key", dir);
	if (file_exists(path))
		rc = wire_keypair_load(path, &keys, why);
	else
		rc = wire_keypair_save(&keys, path, why);
	wire_key_format(keys.public_key, public_key);
	wire_keypair_wipe(&keys);
	return rc;
}

static enum rc make_catalogue(const char *dir, const struct keyring *keyring,
    const struct station_config *config, const char *token, struct errmsg *why)
{
	struct catalogue *catalogue = NULL;
	uint8_t hash[AUTH_HASH_BYTES];

	enum rc rc = auth_token_hash_with(keyring, token, hash);
	if (rc == RC_OK)
		rc = catalogue_create(dir, why);
	if (rc == RC_OK)
		rc = catalogue_open(dir, &catalogue, why);
	if (rc == RC_OK)
		rc = catalogue_owner_set(catalogue, hash, clock_utc_ns(), why);
	if (rc == RC_OK)
		rc =
		    station_key_remember(catalogue, config->key_file, config->passphrase_file, why);
	catalogue_close(catalogue);
	return rc;
}

static enum rc keep_recovery(void *ctx, const char *recovery_key)
{
	struct station_created *out = ctx;

	(void)snprintf(out->recovery_key, sizeof(out->recovery_key), "%s", recovery_key);
	return RC_OK;
}

enum rc station_create(
    const struct station_config *config, struct station_created *out, struct errmsg *why)
{
	struct keyring_unlock unlock = { .key_file = config->key_file,
		.passphrase_file = config->passphrase_file };
	struct secret key = SECRET_INIT, passphrase = SECRET_INIT;
	struct keyring *keyring = NULL;

	_Static_assert(sizeof(out->owner_token) >= AUTH_TOKEN_TEXT_BYTES, "token fits");
	_Static_assert(sizeof(out->public_key) == WIRE_KEY_TEXT_BYTES, "key fits");
	_Static_assert(sizeof(out->recovery_key) >= STATION_RECOVERY_TEXT_BYTES, "it fits");
	enum rc rc = take_dir(config->dir, why);
	if (rc == RC_OK)
		rc = secret_hold(&key, &unlock.key_file, why);
	if (rc == RC_OK)
		rc = secret_hold(&passphrase, &unlock.passphrase_file, why);
	if (rc == RC_OK)
		rc = make_keys(config->dir, out->public_key, why);
	if (rc == RC_OK)
		rc = tls_make(config->dir, why);
	if (rc == RC_OK)
		rc = store_init(config->dir, &unlock, why);
	if (rc == RC_OK)
		rc = keyring_open(config->dir, &unlock, &keyring, why);
	if (rc == RC_OK)
		rc = station_key_recovery(keyring, keep_recovery, out, why);
	/* The catalogue is last: a directory that has one is complete. */
	if (rc == RC_OK) {
		auth_token_new(out->owner_token);
		rc = make_catalogue(config->dir, keyring, config, out->owner_token, why);
	}
	if (rc == RC_OK)
		rc = file_sync_dir(config->dir, why);
	if (keyring != NULL)
		keyring_close(keyring);
	secret_drop(&key);
	secret_drop(&passphrase);
	return rc;
}
