/*
 * Envelopes: whatever bytes a peer sends, decoding ends in bounded memory, and
 * what it accepts encodes again and reads the same.
 *
 * The first byte says what the rest is: the bytes of a peer, or a seed for a
 * valid message of some kind and then (position, value) pairs that spoil it.
 */
#include <stdlib.h>
#include <string.h>

#include "message_random.h"

#define KINDS ((unsigned)MESSAGE_FOLLOW_PART + 1)
#define SEED_BYTES 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

static void check(const uint8_t *bytes, size_t len)
{
	struct message message, again;
	struct errmsg why = ERRMSG_INIT;
	struct arena arena, again_arena;
	struct buf encoded;

	arena_init(&arena, WIRE_ARENA_BYTES_MAX);
	arena_init(&again_arena, WIRE_ARENA_BYTES_MAX);
	buf_init(&encoded, WIRE_MESSAGE_BYTES_MAX);
	enum rc rc = message_decode(bytes, len, &arena, &message, &why);
	must(arena.used_bytes <= WIRE_ARENA_BYTES_MAX);
	if (rc == RC_OK) {
		must((unsigned)message.kind < KINDS);
		must(message_encode(&message, &encoded, NULL) == RC_OK);
		must(message_decode(encoded.bytes, encoded.len, &again_arena, &again, NULL) ==
		     RC_OK);
		must(message_difference(&message, &again) == NULL);
	} else {
		must(rc == RC_INVALID || rc == RC_LIMIT || rc == RC_NOMEM);
		must(why.text[0] != '\0');
	}
	buf_fini(&encoded);
	arena_fini(&again_arena);
	arena_fini(&arena);
}

static void check_spoilt(const uint8_t *data, size_t size, unsigned kind)
{
	struct message message;
	struct arena arena;
	struct buf bytes;
	uint64_t seed;

	memcpy(&seed, data, sizeof(seed));
	arena_init(&arena, (size_t)1 << 20);
	buf_init(&bytes, WIRE_MESSAGE_BYTES_MAX);
	message_random(&seed, (enum message_kind)kind, &arena, &message);
	must(message_encode(&message, &bytes, NULL) == RC_OK);
	for (size_t i = SEED_BYTES; i + 2 < size && bytes.len > 0; i += 3) {
		size_t at = ((size_t)data[i] << 8 | data[i + 1]) % bytes.len;
		bytes.bytes[at] ^= data[i + 2];
	}
	check(bytes.bytes, bytes.len);
	buf_fini(&bytes);
	arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] % 2 == 0 || size < 1 + SEED_BYTES)
		check(data + 1, size - 1);
	else
		check_spoilt(data + 1, size - 1, data[0] / 2 % KINDS);
	return 0;
}
