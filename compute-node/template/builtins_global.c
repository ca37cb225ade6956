/* Global functions of chat templates. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/timestamp.h"
#include "template/builtins.h"

typedef enum rc global_fn(struct eval *e, const struct call_args *args, struct value *out);

static enum rc named_to_map(struct eval *e, const struct call_args *args, struct value *out)
{
	enum rc rc = RC_OK;

	*out = value_map(e->arena);
	if (args->len > 0 && args->items[0].kind == VALUE_MAP) {
		const struct value_map *from = args->items[0].u.map;
		for (size_t i = 0; i < from->len && rc == RC_OK; i++)
			rc = value_set(e->arena, *out, from->pairs[i].key, from->pairs[i].value);
	}
	for (size_t i = 0; i < args->named_len && rc == RC_OK; i++)
		rc = value_set(e->arena, *out, args->names[i], args->named[i]);
	return rc;
}

static enum rc global_namespace(struct eval *e, const struct call_args *args, struct value *out)
{
	enum rc rc = named_to_map(e, args, out);

	out->kind = VALUE_NAMESPACE;
	return rc;
}

static enum rc global_range(struct eval *e, const struct call_args *args, struct value *out)
{
	int64_t part[3] = { 0, 0, 1 };

	if (args->len < 1 || args->len > 3)
		return eval_fail(e, RC_INVALID, "range needs one to three integers");
	for (size_t i = 0; i < args->len; i++) {
		if (args->items[i].kind != VALUE_INT)
			return eval_fail(
			    e, RC_INVALID, "range of %s", value_kind_word(args->items[i].kind));
		part[args->len == 1 ? 1 : i] = args->items[i].u.integer;
	}
	if (part[2] == 0)
		return eval_fail(e, RC_INVALID, "range step is 0");
	*out = value_list(e->arena);
	int64_t n = 0;
	for (int64_t i = part[0]; part[2] > 0 ? i < part[1] : i > part[1]; n++) {
		if (n == TEMPLATE_RANGE_MAX)
			return eval_fail(
			    e, RC_LIMIT, "range longer than %lld", (long long)TEMPLATE_RANGE_MAX);
		enum rc rc = value_push(e->arena, *out, value_int(i));
		if (rc != RC_OK)
			return rc;
		if (__builtin_add_overflow(i, part[2], &i))
			break;
	}
	return value_ok(*out) ? RC_OK : RC_NOMEM;
}

/* The message may hold words of the conversation: those never reach an error text. */
static enum rc global_raise_exception(
    struct eval *e, const struct call_args *args, struct value *out)
{
	char message[120] = "";

	*out = value_none();
	e->raised = true;
	if (args->len > 0 && args->items[0].kind == VALUE_TEXT) {
		const struct text *text = args->items[0].u.text;
		size_t n = text->len < sizeof(message) - 1 ? text->len : sizeof(message) - 1;
		for (size_t i = 0; i < n; i++)
			message[i] = text_trusted(text, i) ? text->bytes[i] : '*';
	}
	return eval_fail(e, RC_INVALID, "the template refuses this chat: %s", message);
}

static const char *const month_names[] = { "January", "February", "March", "April", "May", "June",
	"July", "August", "September", "October", "November", "December" };
static const char *const day_names[] = { "Monday", "Tuesday", "Wednesday", "Thursday", "Friday",
	"Saturday", "Sunday" };

/* One conversion of strftime(3), in the C locale; RC_UNSUPPORTED if it is not known. */
static enum rc format_time(
    const struct civil *c, int64_t day, bool pad, char conversion, char *out, size_t cap)
{
	const char *two = pad ? "%02d" : "%d";
	int hour12 = c->hour % 12 == 0 ? 12 : c->hour % 12;
	int weekday = civil_weekday(day);
	int number = 0;

	switch (conversion) {
	case 'Y':
		(void)snprintf(out, cap, "%04d", c->year);
		return RC_OK;
	case 'B':
		(void)snprintf(out, cap, "%s", month_names[c->month - 1]);
		return RC_OK;
	case 'b':
		(void)snprintf(out, cap, "%.3s", month_names[c->month - 1]);
		return RC_OK;
	case 'A':
		(void)snprintf(out, cap, "%s", day_names[weekday]);
		return RC_OK;
	case 'a':
		(void)snprintf(out, cap, "%.3s", day_names[weekday]);
		return RC_OK;
	case 'p':
		(void)snprintf(out, cap, "%s", c->hour < 12 ? "AM" : "PM");
		return RC_OK;
	case 'j':
		(void)snprintf(
		    out, cap, pad ? "%03d" : "%d", (int)(day - civil_days(c->year, 1, 1)) + 1);
		return RC_OK;
	case '%':
		(void)snprintf(out, cap, "%%");
		return RC_OK;
	case 'F':
		(void)snprintf(out, cap, "%04d-%02d-%02d", c->year, c->month, c->day);
		return RC_OK;
	case 'T':
		(void)snprintf(out, cap, "%02d:%02d:%02d", c->hour, c->minute, c->second);
		return RC_OK;
	case 'y':
		number = c->year % 100;
		break;
	case 'm':
		number = c->month;
		break;
	case 'd':
		number = c->day;
		break;
	case 'e':
		(void)snprintf(out, cap, "%2d", c->day);
		return RC_OK;
	case 'H':
		number = c->hour;
		break;
	case 'I':
		number = hour12;
		break;
	case 'M':
		number = c->minute;
		break;
	case 'S':
		number = c->second;
		break;
	default:
		return RC_UNSUPPORTED;
	}
	(void)snprintf(out, cap, two, number);
	return RC_OK;
}

static enum rc global_strftime_now(struct eval *e, const struct call_args *args, struct value *out)
{
	struct text_builder builder;
	struct civil now;

	if (args->len != 1 || args->items[0].kind != VALUE_TEXT)
		return eval_fail(e, RC_INVALID, "strftime_now needs a format");
	int64_t local_ns = e->now_utc_ns + (int64_t)e->offset_s * NS_PER_S;
	civil_of_ns(local_ns, &now);
	int64_t day = civil_days(now.year, now.month, now.day);
	const struct text *format = args->items[0].u.text;
	text_builder_init(&builder, e->arena, TEMPLATE_OUTPUT_BYTES_MAX);
	for (size_t i = 0; i < format->len; i++) {
		char part[40];
		if (format->bytes[i] != '%' || i + 1 == format->len) {
			text_builder_bytes(&builder, format->bytes + i, 1, true);
			continue;
		}
		bool pad = format->bytes[i + 1] != '-' || i + 2 == format->len;
		i += pad ? 1 : 2;
		if (format_time(&now, day, pad, format->bytes[i], part, sizeof(part)) != RC_OK)
			return eval_fail(
			    e, RC_UNSUPPORTED, "strftime_now with %%%c", format->bytes[i]);
		text_builder_bytes(&builder, part, strlen(part), true);
	}
	*out = value_of_text(text_builder_text(&builder));
	return value_ok(*out) ? RC_OK : RC_NOMEM;
}

static const struct {
	const char *name;
	global_fn *call;
} globals[] = {
	{ "dict", named_to_map },
	{ "namespace", global_namespace },
	{ "raise_exception", global_raise_exception },
	{ "range", global_range },
	{ "strftime_now", global_strftime_now },
};

int builtin_global(const struct text *name)
{
	for (size_t i = 0; i < sizeof(globals) / sizeof(globals[0]); i++) {
		if (text_is(name, globals[i].name))
			return (int)i;
	}
	return -1;
}

enum rc builtin_call_global(
    struct eval *eval, unsigned index, const struct call_args *args, struct value *out)
{
	return globals[index].call(eval, args, out);
}
