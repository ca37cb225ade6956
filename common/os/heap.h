/*
 * Heap: what malloc has handed out in this process and not got back, of all threads and
 * libraries.
 */
#ifndef OS_HEAP_H
#define OS_HEAP_H

#include <stddef.h>

/* Bytes; 0 where the C library does not say.  Walks the free blocks: tens of microseconds.
 * Any thread. */
size_t heap_used(void);

#endif
