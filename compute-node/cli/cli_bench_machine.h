/*
 * What the machine under a bench can do, measured beside it: bytes read from
 * memory and products of 8-bit integers a second, by all threads together.
 */
#ifndef CLI_CLI_BENCH_MACHINE_H
#define CLI_CLI_BENCH_MACHINE_H

#include <stdint.h>

#include "base/errmsg.h"

struct bench_machine;
struct model;

struct bench_rates {
	double read_bps; /* bytes */
	double macs;     /* products of 8-bit integers */
};

enum rc bench_machine_new(
    unsigned n_threads, struct bench_machine **out, struct errmsg *why) RC_CHECK;
void bench_machine_free(struct bench_machine *machine);

/* One measurement of some 50 ms. */
struct bench_rates bench_machine_measure(struct bench_machine *machine);

/* What one token takes of a model: bytes of weights read in generation, and
 * products with weights in a prompt.  Of experts, those that are used. */
struct bench_work {
	uint64_t bytes, macs;
};
struct bench_work bench_machine_work(const struct model *model);

#endif
