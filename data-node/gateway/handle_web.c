/*
 * GET / and /web/FILE: the web page and its modules, embedded from data-node/web/.  They
 * are served without a token; everything that they load from /api needs one.
 */
#include <string.h>

#include "gateway/handlers.h"

/* The build runs in the repository's root, so these paths hold. */
#define EMBED(symbol, path)                                                                        \
	__asm__(".pushsection .rodata\n"                                                           \
		".global web_" #symbol "\nweb_" #symbol ":\n"                                      \
		".incbin \"data-node/web/" path "\"\n"                                             \
		".global web_" #symbol "_end\nweb_" #symbol "_end:\n"                              \
		".byte 0\n.popsection\n");                                                         \
	extern const uint8_t web_##symbol[], web_##symbol##_end[]

/* X(SYMBOL, FILE): the page's modules. */
#define SCRIPTS(X)                                                                                 \
	X(api, "api.js")                                                                           \
	X(app, "app.js")                                                                           \
	X(ask, "ask.js")                                                                           \
	X(day, "day.js")                                                                           \
	X(dom, "dom.js")                                                                           \
	X(elsewhere, "elsewhere.js")                                                               \
	X(memory, "memory.js")                                                                     \
	X(memory_edit, "memory-edit.js")                                                           \
	X(route, "route.js")                                                                       \
	X(search, "search.js")                                                                     \
	X(status, "status.js")                                                                     \
	X(times, "times.js")

EMBED(index, "index.html");
EMBED(style, "style.css");
#define X(symbol, file) EMBED(symbol, file);
SCRIPTS(X)
#undef X

#define CONTENT_SECURITY_POLICY                                                                    \
	"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "            \
	"img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

static const struct {
	const char *path, *content_type;
	const uint8_t *begin, *end;
} files[] = { { "/", "text/html; charset=utf-8", web_index, web_index_end },
	{ "/web/style.css", "text/css; charset=utf-8", web_style, web_style_end },
#define X(symbol, file)                                                                            \
	{ "/web/" file, "text/javascript; charset=utf-8", web_##symbol, web_##symbol##_end },
	SCRIPTS(X)
#undef X
};

void handle_web_get(struct station *station, const struct api_request *request, struct arena *arena,
    struct api_response *response)
{
	(void)station;
	(void)arena;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (strcmp(files[i].path, request->path) != 0)
			continue;
		response->content_type = files[i].content_type;
		api_header(response, "Content-Security-Policy", CONTENT_SECURITY_POLICY);
		api_header(response, "X-Content-Type-Options", "nosniff");
		api_header(response, "X-Frame-Options", "DENY");
		api_header(response, "Referrer-Policy", "no-referrer");
		api_header(response, "Cross-Origin-Opener-Policy", "same-origin");
		api_header(response, "Cache-Control", "no-cache");
		buf_append(
		    &response->body, files[i].begin, (size_t)(files[i].end - files[i].begin));
		return;
	}
	api_error(response, 404, "invalid_request_error", "not_found", NULL,
	    "there is nothing at this path");
}
