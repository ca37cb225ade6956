/*
 * Adapter space: one piece of memory, taken at start, that the adapters of leases
 * are received into and computed from.  They come in any size and go in any order;
 * each gets the first gap that holds it.  Not thread-safe.
 */
#ifndef SERVE_ADAPTER_SPACE_H
#define SERVE_ADAPTER_SPACE_H

#include <stddef.h>
#include <stdint.h>

#include "base/errmsg.h"
#include "serve/lease.h"

struct adapter_place {
	size_t at, len;
};

struct adapter_space {
	uint8_t *bytes;
	size_t len;
	struct adapter_place places[LEASES_MAX]; /* in order of `at` */
	size_t n;
};

/* `len` 0: a space that holds nothing.  RC_NOMEM. */
enum rc adapter_space_init(struct adapter_space *space, size_t len) RC_CHECK;

/* Wipes all of it. */
void adapter_space_fini(struct adapter_space *space);

/* `len` > 0 zero bytes, aligned to ADAPTER_ALIGN; NULL: no gap is so long. */
uint8_t *adapter_space_take(struct adapter_space *space, size_t len);

/* Back, wiped by the caller. */
void adapter_space_give(struct adapter_space *space, const uint8_t *place);

#endif
