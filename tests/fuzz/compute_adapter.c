/*
 * Fuzz target: an adapter that is cut and changed at some bytes, and any bytes as
 * one: refused with a reason, or all that it points to lies in it.
 *
 * Input: where to cut (16 bits), then places (16 bits) and bytes to put there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adapter_build.h"
#include "model/adapter.h"
#include "model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct model *model;
static uint8_t *valid, *changed;
static void *table;
static size_t valid_len;
static volatile uint8_t sink;

static void setup(void)
{
	const struct gguf_build_llama shape = { .arch = "qwen3moe",
		.n_vocab = 8,
		.n_ctx = 8,
		.n_embd = 32,
		.n_layer = 1,
		.n_head = 1,
		.n_head_kv = 1,
		.head_dim = 32,
		.n_ff = 32,
		.type = TYPE_F32,
		.qk_norm = true,
		.n_expert = 2,
		.n_used = 1 };
	const struct adapter_build how = { .seed = 1, .rank = 2, .type = TYPE_F16, .named = true };
	struct gguf_build b;
	char path[64];

	(void)snprintf(path, sizeof(path), "/tmp/compute_adapter.%d.gguf", (int)getpid());
	gguf_build_init(&b, 1);
	gguf_build_llama(&b, &shape);
	if (!gguf_build_write(&b, path) || model_open(path, &model, NULL) != RC_OK)
		abort();
	gguf_build_fini(&b);
	(void)unlink(path);
	valid = adapter_build(model, &how, &valid_len);
	changed = malloc(valid_len);
	table = malloc(adapter_table_bytes(model));
	if (changed == NULL || table == NULL)
		abort();
}

static void read_all(const uint8_t *bytes, size_t len, const uint8_t *at, enum tensor_type type,
    uint64_t n, uint64_t n_rows)
{
	size_t n_bytes = type_row_bytes(type, (size_t)n) * (size_t)n_rows;

	if (at < bytes || n_bytes > len || at + n_bytes > bytes + len)
		abort();
	sink ^= at[0] ^ at[n_bytes - 1];
}

static void parse(const uint8_t *bytes, size_t len)
{
	const struct adapter *adapter = NULL;
	struct errmsg why = ERRMSG_INIT;

	if (adapter_parse(model, bytes, len, table, &adapter, &why) != RC_OK) {
		if (why.text[0] == '\0')
			abort();
		return;
	}
	for (size_t i = 0; i < adapter->n; i++) {
		const struct adapter_target *t = &adapter->targets[i];

		read_all(bytes, len, t->a, t->a_type, t->n, t->rank);
		read_all(bytes, len, t->b, t->b_type, t->rank, t->n_rows);
		if (adapter_find(adapter, t->base + t->base_bytes - 1) != t)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (model == NULL)
		setup();
	parse(data, size);
	if (size < 2)
		return 0;
	memcpy(changed, valid, valid_len);
	for (size_t i = 2; i + 3 <= size; i += 3)
		changed[(size_t)(data[i] | data[i + 1] << 8) % valid_len] = data[i + 2];
	parse(changed, data[0] == 0 ? valid_len : (size_t)(data[0] | data[1] << 8) % valid_len);
	return 0;
}
