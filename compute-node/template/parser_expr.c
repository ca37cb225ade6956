/* Parser of chat templates: expressions, loosest binding first. */
#include <string.h>

#include "template/builtins.h"
#include "template/parser.h"

static enum rc parse_unary(struct parser *p, bool with_filters, struct expr **out);

static enum rc enter(struct parser *p)
{
	if (p->depth == TEMPLATE_NESTING_MAX)
		return parser_fail(p, RC_LIMIT, "nested deeper than %d", TEMPLATE_NESTING_MAX);
	p->depth++;
	return RC_OK;
}

static struct expr *expr_new(struct parser *p, enum expr_kind kind)
{
	struct expr *expr = arena_alloc(p->arena, sizeof(*expr));

	if (expr != NULL) {
		expr->kind = kind;
		expr->line = parser_token(p)->line;
	}
	return expr;
}

static enum rc make(struct parser *p, enum expr_kind kind, unsigned op, struct expr *a,
    struct expr *b, struct expr **out)
{
	struct expr *expr = expr_new(p, kind);

	if (expr == NULL)
		return RC_NOMEM;
	expr->op = op;
	expr->a = a;
	expr->b = b;
	*out = expr;
	return RC_OK;
}

static enum rc make_const(struct parser *p, struct value value, struct expr **out)
{
	enum rc rc = make(p, EXPR_CONST, 0, NULL, NULL, out);

	if (rc == RC_OK)
		(*out)->constant = value;
	return rc;
}

static enum rc add_item(struct parser *p, struct expr *list, struct expr *item)
{
	/* Arrays double: a power of two of items means the array is full. */
	size_t n = list->items_len;

	if ((n & (n - 1)) == 0) {
		struct expr **items = arena_array(p->arena, n == 0 ? 1 : n * 2, sizeof(*items));
		if (items == NULL)
			return RC_NOMEM;
		if (n > 0)
			memcpy(items, list->items, n * sizeof(*items));
		list->items = items;
	}
	list->items[list->items_len++] = item;
	return RC_OK;
}

/* Arguments up to `)`, the opening one is behind us. */
static enum rc parse_args(struct parser *p, struct expr *call)
{
	call->named = arena_array(p->arena, TEMPLATE_ARGS_MAX, sizeof(*call->named));
	if (call->named == NULL)
		return RC_NOMEM;
	while (!parser_take_sign(p, ")")) {
		struct expr *value;
		if (call->items_len + call->named_len == TEMPLATE_ARGS_MAX)
			return parser_fail(
			    p, RC_LIMIT, "more than %d arguments", TEMPLATE_ARGS_MAX);
		const struct token *next = parser_token(p);
		bool named = next->kind == TOKEN_NAME && next[1].kind == TOKEN_SIGN &&
			     text_is(next[1].text, "=");
		if (named)
			p->at += 2;
		enum rc rc = parser_expression(p, &value);
		if (rc == RC_OK && named)
			call->named[call->named_len++] = (struct expr_named){ next->text, value };
		else if (rc == RC_OK && call->named_len > 0)
			rc = parser_fail(p, RC_INVALID, "positional argument behind a named one");
		else if (rc == RC_OK)
			rc = add_item(p, call, value);
		if (rc == RC_OK && !parser_take_sign(p, ",") && !parser_is_sign(p, ")"))
			rc = parser_fail(p, RC_INVALID, "expected , or )");
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

static enum rc parse_list(struct parser *p, const char *close, struct expr **out)
{
	enum rc rc = make(p, EXPR_LIST, 0, NULL, NULL, out);

	while (rc == RC_OK && !parser_take_sign(p, close)) {
		struct expr *item;
		rc = parser_expression(p, &item);
		if (rc == RC_OK)
			rc = add_item(p, *out, item);
		if (rc == RC_OK && !parser_take_sign(p, ",") && !parser_is_sign(p, close))
			rc = parser_fail(p, RC_INVALID, "expected , or %s", close);
	}
	return rc;
}

static enum rc parse_map(struct parser *p, struct expr **out)
{
	enum rc rc = make(p, EXPR_MAP, 0, NULL, NULL, out);

	while (rc == RC_OK && !parser_take_sign(p, "}")) {
		struct expr *key;
		struct expr *value;
		rc = parser_expression(p, &key);
		if (rc == RC_OK)
			rc = parser_need_sign(p, ":");
		if (rc == RC_OK)
			rc = parser_expression(p, &value);
		if (rc == RC_OK)
			rc = add_item(p, *out, key);
		if (rc == RC_OK)
			rc = add_item(p, *out, value);
		if (rc == RC_OK && !parser_take_sign(p, ",") && !parser_is_sign(p, "}"))
			rc = parser_fail(p, RC_INVALID, "expected , or }");
	}
	return rc;
}

/* `( … )`: grouping, or a tuple if there is a comma (or nothing). */
static enum rc parse_paren(struct parser *p, struct expr **out)
{
	if (parser_take_sign(p, ")"))
		return make(p, EXPR_LIST, 0, NULL, NULL, out);
	enum rc rc = parser_tuple(p, out);
	return rc == RC_OK ? parser_need_sign(p, ")") : rc;
}

static enum rc parse_name(struct parser *p, const struct text *name, struct expr **out)
{
	if (text_is(name, "true") || text_is(name, "True"))
		return make_const(p, value_bool(true), out);
	if (text_is(name, "false") || text_is(name, "False"))
		return make_const(p, value_bool(false), out);
	if (text_is(name, "none") || text_is(name, "None"))
		return make_const(p, value_none(), out);
	enum rc rc = make(p, EXPR_NAME, 0, NULL, NULL, out);
	if (rc == RC_OK)
		(*out)->name = name;
	return rc;
}

/* Adjacent string literals join, as in Python. */
static enum rc parse_text(struct parser *p, const struct text *text, struct expr **out)
{
	while (parser_token(p)->kind == TOKEN_TEXT) {
		text = text_concat(p->arena, text, parser_token(p)->text);
		if (text == NULL)
			return RC_NOMEM;
		p->at++;
	}
	return make_const(p, value_of_text(text), out);
}

static enum rc parse_primary(struct parser *p, struct expr **out)
{
	const struct token *token = parser_token(p);

	switch (token->kind) {
	case TOKEN_NAME:
		p->at++;
		return parse_name(p, token->text, out);
	case TOKEN_TEXT:
		p->at++;
		return parse_text(p, token->text, out);
	case TOKEN_INT:
		p->at++;
		return make_const(p, value_int(token->integer), out);
	case TOKEN_REAL:
		p->at++;
		return make_const(p, value_real(token->real), out);
	case TOKEN_SIGN:
		if (parser_take_sign(p, "("))
			return parse_paren(p, out);
		if (parser_take_sign(p, "["))
			return parse_list(p, "]", out);
		if (parser_take_sign(p, "{"))
			return parse_map(p, out);
		break;
	default:
		break;
	}
	return parser_fail(p, RC_INVALID, "expected an expression");
}

/* a[…]: an index, or a slice with up to three parts. */
static enum rc parse_subscript(struct parser *p, struct expr **expr)
{
	struct expr *index;
	enum rc rc = make(p, EXPR_INDEX, 0, *expr, NULL, &index);

	if (rc != RC_OK)
		return rc;
	struct expr **parts = arena_array(p->arena, 3, sizeof(*parts));
	if (parts == NULL)
		return RC_NOMEM;
	for (size_t part = 0; part < 3; part++) {
		if (!parser_is_sign(p, ":") && !parser_is_sign(p, "]"))
			rc = parser_expression(p, &parts[part]);
		if (rc != RC_OK)
			return rc;
		if (!parser_take_sign(p, ":"))
			break;
		index->kind = EXPR_SLICE;
	}
	if (index->kind == EXPR_INDEX && parts[0] == NULL)
		return parser_fail(p, RC_INVALID, "empty subscript");
	index->b = parts[0];
	index->items = parts;
	index->items_len = 3;
	*expr = index;
	return parser_need_sign(p, "]");
}

static enum rc parse_attribute(struct parser *p, struct expr **expr)
{
	struct expr *attr;
	enum rc rc = make(p, EXPR_ATTR, 0, *expr, NULL, &attr);

	if (rc != RC_OK)
		return rc;
	if (parser_token(p)->kind == TOKEN_INT) { /* a.0 */
		attr->kind = EXPR_INDEX;
		rc = make_const(p, value_int(parser_token(p)->integer), &attr->b);
		p->at++;
		*expr = attr;
		return rc;
	}
	rc = parser_need_name(p, &attr->name);
	if (rc != RC_OK)
		return rc;
	if (parser_take_sign(p, "(")) {
		int method = builtin_method(attr->name);
		if (method < 0)
			return parser_fail(
			    p, RC_UNSUPPORTED, "unknown method .%.40s()", attr->name->bytes);
		attr->kind = EXPR_METHOD;
		attr->op = (unsigned)method;
		rc = parse_args(p, attr);
	}
	*expr = attr;
	return rc;
}

static enum rc parse_postfix(struct parser *p, struct expr **expr)
{
	for (;;) {
		enum rc rc;
		if (parser_take_sign(p, ".")) {
			rc = parse_attribute(p, expr);
		} else if (parser_take_sign(p, "[")) {
			rc = parse_subscript(p, expr);
		} else if (parser_take_sign(p, "(")) {
			struct expr *call;
			rc = make(p, EXPR_CALL, 0, *expr, NULL, &call);
			if (rc == RC_OK && (*expr)->kind == EXPR_NAME)
				rc = parser_called(p, (*expr)->name);
			if (rc == RC_OK)
				rc = parse_args(p, call);
			if (rc == RC_OK)
				*expr = call;
		} else {
			return RC_OK;
		}
		if (rc != RC_OK)
			return rc;
	}
}

enum rc parser_filter(struct parser *p, struct expr *subject, struct expr **out)
{
	const struct text *name = NULL;

	enum rc rc = parser_need_name(p, &name);
	if (rc != RC_OK)
		return rc;
	int filter = builtin_filter(name);
	if (filter < 0)
		return parser_fail(p, RC_UNSUPPORTED, "unknown filter %.40s", name->bytes);
	struct expr *expr;
	rc = make(p, EXPR_FILTER, (unsigned)filter, subject, NULL, &expr);
	if (rc == RC_OK && parser_take_sign(p, "("))
		rc = parse_args(p, expr);
	if (rc == RC_OK)
		*out = expr;
	return rc;
}

/* What may follow a test's name as its one argument without parentheses. */
static bool starts_argument(const struct parser *p)
{
	static const char *const words[] = { "else", "or", "and", "is", "if", "not", "in",
		"recursive" };
	const struct token *token = parser_token(p);

	if (token->kind == TOKEN_TEXT || token->kind == TOKEN_INT || token->kind == TOKEN_REAL)
		return true;
	if (token->kind == TOKEN_SIGN)
		return parser_is_sign(p, "[") || parser_is_sign(p, "{");
	if (token->kind != TOKEN_NAME)
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (text_is(token->text, words[i]))
			return false;
	}
	return true;
}

static enum rc parse_test(struct parser *p, struct expr **expr)
{
	bool negated = parser_take_name(p, "not");
	const struct text *name = NULL;
	struct expr *test;

	enum rc rc = parser_need_name(p, &name);
	if (rc != RC_OK)
		return rc;
	int index = builtin_test(name);
	if (index < 0)
		return parser_fail(p, RC_UNSUPPORTED, "unknown test `is %.40s`", name->bytes);
	rc = make(p, EXPR_TEST, (unsigned)index, *expr, NULL, &test);
	if (rc == RC_OK && parser_take_sign(p, "(")) {
		rc = parse_args(p, test);
	} else if (rc == RC_OK && starts_argument(p)) {
		struct expr *argument;
		rc = parse_primary(p, &argument);
		if (rc == RC_OK)
			rc = parse_postfix(p, &argument);
		if (rc == RC_OK)
			rc = add_item(p, test, argument);
	}
	if (rc == RC_OK && negated)
		rc = make(p, EXPR_NOT, 0, test, NULL, &test);
	if (rc == RC_OK)
		*expr = test;
	return rc;
}

enum rc parser_filters(struct parser *p, struct expr *subject, struct expr **out)
{
	enum rc rc = RC_OK;

	*out = subject;
	while (rc == RC_OK) {
		if (parser_take_sign(p, "|"))
			rc = parser_filter(p, *out, out);
		else if (parser_take_name(p, "is"))
			rc = parse_test(p, out);
		else
			return RC_OK;
	}
	return rc;
}

static enum rc parse_power(struct parser *p, struct expr **out)
{
	struct expr *right;

	enum rc rc = parse_unary(p, true, out);
	while (rc == RC_OK && parser_take_sign(p, "**")) {
		rc = parse_unary(p, true, &right);
		if (rc == RC_OK)
			rc = make(p, EXPR_BINARY, OP_POW, *out, right, out);
	}
	return rc;
}

static enum rc parse_unary(struct parser *p, bool with_filters, struct expr **out)
{
	enum rc rc = enter(p);

	if (rc != RC_OK)
		return rc;
	if (parser_take_sign(p, "-")) {
		rc = parse_unary(p, false, out);
		if (rc == RC_OK)
			rc = make(p, EXPR_NEGATE, 0, *out, NULL, out);
	} else if (parser_take_sign(p, "+")) {
		rc = parse_unary(p, false, out);
	} else {
		rc = parse_primary(p, out);
	}
	if (rc == RC_OK)
		rc = parse_postfix(p, out);
	if (rc == RC_OK && with_filters)
		rc = parser_filters(p, *out, out);
	p->depth--;
	return rc;
}

/* One level of left-associative operators: pairs of sign and op, then OP end. */
struct level {
	const char *sign;
	enum binary_op op;
};

static enum rc parse_level(struct parser *p, const struct level *signs,
    enum rc (*next)(struct parser *, struct expr **), struct expr **out)
{
	enum rc rc = next(p, out);

	while (rc == RC_OK) {
		const struct level *found = NULL;
		for (const struct level *l = signs; l->sign != NULL && found == NULL; l++) {
			if (parser_take_sign(p, l->sign))
				found = l;
		}
		if (found == NULL)
			return RC_OK;
		struct expr *right;
		rc = next(p, &right);
		if (rc == RC_OK)
			rc = make(p, EXPR_BINARY, (unsigned)found->op, *out, right, out);
	}
	return rc;
}

static enum rc parse_product(struct parser *p, struct expr **out)
{
	static const struct level signs[] = { { "*", OP_MUL }, { "//", OP_FLOOR_DIV },
		{ "/", OP_DIV }, { "%", OP_MOD }, { NULL, OP_ADD } };

	return parse_level(p, signs, parse_power, out);
}

static enum rc parse_concat(struct parser *p, struct expr **out)
{
	static const struct level signs[] = { { "~", OP_CONCAT }, { NULL, OP_ADD } };

	return parse_level(p, signs, parse_product, out);
}

static enum rc parse_sum(struct parser *p, struct expr **out)
{
	static const struct level signs[] = { { "+", OP_ADD }, { "-", OP_SUB }, { NULL, OP_ADD } };

	return parse_level(p, signs, parse_concat, out);
}

static bool take_comparison(struct parser *p, enum binary_op *op)
{
	static const struct level signs[] = { { "==", OP_EQ }, { "!=", OP_NE }, { "<=", OP_LE },
		{ ">=", OP_GE }, { "<", OP_LT }, { ">", OP_GT } };

	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		if (parser_take_sign(p, signs[i].sign)) {
			*op = signs[i].op;
			return true;
		}
	}
	if (parser_take_name(p, "in")) {
		*op = OP_IN;
		return true;
	}
	const struct token *next = parser_token(p);
	if (parser_is_name(p, "not") && next[1].kind == TOKEN_NAME && text_is(next[1].text, "in")) {
		p->at += 2;
		*op = OP_NOT_IN;
		return true;
	}
	return false;
}

/* a < b < c means (a < b) and (b < c). */
static enum rc parse_comparison(struct parser *p, struct expr **out)
{
	enum binary_op op;
	struct expr *left;
	bool chained = false;

	enum rc rc = parse_sum(p, &left);
	if (rc == RC_OK)
		*out = left;
	while (rc == RC_OK && take_comparison(p, &op)) {
		struct expr *right;
		struct expr *link;
		rc = parse_sum(p, &right);
		if (rc == RC_OK)
			rc = make(p, EXPR_BINARY, (unsigned)op, left, right, &link);
		if (rc == RC_OK && chained)
			rc = make(p, EXPR_AND, 0, *out, link, &link);
		if (rc == RC_OK)
			*out = link;
		left = right;
		chained = true;
	}
	return rc;
}

static enum rc parse_not(struct parser *p, struct expr **out)
{
	enum rc rc = enter(p);

	if (rc != RC_OK)
		return rc;
	if (parser_take_name(p, "not")) {
		rc = parse_not(p, out);
		if (rc == RC_OK)
			rc = make(p, EXPR_NOT, 0, *out, NULL, out);
	} else {
		rc = parse_comparison(p, out);
	}
	p->depth--;
	return rc;
}

static enum rc parse_and(struct parser *p, struct expr **out)
{
	struct expr *right;

	enum rc rc = parse_not(p, out);
	while (rc == RC_OK && parser_take_name(p, "and")) {
		rc = parse_not(p, &right);
		if (rc == RC_OK)
			rc = make(p, EXPR_AND, 0, *out, right, out);
	}
	return rc;
}

enum rc parser_or(struct parser *p, struct expr **out)
{
	struct expr *right;

	enum rc rc = parse_and(p, out);
	while (rc == RC_OK && parser_take_name(p, "or")) {
		rc = parse_and(p, &right);
		if (rc == RC_OK)
			rc = make(p, EXPR_OR, 0, *out, right, out);
	}
	return rc;
}

enum rc parser_expression(struct parser *p, struct expr **out)
{
	enum rc rc = enter(p);

	if (rc != RC_OK)
		return rc;
	rc = parser_or(p, out);
	while (rc == RC_OK && parser_take_name(p, "if")) {
		struct expr *choice;
		struct expr *condition;
		rc = parser_or(p, &condition);
		if (rc == RC_OK)
			rc = make(p, EXPR_CHOICE, 0, *out, condition, &choice);
		if (rc == RC_OK && parser_take_name(p, "else"))
			rc = parser_expression(p, &choice->c);
		if (rc == RC_OK)
			*out = choice;
	}
	p->depth--;
	return rc;
}

enum rc parser_tuple(struct parser *p, struct expr **out)
{
	struct expr *first;

	enum rc rc = parser_expression(p, &first);
	if (rc != RC_OK)
		return rc;
	*out = first;
	if (!parser_is_sign(p, ","))
		return RC_OK;
	rc = make(p, EXPR_LIST, 0, NULL, NULL, out);
	if (rc == RC_OK)
		rc = add_item(p, *out, first);
	while (rc == RC_OK && parser_take_sign(p, ",")) {
		struct expr *item;
		if (parser_is_sign(p, ")") || parser_token(p)->kind == TOKEN_BLOCK_END)
			break;
		rc = parser_expression(p, &item);
		if (rc == RC_OK)
			rc = add_item(p, *out, item);
	}
	return rc;
}
