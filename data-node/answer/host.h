/*
 * Host: what an answer needs of the station around it, as a table, so that
 * the answer's code runs without one in tests.
 *
 * host_of() fills it from a station; everything is borrowed and lives as long
 * as the station does.
 */
#ifndef ANSWER_HOST_H
#define ANSWER_HOST_H

#include "answer/pool.h"
#include "cloud/route.h"
#include "memory/book.h"
#include "recall/recall.h"

struct cloud_place;
struct station;

struct host {
	void *ctx;
	/* recall_search() and store_append(); NULL: none, as on a node without. */
	enum rc (*search)(void *ctx, const struct recall_query *query, struct arena *arena,
	    struct recall_result *out, struct errmsg *why);
	enum rc (*append)(void *ctx, const struct observation *obs, size_t n, struct errmsg *why);
	/* book_read(); NULL: nothing is known about the person. */
	enum rc (*facts)(void *ctx, const struct book_query *query, struct arena *arena,
	    struct book_view *out, struct errmsg *why);
	/* store_get_id(); NULL: nothing can be looked up. */
	enum rc (*observation)(void *ctx, const uint8_t obs_id[OBS_ID_BYTES], struct arena *arena,
	    struct observation *out, struct errmsg *why);
	uint64_t (*cursor)(void *ctx);
	int32_t (*offset_s)(void *ctx, int64_t utc_ns); /* of the owner's zone */
	bool (*stopping)(void *ctx);
	const char *zone; /* its short name, "CET" */
	/* What the night says of an observation, for a policy that asks: fills labels,
	 * labels_len and unlabelled.  NULL: nothing is known. */
	enum rc (*labels)(void *ctx, const struct observation *obs, struct arena *arena,
	    struct route_moment *out);

	int64_t device; /* who asks: of the token, 0 = the owner */

	struct pool *pool;
	struct cloud_place *cloud; /* models elsewhere; NULL: none */
	const char *model;         /* behind "hearth"; NULL: any chat model */
	int64_t resume_timeout_ns; /* 0: the generation's default */
	int64_t start_timeout_ns;
	uint32_t context_tokens; /* budget of the moments; 0: the station's default */
	uint32_t answer_tokens;  /* where the client sets no limit; 0: likewise */
};

void host_of(struct station *station, struct host *out);

/* With the defaults. */
uint32_t host_context_tokens(const struct host *host);
uint32_t host_answer_tokens(const struct host *host);

#endif
