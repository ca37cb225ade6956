/* Tests (`x is name`) of chat templates. */
#include <string.h>

#include "template/builtins.h"

typedef enum rc test_fn(
    struct eval *e, struct value subject, const struct call_args *args, bool *out);

static enum rc test_defined(
    struct eval *e, struct value subject, const struct call_args *args, bool *out)
{
	(void)e;
	(void)args;
	*out = subject.kind != VALUE_UNDEFINED;
	return RC_OK;
}

static enum rc test_undefined(
    struct eval *e, struct value subject, const struct call_args *args, bool *out)
{
	(void)e;
	(void)args;
	*out = subject.kind == VALUE_UNDEFINED;
	return RC_OK;
}

static enum rc test_none(
    struct eval *e, struct value subject, const struct call_args *args, bool *out)
{
	(void)e;
	(void)args;
	*out = subject.kind == VALUE_NONE;
	return RC_OK;
}

static enum rc test_string(
    struct eval *e, struct value subject, const struct call_args *args, bool *out)
{
	(void)e;
	(void)args;
	*out = subject.kind == VALUE_TEXT;
	return RC_OK;
}

static enum rc test_mapping(
    struct eval *e, struct value subject, const struct call_args *args, bool *out)
{
	(void)e;
	(void)args;
	*out = subject.kind == VALUE_MAP;
	return RC_OK;
}

/* Undefined can be looped over (it has no items), so it is iterable too. */
static enum rc test_iterable(
    struct eval *e, struct value subject, const struct call_args *args, bool *out)
{
	(void)e;
	(void)args;
	*out = subject.kind == VALUE_TEXT || subject.kind == VALUE_LIST ||
	       subject.kind == VALUE_MAP || subject.kind == VALUE_UNDEFINED;
	return RC_OK;
}

static enum rc test_number(
    struct eval *e, struct value subject, const struct call_args *args, bool *out)
{
	(void)e;
	(void)args;
	*out =
	    subject.kind == VALUE_INT || subject.kind == VALUE_REAL || subject.kind == VALUE_BOOL;
	return RC_OK;
}

static enum rc test_integer(
    struct eval *e, struct value subject, const struct call_args *args, bool *out)
{
	(void)e;
	(void)args;
	*out = subject.kind == VALUE_INT;
	return RC_OK;
}

static enum rc test_float(
    struct eval *e, struct value subject, const struct call_args *args, bool *out)
{
	(void)e;
	(void)args;
	*out = subject.kind == VALUE_REAL;
	return RC_OK;
}

static enum rc test_boolean(
    struct eval *e, struct value subject, const struct call_args *args, bool *out)
{
	(void)e;
	(void)args;
	*out = subject.kind == VALUE_BOOL;
	return RC_OK;
}

static enum rc test_true(
    struct eval *e, struct value subject, const struct call_args *args, bool *out)
{
	(void)e;
	(void)args;
	*out = subject.kind == VALUE_BOOL && subject.u.boolean;
	return RC_OK;
}

static enum rc test_false(
    struct eval *e, struct value subject, const struct call_args *args, bool *out)
{
	(void)e;
	(void)args;
	*out = subject.kind == VALUE_BOOL && !subject.u.boolean;
	return RC_OK;
}

static enum rc test_callable(
    struct eval *e, struct value subject, const struct call_args *args, bool *out)
{
	(void)e;
	(void)args;
	*out = subject.kind == VALUE_MACRO || subject.kind == VALUE_BUILTIN;
	return RC_OK;
}

static enum rc binary_test(
    struct eval *e, unsigned op, struct value subject, const struct call_args *args, bool *out)
{
	struct value result;

	if (args->len != 1)
		return eval_fail(e, RC_INVALID, "test needs one argument");
	enum rc rc = eval_binary(e, op, subject, args->items[0], &result);
	*out = rc == RC_OK && value_truthy(result);
	return rc;
}

static enum rc test_eq(
    struct eval *e, struct value subject, const struct call_args *args, bool *out)
{
	return binary_test(e, OP_EQ, subject, args, out);
}

static enum rc test_ne(
    struct eval *e, struct value subject, const struct call_args *args, bool *out)
{
	return binary_test(e, OP_NE, subject, args, out);
}

static enum rc test_lt(
    struct eval *e, struct value subject, const struct call_args *args, bool *out)
{
	return binary_test(e, OP_LT, subject, args, out);
}

static enum rc test_le(
    struct eval *e, struct value subject, const struct call_args *args, bool *out)
{
	return binary_test(e, OP_LE, subject, args, out);
}

static enum rc test_gt(
    struct eval *e, struct value subject, const struct call_args *args, bool *out)
{
	return binary_test(e, OP_GT, subject, args, out);
}

static enum rc test_ge(
    struct eval *e, struct value subject, const struct call_args *args, bool *out)
{
	return binary_test(e, OP_GE, subject, args, out);
}

static enum rc test_in(
    struct eval *e, struct value subject, const struct call_args *args, bool *out)
{
	return binary_test(e, OP_IN, subject, args, out);
}

static enum rc remainder_test(
    struct eval *e, struct value subject, int64_t by, bool zero, bool *out)
{
	if (subject.kind != VALUE_INT || by == 0 || by == -1)
		return eval_fail(
		    e, RC_INVALID, "divisibility of %s", value_kind_word(subject.kind));
	*out = (subject.u.integer % by == 0) == zero;
	return RC_OK;
}

static enum rc test_odd(
    struct eval *e, struct value subject, const struct call_args *args, bool *out)
{
	(void)args;
	return remainder_test(e, subject, 2, false, out);
}

static enum rc test_even(
    struct eval *e, struct value subject, const struct call_args *args, bool *out)
{
	(void)args;
	return remainder_test(e, subject, 2, true, out);
}

static enum rc test_divisibleby(
    struct eval *e, struct value subject, const struct call_args *args, bool *out)
{
	if (args->len != 1 || args->items[0].kind != VALUE_INT)
		return eval_fail(e, RC_INVALID, "divisibleby needs an integer");
	return remainder_test(e, subject, args->items[0].u.integer, true, out);
}

static enum rc case_test(struct value subject, char from, char to, bool *out)
{
	*out = subject.kind == VALUE_TEXT && subject.u.text->len > 0;
	for (size_t i = 0; *out && i < subject.u.text->len; i++)
		*out = subject.u.text->bytes[i] < from || subject.u.text->bytes[i] > to;
	return RC_OK;
}

static enum rc test_lower(
    struct eval *e, struct value subject, const struct call_args *args, bool *out)
{
	(void)e;
	(void)args;
	return case_test(subject, 'A', 'Z', out);
}

static enum rc test_upper(
    struct eval *e, struct value subject, const struct call_args *args, bool *out)
{
	(void)e;
	(void)args;
	return case_test(subject, 'a', 'z', out);
}

static const struct {
	const char *name;
	test_fn *call;
} tests[] = {
	{ "boolean", test_boolean },
	{ "callable", test_callable },
	{ "defined", test_defined },
	{ "divisibleby", test_divisibleby },
	{ "eq", test_eq },
	{ "equalto", test_eq },
	{ "even", test_even },
	{ "false", test_false },
	{ "float", test_float },
	{ "ge", test_ge },
	{ "greaterthan", test_gt },
	{ "gt", test_gt },
	{ "in", test_in },
	{ "integer", test_integer },
	{ "iterable", test_iterable },
	{ "le", test_le },
	{ "lessthan", test_lt },
	{ "lower", test_lower },
	{ "lt", test_lt },
	{ "mapping", test_mapping },
	{ "ne", test_ne },
	{ "none", test_none },
	{ "number", test_number },
	{ "odd", test_odd },
	{ "sameas", test_eq },
	{ "sequence", test_iterable },
	{ "string", test_string },
	{ "true", test_true },
	{ "undefined", test_undefined },
	{ "upper", test_upper },
};

int builtin_test(const struct text *name)
{
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		if (text_is(name, tests[i].name))
			return (int)i;
	}
	return -1;
}

enum rc builtin_call_test(struct eval *eval, unsigned index, struct value subject,
    const struct call_args *args, bool *out)
{
	return tests[index].call(eval, subject, args, out);
}
