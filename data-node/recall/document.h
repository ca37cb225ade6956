/*
 * Document: what of an observation is searchable, and how much it weighs.
 *
 * Text and the strings of `data` count whole; kind, layer, source and the
 * words of the local date half; the text of the two observations before it in
 * the same conversation (source and layer, and what `data` names as such) a
 * quarter.  Words are stemmed in the language the text is in, or, where that
 * cannot be told, in the one that was written most so far.  What follows another
 * in its conversation within an hour goes on its stretch (index.h).  A pure
 * function of the log's order: a rebuild gives the same index.
 */
#ifndef RECALL_DOCUMENT_H
#define RECALL_DOCUMENT_H

#include "recall/index.h"
#include "recall/language.h"
#include "store/observation.h"

#define DOCUMENT_DATA_BYTES_MAX ((size_t)8 << 10) /* of strings in data */
#define DOCUMENT_NEIGHBOURS 2                     /* observations before it */
#define DOCUMENT_NEIGHBOUR_TERMS_MAX ((size_t)64) /* of each */
#define DOCUMENT_NEIGHBOUR_GAP_NS INT64_C(3600000000000)
#define DOCUMENT_STRETCH_MAX ((size_t)128) /* documents of one stretch */
#define DOCUMENT_TALKS_MAX ((size_t)4096)  /* conversations remembered */

/* The newest texts of each conversation, and how often which language was written. */
struct document_talks;

/* `model` outlives it. */
enum rc document_talks_new(
    const struct language_model *model, struct document_talks **out) RC_CHECK;
void document_talks_free(struct document_talks *talks);

/*
 * Append them to `out`, for an index that is kept (snapshot.h); the error is in
 * buf_rc().  Take: in the place of none, beside an index of `docs` documents and
 * `terms` terms; RC_CORRUPT, RC_NOMEM: they are of no use any more, but to be freed.
 */
struct buf;
struct varint_view;
void document_talks_encode(const struct document_talks *talks, struct buf *out);
enum rc document_talks_take(
    struct document_talks *talks, struct varint_view *view, size_t docs, size_t terms) RC_CHECK;

/*
 * Take in the next record of the log: index it, or take out what it replaces
 * or forgets.  Machine chatter (ORIGIN_SYSTEM), tombstones and gap markers are
 * not indexed.  `*added` tells whether it was.  RC_NOMEM, RC_LIMIT.
 */
enum rc document_take(struct index *index, struct document_talks *talks,
    const struct observation *obs, bool *added) RC_CHECK;

/*
 * The languages to read a question in: its own, or if that cannot be told the
 * most written one; then the others that one text in DOCUMENT_LANGUAGE_SHARE is
 * in, most written first.  Returns how many, at least 1.
 */
#define DOCUMENT_LANGUAGE_SHARE 20
size_t document_languages(const struct document_talks *talks, const char *question, size_t len,
    enum language out[LANGUAGE_COUNT]);

#endif
