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

/* Where `key` would stand if nothing was in its way. */
static inline size_t lookup_home(const struct lookup *lookup, uint64_t key)
{
	return (size_t)(key ^ key >> 29) & (lookup->cap - 1);
}

void *lookup_probe(const struct lookup *lookup, uint64_t key);

static inline void *lookup_find(const struct lookup *lookup, uint64_t key) /* NULL */
{
	if (lookup->cap == 0)
		return NULL;
	const struct lookup_slot *home = &lookup->slots[lookup_home(lookup, key)];
	return home->key == key && home->value != NULL ? home->value : lookup_probe(lookup, key);
}

/* `key` is not in it yet; `value` is not NULL.  RC_NOMEM. */
enum rc lookup_put(struct lookup *lookup, uint64_t key, void *value) RC_CHECK;

void lookup_del(struct lookup *lookup, uint64_t key);

#endif
