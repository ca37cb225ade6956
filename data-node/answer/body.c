/* Body: members, refusals, JSON. */
#include "answer/body.h"

#include <stdarg.h>
#include <stdio.h>

const json_t *body_field(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	return value == NULL || json_is_null(value) ? NULL : value;
}

enum rc body_refuse(
    struct chat_fault *fault, const char *code, const char *param, const char *fmt, ...)
{
	va_list ap;

	*fault = (struct chat_fault){ .status = 400, .code = code };
	(void)snprintf(fault->param, sizeof(fault->param), "%s", param);
	va_start(ap, fmt);
	(void)vsnprintf(fault->message, sizeof(fault->message), fmt, ap);
	va_end(ap);
	return RC_INVALID;
}

char *body_json(const json_t *value, struct arena *arena)
{
	const size_t flags = JSON_COMPACT | JSON_ENCODE_ANY;
	size_t len = json_dumpb(value, NULL, 0, flags);
	char *text = arena_alloc(arena, len + 1);

	return text == NULL || json_dumpb(value, text, len, flags) != len ? NULL : text;
}
