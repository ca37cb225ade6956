/*
 * Store ballast: room that is kept for the day when there is none.
 *
 * On a full disk even a deletion needs pages to write.  DIR/ballast is a file of
 * nothing that is let go of when work that must go on (forgetting, keys) finds
 * no room, and made again when there is.  Appends never live on it: while it is
 * gone they leave as much again free.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/store_internal.h"

static void ballast_path(const struct store *store, char out[4200])
{
	(void)snprintf(out, 4200, "%s", store->dir);
	char *slash = strrchr(out, '/');
	if (slash != NULL)
		(void)snprintf(slash, 4200 - (size_t)(slash - out), "/ballast");
}

uint64_t store_reserve_bytes(const struct statvfs *fs)
{
	uint64_t reserve = (uint64_t)fs->f_blocks * fs->f_frsize / 32;

	return reserve > STORE_DISK_RESERVE_BYTES ? STORE_DISK_RESERVE_BYTES : reserve;
}

bool store_ballast_there(const struct store *store)
{
	char path[4200];
	struct stat st;

	ballast_path(store, path);
	return stat(path, &st) == 0 && st.st_size > 0;
}

void store_ballast_make(const struct store *store)
{
	struct statvfs fs;
	char path[4200];

	if (store->read_only || store_ballast_there(store) || statvfs(store->dir, &fs) != 0)
		return;
	uint64_t size = store_reserve_bytes(&fs);
	if ((uint64_t)fs.f_bavail * fs.f_frsize < 4 * size)
		return;
	ballast_path(store, path);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return;
	/* It is only worth something if its blocks are its own. */
	bool whole = posix_fallocate(fd, 0, (off_t)size) == 0 && fsync(fd) == 0;
	(void)close(fd);
	if (!whole)
		(void)unlink(path);
}

bool store_ballast_release(const struct store *store)
{
	char path[4200];

	ballast_path(store, path);
	return unlink(path) == 0;
}

uint64_t store_room_bytes(const struct store *store)
{
	struct statvfs fs;

	return statvfs(store->dir, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : 0;
}

enum rc store_room_make(const struct store *store, struct errmsg *why)
{
	if (store_room_bytes(store) < STORE_URGENT_BYTES && store_ballast_release(store) &&
	    store_room_bytes(store) >= STORE_URGENT_BYTES)
		return RC_OK;
	if (store_room_bytes(store) < STORE_URGENT_BYTES)
		return errmsg_rc(why, RC_FULL, "the disk is full to the last bytes");
	return RC_OK;
}
