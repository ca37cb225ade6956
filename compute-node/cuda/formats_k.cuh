/* Formats with blocks of 256 weights.  See formats.cuh. */
#ifndef CUDA_FORMATS_K_CUH
#define CUDA_FORMATS_K_CUH

struct format_q2_k {
	static constexpr bool QUANT = true, WHOLE = true;
	static constexpr uint32_t TYPE = TYPE_Q2_K;
	static constexpr int KIND = FORMAT_MIN_HALVES, PLANES = 3;
	struct raw {
		uint2 q;
		uint32_t s, d;
	};

	static __host__ __device__ constexpr uint32_t stride(int plane, uint32_t groups)
	{
		return plane == 0   ? groups * 8
		       : plane == 1 ? groups * 2
				    : groups / FORMAT_BLOCK * 4;
	}
	DEVICE raw load(const format_row &r, uint32_t g, uint32_t)
	{
		return { load_stream8(r.p[0] + 8 * g), format_u16(r.p[1] + 2 * g),
			format_u32(r.p[2] + g / FORMAT_BLOCK * 4) };
	}
	DEVICE void unpack(const raw &in, uint32_t, format_words &out)
	{
		float2 d = half2_to_float2(in.d);

		for (int j = 0; j < 4; j++) {
			out.w[j] = (int)(in.q.x >> 2 * j & 0x03030303u);
			out.w[j + 4] = (int)(in.q.y >> 2 * j & 0x03030303u);
		}
		out.scale[0] = d.x;
		out.scale[1] = -d.y;
		out.factors[0] = (int)(in.s & 15);
		out.offsets[0] = (int)(in.s >> 4 & 15);
		out.factors[1] = (int)(in.s >> 8 & 15);
		out.offsets[1] = (int)(in.s >> 12);
	}
};

/* The two numbers of 6 bits of a group. */
DEVICE void format_sixes(uint32_t low, uint32_t high, int &a, int &b)
{
	a = (int)((low & 15) | (high & 3) << 4);
	b = (int)((low >> 4 & 15) | (high & 12) << 2);
}

struct format_q3_k {
	static constexpr bool QUANT = true, WHOLE = true;
	static constexpr uint32_t TYPE = TYPE_Q3_K;
	static constexpr int KIND = FORMAT_HALVES, PLANES = 4;
	struct raw {
		uint2 q;
		uint32_t h, low, high, d;
	};

	static __host__ __device__ constexpr uint32_t stride(int plane, uint32_t groups)
	{
		return plane == 0   ? groups * 8
		       : plane == 1 ? groups * 4
				    : groups / FORMAT_BLOCK * (plane == 2 ? 12 : 2);
	}
	DEVICE raw load(const format_row &r, uint32_t g, uint32_t)
	{
		const uint8_t *scales = r.p[2] + g / FORMAT_BLOCK * 12;

		return { load_stream8(r.p[0] + 8 * g), load_stream4(r.p[1] + 4 * g),
			format_u8(scales + g % 8), format_u8(scales + 8 + g % 8 / 2),
			format_u16(r.p[3] + g / FORMAT_BLOCK * 2) };
	}
	DEVICE void unpack(const raw &in, uint32_t g, format_words &out)
	{
		float d = half_to_float((uint16_t)in.d) * 0x1p-5f;
		int a, b;

		for (int j = 0; j < 4; j++) {
			out.w[j] = (int)((format_shift(in.q.x, 5 - 2 * j) & 0x60606060u) |
					 (in.h << (7 - j) & 0x80808080u));
			out.w[j + 4] = (int)((format_shift(in.q.y, 5 - 2 * j) & 0x60606060u) |
					     (in.h << (3 - j) & 0x80808080u));
		}
		format_sixes(in.low, in.high >> g % 2 * 4, a, b);
		out.scale[0] = d * (float)(a - 32);
		out.scale[1] = d * (float)(b - 32);
	}
};

/* {scale, offset} of a group, {d, dmin} of its block. */
DEVICE void format_k_scales(uint32_t s, uint32_t d, format_words &out)
{
	float2 both = half2_to_float2(d);

	out.scale[0] = both.x * (float)(uint8_t)s;
	out.offset = -both.y * (float)(uint8_t)(s >> 8);
}

struct format_q4_k {
	static constexpr bool QUANT = true, WHOLE = true;
	static constexpr uint32_t TYPE = TYPE_Q4_K;
	static constexpr int KIND = FORMAT_MIN, PLANES = 3;
	struct raw {
		uint4 q;
		uint32_t s, d;
	};

	static __host__ __device__ constexpr uint32_t stride(int plane, uint32_t groups)
	{
		return plane == 0   ? groups * 16
		       : plane == 1 ? groups * 2
				    : groups / FORMAT_BLOCK * 4;
	}
	DEVICE raw load(const format_row &r, uint32_t g, uint32_t)
	{
		return { load_stream16(r.p[0] + 16 * g), format_u16(r.p[1] + 2 * g),
			format_u32(r.p[2] + g / FORMAT_BLOCK * 4) };
	}
	DEVICE void unpack(const raw &in, uint32_t, format_words &out)
	{
		format_nibbles(in.q, out);
		format_k_scales(in.s, in.d, out);
	}
};

struct format_q5_k {
	static constexpr bool QUANT = true, WHOLE = true;
	static constexpr uint32_t TYPE = TYPE_Q5_K;
	static constexpr int KIND = FORMAT_MIN, PLANES = 4;
	struct raw {
		uint4 q;
		uint32_t h, s, d;
	};

	static __host__ __device__ constexpr uint32_t stride(int plane, uint32_t groups)
	{
		return plane == 0   ? groups * 16
		       : plane == 1 ? groups * 4
		       : plane == 2 ? groups * 2
				    : groups / FORMAT_BLOCK * 4;
	}
	DEVICE raw load(const format_row &r, uint32_t g, uint32_t)
	{
		return { load_stream16(r.p[0] + 16 * g), load_stream4(r.p[1] + 4 * g),
			format_u16(r.p[2] + 2 * g), format_u32(r.p[3] + g / FORMAT_BLOCK * 4) };
	}
	DEVICE void unpack(const raw &in, uint32_t, format_words &out)
	{
		format_fives(in.q, in.h, out);
		format_k_scales(in.s, in.d, out);
	}
};

struct format_q6_k {
	static constexpr bool QUANT = true, WHOLE = true;
	static constexpr uint32_t TYPE = TYPE_Q6_K;
	static constexpr int KIND = FORMAT_HALVES, PLANES = 4;
	struct raw {
		uint4 q;
		uint2 h;
		uint32_t s, d;
	};

	static __host__ __device__ constexpr uint32_t stride(int plane, uint32_t groups)
	{
		return plane == 0   ? groups * 16
		       : plane == 1 ? groups * 8
		       : plane == 2 ? groups * 2
				    : groups / FORMAT_BLOCK * 2;
	}
	DEVICE raw load(const format_row &r, uint32_t g, uint32_t)
	{
		return { load_stream16(r.p[0] + 16 * g), load_stream8(r.p[1] + 8 * g),
			format_u16(r.p[2] + 2 * g), format_u16(r.p[3] + g / FORMAT_BLOCK * 2) };
	}
	/* Weights - 32, times 4. */
	DEVICE void unpack(const raw &in, uint32_t, format_words &out)
	{
		float d = half_to_float((uint16_t)in.d) * 0.25f;

		for (int j = 0; j < 4; j++) {
			uint32_t word = format_word(in.q, j);

			out.w[j] = (int)((word << 2 & 0x3c3c3c3cu) |
					 (in.h.x << (6 - 2 * j) & 0xc0c0c0c0u));
			out.w[j + 4] = (int)((word >> 2 & 0x3c3c3c3cu) |
					     (in.h.y << (6 - 2 * j) & 0xc0c0c0c0u));
		}
		out.scale[0] = d * (float)(int8_t)in.s;
		out.scale[1] = d * (float)(int8_t)(in.s >> 8);
	}
};

struct format_iq4_xs {
	static constexpr bool QUANT = true, WHOLE = true;
	static constexpr uint32_t TYPE = TYPE_IQ4_XS;
	static constexpr int KIND = FORMAT_PLAIN, PLANES = 2;
	struct raw {
		uint4 q;
		uint2 s;
	};

	static __host__ __device__ constexpr uint32_t stride(int plane, uint32_t groups)
	{
		return plane == 0 ? groups * 16 : groups / FORMAT_BLOCK * 8;
	}
	DEVICE raw load(const format_row &r, uint32_t g, uint32_t)
	{
		return { load_stream16(r.p[0] + 16 * g),
			load_stream8(r.p[1] + g / FORMAT_BLOCK * 8) };
	}
	DEVICE void unpack(const raw &in, uint32_t g, format_words &out)
	{
		uint32_t j = g % 8;
		int scale = (int)((in.s.y >> 4 * j & 15) | (in.s.x >> (16 + 2 * j) & 3) << 4);

		format_iq4_words(in.q, out);
		out.scale[0] = half_to_float((uint16_t)in.s.x) * (float)(scale - 32);
	}
};

#endif
