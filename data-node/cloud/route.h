/*
 * Route: where a request is answered, and what of the person goes along.  Pure.
 *
 * A request for "cloud/NAME" goes there: the caller has named it, so its own words may
 * leave, and nothing of the timeline goes along.  "hearth" stays at home unless a rule
 * of the policy holds and everything that the rule would need is allowed.  Whatever
 * stands in the way is a step of the decision, with a reason in words; where no upstream
 * is left, the answer is made at home.
 */
#ifndef CLOUD_ROUTE_H
#define CLOUD_ROUTE_H

#include <stdbool.h>

#include "cloud/cloud_policy.h"
#include "cloud/spend.h"
#include "store/observation.h"

#define ROUTE_MODEL_PREFIX "cloud/"
/* Of a decision, and one behind it. */
#define ROUTE_STEPS_MAX (CLOUD_RULES_MAX * CLOUD_UPSTREAMS_MAX + 2)

/* X(NAME, "stable-code", "what it means") */
#define ROUTE_REASONS(X)                                                                           \
	X(NAMED, "named", "the caller names it")                                                   \
	X(RULE, "rule", "a rule of the policy sends hearth there")                                 \
	X(NO_RULE, "no-rule", "no rule of the policy sends hearth anywhere")                       \
	X(UNKNOWN, "unknown", "no upstream has that name")                                         \
	X(NOT_LONG, "not-long", "the prompt is shorter than the rule says")                        \
	X(NOT_AWAY, "not-away", "a compute node is there, and the rule is for when none is")       \
	X(QUESTION, "question", "the policy keeps the question at home")                           \
	X(CONVERSATION, "conversation",                                                            \
	    "the policy keeps what stands beside the question at home")                            \
	X(CONTEXT, "context", "the prompt is longer than its context")                             \
	X(KEY, "key", "its key is missing or of another address: give it again")                   \
	X(DOWN, "down", "it could not be reached a moment ago")                                    \
	X(DAY_TOKENS, "day-tokens", "its tokens for the day are used up")                          \
	X(MONTH_TOKENS, "month-tokens", "its tokens for the month are used up")                    \
	X(DAY_MONEY, "day-money", "its money for the day is used up")                              \
	X(MONTH_MONEY, "month-money", "its money for the month is used up")                        \
	X(POLICY, "policy", "cloud.json cannot be read: nothing leaves")                           \
	X(LEDGER, "ledger", "the ledger cannot be written: nothing leaves")                        \
	X(UNREACHABLE, "unreachable", "it cannot be reached")                                      \
	X(SILENT, "silent", "it did not answer in time")                                           \
	X(BUSY, "busy", "it is too busy")                                                          \
	X(DENIED, "denied", "it does not take the key")                                            \
	X(REFUSED, "refused", "it refused the request")                                            \
	X(FAULTY, "faulty", "it failed, or answered in no form that is known")

enum route_reason {
#define X(name, code, words) ROUTE_##name,
	ROUTE_REASONS(X)
#undef X
};

const char *route_code(enum route_reason reason);
const char *route_words(enum route_reason reason);
/* Of a budget that is used up; not SPEND_FITS. */
enum route_reason route_spent(enum spend_limit limit);

/* "cloud/…": the caller names an upstream. */
bool route_names_upstream(const char *model);

struct route_ask {
	const char *model;     /* "hearth" or "cloud/NAME" */
	bool conversation;     /* there is more in it than the newest question */
	bool local;            /* some compute node takes requests */
	int64_t prompt_tokens; /* estimated, with all moments */
	int64_t answer_tokens; /* at most */
};

/* Of one upstream. */
struct route_state {
	bool down, keyless;
	struct spend day, month;
};

struct route_step {
	const char *to; /* the upstream's name; "" = none */
	enum route_reason reason;
};

struct route_decision {
	const struct cloud_upstream *upstream; /* NULL: at home */
	struct route_step steps[ROUTE_STEPS_MAX];
	size_t steps_len; /* at least 1; the last one is the reason */
};

/* `states` [policy->upstreams_len].  Points into `policy` and `ask`. */
void route_decide(const struct cloud_policy *policy, const struct route_state *states,
    const struct route_ask *ask, struct route_decision *out);

/* One more: what came in the way afterwards. */
void route_step(struct route_decision *decision, const char *to, enum route_reason reason);

/* The one that counts. */
const struct route_step *route_last(const struct route_decision *decision);

struct route_moment {
	enum layer layer;
	const char *source;
	const char *const *labels; /* [labels_len], "scene=work" */
	size_t labels_len;
	bool unlabelled; /* newer than the last night's work, or its labels cannot be read */
};

enum route_kept {
	ROUTE_LEAVES,
	ROUTE_KEPT_LAYER, /* nothing of it is listed */
	ROUTE_KEPT_SOURCE,
	ROUTE_KEPT_LABEL,
	ROUTE_KEPT_UNLABELLED, /* some labels are to stay, and these are not known yet */
	ROUTE_KEPT_COUNT,
};

enum route_kept route_moment(const struct cloud_leave *leave, const struct route_moment *moment);
/* By the not_ lists alone: for what may leave by a word of its own. */
enum route_kept route_denied(const struct cloud_leave *leave, const struct route_moment *moment);
const char *route_kept_word(enum route_kept kept); /* "layer", …, "leaves" */

/* Whether route_moment() looks at labels at all. */
bool route_needs_labels(const struct cloud_leave *leave);

#endif
