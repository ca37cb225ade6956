/* A round of one engine: who gets which rows, and what comes of them. */
#include "serve/scheduler_impl.h"

#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/wipe.h"

struct lane *scheduler_lane(struct scheduler *sched, const struct served_model *model)
{
	return &sched->lanes[model - sched->config.fleet->models];
}

static bool may_run(const struct sequence *seq)
{
	const struct job *job = seq->job;

	return job != NULL && job->gen.finish == WIRE_FINISH_UNKNOWN &&
	       !generation_pending(&job->gen) && !scheduler_unwanted(job);
}

static uint32_t rows_left(const struct job *job)
{
	return job->gen.len - job->fed;
}

/* Rows of one job, the last of them wanting logits if it is the job's last. */
static size_t put_rows(struct lane *lane, struct sequence *seq, uint32_t n, size_t at)
{
	struct job *job = seq->job;
	uint32_t index = (uint32_t)(seq - lane->seqs);

	for (uint32_t i = 0; i < n; i++) {
		uint32_t pos = job->fed + i;

		lane->rows[at + i] = (struct engine_row){ .token = job->gen.ids[pos],
			.seq = index,
			.pos = pos,
			.want_logits = pos + 1 == job->gen.len,
			.brief = generation_is_brief(&job->gen),
			.answer = pos >= job->gen.prompt_len };
	}
	return at + n;
}

/* Share `room` rows among the prompts, from `turn` on. */
static size_t put_prompts(struct lane *lane, uint32_t room, size_t at)
{
	const uint32_t n_seq = lane->model->config.n_seq;
	uint32_t waiting = 0;

	for (uint32_t i = 0; i < n_seq; i++)
		waiting += may_run(&lane->seqs[i]) && rows_left(lane->seqs[i].job) > 1;
	for (uint32_t i = 0; i < n_seq && room > 0 && waiting > 0; i++) {
		struct sequence *seq = &lane->seqs[(lane->turn + i) % n_seq];

		if (!may_run(seq) || rows_left(seq->job) <= 1)
			continue;
		uint32_t share = (room + waiting - 1) / waiting;
		uint32_t n = rows_left(seq->job) < share ? rows_left(seq->job) : share;

		at = put_rows(lane, seq, n, at);
		room -= n;
		waiting--;
	}
	return at;
}

static size_t plan_rows(struct lane *lane, uint32_t *decoding)
{
	const uint32_t n_seq = lane->model->config.n_seq;
	const uint32_t n_ubatch = lane->model->config.n_ubatch;
	size_t at = 0;

	for (uint32_t i = 0; i < n_seq && at < n_ubatch; i++) {
		struct sequence *seq = &lane->seqs[(lane->turn + i) % n_seq];

		if (may_run(seq) && rows_left(seq->job) == 1)
			at = put_rows(lane, seq, 1, at);
	}
	*decoding = (uint32_t)at;
	lane->turn = (lane->turn + 1) % n_seq;
	return put_prompts(lane, pace_rows(&lane->pace, *decoding, n_ubatch - *decoding), at);
}

static void note_rows(struct lane *lane, size_t rows)
{
	for (size_t i = 0; i < rows; i++) {
		struct sequence *seq = &lane->seqs[lane->rows[i].seq];

		seq->ids[seq->len++] = lane->rows[i].token;
		seq->job->fed++;
	}
}

static void sample(struct lane *lane, struct sampling *one, unsigned thread)
{
	const struct generation_scratch *scratch = &lane->scratch[thread];

	if (one->over)
		return;
	if (one->shortlist != NULL) {
		one->over = generation_accept_brief(&one->job->gen, one->shortlist, scratch);
		return;
	}
	generation_accept(&one->job->gen, one->logits, scratch);
	wipe(one->logits, lane->model->info->n_vocab * sizeof(one->logits[0]));
	one->over = true;
}

/* On each thread of the crew: a row at a time. */
static void sample_some(void *arg, unsigned thread)
{
	struct lane *lane = arg;
	size_t i;

	if (thread >= lane->n_samplers)
		return;
	while ((i = crew_take(lane->crew)) < lane->n_samplings)
		sample(lane, &lane->samplings[i], thread);
}

static void sample_all(struct lane *lane)
{
	if (lane->n_samplings == 1)
		sample(lane, &lane->samplings[0], 0);
	else if (lane->n_samplings != 0)
		crew_run(lane->crew, sample_some, lane);
}

static void log_failure(const struct lane *lane, size_t rows, enum rc rc)
{
	log_error(
	    "SERVE-ENGINE", "model=%s rc=%s rows=%zu", lane->model->info->name, rc_word(rc), rows);
}

/* The rows that their shortlists did not do for come whole; false: none did not. */
static bool fetch_rows(struct lane *lane)
{
	bool any = false;

	for (size_t i = 0; i < lane->n_samplings; i++) {
		struct sampling *one = &lane->samplings[i];
		struct errmsg why = ERRMSG_INIT;

		if (one->over)
			continue;
		enum rc rc = engine_fetch(lane->model->engine, i, one->logits, &why);
		lane_end_if_lost(lane, rc, &why);
		one->shortlist = NULL;
		if (rc == RC_OK) {
			any = true;
			continue;
		}
		one->over = true;
		log_failure(lane, 1, rc);
		job_fail(one->job, WIRE_ERROR_INTERNAL, "the engine failed");
	}
	return any;
}

/* Returns how many tokens were sampled. */
static uint64_t take_logits(struct lane *lane, size_t rows, int64_t now_ns)
{
	const uint32_t n_vocab = lane->model->info->n_vocab;
	uint64_t sampled = 0;

	lane->n_samplings = 0;
	for (size_t i = 0; i < rows; i++) {
		if (!lane->rows[i].want_logits)
			continue;
		struct job *job = lane->seqs[lane->rows[i].seq].job;

		if (job->prompt_done_ns == 0)
			job->prompt_done_ns = now_ns;
		job->finished_ns = now_ns;
		job->progress_ns = now_ns;
		lane->samplings[lane->n_samplings] = (struct sampling){ .job = job,
			.logits = lane->logits + lane->n_samplings * n_vocab,
			.shortlist = engine_shortlist(lane->model->engine, lane->n_samplings) };
		lane->n_samplings++;
	}
	sample_all(lane);
	if (fetch_rows(lane))
		sample_all(lane);
	for (size_t i = 0; i < lane->n_samplings; i++)
		sampled += lane->samplings[i].job->gen.has_token;
	return sampled;
}

/* To whom the rows and their tokens belong. */
static void count_rows(
    struct scheduler *sched, const struct lane *lane, size_t rows, uint32_t decoding)
{
	size_t n = 0;

	for (size_t i = 0; i < rows; i += n) {
		const struct engine_row *row = &lane->rows[i];
		const struct job *job = lane->seqs[row->seq].job;

		for (n = 1; i + n < rows && row[n].seq == row->seq; n++)
			;
		if (i >= decoding)
			tally_add(&sched->tally, job->key, TALLY_PROMPT, n);
		if (row[n - 1].want_logits && job->gen.has_token)
			tally_add(&sched->tally, job->key, TALLY_GENERATED, 1);
	}
}

void lane_end_if_lost(const struct lane *lane, enum rc rc, const struct errmsg *why)
{
	if (rc != RC_IO || lane->model->config.backend == NULL)
		return;
	log_error("SERVE-DEVICE-LOST", "model=%s reason=%s", lane->model->info->name, why->text);
	_exit(EXIT_FAILED);
}

static void fail_rows(struct lane *lane, size_t rows, enum rc rc)
{
	log_failure(lane, rows, rc);
	for (size_t i = 0; i < rows; i++)
		job_fail(
		    lane->seqs[lane->rows[i].seq].job, WIRE_ERROR_INTERNAL, "the engine failed");
}

bool lane_run(struct scheduler *sched, struct lane *lane)
{
	uint32_t decoding = 0;
	struct errmsg why = ERRMSG_INIT;
	size_t rows = plan_rows(lane, &decoding);

	if (rows == 0)
		return false;
	int64_t from_ns = clock_mono_ns();
	enum rc rc =
	    engine_forward(lane->model->engine, lane->rows, rows, lane->logits, NULL, NULL, &why);
	int64_t now_ns = clock_mono_ns();
	lane_end_if_lost(lane, rc, &why);
	if (rc != RC_OK) {
		fail_rows(lane, rows, rc);
	} else {
		note_rows(lane, rows);
		for (size_t i = 0; i < rows; i++)
			lane->seqs[lane->rows[i].seq].job->progress_ns = now_ns;
		uint64_t sampled = take_logits(lane, rows, now_ns);

		pace_learn(
		    &lane->pace, decoding, (uint32_t)rows - decoding, clock_mono_ns() - from_ns);
		count_rows(sched, lane, rows, decoding);
		scheduler_rate_add(sched, sampled);
	}
	wipe(lane->rows, rows * sizeof(lane->rows[0]));
	return true;
}
