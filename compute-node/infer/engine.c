/* Taking an engine's memory, the walk over ubatches, sequences and their end. */
#include "infer/engine_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/wipe.h"
#include "infer/device.h"
#include "infer/encode.h"
#include "os/pages.h"

/* The kernels give the same bits on every instruction set, so this says which
 * specification they follow, not which set runs. */
#define NUMERICS "cpu/k1"
#define NUMERICS_LONG "/long" /* rotation for contexts beyond the original one */

/* Peers count a context in whole steps here, and files are made for them. */
static bool is_long(const struct model *m, uint32_t n_ctx)
{
	return m->rope.freqs_long != NULL &&
	       (n_ctx + PASS_STEP - 1) / PASS_STEP * PASS_STEP > m->rope.n_ctx_short;
}

static void name_numerics(struct engine *e)
{
	static const char *const caches[] = {
		[CACHE_F16] = "f16", [CACHE_F32] = "f32", [CACHE_Q8_0] = "q8_0"
	};

	char lower[24] = "";

	if (e->lower != NULL)
		(void)snprintf(lower, sizeof(lower), "%u*" NUMERICS "+", e->config.n_host_layers);
	(void)snprintf(e->numerics, sizeof(e->numerics), "%s%s/%s%s", lower,
	    e->device != NULL ? device_numerics(e->device) : NUMERICS, caches[e->config.cache],
	    e->pass.rope_long ? NUMERICS_LONG : "");
}

/* Memory of the host that passes on the CPU use. */
static enum rc take_scratch(struct engine *e, struct errmsg *why)
{
	enum rc rc = engine_lay(e, NULL, why);

	if (rc == RC_OK)
		rc = cache_take(&e->cache, why);
	if (rc == RC_OK)
		rc = state_take(&e->state, why);
	if (rc != RC_OK)
		return rc;
	e->scratch = pages_take(e->scratch_bytes);
	if (e->scratch == NULL)
		return errmsg_rc(
		    why, RC_NOMEM, "no memory for %zu bytes of scratch", e->scratch_bytes);
	rc = engine_lay(e, e->scratch, why);
	if (rc == RC_OK)
		rc = crew_new(e->config.n_threads, &e->crew, why);
	e->pass.crew = e->crew;
	if (rc == RC_OK)
		crew_set_pulse(e->crew, e->config.pulse);
	return rc;
}

static enum rc take_all(struct engine *e, struct errmsg *why)
{
	const struct engine_config *config = &e->config;
	enum rc rc = cache_measure(e->model, config, &e->cache, why);

	if (rc == RC_OK)
		rc = state_measure(e->model, config, &e->state, why);
	if (rc != RC_OK)
		return rc;
	e->workers = calloc(config->n_threads, sizeof(*e->workers));
	e->seqs = calloc(config->n_seq, sizeof(*e->seqs));
	e->tails = calloc(config->n_seq, sizeof(*e->tails));
	if (e->workers == NULL || e->seqs == NULL || e->tails == NULL)
		return RC_NOMEM;
	e->pass.model = e->model;
	e->pass.layers = pass_layers_of(e->model, config);
	e->pass.kernels = kernels_get();
	e->pass.cache = &e->cache;
	e->pass.state = &e->state;
	e->pass.rope_long = is_long(e->model, config->n_ctx);
	for (uint32_t i = 0; i < config->n_threads; i++) {
		e->workers[i].pass = &e->pass;
		e->workers[i].thread = i;
	}
	if (config->backend == NULL)
		rc = take_scratch(e, why);
	else if (config->n_host_layers > 0)
		rc = engine_lower_new(e, why);
	if (rc == RC_OK && config->backend != NULL)
		rc = device_new(e->model, config, &e->pass, &e->cache, &e->device, why);
	if (rc == RC_OK && e->device != NULL) {
		e->brief = calloc(device_places(e->device), sizeof(*e->brief));
		rc = e->brief != NULL ? RC_OK : RC_NOMEM;
	}
	if (rc == RC_OK)
		name_numerics(e);
	return rc;
}

enum rc engine_new(const struct model *model, const struct engine_config *config,
    struct engine **out, struct errmsg *why)
{
	struct engine *e = calloc(1, sizeof(*e));
	enum rc rc;

	if (e == NULL)
		return RC_NOMEM;
	e->model = model;
	rc = engine_resolve(model, config, &e->config, why);
	if (rc == RC_OK)
		rc = take_all(e, why);
	if (rc != RC_OK) {
		engine_free(e);
		return rc;
	}
	*out = e;
	return RC_OK;
}

void engine_free(struct engine *e)
{
	if (e == NULL)
		return;
	crew_free(e->crew);
	for (uint32_t i = 0; e->seqs != NULL && e->cache.values != NULL && i < e->config.n_seq; i++)
		engine_seq_wipe(e, i);
	if (e->device != NULL) { /* cache and state are its memory */
		device_free(e->device);
		e->cache.keys = e->cache.values = NULL;
		e->state.floats = NULL;
	}
	cache_fini(&e->cache);
	state_fini(&e->state);
	if (e->scratch != NULL)
		wipe(e->scratch, e->scratch_bytes);
	pages_give(e->scratch, e->scratch_bytes);
	free(e->workers);
	free(e->seqs);
	free(e->tails);
	free(e->brief);
	engine_free(e->lower);
	free(e);
}

const struct engine_config *engine_config(const struct engine *e)
{
	return &e->config;
}

/* Before anything is written: token ids, sequences, positions. */
static enum rc check_rows(
    struct engine *e, const struct engine_row *rows, size_t n, struct errmsg *why)
{
	for (uint32_t s = 0; s < e->config.n_seq; s++)
		e->tails[s] = e->seqs[s].n_past;
	for (size_t i = 0; i < n; i++) {
		const struct engine_row *row = &rows[i];

		if (row->token < 0 || (uint32_t)row->token >= e->model->n_vocab)
			return errmsg_rc(why, RC_INVALID,
			    "token id %" PRId32 " is outside the vocabulary of %" PRIu32,
			    row->token, e->model->n_vocab);
		if (row->seq >= e->config.n_seq)
			return errmsg_rc(why, RC_INVALID, "sequence %" PRIu32 " of %" PRIu32,
			    row->seq, e->config.n_seq);
		if (row->pos != e->tails[row->seq])
			return errmsg_rc(why, RC_INVALID,
			    "position %" PRIu32 " in a sequence of %" PRIu32 " tokens", row->pos,
			    e->tails[row->seq]);
		if (row->pos >= e->config.n_ctx)
			return errmsg_rc(why, RC_CONTEXT,
			    "the sequence needs more than the context of %" PRIu32 " tokens",
			    e->config.n_ctx);
		e->tails[row->seq]++;
	}
	return RC_OK;
}

/* The same for an encoder: whole texts, all in one ubatch. */
static enum rc check_texts(
    const struct engine *e, const struct engine_row *rows, size_t n, struct errmsg *why)
{
	size_t n_texts = 0;

	for (size_t i = 0; i < n; i++) {
		const struct engine_row *row = &rows[i];

		if (row->token < 0 || (uint32_t)row->token >= e->model->n_vocab)
			return errmsg_rc(why, RC_INVALID,
			    "token id %" PRId32 " is outside the vocabulary of %" PRIu32,
			    row->token, e->model->n_vocab);
		if (row->want_logits)
			return errmsg_rc(why, RC_UNSUPPORTED, "an encoder gives no logits");
		if (row->pos != 0 && (i == 0 || row->pos != rows[i - 1].pos + 1))
			return errmsg_rc(
			    why, RC_INVALID, "position %" PRIu32 " in a text of %zu", row->pos, i);
		if (row->pos >= e->config.n_ctx)
			return errmsg_rc(why, RC_CONTEXT,
			    "the text needs more than the context of %" PRIu32 " tokens",
			    e->config.n_ctx);
		n_texts += row->pos == 0;
	}
	if (n > e->config.n_ubatch || n_texts > ENCODE_TEXTS_MAX)
		return errmsg_rc(why, RC_LIMIT, "%zu texts of %zu tokens (limits %u, %" PRIu32 ")",
		    n_texts, n, ENCODE_TEXTS_MAX, e->config.n_ubatch);
	return RC_OK;
}

static void run_thread(void *arg, unsigned thread)
{
	struct engine *e = arg;

	e->model->arch->forward(&e->workers[thread]);
}

/* What scratch will hold of it. */
static void note_touched(struct engine *e)
{
	const struct pass *p = &e->pass;

	if (e->n_rows_touched < p->n_rows)
		e->n_rows_touched = p->n_rows;
	for (size_t t = 0; p->n_rows < PASS_SPLIT_ROWS && t < p->n_rows; t++) {
		size_t n = p->rows[t].pos / PASS_STEP + 1;

		if (e->n_steps_touched < n)
			e->n_steps_touched = n;
	}
}

enum rc engine_run(struct engine *e, size_t n_given, struct errmsg *why)
{
	struct pass *p = &e->pass;

	if (e->device != NULL) {
		enum rc rc = RC_OK;

		p->n_rows = device_rows(p->rows, p->n_rows, e->config.n_ubatch);
		if (e->config.pulse != NULL)
			(*e->config.pulse)++;
		if (e->lower != NULL)
			rc = engine_lower_run(e, why);
		if (rc != RC_OK)
			return rc;
		return device_run(e->device, e->workers, e->n_brief > 0 ? (uint32_t)n_given : 0,
		    e->n_brief > 0, why);
	}
	note_touched(e);
	p->n_wanted = 0;
	for (uint32_t t = 0; t < p->n_rows; t++) {
		if (p->rows[t].want_logits)
			p->wanted[p->n_wanted++] = t;
	}
	p->adapted = false;
	for (size_t t = 0; p->adapters != NULL && t < p->n_rows; t++) {
		p->adapters[t] = e->seqs[p->rows[t].seq].adapter;
		p->adapted = p->adapted || p->adapters[t] != NULL;
	}
	p->normed.n_rows = p->mixed.n_rows = p->hidden.n_rows = p->n_rows;
	p->routed.latent.n_rows = p->routed.shared_hidden.n_rows = p->recur.out.n_rows = p->n_rows;
	p->latents.q_rank.n_rows = p->latents.rank.n_rows = p->latents.values.n_rows = p->n_rows;
	crew_run(e->crew, run_thread, e);
	return RC_OK;
}

static size_t count_wanted(const struct engine_row *rows, size_t n)
{
	size_t wanted = 0;

	for (size_t i = 0; i < n; i++)
		wanted += rows[i].want_logits;
	return wanted;
}

/* Shortlists are kept of rows that all have a place on the device. */
static void note_brief(struct engine *e, const struct engine_row *rows, size_t n)
{
	e->n_brief = 0;
	if (e->device == NULL || count_wanted(rows, n) > device_places(e->device))
		return;
	for (size_t i = 0; i < n; i++) {
		if (rows[i].want_logits)
			e->brief[e->n_brief++] = rows[i].brief;
	}
}

float *engine_logits(struct engine *e)
{
	return e->device != NULL ? device_host_logits(e->device) : NULL;
}

const struct backend_shortlist *engine_shortlist(struct engine *e, size_t i)
{
	return i < e->n_brief && e->brief[i] ? device_shortlist(e->device, (uint32_t)i) : NULL;
}

enum rc engine_fetch(struct engine *e, size_t i, float *logits, struct errmsg *why)
{
	if (engine_shortlist(e, i) == NULL)
		return errmsg_rc(why, RC_INVALID, "row %zu has no shortlist", i);
	return device_fetch(e->device, (uint32_t)i, logits, why);
}

/* Texts of an encoder leave nothing behind. */
static enum rc forward_texts(struct engine *e, const struct engine_row *rows, size_t n,
    float *embeddings, struct errmsg *why)
{
	struct pass *p = &e->pass;
	enum rc rc = check_texts(e, rows, n, why);

	if (rc != RC_OK || n == 0)
		return rc;
	p->rows = rows;
	p->n_rows = n;
	p->embeddings = embeddings;
	rc = engine_run(e, 0, why);
	if (e->device != NULL) {
		device_settle(e->device);
	} else {
		cache_wipe(&e->cache, 0, encode_cells((uint32_t)n));
		engine_lay_wipe(e);
	}
	return rc;
}

enum rc engine_forward(struct engine *e, const struct engine_row *rows, size_t rows_len,
    float *logits, float *embeddings, const volatile bool *cancel, struct errmsg *why)
{
	struct pass *p = &e->pass;
	size_t n_given = 0;
	enum rc rc;

	if (e->model->encoder != NULL)
		return forward_texts(e, rows, rows_len, embeddings, why);
	rc = check_rows(e, rows, rows_len, why);
	note_brief(e, rows, rows_len);
	for (size_t at = 0; rc == RC_OK && at < rows_len; at += p->n_rows) {
		if (cancel != NULL && *cancel)
			return RC_CANCELLED;
		p->rows = rows + at;
		p->n_rows = rows_len - at < e->config.n_ubatch ? rows_len - at : e->config.n_ubatch;
		p->logits = logits != NULL ? logits + n_given * e->model->n_vocab : NULL;
		p->embeddings = embeddings;
		rc = engine_run(e, n_given, why);
		if (rc != RC_OK)
			break;
		n_given += count_wanted(p->rows, p->n_rows);
		for (size_t i = 0; i < p->n_rows; i++) {
			struct sequence *seq = &e->seqs[p->rows[i].seq];

			seq->n_past++;
			if (seq->n_touched < seq->n_past)
				seq->n_touched = seq->n_past;
		}
		if (embeddings != NULL)
			embeddings += p->n_rows * e->model->n_embd;
	}
	return rc;
}

uint32_t engine_seq_len(const struct engine *e, uint32_t seq)
{
	return e->seqs[seq].n_past;
}

enum rc engine_seq_truncate(struct engine *e, uint32_t seq, uint32_t n_keep)
{
	if (n_keep >= e->seqs[seq].n_past)
		return RC_OK;
	uint32_t n_touched = e->seqs[seq].n_touched;

	if (n_keep > 0 &&
	    (e->model->recurrent.n_layer > 0 || !cache_reaches(&e->cache, n_touched, n_keep) ||
		(e->lower != NULL && !cache_reaches(&e->lower->cache, n_touched, n_keep))))
		return RC_UNSUPPORTED;
	state_wipe(&e->state, seq);
	e->seqs[seq].n_past = n_keep;
	return RC_OK;
}

enum rc engine_seq_adapt(struct engine *e, uint32_t seq, const struct adapter *adapter)
{
	if (adapter != NULL && !e->config.adapters)
		return RC_UNSUPPORTED;
	e->seqs[seq].adapter = adapter;
	return RC_OK;
}

void engine_seq_wipe(struct engine *e, uint32_t seq)
{
	cache_wipe(&e->cache, seq, e->seqs[seq].n_touched);
	state_wipe(&e->state, seq);
	if (e->lower != NULL) {
		cache_wipe(&e->lower->cache, seq, e->seqs[seq].n_touched);
		engine_lay_wipe(e->lower);
	}
	if (e->device != NULL)
		device_settle(e->device);
	else
		engine_lay_wipe(e);
	e->seqs[seq] = (struct sequence){ 0 };
}

struct crew *engine_crew(struct engine *e)
{
	return e->lower != NULL ? e->lower->crew : e->crew;
}

uint32_t engine_graphs(const struct engine *e, uint64_t *bytes)
{
	*bytes = 0;
	return e->device != NULL ? device_graphs(e->device, bytes) : 0;
}

const char *engine_numerics_id(const struct engine *e)
{
	return e->numerics;
}
