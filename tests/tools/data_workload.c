/*
 * A store at work, for fault tests: makes a store in DIR and appends the
 * batches of store_script.h, noting in MARKS what was sent and acknowledged.
 *
 *   data_workload run DIR MARKS THREADS BATCHES   errors of the store are part of
 *                                  it; exit 3 when the store breaks its word
 *   data_workload check DIR MARKS  does the store hold what MARKS says?
 *   data_workload allocations DIR MARKS   each allocation of opening, ingesting,
 *                                  appending and indexing fails once (under shim_fail)
 *   data_workload fill DIR MARKS   appends until the disk is full, reads, says
 *                                  "full", and goes on when a line comes in
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ingest/ingest.h"
#include "os/file.h"
#include "recall/document.h"
#include "store/keyring.h"
#include "store/store_forget.h"
#include "store_script.h"

#define BROKEN 3
#define MARKS_BYTES_MAX ((size_t)64 << 20)
#define ALLOCATIONS_MAX 100000
#define RECENT_IDS 40 /* so that ids are moved all the time */
#define AFTER_ERROR 4 /* batches tried after the first refusal */

static int marks_fd;
static const char *dir;
static struct keyring *keyring;
static struct store *store;
static atomic_bool io_failed, broken;

__attribute__((format(printf, 1, 2))) static void note(const char *fmt, ...)
{
	char line[256];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n < 0 || write(marks_fd, line, (size_t)n) != n)
		abort();
}

static enum rc open_store(struct errmsg *why)
{
	struct keyring_unlock unlock = { 0 };

	enum rc rc = keyring_open(dir, &unlock, &keyring, why);
	if (rc != RC_OK)
		return rc;
	struct store_config config = {
		.dir = dir, .keyring = keyring, .recent_ids_max = RECENT_IDS
	};
	rc = store_open(&config, &store, why);
	if (rc != RC_OK) {
		keyring_close(keyring);
		keyring = NULL;
	}
	return rc;
}

static void close_store(void)
{
	store_close(store);
	keyring_close(keyring);
	store = NULL;
	keyring = NULL;
}

static enum rc make_and_open(void)
{
	struct keyring_unlock unlock = { 0 };
	struct errmsg why = ERRMSG_INIT;

	enum rc rc = store_init(dir, &unlock, &why);
	if (rc == RC_OK)
		note("I\n");
	if (rc == RC_OK)
		rc = open_store(&why);
	if (rc != RC_OK)
		note("E init or open: %s\n", errmsg_text(&why, rc));
	return rc;
}

/* ---- run ------------------------------------------------------------------------ */

struct worker {
	pthread_t thread;
	unsigned number, batches;
};

/* One batch; what it says must fit what was said before (S4). */
static enum rc send_batch(unsigned thread, unsigned number)
{
	static _Thread_local struct store_script_batch batch;
	struct errmsg why = ERRMSG_INIT;
	bool failed_before = atomic_load(&io_failed);

	store_script_make(&batch, thread, number);
	note("S %u %u\n", thread, number);
	enum rc rc = store_script_send_blob(store, &batch, &why);
	if (rc != RC_OK) { /* one that could not be written ends nothing */
		note("E %u %u blob %s: %s\n", thread, number, rc_word(rc), errmsg_text(&why, rc));
		return rc;
	}
	rc = store_append(store, batch.obs, batch.n, NULL, NULL, &why);
	if (rc == RC_OK)
		note("A %u %u\n", thread, number);
	else
		note("E %u %u %s: %s\n", thread, number, rc_word(rc), errmsg_text(&why, rc));
	if (failed_before && rc != RC_IO) {
		note("E the store went on after an I/O error\n");
		atomic_store(&broken, true);
	}
	if (rc == RC_IO)
		atomic_store(&io_failed, true);
	if (rc == RC_BUG || (rc != RC_OK && why.text[0] == '\0' && rc != RC_NOMEM))
		atomic_store(&broken, true);
	return rc;
}

/* All that the thread has sent; then the last of it comes again, as from a phone
 * that knows nothing of it. */
static enum rc forget_sent(unsigned thread, unsigned number)
{
	struct store_forget what = { .from_ns = OBS_TIME_MIN_NS, .to_ns = OBS_TIME_MAX_NS };
	struct errmsg why = ERRMSG_INIT;
	char source[32];

	(void)snprintf(source, sizeof(source), "phone-%u", thread);
	what.source = source;
	note("F %u %u\n", thread, number);
	enum rc rc = store_forget(store, &what, NULL, &why);
	if (rc == RC_OK)
		note("G %u %u\n", thread, number);
	else
		note("E forget %u: %s: %s\n", thread, rc_word(rc), errmsg_text(&why, rc));
	if (rc == RC_BUG)
		atomic_store(&broken, true);
	return rc == RC_OK ? send_batch(thread, number) : rc;
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	unsigned refused = 0;

	for (unsigned i = 0; i < worker->batches && refused <= AFTER_ERROR; i++) {
		enum rc rc = send_batch(worker->number, i);
		if (rc == RC_OK && i % 5 == 4) /* as a phone does that lost the answer */
			rc = send_batch(worker->number, i);
		if (rc == RC_OK && worker->number == 0 && STORE_SCRIPT_FORGETS_AFTER(i))
			rc = forget_sent(worker->number, i);
		refused += rc != RC_OK;
	}
	return NULL;
}

static int run(unsigned threads, unsigned batches)
{
	struct worker workers[STORE_SCRIPT_THREADS - 1];

	if (threads >= STORE_SCRIPT_THREADS || batches > STORE_SCRIPT_BATCHES)
		return 2;
	if (make_and_open() != RC_OK)
		return 0;
	for (unsigned i = 0; i < threads; i++) {
		workers[i] = (struct worker){ .number = i, .batches = batches };
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
			abort();
	}
	for (unsigned i = 0; i < threads; i++)
		(void)pthread_join(workers[i].thread, NULL);
	close_store();
	return atomic_load(&broken) ? BROKEN : 0;
}

/* ---- check ------------------------------------------------------------------------ */

static int check(const char *path)
{
	struct store_script_marks *marks = calloc(1, sizeof(*marks));
	uint8_t *bytes = NULL;
	char fault[256];
	size_t len = 0;

	if (marks == NULL || file_read(path, MARKS_BYTES_MAX, &bytes, &len, NULL) != RC_OK)
		return 2;
	store_script_mark(marks, (const char *)bytes, len);
	bool ok = store_script_check(dir, marks, true, fault);
	if (ok)
		printf("%zu batches sent, %zu acknowledged, all is well\n", marks->sent_len,
		    marks->acked_len);
	else
		fprintf(stderr, "%s\n", fault);
	free(bytes);
	free(marks);
	return ok ? 0 : BROKEN;
}

/* ---- allocations ------------------------------------------------------------------- */

static void (*arm)(unsigned long n);
static bool (*disarm)(void);

static bool shim_find(void)
{
	void *a = dlsym(RTLD_DEFAULT, "fault_arm"), *d = dlsym(RTLD_DEFAULT, "fault_disarm");

	memcpy(&arm, &a, sizeof(a));
	memcpy(&disarm, &d, sizeof(d));
	return a != NULL && d != NULL;
}

/* A batch as its sender writes it. */
static void body_make(const struct store_script_batch *batch, struct buf *out)
{
	for (size_t i = 0; i < batch->n; i++) {
		if (ingest_event_json(&batch->obs[i], out) != RC_OK)
			abort();
		buf_putc(out, '\n');
	}
	if (buf_rc(out) != RC_OK)
		abort();
}

static enum rc ingest_batch(
    const struct buf *body, const struct store_script_batch *batch, bool by_ingest, bool *whole)
{
	struct ingest_context ctx = { .store = store };
	struct ingest_report report = { 0 };
	struct arena arena;
	enum rc rc;

	*whole = true;
	if (!by_ingest)
		return store_append(store, batch->obs, batch->n, NULL, NULL, NULL);
	arena_init(&arena, (size_t)1 << 24);
	rc = ingest_body(&ctx, (const char *)body->bytes, body->len, &arena, &report, NULL);
	*whole = rc != RC_OK || report.accepted + report.duplicate == batch->n;
	arena_fini(&arena);
	return rc;
}

/* The nth allocation fails while batch `number` is stored: a typed error, and
 * the same batch goes through right after.  True once nothing failed any more. */
static bool batch_with_failure(unsigned number, unsigned long n)
{
	static struct store_script_batch batch;
	bool by_ingest = number % 2 == 0, whole = false;
	struct buf body;

	buf_init(&body, (size_t)1 << 24);
	store_script_make(&batch, 0, number);
	if (store_script_send_blob(store, &batch, NULL) != RC_OK)
		abort();
	body_make(&batch, &body);
	note("S 0 %u\n", number);
	arm(n);
	enum rc rc = ingest_batch(&body, &batch, by_ingest, &whole);
	bool failed = disarm();
	if ((rc != RC_OK && rc != RC_NOMEM) || !whole) {
		fprintf(stderr, "allocation %lu of batch %u: %s%s\n", n, number, rc_word(rc),
		    whole ? "" : ", in part");
		atomic_store(&broken, true);
	}
	if (rc != RC_OK && ingest_batch(&body, &batch, by_ingest, &whole) != RC_OK) {
		fprintf(stderr, "batch %u: refused after allocation %lu failed\n", number, n);
		atomic_store(&broken, true);
	} else {
		note("A 0 %u\n", number);
	}
	buf_fini(&body);
	return !failed;
}

static bool count_visit(void *ctx, const struct observation *obs)
{
	(void)obs;
	(*(uint64_t *)ctx)++;
	return true;
}

static enum rc try_open(void)
{
	enum rc rc = open_store(NULL);

	if (rc == RC_OK)
		close_store();
	return rc;
}

static enum rc try_verify(void)
{
	return store_verify(store, NULL, NULL, NULL, NULL);
}

static enum rc try_scan(void)
{
	struct store_range range = { .from_ns = OBS_TIME_MIN_NS, .to_ns = OBS_TIME_MAX_NS };
	uint64_t n = 0;

	enum rc rc = store_scan_log(store, 0, 0, count_visit, &n, NULL);
	if (rc == RC_OK && n != store_cursor(store))
		rc = RC_BUG;
	return rc != RC_OK ? rc : store_scan_time(store, &range, NULL, 0, count_visit, &n, NULL);
}

/* ---- the index of recall ---- */

static struct language_model *languages;
static uint64_t index_sum; /* of the same texts with all memory there is */

/* Index texts in three languages; a record that did not get in comes again. */
static enum rc index_texts(uint64_t *sum)
{
	static const char *const texts[] = { "we walked along the river and talked",
		"ich habe heute frisches Brot gekauft", "ayer compramos entradas para el concierto",
		"the tickets were bought yesterday", "und dann sind wir spazieren gegangen" };
	struct document_talks *talks = NULL;
	struct index *index = NULL;
	bool added;

	enum rc rc = index_new(&index);
	if (rc == RC_OK)
		rc = document_talks_new(languages, &talks);
	for (size_t i = 0; i < 4 * (sizeof texts / sizeof texts[0]) && rc == RC_OK; i++) {
		struct observation obs = { .seq = i + 1,
			.source = "chat",
			.client_id = "",
			.layer = LAYER_TEXT,
			.kind = "message",
			.zone = "",
			.origin = ORIGIN_OWNER,
			.text = texts[i % (sizeof texts / sizeof texts[0])],
			.data_json = "" };
		rc = document_take(index, talks, &obs, &added);
		if (rc == RC_NOMEM && document_take(index, talks, &obs, &added) == RC_OK)
			rc = RC_OK;
		else if (rc == RC_NOMEM)
			rc = RC_BUG; /* one failure must not last */
	}
	if (rc == RC_OK)
		*sum = index_checksum(index);
	document_talks_free(talks);
	index_free(index);
	return rc;
}

static enum rc try_index(void)
{
	uint64_t sum = index_sum;

	enum rc rc = index_texts(&sum);
	return sum == index_sum ? rc : RC_BUG;
}

/* Allocations of `call` fail in turn, each of the first few dozen and then ever
 * fewer: all is well, or there is no memory. */
static void each_allocation(const char *what, enum rc (*call)(void))
{
	unsigned long n = 1, tried = 0;
	bool failed = true;

	for (; failed && n < ALLOCATIONS_MAX; n += 1 + n / 32, tried++) {
		arm(n);
		enum rc rc = call();
		failed = disarm();
		if (rc != RC_OK && rc != RC_NOMEM) {
			fprintf(stderr, "allocation %lu of %s: %s\n", n, what, rc_word(rc));
			atomic_store(&broken, true);
		}
	}
	printf("%s: %lu allocations failed in turn\n", what, tried - 1);
}

static int allocations(void)
{
	unsigned long n = 0;
	unsigned number = 0;

	if (!shim_find()) {
		fprintf(stderr, "run this under shim_fail\n");
		return 2;
	}
	if (make_and_open() != RC_OK)
		return BROKEN;
	/* Batches differ in what they allocate: some rows without a failure end it. */
	for (unsigned quiet = 0; quiet < 12 && number + 1 < STORE_SCRIPT_BATCHES; number += 2) {
		bool done = batch_with_failure(number, ++n);
		done = batch_with_failure(number + 1, n) && done;
		quiet = done ? quiet + 1 : 0;
	}
	printf("a batch: %lu allocations failed in turn\n", n - 12);
	each_allocation("verify", try_verify);
	each_allocation("scans", try_scan);
	if (language_new(&languages) != RC_OK || index_texts(&index_sum) != RC_OK)
		return BROKEN;
	each_allocation("indexing", try_index);
	language_free(languages);
	close_store();
	each_allocation("opening", try_open);
	return atomic_load(&broken) ? BROKEN : 0;
}

/* ---- fill --------------------------------------------------------------------------- */

static int fill(void)
{
	unsigned number = 0, refused = 0;
	uint64_t records = 0;
	char line[16];

	if (make_and_open() != RC_OK)
		return BROKEN;
	for (; number < STORE_SCRIPT_BATCHES - 100 && refused < 5; number++) {
		enum rc rc = send_batch(0, number);
		refused += rc == RC_FULL;
		if (rc != RC_OK && rc != RC_FULL)
			return BROKEN;
	}
	if (refused < 5)
		return BROKEN;
	if (store_scan_log(store, 0, 0, count_visit, &records, NULL) != RC_OK ||
	    records != store_cursor(store) || store_verify(store, NULL, NULL, NULL, NULL) != RC_OK)
		return BROKEN;
	printf("full\n");
	(void)fflush(stdout);
	if (fgets(line, sizeof(line), stdin) == NULL)
		return BROKEN;
	enum rc rc = send_batch(0, number);
	close_store();
	return rc == RC_OK ? 0 : BROKEN;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	const char *command = argv[1];
	dir = argv[2];
	if (strcmp(command, "check") == 0)
		return check(argv[3]);
	marks_fd = open(argv[3], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (marks_fd < 0)
		return 2;
	if (strcmp(command, "run") == 0 && argc == 6)
		return run(
		    (unsigned)strtoul(argv[4], NULL, 10), (unsigned)strtoul(argv[5], NULL, 10));
	if (strcmp(command, "allocations") == 0)
		return allocations();
	if (strcmp(command, "fill") == 0)
		return fill();
	return 2;
}
