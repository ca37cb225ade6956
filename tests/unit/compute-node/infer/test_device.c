/*
 * Tiny random models of every family through a backend, the emulated one beside this
 * program or what HEARTH_BACKEND names: logits are the CPU's within rounding in both
 * classes of rows, and a row has the same bits alone, beside rows of another sequence,
 * and after its sequence has been wiped.
 */
#include <libgen.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/load.h"
#include "family_build.h"
#include "golden_models.h"
#include "infer/engine.h"
#include "model/model.h"

#define EMULATED "../../../compute-emulated.so"
#define SKIPPED 77
#define TOKENS 3u /* of each of two sequences */
#define ROWS (2 * TOKENS)
#define FLOATS ((size_t)ROWS * FAMILY_VOCAB)
#define BOUND 1e-6
/* With matrices in blocks the CPU's rows are in 8 bits, and those of a prompt in halves:
 * random experts' scores lie close, and some rows go to others. */
#define PROMPT_BOUND 0.1
/* The emulator is slow: of what no model of ../shared has. */
#define EMULATED_FAMILIES "qwen3next in parts|deepseek2 unsplit|nemotron_h_moe|gemma4 with experts"

static const struct backend_api *backend;
static bool emulated;
static char path[64];

static struct model *open_family(const struct family *f, enum tensor_type type)
{
	struct gguf_build b;
	struct errmsg why = ERRMSG_INIT;
	struct model *model = NULL;

	gguf_build_init(&b, 7);
	family_build(&b, f, type);
	assert_true(gguf_build_write(&b, path));
	if (model_open(path, &model, &why) != RC_OK)
		fail_msg("%s: %s", f->name, why.text);
	(void)unlink(path);
	gguf_build_fini(&b);
	return model;
}

static struct engine *start(const struct model *model, const struct backend_api *api)
{
	const struct engine_config config = { .n_ctx = 16,
		.n_seq = 2,
		.n_ubatch = 4,
		.n_threads = 1,
		.cache = CACHE_F32,
		.backend = api };
	struct engine *engine = NULL;
	struct errmsg why = ERRMSG_INIT;

	if (engine_new(model, &config, &engine, &why) != RC_OK)
		fail_msg("%s: %s", model_info(model)->architecture, why.text);
	return engine;
}

/* Rows of both sequences in turn, or of the one `seq` alone; logits in that order. */
static void compute(struct engine *engine, uint32_t n_seq, uint32_t seq, bool answer, float *logits)
{
	struct engine_row rows[ROWS];
	struct errmsg why = ERRMSG_INIT;
	size_t n = 0;

	for (uint32_t pos = 0; pos < TOKENS; pos++) {
		for (uint32_t s = seq; s < seq + n_seq; s++)
			rows[n++] = (struct engine_row){ .token = (int32_t)(pos * 11 + s * 17 + 3) %
								  FAMILY_VOCAB,
				.seq = s,
				.pos = pos,
				.want_logits = true,
				.answer = answer };
	}
	if (engine_forward(engine, rows, n, logits, NULL, NULL, &why) != RC_OK)
		fail_msg("%s", why.text);
}

/* Both sequences, then one alone. */
static void check_class(
    struct engine *engine, const char *name, bool answer, const float *expected, double bound)
{
	float both[FLOATS], alone[FLOATS];
	double error;

	memset(both, 0xff, sizeof(both));
	compute(engine, 2, 0, answer, both);
	error = golden_nmse(both, expected, FLOATS);
	if (!emulated)
		print_message("%s: NMSE %.3g\n", name, error);
	if (!(error <= bound))
		fail_msg("%s: NMSE %g of the CPU's (bound %g) in %s", name, error, bound,
		    answer ? "answers" : "prompts");
	engine_seq_wipe(engine, 0);
	engine_seq_wipe(engine, 1);
	compute(engine, 1, 1, answer, alone);
	engine_seq_wipe(engine, 1);
	for (size_t t = 0; t < TOKENS; t++) {
		if (memcmp(alone + t * FAMILY_VOCAB, both + (2 * t + 1) * FAMILY_VOCAB,
			FAMILY_VOCAB * sizeof(float)) != 0)
			fail_msg("%s: row %zu has other bits alone", name, t);
	}
}

static void check_family(const struct family *f, enum tensor_type type, double prompt_bound)
{
	struct model *model = open_family(f, type);
	struct engine *cpu = start(model, NULL), *engine = start(model, backend);
	float expected[FLOATS];

	compute(cpu, 2, 0, false, expected);
	check_class(engine, f->name, true, expected, BOUND);
	check_class(engine, f->name, false, expected, prompt_bound);
	engine_free(cpu);
	engine_free(engine);
	model_close(model);
}

static bool among(const char *name, const char *names)
{
	const char *at = strstr(names, name);
	size_t len = strlen(name);

	return at != NULL && (at == names || at[-1] == '|') && (at[len] == '|' || at[len] == '\0');
}

static void test_every_family_is_computed_as_the_cpu_does(void **unused)
{
	(void)unused;
	for (const struct family *f = NULL; (f = family_next(f)) != NULL;)
		if (!emulated || among(f->name, EMULATED_FAMILIES))
			check_family(f, TYPE_F32, BOUND);
}

static void test_matrices_in_blocks_are_too(void **unused)
{
	(void)unused;
	for (const struct family *f = NULL; (f = family_next(f)) != NULL;)
		if (!emulated)
			check_family(f, TYPE_Q8_0, PROMPT_BOUND);
}

static bool find_backend(void)
{
	const char *given = getenv("HEARTH_BACKEND");
	struct errmsg why = ERRMSG_INIT;
	char self[4096] = "", beside[4096 + sizeof(EMULATED)];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (given == NULL && len > 0) {
		(void)snprintf(beside, sizeof(beside), "%s/" EMULATED, dirname(self));
		given = access(beside, R_OK) == 0 ? beside : NULL;
		emulated = true;
	}
	if (given == NULL)
		return false;
	if (backend_load(given, &backend, &why) != RC_OK) {
		(void)fprintf(stderr, "%s\n", why.text);
		exit(1);
	}
	return true;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_family_is_computed_as_the_cpu_does),
		cmocka_unit_test(test_matrices_in_blocks_are_too),
	};

	if (!find_backend())
		return SKIPPED;
	(void)snprintf(path, sizeof(path), "/tmp/test_device.%d.gguf", (int)getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
