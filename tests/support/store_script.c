/* Store script: the batches, the marks and the check (store_script.h). */
#include "store_script.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "os/file.h"
#include "store/keyring.h"
#include "store/store_blob.h"

#define T0_NS (INT64_C(1763577000) * NS_PER_S)
#define OWN_THREAD (STORE_SCRIPT_THREADS - 1)
#define BLOB_LEN_MAX 140000

static void record_make(
    struct store_script_batch *batch, unsigned thread, unsigned number, unsigned i, uint64_t *rng)
{
	/* Half of every third batch are new versions of the batch before. */
	/* One name a thread: forgetting goes by it. */
	unsigned id_number = number % 3 == 2 && i % 2 == 0 ? number - 1 : number;
	int64_t day = (int64_t)(number / 4 + 1000 * thread + i % 2);
	char *text = batch->texts[i];
	size_t len = 10 + random_next(rng) % (random_next(rng) % 4 == 0 ? 3000 : 200);

	(void)snprintf(batch->ids[i], sizeof(batch->ids[i]), "%u-%u-%u", thread, id_number, i);
	size_t at = (size_t)snprintf(text, STORE_SCRIPT_TEXT_BYTES, "%u %u %u ", thread, number, i);
	while (at < len)
		text[at++] = (char)('a' + random_next(rng) % 26);
	text[at] = '\0';
	int64_t t0_ns = T0_NS + day * NS_PER_DAY + (int64_t)(random_next(rng) % 1000000);
	batch->obs[i] = (struct observation){
		.source = batch->source,
		.client_id = batch->ids[i],
		.layer = (enum layer)(1 + (number + i) % LAYER_COUNT),
		.kind = "note",
		.shape = i % 3 == 1 ? SHAPE_INTERVAL : SHAPE_INSTANT,
		.clock_id = "",
		.boot_epoch = "",
		.dev_t0_ns = t0_ns,
		.dev_t1_ns = i % 3 == 1 ? t0_ns + NS_PER_HOUR : t0_ns,
		.has_end = i % 3 == 1,
		.zone = "",
		.origin = ORIGIN_DEVICE,
		.text = text,
		.data_json = "",
	};
}

void store_script_make(struct store_script_batch *out, unsigned thread, unsigned number)
{
	uint64_t rng = ((uint64_t)thread << 32 | number) * 2654435761u + 1;

	(void)snprintf(out->source, sizeof(out->source), "phone-%u", thread);
	out->n = 1 + random_next(&rng) % STORE_SCRIPT_RECORDS;
	for (unsigned i = 0; i < out->n; i++)
		record_make(out, thread, number, i, &rng);
	out->blob_len = number % 3 == 1 ? 1 + random_next(&rng) % BLOB_LEN_MAX : 0;
	out->blob_seed = random_next(&rng);
}

static void blob_fill(uint64_t *rng, uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)random_next(rng);
}

enum rc store_script_send_blob(
    struct store *store, struct store_script_batch *batch, struct errmsg *why)
{
	struct blob_writer *writer = NULL;
	uint64_t rng = batch->blob_seed;
	uint8_t bytes[4096];

	if (batch->blob_len == 0)
		return RC_OK;
	enum rc rc = blob_write_open(store_blobs(store), &writer, why);
	for (size_t at = 0; rc == RC_OK && at < batch->blob_len; at += sizeof(bytes)) {
		size_t left = batch->blob_len - at;
		blob_fill(&rng, bytes, sizeof(bytes));
		rc = blob_write(writer, bytes, left < sizeof(bytes) ? left : sizeof(bytes), why);
	}
	if (rc == RC_OK)
		rc = blob_write_finish(writer, batch->blob_ids[0], why);
	blob_write_close(writer);
	batch->obs[0].blobs = (const uint8_t(*)[OBS_BLOB_ID_BYTES])batch->blob_ids;
	batch->obs[0].blobs_len = 1;
	return rc;
}

void store_script_mark(struct store_script_marks *marks, const char *text, size_t len)
{
	char line[64];

	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t n = end == NULL ? len : (size_t)(end - text);
		unsigned thread = 0, number = 0;
		char word = 0;

		(void)snprintf(line, sizeof(line), "%.*s", (int)(n < 60 ? n : 60), text);
		if (strcmp(line, "I") == 0)
			marks->made = true;
		else if (sscanf(line, "%c %u %u", &word, &thread, &number) == 3 &&
			 thread < STORE_SCRIPT_THREADS && number < STORE_SCRIPT_BATCHES) {
			if (word == 'S')
				marks->sent_len += !marks->sent[thread][number];
			if (word == 'A')
				marks->acked_len += !marks->acked[thread][number];
			marks->sent[thread][number] |= word == 'S';
			marks->acked[thread][number] |= word == 'A';
			if (word == 'F')
				marks->forget_begun[thread] = number + 1;
			if (word == 'G')
				marks->forget_done[thread] = number + 1;
		}
		n += end != NULL;
		text += n;
		len -= n;
	}
}

/* ---- the check ------------------------------------------------------------------ */

struct check {
	const struct store_script_marks *marks;
	char *fault;
	struct store *store;
	uint64_t last_seq;
	struct store_script_batch batch;
	/* bit i: record i of the batch is stored */
	uint16_t stored[STORE_SCRIPT_THREADS][STORE_SCRIPT_BATCHES];
};

__attribute__((format(printf, 2, 3))) static bool wrong(struct check *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (c->fault[0] == '\0')
		(void)vsnprintf(c->fault, 256, fmt, ap);
	va_end(ap);
	return false;
}

/* Verify has opened all of it; here it must be what was sent. */
static bool blob_check(struct check *c, const struct observation *obs)
{
	struct blob_reader *reader = NULL;
	uint64_t rng = c->batch.blob_seed;
	uint8_t want[4096], bytes[4096];
	size_t got = 0;

	enum rc rc = blob_open(store_blobs(c->store), obs->blobs[0], &reader, NULL);
	if (rc != RC_OK)
		return wrong(
		    c, "a blob of seq %llu: %s", (unsigned long long)obs->seq, rc_word(rc));
	blob_fill(&rng, want, sizeof(want));
	rc = blob_read(reader, 0, bytes, sizeof(bytes), &got, NULL);
	bool same = rc == RC_OK && blob_bytes(reader) == c->batch.blob_len && got > 0 &&
		    memcmp(bytes, want, got) == 0;
	blob_close(reader);
	return same || wrong(c, "a blob of seq %llu is another", (unsigned long long)obs->seq);
}

static bool visit(void *ctx, const struct observation *obs)
{
	struct check *c = ctx;
	unsigned thread, number, i;

	if (obs->seq != c->last_seq + 1)
		return wrong(c, "seq %llu follows %llu", (unsigned long long)obs->seq,
		    (unsigned long long)c->last_seq);
	c->last_seq = obs->seq;
	if (obs->tombstone)
		return true;
	if (sscanf(obs->text, "%u %u %u ", &thread, &number, &i) != 3 ||
	    thread >= STORE_SCRIPT_THREADS || number >= STORE_SCRIPT_BATCHES)
		return wrong(c, "a record of nobody at seq %llu", (unsigned long long)obs->seq);
	store_script_make(&c->batch, thread, number);
	if (i >= c->batch.n || strcmp(c->batch.texts[i], obs->text) != 0 ||
	    strcmp(c->batch.ids[i], obs->client_id) != 0 ||
	    c->batch.obs[i].dev_t0_ns != obs->dev_t0_ns)
		return wrong(c, "record %u-%u-%u is not what was sent", thread, number, i);
	if (obs->blobs_len != (i == 0 && c->batch.blob_len > 0 ? 1 : 0))
		return wrong(c, "record %u-%u-%u has lost its blob", thread, number, i);
	if (obs->blobs_len > 0 && !blob_check(c, obs))
		return false;
	if (!c->marks->sent[thread][number] && thread != OWN_THREAD)
		return wrong(c, "record %u-%u-%u was never sent", thread, number, i);
	if ((c->stored[thread][number] >> i & 1) != 0)
		return wrong(c, "record %u-%u-%u is there twice", thread, number, i);
	c->stored[thread][number] |= (uint16_t)(1u << i);
	if (number < c->marks->forget_done[thread])
		return wrong(c, "record %u-%u-%u was forgotten and is there", thread, number, i);
	return true;
}

/* What was being forgotten is forgotten whole, or was not begun. */
static bool forgotten_whole(struct check *c, unsigned t)
{
	unsigned begun = c->marks->forget_begun[t], there = 0;

	for (unsigned n = c->marks->forget_done[t]; n < begun; n++)
		there += c->stored[t][n] != 0;
	if (there != 0 && there != begun - c->marks->forget_done[t])
		return wrong(c, "what thread %u sent was forgotten in part", t);
	return true;
}

static bool batches_whole(struct check *c)
{
	for (unsigned t = 0; t < STORE_SCRIPT_THREADS; t++) {
		if (!forgotten_whole(c, t))
			return false;
		for (unsigned n = 0; n < STORE_SCRIPT_BATCHES; n++) {
			if (c->stored[t][n] == 0 && n < c->marks->forget_begun[t])
				continue;
			if (c->stored[t][n] == 0 && !c->marks->acked[t][n])
				continue;
			store_script_make(&c->batch, t, n);
			if (c->stored[t][n] == 0)
				return wrong(c, "batch %u-%u was acknowledged and is lost", t, n);
			if (c->stored[t][n] != (1u << c->batch.n) - 1)
				return wrong(c, "batch %u-%u is there in part", t, n);
		}
	}
	return true;
}

static void verify_fault(void *ctx, const char *fault)
{
	(void)wrong(ctx, "verify: %.200s", fault);
}

static bool stored_check(struct check *c, struct store *store)
{
	struct errmsg why = ERRMSG_INIT;

	c->store = store;
	enum rc rc = store_verify(store, verify_fault, c, NULL, &why);
	if (rc != RC_OK)
		return wrong(c, "verify: %s", errmsg_text(&why, rc));
	c->last_seq = 0;
	memset(c->stored, 0, sizeof(c->stored));
	rc = store_scan_log(store, 0, 0, visit, c, &why);
	if (rc != RC_OK)
		return wrong(c, "scan: %s", errmsg_text(&why, rc));
	return c->fault[0] == '\0' && batches_whole(c);
}

/* Append the check's own batches `number` and the next: new days, a new version. */
static bool grow_by(struct check *c, struct store *store)
{
	struct errmsg why = ERRMSG_INIT;

	for (unsigned number = 1; number < 3; number++) {
		store_script_make(&c->batch, OWN_THREAD, number);
		enum rc rc = store_script_send_blob(store, &c->batch, &why);
		if (rc == RC_OK)
			rc = store_append(store, c->batch.obs, c->batch.n, NULL, NULL, &why);
		if (rc != RC_OK)
			return wrong(c, "append: %s", errmsg_text(&why, rc));
	}
	return true;
}

static bool old_keyring_left(const char *dir)
{
	char path[4200];

	(void)snprintf(path, sizeof(path), "%s/keyring.old", dir);
	return file_exists(path);
}

/* `round` 0: as found, then perhaps grown; 1: after growing. */
static bool open_and_check(struct check *c, const char *dir, bool grow)
{
	struct keyring_unlock unlock = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct keyring *keyring = NULL;
	struct store *store = NULL;
	bool ok = false;

	if (!c->marks->made) {
		enum rc made = store_init(dir, &unlock, &why);
		if (made != RC_OK && made != RC_EXISTS)
			return wrong(c, "init: %s", errmsg_text(&why, made));
		errmsg_reset(&why);
	}
	enum rc rc = keyring_open(dir, &unlock, &keyring, &why);
	if (rc != RC_OK)
		return wrong(c, "keyring: %s", errmsg_text(&why, rc));
	struct store_config config = { .dir = dir, .keyring = keyring, .recent_ids_max = 40 };
	rc = store_open(&config, &store, &why);
	if (rc != RC_OK)
		(void)wrong(c, "open: %s", errmsg_text(&why, rc));
	else if (old_keyring_left(dir) || keyring_each_retired(keyring, NULL, NULL) != 0)
		(void)wrong(c, "keys that were to be gone are there");
	else
		ok = stored_check(c, store) && (!grow || grow_by(c, store));
	store_close(store);
	keyring_close(keyring);
	return ok;
}

bool store_script_check(
    const char *dir, const struct store_script_marks *marks, bool grow, char fault[256])
{
	struct check *c = calloc(1, sizeof(*c));

	fault[0] = '\0';
	if (c == NULL) {
		(void)snprintf(fault, 256, "out of memory");
		return false;
	}
	c->marks = marks;
	c->fault = fault;
	bool ok = open_and_check(c, dir, grow);
	if (ok && grow)
		ok = open_and_check(c, dir, false) &&
		     (c->stored[OWN_THREAD][2] != 0 || wrong(c, "what was appended is gone"));
	free(c);
	return ok;
}
