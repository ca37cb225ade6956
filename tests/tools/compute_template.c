/*
 * Renders a chat template as the compute node does:
 *   compute_template TEMPLATE VARIABLES.json [--trust]
 * VARIABLES is a JSON object; "now_utc_ns" in it sets the clock.  --trust puts
 * each run of untrusted bytes between ⟦ and ⟧.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/file.h"
#include "template/template.h"

static int complain(const char *what, enum rc rc, const struct errmsg *why)
{
	(void)fprintf(stderr, "%s: %s: %s\n", what, rc_word(rc), errmsg_text(why, rc));
	return EXIT_FAILED;
}

static void print(const struct text *text, bool trust)
{
	bool inside = false;

	for (size_t i = 0; i < text->len; i++) {
		bool untrusted = !text_trusted(text, i);
		if (trust && untrusted != inside)
			(void)fputs(untrusted ? "⟦" : "⟧", stdout);
		inside = untrusted;
		(void)fputc(text->bytes[i], stdout);
	}
	if (trust && inside)
		(void)fputs("⟧", stdout);
}

int main(int argc, char **argv)
{
	struct errmsg why = ERRMSG_INIT;
	struct arena arena;
	struct template *template = NULL;
	struct template_clock clock = { 0 };
	struct value variables;
	const struct text *text;
	uint8_t *source;
	uint8_t *json;
	size_t source_len;
	size_t json_len;
	bool refused;

	if (argc < 3)
		return EXIT_USAGE;
	enum rc rc = file_read(argv[1], TEMPLATE_SOURCE_BYTES_MAX, &source, &source_len, &why);
	if (rc == RC_OK)
		rc = file_read(argv[2], TEMPLATE_SOURCE_BYTES_MAX, &json, &json_len, &why);
	if (rc != RC_OK)
		return complain("read", rc, &why);
	rc = template_compile((const char *)source, source_len, &template, &why);
	if (rc != RC_OK)
		return complain("compile", rc, &why);
	arena_init(&arena, TEMPLATE_ARENA_BYTES_MAX);
	rc = template_parse_json((const char *)json, json_len, &arena, &variables, &why);
	if (rc != RC_OK)
		return complain("variables", rc, &why);
	const struct value *now = value_get(variables, "now_utc_ns", strlen("now_utc_ns"));
	if (now != NULL && now->kind == VALUE_INT)
		clock.now_utc_ns = now->u.integer;
	rc = template_render(template, variables, &clock, &arena, &text, &refused, &why);
	if (rc != RC_OK)
		return complain(refused ? "refused" : "render", rc, &why);
	print(text, argc > 3 && strcmp(argv[3], "--trust") == 0);
	arena_fini(&arena);
	template_free(template);
	free(source);
	free(json);
	return EXIT_DONE;
}
