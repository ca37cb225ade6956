/*
 * Things: what a rule keeps of each thing that speaks, found by its track and a
 * member of its data.
 */
#ifndef NIGHT_THINGS_H
#define NIGHT_THINGS_H

#include "align/lookup.h"
#include "store/store.h"

#define THINGS_MAX ((size_t)4096)
#define THINGS_MEMBER_BYTES_MAX ((size_t)64)

struct things {
	void *all[THINGS_MAX]; /* [len] in the order in which they came */
	size_t len;
	struct lookup lookup; /* key → thing */
};

/* A zeroed struct has none.  Forget all; `done` (may be NULL) sees each before it
 * is freed. */
void things_drop(struct things *things, void (*done)(void *thing));

/* May a label name this member? */
bool things_may_name(const char *member, size_t member_len);

/*
 * The thing of (track, member, salt): `bytes` of zeros if it is new.  RC_LIMIT
 * (more than THINGS_MAX), RC_NOMEM.
 */
struct things_key {
	const struct observation *obs;
	const char *member; /* [member_len] */
	size_t member_len;
	uint64_t salt; /* 0: none */
};
enum rc things_find(struct things *things, const struct things_key *key, size_t bytes, void **out,
    bool *is_new) RC_CHECK;

#endif
