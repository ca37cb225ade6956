/*
 * Nightly: one thread that sleeps until its hour or a request.
 *
 * `mutex` guards everything but `config`.
 */
#include "gateway/nightly.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "align/builder.h"
#include "base/clock.h"
#include "base/log.h"
#include "os/process.h"

#define LOOK_AGAIN_NS (30 * NS_PER_S) /* the wall clock may be set meanwhile */
#define ALIGN_WAIT_NS (60 * NS_PER_S) /* for stored slices; without them it takes longer */
#define ALIGN_LOOK_NS (200 * NS_PER_MS)

struct nightly {
	struct nightly_config config;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t moved;
	bool stopping, asked;
	unsigned holds;  /* nightly_hold() */
	bool working;    /* in run_steps() */
	int64_t most_ns; /* of the pass that was asked for */
	int64_t next_ns; /* when one begins by itself; 0: never */
	struct nightly_view view;
};

int64_t nightly_next(int64_t now_ns, int at_s, int32_t offset_s)
{
	int64_t local_s = now_ns / NS_PER_S + offset_s;
	int64_t wait_s = (at_s - local_s % 86400 + 2 * 86400) % 86400;

	return now_ns - now_ns % NS_PER_S + (wait_s == 0 ? 86400 : wait_s) * NS_PER_S;
}

static int64_t next_of(const struct nightly *nightly)
{
	const struct nightly_config *config = &nightly->config;
	int64_t now_ns = clock_utc_ns();

	if (config->at_s == NIGHTLY_NEVER)
		return 0;
	return nightly_next(now_ns, config->at_s, config->offset_s(config->offset_ctx, now_ns));
}

const char *nightly_step_word(enum nightly_step step)
{
	static const char *const words[] = { "labels", "align", "notes" };

	return words[step];
}

static bool may_go_on(const struct nightly *nightly)
{
	return !nightly->stopping && nightly->holds == 0;
}

static bool go_on(void *ctx, const struct night_state *state)
{
	struct nightly *nightly = ctx;

	(void)pthread_mutex_lock(&nightly->mutex);
	nightly->view.state = *state;
	bool more = may_go_on(nightly);
	(void)pthread_cond_broadcast(&nightly->moved);
	(void)pthread_mutex_unlock(&nightly->mutex);
	return more;
}

static bool go_on_asking(void *ctx, const struct annotate_report *so_far)
{
	struct nightly *nightly = ctx;

	(void)pthread_mutex_lock(&nightly->mutex);
	nightly->view.notes = *so_far;
	bool more = may_go_on(nightly);
	(void)pthread_cond_broadcast(&nightly->moved);
	(void)pthread_mutex_unlock(&nightly->mutex);
	return more;
}

static void set_step(struct nightly *nightly, enum nightly_step step)
{
	(void)pthread_mutex_lock(&nightly->mutex);
	nightly->view.step = step;
	(void)pthread_cond_broadcast(&nightly->moved);
	(void)pthread_mutex_unlock(&nightly->mutex);
}

/* What was decided on one pass, and what came of it. */
struct pass {
	int64_t deadline_mono_ns; /* 0: none */
	struct night_report labels;
	struct annotate_report notes;
	enum rc rc;
	struct errmsg why;
};

/* The aligner follows the log by itself: what is asked of the slices is cheap once it is there. */
static void wait_for_slices(struct nightly *nightly, const struct pass *pass)
{
	uint64_t cursor = store_cursor(nightly->config.store);
	int64_t until_ns = clock_mono_ns() + ALIGN_WAIT_NS;
	bool more = nightly->config.builder != NULL;

	if (pass->deadline_mono_ns != 0 && pass->deadline_mono_ns < until_ns)
		until_ns = pass->deadline_mono_ns;
	set_step(nightly, NIGHTLY_ALIGN);
	while (more && !builder_wait(nightly->config.builder, cursor, ALIGN_LOOK_NS)) {
		(void)pthread_mutex_lock(&nightly->mutex);
		more = may_go_on(nightly) && clock_mono_ns() < until_ns;
		(void)pthread_mutex_unlock(&nightly->mutex);
	}
}

static void label(struct nightly *nightly, struct pass *pass)
{
	const struct night_config config = { .store = nightly->config.store,
		.offset_s = nightly->config.offset_s,
		.offset_ctx = nightly->config.offset_ctx,
		.deadline_mono_ns = pass->deadline_mono_ns,
		.go_on = go_on,
		.go_on_ctx = nightly };

	set_step(nightly, NIGHTLY_LABELS);
	pass->rc = night_run(&config, &pass->labels, &pass->why);
}

static void annotate(struct nightly *nightly, struct pass *pass)
{
	const struct nightly_config *config = &nightly->config;
	struct annotate_config asking = { .store = config->store,
		.ask = config->ask,
		.book = config->book,
		.zone = { config->offset_s, config->offset_ctx },
		.deadline_mono_ns = pass->deadline_mono_ns,
		.go_on = go_on_asking,
		.go_on_ctx = nightly };
	struct errmsg why = ERRMSG_INIT;

	asking.policy = config->policy(config->policy_ctx);
	set_step(nightly, NIGHTLY_NOTES);
	enum rc rc = annotate_run(&asking, &pass->notes, &why);
	if (rc != RC_OK && pass->rc == RC_OK) {
		pass->rc = rc;
		pass->why = why;
	}
}

static bool has_model(const struct ask *ask)
{
	struct ask_model model;

	return ask->which(ask->ctx, &model) == RC_OK;
}

/* A record that cannot be read keeps nothing else from being done. */
static void run_steps(struct nightly *nightly, struct pass *pass)
{
	bool asks = nightly->config.ask != NULL;

	pass->labels = (struct night_report){ 0 };
	pass->notes = (struct annotate_report){ .end = ANNOTATE_STOPPED };
	errmsg_reset(&pass->why);
	label(nightly, pass);
	bool labelled = (pass->rc == RC_OK && pass->labels.finished) || pass->rc == RC_CORRUPT;
	if (!labelled || !asks)
		return;
	/* Without one nothing is asked of the slices. */
	if (has_model(nightly->config.ask))
		wait_for_slices(nightly, pass);
	annotate(nightly, pass);
}

/* As often as it is held. */
static void work(struct nightly *nightly, struct pass *pass)
{
	for (;;) {
		(void)pthread_mutex_lock(&nightly->mutex);
		while (nightly->holds > 0 && !nightly->stopping)
			(void)pthread_cond_wait(&nightly->moved, &nightly->mutex);
		nightly->working = true;
		(void)pthread_mutex_unlock(&nightly->mutex);
		run_steps(nightly, pass);
		bool finished = pass->labels.finished && (nightly->config.ask == NULL ||
							     pass->notes.end != ANNOTATE_STOPPED);
		(void)pthread_mutex_lock(&nightly->mutex);
		nightly->working = false;
		bool again =
		    pass->rc == RC_OK && !finished && nightly->holds > 0 && !nightly->stopping;
		(void)pthread_cond_broadcast(&nightly->moved);
		(void)pthread_mutex_unlock(&nightly->mutex);
		if (!again)
			return;
	}
}

static void log_pass(const struct nightly *nightly, const struct pass *pass, int64_t took_ns)
{
	const struct night_report *labels = &pass->labels;
	const struct annotate_report *notes = &pass->notes;

	if (pass->rc == RC_OK)
		log_info("NIGHT-DONE",
		    "days=%" PRIu64 " observations=%" PRIu64 " written=%" PRIu64
		    " withdrawn=%" PRIu64 " finished=%d seconds=%.1f",
		    labels->days, labels->observations, labels->written, labels->withdrawn,
		    labels->finished, (double)took_ns / (double)NS_PER_S);
	else
		log_error("NIGHT-FAILED", "rc=%s why=%s", rc_word(pass->rc),
		    errmsg_text(&pass->why, pass->rc));
	if (nightly->config.ask != NULL)
		log_info("NIGHT-NOTES",
		    "end=%s days=%" PRIu64 " questions=%" PRIu64 " notes=%" PRIu64
		    " withdrawn=%" PRIu64 " refused=%" PRIu64 " facts=%" PRIu64 " proposed=%" PRIu64
		    " facts_refused=%" PRIu64,
		    annotate_end_word(notes->end), notes->days, notes->questions, notes->notes,
		    notes->notes_withdrawn, gate_refused(&notes->notes_gate), notes->facts,
		    notes->facts_proposed, gate_refused(&notes->facts_gate));
}

static void run(struct nightly *nightly, int64_t most_ns)
{
	int64_t began_ns = clock_mono_ns();
	struct pass pass = { .deadline_mono_ns = most_ns > 0 ? began_ns + most_ns : 0,
		.why = ERRMSG_INIT };

	work(nightly, &pass);
	if (nightly->config.log)
		log_pass(nightly, &pass, clock_mono_ns() - began_ns);
	(void)pthread_mutex_lock(&nightly->mutex);
	nightly->view.running = false;
	nightly->view.passes++;
	nightly->view.report = pass.labels;
	nightly->view.notes = pass.notes;
	nightly->view.rc = pass.rc;
	nightly->view.why = pass.why;
	nightly->view.ended_ns = clock_utc_ns();
	nightly->next_ns = next_of(nightly);
	(void)pthread_cond_broadcast(&nightly->moved);
	(void)pthread_mutex_unlock(&nightly->mutex);
}

static void wait_until(struct nightly *nightly, int64_t wait_ns)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	int64_t sum = until.tv_nsec + wait_ns % NS_PER_S;
	until.tv_sec += (time_t)(wait_ns / NS_PER_S + sum / NS_PER_S);
	until.tv_nsec = (long)(sum % NS_PER_S);
	(void)pthread_cond_timedwait(&nightly->moved, &nightly->mutex, &until);
}

/* How long until its hour.  It is never more than a day away: where it is, the
 * clock was ahead when the hour was worked out, and was set right since. */
static int64_t left_of(struct nightly *nightly)
{
	int64_t left_ns = nightly->next_ns - clock_utc_ns();

	if (left_ns <= NS_PER_DAY)
		return left_ns;
	nightly->next_ns = next_of(nightly);
	return nightly->next_ns - clock_utc_ns();
}

/* True once a pass is due: asked for, or its hour has come. */
static bool wait_for_work(struct nightly *nightly, int64_t *most_ns)
{
	(void)pthread_mutex_lock(&nightly->mutex);
	while (!nightly->stopping && !nightly->asked) {
		int64_t left_ns = nightly->next_ns == 0 ? LOOK_AGAIN_NS : left_of(nightly);
		if (left_ns <= 0)
			break;
		wait_until(nightly, left_ns < LOOK_AGAIN_NS ? left_ns : LOOK_AGAIN_NS);
	}
	bool work = !nightly->stopping;
	*most_ns = nightly->asked ? nightly->most_ns : nightly->config.most_ns;
	nightly->asked = false;
	if (work) {
		nightly->view.running = true;
		nightly->view.step = NIGHTLY_LABELS;
		nightly->view.state = (struct night_state){ .rule = "" };
		nightly->view.notes = (struct annotate_report){ .end = ANNOTATE_STOPPED };
	}
	(void)pthread_mutex_unlock(&nightly->mutex);
	return work;
}

static void *nightly_main(void *arg)
{
	struct nightly *nightly = arg;
	int64_t most_ns;

	process_name_thread("nightly");
	while (wait_for_work(nightly, &most_ns))
		run(nightly, most_ns);
	return NULL;
}

uint64_t nightly_start(struct nightly *nightly, int64_t most_ns)
{
	(void)pthread_mutex_lock(&nightly->mutex);
	if (!nightly->view.running && !nightly->asked) {
		nightly->asked = true;
		nightly->most_ns = most_ns;
		(void)pthread_cond_broadcast(&nightly->moved);
	}
	uint64_t pass = nightly->view.passes + 1;
	(void)pthread_mutex_unlock(&nightly->mutex);
	return pass;
}

void nightly_hold(struct nightly *nightly)
{
	(void)pthread_mutex_lock(&nightly->mutex);
	nightly->holds++;
	while (nightly->working)
		(void)pthread_cond_wait(&nightly->moved, &nightly->mutex);
	(void)pthread_mutex_unlock(&nightly->mutex);
}

void nightly_release(struct nightly *nightly)
{
	(void)pthread_mutex_lock(&nightly->mutex);
	nightly->holds--;
	(void)pthread_cond_broadcast(&nightly->moved);
	(void)pthread_mutex_unlock(&nightly->mutex);
}

void nightly_look(struct nightly *nightly, uint64_t pass, int64_t wait_ns, struct nightly_view *out)
{
	(void)pthread_mutex_lock(&nightly->mutex);
	if (wait_ns > 0 && nightly->view.passes < pass && !nightly->stopping)
		wait_until(nightly, wait_ns);
	*out = nightly->view;
	(void)pthread_mutex_unlock(&nightly->mutex);
}

enum rc nightly_open(const struct nightly_config *config, struct nightly **out, struct errmsg *why)
{
	struct nightly *nightly = calloc(1, sizeof *nightly);
	pthread_condattr_t attr;

	if (nightly == NULL)
		return RC_NOMEM;
	nightly->config = *config;
	nightly->view.annotates = config->ask != NULL;
	nightly->next_ns = next_of(nightly);
	(void)pthread_mutex_init(&nightly->mutex, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&nightly->moved, &attr);
	(void)pthread_condattr_destroy(&attr);
	if (pthread_create(&nightly->thread, NULL, nightly_main, nightly) != 0) {
		(void)pthread_cond_destroy(&nightly->moved);
		(void)pthread_mutex_destroy(&nightly->mutex);
		free(nightly);
		return errmsg_rc(why, RC_NOMEM, "no thread for the night's work");
	}
	*out = nightly;
	return RC_OK;
}

void nightly_close(struct nightly *nightly)
{
	if (nightly == NULL)
		return;
	(void)pthread_mutex_lock(&nightly->mutex);
	nightly->stopping = true;
	(void)pthread_cond_broadcast(&nightly->moved);
	(void)pthread_mutex_unlock(&nightly->mutex);
	(void)pthread_join(nightly->thread, NULL);
	(void)pthread_cond_destroy(&nightly->moved);
	(void)pthread_mutex_destroy(&nightly->mutex);
	free(nightly);
}
