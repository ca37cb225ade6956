/*
 * Any bytes as a GGUF: refused with a reason, or every getter stays inside.
 */
#include <stdlib.h>
#include <string.h>

#include "model/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sink;

static void read_pair(const struct gguf *g, const struct gguf_pair *pair)
{
	const uint8_t *cursor = NULL;
	struct gguf_string_view text;
	int64_t integer = 0;
	double real = 0;

	for (uint64_t i = 0; i < pair->n; i++) {
		if (gguf_next_string(pair, &cursor, &text))
			sink ^= text.len > 0 ? (uint8_t)text.text[text.len - 1] : 0;
		(void)gguf_item_i64(pair, i, &integer);
		(void)gguf_item_f64(pair, i, &real);
	}
	(void)g;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gguf *g = NULL;
	struct errmsg why = ERRMSG_INIT;

	if (gguf_parse(data, size, &g, &why) != RC_OK) {
		if (why.text[0] == '\0')
			abort();
		return 0;
	}
	for (size_t i = 0; i < gguf_pairs_len(g); i++)
		read_pair(g, gguf_pair_at(g, i));
	for (size_t i = 0; i < gguf_tensors_len(g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);

		if (t->data < data || t->data + t->n_bytes > data + size)
			abort();
		if (t->n_bytes > 0)
			sink ^= t->data[0] ^ t->data[t->n_bytes - 1];
	}
	gguf_close(g);
	return 0;
}
