/* Options: help texts and sample configurations from the same table. */
#include <string.h>

#include "conf/conf.h"

#define FLAG_COLUMNS 28

static void print_option(const struct conf_option *o, FILE *out)
{
	char flag[96];

	(void)snprintf(flag, sizeof(flag), "%c%c%s --%s%s%s", o->letter != '\0' ? '-' : ' ',
	    o->letter != '\0' ? o->letter : ' ', o->letter != '\0' ? "," : " ", o->name,
	    o->value != NULL ? " " : "", o->value != NULL ? o->value : "");
	(void)fprintf(out, "  %-*s %s", FLAG_COLUMNS, flag, o->help);
	if (o->fallback != NULL && strcmp(o->fallback, "") != 0)
		(void)fprintf(out, " (default %s)", o->fallback);
	if (o->type == CONF_LIST)
		(void)fputs(" (may be repeated)", out);
	(void)fputc('\n', out);
}

void conf_print_help(const struct conf_command *cmd, const char *program, FILE *out)
{
	(void)fprintf(out, "usage: %s %s [options]%s%s\n\n%s\n", program, cmd->name,
	    cmd->args != NULL ? " " : "", cmd->args != NULL ? cmd->args : "", cmd->summary);
	if (cmd->detail != NULL)
		(void)fprintf(out, "\n%s\n", cmd->detail);
	(void)fputs("\noptions:\n", out);
	for (const struct conf_option *o = cmd->options; o != NULL && o->name != NULL; o++)
		print_option(o, out);
	(void)fprintf(out, "  %-*s print this and exit\n", FLAG_COLUMNS, "-h, --help");
}

void conf_print_sample(const struct conf_command *cmd, const char *program, FILE *out)
{
	(void)fprintf(out,
	    "# Configuration of `%s %s`.  Every line is the default; flags win over it.\n", program,
	    cmd->name);
	for (const struct conf_option *o = cmd->options; o != NULL && o->name != NULL; o++) {
		if (o->flag_only)
			continue;
		(void)fprintf(out, "\n# %s\n# %s = %s\n", o->help, o->name,
		    o->fallback != NULL ? o->fallback : "");
	}
}
