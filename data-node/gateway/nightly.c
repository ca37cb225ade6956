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

#include "base/clock.h"
#include "base/log.h"
#include "os/process.h"

#define LOOK_AGAIN_NS (30 * NS_PER_S) /* the wall clock may be set meanwhile */

struct nightly {
	struct nightly_config config;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t moved;
	bool stopping, asked;
	unsigned holds;  /* nightly_hold() */
	bool working;    /* in night_run() */
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

static bool go_on(void *ctx, const struct night_state *state)
{
	struct nightly *nightly = ctx;

	(void)pthread_mutex_lock(&nightly->mutex);
	nightly->view.state = *state;
	bool more = !nightly->stopping && nightly->holds == 0;
	(void)pthread_cond_broadcast(&nightly->moved);
	(void)pthread_mutex_unlock(&nightly->mutex);
	return more;
}

/* As often as it is held. */
static enum rc work(struct nightly *nightly, const struct night_config *config,
    struct night_report *report, struct errmsg *why)
{
	for (;;) {
		(void)pthread_mutex_lock(&nightly->mutex);
		while (nightly->holds > 0 && !nightly->stopping)
			(void)pthread_cond_wait(&nightly->moved, &nightly->mutex);
		nightly->working = true;
		(void)pthread_mutex_unlock(&nightly->mutex);
		enum rc rc = night_run(config, report, why);
		(void)pthread_mutex_lock(&nightly->mutex);
		nightly->working = false;
		bool again =
		    rc == RC_OK && !report->finished && nightly->holds > 0 && !nightly->stopping;
		(void)pthread_cond_broadcast(&nightly->moved);
		(void)pthread_mutex_unlock(&nightly->mutex);
		if (!again)
			return rc;
	}
}

static void run(struct nightly *nightly, int64_t most_ns)
{
	struct night_config config = { .store = nightly->config.store,
		.offset_s = nightly->config.offset_s,
		.offset_ctx = nightly->config.offset_ctx,
		.deadline_mono_ns = most_ns > 0 ? clock_mono_ns() + most_ns : 0,
		.go_on = go_on,
		.go_on_ctx = nightly };
	struct night_report report = { 0 };
	struct errmsg why = ERRMSG_INIT;
	int64_t began_ns = clock_mono_ns();

	enum rc rc = work(nightly, &config, &report, &why);
	if (rc == RC_OK && nightly->config.log)
		log_info("NIGHT-DONE",
		    "days=%" PRIu64 " observations=%" PRIu64 " written=%" PRIu64
		    " withdrawn=%" PRIu64 " finished=%d seconds=%.1f",
		    report.days, report.observations, report.written, report.withdrawn,
		    report.finished, (double)(clock_mono_ns() - began_ns) / (double)NS_PER_S);
	else if (nightly->config.log)
		log_error("NIGHT-FAILED", "rc=%s why=%s", rc_word(rc), errmsg_text(&why, rc));
	(void)pthread_mutex_lock(&nightly->mutex);
	nightly->view.running = false;
	nightly->view.passes++;
	nightly->view.report = report;
	nightly->view.rc = rc;
	nightly->view.why = why;
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
		nightly->view.state = (struct night_state){ .rule = "" };
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
