/* Station copy: backing up one station, making another one of it. */
#include "gateway/station_copy.h"

#include <stdio.h>

#include "base/clock.h"
#include "cloud/cloud_policy.h"
#include "gateway/catalogue.h"
#include "gateway/policy_place.h"
#include "gateway/secret.h"
#include "gateway/station_key.h"
#include "gateway/station_state.h"
#include "os/file.h"
#include "store/keyring.h"

#define PATH_BYTES_MAX 4096
#define LIST_ARENA_BYTES ((size_t)4 << 20)

/* ---- backup --------------------------------------------------------------------------- */

enum rc station_backup(struct station *station, const char *dest, store_progress_fn *progress,
    void *ctx, struct backup_result *out, struct errmsg *why)
{
	struct backup_config config = { .dir = station_config(station)->dir,
		.dest = dest,
		.store = station_store(station),
		.keyring = station_keyring(station),
		.progress = progress,
		.ctx = ctx };
	struct catalogue_backup note = { .path = dest, .tried_ns = clock_utc_ns() };
	struct errmsg detail = ERRMSG_INIT, ignored = ERRMSG_INIT;
	struct buf state;

	*out = (struct backup_result){ 0 };
	buf_init(&state, STATION_STATE_BYTES_MAX);
	enum rc rc = station_state(station, false, &state, &detail);
	config.state = state.bytes;
	config.state_len = state.len;
	if (rc == RC_OK)
		rc = backup_run(&config, out, &detail);
	buf_fini(&state);
	note.made_ns = rc == RC_OK ? out->made_ns : 0;
	note.cursor = out->cursor;
	note.bytes = out->bytes;
	note.error = rc == RC_OK ? "" : errmsg_text(&detail, rc);
	/* What must not be touched is no destination to remember. */
	if (rc != RC_INVALID && rc != RC_EXISTS) {
		enum rc noted = catalogue_backup_put(station_catalogue(station), &note, &ignored);
		(void)noted; /* the backup stands all the same */
	}
	if (rc != RC_OK)
		errmsg_set(why, "%s", note.error);
	return rc;
}

enum rc station_backup_refresh(
    struct station *station, station_backup_told_fn *told, void *ctx, struct errmsg *why)
{
	struct catalogue_backup *rows = NULL;
	struct arena arena;
	size_t len = 0;

	arena_init(&arena, LIST_ARENA_BYTES);
	enum rc rc = catalogue_backup_list(station_catalogue(station), &arena, &rows, &len, why);
	for (size_t i = 0; i < len && rc == RC_OK; i++) {
		struct errmsg detail = ERRMSG_INIT;
		struct backup_result out;
		char manifest[PATH_BYTES_MAX];
		enum rc done = RC_NOTFOUND;
		/* A run would make an empty mount point a new base. */
		(void)snprintf(manifest, sizeof(manifest), "%s/manifest", rows[i].path);
		if (file_exists(manifest))
			done = station_backup(station, rows[i].path, NULL, NULL, &out, &detail);
		else
			errmsg_set(&detail, "%s is not within reach", rows[i].path);
		told(ctx, rows[i].path, done, &detail);
	}
	arena_fini(&arena);
	return rc;
}

/* ---- restore ----------------------------------------------------------------------------- */

/* What opens it from now on; a recovery key is for paper, so a new key file is made. */
static enum rc adopt_key(
    const struct station_config *config, struct keyring *keyring, struct errmsg *why)
{
	struct catalogue *catalogue = NULL;

	enum rc rc = catalogue_open(config->dir, &catalogue, why);
	if (rc == RC_OK && config->recovery_file != NULL)
		rc = station_key_fresh(config->dir, catalogue, keyring, why);
	else if (rc == RC_OK)
		rc =
		    station_key_remember(catalogue, config->key_file, config->passphrase_file, why);
	catalogue_close(catalogue);
	return rc;
}

static enum rc adopt(
    void *ctx, struct keyring *keyring, const uint8_t *state, size_t len, struct errmsg *why)
{
	static const char *const drop[] = { STATION_SETTING_KEY_FILE,
		STATION_SETTING_PASSPHRASE_FILE };
	const struct station_config *config = ctx;
	struct station_state_view view = { 0 };
	char path[PATH_BYTES_MAX];

	enum rc rc = station_state_parse(state, len, &view, why);
	(void)snprintf(path, sizeof(path), "%s/wire.key", config->dir);
	if (rc == RC_OK && view.tells_policy)
		rc = policy_place_put(config->dir, view.policy, view.policy_len, why);
	if (rc == RC_OK)
		rc = file_write_atomic(path, 0600, view.wire, view.wire_len, why);
	/* The certificate is made anew: devices know the key. */
	(void)snprintf(path, sizeof(path), "%s/tls.key", config->dir);
	if (rc == RC_OK && view.tls_len > 0)
		rc = file_write_atomic(path, 0600, view.tls, view.tls_len, why);
	(void)snprintf(path, sizeof(path), "%s/" CLOUD_POLICY_FILE_NAME, config->dir);
	if (rc == RC_OK && view.cloud_len > 0)
		rc = file_write_atomic(path, 0600, view.cloud, view.cloud_len, why);
	if (rc == RC_OK)
		rc = catalogue_restore(config->dir, view.catalogue, view.catalogue_len, drop,
		    sizeof(drop) / sizeof(drop[0]), why);
	return rc == RC_OK ? adopt_key(config, keyring, why) : rc;
}

enum rc station_restore(const struct station_config *config, const char *src,
    store_progress_fn *progress, void *ctx, struct backup_checked *out, struct errmsg *why)
{
	struct keyring_unlock unlock = { .key_file = config->key_file,
		.passphrase_file = config->passphrase_file,
		.recovery_file = config->recovery_file };
	struct secret key = SECRET_INIT, passphrase = SECRET_INIT, recovery = SECRET_INIT;
	struct station_config copy = *config;
	struct backup_restore restore = { .dest = src,
		.dir = config->dir,
		.unlock = &unlock,
		.adopt = adopt,
		.adopt_ctx = &copy,
		.progress = progress,
		.ctx = ctx };

	enum rc rc = secret_hold(&key, &unlock.key_file, why);
	if (rc == RC_OK)
		rc = secret_hold(&passphrase, &unlock.passphrase_file, why);
	if (rc == RC_OK)
		rc = secret_hold(&recovery, &unlock.recovery_file, why);
	if (rc == RC_OK)
		rc = backup_restore(&restore, out, why);
	secret_drop(&key);
	secret_drop(&passphrase);
	secret_drop(&recovery);
	return rc;
}
