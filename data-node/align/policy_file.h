/*
 * Policy file: a policy as text, DIR/policy.json.
 *
 * One JSON object; what it leaves out is as in the default policy, what it has
 * besides is an error that names it.  Times are seconds.  `version` is the
 * file's own number, 1 to 2^53; what names a policy for certain is its hash.
 * `reach_ns` and `ahead_ns` follow from the rules.
 */
#ifndef ALIGN_POLICY_FILE_H
#define ALIGN_POLICY_FILE_H

#include "align/policy.h"

#define POLICY_FILE_NAME "policy.json"
#define POLICY_FILE_BYTES_MAX ((size_t)64 << 10)

/* Read the text of a policy.  RC_CONFIG names the member that is wrong. */
enum rc policy_parse(const char *text, size_t len, struct policy *out, struct errmsg *why) RC_CHECK;

/* DIR/policy.json, or the default policy if there is none. */
enum rc policy_load(const char *dir, struct policy *out, struct errmsg *why) RC_CHECK;

/* All of it as text that policy_parse() reads back; ends in a newline. */
void policy_print(const struct policy *policy, struct buf *out);

#endif
