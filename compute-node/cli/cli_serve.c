/* `compute-node serve`: from options to a running service, until SIGTERM. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "backend/load.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/cli_args.h"
#include "cli/commands.h"
#include "os/confine.h"
#include "os/process.h"
#include "serve/confinement.h"
#include "serve/home.h"
#include "serve/locking.h"
#include "serve/options.h"
#include "serve/service.h"
#include "serve/supervisor.h"
#include "serve/watch.h"
#include "serve/wiping_free.h"

#define MODELS_TEXT_BYTES_MAX ((size_t)512)
#define TAKEN_NS NS_PER_S
#define TAKEN_PAUSE_NS (20 * NS_PER_MS)

static enum rc check_words(const struct serve_options *options, struct errmsg *why)
{
	if (log_level_parse(options->log_level) < 0)
		return errmsg_rc(why, RC_CONFIG, "log-level: error, warn, info or debug");
	uint64_t space;

	if (cli_adapter_space(options->adapter_space, &space) != RC_OK)
		return errmsg_rc(why, RC_CONFIG, "adapter-space: auto or bytes");
	if (fleet_cache_parse(options->cache_type) < 0)
		return errmsg_rc(why, RC_CONFIG, "cache-type: f16, f32 or q8_0");
	log_set_level((enum log_level)log_level_parse(options->log_level));
	return RC_OK;
}

static enum rc load_keys(const struct home *home, struct wire_keypair *keys, struct errmsg *why)
{
	struct errmsg cause = ERRMSG_INIT;
	enum rc rc = wire_keypair_load(home->key, keys, &cause);

	if (rc == RC_NOTFOUND)
		return errmsg_rc(why, RC_CONFIG, "no key in %s: run compute-node init", home->dir);
	if (rc != RC_OK)
		return errmsg_rc(why, RC_CONFIG, "%s", errmsg_text(&cause, rc));
	return RC_OK;
}

/* One line that scripts wait for. */
static void log_ready(const struct service *service, bool locked)
{
	const struct fleet *fleet = service_fleet(service);
	struct buf models;

	buf_init(&models, MODELS_TEXT_BYTES_MAX);
	for (size_t i = 0; i < fleet->n; i++) {
		const struct served_model *model = &fleet->models[i];

		buf_printf(&models, "%s%s", i == 0 ? "" : ",", model->info->name);
		if (model->template_why.text[0] != '\0')
			log_warn("SERVE-TEMPLATE", "model=%s chats are rendered plainly: %s",
			    model->info->name, model->template_why.text);
	}
	if (!wiping_free_active())
		log_warn("SERVE-NOWIPE", "freed memory is not wiped in this build");
	if (fleet->n == 0)
		log_warn("SERVE-NOMODEL", "no model is served: say --model FILE");
	log_info("SERVE-READY",
	    "address=%s models=%s planned_bytes=%llu budget_bytes=%llu locked=%s",
	    service_address(service), buf_text(&models),
	    (unsigned long long)(fleet->planned_bytes + fleet->device_planned_bytes),
	    (unsigned long long)(fleet->budget_bytes + fleet->device_budget_bytes),
	    locked ? "yes" : "no");
	buf_fini(&models);
}

/* A worker that comes after another one listens where that did: an address with
 * port 0 is picked once. */
static const char *listen_of(const struct serve_options *options, const struct watch *watch)
{
	return watch != NULL && watch->address[0] != '\0' ? watch->address : options->listen;
}

static void tell_supervisor(const struct service *service, struct watch *watch)
{
	if (watch == NULL)
		return;
	(void)snprintf(watch->address, sizeof(watch->address), "%s", service_address(service));
	atomic_store(&watch->ready, true);
}

/* The worker before may still be on its way out of the system. */
static enum rc open_service(
    const struct service_config *config, struct service **out, struct errmsg *why)
{
	const int64_t until_ns = clock_mono_ns() + TAKEN_NS;
	const struct timespec pause = { .tv_nsec = TAKEN_PAUSE_NS };
	enum rc rc;

	do {
		errmsg_reset(why);
		rc = service_open(config, out, why);
	} while (rc == RC_BUSY && clock_mono_ns() < until_ns && nanosleep(&pause, NULL) == 0);
	return rc;
}

static void wait_for_signal(void)
{
	struct pollfd fd = { .fd = process_stop_fd(), .events = POLLIN };

	while (!process_stopping() && (poll(&fd, 1, -1) >= 0 || errno == EINTR))
		;
}

static bool confines(const struct serve_options *options)
{
	return options->confine && confine_built();
}

/* As far as the kernel grants it, or not at all if the operator said so. */
static enum rc confine(const struct serve_options *options, const struct home *home,
    const char *listen, struct arena *arena, struct errmsg *why)
{
	const struct confinement what = { .home = home,
		.models = &options->models,
		.memory_root = options->memory_root,
		.listen = listen };

	if (!confines(options)) {
		log_warn("SERVE-UNCONFINED", "reason=%s",
		    options->confine ? "a build with a sanitizer" : "--no-confine");
		return RC_OK;
	}
	return confinement_of_files(&what, arena, why);
}

static enum rc explain_unconfined(enum rc rc, struct errmsg *why)
{
	struct errmsg cause = *why;

	if (rc != RC_UNSUPPORTED)
		return rc;
	errmsg_reset(why);
	return errmsg_rc(
	    why, RC_CONFIG, "%s: --no-confine serves without", errmsg_text(&cause, rc));
}

/* With "auto" the reason for the CPU is no error. */
static void log_backend(const char *word, const struct backend_api *backend, struct errmsg *why)
{
	if (backend != NULL)
		log_info("SERVE-BACKEND", "backend=%s", backend->name);
	else
		log_info("SERVE-BACKEND", "backend=cpu reason=%s",
		    strcmp(word, "auto") == 0 ? why->text : "configured");
	errmsg_reset(why);
}

static enum rc serve(const struct serve_options *options, struct watch *watch, struct arena *arena,
    struct errmsg *why)
{
	struct wire_keypair keys;
	struct home home;
	struct service *service = NULL;
	const struct backend_api *backend = NULL;
	uint64_t adapter_bytes = 0;
	bool locked = false;

	enum rc rc = home_paths(options->dir, arena, &home, why);
	if (rc == RC_OK)
		rc = load_keys(&home, &keys, why);
	if (rc == RC_OK)
		rc = locking_begin(options->memory_root, options->allow_swap, &locked, why);
	if (rc == RC_OK) /* while devices may still be opened */
		rc = backend_load(options->backend, &backend, why);
	if (rc == RC_OK)
		log_backend(options->backend, backend, why);
	if (rc == RC_OK)
		rc = explain_unconfined(
		    confine(options, &home, listen_of(options, watch), arena, why), why);
	if (rc == RC_OK) /* it was checked */
		rc = cli_adapter_space(options->adapter_space, &adapter_bytes);
	if (rc != RC_OK)
		return rc;
	const struct service_config config = { .listen = listen_of(options, watch),
		.keys = &keys,
		.allow_path = home.allow,
		.fleet = { .paths = options->models.items,
		    .paths_len = options->models.n,
		    .engine = { .n_ctx = (uint32_t)options->context,
			.n_seq = (uint32_t)options->parallel,
			.n_ubatch = (uint32_t)options->ubatch,
			.n_threads = (uint32_t)options->threads,
			.cache = (enum cache_type)fleet_cache_parse(options->cache_type),
			.backend = backend },
		    .backend_optional = strcmp(options->backend, "auto") == 0,
		    .budget_bytes = options->budget_bytes,
		    .device_bytes = options->device_bytes,
		    .adapter_bytes = adapter_bytes,
		    .memory_root = options->memory_root },
		.queue_max = (size_t)options->queue,
		.stall_ns = options->stall_ns,
		.lease_idle_ns = options->lease_idle_ns,
		.watch = watch };
	rc = open_service(&config, &service, why);
	wire_keypair_wipe(&keys); /* the socket has its own */
	if (rc != RC_OK)
		return rc;
	if (confines(options))
		rc = explain_unconfined(confine_calls(why), why);
	if (rc == RC_OK) {
		log_ready(service, locked);
		tell_supervisor(service, watch);
		wait_for_signal();
	}
	log_info("SERVE-STOP", "address=%s", service_address(service));
	service_close(service);
	return rc;
}

static enum rc supervise(
    int argc, char **argv, const struct serve_options *options, int *code, struct errmsg *why)
{
	const struct supervisor_config config = { .argc = argc,
		.argv = argv,
		.memory_root = options->memory_root,
		.guard = { options->soft_floor_bytes, options->hard_floor_bytes },
		.watchdog_ns = options->watchdog_ns };

	return supervisor_run(&config, code, why);
}

/* As a worker if there is a supervisor, else as one, else alone. */
static enum rc run(int argc, char **argv, const struct serve_options *options, int *code,
    struct arena *arena, struct errmsg *why)
{
	struct watch *watch = NULL;
	enum rc rc = check_words(options, why);

	if (rc == RC_OK)
		rc = process_forbid_dumps(why);
	if (rc == RC_OK)
		rc = process_catch_signals(why);
	if (rc == RC_OK)
		rc = watch_attach(&watch, why);
	if (rc == RC_OK && watch == NULL && options->supervise)
		return supervise(argc, argv, options, code, why);
	process_name_thread("compute-node"); /* a worker was run as /proc/self/exe */
	return rc == RC_OK ? serve(options, watch, arena, why) : rc;
}

int cli_serve(int argc, char **argv)
{
	struct serve_options options;
	struct errmsg why = ERRMSG_INIT;
	struct arena arena;
	bool help = false;
	int code = EXIT_DONE;

	arena_init(&arena, CLI_ARENA_BYTES);
	enum rc rc = options_read(argc, argv, &options, &help, &arena, &why);
	if (rc == RC_INVALID) {
		(void)cli_fail(&options_serve, NULL, rc, &why);
		(void)fprintf(stderr, "`compute-node serve --help` tells more.\n");
		code = EXIT_USAGE;
	} else if (rc == RC_OK && help) {
		conf_print_help(&options_serve, "compute-node", stdout);
	} else if (rc == RC_OK && options.version) {
		(void)printf("compute-node %s\n", HEARTH_VERSION);
	} else {
		if (rc == RC_OK)
			rc = run(argc, argv, &options, &code, &arena, &why);
		if (rc != RC_OK)
			code = cli_fail(&options_serve, NULL, rc, &why);
	}
	arena_fini(&arena);
	return code;
}
