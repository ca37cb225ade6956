/* Station keys: opening the keyring, and the steps of each change. */
#include "gateway/station_key.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/wipe.h"
#include "gateway/catalogue.h"
#include "gateway/secret.h"
#include "gateway/station.h"
#include "os/file_shred.h"
#include "store/keyring.h"
#include "store/store_lock.h"

#define PATH_BYTES_MAX 4096
#define KEY_FILE_BYTES_MAX ((size_t)1024)
#define SETTINGS_ARENA_BYTES ((size_t)1 << 16)
#define EVERY_DAY (1u << KEYRING_WAY_FILE | 1u << KEYRING_WAY_PASSPHRASE)

_Static_assert(STATION_RECOVERY_TEXT_BYTES >= KEYRING_RECOVERY_TEXT_BYTES, "it fits");

/* ---- opening ---------------------------------------------------------------------- */

static enum rc setting(struct catalogue *catalogue, const char *name, struct arena *arena,
    const char **out, struct errmsg *why)
{
	const char *text = NULL;

	enum rc rc = catalogue_setting_get(catalogue, name, arena, &text, why);
	if (rc == RC_OK && text[0] != '\0')
		*out = text;
	return rc == RC_NOTFOUND ? RC_OK : rc;
}

/* As configured, else as it was remembered. */
static enum rc find_unlock(struct catalogue *catalogue, const struct station_unlock *unlock,
    struct arena *arena, struct keyring_unlock *out, struct errmsg *why)
{
	*out = (struct keyring_unlock){ .key_file = unlock->key_file,
		.passphrase_file = unlock->passphrase_file,
		.recovery_file = unlock->recovery_file };
	if (out->key_file != NULL || out->passphrase_file != NULL || out->recovery_file != NULL)
		return RC_OK;
	enum rc rc = setting(catalogue, STATION_SETTING_KEY_FILE, arena, &out->key_file, why);
	if (rc == RC_OK)
		rc = setting(
		    catalogue, STATION_SETTING_PASSPHRASE_FILE, arena, &out->passphrase_file, why);
	return rc;
}

enum rc station_keyring_open(const char *dir, struct catalogue *catalogue,
    const struct station_unlock *unlock, struct keyring **out, struct errmsg *why)
{
	struct secret key = SECRET_INIT, passphrase = SECRET_INIT, recovery = SECRET_INIT;
	struct keyring_unlock by;
	struct arena arena;

	arena_init(&arena, SETTINGS_ARENA_BYTES);
	enum rc rc = find_unlock(catalogue, unlock, &arena, &by, why);
	if (rc == RC_OK)
		rc = secret_hold(&key, &by.key_file, why);
	if (rc == RC_OK)
		rc = secret_hold(&passphrase, &by.passphrase_file, why);
	if (rc == RC_OK)
		rc = secret_hold(&recovery, &by.recovery_file, why);
	if (rc == RC_OK)
		rc = keyring_open(dir, &by, out, why);
	secret_drop(&key);
	secret_drop(&passphrase);
	secret_drop(&recovery);
	arena_fini(&arena);
	/* The operator must set it right: nothing else helps. */
	if (rc == RC_DENIED || rc == RC_NOTFOUND || rc == RC_CORRUPT || rc == RC_UNSUPPORTED)
		return errmsg_rc(why, RC_CONFIG, "%s", rc_text(rc));
	return rc;
}

/* ---- remembering --------------------------------------------------------------------- */

static enum rc remember(
    struct catalogue *catalogue, const char *name, const char *path, struct errmsg *why)
{
	char full[PATH_MAX] = "";
	struct stat st;

	/* A pipe is gone by then. */
	if (path != NULL && stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	    realpath(path, full) == NULL)
		return errmsg_errno(why, "cannot resolve %s", path);
	return catalogue_setting_set(catalogue, name, full, why);
}

enum rc station_key_remember(struct catalogue *catalogue, const char *key_file,
    const char *passphrase_file, struct errmsg *why)
{
	enum rc rc = remember(catalogue, STATION_SETTING_KEY_FILE, key_file, why);

	if (rc == RC_OK)
		rc = remember(catalogue, STATION_SETTING_PASSPHRASE_FILE, passphrase_file, why);
	return rc;
}

/* ---- the changes ---------------------------------------------------------------------- */

enum rc station_key_recovery(
    struct keyring *keyring, station_key_show_fn *show, void *ctx, struct errmsg *why)
{
	char text[KEYRING_RECOVERY_TEXT_BYTES] = "";

	enum rc rc = keyring_add_recovery(keyring, text, why);
	if (rc == RC_OK)
		rc = show(ctx, text);
	wipe(text, sizeof(text));
	/* Not before it was shown: the one on paper is good until then. */
	return rc == RC_OK ? keyring_keep_newest(keyring, 1u << KEYRING_WAY_RECOVERY, why) : rc;
}

struct changing {
	const struct station_key_call *call;
	struct catalogue *catalogue;
	struct keyring *keyring;
	char own[PATH_BYTES_MAX]; /* DIR/key */
};

static enum rc to_passphrase(struct changing *c, struct errmsg *why)
{
	struct secret secret = SECRET_INIT;
	const char *path = c->call->new_file;

	if (path == NULL)
		return errmsg_rc(why, RC_CONFIG, "name the file of the new passphrase");
	enum rc rc = secret_hold(&secret, &path, why);
	if (rc == RC_OK)
		rc = keyring_add_passphrase(c->keyring, path, why);
	secret_drop(&secret);
	if (rc == RC_OK)
		rc = station_key_remember(c->catalogue, NULL, c->call->new_file, why);
	if (rc == RC_OK)
		rc = keyring_keep_newest(c->keyring, EVERY_DAY, why);
	return rc == RC_OK ? file_shred(c->own, why) : rc;
}

/* A fresh DIR/key: made beside the old one, which opens until it is replaced. */
static enum rc to_own_file(struct changing *c, struct errmsg *why)
{
	char fresh[PATH_BYTES_MAX + 8];
	uint8_t *bytes = NULL;
	size_t len = 0;

	(void)snprintf(fresh, sizeof(fresh), "%s.new", c->own);
	enum rc rc = keyring_add_file(c->keyring, fresh, why);
	if (rc == RC_OK)
		rc = file_read(fresh, KEY_FILE_BYTES_MAX, &bytes, &len, why);
	if (rc == RC_OK)
		rc = file_replace_shred(c->own, 0600, bytes, len, why);
	if (rc == RC_OK)
		rc = station_key_remember(c->catalogue, NULL, NULL, why);
	if (rc == RC_OK)
		rc = keyring_keep_newest(c->keyring, EVERY_DAY, why);
	if (rc == RC_OK)
		rc = file_shred(fresh, why);
	if (bytes != NULL)
		wipe(bytes, len);
	free(bytes);
	return rc;
}

static bool same_file(const char *a, const char *b)
{
	struct stat sa, sb;

	return strcmp(a, b) == 0 || (stat(a, &sa) == 0 && stat(b, &sb) == 0 &&
					sa.st_ino == sb.st_ino && sa.st_dev == sb.st_dev);
}

static enum rc to_file(struct changing *c, struct errmsg *why)
{
	const char *path = c->call->new_file;

	if (path == NULL || same_file(path, c->own))
		return to_own_file(c, why);
	enum rc rc = keyring_add_file(c->keyring, path, why);
	if (rc == RC_OK)
		rc = station_key_remember(c->catalogue, path, NULL, why);
	if (rc == RC_OK)
		rc = keyring_keep_newest(c->keyring, EVERY_DAY, why);
	return rc == RC_OK ? file_shred(c->own, why) : rc;
}

static enum rc change(struct changing *c, struct errmsg *why)
{
	static const char *const actions[] = { NULL, "key-passphrase", "key-file", "key-recovery",
		"key-rekey" };
	struct catalogue_audit line = {
		.at_ns = clock_utc_ns(), .device = -1, .action = actions[c->call->change], .n = 1
	};
	enum rc rc = RC_OK;

	line.object = "";
	switch (c->call->change) {
	case STATION_KEY_SHOW:
		return RC_OK;
	case STATION_KEY_PASSPHRASE:
		rc = to_passphrase(c, why);
		break;
	case STATION_KEY_FILE:
		rc = to_file(c, why);
		break;
	case STATION_KEY_RECOVERY:
		rc = station_key_recovery(c->keyring, c->call->show, c->call->show_ctx, why);
		break;
	case STATION_KEY_REKEY:
		rc = keyring_rekey(c->keyring, why);
		break;
	}
	return rc == RC_OK ? catalogue_audit_add(c->catalogue, &line, why) : rc;
}

static enum rc own_path(struct changing *c, struct errmsg *why)
{
	return (size_t)snprintf(c->own, sizeof(c->own), "%s/key", c->call->dir) >= sizeof(c->own)
		   ? errmsg_rc(why, RC_CONFIG, "the directory's name is too long")
		   : RC_OK;
}

enum rc station_key_fresh(
    const char *dir, struct catalogue *catalogue, struct keyring *keyring, struct errmsg *why)
{
	const struct station_key_call call = { .dir = dir, .change = STATION_KEY_FILE };
	struct changing c = { .call = &call, .catalogue = catalogue, .keyring = keyring };

	enum rc rc = own_path(&c, why);
	return rc == RC_OK ? change(&c, why) : rc;
}

enum rc station_key(
    const struct station_key_call *call, struct station_keys *out, struct errmsg *why)
{
	struct changing c = { .call = call };
	int lock_fd = -1;

	enum rc rc = own_path(&c, why);
	if (rc == RC_OK)
		rc = catalogue_open(call->dir, &c.catalogue, why);
	if (rc == RC_OK)
		rc = store_lock(call->dir, false, &lock_fd, why);
	if (rc == RC_OK)
		rc = station_keyring_open(call->dir, c.catalogue, &call->unlock, &c.keyring, why);
	if (rc == RC_OK)
		rc = change(&c, why);
	if (rc == RC_OK)
		*out = (struct station_keys){
			.key_files = keyring_ways(c.keyring, KEYRING_WAY_FILE),
			.passphrases = keyring_ways(c.keyring, KEYRING_WAY_PASSPHRASE),
			.recovery_keys = keyring_ways(c.keyring, KEYRING_WAY_RECOVERY),
			.data_keys = keyring_count(c.keyring),
		};
	keyring_close(c.keyring);
	if (lock_fd >= 0)
		(void)close(lock_fd);
	catalogue_close(c.catalogue);
	return rc;
}
