/* What the commands share. */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/timestamp.h"
#include "base/utf8.h"
#include "os/process.h"

int cli_parse(const struct conf_command *cmd, int argc, char **argv, void *values,
    struct conf_argv *args, struct arena *arena)
{
	struct errmsg why = ERRMSG_INIT;

	/* A command may hold what the person wrote: no core file may. */
	enum rc rc = process_forbid_dumps(&why);
	if (rc == RC_OK)
		rc = conf_defaults(cmd, values, arena, &why);
	if (rc == RC_OK)
		rc = conf_parse_argv(cmd, argc, argv, values, args, arena, &why);
	if (rc == RC_OK && args->help) {
		conf_print_help(cmd, "data-node", stdout);
		return EXIT_DONE;
	}
	if (rc == RC_OK)
		return CLI_GO_ON;
	(void)fprintf(stderr, "data-node %s: %s\n`data-node %s --help` tells more.\n", cmd->name,
	    errmsg_text(&why, rc), cmd->name);
	return rc == RC_NOMEM ? EXIT_FAILED : EXIT_USAGE;
}

const char *cli_dir(const char *flag, struct arena *arena)
{
	const char *env = getenv("HEARTH_DIR");
	const char *home = getenv("HOME");

	if (flag != NULL && flag[0] != 0)
		return arena_strdup(arena, flag);
	if (env != NULL && env[0] != 0)
		return arena_strdup(arena, env);
	return arena_printf(
	    arena, "%s/.local/share/hearth", home != NULL && home[0] != 0 ? home : "/root");
}

int cli_fail(const char *command, enum rc rc, const struct errmsg *why)
{
	(void)fprintf(stderr, "data-node %s: %s\n", command, errmsg_text(why, rc));
	return rc_exit_code(rc);
}

void cli_put_text(FILE *out, const char *text, size_t columns)
{
	const uint8_t *bytes = (const uint8_t *)text;
	size_t len = strlen(text), n = 0;

	for (size_t i = 0; i < len;) {
		uint32_t cp = 0xFFFD;
		size_t size = utf8_decode(bytes + i, len - i, &cp);
		if (columns > 0 && n++ == columns) {
			(void)fputs("…", out);
			return;
		}
		/* C0, DEL, C1, and the marks that turn the line's direction. */
		bool control = cp < 0x20 || (cp >= 0x7F && cp < 0xA0) || cp == 0xFFFD ||
			       (cp >= 0x202A && cp <= 0x202E) || (cp >= 0x2066 && cp <= 0x2069);
		if (control || size == 0)
			(void)fputc(cp == '\n' && columns == 0 ? '\n' : ' ', out);
		else
			(void)fwrite(bytes + i, 1, size, out);
		i += size > 0 ? size : 1;
	}
}

void cli_put_time(FILE *out, const char *rfc3339)
{
	struct tm tm = { 0 };
	char text[32];
	int64_t ns = 0;

	time_t t = 0;
	if (timestamp_parse(rfc3339, &ns, NULL) == RC_OK)
		t = (time_t)(ns / NS_PER_S) - (ns % NS_PER_S < 0);
	if (t == 0 || localtime_r(&t, &tm) == NULL ||
	    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm) == 0)
		(void)fprintf(out, "%-19.19s", rfc3339);
	else
		(void)fputs(text, out);
}

static int append_json(const char *bytes, size_t len, void *ctx)
{
	struct buf *out = ctx;

	buf_append(out, bytes, len);
	return buf_rc(out) == RC_OK ? 0 : -1;
}

char *cli_json_text(const json_t *root)
{
	struct buf out;
	size_t len = 0;

	buf_init(&out, CLI_JSON_BYTES_MAX);
	if (json_dump_callback(root, append_json, &out, JSON_COMPACT) == 0)
		return (char *)buf_take(&out, &len);
	buf_fini(&out);
	return NULL;
}
