/*
 * Note: an episode's title, summary, tags and mood, as a model wrote them and the gate
 * let them through.
 *
 * One record an episode (said.h, rule "note", key: its start in ns).  Invariants:
 *  N1  `digest` is of all that the model was shown and of NOTE_VERSION: the same digest
 *      has been asked, and is not asked again.
 *  N2  a refused answer is a note too, without words: it says why, and by which model.
 *  N3  the mood is the owner's own word, in a quote of theirs.
 */
#ifndef NIGHT_NOTE_H
#define NIGHT_NOTE_H

#include "night/gate.h"
#include "night/said.h"

#define NOTE_VERSION 3u /* of the question and the gate */
#define NOTE_RULE "note"
#define NOTE_TITLE_CHARS_MAX ((size_t)60)
#define NOTE_SUMMARY_CHARS_MAX ((size_t)400)
#define NOTE_SENTENCES_MAX 3
#define NOTE_TAGS_MAX 6
#define NOTE_TAG_CHARS_MAX ((size_t)24)
#define NOTE_MOOD_CHARS_MAX ((size_t)24)
#define NOTE_QUOTE_CHARS_MAX ((size_t)200)
#define NOTE_ABOUT_MAX ((size_t)512)
#define NOTE_DIGEST_BYTES 33              /* 32 hex digits and the end */
#define NOTE_EPISODES_MAX ((size_t)65536) /* of one reading */

struct note {
	int64_t start_ns, end_ns; /* of the episode */
	const char *digest, *model;
	enum gate refused; /* GATE_PASSED: it is a note */
	const char *title, *summary;
	const char *tags[NOTE_TAGS_MAX];
	size_t tags_len;
	const char *mood, *mood_quote;        /* NULL: nothing was said */
	const uint8_t (*about)[OBS_ID_BYTES]; /* [about_len], what was shown */
	size_t about_len;
	uint32_t version, revision;
	unsigned life;
};

/* The digest of `text` under `version`. */
void note_digest(uint32_t version, const char *text, char out[NOTE_DIGEST_BYTES]);

/*
 * The note of the episode that begins at `start_ns`; everything in `arena`.  RC_NOTFOUND: there
 * is none, it was withdrawn, forgotten or cannot be read.  In both cases revision and life are
 * those to write the next one with.  RC_LIMIT: none can be written; the store's errors.
 */
enum rc note_get(struct store *store, int64_t start_ns, struct arena *arena, struct note *out,
    struct errmsg *why) RC_CHECK;

/* RC_OK once it is on the disk. */
enum rc note_put(struct store *store, const struct note *note, struct errmsg *why) RC_CHECK;
/* There is no such episode any more. */
enum rc note_withdraw(struct store *store, const struct note *note, struct errmsg *why) RC_CHECK;

/* RC_NOTFOUND: it is none, or withdrawn; RC_CORRUPT; RC_NOMEM.  Everything in `arena`. */
enum rc note_decode(const struct observation *obs, struct arena *arena, struct note *out) RC_CHECK;

/*
 * The notes of episodes that begin in [from, to), in order, as known at `as_of_seq` (0: now):
 * `*out` [*len] in `arena`.  Those that cannot be read are left out.  RC_LIMIT
 * (NOTE_EPISODES_MAX), the store's errors.
 */
enum rc note_list(struct store *store, int64_t from_ns, int64_t to_ns, uint64_t as_of_seq,
    struct arena *arena, struct note **out, size_t *len, struct errmsg *why) RC_CHECK;

/* `,"title":…,"summary":…,"tags":[…],"mood":null|{"word","quote"},"model":…`; `note` may be NULL
 * or refused: all of them null, no tags. */
void note_json(const struct note *note, struct buf *out);

#endif
