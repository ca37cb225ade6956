/*
 * Allow-lists: the public keys that may connect, one a line.  Writers take
 * turns by a lock on the directory; readers see the old file or the new one.
 */
#include <ctype.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/wipe.h"
#include "os/file.h"
#include "wire/key.h"

/* Room for a comment beside each key. */
#define ALLOW_FILE_BYTES_MAX ((size_t)256 << 10)
#define ALLOW_LINE_BYTES_MAX ((size_t)1024) /* a longer one is a comment */

/* One line, without its end: a key, a comment or nothing. */
static enum rc parse_line(
    char *line, size_t number, const char *path, struct wire_allow *out, struct errmsg *why)
{
	uint8_t key[WIRE_KEY_BYTES];

	line[strcspn(line, "#\r")] = '\0';
	while (isspace((unsigned char)*line))
		line++;
	size_t len = strlen(line);
	while (len > 0 && isspace((unsigned char)line[len - 1]))
		line[--len] = '\0';
	if (len == 0)
		return RC_OK;
	if (wire_key_parse(line, key, NULL) != RC_OK)
		return errmsg_rc(
		    why, RC_CONFIG, "%s line %zu: a key is 64 hex digits", path, number);
	if (wire_allow_has(out, key))
		return RC_OK;
	if (out->n == WIRE_ALLOW_MAX)
		return errmsg_rc(why, RC_LIMIT, "%s: more than %zu keys", path, WIRE_ALLOW_MAX);
	memcpy(out->keys[out->n++], key, sizeof(key));
	return RC_OK;
}

static enum rc parse(char *text, const char *path, struct wire_allow *out, struct errmsg *why)
{
	size_t number = 0;
	enum rc rc = RC_OK;

	out->n = 0;
	for (char *line = text; rc == RC_OK && line != NULL;) {
		char *end = strchr(line, '\n');
		if (end != NULL)
			*end++ = '\0';
		rc = parse_line(line, ++number, path, out, why);
		line = end;
	}
	return rc;
}

enum rc wire_allow_load(const char *path, struct wire_allow *out, struct errmsg *why)
{
	struct errmsg detail = ERRMSG_INIT;
	uint8_t *bytes = NULL;
	size_t len;

	enum rc rc = file_read(path, ALLOW_FILE_BYTES_MAX, &bytes, &len, &detail);
	if (rc == RC_NOTFOUND) {
		out->n = 0;
		return RC_OK;
	}
	if (rc != RC_OK)
		return errmsg_rc(why, rc, "%s", errmsg_text(&detail, rc));
	struct wire_allow *allow = malloc(sizeof(*allow));
	if (allow == NULL) {
		free(bytes);
		return RC_NOMEM;
	}
	rc = parse((char *)bytes, path, allow, why);
	if (rc == RC_OK)
		*out = *allow;
	free(allow);
	free(bytes);
	return rc;
}

/* Hold the directory's lock: -1 and `why` on failure, else close it to let go. */
static int lock_parent(const char *path, struct errmsg *why, enum rc *rc)
{
	char copy[PATH_MAX];

	if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy)) {
		*rc = errmsg_rc(why, RC_LIMIT, "path too long");
		return -1;
	}
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && flock(fd, LOCK_EX) == 0)
		return fd;
	*rc = errmsg_errno(why, "cannot lock the directory of %s", path);
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

/* What is there stays as it is, comments too; the key goes behind it. */
static enum rc append_key(const char *path, const uint8_t key[WIRE_KEY_BYTES], struct errmsg *why)
{
	char text[WIRE_KEY_TEXT_BYTES];
	uint8_t *bytes = NULL;
	size_t len = 0;
	struct buf content;

	enum rc rc = RC_OK;
	if (file_exists(path))
		rc = file_read(path, ALLOW_FILE_BYTES_MAX, &bytes, &len, why);
	if (rc != RC_OK)
		return rc;
	buf_init(&content, ALLOW_FILE_BYTES_MAX);
	buf_append(&content, bytes, len);
	if (len > 0 && bytes[len - 1] != '\n')
		buf_putc(&content, '\n');
	wire_key_format(key, text);
	buf_puts(&content, text);
	buf_putc(&content, '\n');
	rc = buf_rc(&content);
	if (rc == RC_OK)
		rc = file_write_atomic(path, 0600, content.bytes, content.len, why);
	buf_fini(&content);
	free(bytes);
	return rc;
}

enum rc wire_allow_add(const char *path, const uint8_t key[WIRE_KEY_BYTES], struct errmsg *why)
{
	enum rc rc = RC_OK;

	struct wire_allow *allow = calloc(1, sizeof(*allow));
	if (allow == NULL)
		return RC_NOMEM;
	int lock = lock_parent(path, why, &rc);
	if (rc == RC_OK)
		rc = wire_allow_load(path, allow, why);
	if (rc == RC_OK && wire_allow_has(allow, key))
		rc = errmsg_rc(why, RC_EXISTS, "this key is in %s already", path);
	if (rc == RC_OK && allow->n == WIRE_ALLOW_MAX)
		rc = errmsg_rc(why, RC_LIMIT, "%s: more than %zu keys", path, WIRE_ALLOW_MAX);
	if (rc == RC_OK)
		rc = append_key(path, key, why);
	if (lock >= 0)
		(void)close(lock);
	free(allow);
	return rc;
}

/* Lines that name the key go, all others stay as they are. */
static enum rc strip_key(const char *path, const uint8_t key[WIRE_KEY_BYTES], struct errmsg *why)
{
	uint8_t *bytes = NULL;
	struct buf content;
	size_t len = 0;

	enum rc rc = file_read(path, ALLOW_FILE_BYTES_MAX, &bytes, &len, why);
	if (rc != RC_OK)
		return rc;
	struct wire_allow *one = malloc(sizeof(*one));
	buf_init(&content, ALLOW_FILE_BYTES_MAX);
	rc = one == NULL ? RC_NOMEM : RC_OK;
	for (size_t at = 0; at < len && rc == RC_OK;) {
		char line[ALLOW_LINE_BYTES_MAX];
		const uint8_t *end = memchr(bytes + at, '\n', len - at);
		size_t n = end == NULL ? len - at : (size_t)(end - (bytes + at)) + 1;
		one->n = 0;
		if (n < sizeof(line)) {
			memcpy(line, bytes + at, n);
			line[n - (end != NULL)] = '\0';
			rc = parse_line(line, 0, path, one, why);
		}
		if (one->n == 0 || !wire_allow_has(one, key))
			buf_append(&content, bytes + at, n);
		at += n;
	}
	if (rc == RC_OK)
		rc = buf_rc(&content);
	if (rc == RC_OK)
		rc = file_write_atomic(path, 0600, content.bytes, content.len, why);
	buf_fini(&content);
	free(one);
	free(bytes);
	return rc;
}

enum rc wire_allow_remove(const char *path, const uint8_t key[WIRE_KEY_BYTES], struct errmsg *why)
{
	enum rc rc = RC_OK;

	struct wire_allow *allow = calloc(1, sizeof(*allow));
	if (allow == NULL)
		return RC_NOMEM;
	int lock = lock_parent(path, why, &rc);
	if (rc == RC_OK)
		rc = wire_allow_load(path, allow, why);
	if (rc == RC_OK && !wire_allow_has(allow, key))
		rc = errmsg_rc(why, RC_NOTFOUND, "this key is not in %s", path);
	if (rc == RC_OK)
		rc = strip_key(path, key, why);
	if (lock >= 0)
		(void)close(lock);
	free(allow);
	return rc;
}

bool wire_allow_has(const struct wire_allow *allow, const uint8_t key[WIRE_KEY_BYTES])
{
	for (size_t i = 0; i < allow->n; i++) {
		if (wipe_equal(allow->keys[i], key, WIRE_KEY_BYTES))
			return true;
	}
	return false;
}
