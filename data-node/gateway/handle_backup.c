/* /control/backup and /control/verify: long work of the operator, as jobs. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "align/episode.h"
#include "align/home.h"
#include "base/clock.h"
#include "base/timestamp.h"
#include "gateway/catalogue.h"
#include "gateway/handlers.h"
#include "gateway/job.h"
#include "gateway/query.h"
#include "gateway/station_copy.h"
#include "store/keyring.h"
#include "store/store.h"

#define BODY_BYTES_MAX ((size_t)64 << 10)

/* What a job is about; freed with it. */
struct task {
	char path[BACKUP_PATH_BYTES_MAX + 1]; /* "": none */
};

/* The member `name` of the body, copied; false and a 400 if it is amiss. */
static bool read_path(const struct api_request *request, const char *name, bool needed,
    struct task *task, struct api_response *response)
{
	json_t *root = request->body_len > BODY_BYTES_MAX
			   ? NULL
			   : json_loadb(request->body != NULL ? request->body : "",
				 request->body_len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *member = json_object_get(root, name);
	const char *text = json_string_value(member);
	bool ok = json_is_object(root) && (member != NULL ? text != NULL : !needed) &&
		  (text == NULL || (text[0] == '/' && strlen(text) <= BACKUP_PATH_BYTES_MAX));

	if (ok && text != NULL)
		memcpy(task->path, text, strlen(text) + 1);
	json_decref(root);
	if (!ok)
		query_error(response, name, "must be a whole path, of at most 3072 bytes");
	return ok;
}

static struct task *task_new(struct api_response *response)
{
	struct task *task = calloc(1, sizeof(*task));

	if (task == NULL)
		api_error_rc(response, RC_NOMEM, NULL, NULL);
	return task;
}

static void audit(struct station *station, const char *action, int64_t n)
{
	struct catalogue_audit line = {
		.at_ns = clock_utc_ns(), .device = -1, .action = action, .object = "", .n = n
	};

	enum rc ignored = catalogue_audit_add(station_catalogue(station), &line, NULL);
	(void)ignored;
}

/* ---- backup --------------------------------------------------------------------------- */

static enum rc work_backup(struct job *job, void *ctx, struct buf *result, struct errmsg *why)
{
	struct station *station = job_station(job);
	const struct task *task = ctx;
	struct backup_result out = { 0 };

	enum rc rc = station_backup(station, task->path, job_progress, job, &out, why);
	if (rc != RC_OK)
		return rc;
	audit(station, "backup", (int64_t)out.records);
	buf_printf(result,
	    "{\"base\":%s,\"cursor\":%" PRIu64 ",\"records\":%" PRIu64 ",\"bytes_written\":%" PRIu64
	    ",\"bytes\":%" PRIu64 ",\"files\":%" PRIu64 "}\n",
	    out.base ? "true" : "false", out.cursor, out.records, out.bytes_written, out.bytes,
	    out.files);
	return RC_OK;
}

void handle_control_backup_post(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct task *task = task_new(response);

	(void)arena;
	if (task == NULL)
		return;
	if (read_path(request, "dest", true, task, response))
		job_start(station, response, work_backup, task);
	else
		free(task);
}

void handle_control_backup_delete(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	const char *path = api_param(request, "dest");
	struct errmsg why = ERRMSG_INIT;

	(void)arena;
	enum rc rc = path == NULL ? errmsg_rc(&why, RC_NOTFOUND, "dest: which one?")
				  : catalogue_backup_remove(station_catalogue(station), path, &why);
	if (rc != RC_OK) {
		api_error_rc(response, rc, "dest", &why);
		return;
	}
	audit(station, "backup-remove", 1);
	buf_puts(&response->body, "{}\n");
}

static void put_time(struct buf *out, const char *name, int64_t ns)
{
	char text[TIMESTAMP_TEXT_BYTES];

	timestamp_format(ns, text);
	if (ns == 0)
		buf_printf(out, "\"%s\":null", name);
	else
		buf_printf(out, "\"%s\":\"%s\"", name, text);
}

enum rc handle_backups_json(
    struct station *station, struct arena *arena, struct buf *out, struct errmsg *why)
{
	struct catalogue_backup *rows = NULL;
	size_t len = 0;

	enum rc rc = catalogue_backup_list(station_catalogue(station), arena, &rows, &len, why);
	buf_puts(out, ",\"backups\":[");
	for (size_t i = 0; i < len && rc == RC_OK; i++) {
		buf_puts(out, i > 0 ? ",{\"path\":" : "{\"path\":");
		buf_json_string(out, rows[i].path, strlen(rows[i].path));
		buf_putc(out, ',');
		put_time(out, "made", rows[i].made_ns);
		buf_putc(out, ',');
		put_time(out, "tried", rows[i].tried_ns);
		buf_printf(out,
		    ",\"cursor\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"error\":", rows[i].cursor,
		    rows[i].bytes);
		buf_json_string(out, rows[i].error, strlen(rows[i].error));
		buf_putc(out, '}');
	}
	buf_putc(out, ']');
	return rc;
}

/* ---- verify ------------------------------------------------------------------------------ */

struct faults {
	struct buf *out;
	size_t n;
};

static void report_fault(void *ctx, const char *fault)
{
	struct faults *f = ctx;

	if (f->n++ >= STORE_FAULTS_MAX)
		return;
	if (f->n > 1)
		buf_putc(f->out, ',');
	buf_json_string(f->out, fault, strlen(fault));
}

/* What the aligner keeps, against what it was made of. */
static enum rc verify_kept(
    struct station *station, struct faults *faults, struct store_verified *v, struct errmsg *why)
{
	struct store *store = station_store(station);
	const struct policy *policy = station_policy(station);

	enum rc rc = home_verify(store, policy, report_fault, faults, &v->faults, why);
	return rc == RC_OK ? episode_verify(store, policy, report_fault, faults, &v->faults, why)
			   : rc;
}

static enum rc verify_station(
    struct job *job, struct faults *faults, struct store_verified *v, struct errmsg *why)
{
	struct station *station = job_station(job);
	struct errmsg deep = ERRMSG_INIT;

	enum rc rc = store_verify(station_store(station), report_fault, faults, v, why);
	if (rc != RC_OK && rc != RC_CORRUPT)
		return rc;
	if (rc == RC_CORRUPT && v->faults == 0)
		v->faults = 1;
	/* Where the log or its indexes are broken, these would only repeat it. */
	rc = v->faults == 0 ? verify_kept(station, faults, v, why) : RC_OK;
	if (rc != RC_OK)
		return rc;
	enum rc catalogue = catalogue_verify(station_catalogue(station), &deep);
	if (catalogue != RC_OK) {
		report_fault(faults, errmsg_text(&deep, catalogue));
		v->faults++;
	}
	errmsg_reset(&deep);
	rc = keyring_verify(station_keyring(station), &deep);
	if (rc != RC_OK) {
		report_fault(faults, errmsg_text(&deep, rc));
		v->faults++;
	}
	return RC_OK;
}

static enum rc verify_backup(struct job *job, const char *dest, struct faults *faults,
    struct backup_checked *out, struct errmsg *why)
{
	struct backup_check check = { .dest = dest,
		.keyring = station_keyring(job_station(job)),
		.report = report_fault,
		.report_ctx = faults,
		.progress = job_progress,
		.ctx = job };

	enum rc rc = backup_verify(&check, out, why);
	return rc == RC_CORRUPT ? RC_OK : rc;
}

static enum rc work_verify(struct job *job, void *ctx, struct buf *result, struct errmsg *why)
{
	struct faults faults = { .out = result };
	struct backup_checked checked = { 0 };
	struct store_verified v = { 0 };
	const struct task *task = ctx;

	buf_puts(result, "{\"messages\":[");
	enum rc rc = task->path[0] == '\0' ? verify_station(job, &faults, &v, why)
					   : verify_backup(job, task->path, &faults, &checked, why);
	if (rc != RC_OK)
		return rc;
	buf_printf(result,
	    "],\"records\":%" PRIu64 ",\"time_entries\":%" PRIu64 ",\"dedup_entries\":%" PRIu64
	    ",\"files\":%" PRIu64 ",\"faults\":%" PRIu64 "}\n",
	    v.records + checked.records, v.time_entries, v.dedup_entries, checked.files,
	    v.faults + checked.faults);
	return RC_OK;
}

void handle_control_verify_post(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct task *task = task_new(response);

	(void)arena;
	if (task == NULL)
		return;
	if (read_path(request, "backup", false, task, response))
		job_start(station, response, work_verify, task);
	else
		free(task);
}
