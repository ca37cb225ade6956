/*
 * Catalogue: what the data node knows about machines, never about the person.
 *
 * DIR/catalogue.sqlite (WAL, synchronous FULL): devices and their token
 * hashes, compute nodes, the audit ledger (metadata only), what upstreams cost, settings.  The only
 * file of the node's own that SQLite writes; sqlite3.h is seen in
 * catalogue.c alone.  One connection behind a mutex: any thread.
 */
#ifndef GATEWAY_CATALOGUE_H
#define GATEWAY_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/errmsg.h"

struct catalogue;

#define CATALOGUE_HASH_BYTES 32
#define CATALOGUE_KEY_BYTES 32
#define CATALOGUE_NAME_BYTES_MAX ((size_t)64)
#define CATALOGUE_ADDRESS_BYTES_MAX ((size_t)256)
#define CATALOGUE_DEVICES_MAX ((size_t)256)
#define CATALOGUE_COMPUTE_MAX ((size_t)32)
#define CATALOGUE_OWNER 0 /* device id of the owner's token */

/* Make an empty catalogue; RC_EXISTS. */
enum rc catalogue_create(const char *dir, struct errmsg *why) RC_CHECK;

/* RC_NOTFOUND, RC_CORRUPT, RC_UNSUPPORTED (a newer schema). */
enum rc catalogue_open(const char *dir, struct catalogue **out, struct errmsg *why) RC_CHECK;
void catalogue_close(struct catalogue *catalogue);

/* SQLite's own check of every page.  RC_CORRUPT. */
enum rc catalogue_verify(struct catalogue *catalogue, struct errmsg *why) RC_CHECK;

/* Names of devices and compute nodes: 1 to 64 of [A-Za-z0-9._-], not starting
 * with a dot or a dash. */
bool catalogue_name_valid(const char *name);

struct catalogue_device {
	int64_t id;
	const char *name;
	unsigned layers; /* LAYER_MASK bits it may write; 0: no limit */
	uint8_t token_hash[CATALOGUE_HASH_BYTES];
	int64_t created_ns;
	int64_t revoked_ns;   /* 0: valid */
	int64_t last_seen_ns; /* 0: never */
	int64_t error_ns;     /* ε of its times where it names no clock; 0: the default */
};

/* RC_EXISTS: a valid device has the name; RC_INVALID; RC_LIMIT. */
enum rc catalogue_device_add(struct catalogue *catalogue, const char *name, unsigned layers,
    const uint8_t token_hash[CATALOGUE_HASH_BYTES], int64_t now_ns, int64_t *id,
    struct errmsg *why) RC_CHECK;

/* The ε of a device's times, from now on; 0: the default. */
enum rc catalogue_device_error(
    struct catalogue *catalogue, int64_t id, int64_t error_ns, struct errmsg *why) RC_CHECK;

/* The owner's row; replaces an earlier one. */
enum rc catalogue_owner_set(struct catalogue *catalogue,
    const uint8_t token_hash[CATALOGUE_HASH_BYTES], int64_t now_ns, struct errmsg *why) RC_CHECK;

/* All of them by id, revoked ones too, in `arena`: [*len]. */
enum rc catalogue_device_list(struct catalogue *catalogue, struct arena *arena,
    struct catalogue_device **out, size_t *len, struct errmsg *why) RC_CHECK;

/* RC_NOTFOUND: no valid device of that name. */
enum rc catalogue_device_revoke(
    struct catalogue *catalogue, const char *name, int64_t now_ns, struct errmsg *why) RC_CHECK;

enum rc catalogue_device_seen(
    struct catalogue *catalogue, int64_t id, int64_t seen_ns, struct errmsg *why) RC_CHECK;

struct catalogue_compute {
	const char *name, *address;
	uint8_t public_key[CATALOGUE_KEY_BYTES];
	int64_t added_ns;
	int64_t drained_ns; /* nothing new goes there since; 0: it does */
};

/* RC_EXISTS, RC_INVALID, RC_LIMIT. */
enum rc catalogue_compute_add(
    struct catalogue *catalogue, const struct catalogue_compute *node, struct errmsg *why) RC_CHECK;
enum rc catalogue_compute_list(struct catalogue *catalogue, struct arena *arena,
    struct catalogue_compute **out, size_t *len, struct errmsg *why) RC_CHECK;
/* RC_NOTFOUND. */
enum rc catalogue_compute_remove(
    struct catalogue *catalogue, const char *name, struct errmsg *why) RC_CHECK;
/* From `since_ns` on nothing new goes there; 0: it does again.  RC_NOTFOUND.  Of
 * this data node's own: a follower keeps its own marks. */
enum rc catalogue_compute_drain(
    struct catalogue *catalogue, const char *name, int64_t since_ns, struct errmsg *why) RC_CHECK;

/*
 * One line of the ledger: who did what to which thing, and two numbers.
 * Words and names only; never content.  Old lines beyond
 * CATALOGUE_AUDIT_LINES_MAX are dropped.
 */
#define CATALOGUE_AUDIT_LINES_MAX 1000000
struct catalogue_audit {
	int64_t at_ns;
	int64_t device;     /* id; CATALOGUE_OWNER; -1: the operator's control socket */
	const char *action; /* "device-add" */
	const char *object; /* a name or an id; "" = none */
	int64_t n;          /* how many things */
	const char *who; /* when listed: the device's name; "operator"; "" = not known any more */
};
enum rc catalogue_audit_add(
    struct catalogue *catalogue, const struct catalogue_audit *line, struct errmsg *why) RC_CHECK;
/* The newest `limit` lines, or those about models elsewhere ("cloud-…") alone; newest first. */
enum rc catalogue_audit_list(struct catalogue *catalogue, bool cloud, size_t limit,
    struct arena *arena, struct catalogue_audit **out, size_t *len, struct errmsg *why) RC_CHECK;

/* Where backups go, and how the last ones went. */
#define CATALOGUE_BACKUPS_MAX ((size_t)64)
struct catalogue_backup {
	const char *path;
	int64_t made_ns;  /* of what it holds; 0: nothing yet */
	int64_t tried_ns; /* the last run */
	uint64_t cursor, bytes;
	const char *error; /* why the last run failed; "" = it did not */
};
/* Insert or replace by path.  RC_LIMIT. */
enum rc catalogue_backup_put(struct catalogue *catalogue, const struct catalogue_backup *backup,
    struct errmsg *why) RC_CHECK;
enum rc catalogue_backup_list(struct catalogue *catalogue, struct arena *arena,
    struct catalogue_backup **out, size_t *len, struct errmsg *why) RC_CHECK;
/* RC_NOTFOUND. */
enum rc catalogue_backup_remove(
    struct catalogue *catalogue, const char *path, struct errmsg *why) RC_CHECK;

/*
 * What asking an upstream has cost, by its name and local day (20261119).  add: more of
 * it, or less where it was counted too high; sum: over [first, last].
 */
struct spend;
enum rc catalogue_spend_add(struct catalogue *catalogue, const char *name, int32_t day,
    const struct spend *more, struct errmsg *why) RC_CHECK;
enum rc catalogue_spend_sum(struct catalogue *catalogue, const char *name, int32_t first,
    int32_t last, struct spend *out, struct errmsg *why) RC_CHECK;

/* The whole catalogue as bytes (of the ledger the newest
 * CATALOGUE_COPY_AUDIT_LINES), and a catalogue made of them; RC_EXISTS.
 * restore: the bytes must be authentic.  Settings of the names in `drop`
 * [drop_len], which mean something on one machine only, are left out.  lean:
 * devices and compute nodes alone; the same bytes as long as none of them
 * changed. */
#define CATALOGUE_COPY_AUDIT_LINES 10000
#define CATALOGUE_COPY_BYTES_MAX ((size_t)64 << 20)
enum rc catalogue_copy(
    struct catalogue *catalogue, bool lean, struct buf *out, struct errmsg *why) RC_CHECK;
enum rc catalogue_restore(const char *dir, const uint8_t *bytes, size_t len,
    const char *const *drop, size_t drop_len, struct errmsg *why) RC_CHECK;
/* Devices and compute nodes become those of the copy. */
enum rc catalogue_adopt(
    struct catalogue *catalogue, const uint8_t *bytes, size_t len, struct errmsg *why) RC_CHECK;

/* Small named texts; get: RC_NOTFOUND; del: RC_OK if there was none. */
enum rc catalogue_setting_set(
    struct catalogue *catalogue, const char *name, const char *value, struct errmsg *why) RC_CHECK;
enum rc catalogue_setting_del(
    struct catalogue *catalogue, const char *name, struct errmsg *why) RC_CHECK;
enum rc catalogue_setting_get(struct catalogue *catalogue, const char *name, struct arena *arena,
    const char **out, struct errmsg *why) RC_CHECK;

#endif
