/*
 * Values of the chat-template interpreter.
 *
 * Everything lives in one arena of the render and is immutable once built,
 * but for lists and maps under construction and namespaces (which templates
 * assign to).  A text knows of each of its bytes whether it is trusted (came
 * from the template or the vocabulary) or not (came from a conversation): only
 * in trusted bytes does the tokenizer parse special tokens afterwards, so a
 * message that spells "<|im_end|>" cannot forge a turn.
 */
#ifndef TEMPLATE_VALUE_H
#define TEMPLATE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/rc.h"

enum value_kind {
	VALUE_UNDEFINED, /* a name or key that is not there; `hint` names it */
	VALUE_NONE,
	VALUE_BOOL,
	VALUE_INT,
	VALUE_REAL,
	VALUE_TEXT,
	VALUE_LIST,
	VALUE_MAP,       /* insertion order kept, text keys */
	VALUE_NAMESPACE, /* a map that templates assign to */
	VALUE_MACRO,
	VALUE_BUILTIN, /* a global function, by index */
};

struct text {
	const char *bytes; /* [len], NUL behind */
	size_t len;
	const uint8_t *trust; /* [len] 0 or 1; NULL: uniform */
	bool uniform;         /* all bytes trusted, if trust is NULL */
};

struct value {
	enum value_kind kind;
	union {
		bool boolean;
		int64_t integer;
		double real;
		const struct text *text;
		struct value_list *list;
		struct value_map *map;
		const struct macro *macro; /* eval.h */
		unsigned builtin;
		const char *hint; /* UNDEFINED: the name, for error texts */
	} u;
};

struct value_list {
	struct value *items; /* [len] */
	size_t len, cap;
};

struct value_pair {
	const struct text *key;
	struct value value;
};

struct value_map {
	struct value_pair *pairs; /* [len] */
	size_t len, cap;
};

/* Constructors; a NULL inside (arena full) is told by value_ok(). */
struct value value_undefined(const char *hint);
struct value value_none(void);
struct value value_bool(bool boolean);
struct value value_int(int64_t integer);
struct value value_real(double real);
struct value value_text(struct arena *arena, const char *bytes, size_t len, bool trusted);
struct value value_of_text(const struct text *text);
struct value value_list(struct arena *arena);
struct value value_map(struct arena *arena);
bool value_ok(struct value value);

/* Append / set; RC_NOMEM. */
enum rc value_push(struct arena *arena, struct value list, struct value item) RC_CHECK;
enum rc value_set(
    struct arena *arena, struct value map, const struct text *key, struct value value) RC_CHECK;
enum rc value_set_name(
    struct arena *arena, struct value map, const char *key, struct value value) RC_CHECK;

/* The value under a key, or NULL. */
const struct value *value_get(struct value map, const char *key, size_t len);

bool value_truthy(struct value value);
/* Equality as Python's: 1 == 1.0 == True, texts by bytes, deep for lists and maps
 * (to VALUE_DEPTH_MAX). */
bool value_equal(struct value a, struct value b);
/* <0, 0, >0; RC_INVALID if the kinds cannot be ordered. */
enum rc value_compare(struct value a, struct value b, int *out) RC_CHECK;

#define VALUE_DEPTH_MAX 64

/* What Python's str() gives, trust kept; NULL when the arena is full. */
const struct text *value_str(struct arena *arena, struct value value);
const char *value_kind_word(enum value_kind kind);

/* Texts.  NULL when the arena is full. */
bool text_trusted(const struct text *text, size_t at);
const struct text *text_new(struct arena *arena, const char *bytes, size_t len, bool trusted);
const struct text *text_slice(
    struct arena *arena, const struct text *text, size_t from, size_t len);
const struct text *text_concat(struct arena *arena, const struct text *a, const struct text *b);
bool text_is(const struct text *text, const char *word);
/* Offset of `needle` at or behind `from`; SIZE_MAX if there is none. */
size_t text_find(const struct text *text, const struct text *needle, size_t from);

/* Growing text with its trust, for renders and filters. */
struct text_builder {
	struct arena *arena;
	char *bytes;
	uint8_t *trust;
	size_t len, cap;
	size_t max; /* len beyond it fails */
	enum rc rc; /* RC_OK, RC_NOMEM, RC_LIMIT: sticks */
};
void text_builder_init(struct text_builder *builder, struct arena *arena, size_t max);
void text_builder_add(struct text_builder *builder, const struct text *text);
void text_builder_bytes(struct text_builder *builder, const char *bytes, size_t len, bool trusted);
const struct text *text_builder_text(struct text_builder *builder);

/* JSON (RFC 8259) as Python's json.dumps prints it with ensure_ascii off;
 * `indent` < 0: one line with ", " and ": ".  RC_LIMIT by depth, RC_INVALID for
 * macros and undefined. */
enum rc value_to_json(
    struct text_builder *out, struct value value, int indent, bool sort_keys) RC_CHECK;

#endif
