/*
 * Fact: one thing known about the person, as an observation.
 *
 * A fact's source is OBS_SOURCE_MEMORY, its kind OBS_KIND_FACT, its origin SYSTEM:
 * no sender can write one, no search finds one, no slice is made of one.  What
 * becomes of it (ended, superseded, accepted, refused) is said by marks, records of
 * kind OBS_KIND_MARK that hold numbers alone.  Nothing is overwritten: what holds
 * now follows from all of them in order (book.h).  Invariants:
 *  F1  facts and marks are numbered from 1 without a gap (store/store_memory.h).
 *  F2  a fact is read back as it was written, or refused: one line of valid UTF-8
 *      without control characters, in hard limits.
 *  F3  `about` names the observations it was read from; with any of them it is
 *      forgotten (store/store_forget.h).  It lies at the time of the newest of them,
 *      or where the owner or an agent said it, at that time.
 */
#ifndef MEMORY_FACT_H
#define MEMORY_FACT_H

#include "store/store.h"

#define FACT_TEXT_BYTES_MAX ((size_t)400)
#define FACT_SUBJECT_BYTES_MAX ((size_t)80)
#define FACT_ATTRIBUTE_BYTES_MAX ((size_t)40)
#define FACT_WHO_BYTES_MAX ((size_t)120)
#define FACT_ABOUT_MAX ((size_t)64)
/* Bounds of validity that nobody named. */
#define FACT_ALWAYS_FROM_NS OBS_TIME_MIN_NS
#define FACT_ALWAYS_TO_NS OBS_TIME_MAX_NS

/* In the order in which they are shown. */
enum fact_class {
	FACT_PROFILE = 1, /* who the person is */
	FACT_WISHES,      /* how they want to be treated, always */
	FACT_PREFERENCES, /* what they like and do not like */
	FACT_PEOPLE,
	FACT_PLACES,
};
#define FACT_CLASS_COUNT 5

enum fact_by {
	FACT_BY_OWNER = 1,
	FACT_BY_NIGHT, /* `who`: the model */
	FACT_BY_AGENT, /* `who`: the token's name */
};

struct fact {
	uint64_t number; /* given out by the book */
	enum fact_class class;
	const char *subject;   /* person, place or thing that it is about; "": the owner */
	const char *attribute; /* what there is but one of: "employer", a word of a-z, 0-9,
				  '_' and '-'; "": any number */
	const char *text;      /* never empty */
	int64_t valid_from_ns, valid_to_ns;
	int64_t learned_ns;
	int64_t at_ns; /* where it lies in the timeline */
	enum fact_by by;
	const char *who;
	const uint8_t (*about)[OBS_ID_BYTES]; /* [about_len] */
	size_t about_len;
	bool proposed; /* counts for nothing until the owner accepts it */
};

enum fact_act {
	FACT_ENDED = 1,  /* does not hold from `at_ns` on */
	FACT_SUPERSEDED, /* likewise, and `next` holds instead */
	FACT_ACCEPTED,   /* holds from `at_ns` on, if it does not say itself since when */
	FACT_REFUSED,
};

struct fact_mark {
	uint64_t number; /* of this record */
	uint64_t fact;   /* what it is about */
	enum fact_act act;
	int64_t at_ns;
	uint64_t next;
	int64_t marked_ns; /* when it was said */
	enum fact_by by;
	const char *who;
	const uint8_t (*about)[OBS_ID_BYTES]; /* [about_len] read to say so */
	size_t about_len;
};

/* Words: "profile", "wishes", …; "owner", "night", "agent"; 0 / NULL if unknown. */
const char *fact_class_word(enum fact_class class);
enum fact_class fact_class_parse(const char *word);
const char *fact_by_word(enum fact_by by);

/* One line of 1 to `max` bytes: valid UTF-8, no control characters, nothing that
 * turns the direction of writing, no blanks at its ends.  Pure. */
bool fact_line_is_good(const char *text, size_t len, size_t max);

/* F2; RC_INVALID or RC_LIMIT names the field. */
enum rc fact_check(const struct fact *fact, struct errmsg *why) RC_CHECK;

/* As observations to append; strings in `arena`.  A fact that was checked.  RC_NOMEM,
 * RC_LIMIT. */
enum rc fact_encode(const struct fact *fact, struct arena *arena, struct observation *out) RC_CHECK;
enum rc fact_mark_encode(
    const struct fact_mark *mark, struct arena *arena, struct observation *out) RC_CHECK;

/* Back; everything in `arena`.  RC_NOTFOUND: it is none; RC_CORRUPT: malformed. */
enum rc fact_decode(const struct observation *obs, struct arena *arena, struct fact *out) RC_CHECK;
enum rc fact_mark_decode(
    const struct observation *obs, struct arena *arena, struct fact_mark *out) RC_CHECK;

/*
 * `text` as what it is compared by: letters and digits in one form, with one blank
 * between words; as it is if it has none.  In `arena`; NULL on no memory.
 */
char *fact_fold(const char *text, struct arena *arena);

#endif
