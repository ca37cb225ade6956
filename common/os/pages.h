/*
 * Pages: zeroed memory of its own for what must leave no trace: kept out of dumps, and
 * of swap where the process locks its memory (os/process.h).  Given back to the system
 * whole; wiping it first is the caller's.
 */
#ifndef OS_PAGES_H
#define OS_PAGES_H

#include <stddef.h>

/* `len` zero bytes at the start of a page; len 0 counts as 1.  NULL: none. */
void *pages_take(size_t len);

/* What pages_take(len) gave; NULL is fine. */
void pages_give(void *pages, size_t len);

/* Bytes that are taken now, in the whole process; any thread, as all here. */
size_t pages_taken(void);

#endif
