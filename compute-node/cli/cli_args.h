/* What the commands on model files share: arguments, errors, opening. */
#ifndef CLI_CLI_ARGS_H
#define CLI_CLI_ARGS_H

#include "base/arena.h"
#include "base/errmsg.h"
#include "conf/conf.h"

#define CLI_ARENA_BYTES (1u << 20)
#define CLI_GO_ON (-1)

/*
 * Defaults, then flags.  CLI_GO_ON, or the exit code: help was printed, or a
 * usage error.
 */
int cli_args(const struct conf_command *cmd, int argc, char **argv, void *values,
    struct conf_argv *args, struct arena *arena);

/* "auto" (FLEET_ADAPTERS_AUTO) or bytes; RC_INVALID. */
enum rc cli_adapter_space(const char *text, uint64_t *out) RC_CHECK;

/* Print `compute-node NAME: SUBJECT: why` and give the exit code of `rc`. */
int cli_fail(
    const struct conf_command *cmd, const char *subject, enum rc rc, const struct errmsg *why);

#endif
