/*
 * Memory body: what is sent to POST /api/v1/memory/…, checked.
 *
 * One JSON object of known members, all of them strings.  Each function fills `response`
 * with a 400 that names the member and returns false where it is something else; strings
 * go to `arena`.  Pure.
 */
#ifndef GATEWAY_MEMORY_BODY_H
#define GATEWAY_MEMORY_BODY_H

#include "gateway/api.h"
#include "memory/edit.h"
#include "memory/proposal.h"

#define MEMORY_BODY_BYTES_MAX ((size_t)64 << 10)

/* "f12", "^f12" or "12".  False: none of them. */
bool memory_body_id(const char *text, uint64_t *out);

/* {"id","replaces"} of accept and refuse: the proposal, and (may be left out) the facts that it
 * was seen to take the place of, "f2 f5". */
struct memory_body_decision {
	uint64_t number;
	bool has_seen;
	struct proposal_seen seen;
};
bool memory_body_decision(const struct api_request *request, struct memory_body_decision *out,
    struct api_response *response);

/* {"class","subject","attribute","text","valid_from","valid_to"}: a fact to be proposed, as far as
 * its sender says it. */
bool memory_body_proposal(const struct api_request *request, struct arena *arena, struct fact *out,
    struct api_response *response);

/* The same with {"how","id"}: what is left out stays as it is; a bound that is "" is none. */
struct memory_body_edit {
	struct edit edit; /* its bounds point to those below */
	int64_t from_ns, to_ns;
};
bool memory_body_edit(const struct api_request *request, struct arena *arena,
    struct memory_body_edit *out, struct api_response *response);

#endif
