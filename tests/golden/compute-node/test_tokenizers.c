/* The tokenizer set of ../shared/data: every case, id for id. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "model/gguf.h"
#include "os/file.h"
#include "tokenize/tokenizer.h"

#define DATA "../shared/data/tokenizer"
#define SEPARATOR "\n__ggml_vocab_test__\n"
#define FILE_BYTES_MAX (16u << 20)
#define SKIPPED 77

static char *read_text(const char *name, const char *suffix, size_t *len)
{
	char path[256];
	uint8_t *bytes = NULL;
	struct errmsg why = ERRMSG_INIT;

	(void)snprintf(path, sizeof(path), DATA "/ggml-vocab-%s.gguf%s", name, suffix);
	if (file_read(path, FILE_BYTES_MAX, &bytes, len, &why) != RC_OK)
		fail_msg("%s: %s", path, why.text);
	return (char *)bytes;
}

/* One case against its line; `*line` moves to the next. */
static void check_case(
    const struct tokenizer *t, const char *name, const char *text, size_t len, char **line)
{
	struct tokens ids = { 0 };
	struct errmsg why = ERRMSG_INIT;
	char *at = *line, *end = strchr(at, '\n');
	size_t i = 0;

	assert_int_equal(tokenizer_encode(t, text, len, TOKENIZE_FIRST, &ids, &why), RC_OK);
	for (;; i++) {
		while (*at == ' ')
			at++;
		if (*at < '0' || *at > '9')
			break;
		long expected = strtol(at, &at, 10);

		if (i >= ids.len || ids.ids[i] != expected)
			fail_msg("%s: '%.*s': token %zu is %d, expected %ld", name, (int)len, text,
			    i, i < ids.len ? ids.ids[i] : -1, expected);
	}
	if (i != ids.len)
		fail_msg("%s: '%.*s': %zu tokens, expected %zu", name, (int)len, text, ids.len, i);
	*line = end != NULL ? end + 1 : at + strlen(at);
	tokens_free(&ids);
}

static void check_set(const char *name)
{
	char path[256], *input, *output, *line;
	size_t len, out_len, cases = 0;
	struct gguf *gguf = NULL;
	struct tokenizer *t = NULL;
	struct errmsg why = ERRMSG_INIT;

	(void)snprintf(path, sizeof(path), DATA "/ggml-vocab-%s.gguf", name);
	if (gguf_open(path, &gguf, &why) != RC_OK || tokenizer_load(gguf, &t, &why) != RC_OK)
		fail_msg("%s: %s", path, why.text);
	input = read_text(name, ".inp", &len);
	output = line = read_text(name, ".out", &out_len);
	for (char *at = input; at != NULL; cases++) {
		char *next = strstr(at, SEPARATOR);

		check_case(t, name, at, next != NULL ? (size_t)(next - at) : strlen(at), &line);
		at = next != NULL ? next + strlen(SEPARATOR) : NULL;
	}
	print_message("%s: %zu cases\n", name, cases);
	assert_true(cases >= 46);
	free(input);
	free(output);
	tokenizer_free(t);
	gguf_close(gguf);
}

static void test_every_case_of_every_set_gives_the_expected_ids(void **unused)
{
	static const char *const names[] = { "llama-spm", "phi-3" };

	(void)unused;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		check_set(names[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_case_of_every_set_gives_the_expected_ids),
	};

	if (access(DATA, R_OK) != 0)
		return SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
