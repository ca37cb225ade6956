/*
 * Constrained sampling over a model's vocabulary: the time to sort it, to compile a
 * schema, and per token of answers that are drawn at random: a bitmap at a place that is new,
 * one that is remembered, a push.  CPU time of one thread.
 *
 *   compute_grammar MODEL.gguf [SCHEMA.json]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/random.h"
#include "grammar/automaton.h"
#include "grammar/matcher.h"
#include "grammar/schema.h"
#include "grammar/vocab.h"
#include "model/gguf.h"
#include "tokenize/tokenizer.h"

#define TOKENS 2000
#define SCHEMA_FILE_BYTES_MAX ((size_t)1 << 20)

static const char usual[] =
    "{\"type\":\"object\",\"properties\":{\"title\":{\"type\":\"string\"},\"steps\":{\"type\":"
    "\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"text\":{\"type\":\"string\","
    "\"maxLength\":200},\"minutes\":{\"type\":\"number\"},\"kind\":{\"enum\":[\"a\",\"b\"]}},"
    "\"required\":[\"text\",\"minutes\"]},\"minItems\":50}},\"required\":[\"title\",\"steps\"]}";

static double cpu_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int compare(const void *a, const void *b)
{
	const double *da = a, *db = b;

	return (*da > *db) - (*da < *db);
}

static void report(const char *what, double *ms, size_t n)
{
	if (n == 0)
		return;
	qsort(ms, n, sizeof(ms[0]), compare);
	printf("%-10s n=%zu median %.4f ms  p95 %.4f ms  most %.4f ms\n", what, n, ms[n / 2],
	    ms[n * 95 / 100], ms[n - 1]);
}

/* A token among those allowed; ends are passed over while anything else is. */
static int32_t draw(const uint64_t *bitmap, const struct vocab *vocab, uint64_t *seed)
{
	size_t first = random_next(seed) % vocab->n;

	for (size_t i = 0; i < vocab->n; i++) {
		int32_t id = vocab->ids[(first + i) % vocab->n];

		if ((bitmap[id / 64] >> (id % 64) & 1) != 0)
			return id;
	}
	return -1;
}

static void run(struct matcher *m, const struct vocab *vocab)
{
	static double fresh[TOKENS], kept[TOKENS], pushed[TOKENS];
	size_t n = 0, n_kept = 0;
	uint64_t seed = 7;

	for (; n < TOKENS; n++) {
		double at = cpu_ms();
		const uint64_t *bitmap = matcher_allowed(m);

		fresh[n] = cpu_ms() - at;
		at = cpu_ms();
		bitmap = matcher_allowed(m);
		kept[n_kept++] = cpu_ms() - at;
		int32_t id = draw(bitmap, vocab, &seed);
		if (id < 0)
			break;
		at = cpu_ms();
		if (!matcher_push(m, id))
			abort();
		pushed[n] = cpu_ms() - at;
	}
	report("bitmap", fresh, n);
	report("again", kept, n_kept);
	report("push", pushed, n);
}

static char *read_schema(const char *path, size_t *len)
{
	char *text = calloc(1, SCHEMA_FILE_BYTES_MAX);
	FILE *file = path == NULL ? NULL : fopen(path, "rb");

	if (text == NULL || (path != NULL && file == NULL))
		abort();
	*len = file == NULL ? strlen(usual) : fread(text, 1, SCHEMA_FILE_BYTES_MAX - 1, file);
	if (file == NULL)
		memcpy(text, usual, *len);
	else
		(void)fclose(file);
	return text;
}

int main(int argc, char **argv)
{
	struct errmsg why = ERRMSG_INIT;
	struct gguf *gguf = NULL;
	struct tokenizer *tokenizer = NULL;
	struct vocab *vocab = NULL;
	struct automaton *automaton = NULL;
	struct matcher *m = NULL;
	size_t len = 0;

	if (argc < 2 || gguf_open(argv[1], &gguf, &why) != RC_OK ||
	    tokenizer_load(gguf, &tokenizer, &why) != RC_OK) {
		(void)fprintf(
		    stderr, "usage: compute_grammar MODEL.gguf [SCHEMA.json]: %s\n", why.text);
		return 2;
	}
	char *schema = read_schema(argc > 2 ? argv[2] : NULL, &len);
	double at = cpu_ms();
	if (vocab_new(tokenizer, tokenizer_vocab_size(tokenizer), &vocab) != RC_OK)
		return 1;
	printf("vocabulary n=%zu %.1f ms, %zu bytes, whole=%d\n", vocab->n_vocab, cpu_ms() - at,
	    vocab->taken_bytes, vocab->whole);
	at = cpu_ms();
	if (schema_compile(schema, len, &automaton, &why) != RC_OK) {
		(void)fprintf(stderr, "%s\n", why.text);
		return 1;
	}
	printf("schema %.3f ms, states=%u edges=%u, %zu bytes\n", cpu_ms() - at,
	    automaton->n_states, automaton->n_edges, automaton->bytes);
	if (matcher_new(automaton, vocab, &m) != RC_OK)
		return 1;
	printf("matcher %zu bytes\n", matcher_bytes(vocab->n_vocab));
	run(m, vocab);
	matcher_free(m);
	vocab_free(vocab);
	tokenizer_free(tokenizer);
	gguf_close(gguf);
	free(schema);
	return 0;
}
