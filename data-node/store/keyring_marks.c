/* Keyring marks: made, found, compared. */
#include "store/keyring_marks.h"

#include <sodium.h>
#include <string.h>

#include "base/wipe.h"
#include "store/keyring_internal.h"

#define HASH_BYTES ((size_t)8)
#define HEAD_BYTES (KEYRING_MARK_BYTES - HASH_BYTES)

/* (day, layer) as bytes that sort: the sign bit of the day is flipped. */
static void head_put(uint8_t out[HEAD_BYTES], int32_t day, unsigned layer)
{
	uint32_t bits = (uint32_t)day ^ UINT32_C(0x80000000);

	for (unsigned i = 0; i < 4; i++)
		out[i] = (uint8_t)(bits >> (24 - 8 * i));
	out[4] = (uint8_t)layer;
}

static bool same_place(const struct keyring_entry *a, const struct keyring_entry *b)
{
	return a->day == b->day && a->layer == b->layer;
}

/* A key that was dropped is there for readers of the moment only. */
static void entry_hash(const struct keyring_entry *entry, crypto_generichash_state *state)
{
	if (entry->state == KEYRING_DROPPED)
		return;
	(void)crypto_generichash_update(state, &entry->state, 1);
	(void)crypto_generichash_update(state, entry->key, sizeof(entry->key));
}

enum rc keyring_marks(struct keyring *keyring, struct buf *out)
{
	crypto_generichash_state state;
	uint8_t key[KEYRING_KEY_BYTES], mark[KEYRING_MARK_BYTES],
	    hash[crypto_generichash_BYTES_MIN];

	enum rc rc = keyring_derive(keyring, "marks of keys", key);
	if (rc != RC_OK)
		return rc;
	(void)pthread_rwlock_rdlock(&keyring->lock);
	for (size_t i = 0; i < keyring->entries_len;) {
		const struct keyring_entry *entry = &keyring->entries[i];
		(void)crypto_generichash_init(&state, key, sizeof(key), sizeof(hash));
		for (; i < keyring->entries_len && same_place(entry, &keyring->entries[i]); i++)
			entry_hash(&keyring->entries[i], &state);
		(void)crypto_generichash_final(&state, hash, sizeof(hash));
		head_put(mark, entry->day, entry->layer);
		memcpy(mark + HEAD_BYTES, hash, HASH_BYTES);
		buf_append(out, mark, sizeof(mark));
	}
	(void)pthread_rwlock_unlock(&keyring->lock);
	wipe(key, sizeof(key));
	return buf_rc(out);
}

enum rc keyring_marks_check(const uint8_t *marks, size_t len)
{
	if (len % KEYRING_MARK_BYTES != 0)
		return RC_CORRUPT;
	for (size_t at = KEYRING_MARK_BYTES; at < len; at += KEYRING_MARK_BYTES) {
		if (memcmp(marks + at - KEYRING_MARK_BYTES, marks + at, HEAD_BYTES) >= 0)
			return RC_CORRUPT;
	}
	return RC_OK;
}

/* The mark that starts with `head`, or NULL. */
static const uint8_t *find(const uint8_t *marks, size_t len, const uint8_t head[HEAD_BYTES])
{
	size_t lo = 0, hi = len / KEYRING_MARK_BYTES;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const uint8_t *mark = marks + mid * KEYRING_MARK_BYTES;
		int order = memcmp(mark, head, HEAD_BYTES);
		if (order == 0)
			return mark;
		if (order < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

bool keyring_marks_changed(const uint8_t *old, size_t old_len, const uint8_t *now, size_t now_len,
    int32_t day, unsigned layer)
{
	uint8_t head[HEAD_BYTES];

	head_put(head, day, layer);
	const uint8_t *before = find(old, old_len, head);
	const uint8_t *after = find(now, now_len, head);
	if (before == NULL)
		return false;
	return after == NULL || memcmp(before, after, KEYRING_MARK_BYTES) != 0;
}

bool keyring_marks_any_changed(
    const uint8_t *old, size_t old_len, const uint8_t *now, size_t now_len)
{
	for (size_t at = 0; at < old_len; at += KEYRING_MARK_BYTES) {
		const uint8_t *after = find(now, now_len, old + at);
		if (after == NULL || memcmp(old + at, after, KEYRING_MARK_BYTES) != 0)
			return true;
	}
	return false;
}
