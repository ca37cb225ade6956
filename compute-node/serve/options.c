/* The option table of `serve` and the order its values come in. */
#include "serve/options.h"

#include <stddef.h>

#include "os/file.h"
#include "serve/home.h"

#define OFFSET(field) offsetof(struct serve_options, field)

static const struct conf_option table[] = {
	{ .name = "dir",
	    .type = CONF_STRING,
	    .offset = OFFSET(dir),
	    .value = "DIR",
	    .flag_only = true,
	    .help = "Directory of key, allow-list and configuration "
		    "(~/.config/hearth-compute)." },
	{ .name = "config",
	    .type = CONF_STRING,
	    .offset = OFFSET(config),
	    .value = "FILE",
	    .flag_only = true,
	    .help = "Configuration file (compute.conf of the directory)." },
	{ .name = "model",
	    .letter = 'm',
	    .type = CONF_LIST,
	    .offset = OFFSET(models),
	    .value = "FILE",
	    .help =
		"A GGUF model to serve; may be given several times.  Those that do not fit beside "
		"the ones before them come into memory when they are asked for." },
	{ .name = "listen",
	    .type = CONF_STRING,
	    .offset = OFFSET(listen),
	    .value = "tcp://HOST:PORT",
	    .fallback = "tcp://127.0.0.1:8421",
	    .help = "Where data nodes connect; port 0 picks a free one." },
	{ .name = "budget",
	    .type = CONF_BYTES,
	    .offset = OFFSET(budget_bytes),
	    .value = "BYTES",
	    .fallback = "0",
	    .help = "Most memory to plan for; 0: what the host has to spare." },
	{ .name = "device-memory",
	    .type = CONF_BYTES,
	    .offset = OFFSET(device_bytes),
	    .value = "BYTES",
	    .fallback = "0",
	    .help = "Most memory of its device that a backend may take; 0: what is free.  The CPU "
		    "computes the first layers of a model that does not find room." },
	{ .name = "threads",
	    .letter = 't',
	    .type = CONF_INT,
	    .offset = OFFSET(threads),
	    .value = "N",
	    .fallback = "0",
	    .max = 1024,
	    .help = "Threads that compute; 0: one a core." },
	{ .name = "context",
	    .letter = 'c',
	    .type = CONF_INT,
	    .offset = OFFSET(context),
	    .value = "TOKENS",
	    .fallback = "0",
	    .max = 16777216,
	    .help = "Tokens one sequence may hold; 0: the model's own, at most 8192." },
	{ .name = "parallel",
	    .type = CONF_INT,
	    .offset = OFFSET(parallel),
	    .value = "N",
	    .fallback = "4",
	    .min = 1,
	    .max = 256,
	    .help = "Answers computed at once." },
	{ .name = "ubatch",
	    .type = CONF_INT,
	    .offset = OFFSET(ubatch),
	    .value = "ROWS",
	    .fallback = "0",
	    .max = 4096,
	    .help = "Tokens computed in one pass; 0: the engine's choice." },
	{ .name = "queue",
	    .type = CONF_INT,
	    .offset = OFFSET(queue),
	    .value = "N",
	    .fallback = "32",
	    .min = 1,
	    .max = 128,
	    .help = "Requests that may wait; more are answered with BUSY." },
	{ .name = "cache-type",
	    .type = CONF_STRING,
	    .offset = OFFSET(cache_type),
	    .value = "f16|f32|q8_0",
	    .fallback = "f16",
	    .help = "Number format of the KV cache." },
	{ .name = "adapter-space",
	    .type = CONF_STRING,
	    .offset = OFFSET(adapter_space),
	    .value = "auto|BYTES",
	    .fallback = "auto",
	    .help = "Memory for adapters of leases, of the budget; auto: an eighth of the weights, "
		    "at most 256M, as far as it is left; 0: none are taken.  One data node has "
		    "three quarters of it at most." },
	{ .name = "backend",
	    .type = CONF_STRING,
	    .offset = OFFSET(backend),
	    .value = "auto|cpu|cuda|PATH",
	    .fallback = "auto",
	    .help = "What computes; auto: the GPU where there is one and the model can run "
		    "there." },
	{ .name = "lease-idle",
	    .type = CONF_DURATION,
	    .offset = OFFSET(lease_idle_ns),
	    .value = "TIME",
	    .fallback = "10m",
	    .help = "A lease unused for so long is wiped, unless it asked for another time." },
	{ .name = "stall",
	    .type = CONF_DURATION,
	    .offset = OFFSET(stall_ns),
	    .value = "TIME",
	    .fallback = "120s",
	    .help = "An answer that nobody takes for so long is ended." },
	{ .name = "supervise",
	    .type = CONF_BOOL,
	    .offset = OFFSET(supervise),
	    .fallback = "true",
	    .help = "Compute in a child process, watched and started again when it is gone." },
	{ .name = "confine",
	    .type = CONF_BOOL,
	    .offset = OFFSET(confine),
	    .fallback = "true",
	    .help =
		"Let the kernel forbid all that serving does not need (Linux 5.13 and later)." },
	{ .name = "allow-swap",
	    .type = CONF_BOOL,
	    .offset = OFFSET(allow_swap),
	    .fallback = "false",
	    .help =
		"Serve where memory may be swapped to disk, and cannot be locked (ulimit -l)." },
	{ .name = "watchdog",
	    .type = CONF_DURATION,
	    .offset = OFFSET(watchdog_ns),
	    .value = "TIME",
	    .fallback = "20s",
	    .help = "A child that does nothing for so long is killed; 0: never." },
	{ .name = "soft-floor",
	    .type = CONF_BYTES,
	    .offset = OFFSET(soft_floor_bytes),
	    .value = "BYTES",
	    .fallback = "0",
	    .help = "With less available on the host nothing new is taken; 0: a sixteenth of "
		    "it, at most 1G." },
	{ .name = "hard-floor",
	    .type = CONF_BYTES,
	    .offset = OFFSET(hard_floor_bytes),
	    .value = "BYTES",
	    .fallback = "0",
	    .help = "With less available the child is killed; 0: half of the soft floor." },
	{ .name = "memory-root",
	    .type = CONF_STRING,
	    .offset = OFFSET(memory_root),
	    .value = "DIR",
	    .fallback = "",
	    .flag_only = true,
	    .help = "Read figures of memory from DIR/proc and DIR/sys instead: for drills." },
	{ .name = "log-level",
	    .type = CONF_STRING,
	    .offset = OFFSET(log_level),
	    .value = "error|warn|info|debug",
	    .fallback = "info",
	    .help = "Least important lines to log." },
	{ .name = "version",
	    .type = CONF_BOOL,
	    .offset = OFFSET(version),
	    .flag_only = true,
	    .help = "Print the version and end." },
	{ .name = NULL },
};

const struct conf_command options_serve = {
	.name = "serve",
	.summary = "serve models to data nodes",
	.detail = "Loads the models, listens, and answers the data nodes that `allow` let in.\n"
		  "Keeps nothing: prompts, answers and caches live in memory and are wiped.",
	.options = table,
};

/* The flags alone: where is the file, is there anything to do at all? */
static enum rc peek(int argc, char *const *argv, struct serve_options *out, bool *help,
    struct arena *arena, struct errmsg *why)
{
	struct conf_argv args = { .args_len = 0 };
	enum rc rc = conf_defaults(&options_serve, out, arena, why);

	if (rc == RC_OK)
		rc = conf_parse_argv(&options_serve, argc, argv, out, &args, arena, why);
	*help = args.help;
	return rc;
}

enum rc options_read(int argc, char *const *argv, struct serve_options *out, bool *help,
    struct arena *arena, struct errmsg *why)
{
	struct serve_options flags = { .dir = NULL };
	struct conf_argv args = { .args_len = 0 };
	struct home home;

	*help = false;
	*out = (struct serve_options){ .dir = NULL };
	enum rc rc = peek(argc, argv, &flags, help, arena, why);
	if (rc != RC_OK || *help || flags.version) {
		*out = flags;
		return rc;
	}
	rc = home_paths(flags.dir, arena, &home, why);
	if (rc == RC_OK)
		rc = conf_defaults(&options_serve, out, arena, why);
	const char *file = flags.config != NULL ? flags.config : home.conf;
	if (rc == RC_OK && (flags.config != NULL || file_exists(file))) {
		rc = conf_parse_file(&options_serve, file, out, arena, why);
		if (rc == RC_NOTFOUND)
			rc = RC_CONFIG;
	}
	if (rc == RC_OK)
		rc = conf_parse_argv(&options_serve, argc, argv, out, &args, arena, why);
	return rc;
}
