/*
 * Result codes: one list for the whole project.
 *
 * Every fallible call returns `enum rc`; detail for people goes to a
 * `struct errmsg` (errmsg.h).  The numbers never leave the process: the wire
 * and HTTP map them in their own codecs.
 */
#ifndef BASE_RC_H
#define BASE_RC_H

/* X(NAME, "stable-word", "what it means") */
#define RC_LIST(X)                                                                                 \
	X(OK, "ok", "done")                                                                        \
	X(NOMEM, "no-memory", "an allocation failed or an arena cap was hit")                      \
	X(IO, "io", "the operating system refused a read or a write")                              \
	X(NOTFOUND, "not-found", "no such thing")                                                  \
	X(EXISTS, "exists", "it is there already")                                                 \
	X(INVALID, "invalid", "the caller's input is malformed")                                   \
	X(LIMIT, "limit", "a named limit was exceeded")                                            \
	X(CORRUPT, "corrupt", "stored bytes fail their checks")                                    \
	X(UNSUPPORTED, "unsupported", "well-formed, but not implemented here")                     \
	X(DENIED, "denied", "no permission, wrong key or wrong token")                             \
	X(BUSY, "busy", "held by someone else")                                                    \
	X(AGAIN, "again", "a bounded queue is full: try later")                                    \
	X(TIMEOUT, "timeout", "the deadline passed")                                               \
	X(CANCELLED, "cancelled", "the caller gave up")                                            \
	X(CLOSED, "closed", "the peer or the stream is gone")                                      \
	X(FULL, "full", "no room on disk or in the quota")                                         \
	X(CONFIG, "config", "the configuration cannot work")                                       \
	X(BUDGET, "budget", "refused by the memory plan")                                          \
	X(CONTEXT, "context", "the prompt does not fit the model's context")                       \
	X(UNAVAILABLE, "unavailable", "no compute node can serve this now")                        \
	X(BUG, "bug", "an invariant of ours does not hold")

enum rc {
#define X(name, word, text) RC_##name,
	RC_LIST(X)
#undef X
};

/* Put this on every function whose result must not be dropped. */
#define RC_CHECK __attribute__((warn_unused_result))

/* The stable word of `rc` ("not-found"); "unknown" for anything else. */
const char *rc_word(enum rc rc);

/* One line for people; never NULL. */
const char *rc_text(enum rc rc);

/*
 * The process exit code of the contract (DESIGN §7): 0 done, 1 failed,
 * 2 usage, 3 configuration, 4 integrity check failed, 5 refused by the plan.
 * RC_INVALID is 1: usage errors are returned as EXIT_USAGE by the parser.
 */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_CONFIG = 3,
	EXIT_INTEGRITY = 4,
	EXIT_PLAN = 5,
	EXIT_SKIPPED = 77,
};
int rc_exit_code(enum rc rc);

#endif
