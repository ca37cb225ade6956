/*
 * Durable ingest next to bare LMDB + libsodium writing the same bytes.
 *
 *   data_ingest [-d DIRECTORY] [-r ROUNDS] [-n RECORDS]
 *
 * Both sides encrypt records of RECORD_BYTES, put the same keys (log, time,
 * dedup) and commit with a sync; rounds alternate, figures are medians.  Ids are
 * hashes, so most pages that such a commit writes are those of dedup; beside it
 * stands a peer that keeps no ids at all: less cannot be written.
 * With -n each side holds so many records before the first round.
 * `batch`: batches of 1000.  `single`: 64 threads, one event each at a time,
 * next to what one commit per 64 records allows on this disk.
 */
#include <lmdb.h>
#include <pthread.h>
#include <sodium.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "store/keyring.h"
#include "store/store.h"

#define RECORD_BYTES 200
#define BATCH 1000
#define BATCHES 20 /* per round */
#define FILL_BATCH 50000
#define THREADS 64
#define SINGLES 40 /* per thread and round */
#define ROUNDS_MAX 101
#define SEAL_BYTES 46 /* header, nonce, tag: as the store writes them */
#define T0_NS (INT64_C(1763577000) * NS_PER_S)

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	(void)fprintf(stderr, "data_ingest: %s failed\n", what);
	exit(1);
}

/* ---- bare LMDB + libsodium -------------------------------------------------- */

struct bare {
	MDB_env *env;
	MDB_dbi log, time, dedup;
	bool no_ids;
	uint64_t seq;
	uint8_t key[32];
};

static void put_be64(uint8_t out[8], uint64_t v)
{
	for (int i = 0; i < 8; i++)
		out[i] = (uint8_t)(v >> (56 - 8 * i));
}

static void bare_open(struct bare *bare, const char *dir)
{
	MDB_txn *txn;

	random_bytes(bare->key, sizeof(bare->key));
	must(mkdir(dir, 0700) == 0, "mkdir");
	must(mdb_env_create(&bare->env) == 0, "env");
	must(mdb_env_set_maxdbs(bare->env, 4) == 0, "maxdbs");
	must(mdb_env_set_mapsize(bare->env, (size_t)4 << 30) == 0, "mapsize");
	must(mdb_env_open(bare->env, dir, MDB_NOTLS, 0600) == 0, "open");
	must(mdb_txn_begin(bare->env, NULL, 0, &txn) == 0, "begin");
	must(mdb_dbi_open(txn, "log", MDB_CREATE, &bare->log) == 0, "log");
	must(mdb_dbi_open(txn, "time", MDB_CREATE, &bare->time) == 0, "time");
	must(mdb_dbi_open(txn, "dedup", MDB_CREATE, &bare->dedup) == 0, "dedup");
	must(mdb_txn_commit(txn) == 0, "commit");
}

static void bare_put(struct bare *bare, MDB_txn *txn, const uint8_t *record)
{
	uint8_t seq[8], time[17] = { 1 }, id[16], value[RECORD_BYTES + SEAL_BYTES];
	MDB_val key = { 8, seq }, data = { sizeof(value), value }, none = { 0, NULL };

	memset(value, 1, 6);
	put_be64(seq, ++bare->seq);
	random_bytes(value + 6, 24);
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(
	    value + 30, NULL, record, RECORD_BYTES, seq, 8, NULL, value + 6, bare->key);
	must(mdb_put(txn, bare->log, &key, &data, MDB_APPEND) == 0, "put");
	put_be64(time + 1, (uint64_t)T0_NS + bare->seq);
	memcpy(time + 9, seq, 8);
	key = (MDB_val){ sizeof(time), time };
	must(mdb_put(txn, bare->time, &key, &none, 0) == 0, "put");
	if (bare->no_ids)
		return;
	(void)crypto_generichash(id, sizeof(id), seq, 8, bare->key, sizeof(bare->key));
	key = (MDB_val){ sizeof(id), id };
	data = (MDB_val){ 8, seq };
	must(mdb_put(txn, bare->dedup, &key, &data, MDB_NOOVERWRITE) == 0, "put");
}

/* Records a second for `commits` commits of `n`. */
static double bare_run(struct bare *bare, size_t commits, size_t n)
{
	uint8_t record[RECORD_BYTES];
	int64_t begin = clock_mono_ns();

	memset(record, 'r', sizeof(record));
	for (size_t c = 0; c < commits; c++) {
		MDB_txn *txn;
		must(mdb_txn_begin(bare->env, NULL, 0, &txn) == 0, "begin");
		for (size_t i = 0; i < n; i++)
			bare_put(bare, txn, record);
		must(mdb_txn_commit(txn) == 0, "commit");
	}
	return (double)(commits * n) / ((double)(clock_mono_ns() - begin) / 1e9);
}

/* ---- the store ---------------------------------------------------------------- */

static char text[RECORD_BYTES];

static struct observation event_of(char id[24], uint64_t number)
{
	(void)snprintf(id, 24, "%012llu", (unsigned long long)number);
	return (struct observation){ .source = "bench",
		.client_id = id,
		.layer = LAYER_TEXT,
		.kind = "note",
		.shape = SHAPE_INSTANT,
		.clock_id = "",
		.boot_epoch = "",
		.zone = "",
		.data_json = "",
		.dev_t0_ns = T0_NS + (int64_t)number,
		.dev_t1_ns = T0_NS + (int64_t)number,
		.recv_utc_ns = T0_NS,
		.origin = ORIGIN_OWNER,
		.text = text };
}

/* Choose the text so that a record has RECORD_BYTES bytes. */
static void text_fit(void)
{
	char id[24];
	struct buf record;

	buf_init(&record, 4096);
	for (size_t len = 1; len < sizeof(text); len++) {
		text[len - 1] = 't';
		struct observation obs = event_of(id, 1);
		buf_reset(&record);
		must(observation_encode(&obs, &record, NULL) == RC_OK, "encode");
		if (record.len >= RECORD_BYTES)
			break;
	}
	buf_fini(&record);
}

static double store_batches(struct store *store, uint64_t *number)
{
	static char ids[BATCH][24];
	static struct observation obs[BATCH];
	int64_t begin = clock_mono_ns();

	for (size_t b = 0; b < BATCHES; b++) {
		for (size_t i = 0; i < BATCH; i++)
			obs[i] = event_of(ids[i], (*number)++);
		must(store_append(store, obs, BATCH, NULL, NULL, NULL) == RC_OK, "append");
	}
	return (double)(BATCHES * BATCH) / ((double)(clock_mono_ns() - begin) / 1e9);
}

struct single {
	struct store *store;
	uint64_t number;
	pthread_t thread;
	int64_t ack_ns[SINGLES];
};

static void *single_main(void *arg)
{
	struct single *s = arg;
	char id[24];

	for (size_t i = 0; i < SINGLES; i++) {
		/* Whoever sends at one moment sends events of one moment. */
		struct observation obs = event_of(id, s->number + i * THREADS);
		int64_t begin = clock_mono_ns();
		must(store_append(s->store, &obs, 1, NULL, NULL, NULL) == RC_OK, "append");
		s->ack_ns[i] = clock_mono_ns() - begin;
	}
	return NULL;
}

static int compare_reals(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double middle(double *values, size_t n, double quantile)
{
	qsort(values, n, sizeof(*values), compare_reals);
	return values[(size_t)((double)(n - 1) * quantile)];
}

static double store_singles(struct store *store, uint64_t *number, double *p99_ms)
{
	static struct single singles[THREADS];
	static double acks[THREADS * SINGLES];
	int64_t begin = clock_mono_ns();

	for (size_t t = 0; t < THREADS; t++) {
		singles[t].store = store;
		singles[t].number = *number + t;
		must(pthread_create(&singles[t].thread, NULL, single_main, &singles[t]) == 0,
		    "thread");
	}
	for (size_t t = 0; t < THREADS; t++)
		(void)pthread_join(singles[t].thread, NULL);
	*number += THREADS * SINGLES;
	double rate = (double)(THREADS * SINGLES) / ((double)(clock_mono_ns() - begin) / 1e9);
	for (size_t t = 0; t < THREADS; t++) {
		for (size_t i = 0; i < SINGLES; i++)
			acks[t * SINGLES + i] = (double)singles[t].ack_ns[i] / 1e6;
	}
	*p99_ms = middle(acks, THREADS * SINGLES, 0.99);
	return rate;
}

/* ---- rounds --------------------------------------------------------------------- */

struct figures {
	double store_batch[ROUNDS_MAX], bare_batch[ROUNDS_MAX], least_batch[ROUNDS_MAX];
	double store_single[ROUNDS_MAX], bare_single[ROUNDS_MAX], least_single[ROUNDS_MAX];
	double p99_ms[ROUNDS_MAX];
};

static void row(const char *name, double *ours, double *peer, double *least, size_t n)
{
	double a = middle(ours, n, 0.5), b = middle(peer, n, 0.5), c = middle(least, n, 0.5);

	(void)printf("%-24s %10.0f %10.0f %6.2f %10.0f %6.2f\n", name, a, b, a / b, c, a / c);
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

/* In large batches: this is not what is measured. */
static void fill(
    struct store *store, struct bare *bare, struct bare *least, size_t records, uint64_t *number)
{
	static char ids[FILL_BATCH][24];
	static struct observation obs[FILL_BATCH];

	for (size_t n = 0; n < records; n += FILL_BATCH) {
		for (size_t i = 0; i < FILL_BATCH; i++)
			obs[i] = event_of(ids[i], (*number)++);
		must(store_append(store, obs, FILL_BATCH, NULL, NULL, NULL) == RC_OK, "append");
		(void)bare_run(bare, 1, FILL_BATCH);
		(void)bare_run(least, 1, FILL_BATCH);
	}
}

static void run(const char *dir, size_t rounds, size_t records)
{
	static struct figures f;
	struct keyring_unlock unlock = { 0 };
	struct keyring *keyring;
	struct store *store;
	struct bare bare = { 0 }, least = { .no_ids = true };
	char path[512];
	uint64_t number = 0;

	must(store_init(dir, &unlock, NULL) == RC_OK, "init");
	must(keyring_open(dir, &unlock, &keyring, NULL) == RC_OK, "keyring");
	struct store_config config = {
		.dir = dir, .keyring = keyring, .map_bytes = (uint64_t)4 << 30
	};
	must(store_open(&config, &store, NULL) == RC_OK, "open");
	(void)snprintf(path, sizeof(path), "%s/bare", dir);
	bare_open(&bare, path);
	(void)snprintf(path, sizeof(path), "%s/least", dir);
	bare_open(&least, path);
	fill(store, &bare, &least, records, &number);
	struct store_stats before, stats;
	must(store_get_stats(store, &before, NULL) == RC_OK, "stats");
	for (size_t r = 0; r < rounds; r++) {
		f.store_batch[r] = store_batches(store, &number);
		f.bare_batch[r] = bare_run(&bare, BATCHES, BATCH);
		f.least_batch[r] = bare_run(&least, BATCHES, BATCH);
		f.store_single[r] = store_singles(store, &number, &f.p99_ms[r]);
		f.bare_single[r] = bare_run(&bare, SINGLES, THREADS);
		f.least_single[r] = bare_run(&least, SINGLES, THREADS);
	}
	(void)printf("%-24s %10s %10s %6s %10s %6s\n", "durable events/s", "store", "bare", "ratio",
	    "no ids", "ratio");
	row("batches of 1000 x 200 B", f.store_batch, f.bare_batch, f.least_batch, rounds);
	row("64 threads, single", f.store_single, f.bare_single, f.least_single, rounds);
	must(store_get_stats(store, &stats, NULL) == RC_OK, "stats");
	double groups =
	    (double)(stats.commits - before.commits - rounds * BATCHES) / (double)rounds;
	(void)printf("single: %.1f events a commit, commit p50 %.2f ms\n",
	    (double)(THREADS * SINGLES) / groups, (double)stats.commit_ns_p50 / 1e6);
	double bare_commit_ms = 1e3 * THREADS / middle(f.bare_single, rounds, 0.5);
	(void)printf("single: acknowledgement p99 %.2f ms, bare commit of 64 takes %.2f ms\n",
	    middle(f.p99_ms, rounds, 0.5), bare_commit_ms);
	store_close(store);
	keyring_close(keyring);
	mdb_env_close(bare.env);
	mdb_env_close(least.env);
}

int main(int argc, char **argv)
{
	char dir[256];
	const char *base = "/tmp";
	size_t rounds = 9, records = 0;
	int c;

	while ((c = getopt(argc, argv, "d:r:n:")) != -1) {
		if (c == 'd')
			base = optarg;
		else if (c == 'r')
			rounds = (size_t)strtoul(optarg, NULL, 10);
		else if (c == 'n')
			records = (size_t)strtoul(optarg, NULL, 10);
		else
			return 2;
	}
	if (rounds < 1 || rounds > ROUNDS_MAX)
		return 2;
	must(sodium_init() >= 0, "sodium");
	(void)snprintf(dir, sizeof(dir), "%s/bench-ingest-XXXXXX", base);
	must(mkdtemp(dir) != NULL, "mkdtemp");
	text_fit();
	run(dir, rounds, records);
	(void)nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}
