/* Faults: result codes and texts as Error bodies. */
#include "serve/fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void fault_set(struct fault *fault, enum wire_error code, const char *fmt, ...)
{
	va_list ap;

	*fault = (struct fault){ .code = code };
	va_start(ap, fmt);
	(void)vsnprintf(fault->why.text, sizeof(fault->why.text), fmt, ap);
	va_end(ap);
}

static enum wire_error code_of(enum rc rc)
{
	switch (rc) {
	case RC_INVALID:
		return WIRE_ERROR_INVALID;
	case RC_UNSUPPORTED:
		return WIRE_ERROR_UNSUPPORTED;
	case RC_NOTFOUND:
		return WIRE_ERROR_NO_MODEL;
	case RC_CONTEXT:
		return WIRE_ERROR_CONTEXT;
	case RC_BUSY:
	case RC_AGAIN:
		return WIRE_ERROR_BUSY;
	case RC_DENIED:
		return WIRE_ERROR_NO_LEASE;
	case RC_NOMEM:
	case RC_BUDGET:
		return WIRE_ERROR_MEMORY;
	case RC_TIMEOUT:
		return WIRE_ERROR_TIMEOUT;
	case RC_CANCELLED:
		return WIRE_ERROR_CANCELLED;
	case RC_LIMIT:
		return WIRE_ERROR_LIMIT;
	default:
		return WIRE_ERROR_INTERNAL;
	}
}

void fault_from_rc(struct fault *fault, enum rc rc, const struct errmsg *why)
{
	fault_set(fault, code_of(rc), "%s", errmsg_text(why, rc));
}

void fault_message(const struct fault *fault, uint64_t request_id, struct message *out)
{
	*out = (struct message){ .request_id = request_id, .kind = MESSAGE_ERROR };
	out->u.error.code = fault->code;
	out->u.error.text = fault->why.text;
	out->u.error.context = fault->context;
	out->u.error.needed = fault->needed;
}

const char *fault_word(enum wire_error code)
{
	static const char *const words[] = {
		[WIRE_ERROR_UNKNOWN] = "unknown",
		[WIRE_ERROR_INVALID] = "invalid",
		[WIRE_ERROR_UNSUPPORTED] = "unsupported",
		[WIRE_ERROR_VERSION] = "version",
		[WIRE_ERROR_NO_MODEL] = "no-model",
		[WIRE_ERROR_CONTEXT] = "context",
		[WIRE_ERROR_BUSY] = "busy",
		[WIRE_ERROR_NO_LEASE] = "no-lease",
		[WIRE_ERROR_MEMORY] = "memory",
		[WIRE_ERROR_TIMEOUT] = "timeout",
		[WIRE_ERROR_CANCELLED] = "cancelled",
		[WIRE_ERROR_INTERNAL] = "internal",
		[WIRE_ERROR_LIMIT] = "limit",
	};

	return (size_t)code < sizeof(words) / sizeof(words[0]) ? words[code] : "unknown";
}
