/* Parser of chat templates: statements. */
#include "template/parser.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "template/builtins.h"

#define TARGETS_MAX ((size_t)8)

/* ---- tokens ---- */

const struct token *parser_token(const struct parser *parser)
{
	return &parser->tokens[parser->at];
}

enum rc parser_fail(struct parser *parser, enum rc rc, const char *fmt, ...)
{
	char what[160];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return errmsg_rc(parser->why, rc, "template line %u: %s", parser_token(parser)->line, what);
}

bool parser_is_sign(const struct parser *parser, const char *sign)
{
	const struct token *token = parser_token(parser);

	return token->kind == TOKEN_SIGN && text_is(token->text, sign);
}

bool parser_is_name(const struct parser *parser, const char *name)
{
	const struct token *token = parser_token(parser);

	return token->kind == TOKEN_NAME && text_is(token->text, name);
}

bool parser_take_sign(struct parser *parser, const char *sign)
{
	bool found = parser_is_sign(parser, sign);

	parser->at += found;
	return found;
}

bool parser_take_name(struct parser *parser, const char *name)
{
	bool found = parser_is_name(parser, name);

	parser->at += found;
	return found;
}

enum rc parser_need_sign(struct parser *parser, const char *sign)
{
	return parser_take_sign(parser, sign)
		   ? RC_OK
		   : parser_fail(parser, RC_INVALID, "expected %s", sign);
}

enum rc parser_need_name(struct parser *parser, const struct text **out)
{
	const struct token *token = parser_token(parser);

	if (token->kind != TOKEN_NAME)
		return parser_fail(parser, RC_INVALID, "expected a name");
	*out = token->text;
	parser->at++;
	return RC_OK;
}

enum rc parser_define(struct parser *parser, const struct text *name)
{
	return value_set(parser->arena, parser->defined, name, value_none());
}

enum rc parser_called(struct parser *parser, const struct text *name)
{
	return value_set(
	    parser->arena, parser->called, name, value_int((int64_t)parser_token(parser)->line));
}

/* A function that nobody defines is told at load, not in mid-answer. */
static enum rc check_called(const struct parser *p)
{
	for (size_t i = 0; i < p->called.u.map->len; i++) {
		const struct value_pair *pair = &p->called.u.map->pairs[i];
		if (builtin_global(pair->key) < 0 &&
		    value_get(p->defined, pair->key->bytes, pair->key->len) == NULL)
			return errmsg_rc(p->why, RC_UNSUPPORTED,
			    "template line %u: unknown function %.40s()",
			    (unsigned)pair->value.u.integer, pair->key->bytes);
	}
	return RC_OK;
}

static enum rc need_block_end(struct parser *p)
{
	if (parser_token(p)->kind != TOKEN_BLOCK_END)
		return parser_fail(p, RC_INVALID, "expected %%}");
	p->at++;
	return RC_OK;
}

/* ---- statements ---- */

static enum rc parse_body(struct parser *p, const char *const *ends, struct node **out);

static struct node *node_new(struct parser *p, enum node_kind kind)
{
	struct node *node = arena_alloc(p->arena, sizeof(*node));

	if (node != NULL) {
		node->kind = kind;
		node->line = parser_token(p)->line;
	}
	return node;
}

/* True if {% here opens `word`; does not move. */
static bool opens(const struct parser *p, const char *word)
{
	const struct token *token = parser_token(p);

	return token->kind == TOKEN_BLOCK_BEGIN && token[1].kind == TOKEN_NAME &&
	       text_is(token[1].text, word);
}

/* {% word %} */
static enum rc need_end(struct parser *p, const char *word)
{
	if (!opens(p, word))
		return parser_fail(p, RC_INVALID, "expected {%% %s %%}", word);
	p->at += 2;
	return need_block_end(p);
}

/* The rest of an `if`, from behind the word to behind endif. */
static enum rc parse_if(struct parser *p, struct node *node)
{
	static const char *const ends[] = { "elif", "else", "endif", NULL };
	static const char *const last[] = { "endif", NULL };

	enum rc rc = parser_expression(p, &node->expr);
	if (rc == RC_OK)
		rc = need_block_end(p);
	if (rc == RC_OK)
		rc = parse_body(p, ends, &node->body);
	if (rc != RC_OK)
		return rc;
	if (opens(p, "elif")) {
		p->at += 2;
		node->otherwise = node_new(p, NODE_IF);
		if (node->otherwise == NULL)
			return RC_NOMEM;
		if (p->depth == TEMPLATE_NESTING_MAX)
			return parser_fail(
			    p, RC_LIMIT, "nested deeper than %d", TEMPLATE_NESTING_MAX);
		p->depth++;
		rc = parse_if(p, node->otherwise);
		p->depth--;
		return rc;
	}
	if (opens(p, "else")) {
		p->at += 2;
		rc = need_block_end(p);
		if (rc == RC_OK)
			rc = parse_body(p, last, &node->otherwise);
	}
	return rc == RC_OK ? need_end(p, "endif") : rc;
}

/* a, b or (a, b) */
static enum rc parse_targets(struct parser *p, struct node *node)
{
	bool paren = parser_take_sign(p, "(");

	node->names = arena_array(p->arena, TARGETS_MAX, sizeof(*node->names));
	if (node->names == NULL)
		return RC_NOMEM;
	do {
		if (node->names_len == TARGETS_MAX)
			return parser_fail(p, RC_LIMIT, "more than %zu targets", TARGETS_MAX);
		enum rc rc = parser_need_name(p, &node->names[node->names_len++]);
		if (rc == RC_OK)
			rc = parser_define(p, node->names[node->names_len - 1]);
		if (rc != RC_OK)
			return rc;
	} while (parser_take_sign(p, ","));
	return paren ? parser_need_sign(p, ")") : RC_OK;
}

static enum rc parse_for(struct parser *p, struct node *node)
{
	static const char *const ends[] = { "else", "endfor", NULL };
	static const char *const last[] = { "endfor", NULL };

	enum rc rc = parse_targets(p, node);
	if (rc == RC_OK && !parser_take_name(p, "in"))
		rc = parser_fail(p, RC_INVALID, "expected in");
	if (rc == RC_OK)
		rc = parser_or(p, &node->expr);
	if (rc == RC_OK && parser_take_name(p, "if"))
		rc = parser_expression(p, &node->filter);
	if (rc == RC_OK && parser_is_name(p, "recursive"))
		rc = parser_fail(p, RC_UNSUPPORTED, "recursive loops");
	if (rc == RC_OK)
		rc = need_block_end(p);
	p->loops++;
	if (rc == RC_OK)
		rc = parse_body(p, ends, &node->body);
	p->loops--;
	if (rc == RC_OK && opens(p, "else")) {
		p->at += 2;
		rc = need_block_end(p);
		if (rc == RC_OK)
			rc = parse_body(p, last, &node->otherwise);
	}
	return rc == RC_OK ? need_end(p, "endfor") : rc;
}

static enum rc parse_set(struct parser *p, struct node *node)
{
	static const char *const last[] = { "endset", NULL };

	enum rc rc = parse_targets(p, node);
	if (rc != RC_OK)
		return rc;
	if (node->names_len == 1 && parser_take_sign(p, ".")) {
		node->kind = NODE_SET_ATTR;
		rc = parser_need_name(p, &node->names[node->names_len++]);
	}
	if (rc == RC_OK && parser_take_sign(p, "=")) {
		rc = parser_tuple(p, &node->expr);
		return rc == RC_OK ? need_block_end(p) : rc;
	}
	if (rc == RC_OK && (node->kind == NODE_SET_ATTR || node->names_len != 1))
		rc = parser_fail(p, RC_INVALID, "expected =");
	node->kind = NODE_SET_BODY;
	if (rc == RC_OK)
		rc = parser_filters(p, NULL, &node->filter);
	if (rc == RC_OK)
		rc = need_block_end(p);
	if (rc == RC_OK)
		rc = parse_body(p, last, &node->body);
	return rc == RC_OK ? need_end(p, "endset") : rc;
}

/* `(a, b=1)`, the name is behind us; absent parentheses are no parameters. */
static enum rc parse_params(struct parser *p, struct macro *macro)
{
	macro->params = arena_array(p->arena, TEMPLATE_ARGS_MAX, sizeof(*macro->params));
	macro->defaults = arena_array(p->arena, TEMPLATE_ARGS_MAX, sizeof(*macro->defaults));
	if (macro->params == NULL || macro->defaults == NULL)
		return RC_NOMEM;
	if (!parser_take_sign(p, "("))
		return RC_OK;
	while (!parser_take_sign(p, ")")) {
		if (macro->params_len == TEMPLATE_ARGS_MAX)
			return parser_fail(
			    p, RC_LIMIT, "more than %d parameters", TEMPLATE_ARGS_MAX);
		size_t i = macro->params_len++;
		enum rc rc = parser_need_name(p, &macro->params[i]);
		if (rc == RC_OK)
			rc = parser_define(p, macro->params[i]);
		if (rc == RC_OK && parser_take_sign(p, "="))
			rc = parser_expression(p, &macro->defaults[i]);
		if (rc == RC_OK && !parser_take_sign(p, ",") && !parser_is_sign(p, ")"))
			rc = parser_fail(p, RC_INVALID, "expected , or )");
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

static enum rc parse_macro_body(struct parser *p, struct node *node, const char *end)
{
	const char *const last[] = { end, NULL };
	int loops = p->loops;

	enum rc rc = need_block_end(p);
	p->loops = 0;
	if (rc == RC_OK)
		rc = parse_body(p, last, &node->macro->body);
	p->loops = loops;
	return rc == RC_OK ? need_end(p, end) : rc;
}

static enum rc parse_macro(struct parser *p, struct node *node)
{
	node->macro = arena_alloc(p->arena, sizeof(*node->macro));
	if (node->macro == NULL)
		return RC_NOMEM;
	enum rc rc = parser_need_name(p, &node->macro->name);
	if (rc == RC_OK)
		rc = parser_define(p, node->macro->name);
	if (rc == RC_OK)
		rc = parse_params(p, node->macro);
	return rc == RC_OK ? parse_macro_body(p, node, "endmacro") : rc;
}

/* {% call(params) callee(args) %} body {% endcall %} */
static enum rc parse_call(struct parser *p, struct node *node)
{
	node->macro = arena_alloc(p->arena, sizeof(*node->macro));
	if (node->macro == NULL)
		return RC_NOMEM;
	node->macro->name = text_new(p->arena, "caller", strlen("caller"), true);
	enum rc rc = node->macro->name == NULL ? RC_NOMEM : parse_params(p, node->macro);
	if (rc == RC_OK)
		rc = parser_expression(p, &node->expr);
	if (rc == RC_OK && node->expr->kind != EXPR_CALL)
		rc = parser_fail(p, RC_INVALID, "expected a call");
	return rc == RC_OK ? parse_macro_body(p, node, "endcall") : rc;
}

static enum rc parse_filter_block(struct parser *p, struct node *node)
{
	static const char *const last[] = { "endfilter", NULL };

	enum rc rc = parser_filter(p, NULL, &node->expr);
	if (rc == RC_OK)
		rc = parser_filters(p, node->expr, &node->expr);
	if (rc == RC_OK)
		rc = need_block_end(p);
	if (rc == RC_OK)
		rc = parse_body(p, last, &node->body);
	return rc == RC_OK ? need_end(p, "endfilter") : rc;
}

/* {% generation %} marks the assistant's words for training: they just render. */
static enum rc parse_generation(struct parser *p, struct node *node)
{
	static const char *const last[] = { "endgeneration", NULL };

	enum rc rc = need_block_end(p);
	if (rc == RC_OK)
		rc = parse_body(p, last, &node->body);
	return rc == RC_OK ? need_end(p, "endgeneration") : rc;
}

static enum rc parse_do(struct parser *p, struct node *node)
{
	enum rc rc = parser_expression(p, &node->expr);

	return rc == RC_OK ? need_block_end(p) : rc;
}

static enum rc parse_jump(struct parser *p, struct node *node)
{
	(void)node;
	if (p->loops == 0)
		return parser_fail(p, RC_INVALID, "break or continue outside of a loop");
	return need_block_end(p);
}

static enum rc parse_statement(struct parser *p, struct node **out)
{
	static const struct {
		const char *word;
		enum node_kind kind;
		enum rc (*parse)(struct parser *, struct node *);
	} statements[] = {
		{ "if", NODE_IF, parse_if },
		{ "for", NODE_FOR, parse_for },
		{ "set", NODE_SET, parse_set },
		{ "macro", NODE_MACRO, parse_macro },
		{ "call", NODE_CALL, parse_call },
		{ "filter", NODE_FILTER, parse_filter_block },
		{ "generation", NODE_BLOCK, parse_generation },
		{ "do", NODE_DO, parse_do },
		{ "break", NODE_BREAK, parse_jump },
		{ "continue", NODE_CONTINUE, parse_jump },
	};
	const struct text *word = NULL;

	p->at++; /* {% */
	enum rc rc = parser_need_name(p, &word);
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
		if (!text_is(word, statements[i].word))
			continue;
		*out = node_new(p, statements[i].kind);
		return *out == NULL ? RC_NOMEM : statements[i].parse(p, *out);
	}
	return parser_fail(p, RC_UNSUPPORTED, "unknown statement {%% %.40s %%}", word->bytes);
}

static enum rc parse_print(struct parser *p, struct node **out)
{
	p->at++; /* {{ */
	*out = node_new(p, NODE_PRINT);
	if (*out == NULL)
		return RC_NOMEM;
	enum rc rc = parser_tuple(p, &(*out)->expr);
	if (rc == RC_OK && parser_token(p)->kind != TOKEN_PRINT_END)
		rc = parser_fail(p, RC_INVALID, "expected }}");
	p->at += rc == RC_OK;
	return rc;
}

static enum rc parse_node(struct parser *p, struct node **out)
{
	switch (parser_token(p)->kind) {
	case TOKEN_DATA:
		*out = node_new(p, NODE_TEXT);
		if (*out == NULL)
			return RC_NOMEM;
		(*out)->text = parser_token(p)->text;
		p->at++;
		return RC_OK;
	case TOKEN_PRINT_BEGIN:
		return parse_print(p, out);
	default:
		return parse_statement(p, out);
	}
}

/* Nodes up to one of the words of `ends` (not taken), or to the end. */
static enum rc parse_body(struct parser *p, const char *const *ends, struct node **out)
{
	struct node **tail = out;

	if (p->depth == TEMPLATE_NESTING_MAX)
		return parser_fail(p, RC_LIMIT, "nested deeper than %d", TEMPLATE_NESTING_MAX);
	p->depth++;
	*out = NULL;
	while (parser_token(p)->kind != TOKEN_END) {
		for (size_t i = 0; ends[i] != NULL; i++) {
			if (opens(p, ends[i])) {
				p->depth--;
				return RC_OK;
			}
		}
		enum rc rc = parse_node(p, tail);
		if (rc != RC_OK)
			return rc;
		tail = &(*tail)->next;
	}
	p->depth--;
	return ends[0] == NULL ? RC_OK : parser_fail(p, RC_INVALID, "expected {%% %s %%}", ends[0]);
}

enum rc parser_run(
    struct arena *arena, const struct token *tokens, struct node **out, struct errmsg *why)
{
	static const char *const none[] = { NULL };
	struct parser parser = {
		.tokens = tokens,
		.arena = arena,
		.why = why,
		.defined = value_map(arena),
		.called = value_map(arena),
	};

	enum rc rc = value_ok(parser.called) ? parse_body(&parser, none, out) : RC_NOMEM;
	if (rc == RC_OK) /* a {% call %} block defines this one */
		rc = parser_define(&parser, text_new(arena, "caller", strlen("caller"), true));
	return rc == RC_OK ? check_called(&parser) : rc;
}
