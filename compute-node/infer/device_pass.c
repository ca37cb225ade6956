/* Passes on a device: those to come, shown to the backend at start, and those that are computed. */
#include "base/clock.h"
#include "base/wipe.h"
#include "infer/device_impl.h"

#define REHEARSE_NS_MAX (5 * NS_PER_S)

/* One shape: `n` rows at position `pos`, all of which want logits, kept from `first` on. */
static enum rc rehearse_shape(
    struct device *d, struct worker *w, uint32_t pos, uint32_t first, uint32_t n)
{
	bool known = false;
	enum rc rc;

	for (uint32_t i = 0; i < n; i++)
		d->rows[i] = (struct backend_row){ .seq = first + i, .pos = pos, .wanted = i };
	w->pass->n_rows = n;
	rc = d->api->rehearse(d->backend, d->rows, n, first, &known, &d->why);
	if (rc != RC_OK || known)
		return rc;
	d->model->arch->forward(w);
	rc = d->api->end(d->backend, NULL, &d->why);
	return rc == RC_OK ? d->failed : rc;
}

enum rc device_rehearse(
    struct device *d, const struct engine_config *config, struct pass *p, struct errmsg *why)
{
	struct worker worker = { .pass = p };
	int64_t end_ns = clock_mono_ns() + REHEARSE_NS_MAX;
	enum rc rc = RC_OK;

	d->class_ = BACKEND_ANSWER;
	for (unsigned bits = 1; rc == RC_OK && clock_mono_ns() < end_ns; bits++) {
		uint64_t past = (uint64_t)1 << bits;
		uint32_t pos = past < config->n_ctx ? (uint32_t)past - 1 : config->n_ctx - 1;

		for (uint32_t seq = 0; rc == RC_OK && seq < config->n_seq; seq++) {
			uint32_t n = seq % BACKEND_ANSWER_ROWS + 1;

			if (n <= config->n_ubatch)
				rc = rehearse_shape(d, &worker, pos, seq + 1 - n, n);
		}
		if (past >= config->n_ctx)
			break;
	}
	wipe(d->rows, config->n_ubatch * sizeof(*d->rows));
	if (rc != RC_OK)
		return errmsg_rc(why, rc, "%s", errmsg_text(&d->why, rc));
	return RC_OK;
}

size_t device_rows(const struct engine_row *rows, size_t n, size_t n_ubatch)
{
	size_t most = rows[0].answer ? BACKEND_ANSWER_ROWS : n_ubatch, wanted = 0, i = 0;

	for (; i < n && i < most && rows[i].answer == rows[0].answer; i++) {
		wanted += rows[i].want_logits;
		if (wanted > BACKEND_ANSWER_ROWS)
			break;
	}
	return i;
}

enum rc device_load(struct device *d, const struct pass *p, size_t at, const float *rows, size_t n,
    struct errmsg *why)
{
	size_t width = d->model->n_embd;

	return d->api->upload(d->backend, p->x + at * width, rows, n * width * sizeof(*rows), why);
}

uint32_t device_graphs(const struct device *d, uint64_t *bytes)
{
	struct backend_info info;

	d->api->info(d->backend, &info);
	*bytes = info.graph_bytes;
	return info.n_graphs;
}

uint32_t device_places(const struct device *d)
{
	return d->n_places;
}

float *device_host_logits(struct device *d)
{
	return d->api->host_logits(d->backend);
}

const struct backend_shortlist *device_shortlist(struct device *d, uint32_t place)
{
	return d->api->shortlist(d->backend, place);
}

enum rc device_fetch(struct device *d, uint32_t place, float *logits, struct errmsg *why)
{
	return d->api->fetch(d->backend, place, logits, why);
}

enum rc device_run(
    struct device *d, struct worker *w, uint32_t first, bool brief, struct errmsg *why)
{
	struct pass *p = w->pass;
	uint32_t wanted = 0;
	bool replayed = false;
	enum rc rc;

	for (size_t i = 0; i < p->n_rows; i++)
		d->rows[i] = (struct backend_row){ .token = p->rows[i].token,
			.seq = p->rows[i].seq,
			.pos = p->rows[i].pos,
			.wanted = p->rows[i].want_logits ? wanted++ : UINT32_MAX,
			.brief = brief && p->rows[i].brief };
	/* What embeddings want beside logits is in no pass that is played back. */
	d->class_ = p->rows[0].answer && p->embeddings == NULL ? BACKEND_ANSWER : BACKEND_PROMPT;
	d->failed = RC_OK;
	rc = d->api->begin(
	    d->backend, d->class_, d->rows, (uint32_t)p->n_rows, first, &replayed, why);
	if (rc == RC_OK && !replayed)
		d->model->arch->forward(w);
	if (rc == RC_OK)
		rc = d->api->end(d->backend, p->logits, why);
	if (rc == RC_OK && p->embeddings != NULL)
		rc = d->api->download(d->backend, p->embeddings, p->normed.f32,
		    p->n_rows * d->model->n_embd * sizeof(float), why);
	wipe(d->rows, p->n_rows * sizeof(*d->rows));
	if (rc == RC_OK && d->failed != RC_OK) {
		errmsg_set(why, "%s", errmsg_text(&d->why, d->failed));
		rc = d->failed;
	}
	return rc;
}

void device_wipe(struct device *d, void *at, size_t bytes)
{
	(void)d->api->wipe(d->backend, at, bytes, NULL);
}

void device_settle(struct device *d)
{
	(void)d->api->wipe(d->backend, d->scratch, d->scratch_bytes, NULL);
	(void)d->api->forget(d->backend, NULL);
	(void)d->api->finish(d->backend, NULL);
}
