/* Reading an adapter's file. */
#include "cli/cli_adapter.h"

#include <stdlib.h>

#include "base/wipe.h"
#include "infer/engine.h"
#include "model/adapter.h"
#include "os/file.h"

#define FILE_BYTES_MAX ((size_t)4 << 30)

enum rc cli_adapter_open(struct cli_adapter *adapter, const char *path, const struct model *model,
    struct engine *engine, struct errmsg *why)
{
	const struct adapter *parsed = NULL;
	enum rc rc;

	if (path == NULL)
		return RC_OK;
	if (!engine_config(engine)->adapters)
		return errmsg_rc(why, RC_UNSUPPORTED,
		    "--adapter: encoders take none, and the CPU alone computes them");
	adapter->table = malloc(adapter_table_bytes(model));
	if (adapter->table == NULL)
		return RC_NOMEM;
	rc = file_read(path, FILE_BYTES_MAX, &adapter->bytes, &adapter->len, why);
	if (rc == RC_OK)
		rc = adapter_parse(
		    model, adapter->bytes, adapter->len, adapter->table, &parsed, why);
	return rc == RC_OK ? engine_seq_adapt(engine, 0, parsed) : rc;
}

void cli_adapter_close(struct cli_adapter *adapter)
{
	if (adapter->bytes != NULL)
		wipe(adapter->bytes, adapter->len);
	free(adapter->bytes);
	free(adapter->table);
}
