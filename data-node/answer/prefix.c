/* Prefix: a chain of SipHash over steps of a prompt. */
#include "answer/prefix.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/wipe.h"

#define HASH_BYTES crypto_shorthash_BYTES

_Static_assert(HASH_BYTES == sizeof(uint64_t), "a hash is a number");

static unsigned char chain_key[crypto_shorthash_KEYBYTES];
static pthread_once_t chain_once = PTHREAD_ONCE_INIT;

static void make_key(void)
{
	random_bytes(chain_key, sizeof(chain_key));
}

/* The hash so far, and behind it what the next one is of. */
struct chain {
	struct prefix *out;
	size_t cap, filled; /* filled: bytes of `step` behind the hash */
	unsigned char step[HASH_BYTES + PREFIX_STEP_BYTES];
	enum rc rc;
};

static void end_step(struct chain *chain)
{
	struct prefix *out = chain->out;

	if (out->len == chain->cap) {
		size_t cap = chain->cap == 0 ? 64 : chain->cap * 2;
		uint64_t *grown = realloc(out->steps, cap * sizeof(*grown));

		if (grown == NULL) {
			chain->rc = RC_NOMEM;
			return;
		}
		out->steps = grown;
		chain->cap = cap;
	}
	unsigned char hash[HASH_BYTES];
	(void)crypto_shorthash(hash, chain->step, sizeof(chain->step), chain_key);
	memcpy(chain->step, hash, sizeof(hash));
	memcpy(&out->steps[out->len++], hash, sizeof(hash));
	chain->filled = 0;
}

static void put(struct chain *chain, const void *bytes, size_t len)
{
	const unsigned char *from = bytes;

	while (len > 0 && chain->rc == RC_OK && chain->out->len < PREFIX_STEPS_MAX) {
		size_t room = PREFIX_STEP_BYTES - chain->filled, n = len < room ? len : room;

		memcpy(chain->step + HASH_BYTES + chain->filled, from, n);
		chain->filled += n;
		from += n;
		len -= n;
		if (chain->filled == PREFIX_STEP_BYTES)
			end_step(chain);
	}
}

/* With the NUL at its end, so that two texts are not one. */
static void put_text(struct chain *chain, const char *text)
{
	if (text == NULL)
		text = "";
	put(chain, text, strlen(text) + 1);
}

static void put_parts(struct chain *chain, const struct wire_part *parts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put(chain, parts[i].data, parts[i].data_len);
	put_text(chain, "");
}

enum rc prefix_make(const struct wire_generate *generate, uint64_t whose, struct prefix *out)
{
	struct chain chain = { .out = out };

	(void)pthread_once(&chain_once, make_key);
	*out = (struct prefix){ 0 };
	put(&chain, &whose, sizeof(whose));
	put_text(&chain, generate->tools_json);
	for (size_t i = 0; i < generate->messages_len; i++) {
		const struct wire_chat_message *message = &generate->messages[i];

		put_text(&chain, message->role);
		put_text(&chain, message->tool_calls_json);
		put_parts(&chain, message->parts, message->parts_len);
	}
	put_parts(&chain, generate->raw, generate->raw_len);
	wipe(&chain.step, sizeof(chain.step));
	if (chain.rc != RC_OK)
		prefix_fini(out);
	return chain.rc;
}

void prefix_fini(struct prefix *prefix)
{
	free(prefix->steps);
	*prefix = (struct prefix){ 0 };
}

size_t prefix_shared(const struct prefix *a, const struct prefix *b)
{
	size_t n = a->len < b->len ? a->len : b->len, i = 0;

	while (i < n && a->steps[i] == b->steps[i])
		i++;
	return i;
}
