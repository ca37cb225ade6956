/*
 * Parser of chat templates: tokens to a syntax tree.
 *
 * Every construct, filter, test, method and function that the interpreter does
 * not know is RC_UNSUPPORTED here, at load, with its name and line.
 */
#ifndef TEMPLATE_PARSER_H
#define TEMPLATE_PARSER_H

#include "base/errmsg.h"
#include "template/ast.h"
#include "template/lexer.h"

#define TEMPLATE_NESTING_MAX 100 /* of expressions and of blocks */
#define TEMPLATE_ARGS_MAX 32

struct parser {
	const struct token *tokens; /* ends with TOKEN_END */
	size_t at;
	int depth;
	int loops;            /* {% break %} is only allowed inside of one */
	struct value defined; /* map: names that the template itself defines */
	struct value called;  /* map: names called as functions, with their lines */
	struct arena *arena;
	struct errmsg *why;
};

enum rc parser_run(struct arena *arena, const struct token *tokens, struct node **out,
    struct errmsg *why) RC_CHECK;

/* parser_expr.c, used by parser.c.  `*out` untouched on error. */
enum rc parser_expression(struct parser *parser, struct expr **out) RC_CHECK;
/* The same without the ternary, as `for x in …` reads its sequence. */
enum rc parser_or(struct parser *parser, struct expr **out) RC_CHECK;
/* One or more comma-separated expressions; several make a list. */
enum rc parser_tuple(struct parser *parser, struct expr **out) RC_CHECK;
/* Remember a name that is defined, or called, somewhere in the template. */
enum rc parser_define(struct parser *parser, const struct text *name) RC_CHECK;
enum rc parser_called(struct parser *parser, const struct text *name) RC_CHECK;
/* `| name(args) …` behind `subject` (NULL inside {% filter %}). */
enum rc parser_filters(struct parser *parser, struct expr *subject, struct expr **out) RC_CHECK;
/* One filter: its name and arguments; the `|` is behind us. */
enum rc parser_filter(struct parser *parser, struct expr *subject, struct expr **out) RC_CHECK;

bool parser_is_sign(const struct parser *parser, const char *sign);
bool parser_is_name(const struct parser *parser, const char *name);
bool parser_take_sign(struct parser *parser, const char *sign);
bool parser_take_name(struct parser *parser, const char *name);
enum rc parser_need_sign(struct parser *parser, const char *sign) RC_CHECK;
enum rc parser_need_name(struct parser *parser, const struct text **out) RC_CHECK;
enum rc parser_fail(struct parser *parser, enum rc rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
const struct token *parser_token(const struct parser *parser);

#endif
