/* Filters of chat templates. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "template/builtins.h"

typedef enum rc filter_fn(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out);

const struct value *call_arg(const struct call_args *args, size_t at, const char *name)
{
	if (at < args->len)
		return &args->items[at];
	for (size_t i = 0; i < args->named_len; i++) {
		if (text_is(args->names[i], name))
			return &args->named[i];
	}
	return NULL;
}

static enum rc done(struct value value, struct value *out)
{
	*out = value;
	return value_ok(value) ? RC_OK : RC_NOMEM;
}

static enum rc str_of(struct eval *e, struct value value, const struct text **out)
{
	*out = value_str(e->arena, value);
	return *out != NULL ? RC_OK : RC_NOMEM;
}

/* A named option that is off unless given. */
static bool option(const struct call_args *args, size_t at, const char *name)
{
	const struct value *value = call_arg(args, at, name);

	return value != NULL && value_truthy(*value);
}

/* ---- of texts ---- */

static bool blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool trims(char c, const struct text *chars)
{
	return chars == NULL ? blank(c) : memchr(chars->bytes, c, chars->len) != NULL;
}

const struct text *builtin_trim(
    struct arena *arena, const struct text *text, const struct text *chars, bool left, bool right)
{
	size_t from = 0;
	size_t to = text->len;

	while (left && from < to && trims(text->bytes[from], chars))
		from++;
	while (right && to > from && trims(text->bytes[to - 1], chars))
		to--;
	return text_slice(arena, text, from, to - from);
}

static enum rc filter_trim(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	const struct value *chars = call_arg(args, 0, "chars");
	const struct text *text;

	enum rc rc = str_of(e, subject, &text);
	if (rc != RC_OK)
		return rc;
	return done(
	    value_of_text(builtin_trim(e->arena, text,
		chars != NULL && chars->kind == VALUE_TEXT ? chars->u.text : NULL, true, true)),
	    out);
}

enum letter_case { CASE_UPPER, CASE_LOWER, CASE_CAPITALIZE, CASE_TITLE };

/* ASCII letters only: templates change the case of type names, not of prose. */
static enum rc change_case(
    struct eval *e, struct value subject, enum letter_case to, struct value *out)
{
	const struct text *text;
	struct text_builder builder;
	bool start = true;

	enum rc rc = str_of(e, subject, &text);
	if (rc != RC_OK)
		return rc;
	text_builder_init(&builder, e->arena, text->len);
	for (size_t i = 0; i < text->len; i++) {
		char c = text->bytes[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		bool upper = to == CASE_UPPER || (to != CASE_LOWER && start);
		if (letter)
			c = upper ? (char)(c & ~0x20) : (char)(c | 0x20);
		start = to == CASE_TITLE ? !letter : false;
		text_builder_bytes(&builder, &c, 1, text_trusted(text, i));
	}
	return done(value_of_text(text_builder_text(&builder)), out);
}

static enum rc filter_upper(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	(void)args;
	return change_case(e, subject, CASE_UPPER, out);
}

static enum rc filter_lower(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	(void)args;
	return change_case(e, subject, CASE_LOWER, out);
}

static enum rc filter_capitalize(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	(void)args;
	return change_case(e, subject, CASE_CAPITALIZE, out);
}

static enum rc filter_title(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	(void)args;
	return change_case(e, subject, CASE_TITLE, out);
}

static enum rc filter_string(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	(void)args;
	return done(value_of_text(value_str(e->arena, subject)), out);
}

static enum rc filter_replace(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	const struct value *from = call_arg(args, 0, "old");
	const struct value *to = call_arg(args, 1, "new");
	const struct value *count = call_arg(args, 2, "count");
	const struct text *text;
	struct text_builder builder;

	if (from == NULL || to == NULL || from->kind != VALUE_TEXT || to->kind != VALUE_TEXT)
		return eval_fail(e, RC_INVALID, "replace needs two strings");
	enum rc rc = str_of(e, subject, &text);
	if (rc != RC_OK)
		return rc;
	int64_t left = count != NULL && count->kind == VALUE_INT ? count->u.integer : -1;
	text_builder_init(&builder, e->arena, TEMPLATE_OUTPUT_BYTES_MAX);
	size_t at = 0;
	while (left != 0 && from->u.text->len > 0) {
		size_t found = text_find(text, from->u.text, at);
		if (found == SIZE_MAX)
			break;
		text_builder_add(&builder, text_slice(e->arena, text, at, found - at));
		text_builder_add(&builder, to->u.text);
		at = found + from->u.text->len;
		left--;
	}
	text_builder_add(&builder, text_slice(e->arena, text, at, text->len - at));
	if (builder.rc == RC_LIMIT)
		return eval_fail(e, RC_LIMIT, "text too long");
	return done(value_of_text(text_builder_text(&builder)), out);
}

static enum rc filter_indent(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	static const char spaces[] =
	    "                                                                ";
	const struct value *width = call_arg(args, 0, "width");
	bool first = option(args, 1, "first");
	bool blank_lines = option(args, 2, "blank");
	const struct text *text;
	struct text_builder builder;

	enum rc rc = str_of(e, subject, &text);
	if (rc != RC_OK)
		return rc;
	int64_t n = width != NULL && width->kind == VALUE_INT ? width->u.integer : 4;
	if (n < 0 || n > (int64_t)sizeof(spaces) - 1)
		return eval_fail(e, RC_INVALID, "indent width");
	text_builder_init(&builder, e->arena, TEMPLATE_OUTPUT_BYTES_MAX);
	for (size_t at = 0; at < text->len;) {
		const char *end = memchr(text->bytes + at, '\n', text->len - at);
		size_t next = end != NULL ? (size_t)(end - text->bytes) + 1 : text->len;
		bool empty = end == text->bytes + at;
		if ((at > 0 || first) && (!empty || blank_lines))
			text_builder_bytes(&builder, spaces, (size_t)n, true);
		text_builder_add(&builder, text_slice(e->arena, text, at, next - at));
		at = next;
	}
	return done(value_of_text(text_builder_text(&builder)), out);
}

static enum rc filter_tojson(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	const struct value *indent = call_arg(args, 0, "indent");
	struct text_builder builder;

	if (call_arg(args, SIZE_MAX, "separators") != NULL ||
	    option(args, SIZE_MAX, "ensure_ascii"))
		return eval_fail(e, RC_UNSUPPORTED, "tojson with separators or ensure_ascii");
	text_builder_init(&builder, e->arena, TEMPLATE_OUTPUT_BYTES_MAX);
	enum rc rc = value_to_json(&builder, subject,
	    indent != NULL && indent->kind == VALUE_INT ? (int)indent->u.integer : -1,
	    option(args, SIZE_MAX, "sort_keys"));
	if (rc != RC_OK)
		return eval_fail(e, rc, "tojson of %s", value_kind_word(subject.kind));
	return done(value_of_text(text_builder_text(&builder)), out);
}

static enum rc filter_escape(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	static const struct {
		char c;
		const char *as;
	} escapes[] = { { '&', "&amp;" }, { '<', "&lt;" }, { '>', "&gt;" }, { '"', "&#34;" },
		{ '\'', "&#39;" } };
	const struct text *text;
	struct text_builder builder;

	(void)args;
	enum rc rc = str_of(e, subject, &text);
	if (rc != RC_OK)
		return rc;
	text_builder_init(&builder, e->arena, TEMPLATE_OUTPUT_BYTES_MAX);
	for (size_t i = 0; i < text->len; i++) {
		const char *as = NULL;
		for (size_t k = 0; k < sizeof(escapes) / sizeof(escapes[0]); k++)
			as = escapes[k].c == text->bytes[i] ? escapes[k].as : as;
		text_builder_bytes(&builder, as != NULL ? as : text->bytes + i,
		    as != NULL ? strlen(as) : 1, text_trusted(text, i));
	}
	return done(value_of_text(text_builder_text(&builder)), out);
}

/* ---- of numbers ---- */

static enum rc filter_int(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	const struct value *fallback = call_arg(args, 0, "default");

	(void)e;
	*out = fallback != NULL ? *fallback : value_int(0);
	if (subject.kind == VALUE_INT)
		*out = subject;
	else if (subject.kind == VALUE_BOOL)
		*out = value_int(subject.u.boolean);
	else if (subject.kind == VALUE_REAL && fabs(subject.u.real) < 0x1p62)
		*out = value_int((int64_t)subject.u.real);
	else if (subject.kind == VALUE_TEXT) {
		char *end;
		double real = strtod(subject.u.text->bytes, &end);
		while (blank(*end))
			end++;
		if (end > subject.u.text->bytes && *end == '\0' && fabs(real) < 0x1p62)
			*out = value_int((int64_t)real);
	}
	return RC_OK;
}

static enum rc filter_float(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	const struct value *fallback = call_arg(args, 0, "default");

	(void)e;
	*out = fallback != NULL ? *fallback : value_real(0);
	if (subject.kind == VALUE_REAL)
		*out = subject;
	else if (subject.kind == VALUE_INT)
		*out = value_real((double)subject.u.integer);
	else if (subject.kind == VALUE_TEXT) {
		char *end;
		double real = strtod(subject.u.text->bytes, &end);
		if (end > subject.u.text->bytes && *end == '\0')
			*out = value_real(real);
	}
	return RC_OK;
}

static enum rc filter_abs(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	(void)args;
	if (subject.kind == VALUE_REAL)
		return done(value_real(fabs(subject.u.real)), out);
	if (subject.kind != VALUE_INT || subject.u.integer == INT64_MIN)
		return eval_fail(e, RC_INVALID, "abs of %s", value_kind_word(subject.kind));
	return done(value_int(subject.u.integer < 0 ? -subject.u.integer : subject.u.integer), out);
}

static enum rc filter_round(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	const struct value *digits = call_arg(args, 0, "precision");
	struct value real;

	enum rc rc = filter_float(e, subject, &(struct call_args){ 0 }, &real);
	int64_t n = digits != NULL && digits->kind == VALUE_INT ? digits->u.integer : 0;
	if (n < 0 || n > 15)
		return eval_fail(e, RC_INVALID, "round precision");
	double scale = pow(10, (double)n);
	*out = value_real(nearbyint(real.u.real * scale) / scale);
	return rc;
}

/* ---- of lists and maps ---- */

static enum rc filter_length(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	struct value items;

	(void)args;
	if (subject.kind == VALUE_MAP)
		return done(value_int((int64_t)subject.u.map->len), out);
	enum rc rc = eval_items(e, subject, &items);
	return rc == RC_OK ? done(value_int((int64_t)items.u.list->len), out) : rc;
}

static enum rc filter_default(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	const struct value *fallback = call_arg(args, 0, "default_value");
	bool falsy_too = option(args, 1, "boolean");

	if (subject.kind != VALUE_UNDEFINED && (!falsy_too || value_truthy(subject)))
		return done(subject, out);
	return done(fallback != NULL ? *fallback : value_text(e->arena, "", 0, true), out);
}

static enum rc filter_list(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	struct value items;

	(void)args;
	enum rc rc = eval_items(e, subject, &items);
	*out = value_list(e->arena);
	for (size_t i = 0; rc == RC_OK && i < items.u.list->len; i++)
		rc = value_push(e->arena, *out, items.u.list->items[i]);
	return rc;
}

static enum rc pick(struct eval *e, struct value subject, bool last, struct value *out)
{
	struct value items;

	enum rc rc = eval_items(e, subject, &items);
	if (rc != RC_OK)
		return rc;
	size_t n = items.u.list->len;
	*out = n == 0 ? value_undefined("item") : items.u.list->items[last ? n - 1 : 0];
	return RC_OK;
}

static enum rc filter_first(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	(void)args;
	return pick(e, subject, false, out);
}

static enum rc filter_last(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	(void)args;
	return pick(e, subject, true, out);
}

static enum rc filter_reverse(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	struct value items;
	struct text_builder builder;

	(void)args;
	enum rc rc = eval_items(e, subject, &items);
	if (rc != RC_OK)
		return rc;
	*out = value_list(e->arena);
	text_builder_init(&builder, e->arena, TEMPLATE_OUTPUT_BYTES_MAX);
	for (size_t i = items.u.list->len; i > 0 && rc == RC_OK; i--) {
		if (subject.kind == VALUE_TEXT)
			text_builder_add(&builder, items.u.list->items[i - 1].u.text);
		else
			rc = value_push(e->arena, *out, items.u.list->items[i - 1]);
	}
	if (subject.kind == VALUE_TEXT)
		return done(value_of_text(text_builder_text(&builder)), out);
	return rc;
}

/* item.attribute when the argument is given ("a.b" walks down), else the item. */
static enum rc attribute_of(
    struct eval *e, struct value item, const struct value *attribute, struct value *out)
{
	*out = item;
	if (attribute == NULL)
		return RC_OK;
	if (attribute->kind != VALUE_TEXT)
		return eval_fail(e, RC_INVALID, "attribute must be a string");
	const struct text *path = attribute->u.text;
	for (size_t at = 0; at <= path->len;) {
		const char *dot = memchr(path->bytes + at, '.', path->len - at);
		size_t end = dot != NULL ? (size_t)(dot - path->bytes) : path->len;
		const struct text *name = text_slice(e->arena, path, at, end - at);
		if (name == NULL)
			return RC_NOMEM;
		enum rc rc = eval_attribute(e, *out, name, out);
		if (rc != RC_OK)
			return rc;
		at = end + 1;
	}
	return RC_OK;
}

static enum rc filter_join(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	const struct value *between = call_arg(args, 0, "d");
	const struct value *attribute = call_arg(args, 1, "attribute");
	struct value items;
	struct text_builder builder;

	enum rc rc = eval_items(e, subject, &items);
	text_builder_init(&builder, e->arena, TEMPLATE_OUTPUT_BYTES_MAX);
	for (size_t i = 0; rc == RC_OK && i < items.u.list->len; i++) {
		struct value item;
		if (i > 0 && between != NULL)
			text_builder_add(&builder, value_str(e->arena, *between));
		rc = attribute_of(e, items.u.list->items[i], attribute, &item);
		if (rc == RC_OK)
			text_builder_add(&builder, value_str(e->arena, item));
	}
	if (builder.rc == RC_LIMIT)
		return eval_fail(e, RC_LIMIT, "text too long");
	return rc == RC_OK ? done(value_of_text(text_builder_text(&builder)), out) : rc;
}

static enum rc push_pair(struct eval *e, struct value list, const struct value_pair *pair)
{
	struct value item = value_list(e->arena);
	enum rc rc = value_push(e->arena, item, value_of_text(pair->key));

	if (rc == RC_OK)
		rc = value_push(e->arena, item, pair->value);
	return rc == RC_OK ? value_push(e->arena, list, item) : rc;
}

static enum rc filter_items(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	(void)args;
	*out = value_list(e->arena);
	if (subject.kind == VALUE_UNDEFINED)
		return value_ok(*out) ? RC_OK : RC_NOMEM;
	if (subject.kind != VALUE_MAP)
		return eval_fail(e, RC_INVALID, "items of %s", value_kind_word(subject.kind));
	enum rc rc = RC_OK;
	for (size_t i = 0; i < subject.u.map->len && rc == RC_OK; i++)
		rc = push_pair(e, *out, &subject.u.map->pairs[i]);
	return rc;
}

/* A stable insertion sort by `less`; lists in templates are short and counted. */
typedef enum rc key_fn(
    struct eval *e, struct value item, const struct value *by, struct value *key);

static enum rc sort_list(
    struct eval *e, struct value_list *list, key_fn *key, const struct value *by, bool reverse)
{
	for (size_t i = 1; i < list->len; i++) {
		struct value moving = list->items[i];
		struct value a;
		size_t at = i;
		enum rc rc = key(e, moving, by, &a);
		for (; rc == RC_OK && at > 0; at--) {
			struct value b;
			int cmp;
			rc = eval_step(e);
			if (rc == RC_OK)
				rc = key(e, list->items[at - 1], by, &b);
			if (rc == RC_OK && value_compare(a, b, &cmp) != RC_OK)
				rc = eval_fail(e, RC_INVALID, "cannot order %s and %s",
				    value_kind_word(a.kind), value_kind_word(b.kind));
			if (rc != RC_OK || (reverse ? cmp <= 0 : cmp >= 0))
				break;
			list->items[at] = list->items[at - 1];
		}
		if (rc != RC_OK)
			return rc;
		list->items[at] = moving;
	}
	return RC_OK;
}

/* Texts compare without case, as Jinja's sorts do by default. */
static enum rc sort_key(
    struct eval *e, struct value item, const struct value *by, struct value *key)
{
	enum rc rc = attribute_of(e, item, by, key);

	return rc == RC_OK && key->kind == VALUE_TEXT ? change_case(e, *key, CASE_LOWER, key) : rc;
}

static enum rc pair_key(
    struct eval *e, struct value item, const struct value *by, struct value *key)
{
	size_t at = by != NULL && by->kind == VALUE_TEXT && text_is(by->u.text, "value");

	return sort_key(e, item.u.list->items[at], NULL, key);
}

static enum rc filter_dictsort(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	enum rc rc = filter_items(e, subject, args, out);

	if (rc != RC_OK)
		return rc;
	return sort_list(
	    e, out->u.list, pair_key, call_arg(args, 1, "by"), option(args, 2, "reverse"));
}

static enum rc filter_sort(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	enum rc rc = filter_list(e, subject, args, out);

	if (rc != RC_OK)
		return rc;
	return sort_list(
	    e, out->u.list, sort_key, call_arg(args, 2, "attribute"), option(args, 0, "reverse"));
}

static enum rc filter_unique(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	struct value items;

	(void)args;
	enum rc rc = eval_items(e, subject, &items);
	*out = value_list(e->arena);
	for (size_t i = 0; rc == RC_OK && i < items.u.list->len; i++) {
		struct value seen;
		rc = eval_binary(e, OP_IN, items.u.list->items[i], *out, &seen);
		if (rc == RC_OK && !seen.u.boolean)
			rc = value_push(e->arena, *out, items.u.list->items[i]);
	}
	return rc;
}

static enum rc filter_sum(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	struct value items;

	enum rc rc = eval_items(e, subject, &items);
	*out = value_int(0);
	for (size_t i = 0; rc == RC_OK && i < items.u.list->len; i++) {
		struct value item;
		rc = attribute_of(e, items.u.list->items[i], call_arg(args, 0, "attribute"), &item);
		if (rc == RC_OK)
			rc = eval_binary(e, OP_ADD, *out, item, out);
	}
	return rc;
}

static enum rc extreme(struct eval *e, struct value subject, bool want_max, struct value *out)
{
	struct value items;

	enum rc rc = eval_items(e, subject, &items);
	*out = value_undefined("item");
	for (size_t i = 0; rc == RC_OK && i < items.u.list->len; i++) {
		struct value better = value_bool(i == 0);
		if (i > 0)
			rc = eval_binary(
			    e, want_max ? OP_GT : OP_LT, items.u.list->items[i], *out, &better);
		if (rc == RC_OK && better.u.boolean)
			*out = items.u.list->items[i];
	}
	return rc;
}

static enum rc filter_min(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	(void)args;
	return extreme(e, subject, false, out);
}

static enum rc filter_max(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	(void)args;
	return extreme(e, subject, true, out);
}

/* ---- map, select and their kin ---- */

static struct call_args rest_of(const struct call_args *args, size_t from)
{
	struct call_args rest = *args;

	rest.items += from < args->len ? from : args->len;
	rest.len = from < args->len ? args->len - from : 0;
	return rest;
}

static enum rc filter_map(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	const struct value *attribute = call_arg(args, SIZE_MAX, "attribute");
	const struct value *fallback = call_arg(args, SIZE_MAX, "default");
	const struct value *name = call_arg(args, 0, "filter");
	struct call_args rest = rest_of(args, 1);
	struct value items;

	if (attribute == NULL &&
	    (name == NULL || name->kind != VALUE_TEXT || builtin_filter(name->u.text) < 0))
		return eval_fail(e, RC_UNSUPPORTED, "map with an unknown filter");
	enum rc rc = eval_items(e, subject, &items);
	*out = value_list(e->arena);
	for (size_t i = 0; rc == RC_OK && i < items.u.list->len; i++) {
		struct value item;
		rc = eval_step(e);
		if (rc == RC_OK && attribute != NULL)
			rc = attribute_of(e, items.u.list->items[i], attribute, &item);
		else if (rc == RC_OK)
			rc = builtin_call_filter(e, (unsigned)builtin_filter(name->u.text),
			    items.u.list->items[i], &rest, &item);
		if (rc == RC_OK && item.kind == VALUE_UNDEFINED && fallback != NULL)
			item = *fallback;
		if (rc == RC_OK)
			rc = value_push(e->arena, *out, item);
	}
	return rc;
}

/* Items (or an attribute of theirs) that pass a named test, or are true. */
static enum rc choose(struct eval *e, struct value subject, const struct call_args *args,
    bool by_attribute, bool keep, struct value *out)
{
	const struct value *attribute = by_attribute ? call_arg(args, 0, "attribute") : NULL;
	struct call_args rest = rest_of(args, by_attribute ? 1 : 0);
	const struct value *name = rest.len > 0 ? &rest.items[0] : NULL;
	struct value items;
	int test = -1;

	if (by_attribute && attribute == NULL)
		return eval_fail(e, RC_INVALID, "missing attribute");
	if (name != NULL) {
		test = name->kind == VALUE_TEXT ? builtin_test(name->u.text) : -1;
		if (test < 0)
			return eval_fail(e, RC_UNSUPPORTED, "select with an unknown test");
		rest = rest_of(&rest, 1);
	}
	enum rc rc = eval_items(e, subject, &items);
	*out = value_list(e->arena);
	for (size_t i = 0; rc == RC_OK && i < items.u.list->len; i++) {
		struct value item;
		bool holds;
		rc = attribute_of(e, items.u.list->items[i], attribute, &item);
		holds = rc == RC_OK && value_truthy(item);
		if (rc == RC_OK && test >= 0)
			rc = builtin_call_test(e, (unsigned)test, item, &rest, &holds);
		if (rc == RC_OK && holds == keep)
			rc = value_push(e->arena, *out, items.u.list->items[i]);
	}
	return rc;
}

static enum rc filter_select(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	return choose(e, subject, args, false, true, out);
}

static enum rc filter_reject(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	return choose(e, subject, args, false, false, out);
}

static enum rc filter_selectattr(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	return choose(e, subject, args, true, true, out);
}

static enum rc filter_rejectattr(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	return choose(e, subject, args, true, false, out);
}

static enum rc filter_same(
    struct eval *e, struct value subject, const struct call_args *args, struct value *out)
{
	(void)e;
	(void)args;
	*out = subject;
	return RC_OK;
}

static const struct {
	const char *name;
	filter_fn *call;
} filters[] = {
	{ "abs", filter_abs },
	{ "capitalize", filter_capitalize },
	{ "count", filter_length },
	{ "d", filter_default },
	{ "default", filter_default },
	{ "dictsort", filter_dictsort },
	{ "e", filter_escape },
	{ "escape", filter_escape },
	{ "first", filter_first },
	{ "float", filter_float },
	{ "indent", filter_indent },
	{ "int", filter_int },
	{ "items", filter_items },
	{ "join", filter_join },
	{ "last", filter_last },
	{ "length", filter_length },
	{ "list", filter_list },
	{ "lower", filter_lower },
	{ "map", filter_map },
	{ "max", filter_max },
	{ "min", filter_min },
	{ "reject", filter_reject },
	{ "rejectattr", filter_rejectattr },
	{ "replace", filter_replace },
	{ "reverse", filter_reverse },
	{ "round", filter_round },
	{ "safe", filter_same },
	{ "select", filter_select },
	{ "selectattr", filter_selectattr },
	{ "sort", filter_sort },
	{ "string", filter_string },
	{ "sum", filter_sum },
	{ "title", filter_title },
	{ "tojson", filter_tojson },
	{ "trim", filter_trim },
	{ "unique", filter_unique },
	{ "upper", filter_upper },
};

int builtin_filter(const struct text *name)
{
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		if (text_is(name, filters[i].name))
			return (int)i;
	}
	return -1;
}

enum rc builtin_call_filter(struct eval *eval, unsigned index, struct value subject,
    const struct call_args *args, struct value *out)
{
	return filters[index].call(eval, subject, args, out);
}
