/* Catalogue: where backups go, and how the last ones went. */
#include <string.h>

#include "gateway/catalogue_internal.h"

const char catalogue_backup_schema[] =
    "CREATE TABLE IF NOT EXISTS backup(path TEXT PRIMARY KEY, made_ns INTEGER NOT NULL,"
    " tried_ns INTEGER NOT NULL, cursor INTEGER NOT NULL, bytes INTEGER NOT NULL,"
    " error TEXT NOT NULL) STRICT;";

/* A run that failed leaves what is known of the last good one. */
static const char put_sql[] =
    "INSERT INTO backup(path, made_ns, tried_ns, cursor, bytes, error) VALUES(?,?,?,?,?,?)"
    " ON CONFLICT(path) DO UPDATE SET tried_ns = excluded.tried_ns, error = excluded.error,"
    " made_ns = CASE excluded.made_ns WHEN 0 THEN made_ns ELSE excluded.made_ns END,"
    " cursor = CASE excluded.made_ns WHEN 0 THEN cursor ELSE excluded.cursor END,"
    " bytes = CASE excluded.made_ns WHEN 0 THEN bytes ELSE excluded.bytes END";

static int put(struct catalogue *c, const struct catalogue_backup *b)
{
	sqlite3_stmt *stmt = NULL;

	int code = sqlite3_prepare_v2(c->db, put_sql, -1, &stmt, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_bind_text(stmt, 1, b->path, -1, SQLITE_STATIC);
	if (code == SQLITE_OK)
		code = sqlite3_bind_int64(stmt, 2, b->made_ns);
	if (code == SQLITE_OK)
		code = sqlite3_bind_int64(stmt, 3, b->tried_ns);
	if (code == SQLITE_OK)
		code = sqlite3_bind_int64(stmt, 4, (sqlite3_int64)b->cursor);
	if (code == SQLITE_OK)
		code = sqlite3_bind_int64(stmt, 5, (sqlite3_int64)b->bytes);
	if (code == SQLITE_OK)
		code = sqlite3_bind_text(stmt, 6, b->error, -1, SQLITE_STATIC);
	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	(void)sqlite3_finalize(stmt);
	return code;
}

static int64_t others(struct catalogue *c, const char *path)
{
	sqlite3_stmt *stmt = NULL;
	int64_t n = 0;

	if (sqlite3_prepare_v2(c->db, "SELECT count(*) FROM backup WHERE path <> ?", -1, &stmt,
		NULL) == SQLITE_OK &&
	    sqlite3_bind_text(stmt, 1, path, -1, SQLITE_STATIC) == SQLITE_OK &&
	    sqlite3_step(stmt) == SQLITE_ROW)
		n = sqlite3_column_int64(stmt, 0);
	(void)sqlite3_finalize(stmt);
	return n;
}

enum rc catalogue_backup_put(
    struct catalogue *c, const struct catalogue_backup *backup, struct errmsg *why)
{
	(void)pthread_mutex_lock(&c->mutex);
	enum rc rc = others(c, backup->path) >= (int64_t)CATALOGUE_BACKUPS_MAX
			 ? errmsg_rc(why, RC_LIMIT, "more than %zu destinations of backups",
			       CATALOGUE_BACKUPS_MAX)
			 : catalogue_rc(c, put(c, backup), why);
	(void)pthread_mutex_unlock(&c->mutex);
	return rc;
}

static const char *text_of(struct arena *arena, sqlite3_stmt *stmt, int column)
{
	const unsigned char *text = sqlite3_column_text(stmt, column);

	return arena_strdup(arena, text != NULL ? (const char *)text : "");
}

enum rc catalogue_backup_list(struct catalogue *c, struct arena *arena,
    struct catalogue_backup **out, size_t *len, struct errmsg *why)
{
	struct catalogue_backup *rows = arena_array(arena, CATALOGUE_BACKUPS_MAX, sizeof(*rows));
	sqlite3_stmt *stmt = NULL;
	size_t n = 0;

	if (rows == NULL)
		return RC_NOMEM;
	(void)pthread_mutex_lock(&c->mutex);
	int code = sqlite3_prepare_v2(c->db,
	    "SELECT path, made_ns, tried_ns, cursor, bytes, error FROM backup ORDER BY path", -1,
	    &stmt, NULL);
	bool whole = true;
	while (code == SQLITE_OK && n < CATALOGUE_BACKUPS_MAX && sqlite3_step(stmt) == SQLITE_ROW) {
		rows[n] = (struct catalogue_backup){
			.path = text_of(arena, stmt, 0),
			.made_ns = sqlite3_column_int64(stmt, 1),
			.tried_ns = sqlite3_column_int64(stmt, 2),
			.cursor = (uint64_t)sqlite3_column_int64(stmt, 3),
			.bytes = (uint64_t)sqlite3_column_int64(stmt, 4),
			.error = text_of(arena, stmt, 5),
		};
		whole = whole && rows[n].path != NULL && rows[n].error != NULL;
		n++;
	}
	enum rc rc = whole ? catalogue_rc(c, sqlite3_reset(stmt), why) : RC_NOMEM;
	(void)sqlite3_finalize(stmt);
	(void)pthread_mutex_unlock(&c->mutex);
	*out = rows;
	*len = n;
	return rc;
}

enum rc catalogue_backup_remove(struct catalogue *c, const char *path, struct errmsg *why)
{
	sqlite3_stmt *stmt = NULL;

	(void)pthread_mutex_lock(&c->mutex);
	int code = sqlite3_prepare_v2(c->db, "DELETE FROM backup WHERE path = ?", -1, &stmt, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_bind_text(stmt, 1, path, -1, SQLITE_STATIC);
	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	bool gone = sqlite3_changes(c->db) > 0;
	enum rc rc = catalogue_rc(c, code, why);
	(void)sqlite3_finalize(stmt);
	(void)pthread_mutex_unlock(&c->mutex);
	if (rc == RC_OK && !gone)
		return errmsg_rc(why, RC_NOTFOUND, "no backup goes to %s", path);
	return rc;
}
