/*
 * Options: one table per command makes the flags, the configuration file, the
 * --help text and the sample configuration.
 *
 * Order of precedence: flag, then file, then default.  A file has lines
 * `name = value`, comments behind `#`, blank lines; an unknown name, a bad
 * value or a value given twice is RC_CONFIG with the line number.
 * All functions are pure but for the file read; values live in the caller's
 * struct, strings in the arena given.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/errmsg.h"

enum conf_type {
	CONF_STRING,   /* const char * */
	CONF_LIST,     /* struct conf_list: a flag given several times */
	CONF_BOOL,     /* bool; the flag alone means true */
	CONF_INT,      /* int64_t within [min, max] */
	CONF_REAL,     /* double within [min, max] */
	CONF_BYTES,    /* uint64_t; suffixes K, M, G, T (1024) */
	CONF_DURATION, /* int64_t ns; suffixes ms, s, m, h; plain = seconds */
	CONF_TIME,     /* int64_t ns since 1970: RFC 3339 or integer ns */
};

#define CONF_LIST_MAX 64
#define CONF_ARGS_MAX 1024 /* files of one command */

struct conf_list {
	size_t n;
	const char *items[CONF_LIST_MAX];
};

struct conf_option {
	const char *name; /* "resume-timeout": flag --resume-timeout, key the same */
	char letter;      /* 't' for -t, 0 for none */
	enum conf_type type;
	size_t offset;        /* of the value in the caller's struct */
	const char *value;    /* what --help calls it: "SECONDS"; NULL for bools */
	const char *fallback; /* the default as text; NULL = leave zeroed */
	double min, max;      /* INT and REAL; both 0 = no limit */
	bool flag_only;       /* not in files (e.g. --config itself) */
	const char *help;     /* one sentence */
};

struct conf_command {
	const char *name; /* "serve" */
	const char *args; /* "MODEL", "FILE..."; NULL for none */
	size_t args_min, args_max;
	const char *summary;               /* one line of the command list */
	const char *detail;                /* paragraph under the usage line, may be NULL */
	const struct conf_option *options; /* ends with a NULL name */
};

/* Put the defaults into `values` (the caller's zeroed struct). */
enum rc conf_defaults(
    const struct conf_command *cmd, void *values, struct arena *arena, struct errmsg *why) RC_CHECK;

/* What the command line said, kept apart so that a file can come between. */
struct conf_argv {
	const char *args[CONF_ARGS_MAX];
	size_t args_len;
	bool help; /* -h or --help was there */
};

/*
 * Parse `argv` (without program and command name): `--name value`,
 * `--name=value`, `-t value`, `-tvalue`, `--` ends options; `--no-name` for
 * bools.  RC_INVALID with a usage error in `why`.
 */
enum rc conf_parse_argv(const struct conf_command *cmd, int argc, char *const *argv, void *values,
    struct conf_argv *out, struct arena *arena, struct errmsg *why) RC_CHECK;

/*
 * Read a file over the defaults; call it before conf_parse_argv so that flags
 * win.  RC_CONFIG for its content, RC_NOTFOUND and so on for the file.
 */
enum rc conf_parse_file(const struct conf_command *cmd, const char *path, void *values,
    struct arena *arena, struct errmsg *why) RC_CHECK;

/* conf_parse_file on text in memory; `name` stands in messages. */
enum rc conf_parse_text(const struct conf_command *cmd, const char *name, const char *text,
    size_t len, void *values, struct arena *arena, struct errmsg *why) RC_CHECK;

/* `usage: PROGRAM COMMAND [options] ARGS`, the detail, one line an option. */
void conf_print_help(const struct conf_command *cmd, const char *program, FILE *out);

/* A commented configuration file with every default. */
void conf_print_sample(const struct conf_command *cmd, const char *program, FILE *out);

/* Numbers with units, as the table reads them (also used for JSON fields). */
enum rc conf_bytes(const char *text, uint64_t *out) RC_CHECK;
enum rc conf_duration(const char *text, int64_t *ns) RC_CHECK;

#endif
