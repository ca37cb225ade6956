/* Methods (`x.name(…)`) of chat templates: those of Python's str, dict and list. */
#include <string.h>

#include "template/builtins.h"

typedef enum rc method_fn(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out);

static enum rc done(struct value value, struct value *out)
{
	*out = value;
	return value_ok(value) ? RC_OK : RC_NOMEM;
}

static const struct text *text_arg(const struct call_args *args, size_t at)
{
	return at < args->len && args->items[at].kind == VALUE_TEXT ? args->items[at].u.text : NULL;
}

static enum rc need_text(struct eval *e, struct value subject, const char *method)
{
	if (subject.kind == VALUE_TEXT)
		return RC_OK;
	return eval_fail(e, RC_INVALID, ".%s() of %s", method, value_kind_word(subject.kind));
}

/* Run the filter of the same meaning. */
static enum rc by_filter(struct eval *e, const char *name, struct value subject,
    const struct call_args *args, struct value *out)
{
	const struct text text = { .bytes = name, .len = strlen(name) };

	return builtin_call_filter(e, (unsigned)builtin_filter(&text), subject, args, out);
}

/* ---- texts ---- */

static enum rc strip(struct eval *e, struct value subject, const struct call_args *args, bool left,
    bool right, struct value *out)
{
	enum rc rc = need_text(e, subject, "strip");

	if (rc != RC_OK)
		return rc;
	return done(
	    value_of_text(builtin_trim(e->arena, subject.u.text, text_arg(args, 0), left, right)),
	    out);
}

static enum rc method_strip(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	return strip(e, subject, args, true, true, out);
}

static enum rc method_lstrip(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	return strip(e, subject, args, true, false, out);
}

static enum rc method_rstrip(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	return strip(e, subject, args, false, true, out);
}

static enum rc push_slice(
    struct eval *e, struct value list, const struct text *text, size_t from, size_t to)
{
	enum rc rc = eval_step(e);

	if (rc != RC_OK)
		return rc;
	return value_push(
	    e->arena, list, value_of_text(text_slice(e->arena, text, from, to - from)));
}

static bool blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* split() without a separator: at runs of blanks, none at the ends. */
static enum rc split_blanks(struct eval *e, const struct text *text, int64_t max, struct value list)
{
	enum rc rc = RC_OK;
	size_t at = 0;

	while (rc == RC_OK) {
		while (at < text->len && blank(text->bytes[at]))
			at++;
		if (at == text->len)
			break;
		size_t end = at;
		if (max-- == 0) {
			end = text->len;
			while (blank(text->bytes[end - 1]))
				end--;
			return push_slice(e, list, text, at, end);
		}
		while (end < text->len && !blank(text->bytes[end]))
			end++;
		rc = push_slice(e, list, text, at, end);
		at = end;
	}
	return rc;
}

static enum rc split_at(
    struct eval *e, const struct text *text, const struct text *by, int64_t max, struct value list)
{
	enum rc rc = RC_OK;
	size_t at = 0;

	if (by->len == 0)
		return eval_fail(e, RC_INVALID, "split at an empty string");
	while (rc == RC_OK) {
		size_t found = max-- == 0 ? SIZE_MAX : text_find(text, by, at);
		if (found == SIZE_MAX)
			return push_slice(e, list, text, at, text->len);
		rc = push_slice(e, list, text, at, found);
		at = found + by->len;
	}
	return rc;
}

static enum rc method_split(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	const struct value *count = call_arg(args, 1, "maxsplit");
	enum rc rc = need_text(e, subject, "split");

	if (rc != RC_OK)
		return rc;
	int64_t max = count != NULL && count->kind == VALUE_INT ? count->u.integer : -1;
	const struct text *by = text_arg(args, 0);
	*out = value_list(e->arena);
	return by == NULL ? split_blanks(e, subject.u.text, max, *out)
			  : split_at(e, subject.u.text, by, max, *out);
}

/* Splits from the right; without a count it is split(). */
static enum rc method_rsplit(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	const struct value *count = call_arg(args, 1, "maxsplit");
	const struct text *by = text_arg(args, 0);

	if (count == NULL || count->kind != VALUE_INT || count->u.integer < 0)
		return method_split(e, subject, args, out);
	if (by == NULL)
		return eval_fail(e, RC_UNSUPPORTED, "rsplit at blanks with a count");
	struct call_args all = { .items = args->items, .len = 1 };
	struct value parts;
	enum rc rc = method_split(e, subject, &all, &parts);
	if (rc != RC_OK)
		return rc;
	size_t n = parts.u.list->len;
	size_t keep = (uint64_t)count->u.integer < n - 1 ? (size_t)count->u.integer : n - 1;
	struct value head = value_list(e->arena);
	for (size_t i = 0; i < n - keep && rc == RC_OK; i++)
		rc = value_push(e->arena, head, parts.u.list->items[i]);
	struct value joined;
	if (rc == RC_OK)
		rc = by_filter(e, "join", head, &all, &joined);
	*out = value_list(e->arena);
	if (rc == RC_OK)
		rc = value_push(e->arena, *out, joined);
	for (size_t i = n - keep; i < n && rc == RC_OK; i++)
		rc = value_push(e->arena, *out, parts.u.list->items[i]);
	return rc;
}

static enum rc method_splitlines(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	enum rc rc = need_text(e, subject, "splitlines");

	(void)args;
	*out = value_list(e->arena);
	if (rc != RC_OK)
		return rc;
	const struct text *text = subject.u.text;
	for (size_t at = 0; at < text->len && rc == RC_OK;) {
		size_t end = at;
		while (end < text->len && text->bytes[end] != '\n' && text->bytes[end] != '\r')
			end++;
		rc = push_slice(e, *out, text, at, end);
		bool pair =
		    end + 1 < text->len && text->bytes[end] == '\r' && text->bytes[end + 1] == '\n';
		at = end + (pair ? 2 : 1);
	}
	return rc;
}

static bool has_affix(const struct text *text, const struct text *affix, bool end)
{
	return affix->len <= text->len && memcmp(text->bytes + (end ? text->len - affix->len : 0),
					      affix->bytes, affix->len) == 0;
}

/* startswith and endswith take one text or a tuple of them. */
static enum rc affix_test(
    struct eval *e, struct value subject, const struct call_args *args, bool end, struct value *out)
{
	enum rc rc = need_text(e, subject, end ? "endswith" : "startswith");
	bool found = false;

	if (rc != RC_OK)
		return rc;
	if (args->len < 1)
		return eval_fail(e, RC_INVALID, "missing argument");
	if (args->items[0].kind == VALUE_LIST) {
		const struct value_list *list = args->items[0].u.list;
		for (size_t i = 0; i < list->len && !found; i++)
			found = list->items[i].kind == VALUE_TEXT &&
				has_affix(subject.u.text, list->items[i].u.text, end);
	} else if (args->items[0].kind == VALUE_TEXT) {
		found = has_affix(subject.u.text, args->items[0].u.text, end);
	}
	*out = value_bool(found);
	return RC_OK;
}

static enum rc method_startswith(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	return affix_test(e, subject, args, false, out);
}

static enum rc method_endswith(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	return affix_test(e, subject, args, true, out);
}

static enum rc remove_affix(
    struct eval *e, struct value subject, const struct call_args *args, bool end, struct value *out)
{
	const struct text *affix = text_arg(args, 0);
	enum rc rc = need_text(e, subject, "removeprefix");

	if (rc != RC_OK)
		return rc;
	const struct text *text = subject.u.text;
	*out = subject;
	if (affix == NULL || !has_affix(text, affix, end))
		return RC_OK;
	return done(
	    value_of_text(text_slice(e->arena, text, end ? 0 : affix->len, text->len - affix->len)),
	    out);
}

static enum rc method_removeprefix(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	return remove_affix(e, subject, args, false, out);
}

static enum rc method_removesuffix(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	return remove_affix(e, subject, args, true, out);
}

static enum rc method_find(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	const struct text *needle = text_arg(args, 0);
	enum rc rc = need_text(e, subject, "find");

	if (rc != RC_OK || needle == NULL)
		return rc != RC_OK ? rc : eval_fail(e, RC_INVALID, "missing argument");
	size_t at = text_find(subject.u.text, needle, 0);
	*out = value_int(at == SIZE_MAX ? -1 : (int64_t)at);
	return RC_OK;
}

static enum rc method_count(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	int64_t n = 0;

	if (args->len < 1)
		return eval_fail(e, RC_INVALID, "missing argument");
	if (subject.kind == VALUE_LIST) {
		for (size_t i = 0; i < subject.u.list->len; i++)
			n += value_equal(subject.u.list->items[i], args->items[0]);
	} else {
		const struct text *needle = text_arg(args, 0);
		enum rc rc = need_text(e, subject, "count");
		if (rc != RC_OK || needle == NULL || needle->len == 0)
			return rc != RC_OK ? rc : eval_fail(e, RC_INVALID, "count of nothing");
		for (size_t at = text_find(subject.u.text, needle, 0); at != SIZE_MAX;
		     at = text_find(subject.u.text, needle, at + needle->len))
			n++;
	}
	*out = value_int(n);
	return RC_OK;
}

static enum rc method_join(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	const struct call_args between = { .items = &subject, .len = 1 };

	if (args->len != 1)
		return eval_fail(e, RC_INVALID, "join needs one argument");
	return by_filter(e, "join", args->items[0], &between, out);
}

static enum rc all_chars(struct eval *e, struct value subject, const char *method, bool digits,
    bool letters, struct value *out)
{
	enum rc rc = need_text(e, subject, method);

	if (rc != RC_OK)
		return rc;
	bool all = subject.u.text->len > 0;
	for (size_t i = 0; all && i < subject.u.text->len; i++) {
		char c = subject.u.text->bytes[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		all = (digits && c >= '0' && c <= '9') || (letters && letter) ||
		      (!digits && !letters && blank(c));
	}
	*out = value_bool(all);
	return RC_OK;
}

static enum rc method_isdigit(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	(void)args;
	return all_chars(e, subject, "isdigit", true, false, out);
}

static enum rc method_isalpha(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	(void)args;
	return all_chars(e, subject, "isalpha", false, true, out);
}

static enum rc method_isalnum(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	(void)args;
	return all_chars(e, subject, "isalnum", true, true, out);
}

static enum rc method_isspace(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	(void)args;
	return all_chars(e, subject, "isspace", false, false, out);
}

#define TEXT_METHOD(name)                                                                          \
	static enum rc method_##name(                                                              \
	    struct eval *e, struct value subject, const struct call_args *args, struct value *out) \
	{                                                                                          \
		enum rc rc = need_text(e, subject, #name);                                         \
		return rc == RC_OK ? by_filter(e, #name, subject, args, out) : rc;                 \
	}
TEXT_METHOD(upper)
TEXT_METHOD(lower)
TEXT_METHOD(title)
TEXT_METHOD(capitalize)
TEXT_METHOD(replace)

/* ---- maps ---- */

static enum rc need_map(struct eval *e, struct value subject, const char *method)
{
	if (subject.kind == VALUE_MAP)
		return RC_OK;
	if (subject.kind == VALUE_UNDEFINED)
		return eval_fail(e, RC_INVALID, "%.40s is undefined",
		    subject.u.hint != NULL ? subject.u.hint : "value");
	return eval_fail(e, RC_INVALID, ".%s() of %s", method, value_kind_word(subject.kind));
}

static enum rc method_items(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	enum rc rc = need_map(e, subject, "items");

	return rc == RC_OK ? by_filter(e, "items", subject, args, out) : rc;
}

static enum rc method_keys(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	enum rc rc = need_map(e, subject, "keys");

	(void)args;
	return rc == RC_OK ? eval_items(e, subject, out) : rc;
}

static enum rc method_values(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	enum rc rc = need_map(e, subject, "values");

	(void)args;
	*out = value_list(e->arena);
	for (size_t i = 0; rc == RC_OK && i < subject.u.map->len; i++)
		rc = value_push(e->arena, *out, subject.u.map->pairs[i].value);
	return rc;
}

static enum rc method_get(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	const struct text *key = text_arg(args, 0);
	enum rc rc = need_map(e, subject, "get");

	if (rc != RC_OK)
		return rc;
	const struct value *found = key != NULL ? value_get(subject, key->bytes, key->len) : NULL;
	*out = found != NULL ? *found : args->len > 1 ? args->items[1] : value_none();
	return RC_OK;
}

static enum rc method_update(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	enum rc rc = need_map(e, subject, "update");

	if (rc == RC_OK && args->len > 0)
		rc = need_map(e, args->items[0], "update");
	for (size_t i = 0; rc == RC_OK && args->len > 0 && i < args->items[0].u.map->len; i++)
		rc = value_set(e->arena, subject, args->items[0].u.map->pairs[i].key,
		    args->items[0].u.map->pairs[i].value);
	for (size_t i = 0; rc == RC_OK && i < args->named_len; i++)
		rc = value_set(e->arena, subject, args->names[i], args->named[i]);
	*out = value_none();
	return rc;
}

/* ---- lists ---- */

static enum rc need_list(struct eval *e, struct value subject, const char *method)
{
	if (subject.kind == VALUE_LIST)
		return RC_OK;
	return eval_fail(e, RC_INVALID, ".%s() of %s", method, value_kind_word(subject.kind));
}

static enum rc method_append(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	enum rc rc = need_list(e, subject, "append");

	if (rc != RC_OK || args->len != 1)
		return rc != RC_OK ? rc : eval_fail(e, RC_INVALID, "append needs one argument");
	*out = value_none();
	return value_push(e->arena, subject, args->items[0]);
}

static enum rc method_extend(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	struct value items;
	enum rc rc = need_list(e, subject, "extend");

	if (rc != RC_OK || args->len != 1)
		return rc != RC_OK ? rc : eval_fail(e, RC_INVALID, "extend needs one argument");
	*out = value_none();
	rc = eval_items(e, args->items[0], &items);
	size_t n = rc == RC_OK ? items.u.list->len : 0; /* a list may extend itself */
	for (size_t i = 0; i < n && rc == RC_OK; i++)
		rc = value_push(e->arena, subject, items.u.list->items[i]);
	return rc;
}

static enum rc method_pop(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	const struct text *key = text_arg(args, 0);

	if (subject.kind == VALUE_MAP && key != NULL) {
		struct value_map *map = subject.u.map;
		*out = args->len > 1 ? args->items[1] : value_undefined(key->bytes);
		for (size_t i = 0; i < map->len; i++) {
			if (!value_equal(value_of_text(map->pairs[i].key), args->items[0]))
				continue;
			*out = map->pairs[i].value;
			memmove(&map->pairs[i], &map->pairs[i + 1],
			    (map->len - i - 1) * sizeof(map->pairs[0]));
			map->len--;
			break;
		}
		return RC_OK;
	}
	enum rc rc = need_list(e, subject, "pop");
	if (rc != RC_OK)
		return rc;
	struct value_list *list = subject.u.list;
	int64_t at =
	    args->len > 0 && args->items[0].kind == VALUE_INT ? args->items[0].u.integer : -1;
	at += at < 0 ? (int64_t)list->len : 0;
	if (at < 0 || at >= (int64_t)list->len)
		return eval_fail(e, RC_INVALID, "pop of no item");
	*out = list->items[at];
	memmove(&list->items[at], &list->items[at + 1],
	    (list->len - (size_t)at - 1) * sizeof(list->items[0]));
	list->len--;
	return RC_OK;
}

static enum rc method_index(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	if (subject.kind == VALUE_TEXT)
		return method_find(e, subject, args, out);
	enum rc rc = need_list(e, subject, "index");
	for (size_t i = 0; rc == RC_OK && args->len > 0 && i < subject.u.list->len; i++) {
		if (value_equal(subject.u.list->items[i], args->items[0])) {
			*out = value_int((int64_t)i);
			return RC_OK;
		}
	}
	return rc != RC_OK ? rc : eval_fail(e, RC_INVALID, "index of no item");
}

/* A shallow copy of a list or a map. */
static enum rc method_copy(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	if (subject.kind == VALUE_LIST)
		return by_filter(e, "list", subject, args, out);
	enum rc rc = need_map(e, subject, "copy");
	*out = value_map(e->arena);
	for (size_t i = 0; rc == RC_OK && i < subject.u.map->len; i++)
		rc = value_set(
		    e->arena, *out, subject.u.map->pairs[i].key, subject.u.map->pairs[i].value);
	return rc;
}

static const struct {
	const char *name;
	method_fn *call;
} methods[] = {
	{ "append", method_append },
	{ "capitalize", method_capitalize },
	{ "copy", method_copy },
	{ "count", method_count },
	{ "endswith", method_endswith },
	{ "extend", method_extend },
	{ "find", method_find },
	{ "get", method_get },
	{ "index", method_index },
	{ "isalnum", method_isalnum },
	{ "isalpha", method_isalpha },
	{ "isdigit", method_isdigit },
	{ "isspace", method_isspace },
	{ "items", method_items },
	{ "join", method_join },
	{ "keys", method_keys },
	{ "lower", method_lower },
	{ "lstrip", method_lstrip },
	{ "pop", method_pop },
	{ "removeprefix", method_removeprefix },
	{ "removesuffix", method_removesuffix },
	{ "replace", method_replace },
	{ "rsplit", method_rsplit },
	{ "rstrip", method_rstrip },
	{ "split", method_split },
	{ "splitlines", method_splitlines },
	{ "startswith", method_startswith },
	{ "strip", method_strip },
	{ "title", method_title },
	{ "update", method_update },
	{ "upper", method_upper },
	{ "values", method_values },
};

int builtin_method(const struct text *name)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (text_is(name, methods[i].name))
			return (int)i;
	}
	return -1;
}

enum rc builtin_call_method(struct eval *eval, unsigned index, struct value subject,
    const struct call_args *args, struct value *out)
{
	return methods[index].call(eval, subject, args, out);
}
