/*
 * Scene rules: a table, read from the top; the first evidence wins.
 *
 * Evidence is a kind, a whole word in the value's text or data, or a speed.
 * What the body says goes before what places say, places before words.
 */
#include "align/scene.h"

#include <string.h>

#include "align/blend.h"
#include "align/peek.h"

#define SCENE_DATA "{\"rules\":1}"
#define SCENE_LABEL_RULE "scene:"           /* begins the ids of its labels */
#define SCENE_TEXT_BYTES_MAX ((size_t)2048) /* looked at, of one value */
#define COMMUTE_MPS 3.0                     /* faster than walking */
#define WORD_BYTES_MAX ((size_t)32)

struct rule {
	const char *scene;
	enum facet facet;
	const char *kinds; /* " a b " or NULL: any */
	const char *words; /* " a b " or NULL: the kind alone is enough */
	bool speed;        /* instead of words: faster than COMMUTE_MPS */
};

static const struct rule rules[] = {
	{ "sleep", FACET_BODY, " sleep ", NULL, false },
	{ "exercise", FACET_BODY, " workout ", NULL, false },
	{ "meeting", FACET_LANGUAGE, " meeting call calendar ", NULL, false },
	{ "meeting", FACET_DEVICE, NULL, " zoom teams webex meet meeting ", false },
	{ "commuting", FACET_LOCATION, NULL, NULL, true },
	{ "commuting", FACET_LOCATION, NULL,
	    " automotive driving cycling train tram bus metro subway ", false },
	{ "meal", FACET_LOCATION, NULL,
	    " restaurant cafe bistro canteen diner cafeteria trattoria pizzeria ", false },
	{ "meal", FACET_VISUAL, NULL, " meal lunch dinner breakfast menu plate dish ", false },
	{ "work", FACET_LOCATION, NULL, " work office ", false },
	{ "home", FACET_LOCATION, NULL, " home ", false },
	{ "home", FACET_HOME, " presence ", " home ", false },
};
#define RULES (sizeof rules / sizeof rules[0])

/* ---- words --------------------------------------------------------------------------- */

struct search {
	const char *words;
	bool found;
};

static bool is_word_byte(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c >= 0x80;
}

/* `word` [len] in any case within the list " a b ". */
static bool listed(const char *list, const char *word, size_t len)
{
	char text[WORD_BYTES_MAX + 3];

	if (len == 0 || len > WORD_BYTES_MAX)
		return false;
	text[0] = ' ';
	for (size_t i = 0; i < len; i++)
		text[i + 1] = (char)(word[i] >= 'A' && word[i] <= 'Z' ? word[i] + 32 : word[i]);
	text[len + 1] = ' ';
	text[len + 2] = '\0';
	return strstr(list, text) != NULL;
}

static void find_words(void *ctx, const char *text, size_t len)
{
	struct search *search = ctx;

	for (size_t i = 0; i < len && !search->found;) {
		size_t begin = i;
		while (i < len && is_word_byte((unsigned char)text[i]))
			i++;
		search->found = listed(search->words, text + begin, i - begin);
		if (i == begin)
			i++;
	}
}

static bool says(const struct cell_value *value, const char *words)
{
	struct search search = { .words = words };

	const char *text = cell_value_text(value);

	find_words(&search, text, strnlen(text, SCENE_TEXT_BYTES_MAX));
	if (!search.found)
		peek_strings(cell_value_data(value), SCENE_TEXT_BYTES_MAX, find_words, &search);
	return search.found;
}

/* ---- rules ---------------------------------------------------------------------------- */

static bool is_fast(const struct cell_value *value)
{
	struct blend_fix fix;

	(void)blend_fix_of(cell_value_data(value), &fix);
	return fix.speed_mps > COMMUTE_MPS;
}

static bool matches(const struct rule *rule, const struct cell_value *value)
{
	const char *kind = value->item->rest->kind;

	if (rule->kinds != NULL && !listed(rule->kinds, kind, strlen(kind)))
		return false;
	if (rule->speed)
		return is_fast(value);
	return rule->words == NULL || says(value, rule->words);
}

static enum rc fill(const struct rule *rule, const struct cell *from,
    const struct cell_value *evidence, const char *data_json, struct arena *arena, struct cell *out)
{
	struct cell_value *value = arena_alloc(arena, sizeof *value);
	struct cell_made *made = arena_alloc(arena, sizeof *made);
	struct item *item = arena_alloc(arena, sizeof *item);
	struct item_rest *rest = arena_alloc(arena, sizeof *rest);

	if (value == NULL || made == NULL || item == NULL || rest == NULL)
		return RC_NOMEM;
	*rest = *evidence->item->rest;
	rest->kind = "scene";
	rest->client_id = "";
	*item = *evidence->item;
	item->rest = rest;
	item->held = false;
	*value = *evidence;
	*made = (struct cell_made){ cell_value_next(evidence), rule->scene, data_json };
	value->item = item;
	value->made = made;
	*out = (struct cell){
		.mode = evidence->mode,
		.values = value,
		.values_len = 1,
		.values_total = 1,
		.age_ns = evidence->age_ns,
		.error_ns = from->error_ns,
		.certainty = evidence->certainty,
	};
	return RC_OK;
}

/* ---- labels --------------------------------------------------------------------------- */

/* The first row for the scene that the label says; RULES if it says none. */
static size_t label_rank(const struct cell_value *label)
{
	struct peek data, value;
	const char *text;
	size_t len;

	peek_open(&data, cell_value_data(label));
	while (peek_next(&data)) {
		if (!peek_is(&data, "value"))
			continue;
		peek_open(&value, data.value);
		while (peek_next(&value)) {
			if (!peek_is(&value, "scene") || !peek_string(&value, &text, &len))
				continue;
			for (size_t i = 0; i < RULES; i++) {
				if (strlen(rules[i].scene) == len &&
				    memcmp(rules[i].scene, text, len) == 0)
					return i;
			}
		}
	}
	return RULES;
}

/* The label of the first rank; NULL if none says a scene. */
static const struct cell_value *best_label(const struct cell *cell, size_t *rank)
{
	const struct cell_value *best = NULL;

	*rank = RULES;
	for (size_t k = 0; k < cell->values_len; k++) {
		size_t own = label_rank(&cell->values[k]);
		if (own < *rank) {
			*rank = own;
			best = &cell->values[k];
		}
	}
	return best;
}

/* ---- the scene ------------------------------------------------------------------------ */

enum rc scene_derive(const struct cell cells[FACET_COUNT], const struct cell *labels,
    struct arena *arena, struct cell *out)
{
	size_t rank;

	const struct cell_value *label = best_label(labels, &rank);
	for (size_t i = 0; i < RULES; i++) {
		const struct cell *cell = &cells[rules[i].facet];
		if (label != NULL && strcmp(rules[i].scene, rules[rank].scene) == 0)
			return fill(&rules[i], labels, label, cell_value_data(label), arena, out);
		/* The newest evidence of the cell speaks. */
		for (size_t k = cell->values_len; k-- > 0;) {
			if (matches(&rules[i], &cell->values[k]))
				return fill(
				    &rules[i], cell, &cell->values[k], SCENE_DATA, arena, out);
		}
	}
	*out = (struct cell){ .mode = CELL_ABSENT, .absent_reason = "none" };
	return RC_OK;
}
