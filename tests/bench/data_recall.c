/*
 * Recall: build and query of the lexical index next to SQLite's FTS5 (ranked
 * OR query, porter stemmer, in memory) over the same texts in the same run.  Then
 * the same queries with vectors of 384 values beside (random ones; the question's
 * embedding not counted), and how long their scan takes beside plain reading of as
 * many bytes.  And the snapshot: what keeping it adds to building
 * (a store under $TMPDIR, each commit synced), how large it is, how soon the index is
 * there again.
 *
 *   data_recall [ITEMS]...      default 10000 100000; beyond that without the peer
 */
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "recall/document.h"
#include "recall/search.h"
#include "recall/snapshot.h"
#include "recall/vector_index.h"
#include "store/keyring.h"

#define QUERIES 200
#define PEER_ITEMS_MAX 100000 /* its queries take half a second each beyond */
#define WORDS 30000
#define K 10
#define LENGTH 384u
#define START_NS (INT64_C(1735689600) * NS_PER_S)

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	(void)fprintf(stderr, "data_recall: %s\n", what);
	exit(1);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* A word drawn as in speech: rank r with a chance like 1/r. */
static void put_word(uint64_t *seed, char *out, size_t max)
{
	static const char *const parts[] = { "ka", "lo", "min", "ter", "su", "ri", "en", "pa",
		"vol", "dri", "ch", "os", "al", "bre", "ni", "qu" };
	double u = (double)(random_next(seed) >> 11) / 9007199254740992.0;
	double x = 1;

	for (double f = u * 10.3; f > 1; f -= 1) /* e^(u ln 30000) */
		x *= 2.718281828;
	uint64_t rank = (uint64_t)x + random_next(seed) % ((uint64_t)x + 1);
	(void)snprintf(out, max, "%s%s%s%s ", parts[rank % 16], parts[rank / 16 % 16],
	    rank >= 256 ? parts[rank / 256 % 16] : "", rank >= 4096 ? parts[rank / 4096 % 16] : "");
}

static void put_text(uint64_t *seed, size_t words, char *out, size_t max)
{
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < words && len + 40 < max; i++) {
		put_word(seed, out + len, max - len);
		len += strlen(out + len);
	}
}

struct kept {
	struct store *store;
	struct snapshot snapshot;
	int64_t spent_ns;
};

static struct index *build(size_t n, struct kept *kept, double *seconds)
{
	struct language_model *model;
	struct document_talks *talks;
	struct index *index;
	uint64_t seed = 1;
	char text[1024];
	int64_t spent_ns = 0;

	must(index_new(&index) == RC_OK && language_new(&model) == RC_OK &&
		 document_talks_new(model, &talks) == RC_OK,
	    "memory");
	must(snapshot_init(&kept->snapshot, kept->store, model, 0) == RC_OK, "memory");
	snapshot_begin(&kept->snapshot);
	for (size_t i = 1; i <= n; i++) {
		bool added;
		put_text(&seed, 5 + random_next(&seed) % 30, text, sizeof text);
		struct observation obs = { .seq = i,
			.source = "phone",
			.client_id = "",
			.layer = LAYER_TEXT,
			.kind = "message",
			.zone = "",
			.dev_t0_ns = START_NS + (int64_t)i * 5 * NS_PER_MIN,
			.origin = ORIGIN_OWNER,
			.text = text,
			.data_json = "" };
		obs.dev_t1_ns = obs.dev_t0_ns;
		int64_t start_ns = clock_mono_ns();
		must(document_take(index, talks, &obs, &added) == RC_OK && added, "take");
		spent_ns += clock_mono_ns() - start_ns;
		start_ns = clock_mono_ns();
		/* The log is not there: as if it was read up to its end. */
		must(snapshot_step(&kept->snapshot, index, talks, 0) == RC_OK, "snapshot");
		kept->spent_ns += clock_mono_ns() - start_ns;
	}
	document_talks_free(talks);
	language_free(model);
	*seconds = (double)spent_ns / 1e9;
	return index;
}

static bool never(void *ctx)
{
	(void)ctx;
	return false;
}

static void measure_snapshot(size_t n, struct kept *kept, double build_s)
{
	struct language_model *model = NULL;
	struct document_talks *talks = NULL;
	struct store_stats stats;
	struct index *index = NULL;
	uint64_t cursor;

	must(index_new(&index) == RC_OK && language_new(&model) == RC_OK &&
		 document_talks_new(model, &talks) == RC_OK &&
		 store_get_stats(kept->store, &stats, NULL) == RC_OK,
	    "memory");
	int64_t start_ns = clock_mono_ns();
	enum rc rc = snapshot_load(&kept->snapshot, index, talks, never, NULL, &cursor, NULL);
	double load_s = (double)(clock_mono_ns() - start_ns) / 1e9;
	must(rc == RC_OK || (rc == RC_NOTFOUND && n < SNAPSHOT_DOCS), "load");
	printf("%8s  kept  %9zu items in %.3f s; %.0f bytes/it; building takes %.3f of it more\n",
	    "", index_docs_len(index), load_s,
	    (double)stats.bytes_used / (double)(index_docs_len(index) + 1),
	    (double)kept->spent_ns / 1e9 / build_s);
	document_talks_free(talks);
	language_free(model);
	index_free(index);
}

static sqlite3 *build_peer(size_t n, double *seconds)
{
	sqlite3 *db;
	sqlite3_stmt *insert;
	uint64_t seed = 1;
	char text[1024];
	int64_t spent_ns = 0;

	must(sqlite3_open(":memory:", &db) == SQLITE_OK, "sqlite");
	if (sqlite3_exec(db,
		"CREATE VIRTUAL TABLE t USING fts5(body, tokenize='porter unicode61'); BEGIN", NULL,
		NULL, NULL) != SQLITE_OK) {
		sqlite3_close(db);
		return NULL;
	}
	must(
	    sqlite3_prepare_v2(db, "INSERT INTO t(body) VALUES(?)", -1, &insert, NULL) == SQLITE_OK,
	    "insert");
	for (size_t i = 1; i <= n; i++) {
		put_text(&seed, 5 + random_next(&seed) % 30, text, sizeof text);
		int64_t start_ns = clock_mono_ns();
		sqlite3_bind_text(insert, 1, text, -1, SQLITE_STATIC);
		must(sqlite3_step(insert) == SQLITE_DONE, "step");
		sqlite3_reset(insert);
		spent_ns += clock_mono_ns() - start_ns;
	}
	sqlite3_finalize(insert);
	must(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK, "commit");
	*seconds = (double)spent_ns / 1e9;
	return db;
}

/* `row` NULL: by words alone. */
static double query_ours(const struct index *index, const struct vector_index *vectors,
    const uint8_t *row, const char *text)
{
	struct search search = { .k = K };
	struct arena arena;

	int64_t start_ns = clock_mono_ns();
	arena_init(&arena, (size_t)1 << 20);
	must(search_prepare(&search, NULL, 0, text, strlen(text), 0, 0, &arena) == RC_OK, "search");
	if (row != NULL) {
		struct index_hit *near = arena_array(&arena, SEARCH_NEAR_LEN, sizeof *near);
		search.near = near;
		search.near_len =
		    vector_index_nearest(vectors, row, index, &search.range, near, SEARCH_NEAR_LEN);
	}
	must(search_run(index, &search) == RC_OK, "search");
	arena_fini(&arena);
	return (double)(clock_mono_ns() - start_ns) / 1e6;
}

static void draw_row(uint64_t *seed, uint8_t *row)
{
	float values[LENGTH];

	for (unsigned i = 0; i < LENGTH; i++)
		values[i] = (float)(random_next(seed) >> 40) / 16777216.0f - 0.5f;
	must(vector_pack(values, LENGTH, row) == RC_OK, "pack");
}

static struct vector_index *build_vectors(size_t n)
{
	uint8_t row[VECTOR_ROW_BYTES(LENGTH)];
	struct vector_index *vectors;
	uint64_t seed = 5;

	must(vector_index_new(LENGTH, &vectors) == RC_OK, "memory");
	for (size_t i = 0; i < n; i++) {
		draw_row(&seed, row);
		must(vector_index_put(vectors, (uint32_t)i, row, sizeof row) == RC_OK, "memory");
	}
	return vectors;
}

/* Milliseconds of reading so many bytes with nothing done. */
static double read_ms(size_t bytes)
{
	uint64_t *block = malloc(bytes), sum = 0;
	double best = 1e9;

	must(block != NULL, "memory");
	memset(block, 1, bytes);
	for (int round = 0; round < 5; round++) {
		int64_t start_ns = clock_mono_ns();
		for (size_t i = 0; i + 8 <= bytes / 8; i += 8)
			sum += block[i] ^ block[i + 1] ^ block[i + 2] ^ block[i + 3] ^
			       block[i + 4] ^ block[i + 5] ^ block[i + 6] ^ block[i + 7];
		double ms = (double)(clock_mono_ns() - start_ns) / 1e6;
		best = ms < best ? ms : best;
	}
	must(sum != 1, "sum");
	free(block);
	return best;
}

static void measure_vectors(size_t n, const struct index *index, double words_p50)
{
	struct vector_index *vectors = build_vectors(n);
	uint8_t row[VECTOR_ROW_BYTES(LENGTH)];
	struct vector_index_stats stats;
	double both[QUERIES], read = read_ms(n * LENGTH);
	uint64_t seed = 77;
	char text[512];

	for (int i = 0; i < QUERIES; i++) {
		draw_row(&seed, row);
		put_text(&seed, 2 + random_next(&seed) % 6, text, sizeof text);
		both[i] = query_ours(index, vectors, row, text);
	}
	qsort(both, QUERIES, sizeof both[0], compare);
	vector_index_get_stats(vectors, &stats);
	double scan = both[QUERIES / 2] - words_p50;
	printf("%8s  +near %9s  %8.3f  %8.3f  %8.0f   %.1f ms, reading all: %.1f\n", "", "",
	    both[QUERIES / 2], both[QUERIES * 95 / 100], (double)stats.bytes / (double)n, scan,
	    read);
	vector_index_free(vectors);
}

static double query_peer(sqlite3 *db, const char *text)
{
	char match[512] = "";
	sqlite3_stmt *select;

	for (const char *p = text; *p != '\0';) {
		size_t len = strcspn(p, " ");
		(void)snprintf(match + strlen(match), sizeof match - strlen(match), "%s%.*s",
		    match[0] == '\0' ? "" : " OR ", (int)len, p);
		p += len + 1;
	}
	int64_t start_ns = clock_mono_ns();
	must(sqlite3_prepare_v2(db, "SELECT rowid FROM t WHERE t MATCH ? ORDER BY rank LIMIT 10",
		 -1, &select, NULL) == SQLITE_OK,
	    "select");
	sqlite3_bind_text(select, 1, match, -1, SQLITE_STATIC);
	while (sqlite3_step(select) == SQLITE_ROW)
		;
	sqlite3_finalize(select);
	return (double)(clock_mono_ns() - start_ns) / 1e6;
}

/* A store under $TMPDIR, of which nothing is left in the end. */
struct place {
	char dir[256];
	struct keyring *keyring;
};

static struct store *place_open(struct place *place)
{
	const char *base = getenv("TMPDIR");
	struct keyring_unlock unlock = { 0 };
	struct store *store;

	(void)snprintf(
	    place->dir, sizeof place->dir, "%s/recall-bench-XXXXXX", base == NULL ? "/tmp" : base);
	must(mkdtemp(place->dir) != NULL, "mkdtemp");
	must(store_init(place->dir, &unlock, NULL) == RC_OK &&
		 keyring_open(place->dir, &unlock, &place->keyring, NULL) == RC_OK,
	    "init");
	struct store_config config = { .dir = place->dir, .keyring = place->keyring };
	must(store_open(&config, &store, NULL) == RC_OK, "open");
	return store;
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void place_close(struct place *place, struct store *store)
{
	store_close(store);
	keyring_close(place->keyring);
	(void)nftw(place->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void measure(size_t n)
{
	struct place place;
	struct kept kept = { .store = place_open(&place) };
	double ours[QUERIES], peer[QUERIES], build_s, peer_s = 0;
	struct index_stats stats;
	uint64_t seed = 77;
	char text[512];
	struct index *index = build(n, &kept, &build_s);
	sqlite3 *db = n <= PEER_ITEMS_MAX ? build_peer(n, &peer_s) : NULL;

	for (int i = 0; i < QUERIES; i++) {
		put_text(&seed, 2 + random_next(&seed) % 6, text, sizeof text);
		ours[i] = query_ours(index, NULL, NULL, text);
		peer[i] = db == NULL ? 0 : query_peer(db, text);
	}
	qsort(ours, QUERIES, sizeof ours[0], compare);
	qsort(peer, QUERIES, sizeof peer[0], compare);
	index_get_stats(index, &stats);
	printf("%8zu  ours  %9.0f  %8.3f  %8.3f  %8.0f\n", n, (double)n / build_s,
	    ours[QUERIES / 2], ours[QUERIES * 95 / 100], (double)stats.bytes / (double)n);
	if (db != NULL)
		printf("%8s  fts5  %9.0f  %8.3f  %8.3f\n%8s  ratio %9.2f  %8.2f  %8.2f\n", "",
		    (double)n / peer_s, peer[QUERIES / 2], peer[QUERIES * 95 / 100], "",
		    peer_s / build_s, peer[QUERIES / 2] / ours[QUERIES / 2],
		    peer[QUERIES * 95 / 100] / ours[QUERIES * 95 / 100]);
	sqlite3_close(db);
	measure_snapshot(n, &kept, build_s);
	place_close(&place, kept.store);
	measure_vectors(n, index, ours[QUERIES / 2]);
	index_free(index);
}

int main(int argc, char **argv)
{
	printf("%8s  %-5s %9s  %8s  %8s  %8s\n", "items", "", "items/s", "p50 ms", "p95 ms",
	    "bytes/it");
	if (argc < 2) {
		measure(10000);
		measure(100000);
	}
	for (int i = 1; i < argc; i++)
		measure((size_t)strtoull(argv[i], NULL, 10));
	return 0;
}
