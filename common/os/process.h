/*
 * What a process of ours does about itself at start: no dumps, memory that stays,
 * signals as one flag, a name for each thread.
 */
#ifndef OS_PROCESS_H
#define OS_PROCESS_H

#include <stdbool.h>

#include "base/errmsg.h"

/* No core file, no ptrace by others of the same user (PR_SET_DUMPABLE 0 and
 * RLIMIT_CORE 0: piped core patterns ignore the limit). */
enum rc process_forbid_dumps(struct errmsg *why) RC_CHECK;

/* All memory of the process stays out of swap from here on, as far as the limit
 * on locked memory allows; RC_DENIED where it does not. */
enum rc process_lock_memory(void) RC_CHECK;

/*
 * The same for a process that goes on to take memory, which a limit must not stop then:
 * only where there is none, by RLIMIT_MEMLOCK or CAP_IPC_LOCK, and only what it touches.
 * RC_DENIED; nothing is locked.
 */
enum rc process_lock_what_comes(void) RC_CHECK;

/* If memory ends, let the kernel end this process before others.  Must come
 * before dumps are forbidden; safe in a child after fork. */
void process_offer_to_oom_killer(void);

/*
 * SIGTERM and SIGINT from here on make process_stop_fd() readable; SIGPIPE is
 * ignored.  Call once in main(), before any thread starts.
 */
enum rc process_catch_signals(struct errmsg *why) RC_CHECK;

/* Readable once the process should end; poll it.  Never read it. */
int process_stop_fd(void);

/* True once a signal came or process_stop() was called. */
bool process_stopping(void);

/* What the signals do; any thread. */
void process_stop(void);

/* Name the calling thread for debuggers and top (≤ 15 bytes). */
void process_name_thread(const char *name);

#endif
