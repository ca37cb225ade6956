/* Lookup: linear probing; a deletion moves the rest of its run back. */
#include "align/lookup.h"

#include <stdlib.h>

#define LOOKUP_CAP_FIRST ((size_t)64)

void lookup_fini(struct lookup *lookup)
{
	free(lookup->slots);
	*lookup = (struct lookup){ .slots = NULL };
}

static size_t probe(const struct lookup *lookup, uint64_t key)
{
	size_t i = lookup_home(lookup, key);

	while (lookup->slots[i].value != NULL && lookup->slots[i].key != key)
		i = (i + 1) & (lookup->cap - 1);
	return i;
}

void *lookup_probe(const struct lookup *lookup, uint64_t key)
{
	return lookup->slots[probe(lookup, key)].value;
}

static enum rc grow(struct lookup *lookup)
{
	struct lookup bigger = { .cap = lookup->cap == 0 ? LOOKUP_CAP_FIRST : lookup->cap * 2,
		.len = lookup->len };

	bigger.slots = calloc(bigger.cap, sizeof *bigger.slots);
	if (bigger.slots == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < lookup->cap; i++) {
		if (lookup->slots[i].value != NULL)
			bigger.slots[probe(&bigger, lookup->slots[i].key)] = lookup->slots[i];
	}
	free(lookup->slots);
	*lookup = bigger;
	return RC_OK;
}

enum rc lookup_put(struct lookup *lookup, uint64_t key, void *value)
{
	if (lookup->len * 4 >= lookup->cap * 3 && grow(lookup) != RC_OK)
		return RC_NOMEM;
	lookup->slots[probe(lookup, key)] = (struct lookup_slot){ key, value };
	lookup->len++;
	return RC_OK;
}

void lookup_del(struct lookup *lookup, uint64_t key)
{
	if (lookup->cap == 0)
		return;
	size_t mask = lookup->cap - 1, hole = probe(lookup, key);
	if (lookup->slots[hole].value == NULL)
		return;
	for (size_t i = (hole + 1) & mask; lookup->slots[i].value != NULL; i = (i + 1) & mask) {
		/* May slot i stand at the hole?  Not if its home lies behind it. */
		size_t home = lookup_home(lookup, lookup->slots[i].key);
		if (((i - home) & mask) >= ((i - hole) & mask)) {
			lookup->slots[hole] = lookup->slots[i];
			hole = i;
		}
	}
	lookup->slots[hole].value = NULL;
	lookup->len--;
}
