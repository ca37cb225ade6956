/* Passes of embedding, pooling, normalising. */
#include "infer/embed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"
#include "infer/encode.h"
#include "model/model_impl.h"

struct embed {
	const struct model *model;
	struct engine *engine;
	uint32_t n_ubatch;
	struct engine_row *rows; /* [n_ubatch] */
	float *floats;           /* [n_ubatch][n_embd] */
	double *pooled;          /* [n_embd] of the text under way */
	const struct embed_text *texts;
	size_t n, next; /* texts, the first that is not done */
	size_t at;      /* tokens of it that are done; decoders only */
};

uint64_t embed_bytes(const struct model *m, const struct engine_config *config)
{
	if (m->pooling == POOLING_NONE)
		return 0;
	return (uint64_t)config->n_ubatch *
		   (sizeof(struct engine_row) + m->n_embd * sizeof(float)) +
	       m->n_embd * sizeof(double);
}

enum rc embed_new(
    const struct model *model, struct engine *engine, struct embed **out, struct errmsg *why)
{
	struct embed *e;
	size_t n = engine_config(engine)->n_ubatch;

	if (model->pooling == POOLING_NONE)
		return errmsg_rc(why, RC_UNSUPPORTED, "this model does not embed");
	e = calloc(1, sizeof(*e));
	if (e == NULL)
		return RC_NOMEM;
	e->model = model;
	e->engine = engine;
	e->n_ubatch = (uint32_t)n;
	e->rows = calloc(n, sizeof(*e->rows));
	e->floats = calloc(n * model->n_embd, sizeof(*e->floats));
	e->pooled = calloc(model->n_embd, sizeof(*e->pooled));
	if (e->rows == NULL || e->floats == NULL || e->pooled == NULL) {
		embed_free(e);
		return errmsg_rc(why, RC_NOMEM, "no memory to embed");
	}
	*out = e;
	return RC_OK;
}

void embed_free(struct embed *e)
{
	if (e == NULL)
		return;
	embed_stop(e);
	free(e->rows);
	free(e->floats);
	free(e->pooled);
	free(e);
}

enum rc embed_tokenize(
    const struct tokenizer *t, const char *text, size_t len, struct tokens *out, struct errmsg *why)
{
	enum rc rc = RC_OK;

	if (tokenizer_add_bos(t) && tokenizer_bos(t) != TOKEN_NONE)
		rc = tokens_push(out, tokenizer_bos(t));
	if (rc == RC_OK)
		rc = tokenizer_encode(t, text, len, TOKENIZE_FIRST, out, why);
	if (rc == RC_OK && tokenizer_add_eos(t) && tokenizer_eos(t) != TOKEN_NONE)
		rc = tokens_push(out, tokenizer_eos(t));
	return rc;
}

enum rc embed_check(uint32_t n_ctx, size_t n_tokens, struct errmsg *why)
{
	if (n_tokens == 0)
		return errmsg_rc(why, RC_INVALID, "a text without tokens");
	if (n_tokens > n_ctx)
		return errmsg_rc(
		    why, RC_CONTEXT, "a text of %zu tokens, the context has %u", n_tokens, n_ctx);
	return RC_OK;
}

void embed_begin(struct embed *e, const struct embed_text *texts, size_t n)
{
	e->texts = texts;
	e->n = n;
	e->next = e->at = 0;
	memset(e->pooled, 0, e->model->n_embd * sizeof(*e->pooled));
}

void embed_stop(struct embed *e)
{
	size_t n_embd = e->model->n_embd;

	e->n = e->next = e->at = 0;
	e->texts = NULL;
	if (e->floats != NULL)
		wipe(e->floats, e->n_ubatch * n_embd * sizeof(*e->floats));
	if (e->rows != NULL)
		wipe(e->rows, e->n_ubatch * sizeof(*e->rows));
	if (e->pooled != NULL)
		wipe(e->pooled, n_embd * sizeof(*e->pooled));
	if (e->model->encoder == NULL)
		engine_seq_wipe(e->engine, 0);
}

/* Rows at … at + n - 1 of a text, in `rows`, into its pooled sum. */
static void pool(struct embed *e, const struct embed_text *text, const float *rows, size_t n)
{
	size_t n_embd = e->model->n_embd;

	for (size_t i = 0; i < n; i++) {
		size_t pos = e->at + i;

		if ((e->model->pooling == POOLING_CLS && pos != 0) ||
		    (e->model->pooling == POOLING_LAST && pos + 1 != text->n))
			continue;
		for (size_t d = 0; d < n_embd; d++)
			e->pooled[d] += (double)rows[i * n_embd + d];
	}
}

/* The mean's divisor drops out of a vector of length 1. */
static enum rc finish(struct embed *e, const struct embed_text *text, struct errmsg *why)
{
	size_t n_embd = e->model->n_embd;
	double square = 0, scale;

	for (size_t d = 0; d < n_embd; d++)
		square += e->pooled[d] * e->pooled[d];
	scale = square > 0 ? 1.0 / sqrt(square) : 0;
	for (size_t d = 0; d < n_embd; d++) {
		text->out[d] = (float)(e->pooled[d] * scale);
		e->pooled[d] = 0;
	}
	return isfinite(square) ? RC_OK
				: errmsg_rc(why, RC_INVALID, "the model gives no finite vector");
}

static void put_rows(struct embed *e, const struct embed_text *text, size_t n, size_t at)
{
	for (size_t i = 0; i < n; i++)
		e->rows[at + i] = (struct engine_row){ .token = text->ids[e->at + i],
			.pos = (uint32_t)(e->at + i) };
}

/* As many whole texts as a pass takes. */
static enum rc step_encoder(struct embed *e, struct errmsg *why)
{
	size_t n_texts = 0, n_rows = 0, at = 0;
	enum rc rc;

	while (e->next + n_texts < e->n && n_texts < ENCODE_TEXTS_MAX) {
		const struct embed_text *text = &e->texts[e->next + n_texts];

		if (text->n > e->n_ubatch - n_rows)
			break;
		put_rows(e, text, text->n, n_rows);
		n_rows += text->n;
		n_texts++;
	}
	rc = engine_forward(e->engine, e->rows, n_rows, NULL, e->floats, NULL, why);
	for (size_t i = 0; rc == RC_OK && i < n_texts; i++) {
		const struct embed_text *text = &e->texts[e->next++];

		pool(e, text, e->floats + at * e->model->n_embd, text->n);
		at += text->n;
		rc = finish(e, text, why);
	}
	return rc;
}

/* The next rows of one text. */
static enum rc step_decoder(struct embed *e, struct errmsg *why)
{
	const struct embed_text *text = &e->texts[e->next];
	size_t n = text->n - e->at < e->n_ubatch ? text->n - e->at : e->n_ubatch;
	enum rc rc;

	put_rows(e, text, n, 0);
	rc = engine_forward(e->engine, e->rows, n, NULL, e->floats, NULL, why);
	if (rc != RC_OK)
		return rc;
	pool(e, text, e->floats, n);
	e->at += n;
	if (e->at < text->n)
		return RC_OK;
	e->at = 0;
	e->next++;
	engine_seq_wipe(e->engine, 0);
	return finish(e, text, why);
}

enum rc embed_step(struct embed *e, bool *done, struct errmsg *why)
{
	enum rc rc = RC_OK;

	if (e->next < e->n)
		rc = e->model->encoder != NULL ? step_encoder(e, why) : step_decoder(e, why);
	*done = e->next == e->n;
	if (rc != RC_OK || *done)
		embed_stop(e);
	return rc;
}

enum rc embed_run(struct embed *e, const struct embed_text *texts, size_t n, struct errmsg *why)
{
	bool done = false;
	enum rc rc = RC_OK;

	embed_begin(e, texts, n);
	while (rc == RC_OK && !done)
		rc = embed_step(e, &done, why);
	return rc;
}
