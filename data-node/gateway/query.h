/*
 * Query: typed parameters of a request.
 *
 * Each function leaves `*out` alone when the parameter is absent or empty, and
 * on a bad value fills `response` with a 400 that names the parameter and
 * returns false.
 */
#ifndef GATEWAY_QUERY_H
#define GATEWAY_QUERY_H

#include "gateway/api.h"

/* RFC 3339 or integer nanoseconds, within OBS_TIME_MIN_NS..MAX_NS. */
bool query_time(const struct api_request *request, const char *name, int64_t *out, bool *given,
    struct api_response *response);

bool query_int(const struct api_request *request, const char *name, int64_t min, int64_t max,
    int64_t *out, struct api_response *response);

/* "60s", "1m", plain seconds. */
bool query_duration(const struct api_request *request, const char *name, int64_t min_ns,
    int64_t max_ns, int64_t *out, struct api_response *response);

/* "text,home" → LAYER_MASK bits. */
bool query_layers(const struct api_request *request, const char *name, unsigned *out,
    struct api_response *response);

/* The words of a comma list, by `parse` (-1 or 0-based), as bits 1 << index. */
bool query_words(const struct api_request *request, const char *name,
    int (*parse)(const char *word), unsigned *out, struct api_response *response);

/* A 400 that names the parameter. */
void query_error(struct api_response *response, const char *name, const char *message);

/* A time as people and programs write it: RFC 3339 or integer ns.  RC_INVALID. */
enum rc query_parse_time(const char *text, int64_t *out) RC_CHECK;

#endif
