/* What the machine can do, and what a token asks of it. */
#include "cli/cli_bench_machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "infer/crew.h"
#include "kernels/kernels.h"
#include "model/gguf.h"
#include "model/model.h"

#define READ_BYTES ((size_t)512 << 20) /* far more than any cache holds */
#define READ_PART ((size_t)1 << 20)
#define PEAK_PARTS 64
#define PEAK_ROUNDS 50000
#define KEY_MAX 128

struct bench_machine {
	struct crew *crew;
	uint8_t *memory; /* [READ_BYTES] */
	_Atomic uint64_t sink;
};

enum rc bench_machine_new(unsigned n_threads, struct bench_machine **out, struct errmsg *why)
{
	struct bench_machine *m = calloc(1, sizeof(*m));
	enum rc rc = m != NULL ? crew_new(n_threads, &m->crew, why) : RC_NOMEM;

	if (rc == RC_OK && (m->memory = malloc(READ_BYTES)) == NULL)
		rc = errmsg_rc(why, RC_NOMEM, "no memory for a buffer to read");
	if (rc != RC_OK) {
		bench_machine_free(m);
		return rc;
	}
	memset(m->memory, 1, READ_BYTES);
	*out = m;
	return RC_OK;
}

void bench_machine_free(struct bench_machine *m)
{
	if (m == NULL)
		return;
	crew_free(m->crew);
	free(m->memory);
	free(m);
}

static void read_memory(void *arg, unsigned thread)
{
	struct bench_machine *m = arg;

	(void)thread;
	for (size_t part; (part = crew_take(m->crew)) < READ_BYTES / READ_PART;)
		m->sink += kernels_get()->read(m->memory + part * READ_PART, READ_PART);
	crew_finish(m->crew);
}

static void multiply(void *arg, unsigned thread)
{
	struct bench_machine *m = arg;

	(void)thread;
	for (size_t part; (part = crew_take(m->crew)) < PEAK_PARTS;)
		m->sink += kernels_get()->peak(PEAK_ROUNDS);
	crew_finish(m->crew);
}

static double rate(struct bench_machine *m, crew_fn *fn, double amount)
{
	int64_t start = clock_mono_ns();

	crew_run(m->crew, fn, m);
	return amount * (double)NS_PER_S / (double)(clock_mono_ns() - start);
}

struct bench_rates bench_machine_measure(struct bench_machine *m)
{
	return (struct bench_rates){
		.read_bps = rate(m, read_memory, (double)READ_BYTES),
		.macs = rate(m, multiply, (double)PEAK_PARTS * PEAK_ROUNDS * KERNEL_PEAK_MACS),
	};
}

static uint32_t key(const struct model *model, const char *name)
{
	char text[KEY_MAX];
	uint32_t value = 0;

	(void)snprintf(text, sizeof(text), "%s.%s", model_info(model)->architecture, name);
	if (gguf_get_u32(model_gguf(model), text, &value, NULL) != RC_OK)
		return 0;
	return value;
}

struct bench_work bench_machine_work(const struct model *model)
{
	const struct gguf *g = model_gguf(model);
	uint32_t n_expert = key(model, "expert_count"), n_used = key(model, "expert_used_count");
	bool tied = gguf_find_tensor(g, "output.weight") == NULL;
	struct bench_work work = { 0 };

	for (size_t i = 0; i < gguf_tensors_len(g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);
		uint64_t bytes = t->n_bytes, n = t->dims[0] * t->dims[1] * t->dims[2];

		if (gguf_view_is(t->name, "token_embd.weight") && !tied)
			continue; /* only rows of it */
		if (n_expert > 0 && n_used <= n_expert && t->dims[2] == n_expert) {
			bytes = bytes / n_expert * n_used;
			n = n / n_expert * n_used;
		}
		work.bytes += bytes;
		if (t->dims[1] > 1 && !gguf_view_is(t->name, "token_embd.weight") &&
		    !gguf_view_is(t->name, "output.weight"))
			work.macs += n;
	}
	return work;
}
