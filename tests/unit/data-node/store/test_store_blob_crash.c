/*
 * Blobs: kill -9 in the middle of uploads, again and again.
 *
 * A child sends blobs from two threads, and for two of three an event that refers
 * to it, and tells the parent of each acknowledgement through a pipe; the parent
 * kills it after a random number of them and opens the store: an acknowledged
 * blob is whole and has its content, references resolve, and two days later what
 * no event refers to is gone and everything else is there.
 * HEARTH_KILL_CYCLES sets the number of cycles.
 */
#include "store_fixture.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>

#include "store/store_blob.h"
#include "store_victim.h"

#define CYCLES 40
#define ROUND 20 /* then a new store: each check reads all of it */
#define ACKS_MAX 4000
#define THREADS 2
#define CONTENT_MAX ((size_t)200000) /* some chunks */

struct ack {
	uint32_t cycle, thread, number;
	bool event;
	uint64_t seq; /* of the event */
	uint8_t id[BLOB_ID_BYTES];
};

struct child {
	struct store *store;
	int out;
	uint32_t cycle, thread;
};

/* What a blob holds follows from who sent it. */
static size_t content_of(const struct ack *ack, uint8_t *out)
{
	uint64_t state = ((uint64_t)ack->cycle << 32) + ack->thread * 1000003 + ack->number + 1;
	size_t len = 1 + random_next(&state) % CONTENT_MAX;

	for (size_t i = 0; i < len; i += 8) {
		uint64_t bits = random_next(&state);
		memcpy(out + i, &bits, sizeof(bits));
	}
	return len;
}

static void send_blob(struct child *child, struct ack *ack)
{
	static _Thread_local uint8_t content[CONTENT_MAX + 8];
	struct blob_writer *w = NULL;
	size_t len = content_of(ack, content), at = 0;

	if (blob_write_open(store_blobs(child->store), &w, NULL) != RC_OK)
		_exit(1);
	for (size_t n; at < len; at += n) {
		n = len - at < 7000 ? len - at : 7000;
		if (blob_write(w, content + at, n, NULL) != RC_OK)
			_exit(1);
	}
	if (blob_write_finish(w, ack->id, NULL) != RC_OK)
		_exit(1);
	store_blob_added(child->store, len);
	blob_write_close(w);
}

static void tell(const struct child *child, const struct ack *ack)
{
	if (write(child->out, ack, sizeof(*ack)) != (ssize_t)sizeof(*ack))
		_exit(2);
}

static void *child_thread(void *arg)
{
	struct child *child = arg;
	struct ack ack = { .cycle = child->cycle, .thread = child->thread };
	char id[48];

	for (ack.number = 0;; ack.number++) {
		struct store_result result;
		ack.event = false;
		send_blob(child, &ack);
		tell(child, &ack);
		if (ack.number % 3 == 2)
			continue;
		(void)snprintf(id, sizeof(id), "%u-%u-%u", ack.cycle, ack.thread, ack.number);
		struct observation obs = make_obs(id, T0_NS + ack.number, "a photo");
		obs.blobs = (const uint8_t(*)[BLOB_ID_BYTES]) & ack.id;
		obs.blobs_len = 1;
		if (store_append(child->store, &obs, 1, &result, NULL, NULL) != RC_OK)
			_exit(3);
		ack.event = true;
		ack.seq = result.seq;
		tell(child, &ack);
	}
	return NULL;
}

struct work {
	struct fixture *f;
	uint32_t cycle;
};

static void child_main(void *ctx, int out)
{
	const struct work *work = ctx;
	struct child children[THREADS];
	pthread_t threads[THREADS];

	fixture_open(work->f);
	for (uint32_t i = 0; i < THREADS; i++) {
		children[i] = (struct child){ work->f->store, out, work->cycle, i };
		if (pthread_create(&threads[i], NULL, child_thread, &children[i]) != 0)
			_exit(4);
	}
	for (uint32_t i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
}

/* Run one child until `want` acknowledgements came; all that did go to `acks`. */
static size_t run_and_kill(
    struct fixture *f, uint32_t cycle, size_t want, struct ack *acks, size_t acks_len)
{
	struct work work = { f, cycle };
	struct store_victim victim;

	assert_true(acks_len + want < ACKS_MAX);
	store_victim_start(&victim, child_main, &work);
	for (want += acks_len; acks_len < want; acks_len++)
		assert_true(store_victim_hear(&victim, &acks[acks_len], sizeof(*acks)));
	store_victim_kill(&victim);
	while (store_victim_hear(&victim, &acks[acks_len], sizeof(*acks)))
		assert_true(++acks_len < ACKS_MAX);
	assert_true(store_victim_end(&victim));
	return acks_len;
}

static void assert_whole(struct fixture *f, const struct ack *ack)
{
	static uint8_t content[CONTENT_MAX + 8], got[CONTENT_MAX + 8];
	struct blob_reader *reader = NULL;
	size_t len = content_of(ack, content), at = 0, n = 1;

	PASS(blob_verify(store_blobs(f->store), ack->id, &pass_why));
	PASS(blob_open(store_blobs(f->store), ack->id, &reader, &pass_why));
	assert_int_equal(blob_bytes(reader), len);
	for (; n > 0; at += n)
		PASS(blob_read(reader, at, got + at, sizeof(got) - at, &n, &pass_why));
	assert_int_equal(at, len);
	assert_memory_equal(got, content, len);
	blob_close(reader);
}

static bool refers_to(struct fixture *f, const struct ack *ack)
{
	struct arena arena;
	struct observation obs;

	arena_init(&arena, 1 << 20);
	PASS(store_get_seq(f->store, ack->seq, &arena, &obs, &pass_why));
	bool same = obs.blobs_len == 1 && memcmp(obs.blobs[0], ack->id, BLOB_ID_BYTES) == 0;
	arena_fini(&arena);
	return same;
}

/* Acknowledgements of this cycle: all; of older ones: what events refer to. */
static void check(struct fixture *f, const struct ack *acks, size_t first, size_t len)
{
	fixture_open(f);
	PASS(store_verify(f->store, NULL, NULL, NULL, &pass_why)); /* references resolve */
	for (size_t i = 0; i < len; i++) {
		if (acks[i].event)
			assert_true(refers_to(f, &acks[i]));
		if (acks[i].event || i >= first)
			assert_whole(f, &acks[i]);
	}
	fixture_close(f);
}

static int64_t utc_ns(void *ctx)
{
	struct timespec now;

	(void)ctx;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static _Atomic int64_t later_ns;

static int64_t mono_ns(void *ctx)
{
	struct timespec now;

	(void)ctx;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec + atomic_load(&later_ns);
}

static bool count_blob(void *ctx, const uint8_t name[BLOB_NAME_BYTES])
{
	(void)name;
	(*(uint64_t *)ctx)++;
	return true;
}

static bool count_record(void *ctx, const struct observation *obs)
{
	*(uint64_t *)ctx += obs->blobs_len;
	return true;
}

static size_t uploads_lying(const struct fixture *f)
{
	char path[320];
	size_t n = 0;

	(void)snprintf(path, sizeof(path), "%s/blobs/new", f->dir);
	DIR *dir = opendir(path);
	if (dir == NULL)
		return 0; /* nothing was uploaded yet */
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
		n += entry->d_name[0] != '.';
	(void)closedir(dir);
	return n;
}

/* Two days later: one file for each reference, none besides, and no half of one. */
static void check_swept(struct fixture *f, const struct ack *acks, size_t len)
{
	struct clock_source later = { utc_ns, mono_ns, NULL };
	uint64_t swept, blobs = 0, references = 0;

	clock_replace(&later);
	fixture_open(f);
	PASS(store_blob_sweep(f->store, STORE_BLOB_GRACE_S, &swept, &pass_why));
	assert_int_equal(swept, 0);
	atomic_fetch_add(&later_ns, 2 * NS_PER_DAY);
	PASS(store_blob_sweep(f->store, STORE_BLOB_GRACE_S, &swept, &pass_why));
	PASS(store_blob_each(f->store, count_blob, &blobs, &pass_why));
	PASS(store_scan_log(f->store, 0, 0, count_record, &references, &pass_why));
	assert_true(swept > 0);
	assert_int_equal(blobs, references);
	assert_int_equal(uploads_lying(f), 0);
	fixture_close(f);
	clock_replace(NULL);
	check(f, acks, len, len);
}

static void test_kill_nine_leaves_acknowledged_blobs_whole_and_orphans_are_swept(void **state)
{
	(void)state;
	const char *cycles = getenv("HEARTH_KILL_CYCLES");
	uint32_t n = cycles == NULL ? CYCLES : (uint32_t)strtoul(cycles, NULL, 10);
	struct ack *acks = calloc(ACKS_MAX, sizeof(*acks));
	size_t lying = 0;
	uint64_t rng = 5;

	/* On a slow machine a kill may find no upload for a while. */
	for (uint32_t at = 0, round; at < n || (lying == 0 && at < 20 * n); at += round) {
		struct fixture f = { 0 };
		size_t len = 0;
		round = at < n && n - at < ROUND ? n - at : ROUND;
		fixture_init(&f);
		fixture_close(&f);
		for (uint32_t cycle = at; cycle < at + round; cycle++) {
			size_t first = len;
			len = run_and_kill(&f, cycle, random_next(&rng) % 12, acks, len);
			lying += uploads_lying(&f);
			check(&f, acks, first, len);
			assert_int_equal(uploads_lying(&f), 0);
		}
		check_swept(&f, acks, len);
		fixture_remove(f.dir);
	}
	assert_true(lying > 0); /* some were killed in the middle of an upload */
	free(acks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_kill_nine_leaves_acknowledged_blobs_whole_and_orphans_are_swept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
