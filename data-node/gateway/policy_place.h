/*
 * Policy place: the policy of slices that is in force, and its file.
 *
 * DIR/policy.json is read when the directory is opened; an edit counts from the
 * next time on.  A node that follows another one makes slices by that one's
 * policy, which it takes while it serves: a policy that was handed out stays
 * valid until policy_place_close().
 */
#ifndef GATEWAY_POLICY_PLACE_H
#define GATEWAY_POLICY_PLACE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/errmsg.h"

struct policy;
struct policy_place;

/* RC_CONFIG: the file is no policy. */
enum rc policy_place_open(const char *dir, struct policy_place **out, struct errmsg *why) RC_CHECK;
void policy_place_close(struct policy_place *place);

/* What is in force; any thread. */
const struct policy *policy_place_now(const struct policy_place *place);

/* Append its text; nothing where the built-in one is in force. */
enum rc policy_place_text(const struct policy_place *place, struct buf *out) RC_CHECK;

/* That text becomes the file and is in force from now on.  One thread at a time.
 * RC_CONFIG: it is no policy, and nothing changed. */
enum rc policy_place_adopt(
    struct policy_place *place, const uint8_t *text, size_t len, struct errmsg *why) RC_CHECK;

/* That text becomes DIR/policy.json of a directory that nobody has open; len 0:
 * there is none from then on. */
enum rc policy_place_put(
    const char *dir, const uint8_t *text, size_t len, struct errmsg *why) RC_CHECK;

#endif
