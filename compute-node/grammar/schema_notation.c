/* Schema compiler: spellings, and texts and names that are not escaped. */
#include "grammar/notation.h"

#include <string.h>

#include "base/utf8.h"
#include "grammar/schema_impl.h"

#define CODE_POINT_MAX 0x10FFFFu
#define FACE_DEPTH_MAX 16
#define ASCII_MAX 0x7Fu

#define FUNCTION_END "</parameter>"
#define KEYED_END "</arg_value>"
#define CALL_END "</tool_call>"
#define GEMMA_QUOTE "<|\"|>"

const struct notation notations[NOTATION_N] = {
	[NOTATION_JSON] = { NOTATION_JSON, "{" BLANKS, "}", "", ":" BLANKS, BLANKS, "," BLANKS,
	    "\"", { NULL }, NULL, NULL, false },
	[NOTATION_GEMMA] = { NOTATION_GEMMA, "{" BLANKS, "}", "", ":" BLANKS, BLANKS, "," BLANKS,
	    MARK(GEMMA_QUOTE), { GEMMA_QUOTE }, NULL, NULL, false },
	[NOTATION_FUNCTION] = { NOTATION_FUNCTION, "", "", "<parameter=", ">\n",
	    "\n" MARK(FUNCTION_END) BLANKS, "", "", { FUNCTION_END, CALL_END },
	    &notations[NOTATION_FUNCTION_VALUE], &notations[NOTATION_JSON], false },
	[NOTATION_FUNCTION_VALUE] = { NOTATION_FUNCTION_VALUE, "", "", "", "", "", "", "",
	    { FUNCTION_END, CALL_END }, NULL, NULL, true },
	[NOTATION_KEYED] = { NOTATION_KEYED, "", "", MARK("<arg_key>"),
	    MARK("</arg_key>") BLANKS MARK("<arg_value>"), MARK(KEYED_END) BLANKS, "", "",
	    { KEYED_END, CALL_END }, &notations[NOTATION_KEYED_VALUE], &notations[NOTATION_JSON],
	    false },
	[NOTATION_KEYED_VALUE] = { NOTATION_KEYED_VALUE, "", "", "", "", "", "", "",
	    { KEYED_END, CALL_END }, NULL, NULL, true },
};

bool schema_escapes(const struct compiler *c)
{
	return c->notation->never[0] == NULL;
}

static void put_byte(struct compiler *c, uint16_t from, char byte, uint16_t to)
{
	builder_bytes(c->builder, from, (uint8_t)byte, (uint8_t)byte, to);
}

static void put_letters(struct compiler *c, uint16_t from, uint16_t to)
{
	for (int i = 0; i < NOTATION_LETTERS_N; i++) {
		uint16_t next = i + 1 == NOTATION_LETTERS_N ? to : builder_state(c->builder);

		builder_bytes(c->builder, from, '0', '9', next);
		builder_bytes(c->builder, from, 'A', 'Z', next);
		builder_bytes(c->builder, from, 'a', 'z', next);
		from = next;
	}
}

void schema_put_spelling(struct compiler *c, const char *spelling, uint16_t from, uint16_t to)
{
	if (*spelling == '\0')
		builder_empty(c->builder, from, to);
	while (*spelling != '\0') {
		const char *at = spelling;
		size_t len = *at == NOTATION_MARK ? strcspn(at + 1, MARK("")) + 2 : 1;

		spelling += len;
		uint16_t next = *spelling == '\0' ? to : builder_state(c->builder);
		if (*at == NOTATION_MARK)
			builder_mark(c->builder, from, at + 1, len - 2, next);
		else if (*at == NOTATION_BLANKS)
			schema_put_blanks(c, from, next);
		else if (*at == NOTATION_LETTERS)
			put_letters(c, from, next);
		else
			put_byte(c, from, *at, next);
		from = next;
	}
}

/* ---- texts as they are ---- */

void schema_put_plain(struct compiler *c, uint16_t from, uint32_t lo, uint32_t hi, uint16_t to)
{
	static const uint32_t parts[][2] = { { '\t', '\n' }, { '\r', '\r' }, { ' ', '<' - 1 },
		{ '<' + 1, CODE_POINT_MAX } };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		uint32_t first = lo > parts[i][0] ? lo : parts[i][0];
		uint32_t last = hi < parts[i][1] ? hi : parts[i][1];

		if (first <= last)
			builder_code_points(c->builder, from, first, last, to);
	}
}

void schema_put_behind_angle(struct compiler *c, uint16_t from, uint16_t to)
{
	const uint32_t second = (uint8_t)c->notation->never[0][1];

	schema_put_plain(c, from, 0, second - 1, to);
	schema_put_plain(c, from, second + 1, CODE_POINT_MAX, to);
}

/* A text that holds none of the words. */
struct free_text {
	const char *const *words; /* [NOTATION_NEVER_MAX] */
	uint16_t root, angle, to; /* behind none of their bytes; behind the first */
};

/* Which word begins with `len` bytes of `front` and goes on with `byte`; NULL: none. */
static const char *word_of(
    const struct free_text *text, const char *front, size_t len, char byte, bool *whole)
{
	const char *found = NULL;

	for (size_t i = 0; i < NOTATION_NEVER_MAX && text->words[i] != NULL; i++) {
		const char *word = text->words[i];

		if (strncmp(word, front, len) != 0 || word[len] != byte)
			continue;
		*whole = *whole || word[len + 1] == '\0';
		found = word;
	}
	return found;
}

/* `at`: behind the first `len` bytes of `front`, a word.  Its next byte leads on, but for the
 * last one; a < begins another, all else leads back. */
static void put_behind(
    struct compiler *c, const struct free_text *text, const char *front, size_t len, uint16_t at)
{
	uint32_t next_free = 0;

	put_byte(c, at, '<', text->angle);
	builder_empty(c->builder, at, text->to);
	for (uint32_t cp = 1; cp <= ASCII_MAX && len > 0; cp++) {
		bool whole = false;
		const char *word = word_of(text, front, len, (char)cp, &whole);

		if (word == NULL)
			continue;
		schema_put_plain(c, at, next_free, cp - 1, text->root);
		next_free = cp + 1;
		if (whole)
			continue;
		uint16_t down = builder_state(c->builder);
		put_byte(c, at, (char)cp, down);
		put_behind(c, text, word, len + 1, down);
	}
	schema_put_plain(c, at, next_free, CODE_POINT_MAX, text->root);
}

void schema_put_free(
    struct compiler *c, const char *const words[NOTATION_NEVER_MAX], uint16_t from, uint16_t to)
{
	const struct free_text text = { .words = words,
		.root = builder_state(c->builder),
		.angle = builder_state(c->builder),
		.to = to };

	builder_empty(c->builder, from, text.root);
	put_behind(c, &text, words[0], 0, text.root);
	put_behind(c, &text, words[0], 1, text.angle);
}

enum rc schema_check_plain(struct compiler *c, const struct text *text)
{
	for (size_t i = 0; i < text->len; i++) {
		if ((uint8_t)text->bytes[i] < ' ' && memchr("\t\n\r", text->bytes[i], 3) == NULL)
			return schema_fail(c, RC_UNSUPPORTED,
			    "calls of this model cannot hold a text with control characters");
	}
	for (size_t i = 0; i < NOTATION_NEVER_MAX && c->notation->never[i] != NULL; i++) {
		const char *word = c->notation->never[i];

		if (memmem(text->bytes, text->len, word, strlen(word)) != NULL)
			return schema_fail(c, RC_UNSUPPORTED,
			    "calls of this model cannot hold a text with %s in it", word);
	}
	return RC_OK;
}

/* ---- names ---- */

bool schema_is_word(const struct text *name)
{
	for (size_t i = 0; i < name->len; i++) {
		uint8_t byte = (uint8_t)name->bytes[i];

		if (byte <= ' ' || strchr("{}[]():,<>\"", byte) != NULL)
			return false;
	}
	return name->len > 0;
}

enum rc schema_put_bare_name(
    struct compiler *c, const struct text *name, uint16_t from, uint16_t to)
{
	const struct notation *n = c->notation;
	uint16_t open = builder_state(c->builder), close = builder_state(c->builder);
	const bool word = schema_is_word(name);
	/* Where texts are quoted, a name can be one too. */
	const bool quoted = !word && n->quote[0] != '\0';
	enum rc rc = RC_OK;

	if (memchr(name->bytes, '\0', name->len) != NULL || (!quoted && name->len == 0) ||
	    (!quoted && !word &&
		(memchr(name->bytes, '<', name->len) != NULL ||
		    memchr(name->bytes, '>', name->len) != NULL ||
		    memchr(name->bytes, '\n', name->len) != NULL)))
		return schema_fail(
		    c, RC_UNSUPPORTED, "calls of this model cannot hold a property of this name");
	schema_put_spelling(c, n->name, from, open);
	if (quoted) {
		uint16_t inside = builder_state(c->builder), end = builder_state(c->builder);

		rc = schema_check_plain(c, name);
		schema_put_spelling(c, n->quote, open, inside);
		builder_text(c->builder, inside, name->bytes, name->len, end);
		schema_put_spelling(c, n->quote, end, close);
	} else {
		builder_text(c->builder, open, name->bytes, name->len, close);
	}
	builder_empty(c->builder, close, to);
	return rc;
}

void schema_put_letter(struct compiler *c, uint16_t from, uint32_t lo, uint32_t hi, uint16_t to)
{
	static const uint32_t letters[][2] = { { '-', '.' }, { '0', '9' }, { 'A', 'Z' },
		{ '_', '_' }, { 'a', 'z' } };

	for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
		uint32_t first = lo > letters[i][0] ? lo : letters[i][0];
		uint32_t last = hi < letters[i][1] ? hi : letters[i][1];

		if (first <= last)
			builder_bytes(c->builder, from, (uint8_t)first, (uint8_t)last, to);
	}
}

/* ---- which values are texts ---- */

enum face { FACE_TEXT = 1, FACE_NULL = 2, FACE_OTHER = 4 };

static unsigned face_of(struct compiler *c, struct value schema, int depth);

static unsigned face_of_word(struct value word)
{
	return word.kind != VALUE_TEXT          ? FACE_OTHER
	       : text_is(word.u.text, "string") ? FACE_TEXT
	       : text_is(word.u.text, "null")   ? FACE_NULL
						: FACE_OTHER;
}

static unsigned face_of_value(struct value value)
{
	return value.kind == VALUE_TEXT   ? FACE_TEXT
	       : value.kind == VALUE_NONE ? FACE_NULL
					  : FACE_OTHER;
}

/* All that the items of a list, or one that is no list, show. */
static unsigned faces(struct value list, unsigned (*face)(struct value one))
{
	unsigned all = 0;

	if (list.kind != VALUE_LIST)
		return face(list);
	for (size_t i = 0; i < list.u.list->len; i++)
		all |= face(list.u.list->items[i]);
	return all;
}

static unsigned faces_of_choice(struct compiler *c, const struct value *choice, int depth)
{
	unsigned all = 0;

	if (choice->kind != VALUE_LIST)
		return FACE_OTHER;
	for (size_t i = 0; i < choice->u.list->len; i++)
		all |= face_of(c, choice->u.list->items[i], depth + 1);
	return all;
}

/* Of schemas that hold together one that shows no more than texts speaks for them. */
static unsigned face_of_all(struct compiler *c, const struct value *all, int depth)
{
	for (size_t i = 0; all->kind == VALUE_LIST && i < all->u.list->len; i++) {
		unsigned face = face_of(c, all->u.list->items[i], depth + 1);

		if ((face & FACE_OTHER) == 0)
			return face;
	}
	return FACE_OTHER;
}

static unsigned face_of_ref(struct compiler *c, const struct value *ref, int depth)
{
	const struct value *target = NULL;

	if (ref->kind != VALUE_TEXT || memchr(ref->u.text->bytes, '~', ref->u.text->len) != NULL ||
	    memchr(ref->u.text->bytes, '%', ref->u.text->len) != NULL ||
	    schema_resolve(c, ref->u.text, &target) != RC_OK)
		return FACE_OTHER;
	return face_of(c, *target, depth + 1);
}

static unsigned face_of(struct compiler *c, struct value schema, int depth)
{
	const struct value *found, *nullable;
	unsigned face = FACE_OTHER;

	if (schema.kind != VALUE_MAP || depth > FACE_DEPTH_MAX || ++c->steps > SCHEMA_STEPS_MAX)
		return FACE_OTHER;
	if ((found = schema_get(schema, "type")) != NULL)
		face = faces(*found, face_of_word);
	else if ((found = schema_get(schema, "enum")) != NULL)
		face = faces(*found, face_of_value);
	else if ((found = schema_get(schema, "const")) != NULL)
		face = face_of_value(*found);
	else if ((found = schema_get(schema, "$ref")) != NULL)
		face = face_of_ref(c, found, depth);
	else if ((found = schema_get(schema, "allOf")) != NULL)
		face = face_of_all(c, found, depth);
	else if ((found = schema_get(schema, "anyOf")) != NULL ||
		 (found = schema_get(schema, "oneOf")) != NULL)
		face = faces_of_choice(c, found, depth);
	nullable = schema_get(schema, "nullable");
	return face | (nullable != NULL && value_truthy(*nullable) ? FACE_NULL : 0u);
}

const struct notation *schema_notation_of(struct compiler *c, struct value schema)
{
	const struct notation *n = c->notation;
	unsigned face = n->text == NULL ? 0 : face_of(c, schema, 0);

	if (n->text == NULL)
		return n;
	return (face & FACE_TEXT) != 0 && (face & FACE_OTHER) == 0 ? n->text : n->other;
}
