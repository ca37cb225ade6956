/*
 * Commands that ask the node for a list and print it: the question, and one line
 * or more for each member of the answer.
 */
#ifndef CLI_CLI_LIST_H
#define CLI_CLI_LIST_H

#include "base/buf.h"
#include "cli/cli.h"
#include "cli/control_client.h"

/* Append "&NAME=VALUE", escaped; NULL, or CLI_TIME_UNSET: nothing. */
void cli_list_text(struct buf *target, const char *name, const char *value);
void cli_list_time(struct buf *target, const char *name, int64_t ns);

/* The text of a member; "" where there is none. */
const char *cli_list_member(const json_t *object, const char *name);

typedef void cli_list_print_fn(const json_t *member);

/* GET `target`: to stdout as it comes if `raw`, else `print` for each member of
 * the array `list` in it.  RC_LIMIT if `target` was too long. */
enum rc cli_list_show(struct control_client *client, const struct buf *target, bool raw,
    const char *list, cli_list_print_fn *print, struct errmsg *why) RC_CHECK;

typedef enum rc cli_list_ask_fn(struct control_client *client, const void *values,
    const struct conf_argv *args, struct errmsg *why);

/* The whole of such a command: flags into `values`, of which `*dir` is part, a
 * node with these `parts` of the station, `ask`; the exit code. */
int cli_list_run(const struct conf_command *command, int argc, char **argv, void *values,
    const char *const *dir, unsigned parts, cli_list_ask_fn *ask);

#endif
