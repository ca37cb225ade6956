/*
 * The commands of compute-node, one file each (`run` is cli_run.c).  A command
 * gets what stands behind its name and returns the exit code of the contract.
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

/* X("name", function, "one line for the list") */
#define COMPUTE_COMMANDS(X)                                                                        \
	X("init", cli_init, "make this node's key and directory")                                  \
	X("allow", cli_allow, "let a data node in")                                                \
	X("serve", cli_serve, "serve models to data nodes")                                        \
	X("run", cli_run, "complete a prompt with a model file")                                   \
	X("logits", cli_logits, "write a model's logits for given tokens")                         \
	X("tokenize", cli_tokenize, "turn text on standard input into token ids")                  \
	X("embed", cli_embed, "turn lines of text on standard input into vectors")                 \
	X("bench", cli_bench, "measure a model's speed and the machine's memory")                  \
	X("inspect", cli_inspect, "what a model file holds")                                       \
	X("plan", cli_plan, "what a model would take, and whether it fits")                        \
	X("version", cli_version, "print the version")

#define X(name, fn, summary) int fn(int argc, char **argv);
COMPUTE_COMMANDS(X)
#undef X

#endif
