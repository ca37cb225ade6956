/*
 * Label: what a rule of the night says about observations, as an observation.
 *
 * A label's source is OBS_SOURCE_NIGHT, its kind OBS_KIND_LABEL, its origin
 * SYSTEM: it never becomes memory.  It lies in the layer and at the (hub) time
 * of what it is about, so it lives and dies with the key of that day and layer,
 * and a scan of that moment finds it.  Invariants:
 *  L1  its id is "RULE:KEY": the same rule about the same thing is the same
 *      observation, and another value a new version of it.
 *  L2  `about` holds what the value was read from.  All of it lies within
 *      LABEL_REACH_NS around the label, but where a day is summed up: there
 *      observations of the days beside it may be, and other labels.
 *  L3  a value of null is a label withdrawn: the rule says nothing any more.
 *  L4  `revision` counts the versions, so that a value which comes back after
 *      another is new content; it is no part of what is compared.
 */
#ifndef NIGHT_LABEL_H
#define NIGHT_LABEL_H

#include "store/store.h"

#define LABEL_RULE_BYTES_MAX ((size_t)32)
#define LABEL_KEY_BYTES_MAX ((size_t)160)
#define LABEL_ABOUT_MAX ((size_t)2048)
#define LABEL_VALUE_BYTES_MAX ((size_t)128 << 10)
#define LABEL_REACH_NS INT64_C(1800000000000) /* half an hour */
#define LABEL_LIVES_MAX 64 /* ids of one label, of which all but the last were forgotten */

struct label {
	const char *rule; /* "language" */
	uint32_t version; /* of the rule, from 1 */
	const char *key;  /* what it is about, unique within the rule; no '~' */
	enum layer layer;
	int64_t t0_ns, t1_ns;
	const uint8_t (*about)[OBS_ID_BYTES]; /* [about_len], 1 to LABEL_ABOUT_MAX */
	size_t about_len;
	const char *value_json; /* JSON without blanks */
	double confidence;      /* 0 to 1, kept to four digits */
	uint32_t revision;
	unsigned life; /* how many ids before it were forgotten */
};

#define LABEL_OBS_KEY_BYTES (2 * OBS_ID_BYTES + 1)
/* The usual key: the obs_id as hexadecimal text. */
void label_obs_key(const uint8_t obs_id[OBS_ID_BYTES], char out[LABEL_OBS_KEY_BYTES]);

/* Of a label about one member of an observation. */
void label_member_key(
    const char *member, const uint8_t obs_id[OBS_ID_BYTES], char out[LABEL_KEY_BYTES_MAX]);

bool label_is(const struct observation *obs);
bool label_is_withdrawn(const struct label *label);

/* As an observation to append; strings in `arena`.  RC_NOMEM, RC_LIMIT. */
enum rc label_encode(
    const struct label *label, struct arena *arena, struct observation *out) RC_CHECK;

/* Back; everything in `arena` or borrowed from `obs`.  RC_NOTFOUND: it is no
 * label; RC_CORRUPT: it is one, but malformed. */
enum rc label_decode(
    const struct observation *obs, struct arena *arena, struct label *out) RC_CHECK;

/* Equal for labels that say the same: all but revision and life. */
struct label_digest {
	uint64_t word[2];
};
struct label_digest label_digest(const struct label *label);

/*
 * What stands under the id of `rule` about `key`, and has not been forgotten: of the kind of
 * a label, or of one that is written as they are (said.h).  Everything in `arena`;
 * `life` and `id` are always those of the id looked at last.  RC_NOTFOUND: nothing
 * was ever written under it; RC_LIMIT: LABEL_LIVES_MAX ids were forgotten.
 */
enum rc label_stands(struct store *store, const char *rule, const char *key, struct arena *arena,
    struct observation *out, unsigned *life, uint8_t id[OBS_ID_BYTES], struct errmsg *why) RC_CHECK;

/*
 * The label of rule `rule` about `key`; everything in `arena`, its own obs_id
 * into `label_id` (may be NULL).  RC_NOTFOUND: there is none, or it was
 * withdrawn or forgotten.
 */
enum rc label_get(struct store *store, const char *rule, const char *key, struct arena *arena,
    struct label *out, uint8_t label_id[OBS_ID_BYTES], struct errmsg *why) RC_CHECK;

/*
 * Visit every label that is about `obs_id`, an observation of `layer` within
 * [t0, t1]; false ends the walk.  Withdrawn ones are left out.  Reads what the
 * layer has around that time.
 */
typedef bool label_visit_fn(
    void *ctx, const struct label *label, const struct observation *as_stored);
enum rc label_find(struct store *store, const uint8_t obs_id[OBS_ID_BYTES], enum layer layer,
    int64_t t0_ns, int64_t t1_ns, label_visit_fn *visit, void *ctx, struct errmsg *why) RC_CHECK;

#endif
