/*
 * The threads of a crew.  One word says which stage it is, how many threads
 * hold a unit of it, and which unit is next; whoever ends the stage moves it
 * on.  The mutexes serve sleepers only.
 */
#include "infer/crew.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "infer/crew_spins.h"
#include "os/process.h"

#define CACHE_LINE 64

/* Word of work: stage, threads that hold a unit, next unit. */
#define HOLDER (UINT64_C(1) << 31)
#define STAGE (UINT64_C(1) << 40)
#define UNIT_MASK (HOLDER - 1)
#define HOLDER_MASK (STAGE - HOLDER)
_Static_assert(CREW_THREADS_MAX < STAGE / HOLDER, "room for all holders");

/* Where threads sleep until a word moves on. */
struct parking {
	_Alignas(CACHE_LINE) _Atomic uint32_t sleepers;
	pthread_mutex_t mutex;
	pthread_cond_t moved;
};

struct member {
	struct crew *crew;
	unsigned index;
	pthread_t thread;
};

struct crew {
	_Alignas(CACHE_LINE) _Atomic uint64_t work;
	_Alignas(CACHE_LINE) _Atomic unsigned arrived;
	_Alignas(CACHE_LINE) _Atomic uint64_t started; /* STAGE times the runs */
	struct parking work_parking, start_parking;
	unsigned n, running; /* running: threads that pthread_create made */
	bool stop;
	crew_fn *fn;
	void *arg;
	_Atomic uint64_t *pulse;
	struct member members[];
};

/* What a thread knows of its crew; a thread runs in one at a time. */
static _Thread_local struct {
	uint64_t stage; /* bits of the word of work */
	bool holding;
	unsigned spins;
} mine;

static void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static void parking_init(struct parking *at)
{
	atomic_init(&at->sleepers, 0);
	(void)pthread_mutex_init(&at->mutex, NULL);
	(void)pthread_cond_init(&at->moved, NULL);
}

static void parking_fini(struct parking *at)
{
	(void)pthread_mutex_destroy(&at->mutex);
	(void)pthread_cond_destroy(&at->moved);
}

static uint64_t stage_of(uint64_t word)
{
	return word & ~(STAGE - 1);
}

/* Until the word has left `stage`. */
static void parking_wait(struct parking *at, _Atomic uint64_t *word, uint64_t stage)
{
	for (unsigned i = 0; i < mine.spins; i++) {
		if (stage_of(atomic_load_explicit(word, memory_order_acquire)) != stage) {
			mine.spins = crew_spins_more(mine.spins);
			return;
		}
		relax();
	}
	mine.spins = crew_spins_fewer(mine.spins);
	(void)pthread_mutex_lock(&at->mutex);
	atomic_fetch_add(&at->sleepers, 1);
	while (stage_of(atomic_load(word)) == stage)
		(void)pthread_cond_wait(&at->moved, &at->mutex);
	atomic_fetch_sub(&at->sleepers, 1);
	(void)pthread_mutex_unlock(&at->mutex);
}

/* After the word has moved.  A sleeper registers before it looks at the word
 * again, so either it sees the new one or we see the sleeper. */
static void parking_wake(struct parking *at)
{
	if (atomic_load(&at->sleepers) == 0)
		return;
	(void)pthread_mutex_lock(&at->mutex);
	(void)pthread_cond_broadcast(&at->moved);
	(void)pthread_mutex_unlock(&at->mutex);
}

size_t crew_take(struct crew *crew)
{
	uint64_t word;

	if (mine.holding)
		return (size_t)(atomic_fetch_add(&crew->work, 1) & UNIT_MASK);
	word = atomic_load(&crew->work);
	do {
		if (stage_of(word) != mine.stage)
			return CREW_NONE;
	} while (!atomic_compare_exchange_weak(&crew->work, &word, word + HOLDER + 1));
	mine.holding = true;
	return (size_t)(word & UNIT_MASK);
}

static void wait_stage(struct crew *crew)
{
	parking_wait(&crew->work_parking, &crew->work, mine.stage);
	mine.stage += STAGE;
}

void crew_finish(struct crew *crew)
{
	uint64_t word = atomic_load(&crew->work), next;
	bool last;

	if (mine.holding) {
		do {
			last = (word & HOLDER_MASK) == HOLDER;
			next = last ? mine.stage + STAGE : word - HOLDER;
		} while (!atomic_compare_exchange_weak(&crew->work, &word, next));
		mine.holding = false;
		if (last) {
			parking_wake(&crew->work_parking);
			if (crew->pulse != NULL)
				(void)atomic_fetch_add_explicit(
				    crew->pulse, 1, memory_order_relaxed);
		}
	}
	wait_stage(crew);
}

void crew_barrier(struct crew *crew)
{
	if (mine.holding)
		atomic_fetch_sub(&crew->work, HOLDER);
	mine.holding = false;
	if (atomic_fetch_add(&crew->arrived, 1) + 1 == crew->n) {
		atomic_store(&crew->arrived, 0);
		/* not a store: emulators let one pass the look at the sleepers */
		(void)atomic_exchange(&crew->work, mine.stage + STAGE);
		parking_wake(&crew->work_parking);
	}
	wait_stage(crew);
}

static void *member_main(void *arg)
{
	struct member *member = arg;
	struct crew *crew = member->crew;

	process_name_thread("crew");
	mine.spins = CREW_SPINS_MAX;
	for (uint64_t seen = 0;; seen += STAGE) {
		parking_wait(&crew->start_parking, &crew->started, seen);
		if (crew->stop)
			return NULL;
		crew->fn(crew->arg, member->index);
		crew_barrier(crew);
	}
}

static void start(struct crew *crew)
{
	atomic_fetch_add(&crew->started, STAGE);
	parking_wake(&crew->start_parking);
}

void crew_set_pulse(struct crew *crew, _Atomic uint64_t *pulse)
{
	crew->pulse = pulse;
}

void crew_run(struct crew *crew, crew_fn *fn, void *arg)
{
	crew->fn = fn;
	crew->arg = arg;
	mine.stage = stage_of(atomic_load(&crew->work));
	mine.spins = mine.spins == 0 ? CREW_SPINS_MAX : mine.spins;
	start(crew);
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
	parking_init(&crew->work_parking);
	parking_init(&crew->start_parking);
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
	start(crew);
	for (unsigned i = 1; i <= crew->running; i++)
		(void)pthread_join(crew->members[i].thread, NULL);
	parking_fini(&crew->work_parking);
	parking_fini(&crew->start_parking);
	free(crew);
}

size_t crew_bytes(unsigned n)
{
	return sizeof(struct crew) + n * sizeof(struct member);
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
