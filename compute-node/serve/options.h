/*
 * Options of `serve`: one table makes flags, --help and the sample
 * configuration that `init` writes.
 */
#ifndef SERVE_OPTIONS_H
#define SERVE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"

struct serve_options {
	const char *dir, *config;
	struct conf_list models;
	const char *listen;
	uint64_t budget_bytes, device_bytes;
	int64_t threads, context, parallel, ubatch, queue;
	const char *cache_type, *backend, *adapter_space;
	int64_t lease_idle_ns, stall_ns;
	bool supervise, confine, allow_swap;
	int64_t watchdog_ns;
	uint64_t soft_floor_bytes, hard_floor_bytes;
	const char *memory_root;
	const char *log_level;
	bool version;
};

extern const struct conf_command options_serve;

/*
 * Defaults, then the file (the one --config names, which must be there, else
 * compute.conf of the directory if it is), then the flags.  RC_INVALID: a usage
 * error; RC_CONFIG: the file.  `help` is set if it was asked for; then, and
 * with `version`, no file is read.
 */
enum rc options_read(int argc, char *const *argv, struct serve_options *out, bool *help,
    struct arena *arena, struct errmsg *why) RC_CHECK;

#endif
