/*
 * A store in a directory of its own under $TMPDIR, removed at the end; and
 * small makers of observations.  Header only: included by one test each.
 */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "store/keyring.h"
#include "store/store.h"

#define UNUSED __attribute__((unused))
#define T0_NS (INT64_C(1763577000) * NS_PER_S)
/* Calls under PASS give their error text to `pass_why`. */
UNUSED static struct errmsg pass_why;
#define PASS(call)                                                                                 \
	do {                                                                                       \
		errmsg_reset(&pass_why);                                                           \
		enum rc pass_rc = (call);                                                          \
		if (pass_rc != RC_OK)                                                              \
			fail_msg("%s: %s (%s)", #call, rc_word(pass_rc), pass_why.text);           \
	} while (0)

struct fixture {
	char dir[256];
	struct keyring *keyring;
	struct store *store;
	struct store_config config;
	/* Not about durability: on a disk of memory, if there is one, and no commit
	 * waits for company. */
	bool in_memory;
};

UNUSED static void fixture_dir_at(const char *base, char out[256])
{
	(void)snprintf(out, 256, "%s/store-test-XXXXXX", base == NULL ? "/tmp" : base);
	assert_non_null(mkdtemp(out));
}

UNUSED static void fixture_dir(char out[256])
{
	fixture_dir_at(getenv("TMPDIR"), out);
}

UNUSED static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

UNUSED static void fixture_remove(const char *dir)
{
	(void)nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

UNUSED static void fixture_open(struct fixture *f)
{
	struct keyring_unlock unlock = { 0 };

	PASS(keyring_open(f->dir, &unlock, &f->keyring, &pass_why));
	f->config.dir = f->dir;
	f->config.keyring = f->keyring;
	PASS(store_open(&f->config, &f->store, &pass_why));
}

UNUSED static void fixture_close(struct fixture *f)
{
	store_close(f->store);
	keyring_close(f->keyring);
	f->store = NULL;
	f->keyring = NULL;
}

/* `f->config` may be filled before; dir and keyring are set here. */
UNUSED static void fixture_init(struct fixture *f)
{
	struct keyring_unlock unlock = { 0 };
	bool memory = f->in_memory && access("/dev/shm", W_OK) == 0;

	if (f->in_memory && f->config.commit_interval_ns == 0)
		f->config.commit_interval_ns = 1;
	fixture_dir_at(memory ? "/dev/shm" : getenv("TMPDIR"), f->dir);
	PASS(keyring_create(f->dir, &unlock, &pass_why));
	PASS(keyring_open(f->dir, &unlock, &f->keyring, &pass_why));
	PASS(store_create(f->dir, f->keyring, &pass_why));
	keyring_close(f->keyring);
	fixture_open(f);
}

UNUSED static void fixture_fini(struct fixture *f)
{
	fixture_close(f);
	fixture_remove(f->dir);
}

UNUSED static struct observation make_obs(const char *id, int64_t t0_ns, const char *text)
{
	return (struct observation){
		.source = "phone",
		.client_id = id,
		.layer = LAYER_TEXT,
		.kind = "note",
		.shape = SHAPE_INSTANT,
		.clock_id = "",
		.boot_epoch = "",
		.dev_t0_ns = t0_ns,
		.dev_t1_ns = t0_ns,
		.zone = "",
		.origin = ORIGIN_OWNER,
		.text = text,
		.data_json = "",
	};
}

UNUSED static struct store_result append_one(struct store *store, const struct observation *obs)
{
	struct store_result result = { .outcome = STORE_REJECTED };

	PASS(store_append(store, obs, 1, &result, NULL, &pass_why));
	return result;
}

/* What a scan saw, as seqs. */
struct seen {
	uint64_t seqs[20000];
	size_t len, stop_at;
};

UNUSED static bool seen_visit(void *ctx, const struct observation *obs)
{
	struct seen *seen = ctx;

	assert_true(seen->len < sizeof(seen->seqs) / sizeof(seen->seqs[0]));
	seen->seqs[seen->len++] = obs->seq;
	return seen->stop_at == 0 || seen->len < seen->stop_at;
}

#endif
