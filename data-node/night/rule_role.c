/* Rule "role": home and work of a day, from the stays of the weeks around it. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "night/place_label.h"

#define AROUND_DAYS 14

static int64_t local_ns(const void *ctx, int64_t utc_ns)
{
	return night_day_local_ns(ctx, utc_ns);
}

/* Stays of all days around, and the labels they are from; none for a day that
 * has no stays itself. */
static enum rc gather(const struct night_day *day, struct stay *stays, size_t *len,
    uint8_t about[][OBS_ID_BYTES], size_t *about_len, struct errmsg *why)
{
	enum rc rc = place_label_get_stays(
	    night_day_store(day), night_day_from_ns(day), stays, len, about[0], why);

	if (rc != RC_OK || *len == 0)
		return rc;
	*len = 0;

	for (int64_t at = -AROUND_DAYS; at <= AROUND_DAYS && rc == RC_OK; at++) {
		size_t n = 0;
		if (*len > PLACE_STAYS_MAX)
			break;
		rc = place_label_get_stays(night_day_store(day),
		    night_day_from_ns(day) + at * NS_PER_DAY, stays + *len, &n, about[*about_len],
		    why);
		*len += n;
		*about_len += n > 0 ? 1 : 0;
	}
	return rc;
}

static enum rc end(void *arg, struct night_day *day, struct errmsg *why)
{
	static const uint8_t none[1][OBS_ID_BYTES]; /* to withdraw by */
	uint8_t about[2 * AROUND_DAYS + 1][OBS_ID_BYTES];
	char key[PLACE_LABEL_KEY_BYTES];
	struct place_roles roles = { .home.known = false };
	size_t len = 0, about_len = 0;
	struct buf value;

	(void)arg;
	struct stay *stays = calloc(PLACE_STAYS_MAX + PLACE_LABEL_STAYS_MAX, sizeof *stays);
	if (stays == NULL)
		return RC_NOMEM;
	buf_init(&value, LABEL_VALUE_BYTES_MAX);
	enum rc rc = gather(day, stays, &len, about, &about_len, why);
	if (rc == RC_OK)
		rc = place_roles_of(stays, len, local_ns, day, &roles);
	if (rc == RC_OK)
		rc = place_label_put_roles(&roles, &value);
	place_label_key(night_day_from_ns(day), key);
	struct label label = { .key = key,
		.layer = LAYER_ENVIRONMENT,
		.t0_ns = night_day_from_ns(day),
		.t1_ns = night_day_from_ns(day),
		.about = about_len > 0 ? (const uint8_t(*)[OBS_ID_BYTES])about : none,
		.about_len = about_len > 0 ? about_len : 1,
		.value_json = buf_text(&value),
		.confidence = roles.home.known ? roles.home.confidence : 0.5 };
	if (rc == RC_OK && label_is_withdrawn(&label))
		label.confidence = 0;
	if (rc == RC_OK)
		rc = night_say(day, &label, why);
	buf_fini(&value);
	free(stays);
	return rc;
}

const struct night_rule night_rule_role = {
	.name = place_label_rule_role,
	.version = 1,
	.from = place_label_rule_place,
	.from_days = AROUND_DAYS,
	.end = end,
};
