/*
 * `compute-node plan`: what a model will take, from its header alone, and
 * whether that fits the budget.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backend/load.h"
#include "cli/cli_args.h"
#include "cli/commands.h"
#include "infer/engine.h"
#include "model/model.h"
#include "serve/fleet.h"

#define CONTEXT_MAX (1 << 22)

struct plan_options {
	int64_t context, parallel, threads, ubatch;
	uint64_t budget, device_memory;
	const char *cache, *backend, *adapter_space;
	bool json;
};

#define AT(field) offsetof(struct plan_options, field)

static const struct conf_option options[] = {
	{ "context", 'c', CONF_INT, AT(context), "N", "0", 0, CONTEXT_MAX, true,
	    "tokens a sequence may hold; 0: what the model was made for, at most 8192" },
	{ "parallel", 0, CONF_INT, AT(parallel), "N", "1", 1, 1024, true,
	    "sequences held at once" },
	{ "budget", 0, CONF_BYTES, AT(budget), "BYTES", "0", 0, 0, true,
	    "bytes that may be taken; 0: what this machine or its device has to spare" },
	{ "device-memory", 0, CONF_BYTES, AT(device_memory), "BYTES", "0", 0, 0, true,
	    "bytes of its device that a backend may take, 0: what is free; the CPU computes the "
	    "first layers where not all find room" },
	{ "cache-type", 0, CONF_STRING, AT(cache), "TYPE", "f16", 0, 0, true,
	    "numbers in the KV cache: f16, f32 or q8_0" },
	{ "ubatch", 0, CONF_INT, AT(ubatch), "N", "0", 0, 4096, true,
	    "prompt tokens computed at once; 0: 256, or 2048 on a device" },
	{ "threads", 't', CONF_INT, AT(threads), "N", "0", 0, 256, true, "threads; 0: all cores" },
	{ "adapter-space", 0, CONF_STRING, AT(adapter_space), "auto|BYTES", "auto", 0, 0, true,
	    "memory for adapters of leases; auto: an eighth of the weights, at most 256M, as far "
	    "as it is left; 0: none are taken" },
	{ "backend", 0, CONF_STRING, AT(backend), "NAME", "auto", 0, 0, true,
	    "what computes: auto, cpu, cuda, or the path of a library" },
	{ "json", 0, CONF_BOOL, AT(json), NULL, "false", 0, 0, true, "print one JSON object" },
	{ 0 },
};

static const struct conf_command command = { "plan", "MODEL", 1, 1,
	"what a model would take, and whether it fits",
	"Reads the header only.  Exit code 5 if it does not fit.", options };

struct verdict {
	struct engine_config config; /* n_ctx resolved */
	struct engine_plan plan;
	uint64_t adapters, total, budget;
	uint32_t largest; /* context that fits */
	bool fits;
};

/* Beside the model, as in fleet_open(); returns what is left to the model. */
static uint64_t plan_adapters(const struct model_info *info, struct verdict *v)
{
	uint64_t room = v->budget > v->total ? v->budget - v->total : 0;

	if (!v->config.adapters || v->config.backend != NULL)
		v->adapters = 0;
	if (v->adapters == FLEET_ADAPTERS_AUTO) { /* what the model leaves */
		v->adapters = fleet_adapter_bytes(info, room);
		return v->budget;
	}
	return v->budget > v->adapters ? v->budget - v->adapters : 0;
}

static enum rc decide(const struct model *model, const struct backend_api *backend,
    const struct plan_options *o, struct verdict *v, struct errmsg *why)
{
	const struct model_info *info = model_info(model);
	uint64_t room;
	enum rc rc;

	v->config = (struct engine_config){ .n_ctx = (uint32_t)o->context,
		.n_seq = (uint32_t)o->parallel,
		.n_ubatch = (uint32_t)o->ubatch,
		.n_threads = (uint32_t)o->threads,
		.cache = (enum cache_type)fleet_cache_parse(o->cache),
		.backend = backend };
	v->config.n_ctx = fleet_context(info, v->config.n_ctx);
	v->config.adapters = info->causal && v->adapters != 0;
	room = o->budget;
	if (room == 0 || (o->device_memory != 0 && o->device_memory < room))
		room = o->device_memory;
	room = fleet_device_room(&v->config, room);
	rc = fleet_choose(
	    model, strcmp(o->backend, "auto") == 0, &v->config, room, &v->plan, NULL, why);
	if (rc != RC_OK)
		return rc;
	v->total = fleet_plan_bytes(&v->plan);
	v->budget = v->config.backend != NULL ? room
		    : o->budget != 0          ? o->budget
					      : fleet_spare_bytes(NULL);
	v->largest =
	    fleet_largest_context(model, &v->config, info->n_ctx_train, plan_adapters(info, v));
	v->total += v->adapters;
	v->fits = v->total <= v->budget &&
		  fleet_host_bytes(&v->plan) <=
		      (o->budget != 0 ? (uint64_t)o->budget : fleet_spare_bytes(NULL));
	return RC_OK;
}

/* Of message_bytes: what is not taken at start. */
static uint64_t request_bytes(const struct verdict *v)
{
	return v->plan.message_bytes != 0 ? FLEET_REQUESTS_BYTES : 0;
}

static void print_json(const struct model_info *info, const struct verdict *v)
{
	(void)printf("{\"architecture\":\"%s\",\"context\":%" PRIu32 ",\"parallel\":%" PRIu32
		     ",\"cache_type\":\"%s\",\"weights_bytes\":%" PRIu64 ",\"cache_bytes\":%" PRIu64
		     ",\"scratch_bytes\":%" PRIu64 ",\"graph_bytes\":%" PRIu64
		     ",\"message_bytes\":%" PRIu64 ",\"request_bytes\":%" PRIu64
		     ",\"adapter_bytes\":%" PRIu64 ",\"host_layers\":%" PRIu32
		     ",\"host_weights_bytes\":%" PRIu64 ",\"host_bytes\":%" PRIu64
		     ",\"total_bytes\":%" PRIu64 ",\"budget_bytes\":%" PRIu64
		     ",\"fits\":%s,\"largest_context\":%" PRIu32 "}\n",
	    info->architecture, v->config.n_ctx, v->config.n_seq, fleet_cache_word(v->config.cache),
	    v->plan.weights_bytes, v->plan.cache_bytes, v->plan.scratch_bytes, v->plan.graph_bytes,
	    v->plan.message_bytes - request_bytes(v), request_bytes(v), v->adapters,
	    v->config.n_host_layers, v->plan.host_weights_bytes, v->plan.host_bytes, v->total,
	    v->budget, v->fits ? "true" : "false", v->largest);
}

static void print_row(const char *name, uint64_t bytes, const char *note)
{
	(void)printf("%-10s %16" PRIu64 "  %9.1f MiB  %s\n", name, bytes,
	    (double)bytes / (1024.0 * 1024.0), note);
}

static void print_table(const struct model_info *info, const struct verdict *v)
{
	(void)printf("%s (%s), context %" PRIu32 ", %" PRIu32 " sequence%s, cache %s\n", info->name,
	    info->architecture, v->config.n_ctx, v->config.n_seq, v->config.n_seq == 1 ? "" : "s",
	    fleet_cache_word(v->config.cache));
	print_row("weights", v->plan.weights_bytes,
	    v->config.backend != NULL ? "on the device" : "mapped from the file");
	print_row("KV cache", v->plan.cache_bytes, "taken at start");
	print_row("scratch", v->plan.scratch_bytes, "taken at start");
	if (v->plan.graph_bytes > 0)
		print_row("graphs", v->plan.graph_bytes, "at most, at start");
	if (v->plan.message_bytes > 0) {
		print_row("messages", v->plan.message_bytes - request_bytes(v), "taken at start");
		print_row("requests", request_bytes(v), "at most, as they come");
	}
	if (v->adapters > 0)
		print_row("adapters", v->adapters, "taken at start");
	print_row("total", v->total, "");
	print_row("budget", v->budget, "");
	if (v->config.n_host_layers > 0) {
		(void)printf("the first %" PRIu32 " of %" PRIu32 " layers on the CPU:\n",
		    v->config.n_host_layers, info->n_layer);
		print_row("weights", v->plan.host_weights_bytes, "mapped from the file");
		print_row("memory", v->plan.host_bytes, "taken at start");
	}
	if (v->fits)
		(void)printf("fits; the largest context that would: %" PRIu32 "\n", v->largest);
	else if (v->largest > 0)
		(void)printf("refused: --context %" PRIu32 " would fit\n", v->largest);
	else
		(void)printf("refused: no context fits\n");
}

int cli_plan(int argc, char **argv)
{
	struct plan_options values = { 0 };
	struct conf_argv args = { 0 };
	struct arena arena;
	struct model *model = NULL;
	const struct backend_api *backend = NULL;
	struct verdict v = { 0 }; /* with the adapter space as it was asked for */
	struct errmsg why = ERRMSG_INIT;
	enum rc rc;
	int code;

	arena_init(&arena, CLI_ARENA_BYTES);
	code = cli_args(&command, argc, argv, &values, &args, &arena);
	if (code != CLI_GO_ON)
		goto out;
	if (fleet_cache_parse(values.cache) < 0) {
		(void)fprintf(stderr, "compute-node plan: --cache-type: f16, f32 or q8_0\n");
		code = EXIT_USAGE;
		goto out;
	}
	if (cli_adapter_space(values.adapter_space, &v.adapters) != RC_OK) {
		(void)fprintf(stderr, "compute-node plan: --adapter-space: auto or bytes\n");
		code = EXIT_USAGE;
		goto out;
	}
	rc = backend_load(values.backend, &backend, &why);
	if (rc == RC_OK) {
		errmsg_reset(&why);
		rc = model_open(args.args[0], &model, &why);
	}
	if (rc == RC_OK)
		rc = decide(model, backend, &values, &v, &why);
	if (rc != RC_OK) {
		code = cli_fail(&command, args.args[0], rc, &why);
		goto out;
	}
	if (values.json)
		print_json(model_info(model), &v);
	else
		print_table(model_info(model), &v);
	code = v.fits ? EXIT_DONE : EXIT_PLAN;
out:
	model_close(model);
	arena_fini(&arena);
	return code;
}
