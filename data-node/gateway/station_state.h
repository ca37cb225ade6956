/*
 * Station state: what a station's directory holds besides timeline, keyring and
 * blobs, as bytes: into backups, and to those who follow.
 *
 * Magic and version(1), then wire_len(4) policy_len(4) tls_len(4) cloud_len(4), the wire
 * key's file, the text of the policy of slices, the TLS key's file, the policy of what may
 * leave, the catalogue; numbers are big-endian.  Version 3 had no cloud_len, version 2,
 * which a follower still gets, no tls_len either, version 1 no policy; a follower was once
 * sent the catalogue alone.
 * What holds it seals it, so whoever parses it knows who made it.
 */
#ifndef GATEWAY_STATION_STATE_H
#define GATEWAY_STATION_STATE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/errmsg.h"
#include "gateway/catalogue.h"

struct station;

#define STATION_STATE_BYTES_MAX (CATALOGUE_COPY_BYTES_MAX + ((size_t)1 << 20))

/* Append it, for the seal: it holds secrets.  lean: for a follower, without the
 * keys and with devices and compute nodes alone; the same bytes as long as nothing
 * of it changed. */
enum rc station_state(
    struct station *station, bool lean, struct buf *out, struct errmsg *why) RC_CHECK;

/* Points into the bytes. */
struct station_state_view {
	const uint8_t *wire, *policy, *tls, *cloud, *catalogue;
	/* policy: 0 is the built-in one; cloud: 0 is none */
	size_t wire_len, policy_len, tls_len, cloud_len, catalogue_len;
	bool tells_policy; /* false: of a program that knew none */
};

/* RC_UNSUPPORTED: of a newer program; RC_CORRUPT.  Pure. */
enum rc station_state_parse(
    const uint8_t *bytes, size_t len, struct station_state_view *out, struct errmsg *why) RC_CHECK;

#endif
