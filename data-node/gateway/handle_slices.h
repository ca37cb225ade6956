/*
 * What requests for slices have in common: range, step, facets, cursor.
 */
#ifndef GATEWAY_HANDLE_SLICES_H
#define GATEWAY_HANDLE_SLICES_H

#include "align/civil.h"
#include "align/slice_serve.h"
#include "gateway/api.h"

struct slices_asked {
	bool has_day; /* a local day was asked for */
	int64_t day;
	struct civil_day civil;
	struct slice_query query; /* on its grid, pinned to a cursor */
	struct slice_source source;
};

/* Read the parameters and give the builder a moment to be as far.  false:
 * `response` has the error. */
bool handle_slices_asked(struct station *station, const struct api_request *request,
    struct slices_asked *out, struct api_response *response);

/* `,"day":{…}` if a day was asked for. */
void handle_slices_day(const struct slices_asked *asked, struct buf *out);

#endif
