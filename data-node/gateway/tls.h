/*
 * TLS: who the node says it is beyond loopback.
 *
 * A key and a self-signed certificate of its own, made once in the directory
 * (tls.key, tls.crt, mode 0600), or files of the operator's.  A device does not ask an
 * authority: the pairing code holds the pin of the key, so another certificate
 * for the same key is the same node.  GnuTLS is seen by tls.c only.
 */
#ifndef GATEWAY_TLS_H
#define GATEWAY_TLS_H

#include <stddef.h>

#include "base/errmsg.h"

#define TLS_PIN_BYTES 64 /* "sha256//" and 44 characters, NUL */
#define TLS_FILE_BYTES_MAX ((size_t)64 << 10)

struct tls_identity {
	char *key_pem, *cert_pem; /* a chain may follow the node's own certificate */
	char pin[TLS_PIN_BYTES];  /* SHA-256 of the public key, as curl's --pinnedpubkey */
};

/* Make what is missing of DIR/tls.key and DIR/tls.crt.  RC_IO, RC_NOMEM. */
enum rc tls_make(const char *dir, struct errmsg *why) RC_CHECK;

/*
 * Read a certificate and its key from PEM files; both NULL: the ones of
 * tls_make().  RC_CONFIG: unreadable, or the key is not the certificate's.
 * tls_identity_fini() wipes and frees it.
 */
enum rc tls_identity_load(const char *dir, const char *cert_path, const char *key_path,
    struct tls_identity *out, struct errmsg *why) RC_CHECK;
void tls_identity_fini(struct tls_identity *identity);

#endif
