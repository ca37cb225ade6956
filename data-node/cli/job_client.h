/*
 * Job client: a request whose answer tells how far it is (gateway/job.h), with a
 * bar on the terminal.
 */
#ifndef CLI_JOB_CLIENT_H
#define CLI_JOB_CLIENT_H

#include <jansson.h>

#include "cli/bar.h"
#include "cli/control_client.h"

/*
 * POST `body` (taken: json_decref) to `target` and wait for the result, which the
 * caller json_decref()s.  The error of the job is the result code here.
 */
enum rc job_client_run(struct control_client *client, const char *target, json_t *body_take,
    const struct bar *bar, json_t **result, struct errmsg *why) RC_CHECK;

#endif
