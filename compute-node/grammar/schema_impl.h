/*
 * The inside of the schema compiler, for schema*.c, pattern.c and calls.c only.
 *
 * Each put_ function lays a part of the automaton between two states that are there.
 * A full builder is found out at the next schema_put(), so they return nothing or what
 * is wrong with the schema.
 */
#ifndef GRAMMAR_SCHEMA_IMPL_H
#define GRAMMAR_SCHEMA_IMPL_H

#include "base/arena.h"
#include "grammar/automaton.h"
#include "grammar/notation.h"
#include "grammar/schema.h"
#include "template/value.h"

#define SCHEMA_PATH_BYTES 160
#define SCHEMA_WORK_BYTES_MAX ((size_t)8 << 20)

/* Parts of the automaton that are called from many places; 0: not there yet. */
enum shared {
	SHARED_BLANKS,
	SHARED_CHARACTER,    /* one of a text, escaped or not; one that is not escaped is no < */
	SHARED_BEHIND_ANGLE, /* one behind a <, where texts are not escaped */
	SHARED_TEXT,
	SHARED_NAME, /* any, of a property */
	SHARED_INTEGER,
	SHARED_NUMBER,
	SHARED_ANY,
	SHARED_ANY_OBJECT,
	SHARED_N,
};

/* A schema that is called: where some $ref leads, or the items of an array. */
struct rule {
	struct rule *next;
	const struct value *schema; /* as it stands in the tree */
	const struct notation *notation;
	uint16_t start, end;
	bool done;
	char path[SCHEMA_PATH_BYTES];
};

struct compiler {
	struct builder *builder;
	struct arena arena;
	const struct value *root; /* where references begin; a rule is known by its address */
	struct rule *rules;       /* newest first */
	const struct notation *notation; /* of the value that is laid down */
	uint16_t shared[NOTATION_N][SHARED_N];
	char path[SCHEMA_PATH_BYTES];
	size_t path_len;
	unsigned depth, steps;
	struct errmsg *why;
};

/* ---- schema.c ---- */

/* RC_INVALID and its like, with the place before the words. */
enum rc schema_fail(struct compiler *c, enum rc rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Go down to `name` (and back to what schema_enter() returned). */
size_t schema_enter(struct compiler *c, const char *name, size_t len);
void schema_leave(struct compiler *c, size_t path_len);

enum rc schema_put(struct compiler *c, struct value schema, uint16_t from, uint16_t to) RC_CHECK;

/* The keyword's value, or NULL. */
const struct value *schema_get(struct value schema, const char *keyword);

/* A count in [0, SCHEMA_COUNT_MAX]; `*out` is untouched where there is none. */
enum rc schema_get_count(
    struct compiler *c, struct value schema, const char *keyword, long *out) RC_CHECK;

/* A rule for a schema that stays in the arena; compiled later. */
enum rc schema_rule(struct compiler *c, const struct value *schema, uint16_t *start) RC_CHECK;

/* Rules that were made and are not compiled yet: their references lead from c->root. */
enum rc schema_compile_rules(struct compiler *c) RC_CHECK;

/* The whole: schema_finish() follows in any case, with what became of the work between. */
enum rc schema_begin(struct compiler *c, struct errmsg *why) RC_CHECK;
enum rc schema_finish(struct compiler *c, enum rc rc, uint16_t start, struct automaton **out,
    struct errmsg *why) RC_CHECK;

/* ---- schema_object.c ---- */

enum rc schema_put_object(
    struct compiler *c, struct value schema, uint16_t from, uint16_t to) RC_CHECK;
enum rc schema_put_array(
    struct compiler *c, struct value schema, uint16_t from, uint16_t to) RC_CHECK;

/* ---- schema_merge.c ---- */

enum schema_type {
	TYPE_NULL = 1,
	TYPE_BOOLEAN = 2,
	TYPE_INTEGER = 4,
	TYPE_NUMBER = 8, /* integers among them: then INTEGER is set too */
	TYPE_STRING = 16,
	TYPE_ARRAY = 32,
	TYPE_OBJECT = 64,
	TYPE_ALL = 127,
};

/* The types that a schema allows, said or inferred. */
enum rc schema_types(struct compiler *c, struct value schema, unsigned *out) RC_CHECK;

/* Where a $ref leads. */
enum rc schema_resolve(
    struct compiler *c, const struct text *ref, const struct value **out) RC_CHECK;

/* The same schema without $ref and allOf on its first level; false for one that allows
 * nothing. */
enum rc schema_flatten(struct compiler *c, struct value schema, struct value *out) RC_CHECK;

/* What both allow, as one schema. */
enum rc schema_merge(
    struct compiler *c, struct value a, struct value b, struct value *out) RC_CHECK;

/* Can no value be of both?  False where that is not plain to see. */
enum rc schema_apart(struct compiler *c, struct value a, struct value b, bool *out) RC_CHECK;

/* Copy of a map without one key; undefined on no memory. */
struct value schema_without(struct compiler *c, struct value map, const char *key);

/* ---- schema_notation.c ---- */

/* Texts are escaped, as in JSON. */
bool schema_escapes(const struct compiler *c);

void schema_put_spelling(struct compiler *c, const char *spelling, uint16_t from, uint16_t to);

/* A text as it stands, which holds none of the words; the second is NULL where there is one. */
void schema_put_free(
    struct compiler *c, const char *const words[NOTATION_NEVER_MAX], uint16_t from, uint16_t to);

/* Of [lo, hi] what a text that is not escaped may hold, without <; and behind one what begins
 * no mark. */
void schema_put_plain(struct compiler *c, uint16_t from, uint32_t lo, uint32_t hi, uint16_t to);
void schema_put_behind_angle(struct compiler *c, uint16_t from, uint16_t to);

/* A text that is spelled out and not escaped holds no mark. */
enum rc schema_check_plain(struct compiler *c, const struct text *text) RC_CHECK;

/* It can stand as a name without quotes, in each notation. */
bool schema_is_word(const struct text *name);

/* A property's name that is not escaped; letters of one that is not known. */
enum rc schema_put_bare_name(
    struct compiler *c, const struct text *name, uint16_t from, uint16_t to) RC_CHECK;
void schema_put_letter(struct compiler *c, uint16_t from, uint32_t lo, uint32_t hi, uint16_t to);

/* Of a property's value: data-node/answer/tool_schema.c tells the same of a schema. */
const struct notation *schema_notation_of(struct compiler *c, struct value schema);

/* ---- schema_text.c ---- */

uint16_t schema_shared(struct compiler *c, enum shared which);
void schema_put_blanks(struct compiler *c, uint16_t from, uint16_t to);
enum rc schema_put_string(
    struct compiler *c, struct value schema, uint16_t from, uint16_t to) RC_CHECK;

/* Code points of [lo, hi] in a text, escaped only where they must be. */
void schema_put_range(struct compiler *c, uint16_t from, uint32_t lo, uint32_t hi, uint16_t to);

/* A property's name that is known, with its quotes where it has some. */
enum rc schema_put_name(
    struct compiler *c, const struct text *name, uint16_t from, uint16_t to) RC_CHECK;
/* Any name but those of `names` (a map's keys). */
enum rc schema_put_other_name(
    struct compiler *c, struct value names, uint16_t from, uint16_t to) RC_CHECK;

/* One of the values of a list. */
enum rc schema_put_literals(
    struct compiler *c, struct value values, uint16_t from, uint16_t to) RC_CHECK;

/* ---- schema_number.c ---- */

enum rc schema_put_number(
    struct compiler *c, struct value schema, bool integer, uint16_t from, uint16_t to) RC_CHECK;
void schema_put_integer_any(struct compiler *c, uint16_t from, uint16_t to);
void schema_put_number_any(struct compiler *c, uint16_t from, uint16_t to);

/* ---- pattern.c ---- */

/* Texts, without their quotes, that a regular expression finds itself in. */
enum rc pattern_put(
    struct compiler *c, const char *pattern, size_t len, uint16_t from, uint16_t to) RC_CHECK;

#endif
