/*
 * Inside the scheduler: its structs, shared by the scheduler_*.c files only.
 *   scheduler.c          new/free, counts, the round, waiting
 *   scheduler_job.c      registering, cancelling, ending and freeing jobs
 *   scheduler_lease.c    lease messages; sequences changing hands
 *   scheduler_adapter.c  adapters of leases
 *   scheduler_run.c      rows, engine_forward, pacing
 *   scheduler_deliver.c  Started, Tokens, Done, Error on their way out
 *   scheduler_embed.c    texts to vectors
 *   scheduler_swap.c     absent models and those that go for them
 */
#ifndef SERVE_SCHEDULER_IMPL_H
#define SERVE_SCHEDULER_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "infer/crew.h"
#include "serve/adapter_space.h"
#include "serve/lease.h"
#include "serve/pace.h"
#include "serve/scheduler.h"
#include "serve/tally.h"

enum job_state {
	JOB_PREPARING,
	JOB_WAITING,
	JOB_RUNNING,
	JOB_RESTING, /* gave its sequence up because nobody takes its tokens */
	JOB_CLOSING,
};

/* With others waiting, a job that cannot deliver for so long gives its sequence
 * up; what it held is computed again once its tokens are taken. */
#define REST_NS (2 * NS_PER_S)

struct job {
	/* Fixed at registration. */
	wire_peer peer;
	uint64_t request_id;
	uint8_t key[WIRE_KEY_BYTES];
	bool has_lease;
	uint8_t lease_id[WIRE_LEASE_BYTES];
	const struct served_model *model;
	int64_t arrival_ns;
	int64_t deadline_ns; /* until Started; 0: none */
	uint64_t number;     /* order of arrival */

	/* Set by any thread. */
	atomic_bool cancelled, gone;
	atomic_uint_fast64_t credit;

	enum job_state state;  /* under the lock */
	struct lease *adapted; /* whose adapter it is computed with; set under the lock */

	/* The desk's, then the scheduler thread's. */
	struct generation gen;
	struct sequence *seq; /* while RUNNING */
	uint32_t fed;         /* tokens of gen.ids in the sequence */
	uint32_t cached_tokens;
	bool started, started_sent;
	bool blocked; /* the peer's queue was full */
	bool failed;
	struct fault fault; /* if failed */
	int64_t started_ns, prompt_done_ns, finished_ns, progress_ns;
};

/* Invariant S3; all fields belong to the scheduler's thread. */
struct sequence {
	struct job *job;
	struct lease *lease; /* whose KV it holds, or NULL */
	int32_t *ids;        /* [n_ctx]: what it holds */
	uint32_t len;
	uint64_t adapter; /* number of the one it was computed with; 0: none */
};

/* Texts on their way to vectors. */
struct embed_job {
	wire_peer peer;
	uint64_t request_id;
	uint8_t key[WIRE_KEY_BYTES];
	const struct served_model *model;
	int64_t arrival_ns, deadline_ns; /* deadline 0: none */
	struct tokens ids;               /* of all texts */
	struct embed_text *texts;
	float *vectors; /* [n][n_embd] */
	size_t n, done, in_turn;
	uint32_t n_embd;
	uint64_t turn;        /* under the lock: the lowest is next */
	bool cancelled, gone; /* under the lock */
};

/* A row of logits on its way to a token. */
struct sampling {
	struct job *job;
	float *logits;                             /* [n_vocab] */
	const struct backend_shortlist *shortlist; /* NULL: the logits stand there */
	bool over;
};

/* A model that could not come is not tried again for so long: each try costs those that
 * run their turn, and what the models beside it had in their caches. */
#define MODEL_RETRY_NS (10 * NS_PER_S)

/* One engine and its sequences; of an absent model nothing but the first three. */
struct lane {
	struct served_model *model;
	int64_t used_ns;   /* something of it was computed last */
	int64_t failed_ns; /* it could not come; 0: it could, or was not asked for */
	bool present;      /* as model->present, and all below is there */
	bool leaving;      /* nothing new begins: it goes when what runs is over */
	uint8_t *memory;   /* that the arrays stand in */
	size_t memory_bytes;
	bool fresh;                 /* came for what waits, and nothing of that has begun yet */
	struct sequence *seqs;      /* [n_seq] */
	struct engine_row *rows;    /* [n_ubatch] */
	float *logits;              /* [n_seq][n_vocab]; with a backend the engine's */
	struct sampling *samplings; /* [n_seq] of this round */
	size_t n_samplings;
	struct crew *crew; /* that samples; the engine's, but for `own_crew` */
	bool own_crew;
	unsigned n_samplers;                /* threads of it that do */
	struct generation_scratch *scratch; /* [n_samplers] */
	struct embed *embed;                /* NULL: the model does not embed */
	struct embed_job *embedding;        /* begun; NULL: none */
	uint32_t turn;                      /* who comes first, for fairness */
	struct pace pace;
};

struct scheduler {
	struct scheduler_config config;
	struct lane *lanes; /* [fleet->n] */

	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool signalled;
	struct job *jobs[SCHEDULER_JOBS_MAX]; /* all there are; NULL: free place */
	size_t queued;                        /* PREPARING and WAITING */
	uint64_t next_number;
	struct lease_table leases;
	struct adapter_space adapters;
	uint64_t next_adapter;
	struct embed_job *embeds[SCHEDULER_EMBEDS_MAX]; /* NULL: free place */
	uint64_t next_turn;

	/* The scheduler's thread only. */
	struct job *live[SCHEDULER_JOBS_MAX]; /* RUNNING and CLOSING */
	size_t live_len;
	bool any_blocked;
	struct lane *wanted; /* absent, and on its way in; NULL: none */

	struct tally tally;
	atomic_uint active;
	/* Tokens a second, over windows of RATE_WINDOW_NS; under the lock. */
	int64_t rate_from_ns;
	uint64_t rate_tokens;
	double rate;
};

/* scheduler_job.c */
void job_free(struct job *job);
/* Under the lock: out of the list of all jobs. */
void scheduler_forget(struct scheduler *sched, struct job *job);
/* Under the lock: from waiting to closing with a fault, or just gone. */
void scheduler_sort_out(struct scheduler *sched, int64_t now_ns);
/* Under the lock: who is next for `lane`; NULL: nobody. */
struct job *scheduler_next(struct scheduler *sched, const struct lane *lane);
void job_fail(struct job *job, enum wire_error code, const char *text);
/* Waits for a sequence: for its first one, or to go on. */
bool job_wants_seat(const struct job *job);
/* Under the lock: a waiting job leaves the queue to be delivered as it is. */
void job_to_closing(struct scheduler *sched, struct job *job);

/* scheduler_lease.c */
/* A sequence for a job: its lease's, a free one, or the idle one used longest
 * ago; NULL: all are running.  Under the lock. */
struct sequence *scheduler_seat(struct scheduler *sched, struct lane *lane, struct job *job);
/* The running job nobody has taken a token from for longest, if for REST_NS. */
struct job *scheduler_resting(struct scheduler *sched, const struct lane *lane, int64_t now_ns);
/* Make the sequence hold the common prefix and nothing else. */
void sequence_begin(struct lane *lane, struct sequence *seq, struct job *job);
/* The job leaves it: kept for the lease, or wiped. */
void sequence_end(struct scheduler *sched, struct lane *lane, struct sequence *seq, bool keep);
void sequence_wipe(struct lane *lane, struct sequence *seq);
/* Wipe what closing leases held, answer, release.  True if there was one. */
bool scheduler_release_leases(struct scheduler *sched);

/* scheduler_adapter.c */
/* Under the lock, before the job's first sequence: it is computed with the lease's
 * adapter, if it has one; and no longer. */
void scheduler_adapter_use(struct job *job, struct lease *lease);
void scheduler_adapter_leave(struct job *job);
/* Wipe a closing lease's adapter; false: what uses it has to end first. */
bool scheduler_adapter_release(struct scheduler *sched, struct lease *lease);

/* scheduler_run.c */
bool lane_run(struct scheduler *sched, struct lane *lane);
/* A device that failed once fails from then on, and only another process can have it
 * whole: this one ends.  Nothing is said to anybody: peers see the connection end, and
 * what was under way goes on with the next worker (I10). */
void lane_end_if_lost(const struct lane *lane, enum rc rc, const struct errmsg *why);
struct lane *scheduler_lane(struct scheduler *sched, const struct served_model *model);

/* scheduler_deliver.c */
/* Send what can be sent; true if anything was.  Ended jobs leave `live`. */
bool scheduler_deliver(struct scheduler *sched, int64_t now_ns);

/* scheduler_embed.c */
/* One pass, if this lane embeds and something waits. */
bool lane_embed(struct scheduler *sched, struct lane *lane);
/* Under the lock: mark a peer's requests, or the one. */
void scheduler_flag_embeds(
    struct scheduler *sched, wire_peer peer, const uint64_t *request_id, bool gone);
void embed_job_free(struct embed_job *job);

/* Out of the table, with its answer; RC_OK: the vectors. */
void embed_job_end(
    struct scheduler *sched, struct embed_job *job, enum rc rc, const struct errmsg *why);

/* scheduler_swap.c */
/* Bring the model that was waited for longest in, if there is one; true if something
 * was done.  What was to go stays until its answers are over. */
bool scheduler_swap(struct scheduler *sched, int64_t now_ns);

/* scheduler.c */
enum rc lane_init(struct lane *lane, struct served_model *model) RC_CHECK;
void lane_fini(struct lane *lane); /* as of an absent model */
/* Somebody waits and all sequences run: one that rests makes room. */
bool scheduler_make_room(struct scheduler *sched, struct lane *lane, int64_t now_ns);
#define SHORT_TEXT "the host is short of memory: try again later"
bool scheduler_short(const struct scheduler *sched);
void scheduler_rate_add(struct scheduler *sched, uint64_t tokens);

#endif
