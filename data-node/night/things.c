/* Things: a hash of track, member and salt, and what stands behind it. */
#include "night/things.h"

#include <stdlib.h>
#include <string.h>

#include "align/item.h"
#include "align/policy.h"

#define HASH_FACTOR UINT64_C(0x9E3779B97F4A7C15)

void things_drop(struct things *things, void (*done)(void *thing))
{
	for (size_t i = 0; i < things->len; i++) {
		if (done != NULL)
			done(things->all[i]);
		free(things->all[i]);
	}
	things->len = 0;
	lookup_fini(&things->lookup);
	things->lookup = (struct lookup){ 0 };
}

/* '~' is no part of a label's key. */
bool things_may_name(const char *member, size_t member_len)
{
	return member_len <= THINGS_MEMBER_BYTES_MAX && memchr(member, '~', member_len) == NULL;
}

static uint64_t hash_of(const struct things_key *key)
{
	struct item_rest rest;
	struct item item;

	item_of_observation(key->obs, policy_default(), &item, &rest);
	uint64_t hash = item.track ^ key->salt * HASH_FACTOR;
	for (size_t i = 0; i < key->member_len; i++)
		hash = (hash ^ (uint8_t)key->member[i]) * HASH_FACTOR;
	return hash;
}

enum rc things_find(
    struct things *things, const struct things_key *key, size_t bytes, void **out, bool *is_new)
{
	uint64_t hash = hash_of(key);
	void *thing = lookup_find(&things->lookup, hash);

	*is_new = thing == NULL;
	*out = thing;
	if (thing != NULL)
		return RC_OK;
	if (things->len == THINGS_MAX)
		return RC_LIMIT;
	thing = calloc(1, bytes);
	if (thing == NULL)
		return RC_NOMEM;
	if (lookup_put(&things->lookup, hash, thing) != RC_OK) {
		free(thing);
		return RC_NOMEM;
	}
	things->all[things->len++] = thing;
	*out = thing;
	return RC_OK;
}
