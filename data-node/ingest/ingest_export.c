/*
 * Ingest export: an observation back to the event that was sent.
 *
 * Members come in the contract's order; what extra_json holds stands in its
 * place, whatever the field says.  Times are RFC 3339 with nanoseconds, UTC.
 */
#include <string.h>

#include "base/hex.h"
#include "base/timestamp.h"
#include "ingest/ingest_internal.h"

struct writing {
	struct buf *out;
	json_t *extra; /* NULL: none */
	bool first;
};

/* Begin member `name` unless it was sent in a form kept in extra. */
static bool member(struct writing *w, const char *name)
{
	if (w->extra != NULL && json_object_get(w->extra, name) != NULL)
		return false;
	if (!w->first)
		buf_putc(w->out, ',');
	w->first = false;
	buf_printf(w->out, "\"%s\":", name);
	return true;
}

static void put_string(struct writing *w, const char *name, const char *text)
{
	if (text != NULL && text[0] != '\0' && member(w, name))
		buf_json_string(w->out, text, strlen(text));
}

static void put_time(struct writing *w, const char *name, int64_t ns)
{
	char text[TIMESTAMP_TEXT_BYTES];

	timestamp_format(ns, text);
	if (member(w, name))
		buf_printf(w->out, "\"%s\"", text);
}

static void put_frames(struct writing *w, const struct observation *obs)
{
	if (obs->channels > 1 && member(w, "channels"))
		buf_printf(w->out, "%u", obs->channels);
	if (obs->times_ns == NULL || !member(w, "times"))
		return;
	for (size_t i = 0; i < observation_frames(obs); i++)
		buf_printf(w->out, "%c%lld", i == 0 ? '[' : ',', (long long)obs->times_ns[i]);
	buf_putc(w->out, ']');
}

static void put_values(struct writing *w, const struct observation *obs)
{
	if (obs->values_len == 0 || !member(w, "values"))
		return;
	buf_putc(w->out, '[');
	for (size_t i = 0; i < obs->values_len; i++) {
		if (i > 0)
			buf_putc(w->out, ',');
		ingest_json_number(obs->values[i], w->out);
	}
	buf_putc(w->out, ']');
}

static void put_blobs(struct writing *w, const struct observation *obs)
{
	char id[2 * OBS_BLOB_ID_BYTES + 1];

	if (obs->blobs_len == 0 || !member(w, "blob"))
		return;
	if (obs->blobs_len > 1)
		buf_putc(w->out, '[');
	for (size_t i = 0; i < obs->blobs_len; i++) {
		hex_encode(obs->blobs[i], OBS_BLOB_ID_BYTES, id);
		buf_printf(w->out, "%s\"%s\"", i > 0 ? "," : "", id);
	}
	if (obs->blobs_len > 1)
		buf_putc(w->out, ']');
}

static void put_extra(struct writing *w)
{
	if (w->extra == NULL)
		return;
	for (void *it = json_object_iter(w->extra); it != NULL;
	     it = json_object_iter_next(w->extra, it)) {
		const char *key = json_object_iter_key(it);
		if (!w->first)
			buf_putc(w->out, ',');
		w->first = false;
		buf_json_string(w->out, key, strlen(key));
		buf_putc(w->out, ':');
		ingest_json_canonical(json_object_iter_value(it), w->out);
	}
}

static void put_members(struct writing *w, const struct observation *obs)
{
	put_string(w, "source", obs->source);
	put_string(w, "id", obs->client_id);
	put_string(w, "layer", layer_word(obs->layer));
	put_string(w, "kind", obs->kind);
	put_time(w, "start", obs->dev_t0_ns);
	if (obs->has_end)
		put_time(w, "end", obs->dev_t1_ns);
	put_string(w, "tz", obs->zone);
	put_string(w, "text", obs->text);
	if (obs->data_json != NULL && obs->data_json[0] != '\0' && member(w, "data"))
		buf_puts(w->out, obs->data_json);
	put_string(w, "clock", obs->clock_id);
	put_string(w, "boot", obs->boot_epoch);
	if (obs->has_source_seq && member(w, "seq"))
		buf_printf(w->out, "%llu", (unsigned long long)obs->source_seq);
	if (obs->shape != shape_default(obs->layer, obs->kind, obs->has_end, obs->values_len > 0))
		put_string(w, "shape", shape_word(obs->shape));
	if (obs->values_len > 0 && obs->rate_hz > 0 && member(w, "rate"))
		ingest_json_number(obs->rate_hz, w->out);
	put_frames(w, obs);
	put_values(w, obs);
	put_blobs(w, obs);
	if (obs->has_pulse && member(w, "pulse"))
		ingest_json_number(obs->pulse_s, w->out);
	if (obs->gap && member(w, "gap"))
		buf_puts(w->out, "true");
	put_extra(w);
}

enum rc ingest_event_json(const struct observation *obs, struct buf *out)
{
	char id[2 * OBS_ID_BYTES + 1];
	struct writing w = { .out = out, .first = true };

	if (obs->extra_json != NULL && obs->extra_json[0] != '\0') {
		w.extra = json_loads(obs->extra_json, 0, NULL);
		if (w.extra == NULL)
			return RC_CORRUPT;
	}
	buf_putc(out, '{');
	put_members(&w, obs);
	hex_encode(obs->obs_id, OBS_ID_BYTES, id);
	buf_printf(out, "%s\"obs_id\":\"%s\"}", w.first ? "" : ",", id);
	json_decref(w.extra);
	return buf_rc(out);
}
