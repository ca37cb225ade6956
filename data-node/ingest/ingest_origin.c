/*
 * Ingest origin: who stands behind an event, decided once, here.
 *
 * What was fetched from outside stays untrusted whatever the sender's context
 * says; what the person typed is theirs unless the context knows better.
 */
#include <string.h>

#include "ingest/ingest_internal.h"

static const struct {
	enum layer layer;
	const char *kind;
	enum origin origin;
} origins[] = {
	{ LAYER_TEXT, "message", ORIGIN_OWNER },
	{ LAYER_TEXT, "note", ORIGIN_OWNER },
	{ LAYER_TEXT, "search", ORIGIN_OWNER },
	{ LAYER_TEXT, "page", ORIGIN_UNTRUSTED },
	{ LAYER_TEXT, "article", ORIGIN_UNTRUSTED },
	{ LAYER_TEXT, "post", ORIGIN_UNTRUSTED },
	{ LAYER_TEXT, "bookmark", ORIGIN_UNTRUSTED },
	{ LAYER_TEXT, "feed", ORIGIN_UNTRUSTED },
	{ LAYER_TEXT, "email", ORIGIN_UNTRUSTED },
	{ LAYER_TEXT, "document", ORIGIN_UNTRUSTED },
	{ LAYER_TEXT, "notification", ORIGIN_UNTRUSTED },
};

enum origin ingest_origin(enum layer layer, const char *kind, enum origin given)
{
	enum origin usual = ORIGIN_DEVICE;

	for (size_t i = 0; i < sizeof(origins) / sizeof(origins[0]); i++) {
		if (origins[i].layer == layer && strcmp(origins[i].kind, kind) == 0)
			usual = origins[i].origin;
	}
	if (usual == ORIGIN_UNTRUSTED && given != ORIGIN_SYSTEM)
		return ORIGIN_UNTRUSTED;
	return given != 0 ? given : usual;
}
