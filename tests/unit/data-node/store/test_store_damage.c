/* Store: damage, wrong keys, other formats; nothing of it may crash. */
#include "store_fixture.h"

#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>

#include "base/hex.h"
#include "os/file.h"

#define CANARY "xyzzy-canary-71c5"

struct faults {
	uint64_t n;
	char first[256];
};

static void fault_note(void *ctx, const char *fault)
{
	struct faults *faults = ctx;

	if (faults->n++ == 0)
		(void)snprintf(faults->first, sizeof(faults->first), "%s", fault);
}

static enum rc verify(struct store *store, struct faults *faults, struct store_verified *out)
{
	struct errmsg why = ERRMSG_INIT;

	*faults = (struct faults){ 0 };
	return store_verify(store, fault_note, faults, out, &why);
}

/* Records of every kind: versions, intervals, blocks, a large one. */
static void fill(struct fixture *f, size_t n)
{
	static char large[40000];
	char id[32];

	memset(large, 'L', sizeof(large) - 1);
	for (size_t i = 0; i < n; i++) {
		(void)snprintf(id, sizeof(id), "id%zu", i % (n * 3 / 4 + 1));
		struct observation obs = make_obs(id, T0_NS + (int64_t)i * NS_PER_S, CANARY);
		obs.layer = (enum layer)(1 + i % 6);
		obs.source = CANARY;
		obs.kind = CANARY;
		obs.zone = "Canary/Canary";
		if (i % 5 == 0) {
			obs.shape = SHAPE_INTERVAL;
			obs.dev_t1_ns += (int64_t)i * NS_PER_MIN + 1;
		}
		if (i % 50 == 7)
			obs.text = large;
		(void)append_one(f->store, &obs);
	}
}

static void path_of(const struct fixture *f, const char *name, char out[512])
{
	(void)snprintf(out, 512, "%s/%s", f->dir, name);
}

static void test_a_whole_store_verifies_and_counts(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct store_verified v;
	struct faults faults;

	fixture_init(&f);
	assert_int_equal(verify(f.store, &faults, &v), RC_OK);
	assert_int_equal(v.records, 0);
	fill(&f, 400);
	assert_int_equal(verify(f.store, &faults, &v), RC_OK);
	assert_int_equal(v.records, 400);
	assert_int_equal(v.time_entries, 301);
	assert_int_equal(v.dedup_entries, 301);
	assert_true(v.pages > 10 && v.faults == 0);
	fixture_fini(&f);
}

static int bytes_find(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	uint8_t *bytes;
	size_t len;

	(void)st;
	(void)ftw;
	if (flag != FTW_F || strstr(path, "/lock.mdb") != NULL)
		return 0;
	PASS(file_read(path, 64 << 20, &bytes, &len, &pass_why));
	bool found = memmem(bytes, len, CANARY, strlen(CANARY)) != NULL ||
		     memmem(bytes, len, "Canary/Canary", 13) != NULL;
	free(bytes);
	return found;
}

static void test_nothing_a_sender_wrote_stands_readable_on_disk(void **state)
{
	(void)state;
	struct fixture f = { 0 };

	fixture_init(&f);
	fill(&f, 200);
	fixture_close(&f);
	assert_int_equal(nftw(f.dir, bytes_find, 16, FTW_PHYS), 0);
	fixture_remove(f.dir);
}

static void test_any_flipped_bit_is_named_or_harmless_and_never_crashes(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	char path[512];
	uint64_t rng = 7;
	size_t named = 0, rounds = 400;
	struct stat st;

	fixture_init(&f);
	fill(&f, 300);
	fixture_close(&f);
	path_of(&f, "timeline/data.mdb", path);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	for (size_t i = 0; i < rounds; i++) {
		struct errmsg why = ERRMSG_INIT;
		struct faults faults = { 0 };
		off_t at = (off_t)(random_next(&rng) % (uint64_t)st.st_size);
		uint8_t old, flipped;
		assert_int_equal(pread(fd, &old, 1, at), 1);
		flipped = old ^ (uint8_t)(1u << (random_next(&rng) % 8));
		assert_int_equal(pwrite(fd, &flipped, 1, at), 1);
		struct keyring_unlock unlock = { 0 };
		PASS(keyring_open(f.dir, &unlock, &f.keyring, &pass_why));
		f.config.keyring = f.keyring;
		enum rc rc = store_open(&f.config, &f.store, &why);
		if (rc == RC_OK) {
			rc = verify(f.store, &faults, NULL);
			assert_true((rc == RC_OK) == (faults.n == 0));
			struct store_range all = { .from_ns = OBS_TIME_MIN_NS,
				.to_ns = OBS_TIME_MAX_NS };
			struct seen *seen = calloc(1, sizeof(*seen));
			enum rc scanned =
			    store_scan_time(f.store, &all, NULL, 0, seen_visit, seen, NULL);
			assert_true(scanned == RC_OK || rc == RC_CORRUPT);
			free(seen);
		} else {
			assert_true(why.text[0] != '\0');
		}
		named += rc != RC_OK;
		fixture_close(&f);
		assert_int_equal(pwrite(fd, &old, 1, at), 1);
	}
	/* What is not named lies in unused space: pages are not all full. */
	assert_true(named > rounds / 4);
	(void)close(fd);
	fixture_open(&f);
	struct faults faults;
	assert_int_equal(verify(f.store, &faults, NULL), RC_OK);
	fixture_fini(&f);
}

static void test_a_flipped_bit_in_a_record_is_named_by_its_number(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct faults faults;
	struct store_verified v;
	struct seen *seen = calloc(1, sizeof(*seen));
	struct store_range all = { .from_ns = OBS_TIME_MIN_NS, .to_ns = OBS_TIME_MAX_NS };
	char path[512];
	uint8_t *bytes, flip;
	size_t len;

	fixture_init(&f);
	fill(&f, 8);
	fixture_close(&f);
	/* Sealed values start with version, layer and day; layer 3 is seq 3. */
	path_of(&f, "timeline/data.mdb", path);
	PASS(file_read(path, 64 << 20, &bytes, &len, &pass_why));
	const uint8_t seq3[] = { 0, 0, 0, 0, 0, 0, 0, 3, 1, 3 };
	uint8_t *at = NULL;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	for (uint8_t *p = bytes; (p = memmem(p, len - (size_t)(p - bytes), seq3, 10)) != NULL;
	     p++) {
		at = p + 8 + 60; /* old copies of the page are damaged too */
		flip = *at ^ 0x10;
		assert_int_equal(pwrite(fd, &flip, 1, at - bytes), 1);
	}
	assert_non_null(at);
	(void)close(fd);
	free(bytes);
	fixture_open(&f);
	assert_int_equal(verify(f.store, &faults, &v), RC_CORRUPT);
	assert_int_equal(faults.n, 1);
	assert_string_equal(faults.first, "log seq 3: does not decrypt: damaged or replaced");
	/* The rest is still there. */
	struct errmsg why = ERRMSG_INIT;
	assert_int_equal(
	    store_scan_time(f.store, &all, NULL, 0, seen_visit, seen, &why), RC_CORRUPT);
	assert_string_equal(why.text, "log seq 3: does not decrypt: damaged or replaced");
	size_t by_time = seen->len;
	seen->len = 0;
	assert_int_equal(store_scan_log(f.store, 0, 0, seen_visit, seen, NULL), RC_CORRUPT);
	assert_int_equal(seen->len, 7);
	/* Sent again, it is taken in anew. */
	struct observation again = make_obs("id2", T0_NS, CANARY);
	again.source = CANARY;
	assert_int_equal(append_one(f.store, &again).seq, 9);
	assert_int_equal(append_one(f.store, &again).outcome, STORE_DUPLICATE);
	assert_true(by_time >= 5);
	free(seen);
	fixture_fini(&f);
}

static void test_a_file_cut_off_anywhere_is_refused_or_named(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	char path[512], copy[512];
	uint8_t *bytes;
	size_t len;

	fixture_init(&f);
	fill(&f, 300);
	fixture_close(&f);
	path_of(&f, "timeline/data.mdb", path);
	path_of(&f, "copy", copy);
	PASS(file_read(path, 64 << 20, &bytes, &len, &pass_why));
	for (size_t cut = 0; cut < len; cut += 1 + len / 37) {
		struct errmsg why = ERRMSG_INIT;
		struct faults faults = { 0 };
		struct keyring_unlock unlock = { 0 };
		PASS(file_write_atomic(path, 0600, bytes, cut, &pass_why));
		PASS(keyring_open(f.dir, &unlock, &f.keyring, &pass_why));
		f.config.keyring = f.keyring;
		enum rc rc = store_open(&f.config, &f.store, &why);
		if (rc == RC_OK)
			rc = verify(f.store, &faults, NULL);
		assert_true(rc == RC_CORRUPT);
		fixture_close(&f);
	}
	PASS(file_write_atomic(path, 0600, bytes, len, &pass_why));
	fixture_open(&f);
	struct faults faults;
	assert_int_equal(verify(f.store, &faults, NULL), RC_OK);
	free(bytes);
	fixture_fini(&f);
}

static enum rc try_open(struct fixture *f, const struct keyring_unlock *unlock, struct errmsg *why)
{
	errmsg_reset(why);
	enum rc rc = keyring_open(f->dir, unlock, &f->keyring, why);

	f->config.keyring = f->keyring;
	if (rc == RC_OK)
		rc = store_open(&f->config, &f->store, why);
	fixture_close(f);
	return rc;
}

static void test_a_wrong_or_cut_key_file_is_denied(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct keyring_unlock unlock = { 0 };
	struct errmsg why;
	char key[512];
	uint8_t *bytes;
	size_t len;

	fixture_init(&f);
	fixture_close(&f);
	path_of(&f, "key", key);
	PASS(file_read(key, 1024, &bytes, &len, &pass_why));
	assert_int_equal(len, 65);
	for (size_t cut = 0; cut < 64; cut += 9) {
		PASS(file_write_atomic(key, 0600, bytes, cut, &pass_why));
		assert_int_equal(try_open(&f, &unlock, &why), RC_DENIED);
	}
	bytes[5] = bytes[5] == 'a' ? 'b' : 'a';
	PASS(file_write_atomic(key, 0600, bytes, len, &pass_why));
	assert_int_equal(try_open(&f, &unlock, &why), RC_DENIED);
	assert_non_null(strstr(why.text, "wrong key file"));
	assert_int_equal(unlink(key), 0);
	assert_int_equal(try_open(&f, &unlock, &why), RC_DENIED);
	free(bytes);
	fixture_remove(f.dir);
}

static void test_a_keyring_of_another_store_is_denied(void **state)
{
	(void)state;
	struct fixture a = { 0 }, b = { 0 };
	struct keyring_unlock unlock = { 0 };
	struct errmsg why;
	char from[512], to[512];

	fixture_init(&a);
	fixture_init(&b);
	fixture_close(&a);
	fixture_close(&b);
	path_of(&a, "keyring", from);
	path_of(&b, "keyring", to);
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(try_open(&b, &unlock, &why), RC_DENIED); /* with b's key file */
	path_of(&a, "key", from);
	path_of(&b, "key", to);
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(try_open(&b, &unlock, &why), RC_DENIED); /* both swapped */
	assert_non_null(strstr(why.text, "does not belong"));
	assert_int_equal(try_open(&a, &unlock, &why), RC_NOTFOUND);
	assert_non_null(strstr(why.text, "init"));
	fixture_remove(a.dir);
	fixture_remove(b.dir);
}

static void test_a_newer_format_is_refused(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct keyring_unlock unlock = { 0 };
	struct errmsg why;
	char path[512];
	uint8_t format[8] = { 0, 0, 0, 0, 0, 0, 0, 99 };
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	char name[] = "format";
	MDB_val key = { 6, name }, value = { 8, format };

	fixture_init(&f);
	fixture_close(&f);
	path_of(&f, "timeline", path);
	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, 16), 0);
	assert_int_equal(mdb_env_open(env, path, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, "meta", 0, &dbi), 0);
	assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
	assert_int_equal(try_open(&f, &unlock, &why), RC_UNSUPPORTED);
	assert_non_null(strstr(why.text, "format 99"));
	assert_non_null(strstr(why.text, "up to 4"));
	fixture_remove(f.dir);
}

static void test_init_is_private_and_finishes_what_was_cut_off(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct keyring_unlock unlock = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct stat st;
	char path[512];

	fixture_dir(f.dir);
	(void)snprintf(path, sizeof(path), "%s/a/b", f.dir);
	PASS(keyring_create(f.dir, &unlock, &pass_why)); /* the power went here */
	PASS(store_init(f.dir, &unlock, &pass_why));
	assert_int_equal(store_init(f.dir, &unlock, &why), RC_EXISTS);
	fixture_open(&f);
	fixture_close(&f);
	PASS(store_init(path, &unlock, &pass_why));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	path_of(&f, "key", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	path_of(&f, "timeline", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	fixture_remove(f.dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_whole_store_verifies_and_counts),
		cmocka_unit_test(test_nothing_a_sender_wrote_stands_readable_on_disk),
		cmocka_unit_test(test_any_flipped_bit_is_named_or_harmless_and_never_crashes),
		cmocka_unit_test(test_a_flipped_bit_in_a_record_is_named_by_its_number),
		cmocka_unit_test(test_a_file_cut_off_anywhere_is_refused_or_named),
		cmocka_unit_test(test_a_wrong_or_cut_key_file_is_denied),
		cmocka_unit_test(test_a_keyring_of_another_store_is_denied),
		cmocka_unit_test(test_a_newer_format_is_refused),
		cmocka_unit_test(test_init_is_private_and_finishes_what_was_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
