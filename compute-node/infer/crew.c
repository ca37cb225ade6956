/*
 * The threads of a crew.  `generation` counts barriers and starts; whoever
 * arrives last moves it on.  The mutex serves sleepers only.
 */
#include "infer/crew.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "os/process.h"

#define SPINS 4000 /* about 50 µs */
#define CACHE_LINE 64

/* A counter that others wait on. */
struct gate {
	_Alignas(CACHE_LINE) _Atomic uint32_t value;
	_Atomic uint32_t sleepers;
	pthread_mutex_t mutex;
	pthread_cond_t moved;
};

struct member {
	struct crew *crew;
	unsigned index;
	pthread_t thread;
};

struct crew {
	_Alignas(CACHE_LINE) _Atomic size_t next; /* unit of the stage */
	_Alignas(CACHE_LINE) _Atomic unsigned arrived;
	struct gate barrier, start;
	unsigned n, running; /* running: threads that pthread_create made */
	bool stop;
	crew_fn *fn;
	void *arg;
	struct member members[];
};

static void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static void gate_init(struct gate *gate)
{
	atomic_init(&gate->value, 0);
	atomic_init(&gate->sleepers, 0);
	(void)pthread_mutex_init(&gate->mutex, NULL);
	(void)pthread_cond_init(&gate->moved, NULL);
}

static void gate_fini(struct gate *gate)
{
	(void)pthread_mutex_destroy(&gate->mutex);
	(void)pthread_cond_destroy(&gate->moved);
}

static void gate_wait(struct gate *gate, uint32_t old)
{
	for (int i = 0; i < SPINS; i++) {
		if (atomic_load_explicit(&gate->value, memory_order_acquire) != old)
			return;
		relax();
	}
	(void)pthread_mutex_lock(&gate->mutex);
	atomic_fetch_add(&gate->sleepers, 1);
	while (atomic_load(&gate->value) == old)
		(void)pthread_cond_wait(&gate->moved, &gate->mutex);
	atomic_fetch_sub(&gate->sleepers, 1);
	(void)pthread_mutex_unlock(&gate->mutex);
}

static void gate_move(struct gate *gate)
{
	atomic_fetch_add(&gate->value, 1);
	/* A sleeper registers before it looks at the value again, so either it
	 * sees the new one or we see the sleeper. */
	if (atomic_load(&gate->sleepers) == 0)
		return;
	(void)pthread_mutex_lock(&gate->mutex);
	(void)pthread_cond_broadcast(&gate->moved);
	(void)pthread_mutex_unlock(&gate->mutex);
}

void crew_barrier(struct crew *crew)
{
	uint32_t old = atomic_load(&crew->barrier.value);

	if (atomic_fetch_add(&crew->arrived, 1) + 1 < crew->n) {
		gate_wait(&crew->barrier, old);
		return;
	}
	atomic_store(&crew->arrived, 0);
	atomic_store(&crew->next, 0);
	gate_move(&crew->barrier);
}

size_t crew_take(struct crew *crew)
{
	return atomic_fetch_add_explicit(&crew->next, 1, memory_order_relaxed);
}

static void *member_main(void *arg)
{
	struct member *member = arg;
	struct crew *crew = member->crew;

	process_name_thread("crew");
	for (uint32_t seen = 0;; seen++) {
		gate_wait(&crew->start, seen);
		if (crew->stop)
			return NULL;
		crew->fn(crew->arg, member->index);
		crew_barrier(crew);
	}
}

void crew_run(struct crew *crew, crew_fn *fn, void *arg)
{
	crew->fn = fn;
	crew->arg = arg;
	atomic_store(&crew->next, 0);
	gate_move(&crew->start);
	fn(arg, 0);
	crew_barrier(crew);
}

enum rc crew_new(unsigned n, struct crew **out, struct errmsg *why)
{
	struct crew *crew;

	if (n == 0 || n > CREW_THREADS_MAX)
		return errmsg_rc(why, RC_LIMIT, "threads: %u (1 to %u)", n, CREW_THREADS_MAX);
	crew = aligned_alloc(
	    CACHE_LINE, (sizeof(*crew) + n * sizeof(crew->members[0]) + CACHE_LINE - 1) /
			    CACHE_LINE * CACHE_LINE);
	if (crew == NULL)
		return RC_NOMEM;
	*crew = (struct crew){ .n = n };
	gate_init(&crew->barrier);
	gate_init(&crew->start);
	for (unsigned i = 1; i < n; i++) {
		crew->members[i] = (struct member){ .crew = crew, .index = i };
		if (pthread_create(
			&crew->members[i].thread, NULL, member_main, &crew->members[i]) != 0) {
			crew_free(crew);
			return errmsg_rc(why, RC_NOMEM, "cannot start thread %u of %u", i, n);
		}
		crew->running++;
	}
	*out = crew;
	return RC_OK;
}

void crew_free(struct crew *crew)
{
	if (crew == NULL)
		return;
	crew->stop = true;
	gate_move(&crew->start);
	for (unsigned i = 1; i <= crew->running; i++)
		(void)pthread_join(crew->members[i].thread, NULL);
	gate_fini(&crew->barrier);
	gate_fini(&crew->start);
	free(crew);
}

unsigned crew_size(const struct crew *crew)
{
	return crew->n;
}

unsigned crew_cores(void)
{
	cpu_set_t set;
	int n = 0;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = CPU_COUNT(&set);
	if (n <= 0)
		n = (int)sysconf(_SC_NPROCESSORS_ONLN);
	if (n <= 0)
		n = 1;
	return n > (int)CREW_THREADS_MAX ? CREW_THREADS_MAX : (unsigned)n;
}
