/* Home inside: what finding and making digests share. */
#ifndef ALIGN_HOME_INNER_H
#define ALIGN_HOME_INNER_H

#include "align/home.h"
#include "store/store_digest.h"
#include "store/store_slice.h"

#define HOME_CHILDREN 4u
/* References gathered before they are folded. */
#define HOME_GATHER_MAX ((size_t)4096)

struct home_gather {
	const struct policy *policy;
	uint8_t key[HOME_HASH_KEY_BYTES];
	struct home_fold fold;
	int64_t from_ns;   /* of the stretch that is read */
	size_t folded_len; /* references when it was folded last */
	enum rc rc;
	bool damaged; /* a record could not be read */
};

enum rc home_gather_init(
    struct home_gather *gather, struct store *store, const struct policy *policy) RC_CHECK;

/* Add the records that begin in [from, to), as of `cursor` (0: the newest). */
enum rc home_gather_log(struct home_gather *gather, struct store *store, int64_t from_ns,
    int64_t to_ns, uint64_t cursor, struct errmsg *why) RC_CHECK;

/* ---- home_build.c: digests made again, to compare ---------------------------------- */
struct home_make;
/* `store`, `policy` and `why` are borrowed until home_make_free(). */
enum rc home_make_new(struct store *store, const struct policy *policy, struct home_make **out,
    struct errmsg *why) RC_CHECK;
void home_make_free(struct home_make *make);
/* What the stretch of a digest comes to by the digests of its parts, and by the
 * records where those have none.  Puts nothing. */
enum rc home_make_again(
    struct home_make *make, unsigned level, int64_t start_ns, struct home_fold *out) RC_CHECK;

/* Call `visit` with the blocks of the digests that make up the time before
 * `until_ns`, rounded down, in order; that is `*end_ns`. */
typedef enum rc home_block_fn(void *ctx, unsigned level, int64_t start_ns);
enum rc home_blocks(int64_t until_ns, home_block_fn *visit, void *ctx, int64_t *end_ns) RC_CHECK;

#endif
