/*
 * What chat templates may call: filters, tests, methods and global functions.
 *
 * Each is one row of a table, found by name at load and called by index at
 * render.  All results live in the render's arena.
 */
#ifndef TEMPLATE_BUILTINS_H
#define TEMPLATE_BUILTINS_H

#include "template/eval.h"

/* Index of a name, -1 if it is not known. */
int builtin_filter(const struct text *name);
int builtin_test(const struct text *name);
int builtin_method(const struct text *name);
int builtin_global(const struct text *name);

/* Arguments of a call, evaluated. */
struct call_args {
	const struct value *items; /* [len] */
	size_t len;
	const struct text *const *names; /* [named_len] */
	const struct value *named;       /* [named_len] */
	size_t named_len;
};

/* Positional argument `at`, else the one named `name`, else NULL. */
const struct value *call_arg(const struct call_args *args, size_t at, const char *name);

enum rc builtin_call_filter(struct eval *eval, unsigned index, struct value subject,
    const struct call_args *args, struct value *out) RC_CHECK;
enum rc builtin_call_test(struct eval *eval, unsigned index, struct value subject,
    const struct call_args *args, bool *out) RC_CHECK;
enum rc builtin_call_method(struct eval *eval, unsigned index, struct value subject,
    const struct call_args *args, struct value *out) RC_CHECK;
enum rc builtin_call_global(
    struct eval *eval, unsigned index, const struct call_args *args, struct value *out) RC_CHECK;

/* Python's trim of blanks, or of the characters in `chars` (may be NULL). */
const struct text *builtin_trim(
    struct arena *arena, const struct text *text, const struct text *chars, bool left, bool right);

#endif
