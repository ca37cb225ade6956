/*
 * Call: pick a node, put a request on it, hand its answers to who asked.
 */
#include "answer/call.h"

#include <stdlib.h>
#include <string.h>

#include "answer/pool_state.h"
#include "base/clock.h"

/* Steps of a prompt, a thousand tokens or so, for which a node is preferred. */
#define WORTH_STEPS ((size_t)16)

static bool avoided(const struct call_want *want, uint64_t node_id)
{
	for (size_t i = 0; i < want->avoid_len; i++) {
		if (want->avoid[i] == node_id)
			return true;
	}
	return false;
}

/* How well `node` suits, ranked: 2 same bits, 1 same numerics, 0 it serves. */
static int suits(
    const struct node *node, const struct wire_model *model, const struct call_want *want)
{
	if (want->numerics_id != NULL && strcmp(node->can.numerics_id, want->numerics_id) != 0)
		return 0;
	if (want->cache_type != NULL && strcmp(model->cache_type, want->cache_type) != 0)
		return 1;
	return 2;
}

/* Requests per slot; our own calls count at once, the node's figure lags. */
static double load_of(const struct node *node)
{
	uint32_t theirs = node->load.active + node->load.queued;
	uint32_t n = theirs > node->calls_len ? theirs : node->calls_len;

	return (double)n / (double)(node->load.slots == 0 ? 1 : node->load.slots);
}

/* The model that `node` may be asked for now; NULL: it may not. */
static const struct wire_model *candidate(const struct node *node, const struct call_want *want)
{
	if (!node_takes(node, want) || avoided(want, node->id))
		return NULL;
	return node_find(node, want);
}

static double fastest(const struct pool *pool, const struct call_want *want)
{
	double best = 0;

	for (size_t i = 0; i < pool->nodes_len; i++) {
		const struct wire_model *model = candidate(pool->nodes[i], want);
		double speed =
		    model == NULL ? 0 : speed_of(&pool->nodes[i]->speeds, model->content_hash);
		best = speed > best ? speed : best;
	}
	return best > 0 ? best : 1;
}

/* It begins at once, and much of it is there. */
static bool keeps(
    const struct node *node, const struct wire_model *model, const struct call_want *want)
{
	return want->prefix != NULL && load_of(node) < 1 &&
	       leases_hold(&node->leases, model->content_hash, want->prefix) >= WORTH_STEPS;
}

static struct node *pick(
    struct pool *pool, const struct call_want *want, const struct wire_model **model)
{
	double top = fastest(pool, want), best_time = 0;
	struct node *best = NULL;
	int best_rank = -1;

	for (size_t i = 0; i < pool->nodes_len; i++) {
		struct node *node = pool->nodes[i];
		const struct wire_model *found = candidate(node, want);
		if (found == NULL)
			continue;
		double speed = speed_of(&node->speeds, found->content_hash);
		double time = (1 + load_of(node)) / (speed > 0 ? speed : top);
		int rank =
		    4 * suits(node, found, want) + 2 * !node->drains + keeps(node, found, want);
		if (rank < best_rank || (rank == best_rank && time >= best_time))
			continue;
		best = node;
		best_rank = rank;
		best_time = time;
		*model = found;
	}
	return best;
}

/* Under the lock. */
static void take_lease(struct call *call, const struct prefix *prefix)
{
	call->lease = lease_take(
	    &call->node->leases, call->content_hash, prefix, clock_mono_ns(), call->lease_closed);
	call->leased = call->lease != NULL;
	if (call->leased)
		memcpy(call->lease_id, call->lease->id, WIRE_LEASE_BYTES);
}

void lease_close_on(struct wire_client *client, const uint8_t id[WIRE_LEASE_BYTES])
{
	struct message message = { .kind = MESSAGE_LEASE_CLOSE, .has_lease = true };

	message.request_id = wire_client_next_id();
	memcpy(message.lease_id, id, WIRE_LEASE_BYTES);
	(void)!wire_client_send(client, &message);
}

/* Open or renewed, in one message before what goes under it: nobody waits for an
 * answer, and where it is refused what follows says so. */
static enum rc open_lease(struct wire_client *client, const struct call *call)
{
	static const uint8_t none[WIRE_LEASE_BYTES];
	struct message message = {
		.kind = MESSAGE_LEASE_OPEN, .has_lease = true, .u.lease_open.model = call->model
	};

	if (memcmp(call->lease_closed, none, sizeof(none)) != 0)
		lease_close_on(client, call->lease_closed);
	message.request_id = wire_client_next_id();
	memcpy(message.lease_id, call->lease_id, WIRE_LEASE_BYTES);
	return wire_client_send(client, &message);
}

enum rc call_open(struct pool *pool, const struct call_want *want,
    const struct call_handler *handler, struct call **out)
{
	const struct wire_model *model = NULL;
	struct call *call = calloc(1, sizeof(*call));

	if (call == NULL)
		return RC_NOMEM;
	call->request_id = wire_client_next_id();
	(void)pthread_mutex_lock(&pool->lock);
	struct node *node = pick(pool, want, &model);
	if (node == NULL || strlen(model->name) >= sizeof(call->model)) {
		(void)pthread_mutex_unlock(&pool->lock);
		free(call);
		return RC_UNAVAILABLE;
	}
	memcpy(call->model, model->name, strlen(model->name) + 1);
	memcpy(call->content_hash, model->content_hash, WIRE_HASH_BYTES);
	call->pool = pool;
	call->node = node;
	call->node_id = node->id;
	call->handler = *handler;
	if (want->prefix != NULL)
		take_lease(call, want->prefix);
	call->next = node->calls;
	if (call->next != NULL)
		call->next->prev = call;
	node->calls = call;
	node->calls_len++;
	(void)pthread_mutex_unlock(&pool->lock);
	*out = call;
	return RC_OK;
}

static void let_go(struct pool *pool, struct node *node)
{
	(void)pthread_mutex_lock(&pool->lock);
	node_release(node);
	(void)pthread_mutex_unlock(&pool->lock);
}

enum rc call_send(struct call *call, struct message *message)
{
	(void)pthread_mutex_lock(&call->pool->lock);
	struct node *node = call->told_down ? NULL : call->node;
	struct wire_client *client = NULL;
	if (node != NULL && node->up && node->client != NULL) {
		client = node->client;
		node_hold(node);
	}
	(void)pthread_mutex_unlock(&call->pool->lock);
	if (client == NULL)
		return RC_CLOSED;
	enum rc rc = RC_OK;
	message->request_id = call->request_id;
	if (call->leased && message->kind == MESSAGE_GENERATE) {
		message->has_lease = true;
		memcpy(message->lease_id, call->lease_id, WIRE_LEASE_BYTES);
		rc = open_lease(client, call);
	}
	if (rc == RC_OK)
		rc = wire_client_send(client, message);
	let_go(call->pool, node);
	return rc;
}

void call_close(struct call *call)
{
	struct wire_client *client = NULL;
	struct node *node = NULL;
	uint8_t closed[WIRE_LEASE_BYTES];

	if (call == NULL)
		return;
	(void)pthread_mutex_lock(&call->pool->lock);
	if (call->lease != NULL && !lease_give_back(call->lease, clock_mono_ns(), closed) &&
	    call->node->up && call->node->client != NULL) {
		node = call->node;
		client = node->client;
		node_hold(node);
	}
	if (call->node != NULL) {
		if (call->prev != NULL)
			call->prev->next = call->next;
		else
			call->node->calls = call->next;
		if (call->next != NULL)
			call->next->prev = call->prev;
		call->node->calls_len--;
	}
	(void)pthread_mutex_unlock(&call->pool->lock);
	if (client != NULL) {
		lease_close_on(client, closed);
		let_go(call->pool, node);
	}
	free(call);
}

uint64_t call_node(const struct call *call)
{
	return call->node_id;
}

uint64_t call_request(const struct call *call)
{
	return call->request_id;
}

const char *call_model(const struct call *call)
{
	return call->model;
}

void call_cancel(struct pool *pool, uint64_t node_id, uint64_t request_id)
{
	const struct message message = { .kind = MESSAGE_CANCEL, .request_id = request_id };
	struct node *node = NULL;

	(void)pthread_mutex_lock(&pool->lock);
	for (size_t i = 0; i < pool->nodes_len && node == NULL; i++) {
		if (pool->nodes[i]->id == node_id)
			node = pool->nodes[i];
	}
	struct wire_client *client = node != NULL && node->up ? node->client : NULL;
	if (client != NULL)
		node_hold(node);
	(void)pthread_mutex_unlock(&pool->lock);
	if (client == NULL)
		return;
	/* A full queue or a lost link: the node stops for want of credit. */
	(void)!wire_client_send(client, &message);
	let_go(pool, node);
}

static void measure(struct node *node, struct call *call, const struct message *message)
{
	bool tokens = message->kind == MESSAGE_TOKENS;

	if (tokens || message->kind == MESSAGE_DONE)
		speed_take(&node->speeds, call->content_hash, &call->run,
		    tokens ? message->u.tokens.ids_len : 0, !tokens, clock_mono_ns());
}

void call_deliver(struct node *node, const struct message *message)
{
	for (struct call *call = node->calls; call != NULL; call = call->next) {
		if (call->request_id == message->request_id && !call->told_down) {
			measure(node, call, message);
			call->handler.message(call->handler.ctx, message);
			return;
		}
	}
}

void call_tell_down(struct node *node, enum rc reason)
{
	for (struct call *call = node->calls; call != NULL; call = call->next) {
		if (call->told_down)
			continue;
		call->told_down = true;
		call->handler.down(call->handler.ctx, reason);
	}
}

void pool_watch_add(struct pool *pool, struct pool_watch *watch)
{
	(void)pthread_mutex_lock(&pool->lock);
	watch->prev = NULL;
	watch->next = pool->watches;
	if (watch->next != NULL)
		watch->next->prev = watch;
	pool->watches = watch;
	(void)pthread_mutex_unlock(&pool->lock);
}

void pool_watch_remove(struct pool *pool, struct pool_watch *watch)
{
	(void)pthread_mutex_lock(&pool->lock);
	if (watch->prev != NULL)
		watch->prev->next = watch->next;
	else
		pool->watches = watch->next;
	if (watch->next != NULL)
		watch->next->prev = watch->prev;
	(void)pthread_mutex_unlock(&pool->lock);
}
