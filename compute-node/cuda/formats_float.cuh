/* Float types.  See formats.cuh. */
#ifndef CUDA_FORMATS_FLOAT_CUH
#define CUDA_FORMATS_FLOAT_CUH

/* Float types: a lane takes WEIGHTS neighbours, which are 16 bytes. */
struct format_f16 {
	static constexpr bool QUANT = false, WHOLE = true;
	static constexpr uint32_t TYPE = TYPE_F16, WEIGHTS = 8, BYTES = 2;
	static constexpr int PLANES = 1;
	struct raw {
		uint4 q;
	};

	static __host__ __device__ constexpr uint32_t stride(int, uint32_t groups)
	{
		return groups * 16;
	}
	DEVICE raw load(const format_row &r, uint32_t g, uint32_t)
	{
		return { load_stream16(r.p[0] + 16 * g) };
	}
	DEVICE void unpack(const raw &in, float out[WEIGHTS])
	{
		for (int i = 0; i < 4; i++) {
			float2 pair = half2_to_float2(format_word(in.q, i));

			out[2 * i] = pair.x;
			out[2 * i + 1] = pair.y;
		}
	}
};

struct format_bf16 : format_f16 {
	static constexpr uint32_t TYPE = TYPE_BF16;

	DEVICE void unpack(const raw &in, float out[WEIGHTS])
	{
		for (int i = 0; i < 4; i++) {
			uint32_t word = format_word(in.q, i);

			out[2 * i] = __uint_as_float(word << 16);
			out[2 * i + 1] = __uint_as_float(word & 0xffff0000u);
		}
	}
};

struct format_f32 {
	static constexpr bool QUANT = false, WHOLE = true;
	static constexpr uint32_t TYPE = TYPE_F32, WEIGHTS = 4, BYTES = 4;
	static constexpr int PLANES = 1;
	struct raw {
		uint4 q;
	};

	static __host__ __device__ constexpr uint32_t stride(int, uint32_t groups)
	{
		return groups * 16;
	}
	DEVICE raw load(const format_row &r, uint32_t g, uint32_t)
	{
		return { load_stream16(r.p[0] + 16 * g) };
	}
	DEVICE void unpack(const raw &in, float out[WEIGHTS])
	{
		for (int i = 0; i < 4; i++)
			out[i] = __uint_as_float(format_word(in.q, i));
	}
};

/* The same where rows are no multiple of 16 bytes: numbers are read one by one, and
 * behind the end of the row the last one again (activations are zero there). */
template <class F> struct format_ragged : F {
	static constexpr bool WHOLE = false;
	struct raw {
		uint32_t v[F::WEIGHTS];
	};

	DEVICE raw load(const format_row &r, uint32_t g, uint32_t k)
	{
		raw out;

		for (uint32_t i = 0; i < F::WEIGHTS; i++) {
			uint32_t at = min(g * F::WEIGHTS + i, k - 1);

			out.v[i] = F::BYTES == 2 ? format_u16(r.p[0] + 2 * at)
						 : format_u32(r.p[0] + 4 * at);
		}
		return out;
	}
	DEVICE void unpack(const raw &in, float out[F::WEIGHTS])
	{
		for (uint32_t i = 0; i < F::WEIGHTS; i++)
			out[i] = F::TYPE == TYPE_F32	? __uint_as_float(in.v[i])
				 : F::TYPE == TYPE_BF16 ? bf16_to_float((uint16_t)in.v[i])
							: half_to_float((uint16_t)in.v[i]);
	}
};

#endif
