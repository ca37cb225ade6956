/*
 * Detail of an error, for people.
 *
 * Fallible calls take `struct errmsg *why` last; it may be NULL.  The deepest
 * cause wins: the first errmsg_set() on a reset message keeps its place, later
 * ones (from outer callers) are ignored, so callers need not ask who spoke.
 * Never put user content into one: names of fields, sizes, ids and paths only.
 */
#ifndef BASE_ERRMSG_H
#define BASE_ERRMSG_H

#include "base/rc.h"

#define ERRMSG_BYTES 256

struct errmsg {
	char text[ERRMSG_BYTES]; /* NUL-terminated; "" = nothing said yet */
};

#define ERRMSG_INIT                                                                                \
	{                                                                                          \
		{                                                                                  \
			0                                                                          \
		}                                                                                  \
	}

void errmsg_reset(struct errmsg *why);

/* Say why, unless something deeper already did.  Long texts are cut. */
void errmsg_set(struct errmsg *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * The same, and hand back `rc`, so that a failing line reads
 * `return errmsg_rc(why, RC_INVALID, "field %s: …", name);`
 */
enum rc errmsg_rc(struct errmsg *why, enum rc rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with ": strerror(errno)" behind it; RC_IO, or RC_FULL for ENOSPC,
 * EDQUOT, RC_NOMEM for ENOMEM, RC_NOTFOUND for ENOENT, RC_DENIED for EACCES. */
enum rc errmsg_errno(struct errmsg *why, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The text if there is one, else rc_text(rc); never NULL. */
const char *errmsg_text(const struct errmsg *why, enum rc rc);

#endif
