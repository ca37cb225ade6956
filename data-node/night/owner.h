/*
 * Owner: which words of an observation are the person's own.
 *
 * Provenance is written at ingest, by kind: a message counts as the owner's there,
 * and those that came in are messages too.  Here it has to be certain, so whatever
 * speaks for another one counts: a sender that is not the owner, a direction, a name
 * before the text or a line (behind a time, or with a wide colon too), lines that quote, what
 * follows a mail's head or was forwarded.  In doubt it is not theirs.
 */
#ifndef NIGHT_OWNER_H
#define NIGHT_OWNER_H

#include "store/observation.h"

/* Of one text; what lies behind it is not looked at.  A day of the longest texts has room. */
#define OWNER_WORDS_BYTES_MAX ((size_t)2048)

/* Did the owner write or say it? */
bool owner_said(const struct observation *obs);

/*
 * The words of `obs` that are the owner's own, on one line, in `arena`: lines that quote
 * or begin with a name are left out, and everything from a mark of forwarding on; cut
 * at a character's border past OWNER_WORDS_BYTES_MAX: then `*cut` becomes true, else it stays
 * as it is.  "" if there are none or !owner_said().  NULL: no memory.
 */
const char *owner_words(const struct observation *obs, struct arena *arena, bool *cut);

#endif
