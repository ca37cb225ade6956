/* Import: cut a file into batches of whole lines and feed them to a sink. */
#include "ingest/import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "ingest/ingest_internal.h"

#define READ_BYTES ((size_t)256 << 10)
#define BATCH_ARENA_BYTES ((size_t)4 << 20)

struct import {
	const struct import_source *source;
	struct arena *arena;
	struct ingest_report *out;
	struct import_progress progress;
	struct buf batch; /* whole lines */
	size_t batch_events;
	uint64_t events; /* of the file, before the batch */
	struct buf line; /* the line being read */
	bool overlong;   /* it is beyond the limit: the rest is skipped */
	bool found_json; /* a batch before this one held some */
	int fd;
};

static enum rc error_add(struct import *im, struct ingest_error error, uint64_t base)
{
	struct ingest_report *out = im->out;

	if (out->errors_len >= INGEST_ERRORS_MAX)
		return RC_OK;
	if (out->errors == NULL)
		out->errors = arena_array(im->arena, INGEST_ERRORS_MAX, sizeof(out->errors[0]));
	if (out->errors == NULL)
		return RC_NOMEM;
	error.index += base;
	out->errors[out->errors_len++] = error;
	return RC_OK;
}

static enum rc report_add(struct import *im, const struct ingest_report *r)
{
	im->out->accepted += r->accepted;
	im->out->duplicate += r->duplicate;
	im->out->rejected += r->rejected;
	if (r->cursor > im->out->cursor)
		im->out->cursor = r->cursor;
	for (size_t i = 0; i < r->errors_len; i++) {
		enum rc rc = error_add(im, r->errors[i], im->events);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

/* A batch of which nothing was JSON: bad lines, if the file is of events. */
static enum rc batch_bad(struct import *im)
{
	enum rc rc = RC_OK;

	im->out->rejected += im->batch_events;
	for (size_t i = 0; i < im->batch_events && rc == RC_OK; i++) {
		struct ingest_error error = { .index = i, .text = "is not valid JSON" };
		rc = error_add(im, error, im->events);
	}
	return rc;
}

static enum rc batch_flush(struct import *im, struct errmsg *why)
{
	struct ingest_report report = { 0 };
	struct errmsg detail = ERRMSG_INIT;
	struct arena arena;

	if (im->batch.len == 0)
		return RC_OK;
	arena_init(&arena, BATCH_ARENA_BYTES);
	enum rc rc = im->source->sink(
	    im->source->sink_ctx, buf_text(&im->batch), im->batch.len, &arena, &report, &detail);
	if (rc == RC_OK) {
		rc = report_add(im, &report);
		im->found_json = true;
	} else if (rc == RC_INVALID && im->found_json) {
		rc = batch_bad(im);
	}
	arena_fini(&arena);
	if (rc != RC_OK)
		return errmsg_rc(why, rc, "%s", errmsg_text(&detail, rc));
	im->events += im->batch_events;
	im->batch_events = 0;
	buf_reset(&im->batch);
	im->progress.accepted = im->out->accepted;
	im->progress.duplicate = im->out->duplicate;
	im->progress.rejected = im->out->rejected;
	if (im->source->progress != NULL &&
	    !im->source->progress(im->source->progress_ctx, &im->progress))
		return errmsg_rc(why, RC_CANCELLED, "stopped; what was stored stays");
	return RC_OK;
}

static enum rc line_overlong(struct import *im, struct errmsg *why)
{
	struct ingest_error error = { 0 };

	(void)snprintf(
	    error.text, sizeof(error.text), "is larger than %zu bytes", INGEST_EVENT_BYTES_MAX);
	enum rc rc = batch_flush(im, why); /* so that the index is right */
	if (rc == RC_OK)
		rc = error_add(im, error, im->events);
	im->out->rejected++;
	im->events++;
	return rc;
}

static enum rc line_end(struct import *im, struct errmsg *why)
{
	const char *text = buf_text(&im->line);
	size_t len = im->line.len;
	enum rc rc = RC_OK;

	if (im->overlong) {
		rc = line_overlong(im, why);
	} else if (ingest_json_blank(text, len) < len) {
		if (im->batch.len + len + 1 > IMPORT_BATCH_BYTES)
			rc = batch_flush(im, why);
		buf_append(&im->batch, text, len);
		buf_putc(&im->batch, '\n');
		im->batch_events++;
		if (rc == RC_OK)
			rc = buf_rc(&im->batch);
		if (rc == RC_OK && im->batch_events >= IMPORT_BATCH_EVENTS)
			rc = batch_flush(im, why);
	}
	buf_reset(&im->line);
	im->overlong = false;
	return rc;
}

static enum rc lines_feed(struct import *im, const char *bytes, size_t len, struct errmsg *why)
{
	while (len > 0) {
		const char *end = memchr(bytes, '\n', len);
		size_t n = end == NULL ? len : (size_t)(end - bytes);
		if (im->overlong || im->line.len + n > INGEST_EVENT_BYTES_MAX)
			im->overlong = true;
		else
			buf_append(&im->line, bytes, n);
		enum rc rc = buf_rc(&im->line);
		if (rc == RC_OK && end != NULL)
			rc = line_end(im, why);
		if (rc != RC_OK)
			return rc;
		size_t step = end == NULL ? n : n + 1;
		bytes += step;
		len -= step;
	}
	return RC_OK;
}

/* Up to `len` bytes; *got < len only at the end of the file. */
static enum rc read_some(
    struct import *im, char *bytes, size_t len, size_t *got, struct errmsg *why)
{
	*got = 0;
	while (*got < len) {
		ssize_t n = read(im->fd, bytes + *got, len - *got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errmsg_errno(why, "cannot read %s", im->source->path);
		if (n == 0)
			break;
		*got += (size_t)n;
	}
	im->progress.bytes_done += *got;
	return RC_OK;
}

/* An array is one body: all of it, then one batch. */
static enum rc read_array(struct import *im, char *bytes, size_t got, struct errmsg *why)
{
	struct buf body;

	buf_init(&body, INGEST_BODY_BYTES_MAX);
	buf_append(&body, bytes, got);
	enum rc rc = RC_OK;
	while (rc == RC_OK && got == READ_BYTES && buf_rc(&body) == RC_OK) {
		rc = read_some(im, bytes, READ_BYTES, &got, why);
		if (rc == RC_OK)
			buf_append(&body, bytes, got);
	}
	if (rc == RC_OK && buf_rc(&body) == RC_LIMIT)
		rc = errmsg_rc(why, RC_LIMIT,
		    "%s: a JSON array of more than %zu bytes: write one event a line instead",
		    im->source->path, INGEST_BODY_BYTES_MAX);
	else if (rc == RC_OK)
		rc = buf_rc(&body);
	if (rc == RC_OK) {
		buf_fini(&im->batch);
		im->batch = body;
		buf_init(&body, 0);
		rc = batch_flush(im, why);
	}
	buf_fini(&body);
	return rc;
}

static enum rc read_file(struct import *im, struct errmsg *why)
{
	size_t got = 0;

	char *bytes = arena_alloc(im->arena, READ_BYTES);
	if (bytes == NULL)
		return RC_NOMEM;
	enum rc rc = read_some(im, bytes, READ_BYTES, &got, why);
	size_t start = got >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
	start += ingest_json_blank(bytes + start, got - start);
	if (rc == RC_OK && start < got && bytes[start] == '[')
		return read_array(im, bytes, got, why);
	while (rc == RC_OK) {
		rc = lines_feed(im, bytes + start, got - start, why);
		if (rc != RC_OK || got < READ_BYTES)
			break;
		start = 0;
		rc = read_some(im, bytes, READ_BYTES, &got, why);
	}
	if (rc == RC_OK)
		rc = line_end(im, why);
	if (rc == RC_OK)
		rc = batch_flush(im, why);
	return rc;
}

enum rc import_file(const struct import_source *source, struct arena *arena,
    struct ingest_report *out, struct errmsg *why)
{
	struct import im = { .source = source, .arena = arena, .out = out };
	struct stat st;

	*out = (struct ingest_report){ 0 };
	bool standard = strcmp(source->path, "-") == 0;
	im.fd = standard ? STDIN_FILENO : open(source->path, O_RDONLY | O_CLOEXEC);
	if (im.fd < 0)
		return errmsg_errno(why, "cannot open %s", source->path);
	if (fstat(im.fd, &st) == 0 && S_ISREG(st.st_mode))
		im.progress.bytes_total = (uint64_t)st.st_size;
	buf_init(&im.batch, IMPORT_BATCH_BYTES + INGEST_EVENT_BYTES_MAX);
	buf_init(&im.line, INGEST_EVENT_BYTES_MAX);
	enum rc rc = read_file(&im, why);
	buf_fini(&im.batch);
	buf_fini(&im.line);
	if (!standard)
		(void)close(im.fd);
	return rc;
}

enum rc import_to_store(void *ctx, const char *body, size_t len, struct arena *arena,
    struct ingest_report *report, struct errmsg *why)
{
	struct ingest_context now = *(const struct ingest_context *)ctx;

	now.recv_utc_ns = clock_utc_ns();
	now.recv_mono_ns = clock_mono_ns();
	return ingest_body(&now, body, len, arena, report, why);
}
