/*
 * Observation codec: struct ⇄ stored protobuf bytes (proto/timeline.proto).
 *
 * Decoding unpacks into a capped arena only; whatever the bytes hold, the
 * result is either RC_CORRUPT or a record that passes observation_check().
 */
#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"
#include "store/observation.h"
#include "store/series.h"
#include "timeline.pb-c.h"

#define SMALL_BYTES 1024 /* most records: packed on the stack */

/* protobuf-c wants char *, but never writes through it when packing. */
static char *borrow(const char *text)
{
	union {
		const char *in;
		char *out;
	} u = { .in = text == NULL ? "" : text };

	return u.out;
}

static void message_fill(
    const struct observation *obs, const struct buf *series, Hearth__Timeline__Observation *m)
{
	union {
		const uint8_t *in;
		uint8_t *out;
	} id = { .in = obs->obs_id }, hash = { .in = obs->content_hash },
	  blobs = { .in = obs->blobs_len == 0 ? NULL : obs->blobs[0] };

	m->obs_id = (ProtobufCBinaryData){ OBS_ID_BYTES, id.out };
	m->source = borrow(obs->source);
	m->client_id = borrow(obs->client_id);
	m->layer = (uint32_t)obs->layer;
	m->kind = borrow(obs->kind);
	m->shape = (uint32_t)obs->shape;
	m->clock_id = borrow(obs->clock_id);
	m->boot_epoch = borrow(obs->boot_epoch);
	m->has_source_seq = obs->has_source_seq;
	m->source_seq = obs->source_seq;
	m->dev_t0_ns = obs->dev_t0_ns;
	m->dev_t1_ns = obs->dev_t1_ns;
	m->recv_utc_ns = obs->recv_utc_ns;
	m->recv_mono_ns = obs->recv_mono_ns;
	m->error_ns = obs->error_ns;
	m->zone = borrow(obs->zone);
	m->has_offset = obs->has_offset;
	m->offset_s = obs->offset_s;
	m->origin = (uint32_t)obs->origin;
	m->text = borrow(obs->text);
	m->data_json = borrow(obs->data_json);
	m->rate_hz = obs->rate_hz;
	m->series = (ProtobufCBinaryData){ series->len, series->bytes };
	m->has_pulse = obs->has_pulse;
	m->pulse_s = obs->pulse_s;
	m->gap = obs->gap;
	m->content_hash = (ProtobufCBinaryData){ OBS_ID_BYTES, hash.out };
	m->supersedes_seq = obs->supersedes_seq;
	m->has_end = obs->has_end;
	m->tombstone = obs->tombstone;
	m->forget_layers = obs->forget_layers;
	m->extra_json = borrow(obs->extra_json);
	m->blobs = (ProtobufCBinaryData){ obs->blobs_len * OBS_BLOB_ID_BYTES, blobs.out };
}

static enum rc message_pack(
    const Hearth__Timeline__Observation *m, struct buf *out, struct errmsg *why)
{
	size_t len = hearth__timeline__observation__get_packed_size(m);
	if (len > OBS_RECORD_BYTES_MAX)
		return errmsg_rc(
		    why, RC_LIMIT, "the record is larger than %zu bytes", OBS_RECORD_BYTES_MAX);
	uint8_t small[SMALL_BYTES];
	uint8_t *bytes = len <= sizeof(small) ? small : malloc(len);
	if (bytes == NULL)
		return RC_NOMEM;
	(void)hearth__timeline__observation__pack(m, bytes);
	buf_append(out, bytes, len);
	wipe(bytes, len);
	if (bytes != small)
		free(bytes);
	return buf_rc(out);
}

enum rc observation_encode(const struct observation *obs, struct buf *out, struct errmsg *why)
{
	Hearth__Timeline__Observation m = HEARTH__TIMELINE__OBSERVATION__INIT;
	struct buf series;
	enum rc rc = RC_OK;

	buf_init(&series, SERIES_BYTES_MAX);
	if (obs->values_len > 0) {
		struct series samples = { obs->values, obs->times_ns, observation_frames(obs),
			obs->channels > 1 ? obs->channels : 1 };
		rc = series_encode(&samples, &series, why);
	}
	message_fill(obs, &series, &m);
	if (rc == RC_OK)
		rc = message_pack(&m, out, why);
	buf_fini(&series);
	return rc;
}

struct unpack_memory {
	struct arena *arena;
	bool exhausted;
};

static void *unpack_alloc(void *ctx, size_t len)
{
	struct unpack_memory *memory = ctx;
	void *out = arena_alloc(memory->arena, len);

	if (out == NULL)
		memory->exhausted = true;
	return out;
}

static void unpack_free(void *ctx, void *pointer)
{
	(void)ctx;
	(void)pointer;
}

static void struct_fill(const Hearth__Timeline__Observation *m, struct observation *out)
{
	*out = (struct observation){
		.supersedes_seq = m->supersedes_seq,
		.source = m->source,
		.client_id = m->client_id,
		.layer = (enum layer)m->layer,
		.kind = m->kind,
		.shape = (enum shape)m->shape,
		.clock_id = m->clock_id,
		.boot_epoch = m->boot_epoch,
		.has_source_seq = m->has_source_seq != 0,
		.source_seq = m->source_seq,
		.dev_t0_ns = m->dev_t0_ns,
		.dev_t1_ns = m->dev_t1_ns,
		.has_end = m->has_end != 0,
		.recv_utc_ns = m->recv_utc_ns,
		.recv_mono_ns = m->recv_mono_ns,
		.error_ns = m->error_ns,
		.zone = m->zone,
		.has_offset = m->has_offset != 0,
		.offset_s = m->offset_s,
		.origin = (enum origin)m->origin,
		.text = m->text,
		.data_json = m->data_json,
		.rate_hz = m->rate_hz,
		.values = m->n_values > 0 ? m->values : NULL,
		.values_len = m->n_values,
		.has_pulse = m->has_pulse != 0,
		.pulse_s = m->pulse_s,
		.gap = m->gap != 0,
		.tombstone = m->tombstone != 0,
		.forget_layers = m->forget_layers,
		.extra_json = m->extra_json,
		.blobs_len = m->blobs.len / OBS_BLOB_ID_BYTES,
	};
	if (out->blobs_len > 0)
		out->blobs = (const uint8_t(*)[OBS_BLOB_ID_BYTES])m->blobs.data;
	memcpy(out->obs_id, m->obs_id.data, OBS_ID_BYTES);
	memcpy(out->content_hash, m->content_hash.data, OBS_ID_BYTES);
}

/* A block's samples; records of older programs hold plain doubles instead. */
static enum rc series_fill(const Hearth__Timeline__Observation *m, struct arena *arena,
    struct observation *out, struct errmsg *why)
{
	struct errmsg detail = ERRMSG_INIT;
	struct series samples;

	if (m->series.len == 0)
		return RC_OK;
	if (m->n_values > 0)
		return errmsg_rc(why, RC_CORRUPT, "record: has its values twice");
	enum rc rc = series_decode(m->series.data, m->series.len, arena, &samples, &detail);
	if (rc != RC_OK)
		return errmsg_rc(why, rc, "record: %s", errmsg_text(&detail, rc));
	out->values = samples.values;
	out->values_len = samples.frames * samples.channels;
	out->channels = samples.channels > 1 ? (unsigned)samples.channels : 0;
	out->times_ns = samples.times_ns;
	return RC_OK;
}

enum rc observation_decode(const uint8_t *bytes, size_t len, struct arena *arena,
    struct observation *out, struct errmsg *why)
{
	struct unpack_memory memory = { arena, false };
	ProtobufCAllocator allocator = { unpack_alloc, unpack_free, &memory };
	struct errmsg field = ERRMSG_INIT;
	struct observation obs;

	if (len > OBS_RECORD_BYTES_MAX)
		return errmsg_rc(
		    why, RC_CORRUPT, "record: larger than %zu bytes", OBS_RECORD_BYTES_MAX);
	Hearth__Timeline__Observation *m =
	    hearth__timeline__observation__unpack(&allocator, len, bytes);
	if (m == NULL && memory.exhausted)
		return errmsg_rc(why, RC_NOMEM, "a record does not fit the memory given");
	if (m == NULL)
		return errmsg_rc(why, RC_CORRUPT, "record: malformed");
	if (m->obs_id.len != OBS_ID_BYTES || m->content_hash.len != OBS_ID_BYTES)
		return errmsg_rc(
		    why, RC_CORRUPT, "record: obs_id or content_hash has a wrong size");
	if (m->blobs.len % OBS_BLOB_ID_BYTES != 0)
		return errmsg_rc(why, RC_CORRUPT, "record: an id of a blob is cut off");
	struct_fill(m, &obs);
	enum rc rc = series_fill(m, arena, &obs, why);
	if (rc != RC_OK)
		return rc;
	if (observation_check(&obs, &field) != RC_OK)
		return errmsg_rc(why, RC_CORRUPT, "record: %s", field.text);
	obs.place = placement_trusted(obs.dev_t0_ns, obs.dev_t1_ns, obs.error_ns);
	*out = obs;
	return RC_OK;
}
