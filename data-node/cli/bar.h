/* Bar: progress on a terminal's standard error; nothing where that is none. */
#ifndef CLI_BAR_H
#define CLI_BAR_H

#include <stdbool.h>
#include <stdint.h>

struct bar {
	const char *name; /* what stands before it; borrowed */
	bool on;
};

/* `quiet`: draw nothing. */
struct bar bar_begin(const char *name, bool quiet);

/* `done` of `total`; more than that is drawn as all of it. */
void bar_draw(const struct bar *bar, uint64_t done, uint64_t total);

/* Take the line away again. */
void bar_end(const struct bar *bar);

#endif
