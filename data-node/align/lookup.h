/*
 * Lookup: 64-bit hash → pointer, open addressing with deletion.
 *
 * Keys are hashes already; two things with one key are one thing.  One thread.
 */
#ifndef ALIGN_LOOKUP_H
#define ALIGN_LOOKUP_H

#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"

struct lookup_slot {
	uint64_t key;
	void *value; /* NULL = free */
};

struct lookup {
	struct lookup_slot *slots; /* [cap], a power of two */
	size_t cap, len;
};

/* A zeroed struct is an empty lookup. */
void lookup_fini(struct lookup *lookup);

void *lookup_find(const struct lookup *lookup, uint64_t key); /* NULL */

/* `key` is not in it yet; `value` is not NULL.  RC_NOMEM. */
enum rc lookup_put(struct lookup *lookup, uint64_t key, void *value) RC_CHECK;

void lookup_del(struct lookup *lookup, uint64_t key);

#endif
