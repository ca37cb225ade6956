/*
 * Random weights: blocks of every format as a file may have them, and what they mean,
 * by the specification (kernels/blocks.h); and matrices of them in planes.
 */
#ifndef CUDA_RANDOM_WEIGHTS_H
#define CUDA_RANDOM_WEIGHTS_H

#include "device_memory.h"
#include "kernel_test.h"

extern "C" {
#include "kernels/blocks.h"
#include "model/type.h"
}

static const uint32_t all_types[] = { TYPE_F32, TYPE_F16, TYPE_BF16, TYPE_Q4_0, TYPE_Q4_1,
	TYPE_Q5_0, TYPE_Q5_1, TYPE_Q8_0, TYPE_Q2_K, TYPE_Q3_K, TYPE_Q4_K, TYPE_Q5_K, TYPE_Q6_K,
	TYPE_IQ4_NL, TYPE_IQ4_XS, TYPE_MXFP4, TYPE_NVFP4 };
#define N_TYPES (sizeof(all_types) / sizeof(all_types[0]))

static inline bool is_float_type(uint32_t type)
{
	return type == TYPE_F32 || type == TYPE_F16 || type == TYPE_BF16;
}

static inline void put_half(uint8_t *at, float v)
{
	uint16_t h = half_to_f16(v);

	memcpy(at, &h, sizeof(h));
}

/* Scales of a random block become numbers of a sane size. */
static inline void tame(uint32_t type, uint8_t *block)
{
	switch (type) {
	case TYPE_Q4_1:
	case TYPE_Q5_1:
	case TYPE_Q4_K:
	case TYPE_Q5_K:
		put_half(block, 0.01f + random_float() * 0.01f);
		put_half(block + 2, random_float() * 0.02f);
		return;
	case TYPE_Q2_K:
		put_half(block + 80, random_float() * 0.05f);
		put_half(block + 82, random_float() * 0.05f);
		return;
	case TYPE_Q3_K:
		put_half(block + 108, random_float() * 0.01f);
		return;
	case TYPE_Q6_K:
		put_half(block + 208, random_float() * 0.01f);
		return;
	case TYPE_MXFP4:
		block[0] = (uint8_t)(118 + block[0] % 8);
		return;
	case TYPE_NVFP4:
		return;
	default:
		put_half(block, random_float() * 0.05f);
	}
}

static inline std::vector<uint8_t> random_raw(uint32_t type, uint64_t k, uint64_t rows)
{
	std::vector<uint8_t> raw(cuda_row_bytes(type, k) * rows);
	const struct type_info *info = type_info(type);

	for (uint8_t &b : raw)
		b = (uint8_t)random_word();
	for (size_t i = 0; i < raw.size(); i += info->block_bytes) {
		float v = random_float();

		if (type == TYPE_F32)
			memcpy(&raw[i], &v, 4);
		else if (type == TYPE_F16)
			put_half(&raw[i], v);
		else if (type == TYPE_BF16)
			memcpy(&raw[i], (const uint8_t *)&v + 2, 2);
		else
			tame(type, &raw[i]);
	}
	return raw;
}

static inline enum kernel_kind kind_of(uint32_t type)
{
	switch (type) {
#define X(name, fn, kind)                                                                          \
	case TYPE_##name:                                                                          \
		return kind;
		BLOCK_FORMATS(X)
#undef X
	default:
		return KIND_PLAIN;
	}
}

/* The meaning of raw rows. */
static inline std::vector<float> meaning(
    uint32_t type, uint64_t k, uint64_t rows, const std::vector<uint8_t> &raw)
{
	std::vector<float> out(k * rows);
	const struct type_info *info = type_info(type);
	enum kernel_kind kind = kind_of(type);
	size_t n_floats = kernels_floats(kind);
	int8_t q[BLOCK_WEIGHTS_MAX];
	float f[BLOCK_FLOATS_MAX];

	for (size_t b = 0; b < raw.size() / info->block_bytes; b++) {
		const uint8_t *at = &raw[b * info->block_bytes];
		float *to = &out[b * info->block];

		if (type == TYPE_F32)
			memcpy(to, at, 4);
		else if (type == TYPE_F16)
			*to = half_from_f16(half_load(at));
		else if (type == TYPE_BF16)
			*to = half_from_bf16(half_load(at));
		if (is_float_type(type))
			continue;
		block_of((enum tensor_type)type)(at, q, f);
		for (size_t i = 0; i < info->block; i++) {
			const float *g = f + i / 32 * n_floats;
			size_t half = i % 32 / 16;
			double scale = kind == KIND_HALVES ? g[half] : g[0];
			double offset = kind == KIND_MIN          ? g[1]
					: kind == KIND_MIN_HALVES ? g[1 + half]
								  : 0;

			to[i] = (float)(q[i] * scale + offset);
		}
	}
	return out;
}

/* A matrix on the "device", its meaning beside it. */
struct test_matrix {
	std::vector<uint8_t> raw;
	std::vector<uint8_t *> memory;
	std::vector<float> values; /* [rows][k], without factors */
	std::vector<float> factors;
	struct backend_matrix m;

	test_matrix(uint32_t type, uint64_t k, uint64_t rows, uint64_t n_factors = 0)
	{
		uint64_t places[BACKEND_PLANES];
		uint64_t bytes = cuda_planes(type, k, rows, m.strides, places);
		uint8_t *at = (uint8_t *)device_memory(bytes);

		memory.push_back(at);
		memset(at, 0xa5, bytes);
		raw = random_raw(type, k, rows);
		values = meaning(type, k, rows, raw);
		m.type = type;
		m.k = k;
		m.rows = m.height = rows;
		for (int i = 0; i < BACKEND_PLANES; i++)
			m.planes[i] = at + places[i];
		for (uint64_t i = 0; i < n_factors; i++)
			factors.push_back(0.5f + (float)i * 0.25f);
		if (n_factors > 0)
			m.height = rows / n_factors;
		m.factors = n_factors > 0 ? factors.data() : NULL;
		/* in two parts, as a large file's */
		uint64_t half = rows / 2;

		(void)cuda_place(NULL, raw.data(), half, 0, &m);
		(void)cuda_place(
		    NULL, raw.data() + half * cuda_row_bytes(type, k), rows - half, half, &m);
	}
	test_matrix(const test_matrix &) = delete;
	~test_matrix()
	{
		for (uint8_t *p : memory)
			device_memory_free(p);
	}
	double value(uint64_t row, uint64_t i) const
	{
		return (double)values[row * m.k + i] *
		       (m.factors != NULL ? m.factors[row / m.height] : 1.0f);
	}
};

#endif
