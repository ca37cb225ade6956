/*
 * A host with a scripted timeline and a pool of fake compute nodes; it runs
 * the handlers and collects what a client would read.
 */
#ifndef ANSWER_WORLD_H
#define ANSWER_WORLD_H

#include "rig.h"

#include "answer/answer_api.h"
#include "base/log.h"

#define WORLD_STORED_MAX 8
#define WORLD_NOW_NS INT64_C(1795228200000000000) /* 2026-11-21T02:30:00Z */

struct world {
	struct rig rig;
	struct host host;
	struct recall_hit hits[16];
	size_t hits_len;
	unsigned searches;
	enum rc append_rc;
	unsigned appends;
	struct observation stored[WORLD_STORED_MAX]; /* texts in `arena` */
	size_t stored_len;
	bool stopping, gone;
	struct arena arena;

	struct api_request request;
	struct api_response response;
	struct buf read;       /* of a stream, or of the body */
	size_t read_at_append; /* bytes the client had when the store was asked */
	struct arena request_arena;
};

static inline enum rc world_search(void *ctx, const struct recall_query *query, struct arena *arena,
    struct recall_result *out, struct errmsg *why)
{
	struct world *world = ctx;

	(void)why;
	world->searches++;
	out->hits_len = world->hits_len < query->k ? world->hits_len : query->k;
	out->hits = arena_array(arena, out->hits_len, sizeof(*out->hits));
	memcpy(out->hits, world->hits, out->hits_len * sizeof(*out->hits));
	return RC_OK;
}

static inline enum rc world_append(
    void *ctx, const struct observation *obs, size_t n, struct errmsg *why)
{
	struct world *world = ctx;

	(void)why;
	world->appends++;
	world->read_at_append = world->read.len;
	for (size_t i = 0; i < n && world->append_rc == RC_OK; i++) {
		assert_true(world->stored_len < WORLD_STORED_MAX);
		struct observation *copy = &world->stored[world->stored_len++];
		*copy = obs[i];
		copy->source = arena_strdup(&world->arena, obs[i].source);
		copy->client_id = arena_strdup(&world->arena, obs[i].client_id);
		copy->text = arena_strdup(&world->arena, obs[i].text);
		copy->data_json = arena_strdup(&world->arena, obs[i].data_json);
	}
	return world->append_rc;
}

static inline int32_t world_offset(void *ctx, int64_t utc_ns)
{
	(void)ctx;
	(void)utc_ns;
	return 3600;
}

static inline bool world_stopping(void *ctx)
{
	return ((struct world *)ctx)->stopping;
}

static inline bool world_gone(void *ctx)
{
	return ((struct world *)ctx)->gone;
}

static inline void world_open(struct world *world, const struct fake_script *scripts, size_t n)
{
	memset(world, 0, sizeof(*world));
	rig_open(&world->rig, scripts, n);
	arena_init(&world->arena, (size_t)8 << 20);
	arena_init(&world->request_arena, (size_t)8 << 20);
	buf_init(&world->read, (size_t)8 << 20);
	world->host = (struct host){
		.ctx = world,
		.search = world_search,
		.append = world_append,
		.offset_s = world_offset,
		.stopping = world_stopping,
		.zone = "CET",
		.pool = world->rig.pool,
		.resume_timeout_ns = RIG_DEADLINE_NS,
	};
}

static inline void world_reset(struct world *world)
{
	api_response_fini(&world->response);
	buf_reset(&world->read);
}

static inline void world_close(struct world *world)
{
	world_reset(world);
	buf_fini(&world->read);
	rig_close(&world->rig);
	arena_fini(&world->arena);
	arena_fini(&world->request_arena);
}

/* One moment, worse than those before it. */
static inline struct recall_hit *world_moment(
    struct world *world, const char *id, int64_t at_ns, const char *source, const char *text)
{
	struct recall_hit *hit = &world->hits[world->hits_len];

	*hit = (struct recall_hit){
		.obs = { .seq = world->hits_len + 1,
		    .source = source,
		    .client_id = id,
		    .layer = LAYER_TEXT,
		    .kind = "note",
		    .shape = SHAPE_INSTANT,
		    .clock_id = "",
		    .boot_epoch = "",
		    .dev_t0_ns = at_ns,
		    .dev_t1_ns = at_ns,
		    .place = placement_trusted(at_ns, at_ns, 0),
		    .zone = "",
		    .origin = ORIGIN_DEVICE,
		    .text = text,
		    .data_json = "" },
		.score = 10.0 / (double)(world->hits_len + 1),
	};
	memset(hit->obs.obs_id, (int)world->hits_len + 1, OBS_ID_BYTES);
	world->hits_len++;
	return hit;
}

/* Run a handler; the response stands in `world`, its stream is not read yet. */
static inline void world_ask(struct world *world, enum answer_kind kind, const char *body)
{
	world_reset(world);
	rig_look(&world->rig); /* what a test has read of the nodes, it has read before this */
	api_response_init(&world->response);
	world->request = (struct api_request){
		.method = "POST",
		.path = "/v1/…",
		.body = body,
		.body_len = strlen(body),
		.gone = world_gone,
		.gone_ctx = world,
	};
	answer_run(&world->host, kind, &world->request, &world->response);
	rig_look(&world->rig);
	if (world->response.pull == NULL)
		buf_append(&world->read, world->response.body.bytes, world->response.body.len);
}

static inline void world_post(struct world *world, bool completion, const char *body)
{
	world_ask(world, completion ? ANSWER_COMPLETION : ANSWER_CHAT, body);
}

/* One pull of at most `max` bytes; false at the end. */
static inline bool world_pull(struct world *world, size_t max)
{
	char bytes[4096];

	assert_true(max <= sizeof(bytes));
	long n = world->response.pull(world->response.pull_ctx, bytes, max);
	assert_int_not_equal(n, API_PULL_FAIL);
	rig_look(&world->rig);
	if (n == API_PULL_END)
		return false;
	buf_append(&world->read, bytes, (size_t)n);
	return true;
}

static inline void world_pull_all(struct world *world)
{
	int64_t deadline = clock_mono_ns() + RIG_DEADLINE_NS;

	assert_non_null(world->response.pull);
	while (world_pull(world, 4096))
		assert_true(clock_mono_ns() < deadline);
}

/* Pull until the client has read `text`. */
static inline void world_pull_to(struct world *world, const char *text)
{
	int64_t deadline = clock_mono_ns() + RIG_DEADLINE_NS;

	while (strstr(buf_text(&world->read), text) == NULL) {
		assert_true(clock_mono_ns() < deadline);
		assert_true(world_pull(world, 4096));
	}
}

static inline const char *world_header(const struct world *world, const char *name)
{
	for (size_t i = 0; i < world->response.headers_len; i++) {
		if (strcmp(world->response.headers[i].name, name) == 0)
			return world->response.headers[i].value;
	}
	return NULL;
}

/* What was read, every random id replaced by "ID". */
static inline const char *world_text(struct world *world)
{
	static const char key[] = "\"id\":\"c";
	struct buf out;
	const char *rest = buf_text(&world->read);
	const char *at;

	buf_init(&out, (size_t)8 << 20);
	while ((at = strstr(rest, key)) != NULL) {
		buf_append(&out, rest, (size_t)(at - rest));
		buf_puts(&out, "\"id\":\"ID");
		rest = strchr(at + strlen(key), '"');
	}
	buf_puts(&out, rest);
	const char *text = arena_strdup(&world->arena, buf_text(&out));
	buf_fini(&out);
	return text;
}

#endif
