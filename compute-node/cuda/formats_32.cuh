/* Formats with blocks of 32 or 64 weights.  See formats.cuh. */
#ifndef CUDA_FORMATS_32_CUH
#define CUDA_FORMATS_32_CUH

struct format_q4_0 {
	static constexpr bool QUANT = true, WHOLE = true;
	static constexpr uint32_t TYPE = TYPE_Q4_0;
	static constexpr int KIND = FORMAT_PLAIN, PLANES = 2;
	struct raw {
		uint4 q;
		uint32_t d;
	};

	static __host__ __device__ constexpr uint32_t stride(int plane, uint32_t groups)
	{
		return groups * (plane == 0 ? 16 : 2);
	}
	DEVICE raw load(const format_row &r, uint32_t g, uint32_t)
	{
		return { load_stream16(r.p[0] + 16 * g), format_u16(r.p[1] + 2 * g) };
	}
	DEVICE void unpack(const raw &in, uint32_t, format_words &out)
	{
		format_signed_nibbles(in.q, out);
		out.scale[0] = half_to_float((uint16_t)in.d) * 0.0625f;
	}
};

struct format_q4_1 {
	static constexpr bool QUANT = true, WHOLE = true;
	static constexpr uint32_t TYPE = TYPE_Q4_1;
	static constexpr int KIND = FORMAT_MIN, PLANES = 2;
	struct raw {
		uint4 q;
		uint32_t dm;
	};

	static __host__ __device__ constexpr uint32_t stride(int plane, uint32_t groups)
	{
		return groups * (plane == 0 ? 16 : 4);
	}
	DEVICE raw load(const format_row &r, uint32_t g, uint32_t)
	{
		return { load_stream16(r.p[0] + 16 * g), format_u32(r.p[1] + 4 * g) };
	}
	DEVICE void unpack(const raw &in, uint32_t, format_words &out)
	{
		float2 dm = half2_to_float2(in.dm);

		format_nibbles(in.q, out);
		out.scale[0] = dm.x;
		out.offset = dm.y;
	}
};

struct format_q5_0 {
	static constexpr bool QUANT = true, WHOLE = true;
	static constexpr uint32_t TYPE = TYPE_Q5_0;
	static constexpr int KIND = FORMAT_PLAIN, PLANES = 3;
	struct raw {
		uint4 q;
		uint32_t h, d;
	};

	static __host__ __device__ constexpr uint32_t stride(int plane, uint32_t groups)
	{
		return groups * (plane == 0 ? 16 : plane == 1 ? 4 : 2);
	}
	DEVICE raw load(const format_row &r, uint32_t g, uint32_t)
	{
		return { load_stream16(r.p[0] + 16 * g), load_stream4(r.p[1] + 4 * g),
			format_u16(r.p[2] + 2 * g) };
	}
	DEVICE void unpack(const raw &in, uint32_t, format_words &out)
	{
		format_signed_fives(in.q, in.h, out);
		out.scale[0] = half_to_float((uint16_t)in.d) * 0.125f;
	}
};

struct format_q5_1 {
	static constexpr bool QUANT = true, WHOLE = true;
	static constexpr uint32_t TYPE = TYPE_Q5_1;
	static constexpr int KIND = FORMAT_MIN, PLANES = 3;
	struct raw {
		uint4 q;
		uint32_t h, dm;
	};

	static __host__ __device__ constexpr uint32_t stride(int plane, uint32_t groups)
	{
		return groups * (plane == 0 ? 16 : 4);
	}
	DEVICE raw load(const format_row &r, uint32_t g, uint32_t)
	{
		return { load_stream16(r.p[0] + 16 * g), load_stream4(r.p[1] + 4 * g),
			format_u32(r.p[2] + 4 * g) };
	}
	DEVICE void unpack(const raw &in, uint32_t, format_words &out)
	{
		float2 dm = half2_to_float2(in.dm);

		format_fives(in.q, in.h, out);
		out.scale[0] = dm.x;
		out.offset = dm.y;
	}
};

struct format_q8_0 {
	static constexpr bool QUANT = true, WHOLE = true;
	static constexpr uint32_t TYPE = TYPE_Q8_0;
	static constexpr int KIND = FORMAT_PLAIN, PLANES = 2;
	struct raw {
		uint4 low, high;
		uint32_t d;
	};

	static __host__ __device__ constexpr uint32_t stride(int plane, uint32_t groups)
	{
		return groups * (plane == 0 ? 32 : 2);
	}
	/* Bytes from a group's first half to its second. */
	static __host__ __device__ constexpr uint32_t apart(uint32_t g, uint32_t groups)
	{
		return 16 * (groups - g / 32 * 32 < 32 ? groups - g / 32 * 32 : 32);
	}
	static __host__ __device__ constexpr uint32_t place(uint32_t g)
	{
		return g / 32 * 1024 + g % 32 * 16;
	}
	DEVICE raw load(const format_row &r, uint32_t g, uint32_t groups)
	{
		const uint8_t *at = r.p[0] + place(g);

		return { load_stream16(at), load_stream16(at + apart(g, groups)),
			format_u16(r.p[1] + 2 * g) };
	}
	DEVICE void unpack(const raw &in, uint32_t, format_words &out)
	{
		for (int i = 0; i < 4; i++) {
			out.w[i] = (int)format_word(in.low, i);
			out.w[i + 4] = (int)format_word(in.high, i);
		}
		out.scale[0] = half_to_float((uint16_t)in.d);
	}
};

struct format_iq4_nl {
	static constexpr bool QUANT = true, WHOLE = true;
	static constexpr uint32_t TYPE = TYPE_IQ4_NL;
	static constexpr int KIND = FORMAT_PLAIN, PLANES = 2;
	struct raw {
		uint4 q;
		uint32_t d;
	};

	static __host__ __device__ constexpr uint32_t stride(int plane, uint32_t groups)
	{
		return groups * (plane == 0 ? 16 : 2);
	}
	DEVICE raw load(const format_row &r, uint32_t g, uint32_t)
	{
		return { load_stream16(r.p[0] + 16 * g), format_u16(r.p[1] + 2 * g) };
	}
	DEVICE void unpack(const raw &in, uint32_t, format_words &out)
	{
		format_iq4_words(in.q, out);
		out.scale[0] = half_to_float((uint16_t)in.d);
	}
};

struct format_mxfp4 {
	static constexpr bool QUANT = true, WHOLE = true;
	static constexpr uint32_t TYPE = TYPE_MXFP4;
	static constexpr int KIND = FORMAT_PLAIN, PLANES = 2;
	struct raw {
		uint4 q;
		uint32_t e;
	};

	static __host__ __device__ constexpr uint32_t stride(int plane, uint32_t groups)
	{
		return groups * (plane == 0 ? 16 : 1);
	}
	DEVICE raw load(const format_row &r, uint32_t g, uint32_t)
	{
		return { load_stream16(r.p[0] + 16 * g), format_u8(r.p[1] + g) };
	}
	/* The scale is 2^(e - 127), halved because the numbers are doubled. */
	DEVICE void unpack(const raw &in, uint32_t, format_words &out)
	{
		format_e2m1_words(in.q, out);
		out.scale[0] =
		    __uint_as_float(in.e < 2 ? 0x00200000u << in.e : (in.e - 1) << 23);
	}
};

struct format_nvfp4 {
	static constexpr bool QUANT = true, WHOLE = true;
	static constexpr uint32_t TYPE = TYPE_NVFP4;
	static constexpr int KIND = FORMAT_HALVES, PLANES = 2;
	struct raw {
		uint4 q;
		uint32_t s;
	};

	static __host__ __device__ constexpr uint32_t stride(int plane, uint32_t groups)
	{
		return groups * (plane == 0 ? 16 : 2);
	}
	DEVICE raw load(const format_row &r, uint32_t g, uint32_t)
	{
		return { load_stream16(r.p[0] + 16 * g), format_u16(r.p[1] + 2 * g) };
	}
	DEVICE void unpack(const raw &in, uint32_t, format_words &out)
	{
		format_e2m1_words(in.q, out);
		out.scale[0] = format_ue4m3_half(in.s & 0xff);
		out.scale[1] = format_ue4m3_half(in.s >> 8);
	}
};

#endif
