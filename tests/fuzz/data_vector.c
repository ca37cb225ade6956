/*
 * Vectors: any row is refused or one of the index's length; a row that is taken is
 * found, no farther from itself than from another, and what an encoder says becomes
 * such a row.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "recall/vector_index.h"

#define LENGTH 24u
#define DOCS 3000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

static struct index *docs_new(void)
{
	struct index *docs;

	must(index_new(&docs) == RC_OK);
	for (uint32_t i = 0; i < DOCS; i++) {
		index_begin(docs, i + 1, i, i);
		index_add(docs, "a", 1, 1);
		must(index_end(docs) == RC_OK);
	}
	return docs;
}

/* Where it goes(2), how many bytes(1), the row; again and again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct index *docs;
	const struct index_range any = { .set = false };
	uint8_t row[VECTOR_ROW_BYTES(LENGTH)];
	struct vector_index *index;
	struct index_hit hits[8];

	if (docs == NULL)
		docs = docs_new();
	must(vector_index_new(LENGTH, &index) == RC_OK);
	while (size >= 3) {
		uint32_t doc = ((uint32_t)data[0] << 8 | data[1]) % (2 * DOCS);
		size_t len = data[2] % (2 * sizeof row);
		data += 3;
		size -= 3;
		len = len < size ? len : size;
		enum rc rc = vector_index_put(index, doc, data, len);
		must(rc == RC_OK ? len == sizeof row && vector_index_has(index, doc)
				 : rc == RC_CORRUPT);
		if (rc == RC_OK) {
			size_t found = vector_index_nearest(index, data, docs, &any, hits, 8);
			must(found >= (doc < DOCS));
			for (size_t i = 0; i < found; i++)
				must(hits[i].doc < DOCS && isfinite(hits[i].score) &&
				     (i == 0 || hits[i].score <= hits[i - 1].score));
		}
		float values[LENGTH];
		if (len == sizeof values && (memcpy(values, data, len), true) &&
		    vector_pack(values, LENGTH, row) == RC_OK)
			must(vector_index_put(index, doc, row, sizeof row) == RC_OK);
		data += len;
		size -= len;
	}
	vector_index_free(index);
	return 0;
}
