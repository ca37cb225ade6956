/*
 * Fuzz target: any bytes as a JSON schema, and a few answers drawn from what it becomes.
 * Whatever is drawn must be JSON, and the automaton must never come to a dead end.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/random.h"
#include "grammar/automaton.h"
#include "grammar/calls.h"
#include "grammar/matcher.h"
#include "grammar/schema.h"
#include "grammar/vocab.h"
#include "template/template.h"

#define FUZZ_ARENA_BYTES ((size_t)8 << 20)
#define FUZZ_STEPS 300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Any byte that goes on from here; SIZE_MAX: none. */
static size_t draw(struct matcher *m, uint64_t *seed)
{
	size_t first = random_next(seed) >> 56;

	for (size_t i = 0; i <= UINT8_MAX; i++) {
		uint8_t byte = (uint8_t)(first + i);

		if (matcher_push_bytes(m, &byte, 1))
			return byte;
	}
	return SIZE_MAX;
}

/* An answer, or the front of one, of the automaton (taken); false: it cannot be begun. */
static bool answer(struct automaton *automaton_take, uint64_t seed, struct buf *text, bool *whole)
{
	const struct vocab vocab = { .n_vocab = 64, .whole = true };
	struct matcher *m = NULL;
	enum rc rc = matcher_new(automaton_take, &vocab, &m);

	if (rc == RC_LIMIT) {
		automaton_free(automaton_take);
		return false;
	}
	if (rc != RC_OK)
		abort();
	for (int i = 0; i < FUZZ_STEPS && !matcher_over(m); i++) {
		size_t byte = draw(m, &seed);

		if (byte == SIZE_MAX)
			abort();
		buf_putc(text, (char)byte);
	}
	*whole = matcher_accepts(m);
	matcher_free(m);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* As tools: a text of calls is no JSON, so that it goes on is all that is looked at. */
	const struct calls_want want = { .form = (enum calls_form)(size % CALLS_N),
		.must = size % 2 == 0,
		.thinks = size % 3 == 0,
		.one = size % 5 == 0 };
	struct automaton *automaton = NULL;
	bool whole = false;
	struct buf text;

	buf_init(&text, 2 * FUZZ_STEPS + 1);
	if (calls_compile(&want, (const char *)data, size, &automaton, NULL) == RC_OK)
		(void)answer(automaton, size, &text, &whole);
	buf_reset(&text);
	automaton = NULL;
	if (schema_compile((const char *)data, size, &automaton, NULL) == RC_OK &&
	    answer(automaton, size, &text, &whole) && whole) {
		struct value value;
		struct arena arena;

		arena_init(&arena, FUZZ_ARENA_BYTES);
		if (template_parse_json(buf_text(&text), text.len, &arena, &value, NULL) ==
		    RC_INVALID)
			abort();
		arena_fini(&arena);
	}
	buf_fini(&text);
	return 0;
}
