/*
 * Store memory: the records of what is known about the person, by number.
 *
 * They are observations like any other (memory/fact.h says what is in them), but
 * their ids are 1, 2, 3, … as text, without a gap: so all of them are found without
 * passing over the rest of the log.  One that was forgotten is a tombstone under
 * its number.
 */
#ifndef STORE_STORE_MEMORY_H
#define STORE_STORE_MEMORY_H

#include "store/store.h"

#define STORE_MEMORY_ID_BYTES 24
/* The client id of number `number`, from 1. */
void store_memory_id(uint64_t number, char out[STORE_MEMORY_ID_BYTES]);

/* RC_NOTFOUND: there are fewer.  RC_CORRUPT: this one cannot be read. */
enum rc store_memory_get(struct store *store, uint64_t number, struct arena *arena,
    struct observation *out, struct errmsg *why) RC_CHECK;

/*
 * Was `obs` read from anything that `forget` (a record with forget_layers) matches,
 * or that is forgotten already?  Every version counts.
 */
enum rc store_memory_was_read_from(struct store *store, const struct observation *obs,
    const struct observation *forget, bool *out, struct errmsg *why) RC_CHECK;

#endif
