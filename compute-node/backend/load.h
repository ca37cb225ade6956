/*
 * Load: a backend's shared library, by an absolute path.
 *
 * Words that people configure: "cpu"; "cuda", the library compute-cuda.so beside this
 * program; "auto", that one if it is there and finds a device, else the CPU; or the
 * absolute path of a library.
 */
#ifndef BACKEND_LOAD_H
#define BACKEND_LOAD_H

#include "backend/backend.h"

/* `*out` NULL: the CPU.  The library stays loaded while the process lives.
 * RC_CONFIG: a word that is none; RC_NOTFOUND: no such library, or no device;
 * RC_UNSUPPORTED: it speaks another ABI.  With "auto" the reason why it is the CPU
 * stands in `why`, and the result is RC_OK. */
enum rc backend_load(const char *word, const struct backend_api **out, struct errmsg *why) RC_CHECK;

#endif
