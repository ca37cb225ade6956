/*
 * Station keys: what opens the timeline, and changing it.
 *
 * A key file or a passphrase opens it every day, the recovery key when those are
 * lost.  Every change leaves the old way in open until the new one is on disk
 * and remembered, then wraps everything under a fresh key, so that no copy of
 * the keyring made before opens what is stored from then on.
 */
#ifndef GATEWAY_STATION_KEY_H
#define GATEWAY_STATION_KEY_H

#include <stddef.h>

#include "base/errmsg.h"

struct catalogue;
struct keyring;

#define STATION_RECOVERY_TEXT_BYTES 48

/* What opens it now; all NULL: as `init` or the last change has remembered. */
struct station_unlock {
	const char *key_file, *passphrase_file, *recovery_file;
};

/* RC_CONFIG: what should open it does not, or the keyring is damaged or of a
 * newer program; `why` says which. */
enum rc station_keyring_open(const char *dir, struct catalogue *catalogue,
    const struct station_unlock *unlock, struct keyring **out, struct errmsg *why) RC_CHECK;

/* Later commands find what opens it by themselves; pipes are not remembered.
 * NULL: DIR/key, no passphrase. */
enum rc station_key_remember(struct catalogue *catalogue, const char *key_file,
    const char *passphrase_file, struct errmsg *why) RC_CHECK;

/* A new recovery key, the only one from then on, once `show` has shown it. */
typedef enum rc station_key_show_fn(void *ctx, const char *recovery_key);
enum rc station_key_recovery(
    struct keyring *keyring, station_key_show_fn *show, void *ctx, struct errmsg *why) RC_CHECK;

/* A fresh DIR/key opens it from now on, instead of the key file or passphrase of
 * before; noted in the ledger. */
enum rc station_key_fresh(const char *dir, struct catalogue *catalogue, struct keyring *keyring,
    struct errmsg *why) RC_CHECK;

enum station_key_change {
	STATION_KEY_SHOW,       /* change nothing */
	STATION_KEY_PASSPHRASE, /* the passphrase in new_file opens it */
	STATION_KEY_FILE,       /* the key file new_file (NULL: a fresh DIR/key) opens it */
	STATION_KEY_RECOVERY,   /* a new recovery key */
	STATION_KEY_REKEY,      /* everything wrapped anew */
};

struct station_keys {
	size_t key_files, passphrases, recovery_keys; /* that open it */
	size_t data_keys;                             /* days × layers */
};

struct station_key_call {
	const char *dir;
	struct station_unlock unlock;
	enum station_key_change change;
	const char *new_file;
	station_key_show_fn *show; /* STATION_KEY_RECOVERY */
	void *show_ctx;
};

/* RC_BUSY while a node serves the directory. */
enum rc station_key(
    const struct station_key_call *call, struct station_keys *out, struct errmsg *why) RC_CHECK;

#endif
