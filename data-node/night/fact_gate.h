/*
 * Fact gate: a model's answer to what the owner said, as facts that hold against it.
 *
 * A fact is kept only if
 *  - it was read from a text that was shown and whose words are the owner's own;
 *  - its quote stands in that text to the letter, in a sentence that neither asks nor
 *    supposes, and that speaks of the owner or names whom the fact is about;
 *  - every word of it but for small ones is a word of the quote or of the subject, and it
 *    says no to what the sentence says no to, and no more what is no more there
 *    (negation.h), within one clause;
 *  - nothing in it or in the sentence is markup, an order to a model, or a secret.
 */
#ifndef NIGHT_FACT_GATE_H
#define NIGHT_FACT_GATE_H

#include "memory/fact.h"
#include "night/gate.h"

struct moments_zone; /* night/moments.h */

#define FACT_GATE_VERSION 3u   /* of the question and the gate */
#define FACT_GATE_FACTS_MAX 12 /* of one answer */
#define FACT_GATE_TEXT_CHARS_MAX ((size_t)160)
#define FACT_GATE_SUBJECT_CHARS_MAX ((size_t)60)
#define FACT_GATE_QUOTE_CHARS_MAX ((size_t)300)

/* A text that was shown, as number 1, 2, … */
struct fact_source {
	uint8_t obs_id[OBS_ID_BYTES];
	int64_t at_ns;
	bool owner;       /* owner_said() */
	const char *text; /* one line: owner_words() */
	bool cut;         /* there was more: its last sentence may go on */
};

/*
 * The facts of `answer` [len] that pass, for memory_learn(): at most FACT_GATE_FACTS_MAX into
 * `out`, everything in `arena`; each other one is counted by its reason, an answer that is none
 * as GATE_FORM.  Days that it names are days of `zone`.  `who` and learned_ns are left to the
 * caller.  RC_NOMEM.
 */
enum rc fact_gate(struct words *words, const struct moments_zone *zone,
    const struct fact_source *sources, size_t sources_len, const char *answer, size_t len,
    struct arena *arena, struct fact *out, size_t *out_len, struct gate_counts *counts) RC_CHECK;

/* The schema that a model is held to. */
extern const char fact_schema[];

#endif
