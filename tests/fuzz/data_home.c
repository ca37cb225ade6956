/*
 * Folds of the home: any bytes are refused or decode to references that lie in
 * order within their stretch and encode to the same again; what is kept of them
 * is kept of that again.
 */
#include <stdlib.h>
#include <string.h>

#include "align/home_fold.h"

#define START_NS INT64_C(1763164800000000000)
#define SPAN_NS INT64_C(5400000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct home_fold fold, again;
	struct buf once;

	home_fold_init(&fold);
	home_fold_init(&again);
	buf_init(&once, (size_t)4 << 20);
	if (home_fold_decode(data, size, START_NS, SPAN_NS, &fold) == RC_OK) {
		for (size_t i = 0; i < fold.len; i++)
			must(fold.refs[i].key_ns >= START_NS &&
			     fold.refs[i].key_ns < START_NS + SPAN_NS &&
			     fold.refs[i].end_ns >= fold.refs[i].key_ns);
		must(home_fold_encode(&fold, START_NS, &once) == RC_OK);
		must(home_fold_decode(once.bytes, once.len, START_NS, SPAN_NS, &again) == RC_OK);
		must(again.len == fold.len && again.last_seq == fold.last_seq);
		size_t len = fold.len;
		must(home_fold_keep(&fold, START_NS + SPAN_NS) == RC_OK && fold.len <= len);
		len = fold.len;
		must(home_fold_keep(&fold, START_NS + SPAN_NS) == RC_OK && fold.len == len);
	}
	home_fold_fini(&fold);
	home_fold_fini(&again);
	buf_fini(&once);
	return 0;
}
