/* Station copy: backing up one station, making another one of it. */
#include "gateway/station_copy.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/wipe.h"
#include "gateway/catalogue.h"
#include "gateway/secret.h"
#include "os/file.h"
#include "store/keyring.h"

#define PATH_BYTES_MAX 4096
#define WIRE_BYTES_MAX ((size_t)1024)
#define LIST_ARENA_BYTES ((size_t)4 << 20)
#define ERROR_BYTES 256
#define HEAD_BYTES (sizeof(magic) + 4)

static const uint8_t magic[8] = { 'H', 'E', 'A', 'R', 'T', 'H', 'S', 1 };

/* ---- the state: magic, length of the wire key's file, it, the catalogue ------------- */

enum rc station_state(struct station *station, struct buf *out, struct errmsg *why)
{
	char path[PATH_BYTES_MAX];
	uint8_t *wire = NULL;
	size_t len = 0;

	(void)snprintf(path, sizeof(path), "%s/wire.key", station_config(station)->dir);
	enum rc rc = file_read(path, WIRE_BYTES_MAX, &wire, &len, why);
	if (rc != RC_OK)
		return rc;
	buf_append(out, magic, sizeof(magic));
	for (unsigned i = 4; i-- > 0;)
		buf_putc(out, (char)(len >> (8 * i) & 0xFF));
	buf_append(out, wire, len);
	wipe(wire, len);
	free(wire);
	rc = buf_rc(out);
	return rc == RC_OK ? catalogue_copy(station_catalogue(station), false, out, why) : rc;
}

struct state_view {
	const uint8_t *wire, *catalogue; /* in the state's bytes */
	size_t wire_len, catalogue_len;
};

static enum rc state_parse(
    const uint8_t *bytes, size_t len, struct state_view *out, struct errmsg *why)
{
	size_t wire_len = 0;

	if (len < HEAD_BYTES || memcmp(bytes, magic, sizeof(magic)) != 0)
		return errmsg_rc(why, RC_UNSUPPORTED, "the state is of another version");
	for (unsigned i = 0; i < 4; i++)
		wire_len = wire_len << 8 | bytes[sizeof(magic) + i];
	if (wire_len > WIRE_BYTES_MAX || wire_len > len - HEAD_BYTES)
		return errmsg_rc(why, RC_CORRUPT, "the state is malformed");
	*out = (struct state_view){ .wire = bytes + HEAD_BYTES,
		.wire_len = wire_len,
		.catalogue = bytes + HEAD_BYTES + wire_len,
		.catalogue_len = len - HEAD_BYTES - wire_len };
	return RC_OK;
}

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
	buf_init(&state, WIRE_BYTES_MAX + CATALOGUE_COPY_BYTES_MAX + HEAD_BYTES);
	enum rc rc = station_state(station, &state, &detail);
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

struct adopting {
	const struct station_config *config;
};

static enum rc remember(const char *dir, const char *name, const char *path, struct errmsg *why)
{
	struct catalogue *catalogue = NULL;
	char full[PATH_MAX];
	struct stat st;

	/* A pipe is gone by then. */
	if (path == NULL || stat(path, &st) != 0 || !S_ISREG(st.st_mode))
		return RC_OK;
	if (realpath(path, full) == NULL)
		return errmsg_errno(why, "cannot resolve %s", path);
	enum rc rc = catalogue_open(dir, &catalogue, why);
	if (rc == RC_OK)
		rc = catalogue_setting_set(catalogue, name, full, why);
	catalogue_close(catalogue);
	return rc;
}

static enum rc adopt(
    void *ctx, struct keyring *keyring, const uint8_t *state, size_t len, struct errmsg *why)
{
	static const char *const drop[] = { STATION_SETTING_KEY_FILE,
		STATION_SETTING_PASSPHRASE_FILE };
	const struct adopting *a = ctx;
	struct state_view view = { 0 };
	char path[PATH_BYTES_MAX];

	(void)keyring;
	enum rc rc = state_parse(state, len, &view, why);
	(void)snprintf(path, sizeof(path), "%s/wire.key", a->config->dir);
	if (rc == RC_OK)
		rc = file_write_atomic(path, 0600, view.wire, view.wire_len, why);
	if (rc == RC_OK)
		rc = catalogue_restore(a->config->dir, view.catalogue, view.catalogue_len, drop,
		    sizeof(drop) / sizeof(drop[0]), why);
	if (rc == RC_OK)
		rc = remember(a->config->dir, STATION_SETTING_KEY_FILE, a->config->key_file, why);
	if (rc == RC_OK)
		rc = remember(a->config->dir, STATION_SETTING_PASSPHRASE_FILE,
		    a->config->passphrase_file, why);
	return rc;
}

enum rc station_restore(const struct station_config *config, const char *src,
    store_progress_fn *progress, void *ctx, struct backup_checked *out, struct errmsg *why)
{
	struct keyring_unlock unlock = { .key_file = config->key_file,
		.passphrase_file = config->passphrase_file };
	struct secret key = SECRET_INIT, passphrase = SECRET_INIT;
	struct adopting adopting = { .config = config };
	struct backup_restore restore = { .dest = src,
		.dir = config->dir,
		.unlock = &unlock,
		.adopt = adopt,
		.adopt_ctx = &adopting,
		.progress = progress,
		.ctx = ctx };

	enum rc rc = secret_hold(&key, &unlock.key_file, why);
	if (rc == RC_OK)
		rc = secret_hold(&passphrase, &unlock.passphrase_file, why);
	if (rc == RC_OK)
		rc = backup_restore(&restore, out, why);
	secret_drop(&key);
	secret_drop(&passphrase);
	return rc;
}
