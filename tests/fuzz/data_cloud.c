/*
 * Foreign bytes of the model router: policy files, and what an upstream sends.  The first
 * byte picks the parser.
 */
#include <stdlib.h>
#include <string.h>

#include "cloud/cloud_policy.h"
#include "cloud/reading.h"
#include "cloud/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define ARENA_BYTES ((size_t)16 << 20)
#define EVENT_BYTES_MAX ((size_t)4096)

static void must(bool condition)
{
	if (!condition)
		abort();
}

/* Any text is refused or reads as a policy that prints as one that reads the same. */
static void fuzz_policy(const char *text, size_t len)
{
	struct cloud_policy first, second;
	struct buf once, again;
	struct arena arena;

	arena_init(&arena, ARENA_BYTES);
	buf_init(&once, ARENA_BYTES);
	buf_init(&again, ARENA_BYTES);
	if (cloud_policy_parse(text, len, &arena, &first, NULL) == RC_OK) {
		cloud_policy_print(&first, &once);
		if (once.len <= CLOUD_POLICY_BYTES_MAX) {
			must(cloud_policy_parse(buf_text(&once), once.len, &arena, &second, NULL) ==
			     RC_OK);
			cloud_policy_print(&second, &again);
			must(once.len == again.len &&
			     memcmp(once.bytes, again.bytes, once.len) == 0);
		}
	}
	buf_fini(&once);
	buf_fini(&again);
	arena_fini(&arena);
}

struct answer {
	struct reading reading;
	struct buf said; /* every piece, in order */
};

static void take_pieces(struct answer *answer, bool over)
{
	struct reading_piece piece;

	while (reading_next(&answer->reading, over, &piece)) {
		must(piece.text != NULL && strlen(piece.text) == piece.len);
		must(piece.kind == READING_CALL || piece.len > 0);
		buf_append(&answer->said, piece.text, piece.len);
	}
}

static bool on_event(void *ctx, const char *data)
{
	struct answer *answer = ctx;

	must(strlen(data) <= EVENT_BYTES_MAX);
	if (reading_push(&answer->reading, data) != RC_OK)
		return false;
	take_pieces(answer, false);
	return true;
}

static void read_stream(struct answer *answer, const char *text, size_t len, size_t step)
{
	struct sse sse;

	reading_init(&answer->reading);
	buf_init(&answer->said, ARENA_BYTES);
	sse_init(&sse, EVENT_BYTES_MAX, on_event, answer);
	for (size_t i = 0; i < len; i += step) {
		if (!sse_push(&sse, text + i, len - i < step ? len - i : step))
			break;
	}
	take_pieces(answer, true);
	sse_fini(&sse);
	reading_fini(&answer->reading);
}

/* A stream says the same in pieces of any size. */
static void fuzz_stream(const char *text, size_t len)
{
	struct answer whole, split;
	struct buf error;

	read_stream(&whole, text, len, len + 1);
	read_stream(&split, text, len, 1);
	must(whole.said.len == split.said.len);
	must(
	    whole.said.len == 0 || memcmp(whole.said.bytes, split.said.bytes, whole.said.len) == 0);
	buf_fini(&whole.said);
	buf_fini(&split.said);
	buf_init(&error, ARENA_BYTES);
	reading_error(text, len, &error);
	must(error.len <= len && strlen(buf_text(&error)) == error.len);
	buf_fini(&error);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	if (len == 0)
		return 0;
	char *text = malloc(len);
	must(text != NULL);
	memcpy(text, bytes + 1, len - 1);
	text[len - 1] = '\0';
	if (bytes[0] % 2 == 0)
		fuzz_policy(text, len - 1);
	else
		fuzz_stream(text, len - 1);
	free(text);
	return 0;
}
