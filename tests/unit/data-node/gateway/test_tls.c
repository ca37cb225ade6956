/* TLS identity: made once, the same pin again, refused where key and certificate
 * do not belong together. */
#include "gateway_fixture.h"

#include <sys/stat.h>

#include "gateway/tls.h"
#include "os/file.h"

static char dir[256];

static int setup(void **state)
{
	(void)state;
	fixture_dir(dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_remove(dir);
	return 0;
}

static const char *in_dir(const char *name)
{
	static char path[512];

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static void test_what_is_made_is_private_and_stays(void **state)
{
	struct tls_identity first, again;
	struct stat st;

	(void)state;
	PASS(tls_make(dir, &pass_why));
	assert_int_equal(stat(in_dir("tls.key"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	PASS(tls_identity_load(dir, NULL, NULL, &first, &pass_why));
	assert_int_equal(strncmp(first.pin, "sha256//", 8), 0);
	assert_int_equal(strlen(first.pin), 8 + 44);
	assert_non_null(strstr(first.cert_pem, "BEGIN CERTIFICATE"));
	PASS(tls_make(dir, &pass_why));
	PASS(tls_identity_load(dir, NULL, NULL, &again, &pass_why));
	assert_string_equal(first.cert_pem, again.cert_pem);
	tls_identity_fini(&again);
	/* A certificate that was lost comes again, for the same key: the same pin. */
	assert_int_equal(remove(in_dir("tls.crt")), 0);
	PASS(tls_identity_load(dir, NULL, NULL, &again, &pass_why));
	assert_string_equal(first.pin, again.pin);
	tls_identity_fini(&again);
	tls_identity_fini(&first);
	assert_null(first.key_pem);
}

static void test_foreign_files_must_belong_together(void **state)
{
	struct tls_identity identity;
	char other[256], cert[512], key[512];

	(void)state;
	fixture_dir(other);
	PASS(tls_make(dir, &pass_why));
	PASS(tls_make(other, &pass_why));
	(void)snprintf(cert, sizeof cert, "%s/tls.crt", other);
	(void)snprintf(key, sizeof key, "%s/tls.key", other);
	PASS(tls_identity_load(dir, cert, key, &identity, &pass_why));
	tls_identity_fini(&identity);
	assert_int_equal(
	    tls_identity_load(dir, cert, in_dir("tls.key"), &identity, NULL), RC_CONFIG);
	assert_int_equal(tls_identity_load(dir, cert, NULL, &identity, NULL), RC_CONFIG);
	assert_int_equal(tls_identity_load(dir, key, key, &identity, NULL), RC_CONFIG);
	assert_int_equal(
	    tls_identity_load(dir, in_dir("none"), in_dir("none"), &identity, NULL), RC_CONFIG);
	fixture_remove(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_what_is_made_is_private_and_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_foreign_files_must_belong_together, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
