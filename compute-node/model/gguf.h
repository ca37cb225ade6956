/*
 * GGUF: a model file, mapped read-only and checked before anything uses it.
 *
 * Format versions 2 and 3, little-endian
 * (github.com/ggml-org/ggml, docs/gguf.md).  Every count, length, offset and
 * type is compared with a named limit and with what is left of the file before
 * it is used, so whatever a getter hands out lies inside the mapping.
 * Immutable after open, any thread.
 *
 *  G1  keys are unique, tensor names are unique.
 *  G2  tensor data lies at cumulative offsets padded to the alignment.
 *  G3  a tensor's rows hold whole blocks of its type.
 */
#ifndef MODEL_GGUF_H
#define MODEL_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errmsg.h"
#include "model/type.h"

#define GGUF_PAIRS_MAX 65536u
#define GGUF_TENSORS_MAX 65536u
#define GGUF_KEY_BYTES_MAX 1024u
#define GGUF_NAME_BYTES_MAX 63u
#define GGUF_STRING_BYTES_MAX (16u << 20)
#define GGUF_ARRAY_LEN_MAX (16u << 20)
#define GGUF_ALIGNMENT_MAX 65536u
#define GGUF_DIMS_MAX 4
#define GGUF_PARTS_MAX 1024u
#define GGUF_FILE_BYTES_MAX (UINT64_C(16) << 40)

enum gguf_value_type {
	GGUF_U8,
	GGUF_I8,
	GGUF_U16,
	GGUF_I16,
	GGUF_U32,
	GGUF_I32,
	GGUF_F32,
	GGUF_BOOL,
	GGUF_STRING,
	GGUF_ARRAY,
	GGUF_U64,
	GGUF_I64,
	GGUF_F64,
};

/* Text inside the mapping; not NUL-terminated, any bytes. */
struct gguf_string_view {
	const char *text;
	size_t len;
};

struct gguf_pair {
	struct gguf_string_view key;
	enum gguf_value_type type;
	enum gguf_value_type item_type; /* of an array */
	uint64_t n;                     /* items of an array, else 1 */
	const uint8_t *bytes;           /* the value; a string's length stands first */
};

struct gguf_tensor {
	struct gguf_string_view name;
	enum tensor_type type;
	uint32_t n_dims;
	uint64_t dims[GGUF_DIMS_MAX]; /* innermost first; unused ones are 1 */
	uint64_t n_bytes;
	const uint8_t *data;
	const float *factors; /* [dims[2]] of a bound matrix (model/factor.h); NULL: none */
};

struct gguf;

/*
 * A model may be split: NAME-00001-of-0000N.gguf holds all keys (split.no 0,
 * split.count, split.tensors.count), the others the rest of the tensors.  Given
 * the first, all are opened, and their tensors are one table.
 *
 * RC_NOTFOUND, RC_IO; RC_INVALID names what contradicts, RC_LIMIT which limit,
 * RC_UNSUPPORTED the version, byte order or tensor type.
 */
enum rc gguf_open(const char *path, struct gguf **out, struct errmsg *why) RC_CHECK;

/* The same on bytes that the caller keeps until gguf_close(). */
enum rc gguf_parse(
    const uint8_t *bytes, size_t len, struct gguf **out, struct errmsg *why) RC_CHECK;
void gguf_close(struct gguf *gguf);

/* Memory that the tables of open files take. */
size_t gguf_tables_bytes(const struct gguf *gguf);

/* Pages of open files need not stay in memory until they are read again. */
void gguf_forget_pages(const struct gguf *gguf);

uint32_t gguf_version(const struct gguf *gguf);
uint64_t gguf_file_bytes(const struct gguf *gguf); /* of all parts */
size_t gguf_parts_len(const struct gguf *gguf);    /* at least 1 */
/* Everything before a part's tensor data: what a content hash covers. */
struct gguf_string_view gguf_header(const struct gguf *gguf, size_t part);

size_t gguf_pairs_len(const struct gguf *gguf);
const struct gguf_pair *gguf_pair_at(const struct gguf *gguf, size_t i);
size_t gguf_tensors_len(const struct gguf *gguf);
const struct gguf_tensor *gguf_tensor_at(const struct gguf *gguf, size_t i);

/* By name, O(log n); NULL if there is none. */
const struct gguf_pair *gguf_find(const struct gguf *gguf, const char *key);
const struct gguf_tensor *gguf_find_tensor(const struct gguf *gguf, const char *name);

/*
 * Typed values.  RC_NOTFOUND leaves `*out` alone (say so in `why` yourself if
 * it was needed); RC_INVALID names a key of another type or out of range.
 * Integers of any width and sign are taken where the value fits.
 */
enum rc gguf_get_u32(
    const struct gguf *gguf, const char *key, uint32_t *out, struct errmsg *why) RC_CHECK;
enum rc gguf_get_f32(
    const struct gguf *gguf, const char *key, float *out, struct errmsg *why) RC_CHECK;
enum rc gguf_get_bool(
    const struct gguf *gguf, const char *key, bool *out, struct errmsg *why) RC_CHECK;
enum rc gguf_get_string(const struct gguf *gguf, const char *key, struct gguf_string_view *out,
    struct errmsg *why) RC_CHECK;
/* An array of that item type; borrow its pair. */
enum rc gguf_get_array(const struct gguf *gguf, const char *key, enum gguf_value_type item_type,
    const struct gguf_pair **out, struct errmsg *why) RC_CHECK;

/* One number of a scalar or of a numeric array (i < n). */
bool gguf_item_i64(const struct gguf_pair *pair, uint64_t i, int64_t *out);
bool gguf_item_f64(const struct gguf_pair *pair, uint64_t i, double *out);

/* Walk an array of strings (or one string): start with `*cursor` NULL. */
bool gguf_next_string(
    const struct gguf_pair *pair, const uint8_t **cursor, struct gguf_string_view *out);

bool gguf_view_is(struct gguf_string_view view, const char *text);
const char *gguf_value_type_name(enum gguf_value_type type);

#endif
