/*
 * Embeddings: POST /v1/embeddings in OpenAI's shape.
 *
 *  {"model": id, "input": text or [texts], "encoding_format": "float" or
 *   "base64" (little-endian float32), "dimensions": only the model's own}
 *
 * What we know but cannot do (token ids as input, another number of dimensions)
 * is refused by name.  Nothing is stored.  404 if no model of that name embeds,
 * 503 with Retry-After while its node is away.
 */
#ifndef ANSWER_EMBEDDINGS_H
#define ANSWER_EMBEDDINGS_H

#include "answer/host.h"
#include "gateway/api.h"

#define EMBEDDINGS_BODY_BYTES_MAX ((size_t)8 << 20)
#define EMBEDDINGS_INPUTS_MAX ((size_t)2048)
#define EMBEDDINGS_TEXT_BYTES_MAX ((size_t)1 << 20) /* of one input */

void answer_api_embeddings(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response);

/* The same on a host table. */
void answer_embeddings(const struct host *host, const struct api_request *request,
    struct arena *arena, struct api_response *response);

#endif
