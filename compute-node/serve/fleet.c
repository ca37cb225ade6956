/* Opening models, the sum of their plans, and what would fit. */
#include "serve/fleet.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "grammar/vocab.h"
#include "os/memory.h"
#include "serve/prompt.h"
#include "serve/scheduler.h"
#include "serve/tool_format.h"

#define CONTEXT_STEP 64
#define CONTEXT_SHRUNK_MIN 512u
#define CONTEXT_MAX ((uint64_t)1 << 24)
#define SEQUENCES_MAX 256
#define ADAPTERS_AUTO_SHARE 8 /* of a model's weights */
#define POOL_SMALL 1024
#define POOL_SMALL_BYTES ((size_t)1024)
#define POOL_LARGE_BYTES_MIN ((size_t)32 << 10) /* a token with all its logprobs */

static const char *const cache_words[] = {
	[CACHE_F16] = "f16",
	[CACHE_F32] = "f32",
	[CACHE_Q8_0] = "q8_0",
};

const char *fleet_cache_word(enum cache_type cache)
{
	return cache_words[cache];
}

int fleet_cache_parse(const char *word)
{
	for (int i = 0; i < (int)(sizeof(cache_words) / sizeof(cache_words[0])); i++) {
		if (strcmp(word, cache_words[i]) == 0)
			return i;
	}
	return -1;
}

uint64_t fleet_plan_bytes(const struct engine_plan *plan)
{
	return plan->weights_bytes + plan->cache_bytes + plan->scratch_bytes + plan->graph_bytes +
	       plan->message_bytes;
}

uint64_t fleet_host_bytes(const struct engine_plan *plan)
{
	return plan->host_weights_bytes + plan->host_bytes;
}

uint64_t fleet_spare_bytes(const char *memory_root)
{
	const char *root = memory_root != NULL ? memory_root : "";
	struct memory_figures figures;
	uint64_t spare = memory_group_room(root);
	uint64_t address = memory_address_room();

	spare = address < spare ? address : spare;
	if (memory_read(root, &figures, NULL) != RC_OK)
		return spare;
	uint64_t host = figures.available_bytes > FLEET_RESERVE_BYTES
			    ? figures.available_bytes - FLEET_RESERVE_BYTES
			    : 0;
	return host < spare ? host : spare;
}

uint32_t fleet_context(const struct model_info *info, uint32_t n_ctx)
{
	if (n_ctx != 0)
		return n_ctx;
	return info->n_ctx_train < ENGINE_CTX_DEFAULT_MAX ? info->n_ctx_train
							  : ENGINE_CTX_DEFAULT_MAX;
}

/* After memory ran short: a plan that takes less. */
static void shrink(struct engine_config *config, const struct model_info *info, unsigned halvings)
{
	if (halvings == 0)
		return;
	uint32_t n_ctx = fleet_context(info, config->n_ctx);
	uint32_t less = n_ctx >> halvings;

	config->n_ctx = less >= CONTEXT_SHRUNK_MIN   ? less
			: n_ctx < CONTEXT_SHRUNK_MIN ? n_ctx
						     : CONTEXT_SHRUNK_MIN;
}

const struct served_model *fleet_find(const struct fleet *fleet, const char *name)
{
	for (size_t i = 0; i < fleet->n; i++) {
		if (strcmp(fleet->models[i].info->name, name) == 0)
			return &fleet->models[i];
	}
	return NULL;
}

/* The sorted vocabulary, which answers that are constrained share. */
static uint64_t constraint_bytes(const struct model *model)
{
	const struct model_info *info = model_info(model);

	return info->causal && model_tokenizer(model) != NULL
		   ? (uint64_t)info->n_vocab * VOCAB_PLAN_BYTES
		   : 0;
}

uint64_t fleet_kept_bytes(const struct model *model)
{
	return model_info(model)->tables_bytes + constraint_bytes(model);
}

static const struct wire_pool small_pool = { .n = POOL_SMALL, .bytes = POOL_SMALL_BYTES };

/* A prompt's ids take five bytes at most. */
static struct wire_pool large_pool(const struct engine_config *config)
{
	return (struct wire_pool){ .n = config->n_seq,
		.bytes = POOL_LARGE_BYTES_MIN + (size_t)config->n_ctx * 5 };
}

size_t fleet_pools(const struct fleet *fleet, struct wire_pool out[FLEET_POOLS_MAX])
{
	size_t n = 0;

	out[n++] = small_pool;
	for (size_t i = 0; i < fleet->n; i++) {
		struct wire_pool pool = large_pool(&fleet->models[i].config);
		size_t at = n++;

		for (; at > 1 && out[at - 1].bytes > pool.bytes; at--)
			out[at] = out[at - 1];
		out[at] = pool;
	}
	return n;
}

enum rc fleet_plan(const struct model *model, const struct engine_config *config,
    struct engine_plan *out, struct errmsg *why)
{
	struct engine_config resolved;
	enum rc rc = engine_plan(model, config, out, why);

	out->message_bytes = 0;
	if (rc == RC_OK)
		rc = engine_resolve(model, config, &resolved, why);
	if (rc != RC_OK || resolved.backend != NULL)
		return rc;
	const struct wire_pool pools[] = { small_pool, large_pool(&resolved) };
	out->scratch_bytes +=
	    scheduler_lane_bytes(model_info(model), &resolved) + constraint_bytes(model);
	out->message_bytes = wire_server_pool_bytes(pools, 2) + FLEET_REQUESTS_BYTES;
	return RC_OK;
}

uint32_t fleet_largest_context(const struct model *model, const struct engine_config *config,
    uint32_t n_ctx_max, uint64_t room_bytes)
{
	uint32_t low = 0, high = n_ctx_max / CONTEXT_STEP; /* in steps; low fits */

	while (low < high) {
		uint32_t middle = low + (high - low + 1) / 2;
		struct engine_config tried = *config;
		struct engine_plan plan;

		tried.n_ctx = middle * CONTEXT_STEP;
		if (fleet_plan(model, &tried, &plan, NULL) == RC_OK &&
		    fleet_plan_bytes(&plan) <= room_bytes)
			low = middle;
		else
			high = middle - 1;
	}
	return low * CONTEXT_STEP;
}

/* A template we cannot run is no reason not to serve: the plain one stands in. */
static void open_template(struct served_model *served)
{
	const char *source = served->info->chat_template;

	served->tool_format = "";
	served->hold = tool_hold_of("", source);
	if (source == NULL || served->tokenizer == NULL)
		return;
	if (template_compile(source, strlen(source), &served->template, &served->template_why) !=
	    RC_OK)
		served->template = NULL;
	else
		served->tool_format = tool_format_of(source);
	served->hold = tool_hold_of(served->tool_format, source);
}

const char *fleet_template_name(const struct served_model *model)
{
	return model->template != NULL ? PROMPT_GGUF : PROMPT_PLAIN;
}

static enum rc open_model(
    struct fleet *fleet, const char *path, const struct fleet_config *config, struct errmsg *why)
{
	struct served_model *served = &fleet->models[fleet->n];
	struct errmsg cause = ERRMSG_INIT;
	enum rc rc = model_open(path, &served->model, &cause);

	if (rc != RC_OK)
		return errmsg_rc(why, rc == RC_NOTFOUND ? RC_CONFIG : rc, "model %.120s: %s", path,
		    errmsg_text(&cause, rc));
	fleet->n++; /* from here on fleet_close() sees it */
	served->info = model_info(served->model);
	served->tokenizer = model_tokenizer(served->model);
	served->kept_bytes = fleet_kept_bytes(served->model);
	open_template(served);
	if (served->tokenizer != NULL && served->info->causal)
		rc = vocab_new(served->tokenizer, served->info->n_vocab, &served->vocab);
	if (rc != RC_OK)
		return errmsg_rc(
		    why, rc, "model %.120s: no memory for its sorted vocabulary", path);
	served->config = config->engine;
	served->config.adapters = served->info->causal && config->adapter_bytes != 0;
	shrink(&served->config, served->info, config->halvings);
	if (fleet_find(fleet, served->info->name) != served)
		return errmsg_rc(why, RC_CONFIG, "two models are called %s", served->info->name);
	rc = fleet_part_layers(fleet, config, served, why);
	if (rc == RC_OK)
		rc = engine_resolve(served->model, &served->config, &served->config, why);
	served->cache_type = fleet_cache_word(served->config.cache);
	return rc;
}

/* Alone, beside what is taken for certain. */
static enum rc check_budget(const struct fleet *fleet, const struct served_model *served,
    uint32_t n_ctx, struct errmsg *why)
{
	const struct engine_config *engine = &served->config;
	uint64_t whole = fleet_plan_bytes(&served->plan), own = fleet_own_bytes(served);
	uint64_t room = fleet_room_bytes(fleet, served);

	if (own <= room)
		return RC_OK;
	room += whole - own;
	uint32_t fits = fleet_largest_context(
	    served->model, engine, n_ctx == 0 ? served->info->n_ctx_train : n_ctx, room);
	if (fits == 0)
		return errmsg_rc(why, RC_BUDGET,
		    "%s needs %" PRIu64 " bytes (weights %" PRIu64 "), %" PRIu64
		    " are left of the budget: no context fits",
		    served->info->name, whole, served->plan.weights_bytes, room);
	return errmsg_rc(why, RC_BUDGET,
	    "%s needs %" PRIu64 " bytes, %" PRIu64 " are left of the budget: --context %" PRIu32
	    " would fit",
	    served->info->name, whole, room, fits);
}

uint64_t fleet_adapter_bytes(const struct model_info *info, uint64_t room_bytes)
{
	uint64_t bytes = info->weights_bytes / ADAPTERS_AUTO_SHARE;

	bytes = bytes < FLEET_ADAPTERS_AUTO_MAX ? bytes : FLEET_ADAPTERS_AUTO_MAX;
	return bytes < room_bytes ? bytes : room_bytes;
}

/* Beside the models that are to be present at first, and any one alone; not without one
 * that takes adapters. */
static enum rc plan_adapters(
    struct fleet *fleet, uint64_t first, uint64_t asked, struct errmsg *why)
{
	uint64_t room = UINT64_MAX, most = 0, fixed = fleet->planned_bytes;
	bool any = false;

	for (size_t i = 0; i < fleet->n; i++) {
		const struct served_model *served = &fleet->models[i];
		uint64_t own = fleet_own_bytes(served),
			 bytes = fleet_adapter_bytes(served->info, room);

		if (served->config.backend != NULL)
			continue;
		first = own > first ? own : first;
		any = any || served->config.adapters;
		most = served->config.adapters && bytes > most ? bytes : most;
	}
	if (!any)
		return RC_OK;
	room = fleet->budget_bytes - fixed - first;
	if (asked == FLEET_ADAPTERS_AUTO)
		asked = most < room ? most : room;
	if (asked > room)
		return errmsg_rc(why, RC_BUDGET,
		    "an adapter space of %" PRIu64 " bytes, %" PRIu64
		    " are left of the budget beside the models",
		    asked, room);
	fleet->adapter_bytes = asked;
	fleet->planned_bytes += asked;
	return RC_OK;
}

/* Which models are there at first: in their order, as many as fit.  `first`: what those
 * of the host's memory take.  Models of a device all have to be: a confined worker can
 * take no memory there later, and give none back. */
static enum rc choose_present(
    const struct fleet *fleet, bool chosen[FLEET_MODELS_MAX], uint64_t *first, struct errmsg *why)
{
	uint64_t device = 0;

	*first = 0;
	for (size_t i = 0; i < fleet->n; i++) {
		const struct served_model *served = &fleet->models[i];
		uint64_t *taken = served->config.backend != NULL ? &device : first;
		uint64_t own = fleet_own_bytes(served);
		uint64_t room = fleet_room_bytes(fleet, served) - *taken;

		chosen[i] = own <= room;
		if (chosen[i])
			*taken += own;
		else if (served->config.backend != NULL)
			return errmsg_rc(why, RC_BUDGET,
			    "%s needs %" PRIu64 " bytes, %" PRIu64
			    " are left of the device's budget beside the models before it: models "
			    "that a device computes do not change places",
			    served->info->name, own, room);
		else
			log_info("FLEET-ABSENT", "model=%s needs_bytes=%" PRIu64,
			    served->info->name, own);
	}
	return RC_OK;
}

static enum rc plan_all(struct fleet *fleet, const struct fleet_config *config,
    bool chosen[FLEET_MODELS_MAX], struct errmsg *why)
{
	struct wire_pool pools[FLEET_POOLS_MAX];
	uint64_t first = 0;
	enum rc rc = RC_OK;

	fleet->message_bytes =
	    wire_server_pool_bytes(pools, fleet_pools(fleet, pools)) + FLEET_REQUESTS_BYTES;
	fleet->planned_bytes = fleet->message_bytes;
	for (size_t i = 0; i < fleet->n; i++) {
		const struct served_model *served = &fleet->models[i];

		uint64_t host = fleet_host_bytes(&served->plan);

		fleet->planned_bytes += served->config.backend == NULL ? served->kept_bytes : host;
		if (host > 0 && fleet->planned_bytes > fleet->budget_bytes)
			return errmsg_rc(why, RC_BUDGET,
			    "%s: the layers that the CPU would compute take %" PRIu64
			    " bytes of the host's memory, which are not left of the budget",
			    served->info->name, host);
	}
	for (size_t i = 0; i < fleet->n && rc == RC_OK; i++)
		rc = check_budget(fleet, &fleet->models[i], config->engine.n_ctx, why);
	if (rc == RC_OK)
		rc = choose_present(fleet, chosen, &first, why);
	if (rc != RC_OK)
		return rc;
	return plan_adapters(fleet, first, config->adapter_bytes, why);
}

enum rc fleet_open(const struct fleet_config *config, struct fleet *out, struct errmsg *why)
{
	enum rc rc = RC_OK;

	const uint64_t spare = fleet_spare_bytes(config->memory_root);
	const uint64_t asked = config->budget_bytes;

	bool chosen[FLEET_MODELS_MAX] = { false };

	*out = (struct fleet){ .budget_bytes = asked != 0 && asked < spare ? asked : spare };
	out->device_budget_bytes = fleet_device_budget(config);
	out->device_until_ns =
	    clock_mono_ns() +
	    (config->device_wait_ns != 0 ? config->device_wait_ns : FLEET_DEVICE_WAIT_NS);
	if (config->paths_len > FLEET_MODELS_MAX)
		return errmsg_rc(why, RC_CONFIG, "more than %zu models", FLEET_MODELS_MAX);
	for (size_t i = 0; i < config->paths_len && rc == RC_OK; i++)
		rc = open_model(out, config->paths[i], config, why);
	if (rc == RC_OK)
		rc = plan_all(out, config, chosen, why);
	for (size_t i = 0; i < out->n && rc == RC_OK; i++) {
		if (chosen[i])
			rc = fleet_bring_in(out, &out->models[i], why);
	}
	if (rc != RC_OK)
		fleet_close(out);
	return rc;
}

void fleet_close(struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->n; i++) {
		if (fleet->models[i].engine != NULL)
			engine_free(fleet->models[i].engine);
		template_free(fleet->models[i].template);
		vocab_free(fleet->models[i].vocab);
		model_close(fleet->models[i].model);
	}
	*fleet = (struct fleet){ .n = 0 };
}

enum rc fleet_answer_plan(const struct fleet *fleet, const struct wire_plan_request *request,
    struct wire_plan *out, struct errmsg *why)
{
	const struct served_model *served = fleet_find(fleet, request->model);
	struct engine_plan plan;

	if (served == NULL)
		return errmsg_rc(why, RC_NOTFOUND, "no such model here");
	if (request->context > CONTEXT_MAX)
		return errmsg_rc(why, RC_LIMIT, "context: over %" PRIu64, CONTEXT_MAX);
	if (request->parallel > SEQUENCES_MAX)
		return errmsg_rc(why, RC_LIMIT, "parallel: over %d", SEQUENCES_MAX);
	struct engine_config config = served->config;
	if (request->context != 0)
		config.n_ctx = (uint32_t)request->context;
	if (request->parallel != 0)
		config.n_seq = request->parallel;
	enum rc rc = fleet_plan(served->model, &config, &plan, why);
	if (rc != RC_OK)
		return rc;
	bool on_device = served->config.backend != NULL;
	uint64_t budget = on_device ? fleet->device_budget_bytes : fleet->budget_bytes;
	uint64_t own = fleet_own_bytes(served);
	uint64_t room = fleet_room_bytes(fleet, served) + fleet_plan_bytes(&served->plan) - own;

	if (atomic_load(&served->present))
		room += own;

	*out = (struct wire_plan){ .weights_bytes = plan.weights_bytes,
		.cache_bytes = plan.cache_bytes,
		.scratch_bytes = plan.scratch_bytes + plan.graph_bytes + plan.message_bytes,
		.total_bytes = fleet_plan_bytes(&plan),
		.budget_bytes = budget };
	out->fits =
	    out->total_bytes <= room &&
	    (!on_device || atomic_load(&fleet->planned_bytes) - fleet_host_bytes(&served->plan) +
				   fleet_host_bytes(&plan) <=
			       fleet->budget_bytes);
	out->largest_context =
	    fleet_largest_context(served->model, &config, served->info->n_ctx_train, room);
	return RC_OK;
}

void fleet_describe(const struct fleet *fleet, struct wire_model out[FLEET_MODELS_MAX])
{
	for (size_t i = 0; i < fleet->n; i++) {
		const struct served_model *served = &fleet->models[i];

		out[i] = (struct wire_model){ .name = served->info->name,
			.architecture = served->info->architecture,
			.context = served->config.n_ctx,
			.parameters = served->info->parameters,
			.weights_bytes = served->info->weights_bytes,
			.chat = served->info->causal,
			.embed = served->info->pools,
			.chat_template = fleet_template_name(served),
			.cache_type = served->cache_type,
			.constrains = served->vocab != NULL && served->vocab->whole,
			.tool_format = served->tool_format,
			.holds_calls = served->vocab != NULL && served->vocab->whole,
			.absent = !atomic_load(&served->present),
			.embedding_length = served->info->n_embd };
		memcpy(out[i].content_hash, served->info->content_hash, WIRE_HASH_BYTES);
	}
}
