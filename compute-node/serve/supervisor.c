/* The loop: look, act, wait for the next tenth of a second or an event. */
#include "serve/supervisor.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "os/notify.h"
#include "os/process.h"
#include "serve/supervisor_worker.h"

#define TICK_NS (100 * NS_PER_MS)
#define LATE_NS NS_PER_S /* we were stopped ourselves: the pulse proves nothing */
#define STOP_NS (10 * NS_PER_S)
#define RESTART_NS_MIN (250 * NS_PER_MS)
#define RESTART_NS_MAX (30 * NS_PER_S) /* of one that never served */
#define RESTART_SERVED_NS_MAX NS_PER_S /* an answer waits for it */
#define STEADY_NS NS_PER_S             /* a life so long is no failure to start */
#define FIRST_TRIES 3u
#define HALVINGS_MAX 5u
#define STATUS_BYTES 256

/* Why the worker was killed by us. */
enum cause { CAUSE_NONE, CAUSE_MEMORY, CAUSE_SILENT, CAUSE_STOP };

struct supervisor {
	const struct supervisor_config *config;
	struct watch *watch;
	struct guard guard;
	bool has_figures;
	uint64_t available_bytes;
	uint64_t oom_kills; /* of the host, when the worker was started */

	struct worker worker; /* pid 0: there is none */
	int64_t start_at_ns;  /* the next one */
	int64_t begun_ns;     /* this one */
	int64_t stop_by_ns;   /* after SIGTERM */
	int64_t pulse_ns;     /* when the pulse moved last */
	uint64_t pulse;
	enum cause cause;
	unsigned short_lives;
	bool announced, ever_ready;

	int64_t last_ns, notified_ns;
	bool over;
	int code;
};

/* ---- what the service manager sees ------------------------------------------------ */

static void tell(struct supervisor *s, const char *more)
{
	char text[STATUS_BYTES];

	(void)snprintf(text, sizeof(text),
	    "%sSTATUS=%s, %" PRIu64 " restarts, memory %s\nWATCHDOG=1", more,
	    s->announced         ? s->watch->address
	    : s->worker.pid != 0 ? "loading"
				 : "waiting",
	    (uint64_t)atomic_load(&s->watch->restarts), guard_word(s->guard.level));
	notify_send(text);
}

static void keep_watchdog_quiet(struct supervisor *s, int64_t now_ns)
{
	int64_t every_ns = notify_watchdog_ns();

	if (every_ns == 0 || now_ns - s->notified_ns < every_ns)
		return;
	s->notified_ns = now_ns;
	notify_send("WATCHDOG=1");
}

/* ---- memory ------------------------------------------------------------------------ */

static void kill_worker(struct supervisor *s, enum cause cause)
{
	if (s->worker.pid == 0 || s->cause != CAUSE_NONE)
		return;
	s->cause = cause;
	(void)kill(s->worker.pid, SIGKILL);
}

static void look_at_memory(struct supervisor *s, int64_t now_ns)
{
	enum guard_level before = s->guard.level;
	struct memory_figures figures;

	if (memory_read(s->config->memory_root, &figures, NULL) != RC_OK)
		return; /* the last verdict stands */
	enum guard_level level = guard_step(&s->guard, &figures, now_ns);
	s->available_bytes = figures.available_bytes;
	atomic_store(&s->watch->short_of_memory, level != GUARD_OK);
	if (level == GUARD_HARD)
		kill_worker(s, CAUSE_MEMORY);
	if (level == before)
		return;
	unsigned long long available = figures.available_bytes;
	if (level == GUARD_OK)
		log_info("SERVE-MEMORY-OK", "available_bytes=%llu", available);
	else
		log_warn("SERVE-MEMORY-SHORT", "available_bytes=%llu floor=%s", available,
		    guard_word(level));
	tell(s, "");
}

/* ---- the worker's life ---------------------------------------------------------------- */

static void start_worker(struct supervisor *s, int64_t now_ns)
{
	struct errmsg why = ERRMSG_INIT;
	int fd = -1;

	s->announced = false;
	s->cause = CAUSE_NONE;
	s->begun_ns = now_ns;
	s->oom_kills = memory_oom_kills(s->config->memory_root);
	enum rc rc = watch_renew(&s->watch, &fd, &why);
	if (rc == RC_OK) {
		rc = worker_start(&s->worker, s->config->argc, s->config->argv, &why);
		(void)close(fd);
	}
	if (rc == RC_OK) {
		s->pulse = 0;
		log_info("SERVE-WORKER", "pid=%ld restarts=%llu halvings=%u", (long)s->worker.pid,
		    (unsigned long long)atomic_load(&s->watch->restarts), s->watch->halvings);
		return;
	}
	log_error("SERVE-WORKER-NONE", "reason=%s", errmsg_text(&why, rc));
	s->start_at_ns = now_ns + RESTART_NS_MAX;
}

static void watch_worker(struct supervisor *s, int64_t now_ns)
{
	uint64_t pulse = atomic_load(&s->watch->pulse);

	if (!s->announced && atomic_load(&s->watch->ready)) {
		s->announced = s->ever_ready = true;
		s->pulse_ns = now_ns;
		tell(s, "READY=1\n");
	}
	if (pulse != s->pulse || now_ns - s->last_ns > LATE_NS) {
		s->pulse = pulse;
		s->pulse_ns = now_ns;
	}
	if (s->announced && s->config->watchdog_ns != 0 && s->cause == CAUSE_NONE &&
	    now_ns - s->pulse_ns > s->config->watchdog_ns)
		kill_worker(s, CAUSE_SILENT);
	if (s->cause == CAUSE_STOP && now_ns > s->stop_by_ns)
		(void)kill(s->worker.pid, SIGKILL);
}

/* The next one after that: at once after a life, later after short ones. */
static int64_t pause_of(struct supervisor *s, int64_t now_ns)
{
	const int64_t most_ns = s->announced ? RESTART_SERVED_NS_MAX : RESTART_NS_MAX;
	int64_t pause_ns = RESTART_NS_MIN;

	if (now_ns - s->begun_ns >= STEADY_NS || s->cause == CAUSE_MEMORY) {
		s->short_lives = 0;
		return 0;
	}
	for (unsigned i = 1; i < s->short_lives && pause_ns < most_ns; i++)
		pause_ns *= 2;
	return s->short_lives++ == 0 ? 0 : pause_ns < most_ns ? pause_ns : most_ns;
}

static bool was_for_memory(const struct supervisor *s, int status)
{
	return s->cause == CAUSE_MEMORY ||
	       (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && s->cause == CAUSE_NONE &&
		   memory_oom_kills(s->config->memory_root) > s->oom_kills) ||
	       (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_PLAN);
}

static const char *reason_of(const struct supervisor *s, int status)
{
	if (was_for_memory(s, status))
		return "memory";
	if (s->cause == CAUSE_SILENT)
		return "silent";
	return WIFSIGNALED(status) ? "signal" : "exit";
}

/* It never served, and says with its exit code that it never will. */
static bool is_hopeless(const struct supervisor *s, int status)
{
	if (s->ever_ready || s->cause == CAUSE_MEMORY)
		return false;
	return WIFEXITED(status) || s->short_lives + 1 >= FIRST_TRIES;
}

static void worker_gone(struct supervisor *s, int64_t now_ns)
{
	int status = worker_reap(&s->worker);

	if (s->cause == CAUSE_STOP || process_stopping()) {
		s->over = true;
		s->code = EXIT_DONE;
		return;
	}
	int number = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
	if (is_hopeless(s, status)) {
		s->over = true;
		s->code = WIFEXITED(status) ? number : EXIT_FAILED;
		if (WIFSIGNALED(status))
			log_error("SERVE-WORKER-FAILED", "signal=%d tries=%u", number, FIRST_TRIES);
		return;
	}
	const char *reason = reason_of(s, status);
	if (was_for_memory(s, status)) {
		atomic_fetch_add(&s->watch->memory_kills, 1);
		s->watch->halvings += s->watch->halvings < HALVINGS_MAX;
	}
	if (s->cause == CAUSE_SILENT)
		atomic_fetch_add(&s->watch->watchdog_kills, 1);
	s->start_at_ns = now_ns + pause_of(s, now_ns);
	atomic_fetch_add(&s->watch->restarts, 1);
	s->announced = false;
	log_warn("SERVE-WORKER-GONE", "reason=%s number=%d lived_ms=%lld again_in_ms=%lld", reason,
	    number, (long long)((now_ns - s->begun_ns) / NS_PER_MS),
	    (long long)((s->start_at_ns - now_ns) / NS_PER_MS));
	tell(s, "");
}

static void begin_stop(struct supervisor *s, int64_t now_ns)
{
	if (s->worker.pid == 0) {
		s->over = true;
		s->code = EXIT_DONE;
	} else if (s->cause != CAUSE_STOP) {
		notify_send("STOPPING=1");
		s->cause = CAUSE_STOP;
		s->stop_by_ns = now_ns + STOP_NS;
		(void)kill(s->worker.pid, SIGTERM);
	}
}

/* Until the worker ends, a signal comes, or the next look is due. */
static void pause_until(const struct supervisor *s, int64_t until_ns)
{
	const int64_t left_ns = until_ns - clock_mono_ns();
	const bool stopping = s->cause == CAUSE_STOP;
	struct pollfd fds[2] = { { .fd = stopping ? -1 : process_stop_fd(), .events = POLLIN },
		{ .fd = s->worker.pid != 0 ? s->worker.alive_fd : -1, .events = POLLIN } };

	if (left_ns > 0)
		(void)poll(fds, 2, (int)((left_ns + NS_PER_MS - 1) / NS_PER_MS));
}

static void turn(struct supervisor *s)
{
	const int64_t now_ns = clock_mono_ns();

	look_at_memory(s, now_ns);
	if (process_stopping())
		begin_stop(s, now_ns);
	if (s->worker.pid == 0 && !s->over && now_ns >= s->start_at_ns &&
	    s->guard.level <= (s->ever_ready ? GUARD_OK : GUARD_SOFT))
		start_worker(s, now_ns);
	if (s->worker.pid != 0)
		watch_worker(s, now_ns);
	keep_watchdog_quiet(s, now_ns);
	s->last_ns = now_ns;
	if (!s->over)
		pause_until(s, now_ns + TICK_NS);
	if (s->worker.pid != 0 && worker_ended(&s->worker))
		worker_gone(s, clock_mono_ns());
}

enum rc supervisor_run(const struct supervisor_config *config, int *code, struct errmsg *why)
{
	struct supervisor s = { .config = config, .last_ns = clock_mono_ns() };
	int fd = -1;
	enum rc rc = watch_renew(&s.watch, &fd, why); /* for the figures until a worker has one */

	if (rc != RC_OK)
		return rc;
	(void)close(fd);
	guard_init(&s.guard, &config->guard);
	if (process_lock_memory() != RC_OK)
		log_info("SERVE-UNLOCKED", "the supervisor's memory may be swapped out");
	while (!s.over)
		turn(&s);
	*code = s.code;
	return RC_OK;
}
