/* Manifest: its text, written and read. */
#include "backup/manifest.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/wipe.h"

#define VERSION 1
#define LINE_BYTES_MAX ((size_t)512)
#define MAC_LINE_BYTES (4 + 2 * MANIFEST_HASH_BYTES + 1) /* "mac HEX\n" */

const char *manifest_kind_word(enum manifest_kind kind)
{
	static const char *const words[MANIFEST_KIND_COUNT] = { "keyring", "marks", "state",
		"truth", "blobs", "log" };

	return words[kind];
}

void manifest_fini(struct manifest *manifest)
{
	free(manifest->files);
	*manifest = (struct manifest){ 0 };
}

enum rc manifest_add(
    struct manifest *manifest, const struct manifest_file *file, struct errmsg *why)
{
	if (manifest->files_len == MANIFEST_FILES_MAX)
		return errmsg_rc(
		    why, RC_LIMIT, "a backup of more than %zu files", MANIFEST_FILES_MAX);
	if (manifest->files_len == manifest->files_cap) {
		size_t cap = manifest->files_cap == 0 ? 16 : manifest->files_cap * 2;
		struct manifest_file *files = realloc(manifest->files, cap * sizeof(*files));
		if (files == NULL)
			return RC_NOMEM;
		manifest->files = files;
		manifest->files_cap = cap;
	}
	manifest->files[manifest->files_len++] = *file;
	return RC_OK;
}

const struct manifest_file *manifest_find(const struct manifest *manifest, enum manifest_kind kind)
{
	for (size_t i = 0; i < manifest->files_len; i++) {
		if (manifest->files[i].kind == kind)
			return &manifest->files[i];
	}
	return NULL;
}

static void put_file(const struct manifest_file *file, struct buf *out)
{
	char hash[2 * MANIFEST_HASH_BYTES + 1], id[2 * MANIFEST_ID_BYTES + 1];

	hex_encode(file->hash, sizeof(file->hash), hash);
	buf_printf(out, "file %s %s %" PRIu64 " %s", manifest_kind_word(file->kind), file->name,
	    file->bytes, hash);
	if (file->kind == MANIFEST_LOG) {
		hex_encode(file->last_id, sizeof(file->last_id), id);
		buf_printf(out, " %" PRIu64 " %" PRIu64 " %s", file->first_seq, file->last_seq, id);
	}
	buf_putc(out, '\n');
}

static void mac_make(const void *text, size_t len, const uint8_t key[MANIFEST_KEY_BYTES],
    uint8_t out[MANIFEST_HASH_BYTES])
{
	(void)crypto_generichash(out, MANIFEST_HASH_BYTES, text, len, key, MANIFEST_KEY_BYTES);
}

enum rc manifest_encode(
    const struct manifest *manifest, const uint8_t key[MANIFEST_KEY_BYTES], struct buf *out)
{
	char text[2 * MANIFEST_HASH_BYTES + 1];
	uint8_t mac[MANIFEST_HASH_BYTES];

	hex_encode(manifest->store_id, sizeof(manifest->store_id), text);
	buf_printf(out, "hearth-backup %d\nstore %s\nmade %" PRId64 "\ncursor %" PRIu64 "\n",
	    VERSION, text, manifest->made_ns, manifest->cursor);
	for (size_t i = 0; i < manifest->files_len; i++)
		put_file(&manifest->files[i], out);
	enum rc rc = buf_rc(out);
	if (rc != RC_OK)
		return rc;
	mac_make(out->bytes, out->len, key, mac);
	hex_encode(mac, sizeof(mac), text);
	buf_printf(out, "mac %s\n", text);
	return buf_rc(out);
}

/* In one way only: small letters. */
static bool read_hex(const char *text, uint8_t *out, size_t bytes)
{
	return strlen(text) == 2 * bytes && strspn(text, "0123456789abcdef") == 2 * bytes &&
	       hex_decode(text, out, bytes) == RC_OK;
}

enum rc manifest_authenticate(
    const char *text, size_t len, const uint8_t key[MANIFEST_KEY_BYTES], struct errmsg *why)
{
	uint8_t want[MANIFEST_HASH_BYTES], got[MANIFEST_HASH_BYTES];
	char hex[2 * MANIFEST_HASH_BYTES + 1];

	if (len < MAC_LINE_BYTES)
		return errmsg_rc(why, RC_CORRUPT, "manifest: cut off");
	size_t body = len - MAC_LINE_BYTES;
	memcpy(hex, text + body + 4, sizeof(hex) - 1);
	hex[sizeof(hex) - 1] = '\0';
	if (memcmp(text + body, "mac ", 4) != 0 || !read_hex(hex, got, sizeof(got)))
		return errmsg_rc(why, RC_CORRUPT, "manifest: malformed");
	mac_make(text, body, key, want);
	if (!wipe_equal(want, got, sizeof(want)))
		return errmsg_rc(why, RC_DENIED,
		    "the backup's manifest was made with another key, or changed since");
	return RC_OK;
}

/* ---- reading --------------------------------------------------------------------- */

/* A field of the current line: up to the next blank or its end. */
struct line {
	char text[LINE_BYTES_MAX], *at;
};

/* The next line, without its end; false: there is none, or it is too long. */
static bool line_next(const char **at, const char *end, struct line *line)
{
	const char *stop = memchr(*at, '\n', (size_t)(end - *at));

	if (stop == NULL || (size_t)(stop - *at) >= sizeof(line->text) ||
	    memchr(*at, '\0', (size_t)(stop - *at)) != NULL)
		return false;
	memcpy(line->text, *at, (size_t)(stop - *at));
	line->text[stop - *at] = '\0';
	line->at = line->text;
	*at = stop + 1;
	return true;
}

static const char *field(struct line *line)
{
	char *begin = line->at;

	if (begin == NULL || *begin == '\0')
		return "";
	char *blank = strchr(begin, ' ');
	line->at = blank == NULL ? NULL : blank + 1;
	if (blank != NULL)
		*blank = '\0';
	return begin;
}

/* Digits only, no sign, no leading zero. */
static bool read_u64(const char *text, uint64_t *out)
{
	uint64_t value = 0;

	if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
		return false;
	for (; *text != '\0'; text++) {
		unsigned digit = (unsigned char)*text - '0';
		if (digit > 9 || __builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, digit, &value))
			return false;
	}
	*out = value;
	return true;
}

static bool name_valid(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= MANIFEST_NAME_BYTES_MAX && name[0] != '.' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") == len &&
	       strcmp(name, "manifest") != 0;
}

static bool read_file(struct line *line, struct manifest_file *out)
{
	const char *word = field(line);
	unsigned kind = 0;

	*out = (struct manifest_file){ 0 };
	while (kind < MANIFEST_KIND_COUNT &&
	       strcmp(word, manifest_kind_word((enum manifest_kind)kind)) != 0)
		kind++;
	const char *name = field(line);
	if (kind == MANIFEST_KIND_COUNT || !name_valid(name))
		return false;
	out->kind = (enum manifest_kind)kind;
	memcpy(out->name, name, strlen(name));
	if (!read_u64(field(line), &out->bytes) ||
	    !read_hex(field(line), out->hash, sizeof(out->hash)))
		return false;
	if (kind == MANIFEST_LOG &&
	    (!read_u64(field(line), &out->first_seq) || !read_u64(field(line), &out->last_seq) ||
		!read_hex(field(line), out->last_id, sizeof(out->last_id))))
		return false;
	return line->at == NULL;
}

/* What must be there is there once; the log has no gap. */
static enum rc check_whole(const struct manifest *m, struct errmsg *why)
{
	size_t counts[MANIFEST_KIND_COUNT] = { 0 };
	uint64_t seq = 0;

	for (size_t i = 0; i < m->files_len; i++) {
		const struct manifest_file *file = &m->files[i];
		counts[file->kind]++;
		if (file->kind != MANIFEST_LOG)
			continue;
		if (counts[MANIFEST_LOG] != i + 1)
			return errmsg_rc(why, RC_CORRUPT, "manifest: its log does not stand first");
		if (file->first_seq != seq + 1 || file->last_seq < file->first_seq)
			return errmsg_rc(why, RC_CORRUPT, "manifest: its log has a gap");
		seq = file->last_seq;
	}
	if (seq != m->cursor)
		return errmsg_rc(why, RC_CORRUPT, "manifest: its log does not reach its cursor");
	for (unsigned kind = 0; kind < MANIFEST_LOG; kind++) {
		if (counts[kind] > 1 || (counts[kind] == 0 && kind != MANIFEST_BLOBS))
			return errmsg_rc(why, RC_CORRUPT, "manifest: %zu files of kind %s",
			    counts[kind], manifest_kind_word((enum manifest_kind)kind));
	}
	return RC_OK;
}

static enum rc read_head(const char **at, const char *end, struct manifest *m, struct errmsg *why)
{
	struct line line;
	uint64_t version, made = 0;

	if (!line_next(at, end, &line) || strcmp(field(&line), "hearth-backup") != 0 ||
	    !read_u64(field(&line), &version) || line.at != NULL)
		return errmsg_rc(why, RC_CORRUPT, "this is no manifest of a backup");
	if (version != VERSION)
		return errmsg_rc(why, RC_UNSUPPORTED,
		    "the backup has version %" PRIu64 ", this program reads %d", version, VERSION);
	bool ok = line_next(at, end, &line) && strcmp(field(&line), "store") == 0 &&
		  read_hex(field(&line), m->store_id, sizeof(m->store_id)) && line.at == NULL &&
		  line_next(at, end, &line) && strcmp(field(&line), "made") == 0 &&
		  read_u64(field(&line), &made) && made <= INT64_MAX && line.at == NULL &&
		  line_next(at, end, &line) && strcmp(field(&line), "cursor") == 0 &&
		  read_u64(field(&line), &m->cursor) && line.at == NULL;
	m->made_ns = (int64_t)made;
	return ok ? RC_OK : errmsg_rc(why, RC_CORRUPT, "manifest: its head is malformed");
}

static enum rc read_all(const char *text, size_t len, struct manifest *m, struct errmsg *why)
{
	const char *at = text, *end = text + len;
	struct manifest_file file;
	struct line line;

	enum rc rc = read_head(&at, end, m, why);
	while (rc == RC_OK) {
		if (!line_next(&at, end, &line))
			return errmsg_rc(why, RC_CORRUPT, "manifest: cut off");
		const char *word = field(&line);
		if (strcmp(word, "mac") == 0)
			break;
		if (strcmp(word, "file") != 0 || !read_file(&line, &file))
			return errmsg_rc(
			    why, RC_CORRUPT, "manifest: file %zu is malformed", m->files_len + 1);
		rc = manifest_add(m, &file, why);
	}
	if (rc == RC_OK &&
	    (!read_hex(field(&line), m->mac, sizeof(m->mac)) || line.at != NULL || at != end))
		rc = errmsg_rc(why, RC_CORRUPT, "manifest: its end is malformed");
	return rc == RC_OK ? check_whole(m, why) : rc;
}

enum rc manifest_decode(const char *text, size_t len, struct manifest *out, struct errmsg *why)
{
	struct manifest m = { 0 };

	if (len > MANIFEST_BYTES_MAX)
		return errmsg_rc(
		    why, RC_CORRUPT, "manifest: larger than %zu bytes", MANIFEST_BYTES_MAX);
	enum rc rc = read_all(text, len, &m, why);
	if (rc != RC_OK) {
		manifest_fini(&m);
		return rc;
	}
	*out = m;
	return RC_OK;
}
