/*
 * Store script: batches that can be told from their numbers, and the check of
 * what a store holds of them after a crash.
 *
 * Batch (thread, number) is a pure function of both: some days, some layers,
 * texts of 10 to 3000 bytes; every third batch sends half of the ids of the one
 * before it with other content; the first record of some refers to a blob.  A
 * thread may forget what it sent so far.  A program that runs the script marks in
 * a file what it sent, what was acknowledged and what was forgotten; a check then
 * needs the directory and the marks only.
 */
#ifndef SUPPORT_STORE_SCRIPT_H
#define SUPPORT_STORE_SCRIPT_H

#include <stdbool.h>

#include "store/store.h"

#define STORE_SCRIPT_THREADS 8 /* the last one is the check's own */
#define STORE_SCRIPT_BATCHES 4096
#define STORE_SCRIPT_RECORDS 8 /* of one batch, at most */
#define STORE_SCRIPT_TEXT_BYTES 3100

struct store_script_batch {
	size_t n;
	struct observation obs[STORE_SCRIPT_RECORDS]; /* borrow from below */
	char source[32];
	char ids[STORE_SCRIPT_RECORDS][32];
	char texts[STORE_SCRIPT_RECORDS][STORE_SCRIPT_TEXT_BYTES];
	size_t blob_len; /* of the blob of obs[0]; 0: none */
	uint64_t blob_seed;
	uint8_t blob_ids[1][OBS_BLOB_ID_BYTES];
};

void store_script_make(struct store_script_batch *out, unsigned thread, unsigned number);

/* Send the batch's blob, if it has one, and let obs[0] refer to it. */
enum rc store_script_send_blob(
    struct store *store, struct store_script_batch *batch, struct errmsg *why) RC_CHECK;

struct store_script_marks {
	bool made; /* init said that it was done */
	bool sent[STORE_SCRIPT_THREADS][STORE_SCRIPT_BATCHES];
	bool acked[STORE_SCRIPT_THREADS][STORE_SCRIPT_BATCHES];
	size_t sent_len, acked_len;
	/* Batches of a thread below this number were to be forgotten; were. */
	unsigned forget_begun[STORE_SCRIPT_THREADS], forget_done[STORE_SCRIPT_THREADS];
};

/* A thread may forget its batches up to such a number: no later batch sends an
 * id of theirs. */
#define STORE_SCRIPT_FORGETS_AFTER(number) ((number) % 6 == 5)

/* Lines "I", "S thread number", "A thread number", and "F thread number" and
 * "G thread number" around forgetting; others are passed over. */
void store_script_mark(struct store_script_marks *marks, const char *text, size_t len);

/*
 * Open the store in `dir` and check: an init that was cut off can be finished,
 * the keyring opens, verify is clean, acknowledged ⊆ stored ⊆ sent, each batch
 * is there whole and once or not at all, what was forgotten is gone and what was
 * being forgotten is there in whole or not at all.  With `grow` one more batch with new
 * keys is appended, read back and checked after another opening.  False: what
 * is wrong stands in `fault` [256].
 */
bool store_script_check(
    const char *dir, const struct store_script_marks *marks, bool grow, char fault[256]);

#endif
