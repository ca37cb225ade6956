/* Evaluation of expressions. */
#include <math.h>
#include <string.h>

#include "base/utf8.h"
#include "template/builtins.h"
#include "template/eval.h"

/* ---- names, attributes, subscripts ---- */

static enum rc eval_name(struct eval *e, const struct text *name, struct value *out)
{
	for (const struct scope *s = e->scope; s != NULL; s = s->outer) {
		const struct value *found = value_get(s->names, name->bytes, name->len);
		if (found != NULL) {
			*out = *found;
			return RC_OK;
		}
	}
	int global = builtin_global(name);
	*out = global >= 0 ? (struct value){ .kind = VALUE_BUILTIN, .u.builtin = (unsigned)global }
			   : value_undefined(name->bytes);
	return RC_OK;
}

enum rc eval_attribute(
    struct eval *eval, struct value subject, const struct text *name, struct value *out)
{
	if (subject.kind == VALUE_UNDEFINED)
		return eval_fail(eval, RC_INVALID, "%.40s is undefined",
		    subject.u.hint != NULL ? subject.u.hint : "value");
	*out = value_undefined(name->bytes);
	if (subject.kind == VALUE_MAP || subject.kind == VALUE_NAMESPACE) {
		const struct value *found = value_get(subject, name->bytes, name->len);
		if (found != NULL)
			*out = *found;
	}
	return RC_OK;
}

/* Byte range of the `n`-th to `m`-th code point of a text; broken bytes count one each. */
static size_t code_point_offset(const struct text *text, size_t n)
{
	const uint8_t *bytes = (const uint8_t *)text->bytes;
	size_t at = 0;

	while (n > 0 && at < text->len) {
		uint32_t cp;
		size_t step = utf8_decode(bytes + at, text->len - at, &cp);
		at += step == 0 ? 1 : step;
		n--;
	}
	return at;
}

static size_t code_points(const struct text *text)
{
	const uint8_t *bytes = (const uint8_t *)text->bytes;
	size_t n = 0;

	for (size_t at = 0; at < text->len; n++) {
		uint32_t cp;
		size_t step = utf8_decode(bytes + at, text->len - at, &cp);
		at += step == 0 ? 1 : step;
	}
	return n;
}

static enum rc char_at(struct eval *e, const struct text *text, size_t at, struct value *out)
{
	size_t from = code_point_offset(text, at);
	size_t to = code_point_offset(text, at + 1);

	*out = value_of_text(text_slice(e->arena, text, from, to - from));
	return value_ok(*out) ? RC_OK : RC_NOMEM;
}

static enum rc eval_index(
    struct eval *e, struct value subject, struct value index, struct value *out)
{
	if (index.kind == VALUE_TEXT)
		return eval_attribute(e, subject, index.u.text, out);
	if (subject.kind == VALUE_UNDEFINED)
		return eval_attribute(e, subject, NULL, out);
	*out = value_undefined("item");
	if (index.kind != VALUE_INT && index.kind != VALUE_BOOL)
		return RC_OK;
	int64_t at = index.kind == VALUE_INT ? index.u.integer : index.u.boolean;
	int64_t len = subject.kind == VALUE_LIST   ? (int64_t)subject.u.list->len
		      : subject.kind == VALUE_TEXT ? (int64_t)code_points(subject.u.text)
						   : 0;
	at += at < 0 ? len : 0;
	if (at < 0 || at >= len)
		return RC_OK;
	if (subject.kind == VALUE_TEXT)
		return char_at(e, subject.u.text, (size_t)at, out);
	*out = subject.u.list->items[at];
	return RC_OK;
}

/* One end of a slice, clamped as Python does. */
static enum rc slice_part(struct eval *e, const struct expr *part, int64_t fallback, int64_t *out)
{
	struct value value;

	*out = fallback;
	if (part == NULL)
		return RC_OK;
	enum rc rc = eval_expr(e, part, &value);
	if (rc != RC_OK || value.kind == VALUE_NONE)
		return rc;
	if (value.kind != VALUE_INT)
		return eval_fail(e, RC_INVALID, "slice of %s", value_kind_word(value.kind));
	*out = value.u.integer;
	return RC_OK;
}

static int64_t clamp_slice(int64_t at, int64_t len, int64_t step)
{
	if (at < 0)
		at = at < -len ? -1 : at + len;
	if (step < 0)
		return at < -1 ? -1 : at > len - 1 ? len - 1 : at;
	return at < 0 ? 0 : at > len ? len : at;
}

static enum rc eval_slice(
    struct eval *e, const struct expr *x, struct value subject, struct value *out)
{
	int64_t step;
	int64_t from;
	int64_t to;

	if (subject.kind != VALUE_LIST && subject.kind != VALUE_TEXT)
		return eval_fail(e, RC_INVALID, "cannot slice %s", value_kind_word(subject.kind));
	int64_t len = subject.kind == VALUE_LIST ? (int64_t)subject.u.list->len
						 : (int64_t)code_points(subject.u.text);
	enum rc rc = slice_part(e, x->items[2], 1, &step);
	if (rc == RC_OK && step == 0)
		rc = eval_fail(e, RC_INVALID, "slice step is 0");
	if (rc == RC_OK)
		rc = slice_part(e, x->items[0], step < 0 ? len - 1 : 0, &from);
	if (rc == RC_OK)
		rc = slice_part(e, x->items[1], step < 0 ? -len - 1 : len, &to);
	if (rc != RC_OK)
		return rc;
	from = clamp_slice(from, len, step);
	to = clamp_slice(to, len, step);
	struct value list = value_list(e->arena);
	struct text_builder text;
	text_builder_init(&text, e->arena, TEMPLATE_OUTPUT_BYTES_MAX);
	if (subject.kind == VALUE_TEXT && step == 1 && to > from) {
		size_t begin = code_point_offset(subject.u.text, (size_t)from);
		size_t end = code_point_offset(subject.u.text, (size_t)to);
		*out = value_of_text(text_slice(e->arena, subject.u.text, begin, end - begin));
		return value_ok(*out) ? RC_OK : RC_NOMEM;
	}
	for (int64_t i = from; (step > 0 ? i < to : i > to) && rc == RC_OK; i += step) {
		struct value item;
		rc = eval_step(e);
		if (rc == RC_OK)
			rc = eval_index(e, subject, value_int(i), &item);
		if (rc == RC_OK && subject.kind == VALUE_TEXT)
			text_builder_add(&text, item.u.text);
		else if (rc == RC_OK)
			rc = value_push(e->arena, list, item);
	}
	if (rc != RC_OK)
		return rc;
	*out = subject.kind == VALUE_TEXT ? value_of_text(text_builder_text(&text)) : list;
	return value_ok(*out) ? RC_OK : RC_NOMEM;
}

enum rc eval_items(struct eval *eval, struct value value, struct value *list)
{
	enum rc rc = RC_OK;

	if (value.kind == VALUE_LIST) {
		*list = value;
		return RC_OK;
	}
	*list = value_list(eval->arena);
	if (!value_ok(*list))
		return RC_NOMEM;
	if (value.kind == VALUE_UNDEFINED)
		return RC_OK;
	if (value.kind == VALUE_MAP) {
		for (size_t i = 0; i < value.u.map->len && rc == RC_OK; i++)
			rc = value_push(
			    eval->arena, *list, value_of_text(value.u.map->pairs[i].key));
		return rc;
	}
	if (value.kind != VALUE_TEXT)
		return eval_fail(
		    eval, RC_INVALID, "cannot loop over %s", value_kind_word(value.kind));
	const struct text *text = value.u.text;
	for (size_t at = 0; at < text->len && rc == RC_OK;) {
		uint32_t cp;
		size_t n = utf8_decode((const uint8_t *)text->bytes + at, text->len - at, &cp);
		n = n == 0 ? 1 : n;
		rc = eval_step(eval);
		if (rc == RC_OK)
			rc = value_push(eval->arena, *list,
			    value_of_text(text_slice(eval->arena, text, at, n)));
		at += n;
	}
	return rc;
}

/* ---- calls ---- */

struct arguments {
	struct value items[32];
	struct value named[32];
	const struct text *names[32];
	struct call_args args;
};

static enum rc eval_arguments(struct eval *e, const struct expr *x, struct arguments *out)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; i < x->items_len && rc == RC_OK; i++)
		rc = eval_expr(e, x->items[i], &out->items[i]);
	for (size_t i = 0; i < x->named_len && rc == RC_OK; i++) {
		out->names[i] = x->named[i].name;
		rc = eval_expr(e, x->named[i].value, &out->named[i]);
	}
	out->args = (struct call_args){ .items = out->items,
		.len = x->items_len,
		.names = out->names,
		.named = out->named,
		.named_len = x->named_len };
	return rc;
}

static enum rc eval_call(struct eval *e, const struct expr *x, struct value *out)
{
	struct arguments arguments;
	struct value callee;

	enum rc rc = eval_expr(e, x->a, &callee);
	if (rc == RC_OK)
		rc = eval_arguments(e, x, &arguments);
	if (rc != RC_OK)
		return rc;
	e->line = x->line;
	if (callee.kind == VALUE_MACRO)
		return eval_call_macro(e, callee.u.macro, &arguments.args, NULL, out);
	if (callee.kind == VALUE_BUILTIN)
		return builtin_call_global(e, callee.u.builtin, &arguments.args, out);
	if (callee.kind == VALUE_UNDEFINED)
		return eval_fail(e, RC_INVALID, "%.40s is undefined",
		    callee.u.hint != NULL ? callee.u.hint : "function");
	return eval_fail(e, RC_INVALID, "cannot call %s", value_kind_word(callee.kind));
}

static enum rc eval_applied(struct eval *e, const struct expr *x, struct value *out)
{
	struct arguments arguments;
	struct value subject = e->hole;
	enum rc rc = RC_OK;

	if (x->a != NULL)
		rc = eval_expr(e, x->a, &subject);
	if (rc == RC_OK)
		rc = eval_arguments(e, x, &arguments);
	if (rc != RC_OK)
		return rc;
	e->line = x->line;
	if (x->kind == EXPR_FILTER)
		return builtin_call_filter(e, x->op, subject, &arguments.args, out);
	if (x->kind == EXPR_METHOD)
		return builtin_call_method(e, x->op, subject, &arguments.args, out);
	bool holds = false;
	rc = builtin_call_test(e, x->op, subject, &arguments.args, &holds);
	*out = value_bool(holds);
	return rc;
}

/* ---- operators ---- */

static bool is_number(struct value v)
{
	return v.kind == VALUE_INT || v.kind == VALUE_REAL || v.kind == VALUE_BOOL;
}

static double real_of(struct value v)
{
	return v.kind == VALUE_REAL   ? v.u.real
	       : v.kind == VALUE_BOOL ? (double)v.u.boolean
				      : (double)v.u.integer;
}

static enum rc integer_binary(struct eval *e, unsigned op, int64_t a, int64_t b, struct value *out)
{
	int64_t result = 0;
	bool overflow = false;

	switch (op) {
	case OP_ADD:
		overflow = __builtin_add_overflow(a, b, &result);
		break;
	case OP_SUB:
		overflow = __builtin_sub_overflow(a, b, &result);
		break;
	case OP_MUL:
		overflow = __builtin_mul_overflow(a, b, &result);
		break;
	default: /* floor division and modulo, rounding down as Python does */
		if (b == 0)
			return eval_fail(e, RC_INVALID, "division by zero");
		if (a == INT64_MIN && b == -1)
			return eval_fail(e, RC_INVALID, "integer overflow");
		result = op == OP_FLOOR_DIV ? a / b : a % b;
		if (a % b != 0 && (a % b < 0) != (b < 0))
			result += op == OP_FLOOR_DIV ? -1 : b;
	}
	if (overflow)
		return eval_fail(e, RC_INVALID, "integer overflow");
	*out = value_int(result);
	return RC_OK;
}

static enum rc number_binary(
    struct eval *e, unsigned op, struct value a, struct value b, struct value *out)
{
	bool integers = a.kind != VALUE_REAL && b.kind != VALUE_REAL;
	double x = real_of(a);
	double y = real_of(b);

	if (integers && op != OP_DIV && op != OP_POW)
		return integer_binary(e, op, a.kind == VALUE_INT ? a.u.integer : a.u.boolean,
		    b.kind == VALUE_INT ? b.u.integer : b.u.boolean, out);
	if ((op == OP_DIV || op == OP_FLOOR_DIV || op == OP_MOD) && !(y < 0) && !(y > 0))
		return eval_fail(e, RC_INVALID, "division by zero");
	double result = op == OP_ADD         ? x + y
			: op == OP_SUB       ? x - y
			: op == OP_MUL       ? x * y
			: op == OP_DIV       ? x / y
			: op == OP_FLOOR_DIV ? floor(x / y)
			: op == OP_MOD       ? x - floor(x / y) * y
					     : pow(x, y);
	if (op == OP_POW && integers && y >= 0 && fabs(result) < 0x1p53)
		*out = value_int((int64_t)result);
	else
		*out = value_real(result);
	return RC_OK;
}

static enum rc concat_lists(struct eval *e, struct value a, struct value b, struct value *out)
{
	*out = value_list(e->arena);
	enum rc rc = value_ok(*out) ? RC_OK : RC_NOMEM;
	for (size_t i = 0; i < a.u.list->len && rc == RC_OK; i++)
		rc = value_push(e->arena, *out, a.u.list->items[i]);
	for (size_t i = 0; i < b.u.list->len && rc == RC_OK; i++)
		rc = value_push(e->arena, *out, b.u.list->items[i]);
	return rc;
}

static enum rc concat(struct eval *e, struct value a, struct value b, struct value *out)
{
	const struct text *x = value_str(e->arena, a);
	const struct text *y = value_str(e->arena, b);

	if (x == NULL || y == NULL)
		return RC_NOMEM;
	if (x->len + y->len > TEMPLATE_OUTPUT_BYTES_MAX)
		return eval_fail(e, RC_LIMIT, "text too long");
	*out = value_of_text(text_concat(e->arena, x, y));
	return value_ok(*out) ? RC_OK : RC_NOMEM;
}

/* "ab" * 3 */
static enum rc repeat(struct eval *e, const struct text *text, int64_t n, struct value *out)
{
	struct text_builder builder;

	text_builder_init(&builder, e->arena, TEMPLATE_OUTPUT_BYTES_MAX);
	for (int64_t i = 0; i < n && text->len > 0 && builder.rc == RC_OK; i++)
		text_builder_add(&builder, text);
	if (builder.rc == RC_LIMIT)
		return eval_fail(e, RC_LIMIT, "text too long");
	*out = value_of_text(text_builder_text(&builder));
	return value_ok(*out) ? RC_OK : RC_NOMEM;
}

static enum rc contains(struct eval *e, struct value item, struct value in, bool *out)
{
	*out = false;
	switch (in.kind) {
	case VALUE_LIST:
		for (size_t i = 0; i < in.u.list->len && !*out; i++)
			*out = value_equal(item, in.u.list->items[i]);
		return RC_OK;
	case VALUE_MAP:
		*out = item.kind == VALUE_TEXT &&
		       value_get(in, item.u.text->bytes, item.u.text->len) != NULL;
		return RC_OK;
	case VALUE_TEXT:
		if (item.kind != VALUE_TEXT)
			break;
		*out = text_find(in.u.text, item.u.text, 0) != SIZE_MAX;
		return RC_OK;
	case VALUE_UNDEFINED:
		return RC_OK;
	default:
		break;
	}
	return eval_fail(e, RC_INVALID, "`in` with %s", value_kind_word(in.kind));
}

static enum rc order(struct eval *e, unsigned op, struct value a, struct value b, struct value *out)
{
	int cmp;

	if (value_compare(a, b, &cmp) != RC_OK)
		return eval_fail(e, RC_INVALID, "cannot order %s and %s", value_kind_word(a.kind),
		    value_kind_word(b.kind));
	*out = value_bool(op == OP_LT   ? cmp < 0
			  : op == OP_LE ? cmp <= 0
			  : op == OP_GT ? cmp > 0
					: cmp >= 0);
	return RC_OK;
}

enum rc eval_binary(
    struct eval *eval, unsigned op, struct value a, struct value b, struct value *out)
{
	bool found;
	enum rc rc;

	switch (op) {
	case OP_EQ:
	case OP_NE:
		*out = value_bool(value_equal(a, b) == (op == OP_EQ));
		return RC_OK;
	case OP_IN:
	case OP_NOT_IN:
		rc = contains(eval, a, b, &found);
		*out = value_bool(found == (op == OP_IN));
		return rc;
	case OP_LT:
	case OP_LE:
	case OP_GT:
	case OP_GE:
		return order(eval, op, a, b, out);
	case OP_CONCAT:
		return concat(eval, a, b, out);
	default:
		break;
	}
	if (is_number(a) && is_number(b))
		return number_binary(eval, op, a, b, out);
	if (op == OP_ADD && a.kind == VALUE_TEXT && b.kind == VALUE_TEXT)
		return concat(eval, a, b, out);
	if (op == OP_ADD && a.kind == VALUE_LIST && b.kind == VALUE_LIST)
		return concat_lists(eval, a, b, out);
	if (op == OP_MUL && a.kind == VALUE_TEXT && b.kind == VALUE_INT)
		return repeat(eval, a.u.text, b.u.integer, out);
	return eval_fail(eval, RC_INVALID, "operator between %s and %s", value_kind_word(a.kind),
	    value_kind_word(b.kind));
}

static enum rc eval_pairs(struct eval *e, const struct expr *x, struct value *out)
{
	*out = value_map(e->arena);
	for (size_t i = 0; i + 1 < x->items_len; i += 2) {
		struct value key;
		struct value value;
		enum rc rc = eval_expr(e, x->items[i], &key);
		if (rc == RC_OK)
			rc = eval_expr(e, x->items[i + 1], &value);
		if (rc == RC_OK)
			rc = value_set(e->arena, *out, value_str(e->arena, key), value);
		if (rc != RC_OK)
			return rc;
	}
	return value_ok(*out) ? RC_OK : RC_NOMEM;
}

static enum rc eval_list(struct eval *e, const struct expr *x, struct value *out)
{
	*out = value_list(e->arena);
	for (size_t i = 0; i < x->items_len; i++) {
		struct value item;
		enum rc rc = eval_expr(e, x->items[i], &item);
		if (rc == RC_OK)
			rc = value_push(e->arena, *out, item);
		if (rc != RC_OK)
			return rc;
	}
	return value_ok(*out) ? RC_OK : RC_NOMEM;
}

/* and, or and the ternary evaluate no more than they need. */
static enum rc eval_logic(struct eval *e, const struct expr *x, struct value *out)
{
	struct value condition;

	if (x->kind == EXPR_CHOICE) {
		enum rc rc = eval_expr(e, x->b, &condition);
		if (rc != RC_OK)
			return rc;
		if (value_truthy(condition))
			return eval_expr(e, x->a, out);
		*out = value_undefined("else");
		return x->c != NULL ? eval_expr(e, x->c, out) : RC_OK;
	}
	enum rc rc = eval_expr(e, x->a, out);
	if (rc != RC_OK || value_truthy(*out) == (x->kind == EXPR_OR))
		return rc;
	return eval_expr(e, x->b, out);
}

static enum rc eval_unary(struct eval *e, const struct expr *x, struct value *out)
{
	struct value value;

	enum rc rc = eval_expr(e, x->a, &value);
	if (rc != RC_OK)
		return rc;
	if (x->kind == EXPR_NOT) {
		*out = value_bool(!value_truthy(value));
		return RC_OK;
	}
	return eval_binary(e, OP_SUB, value_int(0), value, out);
}

static enum rc eval_part(struct eval *e, const struct expr *x, struct value *out)
{
	struct value subject;
	struct value index;

	enum rc rc = eval_expr(e, x->a, &subject);
	if (rc != RC_OK)
		return rc;
	e->line = x->line;
	if (x->kind == EXPR_ATTR)
		return eval_attribute(e, subject, x->name, out);
	if (x->kind == EXPR_SLICE)
		return eval_slice(e, x, subject, out);
	rc = eval_expr(e, x->b, &index);
	return rc == RC_OK ? eval_index(e, subject, index, out) : rc;
}

enum rc eval_expr(struct eval *eval, const struct expr *expr, struct value *out)
{
	struct value a;
	struct value b;

	enum rc rc = eval_step(eval);
	if (rc != RC_OK)
		return rc;
	switch (expr->kind) {
	case EXPR_CONST:
		*out = expr->constant;
		return RC_OK;
	case EXPR_NAME:
		return eval_name(eval, expr->name, out);
	case EXPR_LIST:
		return eval_list(eval, expr, out);
	case EXPR_MAP:
		return eval_pairs(eval, expr, out);
	case EXPR_ATTR:
	case EXPR_INDEX:
	case EXPR_SLICE:
		return eval_part(eval, expr, out);
	case EXPR_CALL:
		return eval_call(eval, expr, out);
	case EXPR_METHOD:
	case EXPR_FILTER:
	case EXPR_TEST:
		return eval_applied(eval, expr, out);
	case EXPR_NOT:
	case EXPR_NEGATE:
		return eval_unary(eval, expr, out);
	case EXPR_BINARY:
		rc = eval_expr(eval, expr->a, &a);
		if (rc == RC_OK)
			rc = eval_expr(eval, expr->b, &b);
		if (rc != RC_OK)
			return rc;
		eval->line = expr->line;
		return eval_binary(eval, expr->op, a, b, out);
	case EXPR_AND:
	case EXPR_OR:
	case EXPR_CHOICE:
		return eval_logic(eval, expr, out);
	}
	return RC_BUG;
}
