/*
 * Auth: bearer tokens, kept as keyed hashes in the catalogue.
 *
 * A token is 32 random bytes as text; only its BLAKE2b under a key derived
 * from the keyring is stored, so a copy of the catalogue opens nothing.  A
 * check compares with every valid hash in constant time.  Failures are counted
 * and limited per peer address; a valid token passes at any time, so nobody
 * can lock the owner out.  Any thread.
 */
#ifndef GATEWAY_AUTH_H
#define GATEWAY_AUTH_H

#include <stdint.h>

#include "base/errmsg.h"

struct auth;
struct catalogue;
struct keyring;

#define AUTH_TOKEN_TEXT_BYTES 48 /* "ht_" and 43 characters of base64url, NUL */
#define AUTH_HASH_BYTES 32
#define AUTH_HEADER_BYTES_MAX 256
#define AUTH_FAILURES_BURST 30 /* per address, then one a second */
#define AUTH_PEERS_MAX 64      /* addresses remembered; the longest idle goes first */

/* Borrows both until auth_close(). */
enum rc auth_open(struct catalogue *catalogue, struct keyring *keyring, struct auth **out,
    struct errmsg *why) RC_CHECK;
void auth_close(struct auth *auth);

/* Read the devices again, after one was added or revoked. */
enum rc auth_reload(struct auth *auth, struct errmsg *why) RC_CHECK;

/* A new random token. */
void auth_token_new(char out[AUTH_TOKEN_TEXT_BYTES]);

/* What the catalogue stores of it. */
void auth_token_hash(const struct auth *auth, const char *token, uint8_t out[AUTH_HASH_BYTES]);

/* The hash under a keyring that is not opened as a station: for init. */
enum rc auth_token_hash_with(
    const struct keyring *keyring, const char *token, uint8_t out[AUTH_HASH_BYTES]) RC_CHECK;

enum auth_verdict {
	AUTH_ACCEPTED,
	AUTH_REFUSED, /* 401 */
	AUTH_LIMITED, /* 429: too many failures from this address */
};

struct auth_identity {
	int64_t device;   /* catalogue id; 0 = owner */
	unsigned layers;  /* 0: no limit */
	int64_t error_ns; /* 0: the default */
};

/*
 * Check the value of an Authorization header (NULL: absent) that came from
 * `address`.  ACCEPTED fills `out`.  Writes the device's "last seen" to the
 * catalogue at most once a minute.
 */
enum auth_verdict auth_check(
    struct auth *auth, const char *header, const char *address, struct auth_identity *out);

#endif
