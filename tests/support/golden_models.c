/* See golden_models.h. */
#include "golden_models.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "os/file.h"

#define FILE_BYTES_MAX (64u << 20)

struct model *golden_open(const char *folder, const char *name)
{
	char path[256];
	struct model *model = NULL;
	struct errmsg why = ERRMSG_INIT;

	(void)snprintf(path, sizeof(path), GOLDEN_DATA "/%s/%s.gguf", folder, name);
	if (model_open(path, &model, &why) != RC_OK)
		fail_msg("%s: %s", path, why.text);
	return model;
}

uint8_t *golden_file(size_t *len, const char *folder, const char *name)
{
	char path[256];
	uint8_t *bytes = NULL;
	struct errmsg why = ERRMSG_INIT;

	(void)snprintf(path, sizeof(path), GOLDEN_DATA "/%s/%s", folder, name);
	if (file_read(path, FILE_BYTES_MAX, &bytes, len, &why) != RC_OK)
		fail_msg("%s: %s", path, why.text);
	return bytes;
}

size_t golden_tokens(const char *folder, int32_t *ids)
{
	size_t len, n = 0;
	uint8_t *text = golden_file(&len, folder, "tokens.txt");

	for (char *at = (char *)text; *at >= '0' && *at <= '9' && n < GOLDEN_TOKENS_MAX; n++) {
		ids[n] = (int32_t)strtol(at, &at, 10);
		at += *at == ',';
	}
	free(text);
	return n;
}

double golden_nmse(const float *got, const float *expected, size_t n)
{
	double error = 0, power = 0;

	for (size_t i = 0; i < n; i++) {
		double d = (double)got[i] - (double)expected[i];

		error += d * d;
		power += (double)expected[i] * (double)expected[i];
	}
	return error / power;
}

/* The peer's own error for one format, from the list. */
double golden_peer_nmse(const char *format)
{
	size_t len;
	char *text = (char *)golden_file(&len, "quant", "peer_nmse.txt");
	double value = -1;

	for (char *line = text; line != NULL && *line != '\0';) {
		char *next = strchr(line, '\n');
		size_t name_len = strlen(format);

		if (strncmp(line, format, name_len) == 0 && line[name_len] == ' ')
			value = strtod(line + name_len, NULL);
		line = next != NULL ? next + 1 : NULL;
	}
	free(text);
	return value;
}
