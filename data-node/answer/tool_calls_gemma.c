/*
 * Gemma 4's calls: <|tool_call>call:NAME{key:value,…}<tool_call|>, where texts stand between
 * two <|"|> as they are, keys bare, and the rest is as in JSON.  Follows the published
 * description of its control tokens.
 */
#include <string.h>

#include "answer/tool_calls_list.h"

#define DEPTH_MAX                                                                                  \
	128 /* as deep as a schema can hold calls to: so many schemas, and anything below */
#define NAME_ENDS "{}[]():,<>\" \n\r\t"

struct reader {
	const char *at, *end;
	int depth;
};

static const char quote[] = "<|\"|>";

static void skip_blanks(struct reader *r)
{
	while (
	    r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t'))
		r->at++;
}

static bool take(struct reader *r, const char *word)
{
	size_t len = strlen(word);

	skip_blanks(r);
	if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0)
		return false;
	r->at += len;
	return true;
}

/* Up to a byte that no name has; 0: there is none. */
static size_t take_word(struct reader *r, const char **out)
{
	skip_blanks(r);
	*out = r->at;
	while (r->at < r->end && *r->at != '\0' && strchr(NAME_ENDS, *r->at) == NULL)
		r->at++;
	return (size_t)(r->at - *out);
}

/* Behind the quote that opens it. */
static size_t take_quoted(struct reader *r, const char **out)
{
	const char *close = memmem(r->at, (size_t)(r->end - r->at), quote, strlen(quote));

	*out = close == NULL ? NULL : r->at;
	if (close == NULL)
		return 0;
	r->at = close + strlen(quote);
	return (size_t)(close - *out);
}

static json_t *take_value(struct reader *r);

static json_t *take_list(struct reader *r)
{
	json_t *list = json_array();

	if (list == NULL || take(r, "]"))
		return list;
	do {
		if (json_array_append_new(list, take_value(r)) != 0)
			break;
		if (take(r, "]"))
			return list;
	} while (take(r, ","));
	json_decref(list);
	return NULL;
}

static json_t *take_object(struct reader *r)
{
	json_t *object = json_object();

	if (object == NULL || take(r, "}"))
		return object;
	do {
		const char *key;
		const bool quoted = take(r, quote);
		size_t len = quoted ? take_quoted(r, &key) : take_word(r, &key);

		if ((len == 0 && !(quoted && key != NULL)) || !take(r, ":") ||
		    json_object_setn_new(object, key, len, take_value(r)) != 0)
			break;
		if (take(r, "}"))
			return object;
	} while (take(r, ","));
	json_decref(object);
	return NULL;
}

/* Numbers, true, false, null, and texts that are quoted as in JSON. */
static json_t *take_json(struct reader *r)
{
	json_error_t error;
	json_t *value;

	if (take(r, "None")) /* as its template writes what is none */
		return json_null();
	value = json_loadb(r->at, (size_t)(r->end - r->at),
	    JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	r->at += value == NULL ? 0 : error.position;
	return value;
}

static json_t *take_value(struct reader *r)
{
	json_t *value = NULL;

	if (r->depth >= DEPTH_MAX)
		return NULL;
	r->depth++;
	if (take(r, quote)) {
		const char *text;
		size_t len = take_quoted(r, &text);

		value = text == NULL ? NULL : json_stringn(text, len);
	} else if (take(r, "{")) {
		value = take_object(r);
	} else if (take(r, "[")) {
		value = take_list(r);
	} else {
		value = take_json(r);
	}
	r->depth--;
	return value;
}

bool tool_calls_read_gemma(struct tool_calls *list, const char *at, const char *end)
{
	struct reader r = { .at = at, .end = end };
	bool ok = false;

	while (take(&r, "<|tool_call>")) {
		const char *name;
		size_t len = take(&r, "call:") ? take_word(&r, &name) : 0;
		json_t *arguments = len > 0 && take(&r, "{") ? take_object(&r) : NULL;

		ok = arguments != NULL && tool_calls_add(list, name, len, arguments);
		json_decref(arguments);
		if (!ok)
			return false;
		(void)take(&r, "<tool_call|>"); /* the answer may have ended before it */
	}
	skip_blanks(&r);
	return ok && r.at == r.end;
}

bool tool_calls_within_gemma(const char *at, const char *end)
{
	bool within = false;

	while ((at = memmem(at, (size_t)(end - at), quote, strlen(quote))) != NULL) {
		within = !within;
		at += strlen(quote);
	}
	return within;
}
