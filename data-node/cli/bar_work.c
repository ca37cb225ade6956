/* Bar work: signals, the bar, the result. */
#include "cli/bar_work.h"

#include "base/rc.h"
#include "cli/bar.h"
#include "cli/cli.h"
#include "os/process.h"

static bool draw(void *ctx, uint64_t done, uint64_t total)
{
	bar_draw(ctx, done, total);
	return !process_stopping();
}

int bar_work(const char *command, bool quiet, bar_work_fn *work, void *ctx)
{
	struct errmsg why = ERRMSG_INIT;
	struct bar bar = bar_begin(command, quiet);

	enum rc rc = process_catch_signals(&why);
	if (rc == RC_OK)
		rc = work(ctx, draw, &bar, &why);
	bar_end(&bar);
	return rc == RC_OK ? EXIT_DONE : cli_fail(command, rc, &why);
}
