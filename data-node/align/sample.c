/* Sample: the frames of a block that lie in a slice, as one value. */
#include "align/sample.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "align/peek.h"
#include "base/clock.h"

#define TEXT_BYTES_MAX ((size_t)64 << 10)
#define NUMBER_BYTES 40

/* Device time within the block to the hub's: as much longer or shorter as the
 * whole block is by its clock's map. */
static int64_t frame_ns(const struct item *item, size_t i)
{
	const struct observation *obs = item->rest->block;
	double offset_ns = obs->times_ns != NULL ? (double)obs->times_ns[i]
						 : (double)i * ((double)NS_PER_S / obs->rate_hz);
	double room_ns = (double)item_since_ns(OBS_TIME_MAX_NS, item->t0_ns);
	int64_t hub_ns = item_since_ns(obs->place.t1_ns, obs->place.t0_ns);
	int64_t device_ns = item_since_ns(obs->dev_t1_ns, obs->dev_t0_ns);

	if (hub_ns != device_ns && device_ns > 0)
		offset_ns *= (double)hub_ns / (double)device_ns;
	return offset_ns < room_ns ? item->t0_ns + (int64_t)offset_ns : OBS_TIME_MAX_NS;
}

/* The first frame at or behind at_ns; `frames` if there is none. */
static size_t frame_from(const struct item *item, size_t frames, int64_t at_ns)
{
	size_t low = 0, high = frames;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (frame_ns(item, middle) < at_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The earlier one of two that are as near. */
static size_t frame_nearest(const struct item *item, size_t frames, int64_t at_ns)
{
	size_t right = frame_from(item, frames, at_ns);

	if (right == 0)
		return 0;
	if (right == frames)
		return frames - 1;
	return item_since_ns(at_ns, frame_ns(item, right - 1)) <=
		       item_since_ns(frame_ns(item, right), at_ns)
		   ? right - 1
		   : right;
}

static double mean_of(const double *values, size_t stride, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += values[i * stride];
	if (isfinite(sum))
		return sum / (double)n;
	sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += values[i * stride] / (double)n;
	return fmax(-DBL_MAX, fmin(DBL_MAX, sum));
}

/* The fewest digits that read back equal. */
static void put_number(double value, struct buf *out)
{
	char text[NUMBER_BYTES];

	for (int digits = 15; digits <= 17; digits++) {
		(void)snprintf(text, sizeof text, "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	buf_puts(out, text);
}

/* The names of channels as the sender wrote them: "channels" in the members
 * that are kept as sent. */
static bool names_of(const struct observation *obs, const char **names, size_t *len)
{
	struct peek member;

	peek_open(&member, obs->extra_json == NULL ? "" : obs->extra_json);
	while (peek_next(&member)) {
		if (!peek_is(&member, "channels") || member.value[0] != '[')
			continue;
		*names = member.value + 1;
		*len = member.value_len - 2;
		return true;
	}
	return false;
}

/* The next name with its quotes; names hold no escapes (ingest sees to it). */
static size_t name_next(const char **names, size_t *len)
{
	while (*len > 0 && **names != '"') {
		(*names)++;
		(*len)--;
	}
	const char *end = *len == 0 ? NULL : memchr(*names + 1, '"', *len - 1);
	return end == NULL ? 0 : (size_t)(end + 1 - *names);
}

/* The block's own data, but for members that the samples give. */
static void put_own(const struct observation *obs, struct buf *out)
{
	const char *names = "\"value\"", *own = obs->data_json == NULL ? "" : obs->data_json;
	size_t names_len = strlen(names);
	struct peek member;

	(void)names_of(obs, &names, &names_len);
	peek_open(&member, own);
	while (peek_next(&member)) {
		/* The key with its quotes. */
		const char *key = member.key - 1;
		if (memmem(names, names_len, key, member.key_len + 2) != NULL ||
		    peek_is(&member, "samples") || peek_is(&member, "values"))
			continue;
		buf_append(out, key, member.key_len + 2);
		buf_putc(out, ':');
		buf_append(out, member.value, member.value_len);
		buf_putc(out, ',');
	}
}

static void put_values(
    const struct observation *obs, const double *first, size_t n, size_t samples, struct buf *out)
{
	size_t channels = obs->channels > 1 ? obs->channels : 1, len = 0;
	const char *names = NULL;
	bool named = names_of(obs, &names, &len);

	if (!named)
		buf_printf(out,
		    channels > 1 ? "\"samples\":%zu,\"values\":[" : "\"samples\":%zu,\"value\":",
		    samples);
	for (size_t c = 0; c < channels; c++) {
		size_t name = named ? name_next(&names, &len) : 0;
		if (!named && c > 0)
			buf_putc(out, ',');
		if (named) {
			buf_append(out, names, name);
			buf_putc(out, ':');
			names += name;
			len -= name;
		}
		put_number(n == 1 ? first[c] : mean_of(first + c, channels, n), out);
		if (named)
			buf_putc(out, ',');
	}
	if (named)
		buf_printf(out, "\"samples\":%zu", samples);
	else if (channels > 1)
		buf_putc(out, ']');
}

enum rc sample_of_slice(const struct item *item, enum facet facet, int64_t start_ns, int64_t end_ns,
    struct arena *arena, const char **out)
{
	const struct observation *obs = item->rest->block;
	size_t frames = observation_frames(obs), channels = obs->channels > 1 ? obs->channels : 1;
	size_t from = frame_from(item, frames, start_ns), end = frame_from(item, frames, end_ns);
	size_t first = from, n = end - from;
	struct buf text;

	if (n == 0 || facet == FACET_LOCATION) {
		first = frame_nearest(item, frames, start_ns + (end_ns - start_ns) / 2);
		if (n > 0) /* one of those inside */
			first = first < from ? from : first >= end ? end - 1 : first;
		n = 1;
	}
	buf_init(&text, TEXT_BYTES_MAX + OBS_DATA_BYTES_MAX);
	buf_putc(&text, '{');
	put_own(obs, &text);
	put_values(obs, obs->values + first * channels, n, end - from, &text);
	buf_putc(&text, '}');
	enum rc rc = buf_rc(&text);
	if (rc == RC_OK) {
		*out = arena_copy(arena, text.bytes, text.len);
		rc = *out == NULL ? RC_NOMEM : RC_OK;
	}
	buf_fini(&text);
	return rc;
}
