/* Job: a thread that works, and the stream that reads from it. */
#include "gateway/job.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "gateway/station.h"
#include "os/process.h"

#define RESULT_BYTES_MAX ((size_t)8 << 20)
#define LOOK_NS (250 * NS_PER_MS) /* between two looks at the work */
#define LINE_BYTES 80

struct job {
	struct station *station;
	job_fn *work;
	void *ctx;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	uint64_t done, total; /* [lock] */
	bool over, cancelled; /* [lock] */
	struct buf result;    /* the thread's until over */
	size_t sent;          /* of the result */
};

static void put_error(struct job *job, enum rc rc, const struct errmsg *why)
{
	const char *text = errmsg_text(why, rc);

	buf_reset(&job->result);
	buf_puts(&job->result, "{\"error\":{\"message\":");
	buf_json_string(&job->result, text, strlen(text));
	buf_printf(&job->result, ",\"code\":\"%s\"}}\n", rc_word(rc));
}

static void *job_main(void *arg)
{
	struct errmsg why = ERRMSG_INIT;
	struct job *job = arg;

	process_name_thread("job");
	enum rc rc = job->work(job, job->ctx, &job->result, &why);
	if (rc == RC_OK)
		rc = buf_rc(&job->result);
	if (rc != RC_OK)
		put_error(job, rc, &why);
	(void)pthread_mutex_lock(&job->lock);
	job->over = true;
	(void)pthread_cond_broadcast(&job->ended);
	(void)pthread_mutex_unlock(&job->lock);
	return NULL;
}

bool job_progress(void *arg, uint64_t done, uint64_t total)
{
	struct job *job = arg;

	(void)pthread_mutex_lock(&job->lock);
	job->done = done;
	job->total = total;
	bool go_on = !job->cancelled && !station_stopping(job->station);
	(void)pthread_mutex_unlock(&job->lock);
	return go_on;
}

struct station *job_station(struct job *job)
{
	return job->station;
}

/* ---- the stream --------------------------------------------------------------------- */

/* Under the lock: wait a moment for the end. */
static void wait_a_moment(struct job *job)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += LOOK_NS;
	if (until.tv_nsec >= NS_PER_S) {
		until.tv_nsec -= NS_PER_S;
		until.tv_sec++;
	}
	while (!job->over && pthread_cond_timedwait(&job->ended, &job->lock, &until) != ETIMEDOUT)
		continue;
}

static long pull(void *ctx, char *out, size_t max)
{
	struct job *job = ctx;
	long n = 0;

	(void)pthread_mutex_lock(&job->lock);
	wait_a_moment(job);
	if (!job->over && max >= LINE_BYTES)
		/* Also without news: a silent connection is taken for dead. */
		n = snprintf(out, max, "{\"done\":%" PRIu64 ",\"total\":%" PRIu64 "}\n", job->done,
		    job->total);
	bool over = job->over;
	(void)pthread_mutex_unlock(&job->lock);
	if (!over)
		return n;
	size_t left = job->result.len - job->sent;
	if (left == 0)
		return API_PULL_END;
	if (left > max)
		left = max;
	memcpy(out, job->result.bytes + job->sent, left);
	job->sent += left;
	return (long)left;
}

static void job_free(struct job *job)
{
	(void)pthread_cond_destroy(&job->ended);
	(void)pthread_mutex_destroy(&job->lock);
	buf_fini(&job->result);
	free(job->ctx);
	free(job);
}

static void pull_free(void *ctx)
{
	struct job *job = ctx;

	(void)pthread_mutex_lock(&job->lock);
	job->cancelled = true;
	(void)pthread_mutex_unlock(&job->lock);
	(void)pthread_join(job->thread, NULL);
	job_free(job);
}

void job_start(struct station *station, struct api_response *response, job_fn *work, void *ctx_take)
{
	struct job *job = calloc(1, sizeof(*job));
	pthread_condattr_t mono;

	if (job == NULL) {
		free(ctx_take);
		api_error_rc(response, RC_NOMEM, NULL, NULL);
		return;
	}
	job->station = station;
	job->work = work;
	job->ctx = ctx_take;
	buf_init(&job->result, RESULT_BYTES_MAX);
	(void)pthread_mutex_init(&job->lock, NULL);
	(void)pthread_condattr_init(&mono);
	(void)pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&job->ended, &mono);
	(void)pthread_condattr_destroy(&mono);
	if (pthread_create(&job->thread, NULL, job_main, job) != 0) {
		job_free(job);
		api_error_rc(response, RC_NOMEM, NULL, NULL);
		return;
	}
	response->content_type = "application/x-ndjson";
	response->pull = pull;
	response->pull_ctx = job;
	response->pull_free = pull_free;
}
