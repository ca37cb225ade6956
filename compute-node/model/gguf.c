/*
 * GGUF parsing: one pass over header, pairs and tensor table with a cursor
 * that cannot leave the bytes it was given.
 */
#include "model/gguf.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/gguf_impl.h"

#define MAGIC "GGUF"
#define ALIGNMENT_DEFAULT 32u
/* The least a pair and a tensor entry can take, to bound counts by the file. */
#define PAIR_BYTES_MIN (8 + 4 + 1)
#define TENSOR_BYTES_MIN (8 + 4 + 8 + 4 + 8)

struct cursor {
	const uint8_t *at, *end;
};

static bool take(struct cursor *c, void *out, size_t len)
{
	if ((size_t)(c->end - c->at) < len)
		return false;
	memcpy(out, c->at, len);
	c->at += len;
	return true;
}

static enum rc cut_off(const struct gguf *g, const struct cursor *c, struct errmsg *why)
{
	return errmsg_rc(why, RC_INVALID, "GGUF: file ends inside its header (at byte %zu of %zu)",
	    (size_t)(c->at - g->bytes), g->len);
}

static size_t scalar_bytes(uint32_t type)
{
	static const uint8_t bytes[] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };

	return type < sizeof(bytes) ? bytes[type] : 0;
}

static enum rc take_string(struct gguf *g, struct cursor *c, uint64_t len_max, const char *what,
    struct gguf_string_view *out, struct errmsg *why)
{
	uint64_t len = 0;

	if (!take(c, &len, sizeof(len)))
		return cut_off(g, c, why);
	if (len > len_max)
		return errmsg_rc(why, RC_LIMIT, "GGUF: %s of %" PRIu64 " bytes (limit %" PRIu64 ")",
		    what, len, len_max);
	if (len > (uint64_t)(c->end - c->at))
		return cut_off(g, c, why);
	out->text = (const char *)c->at;
	out->len = (size_t)len;
	c->at += len;
	return RC_OK;
}

static enum rc skip_array(
    struct gguf *g, struct cursor *c, struct gguf_pair *pair, struct errmsg *why)
{
	uint32_t item = 0;
	int key_len = (int)pair->key.len;

	if (!take(c, &item, sizeof(item)) || !take(c, &pair->n, sizeof(pair->n)))
		return cut_off(g, c, why);
	if (item > GGUF_F64 || item == GGUF_ARRAY)
		return errmsg_rc(why, RC_INVALID, "GGUF: key %.*s: array of type %" PRIu32, key_len,
		    pair->key.text, item);
	if (pair->n > GGUF_ARRAY_LEN_MAX)
		return errmsg_rc(why, RC_LIMIT,
		    "GGUF: key %.*s: array of %" PRIu64 " items (limit %u)", key_len,
		    pair->key.text, pair->n, GGUF_ARRAY_LEN_MAX);
	pair->item_type = (enum gguf_value_type)item;
	pair->bytes = c->at;
	if (item != GGUF_STRING) {
		uint64_t len = pair->n * scalar_bytes(item);

		if (len > (uint64_t)(c->end - c->at))
			return cut_off(g, c, why);
		c->at += len;
		return RC_OK;
	}
	for (uint64_t i = 0; i < pair->n; i++) {
		struct gguf_string_view view;
		enum rc rc = take_string(g, c, GGUF_STRING_BYTES_MAX, "a string", &view, why);

		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

static enum rc parse_pair(
    struct gguf *g, struct cursor *c, struct gguf_pair *pair, struct errmsg *why)
{
	uint32_t type = 0;
	enum rc rc = take_string(g, c, GGUF_KEY_BYTES_MAX, "a key", &pair->key, why);

	if (rc != RC_OK)
		return rc;
	if (!take(c, &type, sizeof(type)))
		return cut_off(g, c, why);
	if (pair->key.len == 0 || type > GGUF_F64)
		return errmsg_rc(why, RC_INVALID, "GGUF: key '%.*s' has unknown type %" PRIu32,
		    (int)pair->key.len, pair->key.text, type);
	pair->type = (enum gguf_value_type)type;
	pair->n = 1;
	pair->bytes = c->at;
	if (pair->type == GGUF_ARRAY)
		return skip_array(g, c, pair, why);
	if (pair->type == GGUF_STRING) {
		struct gguf_string_view view;

		return take_string(g, c, GGUF_STRING_BYTES_MAX, "a string", &view, why);
	}
	if ((size_t)(c->end - c->at) < scalar_bytes(type))
		return cut_off(g, c, why);
	c->at += scalar_bytes(type);
	return RC_OK;
}

/* Rows of whole blocks, no product overflows. */
static enum rc measure(struct gguf_tensor *t, uint32_t type, struct errmsg *why)
{
	const struct type_info *info = type_info(type);
	uint64_t n = 1;
	int name_len = (int)t->name.len;

	if (info == NULL)
		return errmsg_rc(why, RC_UNSUPPORTED, "GGUF: tensor %.*s has unknown type %" PRIu32,
		    name_len, t->name.text, type);
	for (uint32_t i = 0; i < t->n_dims; i++) {
		if (t->dims[i] == 0 || t->dims[i] > INT64_MAX ||
		    __builtin_mul_overflow(n, t->dims[i], &n))
			return errmsg_rc(why, RC_INVALID,
			    "GGUF: tensor %.*s: dimension %" PRIu32 " is %" PRIu64, name_len,
			    t->name.text, i, t->dims[i]);
	}
	if (t->dims[0] % info->block != 0)
		return errmsg_rc(why, RC_INVALID,
		    "GGUF: tensor %.*s: rows of %" PRIu64 " are not whole %s blocks of %" PRIu32,
		    name_len, t->name.text, t->dims[0], info->name, info->block);
	if (__builtin_mul_overflow(n / info->block, (uint64_t)info->block_bytes, &t->n_bytes) ||
	    t->n_bytes > GGUF_FILE_BYTES_MAX)
		return errmsg_rc(why, RC_LIMIT, "GGUF: tensor %.*s is larger than any file",
		    name_len, t->name.text);
	t->type = (enum tensor_type)type;
	return RC_OK;
}

/* `*next` is where its data must start, and is moved behind it. */
static enum rc parse_tensor(struct gguf *g, struct cursor *c, struct gguf_tensor *t, uint64_t *next,
    uint64_t *offset, struct errmsg *why)
{
	uint32_t type = 0;
	enum rc rc = take_string(g, c, GGUF_NAME_BYTES_MAX, "a tensor name", &t->name, why);

	if (rc != RC_OK)
		return rc;
	if (!take(c, &t->n_dims, sizeof(t->n_dims)))
		return cut_off(g, c, why);
	if (t->name.len == 0 || t->n_dims == 0 || t->n_dims > GGUF_DIMS_MAX)
		return errmsg_rc(why, RC_INVALID, "GGUF: tensor '%.*s' has %" PRIu32 " dimensions",
		    (int)t->name.len, t->name.text, t->n_dims);
	for (uint32_t i = 0; i < GGUF_DIMS_MAX; i++)
		t->dims[i] = 1;
	for (uint32_t i = 0; i < t->n_dims; i++) {
		if (!take(c, &t->dims[i], sizeof(t->dims[i])))
			return cut_off(g, c, why);
	}
	if (!take(c, &type, sizeof(type)) || !take(c, offset, sizeof(*offset)))
		return cut_off(g, c, why);
	rc = measure(t, type, why);
	if (rc != RC_OK)
		return rc;
	if (*offset != *next)
		return errmsg_rc(why, RC_INVALID,
		    "GGUF: tensor %.*s lies at offset %" PRIu64 ", expected %" PRIu64,
		    (int)t->name.len, t->name.text, *offset, *next);
	/* No overflow: both are at most GGUF_FILE_BYTES_MAX. */
	*next = (*offset + t->n_bytes + g->alignment - 1) / g->alignment * g->alignment;
	if (*next > GGUF_FILE_BYTES_MAX)
		return errmsg_rc(why, RC_LIMIT, "GGUF: tensors exceed the largest file");
	return RC_OK;
}

static enum rc parse_counts(
    struct gguf *g, struct cursor *c, uint64_t *n_tensors, uint64_t *n_pairs, struct errmsg *why)
{
	char magic[4] = { 0 };

	if (!take(c, magic, sizeof(magic)) || memcmp(magic, MAGIC, sizeof(magic)) != 0)
		return errmsg_rc(why, RC_INVALID, "not a GGUF file");
	if (!take(c, &g->version, sizeof(g->version)))
		return cut_off(g, c, why);
	if ((g->version & 0xffff) == 0)
		return errmsg_rc(why, RC_UNSUPPORTED, "GGUF: a big-endian file");
	if (g->version != 2 && g->version != 3)
		return errmsg_rc(why, RC_UNSUPPORTED,
		    "GGUF: version %" PRIu32 " (2 and 3 are known)", g->version);
	if (!take(c, n_tensors, sizeof(*n_tensors)) || !take(c, n_pairs, sizeof(*n_pairs)))
		return cut_off(g, c, why);
	if (*n_tensors > GGUF_TENSORS_MAX)
		return errmsg_rc(why, RC_LIMIT, "GGUF: %" PRIu64 " tensors (limit %u)", *n_tensors,
		    GGUF_TENSORS_MAX);
	if (*n_pairs > GGUF_PAIRS_MAX)
		return errmsg_rc(
		    why, RC_LIMIT, "GGUF: %" PRIu64 " keys (limit %u)", *n_pairs, GGUF_PAIRS_MAX);
	if (*n_pairs * PAIR_BYTES_MIN + *n_tensors * TENSOR_BYTES_MIN > (uint64_t)(c->end - c->at))
		return errmsg_rc(why, RC_INVALID,
		    "GGUF: %" PRIu64 " keys and %" PRIu64 " tensors do not fit the file", *n_pairs,
		    *n_tensors);
	return RC_OK;
}

static enum rc parse_alignment(struct gguf *g, struct errmsg *why)
{
	enum rc rc;

	g->alignment = ALIGNMENT_DEFAULT;
	rc = gguf_get_u32(g, "general.alignment", &g->alignment, why);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return rc;
	if (g->alignment == 0 || (g->alignment & (g->alignment - 1)) != 0 ||
	    g->alignment > GGUF_ALIGNMENT_MAX)
		return errmsg_rc(why, RC_INVALID,
		    "GGUF: general.alignment %" PRIu32 " is no power of two up to %u", g->alignment,
		    GGUF_ALIGNMENT_MAX);
	return RC_OK;
}

static enum rc parse_pairs(struct gguf *g, struct cursor *c, uint64_t n_pairs, struct errmsg *why)
{
	g->pairs = calloc(n_pairs + 1, sizeof(*g->pairs));
	if (g->pairs == NULL)
		return RC_NOMEM;
	for (uint64_t i = 0; i < n_pairs; i++) {
		enum rc rc = parse_pair(g, c, &g->pairs[i], why);

		if (rc != RC_OK)
			return rc;
		g->pairs_len++;
	}
	return gguf_index_pairs(g, why);
}

static enum rc parse_tensors(
    struct gguf *g, struct cursor *c, uint64_t n_tensors, struct errmsg *why)
{
	uint64_t next = 0, header, offset;

	g->tensors = calloc(n_tensors + 1, sizeof(*g->tensors));
	g->offsets = calloc(n_tensors + 1, sizeof(*g->offsets));
	if (g->tensors == NULL || g->offsets == NULL)
		return RC_NOMEM;
	for (uint64_t i = 0; i < n_tensors; i++) {
		enum rc rc = parse_tensor(g, c, &g->tensors[i], &next, &g->offsets[i], why);

		if (rc != RC_OK)
			return rc;
		g->tensors_len++;
	}
	header = (uint64_t)(c->at - g->bytes);
	header = (header + g->alignment - 1) / g->alignment * g->alignment;
	for (size_t i = 0; i < g->tensors_len; i++) {
		struct gguf_tensor *t = &g->tensors[i];

		offset = header + g->offsets[i];
		if (offset + t->n_bytes > g->len)
			return errmsg_rc(why, RC_INVALID,
			    "GGUF: tensor %.*s ends at byte %" PRIu64 ", the file at %zu",
			    (int)t->name.len, t->name.text, offset + t->n_bytes, g->len);
		t->data = g->bytes + offset;
	}
	g->header_len = header < g->len ? (size_t)header : g->len;
	return gguf_index_tensors(g, why);
}

static enum rc parse(struct gguf *g, struct errmsg *why)
{
	struct cursor c = { g->bytes, g->bytes + g->len };
	uint64_t n_tensors = 0, n_pairs = 0;
	enum rc rc = parse_counts(g, &c, &n_tensors, &n_pairs, why);

	if (rc == RC_OK)
		rc = parse_pairs(g, &c, n_pairs, why);
	if (rc == RC_OK)
		rc = parse_alignment(g, why);
	if (rc == RC_OK)
		rc = parse_tensors(g, &c, n_tensors, why);
	return rc;
}

enum rc gguf_parse(const uint8_t *bytes, size_t len, struct gguf **out, struct errmsg *why)
{
	struct gguf *g = calloc(1, sizeof(*g));
	enum rc rc;

	if (g == NULL)
		return RC_NOMEM;
	g->bytes = bytes;
	g->len = len;
	rc = parse(g, why);
	if (rc != RC_OK) {
		gguf_close(g);
		return rc;
	}
	*out = g;
	return RC_OK;
}

static enum rc map_file(const char *path, uint8_t **bytes, size_t *len, struct errmsg *why)
{
	struct stat st;
	enum rc rc = RC_OK;
	void *map;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errmsg_errno(why, "%s", path);
	if (fstat(fd, &st) != 0) {
		rc = errmsg_errno(why, "%s", path);
		goto out;
	}
	if (!S_ISREG(st.st_mode) || st.st_size == 0) {
		rc = errmsg_rc(why, RC_INVALID, "%s: not a GGUF file", path);
		goto out;
	}
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		rc = errmsg_errno(why, "%s: cannot map", path);
		goto out;
	}
	/* In a process that locks what it takes: this can be read again. */
	(void)munlock(map, (size_t)st.st_size);
	*bytes = map;
	*len = (size_t)st.st_size;
out:
	(void)close(fd);
	return rc;
}

enum rc gguf_open_one(const char *path, struct gguf **out, struct errmsg *why)
{
	uint8_t *bytes = NULL;
	size_t len = 0;
	enum rc rc = map_file(path, &bytes, &len, why);

	if (rc != RC_OK)
		return rc;
	rc = gguf_parse(bytes, len, out, why);
	if (rc != RC_OK)
		(void)munmap(bytes, len);
	else
		(*out)->map = bytes;
	return rc;
}

size_t gguf_tables_bytes(const struct gguf *g)
{
	size_t bytes = sizeof(*g) +
		       (g->pairs_len + 1) * (sizeof(*g->pairs) + sizeof(*g->pair_order)) +
		       (g->tensors_len + 1) *
			   (sizeof(*g->tensors) + sizeof(*g->offsets) + sizeof(*g->tensor_order));

	for (size_t i = 0; i < g->parts_len; i++)
		bytes += sizeof(*g->parts) + gguf_tables_bytes(g->parts[i]);
	return bytes;
}

void gguf_forget_pages(const struct gguf *g)
{
	for (size_t i = 0; i < g->parts_len; i++)
		gguf_forget_pages(g->parts[i]);
	if (g->map != NULL)
		(void)madvise(g->map, g->len, MADV_DONTNEED);
}

void gguf_close(struct gguf *g)
{
	if (g == NULL)
		return;
	for (size_t i = 0; i < g->parts_len; i++)
		gguf_close(g->parts[i]);
	free(g->parts);
	free(g->pairs);
	free(g->tensors);
	free(g->offsets);
	free(g->pair_order);
	free(g->tensor_order);
	if (g->map != NULL)
		(void)munmap(g->map, g->len);
	free(g);
}
