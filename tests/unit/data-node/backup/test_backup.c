/* Backup: grows with the store, comes back whole, refuses what it must not touch. */
#include "backup_fixture.h"

#include <dirent.h>
#include <fcntl.h>

static void key_of(const struct place *p, char out[320])
{
	(void)snprintf(out, 320, "%s/key", p->f.dir);
}

static size_t files_in(const char *dir)
{
	size_t n = 0;
	DIR *d = opendir(dir);

	assert_non_null(d);
	for (const struct dirent *e; (e = readdir(d)) != NULL;)
		n += e->d_name[0] != '.';
	(void)closedir(d);
	return n;
}

static void test_a_backup_comes_back_whole_after_every_increment(void **state)
{
	(void)state;
	struct backup_checked checked;
	struct place p;
	char key[320], dir[400];

	place_init(&p);
	key_of(&p, key);
	for (unsigned round = 0; round < 6; round++) {
		size_t more = (const size_t[]){ 0, 300, 1, 40, 0, 500 }[round];
		live(&p.f, more, round);
		struct backup_result out = run_ok(&p);
		assert_int_equal(out.base, round == 0);
		assert_true(round < 2 || out.records < store_cursor(p.f.store));
		assert_true(more > 0 || out.records == 0);
		/* What the manifest lists, itself and the lock: nothing else. */
		assert_int_equal(files_in(p.dest), out.files + 2);
		assert_int_equal(check(&p, p.f.keyring, &checked), RC_OK);
		assert_int_equal(checked.records, store_cursor(p.f.store));
		assert_int_equal(check(&p, NULL, &checked), RC_OK);
		(void)snprintf(dir, sizeof(dir), "%s%u", p.restored, round);
		PASS(restore_to(&p, dir, key, &pass_why));
		struct content want = content_of(p.f.store);
		content_same(dir, key, &want);
		free(want.bytes);
	}
	place_fini(&p);
}

static void test_a_restored_store_goes_on_and_can_be_backed_up_itself(void **state)
{
	(void)state;
	struct place p, q = { 0 };
	char key[320], own_key[400];
	uint8_t *bytes;
	size_t len;

	place_init(&p);
	key_of(&p, key);
	live(&p.f, 200, 1);
	(void)run_ok(&p);
	PASS(restore_to(&p, p.restored, key, &pass_why));
	(void)snprintf(own_key, sizeof(own_key), "%s/key", p.restored);
	PASS(file_read(key, 1024, &bytes, &len, &pass_why));
	PASS(file_write_atomic(own_key, 0600, bytes, len, &pass_why));
	free(bytes);
	memcpy(q.f.dir, p.restored, strlen(p.restored) + 1);
	memcpy(q.dest, p.dest, sizeof(q.dest));
	fixture_open(&q.f);
	struct observation again = make_obs("id1-3", T0_NS, "words");
	(void)append_one(q.f.store, &again);
	live(&q.f, 100, 2);
	assert_int_equal(run_ok(&q).base, false);
	/* The old one went another way since: it must not spoil the backup. */
	live(&p.f, 150, 3);
	struct backup_config config = config_of(&p);
	struct backup_result out;
	assert_int_equal(backup_run(&config, &out, NULL), RC_EXISTS);
	struct backup_checked checked;
	assert_int_equal(check(&q, q.f.keyring, &checked), RC_OK);
	fixture_close(&q.f);
	place_fini(&p);
}

static void test_what_must_not_be_touched_is_refused(void **state)
{
	(void)state;
	struct place p, other;
	struct backup_config config;
	struct backup_result out;
	char path[400];

	place_init(&p);
	place_init(&other);
	live(&p.f, 20, 1);
	(void)run_ok(&other);
	config = config_of(&p);
	config.dest = other.dest;
	assert_int_equal(backup_run(&config, &out, NULL), RC_EXISTS); /* another's backup */
	config.dest = p.f.dir;
	assert_int_equal(backup_run(&config, &out, NULL), RC_INVALID); /* the node itself */
	(void)snprintf(path, sizeof(path), "%s/new/backup", p.f.dir);
	config.dest = path;
	assert_int_equal(backup_run(&config, &out, NULL), RC_INVALID); /* in the node */
	(void)snprintf(path, sizeof(path), "%s", p.f.dir);
	*strrchr(path, '/') = '\0';
	assert_int_equal(backup_run(&config, &out, NULL), RC_INVALID); /* around the node */
	config.dest = "backup";
	assert_int_equal(backup_run(&config, &out, NULL), RC_INVALID); /* from where? */
	assert_int_equal(mkdir(p.dest, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/thesis.txt", p.dest);
	PASS(file_create(path, 0600, "x", 1, &pass_why));
	config.dest = p.dest;
	assert_int_equal(backup_run(&config, &out, NULL), RC_EXISTS); /* somebody's files */
	assert_int_equal(files_in(p.dest), 1);
	/* A symbolic link does not lead around the rule. */
	(void)snprintf(path, sizeof(path), "%s-link", p.dest);
	assert_int_equal(symlink(p.f.dir, path), 0);
	config.dest = path;
	assert_int_equal(backup_run(&config, &out, NULL), RC_INVALID);
	place_fini(&other);
	place_fini(&p);
}

static void test_a_restore_is_refused_where_it_would_hide_something(void **state)
{
	(void)state;
	struct errmsg why = ERRMSG_INIT;
	struct place p, other;
	char key[320], path[400];

	place_init(&p);
	place_init(&other);
	key_of(&p, key);
	live(&p.f, 20, 1);
	assert_int_equal(restore_to(&p, p.restored, key, &why), RC_NOTFOUND); /* no backup */
	(void)run_ok(&p);
	assert_int_equal(restore_to(&p, p.f.dir, key, NULL), RC_EXISTS);
	(void)mkdir(p.restored, 0700);
	(void)snprintf(path, sizeof(path), "%s/thesis.txt", p.restored);
	PASS(file_create(path, 0600, "x", 1, &pass_why));
	assert_int_equal(restore_to(&p, p.restored, key, NULL), RC_EXISTS);
	assert_int_equal(files_in(p.restored), 1);
	assert_int_equal(unlink(path), 0);
	/* Another's key, then no key, then the right one: nothing has to be cleaned up. */
	key_of(&other, path);
	assert_int_equal(restore_to(&p, p.restored, path, NULL), RC_DENIED);
	assert_int_equal(restore_to(&p, p.restored, NULL, NULL), RC_DENIED);
	PASS(restore_to(&p, p.restored, key, &pass_why));
	assert_int_equal(restore_to(&p, p.restored, key, NULL), RC_EXISTS);
	place_fini(&other);
	place_fini(&p);
}

struct stop {
	unsigned calls, at;
};

static bool stop_there(void *ctx, uint64_t done, uint64_t total)
{
	struct stop *stop = ctx;

	(void)done;
	(void)total;
	return ++stop->calls < stop->at;
}

static void test_broken_off_runs_leave_what_was_there(void **state)
{
	(void)state;
	struct backup_checked before, after;
	struct backup_result out;
	struct place p;
	char key[320];

	place_init(&p);
	key_of(&p, key);
	live(&p.f, 300, 1);
	struct stop stop = { .at = 1 };
	struct backup_config config = config_of(&p);
	config.progress = stop_there;
	config.ctx = &stop;
	assert_int_equal(backup_run(&config, &out, NULL), RC_CANCELLED);
	assert_int_equal(check(&p, NULL, &before), RC_NOTFOUND);
	(void)run_ok(&p); /* begun anew in the same place */
	assert_int_equal(check(&p, p.f.keyring, &before), RC_OK);
	live(&p.f, 300, 2);
	stop.calls = 0;
	assert_int_equal(backup_run(&config, &out, NULL), RC_CANCELLED);
	assert_int_equal(check(&p, p.f.keyring, &after), RC_OK);
	assert_int_equal(after.cursor, before.cursor);
	assert_int_equal(after.made_ns, before.made_ns);
	out = run_ok(&p);
	assert_int_equal(files_in(p.dest), out.files + 2);
	/* A restore that was broken off is begun anew too. */
	struct keyring_unlock unlock = { .key_file = key };
	unsigned adopted = 0;
	for (unsigned at = 1; at < 4; at++) {
		stop = (struct stop){ .at = at };
		struct backup_restore r = { .dest = p.dest,
			.dir = p.restored,
			.unlock = &unlock,
			.adopt = adopt_nothing,
			.adopt_ctx = &adopted,
			.progress = stop_there,
			.ctx = &stop };
		assert_int_equal(backup_restore(&r, &after, NULL), RC_CANCELLED);
	}
	PASS(restore_to(&p, p.restored, key, &pass_why));
	struct content want = content_of(p.f.store);
	content_same(p.restored, key, &want);
	free(want.bytes);
	place_fini(&p);
}

/* Every byte of a small backup, one bit each: named, or the copy is the same. */
static void test_any_flipped_bit_is_named(void **state)
{
	(void)state;
	struct backup_checked checked;
	struct place p;
	uint64_t rng = 5;

	place_init(&p);
	live(&p.f, 60, 1);
	struct backup_config config = config_of(&p);
	struct backup_result out;
	config.file_bytes = 4000;
	PASS(backup_run(&config, &out, &pass_why));
	DIR *d = opendir(p.dest);
	assert_non_null(d);
	for (const struct dirent *e; (e = readdir(d)) != NULL;) {
		char path[700];
		uint8_t *bytes;
		size_t len, tries = 0;
		(void)snprintf(path, sizeof(path), "%s/%s", p.dest, e->d_name);
		if (e->d_name[0] == '.' || strcmp(e->d_name, "lock") == 0)
			continue;
		PASS(file_read(path, 1 << 20, &bytes, &len, &pass_why));
		assert_true(len > 0);
		for (size_t at = random_next(&rng) % 7; at < len && tries < 20;
		     at += 1 + len / 20, tries++) {
			uint8_t bit = (uint8_t)(1u << random_next(&rng) % 8);
			bytes[at] ^= bit;
			PASS(file_write_atomic(path, 0600, bytes, len, &pass_why));
			assert_int_equal(check(&p, p.f.keyring, &checked), RC_CORRUPT);
			bytes[at] ^= bit;
		}
		/* Cut off, and gone. */
		PASS(file_write_atomic(path, 0600, bytes, len / 2, &pass_why));
		assert_int_equal(check(&p, p.f.keyring, &checked), RC_CORRUPT);
		assert_int_equal(unlink(path), 0);
		enum rc rc = check(&p, p.f.keyring, &checked);
		assert_true(rc == RC_CORRUPT || rc == RC_NOTFOUND);
		PASS(file_write_atomic(path, 0600, bytes, len, &pass_why));
		free(bytes);
	}
	(void)closedir(d);
	assert_int_equal(check(&p, p.f.keyring, &checked), RC_OK);
	place_fini(&p);
}

static void test_a_lost_file_is_made_again_by_the_next_run(void **state)
{
	(void)state;
	struct backup_checked checked;
	struct place p;
	char path[700];

	place_init(&p);
	live(&p.f, 400, 1);
	(void)run_ok(&p);
	DIR *d = opendir(p.dest);
	assert_non_null(d);
	for (const struct dirent *e; (e = readdir(d)) != NULL;) {
		if (strncmp(e->d_name, "log-1-", 6) != 0)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", p.dest, e->d_name);
		assert_int_equal(unlink(path), 0);
	}
	(void)closedir(d);
	assert_int_equal(check(&p, p.f.keyring, &checked), RC_CORRUPT);
	(void)run_ok(&p);
	assert_int_equal(check(&p, p.f.keyring, &checked), RC_OK);
	place_fini(&p);
}

static void test_no_key_and_no_word_of_a_person_is_in_it(void **state)
{
	(void)state;
	struct place p;
	char path[700], key[320];
	uint8_t *secret, *bytes;
	size_t secret_len, len;

	place_init(&p);
	key_of(&p, key);
	struct observation obs = make_obs("canary-id", T0_NS, "canary words");
	obs.source = "canary-source";
	(void)append_one(p.f.store, &obs);
	(void)run_ok(&p);
	PASS(file_read(key, 1024, &secret, &secret_len, &pass_why));
	DIR *d = opendir(p.dest);
	assert_non_null(d);
	for (const struct dirent *e; (e = readdir(d)) != NULL;) {
		struct stat st;
		(void)snprintf(path, sizeof(path), "%s/%s", p.dest, e->d_name);
		if (e->d_name[0] == '.')
			continue;
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
		PASS(file_read(path, 1 << 20, &bytes, &len, &pass_why));
		assert_null(memmem(bytes, len, "canary", 6));
		assert_null(memmem(bytes, len, STATE, strlen(STATE)));
		assert_null(memmem(bytes, len, secret, 64));
		free(bytes);
	}
	(void)closedir(d);
	free(secret);
	place_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_backup_comes_back_whole_after_every_increment),
		cmocka_unit_test(test_a_restored_store_goes_on_and_can_be_backed_up_itself),
		cmocka_unit_test(test_what_must_not_be_touched_is_refused),
		cmocka_unit_test(test_a_restore_is_refused_where_it_would_hide_something),
		cmocka_unit_test(test_broken_off_runs_leave_what_was_there),
		cmocka_unit_test(test_any_flipped_bit_is_named),
		cmocka_unit_test(test_a_lost_file_is_made_again_by_the_next_run),
		cmocka_unit_test(test_no_key_and_no_word_of_a_person_is_in_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
