/* Tool calls: one reader for each way to write them. */
#include "answer/tool_calls.h"

#include <stdlib.h>
#include <string.h>

#include "answer/tool_calls_list.h"

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

/* A value that stands between tags: JSON where it is, else text without the line feeds that
 * frame it. */
static json_t *open_value(const char *at, const char *end)
{
	if (at < end && *at == '\n')
		at++;
	if (end > at && end[-1] == '\n')
		end--;
	json_t *value = json_loadb(at, (size_t)(end - at), JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	return value != NULL ? value : json_stringn(at, (size_t)(end - at));
}

/* <function=NAME><parameter=KEY>value</parameter>…</function> */
static bool add_function(struct tool_calls *list, const char *at, const char *end)
{
	const char *name = at + strlen("<function="), *close = find(name, end, ">");
	json_t *arguments = json_object();
	bool ok = close != NULL && arguments != NULL;

	for (at = close; ok && (at = find(at, end, "<parameter=")) != NULL;) {
		const char *key = at + strlen("<parameter="), *key_end = find(key, end, ">");
		const char *value_end = key_end == NULL ? NULL : find(key_end, end, "</parameter>");

		ok = value_end != NULL &&
		     json_object_setn_new(arguments, key, (size_t)(key_end - key),
			 open_value(key_end + 1, value_end)) == 0;
		at = value_end;
	}
	ok = ok && tool_calls_add(list, name, (size_t)(close - name), arguments);
	json_decref(arguments);
	return ok;
}

/* NAME <arg_key>KEY</arg_key> <arg_value>value</arg_value>… */
static bool add_keyed(struct tool_calls *list, const char *at, const char *end)
{
	const char *first = find(at, end, "<arg_key>"), *name_end = first == NULL ? end : first;
	json_t *arguments = json_object();
	bool ok = arguments != NULL;

	while (name_end > at && strchr(" \n\r\t", name_end[-1]) != NULL)
		name_end--;
	if (memchr(at, '<', (size_t)(name_end - at)) != NULL ||
	    memchr(at, '\n', (size_t)(name_end - at)) != NULL)
		ok = false;
	for (const char *key = first; ok && key != NULL; key = find(key, end, "<arg_key>")) {
		const char *from = key + strlen("<arg_key>"), *to = find(from, end, "</arg_key>");
		const char *value = to == NULL ? NULL : find(to, end, "<arg_value>");
		const char *value_end = value == NULL ? NULL : find(value, end, "</arg_value>");

		ok = value_end != NULL &&
		     json_object_setn_new(arguments, from, (size_t)(to - from),
			 open_value(value + strlen("<arg_value>"), value_end)) == 0;
		key = value_end;
		if (!ok)
			break;
	}
	ok = ok && tool_calls_add(list, at, (size_t)(name_end - at), arguments);
	json_decref(arguments);
	return ok;
}

static bool read_tags(struct tool_calls *list, const char *at, const char *end)
{
	const char *close = find(at, end, "</tool_call>");
	size_t used;

	if (begins(at, end, "<tool_call>"))
		at += strlen("<tool_call>");
	at = skip(at, end, " \n\r\t");
	end = close != NULL ? close : end;
	if (begins(at, end, "<function="))
		return add_function(list, at, end);
	if (at < end && *at != '{')
		return add_keyed(list, at, end);
	json_t *value = take_json(at, (size_t)(end - at), &used);
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
		if (begins(name, end, "function") && name + strlen("function") == middle)
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

struct tool_calls *tool_calls_parse(enum tool_form form, const char *text, size_t len)
{
	struct tool_calls *list = list_new();
	const char *end = text + len;
	bool ok = false;

	if (list == NULL)
		return NULL;
	switch (form) {
	case TOOL_FORM_TAGS:
		ok = read_tags(list, text, end);
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
