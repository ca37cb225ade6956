/* A small table of counters, found by key. */
#include "serve/tally.h"

#include <string.h>

enum rc tally_init(struct tally *tally)
{
	*tally = (struct tally){ .uses = 0 };
	return pthread_mutex_init(&tally->lock, NULL) == 0 ? RC_OK : RC_NOMEM;
}

void tally_fini(struct tally *tally)
{
	(void)pthread_mutex_destroy(&tally->lock);
}

static struct tally_row *find(struct tally *tally, const uint8_t *key)
{
	for (size_t i = 0; i < TALLY_KEYS_MAX; i++) {
		struct tally_row *row = &tally->rows[i];

		if (row->used != 0 && memcmp(row->key, key, WIRE_KEY_BYTES) == 0)
			return row;
	}
	return NULL;
}

/* The row of `key`, made where there is none. */
static struct tally_row *row_of(struct tally *tally, const uint8_t *key)
{
	struct tally_row *row = find(tally, key), *oldest = &tally->rows[0];

	for (size_t i = 1; i < TALLY_KEYS_MAX && row == NULL; i++) {
		if (tally->rows[i].used < oldest->used)
			oldest = &tally->rows[i];
	}
	if (row == NULL) {
		row = oldest;
		*row = (struct tally_row){ .used = 0 };
		memcpy(row->key, key, WIRE_KEY_BYTES);
	}
	row->used = ++tally->uses;
	return row;
}

void tally_add(
    struct tally *tally, const uint8_t key[WIRE_KEY_BYTES], enum tally_what what, uint64_t n)
{
	(void)pthread_mutex_lock(&tally->lock);
	row_of(tally, key)->counts[what] += n;
	(void)pthread_mutex_unlock(&tally->lock);
}

void tally_hold_begin(struct tally *tally)
{
	(void)pthread_mutex_lock(&tally->lock);
	for (size_t i = 0; i < TALLY_KEYS_MAX; i++)
		tally->rows[i].counts[TALLY_HELD] = 0;
}

void tally_hold(struct tally *tally, const uint8_t key[WIRE_KEY_BYTES], uint64_t tokens)
{
	row_of(tally, key)->counts[TALLY_HELD] += tokens;
}

void tally_hold_end(struct tally *tally)
{
	(void)pthread_mutex_unlock(&tally->lock);
}

void tally_get(struct tally *tally, const uint8_t key[WIRE_KEY_BYTES], uint64_t counts[TALLY_WHATS])
{
	(void)pthread_mutex_lock(&tally->lock);
	const struct tally_row *row = find(tally, key);
	if (row != NULL)
		memcpy(counts, row->counts, sizeof(row->counts));
	else
		memset(counts, 0, sizeof(row->counts));
	(void)pthread_mutex_unlock(&tally->lock);
}
