/* Locked where that is allowed; beside swap only on the operator's word. */
#include "serve/locking.h"

#include <stddef.h>

#include "base/log.h"
#include "os/memory.h"
#include "os/process.h"

enum rc locking_begin(const char *memory_root, bool allow_swap, bool *locked, struct errmsg *why)
{
	*locked = process_lock_what_comes() == RC_OK;
	if (*locked || !memory_swaps(memory_root != NULL ? memory_root : ""))
		return RC_OK;
	if (!allow_swap)
		return errmsg_rc(why, RC_CONFIG,
		    "the host has active swap, and the limit on locked memory (ulimit -l) keeps "
		    "this process from locking its own: raise it to unlimited, or say "
		    "--allow-swap");
	log_warn("SERVE-SWAP", "what people write may be swapped to disk: --allow-swap");
	return RC_OK;
}
