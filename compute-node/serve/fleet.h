/*
 * Fleet: the models this node serves, those in memory each with its engine, and the
 * memory plan they fit into.
 *
 * Everything is planned before anything is allocated: the sum of all plans must stay
 * within the budget, which is the smaller of the operator's and what the host has to
 * spare.  Models that fit alone, but not beside the ones before them, are absent: file,
 * vocabulary and plan are there, engine and cache come when the model is asked for and
 * others have gone.  Those that a device computes are present all together.  What a plan takes for
 * certain (vocabularies, adapter space, messages) is taken once; the rest of it, a model's own
 * bytes, comes and goes.
 *
 * Immutable after fleet_open(), any thread, but for `present` and `planned`, which any
 * thread reads, and the engines: fleet_bring_in(), fleet_put_out() and all engines belong
 * to the scheduler's thread.
 */
#ifndef SERVE_FLEET_H
#define SERVE_FLEET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h"
#include "base/clock.h"
#include "infer/engine.h"
#include "model/model.h"
#include "serve/tool_format.h"
#include "template/template.h"
#include "wire/message.h"
#include "wire/server.h"

#define FLEET_MODELS_MAX ((size_t)16)
#define FLEET_RESERVE_BYTES ((uint64_t)1536 << 20) /* left to the host */
#define FLEET_DEVICE_RESERVE_BYTES ((uint64_t)1 << 30)
#define FLEET_DEVICE_WAIT_NS (10 * NS_PER_S) /* for memory of a worker that ended */
#define FLEET_UNIFIED_RESERVE_BYTES ((uint64_t)12 << 30)

/*
 * What requests and messages may take of the heap as they come.  Beyond the first figure
 * nothing new is taken; what stands above it then is in the hands of the two threads that
 * read messages: one each, as it came and decoded, within the limits of the wire.
 */
#define FLEET_WAITING_BYTES ((uint64_t)32 << 20)
#define FLEET_REQUESTS_BYTES                                                                       \
	(FLEET_WAITING_BYTES + 2 * ((uint64_t)WIRE_MESSAGE_BYTES_MAX + WIRE_ARENA_BYTES_MAX))
/* Blocks for messages of answers: small ones of all models, large ones of each. */
#define FLEET_POOLS_MAX (1 + FLEET_MODELS_MAX)

#define FLEET_NUMERICS_BYTES 64
#define FLEET_ADAPTERS_AUTO UINT64_MAX
#define FLEET_ADAPTERS_AUTO_MAX ((uint64_t)256 << 20)

struct served_model {
	struct model *model;
	struct engine *engine; /* NULL: absent; the scheduler's */
	atomic_bool present;
	const struct model_info *info;
	const struct tokenizer *tokenizer; /* NULL: no vocabulary */
	struct template *template;         /* NULL: none, or none we can run */
	struct errmsg template_why;        /* in the latter case: why not */
	const char *tool_format;           /* see serve/tool_format.h; "" also without template */
	struct tool_hold hold;
	struct vocab *vocab;                    /* for constraints; NULL: it does not generate */
	char numerics_id[FLEET_NUMERICS_BYTES]; /* as soon as it was present */
	const char *cache_type;                 /* "f16" */
	struct engine_config config;            /* effective */
	uint64_t kept_bytes;                    /* fleet_kept_bytes() */
	struct engine_plan plan;
};

struct fleet {
	struct served_model models[FLEET_MODELS_MAX];
	size_t n;
	/* Of the host's memory and, for models that a backend computes, of its device's. */
	uint64_t budget_bytes, device_budget_bytes;
	atomic_uint_fast64_t planned_bytes, device_planned_bytes;
	int64_t device_until_ns; /* while it is opened: its device's memory is waited for */
	uint64_t adapter_bytes;  /* of planned_bytes: for the adapters of leases */
	uint64_t message_bytes;  /* of planned_bytes: fleet_pools() and FLEET_REQUESTS_BYTES */
};

/* How a worker had parted a model. */
struct fleet_parted {
	uint64_t model;         /* fleet_model_id() */
	uint32_t device_layers; /* fleet_device_layers(); 0: none, or no model */
};

struct fleet_config {
	const char *const *paths; /* [paths_len] */
	size_t paths_len;
	struct engine_config engine; /* zeros: the engine's defaults */
	bool backend_optional;       /* what its backend has no kernels for the CPU computes */
	uint64_t budget_bytes;       /* 0: only what host and device have to spare */
	uint64_t device_bytes;       /* the same of the device alone */
	uint64_t adapter_bytes;      /* FLEET_ADAPTERS_AUTO: see fleet_adapter_bytes() */
	const char *memory_root;     /* see os/memory.h; NULL: "" */
	unsigned halvings;           /* of every context, after memory ran short */
	/* Of the worker before, [FLEET_MODELS_MAX]: layers of a model that is served again are
	 * parted the same way where the device has room for it or comes to have it; NULL: none. */
	const struct fleet_parted *parted;
	int64_t device_wait_ns; /* at most so long for that; 0: FLEET_DEVICE_WAIT_NS */
};

/*
 * Open, plan, allocate; the first model is always present.  RC_CONFIG: a path that is not
 * there, two models of one name; RC_BUDGET: `why` says what was needed, and which context
 * would fit or that a device's models do not fit together; whatever model_open() and engine_new()
 * return.
 */
enum rc fleet_open(
    const struct fleet_config *config, struct fleet *out, struct errmsg *why) RC_CHECK;
void fleet_close(struct fleet *fleet);

/* What of a model of the host stays in memory while it is absent: its vocabulary, also in
 * the order that constrained answers need, and what else its header became. */
uint64_t fleet_kept_bytes(const struct model *model);

/* What a model takes while it is present, and may take now: what is left of its
 * memory's budget. */
uint64_t fleet_own_bytes(const struct served_model *model);
uint64_t fleet_room_bytes(const struct fleet *fleet, const struct served_model *model);

/* Do they take of the same memory, the host's or the device's? */
bool fleet_share_room(const struct served_model *a, const struct served_model *b);

/* An absent model that fits: its engine.  What engine_new() returns; the plan is then as
 * it was.  And back; pages of its file are forgotten. */
enum rc fleet_bring_in(
    struct fleet *fleet, struct served_model *model, struct errmsg *why) RC_CHECK;
void fleet_put_out(struct fleet *fleet, struct served_model *model);

/* What renders this model's chats: "gguf" or "plain". */
const char *fleet_template_name(const struct served_model *model);

/* NULL: no such model. */
const struct served_model *fleet_find(const struct fleet *fleet, const char *name);

/* "f16", "f32", "q8_0" and back; -1 if it is none. */
const char *fleet_cache_word(enum cache_type cache);
int fleet_cache_parse(const char *word);

uint64_t fleet_plan_bytes(const struct engine_plan *plan);
/* Of the host's memory, for the layers of a device's model that the CPU computes: weights,
 * which it maps and must not have to read again for each token, and what is taken. */
uint64_t fleet_host_bytes(const struct engine_plan *plan);

/* engine_plan(), with what serving takes besides: rows and logits in scratch_bytes, and
 * in message_bytes the pools that messages of answers come from and
 * FLEET_REQUESTS_BYTES.  Nothing of that where a backend computes: it is not the device's. */
enum rc fleet_plan(const struct model *model, const struct engine_config *config,
    struct engine_plan *out, struct errmsg *why) RC_CHECK;

/* The largest n_ctx (a multiple of 64, at most `n_ctx_max`) with which the plan
 * stays within `room_bytes`; 0: none. */
uint32_t fleet_largest_context(const struct model *model, const struct engine_config *config,
    uint32_t n_ctx_max, uint64_t room_bytes);

/* Answer a PlanRequest: what the model would take with that context and so
 * many sequences, beside the other models.  RC_NOTFOUND: no such model. */
enum rc fleet_answer_plan(const struct fleet *fleet, const struct wire_plan_request *request,
    struct wire_plan *out, struct errmsg *why) RC_CHECK;

/* The blocks that messages of answers need: tokens are small, Started has the prompt's
 * ids.  The smallest first; returns how many sizes there are. */
size_t fleet_pools(const struct fleet *fleet, struct wire_pool out[FLEET_POOLS_MAX]);

/* The Model entries of Capabilities; strings live as long as the fleet. */
void fleet_describe(const struct fleet *fleet, struct wire_model out[FLEET_MODELS_MAX]);

/* What this process may plan with: the host's available memory less
 * FLEET_RESERVE_BYTES, at most what limits on its control groups and its address
 * space leave.  UINT64_MAX: no figure is to be had. */
uint64_t fleet_spare_bytes(const char *memory_root);

/* The same of a backend's device: what its driver calls free less
 * FLEET_DEVICE_RESERVE_BYTES; where device and host share memory, at most what the host
 * has available less the larger of 12 GiB and a tenth of it.  0: no device. */
uint64_t fleet_device_bytes(
    const struct backend_api *backend, unsigned device, const char *memory_root);

/* Of that, what may be taken for a fleet; 0: no backend. */
uint64_t fleet_device_budget(const struct fleet_config *config);

/* Plan a model beside those before it: fleet_choose(), or as many layers on the device as
 * the worker before had there.  Logs what is not as one would have it. */
enum rc fleet_part_layers(struct fleet *fleet, const struct fleet_config *config,
    struct served_model *model, struct errmsg *why) RC_CHECK;

/* Which file it is: of its header, tensor table and name. */
uint64_t fleet_model_id(const struct model_info *info);

/* Layers that the device computes: the last of the model; 0: the CPU has them all. */
uint32_t fleet_device_layers(const struct served_model *model);

/* Of fleet_device_bytes(), what may be taken: `asked` at most; 0: all. */
uint64_t fleet_device_room(const struct engine_config *config, uint64_t asked);

/* RC_BUDGET: what was chosen takes more of the device than was asked for (0: nothing was). */
enum rc fleet_check_device(const struct engine_config *config, const struct engine_plan *plan,
    uint64_t asked, struct errmsg *why) RC_CHECK;

/* fleet_plan(), and the choice of who computes.  Where a backend's device has no room for the
 * model, `room_bytes`, the CPU computes as many of its first layers as that takes, in
 * config->n_host_layers: none where that does not help, and none where the device's memory is
 * the host's.  With `optional` a backend that has no
 * kernels for the model gives way to the CPU, config->backend becomes NULL, and
 * `gave_way` (may be NULL) says what it lacks. */
enum rc fleet_choose(const struct model *model, bool optional, struct engine_config *config,
    uint64_t room_bytes, struct engine_plan *plan, struct errmsg *gave_way,
    struct errmsg *why) RC_CHECK;

/*
 * Space for adapters beside a model that takes them, if nobody says how much: an eighth
 * of its weights, at most FLEET_ADAPTERS_AUTO_MAX and at most `room_bytes`.  For several
 * models it is the most of any.
 */
uint64_t fleet_adapter_bytes(const struct model_info *info, uint64_t room_bytes);

/* The context of a model with the engine's default where `n_ctx` is 0. */
uint32_t fleet_context(const struct model_info *info, uint32_t n_ctx);

#endif
