/* Chat templates: compile and render. */
#include "template/template.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "template/eval.h"
#include "template/lexer.h"
#include "template/parser.h"

struct template
{
	struct arena arena; /* the syntax tree */
	struct node *body;
};

enum rc template_compile(const char *source, size_t len, struct template **out, struct errmsg *why)
{
	struct token *tokens;
	size_t tokens_len;
	enum rc rc;

	if (len > TEMPLATE_SOURCE_BYTES_MAX)
		return errmsg_rc(
		    why, RC_LIMIT, "template longer than %zu bytes", TEMPLATE_SOURCE_BYTES_MAX);
	if (!utf8_valid(source, len))
		return errmsg_rc(why, RC_INVALID, "template is not UTF-8");
	struct template *template = calloc(1, sizeof(*template));
	if (template == NULL)
		return RC_NOMEM;
	arena_init(&template->arena, TEMPLATE_ARENA_BYTES_MAX);
	rc = lexer_run(source, len, &template->arena, &tokens, &tokens_len, why);
	if (rc == RC_OK)
		rc = parser_run(&template->arena, tokens, &template->body, why);
	if (rc == RC_OK)
		*out = template;
	else
		template_free(template);
	return rc;
}

void template_free(struct template *template)
{
	if (template == NULL)
		return;
	arena_fini(&template->arena);
	free(template);
}

enum rc template_render(const struct template *template, struct value variables,
    const struct template_clock *clock, struct arena *arena, const struct text **out, bool *refused,
    struct errmsg *why)
{
	struct text_builder builder;
	struct scope globals = { .names = variables };
	struct eval eval = {
		.arena = arena,
		.scope = &globals,
		.globals = &globals,
		.out = &builder,
		.now_utc_ns = clock->now_utc_ns,
		.offset_s = clock->offset_s,
		.why = why,
	};

	*refused = false;
	if (!value_ok(variables))
		return RC_NOMEM;
	text_builder_init(&builder, arena, TEMPLATE_OUTPUT_BYTES_MAX);
	enum rc rc = eval_body(&eval, template->body);
	*refused = eval.raised;
	if (rc != RC_OK)
		return rc == RC_NOMEM ? errmsg_rc(why, rc, "template: out of memory") : rc;
	*out = text_builder_text(&builder);
	return *out != NULL ? RC_OK : builder.rc;
}
