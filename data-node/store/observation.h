/*
 * Observation: one immutable thing a device reported.
 *
 * reference: timeline §1.  A plain struct whose pointers are borrowed; who
 * lends them says for how long.  The codec to the stored protobuf form is
 * observation_codec.c, the only file that sees timeline.pb-c.h.
 */
#ifndef STORE_OBSERVATION_H
#define STORE_OBSERVATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/errmsg.h"
#include "store/placement.h"

#define OBS_ID_BYTES 16
#define OBS_SOURCE_BYTES_MAX ((size_t)128)
#define OBS_CLIENT_ID_BYTES_MAX ((size_t)256)
#define OBS_KIND_BYTES_MAX ((size_t)64)
#define OBS_CLOCK_BYTES_MAX ((size_t)128)
#define OBS_ZONE_BYTES_MAX ((size_t)64)
#define OBS_TEXT_BYTES_MAX ((size_t)1 << 20)
#define OBS_DATA_BYTES_MAX ((size_t)256 << 10)
#define OBS_VALUES_MAX ((size_t)100000)
#define OBS_CHANNELS_MAX 64u
#define OBS_CHANNEL_NAME_BYTES_MAX ((size_t)32)
#define OBS_BLOB_ID_BYTES 32 /* store/blob.h */
#define OBS_BLOBS_MAX ((size_t)1024)
#define OBS_OFFSET_NS_MAX (INT64_C(1) << 53)   /* of a block's times: 104 days */
#define OBS_RECORD_BYTES_MAX ((size_t)4 << 20) /* encoded */
/* What the node itself says about observations: its source, which no sender may
 * use, and the kinds of origin SYSTEM that come from it. */
#define OBS_SOURCE_NIGHT "hearth-night"
#define OBS_KIND_LABEL "label"
#define OBS_KIND_PROGRESS "progress"
#define OBS_KIND_SAID "said"
#define OBS_SCENE_ID "scene:" /* begins the ids of labels that say scenes */
/* What it knows about the person (memory/fact.h): likewise. */
#define OBS_SOURCE_MEMORY "hearth-memory"
#define OBS_KIND_FACT "fact"
#define OBS_KIND_MARK "mark"
/* Times outside [1900, 2200] are refused. */
#define OBS_TIME_MIN_NS INT64_C(-2208988800000000000)
#define OBS_TIME_MAX_NS INT64_C(7258118400000000000)

#define OBS_ERROR_MAX_NS INT64_C(86400000000000)

/* Stored numbers: never reorder. */
enum layer {
	LAYER_TEXT = 1,
	LAYER_VISUAL,
	LAYER_AUDITORY,
	LAYER_BEHAVIOUR,
	LAYER_ENVIRONMENT,
	LAYER_HOME,
};
#define LAYER_COUNT 6
#define LAYER_MASK(layer) (1u << (layer))
#define LAYER_MASK_ALL 0x7Eu

enum shape { SHAPE_INSTANT = 1, SHAPE_INTERVAL, SHAPE_STATE, SHAPE_BLOCK };

enum origin {
	ORIGIN_OWNER = 1, /* typed or said by the person */
	ORIGIN_DEVICE,    /* measured or recorded */
	ORIGIN_ASSISTANT, /* said by a model */
	ORIGIN_UNTRUSTED, /* text fetched from outside */
	ORIGIN_SYSTEM,    /* machine chatter; never becomes memory */
};

struct observation {
	uint8_t obs_id[OBS_ID_BYTES];       /* set by the store at append */
	uint8_t content_hash[OBS_ID_BYTES]; /* set by the store at append */
	uint64_t seq;                       /* ingest_seq, from 1; set by the store */
	uint64_t supersedes_seq;            /* 0 = first version; set by the store */
	const char *source;                 /* never NULL or empty */
	const char *client_id;              /* sender's own id, "" = none */
	enum layer layer;
	const char *kind; /* never NULL */
	enum shape shape;
	const char *clock_id;   /* "" = trusted UTC */
	const char *boot_epoch; /* "" = none */
	bool has_source_seq;
	uint64_t source_seq;
	int64_t dev_t0_ns, dev_t1_ns; /* as the device said; t1 ≥ t0 */
	bool has_end;                 /* the sender gave an end */
	int64_t recv_utc_ns, recv_mono_ns;
	int64_t error_ns; /* ε of the sender's registration; 0 = the default */
	const char *zone; /* "" = none */
	bool has_offset;
	int32_t offset_s; /* east of UTC */
	enum origin origin;
	const char *text;      /* "" = none */
	const char *data_json; /* canonical JSON, "" = none */
	double rate_hz;        /* BLOCK: frames a second; 0 with times = not said */
	const double *values;  /* BLOCK: [frames][channels], values_len in all */
	size_t values_len;
	unsigned channels;       /* BLOCK: values a frame; 0 = 1 */
	const int64_t *times_ns; /* BLOCK: [values_len / channels] offsets from dev_t0 that do
				    not fall; NULL = one frame each 1 / rate_hz */
	bool has_pulse;
	double pulse_s;
	bool gap;
	bool tombstone; /* forgotten: only obs_id and times stand */
	/* LAYER_MASK bits, of a tombstone: no observation, but what was forgotten
	 * here (store/store_forget.h): these layers in [dev_t0, dev_t1) of `source`,
	 * "" = every source. */
	unsigned forget_layers;
	const uint8_t (*blobs)[OBS_BLOB_ID_BYTES]; /* [blobs_len], in the sender's order */
	size_t blobs_len;
	/* Canonical JSON object, "" or NULL = none: members of the sent event that
	 * the fields above do not give back (unknown ones, an explicit "shape"). */
	const char *extra_json;
	struct placement place; /* set by the store when it is read */
};

/* A source that is the node's own. */
static inline bool observation_own_source(const char *source)
{
	return strcmp(source, OBS_SOURCE_NIGHT) == 0 || strcmp(source, OBS_SOURCE_MEMORY) == 0;
}

/* False for what the node says itself, but for the labels of scenes: slices read
 * these. */
static inline bool observation_feeds_slices(const struct observation *obs)
{
	if (obs->origin != ORIGIN_SYSTEM || !observation_own_source(obs->source))
		return true;
	return strcmp(obs->source, OBS_SOURCE_NIGHT) == 0 &&
	       strncmp(obs->client_id, OBS_SCENE_ID, sizeof(OBS_SCENE_ID) - 1) == 0;
}

/* What a rule of the night says about observations (night/label.h). */
static inline bool observation_is_label(const struct observation *obs)
{
	return obs->origin == ORIGIN_SYSTEM && !obs->tombstone &&
	       strcmp(obs->kind, OBS_KIND_LABEL) == 0 && strcmp(obs->source, OBS_SOURCE_NIGHT) == 0;
}

/* What a model said at night of a stretch of time (night/said.h). */
static inline bool observation_is_said(const struct observation *obs)
{
	return obs->origin == ORIGIN_SYSTEM && !obs->tombstone &&
	       strcmp(obs->kind, OBS_KIND_SAID) == 0 && strcmp(obs->source, OBS_SOURCE_NIGHT) == 0;
}

/* Either: it goes with what it may have been read from. */
static inline bool observation_is_of_night(const struct observation *obs)
{
	return observation_is_label(obs) || observation_is_said(obs);
}

/* How far the night's work has come: numbers alone. */
static inline bool observation_is_progress(const struct observation *obs)
{
	return obs->origin == ORIGIN_SYSTEM && strcmp(obs->kind, OBS_KIND_PROGRESS) == 0 &&
	       strcmp(obs->source, OBS_SOURCE_NIGHT) == 0;
}

/* A fact about the person, or what became of one; both may name what they were
 * read from (observation_about()). */
static inline bool observation_is_memory(const struct observation *obs)
{
	return obs->origin == ORIGIN_SYSTEM && !obs->tombstone &&
	       strcmp(obs->source, OBS_SOURCE_MEMORY) == 0;
}

/* What became of a fact: numbers alone. */
static inline bool observation_is_mark(const struct observation *obs)
{
	return observation_is_memory(obs) && strcmp(obs->kind, OBS_KIND_MARK) == 0;
}

/*
 * The `i`th id of "about", which the data of labels and of memory begins with: what
 * was read to say it.  False: there are fewer, or it is none of these.
 */
bool observation_about(const struct observation *obs, size_t i, uint8_t out[OBS_ID_BYTES]);

/* Frames of a block: the moments at which its channels were sampled. */
static inline size_t observation_frames(const struct observation *obs)
{
	return obs->channels > 1 ? obs->values_len / obs->channels : obs->values_len;
}

/* Words of the contract: "text", …; 0 / NULL if unknown. */
const char *layer_word(enum layer layer);
enum layer layer_parse(const char *word);
const char *shape_word(enum shape shape);
enum shape shape_parse(const char *word);
const char *origin_word(enum origin origin);

/* The shape of an event that names none: values make a block, an end an
 * interval, a home kind (light, door, climate, appliance, presence) a state,
 * all else an instant. */
enum shape shape_default(enum layer layer, const char *kind, bool has_end, bool has_values);

/*
 * The range and consistency checks that every stored record meets: what the
 * store asserts before it writes and the decoder after it reads.  NULL strings
 * count as "".  RC_INVALID names the field.
 */
enum rc observation_check(const struct observation *obs, struct errmsg *why) RC_CHECK;

/* Stored bytes of one record.  RC_LIMIT. */
enum rc observation_encode(
    const struct observation *obs, struct buf *out, struct errmsg *why) RC_CHECK;

/* Read a record; everything is copied into `arena` and range-checked.
 * RC_CORRUPT names the field.  `seq` is not part of the record (it is its key);
 * `place` is that of a source without a clock. */
enum rc observation_decode(const uint8_t *bytes, size_t len, struct arena *arena,
    struct observation *out, struct errmsg *why) RC_CHECK;

#endif
