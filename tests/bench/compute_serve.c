/* Serving: streams together against one alone, what an arriving prompt costs a
 * running answer, and a restart's time to the first token.  A random llama of
 * about 14 M weights; both ends share this machine.
 *
 *   compute_serve [MODEL.gguf [PROMPT [gaps]]]   with a model: its restart alone; with a
 *       length of prompts too: streams and what one such prompt costs a running answer, or
 *       the latter alone */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "serve_fixture.h"

#define STREAMS_MAX 16
#define ROUNDS 3
#define TOKENS 64
#define PROMPT_TOKENS 1000
#define PROMPT_TOKENS_MAX 8192
#define PROMPTS 4

static struct serve_fixture node;
static const char *model_name = "tiny";
static uint32_t prompt_tokens = PROMPT_TOKENS;
static int prompts_at_once = PROMPTS, rounds = ROUNDS;

static uint64_t start(uint32_t prompt_len, uint32_t tokens, uint64_t seed)
{
	uint32_t ids[PROMPT_TOKENS_MAX];
	struct message message = { .kind = MESSAGE_GENERATE };

	for (uint32_t i = 0; i < prompt_len; i++)
		ids[i] = (uint32_t)(seed * 7 + i * 13) % 300;
	message.u.generate = (struct wire_generate){ .model = model_name,
		.prompt_ids = ids,
		.prompt_ids_len = prompt_len,
		.max_tokens = tokens,
		.credit = 100000,
		.sampling = { .temperature = 1, .seed = seed, .ignore_eos = true } };
	return serve_fixture_send(&node, 0, &message);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double pick(double *values, size_t n, double at)
{
	qsort(values, n, sizeof(values[0]), by_value);
	return values[(size_t)(at * (double)(n - 1))];
}

/* Tokens a second of all streams, from the first token to the last. */
static double streams(int n)
{
	uint64_t ids[STREAMS_MAX];
	int64_t first = INT64_MAX, last = 0;
	size_t tokens = 0;

	for (int i = 0; i < n; i++)
		ids[i] = start(8, TOKENS, (uint64_t)i + 1);
	for (int i = 0; i < n; i++) {
		const struct serve_answer *answer = serve_fixture_wait(&node, ids[i]);

		first = answer->times_ns[0] < first ? answer->times_ns[0] : first;
		last = answer->times_ns[answer->len - 1] > last ? answer->times_ns[answer->len - 1]
								: last;
		tokens += answer->len;
		serve_fixture_forget(&node, ids[i]);
	}
	return (double)tokens * 1e9 / (double)(last - first);
}

/* Gaps between the tokens of one answer; prompts arrive all the while. */
static size_t gaps(int prompts, double *out, double *prompt_tps)
{
	uint64_t others[8];
	uint64_t id = start(8, prompts == 0 ? 300 : 1000, 99);
	size_t n = 0;

	(void)serve_fixture_wait_tokens(&node, id, 20);
	int64_t from = clock_mono_ns();
	for (int i = 0; i < prompts; i++)
		others[i] = start(prompt_tokens, 1, 200 + (uint64_t)i);
	int64_t until = INT64_MAX;
	for (int i = 0; i < prompts; i++) {
		until = serve_fixture_wait(&node, others[i])->times_ns[0];
		serve_fixture_forget(&node, others[i]);
	}
	if (prompts != 0)
		*prompt_tps = prompts * (double)prompt_tokens * 1e9 / (double)(until - from);
	const struct message cancel = { .kind = MESSAGE_CANCEL, .request_id = id };
	if (prompts != 0)
		serve_fixture_send_as(&node, 0, &cancel);
	const struct serve_answer *answer = serve_fixture_wait(&node, id);
	for (size_t i = 20; i + 1 < answer->len && answer->times_ns[i + 1] <= until; i++)
		out[n++] = (double)(answer->times_ns[i + 1] - answer->times_ns[i]) / 1e6;
	serve_fixture_forget(&node, id);
	return n;
}

static double prompt_alone(void)
{
	int64_t from = clock_mono_ns();
	uint64_t id = start(prompt_tokens, 1, 3);
	double tps =
	    prompt_tokens * 1e9 / (double)(serve_fixture_wait(&node, id)->times_ns[0] - from);

	serve_fixture_forget(&node, id);
	return tps;
}

static void bench_streams(void)
{
	static const int counts[] = { 1, 4, 16 };
	double tps[3][ROUNDS];

	for (int r = 0; r < rounds; r++) {
		for (int i = 0; i < 3; i++)
			tps[i][r] = streams(counts[i]);
	}
	double one = pick(tps[0], (size_t)rounds, 0.5);
	(void)printf("%-34s %10s %8s\n", "streams at once", "tokens/s", "of one");
	for (int i = 0; i < 3; i++) {
		double median = pick(tps[i], (size_t)rounds, 0.5);

		(void)printf("%-34d %10.0f %7.2fx\n", counts[i], median, median / one);
	}
}

static void bench_gaps(void)
{
	static double alone[1024], beside[1024];
	double tps = 0, free_tps[ROUNDS];
	size_t n_alone = gaps(0, alone, &tps), n_beside = gaps(prompts_at_once, beside, &tps);

	for (int r = 0; r < rounds; r++)
		free_tps[r] = prompt_alone();
	double median = pick(alone, n_alone, 0.5), rate = pick(free_tps, (size_t)rounds, 0.5);
	(void)printf("\n%-34s %10s %8s\n", "gap between tokens of an answer", "ms", "of alone");
	(void)printf("%-34s %10.2f %7.2fx\n", "alone, median", median, 1.0);
	(void)printf("%-34s %10.2f %7.2fx\n", "alone, p99", pick(alone, n_alone, 0.99),
	    pick(alone, n_alone, 0.99) / median);
	(void)printf("%-34s %10.2f %7.2fx\n", "while prompts arrive, median",
	    pick(beside, n_beside, 0.5), pick(beside, n_beside, 0.5) / median);
	(void)printf("%-34s %10.2f %7.2fx\n", "while prompts arrive, p99",
	    pick(beside, n_beside, 0.99), pick(beside, n_beside, 0.99) / median);
	(void)printf("%-34s %10.0f %7.2fx\n", "their prompt tokens/s, of free", tps, tps / rate);
}

/* The file's stem, as the node calls it. */
static void take_model(const char *path)
{
	static char name[96];
	const char *slash = strrchr(path, '/');

	(void)snprintf(name, sizeof(name), "%s", slash == NULL ? path : slash + 1);
	char *dot = strrchr(name, '.');
	if (dot != NULL)
		*dot = '\0';
	model_name = name;
	(void)unlink(node.model_path);
	(void)snprintf(node.model_path, sizeof(node.model_path), "%s", path);
}

static void bench_restart(void)
{
	double ms[ROUNDS];

	for (int r = 0; r < ROUNDS; r++) {
		int64_t from = clock_mono_ns();

		serve_fixture_spawn(&node);
		serve_fixture_connect(&node, 0);
		uint64_t id = start(8, 1, 5);
		(void)serve_fixture_wait(&node, id);
		ms[r] = (double)(clock_mono_ns() - from) / 1e6;
		serve_fixture_forget(&node, id);
		serve_fixture_disconnect(&node, 0);
		(void)serve_fixture_end(&node);
	}
	(void)printf(
	    "\n%-34s %10.1f ms\n", "start to first token at the client", pick(ms, ROUNDS, 0.5));
}

int main(int argc, char **argv)
{
	log_set_level(LOG_LEVEL_ERROR);
	serve_fixture_init(&node, &(struct tiny_gguf){ .seed = 3,
				      .n_ctx = 2048,
				      .n_embd = 512,
				      .n_head = 8,
				      .n_head_kv = 4,
				      .n_layer = 6,
				      .n_ff = 1024 });
	char kept[sizeof(node.model_path)];

	memcpy(kept, node.model_path, sizeof(kept));
	if (argc > 1) {
		node.budget = "16G";
		take_model(argv[1]);
	}
	if (argc > 2) {
		prompt_tokens = (uint32_t)strtoul(argv[2], NULL, 10);
		prompt_tokens =
		    prompt_tokens < PROMPT_TOKENS_MAX ? prompt_tokens : PROMPT_TOKENS_MAX;
		prompts_at_once = rounds = 1;
		node.config.fleet.engine.n_ctx = prompt_tokens + 1024;
	}
	if (argc != 2) {
		node.config.fleet.engine.n_seq = STREAMS_MAX;
		node.config.fleet.engine.n_ubatch = 256;
		serve_fixture_start(&node);
		serve_fixture_connect(&node, 0);
		if (argc <= 3)
			bench_streams();
		bench_gaps();
		serve_fixture_stop(&node);
	}
	if (argc <= 2)
		bench_restart();
	memcpy(node.model_path, kept, sizeof(kept));
	serve_fixture_fini(&node);
	return 0;
}
