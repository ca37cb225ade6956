/*
 * Making a directory that follows: what `follow` does.
 *
 * Like `init` the catalogue comes last, so a directory that has one is complete;
 * what was cut off before is begun anew.
 */
#include <stdio.h>
#include <string.h>

#include "backup/backup_dir.h"
#include "backup/backup_seal.h"
#include "backup/segment.h"
#include "base/clock.h"
#include "gateway/catalogue.h"
#include "gateway/policy_place.h"
#include "gateway/secret.h"
#include "gateway/station_follow.h"
#include "gateway/station_key.h"
#include "gateway/station_state.h"
#include "os/file.h"
#include "store/keyring.h"
#include "store/store_raw.h"

#define PATH_BYTES_MAX 4096

struct beginning {
	const struct station_config *config;
	const char *address, *key_text;
	uint8_t key[WIRE_KEY_BYTES];
	struct keyring_unlock unlock;
	struct wire_keypair keys;
	struct follow_link *link;
	struct follow_answer answer;
	struct buf file;
	struct keyring *keyring;
	int64_t wait_ns;
};

static void path_of(const struct beginning *b, const char *name, char out[PATH_BYTES_MAX])
{
	(void)snprintf(out, PATH_BYTES_MAX, "%s/%s", b->config->dir, name);
}

static enum rc own_keys(struct beginning *b, struct errmsg *why)
{
	char path[PATH_BYTES_MAX];

	path_of(b, "wire.key", path);
	if (file_exists(path))
		return wire_keypair_load(path, &b->keys, why);
	enum rc rc = wire_keypair_new(&b->keys, why);
	return rc == RC_OK ? wire_keypair_save(&b->keys, path, why) : rc;
}

static enum rc fetch(struct beginning *b, const char *name, struct errmsg *why)
{
	enum rc rc = follow_link_file(b->link, name, NULL, b->wait_ns, &b->file, &b->answer, why);

	if (rc == RC_TIMEOUT)
		return errmsg_rc(why, rc,
		    "%s does not answer: does it serve with --follow-listen, and has it let this "
		    "node in?",
		    b->address);
	return rc;
}

static enum rc fetch_keyring(struct beginning *b, struct errmsg *why)
{
	char path[PATH_BYTES_MAX];

	enum rc rc = fetch(b, FOLLOW_FILE_KEYRING, why);
	path_of(b, "keyring", path);
	if (rc == RC_OK)
		rc = file_write_atomic(path, 0600, b->file.bytes, b->file.len, why);
	if (rc == RC_OK)
		rc = keyring_open(b->config->dir, &b->unlock, &b->keyring, why);
	return rc;
}

/* Whose timeline it is; the records come later, to the node that serves. */
static enum rc fetch_identity(struct beginning *b, struct errmsg *why)
{
	struct store_load *load = NULL;
	struct store_raw entry;
	uint64_t unused;
	size_t used = 0;

	enum rc rc = fetch(b, FOLLOW_FILE_TRUTH, why);
	if (rc == RC_OK)
		rc = store_load_open(b->config->dir, b->keyring, &load, why);
	if (rc != RC_OK)
		return rc;
	for (size_t at = 0; at < b->file.len && rc == RC_OK; at += used) {
		rc = segment_parse(
		    b->file.bytes + at, b->file.len - at, &used, &entry, &unused, why);
		if (rc == RC_OK)
			rc = store_load_put(load, &entry, why);
		else
			rc = errmsg_rc(why, RC_INVALID, "what came is malformed");
	}
	if (rc == RC_OK)
		return store_load_finish(load, NULL, NULL, why);
	store_load_close(load);
	return rc;
}

static enum rc set_settings(struct beginning *b, bool fresh, struct errmsg *why)
{
	struct catalogue *catalogue = NULL;

	enum rc rc = catalogue_open(b->config->dir, &catalogue, why);
	if (rc == RC_OK && fresh)
		rc = station_key_remember(
		    catalogue, b->config->key_file, b->config->passphrase_file, why);
	if (rc == RC_OK)
		rc = catalogue_setting_set(catalogue, STATION_SETTING_FOLLOW_KEY, b->key_text, why);
	if (rc == RC_OK)
		rc = catalogue_setting_set(
		    catalogue, STATION_SETTING_FOLLOW_ADDRESS, b->address, why);
	catalogue_close(catalogue);
	return rc;
}

static enum rc fetch_state(struct beginning *b, struct errmsg *why)
{
	struct station_state_view view;
	struct buf plain;

	buf_init(&plain, FOLLOW_FILE_BYTES_MAX);
	enum rc rc = fetch(b, FOLLOW_FILE_STATE, why);
	if (rc == RC_OK)
		rc = backup_unseal(b->keyring, b->file.bytes, b->file.len, &plain, why);
	if (rc == RC_OK)
		rc = station_state_parse(plain.bytes, plain.len, &view, why);
	if (rc == RC_OK && view.tells_policy)
		rc = policy_place_put(b->config->dir, view.policy, view.policy_len, why);
	if (rc == RC_OK)
		rc = catalogue_restore(
		    b->config->dir, view.catalogue, view.catalogue_len, NULL, 0, why);
	buf_fini(&plain);
	return rc == RC_OK ? set_settings(b, true, why) : rc;
}

/* A directory that was a node of this timeline before. */
static enum rc follow_again(struct beginning *b, struct errmsg *why)
{
	struct station_config config = *b->config;
	struct station *station = NULL;

	config.parts = 0;
	enum rc rc = station_open(&config, &station, why);
	if (rc == RC_OK)
		rc = fetch(b, FOLLOW_FILE_TRUTH, why);
	if (rc == RC_OK && memcmp(b->answer.part.store_id, store_id(station_store(station)),
			       WIRE_STORE_ID_BYTES) != 0)
		rc = errmsg_rc(why, RC_EXISTS,
		    "%s holds another timeline than %s: a follower begins in an empty directory",
		    b->config->dir, b->address);
	station_close(station);
	return rc == RC_OK ? set_settings(b, false, why) : rc;
}

static enum rc begin(
    struct beginning *b, bool fresh, station_follow_told_fn *told, void *ctx, struct errmsg *why)
{
	struct follow_link_config link = { b->address, b->key, &b->keys };
	char text[WIRE_KEY_TEXT_BYTES];

	enum rc rc = own_keys(b, why);
	if (rc != RC_OK)
		return rc;
	wire_key_format(b->keys.public_key, text);
	told(ctx, text);
	rc = follow_link_open(&link, &b->link, why);
	if (rc != RC_OK)
		return rc;
	if (!fresh)
		return follow_again(b, why);
	rc = fetch_keyring(b, why);
	if (rc == RC_OK)
		rc = fetch_identity(b, why);
	if (rc == RC_OK)
		rc = fetch_state(b, why);
	return rc == RC_OK ? backup_dir_end(b->config->dir, why) : rc;
}

enum rc station_follow_begin(const struct station_config *config, const char *address,
    const char *key, int64_t wait_ns, station_follow_told_fn *told, void *ctx, struct errmsg *why)
{
	struct beginning b = { .config = config,
		.address = address,
		.key_text = key,
		.unlock = { .key_file = config->key_file,
		    .passphrase_file = config->passphrase_file },
		.wait_ns = wait_ns };
	struct secret key_file = SECRET_INIT, passphrase = SECRET_INIT;
	char path[PATH_BYTES_MAX];

	follow_answer_init(&b.answer);
	buf_init(&b.file, FOLLOW_FILE_BYTES_MAX);
	path_of(&b, "catalogue.sqlite", path);
	bool fresh = !file_exists(path) || backup_dir_begun(config->dir);
	enum rc rc = wire_key_parse(key, b.key, why);
	if (rc == RC_OK && fresh)
		rc = backup_dir_begin(config->dir, why);
	if (rc == RC_OK)
		rc = secret_hold(&key_file, &b.unlock.key_file, why);
	if (rc == RC_OK)
		rc = secret_hold(&passphrase, &b.unlock.passphrase_file, why);
	if (rc == RC_OK)
		rc = begin(&b, fresh, told, ctx, why);
	follow_link_close(b.link);
	keyring_close(b.keyring);
	wire_keypair_wipe(&b.keys);
	follow_answer_fini(&b.answer);
	buf_fini(&b.file);
	secret_drop(&key_file);
	secret_drop(&passphrase);
	return rc;
}
