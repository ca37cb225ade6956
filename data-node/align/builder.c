/* Builder: its thread, its waiters, its life. */
#include "align/builder.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "align/builder_inner.h"
#include "base/clock.h"
#include "base/log.h"
#include "os/process.h"

#define PAUSE_NS NS_PER_S /* between passes, unless someone waits */
#define PAUSE_FAILED_NS (30 * NS_PER_S)

static void deadline_after(int64_t ns, struct timespec *out)
{
	(void)clock_gettime(CLOCK_MONOTONIC, out);
	int64_t sum = out->tv_nsec + ns % NS_PER_S;
	out->tv_sec += (time_t)(ns / NS_PER_S + sum / NS_PER_S);
	out->tv_nsec = (long)(sum % NS_PER_S);
}

enum rc builder_new(
    struct store *store, const struct policy *policy, struct builder **out, struct errmsg *why)
{
	struct builder *builder = calloc(1, sizeof *builder);
	pthread_condattr_t mono;

	if (builder == NULL)
		return errmsg_rc(why, RC_NOMEM, "no memory for the builder of slices");
	builder->store = store;
	builder->policy = policy;
	policy_hash(policy, builder->policy_hash);
	lifecycle_init(&builder->state.life);
	home_keep_init(&builder->home);
	episode_build_init(&builder->episodes);
	(void)pthread_condattr_init(&mono);
	(void)pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
	(void)pthread_mutex_init(&builder->lock, NULL);
	(void)pthread_cond_init(&builder->moved, &mono);
	(void)pthread_condattr_destroy(&mono);
	enum rc rc = store_kept_new(&builder->kept);
	if (rc == RC_OK)
		rc = store_derive_key(store, "slice", builder->key);
	if (rc != RC_OK) {
		builder_close(builder);
		return errmsg_rc(why, rc, "no key for the hashes of slices");
	}
	*out = builder;
	return RC_OK;
}

/* False if it cannot go on for now. */
static bool pass_until_done(struct builder *builder)
{
	bool more = true;

	while (more && !atomic_load(&builder->stop_pass)) {
		struct errmsg why = ERRMSG_INIT;
		enum rc rc = builder_pass(builder, &more, &why);
		if (rc == RC_OK)
			continue;
		if (rc != RC_CANCELLED)
			log_warn("SLICES-BUILD", "after_seq=%llu rc=%s",
			    (unsigned long long)builder->state.cursor, rc_word(rc));
		return false;
	}
	return true;
}

static void *builder_main(void *arg)
{
	struct builder *builder = arg;
	struct timespec until;

	process_name_thread("slices");
	(void)pthread_mutex_lock(&builder->lock);
	while (!builder->stopping) {
		builder->wanted = false;
		(void)pthread_mutex_unlock(&builder->lock);
		bool fine = pass_until_done(builder);
		deadline_after(fine ? PAUSE_NS : PAUSE_FAILED_NS, &until);
		(void)pthread_mutex_lock(&builder->lock);
		while (!builder->stopping && !(builder->wanted && fine) &&
		       pthread_cond_timedwait(&builder->moved, &builder->lock, &until) != ETIMEDOUT)
			continue;
	}
	(void)pthread_mutex_unlock(&builder->lock);
	return NULL;
}

enum rc builder_open(
    struct store *store, const struct policy *policy, struct builder **out, struct errmsg *why)
{
	struct builder *builder = NULL;

	enum rc rc = builder_new(store, policy, &builder, why);
	if (rc != RC_OK)
		return rc;
	if (pthread_create(&builder->thread, NULL, builder_main, builder) != 0) {
		builder_close(builder);
		return errmsg_rc(why, RC_NOMEM, "no thread for the builder of slices");
	}
	builder->started = true;
	*out = builder;
	return RC_OK;
}

void builder_close(struct builder *builder)
{
	if (builder == NULL)
		return;
	atomic_store(&builder->stop_pass, true);
	(void)pthread_mutex_lock(&builder->lock);
	builder->stopping = true;
	(void)pthread_cond_broadcast(&builder->moved);
	(void)pthread_mutex_unlock(&builder->lock);
	if (builder->started)
		(void)pthread_join(builder->thread, NULL);
	(void)pthread_cond_destroy(&builder->moved);
	(void)pthread_mutex_destroy(&builder->lock);
	lifecycle_fini(&builder->state.life);
	free(builder->notes);
	store_kept_free(builder->kept);
	free(builder);
}

uint64_t builder_cursor(struct builder *builder)
{
	(void)pthread_mutex_lock(&builder->lock);
	uint64_t cursor = builder->cursor;
	(void)pthread_mutex_unlock(&builder->lock);
	return cursor;
}

bool builder_wait(struct builder *builder, uint64_t seq, int64_t wait_ns)
{
	struct timespec until;
	int waited = 0;

	deadline_after(wait_ns, &until);
	(void)pthread_mutex_lock(&builder->lock);
	while (builder->cursor < seq && !builder->stopping && waited != ETIMEDOUT) {
		if (!builder->wanted) {
			builder->wanted = true;
			(void)pthread_cond_broadcast(&builder->moved);
		}
		waited = pthread_cond_timedwait(&builder->moved, &builder->lock, &until);
	}
	bool there = builder->cursor >= seq;
	(void)pthread_mutex_unlock(&builder->lock);
	return there;
}

void builder_get_stats(struct builder *builder, struct builder_stats *out)
{
	(void)pthread_mutex_lock(&builder->lock);
	*out = builder->stats;
	(void)pthread_mutex_unlock(&builder->lock);
}

/* These two only make reading faster: what goes wrong is tried again with a later
 * pass. */
void builder_keep_home(struct builder *builder)
{
	int64_t start_ns = clock_mono_ns();

	if (builder->state.ended_ns != INT64_MIN) {
		enum rc ignored = home_keep(&builder->home, builder->store, builder->state.ended_ns,
		    builder->policy, &builder->stop_pass, NULL);
		(void)ignored;
	}
	(void)pthread_mutex_lock(&builder->lock);
	builder->stats.home_ns += (uint64_t)(clock_mono_ns() - start_ns);
	(void)pthread_mutex_unlock(&builder->lock);
}

bool builder_keep_episodes(struct builder *builder)
{
	int64_t start_ns = clock_mono_ns();

	enum rc rc = episode_build(&builder->episodes, builder->store, builder->policy,
	    &builder->state, &builder->stop_pass, NULL);
	(void)pthread_mutex_lock(&builder->lock);
	builder->stats.episodes_ns += (uint64_t)(clock_mono_ns() - start_ns);
	(void)pthread_mutex_unlock(&builder->lock);
	return rc == RC_OK && builder->episodes.more;
}
