/*
 * What a model says at night: any bytes as its answer are refused, or become a note and facts
 * that hold to the gate's promises; any record of them is read, or refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "night/fact_gate.h"
#include "night/note_gate.h"

#define FUZZ_ARENA_BYTES ((size_t)16 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char shown[] = "2026-11-19, scene: meeting\n"
			    "[09:30 note, owner] I met Tobias about 12 lamps. I was tired.\n";
static struct moment list[] = { { .text = "I met Tobias about 12 lamps. I was tired.",
    .owner = true } };
static const struct moments moments = { .list = list, .len = 1, .any_said = true };
static const struct fact_source sources[] = {
	{ .text = "I met Tobias about 12 lamps. I was tired.", .owner = true },
	{ .text = "I like tea and my brother Otto.", .owner = true },
	{ .text = "I like spam.", .owner = false },
	{ .text = "I do not eat meat, I love fish.", .owner = true },
};

static const struct moments_zone zone = { .offset_s = NULL };

static void must(bool condition)
{
	if (!condition)
		abort();
}

static void must_be_plain(const char *text, size_t bytes_max)
{
	must(text[0] != '\0' && strlen(text) <= bytes_max);
	must(strpbrk(text, "<>[]{}|`\\\n\r\t") == NULL);
}

static void try_note(struct words *words, const char *answer, size_t len, struct arena *arena)
{
	struct note note = { .refused = GATE_PASSED };

	must(note_gate(words, &moments, shown, answer, len, arena, &note) == RC_OK);
	if (note.refused != GATE_PASSED)
		return;
	must_be_plain(note.title, NOTE_TITLE_CHARS_MAX * 4);
	must_be_plain(note.summary, NOTE_SUMMARY_CHARS_MAX * 4);
	must(note.tags_len <= NOTE_TAGS_MAX);
	must(note.mood == NULL || strstr(list[0].text, note.mood_quote) != NULL);
}

static void try_facts(struct words *words, const char *answer, size_t len, struct arena *arena)
{
	struct gate_counts counts = { .of = { 0 } };
	struct fact facts[FACT_GATE_FACTS_MAX];
	size_t n = 0;

	must(fact_gate(words, &zone, sources, sizeof sources / sizeof sources[0], answer, len,
		 arena, facts, &n, &counts) == RC_OK);
	must(n <= FACT_GATE_FACTS_MAX && counts.of[GATE_PASSED] == n);
	for (size_t i = 0; i < n; i++) {
		facts[i].by = FACT_BY_NIGHT;
		facts[i].who = "fuzz";
		facts[i].number = 1;
		must_be_plain(facts[i].text, FACT_TEXT_BYTES_MAX);
		must(strstr(facts[i].text, "spam") == NULL);
		must(strstr(facts[i].text, "fish") == NULL); /* beside a no */
		must(fact_check(&facts[i], NULL) == RC_OK);
	}
}

static void try_record(const char *json, struct arena *arena)
{
	struct observation obs = { .source = OBS_SOURCE_NIGHT,
		.kind = OBS_KIND_SAID,
		.client_id = "note:1",
		.origin = ORIGIN_SYSTEM,
		.layer = LAYER_TEXT,
		.text = "",
		.data_json = json };
	struct note note;
	struct buf out;

	if (note_decode(&obs, arena, &note) != RC_OK)
		return;
	buf_init(&out, 1 << 16);
	note_json(&note, &out);
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct words *words;
	struct arena arena;

	if (words == NULL)
		must(words_new(&words) == RC_OK);
	arena_init(&arena, FUZZ_ARENA_BYTES);
	char *text = arena_copy(&arena, data, size);
	if (text != NULL) {
		try_note(words, text, size, &arena);
		try_facts(words, text, size, &arena);
		try_record(text, &arena);
	}
	arena_fini(&arena);
	return 0;
}
