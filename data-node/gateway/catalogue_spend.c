/* Catalogue: what asking upstreams has cost, by name and local day. */
#include "cloud/spend.h"
#include "gateway/catalogue_internal.h"

#define KEPT_DAYS 20000 /* two years, as dates are written */

const char catalogue_spend_schema[] =
    "CREATE TABLE IF NOT EXISTS spend(upstream TEXT NOT NULL, day INTEGER NOT NULL,"
    " tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL, micros INTEGER NOT NULL,"
    " PRIMARY KEY(upstream, day)) STRICT;";

/* What is put right afterwards is taken off again, and never below nothing. */
static const char add_sql[] =
    "INSERT INTO spend VALUES(?1, ?2, max(0, ?3), max(0, ?4), max(0, ?5))"
    " ON CONFLICT(upstream, day) DO UPDATE SET tokens_in = max(0, tokens_in + ?3),"
    " tokens_out = max(0, tokens_out + ?4), micros = max(0, micros + ?5)";

static int add(struct catalogue *c, const char *name, int32_t day, const struct spend *more)
{
	sqlite3_stmt *stmt = NULL;

	int code = sqlite3_prepare_v2(c->db, add_sql, -1, &stmt, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
	if (code == SQLITE_OK)
		code = sqlite3_bind_int64(stmt, 2, day);
	if (code == SQLITE_OK)
		code = sqlite3_bind_int64(stmt, 3, more->in);
	if (code == SQLITE_OK)
		code = sqlite3_bind_int64(stmt, 4, more->out);
	if (code == SQLITE_OK)
		code = sqlite3_bind_int64(stmt, 5, more->micros);
	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	(void)sqlite3_finalize(stmt);
	return code;
}

static int drop_old(struct catalogue *c, int32_t day)
{
	sqlite3_stmt *stmt = NULL;

	int code = sqlite3_prepare_v2(c->db, "DELETE FROM spend WHERE day < ?", -1, &stmt, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_bind_int64(stmt, 1, day - KEPT_DAYS);
	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	(void)sqlite3_finalize(stmt);
	return code;
}

enum rc catalogue_spend_add(struct catalogue *c, const char *name, int32_t day,
    const struct spend *more, struct errmsg *why)
{
	(void)pthread_mutex_lock(&c->mutex);
	int code = add(c, name, day, more);
	if (code == SQLITE_DONE)
		code = drop_old(c, day);
	enum rc rc = catalogue_rc(c, code, why);
	(void)pthread_mutex_unlock(&c->mutex);
	return rc;
}

enum rc catalogue_spend_sum(struct catalogue *c, const char *name, int32_t first, int32_t last,
    struct spend *out, struct errmsg *why)
{
	sqlite3_stmt *stmt = NULL;

	*out = (struct spend){ 0 };
	(void)pthread_mutex_lock(&c->mutex);
	int code = sqlite3_prepare_v2(c->db,
	    "SELECT sum(tokens_in), sum(tokens_out), sum(micros) FROM spend"
	    " WHERE upstream = ? AND day BETWEEN ? AND ?",
	    -1, &stmt, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
	if (code == SQLITE_OK)
		code = sqlite3_bind_int64(stmt, 2, first);
	if (code == SQLITE_OK)
		code = sqlite3_bind_int64(stmt, 3, last);
	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	if (code == SQLITE_ROW) {
		out->in = sqlite3_column_int64(stmt, 0);
		out->out = sqlite3_column_int64(stmt, 1);
		out->micros = sqlite3_column_int64(stmt, 2);
	}
	enum rc rc = catalogue_rc(c, code, why);
	(void)sqlite3_finalize(stmt);
	(void)pthread_mutex_unlock(&c->mutex);
	return rc;
}
