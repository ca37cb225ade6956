/*
 * Station follow: this node follows another one, or is followed (follow/follow.h).
 */
#ifndef GATEWAY_STATION_FOLLOW_H
#define GATEWAY_STATION_FOLLOW_H

#include "follow/follow.h"
#include "gateway/station.h"

/* Settings of the catalogue: whom this node follows; none: nobody. */
#define STATION_SETTING_FOLLOW_ADDRESS "follow-address"
#define STATION_SETTING_FOLLOW_KEY "follow-key"
/* In the directory: public keys of those who may follow. */
#define STATION_FOLLOWERS "followers"

/* What a station has of it; all zero: nothing. */
struct station_following;

/* Look at the settings, and set the store to following; with `run` also begin to
 * follow.  `out` is left alone where this node follows nobody. */
enum rc station_following_open(struct station *station, const struct wire_keypair *keys, bool run,
    struct station_following **out, struct errmsg *why) RC_CHECK;
void station_following_close(struct station_following *following);

/* Begin to be followed at `listen`. */
enum rc station_followed_open(struct station *station, const char *listen,
    const struct wire_keypair *keys, struct follow_serve **out, struct errmsg *why) RC_CHECK;

/* Whom it follows: "tcp://HOST:PORT"; NULL: nobody. */
const char *station_follows(struct station *station);

/* From now on this node takes records of its own; RC_INVALID: it follows nobody. */
enum rc station_take_over(struct station *station, struct errmsg *why) RC_CHECK;

/* ,"follow":{…},"followers":[…] of the status, appended to `out`. */
void station_follow_json(struct station *station, struct buf *out);

/*
 * Make a directory that follows the node at `address` with the public key `key`:
 * keyring, identity and catalogue are fetched, opened with `config`'s key_file or
 * passphrase_file, and the node that serves the directory follows from then on.
 * `told` hears of our public key before it connects, since the other node has to
 * let it in.  A directory that held the same timeline before (it was the first
 * node once) begins to follow where it stands.  RC_TIMEOUT: nobody let us in
 * for `wait_ns`; run again, it goes on.  RC_EXISTS: it holds something else.
 */
typedef void station_follow_told_fn(void *ctx, const char *public_key);
enum rc station_follow_begin(const struct station_config *config, const char *address,
    const char *key, int64_t wait_ns, station_follow_told_fn *told, void *ctx,
    struct errmsg *why) RC_CHECK;

#endif
