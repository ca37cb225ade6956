/*
 * A store with a life in it, a place for its backup, and the whole content of a
 * store as bytes to compare.  Header only: included by one test each.
 */
#ifndef BACKUP_FIXTURE_H
#define BACKUP_FIXTURE_H

#include "../store/store_fixture.h"

#include <sys/stat.h>

#include "backup/backup.h"
#include "os/file.h"

#define STATE "what the catalogue knows"

struct place {
	struct fixture f;
	char dest[320], restored[320];
};

UNUSED static void place_init(struct place *p)
{
	*p = (struct place){ 0 };
	fixture_init(&p->f);
	char base[256];
	fixture_dir(base);
	(void)snprintf(p->dest, sizeof(p->dest), "%s/dest", base);
	(void)snprintf(p->restored, sizeof(p->restored), "%s/restored", base);
}

UNUSED static void place_fini(struct place *p)
{
	fixture_fini(&p->f);
	*strrchr(p->dest, '/') = '\0';
	fixture_remove(p->dest);
}

/* `n` more records: all layers, versions, intervals, some large. */
UNUSED static void live(struct fixture *f, size_t n, unsigned seed)
{
	static char large[20000];
	uint64_t rng = seed;
	char id[32];

	memset(large, 'L', sizeof(large) - 1);
	for (size_t i = 0; i < n; i++) {
		(void)snprintf(id, sizeof(id), "id%u-%u", seed,
		    (unsigned)(random_next(&rng) % (n * 3 / 4 + 1)));
		struct observation obs =
		    make_obs(id, T0_NS + (int64_t)(random_next(&rng) % 300000) * NS_PER_S, "words");
		obs.layer = (enum layer)(1 + random_next(&rng) % 6);
		obs.has_source_seq = true;
		obs.source_seq = i;
		if (i % 40 == 3)
			obs.text = large;
		if (i % 3 == 0) {
			obs.shape = SHAPE_INTERVAL;
			obs.dev_t1_ns += (int64_t)(random_next(&rng) % 9000) * NS_PER_S;
		}
		(void)append_one(f->store, &obs);
	}
}

UNUSED static struct backup_config config_of(struct place *p)
{
	return (struct backup_config){
		.dir = p->f.dir,
		.dest = p->dest,
		.store = p->f.store,
		.keyring = p->f.keyring,
		.state = (const uint8_t *)STATE,
		.state_len = sizeof(STATE),
		.file_bytes = 40000,
		.join_bytes = 8000,
	};
}

UNUSED static struct backup_result run_ok(struct place *p)
{
	struct backup_config config = config_of(p);
	struct backup_result out;

	PASS(backup_run(&config, &out, &pass_why));
	assert_int_equal(out.cursor, store_cursor(p->f.store));
	return out;
}

UNUSED static enum rc check(struct place *p, struct keyring *keyring, struct backup_checked *out)
{
	struct backup_check c = { .dest = p->dest, .keyring = keyring };
	struct errmsg why = ERRMSG_INIT;

	return backup_verify(&c, out, &why);
}

UNUSED static enum rc adopt_nothing(
    void *ctx, struct keyring *keyring, const uint8_t *state, size_t len, struct errmsg *why)
{
	(void)why;
	(void)keyring;
	assert_int_equal(len, sizeof(STATE));
	assert_memory_equal(state, STATE, len);
	++*(unsigned *)ctx;
	return RC_OK;
}

/* With the key of `p`'s store. */
UNUSED static enum rc restore_to(
    struct place *p, const char *dir, const char *key_file, struct errmsg *why)
{
	struct keyring_unlock unlock = { .key_file = key_file };
	struct backup_checked checked;
	unsigned adopted = 0;
	struct backup_restore r = { .dest = p->dest,
		.dir = dir,
		.unlock = &unlock,
		.adopt = adopt_nothing,
		.adopt_ctx = &adopted };

	enum rc rc = backup_restore(&r, &checked, why);
	assert_true(rc != RC_OK || adopted == 1);
	return rc;
}

struct content {
	uint8_t *bytes;
	size_t len, cap;
};

UNUSED static bool content_visit(void *ctx, const struct observation *obs)
{
	struct content *c = ctx;
	struct buf record;

	buf_init(&record, OBS_RECORD_BYTES_MAX);
	assert_int_equal(observation_encode(obs, &record, NULL), RC_OK);
	if (c->len + record.len + sizeof(obs->seq) > c->cap) {
		c->cap = (c->len + record.len) * 2 + 64;
		c->bytes = realloc(c->bytes, c->cap);
		assert_non_null(c->bytes);
	}
	memcpy(c->bytes + c->len, &obs->seq, sizeof(obs->seq));
	memcpy(c->bytes + c->len + sizeof(obs->seq), record.bytes, record.len);
	c->len += record.len + sizeof(obs->seq);
	buf_fini(&record);
	return true;
}

/* The log, then what a scan over all time shows. */
UNUSED static struct content content_of(struct store *store)
{
	struct store_range all = { .from_ns = OBS_TIME_MIN_NS, .to_ns = OBS_TIME_MAX_NS };
	struct content c = { 0 };

	PASS(store_scan_log(store, 0, 0, content_visit, &c, &pass_why));
	PASS(store_scan_time(store, &all, NULL, 0, content_visit, &c, &pass_why));
	return c;
}

/* The store in `dir`, opened with `key_file`, holds what `want` does. */
UNUSED static void content_same(const char *dir, const char *key_file, const struct content *want)
{
	struct keyring_unlock unlock = { .key_file = key_file };
	struct store_config config = { .dir = dir };
	struct keyring *keyring = NULL;
	struct store *store = NULL;

	PASS(keyring_open(dir, &unlock, &keyring, &pass_why));
	config.keyring = keyring;
	PASS(store_open(&config, &store, &pass_why));
	PASS(store_verify(store, NULL, NULL, NULL, &pass_why));
	struct content got = content_of(store);
	assert_int_equal(got.len, want->len);
	assert_memory_equal(got.bytes, want->bytes, want->len);
	free(got.bytes);
	store_close(store);
	keyring_close(keyring);
}

#endif
