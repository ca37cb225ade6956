/*
 * Station copy: a station for another place, and a station from there.
 */
#ifndef GATEWAY_STATION_COPY_H
#define GATEWAY_STATION_COPY_H

#include "backup/backup.h"
#include "gateway/station.h"

/*
 * Bring the backup at `dest` (an absolute path) up to date and note in the
 * catalogue how it went.  Any thread.
 */
enum rc station_backup(struct station *station, const char *dest, store_progress_fn *progress,
    void *ctx, struct backup_result *out, struct errmsg *why) RC_CHECK;

/*
 * After something was forgotten: every known destination that can be reached is
 * brought up to date, so that it holds neither what was forgotten nor a key of it.
 * `told` hears of each by its path: RC_OK, or why it keeps what it has (a disk
 * that is not plugged in is RC_NOTFOUND).  RC_OK if all could be tried.
 */
typedef void station_backup_told_fn(
    void *ctx, const char *path, enum rc rc, const struct errmsg *why);
enum rc station_backup_refresh(
    struct station *station, station_backup_told_fn *told, void *ctx, struct errmsg *why) RC_CHECK;

/* Make `config`'s dir from the backup at `src`, unlocked by `config`'s key_file,
 * passphrase_file or recovery_file; see backup_restore().  With the recovery key a
 * fresh DIR/key opens it afterwards, and what opened it before does not. */
enum rc station_restore(const struct station_config *config, const char *src,
    store_progress_fn *progress, void *ctx, struct backup_checked *out,
    struct errmsg *why) RC_CHECK;

#endif
