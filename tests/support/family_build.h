/*
 * Tiny random models of the families, for tests: every key and tensor such a
 * file has, from two tables.
 */
#ifndef SUPPORT_FAMILY_BUILD_H
#define SUPPORT_FAMILY_BUILD_H

#include "gguf_build.h"

#define FAMILY_VOCAB 70
#define FAMILY_CTX 64
#define FAMILY_TENSORS_MAX 80

enum family_kind {
	FAMILY_MATRIX, /* of the type that is asked for */
	FAMILY_EITHER, /* the same; other files have it under other names */
	FAMILY_FLOAT,  /* a matrix that is F32 in every file */
	FAMILY_NORM,   /* around 1 */
	FAMILY_BIAS,   /* around 0; a file may lack it */
	FAMILY_NEED    /* around 0; a file may not */
};

struct family_key {
	const char *name; /* without the architecture */
	char type; /* 'u' number, 'f' float, 'b' bool, 's' text, 'a' array of numbers, parted by
		      commas */
	double value;
	const char *text;
};

struct family_tensor {
	const char *name; /* NULL ends the list */
	enum family_kind kind;
	uint64_t n, n_rows, n_stack; /* n_rows 0: a vector; n_stack 0: 1 */
};

struct family {
	const char *name, *arch;
	bool recurrent;
	struct family_key keys[40];
	struct family_tensor tensors[FAMILY_TENSORS_MAX];
};

/* Families with experts and with state, and dense ones; each ends with a name of
 * NULL. */
extern const struct family family_table[], family_dense[];

/* All of both: `f` NULL gives the first, the last gives NULL. */
const struct family *family_next(const struct family *f);

/* Keys and tensors, matrices of `type` (a block of at most 32). */
void family_build(struct gguf_build *build, const struct family *family, enum tensor_type type);

#endif
