/* TLS identity: made and read with GnuTLS. */
#include "gateway/tls.h"

#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/wipe.h"
#include "os/file.h"

#define PATH_BYTES_MAX 4096
#define SERIAL_BYTES 16
#define KEY_ID_BYTES 32 /* SHA-256 of a public key */
#define PIN_PREFIX "sha256//"
#define CERTS_MAX 8 /* of a chain */

/* The pin says who it is, not the dates: they stand for always. */
#define VALID_FROM ((time_t)1577836800)  /* 2020 */
#define VALID_UNTIL ((time_t)4070908800) /* 2099 */

static enum rc failed(int code, const char *what, struct errmsg *why)
{
	return errmsg_rc(why, code == GNUTLS_E_MEMORY_ERROR ? RC_NOMEM : RC_CONFIG, "%s: %s", what,
	    gnutls_strerror(code));
}

static void path_of(const char *dir, const char *name, char out[PATH_BYTES_MAX])
{
	(void)snprintf(out, PATH_BYTES_MAX, "%s/%s", dir, name);
}

/* ---- made ---------------------------------------------------------------------------------- */

static enum rc write_key(gnutls_x509_privkey_t key, const char *path, struct errmsg *why)
{
	gnutls_datum_t pem = { 0 };

	int code = gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem);
	if (code < 0)
		return failed(code, "the TLS key", why);
	enum rc rc = file_write_atomic(path, 0600, pem.data, pem.size, why);
	wipe(pem.data, pem.size);
	gnutls_free(pem.data);
	return rc;
}

static enum rc read_key(gnutls_x509_privkey_t key, const char *path, struct errmsg *why)
{
	uint8_t *bytes;
	size_t len;

	enum rc rc = file_read(path, TLS_FILE_BYTES_MAX, &bytes, &len, why);
	if (rc != RC_OK)
		return rc;
	const gnutls_datum_t pem = { .data = bytes, .size = (unsigned)len };
	int code = gnutls_x509_privkey_import(key, &pem, GNUTLS_X509_FMT_PEM);
	wipe(bytes, len);
	free(bytes);
	return code < 0 ? failed(code, "the TLS key", why) : RC_OK;
}

static enum rc get_key(gnutls_x509_privkey_t key, const char *path, struct errmsg *why)
{
	if (file_exists(path))
		return read_key(key, path, why);
	int code = gnutls_x509_privkey_generate(
	    key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	return code < 0 ? failed(code, "the TLS key", why) : write_key(key, path, why);
}

/* What it may be called: software that does ask finds the usual names there. */
static int set_names(gnutls_x509_crt_t cert)
{
	char host[256] = "";
	int code = gnutls_x509_crt_set_dn(cert, "CN=hearth", NULL);
	const char *names[] = { "localhost", "hearth.local", host };

	if (gethostname(host, sizeof host - 1) != 0)
		host[0] = '\0';
	for (size_t i = 0; i < sizeof names / sizeof names[0] && code >= 0; i++) {
		if (names[i][0] != '\0')
			code = gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_DNSNAME,
			    names[i], (unsigned)strlen(names[i]),
			    i == 0 ? GNUTLS_FSAN_SET : GNUTLS_FSAN_APPEND);
	}
	return code;
}

static int sign(gnutls_x509_crt_t cert, gnutls_x509_privkey_t key)
{
	uint8_t serial[SERIAL_BYTES];

	int code = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial);
	serial[0] = (uint8_t)((serial[0] & 0x7F) | 0x40); /* positive, of full length */
	if (code >= 0)
		code = gnutls_x509_crt_set_version(cert, 3);
	if (code >= 0)
		code = gnutls_x509_crt_set_serial(cert, serial, sizeof serial);
	if (code >= 0)
		code = gnutls_x509_crt_set_activation_time(cert, VALID_FROM);
	if (code >= 0)
		code = gnutls_x509_crt_set_expiration_time(cert, VALID_UNTIL);
	if (code >= 0)
		code = set_names(cert);
	if (code >= 0)
		code = gnutls_x509_crt_set_key(cert, key);
	if (code >= 0)
		code = gnutls_x509_crt_set_key_usage(cert, GNUTLS_KEY_DIGITAL_SIGNATURE);
	if (code >= 0)
		code = gnutls_x509_crt_set_basic_constraints(cert, 0, -1);
	if (code >= 0)
		code = gnutls_x509_crt_sign2(cert, cert, key, GNUTLS_DIG_SHA256, 0);
	return code;
}

static enum rc write_cert(gnutls_x509_privkey_t key, const char *path, struct errmsg *why)
{
	gnutls_x509_crt_t cert;
	gnutls_datum_t pem = { 0 };

	int code = gnutls_x509_crt_init(&cert);
	if (code < 0)
		return failed(code, "the TLS certificate", why);
	code = sign(cert, key);
	if (code >= 0)
		code = gnutls_x509_crt_export2(cert, GNUTLS_X509_FMT_PEM, &pem);
	enum rc rc = code < 0 ? failed(code, "the TLS certificate", why)
			      : file_write_atomic(path, 0600, pem.data, pem.size, why);
	gnutls_free(pem.data);
	gnutls_x509_crt_deinit(cert);
	return rc;
}

enum rc tls_make(const char *dir, struct errmsg *why)
{
	char key_path[PATH_BYTES_MAX], cert_path[PATH_BYTES_MAX];
	gnutls_x509_privkey_t key;

	path_of(dir, "tls.key", key_path);
	path_of(dir, "tls.crt", cert_path);
	if (file_exists(key_path) && file_exists(cert_path))
		return RC_OK;
	int code = gnutls_x509_privkey_init(&key);
	if (code < 0)
		return failed(code, "the TLS key", why);
	enum rc rc = get_key(key, key_path, why);
	if (rc == RC_OK)
		rc = write_cert(key, cert_path, why);
	gnutls_x509_privkey_deinit(key);
	return rc;
}

/* ---- read ---------------------------------------------------------------------------------- */

static enum rc read_pem(const char *path, char **out, struct errmsg *why)
{
	uint8_t *bytes;
	size_t len;

	enum rc rc = file_read(path, TLS_FILE_BYTES_MAX, &bytes, &len, why);
	if (rc != RC_OK)
		return rc == RC_NOTFOUND || rc == RC_LIMIT ? RC_CONFIG : rc;
	*out = (char *)bytes;
	return RC_OK;
}

static int key_id_of_key(const char *pem, uint8_t id[KEY_ID_BYTES])
{
	const gnutls_datum_t datum = { .data = (unsigned char *)pem,
		.size = (unsigned)strlen(pem) };
	gnutls_x509_privkey_t key;
	size_t len = KEY_ID_BYTES;

	int code = gnutls_x509_privkey_init(&key);
	if (code < 0)
		return code;
	code = gnutls_x509_privkey_import2(key, &datum, GNUTLS_X509_FMT_PEM, NULL, 0);
	if (code >= 0)
		code = gnutls_x509_privkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, id, &len);
	gnutls_x509_privkey_deinit(key);
	return code;
}

/* Of the first certificate: the node's own. */
static int key_id_of_cert(const char *pem, uint8_t id[KEY_ID_BYTES])
{
	const gnutls_datum_t datum = { .data = (unsigned char *)pem,
		.size = (unsigned)strlen(pem) };
	gnutls_x509_crt_t certs[CERTS_MAX];
	unsigned n = CERTS_MAX;
	size_t len = KEY_ID_BYTES;

	int code = gnutls_x509_crt_list_import(
	    certs, &n, &datum, GNUTLS_X509_FMT_PEM, GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
	if (code < 0)
		return code;
	code = n == 0 ? GNUTLS_E_NO_CERTIFICATE_FOUND
		      : gnutls_x509_crt_get_key_id(certs[0], GNUTLS_KEYID_USE_SHA256, id, &len);
	for (unsigned i = 0; i < n; i++)
		gnutls_x509_crt_deinit(certs[i]);
	return code;
}

static enum rc check(struct tls_identity *identity, struct errmsg *why)
{
	uint8_t of_key[KEY_ID_BYTES], of_cert[KEY_ID_BYTES];
	const size_t at = sizeof PIN_PREFIX - 1;

	_Static_assert(
	    TLS_PIN_BYTES >=
		sizeof PIN_PREFIX +
		    sodium_base64_ENCODED_LEN(KEY_ID_BYTES, sodium_base64_VARIANT_ORIGINAL) - 1,
	    "the pin fits");
	int code = key_id_of_key(identity->key_pem, of_key);
	if (code < 0)
		return failed(code, "the TLS key", why);
	code = key_id_of_cert(identity->cert_pem, of_cert);
	if (code < 0)
		return failed(code, "the TLS certificate", why);
	if (memcmp(of_key, of_cert, sizeof of_key) != 0)
		return errmsg_rc(why, RC_CONFIG, "the TLS key is not the certificate's");
	memcpy(identity->pin, PIN_PREFIX, at);
	(void)sodium_bin2base64(identity->pin + at, sizeof identity->pin - at, of_key,
	    sizeof of_key, sodium_base64_VARIANT_ORIGINAL);
	return RC_OK;
}

enum rc tls_identity_load(const char *dir, const char *cert_path, const char *key_path,
    struct tls_identity *out, struct errmsg *why)
{
	char own_cert[PATH_BYTES_MAX], own_key[PATH_BYTES_MAX];
	enum rc rc = RC_OK;

	*out = (struct tls_identity){ 0 };
	if ((cert_path == NULL) != (key_path == NULL))
		return errmsg_rc(why, RC_CONFIG, "tls-cert and tls-key go together");
	if (cert_path == NULL) {
		rc = tls_make(dir, why);
		path_of(dir, "tls.crt", own_cert);
		path_of(dir, "tls.key", own_key);
		cert_path = own_cert;
		key_path = own_key;
	}
	if (rc == RC_OK)
		rc = read_pem(cert_path, &out->cert_pem, why);
	if (rc == RC_OK)
		rc = read_pem(key_path, &out->key_pem, why);
	if (rc == RC_OK)
		rc = check(out, why);
	if (rc != RC_OK)
		tls_identity_fini(out);
	return rc;
}

void tls_identity_fini(struct tls_identity *identity)
{
	if (identity->key_pem != NULL)
		wipe(identity->key_pem, strlen(identity->key_pem));
	free(identity->key_pem);
	free(identity->cert_pem);
	*identity = (struct tls_identity){ 0 };
}
