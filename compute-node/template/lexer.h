/*
 * Lexer of chat templates (the part of Jinja that published models use).
 *
 * The whitespace rules are those under which such templates are written:
 * trim_blocks and lstrip_blocks on, one trailing newline of the file dropped,
 * `-` and `+` marks honoured.  Pure; all tokens live in the arena.
 */
#ifndef TEMPLATE_LEXER_H
#define TEMPLATE_LEXER_H

#include "base/arena.h"
#include "base/errmsg.h"
#include "template/value.h"

#define TEMPLATE_TOKENS_MAX ((size_t)100000)

enum token_kind {
	TOKEN_DATA,        /* text between tags */
	TOKEN_PRINT_BEGIN, /* {{ */
	TOKEN_PRINT_END,
	TOKEN_BLOCK_BEGIN, /* {% */
	TOKEN_BLOCK_END,
	TOKEN_NAME,
	TOKEN_TEXT, /* a string literal, unescaped */
	TOKEN_INT,
	TOKEN_REAL,
	TOKEN_SIGN, /* operator or bracket, in `text` */
	TOKEN_END,
};

struct token {
	enum token_kind kind;
	const struct text *text; /* DATA, NAME, TEXT, SIGN */
	int64_t integer;
	double real;
	unsigned line;
};

/* RC_INVALID names the line; RC_LIMIT; RC_NOMEM. */
enum rc lexer_run(const char *source, size_t len, struct arena *arena, struct token **out,
    size_t *out_len, struct errmsg *why) RC_CHECK;

#endif
