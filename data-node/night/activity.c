/* Activity: rules over stays, utterances and signs of life. */
#include "night/activity.h"

#include <string.h>

#include "base/clock.h"

#define TALK_UTTERANCES_MIN 6
#define TALK_TURNS_MIN 3
#define SIGNS_MIN 3          /* before a silence means something */
#define REST_MIDDLE_FROM_H 0 /* the middle of a night's rest, local */
#define REST_MIDDLE_TO_H 9

const char activity_rest_because[] = "no sign of life";

static void add_about(struct activity *activity, const uint8_t obs_id[OBS_ID_BYTES])
{
	for (size_t i = 0; i < activity->about_len; i++) {
		if (memcmp(activity->about[i], obs_id, OBS_ID_BYTES) == 0)
			return;
	}
	if (activity->about_len < ACTIVITY_ABOUT_MAX)
		memcpy(activity->about[activity->about_len++], obs_id, OBS_ID_BYTES);
}

/* ---- stays ------------------------------------------------------------------------- */

enum where { ELSEWHERE, AT_HOME, AT_WORK };

static enum where where_of(const struct stay *stay, const struct place_roles *roles)
{
	if (place_is_at(&roles->home, stay->lat, stay->lon))
		return AT_HOME;
	return place_is_at(&roles->work, stay->lat, stay->lon) ? AT_WORK : ELSEWHERE;
}

static struct activity at_place(
    const struct stay *stay, enum where where, const struct place_roles *roles)
{
	const struct place_role *role = where == AT_HOME ? &roles->home : &roles->work;
	struct activity activity = { .scene = where == AT_HOME ? "home" : "work",
		.because = "stay",
		.layer = LAYER_ENVIRONMENT,
		.t0_ns = stay->t0_ns,
		.t1_ns = stay->t1_ns,
		.confidence = role->confidence };

	add_about(&activity, stay->first);
	add_about(&activity, stay->last);
	return activity;
}

/* From stay `from` on to home or work, the other of which `from` is. */
static bool way_from(const struct stay *stays, size_t len, size_t from,
    const struct place_roles *roles, struct activity *out)
{
	enum where begin = where_of(&stays[from], roles);

	for (size_t i = from + 1; i < len && i <= from + 2; i++) {
		enum where end = where_of(&stays[i], roles);
		if (end == begin || stays[i].t0_ns - stays[from].t1_ns > ACTIVITY_WAY_NS_MAX ||
		    stays[i].t0_ns <= stays[from].t1_ns)
			return false;
		if (end == ELSEWHERE) {
			if (stays[i].t1_ns - stays[i].t0_ns > ACTIVITY_STOP_NS_MAX)
				return false;
			continue;
		}
		*out = (struct activity){ .scene = "commuting",
			.because = i == from + 1 ? "way" : "way with a stop",
			.layer = LAYER_ENVIRONMENT,
			.t0_ns = stays[from].t1_ns,
			.t1_ns = stays[i].t0_ns,
			.confidence = i == from + 1 ? 0.85 : 0.7 };
		add_about(out, stays[from].last);
		add_about(out, stays[i].first);
		return true;
	}
	return false;
}

size_t activity_of_stays(const struct stay *stays, size_t len, const struct place_roles *roles,
    struct activity *out, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < len && n < max; i++) {
		enum where where = where_of(&stays[i], roles);
		if (where == ELSEWHERE)
			continue;
		out[n++] = at_place(&stays[i], where, roles);
		if (n < max && way_from(stays, len, i, roles, &out[n]))
			n++;
	}
	return n;
}

/* ---- talks -------------------------------------------------------------------------- */

static bool is_talk(const struct activity_talk *talk)
{
	return talk->utterances >= TALK_UTTERANCES_MIN && talk->turns >= TALK_TURNS_MIN &&
	       talk->speakers_len >= 2 && talk->t1_ns - talk->t0_ns >= ACTIVITY_TALK_NS_MIN;
}

bool activity_talk_end(struct activity_talk *talk, struct activity *out)
{
	bool found = is_talk(talk);

	if (found) {
		*out = (struct activity){ .scene = "meeting",
			.because = "several speakers",
			.layer = LAYER_AUDITORY,
			.t0_ns = talk->t0_ns,
			.t1_ns = talk->t1_ns,
			.confidence = talk->speakers_len > 2 ? 0.75 : 0.6 };
		add_about(out, talk->first_id);
		add_about(out, talk->last_id);
	}
	talk->utterances = 0;
	return found;
}

static void note_speaker(struct activity_talk *talk, uint64_t speaker)
{
	talk->turns += talk->utterances > 1 && speaker != talk->last ? 1 : 0;
	talk->last = speaker;
	for (size_t i = 0; i < talk->speakers_len; i++) {
		if (talk->speakers[i] == speaker)
			return;
	}
	if (talk->speakers_len < ACTIVITY_SPEAKERS_MAX)
		talk->speakers[talk->speakers_len++] = speaker;
}

bool activity_talk_push(struct activity_talk *talk, int64_t t0_ns, int64_t t1_ns, uint64_t speaker,
    const uint8_t obs_id[OBS_ID_BYTES], struct activity *out)
{
	bool ended = false;

	if (talk->utterances > 0 && t0_ns - talk->t1_ns > ACTIVITY_PAUSE_NS)
		ended = activity_talk_end(talk, out);
	if (talk->utterances == 0) {
		*talk = (struct activity_talk){ .t0_ns = t0_ns, .t1_ns = t1_ns };
		memcpy(talk->first_id, obs_id, OBS_ID_BYTES);
	}
	talk->utterances++;
	note_speaker(talk, speaker);
	if (t1_ns >= talk->t1_ns) {
		talk->t1_ns = t1_ns;
		memcpy(talk->last_id, obs_id, OBS_ID_BYTES);
	}
	return ended;
}

/* ---- rest --------------------------------------------------------------------------- */

bool activity_sign_push(struct activity_signs *signs, int64_t t0_ns, int64_t t1_ns,
    int32_t offset_s, const uint8_t obs_id[OBS_ID_BYTES], struct activity *out)
{
	int64_t gap_ns = t0_ns - signs->last_ns;
	bool found = false;

	if (signs->before >= SIGNS_MIN && gap_ns >= ACTIVITY_REST_NS_MIN &&
	    gap_ns <= ACTIVITY_REST_NS_MAX) {
		int64_t middle_s = (signs->last_ns + gap_ns / 2) / NS_PER_S + offset_s;
		int64_t hour = (middle_s % 86400 + 86400) % 86400 / 3600;
		found = hour >= REST_MIDDLE_FROM_H && hour < REST_MIDDLE_TO_H;
	}
	if (found) {
		*out = (struct activity){ .scene = "sleep",
			.because = activity_rest_because,
			.layer = LAYER_BEHAVIOUR,
			.t0_ns = signs->last_ns,
			.t1_ns = t0_ns,
			.confidence = 0.5 };
		add_about(out, signs->last_id);
		add_about(out, obs_id);
	}
	if (signs->before == 0 || t1_ns >= signs->last_ns) {
		signs->last_ns = t1_ns;
		memcpy(signs->last_id, obs_id, OBS_ID_BYTES);
	}
	signs->before++;
	return found;
}
