/*
 * Bar work: a long piece of work in this process, with a bar, until a signal ends it.
 */
#ifndef CLI_BAR_WORK_H
#define CLI_BAR_WORK_H

#include "base/errmsg.h"
#include "store/store_rebuild.h"

/* Calls `progress` with `progress_ctx` now and then, and ends early once that is false. */
typedef enum rc bar_work_fn(
    void *ctx, store_progress_fn *progress, void *progress_ctx, struct errmsg *why);

/* Do it; an error is told as cli_fail() does.  The exit code of its result. */
int bar_work(const char *command, bool quiet, bar_work_fn *work, void *ctx);

#endif
