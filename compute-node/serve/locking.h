/*
 * Locking: what a worker's memory holds of people never reaches a disk of swap.
 *
 * All of its memory is locked as it is touched, but for weights, which are read again
 * from their file.  Where the limit on locked memory (RLIMIT_MEMLOCK) does not allow
 * that, it is kept out of dumps all the same, and the node serves beside active swap
 * only if the operator says so.
 */
#ifndef SERVE_LOCKING_H
#define SERVE_LOCKING_H

#include <stdbool.h>

#include "base/errmsg.h"

/*
 * Before any model is opened, and before files are confined.  `*locked`: it is.
 * RC_CONFIG: it cannot be, the host has active swap or does not say (ROOT/proc/swaps), and
 * `allow_swap` is false; `why` says what would help.
 */
enum rc locking_begin(
    const char *memory_root, bool allow_swap, bool *locked, struct errmsg *why) RC_CHECK;

#endif
