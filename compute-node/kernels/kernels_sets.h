/*
 * The sets of instruction sets, and the check that lets a function in.
 * One group of files each: *_avx2.c, *_avx512.c, *_avx512vnni.c, *_neon.c,
 * *_neondot.c, *_neoni8mm.c.
 */
#ifndef KERNELS_KERNELS_SETS_H
#define KERNELS_KERNELS_SETS_H

#include "kernels/kernels.h"

#if defined(__x86_64__)
bool kernels_has_avx2(void);
bool kernels_has_avx512(void);
bool kernels_has_avx512vnni(void);
extern const struct kernels kernels_avx2;
extern const struct kernels kernels_avx512;
extern const struct kernels kernels_avx512vnni;
#elif defined(__aarch64__)
bool kernels_has_neon(void);
bool kernels_has_neondot(void);
bool kernels_has_neoni8mm(void);
extern const struct kernels kernels_neon;
extern const struct kernels kernels_neondot;
extern const struct kernels kernels_neoni8mm;
#endif

/* The function of `set` for strips of a kind, where types share it. */
#define TILE_KIND_PLAIN(set) set##_tile_plain
#define TILE_KIND_HALVES(set) set##_tile_halves
#define TILE_KIND_MIN(set) set##_tile_min
#define TILE_KIND_MIN_HALVES(set) set##_tile_min_halves

/*
 * Take every function of `candidate` (NULL where it has none) that gives the
 * bits of `scalar` on random input into `set`; true if there was one, and the
 * set then has the candidate's name.
 */
bool kernels_adopt(
    struct kernels *set, const struct kernels *candidate, const struct kernels *scalar);

#endif
