/*
 * Fault: why a request is refused, on its way from where it is found to the
 * Error body that tells the data node.
 */
#ifndef SERVE_FAULT_H
#define SERVE_FAULT_H

#include <stdint.h>

#include "base/errmsg.h"
#include "wire/message.h"

struct fault {
	enum wire_error code;
	struct errmsg why;
	uint64_t context, needed; /* CONTEXT only */
};

/* Never user content: fields, sizes and names of ours. */
void fault_set(struct fault *fault, enum wire_error code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* From a failed call: the code follows from `rc`, the text from `why`. */
void fault_from_rc(struct fault *fault, enum rc rc, const struct errmsg *why);

/* The Error body; its text points into `fault`. */
void fault_message(const struct fault *fault, uint64_t request_id, struct message *out);

/* "invalid", "busy", …: for logs. */
const char *fault_word(enum wire_error code);

#endif
