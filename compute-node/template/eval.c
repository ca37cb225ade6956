/* Evaluation of statements. */
#include "template/eval.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "template/builtins.h"

/* How a body ended: RC_OK, or one of these on its way to the loop around it. */
enum flow { FLOW_NEXT, FLOW_BREAK, FLOW_CONTINUE };

static enum rc run(struct eval *e, const struct node *body, enum flow *flow);

enum rc eval_fail(struct eval *eval, enum rc rc, const char *fmt, ...)
{
	char what[160];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return errmsg_rc(eval->why, rc, "template line %u: %s", eval->line, what);
}

enum rc eval_step(struct eval *eval)
{
	if (++eval->steps > TEMPLATE_STEPS_MAX)
		return eval_fail(
		    eval, RC_LIMIT, "more than %llu steps", (unsigned long long)TEMPLATE_STEPS_MAX);
	return RC_OK;
}

static enum rc scope_open(struct eval *e, struct scope *scope)
{
	scope->names = value_map(e->arena);
	scope->outer = e->scope;
	e->scope = scope;
	return value_ok(scope->names) ? RC_OK : RC_NOMEM;
}

static enum rc assign(struct eval *e, const struct text *name, struct value value)
{
	return value_set(e->arena, e->scope->names, name, value);
}

/* One value for one name, a list of as many values for several. */
static enum rc assign_targets(struct eval *e, const struct node *node, struct value value)
{
	if (node->names_len == 1)
		return assign(e, node->names[0], value);
	struct value items;
	enum rc rc = eval_items(e, value, &items);
	if (rc != RC_OK)
		return rc;
	if (items.u.list->len != node->names_len)
		return eval_fail(
		    e, RC_INVALID, "%zu values for %zu names", items.u.list->len, node->names_len);
	for (size_t i = 0; i < node->names_len && rc == RC_OK; i++)
		rc = assign(e, node->names[i], items.u.list->items[i]);
	return rc;
}

/* Render `body` into a text of its own. */
static enum rc capture(struct eval *e, const struct node *body, const struct text **out)
{
	struct text_builder builder;
	struct text_builder *outer = e->out;
	enum flow flow;

	text_builder_init(&builder, e->arena, TEMPLATE_OUTPUT_BYTES_MAX);
	e->out = &builder;
	enum rc rc = run(e, body, &flow);
	e->out = outer;
	if (rc != RC_OK)
		return rc;
	*out = text_builder_text(&builder);
	if (*out == NULL)
		return builder.rc == RC_LIMIT ? eval_fail(e, RC_LIMIT, "output too long")
					      : RC_NOMEM;
	return RC_OK;
}

/* ---- loops ---- */

/* The items that pass the loop's own `if`. */
static enum rc filter_items(
    struct eval *e, const struct node *node, struct value all, struct value *out)
{
	struct scope scope;

	if (node->filter == NULL) {
		*out = all;
		return RC_OK;
	}
	*out = value_list(e->arena);
	enum rc rc = scope_open(e, &scope);
	for (size_t i = 0; i < all.u.list->len && rc == RC_OK; i++) {
		struct value keep;
		rc = assign_targets(e, node, all.u.list->items[i]);
		if (rc == RC_OK)
			rc = eval_expr(e, node->filter, &keep);
		if (rc == RC_OK && value_truthy(keep))
			rc = value_push(e->arena, *out, all.u.list->items[i]);
	}
	e->scope = scope.outer;
	return rc;
}

#define LOOP_NAME(word)                                                                            \
	{                                                                                          \
		.bytes = word, .len = sizeof(word) - 1, .uniform = true                            \
	}
static const struct text loop_name = LOOP_NAME("loop");
static const struct text loop_fields[] = {
	LOOP_NAME("index"),
	LOOP_NAME("index0"),
	LOOP_NAME("revindex"),
	LOOP_NAME("revindex0"),
	LOOP_NAME("first"),
	LOOP_NAME("last"),
	LOOP_NAME("length"),
	LOOP_NAME("previtem"),
	LOOP_NAME("nextitem"),
};

static enum rc loop_variables(struct eval *e, const struct value_list *items, size_t at)
{
	struct value loop = value_map(e->arena);
	int64_t n = (int64_t)items->len;
	int64_t i = (int64_t)at;
	const struct value values[] = {
		value_int(i + 1),
		value_int(i),
		value_int(n - i),
		value_int(n - i - 1),
		value_bool(i == 0),
		value_bool(i == n - 1),
		value_int(n),
		at > 0 ? items->items[at - 1] : value_undefined("loop.previtem"),
		at + 1 < items->len ? items->items[at + 1] : value_undefined("loop.nextitem"),
	};

	enum rc rc = value_ok(loop) ? RC_OK : RC_NOMEM;
	for (size_t f = 0; f < sizeof(values) / sizeof(values[0]) && rc == RC_OK; f++)
		rc = value_set(e->arena, loop, &loop_fields[f], values[f]);
	return rc == RC_OK ? value_set(e->arena, e->scope->names, &loop_name, loop) : rc;
}

static enum rc run_for(struct eval *e, const struct node *node)
{
	struct value items;
	enum flow flow = FLOW_NEXT;

	enum rc rc = eval_expr(e, node->expr, &items);
	if (rc == RC_OK)
		rc = eval_items(e, items, &items);
	if (rc == RC_OK)
		rc = filter_items(e, node, items, &items);
	if (rc != RC_OK)
		return rc;
	if (items.u.list->len == 0)
		return run(e, node->otherwise, &flow);
	for (size_t i = 0; i < items.u.list->len && flow != FLOW_BREAK; i++) {
		struct scope scope;
		rc = scope_open(e, &scope);
		if (rc == RC_OK)
			rc = loop_variables(e, items.u.list, i);
		if (rc == RC_OK)
			rc = assign_targets(e, node, items.u.list->items[i]);
		if (rc == RC_OK)
			rc = run(e, node->body, &flow);
		e->scope = scope.outer;
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

/* ---- the other statements ---- */

static enum rc run_set_attr(struct eval *e, const struct node *node)
{
	const struct expr name = { .kind = EXPR_NAME, .name = node->names[0], .line = node->line };
	struct value target;
	struct value value;

	enum rc rc = eval_expr(e, &name, &target);
	if (rc == RC_OK && target.kind != VALUE_NAMESPACE)
		rc = eval_fail(e, RC_INVALID, "%.40s is no namespace", node->names[0]->bytes);
	if (rc == RC_OK)
		rc = eval_expr(e, node->expr, &value);
	return rc == RC_OK ? value_set(e->arena, target, node->names[1], value) : rc;
}

/* Body of {% set %} or {% filter %}, through its filters. */
static enum rc captured(
    struct eval *e, const struct node *body, const struct expr *filter, struct value *out)
{
	const struct text *text;

	enum rc rc = capture(e, body, &text);
	if (rc != RC_OK)
		return rc;
	*out = value_of_text(text);
	if (filter == NULL)
		return RC_OK;
	struct value hole = e->hole;
	e->hole = *out;
	rc = eval_expr(e, filter, out);
	e->hole = hole;
	return rc;
}

static enum rc print(struct eval *e, struct value value)
{
	const struct text *text = value_str(e->arena, value);

	if (text == NULL)
		return RC_NOMEM;
	text_builder_add(e->out, text);
	return RC_OK;
}

static enum rc run_call(struct eval *e, const struct node *node)
{
	struct value callee;
	struct value result;
	struct value args[TEMPLATE_CALLS_MAX];

	enum rc rc = eval_expr(e, node->expr->a, &callee);
	if (rc == RC_OK && callee.kind != VALUE_MACRO)
		rc = eval_fail(e, RC_INVALID, "not a macro");
	if (rc == RC_OK &&
	    (node->expr->named_len > 0 || node->expr->items_len > TEMPLATE_CALLS_MAX))
		rc = eval_fail(e, RC_UNSUPPORTED, "arguments of a call block");
	for (size_t i = 0; rc == RC_OK && i < node->expr->items_len; i++)
		rc = eval_expr(e, node->expr->items[i], &args[i]);
	if (rc != RC_OK)
		return rc;
	const struct call_args call = { .items = args, .len = node->expr->items_len };
	rc = eval_call_macro(e, callee.u.macro, &call, node->macro, &result);
	return rc == RC_OK ? print(e, result) : rc;
}

static enum rc run_node(struct eval *e, const struct node *node, enum flow *flow)
{
	struct value value;
	enum rc rc;

	switch (node->kind) {
	case NODE_TEXT:
		text_builder_add(e->out, node->text);
		return RC_OK;
	case NODE_PRINT:
		rc = eval_expr(e, node->expr, &value);
		return rc == RC_OK ? print(e, value) : rc;
	case NODE_IF:
		rc = eval_expr(e, node->expr, &value);
		if (rc != RC_OK)
			return rc;
		return run(e, value_truthy(value) ? node->body : node->otherwise, flow);
	case NODE_FOR:
		return run_for(e, node);
	case NODE_SET:
		rc = eval_expr(e, node->expr, &value);
		return rc == RC_OK ? assign_targets(e, node, value) : rc;
	case NODE_SET_BODY:
		rc = captured(e, node->body, node->filter, &value);
		return rc == RC_OK ? assign(e, node->names[0], value) : rc;
	case NODE_SET_ATTR:
		return run_set_attr(e, node);
	case NODE_MACRO:
		value = (struct value){ .kind = VALUE_MACRO, .u.macro = node->macro };
		return assign(e, node->macro->name, value);
	case NODE_CALL:
		return run_call(e, node);
	case NODE_FILTER:
		rc = captured(e, node->body, node->expr, &value);
		return rc == RC_OK ? print(e, value) : rc;
	case NODE_BLOCK:
		return run(e, node->body, flow);
	case NODE_DO:
		return eval_expr(e, node->expr, &value);
	case NODE_BREAK:
	case NODE_CONTINUE:
		*flow = node->kind == NODE_BREAK ? FLOW_BREAK : FLOW_CONTINUE;
		return RC_OK;
	}
	return RC_BUG;
}

static enum rc run(struct eval *e, const struct node *body, enum flow *flow)
{
	*flow = FLOW_NEXT;
	for (const struct node *n = body; n != NULL && *flow == FLOW_NEXT; n = n->next) {
		e->line = n->line;
		enum rc rc = eval_step(e);
		if (rc == RC_OK)
			rc = run_node(e, n, flow);
		if (rc == RC_OK && e->out->rc != RC_OK)
			rc = e->out->rc == RC_LIMIT ? eval_fail(e, RC_LIMIT, "output too long")
						    : e->out->rc;
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

enum rc eval_body(struct eval *eval, const struct node *body)
{
	enum flow flow;

	return run(eval, body, &flow);
}

/* ---- macros ---- */

static enum rc bind_params(struct eval *e, const struct macro *macro, const struct call_args *args)
{
	if (args->len > macro->params_len)
		return eval_fail(e, RC_INVALID, "too many arguments for %.40s", macro->name->bytes);
	for (size_t i = 0; i < macro->params_len; i++) {
		const struct value *given = call_arg(args, i, macro->params[i]->bytes);
		struct value value = value_undefined(macro->params[i]->bytes);
		enum rc rc = RC_OK;
		if (given != NULL)
			value = *given;
		else if (macro->defaults[i] != NULL)
			rc = eval_expr(e, macro->defaults[i], &value);
		if (rc == RC_OK)
			rc = assign(e, macro->params[i], value);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

enum rc eval_call_macro(struct eval *eval, const struct macro *macro, const struct call_args *args,
    const struct macro *caller, struct value *out)
{
	struct scope *outer = eval->scope;
	struct scope scope;
	const struct text *text;

	if (eval->calls == TEMPLATE_CALLS_MAX)
		return eval_fail(
		    eval, RC_LIMIT, "macros nested deeper than %d", TEMPLATE_CALLS_MAX);
	eval->calls++;
	/* A macro sees what stands at the top level; a caller() body where it is. */
	if (!text_is(macro->name, "caller"))
		eval->scope = eval->globals;
	enum rc rc = scope_open(eval, &scope);
	if (rc == RC_OK)
		rc = bind_params(eval, macro, args);
	if (rc == RC_OK && caller != NULL)
		rc = assign(
		    eval, caller->name, (struct value){ .kind = VALUE_MACRO, .u.macro = caller });
	if (rc == RC_OK)
		rc = capture(eval, macro->body, &text);
	eval->scope = outer;
	eval->calls--;
	if (rc == RC_OK)
		*out = value_of_text(text);
	return rc;
}
