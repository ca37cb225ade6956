/* Station state: put together, and taken apart. */
#include "gateway/station_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "align/policy_file.h"
#include "base/wipe.h"
#include "gateway/policy_place.h"
#include "gateway/station.h"
#include "os/file.h"

#define PATH_BYTES_MAX 4096
#define WIRE_BYTES_MAX ((size_t)1024)
#define VERSION 2

static const uint8_t magic[7] = { 'H', 'E', 'A', 'R', 'T', 'H', 'S' };
static const char catalogue_alone[] = "SQLite format 3";

static void put32(struct buf *out, size_t number)
{
	for (unsigned i = 4; i-- > 0;)
		buf_putc(out, (char)(number >> (8 * i) & 0xFF));
}

static enum rc wire_read(
    struct station *station, bool lean, uint8_t **out, size_t *len, struct errmsg *why)
{
	char path[PATH_BYTES_MAX];

	*len = 0;
	if (lean)
		return RC_OK;
	(void)snprintf(path, sizeof(path), "%s/wire.key", station_config(station)->dir);
	return file_read(path, WIRE_BYTES_MAX, out, len, why);
}

enum rc station_state(struct station *station, bool lean, struct buf *out, struct errmsg *why)
{
	uint8_t *wire = NULL;
	struct buf policy;
	size_t len = 0;

	buf_init(&policy, POLICY_FILE_BYTES_MAX);
	enum rc rc = wire_read(station, lean, &wire, &len, why);
	if (rc == RC_OK)
		rc = policy_place_text(station_policies(station), &policy);
	if (rc == RC_OK) {
		buf_append(out, magic, sizeof(magic));
		buf_putc(out, VERSION);
		put32(out, len);
		put32(out, policy.len);
		buf_append(out, wire, len);
		buf_append(out, policy.bytes, policy.len);
		rc = buf_rc(out);
	}
	if (wire != NULL)
		wipe(wire, len);
	free(wire);
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
	    (!view.tells_policy || take32(&at, &left, POLICY_FILE_BYTES_MAX, &view.policy_len));
	view.wire = good ? take(&at, &left, view.wire_len) : NULL;
	view.policy = view.wire != NULL ? take(&at, &left, view.policy_len) : NULL;
	if (view.policy == NULL)
		return errmsg_rc(why, RC_CORRUPT, "the state is malformed");
	view.catalogue = at;
	view.catalogue_len = left;
	*out = view;
	return RC_OK;
}
