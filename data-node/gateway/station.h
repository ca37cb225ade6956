/*
 * Station: one data node's directory, opened.
 *
 * Opens the keyring, catalogue, store and, where asked for, recall and the
 * pool of compute nodes.  `serve` holds one for its whole life; a command run
 * while nothing serves opens one for itself, so both go through the same
 * handlers.  Accessors are for any thread; what they return lives as long as
 * the station.
 */
#ifndef GATEWAY_STATION_H
#define GATEWAY_STATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/errmsg.h"

struct station;
struct store;
struct recall;
struct pool;
struct builder;
struct nightly;
struct book;
struct policy;
struct policy_place;
struct catalogue;
struct cloud_place;
struct keyring;
struct auth;

#define STATION_RECALL 1u   /* open the index */
#define STATION_POOL 2u     /* dial the compute nodes */
#define STATION_SLICES 4u   /* keep the stored slices; not while it follows another node */
#define STATION_NIGHT 8u    /* the thread of the night's work; likewise */
#define STATION_FOLLOW 16u  /* follow, and be followed, as configured */
#define STATION_VECTORS 32u /* recall by meaning as well; with STATION_RECALL and STATION_POOL */
#define STATION_ALL                                                                                \
	(STATION_RECALL | STATION_POOL | STATION_SLICES | STATION_NIGHT | STATION_FOLLOW |         \
	    STATION_VECTORS)

/* Defaults; `serve --help` says them. */
#define STATION_CONTEXT_TOKENS 2000
#define STATION_ANSWER_TOKENS 1024

struct station_config {
	const char *dir;
	const char *key_file, *passphrase_file; /* NULL: as at init, DIR/key by default */
	const char *recovery_file;              /* station_restore() alone */
	unsigned parts;                         /* STATION_… bits */
	const char *zone;                       /* the owner's, IANA name; NULL: the system's */
	const char *model;         /* behind "hearth"; NULL: any chat model that is up */
	const char *embed_model;   /* for recall's vectors; NULL: any that only embeds */
	const char *night_model;   /* the night asks; NULL: the largest that is up */
	int64_t resume_timeout_ns; /* 0: GENERATION_RESUME_TIMEOUT_NS */
	int64_t start_timeout_ns;  /* wait for a first node; 0: do not */
	uint32_t context_tokens;   /* budget of the moments in a prompt; 0: the default */
	uint32_t answer_tokens;    /* where the client sets no max_tokens; 0: likewise */
	uint64_t quota_bytes;      /* of the store; 0: none */
	const char *follow_listen; /* STATION_FOLLOW: where others may follow; NULL: nowhere */
	int night_at_s;            /* local time of day of the night's work; 0: only when told */
	int64_t night_most_ns;     /* and at most so long; 0: no limit */
	bool log_links;            /* COMPUTE-UP and COMPUTE-DOWN; what the night did */
};

/* Names of catalogue settings: where what opens it lies; "" or none: DIR/key. */
#define STATION_SETTING_KEY_FILE "key-file"
#define STATION_SETTING_PASSPHRASE_FILE "passphrase-file"

struct station_created {
	char owner_token[64];
	char public_key[65]; /* of the wire, 64 hex digits */
	char recovery_key[48];
};

/*
 * Make a data node in an empty or missing directory (mode 0700; a
 * key may lie there, or what an init that was cut off left): keyring,
 * store, wire keys, catalogue with the owner's token.  Uses dir, key_file and
 * passphrase_file of `config`.  RC_EXISTS: there is something in it; then
 * nothing was changed.  `out` holds secrets: wipe it.
 */
enum rc station_create(
    const struct station_config *config, struct station_created *out, struct errmsg *why) RC_CHECK;

/*
 * Strings of `config` are borrowed until station_close().  RC_CONFIG for a
 * directory or a zone that is not there, a key that does not open it or a
 * format of a newer program, RC_NOTFOUND if it was never
 * initialised, RC_BUSY if another process has it open, the parts' own errors.
 */
enum rc station_open(
    const struct station_config *config, struct station **out, struct errmsg *why) RC_CHECK;
void station_close(struct station *station);

/*
 * Drop and remake every derived database (store/store_rebuild.h).  RC_BUSY while
 * anything has the directory open.  Uses dir, key_file, passphrase_file and
 * quota_bytes of `config`.
 */
struct store_rebuilt;
enum rc station_rebuild(const struct station_config *config,
    bool (*progress)(void *ctx, uint64_t done, uint64_t total), void *ctx,
    struct store_rebuilt *out, struct errmsg *why) RC_CHECK;

/* Open the parts that are a node's own, not a follower's, where they are not yet:
 * STATION_SLICES and STATION_NIGHT.  One thread at a time. */
enum rc station_open_own(struct station *station, struct errmsg *why) RC_CHECK;

/* station_follow.h: what there is of following and of being followed; NULL. */
struct station_following;
struct station_following *station_following(struct station *station);
struct follow_serve;
struct follow_serve *station_followed(struct station *station);

/* Where devices reach this node, "http://127.0.0.1:8420"; "" before it listens.
 * Set once, with the pin of its TLS key ("": plain); borrowed until
 * station_close(). */
void station_set_url(struct station *station, const char *url, const char *pin);
const char *station_url(const struct station *station);
const char *station_pin(const struct station *station);

const struct station_config *station_config(const struct station *station);
struct store *station_store(struct station *station);
struct recall *station_recall(struct station *station); /* NULL unless STATION_RECALL */
struct pool *station_pool(struct station *station);     /* NULL unless STATION_POOL */
struct book *station_book(struct station *station);     /* what is known about the person */
/* NULL unless STATION_SLICES and STATION_NIGHT, and while it follows; a node that
 * takes over has them from then on. */
struct builder *station_builder(struct station *station);
struct nightly *station_nightly(struct station *station);
/* Of the slices, now: ask once a request. */
const struct policy *station_policy(const struct station *station);
struct policy_place *station_policies(struct station *station);
struct catalogue *station_catalogue(struct station *station);
struct cloud_place *station_cloud(struct station *station);
struct keyring *station_keyring(struct station *station);
struct auth *station_auth(struct station *station);

/* Our wire key pair's public half, 64 hex digits. */
const char *station_public_key(const struct station *station);

/* Seconds east of UTC in the owner's zone at that instant, and the zone's
 * short name ("CET") for prompts. */
int32_t station_time_offset(const struct station *station, int64_t utc_ns);
const char *station_zone_name(const struct station *station);

/* Since station_open(). */
int64_t station_uptime_ns(const struct station *station);

/* True once the node is going down: long handlers and pulls end early. */
bool station_stopping(const struct station *station);
void station_stop(struct station *station);

#endif
