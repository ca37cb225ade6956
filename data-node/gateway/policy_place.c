/* Policy place: the file, and the policies that were in force since it was opened. */
#include "gateway/policy_place.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "align/policy_file.h"
#include "os/file.h"

#define PATH_BYTES_MAX 4096

struct kept {
	struct policy policy;
	bool built_in;
	struct kept *before; /* requests may still read it */
};

struct policy_place {
	char dir[PATH_BYTES_MAX];
	_Atomic(struct kept *) now;
};

static enum rc path_of(const char *dir, char out[PATH_BYTES_MAX], struct errmsg *why)
{
	return snprintf(out, PATH_BYTES_MAX, "%s/" POLICY_FILE_NAME, dir) >= PATH_BYTES_MAX
		   ? errmsg_rc(why, RC_LIMIT, "path too long")
		   : RC_OK;
}

enum rc policy_place_open(const char *dir, struct policy_place **out, struct errmsg *why)
{
	struct policy_place *place = calloc(1, sizeof(*place));
	struct kept *kept = calloc(1, sizeof(*kept));
	char path[PATH_BYTES_MAX];
	enum rc rc = place == NULL || kept == NULL ? RC_NOMEM : path_of(dir, path, why);

	if (rc == RC_OK) {
		(void)snprintf(place->dir, sizeof(place->dir), "%s", dir);
		kept->built_in = !file_exists(path);
		rc = policy_load(dir, &kept->policy, why);
	}
	if (rc != RC_OK) {
		free(kept);
		free(place);
		return rc;
	}
	atomic_init(&place->now, kept);
	*out = place;
	return RC_OK;
}

void policy_place_close(struct policy_place *place)
{
	if (place == NULL)
		return;
	for (struct kept *kept = atomic_load(&place->now), *before = NULL; kept != NULL;
	     kept = before) {
		before = kept->before;
		free(kept);
	}
	free(place);
}

const struct policy *policy_place_now(const struct policy_place *place)
{
	return &atomic_load(&place->now)->policy;
}

enum rc policy_place_text(const struct policy_place *place, struct buf *out)
{
	const struct kept *now = atomic_load(&place->now);

	if (!now->built_in)
		policy_print(&now->policy, out);
	return buf_rc(out);
}

enum rc policy_place_put(const char *dir, const uint8_t *text, size_t len, struct errmsg *why)
{
	char path[PATH_BYTES_MAX];

	enum rc rc = path_of(dir, path, why);
	if (rc != RC_OK || len > 0)
		return rc == RC_OK ? file_write_atomic(path, 0600, text, len, why) : rc;
	if (unlink(path) != 0)
		return errno == ENOENT ? RC_OK : errmsg_errno(why, "cannot remove %s", path);
	return file_sync_dir(dir, why);
}

static bool same(const struct kept *a, const struct kept *b)
{
	uint8_t hash_a[POLICY_HASH_BYTES], hash_b[POLICY_HASH_BYTES];

	policy_hash(&a->policy, hash_a);
	policy_hash(&b->policy, hash_b);
	return a->built_in == b->built_in && memcmp(hash_a, hash_b, sizeof(hash_a)) == 0;
}

enum rc policy_place_adopt(
    struct policy_place *place, const uint8_t *text, size_t len, struct errmsg *why)
{
	struct kept *kept = calloc(1, sizeof(*kept)), *now = atomic_load(&place->now);

	if (kept == NULL)
		return RC_NOMEM;
	kept->built_in = len == 0;
	kept->policy = *policy_default();
	enum rc rc = len == 0 ? RC_OK : policy_parse((const char *)text, len, &kept->policy, why);
	if (rc == RC_OK && same(kept, now)) {
		free(kept);
		return RC_OK;
	}
	if (rc == RC_OK)
		rc = policy_place_put(place->dir, text, len, why);
	if (rc != RC_OK) {
		free(kept);
		return rc;
	}
	kept->before = now;
	atomic_store(&place->now, kept);
	return RC_OK;
}
