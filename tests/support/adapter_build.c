/* Adapters for tests: keys, random pairs of matrices, and their product. */
#include "adapter_build.h"

#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "kernels/kernels.h"
#include "model/model_impl.h"

static bool changes(
    const struct model *m, size_t i, const struct gguf_tensor *t, const struct adapter_build *how)
{
	char name[GGUF_NAME_BYTES_MAX + 1] = { 0 };

	memcpy(name, t->name.text, t->name.len);
	return m->multiplied[i] && t->data != m->token_embd->data &&
	       (m->per_layer_embd == NULL || t->data != m->per_layer_embd->data) &&
	       (how->only == NULL || strstr(name, how->only) != NULL);
}

uint8_t *adapter_build(const struct model *m, const struct adapter_build *how, size_t *len)
{
	const uint32_t rank = how->rank != 0 ? how->rank : 4;
	char text[2 * MODEL_HASH_BYTES + 1];
	struct gguf_build b;
	uint8_t *bytes;

	gguf_build_init(&b, how->seed);
	gguf_build_string(&b, "general.type", "adapter");
	gguf_build_string(&b, "general.architecture", m->info.architecture);
	gguf_build_string(&b, "adapter.type", "lora");
	gguf_build_f32(&b, "adapter.lora.alpha", how->alpha != 0 ? how->alpha : 16.0f);
	hex_encode(m->info.content_hash, MODEL_HASH_BYTES, text);
	if (how->named)
		gguf_build_string(&b, "hearth.base_hash", text);
	for (size_t i = 0; i < gguf_tensors_len(m->gguf); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(m->gguf, i);

		if (!changes(m, i, t, how))
			continue;
		(void)snprintf(text, sizeof(text), "%.*s.lora_a", (int)t->name.len, t->name.text);
		gguf_build_stack(&b, text, how->type, t->dims[0], rank, t->dims[2], 0.1f, 0);
		(void)snprintf(text, sizeof(text), "%.*s.lora_b", (int)t->name.len, t->name.text);
		gguf_build_stack(&b, text, how->type, rank, t->dims[1], t->dims[2], 0.1f, 0);
	}
	bytes = gguf_build_finish(&b, len);
	gguf_build_fini(&b);
	return bytes;
}

static float *widen(const struct gguf_tensor *t)
{
	size_t n = (size_t)(t->dims[0] * t->dims[1] * t->dims[2]);
	float *out = malloc(n * sizeof(*out));

	if (out == NULL)
		abort();
	kernels_widen(t->type, t->data, n, out);
	return out;
}

static void merge(
    float *weights, const struct gguf_tensor *a, const struct gguf_tensor *b, float alpha)
{
	const size_t n = (size_t)a->dims[0], rank = (size_t)a->dims[1], rows = (size_t)b->dims[1];
	float *low = widen(a), *high = widen(b);

	for (size_t r = 0; r < rows * (size_t)a->dims[2]; r++) {
		for (size_t i = 0; i < n; i++) {
			double sum = 0;

			for (size_t k = 0; k < rank; k++)
				sum += (double)high[r * rank + k] *
				       (double)low[(r / rows * rank + k) * n + i];
			weights[r * n + i] = (float)((double)weights[r * n + i] +
						     (double)alpha / (double)rank * sum);
		}
	}
	free(low);
	free(high);
}

void adapter_merge(uint8_t *model, size_t model_len, const uint8_t *adapter, size_t adapter_len)
{
	struct gguf *base = NULL, *g = NULL;
	float alpha = 0;

	if (gguf_parse(model, model_len, &base, NULL) != RC_OK ||
	    gguf_parse(adapter, adapter_len, &g, NULL) != RC_OK ||
	    gguf_get_f32(g, "adapter.lora.alpha", &alpha, NULL) != RC_OK)
		abort();
	for (size_t i = 0; i < gguf_tensors_len(g); i += 2) {
		const struct gguf_tensor *a = gguf_tensor_at(g, i), *t;
		char name[GGUF_NAME_BYTES_MAX + 1] = { 0 };

		memcpy(name, a->name.text, a->name.len - strlen(".lora_a"));
		t = gguf_find_tensor(base, name);
		if (t == NULL || t->type != TYPE_F32)
			abort();
		merge((float *)(void *)(model + (t->data - model)), a, gguf_tensor_at(g, i + 1),
		    alpha);
	}
	gguf_close(base);
	gguf_close(g);
}
