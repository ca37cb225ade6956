/* Bar: one line, drawn over again. */
#include "cli/bar.h"

#include <stdio.h>
#include <unistd.h>

#define COLUMNS 32

struct bar bar_begin(const char *name, bool quiet)
{
	return (struct bar){ .name = name, .on = !quiet && isatty(STDERR_FILENO) == 1 };
}

void bar_draw(const struct bar *bar, uint64_t done, uint64_t total)
{
	double part = total == 0 || done > total ? 1 : (double)done / (double)total;
	int full = (int)(part * COLUMNS);

	if (!bar->on)
		return;
	(void)fprintf(stderr, "\r%-24.24s [", bar->name);
	for (int i = 0; i < COLUMNS; i++)
		(void)fputc(i < full ? '#' : '.', stderr);
	(void)fprintf(stderr, "] %3d %%", (int)(part * 100));
	(void)fflush(stderr);
}

void bar_end(const struct bar *bar)
{
	if (bar->on)
		(void)fputs("\r\033[K", stderr);
}
