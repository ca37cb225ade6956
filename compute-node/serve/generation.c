/* One answer: checks, replay, sampling, text, what waits to be sent. */
#include "serve/generation.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"
#include "serve/constraint.h"
#include "serve/prompt.h"
#include "wire/thought.h"

#define LOOK_BACK 24u /* tokens that a mark and a line feed may be */

/* Of the pending token: itself first, then the best ones. */
struct generation_logprobs {
	uint32_t n; /* asked for, ≤ GENERATION_LOGPROBS_MAX */
	uint32_t top_len;
	struct wire_token_logprobs body;
	uint32_t top_ids[GENERATION_LOGPROBS_MAX];
	float top_logprobs[GENERATION_LOGPROBS_MAX];
	const uint8_t *top_texts[GENERATION_LOGPROBS_MAX];
	size_t top_text_lens[GENERATION_LOGPROBS_MAX];
	char pieces[GENERATION_LOGPROBS_MAX + 1][GENERATION_PIECE_BYTES_MAX];
};

static void free_wiped(void *bytes, size_t len)
{
	if (bytes != NULL)
		wipe(bytes, len);
	free(bytes);
}

void generation_fini(struct generation *gen)
{
	free_wiped(gen->ids, gen->ids_cap * sizeof(gen->ids[0]));
	if (gen->stream != NULL)
		textstream_free(gen->stream);
	constraint_free(gen->constraint);
	free_wiped(gen->logprobs, sizeof(*gen->logprobs));
	buf_fini(&gen->text);
	wipe(gen, sizeof(*gen));
}

/* How many tokens the answer may have; the first check of all. */
static enum rc check_context(const struct wire_generate *request, size_t prompt_len, uint32_t n_ctx,
    uint32_t *answer_max, struct fault *fault)
{
	uint64_t wanted = request->max_tokens == 0 ? 1 : request->max_tokens;
	uint64_t needed = prompt_len + wanted;

	if (request->max_tokens == 0 && prompt_len + request->generated_ids_len > needed)
		needed = prompt_len + request->generated_ids_len;
	if (needed > n_ctx) {
		fault_set(fault, WIRE_ERROR_CONTEXT,
		    "prompt and answer need %llu tokens, the context has %lu",
		    (unsigned long long)needed, (unsigned long)n_ctx);
		fault->context = n_ctx;
		fault->needed = needed;
		return RC_CONTEXT;
	}
	*answer_max = request->max_tokens == 0 ? n_ctx - (uint32_t)prompt_len : request->max_tokens;
	return RC_OK;
}

static enum rc check_request(const struct wire_generate *request, const struct served_model *model,
    uint32_t answer_max, struct errmsg *why)
{
	if (!model->info->causal)
		return errmsg_rc(why, RC_UNSUPPORTED, "this model does not generate");
	if (request->generated_ids_len > answer_max)
		return errmsg_rc(why, RC_INVALID, "generated_ids: more than max_tokens");
	if (request->logprobs > GENERATION_LOGPROBS_MAX)
		return errmsg_rc(why, RC_LIMIT, "logprobs: over %d", GENERATION_LOGPROBS_MAX);
	if (request->stop_len != 0 && model->tokenizer == NULL)
		return errmsg_rc(why, RC_UNSUPPORTED, "stop: this model has no vocabulary");
	return prompt_check_ids("generated_ids", request->generated_ids, request->generated_ids_len,
	    model->info->n_vocab, why);
}

static void set_params(struct generation *gen, const struct wire_sampling *sampling)
{
	gen->params = (struct sample_params){ .temperature = sampling->temperature,
		.top_k = sampling->top_k,
		.top_p = sampling->top_p,
		.min_p = sampling->min_p,
		.repeat_penalty = sampling->repeat_penalty,
		.repeat_last_n = sampling->repeat_last_n,
		.presence_penalty = sampling->presence_penalty,
		.frequency_penalty = sampling->frequency_penalty,
		.seed = sampling->seed };
	gen->ignore_eos = sampling->ignore_eos;
}

static enum rc take_memory(struct generation *gen, const struct wire_generate *request,
    const struct tokens *prompt, uint32_t answer_max, struct errmsg *why)
{
	const struct tokenizer *tokenizer = gen->model->tokenizer;

	gen->prompt_len = (uint32_t)prompt->len;
	gen->ids_cap = gen->prompt_len + answer_max;
	gen->ids = calloc(gen->ids_cap, sizeof(gen->ids[0]));
	if (gen->ids == NULL)
		return errmsg_rc(why, RC_NOMEM, "no memory for the answer's ids");
	memcpy(gen->ids, prompt->ids, prompt->len * sizeof(gen->ids[0]));
	gen->len = gen->prompt_len;
	if (request->logprobs != 0) {
		gen->logprobs = calloc(1, sizeof(*gen->logprobs));
		if (gen->logprobs == NULL)
			return errmsg_rc(why, RC_NOMEM, "no memory for logprobs");
		gen->logprobs->n = request->logprobs;
	}
	/* Whoever samples takes no memory. */
	buf_reserve(&gen->text, GENERATION_TEXT_BYTES);
	if (buf_rc(&gen->text) != RC_OK)
		return errmsg_rc(why, RC_NOMEM, "no memory for the answer's text");
	if (tokenizer == NULL)
		return RC_OK;
	/* A text that stands alone loses the blank before its first word.  It
	 * must follow from the ids alone, or a resumed answer would differ. */
	bool alone = prompt->len == 1 && prompt->ids[0] == tokenizer_bos(tokenizer) &&
		     tokenizer_space_prefix(tokenizer);

	return textstream_new(
	    tokenizer, request->stop, request->stop_len, alone, &gen->stream, why);
}

/* The prompt's last words, but for line feeds and blanks, are `mark`. */
static bool ends_in(
    const struct tokenizer *tokenizer, const struct tokens *prompt, const char *mark)
{
	char text[LOOK_BACK * GENERATION_PIECE_BYTES_MAX];
	size_t first = prompt->len > LOOK_BACK ? prompt->len - LOOK_BACK : 0;
	size_t len = 0;

	for (size_t i = first; tokenizer != NULL && i < prompt->len; i++) {
		size_t n = tokenizer_piece(
		    tokenizer, prompt->ids[i], true, text + len, GENERATION_PIECE_BYTES_MAX);

		len += n < GENERATION_PIECE_BYTES_MAX ? n : GENERATION_PIECE_BYTES_MAX;
	}
	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == ' '))
		len--;
	bool is = len >= strlen(mark) && memcmp(text + len - strlen(mark), mark, strlen(mark)) == 0;
	wipe(text, sizeof(text));
	return is;
}

/* Where the constraint begins. */
static void set_onset(
    struct generation *gen, const struct wire_constraint *constraint, const struct tokens *prompt)
{
	const struct tool_hold *hold = &gen->model->hold;

	gen->calls = constraint->kind == WIRE_CONSTRAINT_CALLS;
	gen->many = hold->many;
	/* Under a template of harmony what is asked for is a message, not the first. */
	bool message = !gen->calls && constraint->kind != WIRE_CONSTRAINT_MUST_CALL &&
		       strcmp(gen->model->tool_format, "harmony") == 0 &&
		       ends_in(gen->model->tokenizer, prompt, "<|start|>assistant");

	gen->waits = gen->calls || message || gen->reasoning;
	onset_init(&gen->onset,
	    gen->calls ? hold->onset
	    : message  ? ONSET_MESSAGE
		       : ONSET_THOUGHT,
	    gen->calls ? hold->mark : NULL, gen->reasoning);
}

static bool is_blank(const char *text, size_t len)
{
	while (len > 0 && strchr(" \n\r\t", text[len - 1]) != NULL && text[len - 1] != '\0')
		len--;
	return len == 0;
}

/* Text that is free; false: it begins what it may not. */
static bool push_free(struct generation *gen, int32_t id)
{
	char text[GENERATION_PIECE_BYTES_MAX];
	const char *behind;
	size_t len =
	    tokenizer_piece(gen->model->tokenizer, id, true, text, GENERATION_PIECE_BYTES_MAX);
	size_t behind_len;
	bool ok = true;

	len = len < GENERATION_PIECE_BYTES_MAX ? len : GENERATION_PIECE_BYTES_MAX;
	if (onset_push(&gen->onset, text, len, &behind, &behind_len)) {
		gen->waits = false;
		/* Blanks between reasoning and an answer are of neither. */
		ok = matcher_push_bytes(gen->constraint, (const uint8_t *)behind, behind_len) ||
		     (!gen->calls && is_blank(behind, behind_len));
	}
	wipe(text, sizeof(text));
	return ok;
}

/* Go on by a token; false: it is not allowed. */
static bool push_constraint(struct generation *gen, int32_t id)
{
	if (gen->waits ? !push_free(gen, id) : !matcher_push(gen->constraint, id))
		return false;
	if (gen->calls && gen->many && !gen->waits && matcher_over(gen->constraint)) {
		matcher_restart(gen->constraint);
		onset_again(&gen->onset);
		gen->waits = true;
	}
	return true;
}

static bool is_whole(const struct generation *gen)
{
	return gen->constraint != NULL && !gen->waits && matcher_over(gen->constraint);
}

/* The ids of an earlier run under the constraint: they must be what it allows. */
static enum rc replay_constraint(struct generation *gen, const struct wire_generate *request,
    const struct tokens *prompt, struct errmsg *why)
{
	enum rc rc = constraint_new(gen->model, &request->constraint, &gen->constraint, why);

	if (rc == RC_OK && gen->constraint != NULL)
		set_onset(gen, &request->constraint, prompt);
	for (size_t i = 0; rc == RC_OK && gen->constraint != NULL && i < request->generated_ids_len;
	     i++) {
		if (!push_constraint(gen, (int32_t)request->generated_ids[i]))
			rc = errmsg_rc(why, RC_INVALID,
			    "generated_ids[%zu]: not what the constraint allows", i);
	}
	return rc;
}

/* The ids of an earlier run: what they gave was sent by it. */
static void replay(struct generation *gen, const struct wire_generate *request)
{
	bool stopped = false;

	for (size_t i = 0; i < request->generated_ids_len && !stopped; i++) {
		int32_t id = (int32_t)request->generated_ids[i];

		gen->ids[gen->len++] = id;
		if (gen->stream != NULL)
			stopped = textstream_push(gen->stream, id, &gen->text);
	}
	gen->resumed = gen->len - gen->prompt_len;
	buf_reset(&gen->text);
	if (gen->stream != NULL)
		gen->text_offset = textstream_offset(gen->stream);
	if (stopped || is_whole(gen))
		gen->finish = WIRE_FINISH_STOP;
	else if (gen->len == gen->ids_cap)
		gen->finish = WIRE_FINISH_LENGTH;
}

enum rc generation_init(struct generation *gen, const struct served_model *model,
    const struct wire_generate *request, const struct tokens *prompt, const char *template_name,
    struct fault *fault)
{
	struct errmsg why = ERRMSG_INIT;
	uint32_t answer_max = 0;

	*gen = (struct generation){ .model = model, .template_name = template_name };
	buf_init(&gen->text, GENERATION_TEXT_BYTES_MAX);
	enum rc rc = check_context(request, prompt->len, model->config.n_ctx, &answer_max, fault);
	if (rc != RC_OK)
		return rc;
	rc = check_request(request, model, answer_max, &why);
	if (rc == RC_OK)
		rc = take_memory(gen, request, prompt, answer_max, &why);
	gen->reasoning = ends_in(model->tokenizer, prompt, wire_thoughts[0].open);
	if (rc == RC_OK)
		rc = replay_constraint(gen, request, prompt, &why);
	if (rc != RC_OK) {
		fault_from_rc(fault, rc, &why);
		generation_fini(gen);
		return rc;
	}
	set_params(gen, &request->sampling);
	if (gen->constraint != NULL)
		gen->ignore_eos = false; /* a whole answer has nothing else to go on with */
	if (gen->stream != NULL && request->markers)
		textstream_show_markers(gen->stream);
	replay(gen, request);
	return RC_OK;
}

uint32_t generation_answer_len(const struct generation *gen)
{
	return gen->len - gen->prompt_len;
}

const char *generation_stop_string(const struct generation *gen)
{
	const char *stop = gen->stream == NULL ? NULL : textstream_stop(gen->stream);

	return stop == NULL ? "" : stop;
}

static size_t piece(const struct generation *gen, int32_t id, char out[GENERATION_PIECE_BYTES_MAX])
{
	if (gen->model->tokenizer == NULL)
		return 0;
	size_t len =
	    tokenizer_piece(gen->model->tokenizer, id, true, out, GENERATION_PIECE_BYTES_MAX);
	return len < GENERATION_PIECE_BYTES_MAX ? len : GENERATION_PIECE_BYTES_MAX;
}

/* ln Σ exp, largest first pulled out; NaN counts as -inf. */
static double log_sum_exp(const float *logits, uint32_t n)
{
	double most = -INFINITY, sum = 0;

	for (uint32_t i = 0; i < n; i++) {
		if ((double)logits[i] > most)
			most = (double)logits[i];
	}
	if (isinf(most))
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		if (!isnan(logits[i]))
			sum += exp((double)logits[i] - most);
	}
	return most + log(sum);
}

/* Insert into the best so far, best first; ties keep the smaller id in front. */
static void rank(struct generation_logprobs *lp, uint32_t id, float logit)
{
	uint32_t at = lp->top_len;

	while (at > 0 && lp->top_logprobs[at - 1] < logit)
		at--;
	if (at == lp->n)
		return;
	if (lp->top_len < lp->n)
		lp->top_len++;
	for (uint32_t i = lp->top_len - 1; i > at; i--) {
		lp->top_ids[i] = lp->top_ids[i - 1];
		lp->top_logprobs[i] = lp->top_logprobs[i - 1];
	}
	lp->top_ids[at] = id;
	lp->top_logprobs[at] = logit;
}

/* Of the model's own distribution: before penalties and temperature. */
static void take_logprobs(struct generation *gen, int32_t chosen, const float *logits)
{
	struct generation_logprobs *lp = gen->logprobs;
	uint32_t n_vocab = gen->model->info->n_vocab;
	double all = log_sum_exp(logits, n_vocab);

	lp->top_len = 0;
	for (uint32_t i = 0; i < n_vocab; i++) {
		if (isfinite(logits[i]))
			rank(lp, i, logits[i]);
	}
	for (uint32_t i = 0; i < lp->top_len; i++) {
		lp->top_logprobs[i] = (float)((double)lp->top_logprobs[i] - all);
		lp->top_text_lens[i] = piece(gen, (int32_t)lp->top_ids[i], lp->pieces[i + 1]);
		lp->top_texts[i] = (const uint8_t *)lp->pieces[i + 1];
	}
	double own = (double)logits[chosen] - all;
	lp->body = (struct wire_token_logprobs){ .logprob = isfinite(own) ? (float)own : -1e30F,
		.text = (const uint8_t *)lp->pieces[0],
		.text_len = piece(gen, chosen, lp->pieces[0]),
		.top_ids = lp->top_ids,
		.top_logprobs = lp->top_logprobs,
		.top_texts = lp->top_texts,
		.top_text_lens = lp->top_text_lens,
		.top_len = lp->top_len };
}

/* What the newest id means for the text, and whether the answer is over. */
static void accept_text(struct generation *gen, int32_t id)
{
	bool stopped = gen->stream != NULL && textstream_push(gen->stream, id, &gen->text);
	bool whole = is_whole(gen);

	if (!stopped && !whole && gen->len < gen->ids_cap)
		return;
	if (!stopped && gen->stream != NULL)
		textstream_flush(gen->stream, &gen->text);
	gen->finish = stopped || whole ? WIRE_FINISH_STOP : WIRE_FINISH_LENGTH;
}

/* Text is free, but for a token that would begin the constraint with what that refuses. */
static const uint64_t *allowed_free(struct generation *gen)
{
	bool whole;
	const char *missing = onset_missing(&gen->onset, &whole);

	return missing == NULL
		   ? NULL
		   : matcher_allowed_behind(gen->constraint, missing, strlen(missing), whole);
}

/* What the next token is chosen from, and what it must not be. */
static struct sample_row row_of(struct generation *gen, float *logits)
{
	const struct tokenizer *tokenizer = gen->model->tokenizer;
	struct sample_row row = { .logits = logits,
		.n_vocab = gen->model->info->n_vocab,
		.history = gen->ids,
		.history_len = gen->len,
		.index = generation_answer_len(gen) };

	assert(!gen->has_token && gen->finish == WIRE_FINISH_UNKNOWN);
	if ((gen->ignore_eos || (gen->waits && !gen->calls)) && tokenizer != NULL)
		row.banned = tokenizer_ends(tokenizer, &row.banned_len);
	if (gen->constraint != NULL)
		gen->allowed = gen->waits ? allowed_free(gen) : matcher_allowed(gen->constraint);
	row.allowed = gen->allowed;
	return row;
}

/* The token that was chosen; `logits`, as the model gave them, with logprobs alone. */
static void accept_token(struct generation *gen, int32_t id, const float *logits)
{
	const struct tokenizer *tokenizer = gen->model->tokenizer;

	/* Nothing was allowed: no answer rather than any. */
	if (gen->allowed != NULL && !sample_is_allowed(gen->allowed, (size_t)id)) {
		gen->finish = WIRE_FINISH_ERROR;
		return;
	}
	/* The token that ends an answer is not part of it. */
	if (!gen->ignore_eos && tokenizer != NULL && tokenizer_is_end(tokenizer, id)) {
		textstream_flush(gen->stream, &gen->text);
		gen->finish = WIRE_FINISH_STOP;
		return;
	}
	if (gen->logprobs != NULL)
		take_logprobs(gen, id, logits);
	if (gen->constraint != NULL && !push_constraint(gen, id)) {
		gen->finish = WIRE_FINISH_ERROR;
		return;
	}
	gen->has_token = true;
	gen->token = id;
	gen->ids[gen->len++] = id;
	accept_text(gen, id);
}

bool generation_is_brief(const struct generation *gen)
{
	return gen->logprobs == NULL && sample_is_brief(&gen->params);
}

bool generation_accept_brief(struct generation *gen, const struct backend_shortlist *list,
    const struct generation_scratch *scratch)
{
	const struct sample_row row = row_of(gen, NULL);
	int32_t id;

	if (!sample_short(&gen->params, &row, list, scratch->sampling, &id))
		return false;
	accept_token(gen, id, NULL);
	return true;
}

void generation_accept(
    struct generation *gen, float *logits, const struct generation_scratch *scratch)
{
	const struct sample_row row = row_of(gen, logits);
	const size_t bytes = row.n_vocab * sizeof(logits[0]);

	if (gen->logprobs != NULL)
		memcpy(scratch->logits, logits, bytes);
	accept_token(gen, sample_token(&gen->params, &row, scratch->sampling), scratch->logits);
	if (gen->logprobs != NULL)
		wipe(scratch->logits, bytes);
}

void generation_stop(struct generation *gen, enum wire_finish finish)
{
	gen->has_token = false;
	buf_reset(&gen->text);
	gen->finish = finish;
}

bool generation_pending(const struct generation *gen)
{
	return gen->has_token || gen->text.len != 0;
}

void generation_message(struct generation *gen, struct wire_tokens *out)
{
	uint32_t held = gen->has_token ? 1 : 0;

	*out = (struct wire_tokens){ .first_index = generation_answer_len(gen) - held,
		.ids = (const uint32_t *)&gen->token, /* never negative */
		.ids_len = held,
		.text = gen->text.bytes,
		.text_len = gen->text.len,
		.text_offset = gen->text_offset };
	if (gen->logprobs != NULL && held != 0) {
		out->logprobs = &gen->logprobs->body;
		out->logprobs_len = 1;
	}
}

void generation_sent(struct generation *gen)
{
	gen->text_offset += gen->text.len;
	gen->has_token = false;
	buf_reset(&gen->text);
}
