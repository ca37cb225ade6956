/* Detail of an error, for people. */
#include "base/errmsg.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void errmsg_reset(struct errmsg *why)
{
	if (why != NULL)
		why->text[0] = '\0';
}

static void set_va(struct errmsg *why, const char *fmt, va_list ap)
{
	if (why == NULL || why->text[0] != '\0')
		return;
	if (vsnprintf(why->text, sizeof(why->text), fmt, ap) < 0)
		why->text[0] = '\0';
}

void errmsg_set(struct errmsg *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_va(why, fmt, ap);
	va_end(ap);
}

enum rc errmsg_rc(struct errmsg *why, enum rc rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_va(why, fmt, ap);
	va_end(ap);
	return rc;
}

static enum rc rc_of_errno(int err)
{
	switch (err) {
	case ENOSPC:
	case EDQUOT:
		return RC_FULL;
	case ENOMEM:
		return RC_NOMEM;
	case ENOENT:
		return RC_NOTFOUND;
	case EACCES:
	case EPERM:
		return RC_DENIED;
	case EEXIST:
		return RC_EXISTS;
	default:
		return RC_IO;
	}
}

/* strerror_r has two shapes: glibc's returns the text, POSIX's a number. */
static const char *errno_text(int err, char *room, size_t cap)
{
#ifdef __GLIBC__
	return strerror_r(err, room, cap);
#else
	if (strerror_r(err, room, cap) != 0)
		(void)snprintf(room, cap, "errno %d", err);
	return room;
#endif
}

enum rc errmsg_errno(struct errmsg *why, const char *fmt, ...)
{
	int err = errno;
	va_list ap;

	if (why != NULL && why->text[0] == '\0') {
		va_start(ap, fmt);
		set_va(why, fmt, ap);
		va_end(ap);
		size_t len = strlen(why->text);
		char room[96];
		(void)snprintf(why->text + len, sizeof(why->text) - len, ": %s",
		    errno_text(err, room, sizeof(room)));
	}
	return rc_of_errno(err);
}

const char *errmsg_text(const struct errmsg *why, enum rc rc)
{
	if (why != NULL && why->text[0] != '\0')
		return why->text;
	return rc_text(rc);
}
