/*
 * Cloud edit: changes of the policy of what may leave, as the operator says them.
 *
 * Pure but for memory.  What is put into a policy is copied into the arena.
 */
#ifndef GATEWAY_CLOUD_EDIT_H
#define GATEWAY_CLOUD_EDIT_H

#include "cloud/cloud_policy.h"

/* In place of the upstream of that name, or behind the others.  RC_LIMIT. */
enum rc cloud_edit_put(struct cloud_policy *policy, const struct cloud_upstream *upstream,
    struct errmsg *why) RC_CHECK;

/* It and the rules that lead to it alone.  RC_NOTFOUND. */
enum rc cloud_edit_remove(
    struct cloud_policy *policy, const char *name, struct errmsg *why) RC_CHECK;

/*
 * One word of what may leave (`may`) or is to stay: a layer, "question",
 * "conversation", "facts", "source:NAME" or "label:RULE[=VALUE]".  A source or label
 * that is to stay is kept also where its layer may leave.  RC_INVALID, RC_LIMIT.
 */
enum rc cloud_edit_leave(struct cloud_leave *leave, const char *word, bool may, struct arena *arena,
    struct errmsg *why) RC_CHECK;

/* RC_LIMIT. */
enum rc cloud_edit_rule(
    struct cloud_policy *policy, const struct cloud_rule *rule, struct errmsg *why) RC_CHECK;

#endif
