/*
 * What the commands share: parsing, the directory, text for a terminal.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "conf/conf.h"

#define CLI_ARENA_BYTES ((size_t)64 << 20)
#define CLI_JSON_BYTES_MAX ((size_t)64 << 20)
#define CLI_GO_ON (-1)
#define CLI_TIME_UNSET INT64_MIN /* put in before cli_parse(): 0 is a time too */

/* The --dir row of every command's table. */
#define CLI_OPTION_DIR(values_type)                                                                \
	{                                                                                          \
		.name = "dir", .type = CONF_STRING, .offset = offsetof(values_type, dir),          \
		.value = "DIR", .flag_only = true,                                                 \
		.help = "the data node's directory (else $HEARTH_DIR, else "                       \
			"~/.local/share/hearth)"                                                   \
	}

/*
 * Defaults and flags into `values`.  CLI_GO_ON, or the exit code: usage errors
 * were printed to stderr (2), help to stdout (0).
 */
int cli_parse(const struct conf_command *cmd, int argc, char **argv, void *values,
    struct conf_argv *args, struct arena *arena);

/* --dir, $HEARTH_DIR or the default, in `arena`; NULL on no memory. */
const char *cli_dir(const char *flag, struct arena *arena);

/* "data-node COMMAND: text" to stderr; the exit code of `rc`. */
int cli_fail(const char *command, enum rc rc, const struct errmsg *why);

/* Compact JSON text of `root`, the caller's to free(); NULL on no memory or text
 * that is not UTF-8.  (json_dumps() would take it from jansson's own
 * allocator, which ingest has replaced: free() is not its counterpart.) */
char *cli_json_text(const json_t *root);

/*
 * Write text of the timeline to a terminal: control characters become blanks,
 * so that nothing stored can drive the terminal; at most `columns` code
 * points, then "…".
 */
void cli_put_text(FILE *out, const char *text, size_t columns);

/* "2026-11-19 18:30:00" of an RFC 3339 text, in local time. */
void cli_put_time(FILE *out, const char *rfc3339);

#endif
