/* compute-node: dispatches to the commands in cli/. */
#include <stdio.h>
#include <string.h>

#include "base/rc.h"
#include "cli/commands.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
} commands[] = {
#define X(name, fn, summary) { name, fn, summary },
	COMPUTE_COMMANDS(X)
#undef X
};

static void print_usage(FILE *out)
{
	(void)fprintf(out, "usage: compute-node COMMAND [options]\n\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		(void)fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
	(void)fprintf(out, "\n`compute-node COMMAND --help` tells more.\n");
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		print_usage(stdout);
		return EXIT_DONE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		(void)printf("compute-node %s\n", HEARTH_VERSION);
		return EXIT_DONE;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 2, argv + 2);
	}
	(void)fprintf(stderr, "compute-node: no command '%s'\n", argv[1]);
	print_usage(stderr);
	return EXIT_USAGE;
}
