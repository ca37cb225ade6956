/*
 * Syntax tree of a chat template.  Built once by parser.c in the template's own
 * arena, read-only afterwards.
 */
#ifndef TEMPLATE_AST_H
#define TEMPLATE_AST_H

#include "template/value.h"

enum expr_kind {
	EXPR_CONST,
	EXPR_NAME,
	EXPR_LIST,   /* also tuples */
	EXPR_MAP,    /* items: key, value, key, value … */
	EXPR_ATTR,   /* a.name */
	EXPR_INDEX,  /* a[b] */
	EXPR_SLICE,  /* a[items[0]:items[1]:items[2]], absent ones NULL */
	EXPR_CALL,   /* a(items…, named…) */
	EXPR_METHOD, /* a.name(items…, named…); index in `op` */
	EXPR_FILTER, /* a | name(items…); index in `op` */
	EXPR_TEST,   /* a is name(items…); index in `op` */
	EXPR_NOT,
	EXPR_NEGATE,
	EXPR_BINARY, /* a op b */
	EXPR_AND,
	EXPR_OR,
	EXPR_CHOICE, /* a if b else c */
};

enum binary_op {
	OP_ADD,
	OP_SUB,
	OP_MUL,
	OP_DIV,
	OP_FLOOR_DIV,
	OP_MOD,
	OP_POW,
	OP_CONCAT,
	OP_EQ,
	OP_NE,
	OP_LT,
	OP_LE,
	OP_GT,
	OP_GE,
	OP_IN,
	OP_NOT_IN,
};

struct expr_named {
	const struct text *name;
	struct expr *value;
};

struct expr {
	enum expr_kind kind;
	unsigned line;
	unsigned op;             /* binary_op, filter, test or method index */
	struct value constant;   /* CONST */
	const struct text *name; /* NAME, ATTR */
	struct expr *a, *b, *c;
	struct expr **items; /* [items_len] */
	size_t items_len;
	struct expr_named *named; /* [named_len] */
	size_t named_len;
};

enum node_kind {
	NODE_TEXT,
	NODE_PRINT,
	NODE_IF,       /* expr, body, otherwise (elif is a nested if) */
	NODE_FOR,      /* targets in expr, filter, body, otherwise */
	NODE_SET,      /* targets = expr */
	NODE_SET_BODY, /* target = rendered body, filtered by filter */
	NODE_SET_ATTR, /* names[0].names[1] = expr */
	NODE_MACRO,
	NODE_CALL,   /* {% call %}: expr with the body as caller() */
	NODE_FILTER, /* {% filter %}: body through `expr` (its `a` is NULL) */
	NODE_BLOCK,  /* the body as it is ({% generation %}) */
	NODE_DO,
	NODE_BREAK,
	NODE_CONTINUE,
};

struct macro {
	const struct text *name;
	const struct text **params; /* [params_len] */
	struct expr **defaults;     /* [params_len], NULL for none */
	size_t params_len;
	struct node *body;
};

struct node {
	enum node_kind kind;
	unsigned line;
	struct node *next;
	const struct text *text;
	struct expr *expr;
	struct expr *filter;
	const struct text **names; /* [names_len]: targets */
	size_t names_len;
	struct node *body, *otherwise;
	struct macro *macro;
};

#endif
