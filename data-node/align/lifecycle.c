/* Lifecycle: watermarks, borders of rounds, and how far all is closed. */
#include "align/lifecycle.h"

#include <stdlib.h>
#include <string.h>

#include "align/bytes.h"
#include "base/clock.h"
#include "base/hash.h"

#define SOURCE_BYTES 24
#define HEAD_BYTES 28

void lifecycle_init(struct lifecycle *life)
{
	*life = (struct lifecycle){
		.now_ns = INT64_MIN, .closed_ns = INT64_MIN, .least_ns = INT64_MIN
	};
}

void lifecycle_fini(struct lifecycle *life)
{
	free(life->sources);
	lifecycle_init(life);
}

int64_t lifecycle_round(const struct policy *policy, int64_t ns)
{
	int64_t round = ns / policy->settle_ns;

	return ns % policy->settle_ns < 0 ? round - 1 : round;
}

static bool is_idle(const struct lifecycle_source *source, const struct policy *policy, int64_t ns)
{
	return ns - source->heard_ns >= policy->idle_ns;
}

/* How far all is closed at the border at `ns`, by what is known now. */
static int64_t least_at(const struct lifecycle *life, const struct policy *policy, int64_t ns)
{
	int64_t least_ns = ns;

	for (size_t i = 0; i < life->len; i++) {
		const struct lifecycle_source *source = &life->sources[i];
		if (!is_idle(source, policy, ns) && source->watermark_ns < least_ns)
			least_ns = source->watermark_ns;
	}
	return least_ns - policy->late_ns;
}

static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/*
 * closed_ns after the borders from the first one behind now_ns up to the one
 * at `last` (round numbers).  With nothing new in between the least watermark
 * only rises, so of the later pairs of borders the last one tells all.
 */
static int64_t closed_after(const struct lifecycle *life, const struct policy *policy, int64_t last)
{
	int64_t first = lifecycle_round(policy, life->now_ns) + 1;
	int64_t closed_ns = life->closed_ns;

	if (last < first)
		return closed_ns;
	int64_t both_ns =
	    smaller(life->least_ns, least_at(life, policy, first * policy->settle_ns));
	if (last > first) {
		int64_t later_ns = least_at(life, policy, (last - 1) * policy->settle_ns);
		both_ns = later_ns > both_ns ? later_ns : both_ns;
	}
	return both_ns > closed_ns ? both_ns : closed_ns;
}

int64_t lifecycle_closed_at(
    const struct lifecycle *life, const struct policy *policy, int64_t now_ns)
{
	if (life->now_ns == INT64_MIN || now_ns <= life->now_ns)
		return life->closed_ns;
	return closed_after(life, policy, lifecycle_round(policy, now_ns));
}

static void drop_idle(struct lifecycle *life, const struct policy *policy, int64_t ns)
{
	size_t kept = 0;

	for (size_t i = 0; i < life->len; i++) {
		if (!is_idle(&life->sources[i], policy, ns))
			life->sources[kept++] = life->sources[i];
	}
	life->len = kept;
}

static void move_on(struct lifecycle *life, const struct policy *policy, int64_t now_ns)
{
	if (life->now_ns != INT64_MIN) {
		int64_t last = lifecycle_round(policy, now_ns);
		if (last > lifecycle_round(policy, life->now_ns)) {
			life->closed_ns = closed_after(life, policy, last);
			life->least_ns = least_at(life, policy, last * policy->settle_ns);
			drop_idle(life, policy, last * policy->settle_ns);
		}
	}
	life->now_ns = now_ns;
}

static uint64_t key_of(const char *name)
{
	return hash_bytes(HASH_START, name, strlen(name));
}

/* The first place whose key is not less. */
static size_t place_of(const struct lifecycle *life, uint64_t key)
{
	size_t low = 0, high = life->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (life->sources[middle].key < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static enum rc insert(struct lifecycle *life, size_t at, const struct lifecycle_source *source)
{
	if (life->len == LIFECYCLE_SOURCES_MAX)
		return RC_OK;
	if (life->len == life->cap) {
		size_t cap = life->cap == 0 ? 8 : life->cap * 2;
		struct lifecycle_source *sources =
		    realloc(life->sources, cap * sizeof life->sources[0]);
		if (sources == NULL)
			return RC_NOMEM;
		life->sources = sources;
		life->cap = cap;
	}
	memmove(
	    life->sources + at + 1, life->sources + at, (life->len - at) * sizeof life->sources[0]);
	life->sources[at] = *source;
	life->len++;
	return RC_OK;
}

enum rc lifecycle_feed(struct lifecycle *life, const struct policy *policy, const char *source,
    int64_t end_ns, int64_t recv_ns)
{
	uint64_t key = key_of(source);

	move_on(life, policy, recv_ns > life->now_ns ? recv_ns : life->now_ns);
	int64_t mark_ns = smaller(end_ns, life->now_ns);
	size_t at = place_of(life, key);
	if (at == life->len || life->sources[at].key != key)
		return insert(life, at, &(struct lifecycle_source){ key, mark_ns, life->now_ns });
	if (mark_ns > life->sources[at].watermark_ns)
		life->sources[at].watermark_ns = mark_ns;
	life->sources[at].heard_ns = life->now_ns;
	return RC_OK;
}

/* ---- stored form ------------------------------------------------------------------ */

void lifecycle_encode(const struct lifecycle *life, struct buf *out)
{
	bytes_put64(out, (uint64_t)life->now_ns);
	bytes_put64(out, (uint64_t)life->closed_ns);
	bytes_put64(out, (uint64_t)life->least_ns);
	bytes_put32(out, (uint32_t)life->len);
	for (size_t i = 0; i < life->len; i++) {
		bytes_put64(out, life->sources[i].key);
		bytes_put64(out, (uint64_t)life->sources[i].watermark_ns);
		bytes_put64(out, (uint64_t)life->sources[i].heard_ns);
	}
}

enum rc lifecycle_decode(const uint8_t *bytes, size_t len, struct lifecycle *life)
{
	struct bytes in = { bytes, len, false };

	lifecycle_fini(life);
	life->now_ns = (int64_t)bytes_get64(&in);
	life->closed_ns = (int64_t)bytes_get64(&in);
	life->least_ns = (int64_t)bytes_get64(&in);
	size_t n = bytes_get32(&in);
	if (in.bad || n > LIFECYCLE_SOURCES_MAX || len != HEAD_BYTES + n * SOURCE_BYTES)
		return RC_CORRUPT;
	life->sources = n == 0 ? NULL : malloc(n * sizeof life->sources[0]);
	if (n > 0 && life->sources == NULL)
		return RC_NOMEM;
	life->cap = n;
	for (size_t i = 0; i < n; i++) {
		struct lifecycle_source *source = &life->sources[life->len++];
		source->key = bytes_get64(&in);
		source->watermark_ns = (int64_t)bytes_get64(&in);
		source->heard_ns = (int64_t)bytes_get64(&in);
		if ((i > 0 && source->key <= source[-1].key) || source->heard_ns > life->now_ns)
			return RC_CORRUPT;
	}
	return RC_OK;
}
