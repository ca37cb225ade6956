/*
 * Catalogue on SQLite: devices, compute nodes, audit ledger, settings.
 * One connection; the mutex makes each call one statement or transaction.
 */
#include "gateway/catalogue_internal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/file.h"

#define SCHEMA_VERSION 1
#define PATH_BYTES_MAX 4096
#define DEVICE_ERROR "device-error-ns:"       /* a setting; the device's id follows */
#define COMPUTE_DRAINED "compute-drained-ns:" /* likewise; the node's name follows */
#define DEVICE_ROWS_MAX 4096                  /* listed, with revoked ones */
#define BUSY_MS 5000
#define AUDIT_TRIM_EVERY 1024

static const char schema[] =
    "CREATE TABLE device(id INTEGER PRIMARY KEY, name TEXT NOT NULL, layers INTEGER NOT NULL,"
    " token_hash BLOB NOT NULL UNIQUE, created_ns INTEGER NOT NULL, revoked_ns INTEGER NOT NULL"
    " DEFAULT 0, last_seen_ns INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE UNIQUE INDEX device_name ON device(name) WHERE revoked_ns = 0;"
    "CREATE TABLE compute(name TEXT PRIMARY KEY, address TEXT NOT NULL, public_key BLOB NOT NULL,"
    " added_ns INTEGER NOT NULL) STRICT;"
    "CREATE TABLE audit(id INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, device INTEGER NOT NULL,"
    " action TEXT NOT NULL, object TEXT NOT NULL, n INTEGER NOT NULL) STRICT;"
    "CREATE TABLE setting(name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;"
    "PRAGMA user_version = 1;";

enum rc catalogue_rc(struct catalogue *c, int code, struct errmsg *why)
{
	switch (code & 0xFF) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return RC_OK;
	case SQLITE_CONSTRAINT:
		return errmsg_rc(why, RC_EXISTS, "catalogue: it is there already");
	case SQLITE_NOMEM:
		return RC_NOMEM;
	case SQLITE_FULL:
		return errmsg_rc(why, RC_FULL, "catalogue: no room on disk");
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return errmsg_rc(why, RC_BUSY, "catalogue: held by another program");
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return errmsg_rc(why, RC_CORRUPT, "catalogue.sqlite is damaged");
	default:
		/* Messages of SQLite name tables and columns, never values. */
		return errmsg_rc(why, RC_IO, "catalogue: %s (%d)", sqlite3_errmsg(c->db), code);
	}
}

/* Binds in order of `types`: i int64_t, t text, b 32-byte blob. */
static int bind_all(sqlite3_stmt *stmt, const char *types, va_list ap)
{
	int code = SQLITE_OK;

	for (int i = 0; types[i] != 0 && code == SQLITE_OK; i++) {
		if (types[i] == 'i')
			code = sqlite3_bind_int64(stmt, i + 1, va_arg(ap, int64_t));
		else if (types[i] == 't')
			code = sqlite3_bind_text(
			    stmt, i + 1, va_arg(ap, const char *), -1, SQLITE_STATIC);
		else
			code = sqlite3_bind_blob(stmt, i + 1, va_arg(ap, const void *),
			    CATALOGUE_HASH_BYTES, SQLITE_STATIC);
	}
	return code;
}

/* Run one statement to its end; `*changes` (may be NULL) counts rows changed. */
static enum rc run(struct catalogue *c, int64_t *changes, struct errmsg *why, const char *sql,
    const char *types, ...)
{
	sqlite3_stmt *stmt = NULL;
	va_list ap;

	int code = sqlite3_prepare_v2(c->db, sql, -1, &stmt, NULL);
	va_start(ap, types);
	if (code == SQLITE_OK)
		code = bind_all(stmt, types, ap);
	va_end(ap);
	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	if (changes != NULL)
		*changes = sqlite3_changes64(c->db);
	enum rc rc = catalogue_rc(c, code, why);
	(void)sqlite3_finalize(stmt);
	return rc;
}

/* Rows of a query without parameters but an optional limit. */
typedef enum rc row_fn(void *ctx, sqlite3_stmt *stmt);

static enum rc each_row(
    struct catalogue *c, const char *sql, int64_t limit, row_fn *row, void *ctx, struct errmsg *why)
{
	sqlite3_stmt *stmt = NULL;
	enum rc rc = RC_OK;

	int code = sqlite3_prepare_v2(c->db, sql, -1, &stmt, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_bind_int64(stmt, 1, limit);
	while (code == SQLITE_OK || code == SQLITE_ROW) {
		code = sqlite3_step(stmt);
		if (code != SQLITE_ROW)
			break;
		rc = row(ctx, stmt);
		if (rc != RC_OK)
			break;
	}
	if (rc == RC_OK)
		rc = catalogue_rc(c, code, why);
	(void)sqlite3_finalize(stmt);
	return rc;
}

static enum rc one_number(struct catalogue *c, const char *sql, int64_t *out, struct errmsg *why)
{
	sqlite3_stmt *stmt = NULL;

	int code = sqlite3_prepare_v2(c->db, sql, -1, &stmt, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	enum rc rc = catalogue_rc(c, code, why);
	if (code == SQLITE_ROW)
		*out = sqlite3_column_int64(stmt, 0);
	(void)sqlite3_finalize(stmt);
	return rc;
}

static enum rc open_db(const char *dir, bool create, struct catalogue **out, struct errmsg *why)
{
	char path[PATH_BYTES_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/catalogue.sqlite", dir) >= sizeof(path))
		return errmsg_rc(why, RC_LIMIT, "the directory's name is too long");
	if (create) {
		enum rc rc = file_create(path, 0600, "", 0, why);
		if (rc != RC_OK)
			return rc;
	} else if (!file_exists(path)) {
		return errmsg_rc(why, RC_NOTFOUND, "no catalogue in %s: run data-node init", dir);
	}
	struct catalogue *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return RC_NOMEM;
	(void)pthread_mutex_init(&c->mutex, NULL);
	int code = sqlite3_open_v2(path, &c->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_busy_timeout(c->db, BUSY_MS);
	if (code == SQLITE_OK)
		code = sqlite3_exec(c->db,
		    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
		    "PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;"
		    "PRAGMA trusted_schema = OFF;",
		    NULL, NULL, NULL);
	if (code == SQLITE_OK && create)
		code = sqlite3_exec(c->db, schema, NULL, NULL, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_exec(c->db, catalogue_backup_schema, NULL, NULL, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_exec(c->db, catalogue_spend_schema, NULL, NULL, NULL);
	enum rc rc = catalogue_rc(c, code, why);
	if (rc != RC_OK) {
		catalogue_close(c);
		return rc;
	}
	*out = c;
	return RC_OK;
}

enum rc catalogue_create(const char *dir, struct errmsg *why)
{
	struct catalogue *c = NULL;

	enum rc rc = open_db(dir, true, &c, why);
	catalogue_close(c);
	return rc;
}

enum rc catalogue_open(const char *dir, struct catalogue **out, struct errmsg *why)
{
	struct catalogue *c = NULL;
	int64_t version = 0;

	enum rc rc = open_db(dir, false, &c, why);
	if (rc == RC_OK)
		rc = one_number(c, "PRAGMA user_version", &version, why);
	if (rc == RC_OK && version > SCHEMA_VERSION)
		rc = errmsg_rc(why, RC_UNSUPPORTED, "the catalogue is of a newer version");
	if (rc == RC_OK && version < 1)
		rc = errmsg_rc(why, RC_CORRUPT, "the catalogue was never finished");
	if (rc != RC_OK) {
		catalogue_close(c);
		return rc;
	}
	*out = c;
	return RC_OK;
}

void catalogue_close(struct catalogue *c)
{
	if (c == NULL)
		return;
	(void)sqlite3_close(c->db);
	(void)pthread_mutex_destroy(&c->mutex);
	free(c);
}

enum rc catalogue_verify(struct catalogue *c, struct errmsg *why)
{
	sqlite3_stmt *stmt = NULL;

	(void)pthread_mutex_lock(&c->mutex);
	int code = sqlite3_prepare_v2(c->db, "PRAGMA integrity_check(1)", -1, &stmt, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	enum rc rc = catalogue_rc(c, code, why);
	if (rc == RC_OK && code == SQLITE_ROW) {
		const unsigned char *text = sqlite3_column_text(stmt, 0);
		if (text == NULL || strcmp((const char *)text, "ok") != 0)
			rc = errmsg_rc(why, RC_CORRUPT, "catalogue.sqlite is damaged");
	}
	(void)sqlite3_finalize(stmt);
	(void)pthread_mutex_unlock(&c->mutex);
	return rc;
}

bool catalogue_name_valid(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > CATALOGUE_NAME_BYTES_MAX || name[0] == '.' || name[0] == '-')
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char ch = (unsigned char)name[i];
		if (ch >= 0x80 || (!isalnum(ch) && strchr("._-", ch) == NULL))
			return false;
	}
	return true;
}

static enum rc check_name(const char *name, struct errmsg *why)
{
	if (catalogue_name_valid(name))
		return RC_OK;
	return errmsg_rc(
	    why, RC_INVALID, "name: 1 to 64 letters, digits, '.', '_' or '-' are allowed");
}

/* ---- devices ---------------------------------------------------------------- */

static enum rc device_add(struct catalogue *c, const char *name, unsigned layers,
    const uint8_t *hash, int64_t now_ns, int64_t *id, struct errmsg *why)
{
	int64_t count = 0;

	enum rc rc = one_number(c, "SELECT count(*) FROM device WHERE revoked_ns = 0", &count, why);
	if (rc != RC_OK)
		return rc;
	if ((size_t)count >= CATALOGUE_DEVICES_MAX)
		return errmsg_rc(why, RC_LIMIT, "there are %d devices already", (int)count);
	rc = run(c, NULL, why,
	    "INSERT INTO device(name, layers, token_hash, created_ns) VALUES(?,?,?,?)", "tibi",
	    name, (int64_t)layers, hash, now_ns);
	if (rc == RC_OK)
		*id = sqlite3_last_insert_rowid(c->db);
	return rc;
}

enum rc catalogue_device_add(struct catalogue *c, const char *name, unsigned layers,
    const uint8_t token_hash[CATALOGUE_HASH_BYTES], int64_t now_ns, int64_t *id, struct errmsg *why)
{
	struct errmsg deep = ERRMSG_INIT;

	enum rc rc = check_name(name, why);
	if (rc != RC_OK)
		return rc;
	(void)pthread_mutex_lock(&c->mutex);
	rc = device_add(c, name, layers, token_hash, now_ns, id, &deep);
	(void)pthread_mutex_unlock(&c->mutex);
	if (rc == RC_EXISTS)
		return errmsg_rc(why, rc, "a device named %s exists", name);
	errmsg_set(why, "%s", errmsg_text(&deep, rc));
	return rc;
}

enum rc catalogue_device_error(
    struct catalogue *c, int64_t id, int64_t error_ns, struct errmsg *why)
{
	char name[64], value[32];

	(void)snprintf(name, sizeof(name), DEVICE_ERROR "%" PRId64, id);
	(void)snprintf(value, sizeof(value), "%" PRId64, error_ns);
	return catalogue_setting_set(c, name, value, why);
}

enum rc catalogue_owner_set(struct catalogue *c, const uint8_t token_hash[CATALOGUE_HASH_BYTES],
    int64_t now_ns, struct errmsg *why)
{
	(void)pthread_mutex_lock(&c->mutex);
	enum rc rc = run(c, NULL, why,
	    "INSERT OR REPLACE INTO device(id, name, layers, token_hash, created_ns)"
	    " VALUES(0,'owner',0,?,?)",
	    "bi", token_hash, now_ns);
	(void)pthread_mutex_unlock(&c->mutex);
	return rc;
}

static const char *column_text(struct arena *arena, sqlite3_stmt *stmt, int column)
{
	const unsigned char *text = sqlite3_column_text(stmt, column);

	return arena_strdup(arena, text != NULL ? (const char *)text : "");
}

static enum rc column_hash(sqlite3_stmt *stmt, int column, uint8_t out[CATALOGUE_HASH_BYTES])
{
	if (sqlite3_column_bytes(stmt, column) != CATALOGUE_HASH_BYTES)
		return RC_CORRUPT;
	memcpy(out, sqlite3_column_blob(stmt, column), CATALOGUE_HASH_BYTES);
	return RC_OK;
}

struct listing {
	struct arena *arena;
	void *rows;
	size_t len, max;
};

static enum rc device_row(void *ctx, sqlite3_stmt *stmt)
{
	struct listing *l = ctx;

	if (l->len >= l->max)
		return RC_LIMIT;
	struct catalogue_device *d = (struct catalogue_device *)l->rows + l->len++;
	d->id = sqlite3_column_int64(stmt, 0);
	d->name = column_text(l->arena, stmt, 1);
	d->layers = (unsigned)sqlite3_column_int64(stmt, 2);
	d->created_ns = sqlite3_column_int64(stmt, 4);
	d->revoked_ns = sqlite3_column_int64(stmt, 5);
	d->last_seen_ns = sqlite3_column_int64(stmt, 6);
	d->error_ns = sqlite3_column_int64(stmt, 7);
	if (d->name == NULL)
		return RC_NOMEM;
	return column_hash(stmt, 3, d->token_hash);
}

/* Allocate as many rows as `count_sql` says (at most `max`) and fill them. */
static enum rc list(struct catalogue *c, const char *count_sql, const char *rows_sql, size_t size,
    size_t max, row_fn *row, struct listing *l, struct errmsg *why)
{
	int64_t count = 0;

	(void)pthread_mutex_lock(&c->mutex);
	enum rc rc = one_number(c, count_sql, &count, why);
	if (rc == RC_OK) {
		l->max = (size_t)count < max ? (size_t)count : max;
		l->rows = arena_array(l->arena, l->max + 1, size);
		rc = l->rows == NULL ? RC_NOMEM
				     : each_row(c, rows_sql, (int64_t)l->max, row, l, why);
	}
	(void)pthread_mutex_unlock(&c->mutex);
	return rc;
}

enum rc catalogue_device_list(struct catalogue *c, struct arena *arena,
    struct catalogue_device **out, size_t *len, struct errmsg *why)
{
	struct listing l = { .arena = arena };

	/* Valid ones first, so that a long history never hides one. */
	enum rc rc = list(c, "SELECT count(*) FROM device",
	    "SELECT * FROM (SELECT id, name, layers, token_hash, created_ns, revoked_ns,"
	    " last_seen_ns, (SELECT CAST(value AS INTEGER) FROM setting WHERE setting.name ="
	    " '" DEVICE_ERROR
	    "' || device.id) FROM device ORDER BY revoked_ns > 0, id DESC LIMIT ?) ORDER BY id",
	    sizeof(struct catalogue_device), DEVICE_ROWS_MAX, device_row, &l, why);
	if (rc != RC_OK)
		return rc;
	*out = l.rows;
	*len = l.len;
	return RC_OK;
}

enum rc catalogue_device_revoke(
    struct catalogue *c, const char *name, int64_t now_ns, struct errmsg *why)
{
	int64_t changes = 0;

	(void)pthread_mutex_lock(&c->mutex);
	enum rc rc = run(c, &changes, why,
	    "UPDATE device SET revoked_ns = ? WHERE name = ? AND revoked_ns = 0 AND id <> 0", "it",
	    now_ns, name);
	(void)pthread_mutex_unlock(&c->mutex);
	if (rc == RC_OK && changes == 0)
		return errmsg_rc(why, RC_NOTFOUND, "no valid device of that name");
	return rc;
}

enum rc catalogue_device_seen(struct catalogue *c, int64_t id, int64_t seen_ns, struct errmsg *why)
{
	(void)pthread_mutex_lock(&c->mutex);
	enum rc rc =
	    run(c, NULL, why, "UPDATE device SET last_seen_ns = ? WHERE id = ?", "ii", seen_ns, id);
	(void)pthread_mutex_unlock(&c->mutex);
	return rc;
}

/* ---- compute nodes ----------------------------------------------------------- */

enum rc catalogue_compute_add(
    struct catalogue *c, const struct catalogue_compute *node, struct errmsg *why)
{
	struct errmsg deep = ERRMSG_INIT;
	int64_t count = 0;

	enum rc rc = check_name(node->name, why);
	if (rc != RC_OK)
		return rc;
	size_t len = strlen(node->address);
	if (len == 0 || len > CATALOGUE_ADDRESS_BYTES_MAX)
		return errmsg_rc(why, RC_INVALID, "address: 1 to 256 bytes are allowed");
	(void)pthread_mutex_lock(&c->mutex);
	rc = one_number(c, "SELECT count(*) FROM compute", &count, &deep);
	if (rc == RC_OK && (size_t)count >= CATALOGUE_COMPUTE_MAX)
		rc = errmsg_rc(&deep, RC_LIMIT, "there are %d compute nodes already", (int)count);
	if (rc == RC_OK)
		rc = run(c, NULL, &deep, "INSERT INTO compute VALUES(?,?,?,?)", "ttbi", node->name,
		    node->address, node->public_key, node->added_ns);
	(void)pthread_mutex_unlock(&c->mutex);
	if (rc == RC_EXISTS)
		return errmsg_rc(why, rc, "a compute node named %s exists", node->name);
	errmsg_set(why, "%s", errmsg_text(&deep, rc));
	return rc;
}

static enum rc compute_row(void *ctx, sqlite3_stmt *stmt)
{
	struct listing *l = ctx;

	if (l->len >= l->max)
		return RC_LIMIT;
	struct catalogue_compute *n = (struct catalogue_compute *)l->rows + l->len++;
	n->name = column_text(l->arena, stmt, 0);
	n->address = column_text(l->arena, stmt, 1);
	n->added_ns = sqlite3_column_int64(stmt, 3);
	n->drained_ns = sqlite3_column_int64(stmt, 4);
	if (n->name == NULL || n->address == NULL)
		return RC_NOMEM;
	return column_hash(stmt, 2, n->public_key);
}

enum rc catalogue_compute_list(struct catalogue *c, struct arena *arena,
    struct catalogue_compute **out, size_t *len, struct errmsg *why)
{
	struct listing l = { .arena = arena };

	enum rc rc = list(c, "SELECT count(*) FROM compute",
	    "SELECT name, address, public_key, added_ns, (SELECT CAST(value AS INTEGER) FROM "
	    "setting"
	    " WHERE setting.name = '" COMPUTE_DRAINED
	    "' || compute.name) FROM compute ORDER BY name LIMIT ?",
	    sizeof(struct catalogue_compute), CATALOGUE_COMPUTE_MAX, compute_row, &l, why);
	if (rc != RC_OK)
		return rc;
	*out = l.rows;
	*len = l.len;
	return RC_OK;
}

/* Under the mutex: also of a name that is gone. */
static enum rc forget_drain(struct catalogue *c, const char *name, struct errmsg *why)
{
	return run(
	    c, NULL, why, "DELETE FROM setting WHERE name = '" COMPUTE_DRAINED "' || ?", "t", name);
}

enum rc catalogue_compute_remove(struct catalogue *c, const char *name, struct errmsg *why)
{
	int64_t changes = 0;

	(void)pthread_mutex_lock(&c->mutex);
	enum rc rc = forget_drain(c, name, why);
	if (rc == RC_OK)
		rc = run(c, &changes, why, "DELETE FROM compute WHERE name = ?", "t", name);
	(void)pthread_mutex_unlock(&c->mutex);
	if (rc == RC_OK && changes == 0)
		return errmsg_rc(why, RC_NOTFOUND, "no compute node of that name");
	return rc;
}

enum rc catalogue_compute_drain(
    struct catalogue *c, const char *name, int64_t since_ns, struct errmsg *why)
{
	int64_t changes = 0;

	(void)pthread_mutex_lock(&c->mutex);
	enum rc rc = run(c, &changes, why,
	    "INSERT OR REPLACE INTO setting SELECT '" COMPUTE_DRAINED
	    "' || name, ? FROM compute WHERE name = ?",
	    "it", since_ns, name);
	if (rc == RC_OK && since_ns == 0)
		rc = forget_drain(c, name, why);
	(void)pthread_mutex_unlock(&c->mutex);
	if (rc == RC_OK && changes == 0)
		return errmsg_rc(why, RC_NOTFOUND, "no compute node of that name");
	return rc;
}

/* ---- audit and settings ------------------------------------------------------ */

enum rc catalogue_audit_add(
    struct catalogue *c, const struct catalogue_audit *line, struct errmsg *why)
{
	(void)pthread_mutex_lock(&c->mutex);
	enum rc rc = run(c, NULL, why,
	    "INSERT INTO audit(at_ns, device, action, object, n) VALUES(?,?,?,?,?)", "iitti",
	    line->at_ns, line->device, line->action, line->object, line->n);
	if (rc == RC_OK && c->audit_lines++ % AUDIT_TRIM_EVERY == 0)
		rc = run(c, NULL, why,
		    "DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?", "i",
		    (int64_t)CATALOGUE_AUDIT_LINES_MAX);
	(void)pthread_mutex_unlock(&c->mutex);
	return rc;
}

static enum rc audit_row(void *ctx, sqlite3_stmt *stmt)
{
	struct listing *l = ctx;

	if (l->len >= l->max)
		return RC_LIMIT;
	struct catalogue_audit *a = (struct catalogue_audit *)l->rows + l->len++;
	a->at_ns = sqlite3_column_int64(stmt, 0);
	a->device = sqlite3_column_int64(stmt, 1);
	a->action = column_text(l->arena, stmt, 2);
	a->object = column_text(l->arena, stmt, 3);
	a->n = sqlite3_column_int64(stmt, 4);
	a->who = a->device < 0 ? "operator" : column_text(l->arena, stmt, 5);
	return a->action == NULL || a->object == NULL || a->who == NULL ? RC_NOMEM : RC_OK;
}

#define AUDIT_ROWS(where)                                                                          \
	"SELECT at_ns, device, action, object, n, (SELECT name FROM device WHERE"                  \
	" device.id = audit.device) FROM audit" where " ORDER BY id DESC LIMIT ?"

enum rc catalogue_audit_list(struct catalogue *c, bool cloud, size_t limit, struct arena *arena,
    struct catalogue_audit **out, size_t *len, struct errmsg *why)
{
	struct listing l = { .arena = arena };

	enum rc rc = list(c, "SELECT count(*) FROM audit",
	    cloud ? AUDIT_ROWS(" WHERE action GLOB 'cloud-*'") : AUDIT_ROWS(""),
	    sizeof(struct catalogue_audit), limit, audit_row, &l, why);
	if (rc != RC_OK)
		return rc;
	*out = l.rows;
	*len = l.len;
	return RC_OK;
}

enum rc catalogue_setting_set(
    struct catalogue *c, const char *name, const char *value, struct errmsg *why)
{
	(void)pthread_mutex_lock(&c->mutex);
	enum rc rc =
	    run(c, NULL, why, "INSERT OR REPLACE INTO setting VALUES(?,?)", "tt", name, value);
	(void)pthread_mutex_unlock(&c->mutex);
	return rc;
}

enum rc catalogue_setting_del(struct catalogue *c, const char *name, struct errmsg *why)
{
	(void)pthread_mutex_lock(&c->mutex);
	enum rc rc = run(c, NULL, why, "DELETE FROM setting WHERE name = ?", "t", name);
	(void)pthread_mutex_unlock(&c->mutex);
	return rc;
}

enum rc catalogue_setting_get(struct catalogue *c, const char *name, struct arena *arena,
    const char **out, struct errmsg *why)
{
	sqlite3_stmt *stmt = NULL;

	(void)pthread_mutex_lock(&c->mutex);
	int code =
	    sqlite3_prepare_v2(c->db, "SELECT value FROM setting WHERE name = ?", -1, &stmt, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	enum rc rc = code == SQLITE_DONE ? RC_NOTFOUND : catalogue_rc(c, code, why);
	if (rc == RC_OK) {
		const char *text = column_text(arena, stmt, 0);
		if (text == NULL)
			rc = RC_NOMEM;
		else
			*out = text;
	}
	(void)sqlite3_finalize(stmt);
	(void)pthread_mutex_unlock(&c->mutex);
	return rc;
}
