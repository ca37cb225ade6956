/*
 * Models on a device: how much of its memory there is, and which layers stand there.  Those
 * that a worker left to the CPU the next one leaves there too, since the same answer takes
 * the same bits.
 */
#include "serve/fleet.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "os/memory.h"
#include "os/process.h"

#define LOOK_NS (100 * NS_PER_MS)

/* All but `reserve_bytes` of what is free. */
static uint64_t free_bytes(
    const struct backend_api *api, unsigned device, const char *memory_root, uint64_t reserve_bytes)
{
	const char *root = memory_root != NULL ? memory_root : "";
	struct memory_figures figures;
	struct backend_info info;
	struct backend *b = NULL;
	uint64_t bytes, reserve;

	if (api->open(device, &b, NULL) != RC_OK)
		return 0;
	api->info(b, &info);
	api->close(b);
	bytes = info.free_bytes > reserve_bytes ? info.free_bytes - reserve_bytes : 0;
	if (!info.unified)
		return bytes;
	if (memory_read(root, &figures, NULL) != RC_OK)
		return 0;
	reserve = info.total_bytes / 10 > FLEET_UNIFIED_RESERVE_BYTES ? info.total_bytes / 10
								      : FLEET_UNIFIED_RESERVE_BYTES;
	reserve = figures.available_bytes > reserve ? figures.available_bytes - reserve : 0;
	return reserve < bytes ? reserve : bytes;
}

uint64_t fleet_device_bytes(const struct backend_api *api, unsigned device, const char *memory_root)
{
	return free_bytes(api, device, memory_root, FLEET_DEVICE_RESERVE_BYTES);
}

/* Of so many bytes, what the operator lets be taken. */
static uint64_t allowed(const struct fleet_config *config, uint64_t bytes)
{
	if (config->device_bytes != 0 && config->device_bytes < bytes)
		bytes = config->device_bytes;
	return config->budget_bytes != 0 && config->budget_bytes < bytes ? config->budget_bytes
									 : bytes;
}

static uint64_t budget_of(const struct fleet_config *config, uint64_t reserve_bytes)
{
	const struct engine_config *engine = &config->engine;

	return allowed(config,
	    free_bytes(engine->backend, engine->device, config->memory_root, reserve_bytes));
}

uint64_t fleet_device_budget(const struct fleet_config *config)
{
	return config->engine.backend != NULL ? budget_of(config, FLEET_DEVICE_RESERVE_BYTES) : 0;
}

uint64_t fleet_device_room(const struct engine_config *config, uint64_t asked)
{
	uint64_t bytes = UINT64_MAX;

	if (config->backend != NULL)
		bytes = fleet_device_bytes(config->backend, config->device, NULL);
	return asked != 0 && asked < bytes ? asked : bytes;
}

enum rc fleet_check_device(const struct engine_config *config, const struct engine_plan *plan,
    uint64_t asked, struct errmsg *why)
{
	if (config->backend == NULL || asked == 0 || fleet_plan_bytes(plan) <= asked)
		return RC_OK;
	return errmsg_rc(why, RC_BUDGET,
	    "%" PRIu64 " bytes of the device's memory are needed, however many layers the CPU "
	    "computes",
	    fleet_plan_bytes(plan));
}

static bool fits_with(const struct model *model, const struct engine_config *config,
    uint32_t n_host_layers, uint64_t room_bytes)
{
	struct engine_config tried = *config;
	struct engine_plan plan;

	tried.n_host_layers = n_host_layers;
	return fleet_plan(model, &tried, &plan, NULL) == RC_OK &&
	       fleet_plan_bytes(&plan) <= room_bytes;
}

/* Moving layers from one memory to the same one gives no room. */
static bool is_unified(const struct engine_config *config)
{
	struct backend_info info = { .unified = false };
	struct backend *b = NULL;

	if (config->backend->open(config->device, &b, NULL) != RC_OK)
		return false;
	config->backend->info(b, &info);
	config->backend->close(b);
	return info.unified;
}

/* As few of the first layers as the device has no room for. */
static uint32_t count_host_layers(
    const struct model *model, const struct engine_config *config, uint64_t room_bytes)
{
	uint32_t low = 1, high = model_info(model)->n_layer - 1; /* high fits */

	if (high == 0 || !fits_with(model, config, high, room_bytes) || is_unified(config))
		return 0;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (fits_with(model, config, middle, room_bytes))
			high = middle;
		else
			low = middle + 1;
	}
	return high;
}

enum rc fleet_choose(const struct model *model, bool optional, struct engine_config *config,
    uint64_t room_bytes, struct engine_plan *plan, struct errmsg *gave_way, struct errmsg *why)
{
	struct errmsg cause = ERRMSG_INIT;
	enum rc rc = fleet_plan(model, config, plan, &cause);

	if (rc == RC_UNSUPPORTED && config->backend != NULL && optional) {
		errmsg_set(gave_way, "%s", cause.text);
		config->backend = NULL;
		return fleet_plan(model, config, plan, why);
	}
	if (rc == RC_OK && config->backend != NULL && fleet_plan_bytes(plan) > room_bytes) {
		config->n_host_layers = count_host_layers(model, config, room_bytes);
		rc = fleet_plan(model, config, plan, &cause);
	}
	return rc == RC_OK ? rc : errmsg_rc(why, rc, "%s", errmsg_text(&cause, rc));
}

/* Of a budget of the device, beside the models before. */
static uint64_t room_of(
    const struct fleet *fleet, const struct served_model *served, uint64_t budget_bytes)
{
	uint64_t room = budget_bytes;

	for (const struct served_model *before = fleet->models; before < served; before++) {
		uint64_t own = before->config.backend != NULL ? fleet_own_bytes(before) : 0;

		room = own < room ? room - own : 0;
	}
	return room;
}

uint64_t fleet_model_id(const struct model_info *info)
{
	uint64_t id;

	memcpy(&id, info->content_hash, sizeof(id));
	return hash_bytes(id, info->name, strlen(info->name)); /* two tunings, one header */
}

uint32_t fleet_device_layers(const struct served_model *served)
{
	return served->config.backend != NULL ? served->info->n_layer - served->config.n_host_layers
					      : 0;
}

/*
 * A worker that ended may still have its memory there, and other programs' shares change a
 * little: what was there before is waited for, and may take half of the reserve.  Not what
 * the operator allows no more, nor when all is to stop.
 */
static bool comes_back(struct fleet *fleet, const struct fleet_config *config,
    const struct served_model *served, uint32_t n_host_layers)
{
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	uint64_t most = room_of(fleet, served, allowed(config, UINT64_MAX));

	if (!fits_with(served->model, &served->config, n_host_layers, most))
		return false;
	for (;;) {
		uint64_t budget = budget_of(config, FLEET_DEVICE_RESERVE_BYTES / 2);

		fleet->device_budget_bytes = budget;
		if (fits_with(served->model, &served->config, n_host_layers,
			room_of(fleet, served, budget)))
			return true;
		if (clock_mono_ns() >= fleet->device_until_ns || process_stopping())
			break;
		(void)nanosleep(&pause, NULL);
	}
	fleet->device_budget_bytes = fleet_device_budget(config);
	return false;
}

/* `before`: layers that the worker before left to the device; 0: none. */
static enum rc choose(struct fleet *fleet, const struct fleet_config *config,
    struct served_model *served, uint32_t before, struct errmsg *why)
{
	struct errmsg gave_way = ERRMSG_INIT;
	uint32_t n_layer = served->info->n_layer;
	enum rc rc;

	if (served->config.backend != NULL && before > 0 && before <= n_layer &&
	    comes_back(fleet, config, served, n_layer - before)) {
		served->config.n_host_layers = n_layer - before;
		return fleet_plan(served->model, &served->config, &served->plan, why);
	}
	rc = fleet_choose(served->model, config->backend_optional, &served->config,
	    room_of(fleet, served, fleet->device_budget_bytes), &served->plan, &gave_way, why);
	if (gave_way.text[0] != '\0')
		log_warn("FLEET-BACKEND", "model=%s the CPU computes it: %s", served->info->name,
		    gave_way.text);
	return rc;
}

static uint32_t layers_before(const struct fleet_config *config, const struct model_info *info)
{
	for (size_t i = 0; config->parted != NULL && i < FLEET_MODELS_MAX; i++) {
		if (config->parted[i].device_layers > 0 &&
		    config->parted[i].model == fleet_model_id(info))
			return config->parted[i].device_layers;
	}
	return 0;
}

enum rc fleet_part_layers(struct fleet *fleet, const struct fleet_config *config,
    struct served_model *served, struct errmsg *why)
{
	const uint32_t before = layers_before(config, served->info);
	enum rc rc = choose(fleet, config, served, before, why);
	uint32_t n_host = served->config.n_host_layers;

	if (rc != RC_OK)
		return rc;
	if (n_host > 0)
		log_warn("FLEET-SHARED",
		    "model=%s the CPU computes the first %" PRIu32 " of %" PRIu32 " layers: %s",
		    served->info->name, n_host, served->info->n_layer,
		    fleet_device_layers(served) == before ? "as before"
							  : "the device has no room for them");
	if (before > 0 && fleet_device_layers(served) != before)
		log_warn("FLEET-PARTED-ANEW",
		    "model=%s the device has room for %" PRIu32 " layers, and had it for %" PRIu32
		    ": other bits from here on",
		    served->info->name, fleet_device_layers(served), before);
	return RC_OK;
}
