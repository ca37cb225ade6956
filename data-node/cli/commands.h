/*
 * The commands of data-node, one file each (`ask` is cli_ask.c).  A command
 * gets what stands behind its name and returns the exit code of the contract.
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

/* X("name", function, "one line for the list") */
#define DATA_COMMANDS(X)                                                                           \
	X("init", cli_init, "make a data node's directory")                                        \
	X("serve", cli_serve, "run the data node")                                                 \
	X("compute", cli_compute, "register the compute nodes it may ask")                         \
	X("cloud", cli_cloud, "say which models elsewhere may be asked, and what may leave")       \
	X("device", cli_device, "give devices their tokens")                                       \
	X("import", cli_import, "read events from files")                                          \
	X("events", cli_events, "list events of a time range")                                     \
	X("slices", cli_slices, "show what was true in each step of a time range")                 \
	X("episodes", cli_episodes, "show what happened, cut where the scene changed")             \
	X("policy", cli_policy, "show the rules that slices are made by")                          \
	X("search", cli_search, "find moments")                                                    \
	X("memory", cli_memory, "show and edit what is known about you")                           \
	X("mcp", cli_mcp, "let an agent use the timeline (Model Context Protocol on stdio)")       \
	X("night", cli_night, "do the night's work: label what is new")                            \
	X("ask", cli_ask, "ask a question")                                                        \
	X("forget", cli_forget, "forget a time, a layer or a source for good")                     \
	X("key", cli_key, "change what opens the timeline")                                        \
	X("status", cli_status, "show how the node is doing")                                      \
	X("verify", cli_verify, "check everything stored")                                         \
	X("backup", cli_backup, "copy what is new to a directory elsewhere")                       \
	X("restore", cli_restore, "make a data node's directory from a backup")                    \
	X("follow", cli_follow, "hold what another data node holds, ready to take over")           \
	X("follower", cli_follower, "say which data nodes may follow this one")                    \
	X("rebuild", cli_rebuild, "remake every index from the log")                               \
	X("version", cli_version, "print the version")

#define X(name, fn, summary) int fn(int argc, char **argv);
DATA_COMMANDS(X)
#undef X

#endif
