/* Store clock pings: the record of an exchange of stamps, both ways. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_clock_internal.h"

enum rc store_clock_ping_make(const struct store_clock_ping *ping, int64_t recv_utc_ns,
    int64_t recv_mono_ns, struct arena *arena, struct observation *out)
{
	const struct line_ping stamps = { 1, ping->t1_ns, ping->t2_ns, ping->t3_ns, ping->t4_ns };

	if (!line_ping_valid(&stamps))
		return RC_INVALID;
	*out = (struct observation){
		.source = ping->clock,
		.client_id = "",
		.layer = LAYER_BEHAVIOUR,
		.kind = STORE_CLOCK_PING_KIND,
		.shape = SHAPE_INTERVAL,
		.clock_id = ping->clock,
		.boot_epoch = ping->boot,
		.dev_t0_ns = ping->t1_ns,
		.dev_t1_ns = ping->t4_ns,
		.has_end = true,
		.recv_utc_ns = recv_utc_ns,
		.recv_mono_ns = recv_mono_ns,
		.zone = "",
		.origin = ORIGIN_SYSTEM,
		.text = "",
		.extra_json = "",
	};
	out->data_json = arena_printf(
	    arena, "{\"t2\":%" PRId64 ",\"t3\":%" PRId64 "}", ping->t2_ns, ping->t3_ns);
	return out->data_json == NULL ? RC_NOMEM : RC_OK;
}

static bool get_number(const char *json, const char *name, int64_t *out)
{
	const char *at = strstr(json, name);
	char *end;

	if (at == NULL)
		return false;
	at += strlen(name);
	*out = strtoll(at, &end, 10);
	return end != at && (*end == ',' || *end == '}') && *out >= OBS_TIME_MIN_NS &&
	       *out <= OBS_TIME_MAX_NS;
}

bool store_clock_ping_read(const struct observation *obs, uint64_t seq, struct line_ping *out)
{
	*out = (struct line_ping){ .seq = seq, .t1_ns = obs->dev_t0_ns, .t4_ns = obs->dev_t1_ns };
	return obs->origin == ORIGIN_SYSTEM && strcmp(obs->kind, STORE_CLOCK_PING_KIND) == 0 &&
	       get_number(obs->data_json, "\"t2\":", &out->t2_ns) &&
	       get_number(obs->data_json, "\"t3\":", &out->t3_ns);
}
