/* Backup blobs: copied, listed, compared, swept. */
#include "backup/backup_blobs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/backup_internal.h"
#include "base/hex.h"
#include "os/file.h"

#define COPY_BYTES ((size_t)1 << 20)

/* ---- the list --------------------------------------------------------------------------- */

enum rc backup_blobs_parse(const uint8_t *list, size_t len)
{
	if (len % BACKUP_BLOB_BYTES != 0)
		return RC_CORRUPT;
	for (size_t at = BACKUP_BLOB_BYTES; at < len; at += BACKUP_BLOB_BYTES) {
		if (memcmp(list + at - BACKUP_BLOB_BYTES, list + at, BLOB_NAME_BYTES) >= 0)
			return RC_CORRUPT;
	}
	return RC_OK;
}

static uint64_t entry_bytes(const uint8_t *entry)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < 8; i++)
		value = value << 8 | entry[BLOB_NAME_BYTES + i];
	return value;
}

static const uint8_t *entry_find(
    const uint8_t *list, size_t len, const uint8_t name[BLOB_NAME_BYTES])
{
	size_t lo = 0, hi = len / BACKUP_BLOB_BYTES;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int order = memcmp(list + mid * BACKUP_BLOB_BYTES, name, BLOB_NAME_BYTES);
		if (order == 0)
			return list + mid * BACKUP_BLOB_BYTES;
		if (order < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static void entry_put(struct buf *list, const uint8_t name[BLOB_NAME_BYTES], uint64_t bytes,
    const uint8_t hash[BACKUP_BLOB_HASH_BYTES])
{
	buf_append(list, name, BLOB_NAME_BYTES);
	for (unsigned i = 8; i-- > 0;)
		buf_putc(list, (char)(bytes >> (8 * i) & 0xFF));
	buf_append(list, hash, BACKUP_BLOB_HASH_BYTES);
}

/* ---- one file ---------------------------------------------------------------------------- */

static enum rc blobs_of(const char *dir, struct blob_dir *out, struct errmsg *why)
{
	struct backup_path path;

	enum rc rc = backup_path(dir, "blobs", &path, why);
	*out = (struct blob_dir){ .secret = NULL };
	if (rc == RC_OK)
		memcpy(out->path, path.text, sizeof(out->path));
	return rc;
}

/* Hash `from` and, unless `to` is -1, write what is read there. */
static enum rc pump(
    int from, int to, uint64_t *bytes, uint8_t hash[BACKUP_BLOB_HASH_BYTES], struct errmsg *why)
{
	crypto_generichash_state state;
	uint8_t *chunk = malloc(COPY_BYTES);
	enum rc rc = chunk == NULL ? RC_NOMEM : RC_OK;

	*bytes = 0;
	(void)crypto_generichash_init(&state, NULL, 0, BACKUP_BLOB_HASH_BYTES);
	while (rc == RC_OK) {
		ssize_t n = read(from, chunk, COPY_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			rc = errmsg_errno(why, "a blob cannot be read");
		if (n <= 0)
			break;
		(void)crypto_generichash_update(&state, chunk, (size_t)n);
		*bytes += (uint64_t)n;
		if (to >= 0)
			rc = file_write_all(to, chunk, (size_t)n, why);
	}
	(void)crypto_generichash_final(&state, hash, BACKUP_BLOB_HASH_BYTES);
	free(chunk);
	return rc;
}

/* Through a temporary, synced; RC_NOTFOUND: there is none to copy. */
static enum rc copy_file(const struct blob_dir *from, const struct blob_dir *to,
    const uint8_t name[BLOB_NAME_BYTES], uint64_t *bytes, uint8_t hash[BACKUP_BLOB_HASH_BYTES],
    struct errmsg *why)
{
	char source[BLOB_PATH_BYTES], place[BLOB_PATH_BYTES], temp[BLOB_PATH_BYTES + 8];

	blob_path(from, name, source);
	blob_path(to, name, place);
	(void)snprintf(temp, sizeof(temp), "%s", place);
	*strrchr(temp, '/') = '\0';
	enum rc rc = file_mkdir(temp, 0700, why);
	if (rc != RC_OK)
		return rc;
	(void)snprintf(temp, sizeof(temp), "%s.tmp", place);
	int in = open(source, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (in < 0)
		return errno == ENOENT ? RC_NOTFOUND : errmsg_errno(why, "cannot open a blob");
	int out = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (out < 0)
		rc = errmsg_errno(why, "cannot create %s", temp);
	if (rc == RC_OK)
		rc = pump(in, out, bytes, hash, why);
	if (rc == RC_OK && fsync(out) != 0)
		rc = errmsg_errno(why, "cannot sync %s", temp);
	if (out >= 0)
		(void)close(out);
	(void)close(in);
	if (rc == RC_OK && rename(temp, place) != 0)
		rc = errmsg_errno(why, "cannot rename %s", temp);
	if (rc == RC_OK) {
		*strrchr(temp, '/') = '\0';
		rc = file_sync_dir(temp, why);
	}
	return rc;
}

/* ---- copying ------------------------------------------------------------------------------ */

struct names {
	struct buf list; /* names, one behind the other */
};

static bool take_name(void *ctx, const uint8_t name[BLOB_NAME_BYTES])
{
	struct names *names = ctx;

	buf_append(&names->list, name, BLOB_NAME_BYTES);
	return buf_rc(&names->list) == RC_OK;
}

static int compare_names(const void *a, const void *b)
{
	return memcmp(a, b, BLOB_NAME_BYTES);
}

static enum rc copy_one(struct store *store, const struct blob_dir *to,
    const uint8_t name[BLOB_NAME_BYTES], const uint8_t *known, struct buf *list, uint64_t *written,
    struct errmsg *why)
{
	uint8_t hash[BACKUP_BLOB_HASH_BYTES];
	uint64_t bytes = 0;
	int64_t mtime_s;

	if (known != NULL && blob_stat(to, name, &bytes, &mtime_s, NULL) == RC_OK &&
	    bytes == entry_bytes(known)) {
		buf_append(list, known, BACKUP_BLOB_BYTES);
		return RC_OK;
	}
	enum rc rc = copy_file(store_blobs(store), to, name, &bytes, hash, why);
	if (rc == RC_NOTFOUND)
		return RC_OK; /* nobody referred to it, and it went */
	if (rc == RC_OK)
		entry_put(list, name, bytes, hash);
	*written += bytes;
	return rc;
}

enum rc backup_blobs_copy(struct store *store, const char *dest, const uint8_t *old, size_t old_len,
    struct buf *list, uint64_t *written, struct errmsg *why)
{
	struct names names;
	struct blob_dir to;

	buf_init(&names.list, BACKUP_BLOBS_BYTES_MAX);
	enum rc rc = blobs_of(dest, &to, why);
	if (rc == RC_OK)
		rc = store_blob_each(store, take_name, &names, why);
	if (rc == RC_OK)
		rc = buf_rc(&names.list);
	if (rc == RC_OK && names.list.len > 0)
		qsort(names.list.bytes, names.list.len / BLOB_NAME_BYTES, BLOB_NAME_BYTES,
		    compare_names);
	for (size_t at = 0; at < names.list.len && rc == RC_OK; at += BLOB_NAME_BYTES) {
		const uint8_t *name = names.list.bytes + at;
		rc = copy_one(store, &to, name, entry_find(old, old_len, name), list, written, why);
	}
	buf_fini(&names.list);
	return rc == RC_OK ? buf_rc(list) : rc;
}

/* ---- sweeping ------------------------------------------------------------------------------- */

/* One folder of two hex digits. */
static enum rc sweep_folder(
    const char *path, const char *prefix, const uint8_t *list, size_t len, struct errmsg *why)
{
	const struct dirent *e;
	DIR *d = opendir(path);
	enum rc rc = RC_OK;

	if (d == NULL)
		return errmsg_errno(why, "cannot open %s", path);
	while ((e = readdir(d)) != NULL && rc == RC_OK) {
		char text[2 * BLOB_NAME_BYTES + 8];
		uint8_t name[BLOB_NAME_BYTES];
		size_t rest = strlen(e->d_name);
		bool temp =
		    rest == 2 * BLOB_NAME_BYTES + 2 && strcmp(e->d_name + rest - 4, ".tmp") == 0;
		if (!temp && rest != 2 * BLOB_NAME_BYTES - 2)
			continue;
		(void)snprintf(text, sizeof(text), "%.2s%.62s", prefix, e->d_name);
		if (hex_decode(text, name, sizeof(name)) != RC_OK ||
		    (!temp && entry_find(list, len, name) != NULL))
			continue;
		if (unlinkat(dirfd(d), e->d_name, 0) != 0 && errno != ENOENT)
			rc = errmsg_errno(why, "cannot remove a blob from %s", path);
	}
	(void)closedir(d);
	return rc;
}

enum rc backup_blobs_sweep(const char *dest, const uint8_t *list, size_t len, struct errmsg *why)
{
	struct backup_path blobs, folder;
	const struct dirent *e;

	enum rc rc = backup_path(dest, "blobs", &blobs, why);
	DIR *d = rc == RC_OK ? opendir(blobs.text) : NULL;
	if (d == NULL)
		return rc; /* there are none */
	while ((e = readdir(d)) != NULL && rc == RC_OK) {
		if (strlen(e->d_name) != 2 || e->d_name[0] == '.')
			continue;
		rc = backup_path(blobs.text, e->d_name, &folder, why);
		if (rc == RC_OK)
			rc = sweep_folder(folder.text, e->d_name, list, len, why);
	}
	(void)closedir(d);
	return rc;
}

/* ---- checking and restoring -------------------------------------------------------------------
 */

static enum rc check_one(const struct blob_dir *dir, const uint8_t *entry, bool *good,
    uint64_t *bytes, struct errmsg *why)
{
	uint8_t hash[BACKUP_BLOB_HASH_BYTES];
	char path[BLOB_PATH_BYTES];

	*good = false;
	blob_path(dir, entry, path);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? RC_OK : errmsg_errno(why, "cannot open %s", path);
	enum rc rc = pump(fd, -1, bytes, hash, why);
	(void)close(fd);
	*good = rc == RC_OK && *bytes == entry_bytes(entry) &&
		memcmp(hash, entry + BLOB_NAME_BYTES + 8, sizeof(hash)) == 0;
	return rc == RC_IO ? RC_OK : rc;
}

enum rc backup_blobs_check(const char *dest, const uint8_t *list, size_t len,
    store_fault_fn *report, void *ctx, uint64_t *faults, uint64_t *bytes, struct errmsg *why)
{
	struct blob_dir dir;

	enum rc rc = blobs_of(dest, &dir, why);
	for (size_t at = 0; at < len && rc == RC_OK; at += BACKUP_BLOB_BYTES) {
		char name[2 * BLOB_NAME_BYTES + 1], text[160];
		uint64_t n = 0;
		bool good;
		rc = check_one(&dir, list + at, &good, &n, why);
		*bytes += n;
		if (rc != RC_OK || good)
			continue;
		hex_encode(list + at, BLOB_NAME_BYTES, name);
		(void)snprintf(
		    text, sizeof(text), "blobs/%.2s/%s is damaged or gone", name, name + 2);
		if (++*faults <= STORE_FAULTS_MAX && report != NULL)
			report(ctx, text);
	}
	return rc;
}

enum rc backup_blobs_restore(
    const char *dest, const char *dir, const uint8_t *list, size_t len, struct errmsg *why)
{
	struct blob_dir from, to;

	enum rc rc = blobs_of(dest, &from, why);
	if (rc == RC_OK)
		rc = blobs_of(dir, &to, why);
	for (size_t at = 0; at < len && rc == RC_OK; at += BACKUP_BLOB_BYTES) {
		uint8_t hash[BACKUP_BLOB_HASH_BYTES];
		uint64_t bytes = 0;
		rc = copy_file(&from, &to, list + at, &bytes, hash, why);
		if (rc == RC_NOTFOUND ||
		    (rc == RC_OK &&
			memcmp(hash, list + at + BLOB_NAME_BYTES + 8, sizeof(hash)) != 0))
			rc = errmsg_rc(why, RC_CORRUPT, "a blob of the backup changed meanwhile");
	}
	return rc;
}
