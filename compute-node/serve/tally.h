/*
 * Tally: what this node has done, by the key of the data node that asked for it.
 *
 * A data node is told of its own alone: what another one asks, how much, and
 * whether it is there at all is not for it to learn.  Bounded: beyond
 * TALLY_KEYS_MAX keys the counts of the one not heard of for longest are dropped.
 * Any thread; the lock is inside all others.
 */
#ifndef SERVE_TALLY_H
#define SERVE_TALLY_H

#include <pthread.h>
#include <stdint.h>

#include "wire/key.h"

#define TALLY_KEYS_MAX ((size_t)64)

enum tally_what {
	TALLY_REQUESTS,
	TALLY_REFUSED,
	TALLY_GENERATED, /* tokens of answers */
	TALLY_PROMPT,    /* tokens of prompts that were computed */
	TALLY_HELD,      /* tokens in caches, now */
	TALLY_WHATS,
};

struct tally_row {
	uint8_t key[WIRE_KEY_BYTES];
	uint64_t used; /* order of the last use; 0: free */
	uint64_t counts[TALLY_WHATS];
};

struct tally {
	pthread_mutex_t lock;
	struct tally_row rows[TALLY_KEYS_MAX];
	uint64_t uses;
};

/* RC_NOMEM. */
enum rc tally_init(struct tally *tally) RC_CHECK;
void tally_fini(struct tally *tally);

void tally_add(
    struct tally *tally, const uint8_t key[WIRE_KEY_BYTES], enum tally_what what, uint64_t n);

/* What is held is counted anew: begin, once for each cache, end.  One thread; no
 * reader sees half of it. */
void tally_hold_begin(struct tally *tally);
void tally_hold(struct tally *tally, const uint8_t key[WIRE_KEY_BYTES], uint64_t tokens);
void tally_hold_end(struct tally *tally);

void tally_get(
    struct tally *tally, const uint8_t key[WIRE_KEY_BYTES], uint64_t counts[TALLY_WHATS]);

#endif
