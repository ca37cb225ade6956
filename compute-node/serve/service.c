/* Putting wire, desk, scheduler and fleet together. */
#include "serve/service.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/random.h"
#include "base/wipe.h"
#include "os/heap.h"
#include "os/memory.h"
#include "os/process.h"
#include "serve/desk.h"
#include "serve/outbox.h"
#include "serve/scheduler.h"
#include "serve/watch.h"
#include "wire/server.h"

#define PROGRAM "compute-node " HEARTH_VERSION
#define KEY_WORD_BYTES 8 /* of a public key's text, in the log */

struct peer {
	wire_peer id; /* 0: free */
	uint8_t key[WIRE_KEY_BYTES];
};

struct service {
	struct fleet fleet;
	struct scheduler *sched;
	struct outbox *outbox;
	struct desk *desk;
	struct watch *watch; /* NULL: no supervisor */
	const char *memory_root;
	uint64_t waiting_bytes; /* that may be taken beyond this */
	size_t heap_at_start;
	_Atomic(struct wire_server *) server; /* the threads' view of `wire` */
	struct wire_server *wire;
	pthread_t thread;
	bool thread_runs;
	atomic_bool stopping;
	int64_t start_ns;
	struct wire_model models[FLEET_MODELS_MAX];
	uint8_t boot_id[WIRE_LEASE_BYTES];
	struct peer peers[SERVICE_PEERS_MAX]; /* the wire's thread only */
};

/* For the scheduler and the outbox; before the socket is there, later. */
static enum rc send(void *ctx, wire_peer peer, const struct message *message)
{
	struct service *service = ctx;
	struct wire_server *server = atomic_load(&service->server);

	return server == NULL ? RC_AGAIN : wire_server_send(server, peer, message);
}

static void reply(void *ctx, wire_peer peer, const struct message *message)
{
	struct service *service = ctx;

	outbox_send(service->outbox, peer, message);
}

static void answer(struct service *service, wire_peer peer, const struct message *message)
{
	outbox_send(service->outbox, peer, message);
	desk_wake(service->desk);
}

static void refuse(
    struct service *service, wire_peer peer, uint64_t request_id, const struct fault *fault)
{
	struct message error;

	fault_message(fault, request_id, &error);
	answer(service, peer, &error);
}

static const struct peer *find_peer(const struct service *service, wire_peer id)
{
	for (size_t i = 0; i < SERVICE_PEERS_MAX; i++) {
		if (service->peers[i].id == id)
			return &service->peers[i];
	}
	return NULL;
}

static void on_peer(void *ctx, wire_peer id, const uint8_t key[WIRE_KEY_BYTES])
{
	struct service *service = ctx;
	char text[WIRE_KEY_TEXT_BYTES];

	wire_key_format(key, text);
	log_info("SERVE-PEER", "peer=%llu key=%.*s", (unsigned long long)id, KEY_WORD_BYTES, text);
	for (size_t i = 0; i < SERVICE_PEERS_MAX; i++) {
		struct peer *peer = &service->peers[i];

		if (peer->id == 0) {
			peer->id = id;
			memcpy(peer->key, key, WIRE_KEY_BYTES);
			return;
		}
	}
}

static void on_gone(void *ctx, wire_peer id)
{
	struct service *service = ctx;

	log_info("SERVE-PEER-GONE", "peer=%llu", (unsigned long long)id);
	for (size_t i = 0; i < SERVICE_PEERS_MAX; i++) {
		if (service->peers[i].id == id)
			service->peers[i].id = 0;
	}
	scheduler_peer_gone(service->sched, id);
}

/* Requests, what was made of them, and messages that nobody has read yet hold all the
 * memory that is planned for them; libraries' share of it counts. */
static bool is_full(struct service *service, const struct peer *peer, uint64_t request_id)
{
	struct fault fault;

	if (heap_used() <= service->heap_at_start + service->waiting_bytes)
		return false;
	scheduler_count_refused(service->sched, peer->key);
	fault_set(&fault, WIRE_ERROR_BUSY,
	    "requests hold all the memory that is set aside for "
	    "them: try again later");
	refuse(service, peer->id, request_id, &fault);
	return true;
}

static void on_generate(
    struct service *service, const struct peer *peer, const struct message *message)
{
	struct job *job = NULL;
	struct fault fault;
	enum rc rc = scheduler_register(service->sched, peer->id, peer->key, message, &job, &fault);

	if (rc == RC_OK) {
		rc = desk_submit(service->desk, peer->id, peer->key, message, job);
		if (rc == RC_OK)
			return;
		scheduler_abandon(service->sched, job);
		fault_from_rc(&fault, rc == RC_AGAIN ? RC_BUSY : rc, NULL);
	}
	log_debug("SERVE-REFUSED", "request=%llu code=%s", (unsigned long long)message->request_id,
	    fault_word(fault.code));
	refuse(service, peer->id, message->request_id, &fault);
}

static void on_desk_request(
    struct service *service, const struct peer *peer, const struct message *message)
{
	enum rc rc = desk_submit(service->desk, peer->id, peer->key, message, NULL);
	struct fault fault;

	if (rc == RC_OK)
		return;
	scheduler_count_refused(service->sched, peer->key);
	fault_from_rc(&fault, rc == RC_AGAIN ? RC_BUSY : rc, NULL);
	refuse(service, peer->id, message->request_id, &fault);
}

static void on_lease(
    struct service *service, const struct peer *peer, const struct message *message)
{
	struct message state = {
		.request_id = message->request_id, .has_lease = true, .kind = MESSAGE_LEASE_STATE
	};
	bool has_answer = false;
	struct fault fault;

	memcpy(state.lease_id, message->lease_id, WIRE_LEASE_BYTES);
	if (scheduler_lease(service->sched, peer->id, peer->key, message, &state.u.lease_state,
		&has_answer, &fault) != RC_OK)
		refuse(service, peer->id, message->request_id, &fault);
	else if (has_answer)
		answer(service, peer->id, &state);
}

static void on_stats(struct service *service, const struct peer *peer, uint64_t request_id)
{
	struct message message = { .request_id = request_id, .kind = MESSAGE_STATS };
	struct wire_stats *stats = &message.u.stats;
	struct scheduler_counts counts;
	struct memory_figures figures;

	scheduler_get_counts(service->sched, peer->key, &counts);
	scheduler_get_load(service->sched, &stats->load);
	stats->uptime_ns = (uint64_t)(clock_mono_ns() - service->start_ns);
	stats->tokens_generated = counts.counts[TALLY_GENERATED];
	stats->tokens_prompt = counts.counts[TALLY_PROMPT];
	stats->requests = counts.counts[TALLY_REQUESTS];
	stats->refused = counts.counts[TALLY_REFUSED];
	stats->leases = counts.leases;
	stats->kv_tokens = counts.kv_tokens;
	stats->kv_tokens_used = counts.counts[TALLY_HELD];
	stats->budget_bytes = service->fleet.budget_bytes + service->fleet.device_budget_bytes;
	stats->planned_bytes = service->fleet.planned_bytes + service->fleet.device_planned_bytes;
	if (memory_read(service->memory_root, &figures, NULL) == RC_OK) {
		stats->mem_available_bytes = figures.available_bytes;
		stats->memory_stalled_us = figures.stalled_us;
	}
	if (service->watch != NULL) {
		stats->restarts = atomic_load(&service->watch->restarts);
		stats->memory_kills = atomic_load(&service->watch->memory_kills);
		stats->watchdog_kills = atomic_load(&service->watch->watchdog_kills);
		stats->memory_short = atomic_load(&service->watch->short_of_memory);
	}
	answer(service, peer->id, &message);
}

static void on_unsupported(
    struct service *service, const struct peer *peer, const struct message *message)
{
	struct fault fault;

	scheduler_count_refused(service->sched, peer->key);
	fault_set(&fault, WIRE_ERROR_UNSUPPORTED, "%s: not served here",
	    message_kind_word(message->kind));
	refuse(service, peer->id, message->request_id, &fault);
}

static void on_message(void *ctx, wire_peer id, const struct message *message)
{
	struct service *service = ctx;
	const struct peer *peer = find_peer(service, id);

	if (peer == NULL)
		return; /* the wire never lets more in than there are places */
	switch (message->kind) {
	case MESSAGE_GENERATE:
		if (!is_full(service, peer, message->request_id))
			on_generate(service, peer, message);
		break;
	case MESSAGE_TOKENIZE:
	case MESSAGE_EMBED:
	case MESSAGE_PLAN_REQUEST:
	case MESSAGE_ADAPTER_PUT:
		if (!is_full(service, peer, message->request_id))
			on_desk_request(service, peer, message);
		break;
	case MESSAGE_CANCEL:
		scheduler_cancel(service->sched, id, message->request_id);
		break;
	case MESSAGE_CREDIT:
		scheduler_credit(service->sched, id, message->request_id, message->u.credit);
		break;
	case MESSAGE_LEASE_OPEN:
	case MESSAGE_LEASE_RENEW:
	case MESSAGE_LEASE_CLOSE:
		on_lease(service, peer, message);
		break;
	case MESSAGE_STATS_REQUEST:
		on_stats(service, peer, message->request_id);
		break;
	default:
		on_unsupported(service, peer, message);
		break;
	}
}

static void on_load(void *ctx, struct wire_load *out)
{
	struct service *service = ctx;

	scheduler_get_load(service->sched, out);
}

static void on_capabilities(void *ctx, struct wire_capabilities *out)
{
	struct service *service = ctx;

	out->program = PROGRAM;
	out->numerics_id = service->fleet.n == 0 ? "" : service->fleet.models[0].numerics_id;
	for (size_t i = 0; i < service->fleet.n; i++)
		service->models[i].absent = !atomic_load(&service->fleet.models[i].present);
	out->models = service->models;
	out->models_len = service->fleet.n;
	out->budget_bytes = service->fleet.budget_bytes + service->fleet.device_budget_bytes;
	memcpy(out->boot_id, service->boot_id, WIRE_LEASE_BYTES);
	scheduler_get_load(service->sched, &out->load);
}

static void *run_scheduler(void *arg)
{
	struct service *service = arg;

	process_name_thread("scheduler");
	while (!atomic_load(&service->stopping)) {
		if (service->watch != NULL)
			(void)atomic_fetch_add(&service->watch->pulse, 1);
		if (!scheduler_step(service->sched))
			scheduler_wait(service->sched);
	}
	return NULL;
}

static_assert(WATCH_MODELS_MAX == FLEET_MODELS_MAX, "a place for each model");

/* As the worker before had its models, and as the next one is to have them. */
static enum rc open_fleet(
    struct service *service, const struct service_config *config, struct errmsg *why)
{
	struct fleet_config fleet = config->fleet;
	struct watch *watch = config->watch;
	struct fleet_parted parted[FLEET_MODELS_MAX];

	if (watch == NULL)
		return fleet_open(&fleet, &service->fleet, why);
	for (size_t i = 0; i < FLEET_MODELS_MAX; i++)
		parted[i] = (struct fleet_parted){ .model = atomic_load(&watch->parted[i].model),
			.device_layers = atomic_load(&watch->parted[i].device_layers) };
	fleet.engine.pulse = &watch->pulse;
	fleet.halvings = watch->halvings;
	fleet.parted = parted;
	enum rc rc = fleet_open(&fleet, &service->fleet, why);
	for (size_t i = 0; rc == RC_OK && i < FLEET_MODELS_MAX; i++) {
		const struct served_model *served = &service->fleet.models[i];

		atomic_store(&watch->parted[i].device_layers, 0);
		if (i >= service->fleet.n)
			continue;
		atomic_store(&watch->parted[i].model, fleet_model_id(served->info));
		atomic_store(&watch->parted[i].device_layers, fleet_device_layers(served));
	}
	return rc;
}

static enum rc open_parts(
    struct service *service, const struct service_config *config, struct errmsg *why)
{
	const struct scheduler_config sched = { .fleet = &service->fleet,
		.queue_max = config->queue_max,
		.stall_ns = config->stall_ns,
		.lease_idle_ns = config->lease_idle_ns,
		.lease_idle_max_ns = config->lease_idle_max_ns,
		.short_of_memory = config->watch != NULL ? &config->watch->short_of_memory : NULL,
		.ctx = service,
		.send = send,
		.reply = reply };

	enum rc rc = open_fleet(service, config, why);

	if (rc != RC_OK)
		return rc;
	fleet_describe(&service->fleet, service->models);
	rc = outbox_new(send, service, &service->outbox, why);
	if (rc == RC_OK)
		rc = scheduler_new(&sched, &service->sched, why);
	if (rc == RC_OK)
		rc = desk_open(
		    &service->fleet, service->sched, service->outbox, &service->desk, why);
	if (rc == RC_OK && pthread_create(&service->thread, NULL, run_scheduler, service) != 0)
		rc = errmsg_rc(why, RC_NOMEM, "cannot start the scheduler's thread");
	service->thread_runs = rc == RC_OK;
	return rc;
}

enum rc service_open(const struct service_config *config, struct service **out, struct errmsg *why)
{
	struct service *service = calloc(1, sizeof(*service));
	struct wire_pool pools[FLEET_POOLS_MAX];
	struct wire_server_config wire = { .listen = config->listen,
		.keys = config->keys,
		.allow_path = config->allow_path,
		.heartbeat_ns = config->heartbeat_ns,
		.dead_ns = config->dead_ns,
		.peers_max = SERVICE_PEERS_MAX,
		.peer_queue_max = config->peer_queue_max,
		.pools = pools,
		.ctx = service,
		.on_peer = on_peer,
		.on_message = on_message,
		.on_gone = on_gone,
		.capabilities = on_capabilities,
		.load = on_load };

	if (service == NULL)
		return errmsg_rc(why, RC_NOMEM, "no memory for the service");
	service->start_ns = clock_mono_ns();
	service->watch = config->watch;
	service->waiting_bytes =
	    config->waiting_bytes != 0 ? config->waiting_bytes : FLEET_WAITING_BYTES;
	service->memory_root = config->fleet.memory_root != NULL ? config->fleet.memory_root : "";
	random_bytes(service->boot_id, sizeof(service->boot_id));
	enum rc rc = open_parts(service, config, why);
	if (rc == RC_OK) {
		wire.pools_len = fleet_pools(&service->fleet, pools);
		rc = wire_server_open(&wire, &service->wire, why);
	}
	if (rc != RC_OK) {
		service_close(service);
		return rc;
	}
	service->heap_at_start = heap_used();
	atomic_store(&service->server, service->wire);
	*out = service;
	return RC_OK;
}

void service_close(struct service *service)
{
	if (service == NULL)
		return;
	atomic_store(&service->stopping, true);
	if (service->thread_runs) {
		scheduler_wake(service->sched);
		(void)pthread_join(service->thread, NULL);
	}
	desk_stop(service->desk);
	/* Nobody sends any more; the wire's callbacks still use desk and
	 * scheduler until it is closed. */
	if (service->wire != NULL)
		wire_server_close(service->wire);
	desk_close(service->desk);
	scheduler_free(service->sched);
	outbox_free(service->outbox);
	fleet_close(&service->fleet);
	wipe(service, sizeof(*service));
	free(service);
}

const char *service_address(const struct service *service)
{
	return wire_server_address(service->wire);
}

const struct fleet *service_fleet(const struct service *service)
{
	return &service->fleet;
}
