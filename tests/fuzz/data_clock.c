/*
 * Clock maps: any bytes are refused or decode to a line that encodes again to
 * the same bytes; and any sequence of events and pings leaves a line that does,
 * with placements that are in order and have no negative ε.
 */
#include <stdlib.h>
#include <string.h>

#include "store/store_clock_internal.h"

#define SCRIPT_STEP 18
#define SCRIPT_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

static void check_line(const struct line *line)
{
	static uint8_t once[LINE_BYTES_MAX], twice[LINE_BYTES_MAX];
	static struct line again;

	size_t len = line_encode(line, once);
	must(len <= LINE_BYTES_MAX && line_decode(once, len, &again));
	must(line_encode(&again, twice) == len && memcmp(once, twice, len) == 0);
}

static int64_t number(const uint8_t *bytes)
{
	return (int64_t)store_get_be64(bytes);
}

static void check_place(const struct line_place *at)
{
	must(at->t1_ns >= at->t0_ns && at->early_ns >= 0 && at->late_ns >= 0 && at->epoch != 0);
}

static void run_script(struct line *line, const uint8_t *data, size_t size)
{
	struct line_clock clock = { .known_ns = INT64_MIN };
	struct line_news news;
	struct line_place at;

	for (uint64_t seq = 1; size >= SCRIPT_STEP && seq <= SCRIPT_MAX; seq++) {
		int64_t dev_ns = number(data + 1), recv_ns = number(data + 9);
		int64_t span_ns = (int64_t)data[17] << (data[0] % 32);
		int64_t end_ns = dev_ns > INT64_MAX - span_ns ? INT64_MAX : dev_ns + span_ns;
		struct line_event event = { seq, dev_ns, end_ns, recv_ns, recv_ns };
		if (data[0] % 3 == 0) {
			struct line_ping ping = { seq, dev_ns, recv_ns, recv_ns, end_ns };
			must(!line_ping(line, &clock, &ping, &news) || news.len > 0);
		} else {
			line_event(line, &clock, &event, &at, &news);
			check_place(&at);
		}
		must(news.len <= LINE_CHANGES_MAX && line->len <= LINE_EPOCHS_MAX);
		for (size_t i = 0; i < news.len; i++) {
			if (line_place(line, &news.changes[i], &event, &at))
				check_place(&at);
		}
		check_line(line);
		data += SCRIPT_STEP;
		size -= SCRIPT_STEP;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct line line;
	static struct store_clock_line stored;
	struct store_clock_row row;
	uint8_t bytes[STORE_CLOCK_ROW_BYTES];

	if (line_decode(data, size, &line)) {
		check_line(&line);
		run_script(&line, data, size);
	}
	line_init(&line);
	run_script(&line, data, size);
	if (store_clock_line_decode(data, size, &stored) == RC_OK)
		check_line(&stored.line);
	if (store_clock_row_decode(data, size, &row) == RC_OK) {
		store_clock_row_encode(&row, bytes);
		must(size == sizeof bytes && memcmp(bytes, data, size) == 0);
	}
	return 0;
}
