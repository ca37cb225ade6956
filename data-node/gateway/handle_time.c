/*
 * GET and POST /api/v1/time: a device's clock against this node's.
 *
 * Two requests make one exchange of the four stamps of NTP:
 *   POST {"clock","boot","t1"}                          t1: the device, as it sends
 *     → {"t2","t3","stamp"}                             t2, t3: this node
 *   POST {"clock","boot","t1","t2","t3","t4","stamp"}   t4: the device, as it heard
 *     → {"accepted","error_s","cursor"}                 after the commit
 * The stamp vouches for t2 and t3 (a keyed hash), so that nothing is kept
 * between the two and nobody states hub times of their own.  What the device
 * sends between two exchanges is confirmed by the second one: ping, send, ping.
 * GET answers {"now"} and changes nothing.
 */
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/timestamp.h"
#include "base/wipe.h"
#include "gateway/handlers.h"
#include "gateway/query.h"
#include "gateway/station.h"
#include "gateway/time_body.h"
#include "store/keyring.h"
#include "store/store.h"

#define STAMP_AGE_NS (10 * NS_PER_MIN)

static void feed_number(crypto_generichash_state *h, int64_t ns)
{
	uint8_t bytes[8];

	for (unsigned i = 0; i < 8; i++)
		bytes[i] = (uint8_t)((uint64_t)ns >> (56 - 8 * i));
	(void)crypto_generichash_update(h, bytes, sizeof(bytes));
}

static void feed_text(crypto_generichash_state *h, const char *text)
{
	feed_number(h, (int64_t)strlen(text));
	(void)crypto_generichash_update(h, (const unsigned char *)text, strlen(text));
}

static enum rc stamp_make(
    struct station *station, const struct store_clock_ping *ping, uint8_t out[TIME_STAMP_BYTES])
{
	uint8_t key[KEYRING_KEY_BYTES];
	crypto_generichash_state h;

	enum rc rc = keyring_derive(station_keyring(station), "time stamps", key);
	if (rc != RC_OK)
		return rc;
	(void)crypto_generichash_init(&h, key, sizeof(key), TIME_STAMP_BYTES);
	feed_text(&h, ping->clock);
	feed_text(&h, ping->boot);
	feed_number(&h, ping->t1_ns);
	feed_number(&h, ping->t2_ns);
	feed_number(&h, ping->t3_ns);
	(void)crypto_generichash_final(&h, out, TIME_STAMP_BYTES);
	wipe(key, sizeof(key));
	return RC_OK;
}

static void answer_open(
    struct station *station, struct store_clock_ping *ping, struct api_response *response)
{
	uint8_t stamp[TIME_STAMP_BYTES];
	char hex[2 * TIME_STAMP_BYTES + 1], t2[TIMESTAMP_TEXT_BYTES], t3[TIMESTAMP_TEXT_BYTES];

	ping->t3_ns = clock_utc_ns();
	if (ping->t3_ns < ping->t2_ns)
		ping->t3_ns = ping->t2_ns; /* this node's clock was set just now */
	enum rc rc = stamp_make(station, ping, stamp);
	if (rc != RC_OK) {
		api_error_rc(response, rc, NULL, NULL);
		return;
	}
	hex_encode(stamp, sizeof(stamp), hex);
	timestamp_format(ping->t2_ns, t2);
	timestamp_format(ping->t3_ns, t3);
	buf_printf(
	    &response->body, "{\"t2\":\"%s\",\"t3\":\"%s\",\"stamp\":\"%s\"}\n", t2, t3, hex);
}

static void answer_close(struct station *station, const struct time_body *body, int64_t now_ns,
    struct arena *arena, struct api_response *response)
{
	const struct store_clock_ping *ping = &body->ping;
	struct store_result result = { .outcome = STORE_REJECTED };
	struct errmsg why = ERRMSG_INIT;
	uint8_t stamp[TIME_STAMP_BYTES];
	struct observation obs;
	uint64_t cursor = 0;

	enum rc rc = stamp_make(station, ping, stamp);
	if (rc == RC_OK && sodium_memcmp(stamp, body->stamp, sizeof(stamp)) != 0) {
		query_error(response, "stamp", "does not belong to these times");
		return;
	}
	if (rc == RC_OK && (now_ns < ping->t3_ns || now_ns - ping->t3_ns > STAMP_AGE_NS)) {
		query_error(response, "stamp", "is older than ten minutes: ask again");
		return;
	}
	if (rc == RC_OK)
		rc = store_clock_ping_make(ping, now_ns, clock_mono_ns(), arena, &obs);
	if (rc == RC_INVALID) {
		query_error(response, "t4", "these four stamps cannot be: t4 is too early");
		return;
	}
	if (rc == RC_OK)
		rc = store_append(station_store(station), &obs, 1, &result, &cursor, &why);
	if (rc != RC_OK) {
		api_error_rc(response, rc, NULL, &why);
		return;
	}
	int64_t away_ns = (ping->t4_ns - ping->t1_ns) - (ping->t3_ns - ping->t2_ns);
	buf_printf(&response->body, "{\"accepted\":%s,\"error_s\":%.9f,\"cursor\":%" PRIu64 "}\n",
	    result.outcome == STORE_ACCEPTED ? "true" : "false",
	    away_ns > 0 ? (double)away_ns / 2e9 : 0.0, cursor);
}

void handle_time_post(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	int64_t now_ns = clock_utc_ns();
	struct errmsg why = ERRMSG_INIT;
	struct time_body body;
	const char *field;

	enum rc rc = time_body_parse(request->body, request->body_len, arena, &body, &field, &why);
	if (rc != RC_OK) {
		api_error_rc(response, rc, field, &why);
		return;
	}
	if (body.closes) {
		answer_close(station, &body, now_ns, arena, response);
		return;
	}
	body.ping.t2_ns = now_ns;
	answer_open(station, &body.ping, response);
}

void handle_time_get(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	char text[TIMESTAMP_TEXT_BYTES];

	(void)station;
	(void)request;
	(void)arena;
	timestamp_format(clock_utc_ns(), text);
	buf_printf(&response->body, "{\"now\":\"%s\"}\n", text);
}
