/*
 * The commands of data-node, one file each (`ask` is cli_ask.c).  A command
 * gets what stands behind its name and returns the exit code of the contract.
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

/* X("name", function, "one line for the list") */
#define DATA_COMMANDS(X) X("version", cli_version, "print the version")

#define X(name, fn, summary) int fn(int argc, char **argv);
DATA_COMMANDS(X)
#undef X

#endif
