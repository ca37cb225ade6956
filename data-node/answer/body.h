/*
 * Body: what all readers of JSON bodies of /v1 share: a member, a refusal that names
 * it, JSON written back.
 */
#ifndef ANSWER_BODY_H
#define ANSWER_BODY_H

#include <jansson.h>

#include "answer/chat_request.h"
#include "base/arena.h"

/* The member, or NULL where it is absent or null (which mean the same). */
const json_t *body_field(const json_t *object, const char *name);

/* Fills `fault` with status 400; RC_INVALID. */
enum rc body_refuse(struct chat_fault *fault, const char *code, const char *param, const char *fmt,
    ...) __attribute__((format(printf, 4, 5)));

/* Compact JSON in the arena; NULL on no memory. */
char *body_json(const json_t *value, struct arena *arena);

#endif
