/*
 * Catalogue copy: the whole of it as bytes, for backups and followers.
 *
 * Copied by SQLite into a database in memory, trimmed there, and taken as its
 * file would be.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/catalogue_internal.h"
#include "os/file.h"

/* File format bytes: 1 is a rollback journal; 2, write-ahead, cannot be opened
 * from memory. */
#define HEADER_BYTES 100
#define HEADER_WRITE_VERSION 18
#define HEADER_READ_VERSION 19
#define HEADER_CHANGES 24 /* a counter, and below the one it was at */
#define HEADER_VALID_FOR 92

static int copy_to(sqlite3 *to, sqlite3 *from)
{
	sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");

	if (backup == NULL)
		return sqlite3_errcode(to);
	int code = sqlite3_backup_step(backup, -1);
	int end = sqlite3_backup_finish(backup);
	return code == SQLITE_DONE ? end : code;
}

static int trim(sqlite3 *db, bool lean)
{
	char sql[160];

	(void)snprintf(sql, sizeof(sql),
	    "DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - %d; VACUUM;",
	    CATALOGUE_COPY_AUDIT_LINES);
	return sqlite3_exec(db,
	    lean ? "DELETE FROM audit; DELETE FROM setting; DELETE FROM backup; DELETE FROM spend;"
		   "UPDATE device SET last_seen_ns = 0; VACUUM;"
		 : sql,
	    NULL, NULL, NULL);
}

/* What counts changes would make two copies of the same content differ. */
static void settle_header(uint8_t *header)
{
	static const uint8_t one[4] = { 0, 0, 0, 1 };

	header[HEADER_WRITE_VERSION] = header[HEADER_READ_VERSION] = 1;
	memcpy(header + HEADER_CHANGES, one, sizeof(one));
	memcpy(header + HEADER_VALID_FOR, one, sizeof(one));
}

static enum rc take_image(sqlite3 *db, struct buf *out)
{
	sqlite3_int64 size = 0;
	size_t at = out->len;

	unsigned char *image = sqlite3_serialize(db, "main", &size, 0);
	if (image == NULL)
		return RC_NOMEM;
	buf_append(out, image, (size_t)size);
	sqlite3_free(image);
	enum rc rc = buf_rc(out);
	if (rc == RC_OK && size >= HEADER_BYTES)
		settle_header(out->bytes + at);
	return rc;
}

enum rc catalogue_copy(struct catalogue *c, bool lean, struct buf *out, struct errmsg *why)
{
	struct catalogue copy = { .db = NULL };

	int code = sqlite3_open_v2(":memory:", &copy.db,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX, NULL);
	(void)pthread_mutex_lock(&c->mutex);
	if (code == SQLITE_OK)
		code = copy_to(copy.db, c->db);
	(void)pthread_mutex_unlock(&c->mutex);
	if (code == SQLITE_OK)
		code = trim(copy.db, lean);
	enum rc rc = catalogue_rc(&copy, code, why);
	if (rc == RC_OK)
		rc = take_image(copy.db, out);
	(void)sqlite3_close(copy.db);
	return rc;
}

enum rc catalogue_restore(const char *dir, const uint8_t *bytes, size_t len,
    const char *const *drop, size_t drop_len, struct errmsg *why)
{
	struct catalogue *c = NULL;
	char path[4096];

	if ((size_t)snprintf(path, sizeof(path), "%s/catalogue.sqlite", dir) >= sizeof(path))
		return errmsg_rc(why, RC_LIMIT, "the directory's name is too long");
	enum rc rc = file_create(path, 0600, bytes, len, why);
	if (rc == RC_OK)
		rc = catalogue_open(dir, &c, why);
	if (rc == RC_OK)
		rc = catalogue_verify(c, why);
	for (size_t i = 0; i < drop_len && rc == RC_OK; i++)
		rc = catalogue_setting_del(c, drop[i], why);
	catalogue_close(c);
	return rc;
}

static const char adopt_sql[] =
    "BEGIN;"
    "DELETE FROM main.device; INSERT INTO main.device SELECT * FROM other.device;"
    "DELETE FROM main.compute; INSERT INTO main.compute SELECT * FROM other.compute;"
    "COMMIT;";

/* SQLite keeps the copy and writes to it. */
static int attach(struct catalogue *c, const uint8_t *bytes, size_t len)
{
	unsigned char *own = sqlite3_malloc64(len);

	if (own == NULL)
		return SQLITE_NOMEM;
	memcpy(own, bytes, len);
	int code = sqlite3_exec(c->db, "ATTACH ':memory:' AS other", NULL, NULL, NULL);
	if (code != SQLITE_OK) {
		sqlite3_free(own);
		return code;
	}
	return sqlite3_deserialize(c->db, "other", own, (sqlite3_int64)len, (sqlite3_int64)len,
	    SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_READONLY);
}

enum rc catalogue_adopt(struct catalogue *c, const uint8_t *bytes, size_t len, struct errmsg *why)
{
	(void)pthread_mutex_lock(&c->mutex);
	int code = attach(c, bytes, len);
	if (code == SQLITE_OK)
		code = sqlite3_exec(c->db, adopt_sql, NULL, NULL, NULL);
	enum rc rc = catalogue_rc(c, code, why);
	if (sqlite3_get_autocommit(c->db) == 0)
		(void)sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
	(void)sqlite3_exec(c->db, "DETACH other", NULL, NULL, NULL);
	(void)pthread_mutex_unlock(&c->mutex);
	return rc;
}
