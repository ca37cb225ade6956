/* Manifests: slices through a hash, and what they were made from as JSON. */
#include "align/slice_manifest.h"

#include "base/clock.h"
#include "base/hex.h"
#include "base/timestamp.h"

#define LINE_BYTES_MAX ((size_t)256 << 20)

void slice_manifest_begin(struct slice_manifest *manifest, const struct slice_query *query,
    uint64_t clock_map, const struct policy *policy)
{
	*manifest = (struct slice_manifest){
		.query = *query, .clock_map = clock_map, .policy_version = policy->version
	};
	policy_hash(policy, manifest->policy_hash);
	buf_init(&manifest->line, LINE_BYTES_MAX);
	(void)crypto_generichash_init(&manifest->state, NULL, 0, MANIFEST_HASH_BYTES);
}

enum rc slice_manifest_add(struct slice_manifest *manifest, const struct slice *slice)
{
	struct buf *line = &manifest->line;

	buf_reset(line);
	buf_putc(line, '{');
	enum rc rc = slice_json_cells(slice, manifest->query.facets, line);
	buf_puts(line, "}\n");
	if (rc == RC_OK)
		rc = buf_rc(line);
	if (rc != RC_OK)
		return rc;
	(void)crypto_generichash_update(&manifest->state, line->bytes, line->len);
	manifest->slices++;
	return RC_OK;
}

void slice_manifest_end(struct slice_manifest *manifest)
{
	(void)crypto_generichash_final(&manifest->state, manifest->hash, sizeof manifest->hash);
}

void slice_manifest_fini(struct slice_manifest *manifest)
{
	buf_fini(&manifest->line);
}

void slice_manifest_json(const struct slice_manifest *manifest, struct buf *out)
{
	char from[TIMESTAMP_TEXT_BYTES], to[TIMESTAMP_TEXT_BYTES];
	char policy[2 * POLICY_HASH_BYTES + 1], hash[2 * MANIFEST_HASH_BYTES + 1];
	bool first = true;

	timestamp_format(manifest->query.from_ns, from);
	timestamp_format(manifest->query.to_ns, to);
	hex_encode(manifest->policy_hash, POLICY_HASH_BYTES, policy);
	hex_encode(manifest->hash, MANIFEST_HASH_BYTES, hash);
	buf_printf(out,
	    "{\"cursor\":%llu,\"clock_map\":%llu,\"policy\":%llu,\"policy_hash\":\"%s\","
	    "\"from\":\"%s\",\"to\":\"%s\",\"step_s\":%lld,\"facets\":[",
	    (unsigned long long)manifest->query.as_of_seq, (unsigned long long)manifest->clock_map,
	    (unsigned long long)manifest->policy_version, policy, from, to,
	    (long long)(manifest->query.step_ns / NS_PER_S));
	for (int facet = 0; facet < FACET_COUNT; facet++) {
		if ((manifest->query.facets & FACET_MASK(facet)) == 0)
			continue;
		buf_printf(out, "%s\"%s\"", first ? "" : ",", facet_word((enum facet)facet));
		first = false;
	}
	buf_printf(out, "],\"slices\":%llu,\"hash\":\"%s\"}\n",
	    (unsigned long long)manifest->slices, hash);
}
