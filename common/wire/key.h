/*
 * CURVE keys: long-term key pairs as 64 hex digits, key files and allow-lists.
 */
#ifndef WIRE_KEY_H
#define WIRE_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errmsg.h"

#define WIRE_KEY_BYTES 32
#define WIRE_KEY_TEXT_BYTES 65 /* 64 hex digits and the NUL */
#define WIRE_ALLOW_MAX ((size_t)256)

struct wire_keypair {
	uint8_t public_key[WIRE_KEY_BYTES];
	uint8_t secret_key[WIRE_KEY_BYTES];
};

/* RC_CONFIG if this libzmq has no CURVE or is not linked to libsodium. */
enum rc wire_check_curve(struct errmsg *why) RC_CHECK;

enum rc wire_keypair_new(struct wire_keypair *out, struct errmsg *why) RC_CHECK;
void wire_keypair_wipe(struct wire_keypair *keys);

/* A file of mode 0600 holding the secret key in hex; the public one follows
 * from it.  save: RC_EXISTS if the file is there. */
enum rc wire_keypair_save(
    const struct wire_keypair *keys, const char *path, struct errmsg *why) RC_CHECK;
enum rc wire_keypair_load(const char *path, struct wire_keypair *out, struct errmsg *why) RC_CHECK;

void wire_key_format(const uint8_t key[WIRE_KEY_BYTES], char out[WIRE_KEY_TEXT_BYTES]);
enum rc wire_key_parse(const char *text, uint8_t key[WIRE_KEY_BYTES], struct errmsg *why) RC_CHECK;

/* Public keys that may connect.  File: one hex key a line, '#' comments. */
struct wire_allow {
	size_t n;
	uint8_t keys[WIRE_ALLOW_MAX][WIRE_KEY_BYTES];
};

/* A missing file is an empty list. */
enum rc wire_allow_load(const char *path, struct wire_allow *out, struct errmsg *why) RC_CHECK;
/* Add and rewrite atomically; RC_EXISTS if it is in there. */
enum rc wire_allow_add(
    const char *path, const uint8_t key[WIRE_KEY_BYTES], struct errmsg *why) RC_CHECK;
/* Take out of the file; RC_NOTFOUND if it is not in there. */
enum rc wire_allow_remove(
    const char *path, const uint8_t key[WIRE_KEY_BYTES], struct errmsg *why) RC_CHECK;
bool wire_allow_has(const struct wire_allow *allow, const uint8_t key[WIRE_KEY_BYTES]);

#endif
