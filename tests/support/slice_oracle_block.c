/* Slice oracle, blocks: every frame is looked at, for every slice. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "slice_oracle.h"

struct look {
	const struct observation *obs;
	int64_t begin, start, end;
	int facet;
};

static int64_t frame_at(const struct look *look, size_t i)
{
	const struct observation *obs = look->obs;

	return look->begin + (obs->times_ns != NULL ? obs->times_ns[i]
						    : (int64_t)((double)i * 1e9 / obs->rate_hz));
}

static void say_number(double value, char *text, size_t room)
{
	for (int digits = 15; digits < 18; digits++) {
		(void)snprintf(text, room, "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			return;
	}
}

/* The mean over the frames inside, or the frame next to the middle. */
static double say_channel(const struct look *look, size_t channel, size_t channels, size_t *inside)
{
	size_t frames = look->obs->values_len / channels, best = 0;
	int64_t middle = look->start + (look->end - look->start) / 2, off_best = INT64_MAX;
	double sum = 0;
	bool best_in = false;

	*inside = 0;
	for (size_t i = 0; i < frames; i++) {
		int64_t at = frame_at(look, i), off = at < middle ? middle - at : at - middle;
		bool in = at >= look->start && at < look->end;
		sum += in ? look->obs->values[i * channels + channel] : 0;
		*inside += in;
		/* Of frames at one moment before the middle the last one is next to it. */
		bool same = in == best_in && at == frame_at(look, best) && at < middle;
		if ((in && !best_in) || (in == best_in && (off < off_best || same))) {
			best = i;
			off_best = off;
			best_in = in;
		}
	}
	if (*inside > 0 && look->facet != FACET_LOCATION)
		return sum / (double)*inside;
	return look->obs->values[best * channels + channel];
}

/* The room of the block's own data, then the samples. */
void slice_oracle_block(const struct observation *obs, int64_t begin_ns, int facet,
    int64_t start_ns, int64_t end_ns, char *out, size_t room)
{
	const struct look look = { obs, begin_ns, start_ns, end_ns, facet };
	size_t channels = obs->channels > 1 ? obs->channels : 1, inside = 0;
	char numbers[2][40] = { "", "" }, own[80] = "";
	const char *in_room = strstr(obs->data_json, "\"room\":\"");

	for (size_t c = 0; c < channels && c < 2; c++)
		say_number(say_channel(&look, c, channels, &inside), numbers[c], 40);
	if (in_room != NULL)
		(void)snprintf(own, sizeof own, "\"room\":\"%.*s\",",
		    (int)strcspn(in_room + 8, "\""), in_room + 8);
	if (obs->extra_json != NULL && strstr(obs->extra_json, "\"lat\"") != NULL)
		(void)snprintf(out, room, "{%s\"lat\":%s,\"lon\":%s,\"samples\":%zu}", own,
		    numbers[0], numbers[1], inside);
	else if (channels == 1)
		(void)snprintf(
		    out, room, "{%s\"samples\":%zu,\"value\":%s}", own, inside, numbers[0]);
	else
		(void)snprintf(out, room, "{%s\"samples\":%zu,\"values\":[%s,%s]}", own, inside,
		    numbers[0], numbers[1]);
}
