/* Fuzz target: any bytes as a model's text, in each form, cut anywhere. */
#include <stddef.h>
#include <stdint.h>

#include "answer/output.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take(struct output *o)
{
	struct output_piece piece;

	while (output_next(o, &piece))
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const formats[] = { "hermes", "llama3", "mistral", "deepseek", "gemma4",
		"harmony" };
	static const char tools[] =
	    "[{\"function\":{\"name\":\"f\",\"parameters\":{\"properties\":{\"a\":{\"type\":"
	    "\"string\"},\"b\":{\"$ref\":\"#\"}}}}}]";
	struct output *o = NULL;

	if (size < 2)
		return 0;
	const struct output_config config = { .calls = (enum output_calls)(data[0] % 3),
		.format = formats[data[0] / 3 % 6],
		.tools = size % 2 == 0 ? tools : NULL,
		.reasoning = (data[0] & 64) != 0,
		.within = (data[0] & 128) != 0 };
	size_t cut = 1 + (data[1] < size - 2 ? data[1] : size - 2);

	if (output_new(&config, &o) != RC_OK)
		return 0;
	output_push(o, (const char *)data + 1, cut);
	take(o);
	output_push(o, (const char *)data + 1 + cut, size - 1 - cut);
	output_end(o);
	take(o);
	output_free(o);
	return 0;
}
