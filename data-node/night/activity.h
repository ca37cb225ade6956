/*
 * Activity: what someone does over a stretch of time, from several observations.
 *
 * Each of these needs more than a moment: being at home or at work, the way
 * between them, a talk of several people, a night without a sign of life.
 * Pure; one thread.
 */
#ifndef NIGHT_ACTIVITY_H
#define NIGHT_ACTIVITY_H

#include "night/place.h"

#define ACTIVITY_ABOUT_MAX 4

struct activity {
	const char *scene;   /* "home", "work", "commuting", "meeting", "sleep", …: static */
	const char *because; /* what it was read from: static */
	enum layer layer;    /* of the evidence */
	int64_t t0_ns, t1_ns;
	double confidence;
	uint8_t about[ACTIVITY_ABOUT_MAX][OBS_ID_BYTES];
	size_t about_len;
};

/*
 * Home, work, and commuting between the two, from the stays of a day in order
 * of time.  A way of at most ACTIVITY_WAY_NS_MAX from one to the other is
 * commuting, with at most one short stop between.  At most `max` into `out`.
 */
#define ACTIVITY_WAY_NS_MAX INT64_C(9000000000000)
#define ACTIVITY_STOP_NS_MAX INT64_C(2400000000000)
size_t activity_of_stays(const struct stay *stays, size_t len, const struct place_roles *roles,
    struct activity *out, size_t max);

/*
 * A talk: utterances of at least two speakers without a long pause, in order
 * of time.  True if one has ended: `*out` is a meeting.
 */
#define ACTIVITY_PAUSE_NS INT64_C(300000000000)
#define ACTIVITY_TALK_NS_MIN INT64_C(600000000000)
#define ACTIVITY_SPEAKERS_MAX 8
struct activity_talk {
	int64_t t0_ns, t1_ns;
	uint32_t utterances, turns; /* turns: the speaker changed */
	uint64_t speakers[ACTIVITY_SPEAKERS_MAX];
	size_t speakers_len;
	uint64_t last;
	uint8_t first_id[OBS_ID_BYTES], last_id[OBS_ID_BYTES];
};
bool activity_talk_push(struct activity_talk *talk, int64_t t0_ns, int64_t t1_ns, uint64_t speaker,
    const uint8_t obs_id[OBS_ID_BYTES], struct activity *out);
bool activity_talk_end(struct activity_talk *talk, struct activity *out);

/*
 * A night's rest without a sleep tracker: at home, hours without a sign of
 * life, signs before and after.  Signs come in order of time; true if the one
 * before and this one enclose a night's rest.
 */
extern const char activity_rest_because[];
#define ACTIVITY_REST_NS_MIN INT64_C(14400000000000)
#define ACTIVITY_REST_NS_MAX INT64_C(50400000000000)
struct activity_signs {
	int64_t last_ns;
	uint8_t last_id[OBS_ID_BYTES];
	uint32_t before; /* signs so far */
};
bool activity_sign_push(struct activity_signs *signs, int64_t t0_ns, int64_t t1_ns,
    int32_t offset_s, const uint8_t obs_id[OBS_ID_BYTES], struct activity *out);

#endif
