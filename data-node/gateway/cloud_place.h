/*
 * Cloud place: what a station has for asking models elsewhere: the policy's file, the
 * upstreams' keys, what was spent, who is down, and the ledger.
 *
 * The policy is read from DIR/cloud.json for each request, so an edit counts at once.
 * A key rests in the catalogue, sealed under the keyring and bound to its upstream's
 * name and URL: whoever edits the URL in the file cannot have the key sent there.
 * Any thread.
 */
#ifndef GATEWAY_CLOUD_PLACE_H
#define GATEWAY_CLOUD_PLACE_H

#include "cloud/cloud_policy.h"
#include "cloud/route.h"
#include "cloud/upstream.h"

struct catalogue;
struct cloud_place;
struct keyring;

#define CLOUD_KEY_TEXT_BYTES (UPSTREAM_KEY_BYTES_MAX + 1)
#define CLOUD_DOWN_NS (INT64_C(30) * 1000000000) /* not asked again for so long */

/* Borrows all three until cloud_place_close(). */
enum rc cloud_place_open(const char *dir, struct catalogue *catalogue,
    const struct keyring *keyring, struct cloud_place **out) RC_CHECK;
void cloud_place_close(struct cloud_place *place);

/* Of now; strings in `arena`.  RC_CONFIG: the file is no policy, and `out` is empty. */
enum rc cloud_place_policy(struct cloud_place *place, struct arena *arena, struct cloud_policy *out,
    struct errmsg *why) RC_CHECK;

/* Change the policy and write its file; what `edit` puts in lives in `arena`.  The errors
 * of `edit`; RC_CONFIG if the outcome is no policy, and then nothing changed. */
typedef enum rc cloud_edit_fn(
    void *ctx, struct arena *arena, struct cloud_policy *policy, struct errmsg *why);
enum rc cloud_place_edit(struct cloud_place *place, cloud_edit_fn *edit, void *ctx,
    struct arena *arena, struct errmsg *why) RC_CHECK;

/* RC_INVALID: it is no key that could be set.  set: "" takes it away.  get: RC_OK with "" if it has
 * none; RC_DENIED if it is of another address; wipe it. */
enum rc cloud_place_check_key(const char *key, struct errmsg *why) RC_CHECK;
enum rc cloud_place_set_key(struct cloud_place *place, const struct cloud_upstream *upstream,
    const char *key, struct errmsg *why) RC_CHECK;
enum rc cloud_place_key(struct cloud_place *place, const struct cloud_upstream *upstream,
    char out[CLOUD_KEY_TEXT_BYTES], struct errmsg *why) RC_CHECK;

/* How each upstream stands, [policy->upstreams_len], on that local day. */
enum rc cloud_place_states(struct cloud_place *place, const struct cloud_policy *policy,
    int32_t day, struct route_state *out, struct errmsg *why) RC_CHECK;

/* It could not be reached, or it could. */
void cloud_place_fell(struct cloud_place *place, const char *name, bool down);

/*
 * Count so many tokens as spent before they are, if its budget holds them (`*limit` is
 * SPEND_FITS then; else nothing was counted).  settle: what all that was so counted for
 * one answer came to.
 */
enum rc cloud_place_reserve(struct cloud_place *place, const struct cloud_upstream *upstream,
    int32_t day, const struct spend *estimate, enum spend_limit *limit,
    struct errmsg *why) RC_CHECK;
enum rc cloud_place_settle(struct cloud_place *place, const struct cloud_upstream *upstream,
    int32_t day, const struct spend *estimate, const struct spend *used,
    struct errmsg *why) RC_CHECK;

/* One line of the ledger. */
enum rc cloud_place_note(struct cloud_place *place, int64_t device, const char *action,
    const char *object, int64_t n, struct errmsg *why) RC_CHECK;

#endif
