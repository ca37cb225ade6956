/*
 * The command embed on ../shared/data/embed: each sentence's vector within the
 * bound, of length 1, and the numbers read back exactly.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/file.h"

#define DATA "../shared/data/embed"
#define FILE_BYTES_MAX ((size_t)1 << 20)
#define VALUES_MAX 1024
#define COSINE_MIN 0.9999
#define SKIPPED 77

/* Every number between the brackets; rows are counted by '['. */
static size_t read_numbers(char *text, double *out, size_t *n_rows)
{
	size_t n = 0;

	*n_rows = 0;
	for (char *at = text; *at != '\0' && n < VALUES_MAX;) {
		char *end = at;

		*n_rows += *at == '[' && at[1] != '[';
		if (strchr("-0123456789", *at) != NULL)
			out[n++] = strtod(at, &end);
		at = end == at ? at + 1 : end;
	}
	return n;
}

static char *run_embed(const char *name, const char *flags)
{
	static char out[FILE_BYTES_MAX];
	char command[256];
	FILE *pipe;
	size_t len;

	(void)snprintf(command, sizeof(command),
	    "build/compute-node embed %s " DATA "/%s.gguf < " DATA "/sentences.txt", flags, name);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	len = fread(out, 1, sizeof(out) - 1, pipe);
	out[len] = '\0';
	assert_int_equal(pclose(pipe), 0);
	return out;
}

static void check(const char *name)
{
	static double got[VALUES_MAX], expected[VALUES_MAX];
	char file[128];
	uint8_t *bytes = NULL;
	size_t len = 0, n, n_rows, n_expected, n_expected_rows, width;
	char *first, *out = run_embed(name, "-t 1");

	first = strdup(out);
	assert_string_equal(first, run_embed(name, "-t 2"));
	(void)snprintf(file, sizeof(file), DATA "/%s.expected.json", name);
	assert_int_equal(file_read(file, FILE_BYTES_MAX, &bytes, &len, NULL), RC_OK);
	n_expected = read_numbers((char *)bytes, expected, &n_expected_rows);
	n = read_numbers(first, got, &n_rows);
	assert_int_equal(n_rows, n_expected_rows);
	assert_int_equal(n, n_expected);
	width = n / n_rows;
	for (size_t r = 0; r < n_rows; r++) {
		double dot = 0, a = 0, b = 0;

		for (size_t i = r * width; i < (r + 1) * width; i++) {
			dot += got[i] * expected[i];
			a += got[i] * got[i];
			b += expected[i] * expected[i];
		}
		print_message("%s sentence %zu: cosine %.9f\n", name, r, dot / sqrt(a * b));
		assert_true(dot / sqrt(a * b) >= COSINE_MIN);
		assert_true(fabs(a - 1) < 1e-6);
	}
	free(bytes);
	free(first);
}

static void test_mean_pooled_sentences_agree(void **unused)
{
	(void)unused;
	check("bert-mean");
}

static void test_first_token_pooled_sentences_agree(void **unused)
{
	(void)unused;
	check("bert-cls");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mean_pooled_sentences_agree),
		cmocka_unit_test(test_first_token_pooled_sentences_agree),
	};

	if (access(DATA, R_OK) != 0)
		return SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
