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
#define X(type, name, kind, floats, groups, bytes)                                                 \
	DIRECT(neondot_direct_##name, name, floats, kind, groups, bytes)
ARM_FORMATS(X)
#undef X
#else
typedef int no_arm; /* a translation unit is never empty */
#endif
