/* Copies of the catalogue, the table of destinations, and backups of a station. */
#include "gateway_fixture.h"

#include "align/policy.h"
#include "gateway/auth.h"
#include "gateway/catalogue.h"
#include "gateway/station_copy.h"
#include "os/file.h"
#include "store/store.h"

static struct fixture fx;

static int setup(void **state)
{
	(void)state;
	fixture_init(&fx, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_fini(&fx);
	return 0;
}

static void test_a_catalogue_comes_back_from_its_copy(void **state)
{
	struct catalogue *catalogue = station_catalogue(fx.station), *again = NULL;
	static const char *const drop[] = { "here" };
	const uint8_t hash[CATALOGUE_HASH_BYTES] = { 4 };
	struct errmsg why = ERRMSG_INIT;
	struct catalogue_device *devices;
	struct arena arena;
	struct buf copy;
	const char *text;
	char dir[400];
	int64_t id;
	size_t len;

	(void)state;
	arena_init(&arena, 1 << 20);
	buf_init(&copy, CATALOGUE_COPY_BYTES_MAX);
	assert_int_equal(catalogue_device_add(catalogue, "watch", 6, hash, 5, &id, &why), RC_OK);
	assert_int_equal(catalogue_setting_set(catalogue, "here", "a path", &why), RC_OK);
	assert_int_equal(catalogue_setting_set(catalogue, "there", "a word", &why), RC_OK);
	assert_int_equal(catalogue_copy(catalogue, false, &copy, &why), RC_OK);
	(void)snprintf(dir, sizeof(dir), "%s/again", fx.dir);
	assert_int_equal(file_mkdir(dir, 0700, &why), RC_OK);
	assert_int_equal(catalogue_restore(dir, copy.bytes, copy.len, drop, 1, &why), RC_OK);
	assert_int_equal(catalogue_restore(dir, copy.bytes, copy.len, drop, 1, &why), RC_EXISTS);
	assert_int_equal(catalogue_open(dir, &again, &why), RC_OK);
	assert_int_equal(catalogue_device_list(again, &arena, &devices, &len, &why), RC_OK);
	assert_int_equal(len, 2);
	assert_string_equal(devices[1].name, "watch");
	assert_memory_equal(devices[1].token_hash, hash, sizeof(hash));
	assert_int_equal(catalogue_setting_get(again, "here", &arena, &text, NULL), RC_NOTFOUND);
	assert_int_equal(catalogue_setting_get(again, "there", &arena, &text, &why), RC_OK);
	assert_string_equal(text, "a word");
	/* What it lacks comes with a newer copy; what it has of its own stays. */
	assert_int_equal(catalogue_setting_set(again, "here", "another path", &why), RC_OK);
	assert_int_equal(catalogue_device_revoke(catalogue, "watch", 9, &why), RC_OK);
	assert_int_equal(catalogue_device_add(catalogue, "ring", 2,
			     (const uint8_t[CATALOGUE_HASH_BYTES]){ 7 }, 5, &id, &why),
	    RC_OK);
	buf_reset(&copy);
	assert_int_equal(catalogue_copy(catalogue, false, &copy, &why), RC_OK);
	for (int i = 0; i < 3; i++) {
		errmsg_reset(&why);
		if (catalogue_adopt(again, copy.bytes, copy.len, &why) != RC_OK)
			fail_msg("adopt: %s", why.text);
	}
	assert_int_equal(catalogue_device_list(again, &arena, &devices, &len, &why), RC_OK);
	assert_int_equal(len, 3);
	assert_int_equal(devices[1].revoked_ns, 9);
	assert_int_equal(catalogue_setting_get(again, "here", &arena, &text, &why), RC_OK);
	assert_string_equal(text, "another path");
	assert_int_not_equal(catalogue_adopt(again, copy.bytes, 200, NULL), RC_OK);
	assert_int_equal(catalogue_verify(again, &why), RC_OK);
	catalogue_close(again);
	buf_fini(&copy);
	arena_fini(&arena);
}

static void test_destinations_are_kept_with_how_they_went(void **state)
{
	struct catalogue *catalogue = station_catalogue(fx.station);
	struct catalogue_backup b = {
		.path = "/a", .made_ns = 10, .tried_ns = 10, .cursor = 5, .bytes = 99, .error = ""
	};
	struct errmsg why = ERRMSG_INIT;
	struct catalogue_backup *rows;
	struct arena arena;
	size_t len;

	(void)state;
	arena_init(&arena, 1 << 20);
	assert_int_equal(catalogue_backup_put(catalogue, &b, &why), RC_OK);
	b = (struct catalogue_backup){ .path = "/a", .tried_ns = 20, .error = "no disk" };
	assert_int_equal(catalogue_backup_put(catalogue, &b, &why), RC_OK);
	assert_int_equal(catalogue_backup_list(catalogue, &arena, &rows, &len, &why), RC_OK);
	assert_int_equal(len, 1);
	assert_int_equal(rows[0].made_ns, 10); /* the last good one is still told */
	assert_int_equal(rows[0].cursor, 5);
	assert_int_equal(rows[0].tried_ns, 20);
	assert_string_equal(rows[0].error, "no disk");
	for (size_t i = 0; i < CATALOGUE_BACKUPS_MAX + 1; i++) {
		char path[32];
		(void)snprintf(path, sizeof(path), "/many/%zu", i);
		b.path = path;
		enum rc want = i + 1 < CATALOGUE_BACKUPS_MAX ? RC_OK : RC_LIMIT;
		assert_int_equal(catalogue_backup_put(catalogue, &b, NULL), want);
	}
	b.path = "/a"; /* a known one can be noted all the same */
	assert_int_equal(catalogue_backup_put(catalogue, &b, &why), RC_OK);
	assert_int_equal(catalogue_backup_remove(catalogue, "/a", &why), RC_OK);
	assert_int_equal(catalogue_backup_remove(catalogue, "/a", NULL), RC_NOTFOUND);
	arena_fini(&arena);
}

struct told {
	unsigned good, missing;
};

static void tell(void *ctx, const char *path, enum rc rc, const struct errmsg *why)
{
	struct told *told = ctx;

	(void)path;
	told->good += rc == RC_OK;
	told->missing += rc == RC_NOTFOUND && why->text[0] != '\0';
}

static void test_reachable_backups_follow_at_once_and_others_are_named(void **state)
{
	struct errmsg why = ERRMSG_INIT;
	struct backup_result out;
	struct told told = { 0 };
	char base[300], a[320], b[320], elsewhere[340];

	(void)state;
	(void)snprintf(base, sizeof(base), "%s-disks", fx.dir);
	assert_int_equal(file_mkdir(base, 0700, &why), RC_OK);
	(void)snprintf(a, sizeof(a), "%s/a", base);
	(void)snprintf(b, sizeof(b), "%s/b", base);
	(void)snprintf(elsewhere, sizeof(elsewhere), "%s/taken-away", base);
	assert_int_equal(station_backup(fx.station, a, NULL, NULL, &out, &why), RC_OK);
	assert_int_equal(station_backup(fx.station, b, NULL, NULL, &out, &why), RC_OK);
	assert_int_equal(rename(b, elsewhere), 0);
	assert_int_equal(station_backup_refresh(fx.station, tell, &told, &why), RC_OK);
	assert_int_equal(told.good, 1);
	assert_int_equal(told.missing, 1);
	assert_false(file_exists(b)); /* an empty mount point is no new base */
	fixture_remove(base);
}

/* ---- the policy of slices ------------------------------------------------------- */

#define RANGE "from=2026-11-19T10:00:00Z&to=2026-11-19T11:00:00Z&step=60"
#define POLICY "{\"version\":7,\"facets\":{\"location\":{\"nearest_s\":5,\"blend\":\"none\"}}}"

static void write_policy(const char *text)
{
	char path[400];

	(void)snprintf(path, sizeof(path), "%s/policy.json", fx.dir);
	PASS(file_write_atomic(path, 0600, text, strlen(text), &pass_why));
}

static void reopen(void)
{
	station_close(fx.station);
	fixture_open(&fx, STATION_SLICES);
}

static void walk_for_an_hour(void)
{
	struct buf body;

	buf_init(&body, 1 << 20);
	for (int i = 0; i < 120; i++)
		buf_printf(&body,
		    "{\"source\":\"phone\",\"layer\":\"environment\",\"kind\":\"location\","
		    "\"start\":\"2026-11-19T10:%02d:%02dZ\",\"data\":{\"lat\":52.%04d,"
		    "\"lon\":13.4}}\n",
		    i / 2, i % 2 * 20, 5200 + i);
	assert_int_equal(fixture_call(&fx, "POST", "/api/v1/events", buf_text(&body)), 200);
	assert_int_equal(fixture_number(&fx, "accepted"), 120);
	buf_fini(&body);
}

/* What the station in `f` shows of that hour, and the hash over it; the caller frees. */
static char *shown(struct fixture *f)
{
	char *text = NULL;

	assert_int_equal(fixture_call(f, "GET", "/api/v1/slices/manifest?" RANGE, NULL), 200);
	char *hash = strdup(json_string_value(json_object_get(f->json, "hash")));
	assert_int_equal(fixture_call(f, "GET", "/api/v1/slices?" RANGE, NULL), 200);
	assert_true(asprintf(&text, "%s %s", hash, buf_text(&f->response.body)) > 0);
	free(hash);
	return text;
}

/* Restore `dest` beside the fixture and open it. */
static void restore(const char *dest, const char *name, struct fixture *out)
{
	struct backup_checked checked;
	char key[400];
	struct station_config config = { .key_file = key };

	memset(out, 0, sizeof(*out));
	(void)snprintf(key, sizeof(key), "%s/key", fx.dir);
	assert_true(
	    (size_t)snprintf(out->dir, sizeof(out->dir), "%s-%s", fx.dir, name) < sizeof(out->dir));
	config.dir = out->dir;
	PASS(station_restore(&config, dest, NULL, NULL, &checked, &pass_why));
	fixture_open(out, STATION_SLICES);
	arena_init(&out->arena, (size_t)256 << 20);
	api_response_init(&out->response);
}

static void test_a_restored_station_makes_the_same_slices_by_the_same_policy(void **state)
{
	struct backup_result out;
	struct fixture again;
	char dest[320], path[400];

	(void)state;
	(void)snprintf(dest, sizeof(dest), "%s-dest", fx.dir);
	walk_for_an_hour();
	reopen();
	char *by_default = shown(&fx);
	write_policy(POLICY);
	reopen();
	char *by_ours = shown(&fx);
	assert_string_not_equal(by_ours, by_default);
	PASS(station_backup(fx.station, dest, NULL, NULL, &out, &pass_why));
	restore(dest, "again", &again);
	assert_int_equal(station_policy(again.station)->version, 7);
	char *restored = shown(&again);
	assert_string_equal(restored, by_ours);
	fixture_fini(&again);
	/* A later run that changes nothing else: there is no policy any more. */
	(void)snprintf(path, sizeof(path), "%s/policy.json", fx.dir);
	assert_int_equal(unlink(path), 0);
	reopen();
	PASS(station_backup(fx.station, dest, NULL, NULL, &out, &pass_why));
	restore(dest, "again", &again);
	free(restored);
	restored = shown(&again);
	assert_string_equal(restored, by_default);
	(void)snprintf(path, sizeof(path), "%s/policy.json", again.dir);
	assert_false(file_exists(path));
	fixture_fini(&again);
	fixture_remove(dest);
	free(restored);
	free(by_ours);
	free(by_default);
}

/* Version 1: magic, length of the wire key, it, the catalogue. */
static void state_of_before(struct buf *out)
{
	uint8_t *wire = NULL;
	char path[400];
	size_t len = 0;

	(void)snprintf(path, sizeof(path), "%s/wire.key", fx.dir);
	PASS(file_read(path, 1024, &wire, &len, &pass_why));
	buf_append(out, "HEARTHS\1\0\0", 10);
	buf_putc(out, (char)(len >> 8));
	buf_putc(out, (char)(len & 0xFF));
	buf_append(out, wire, len);
	free(wire);
	PASS(catalogue_copy(station_catalogue(fx.station), false, out, &pass_why));
}

static void test_a_backup_made_before_policies_were_copied_is_restored(void **state)
{
	struct fixture again;
	struct buf old;
	char dest[320];

	(void)state;
	(void)snprintf(dest, sizeof(dest), "%s-dest", fx.dir);
	walk_for_an_hour();
	reopen();
	buf_init(&old, CATALOGUE_COPY_BYTES_MAX);
	state_of_before(&old);
	struct backup_config config = { .dir = fx.dir,
		.dest = dest,
		.store = station_store(fx.station),
		.keyring = station_keyring(fx.station),
		.state = old.bytes,
		.state_len = old.len };
	struct backup_result out;
	PASS(backup_run(&config, &out, &pass_why));
	restore(dest, "again", &again);
	char *ours = shown(&fx), *restored = shown(&again);
	assert_string_equal(restored, ours);
	assert_string_equal(station_public_key(again.station), station_public_key(fx.station));
	fixture_fini(&again);
	fixture_remove(dest);
	buf_fini(&old);
	free(ours);
	free(restored);
}

/* ---- the key is lost -------------------------------------------------------------- */

static enum rc restore_by_paper(const char *dest, const char *dir, const char *recovery_key)
{
	struct backup_checked checked;
	char paper[400];
	struct station_config config = { .dir = dir, .recovery_file = paper };

	(void)snprintf(paper, sizeof(paper), "%s-paper", fx.dir);
	PASS(file_write_atomic(paper, 0600, recovery_key, strlen(recovery_key), &pass_why));
	errmsg_reset(&pass_why);
	enum rc rc = station_restore(&config, dest, NULL, NULL, &checked, &pass_why);
	assert_int_equal(unlink(paper), 0);
	return rc;
}

static void test_the_recovery_key_restores_and_a_new_key_opens_it(void **state)
{
	struct backup_result out;
	char dest[320], dir[320], key[400];
	struct station_config config = { .dir = dir, .zone = "UTC" };
	struct station *again = NULL;

	(void)state;
	(void)snprintf(dest, sizeof(dest), "%s-dest", fx.dir);
	(void)snprintf(dir, sizeof(dir), "%s-again", fx.dir);
	walk_for_an_hour();
	PASS(station_backup(fx.station, dest, NULL, NULL, &out, &pass_why));
	/* Typed wrongly, then that of another timeline: nothing is left in the place. */
	assert_int_equal(restore_by_paper(dest, dir, "0000-0000"), RC_DENIED);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(restore_by_paper(dest, dir, fx.created.recovery_key), RC_OK);
	(void)snprintf(key, sizeof(key), "%s/key", dir);
	assert_true(file_exists(key));
	PASS(station_open(&config, &again, &pass_why)); /* by the new key, as remembered */
	assert_int_equal(store_cursor(station_store(again)), out.cursor);
	/* It goes on with the same backup. */
	PASS(station_backup(again, dest, NULL, NULL, &out, &pass_why));
	station_close(again);
	/* Who has found the lost key cannot open it. */
	(void)snprintf(key, sizeof(key), "%s/key", fx.dir);
	config.key_file = key;
	assert_int_equal(station_open(&config, &again, NULL), RC_CONFIG);
	fixture_remove(dir);
	/* The recovery key on paper is good for the next time. */
	assert_int_equal(restore_by_paper(dest, dir, fx.created.recovery_key), RC_OK);
	fixture_remove(dir);
	fixture_remove(dest);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_catalogue_comes_back_from_its_copy),
		TEST(test_destinations_are_kept_with_how_they_went),
		TEST(test_reachable_backups_follow_at_once_and_others_are_named),
		TEST(test_a_restored_station_makes_the_same_slices_by_the_same_policy),
		TEST(test_a_backup_made_before_policies_were_copied_is_restored),
		TEST(test_the_recovery_key_restores_and_a_new_key_opens_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
