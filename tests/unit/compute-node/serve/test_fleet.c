/*
 * Which models are in memory at first: of the host's as many as fit, of a device's all or
 * none of the fleet.  Which layers a device has, also after another worker had them there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "serve/fleet.h"
#include "tiny_gguf.h"

/* A device that can be asked, and has no memory when it comes to it. */
struct backend {
	int unused;
};

static struct backend device;
static uint64_t device_bytes;
static bool unified;
static unsigned takes;
static unsigned looks_without; /* at its free bytes, before they are what they will be */
static uint64_t matrix_scale;

static enum rc device_open(unsigned index, struct backend **out, struct errmsg *why)
{
	(void)index;
	(void)why;
	*out = &device;
	return RC_OK;
}

static void device_close(struct backend *b)
{
	(void)b;
}

static void device_info(const struct backend *b, struct backend_info *out)
{
	(void)b;
	*out = (struct backend_info){ .name = "device",
		.numerics = "device/1",
		.total_bytes = FLEET_DEVICE_RESERVE_BYTES + device_bytes,
		.free_bytes = looks_without > 0 ? 0 : FLEET_DEVICE_RESERVE_BYTES + device_bytes,
		.unified = unified };
	looks_without -= looks_without > 0;
}

static bool device_computes(uint32_t type)
{
	(void)type;
	return true;
}

static uint64_t device_matrix_bytes(uint32_t type, uint64_t k, uint64_t rows)
{
	(void)type;
	return k * rows * sizeof(float) * matrix_scale;
}

static uint64_t device_work_bytes(const struct backend_sizes *sizes)
{
	(void)sizes;
	return 1;
}

static enum rc device_take(struct backend *b, uint64_t bytes, void **out, struct errmsg *why)
{
	(void)b;
	(void)out;
	takes++;
	return errmsg_rc(why, RC_NOMEM, "%llu bytes of a test", (unsigned long long)bytes);
}

static const struct backend_api api = { .abi = BACKEND_ABI,
	.name = "test",
	.open = device_open,
	.close = device_close,
	.info = device_info,
	.computes = device_computes,
	.matrix_bytes = device_matrix_bytes,
	.work_bytes = device_work_bytes,
	.graph_bytes = device_work_bytes,
	.take = device_take };

#define MODELS 2

static char paths[MODELS][64];
static const char *path_list[MODELS];
static struct fleet fleet;

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	takes = looks_without = 0;
	matrix_scale = 1;
	for (unsigned i = 0; i < MODELS; i++) {
		(void)snprintf(paths[i], sizeof(paths[i]), "/tmp/test_fleet.%d.%c.gguf",
		    (int)getpid(), "ab"[i]);
		path_list[i] = paths[i];
		if (tiny_gguf_write(paths[i], &(struct tiny_gguf){ .seed = i + 1 }, NULL) != RC_OK)
			return -1;
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MODELS; i++)
		(void)unlink(paths[i]);
	return 0;
}

static struct fleet_config config_of(const struct backend_api *backend, uint64_t budget)
{
	return (struct fleet_config){ .paths = path_list,
		.paths_len = MODELS,
		.engine = { .n_ctx = 64, .n_seq = 1, .n_threads = 1, .backend = backend },
		.budget_bytes = budget };
}

/* What one of the two takes; `certain`: also while it is absent, less what both share. */
static uint64_t plan_of(const struct backend_api *backend, uint64_t *certain)
{
	struct fleet one = { .n = 1, .models[0].config = { .n_ctx = 64, .n_seq = 1 } };
	struct wire_pool pools[FLEET_POOLS_MAX];
	const struct fleet_config config = config_of(backend, 0);
	struct engine_plan plan;
	struct model *model = NULL;

	assert_int_equal(model_open(paths[0], &model, NULL), RC_OK);
	assert_int_equal(fleet_plan(model, &config.engine, &plan, NULL), RC_OK);
	assert_int_equal(fleet_pools(&one, pools), 2);
	*certain = fleet_kept_bytes(model) + wire_server_pool_bytes(&pools[1], 1);
	assert_true(fleet_kept_bytes(model) > model_info(model)->tables_bytes);
	model_close(model);
	return fleet_plan_bytes(&plan);
}

/* On the device, with one of the two layers on the CPU, of which the host has `host`. */
static uint64_t shared_plan(uint64_t *host)
{
	struct fleet_config config = config_of(&api, 0);
	struct model *model = NULL;
	struct engine_plan plan;

	config.engine.n_host_layers = 1;
	assert_int_equal(model_open(paths[0], &model, NULL), RC_OK);
	assert_int_equal(fleet_plan(model, &config.engine, &plan, NULL), RC_OK);
	assert_true(plan.host_bytes > 0);
	assert_true(plan.host_weights_bytes < model_info(model)->weights_bytes);
	assert_true(plan.host_weights_bytes > 0);
	*host = fleet_host_bytes(&plan);
	assert_true(*host == plan.host_bytes + plan.host_weights_bytes);
	model_close(model);
	return fleet_plan_bytes(&plan);
}

/* As few as possible, and none where that does not help. */
static void test_layers_that_a_device_has_no_room_for_go_to_the_cpu(void **state)
{
	const struct engine_config start = config_of(&api, 0).engine;
	uint64_t host, certain, whole = plan_of(&api, &certain), shared = shared_plan(&host);
	const struct {
		uint64_t room;
		uint32_t n_host_layers;
	} all[] = { { whole, 0 }, { whole - 1, 1 }, { shared, 1 }, { shared - 1, 0 } };
	struct model *model = NULL;

	(void)state;
	assert_true(shared < whole);
	assert_int_equal(model_open(paths[0], &model, NULL), RC_OK);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct engine_config config = start;
		struct engine_plan plan;

		assert_int_equal(
		    fleet_choose(model, false, &config, all[i].room, &plan, NULL, NULL), RC_OK);
		assert_int_equal(config.n_host_layers, all[i].n_host_layers);
		assert_int_equal(
		    fleet_plan_bytes(&plan), all[i].n_host_layers > 0 ? shared : whole);
	}
	model_close(model);
}

/* Where both have one memory, layers of the CPU would take as much of it. */
static void test_layers_stay_on_a_device_whose_memory_is_the_hosts(void **state)
{
	struct engine_config config = config_of(&api, 0).engine;
	uint64_t certain, whole = plan_of(&api, &certain);
	struct engine_plan plan;
	struct model *model = NULL;

	(void)state;
	assert_int_equal(model_open(paths[0], &model, NULL), RC_OK);
	unified = true;
	assert_int_equal(fleet_choose(model, false, &config, whole - 1, &plan, NULL, NULL), RC_OK);
	unified = false;
	assert_int_equal(config.n_host_layers, 0);
	assert_int_equal(fleet_plan_bytes(&plan), whole);
	model_close(model);
}

/* The host's share, weights among it, is of the host's budget. */
static void test_the_cpus_layers_count_against_the_hosts_budget(void **state)
{
	struct fleet one = { .n = 1, .models[0].config = { .n_ctx = 64, .n_seq = 1 } };
	struct wire_pool pools[FLEET_POOLS_MAX];
	struct fleet_config config = config_of(&api, 0);
	struct errmsg why = ERRMSG_INIT;
	uint64_t certain, host, whole = plan_of(&api, &certain), shared = shared_plan(&host);
	uint64_t planned =
	    wire_server_pool_bytes(pools, fleet_pools(&one, pools)) + FLEET_REQUESTS_BYTES + host;

	(void)state;
	assert_true(shared < planned - 1);
	config.paths_len = 1;
	device_bytes = whole - 1;
	config.budget_bytes = planned - 1;
	assert_int_equal(fleet_open(&config, &fleet, &why), RC_BUDGET);
	assert_non_null(strstr(why.text, "the CPU would compute"));
	config.budget_bytes = planned;
	assert_int_equal(fleet_open(&config, &fleet, &why), RC_NOMEM); /* the device's, at take() */
}

/* The first model, parted as `config` says after a worker that left `before` layers of the
 * model of the file `was` to the device; how many it has now. */
static uint32_t part_with(
    struct fleet_config config, const char *was, uint32_t before, int64_t wait_ns)
{
	struct fleet_parted parted[FLEET_MODELS_MAX] = { { .device_layers = before } };
	struct served_model *served = &fleet.models[0];
	struct model *last = NULL;
	uint32_t layers;

	assert_int_equal(model_open(was, &last, NULL), RC_OK);
	parted[0].model = fleet_model_id(model_info(last));
	model_close(last);
	fleet = (struct fleet){ .n = 1, .models[0].config = config.engine };
	fleet.device_budget_bytes = fleet_device_budget(&config);
	fleet.device_until_ns = clock_mono_ns() + wait_ns;
	config.parted = parted;
	assert_int_equal(model_open(paths[0], &served->model, NULL), RC_OK);
	served->info = model_info(served->model);
	assert_int_equal(fleet_part_layers(&fleet, &config, served, NULL), RC_OK);
	layers = fleet_device_layers(served);
	if (config.engine.backend != NULL)
		assert_int_equal(layers + served->config.n_host_layers, served->info->n_layer);
	model_close(served->model);
	return layers;
}

/* The first of the two models, parted after a worker that left `before` layers to the
 * device; how many it has now. */
static uint32_t part(uint32_t before, int64_t wait_ns)
{
	return part_with(config_of(&api, 0), paths[0], before, wait_ns);
}

#define LONG_NS (60 * NS_PER_S)

/* Answers go on with the bits that they began with. */
static void test_layers_stay_where_they_were_when_another_worker_starts(void **state)
{
	uint64_t certain;

	(void)state;
	device_bytes = plan_of(&api, &certain);
	assert_int_equal(part(0, LONG_NS), 2); /* nothing was before */
	assert_int_equal(part(2, LONG_NS), 2);
	assert_int_equal(part(1, LONG_NS), 1); /* there would be room for both now */
	device_bytes -= 1;                     /* other programs hold a little more */
	assert_int_equal(part(0, LONG_NS), 1);
	assert_int_equal(part(2, LONG_NS), 2);
	assert_int_equal(part(7, LONG_NS), 1); /* another file by now: there never were so many */
}

/* The memory of a worker that was killed comes back when its driver has cleaned up. */
static void test_memory_of_the_worker_before_is_waited_for(void **state)
{
	uint64_t certain;

	(void)state;
	device_bytes = plan_of(&api, &certain);
	looks_without = 3; /* the budget at first, then two looks for the memory */
	assert_int_equal(part(2, LONG_NS), 2);
	assert_int_equal(looks_without, 0);
}

static void test_layers_are_parted_anew_where_their_memory_does_not_come_back(void **state)
{
	uint64_t host, certain;

	(void)state;
	matrix_scale = 1 << 17; /* a layer is more than the reserve */
	device_bytes = shared_plan(&host);
	assert_true(plan_of(&api, &certain) > device_bytes + FLEET_DEVICE_RESERVE_BYTES);
	assert_int_equal(part(2, 1), 1);
	assert_true(fleet.device_budget_bytes == device_bytes); /* with all of the reserve */
}

/* With `auto` the device may be gone by now, or the operator wants none. */
static void test_layers_of_a_device_that_is_gone_are_the_cpus(void **state)
{
	(void)state;
	assert_int_equal(part_with(config_of(NULL, 0), paths[0], 2, LONG_NS), 0);
}

/* The operator may have changed which models are served, and their order. */
static void test_layers_of_another_model_say_nothing(void **state)
{
	uint64_t certain;

	(void)state;
	device_bytes = plan_of(&api, &certain);
	assert_int_equal(part_with(config_of(&api, 0), paths[1], 1, LONG_NS), 2);
}

static void test_what_the_operator_allows_no_more_is_not_waited_for(void **state)
{
	struct fleet_config config = config_of(&api, 0);
	uint64_t certain;

	(void)state;
	device_bytes = plan_of(&api, &certain);
	config.device_bytes = device_bytes - 1;
	looks_without = 8;
	(void)part_with(config, paths[0], 2, NS_PER_S / 2);
	assert_true(looks_without > 4);
}

static void test_models_of_a_device_fit_it_together_or_are_not_served(void **state)
{
	const struct fleet_config config = config_of(&api, 0);
	struct errmsg why = ERRMSG_INIT;
	uint64_t certain, host;

	(void)state;
	device_bytes = plan_of(&api, &certain) + shared_plan(&host) - 1;
	assert_int_equal(fleet_open(&config, &fleet, &why), RC_BUDGET);
	assert_non_null(strstr(why.text, "do not change places"));
	assert_int_equal(takes, 0); /* all is planned before anything is taken */
	device_bytes++;
	errmsg_reset(&why);
	assert_int_equal(fleet_open(&config, &fleet, &why), RC_NOMEM);
	assert_int_equal(takes, 1);
}

static void test_models_of_the_host_wait_for_their_turn(void **state)
{
	uint64_t certain, whole = plan_of(NULL, &certain);
	const struct fleet_config config = config_of(NULL, whole + certain);
	const struct fleet_config less = config_of(NULL, whole + certain - 1);

	(void)state;
	assert_int_equal(fleet_open(&less, &fleet, NULL), RC_BUDGET);
	assert_int_equal(fleet_open(&config, &fleet, NULL), RC_OK);
	assert_true(fleet.models[0].present);
	assert_false(fleet.models[1].present);
	fleet_close(&fleet);
}

static void test_blocks_for_messages_fit_the_longest_prompt_of_each_model(void **state)
{
	struct fleet two = { .n = 2,
		.models = { [0].config = { .n_ctx = 8192, .n_seq = 2 },
		    [1].config = { .n_ctx = 512, .n_seq = 16 } } };
	struct wire_pool pools[FLEET_POOLS_MAX];

	(void)state;
	assert_int_equal(fleet_pools(&two, pools), 3);
	assert_true(pools[0].bytes <= pools[1].bytes && pools[1].bytes < pools[2].bytes);
	assert_int_equal(pools[1].n, 16);
	assert_true(pools[1].bytes > 512 * 5);
	assert_int_equal(pools[2].n, 2);
	assert_true(pools[2].bytes > 8192 * 5);
}

#define UNIT(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT(test_layers_that_a_device_has_no_room_for_go_to_the_cpu),
		UNIT(test_layers_stay_on_a_device_whose_memory_is_the_hosts),
		UNIT(test_the_cpus_layers_count_against_the_hosts_budget),
		UNIT(test_layers_stay_where_they_were_when_another_worker_starts),
		UNIT(test_memory_of_the_worker_before_is_waited_for),
		UNIT(test_layers_are_parted_anew_where_their_memory_does_not_come_back),
		UNIT(test_layers_of_a_device_that_is_gone_are_the_cpus),
		UNIT(test_layers_of_another_model_say_nothing),
		UNIT(test_what_the_operator_allows_no_more_is_not_waited_for),
		UNIT(test_models_of_a_device_fit_it_together_or_are_not_served),
		UNIT(test_models_of_the_host_wait_for_their_turn),
		UNIT(test_blocks_for_messages_fit_the_longest_prompt_of_each_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
