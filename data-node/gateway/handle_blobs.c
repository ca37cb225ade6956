/*
 * POST /api/v1/blobs and GET /api/v1/blobs/ID: photos, recordings, documents.
 *
 * A body is sealed piece by piece as it comes in, so its size is no memory.
 * What was sent is on disk when the answer says so; an event refers to it by
 * its id.  A download is a pull stream, whole or one range of bytes.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "gateway/handlers.h"
#include "gateway/query.h"
#include "gateway/station.h"
#include "store/store_blob.h"

#define ROOM_STEP_BYTES ((uint64_t)4 << 20) /* room is looked for again so often */
#define SWEEP_EVERY_NS NS_PER_HOUR

/* ---- in ------------------------------------------------------------------------- */

struct upload {
	struct store *store;
	struct blob_writer *writer;
	uint64_t room_bytes; /* that there was room for */
};

static enum rc upload_begin(
    struct station *station, uint64_t announced_bytes, void **out, struct errmsg *why)
{
	struct upload *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return RC_NOMEM;
	u->store = station_store(station);
	u->room_bytes = announced_bytes > 0 ? announced_bytes : ROOM_STEP_BYTES;
	enum rc rc = store_blob_room(u->store, u->room_bytes, why);
	if (rc == RC_OK)
		rc = blob_write_open(store_blobs(u->store), &u->writer, why);
	if (rc != RC_OK) {
		free(u);
		return rc;
	}
	*out = u;
	return RC_OK;
}

static enum rc upload_put(void *upload, const char *bytes, size_t len, struct errmsg *why)
{
	struct upload *u = upload;

	if (blob_write_bytes(u->writer) + len > u->room_bytes) {
		u->room_bytes += len > ROOM_STEP_BYTES ? len : ROOM_STEP_BYTES;
		enum rc rc = store_blob_room(u->store, ROOM_STEP_BYTES, why);
		if (rc != RC_OK)
			return rc;
	}
	return blob_write(u->writer, bytes, len, why);
}

static void upload_end(void *upload)
{
	struct upload *u = upload;

	blob_write_close(u->writer);
	free(u);
}

const struct api_sink handle_blobs_sink = { upload_begin, upload_put, upload_end, BLOB_BYTES_MAX };

/* Now and then: what was sent and then never referred to. */
static void sweep_when_due(struct store *store)
{
	static _Atomic int64_t last_ns;
	int64_t last = atomic_load(&last_ns), now = clock_mono_ns();
	struct errmsg why = ERRMSG_INIT;
	uint64_t swept = 0;

	if ((last != 0 && now - last < SWEEP_EVERY_NS) ||
	    !atomic_compare_exchange_strong(&last_ns, &last, now))
		return;
	enum rc rc = store_blob_sweep(store, STORE_BLOB_GRACE_S, &swept, &why);
	if (rc != RC_OK)
		log_warn("BLOB-SWEEP", "error=%s", errmsg_text(&why, rc));
	else if (swept > 0)
		log_info("BLOB-SWEEP", "removed=%" PRIu64, swept);
}

static void upload_finish(struct upload *u, struct api_response *response)
{
	char text[2 * BLOB_ID_BYTES + 1];
	struct errmsg why = ERRMSG_INIT;
	uint8_t id[BLOB_ID_BYTES];
	uint64_t bytes = blob_write_bytes(u->writer);

	if (bytes == 0) {
		query_error(response, "body", "is empty");
		return;
	}
	enum rc rc = blob_write_finish(u->writer, id, &why);
	if (rc != RC_OK) {
		api_error_rc(response, rc, NULL, &why);
		return;
	}
	store_blob_added(u->store, bytes);
	hex_encode(id, sizeof(id), text);
	buf_printf(&response->body, "{\"blob\":\"%s\",\"bytes\":%" PRIu64 "}\n", text, bytes);
	sweep_when_due(u->store);
}

void handle_blobs_post(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct errmsg why = ERRMSG_INIT;
	void *upload = NULL;

	(void)arena;
	if (request->upload != NULL) {
		upload_finish(request->upload, response);
		return;
	}
	/* A transport that keeps bodies whole. */
	enum rc rc = upload_begin(station, request->body_len, &upload, &why);
	if (rc == RC_OK)
		rc = upload_put(upload, request->body, request->body_len, &why);
	if (rc == RC_OK)
		upload_finish(upload, response);
	else
		api_error_rc(response, rc, NULL, &why);
	if (upload != NULL)
		upload_end(upload);
}

/* ---- out -------------------------------------------------------------------------- */

struct download {
	struct blob_reader *reader;
	uint64_t at, end;
	uint64_t request_id;
};

static long pull(void *ctx, char *out, size_t max)
{
	struct download *d = ctx;
	struct errmsg why = ERRMSG_INIT;
	size_t got = 0;

	if (d->at == d->end)
		return API_PULL_END;
	if (max > d->end - d->at)
		max = (size_t)(d->end - d->at);
	enum rc rc = blob_read(d->reader, d->at, out, max, &got, &why);
	if (rc != RC_OK) {
		log_error("BLOB-DAMAGED", "request=%016" PRIx64 " error=%s", d->request_id,
		    errmsg_text(&why, rc));
		return API_PULL_FAIL;
	}
	d->at += got;
	return (long)got;
}

static void pull_free(void *ctx)
{
	struct download *d = ctx;

	blob_close(d->reader);
	free(d);
}

/* Digits into *value; how many there were, 0 also if they are too many. */
static size_t digits(const char *text, uint64_t *value)
{
	size_t n = 0;

	*value = 0;
	for (; text[n] >= '0' && text[n] <= '9'; n++)
		*value = *value * 10 + (uint64_t)(text[n] - '0');
	return n > 18 ? 0 : n;
}

enum range { RANGE_NONE, RANGE_PART, RANGE_BEYOND };

/* "bytes=A-B", "bytes=A-" or "bytes=-N" of `bytes`; anything else is as if it
 * were not there, as RFC 9110 has it. */
static enum range range_read(const char *text, uint64_t bytes, uint64_t *from, uint64_t *end)
{
	uint64_t first, last = 0;

	if (text == NULL || strncmp(text, "bytes=", 6) != 0)
		return RANGE_NONE;
	text += 6;
	size_t n = digits(text, &first);
	if (text[n] != '-')
		return RANGE_NONE;
	size_t m = digits(text + n + 1, &last);
	if (text[n + 1 + m] != '\0' || (n == 0 && m == 0) || (n > 0 && m > 0 && last < first))
		return RANGE_NONE;
	if (n == 0 ? last == 0 : first >= bytes)
		return RANGE_BEYOND;
	*from = n > 0 ? first : last < bytes ? bytes - last : 0;
	*end = n > 0 && m > 0 && last < bytes ? last + 1 : bytes;
	return RANGE_PART;
}

static void put_range(const char *range, uint64_t bytes, struct download *d, struct arena *arena,
    struct api_response *response)
{
	enum range kind = range_read(range, bytes, &d->at, &d->end);

	if (kind == RANGE_BEYOND) {
		api_error(response, 416, "invalid_request_error", "range_not_satisfiable", "Range",
		    "the range begins behind the end");
		api_header(
		    response, "Content-Range", arena_printf(arena, "bytes */%" PRIu64, bytes));
		return;
	}
	response->content_type = "application/octet-stream";
	api_header(response, "Accept-Ranges", "bytes");
	api_header(response, "X-Content-Type-Options", "nosniff");
	if (kind == RANGE_PART) {
		response->status = 206;
		api_header(response, "Content-Range",
		    arena_printf(
			arena, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, d->at, d->end - 1, bytes));
	}
	response->pull = pull;
	response->pull_ctx = d;
	response->pull_free = pull_free;
	response->pull_bytes = d->end - d->at;
}

void handle_blobs_get(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	const char *text = strrchr(request->path, '/');
	struct errmsg why = ERRMSG_INIT;
	uint8_t id[BLOB_ID_BYTES];

	enum rc rc = text == NULL ? RC_INVALID : hex_decode(text + 1, id, sizeof(id));
	if (rc != RC_OK) {
		api_error_rc(response, RC_NOTFOUND, NULL, &why);
		return;
	}
	struct download *d = calloc(1, sizeof(*d));
	rc = d == NULL ? RC_NOMEM
		       : blob_open(store_blobs(station_store(station)), id, &d->reader, &why);
	if (rc != RC_OK) {
		free(d);
		api_error_rc(response, rc, NULL, &why);
		return;
	}
	d->request_id = request->request_id;
	d->end = blob_bytes(d->reader);
	put_range(request->range, d->end, d, arena, response);
	if (response->pull == NULL)
		pull_free(d);
}
