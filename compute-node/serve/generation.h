/*
 * Generation: one answer in the making, from its prompt's ids to the text.
 *
 * It knows tokens, not sequences or peers: the scheduler feeds `ids` to an
 * engine and hands back logits; the generation samples, decides whether the
 * answer is over, and keeps the one token that was not sent yet.
 *
 * Resume: the ids an earlier run produced stand behind the prompt as if they
 * had been sampled here; the sampler goes on at their number and the text
 * stream is replayed, so ids, text and offsets go on as if nothing had happened.
 *
 * Invariants:
 *  G1  ids[0 … prompt_len) is the prompt, ids[prompt_len … len) the answer.
 *  G2  text sent + text pending = what the ids give, up to what may still be
 *      part of a stop string or of an unfinished code point.
 *  G3  nothing is sampled while a token is pending or after the finish.
 *  G4  under a constraint the answer's ids, but for what stands before its onset, are what
 *      its matcher was pushed: it is never anything but the front of what is allowed, and STOP
 *      without a stop string means whole.
 * One thread at a time: first the desk's, then the scheduler's, and in its stead, while
 * it waits, one of its crew that samples.
 */
#ifndef SERVE_GENERATION_H
#define SERVE_GENERATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "infer/sample.h"
#include "infer/textstream.h"
#include "serve/fault.h"
#include "serve/fleet.h"
#include "serve/onset.h"
#include "tokenize/tokenizer.h"

#define GENERATION_LOGPROBS_MAX 20
#define GENERATION_PIECE_BYTES_MAX 512
#define GENERATION_TEXT_BYTES ((size_t)4096)        /* taken at once */
#define GENERATION_TEXT_BYTES_MAX ((size_t)1 << 20) /* pending at once */

struct backend_shortlist; /* backend/backend.h */
struct generation_logprobs;
struct matcher; /* grammar/matcher.h */

struct generation {
	const struct served_model *model;
	const char *template_name;
	int32_t *ids;        /* [ids_cap] */
	uint32_t ids_cap;    /* prompt_len + the most tokens the answer may have */
	uint32_t prompt_len; /* ≥ 1 */
	uint32_t len;
	uint32_t resumed; /* tokens of the answer that came with the request */
	bool reasoning;   /* the prompt ends within it */
	struct sample_params params;
	bool ignore_eos;
	struct matcher *constraint; /* NULL: none */
	/* The constraint has yet to begin: where `onset` says.  Until then the answer cannot end,
	 * but for calls, which need not come. */
	bool waits;
	bool calls, many; /* it is of calls; another one may follow */
	struct onset onset;
	/* Ids of which the next is chosen, as struct sample_row has them; borrowed.  NULL:
	 * all.  The constraint's, before each token. */
	const uint64_t *allowed;
	struct textstream *stream; /* NULL: no vocabulary, no text */

	/* What waits to be sent. */
	bool has_token;
	int32_t token;
	struct buf text;
	uint64_t text_offset;                 /* of text's first byte */
	struct generation_logprobs *logprobs; /* NULL: not asked for */

	enum wire_finish finish; /* UNKNOWN: goes on */
};

/* Memory for one call of generation_accept(), shared by all generations of a
 * model: allocated once for each thread that samples. */
struct generation_scratch {
	void *sampling; /* [sample_scratch_bytes(n_vocab)] */
	float *logits;  /* [n_vocab]: untouched copy, for logprobs */
};

/*
 * Check a request against the model and prepare it.  `prompt` is what
 * prompt_build() made; it is borrowed.  On failure `fault` says why: CONTEXT
 * before all else, then INVALID, LIMIT, UNSUPPORTED, MEMORY.
 */
enum rc generation_init(struct generation *gen, const struct served_model *model,
    const struct wire_generate *request, const struct tokens *prompt, const char *template_name,
    struct fault *fault) RC_CHECK;

/* Wipes and frees; fine on a zeroed struct. */
void generation_fini(struct generation *gen);

/* Whether the next token may be sampled from a shortlist. */
bool generation_is_brief(const struct generation *gen);

/* Sample it so; false: nothing has happened, the row's logits are needed. */
bool generation_accept_brief(struct generation *gen, const struct backend_shortlist *list,
    const struct generation_scratch *scratch);

/* Sample the next token from `logits` [n_vocab] (scratch afterwards). */
void generation_accept(
    struct generation *gen, float *logits, const struct generation_scratch *scratch);

/* The answer ends here, whatever comes: held-back text is dropped. */
void generation_stop(struct generation *gen, enum wire_finish finish);

/* True while a token or text waits to be sent. */
bool generation_pending(const struct generation *gen);

/* The Tokens body of what is pending; points into `gen` until
 * generation_sent(). */
void generation_message(struct generation *gen, struct wire_tokens *out);
void generation_sent(struct generation *gen);

uint32_t generation_answer_len(const struct generation *gen);

/* The stop string that matched, or "". */
const char *generation_stop_string(const struct generation *gen);

#endif
