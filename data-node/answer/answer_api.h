/*
 * Answer API: the handlers of POST /v1/chat/completions, /v1/completions, /v1/responses,
 * GET /v1/models and /v1/models/ID, in OpenAI's shapes.  Interfaces §4, DESIGN §7.
 *
 *  model "hearth"     with the person's context; stored as memory when complete;
 *                     recall-only while no compute node is up
 *  a model's own id   without context, never stored; 503 + Retry-After while
 *                     its node is away, 404 if nobody serves it
 *  "cloud/NAME"       an upstream of the cloud policy, likewise; at home where it
 *                     cannot be asked, which hearth.route tells
 *
 * A stream's headers go out when the prompt is accepted (so a prompt that is
 * too long is a 400), or after ANSWER_HEADERS_WAIT_NS at the latest; comment
 * lines keep the connection alive from then on.  Call from a thread that may
 * block.
 */
#ifndef ANSWER_ANSWER_API_H
#define ANSWER_ANSWER_API_H

#include "answer/host.h"
#include "gateway/api.h"

#define ANSWER_HEADERS_WAIT_NS (INT64_C(15) * 1000000000)
#define ANSWER_COMMENT_NS (INT64_C(3) * 1000000000) /* silence before a comment line */
#define ANSWER_PULL_NS (INT64_C(100) * 1000000)     /* a pull waits no longer */

void answer_api_chat(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response);
void answer_api_completions(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response);
void answer_api_models(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response);
#define ANSWER_MODELS_PATH "/v1/models/" /* the id follows */
void answer_api_model(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response);

void answer_api_responses(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response);

enum answer_kind { ANSWER_CHAT, ANSWER_COMPLETION, ANSWER_RESPONSES };

/* The same on a host table. */
void answer_run(const struct host *host, enum answer_kind kind, const struct api_request *request,
    struct api_response *response);
void answer_models(const struct host *host, struct arena *arena, struct api_response *response);
/* One of them; 404. */
void answer_model(
    const struct host *host, const char *id, struct arena *arena, struct api_response *response);

#endif
