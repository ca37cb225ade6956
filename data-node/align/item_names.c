/* Item names: a table of names, and which texts at which place named which last. */
#include "align/item_names.h"

#include <stdlib.h>

#include "align/lookup.h"

#define RECENT 64 /* a power of two */
#define TEXTS_BYTES_MAX (ITEM_NAMES_MAX * (sizeof(struct item_name) + 512))

struct recent {
	const char *source, *kind; /* where the texts stood; they may be others by now */
	const struct item_name *name;
};

struct item_names {
	struct recent recent[RECENT];
	struct lookup table; /* by the track's hash */
	struct arena arena;
};

struct item_names *item_names_new(void)
{
	struct item_names *names = calloc(1, sizeof *names);

	if (names != NULL)
		arena_init(&names->arena, TEXTS_BYTES_MAX);
	return names;
}

void item_names_free(struct item_names *names)
{
	if (names == NULL)
		return;
	lookup_fini(&names->table);
	arena_fini(&names->arena);
	free(names);
}

static bool is_of(const struct item_name *name, const struct observation *obs)
{
	return name->layer == obs->layer && strcmp(name->source, obs->source) == 0 &&
	       strcmp(name->kind, obs->kind) == 0;
}

/* The kept name; NULL if there is no room for it. */
static const struct item_name *keep(struct item_names *names, const struct item_name *found)
{
	struct item_name *name = lookup_find(&names->table, found->track);

	if (name != NULL || names->table.len == ITEM_NAMES_MAX)
		return name;
	name = arena_alloc(&names->arena, sizeof *name);
	if (name == NULL)
		return NULL;
	*name = *found;
	name->source = arena_strdup(&names->arena, found->source);
	name->kind = arena_strdup(&names->arena, found->kind);
	if (name->source == NULL || name->kind == NULL ||
	    lookup_put(&names->table, name->track, name) != RC_OK)
		return NULL;
	return name;
}

void item_of_names(struct item_names *names, const struct observation *obs,
    const struct policy *policy, struct item *out, struct item_rest *rest)
{
	uintptr_t place = (uintptr_t)obs->source ^ (uintptr_t)obs->kind << 1;
	struct recent *recent = &names->recent[(place ^ place >> 6) % RECENT];
	struct item_name found;

	if (recent->source != obs->source || recent->kind != obs->kind ||
	    !is_of(recent->name, obs)) {
		item_name_of(obs->layer, obs->source, obs->kind, &found);
		const struct item_name *name = keep(names, &found);
		if (name == NULL || !is_of(name, obs)) {
			item_of_named(obs, &found, policy, out, rest);
			return;
		}
		*recent = (struct recent){ obs->source, obs->kind, name };
	}
	item_of_named(obs, recent->name, policy, out, rest);
	out->named = true;
}
