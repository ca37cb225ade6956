/* Station state: put together, and taken apart. */
#include "gateway/station_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "align/policy_file.h"
#include "base/wipe.h"
#include "cloud/cloud_policy.h"
#include "gateway/policy_place.h"
#include "gateway/station.h"
#include "gateway/tls.h"
#include "os/file.h"

#define PATH_BYTES_MAX 4096
#define WIRE_BYTES_MAX ((size_t)1024)
#define VERSION 4
#define VERSION_LEAN 2 /* without what came later; followers may be older */

static const uint8_t magic[7] = { 'H', 'E', 'A', 'R', 'T', 'H', 'S' };
static const char catalogue_alone[] = "SQLite format 3";

static void put32(struct buf *out, size_t number)
{
	for (unsigned i = 4; i-- > 0;)
		buf_putc(out, (char)(number >> (8 * i) & 0xFF));
}

/* A file of the directory, one that holds a key for instance. */
struct key_file {
	uint8_t *bytes;
	size_t len;
};

static enum rc key_read(
    struct station *station, const char *name, size_t max, struct key_file *out, struct errmsg *why)
{
	char path[PATH_BYTES_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", station_config(station)->dir, name);
	return file_read(path, max, &out->bytes, &out->len, why);
}

static void key_drop(struct key_file *key)
{
	if (key->bytes != NULL)
		wipe(key->bytes, key->len);
	free(key->bytes);
}

/* One that need not be there. */
static enum rc key_read_any(
    struct station *station, const char *name, size_t max, struct key_file *out, struct errmsg *why)
{
	enum rc rc = key_read(station, name, max, out, why);

	if (rc != RC_NOTFOUND)
		return rc;
	errmsg_reset(why);
	return RC_OK;
}

/* A directory that never served beyond loopback may have no TLS key yet. */
static enum rc files_read(struct station *station, struct key_file *wire, struct key_file *tls,
    struct key_file *cloud, struct errmsg *why)
{
	enum rc rc = key_read(station, "wire.key", WIRE_BYTES_MAX, wire, why);

	if (rc == RC_OK)
		rc = key_read_any(station, "tls.key", TLS_FILE_BYTES_MAX, tls, why);
	if (rc == RC_OK)
		rc = key_read_any(
		    station, CLOUD_POLICY_FILE_NAME, CLOUD_POLICY_BYTES_MAX, cloud, why);
	return rc;
}

enum rc station_state(struct station *station, bool lean, struct buf *out, struct errmsg *why)
{
	struct key_file wire = { 0 }, tls = { 0 }, cloud = { 0 };
	struct buf policy;

	buf_init(&policy, POLICY_FILE_BYTES_MAX);
	enum rc rc = lean ? RC_OK : files_read(station, &wire, &tls, &cloud, why);
	if (rc == RC_OK)
		rc = policy_place_text(station_policies(station), &policy);
	if (rc == RC_OK) {
		buf_append(out, magic, sizeof(magic));
		buf_putc(out, lean ? VERSION_LEAN : VERSION);
		put32(out, wire.len);
		put32(out, policy.len);
		if (!lean) {
			put32(out, tls.len);
			put32(out, cloud.len);
		}
		buf_append(out, wire.bytes, wire.len);
		buf_append(out, policy.bytes, policy.len);
		buf_append(out, tls.bytes, tls.len);
		buf_append(out, cloud.bytes, cloud.len);
		rc = buf_rc(out);
	}
	key_drop(&wire);
	key_drop(&tls);
	key_drop(&cloud);
	buf_fini(&policy);
	return rc == RC_OK ? catalogue_copy(station_catalogue(station), lean, out, why) : rc;
}

/* The first `n` bytes of what is left. */
static const uint8_t *take(const uint8_t **at, size_t *left, size_t n)
{
	const uint8_t *bytes = *at;

	if (n > *left)
		return NULL;
	*at += n;
	*left -= n;
	return bytes;
}

static bool take32(const uint8_t **at, size_t *left, size_t max, size_t *out)
{
	const uint8_t *bytes = take(at, left, 4);

	if (bytes == NULL)
		return false;
	*out = (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
	return *out <= max;
}

enum rc station_state_parse(
    const uint8_t *bytes, size_t len, struct station_state_view *out, struct errmsg *why)
{
	struct station_state_view view = { .catalogue = bytes, .catalogue_len = len };

	if (len >= sizeof(catalogue_alone) &&
	    memcmp(bytes, catalogue_alone, sizeof(catalogue_alone)) == 0) {
		*out = view;
		return RC_OK;
	}
	if (len < sizeof(magic) + 1 || memcmp(bytes, magic, sizeof(magic)) != 0)
		return errmsg_rc(why, RC_CORRUPT, "the state is malformed");
	unsigned version = bytes[sizeof(magic)];
	if (version < 1 || version > VERSION)
		return errmsg_rc(why, RC_UNSUPPORTED, "the state is of a newer program");
	const uint8_t *at = bytes + sizeof(magic) + 1;
	size_t left = len - sizeof(magic) - 1;
	view.tells_policy = version >= 2;
	bool good =
	    take32(&at, &left, WIRE_BYTES_MAX, &view.wire_len) &&
	    (!view.tells_policy || take32(&at, &left, POLICY_FILE_BYTES_MAX, &view.policy_len)) &&
	    (version < 3 || take32(&at, &left, TLS_FILE_BYTES_MAX, &view.tls_len)) &&
	    (version < 4 || take32(&at, &left, CLOUD_POLICY_BYTES_MAX, &view.cloud_len));
	view.wire = good ? take(&at, &left, view.wire_len) : NULL;
	view.policy = view.wire != NULL ? take(&at, &left, view.policy_len) : NULL;
	view.tls = view.policy != NULL ? take(&at, &left, view.tls_len) : NULL;
	view.cloud = view.tls != NULL ? take(&at, &left, view.cloud_len) : NULL;
	if (view.cloud == NULL)
		return errmsg_rc(why, RC_CORRUPT, "the state is malformed");
	view.catalogue = at;
	view.catalogue_len = left;
	*out = view;
	return RC_OK;
}
