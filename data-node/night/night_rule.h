/*
 * Night rules: the table of what is said about observations each night.
 *
 * A rule is four functions and a row.  It sees the observations of its layers
 * in order of (hub time, source, source_seq, obs_id), from `before_ns` before the day to `after_ns`
 * behind it, and says labels that start within the day (of a wide placement
 * the order is by its extent).  What it says about a
 * day must follow from these observations alone, so that days can be labelled
 * in any order.  One thread.
 */
#ifndef NIGHT_NIGHT_RULE_H
#define NIGHT_NIGHT_RULE_H

#include "night/label.h"
#include "night/night.h"

struct night_day; /* night_day.c: the day being labelled, and where labels go */

/* The day, [from, to) in UTC. */
int64_t night_day_from_ns(const struct night_day *day);
int64_t night_day_to_ns(const struct night_day *day);
/* The owner's local time at an instant, as ns since 1970-01-01T00:00 there. */
int64_t night_day_local_ns(const struct night_day *day, int64_t utc_ns);
/* For rules that read other days' labels; only records the pass may see. */
struct store *night_day_store(const struct night_day *day);

/*
 * Say a label; borrowed for the call.  Its rule and version are filled in; one
 * that starts outside the day is dropped.  RC_LIMIT, RC_NOMEM, the store's.
 */
enum rc night_say(struct night_day *day, const struct label *label, struct errmsg *why) RC_CHECK;

struct night_rule {
	const char *name; /* "language": lower case, no colon */
	uint32_t version; /* raise it when the rule says something else */
	unsigned layers;  /* LAYER_MASK bits; 0: it reads no observations itself */
	int64_t before_ns, after_ns;
	/* It also depends on the labels of rule `from` so many days around: runs
	 * after it, for the days around each change.  NULL: on none. */
	const char *from;
	int from_days;
	bool sees_scenes;              /* a label of a scene touches its days as well */
	enum rc (*open)(void **state); /* NULL: no state */
	void (*close)(void *state);
	enum rc (*begin)(void *state, struct night_day *day, struct errmsg *why); /* may be NULL */
	enum rc (*take)(void *state, struct night_day *day, const struct observation *obs,
	    struct errmsg *why); /* NULL if `layers` is 0 */
	enum rc (*end)(void *state, struct night_day *day, struct errmsg *why); /* may be NULL */
};

/* In order: a rule stands behind those it depends on. */
struct night_table {
	const struct night_rule *const *rules; /* [len], len ≤ NIGHT_RULES_MAX */
	size_t len;
	const char *progress; /* the id under which a pass over them keeps its progress */
};
#define NIGHT_PROGRESS_ID "progress" /* of the rules */
extern const struct night_table night_rules;

extern const struct night_rule night_rule_language;
extern const struct night_rule night_rule_unit;
extern const struct night_rule night_rule_duplicate;
extern const struct night_rule night_rule_outlier;
extern const struct night_rule night_rule_place;
extern const struct night_rule night_rule_role;
extern const struct night_rule night_rule_scene;

#endif
