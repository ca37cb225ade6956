/*
 * Confinement: what the kernel will not let this process do any more, however it
 * may be talked into it.  Linux only.
 *
 *   confine_files  Landlock: only the files named may be read, nothing may be
 *                  written, made, removed or run; no TCP connection begins here.
 *                  For the calling thread and those it starts: call it first.
 *   confine_calls  seccomp: a list of system calls a server of requests needs;
 *                  any other ends the process (SIGSYS).  Among those that are not
 *                  on it: opening for writing, new processes, exec, ptrace,
 *                  connect, io_uring, mapping memory as code.  For all threads;
 *                  call it when everything is open.
 *
 * Neither can be taken back.  RC_UNSUPPORTED: the kernel (or an emulator) does not
 * grant it, and nothing has changed.
 */
#ifndef OS_CONFINE_H
#define OS_CONFINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errmsg.h"

/* False in a build with a sanitizer: its runtime writes files, starts processes and
 * maps code, so it would die of what follows.  Then neither must be called. */
bool confine_built(void);

/* `paths`: files, and directories with all below them; those that are not there
 * are passed over.  `port`: the one TCP port that may be bound; 0: any. */
enum rc confine_files(
    const char *const *paths, size_t n, uint16_t port, struct errmsg *why) RC_CHECK;

enum rc confine_calls(struct errmsg *why) RC_CHECK;

#endif
