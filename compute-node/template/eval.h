/*
 * Evaluation of a parsed template.
 *
 * One eval is one render: it belongs to one thread, counts its steps, and
 * everything it makes lives in its arena.
 */
#ifndef TEMPLATE_EVAL_H
#define TEMPLATE_EVAL_H

#include "base/errmsg.h"
#include "template/ast.h"

#define TEMPLATE_STEPS_MAX ((uint64_t)4000000)
#define TEMPLATE_CALLS_MAX 64 /* macros inside of macros */
#define TEMPLATE_OUTPUT_BYTES_MAX ((size_t)8 << 20)
#define TEMPLATE_RANGE_MAX ((int64_t)100000)

/* Names of one scope; loops and macros open their own. */
struct scope {
	struct value names; /* a map */
	struct scope *outer;
};

struct eval {
	struct arena *arena;
	struct scope *scope;
	struct scope *globals;
	struct text_builder *out;
	uint64_t steps;
	int calls; /* depth of macros and bodies */
	int64_t now_utc_ns;
	int32_t offset_s;
	unsigned line;
	struct value
	    hole;    /* subject of a filter chain without one ({% filter %}, {% set x | … %}) */
	bool raised; /* by raise_exception(): the template refused the chat */
	struct errmsg *why;
};

/* Render a body; appends to eval->out. */
enum rc eval_body(struct eval *eval, const struct node *body) RC_CHECK;

/* Value of an expression. */
enum rc eval_expr(struct eval *eval, const struct expr *expr, struct value *out) RC_CHECK;

/* a + b and so on (enum binary_op). */
enum rc eval_binary(
    struct eval *eval, unsigned op, struct value a, struct value b, struct value *out) RC_CHECK;

/* a.name / a["name"] as templates see it; UNDEFINED if it is not there. */
enum rc eval_attribute(
    struct eval *eval, struct value subject, const struct text *name, struct value *out) RC_CHECK;

/* The items a loop walks: a list itself, a map's keys, a text's characters. */
enum rc eval_items(struct eval *eval, struct value value, struct value *list) RC_CHECK;

struct call_args;
enum rc eval_call_macro(struct eval *eval, const struct macro *macro, const struct call_args *args,
    const struct macro *caller, struct value *out) RC_CHECK;

/* Count a step; RC_LIMIT past TEMPLATE_STEPS_MAX. */
enum rc eval_step(struct eval *eval) RC_CHECK;

/* "template line N: …" */
enum rc eval_fail(struct eval *eval, enum rc rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
