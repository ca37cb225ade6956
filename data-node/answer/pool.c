/*
 * Pool: the nodes, their links and what they said they can do.
 *
 * The links' I/O threads write through the callbacks below; everything is
 * guarded by the pool's lock (pool_state.h).
 */
#include "answer/pool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "answer/pool_state.h"
#include "answer/wait.h"
#include "base/clock.h"

#define KNOWN_BYTES_MAX ((size_t)1 << 20) /* one node's capabilities */

enum rc pool_open(const struct wire_keypair *keys, struct pool **out, struct errmsg *why)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	if (pool == NULL)
		return errmsg_rc(why, RC_NOMEM, "no memory for the pool");
	pool->keys = keys;
	if (pthread_mutex_init(&pool->lock, NULL) != 0) {
		free(pool);
		return errmsg_rc(why, RC_NOMEM, "no memory for the pool's lock");
	}
	if (wait_init(&pool->changed) != RC_OK) {
		(void)pthread_mutex_destroy(&pool->lock);
		free(pool);
		return errmsg_rc(why, RC_NOMEM, "no memory for the pool's lock");
	}
	*out = pool;
	return RC_OK;
}

void pool_on_link(struct pool *pool, pool_link_fn *fn, void *ctx)
{
	pool->on_link = fn;
	pool->on_link_ctx = ctx;
}

/* Outside of the lock: the listener may ask the pool. */
static void tell_link(const struct node *node, bool up, enum rc reason)
{
	const struct pool *pool = node->pool;

	if (pool->on_link != NULL)
		pool->on_link(pool->on_link_ctx, node->name, up, reason);
}

void node_hold(struct node *node)
{
	node->users++;
}

void node_release(struct node *node)
{
	node->users--;
	(void)pthread_cond_broadcast(&node->pool->changed);
}

static void tell_change(struct pool *pool)
{
	(void)pthread_cond_broadcast(&pool->changed);
	for (struct pool_watch *watch = pool->watches; watch != NULL; watch = watch->next)
		watch->changed(watch->ctx);
}

static const char *keep_text(struct arena *arena, const char *text)
{
	const char *copy = arena_strdup(arena, text == NULL ? "" : text);

	return copy == NULL ? "" : copy;
}

/* Copy what a node can do; without memory it can do nothing. */
static void keep_capabilities(struct node *node, const struct wire_capabilities *can)
{
	struct arena *arena = &node->known;

	arena_reset(arena);
	node->can = *can;
	node->can.program = keep_text(arena, can->program);
	node->can.numerics_id = keep_text(arena, can->numerics_id);
	node->can.models_len = 0;
	struct wire_model *models = arena_array(arena, can->models_len, sizeof(*models));
	node->can.models = models;
	if (models == NULL)
		return;
	for (size_t i = 0; i < can->models_len; i++) {
		models[i] = can->models[i];
		models[i].name = keep_text(arena, can->models[i].name);
		models[i].architecture = keep_text(arena, can->models[i].architecture);
		models[i].chat_template = keep_text(arena, can->models[i].chat_template);
		models[i].cache_type = keep_text(arena, can->models[i].cache_type);
		models[i].tool_format = keep_text(arena, can->models[i].tool_format);
	}
	node->can.models_len = can->models_len;
}

static void on_up(void *ctx, const struct wire_capabilities *can)
{
	struct node *node = ctx;

	(void)pthread_mutex_lock(&node->pool->lock);
	keep_capabilities(node, can);
	node->load = can->load;
	node->up = true;
	tell_change(node->pool);
	(void)pthread_mutex_unlock(&node->pool->lock);
	tell_link(node, true, RC_OK);
}

/* Under the lock, at a heartbeat: is it time to ask for figures?  NULL: no. */
static struct wire_client *stats_due(struct node *node, struct message *ask)
{
	int64_t now_ns = clock_mono_ns();

	if (node->client == NULL ||
	    (node->asked_ns != 0 && now_ns - node->asked_ns < POOL_STATS_NS))
		return NULL;
	node->asked_ns = now_ns;
	node->stats_request = ask->request_id = wire_client_next_id();
	return node->client;
}

static void on_message(void *ctx, const struct message *message)
{
	struct message ask = { .kind = MESSAGE_STATS_REQUEST };
	struct wire_client *client = NULL;
	struct node *node = ctx;

	(void)pthread_mutex_lock(&node->pool->lock);
	if (message->kind == MESSAGE_HEARTBEAT) {
		node->load = message->u.heartbeat.load;
		client = stats_due(node, &ask);
	} else if (message->kind == MESSAGE_CAPABILITIES) {
		keep_capabilities(node, &message->u.capabilities);
	} else if (message->kind == MESSAGE_STATS) {
		if (message->request_id == node->stats_request) {
			node->stats = message->u.stats;
			node->stats_at_ns = clock_mono_ns();
		}
	} else {
		call_deliver(node, message);
	}
	(void)pthread_mutex_unlock(&node->pool->lock);
	/* The link's own thread: it is not closed meanwhile.  What cannot be asked now
	 * is asked at a later heartbeat. */
	if (client != NULL)
		(void)!wire_client_send(client, &ask);
}

static void on_down(void *ctx, enum rc reason)
{
	struct node *node = ctx;

	(void)pthread_mutex_lock(&node->pool->lock);
	node->up = false;
	leases_lost(&node->leases);
	call_tell_down(node, reason);
	tell_change(node->pool);
	(void)pthread_mutex_unlock(&node->pool->lock);
	tell_link(node, false, reason);
}

static bool name_ok(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len >= POOL_NAME_BYTES_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)name[i] <= ' ' || name[i] == 0x7F)
			return false;
	}
	return true;
}

static void node_free(struct node *node)
{
	free(node->name);
	free(node->address);
	arena_fini(&node->known);
	leases_fini(&node->leases);
	free(node);
}

static size_t find_name(const struct pool *pool, const char *name)
{
	for (size_t i = 0; i < pool->nodes_len; i++) {
		if (strcmp(pool->nodes[i]->name, name) == 0)
			return i;
	}
	return pool->nodes_len;
}

/* Put a node without a link into the list, so that its name is taken. */
static enum rc node_insert(struct pool *pool, struct node *node, struct errmsg *why)
{
	enum rc rc = RC_OK;

	(void)pthread_mutex_lock(&pool->lock);
	if (find_name(pool, node->name) < pool->nodes_len) {
		rc = errmsg_rc(why, RC_EXISTS, "a compute node of this name is known already");
	} else if (pool->nodes_len == POOL_NODES_MAX) {
		rc = errmsg_rc(why, RC_LIMIT, "no more than %zu compute nodes", POOL_NODES_MAX);
	} else {
		node->id = ++pool->node_ids;
		pool->nodes[pool->nodes_len++] = node;
	}
	(void)pthread_mutex_unlock(&pool->lock);
	return rc;
}

/* Under the lock: take node `i` out of the list; its calls hear of it. */
static struct node *detach(struct pool *pool, size_t i)
{
	struct node *node = pool->nodes[i];

	memmove(&pool->nodes[i], &pool->nodes[i + 1],
	    (pool->nodes_len - i - 1) * sizeof(pool->nodes[0]));
	pool->nodes_len--;
	node->up = false;
	node->removed = true;
	call_tell_down(node, RC_CLOSED);
	for (struct call *call = node->calls; call != NULL; call = call->next) {
		call->node = NULL;
		call->lease = NULL;
	}
	node->calls = NULL;
	tell_change(pool);
	return node;
}

/* Wait until nobody talks to a detached node's client any more; free it. */
static void dispose(struct pool *pool, struct node *node)
{
	(void)pthread_mutex_lock(&pool->lock);
	while (node->users > 0)
		(void)pthread_cond_wait(&pool->changed, &pool->lock);
	(void)pthread_mutex_unlock(&pool->lock);
	if (node->client != NULL)
		wire_client_close(node->client);
	node_free(node);
}

static struct node *node_new(struct pool *pool, const char *name, const char *address)
{
	struct node *node = calloc(1, sizeof(*node));

	if (node == NULL)
		return NULL;
	node->pool = pool;
	arena_init(&node->known, KNOWN_BYTES_MAX);
	node->name = strdup(name);
	node->address = strdup(address);
	if (node->name == NULL || node->address == NULL) {
		node_free(node);
		return NULL;
	}
	return node;
}

enum rc pool_add(struct pool *pool, const char *name, const char *address,
    const uint8_t server_key[WIRE_KEY_BYTES], struct errmsg *why)
{
	if (!name_ok(name))
		return errmsg_rc(why, RC_INVALID, "name: 1 to %zu characters without blanks",
		    POOL_NAME_BYTES_MAX - 1);
	struct node *node = node_new(pool, name, address);
	if (node == NULL)
		return errmsg_rc(why, RC_NOMEM, "no memory for a compute node");
	enum rc rc = node_insert(pool, node, why);
	if (rc != RC_OK) {
		node_free(node);
		return rc;
	}
	struct wire_client_config config = {
		.address = address,
		.server_key = server_key,
		.keys = pool->keys,
		.program = "data-node " HEARTH_VERSION,
		.ctx = node,
		.on_up = on_up,
		.on_message = on_message,
		.on_down = on_down,
	};
	struct wire_client *client = NULL;
	/* Held, so that a pool_remove() meanwhile waits for the link. */
	(void)pthread_mutex_lock(&pool->lock);
	node_hold(node);
	(void)pthread_mutex_unlock(&pool->lock);
	rc = wire_client_open(&config, &client, why);
	(void)pthread_mutex_lock(&pool->lock);
	node->client = client;
	bool failed = rc != RC_OK && !node->removed;
	if (failed)
		(void)detach(pool, find_name(pool, name));
	else
		tell_change(pool);
	node_release(node);
	(void)pthread_mutex_unlock(&pool->lock);
	if (failed)
		dispose(pool, node);
	/* To the wire an address is configuration; here someone just typed it. */
	return rc == RC_CONFIG ? RC_INVALID : rc;
}

enum rc pool_remove(struct pool *pool, const char *name)
{
	(void)pthread_mutex_lock(&pool->lock);
	size_t i = find_name(pool, name);
	struct node *node = i < pool->nodes_len ? detach(pool, i) : NULL;
	(void)pthread_mutex_unlock(&pool->lock);
	if (node == NULL)
		return RC_NOTFOUND;
	dispose(pool, node);
	return RC_OK;
}

enum rc pool_drain(struct pool *pool, const char *name, bool drains)
{
	(void)pthread_mutex_lock(&pool->lock);
	size_t i = find_name(pool, name);
	bool found = i < pool->nodes_len;
	if (found) {
		pool->nodes[i]->drains = drains;
		tell_change(pool);
	}
	(void)pthread_mutex_unlock(&pool->lock);
	return found ? RC_OK : RC_NOTFOUND;
}

static void close_leases(struct pool *pool, struct node *node)
{
	uint8_t ids[LEASES_A_NODE][WIRE_LEASE_BYTES];

	(void)pthread_mutex_lock(&pool->lock);
	size_t n = leases_forget(&node->leases, ids);
	struct wire_client *client = node->up ? node->client : NULL;
	(void)pthread_mutex_unlock(&pool->lock);
	for (size_t i = 0; i < n && client != NULL; i++)
		lease_close_on(client, ids[i]);
}

void pool_forget(struct pool *pool)
{
	struct node *held[POOL_NODES_MAX];

	(void)pthread_mutex_lock(&pool->lock);
	size_t n = pool->nodes_len;
	for (size_t i = 0; i < n; i++) {
		held[i] = pool->nodes[i];
		node_hold(held[i]);
	}
	(void)pthread_mutex_unlock(&pool->lock);
	for (size_t i = 0; i < n; i++)
		close_leases(pool, held[i]);
	(void)pthread_mutex_lock(&pool->lock);
	for (size_t i = 0; i < n; i++)
		node_release(held[i]);
	(void)pthread_mutex_unlock(&pool->lock);
}

void pool_close(struct pool *pool)
{
	if (pool == NULL)
		return;
	(void)pthread_mutex_lock(&pool->lock);
	while (pool->nodes_len > 0) {
		struct node *node = detach(pool, pool->nodes_len - 1);
		(void)pthread_mutex_unlock(&pool->lock);
		dispose(pool, node);
		(void)pthread_mutex_lock(&pool->lock);
	}
	assert(pool->watches == NULL);
	(void)pthread_mutex_unlock(&pool->lock);
	(void)pthread_cond_destroy(&pool->changed);
	(void)pthread_mutex_destroy(&pool->lock);
	free(pool);
}

bool node_takes(const struct node *node, const struct call_want *want)
{
	return node->up && node->client != NULL && (!node->drains || want->goes_on);
}

const struct wire_model *node_find(const struct node *node, const struct call_want *want)
{
	for (size_t i = 0; i < node->can.models_len; i++) {
		const struct wire_model *model = &node->can.models[i];
		if (want->content_hash != NULL) {
			if (memcmp(model->content_hash, want->content_hash, WIRE_HASH_BYTES) != 0)
				continue;
		} else if (want->model != NULL && strcmp(model->name, want->model) != 0) {
			continue;
		}
		if (!(want->embeds ? model->embed : model->chat) ||
		    model->context < want->context_min ||
		    (want->constrains && !model->constrains) ||
		    (want->holds_calls && !model->holds_calls))
			continue;
		return model;
	}
	return NULL;
}

static bool serves(const struct pool *pool, const char *name)
{
	const struct call_want want = { .model = name };

	for (size_t i = 0; i < pool->nodes_len; i++) {
		const struct node *node = pool->nodes[i];
		if (node_takes(node, &want) && node_find(node, &want) != NULL)
			return true;
	}
	return false;
}

bool pool_serves(struct pool *pool, const char *model)
{
	(void)pthread_mutex_lock(&pool->lock);
	bool yes = serves(pool, model);
	(void)pthread_mutex_unlock(&pool->lock);
	return yes;
}

bool pool_wait(struct pool *pool, const char *model, int64_t timeout_ns)
{
	int64_t deadline = wait_deadline(clock_mono_ns(), timeout_ns);

	(void)pthread_mutex_lock(&pool->lock);
	bool yes = serves(pool, model);
	while (!yes && wait_until(&pool->changed, &pool->lock, deadline))
		yes = serves(pool, model);
	(void)pthread_mutex_unlock(&pool->lock);
	return yes;
}

static enum rc list_models(
    const struct node *node, struct arena *arena, const struct pool_model **out)
{
	size_t len = node->can.models_len;
	struct pool_model *models = arena_array(arena, len, sizeof(*models));
	const char *numerics_id = arena_strdup(arena, len == 0 ? "" : node->can.numerics_id);

	if (models == NULL || numerics_id == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < len; i++) {
		const struct wire_model *model = &node->can.models[i];
		models[i] = (struct pool_model){
			.name = arena_strdup(arena, model->name),
			.architecture = arena_strdup(arena, model->architecture),
			.chat_template = arena_strdup(arena, model->chat_template),
			.cache_type = arena_strdup(arena, model->cache_type),
			.numerics_id = numerics_id,
			.content_hash = (const uint8_t *)arena_copy(
			    arena, model->content_hash, WIRE_HASH_BYTES),
			.context = model->context,
			.parameters = model->parameters,
			.chat = model->chat,
			.embed = model->embed,
			.constrains = model->constrains,
			.holds_calls = model->holds_calls,
			.tool_format = arena_strdup(
			    arena, model->tool_format == NULL ? "" : model->tool_format),
			.tokens_per_second = speed_of(&node->speeds, model->content_hash),
		};
		if (models[i].name == NULL || models[i].architecture == NULL ||
		    models[i].chat_template == NULL || models[i].cache_type == NULL ||
		    models[i].tool_format == NULL || models[i].content_hash == NULL)
			return RC_NOMEM;
	}
	*out = models;
	return RC_OK;
}

static enum rc list_node(const struct node *node, struct arena *arena, struct pool_node *out)
{
	out->name = arena_strdup(arena, node->name);
	out->address = arena_strdup(arena, node->address);
	out->load = node->load;
	out->models_len = node->can.models_len;
	out->state = node->up ? WIRE_LINK_UP : WIRE_LINK_CONNECTING;
	out->drains = node->drains;
	out->running = node->calls_len;
	out->stats = node->stats;
	out->stats_at_ns = node->stats_at_ns;
	if (out->name == NULL || out->address == NULL)
		return RC_NOMEM;
	return list_models(node, arena, &out->models);
}

enum rc pool_list(struct pool *pool, struct arena *arena, struct pool_node **out, size_t *len)
{
	struct node *held[POOL_NODES_MAX];
	enum rc rc = RC_OK;

	(void)pthread_mutex_lock(&pool->lock);
	size_t n = pool->nodes_len;
	struct pool_node *list = arena_array(arena, n, sizeof(*list));
	if (list == NULL)
		rc = RC_NOMEM;
	for (size_t i = 0; i < n && rc == RC_OK; i++)
		rc = list_node(pool->nodes[i], arena, &list[i]);
	for (size_t i = 0; i < n; i++) {
		held[i] = pool->nodes[i];
		node_hold(held[i]);
	}
	(void)pthread_mutex_unlock(&pool->lock);
	for (size_t i = 0; i < n && rc == RC_OK; i++) {
		struct wire_client *client = held[i]->client;
		if (client == NULL)
			continue;
		list[i].session = wire_client_session(client);
		if (list[i].state != WIRE_LINK_UP)
			list[i].state = wire_client_state(client);
		if (list[i].state == WIRE_LINK_UP)
			list[i].state = WIRE_LINK_CONNECTING; /* its calls are not ready yet */
	}
	(void)pthread_mutex_lock(&pool->lock);
	for (size_t i = 0; i < n; i++) {
		if (held[i]->up && rc == RC_OK)
			list[i].state = WIRE_LINK_UP;
		if (rc == RC_OK)
			list[i].takes = list[i].state == WIRE_LINK_UP && !list[i].drains;
		node_release(held[i]);
	}
	(void)pthread_mutex_unlock(&pool->lock);
	if (rc != RC_OK)
		return rc;
	*out = list;
	*len = n;
	return RC_OK;
}

unsigned pool_answers(struct pool *pool)
{
	(void)pthread_mutex_lock(&pool->lock);
	unsigned answers = pool->answers;
	(void)pthread_mutex_unlock(&pool->lock);
	return answers;
}

void pool_answer_begins(struct pool *pool)
{
	(void)pthread_mutex_lock(&pool->lock);
	pool->answers++;
	(void)pthread_mutex_unlock(&pool->lock);
}

void pool_answer_ended(struct pool *pool)
{
	(void)pthread_mutex_lock(&pool->lock);
	pool->answers--;
	(void)pthread_mutex_unlock(&pool->lock);
}
