/* The desk's queue and thread, and what it makes of each kind of request. */
#include "serve/desk.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "os/process.h"
#include "serve/prompt.h"

/* What vectors may take of a message. */
#define VECTORS_BYTES_MAX (WIRE_MESSAGE_BYTES_MAX - 4096)
#define FLUSH_WAIT_NS (5 * NS_PER_MS) /* while the outbox holds something */

struct request {
	struct request *next;
	wire_peer peer;
	uint64_t id;
	int64_t deadline_ns; /* 0: none */
	struct job *job;     /* with a Generate */
	uint8_t key[WIRE_KEY_BYTES];
	struct buf bytes;
};

struct desk {
	const struct fleet *fleet;
	struct scheduler *sched;
	struct outbox *outbox;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool stopping; /* under the lock */
	bool stopped;  /* the caller's */
	struct request *first, **last;
	size_t n, bytes;
};

static void request_free(struct request *request)
{
	buf_fini(&request->bytes);
	free(request);
}

enum rc desk_submit(struct desk *desk, wire_peer peer, const uint8_t key[WIRE_KEY_BYTES],
    const struct message *message, struct job *job)
{
	struct request *request = calloc(1, sizeof(*request));

	if (request == NULL)
		return RC_NOMEM;
	buf_init(&request->bytes, WIRE_MESSAGE_BYTES_MAX);
	enum rc rc = message_encode(message, &request->bytes, NULL);
	if (rc != RC_OK) {
		request_free(request);
		return rc;
	}
	request->peer = peer;
	request->id = message->request_id;
	request->job = job;
	memcpy(request->key, key, WIRE_KEY_BYTES);
	if (message->ttl_ms != 0)
		request->deadline_ns = clock_mono_ns() + (int64_t)message->ttl_ms * NS_PER_MS;
	(void)pthread_mutex_lock(&desk->lock);
	if (desk->n == DESK_REQUESTS_MAX || request->bytes.len > DESK_BYTES_MAX - desk->bytes) {
		rc = RC_AGAIN;
	} else {
		*desk->last = request;
		desk->last = &request->next;
		desk->n++;
		desk->bytes += request->bytes.len;
		(void)pthread_cond_signal(&desk->cond);
	}
	(void)pthread_mutex_unlock(&desk->lock);
	if (rc != RC_OK)
		request_free(request);
	return rc;
}

static void refuse(struct desk *desk, const struct request *request, const struct fault *fault)
{
	struct message error;

	fault_message(fault, request->id, &error);
	outbox_send(desk->outbox, request->peer, &error);
}

static void refuse_rc(
    struct desk *desk, const struct request *request, enum rc rc, const struct errmsg *why)
{
	struct fault fault;

	scheduler_count_refused(desk->sched, request->key);
	fault_from_rc(&fault, rc, why);
	refuse(desk, request, &fault);
}

static enum rc build(struct job *job, const struct message *message, struct fault *fault)
{
	const struct served_model *model = scheduler_model(job);
	const struct prompt_model prompts = { .tokenizer = model->tokenizer,
		.template = model->template,
		.n_vocab = model->info->n_vocab,
		.n_ctx = model->config.n_ctx };
	struct tokens prompt = { .len = 0 };
	struct errmsg why = ERRMSG_INIT;
	const char *template_name = NULL;
	uint64_t needed = 0;

	enum rc rc =
	    prompt_build(&prompts, &message->u.generate, &prompt, &template_name, &needed, &why);
	if (rc != RC_OK) {
		fault_from_rc(fault, rc, &why);
		if (rc == RC_CONTEXT) {
			fault->context = prompts.n_ctx;
			fault->needed = needed;
		}
	} else {
		rc = generation_init(scheduler_generation(job), model, &message->u.generate,
		    &prompt, template_name, fault);
	}
	tokens_free(&prompt);
	return rc;
}

static void do_generate(
    struct desk *desk, const struct request *request, const struct message *message)
{
	struct fault fault;

	/* An unwanted job goes on as it is: the scheduler ends it. */
	if (!scheduler_unwanted(request->job) && build(request->job, message, &fault) != RC_OK) {
		scheduler_abandon(desk->sched, request->job);
		refuse(desk, request, &fault);
		return;
	}
	scheduler_ready(desk->sched, request->job);
}

static enum rc check_tokenizer(
    const struct served_model *model, const struct tokenizer **out, struct errmsg *why)
{
	if (model == NULL)
		return errmsg_rc(why, RC_NOTFOUND, "no such model here");
	if (model->tokenizer == NULL)
		return errmsg_rc(why, RC_UNSUPPORTED, "this model has no vocabulary");
	*out = model->tokenizer;
	return RC_OK;
}

static void do_tokenize(struct desk *desk, const struct request *request,
    const struct message *message, struct arena *arena)
{
	const struct wire_tokenize *ask = &message->u.tokenize;
	const struct tokenizer *tokenizer = NULL;
	struct tokens tokens = { .len = 0 };
	struct errmsg why = ERRMSG_INIT;
	uint32_t *counts = NULL;

	enum rc rc = check_tokenizer(fleet_find(desk->fleet, ask->model), &tokenizer, &why);
	if (rc == RC_OK) {
		counts = arena_array(arena, ask->parts_len, sizeof(counts[0]));
		rc = counts == NULL ? RC_NOMEM
				    : prompt_tokenize(tokenizer, ask->parts, ask->parts_len,
					  ask->add_bos, &tokens, counts, &why);
	}
	if (rc == RC_OK && !ask->count_only && tokens.len > WIRE_IDS_MAX)
		rc = errmsg_rc(&why, RC_LIMIT, "more than %zu token ids", WIRE_IDS_MAX);
	if (rc == RC_OK) {
		struct message answer = { .request_id = request->id, .kind = MESSAGE_TOKEN_IDS };

		answer.u.token_ids = (struct wire_token_ids){ .part_counts = counts,
			.part_counts_len = ask->parts_len };
		if (!ask->count_only) {
			answer.u.token_ids.ids = (const uint32_t *)tokens.ids;
			answer.u.token_ids.ids_len = tokens.len;
		}
		outbox_send(desk->outbox, request->peer, &answer);
	} else {
		refuse_rc(desk, request, rc, &why);
	}
	tokens_free(&tokens);
}

static void do_plan(struct desk *desk, const struct request *request, const struct message *message)
{
	struct message answer = { .request_id = request->id, .kind = MESSAGE_PLAN };
	struct errmsg why = ERRMSG_INIT;

	enum rc rc = fleet_answer_plan(desk->fleet, &message->u.plan_request, &answer.u.plan, &why);
	if (rc == RC_OK)
		outbox_send(desk->outbox, request->peer, &answer);
	else
		refuse_rc(desk, request, rc, &why);
}

static void do_adapter(
    struct desk *desk, const struct request *request, const struct message *message)
{
	struct message answer = {
		.request_id = request->id, .has_lease = true, .kind = MESSAGE_ADAPTER_STATE
	};
	struct errmsg why = ERRMSG_INIT;

	memcpy(answer.lease_id, message->lease_id, WIRE_LEASE_BYTES);
	enum rc rc =
	    scheduler_adapter(desk->sched, request->key, message, &answer.u.adapter_state, &why);
	if (rc == RC_OK)
		outbox_send(desk->outbox, request->peer, &answer);
	else
		refuse_rc(desk, request, rc, &why);
}

/* Answer with the code that `rc` stands for, and the numbers of a CONTEXT. */
static void refuse_text(struct desk *desk, const struct request *request, enum rc rc,
    const struct errmsg *why, size_t n_tokens, uint32_t n_ctx)
{
	struct fault fault;

	scheduler_count_refused(desk->sched, request->key);
	fault_from_rc(&fault, rc, why);
	if (rc == RC_CONTEXT) {
		fault.context = n_ctx;
		fault.needed = n_tokens;
	}
	refuse(desk, request, &fault);
}

static enum rc check_embed(const struct served_model *model, const struct wire_embed *ask,
    const struct tokenizer **tokenizer, struct errmsg *why)
{
	enum rc rc;

	if (model != NULL && !model->info->pools)
		return errmsg_rc(why, RC_UNSUPPORTED, "this model does not embed");
	rc = check_tokenizer(model, tokenizer, why);
	if (rc != RC_OK)
		return rc;
	if (ask->texts_len == 0)
		return errmsg_rc(why, RC_INVALID, "texts: none");
	if (ask->texts_len > VECTORS_BYTES_MAX / sizeof(float) / model->info->n_embd)
		return errmsg_rc(why, RC_LIMIT,
		    "texts: %zu vectors of %u numbers do not fit an answer", ask->texts_len,
		    model->info->n_embd);
	return RC_OK;
}

/* All texts one behind another; `n_last` is how long the last one is. */
static enum rc tokenize_texts(const struct served_model *model, const struct wire_embed *ask,
    struct tokens *ids, size_t *ends, size_t *n_last, struct errmsg *why)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < ask->texts_len; i++) {
		size_t before = ids->len;

		rc = embed_tokenize(
		    model->tokenizer, ask->texts[i], strlen(ask->texts[i]), ids, why);
		*n_last = ids->len - before;
		ends[i] = ids->len;
		if (rc == RC_OK)
			rc = embed_check(model->config.n_ctx, *n_last, why);
	}
	return rc;
}

static void do_embed(struct desk *desk, const struct request *request,
    const struct message *message, struct arena *arena)
{
	const struct wire_embed *ask = &message->u.embed;
	const struct served_model *model = fleet_find(desk->fleet, ask->model);
	const struct tokenizer *tokenizer = NULL;
	struct tokens ids = { .len = 0 };
	struct errmsg why = ERRMSG_INIT;
	size_t n_last = 0, *ends = NULL;

	enum rc rc = check_embed(model, ask, &tokenizer, &why);
	if (rc == RC_OK) {
		ends = arena_array(arena, ask->texts_len, sizeof(ends[0]));
		rc =
		    ends == NULL ? RC_NOMEM : tokenize_texts(model, ask, &ids, ends, &n_last, &why);
	}
	if (rc == RC_OK) {
		const struct embed_request embed = { .peer = request->peer,
			.key = request->key,
			.request_id = request->id,
			.deadline_ns = request->deadline_ns,
			.model = model,
			.ids = &ids,
			.ends = ends,
			.n = ask->texts_len };

		rc = scheduler_embed(desk->sched, &embed, &why);
	}
	if (rc != RC_OK)
		refuse_text(
		    desk, request, rc, &why, n_last, model != NULL ? model->config.n_ctx : 0);
	tokens_free(&ids);
}

static void handle_decoded(struct desk *desk, const struct request *request,
    const struct message *message, struct arena *arena)
{
	const struct errmsg late = { "waited past ttl_ms" };

	if (message->kind == MESSAGE_GENERATE)
		do_generate(desk, request, message);
	else if (request->deadline_ns != 0 && clock_mono_ns() >= request->deadline_ns)
		refuse_rc(desk, request, RC_TIMEOUT, &late);
	else if (message->kind == MESSAGE_TOKENIZE)
		do_tokenize(desk, request, message, arena);
	else if (message->kind == MESSAGE_PLAN_REQUEST)
		do_plan(desk, request, message);
	else if (message->kind == MESSAGE_ADAPTER_PUT)
		do_adapter(desk, request, message);
	else
		do_embed(desk, request, message, arena);
}

static void handle(struct desk *desk, const struct request *request)
{
	struct errmsg why = ERRMSG_INIT;
	struct message message;
	struct arena arena;

	arena_init(&arena, WIRE_ARENA_BYTES_MAX);
	/* It was decoded once already: only memory can be short. */
	enum rc rc =
	    message_decode(request->bytes.bytes, request->bytes.len, &arena, &message, &why);
	if (rc == RC_OK) {
		handle_decoded(desk, request, &message, &arena);
	} else {
		if (request->job != NULL)
			scheduler_abandon(desk->sched, request->job);
		refuse_rc(desk, request, rc, &why);
	}
	arena_fini(&arena);
}

/* Under the lock. */
static struct request *take(struct desk *desk)
{
	struct request *request = desk->first;

	if (request == NULL)
		return NULL;
	desk->first = request->next;
	if (desk->first == NULL)
		desk->last = &desk->first;
	desk->n--;
	desk->bytes -= request->bytes.len;
	return request;
}

/* Under the lock: until a request comes, or the outbox is worth another try. */
static void pause_for(struct desk *desk, bool kept)
{
	struct timespec until;

	if (!kept) {
		(void)pthread_cond_wait(&desk->cond, &desk->lock);
		return;
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	int64_t ns = until.tv_nsec + FLUSH_WAIT_NS;
	until.tv_sec += (time_t)(ns / NS_PER_S);
	until.tv_nsec = (long)(ns % NS_PER_S);
	(void)pthread_cond_timedwait(&desk->cond, &desk->lock, &until);
}

static void *run(void *arg)
{
	struct desk *desk = arg;

	process_name_thread("desk");
	(void)pthread_mutex_lock(&desk->lock);
	while (!desk->stopping) {
		struct request *request = take(desk);

		(void)pthread_mutex_unlock(&desk->lock);
		if (request != NULL) {
			handle(desk, request);
			request_free(request);
		}
		bool kept = outbox_flush(desk->outbox);
		(void)pthread_mutex_lock(&desk->lock);
		if (desk->first == NULL && !desk->stopping)
			pause_for(desk, kept);
	}
	(void)pthread_mutex_unlock(&desk->lock);
	return NULL;
}

static enum rc init_lock(struct desk *desk)
{
	pthread_condattr_t attr;

	if (pthread_condattr_init(&attr) != 0)
		return RC_NOMEM;
	int failed = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) != 0 ||
		     pthread_cond_init(&desk->cond, &attr) != 0;
	(void)pthread_condattr_destroy(&attr);
	return failed || pthread_mutex_init(&desk->lock, NULL) != 0 ? RC_NOMEM : RC_OK;
}

enum rc desk_open(const struct fleet *fleet, struct scheduler *sched, struct outbox *outbox,
    struct desk **out, struct errmsg *why)
{
	struct desk *desk = calloc(1, sizeof(*desk));

	if (desk == NULL || init_lock(desk) != RC_OK) {
		free(desk);
		return errmsg_rc(why, RC_NOMEM, "no memory for the desk");
	}
	desk->fleet = fleet;
	desk->sched = sched;
	desk->outbox = outbox;
	desk->last = &desk->first;
	if (pthread_create(&desk->thread, NULL, run, desk) != 0) {
		(void)pthread_cond_destroy(&desk->cond);
		(void)pthread_mutex_destroy(&desk->lock);
		free(desk);
		return errmsg_rc(why, RC_NOMEM, "cannot start the desk's thread");
	}
	*out = desk;
	return RC_OK;
}

void desk_wake(struct desk *desk)
{
	(void)pthread_mutex_lock(&desk->lock);
	(void)pthread_cond_signal(&desk->cond);
	(void)pthread_mutex_unlock(&desk->lock);
}

void desk_stop(struct desk *desk)
{
	if (desk == NULL || desk->stopped)
		return;
	(void)pthread_mutex_lock(&desk->lock);
	desk->stopping = true;
	(void)pthread_cond_signal(&desk->cond);
	(void)pthread_mutex_unlock(&desk->lock);
	(void)pthread_join(desk->thread, NULL);
	desk->stopped = true;
}

void desk_close(struct desk *desk)
{
	if (desk == NULL)
		return;
	desk_stop(desk);
	for (struct request *request; (request = take(desk)) != NULL;)
		request_free(request);
	(void)pthread_cond_destroy(&desk->cond);
	(void)pthread_mutex_destroy(&desk->lock);
	free(desk);
}
