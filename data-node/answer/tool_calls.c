/* Tool calls: one reader for each way to write them. */
#include "answer/tool_calls.h"

#include <stdlib.h>
#include <string.h>

#include "answer/tool_calls_list.h"
#include "answer/tool_schema.h"

#define CALLS_MAX 128u
#define DS_BAR "\xef\xbd\x9c" /* ｜ */
#define DS_GAP "\xe2\x96\x81" /* ▁ */
#define DS_MARK(a, b, c) "<" DS_BAR a DS_GAP b DS_GAP c DS_BAR ">"

static const struct tool_marks marks[] = {
	{ .format = "hermes",
	    .form = TOOL_FORM_TAGS,
	    .open = { "<tool_call>" },
	    .close = "</tool_call>" },
	{ .format = "llama3",
	    .form = TOOL_FORM_LLAMA3,
	    .open = { "<|python_tag|>" },
	    .bare = true },
	{ .format = "mistral", .form = TOOL_FORM_MISTRAL, .open = { "[TOOL_CALLS]" } },
	{ .format = "deepseek",
	    .form = TOOL_FORM_DEEPSEEK,
	    .open = { DS_MARK("tool", "calls", "begin") },
	    .close = DS_MARK("tool", "calls", "end") },
	{ .format = "gemma4",
	    .form = TOOL_FORM_GEMMA,
	    .open = { "<|tool_call>" },
	    .close = "<tool_call|>" },
	{ .format = "harmony" }, /* headers of messages say it: output_harmony.c */
};

const struct tool_marks *tool_marks_of(const char *format)
{
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		if (strcmp(marks[i].format, format) == 0)
			return &marks[i];
	}
	return &marks[0];
}

/* ---- the list ---- */

void tool_calls_free(struct tool_calls *calls)
{
	if (calls == NULL)
		return;
	for (size_t i = 0; i < calls->len; i++) {
		free(calls->calls[i].name);
		free(calls->calls[i].arguments);
	}
	free(calls);
}

static struct tool_calls *list_new(void)
{
	return calloc(1, sizeof(struct tool_calls) + CALLS_MAX * sizeof(struct tool_call));
}

/* Not json_dumps(): its memory may be of another kind than free() takes. */
static char *write_object(const json_t *object)
{
	size_t len = json_dumpb(object, NULL, 0, JSON_COMPACT);
	char *text = malloc(len + 1);

	if (text == NULL || json_dumpb(object, text, len, JSON_COMPACT) != len) {
		free(text);
		return NULL;
	}
	text[len] = '\0';
	return text;
}

bool tool_calls_add(
    struct tool_calls *list, const char *name, size_t name_len, const json_t *arguments)
{
	json_t *opened = NULL;

	if (name_len == 0 || list->len == CALLS_MAX)
		return false;
	if (json_is_string(arguments)) {
		opened = json_loadb(json_string_value(arguments), json_string_length(arguments),
		    JSON_ALLOW_NUL, NULL);
		arguments = opened;
	}
	char *text = arguments == NULL || json_is_null(arguments) ? strdup("{}")
		     : json_is_object(arguments)                  ? write_object(arguments)
								  : NULL;
	char *copy = strndup(name, name_len);
	json_decref(opened);
	if (text == NULL || copy == NULL) {
		free(text);
		free(copy);
		return false;
	}
	list->calls[list->len++] = (struct tool_call){ copy, text };
	return true;
}

/* {"name":…, "arguments" or "parameters":…}, also within {"type":"function","function":…}. */
static bool add_object(struct tool_calls *list, const json_t *object)
{
	const json_t *inner = json_object_get(object, "function");
	const json_t *from = json_is_object(inner) ? inner : object;
	const json_t *name = json_object_get(from, "name");
	const json_t *arguments = json_object_get(from, "arguments");

	if (arguments == NULL)
		arguments = json_object_get(from, "parameters");
	return json_is_string(name) &&
	       tool_calls_add(list, json_string_value(name), json_string_length(name), arguments);
}

/* A JSON value at the front of the text; `*used` bytes of it. */
static json_t *take_json(const char *text, size_t len, size_t *used)
{
	json_error_t error;
	json_t *value = json_loadb(text, len, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, &error);

	*used = value == NULL ? 0 : (size_t)error.position;
	return value;
}

static const char *skip(const char *at, const char *end, const char *of)
{
	while (at < end && *at != '\0' && strchr(of, *at) != NULL)
		at++;
	return at;
}

static bool begins(const char *at, const char *end, const char *word)
{
	size_t len = strlen(word);

	return (size_t)(end - at) >= len && memcmp(at, word, len) == 0;
}

static const char *find(const char *at, const char *end, const char *word)
{
	return memmem(at, (size_t)(end - at), word, strlen(word));
}

/* ---- tags ---- */

/* How an argument is written: what stands before its name and its value, and behind them.  A
 * value may be framed by line feeds. */
struct tags {
	const char *name, *named, *value, *end;
	bool framed;
};

static const struct tags function_tags = { "<parameter=", ">", "", "</parameter>", true };
static const struct tags keyed_tags = { "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>",
	false };

struct argument {
	const char *name, *name_end;
	const char *value, *value_end; /* value_end NULL: it has no end yet */
	unsigned values;               /* tool_schema_values() */
};

/* The word of Python for a value that is no text, as templates may have written it. */
static json_t *open_word(const char *at, size_t len)
{
	static const struct {
		const char *word;
		json_t *(*make)(void);
	} words[] = { { "True", json_true }, { "False", json_false }, { "None", json_null } };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (len == strlen(words[i].word) && memcmp(at, words[i].word, len) == 0)
			return words[i].make();
	}
	return NULL;
}

static bool is_text(const struct argument *argument)
{
	return (argument->values & TOOL_VALUE_TEXT) != 0 &&
	       (argument->values & TOOL_VALUE_OTHER) == 0;
}

/* A text is what it is; else JSON where it is, or text without the line feeds that frame it. */
static json_t *open_value(const struct argument *argument, bool framed)
{
	const char *at = argument->value, *end = argument->value_end;
	const bool text = is_text(argument);
	json_t *value = NULL;

	if ((framed || !text) && at < end && *at == '\n')
		at++;
	if ((framed || !text) && end > at && end[-1] == '\n')
		end--;
	size_t len = (size_t)(end - at);
	if (!text)
		value = json_loadb(at, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	else if ((argument->values & TOOL_VALUE_NULL) != 0 && len == 4 &&
		 memcmp(at, "null", 4) == 0)
		value = json_null();
	if (value == NULL && (argument->values & TOOL_VALUE_OTHER) != 0)
		value = open_word(at, len);
	return value != NULL ? value : json_stringn(at, len);
}

/* Behind a value that is JSON, for sure; NULL: it is none, or not whole. */
static const char *json_end(const struct argument *argument, const char *end)
{
	json_error_t error;
	json_t *value = NULL;

	if ((argument->values & TOOL_VALUE_HELD) != 0 && !is_text(argument))
		value = json_loadb(argument->value, (size_t)(end - argument->value),
		    JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	if (value == NULL)
		return NULL;
	json_decref(value);
	return argument->value + error.position;
}

/* Where a value ends: JSON may hold in its texts what ends it. */
static const char *value_end(const struct argument *argument, const char *end, const char *mark)
{
	const char *behind = json_end(argument, end);

	behind = behind == NULL ? NULL : skip(behind, end, " \n\r\t");
	return behind != NULL && begins(behind, end, mark) ? behind
							   : find(argument->value, end, mark);
}

/* The next argument of the function from `at` on; false: there is none. */
static bool next_argument(const struct tags *tags, const struct tool_schema *tools,
    const char *function, size_t function_len, const char *at, const char *end,
    struct argument *out)
{
	const char *open = find(at, end, tags->name);

	*out = (struct argument){ .name = open };
	if (open == NULL)
		return false;
	out->name = open + strlen(tags->name);
	out->name_end = find(out->name, end, tags->named);
	if (out->name_end != NULL)
		out->value = find(out->name_end + strlen(tags->named), end, tags->value);
	if (out->value == NULL)
		return true;
	out->value += strlen(tags->value);
	out->values = tool_schema_values(
	    tools, function, function_len, out->name, (size_t)(out->name_end - out->name));
	out->value_end = value_end(out, end, tags->end);
	return true;
}

/* The name of a function, what its arguments are written with, and from where on; false: a
 * call that is not in tags. */
static bool look_at_tags(const char *at, const char *end, const struct tags **tags,
    const char **name, size_t *name_len, const char **behind)
{
	static const char front[] = "<function=";

	if (begins(at, end, "<tool_call>"))
		at += strlen("<tool_call>");
	at = skip(at, end, " \n\r\t");
	if (at == end || *at == '{')
		return false;
	*tags = begins(at, end, front) ? &function_tags : &keyed_tags;
	if (*tags == &function_tags)
		at += strlen(front);
	*name = at;
	*behind = find(at, end, *tags == &function_tags ? ">" : "<");
	if (*behind == NULL)
		*behind = end;
	*name_len = (size_t)(*behind - at);
	while (*name_len > 0 && strchr(" \n\r\t", at[*name_len - 1]) != NULL)
		(*name_len)--;
	return true;
}

static bool add_tagged(
    struct tool_calls *list, const struct tool_schema *tools, const char *at, const char *end)
{
	const struct tags *tags;
	const char *name;
	size_t len;
	struct argument argument;
	json_t *arguments = json_object();
	bool ok = look_at_tags(at, end, &tags, &name, &len, &at) && arguments != NULL &&
		  (tags == &keyed_tags || at < end) && memchr(name, '\n', len) == NULL;

	/* What follows a name without arguments is not one of them. */
	ok = ok && (tags == &function_tags || at == end || begins(at, end, tags->name));
	while (ok && next_argument(tags, tools, name, len, at, end, &argument)) {
		ok = argument.value_end != NULL && json_object_setn_new(arguments, argument.name,
						       (size_t)(argument.name_end - argument.name),
						       open_value(&argument, tags->framed)) == 0;
		if (ok)
			at = argument.value_end + strlen(tags->end);
	}
	ok = ok && tool_calls_add(list, name, len, arguments);
	json_decref(arguments);
	return ok;
}

static bool read_tags(
    struct tool_calls *list, const struct tool_schema *tools, const char *at, const char *end)
{
	static const char close[] = "</tool_call>", open[] = "<tool_call>";
	size_t used, len = strlen(close);

	if ((size_t)(end - at) >= len && memcmp(end - len, close, len) == 0)
		end -= len;
	const char *front = skip(begins(at, end, open) ? at + strlen(open) : at, end, " \n\r\t");
	if (front == end || *front != '{')
		return add_tagged(list, tools, at, end);
	json_t *value = take_json(front, (size_t)(end - front), &used);
	bool ok = value != NULL && add_object(list, value);
	json_decref(value);
	return ok;
}

/* ---- the others ---- */

/* JSON objects one behind another; anything between them makes it no call. */
static bool read_objects(struct tool_calls *list, const char *at, const char *end, bool one)
{
	bool ok = false;

	for (at = skip(at, end, " \n\r\t;"); at < end; at = skip(at, end, " \n\r\t;")) {
		size_t used;
		json_t *value = take_json(at, (size_t)(end - at), &used);

		ok = value != NULL && add_object(list, value) && (!one || list->len == 1);
		json_decref(value);
		if (!ok)
			return false;
		at += used;
	}
	return ok;
}

static bool read_llama(struct tool_calls *list, const char *at, const char *end)
{
	static const char tag[] = "<|python_tag|>";

	return read_objects(list, begins(at, end, tag) ? at + strlen(tag) : at, end, false);
}

/* Behind the mark an array of calls, or a name (and [CALL_ID] or [ARGS]) and its arguments. */
static bool read_mistral(struct tool_calls *list, const char *at, const char *end)
{
	static const char mark[] = "[TOOL_CALLS]";
	bool ok = false;

	while ((at = skip(at, end, " \n\r\t")) < end) {
		size_t used;

		if (begins(at, end, mark))
			at = skip(at + strlen(mark), end, " \n\r\t");
		if (at < end && *at == '[') {
			json_t *value = take_json(at, (size_t)(end - at), &used);

			ok = json_array_size(value) > 0;
			for (size_t i = 0; ok && i < json_array_size(value); i++)
				ok = add_object(list, json_array_get(value, i));
			json_decref(value);
		} else {
			const char *name = at, *open = find(at, end, "{");
			const char *name_end =
			    open == NULL ? NULL : memchr(at, '[', (size_t)(open - at));
			json_t *value =
			    open == NULL ? NULL : take_json(open, (size_t)(end - open), &used);

			name_end = name_end != NULL ? name_end : open;
			ok = value != NULL &&
			     tool_calls_add(list, name, (size_t)(name_end - name), value);
			json_decref(value);
			at = open;
		}
		if (!ok)
			return false;
		at += used;
	}
	return ok;
}

/* call-begin [function sep] NAME, then a fenced block or bare JSON, call-end. */
static bool read_deepseek(struct tool_calls *list, const char *at, const char *end)
{
	static const char begin[] = DS_MARK("tool", "call", "begin");
	static const char sep[] = "<" DS_BAR "tool" DS_GAP "sep" DS_BAR ">";
	bool ok = false;

	while ((at = find(at, end, begin)) != NULL) {
		const char *name = at + strlen(begin), *middle = find(name, end, sep);
		const char *open = middle == NULL ? NULL : find(middle, end, "{");
		size_t used = 0;

		if (open == NULL)
			return false;
		/* Unless a tool is called so. */
		const char *behind = skip(middle + strlen(sep), open, " \n\r\t");
		if (begins(name, end, "function") && name + strlen("function") == middle &&
		    behind < open)
			name = middle + strlen(sep);
		size_t len = 0;
		while (name + len < open && strchr("\n<", name[len]) == NULL)
			len++;
		json_t *value = take_json(open, (size_t)(end - open), &used);
		ok = value != NULL && tool_calls_add(list, name, len, value);
		json_decref(value);
		if (!ok)
			return false;
		at = open + used;
	}
	return ok;
}

/* ---- where they end ---- */

/* The text ends within a quoted text of JSON. */
static bool within_json(const char *at, const char *end)
{
	bool within = false;

	for (; at < end; at++) {
		if (within && *at == '\\')
			at++;
		else if (*at == '"')
			within = !within;
	}
	return within;
}

static bool within_tags(const struct tool_schema *tools, const char *at, const char *end)
{
	const struct tags *tags;
	const char *name;
	struct argument argument;
	size_t len;

	if (!look_at_tags(at, end, &tags, &name, &len, &at))
		return within_json(at, end);
	while (next_argument(tags, tools, name, len, at, end, &argument)) {
		const bool json = argument.value != NULL && !is_text(&argument) &&
				  (argument.values & TOOL_VALUE_HELD) != 0;

		if (json && json_end(&argument, end) == NULL && within_json(argument.value, end))
			return true;
		if (argument.value_end == NULL)
			return false;
		at = argument.value_end;
	}
	return false;
}

/* Arguments may hold the mark of a separator too: only what follows a whole one counts. */
static bool within_deepseek(const char *at, const char *end)
{
	static const char sep[] = "<" DS_BAR "tool" DS_GAP "sep" DS_BAR ">";

	while ((at = find(at, end, sep)) != NULL && (at = find(at, end, "{")) != NULL) {
		size_t used;
		json_t *value = take_json(at, (size_t)(end - at), &used);

		if (value == NULL)
			return within_json(at, end);
		json_decref(value);
		at += used;
	}
	return false;
}

bool tool_calls_within(
    enum tool_form form, const struct tool_schema *tools, const char *text, size_t len)
{
	const char *end = text + len;

	switch (form) {
	case TOOL_FORM_TAGS:
		return within_tags(tools, text, end);
	case TOOL_FORM_DEEPSEEK:
		return within_deepseek(text, end);
	case TOOL_FORM_GEMMA:
		return tool_calls_within_gemma(text, end);
	default:
		return within_json(text, end);
	}
}

struct tool_calls *tool_calls_parse(
    enum tool_form form, const struct tool_schema *tools, const char *text, size_t len)
{
	struct tool_calls *list = list_new();
	const char *end = text + len;
	bool ok = false;

	if (list == NULL)
		return NULL;
	switch (form) {
	case TOOL_FORM_TAGS:
		ok = read_tags(list, tools, text, end);
		break;
	case TOOL_FORM_LLAMA3:
		ok = read_llama(list, text, end);
		break;
	case TOOL_FORM_MISTRAL:
		ok = read_mistral(list, text, end);
		break;
	case TOOL_FORM_DEEPSEEK:
		ok = read_deepseek(list, text, end);
		break;
	case TOOL_FORM_GEMMA:
		ok = tool_calls_read_gemma(list, text, end);
		break;
	case TOOL_FORM_FORCED:
		ok = read_objects(list, text, end, true);
		break;
	}
	if (ok)
		return list;
	tool_calls_free(list);
	return NULL;
}

struct tool_calls *tool_calls_of(const char *name, const char *arguments, size_t len)
{
	struct tool_calls *list = list_new();
	json_t *object = json_loadb(arguments, len, JSON_ALLOW_NUL, NULL);
	bool ok = list != NULL && json_is_object(object) &&
		  tool_calls_add(list, name, strlen(name), object);

	json_decref(object);
	if (ok)
		return list;
	tool_calls_free(list);
	return NULL;
}
