/* Options: values from text, flags and files. */
#include "conf/conf.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/timestamp.h"
#include "os/file.h"

#define CONF_FILE_BYTES_MAX ((size_t)1 << 20)

static const struct conf_option no_options[] = { { .name = NULL } };

static const struct conf_option *options_of(const struct conf_command *cmd)
{
	return cmd->options != NULL ? cmd->options : no_options;
}

/* Unsigned decimal with an optional fraction; `*rest` is what stands behind. */
static enum rc parse_number(const char *text, double *out, const char **rest)
{
	char *end;

	if ((*text < '0' || *text > '9') && *text != '.')
		return RC_INVALID;
	errno = 0;
	*out = strtod(text, &end);
	if (errno != 0 || end == text || !isfinite(*out))
		return RC_INVALID;
	*rest = end;
	return RC_OK;
}

static enum rc scale_number(
    const char *text, const char *const *units, const double *factors, double max, double *out)
{
	const char *rest;
	double value;

	enum rc rc = parse_number(text, &value, &rest);
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; units[i] != NULL; i++) {
		if (strcmp(rest, units[i]) != 0)
			continue;
		*out = value * factors[i];
		return *out < max ? RC_OK : RC_INVALID;
	}
	return RC_INVALID;
}

enum rc conf_bytes(const char *text, uint64_t *out)
{
	static const char *const units[] = { "", "K", "M", "G", "T", "KiB", "MiB", "GiB", "TiB",
		NULL };
	static const double factors[] = { 1, 0x1p10, 0x1p20, 0x1p30, 0x1p40, 0x1p10, 0x1p20, 0x1p30,
		0x1p40 };
	double value;

	enum rc rc = scale_number(text, units, factors, 0x1p63, &value);
	if (rc == RC_OK)
		*out = (uint64_t)value;
	return rc;
}

enum rc conf_duration(const char *text, int64_t *ns)
{
	static const char *const units[] = { "", "s", "ms", "m", "h", "d", NULL };
	static const double factors[] = { 1e9, 1e9, 1e6, 60e9, 3600e9, 86400e9 };
	double value;

	enum rc rc = scale_number(text, units, factors, 0x1p63, &value);
	if (rc == RC_OK)
		*ns = (int64_t)value;
	return rc;
}

static enum rc parse_int(const char *text, int64_t *out)
{
	char *end;

	errno = 0;
	long long value = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0')
		return RC_INVALID;
	*out = value;
	return RC_OK;
}

static enum rc parse_real(const char *text, double *out)
{
	char *end;

	errno = 0;
	double value = strtod(text, &end);
	if (errno != 0 || end == text || *end != '\0' || !isfinite(value))
		return RC_INVALID;
	*out = value;
	return RC_OK;
}

static enum rc parse_bool(const char *text, bool *out)
{
	static const char *const yes[] = { "true", "yes", "on", "1" };
	static const char *const no[] = { "false", "no", "off", "0" };

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
			*out = strcmp(text, yes[i]) == 0;
			return RC_OK;
		}
	}
	return RC_INVALID;
}

static enum rc parse_time(const char *text, int64_t *out)
{
	if (parse_int(text, out) == RC_OK)
		return RC_OK;
	return timestamp_parse(text, out, NULL);
}

static bool in_range(const struct conf_option *option, double value)
{
	return (option->min == 0 && option->max == 0) ||
	       (value >= option->min && value <= option->max);
}

static enum rc set_list(struct conf_list *list, const char *text, struct arena *arena)
{
	if (list->n == CONF_LIST_MAX)
		return RC_LIMIT;
	list->items[list->n] = arena_strdup(arena, text);
	if (list->items[list->n] == NULL)
		return RC_NOMEM;
	list->n++;
	return RC_OK;
}

static enum rc set_value(
    const struct conf_option *option, const char *text, void *values, struct arena *arena)
{
	void *at = (char *)values + option->offset;
	enum rc rc;

	switch (option->type) {
	case CONF_STRING:
		*(const char **)at = arena_strdup(arena, text);
		return *(const char **)at == NULL ? RC_NOMEM : RC_OK;
	case CONF_LIST:
		return set_list(at, text, arena);
	case CONF_BOOL:
		return parse_bool(text, at);
	case CONF_INT:
		rc = parse_int(text, at);
		return rc == RC_OK && !in_range(option, (double)*(int64_t *)at) ? RC_LIMIT : rc;
	case CONF_REAL:
		rc = parse_real(text, at);
		return rc == RC_OK && !in_range(option, *(double *)at) ? RC_LIMIT : rc;
	case CONF_BYTES:
		return conf_bytes(text, at);
	case CONF_DURATION:
		return conf_duration(text, at);
	case CONF_TIME:
		return parse_time(text, at);
	}
	return RC_BUG;
}

static const char *type_text(enum conf_type type)
{
	switch (type) {
	case CONF_BOOL:
		return "true or false";
	case CONF_INT:
		return "a whole number";
	case CONF_REAL:
		return "a number";
	case CONF_BYTES:
		return "a size such as 512M or 8G";
	case CONF_DURATION:
		return "a duration such as 500ms, 30s or 2m";
	case CONF_TIME:
		return "a time such as 2026-11-19T18:30:00Z, or integer nanoseconds";
	case CONF_STRING:
	case CONF_LIST:
		break;
	}
	return "text";
}

/* `where` introduces the name: "--", or "file:line: ". */
static enum rc complain(const struct conf_option *option, const char *where, enum rc rc,
    enum rc kind, struct errmsg *why)
{
	if (rc == RC_NOMEM)
		return errmsg_rc(why, rc, "%s%s: out of memory", where, option->name);
	if (rc == RC_LIMIT && option->type == CONF_LIST)
		return errmsg_rc(why, kind, "%s%s: given more than %d times", where, option->name,
		    CONF_LIST_MAX);
	if (rc == RC_LIMIT)
		return errmsg_rc(why, kind, "%s%s: must be from %.15g to %.15g", where,
		    option->name, option->min, option->max);
	return errmsg_rc(
	    why, kind, "%s%s: must be %s", where, option->name, type_text(option->type));
}

enum rc conf_defaults(
    const struct conf_command *cmd, void *values, struct arena *arena, struct errmsg *why)
{
	for (const struct conf_option *o = options_of(cmd); o->name != NULL; o++) {
		if (o->fallback == NULL)
			continue;
		enum rc rc = set_value(o, o->fallback, values, arena);
		if (rc != RC_OK)
			return complain(o, "default of ", rc, RC_BUG, why);
	}
	return RC_OK;
}

/* ---- command line ---- */

struct argv_parser {
	const struct conf_command *cmd;
	int argc, at;
	char *const *argv;
	void *values;
	struct conf_argv *out;
	struct arena *arena;
	struct errmsg *why;
	bool seen[CONF_LIST_MAX]; /* options already given: a list flag replaces the file's */
};

static const struct conf_option *find_option(
    const struct conf_command *cmd, const char *name, size_t len)
{
	for (const struct conf_option *o = options_of(cmd); o->name != NULL; o++) {
		if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
			return o;
	}
	return NULL;
}

static enum rc take_value(
    struct argv_parser *p, const struct conf_option *option, const char *attached)
{
	const char *value = attached;

	if (value == NULL && option->type == CONF_BOOL) {
		value = "true";
	} else if (value == NULL) {
		if (p->at + 1 >= p->argc)
			return errmsg_rc(p->why, RC_INVALID, "--%s: needs %s", option->name,
			    option->value != NULL ? option->value : "a value");
		value = p->argv[++p->at];
	}
	size_t index = (size_t)(option - options_of(p->cmd));
	if (option->type == CONF_LIST && index < CONF_LIST_MAX && !p->seen[index]) {
		((struct conf_list *)(void *)((char *)p->values + option->offset))->n = 0;
		p->seen[index] = true;
	}
	enum rc rc = set_value(option, value, p->values, p->arena);
	return rc == RC_OK ? RC_OK : complain(option, "--", rc, RC_INVALID, p->why);
}

static enum rc parse_long(struct argv_parser *p, const char *arg)
{
	const char *equals = strchr(arg, '=');
	size_t len = equals != NULL ? (size_t)(equals - arg) : strlen(arg);
	const struct conf_option *option = find_option(p->cmd, arg, len);

	if (option != NULL)
		return take_value(p, option, equals != NULL ? equals + 1 : NULL);
	if (equals == NULL && strncmp(arg, "no-", 3) == 0) {
		option = find_option(p->cmd, arg + 3, len - 3);
		if (option != NULL && option->type == CONF_BOOL)
			return take_value(p, option, "false");
	}
	if (strcmp(arg, "help") == 0) {
		p->out->help = true;
		return RC_OK;
	}
	return errmsg_rc(p->why, RC_INVALID, "no option --%.*s", (int)(len < 64 ? len : 64), arg);
}

static enum rc parse_short(struct argv_parser *p, const char *arg)
{
	for (const struct conf_option *o = options_of(p->cmd); o->name != NULL; o++) {
		if (o->letter != '\0' && o->letter == arg[0])
			return take_value(p, o, arg[1] != '\0' ? arg + 1 : NULL);
	}
	if (strcmp(arg, "h") == 0) {
		p->out->help = true;
		return RC_OK;
	}
	return errmsg_rc(p->why, RC_INVALID, "no option -%c", arg[0]);
}

enum rc conf_parse_argv(const struct conf_command *cmd, int argc, char *const *argv, void *values,
    struct conf_argv *out, struct arena *arena, struct errmsg *why)
{
	struct argv_parser p = {
		.cmd = cmd,
		.argc = argc,
		.argv = argv,
		.values = values,
		.out = out,
		.arena = arena,
		.why = why,
	};
	bool options_end = false;

	*out = (struct conf_argv){ 0 };
	for (; p.at < argc; p.at++) {
		const char *arg = argv[p.at];
		enum rc rc = RC_OK;
		if (!options_end && strcmp(arg, "--") == 0)
			options_end = true;
		else if (!options_end && strncmp(arg, "--", 2) == 0)
			rc = parse_long(&p, arg + 2);
		else if (!options_end && arg[0] == '-' && arg[1] != '\0')
			rc = parse_short(&p, arg + 1);
		else if (out->args_len == cmd->args_max || out->args_len == CONF_ARGS_MAX)
			rc = errmsg_rc(why, RC_INVALID, "too many arguments");
		else
			out->args[out->args_len++] = arg;
		if (rc != RC_OK)
			return rc;
	}
	if (!out->help && out->args_len < cmd->args_min)
		return errmsg_rc(
		    why, RC_INVALID, "missing %s", cmd->args != NULL ? cmd->args : "argument");
	return RC_OK;
}

/* ---- files ---- */

static char *trim(char *text)
{
	while (*text == ' ' || *text == '\t')
		text++;
	size_t len = strlen(text);
	while (len > 0 && strchr(" \t\r", text[len - 1]) != NULL)
		text[--len] = '\0';
	return text;
}

static enum rc parse_line(const struct conf_command *cmd, const char *where, char *line,
    void *values, bool *seen, struct arena *arena, struct errmsg *why)
{
	line = trim(line);
	if (*line == '\0' || *line == '#')
		return RC_OK;
	char *equals = strchr(line, '=');
	if (equals == NULL)
		return errmsg_rc(why, RC_CONFIG, "%sexpected `name = value`", where);
	*equals = '\0';
	char *name = trim(line);
	char *value = trim(equals + 1);
	char *comment = strstr(value, " #");
	if (comment != NULL) {
		*comment = '\0';
		value = trim(value);
	}
	const struct conf_option *option = find_option(cmd, name, strlen(name));
	if (option == NULL || option->flag_only)
		return errmsg_rc(why, RC_CONFIG, "%sno option `%.64s`", where, name);
	size_t index = (size_t)(option - options_of(cmd));
	if (index < CONF_LIST_MAX && seen[index] && option->type != CONF_LIST)
		return errmsg_rc(why, RC_CONFIG, "%s%s: given twice", where, name);
	if (index < CONF_LIST_MAX && !seen[index]) {
		seen[index] = true;
		if (option->type == CONF_LIST)
			((struct conf_list *)(void *)((char *)values + option->offset))->n = 0;
	}
	enum rc rc = set_value(option, value, values, arena);
	return rc == RC_OK ? RC_OK : complain(option, where, rc, RC_CONFIG, why);
}

enum rc conf_parse_text(const struct conf_command *cmd, const char *name, const char *text,
    size_t len, void *values, struct arena *arena, struct errmsg *why)
{
	bool seen[CONF_LIST_MAX] = { false };
	unsigned number = 0;
	size_t at = 0;

	while (at < len) {
		const char *end = memchr(text + at, '\n', len - at);
		size_t line_len = end != NULL ? (size_t)(end - text) - at : len - at;
		char *line = arena_copy(arena, text + at, line_len);
		char where[160];
		if (line == NULL)
			return RC_NOMEM;
		number++;
		(void)snprintf(where, sizeof(where), "%.120s:%u: ", name, number);
		if (memchr(line, '\0', line_len) != NULL)
			return errmsg_rc(why, RC_CONFIG, "%sa NUL byte", where);
		enum rc rc = parse_line(cmd, where, line, values, seen, arena, why);
		if (rc != RC_OK)
			return rc;
		at += line_len + 1;
	}
	return RC_OK;
}

enum rc conf_parse_file(const struct conf_command *cmd, const char *path, void *values,
    struct arena *arena, struct errmsg *why)
{
	uint8_t *text;
	size_t len;

	enum rc rc = file_read(path, CONF_FILE_BYTES_MAX, &text, &len, why);
	if (rc != RC_OK)
		return rc;
	rc = conf_parse_text(cmd, path, (const char *)text, len, values, arena, why);
	free(text);
	return rc;
}
