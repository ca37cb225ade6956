/* Bundles read: one walk over the bytes, texts stay where they are. */
#include <math.h>
#include <string.h>

#include "store/bundle_inner.h"

/* One bit past the end of the input stands for all that can be wrong with it. */
struct input {
	const uint8_t *at, *end;
	bool bad;
};

static uint64_t get_varint_slow(struct input *in)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		if (in->at == in->end)
			break;
		uint8_t byte = *in->at++;
		if (shift == 63 && byte > 1)
			break;
		value |= (uint64_t)(byte & 0x7F) << shift;
		if (byte < 0x80)
			return value;
	}
	in->bad = true;
	in->at = in->end;
	return 0;
}

static inline uint64_t get_varint(struct input *in)
{
	if (in->at < in->end && *in->at < 0x80)
		return *in->at++;
	return get_varint_slow(in);
}

static inline int64_t get_signed(struct input *in)
{
	uint64_t value = get_varint(in);

	return (int64_t)(value >> 1 ^ (0 - (value & 1)));
}

static inline uint64_t get_step(struct input *in, uint64_t last)
{
	return last + (uint64_t)get_signed(in);
}

static uint8_t get_byte(struct input *in)
{
	if (in->at == in->end) {
		in->bad = true;
		return 0;
	}
	return *in->at++;
}

static const char *get_text(struct input *in, size_t max)
{
	uint64_t len = get_varint(in);

	if (len > max || (size_t)(in->end - in->at) <= len || in->at[len] != 0) {
		in->bad = true;
		in->at = in->end;
		return "";
	}
	const char *text = (const char *)in->at;
	in->at += len + 1;
	return text;
}

static void get_id(struct input *in, uint8_t out[OBS_ID_BYTES])
{
	if ((size_t)(in->end - in->at) < OBS_ID_BYTES) {
		in->bad = true;
		in->at = in->end;
		return;
	}
	memcpy(out, in->at, OBS_ID_BYTES);
	in->at += OBS_ID_BYTES;
}

static bool get_template(struct input *in, struct bundle_template *t)
{
	unsigned shape = get_byte(in), origin = get_byte(in), has_offset = get_byte(in);
	int64_t offset_s = get_signed(in);

	t->shape = (enum shape)shape;
	t->origin = (enum origin)origin;
	t->has_offset = has_offset != 0;
	t->offset_s = (int32_t)offset_s;
	t->error_ns = get_signed(in);
	t->source = get_text(in, OBS_SOURCE_BYTES_MAX);
	t->kind = get_text(in, OBS_KIND_BYTES_MAX);
	t->clock_id = get_text(in, OBS_CLOCK_BYTES_MAX);
	t->boot_epoch = get_text(in, OBS_CLOCK_BYTES_MAX);
	t->zone = get_text(in, OBS_ZONE_BYTES_MAX);
	return !in->bad && shape >= SHAPE_INSTANT && shape <= SHAPE_BLOCK &&
	       origin >= ORIGIN_OWNER && origin <= ORIGIN_SYSTEM && has_offset <= 1 &&
	       offset_s >= -86400 && offset_s <= 86400 && t->error_ns >= 0 &&
	       t->error_ns <= OBS_ERROR_MAX_NS && t->source[0] != '\0' && t->kind[0] != '\0';
}

enum rc bundle_open(struct bundle_reader *reader, const uint8_t *bytes, size_t len,
    enum layer layer, struct errmsg *why)
{
	struct input in = { bytes, bytes + len, false };

	if (len > BUNDLE_BYTES_MAX || get_byte(&in) != BUNDLE_VERSION)
		return errmsg_rc(why, RC_CORRUPT, "bundle: of unknown version or size");
	uint64_t templates = get_varint(&in), records = get_varint(&in);
	if (in.bad || templates > BUNDLE_TEMPLATES_MAX || records > BUNDLE_RECORDS_MAX)
		return errmsg_rc(why, RC_CORRUPT, "bundle: too many records");
	for (size_t i = 0; i < templates; i++) {
		if (!get_template(&in, &reader->templates[i]))
			return errmsg_rc(why, RC_CORRUPT, "bundle: template %zu", i);
	}
	reader->spot = (struct bundle_spot){ .at = in.at, .records_left = records };
	reader->has_front = false;
	reader->end = in.end;
	reader->layer = layer;
	reader->templates_len = templates;
	return RC_OK;
}

static void get_named(
    struct input *in, unsigned flags, struct bundle_last *last, struct observation *out)
{
	if (flags & BUNDLE_SPAN)
		out->dev_t1_ns = (int64_t)((uint64_t)out->dev_t0_ns + get_varint(in));
	if (flags & BUNDLE_SUPERSEDES)
		out->supersedes_seq = get_varint(in);
	if (flags & BUNDLE_SOURCE_SEQ)
		out->source_seq = last->source_seq = get_step(in, last->source_seq);
	if (flags & BUNDLE_PULSE) {
		uint64_t bits = __builtin_bswap64(get_varint(in));
		memcpy(&out->pulse_s, &bits, sizeof(bits));
	}
	if (flags & BUNDLE_CLIENT_ID)
		out->client_id = get_text(in, OBS_CLIENT_ID_BYTES_MAX);
	if (flags & BUNDLE_TEXT)
		out->text = get_text(in, BUNDLE_RECORD_BYTES_MAX);
	if (flags & BUNDLE_DATA)
		out->data_json = get_text(in, BUNDLE_RECORD_BYTES_MAX);
	if (flags & BUNDLE_EXTRA)
		out->extra_json = get_text(in, BUNDLE_RECORD_BYTES_MAX);
}

static bool in_range(const struct observation *obs)
{
	return obs->dev_t1_ns >= obs->dev_t0_ns && obs->dev_t1_ns <= OBS_TIME_MAX_NS &&
	       isfinite(obs->pulse_s) && obs->pulse_s >= 0;
}

static bool get_place(struct input *in, struct bundle_last *last, struct bundle_front *front)
{
	struct placement *place = &front->place;

	last->offset_ns = (int64_t)get_step(in, (uint64_t)last->offset_ns);
	place->t0_ns = (int64_t)((uint64_t)front->t0_ns + (uint64_t)last->offset_ns);
	place->t1_ns = (int64_t)((uint64_t)place->t0_ns + get_varint(in));
	place->early_ns = last->early_ns = (int64_t)get_step(in, (uint64_t)last->early_ns);
	place->late_ns = last->late_ns = (int64_t)get_step(in, (uint64_t)last->late_ns);
	place->map_version = last->map_version = get_step(in, last->map_version);
	place->epoch = last->epoch = get_step(in, last->epoch);
	place->limbo = (front->flags & BUNDLE_LIMBO) != 0;
	place->defaulted = false;
	return place->t0_ns >= OBS_TIME_MIN_NS && place->t1_ns >= place->t0_ns &&
	       place->t1_ns <= OBS_TIME_MAX_NS && place->early_ns >= 0 && place->late_ns >= 0 &&
	       place->epoch != 0;
}

static bool get_front(struct input *in, const struct bundle_reader *reader,
    struct bundle_last *last, struct bundle_front *front)
{
	uint64_t template = get_varint(in), flags = get_varint(in);

	if (template >= reader->templates_len || flags > BUNDLE_FLAGS_ALL)
		return false;
	front->template = &reader->templates[template];
	front->flags = (unsigned)flags;
	front->seq = last->seq = get_step(in, last->seq);
	front->t0_ns = last->t0_ns = (int64_t)get_step(in, (uint64_t)last->t0_ns);
	if (((flags & BUNDLE_PLACED) != 0) != (front->template->clock_id[0] != '\0') ||
	    front->seq == 0 || front->t0_ns < OBS_TIME_MIN_NS || front->t0_ns > OBS_TIME_MAX_NS)
		return false;
	if (flags & BUNDLE_PLACED)
		return get_place(in, last, front) && !in->bad;
	front->place = placement_trusted(front->t0_ns, front->t0_ns, front->template->error_ns);
	return !in->bad;
}

enum rc bundle_peek(
    struct bundle_reader *reader, const struct bundle_front **out, struct errmsg *why)
{
	struct input in = { reader->spot.at, reader->end, false };

	if (!reader->has_front) {
		if (reader->spot.records_left == 0)
			return in.at == in.end
				   ? RC_NOTFOUND
				   : errmsg_rc(why, RC_CORRUPT, "bundle: bytes behind its end");
		if (!get_front(&in, reader, &reader->spot.last, &reader->front))
			return errmsg_rc(why, RC_CORRUPT, "bundle: a record is malformed");
		reader->spot.at = in.at;
		reader->has_front = true;
	}
	*out = &reader->front;
	return RC_OK;
}

enum rc bundle_next(struct bundle_reader *reader, struct observation *out, struct errmsg *why)
{
	struct bundle_last *last = &reader->spot.last;
	const struct bundle_front *front;

	enum rc rc = bundle_peek(reader, &front, why);
	if (rc != RC_OK)
		return rc;
	struct input in = { reader->spot.at, reader->end, false };
	const struct bundle_template *t = front->template;
	unsigned flags = front->flags;
	*out = (struct observation){
		.seq = front->seq,
		.dev_t0_ns = front->t0_ns,
		.dev_t1_ns = front->t0_ns,
		.place = front->place,
		.source = t->source,
		.kind = t->kind,
		.clock_id = t->clock_id,
		.boot_epoch = t->boot_epoch,
		.zone = t->zone,
		.layer = reader->layer,
		.shape = t->shape,
		.origin = t->origin,
		.has_offset = t->has_offset,
		.offset_s = t->offset_s,
		.error_ns = t->error_ns,
		.client_id = "",
		.text = "",
		.data_json = "",
		.extra_json = "",
		.has_end = (flags & BUNDLE_END) != 0,
		.has_source_seq = (flags & BUNDLE_SOURCE_SEQ) != 0,
		.has_pulse = (flags & BUNDLE_PULSE) != 0,
		.gap = (flags & BUNDLE_GAP) != 0,
	};
	last->lag_ns = (int64_t)get_step(&in, (uint64_t)last->lag_ns);
	out->recv_utc_ns = (int64_t)((uint64_t)front->t0_ns + (uint64_t)last->lag_ns);
	out->recv_mono_ns = last->mono_ns = (int64_t)get_step(&in, (uint64_t)last->mono_ns);
	get_id(&in, out->obs_id);
	get_id(&in, out->content_hash);
	get_named(&in, flags, last, out);
	if ((flags & BUNDLE_PLACED) == 0)
		out->place.t1_ns = out->dev_t1_ns;
	if (in.bad || !in_range(out))
		return errmsg_rc(why, RC_CORRUPT, "bundle: a record is malformed");
	reader->spot.at = in.at;
	reader->spot.records_left--;
	reader->has_front = false;
	return RC_OK;
}
