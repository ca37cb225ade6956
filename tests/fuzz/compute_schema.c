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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct vocab vocab = { .n_vocab = 64, .whole = true };
	struct automaton *automaton = NULL;
	struct matcher *m = NULL;
	uint64_t seed = size;
	struct buf text;

	/* As tools: a text of calls is no JSON, so how it compiles is all that is looked at. */
	const struct calls_want want = { .form = (enum calls_form)(size % CALLS_N),
		.must = size % 2 == 0,
		.thinks = size % 3 == 0,
		.one = size % 5 == 0 };
	if (calls_compile(&want, (const char *)data, size, &automaton, NULL) == RC_OK) {
		automaton_free(automaton);
		automaton = NULL;
	}
	if (schema_compile((const char *)data, size, &automaton, NULL) != RC_OK)
		return 0;
	enum rc rc = matcher_new(automaton, &vocab, &m);
	if (rc == RC_LIMIT) {
		automaton_free(automaton);
		return 0;
	}
	if (rc != RC_OK)
		abort();
	buf_init(&text, FUZZ_STEPS + 1);
	for (int i = 0; i < FUZZ_STEPS && !matcher_over(m); i++) {
		size_t byte = draw(m, &seed);

		if (byte == SIZE_MAX)
			abort();
		buf_putc(&text, (char)byte);
	}
	if (matcher_accepts(m)) {
		struct value value;
		struct arena arena;

		arena_init(&arena, FUZZ_ARENA_BYTES);
		if (template_parse_json(buf_text(&text), text.len, &arena, &value, NULL) ==
		    RC_INVALID)
			abort();
		arena_fini(&arena);
	}
	buf_fini(&text);
	matcher_free(m);
	return 0;
}
