/* Asker: one question, as often as people come first. */
#include "gateway/asker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "answer/generation.h"
#include "base/clock.h"

#define LIST_BYTES ((size_t)1 << 20)
#define LINK_WAIT_NS NS_PER_S     /* for a first link, where there is none yet */
#define LOOK_NS (100 * NS_PER_MS) /* how often people are looked for */
#define AWAY_NS (20 * NS_PER_S)   /* for a node that was lost in the middle */
#define SEED 1

struct asker {
	struct pool *pool;
	const char *model;
};

enum rc asker_new(struct pool *pool, const char *model, struct asker **out)
{
	struct asker *asker = calloc(1, sizeof *asker);

	if (asker == NULL)
		return RC_NOMEM;
	asker->pool = pool;
	asker->model = model;
	*out = asker;
	return RC_OK;
}

void asker_free(struct asker *asker)
{
	free(asker);
}

/* ---- which ------------------------------------------------------------------------------- */

static const struct pool_model *largest(
    const struct asker *asker, const struct pool_node *nodes, size_t len)
{
	const struct pool_model *best = NULL;

	for (size_t i = 0; i < len; i++) {
		for (size_t k = 0; k < nodes[i].models_len && nodes[i].takes; k++) {
			const struct pool_model *model = &nodes[i].models[k];
			if (!model->chat || !model->constrains ||
			    (asker->model != NULL && strcmp(asker->model, model->name) != 0))
				continue;
			if (best == NULL || model->parameters > best->parameters)
				best = model;
		}
	}
	return best;
}

static enum rc which(void *ctx, struct ask_model *out)
{
	struct asker *asker = ctx;
	struct pool_node *nodes = NULL;
	const struct pool_model *model = NULL;
	size_t len = 0;
	struct arena arena;

	arena_init(&arena, LIST_BYTES);
	enum rc rc = pool_list(asker->pool, &arena, &nodes, &len);
	if (rc == RC_OK && len > 0 && !pool_serves(asker->pool, asker->model) &&
	    pool_wait(asker->pool, asker->model, LINK_WAIT_NS))
		rc = pool_list(asker->pool, &arena, &nodes, &len);
	if (rc == RC_OK)
		model = largest(asker, nodes, len);
	if (model != NULL) {
		(void)snprintf(out->name, sizeof out->name, "%s", model->name);
		out->context = model->context;
	} else if (rc == RC_OK) {
		rc = RC_UNAVAILABLE;
	}
	arena_fini(&arena);
	return rc;
}

/* ---- asking -------------------------------------------------------------------------------- */

/* One try. */
struct asking {
	struct asker *asker;
	bool (*go_on)(void *ctx);
	void *ctx;
	struct generation *generation;
	struct buf *out;
	bool over, put_off;
	enum rc rc;
	struct errmsg *why;
};

static bool may_go_on(const struct asking *asking)
{
	return asking->go_on == NULL || asking->go_on(asking->ctx);
}

/* Until nobody waits for an answer; false: given up. */
static bool wait_for_people(const struct asking *asking)
{
	const struct timespec pause = { .tv_nsec = LOOK_NS };

	while (may_go_on(asking)) {
		if (pool_answers(asking->asker->pool) == 0)
			return true;
		(void)nanosleep(&pause, NULL);
	}
	return false;
}

static enum rc start(
    struct asking *asking, const struct ask_model *model, const struct ask_question *question)
{
	const struct wire_part instruction = wire_part_text(question->instruction, true);
	const struct wire_part material = wire_part_text(question->material, false);
	const struct wire_chat_message messages[] = {
		{ .role = "system",
		    .parts = &instruction,
		    .parts_len = 1,
		    .name = "",
		    .tool_call_id = "",
		    .tool_calls_json = "" },
		{ .role = "user",
		    .parts = &material,
		    .parts_len = 1,
		    .name = "",
		    .tool_call_id = "",
		    .tool_calls_json = "" },
	};
	struct generation_request request = {
		.generate = { .model = model->name,
		    .messages = messages,
		    .messages_len = 2,
		    .sampling = { .temperature = 0, .repeat_penalty = 1, .seed = SEED },
		    .max_tokens = question->tokens_max,
		    .now_utc_ns = clock_utc_ns(),
		    .now_zone = "",
		    .tools_json = "",
		    .add_generation_prompt = true,
		    .constraint = { .kind = WIRE_CONSTRAINT_JSON_SCHEMA,
			.schema = question->schema } },
		.resume_timeout_ns = AWAY_NS,
		.ttl_ns = question->timeout_ns,
		.background = true,
	};

	return generation_start(asking->asker->pool, &request, &asking->generation, asking->why);
}

/* A node that is there and did not get done is too slow; one that is not went away. */
static enum rc rc_of(const struct asking *asking, const char *model, enum rc rc)
{
	switch (rc) {
	case RC_TIMEOUT:
		return pool_serves(asking->asker->pool, model) ? RC_LIMIT : RC_UNAVAILABLE;
	case RC_BUSY:
	case RC_BUDGET:
	case RC_CLOSED:
		return RC_UNAVAILABLE;
	default:
		return rc;
	}
}

static void take(struct asking *asking, const char *model, const struct generation_event *event)
{
	switch (event->kind) {
	case GENERATION_TEXT:
		buf_append(asking->out, event->text, event->text_len);
		break;
	case GENERATION_DONE:
		asking->over = true;
		asking->rc = event->finish == WIRE_FINISH_STOP ? RC_OK : RC_LIMIT;
		break;
	case GENERATION_FAILED:
		asking->over = true;
		asking->rc = rc_of(asking, model, event->rc);
		break;
	default:
		break;
	}
	if (asking->over)
		return;
	if (!may_go_on(asking)) {
		asking->over = true;
		asking->rc = RC_CANCELLED;
	}
	asking->put_off = pool_answers(asking->asker->pool) > 0;
}

static enum rc answer(void *ctx, const struct ask_model *model, const struct ask_question *question,
    bool (*go_on)(void *go_on_ctx), void *go_on_ctx, struct buf *out, struct errmsg *why)
{
	struct asking asking = {
		.asker = ctx, .go_on = go_on, .ctx = go_on_ctx, .out = out, .why = why
	};
	struct generation_event event;

	while (!asking.over) {
		if (!wait_for_people(&asking))
			return RC_CANCELLED;
		asking.put_off = false;
		buf_reset(out); /* of the try before */
		enum rc rc = start(&asking, model, question);
		if (rc != RC_OK)
			return rc_of(&asking, model->name, rc);
		while (!asking.over && !asking.put_off) {
			generation_next(asking.generation, LOOK_NS, &event);
			take(&asking, model->name, &event);
		}
		generation_free(asking.generation);
		asking.generation = NULL;
	}
	return asking.rc;
}

struct ask asker_for_night(struct asker *asker)
{
	return (struct ask){ .ctx = asker, .which = which, .answer = answer };
}
