/*
 * Recall: the moments that matter for a question.
 *
 * reference: recall-and-training §1.  A lexical index (BM25) derived from the
 * log: it lags, never leads; a reader waits a bounded moment for the cursor it
 * needs.  In memory; a snapshot of it is kept in the store (recall/snapshot.h), from
 * where an open goes on.  One index thread follows the store; recall_search() any
 * thread.
 *
 * Where an encoder is given (recall_set_encoder), a second thread has it embed the
 * texts of what the index holds, oldest first, and keeps the vectors in the store
 * (store/store_vector.h).  They lag further behind and are never waited for: a
 * search counts those that are there.
 */
#ifndef RECALL_RECALL_H
#define RECALL_RECALL_H

#include "recall/language.h"
#include "store/store.h"

struct recall;

#define RECALL_QUERY_BYTES_MAX ((size_t)64 << 10)
#define RECALL_K_MAX ((size_t)1000)
#define RECALL_SUPPORT_MIN 0.42            /* see recall_result.support */
#define RECALL_WAIT_NS INT64_C(2000000000) /* for the cursor a reader needs */

enum rc recall_open(struct store *store, struct recall **out, struct errmsg *why) RC_CHECK;
/* The same; the index is kept whenever so many documents have come (0: SNAPSHOT_DOCS). */
enum rc recall_open_keeping(
    struct store *store, size_t documents, struct recall **out, struct errmsg *why) RC_CHECK;
void recall_close(struct recall *recall);

/*
 * Who turns texts into vectors: called from recall's threads, may block.  Which
 * encoder it is, is told by a hash: vectors of different ones do not compare.
 */
#define RECALL_ENCODER_BYTES 32
struct recall_encoder {
	void *ctx;
	/* The encoder that is there now; `former` (NULL: none) is the one that vectors
	 * were made by so far, to be kept to.  RC_UNAVAILABLE: none. */
	enum rc (*which)(void *ctx, const uint8_t *former, uint8_t hash[RECALL_ENCODER_BYTES]);
	/* Texts [n] to values [n][*length], the caller's to free.  `question`: it is asked
	 * with it, not searched for.  RC_CONTEXT, RC_INVALID, RC_LIMIT: not these texts;
	 * anything else: not now. */
	enum rc (*embed)(void *ctx, const uint8_t hash[RECALL_ENCODER_BYTES],
	    const char *const *texts, size_t n, bool question, int64_t timeout_ns, float **values,
	    uint32_t *length);
	/* Somebody waits for words from it: embed a few texts only. */
	bool (*busy)(void *ctx);
};

/* Once, before the first search; `encoder->ctx` lives until recall_close().  RC_NOMEM. */
enum rc recall_set_encoder(
    struct recall *recall, const struct recall_encoder *encoder, struct errmsg *why) RC_CHECK;

/* The store's cursor up to which the index knows everything. */
uint64_t recall_cursor(const struct recall *recall);

/* How many documents have a vector. */
size_t recall_vectors(struct recall *recall);

struct recall_stats {
	size_t items, terms, bytes; /* bytes: memory of the index */
	uint64_t checksum;          /* equal for equal logs, also after a rebuild */
	size_t vectors, vector_bytes;
	size_t kept; /* items that are in the snapshot, dead ones too */
};
/* O(size of the index). */
void recall_get_stats(struct recall *recall, struct recall_stats *out);

/* A time range read from the words of a question, reference §1: today, yesterday,
 * weekdays, dates, months, …  in a zone `offset_s` east of UTC (the person's);
 * timewords.c lists them.  In English, German, Spanish and
 * French, tried in the order of `languages`, and in Chinese and Korean. */
struct timewords {
	bool found;
	int64_t from_ns, to_ns;
	size_t begin, end; /* bytes of the query that said it */
};
void timewords_parse(const char *query, size_t len, const enum language *languages,
    size_t languages_len, int64_t now_utc_ns, int32_t offset_s, struct timewords *out);

/*
 * The time that a question names, into `*when`: by words (above) or by something
 * that happened (anchor.h), looked up in `index`.  when->found is false if none.
 * RC_NOMEM.  Pure.
 */
struct index;
enum rc recall_when(const struct index *index, const char *text, size_t len,
    const enum language *languages, size_t languages_len, int64_t now_utc_ns, int32_t offset_s,
    struct arena *arena, struct timewords *when) RC_CHECK;

struct recall_query {
	const char *text;
	size_t text_len;
	size_t k;       /* ≤ RECALL_K_MAX */
	bool has_range; /* given by the caller; wins over time words */
	int64_t from_ns, to_ns;
	bool read_timewords; /* take the range from the words of `text` */
	bool varied; /* what says the same as better hits stands further behind (diverse.h) */
	int64_t now_utc_ns;
	int32_t offset_s;
	uint64_t need_cursor; /* wait for it */
	int64_t wait_ns;      /* at most so long; 0: 2 s */
};

struct recall_hit {
	struct observation obs; /* pointers in the arena */
	double score;
};

struct recall_result {
	struct recall_hit *hits; /* [hits_len], best first, ties by (t0, seq); or by time */
	size_t hits_len;
	struct timewords when;
	/* How much of what was asked for stands in one of the best hits, 0 to 1; words that
	 * only ask (asked.h) do not count.  A question of a time and nothing else: 1 if what
	 * it asks for happened then, else 0; words count half where nothing did.  Below
	 * RECALL_SUPPORT_MIN the hits are near the question, but hardly answer it. */
	double support;
	bool behind;  /* need_cursor was not reached in time */
	bool vectors; /* what is near by meaning was looked at as well */
};

/*
 * Best first.  A text of nothing but time words and words that say little,
 * with a range, gives what happened in it, spread over it and by time.  A range
 * from the caller is strict; one that the question names lifts what lies inside
 * it, and what happened then stands among the hits (search.h).  RC_INVALID (k), RC_LIMIT (text),
 * RC_NOMEM, the store's errors.  Waits for `need_cursor`, at most `wait_ns`.
 */
enum rc recall_search(struct recall *recall, const struct recall_query *query, struct arena *arena,
    struct recall_result *out, struct errmsg *why) RC_CHECK;

#endif
