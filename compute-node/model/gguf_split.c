/*
 * Split files: NAME-00001-of-0000N.gguf and its fellows as one file.  Their
 * numbers stand in their names and in their keys, and all must agree.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/gguf_impl.h"

#define SUFFIX_FORMAT "-%05" PRIu32 "-of-%05" PRIu32 ".gguf" /* counted from 1 */
#define SUFFIX_BYTES 64

/* What a file's keys say of the split it belongs to; count 0: it is whole. */
struct split {
	uint32_t no, count, n_tensors;
	bool has_tensors;
};

static enum rc read_split(const struct gguf *g, struct split *out, struct errmsg *why)
{
	enum rc rc = gguf_get_u32(g, "split.count", &out->count, why);

	if (rc == RC_NOTFOUND || (rc == RC_OK && out->count == 0))
		return RC_OK;
	if (rc == RC_OK)
		rc = gguf_get_u32(g, "split.no", &out->no, why);
	if (rc == RC_NOTFOUND)
		return errmsg_rc(why, RC_INVALID, "GGUF: key split.no is missing");
	if (rc != RC_OK)
		return rc;
	if (out->count > GGUF_PARTS_MAX)
		return errmsg_rc(why, RC_LIMIT, "GGUF: key split.count: %" PRIu32 " (limit %u)",
		    out->count, GGUF_PARTS_MAX);
	if (out->no >= out->count)
		return errmsg_rc(why, RC_INVALID,
		    "GGUF: key split.no: %" PRIu32 " of a split into %" PRIu32, out->no,
		    out->count);
	rc = gguf_get_u32(g, "split.tensors.count", &out->n_tensors, why);
	out->has_tensors = rc == RC_OK;
	return rc == RC_NOTFOUND ? RC_OK : rc;
}

static void suffix_of(uint32_t no, uint32_t count, char out[SUFFIX_BYTES])
{
	(void)snprintf(out, SUFFIX_BYTES, SUFFIX_FORMAT, no + 1, count);
}

/* The first part's path, but with the number of part `no`; the caller frees. */
static enum rc part_path(
    const char *first, uint32_t no, uint32_t count, char **out, struct errmsg *why)
{
	char suffix[SUFFIX_BYTES], wanted[SUFFIX_BYTES];
	size_t len = strlen(first), stem;
	char *path;

	suffix_of(0, count, suffix);
	suffix_of(no, count, wanted);
	if (len < strlen(suffix) || strcmp(first + len - strlen(suffix), suffix) != 0)
		return errmsg_rc(why, RC_INVALID,
		    "GGUF: a split into %" PRIu32 " whose first part's name does not end in %s",
		    count, suffix);
	stem = len - strlen(suffix);
	path = malloc(stem + sizeof(wanted));
	if (path == NULL)
		return RC_NOMEM;
	memcpy(path, first, stem);
	memcpy(path + stem, wanted, sizeof(wanted));
	*out = path;
	return RC_OK;
}

static enum rc check_part(
    const struct gguf *part, const struct split *first, uint32_t no, struct errmsg *why)
{
	struct split split = { 0 };
	enum rc rc = read_split(part, &split, why);

	if (rc != RC_OK)
		return rc;
	if (split.count != first->count || split.no != no)
		return errmsg_rc(why, RC_INVALID,
		    "GGUF: keys split.no %" PRIu32 " and split.count %" PRIu32 ", expected %" PRIu32
		    " and %" PRIu32,
		    split.no, split.count, no, first->count);
	if (split.has_tensors && first->has_tensors && split.n_tensors != first->n_tensors)
		return errmsg_rc(why, RC_INVALID,
		    "GGUF: key split.tensors.count: %" PRIu32 ", %" PRIu32 " in the first part",
		    split.n_tensors, first->n_tensors);
	return RC_OK;
}

/* Open part `no` into its place; `why` names the file. */
static enum rc open_part(struct gguf *g, const char *first_path, const struct split *first,
    uint32_t no, struct errmsg *why)
{
	struct errmsg cause = ERRMSG_INIT;
	char *path = NULL;
	enum rc rc = part_path(first_path, no, first->count, &path, why);

	if (rc != RC_OK)
		return rc;
	rc = gguf_open_one(path, &g->parts[g->parts_len], &cause);
	if (rc == RC_OK) {
		g->parts_len++;
		rc = check_part(g->parts[no - 1], first, no, &cause);
	}
	if (rc != RC_OK)
		errmsg_set(why, "part %" PRIu32 " of %" PRIu32 ": %s", no + 1, first->count,
		    errmsg_text(&cause, rc));
	free(path);
	return rc;
}

/* All parts' tensors as one table. */
static enum rc join_tensors(struct gguf *g, const struct split *first, struct errmsg *why)
{
	size_t n = g->tensors_len;
	struct gguf_tensor *all;

	for (size_t i = 0; i < g->parts_len; i++)
		n += g->parts[i]->tensors_len;
	if (n > GGUF_TENSORS_MAX)
		return errmsg_rc(
		    why, RC_LIMIT, "GGUF: %zu tensors (limit %u)", n, GGUF_TENSORS_MAX);
	if (first->has_tensors && n != first->n_tensors)
		return errmsg_rc(why, RC_INVALID,
		    "GGUF: key split.tensors.count: %" PRIu32 ", the parts hold %zu",
		    first->n_tensors, n);
	all = calloc(n + 1, sizeof(*all));
	if (all == NULL)
		return RC_NOMEM;
	memcpy(all, g->tensors, g->tensors_len * sizeof(*all));
	free(g->tensors);
	g->tensors = all;
	for (size_t i = 0; i < g->parts_len; i++) {
		const struct gguf *part = g->parts[i];

		memcpy(all + g->tensors_len, part->tensors, part->tensors_len * sizeof(*all));
		g->tensors_len += part->tensors_len;
	}
	free(g->tensor_order);
	g->tensor_order = NULL;
	return gguf_index_tensors(g, why);
}

static enum rc open_parts(struct gguf *g, const char *path, struct errmsg *why)
{
	struct split first = { 0 };
	enum rc rc = read_split(g, &first, why);

	if (rc != RC_OK || first.count == 0)
		return rc;
	if (first.no != 0) {
		char suffix[SUFFIX_BYTES];

		suffix_of(0, first.count, suffix);
		return errmsg_rc(why, RC_INVALID,
		    "GGUF: part %" PRIu32 " of %" PRIu32 ": open the first, NAME%s", first.no + 1,
		    first.count, suffix);
	}
	g->parts = calloc(first.count, sizeof(*g->parts));
	if (g->parts == NULL)
		return RC_NOMEM;
	for (uint32_t no = 1; rc == RC_OK && no < first.count; no++)
		rc = open_part(g, path, &first, no, why);
	return rc == RC_OK ? join_tensors(g, &first, why) : rc;
}

enum rc gguf_open(const char *path, struct gguf **out, struct errmsg *why)
{
	struct gguf *g = NULL;
	enum rc rc = gguf_open_one(path, &g, why);

	if (rc == RC_OK)
		rc = open_parts(g, path, why);
	if (rc != RC_OK) {
		gguf_close(g);
		return rc;
	}
	*out = g;
	return RC_OK;
}
