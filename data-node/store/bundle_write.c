/* Bundles written: templates found again, records as differences. */
#include <string.h>

#include "store/bundle_inner.h"

#define TEMPLATE_ARENA_BYTES ((size_t)1 << 20)

void bundle_writer_init(struct bundle_writer *writer)
{
	*writer = (struct bundle_writer){ .records_len = 0 };
	arena_init(&writer->arena, TEMPLATE_ARENA_BYTES);
	buf_init(&writer->head, BUNDLE_BYTES_MAX);
	buf_init(&writer->body, BUNDLE_BYTES_MAX);
}

void bundle_writer_fini(struct bundle_writer *writer)
{
	arena_fini(&writer->arena);
	buf_fini(&writer->head);
	buf_fini(&writer->body);
}

void bundle_writer_reset(struct bundle_writer *writer)
{
	arena_reset(&writer->arena);
	buf_reset(&writer->head);
	buf_reset(&writer->body);
	writer->templates_len = writer->records_len = 0;
	writer->last = (struct bundle_last){ 0 };
}

static size_t length(const char *text)
{
	return text == NULL ? 0 : strlen(text);
}

bool bundle_takes(const struct observation *obs)
{
	return !obs->tombstone && obs->forget_layers == 0 && obs->values_len == 0 &&
	       obs->rate_hz == 0 && obs->channels == 0 && obs->blobs_len == 0 &&
	       (length(obs->clock_id) == 0 || obs->place.epoch != 0) && obs->times_ns == NULL &&
	       length(obs->text) + length(obs->data_json) + length(obs->extra_json) +
		       length(obs->client_id) <=
		   BUNDLE_RECORD_BYTES_MAX;
}

static void put_varint(struct buf *out, uint64_t value)
{
	char bytes[BUNDLE_VARINT_BYTES];
	size_t len = 0;

	for (; value >= 0x80; value >>= 7)
		bytes[len++] = (char)(uint8_t)(value | 0x80);
	bytes[len++] = (char)(uint8_t)value;
	buf_append(out, bytes, len);
}

static void put_signed(struct buf *out, int64_t value)
{
	put_varint(out, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

/* The difference of any two numbers, around the end of the range if need be. */
static void put_step(struct buf *out, uint64_t value, uint64_t last)
{
	put_signed(out, (int64_t)(value - last));
}

static void put_text(struct buf *out, const char *text)
{
	size_t len = length(text);

	put_varint(out, len);
	buf_append(out, text == NULL ? "" : text, len);
	buf_putc(out, '\0');
}

static bool same(const char *a, const char *b)
{
	return strcmp(a == NULL ? "" : a, b == NULL ? "" : b) == 0;
}

static bool matches(const struct bundle_template *t, const struct observation *obs)
{
	return t->shape == obs->shape && t->origin == obs->origin &&
	       t->has_offset == obs->has_offset && t->offset_s == obs->offset_s &&
	       t->error_ns == obs->error_ns && same(t->source, obs->source) &&
	       same(t->kind, obs->kind) && same(t->clock_id, obs->clock_id) &&
	       same(t->boot_epoch, obs->boot_epoch) && same(t->zone, obs->zone);
}

static const char *keep(struct bundle_writer *writer, const char *text)
{
	return arena_strdup(&writer->arena, text == NULL ? "" : text);
}

static enum rc template_of(
    struct bundle_writer *writer, const struct observation *obs, size_t *index)
{
	for (size_t i = 0; i < writer->templates_len; i++) {
		if (matches(&writer->templates[i], obs)) {
			*index = i;
			return RC_OK;
		}
	}
	if (writer->templates_len == BUNDLE_TEMPLATES_MAX)
		return RC_LIMIT;
	struct bundle_template t = {
		.shape = obs->shape,
		.origin = obs->origin,
		.has_offset = obs->has_offset,
		.offset_s = obs->offset_s,
		.error_ns = obs->error_ns,
		.source = keep(writer, obs->source),
		.kind = keep(writer, obs->kind),
		.clock_id = keep(writer, obs->clock_id),
		.boot_epoch = keep(writer, obs->boot_epoch),
		.zone = keep(writer, obs->zone),
	};
	if (t.source == NULL || t.kind == NULL || t.clock_id == NULL || t.boot_epoch == NULL ||
	    t.zone == NULL)
		return RC_NOMEM;
	buf_putc(&writer->head, (char)t.shape);
	buf_putc(&writer->head, (char)t.origin);
	buf_putc(&writer->head, t.has_offset ? 1 : 0);
	put_signed(&writer->head, t.offset_s);
	put_signed(&writer->head, t.error_ns);
	put_text(&writer->head, t.source);
	put_text(&writer->head, t.kind);
	put_text(&writer->head, t.clock_id);
	put_text(&writer->head, t.boot_epoch);
	put_text(&writer->head, t.zone);
	*index = writer->templates_len;
	writer->templates[writer->templates_len++] = t;
	return RC_OK;
}

static unsigned flags_of(const struct observation *obs)
{
	unsigned flags = 0;

	flags |= obs->dev_t1_ns != obs->dev_t0_ns ? BUNDLE_SPAN : 0;
	flags |= obs->has_end ? BUNDLE_END : 0;
	flags |= obs->supersedes_seq != 0 ? BUNDLE_SUPERSEDES : 0;
	flags |= obs->has_source_seq ? BUNDLE_SOURCE_SEQ : 0;
	flags |= obs->has_pulse ? BUNDLE_PULSE : 0;
	flags |= obs->gap ? BUNDLE_GAP : 0;
	flags |= length(obs->client_id) > 0 ? BUNDLE_CLIENT_ID : 0;
	flags |= length(obs->text) > 0 ? BUNDLE_TEXT : 0;
	flags |= length(obs->data_json) > 0 ? BUNDLE_DATA : 0;
	flags |= length(obs->extra_json) > 0 ? BUNDLE_EXTRA : 0;
	flags |= length(obs->clock_id) > 0 ? BUNDLE_PLACED : 0;
	flags |= length(obs->clock_id) > 0 && obs->place.limbo ? BUNDLE_LIMBO : 0;
	return flags;
}

static void put_place(struct buf *out, const struct observation *obs, struct bundle_last *last)
{
	const struct placement *place = &obs->place;
	uint64_t offset_ns = (uint64_t)place->t0_ns - (uint64_t)obs->dev_t0_ns;

	put_step(out, offset_ns, (uint64_t)last->offset_ns);
	put_varint(out, (uint64_t)place->t1_ns - (uint64_t)place->t0_ns);
	put_step(out, (uint64_t)place->early_ns, (uint64_t)last->early_ns);
	put_step(out, (uint64_t)place->late_ns, (uint64_t)last->late_ns);
	put_step(out, place->map_version, last->map_version);
	put_step(out, place->epoch, last->epoch);
	last->offset_ns = (int64_t)offset_ns;
	last->early_ns = place->early_ns;
	last->late_ns = place->late_ns;
	last->map_version = place->map_version;
	last->epoch = place->epoch;
}

static void put_named(
    struct buf *out, const struct observation *obs, unsigned flags, struct bundle_last *last)
{
	if (flags & BUNDLE_SPAN)
		put_varint(out, (uint64_t)obs->dev_t1_ns - (uint64_t)obs->dev_t0_ns);
	if (flags & BUNDLE_SUPERSEDES)
		put_varint(out, obs->supersedes_seq);
	if (flags & BUNDLE_SOURCE_SEQ) {
		put_step(out, obs->source_seq, last->source_seq);
		last->source_seq = obs->source_seq;
	}
	if (flags & BUNDLE_PULSE) {
		uint64_t bits;
		memcpy(&bits, &obs->pulse_s, sizeof(bits));
		put_varint(out, __builtin_bswap64(bits)); /* round numbers end in zeros */
	}
	if (flags & BUNDLE_CLIENT_ID)
		put_text(out, obs->client_id);
	if (flags & BUNDLE_TEXT)
		put_text(out, obs->text);
	if (flags & BUNDLE_DATA)
		put_text(out, obs->data_json);
	if (flags & BUNDLE_EXTRA)
		put_text(out, obs->extra_json);
}

enum rc bundle_add(struct bundle_writer *writer, const struct observation *obs)
{
	struct bundle_last *last = &writer->last;
	struct buf *out = &writer->body;
	uint64_t lag_ns = (uint64_t)obs->recv_utc_ns - (uint64_t)obs->dev_t0_ns;
	size_t template = 0;

	if (writer->records_len == BUNDLE_RECORDS_MAX ||
	    bundle_bytes(writer) + 2 * BUNDLE_RECORD_BYTES_MAX > BUNDLE_BYTES_MAX)
		return RC_LIMIT;
	enum rc rc = template_of(writer, obs, &template);
	if (rc != RC_OK)
		return rc;
	unsigned flags = flags_of(obs);
	put_varint(out, template);
	put_varint(out, flags);
	put_step(out, obs->seq, last->seq);
	put_step(out, (uint64_t)obs->dev_t0_ns, (uint64_t)last->t0_ns);
	if (flags & BUNDLE_PLACED)
		put_place(out, obs, last);
	put_step(out, lag_ns, (uint64_t)last->lag_ns);
	put_step(out, (uint64_t)obs->recv_mono_ns, (uint64_t)last->mono_ns);
	buf_append(out, obs->obs_id, OBS_ID_BYTES);
	buf_append(out, obs->content_hash, OBS_ID_BYTES);
	last->seq = obs->seq;
	last->t0_ns = obs->dev_t0_ns;
	last->lag_ns = (int64_t)lag_ns;
	last->mono_ns = obs->recv_mono_ns;
	put_named(out, obs, flags, last);
	writer->records_len++;
	rc = buf_rc(out);
	return rc == RC_OK ? buf_rc(&writer->head) : rc;
}

size_t bundle_bytes(const struct bundle_writer *writer)
{
	return writer->head.len + writer->body.len + 1 + 2 * BUNDLE_VARINT_BYTES;
}

enum rc bundle_finish(struct bundle_writer *writer, struct buf *out)
{
	buf_putc(out, BUNDLE_VERSION);
	put_varint(out, writer->templates_len);
	put_varint(out, writer->records_len);
	buf_append(out, writer->head.bytes, writer->head.len);
	buf_append(out, writer->body.bytes, writer->body.len);
	return buf_rc(out);
}
