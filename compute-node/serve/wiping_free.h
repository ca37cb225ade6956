/*
 * The compute node's `free` wipes what it gives back.
 *
 * libzmq, protobuf-c and the C++ runtime free plaintext as it is.  This
 * program therefore defines free() and realloc() itself: every byte of a block
 * (malloc_usable_size) is zeroed before the C library gets it back, and a
 * block never moves without its old place being zeroed.  The dynamic linker
 * binds the libraries' calls to these definitions as well.
 *
 * Left out under sanitizers, which bring an allocator of their own, and where
 * the C library is not glibc.
 */
#ifndef SERVE_WIPING_FREE_H
#define SERVE_WIPING_FREE_H

#include <stdbool.h>

/* True if freed memory is wiped, for the libraries' calls too. */
bool wiping_free_active(void);

#endif
