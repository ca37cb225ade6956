/* `data-node version` */
#include <stdio.h>

#include "base/rc.h"
#include "cli/commands.h"

int cli_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	(void)printf("data-node %s\n", HEARTH_VERSION);
	return EXIT_DONE;
}
