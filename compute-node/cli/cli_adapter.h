/* An adapter from a file, for the commands that compute one sequence. */
#ifndef CLI_CLI_ADAPTER_H
#define CLI_CLI_ADAPTER_H

#include <stddef.h>
#include <stdint.h>

#include "base/errmsg.h"

#define CLI_ADAPTER_HELP "a GGUF adapter (LoRA) of this model to compute with"

struct engine;
struct model;

struct cli_adapter {
	uint8_t *bytes;
	size_t len;
	void *table;
};

/* Read and check `path` and give it to sequence 0; NULL: no adapter, nothing is done.
 * `adapter` is zero before.  RC_UNSUPPORTED too where a device computes. */
enum rc cli_adapter_open(struct cli_adapter *adapter, const char *path, const struct model *model,
    struct engine *engine, struct errmsg *why) RC_CHECK;

/* After the engine is gone. */
void cli_adapter_close(struct cli_adapter *adapter);

#endif
