/*
 * Writes a GGUF of random weights for benches, shaped as a llama:
 *   compute_random_model FILE TYPE n_layer n_embd n_head n_head_kv head_dim n_ff n_vocab
 *       [llama | qwen3 | qwen3moe n_expert n_used]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gguf_build.h"

static uint32_t number(const char *text)
{
	return (uint32_t)strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
	struct gguf_build_llama shape = { .n_ctx = 8192, .tied = true };
	bool known = false;

	if (argc != 10 && argc != 11 && argc != 13) {
		(void)fprintf(stderr,
		    "usage: %s FILE TYPE n_layer n_embd n_head n_head_kv "
		    "head_dim n_ff n_vocab [ARCHITECTURE [n_expert n_used]]\n",
		    argv[0]);
		return 2;
	}
	for (uint32_t t = 0; t <= TYPE_NUMBER_MAX; t++) {
		if (type_info(t) != NULL && strcmp(type_info(t)->name, argv[2]) == 0) {
			shape.type = (enum tensor_type)t;
			known = true;
		}
	}
	if (!known) {
		(void)fprintf(stderr, "no type %s\n", argv[2]);
		return 2;
	}
	shape.n_layer = number(argv[3]);
	shape.n_embd = number(argv[4]);
	shape.n_head = number(argv[5]);
	shape.n_head_kv = number(argv[6]);
	shape.head_dim = number(argv[7]);
	shape.n_ff = number(argv[8]);
	shape.n_vocab = number(argv[9]);
	shape.arch = argc > 10 ? argv[10] : "llama";
	shape.qk_norm = strncmp(shape.arch, "qwen3", strlen("qwen3")) == 0;
	shape.n_expert = argc > 12 ? number(argv[11]) : 0;
	shape.n_used = argc > 12 ? number(argv[12]) : 0;
	if (!gguf_build_stream(&shape, argv[1])) {
		perror(argv[1]);
		return 1;
	}
	return 0;
}
