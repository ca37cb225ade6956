/* NEON with dot products (dotprod): 8-bit products.  Spec: scalar_q8.c. */
#if defined(__aarch64__)
#include "kernels/arm.h"

#define DOT(acc, w, x) vdotq_s32(acc, w, x)
#define DOT_LANE(acc, w, x, lane) vdotq_laneq_s32(acc, w, x, lane)
#include "kernels/arm_products.h"

TILE(neondot_tile_plain, KIND_PLAIN)
TILE(neondot_tile_halves, KIND_HALVES)
TILE(neondot_tile_min, KIND_MIN)
TILE(neondot_tile_min_halves, KIND_MIN_HALVES)
DIRECT(neondot_direct_q4_0, unpack_q4_0, scale_f16, Q4_0_BYTES)
DIRECT(neondot_direct_q5_0, unpack_q5_0, scale_f16, Q5_0_BYTES)
DIRECT(neondot_direct_q8_0, unpack_q8_0, scale_f16, Q8_0_BYTES)
DIRECT(neondot_direct_iq4_nl, unpack_iq4_nl, scale_f16, IQ4_NL_BYTES)
DIRECT(neondot_direct_mxfp4, unpack_mxfp4, scale_mxfp4, MXFP4_BYTES)
#else
typedef int no_arm; /* a translation unit is never empty */
#endif
