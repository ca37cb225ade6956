/*
 * Line codec: the stored form of a line, big-endian, with hard limits.
 *
 * version(1) flags(1) recv(8) recv_mono(8) contacts(1) epochs(1), each contact
 * recv(8) dev_least(8) dev_most(8), each epoch number(8) begin(8) end(8) sync(8)
 * flags(1) rate_lo(4) rate_hi(4) knots(1), each knot dev(8) lo(8) hi(8).  Closed
 * bounds are not stored: they follow.
 */
#include "clock/line_codec.h"

#define VERSION 1
#define FLAG_OVERFLOWED 1u
#define FLAG_SYNCED 1u
#define FLAG_ASSUMED 2u

struct writer {
	uint8_t *at;
};

struct reader {
	const uint8_t *at;
	size_t left;
	bool broken;
};

static void put(struct writer *w, uint64_t value, unsigned bytes)
{
	for (unsigned i = bytes; i-- > 0;)
		*w->at++ = (uint8_t)(value >> (8 * i));
}

static void put_time(struct writer *w, int64_t ns)
{
	put(w, (uint64_t)ns, 8);
}

static uint64_t get(struct reader *r, unsigned bytes)
{
	uint64_t value = 0;

	if (r->left < bytes) {
		r->broken = true;
		return 0;
	}
	for (unsigned i = 0; i < bytes; i++)
		value = value << 8 | r->at[i];
	r->at += bytes;
	r->left -= bytes;
	return value;
}

static int64_t get_time(struct reader *r)
{
	return (int64_t)get(r, 8);
}

static void put_epoch(struct writer *w, const struct line_epoch *epoch)
{
	const struct curve *curve = &epoch->curve;

	put(w, epoch->number, 8);
	put_time(w, epoch->begin_ns);
	put_time(w, epoch->end_ns);
	put_time(w, epoch->sync_ns);
	put(w, (epoch->synced ? FLAG_SYNCED : 0) | (epoch->assumed ? FLAG_ASSUMED : 0), 1);
	put(w, (uint32_t)curve->rate_lo_ppb, 4);
	put(w, (uint32_t)curve->rate_hi_ppb, 4);
	put(w, curve->len, 1);
	for (size_t i = 0; i < curve->len; i++) {
		put_time(w, curve->knots[i].dev_ns);
		put_time(w, curve->knots[i].lo_ns);
		put_time(w, curve->knots[i].hi_ns);
	}
}

size_t line_encode(const struct line *line, uint8_t out[LINE_BYTES_MAX])
{
	struct writer w = { out };

	put(&w, VERSION, 1);
	put(&w, line->overflowed ? FLAG_OVERFLOWED : 0, 1);
	put_time(&w, line->recv_ns);
	put_time(&w, line->recv_mono_ns);
	put(&w, line->contacts_len, 1);
	put(&w, line->len, 1);
	for (size_t i = 0; i < line->contacts_len; i++) {
		put_time(&w, line->contacts[i].recv_ns);
		put_time(&w, line->contacts[i].dev_least_ns);
		put_time(&w, line->contacts[i].dev_most_ns);
	}
	for (size_t i = 0; i < line->len; i++)
		put_epoch(&w, &line->epochs[i]);
	return (size_t)(w.at - out);
}

static bool get_epoch(struct reader *r, struct line_epoch *epoch)
{
	struct curve *curve = &epoch->curve;

	curve_init(curve);
	epoch->number = get(r, 8);
	epoch->begin_ns = get_time(r);
	epoch->end_ns = get_time(r);
	epoch->sync_ns = get_time(r);
	uint64_t flags = get(r, 1);
	epoch->synced = (flags & FLAG_SYNCED) != 0;
	epoch->assumed = (flags & FLAG_ASSUMED) != 0;
	curve->rate_lo_ppb = (int32_t)(uint32_t)get(r, 4);
	curve->rate_hi_ppb = (int32_t)(uint32_t)get(r, 4);
	size_t len = (size_t)get(r, 1);
	if (r->broken || epoch->number == 0 || flags > 3 || len > CURVE_KNOTS_MAX ||
	    (epoch->synced && len == 0))
		return false;
	for (curve->len = 0; curve->len < len; curve->len++) {
		struct curve_knot *knot = &curve->knots[curve->len];
		knot->dev_ns = get_time(r);
		knot->lo_ns = get_time(r);
		knot->hi_ns = get_time(r);
	}
	return !r->broken && curve_close(curve);
}

bool line_decode(const uint8_t *bytes, size_t len, struct line *out)
{
	struct reader r = { bytes, len, false };

	line_init(out);
	uint64_t version = get(&r, 1), flags = get(&r, 1);
	out->recv_ns = get_time(&r);
	out->recv_mono_ns = get_time(&r);
	size_t contacts = (size_t)get(&r, 1), epochs = (size_t)get(&r, 1);
	if (r.broken || version != VERSION || flags > FLAG_OVERFLOWED || contacts > LINE_CONTACTS ||
	    epochs > LINE_EPOCHS_MAX)
		return false;
	out->overflowed = flags != 0;
	for (; out->contacts_len < contacts; out->contacts_len++) {
		struct line_contact *contact = &out->contacts[out->contacts_len];
		contact->recv_ns = get_time(&r);
		contact->dev_least_ns = get_time(&r);
		contact->dev_most_ns = get_time(&r);
	}
	for (; out->len < epochs; out->len++) {
		if (!get_epoch(&r, &out->epochs[out->len]))
			return false;
	}
	return !r.broken && r.left == 0;
}
