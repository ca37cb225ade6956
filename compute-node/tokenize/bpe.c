/*
 * Byte-pair encoding by merge ranks (Sennrich et al. 2016; the byte-level form
 * of GPT-2): text is cut by the pre-tokenizer, each piece starts as its bytes,
 * and again and again the neighbours whose merge ranks first are joined.
 */
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/utf8.h"
#include "base/wipe.h"
#include "tokenize/pretoken.h"
#include "tokenize/tokenizer_impl.h"

#define SPACE "\xe2\x96\x81" /* U+2581 stands for a blank in raw vocabularies */
#define SPACE_BYTES 3
#define MERGES_MAX (1u << 22)
#define NOBODY UINT32_MAX
#define ROOM_FIRST ((size_t)512)

struct merge {
	int32_t left, right; /* ids; left TOKEN_NONE: an empty bucket */
	int32_t joined;
	uint32_t rank;
};

struct bpe {
	const struct pretoken *pretoken;
	struct merge *merges;  /* [merges_len] open addressing by (left, right) */
	size_t merges_len;     /* a power of two */
	int32_t bytes[256];    /* ids of single bytes, or TOKEN_NONE */
	uint16_t letters[256]; /* byte → code point of GPT-2's printable alphabet */
	int16_t values[512];   /* and back; -1 */
};

/* A piece of a piece; what was joined to its left has id TOKEN_NONE. */
struct symbol {
	uint32_t prev, next;
	int32_t id;
};

struct pair {
	uint32_t rank, left;
	int32_t left_id, right_id; /* stale if they differ now */
	int32_t joined;
};

struct work {
	const struct tokenizer *tokenizer;
	const struct bpe *bpe;
	struct tokens *out;
	struct symbol *symbols; /* [cap] */
	struct pair *heap;      /* [3 * cap] */
	char *text;             /* [cap]: a piece in the vocabulary's spelling */
	size_t cap, symbols_len, heap_len, text_len;
};

/* ---- merges ---- */

static size_t merge_hash(int32_t left, int32_t right)
{
	uint64_t h = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;

	h *= UINT64_C(0x9E3779B97F4A7C15);
	return (size_t)(h >> 20);
}

static struct merge *merge_slot(const struct bpe *bpe, int32_t left, int32_t right)
{
	size_t mask = bpe->merges_len - 1;
	size_t i = merge_hash(left, right) & mask;

	while (bpe->merges[i].left != TOKEN_NONE &&
	       (bpe->merges[i].left != left || bpe->merges[i].right != right))
		i = (i + 1) & mask;
	return &bpe->merges[i];
}

/* "left right": the first blank behind the first byte parts them. */
static void add_merge(struct tokenizer *t, struct gguf_string_view text, uint32_t rank)
{
	struct bpe *bpe = t->own;
	const char *blank = text.len > 2 ? memchr(text.text + 1, ' ', text.len - 1) : NULL;

	if (blank == NULL)
		return;
	size_t left_len = (size_t)(blank - text.text);
	size_t right_len = text.len - left_len - 1;
	char joined[2 * TOKEN_BYTES_MAX];
	if (left_len > TOKEN_BYTES_MAX || right_len > TOKEN_BYTES_MAX)
		return;
	memcpy(joined, text.text, left_len);
	memcpy(joined + left_len, blank + 1, right_len);
	int32_t left = tokenizer_find(t, text.text, left_len);
	int32_t right = tokenizer_find(t, blank + 1, right_len);
	int32_t id = tokenizer_find(t, joined, left_len + right_len);
	if (left == TOKEN_NONE || right == TOKEN_NONE || id == TOKEN_NONE)
		return; /* a merge that no text can reach */
	struct merge *slot = merge_slot(bpe, left, right);
	if (slot->left == TOKEN_NONE)
		*slot = (struct merge){ left, right, id, rank };
}

static enum rc load_merges(struct tokenizer *t, const struct gguf *g, struct errmsg *why)
{
	const char *key = "tokenizer.ggml.merges";
	const struct gguf_pair *merges = NULL;
	const uint8_t *cursor = NULL;
	struct gguf_string_view text;
	struct bpe *bpe = t->own;
	enum rc rc = gguf_get_array(g, key, GGUF_STRING, &merges, why);

	if (rc == RC_NOTFOUND)
		return errmsg_rc(why, RC_INVALID, "GGUF: key %s is missing", key);
	if (rc != RC_OK)
		return rc;
	if (merges->n > MERGES_MAX)
		return errmsg_rc(
		    why, RC_LIMIT, "GGUF: key %s: more than %u merges", key, MERGES_MAX);
	bpe->merges_len = 16;
	while (bpe->merges_len < 2 * merges->n)
		bpe->merges_len *= 2;
	t->bytes += sizeof(*bpe) + bpe->merges_len * sizeof(*bpe->merges);
	bpe->merges = malloc(bpe->merges_len * sizeof(*bpe->merges));
	if (bpe->merges == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < bpe->merges_len; i++)
		bpe->merges[i].left = TOKEN_NONE;
	for (uint32_t rank = 0; rank < merges->n && gguf_next_string(merges, &cursor, &text);
	     rank++)
		add_merge(t, text, rank);
	return RC_OK;
}

/* ---- the byte alphabet ---- */

/* GPT-2 writes printable bytes as themselves and the other 68 from U+0100 on. */
static void load_letters(struct bpe *bpe)
{
	uint16_t next = 256;

	for (size_t i = 0; i < sizeof(bpe->values) / sizeof(bpe->values[0]); i++)
		bpe->values[i] = -1;
	for (unsigned byte = 0; byte < 256; byte++) {
		bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) ||
				 byte >= 0xAE;
		bpe->letters[byte] = printable ? (uint16_t)byte : next++;
		bpe->values[bpe->letters[byte]] = (int16_t)byte;
	}
}

static void load_bytes(struct tokenizer *t)
{
	static const char digits[] = "0123456789ABCDEF";
	struct bpe *bpe = t->own;

	for (unsigned byte = 0; byte < 256; byte++) {
		uint8_t letter[UTF8_BYTES_MAX];
		const char raw[6] = { '<', '0', 'x', digits[byte >> 4], digits[byte & 15], '>' };
		size_t n = utf8_encode(bpe->letters[byte], letter);
		bpe->bytes[byte] = pretoken_is_raw(bpe->pretoken)
				       ? tokenizer_find(t, raw, sizeof(raw))
				       : tokenizer_find(t, (const char *)letter, n);
	}
}

static enum rc bpe_load(struct tokenizer *t, const struct gguf *g, struct errmsg *why)
{
	struct gguf_string_view pre = { "", 0 };
	struct bpe *bpe = calloc(1, sizeof(*bpe));

	if (bpe == NULL)
		return RC_NOMEM;
	t->own = bpe;
	enum rc rc = gguf_get_string(g, "tokenizer.ggml.pre", &pre, why);
	if (rc == RC_NOTFOUND)
		return errmsg_rc(why, RC_UNSUPPORTED, "GGUF: key tokenizer.ggml.pre is missing");
	if (rc != RC_OK)
		return rc;
	bpe->pretoken = pretoken_find(pre.text, pre.len);
	if (bpe->pretoken == NULL)
		return errmsg_rc(why, RC_UNSUPPORTED,
		    "GGUF: key tokenizer.ggml.pre: unknown pre-tokenizer '%.*s'",
		    (int)(pre.len < 64 ? pre.len : 64), pre.text);
	if (gguf_find(g, "tokenizer.ggml.add_bos_token") == NULL)
		t->add_bos = pretoken_adds_bos(bpe->pretoken);
	load_letters(bpe);
	load_bytes(t);
	return load_merges(t, g, why);
}

static void bpe_unload(struct tokenizer *t)
{
	struct bpe *bpe = t->own;

	if (bpe != NULL)
		free(bpe->merges);
	free(bpe);
}

/* ---- encoding ---- */

static bool before(const struct pair *a, const struct pair *b)
{
	return a->rank != b->rank ? a->rank < b->rank : a->left < b->left;
}

static void heap_push(struct work *w, struct pair pair)
{
	size_t i = w->heap_len++;

	for (; i > 0 && before(&pair, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = pair;
}

static struct pair heap_pop(struct work *w)
{
	struct pair top = w->heap[0];
	struct pair last = w->heap[--w->heap_len];
	size_t i = 0;

	for (size_t child; (child = 2 * i + 1) < w->heap_len; i = child) {
		if (child + 1 < w->heap_len && before(&w->heap[child + 1], &w->heap[child]))
			child++;
		if (!before(&w->heap[child], &last))
			break;
		w->heap[i] = w->heap[child];
	}
	w->heap[i] = last;
	return top;
}

static void consider(struct work *w, uint32_t left, uint32_t right)
{
	if (left == NOBODY || right == NOBODY)
		return;
	int32_t a = w->symbols[left].id;
	int32_t b = w->symbols[right].id;
	const struct merge *merge = merge_slot(w->bpe, a, b);
	if (merge->left != TOKEN_NONE)
		heap_push(w, (struct pair){ merge->rank, left, a, b, merge->joined });
}

static void join_all(struct work *w)
{
	for (size_t i = 1; i < w->symbols_len; i++)
		consider(w, (uint32_t)i - 1, (uint32_t)i);
	while (w->heap_len > 0) {
		struct pair pair = heap_pop(w);
		struct symbol *a = &w->symbols[pair.left];
		if (a->id != pair.left_id || a->next == NOBODY ||
		    w->symbols[a->next].id != pair.right_id)
			continue;
		struct symbol *b = &w->symbols[a->next];
		a->id = pair.joined;
		b->id = TOKEN_NONE;
		a->next = b->next;
		if (a->next != NOBODY)
			w->symbols[a->next].prev = pair.left;
		consider(w, a->prev, pair.left);
		consider(w, pair.left, a->next);
	}
}

static void add_symbol(struct work *w, int32_t id)
{
	uint32_t i = (uint32_t)w->symbols_len++;

	w->symbols[i] = (struct symbol){ i == 0 ? NOBODY : i - 1, NOBODY, id };
	if (i > 0)
		w->symbols[i - 1].next = i;
}

/* A byte without a token becomes the unknown one, or nothing. */
static void add_byte(struct work *w, uint8_t byte)
{
	int32_t id = w->bpe->bytes[byte];

	id = id != TOKEN_NONE ? id : w->tokenizer->unknown;
	if (id != TOKEN_NONE)
		add_symbol(w, id);
}

/* The piece as the vocabulary spells it. */
static void spell(struct work *w, const char *piece, size_t len)
{
	w->text_len = 0;
	for (size_t i = 0; i < len; i++) {
		if (!pretoken_is_raw(w->bpe->pretoken)) {
			uint8_t letter[UTF8_BYTES_MAX];
			size_t n = utf8_encode(w->bpe->letters[(uint8_t)piece[i]], letter);
			memcpy(w->text + w->text_len, letter, n);
			w->text_len += n;
		} else if (piece[i] == ' ') {
			memcpy(w->text + w->text_len, SPACE, SPACE_BYTES);
			w->text_len += SPACE_BYTES;
		} else {
			w->text[w->text_len++] = piece[i];
		}
	}
}

static void start_symbols(struct work *w, const char *piece, size_t len)
{
	w->symbols_len = 0;
	w->heap_len = 0;
	if (!pretoken_is_raw(w->bpe->pretoken)) {
		for (size_t i = 0; i < len; i++)
			add_byte(w, (uint8_t)piece[i]);
		return;
	}
	for (size_t at = 0; at < w->text_len;) {
		uint32_t cp;
		size_t n = utf8_decode((const uint8_t *)w->text + at, w->text_len - at, &cp);
		n = n == 0 ? 1 : n;
		int32_t id = tokenizer_find(w->tokenizer, w->text + at, n);
		for (size_t i = 0; id == TOKEN_NONE && i < n; i++)
			add_byte(w, (uint8_t)w->text[at + i]);
		if (id != TOKEN_NONE)
			add_symbol(w, id);
		at += n;
	}
}

static void drop_room(struct work *w)
{
	if (w->text != NULL)
		wipe(w->text, w->cap);
	if (w->symbols != NULL)
		wipe(w->symbols, w->cap * sizeof(*w->symbols));
	free(w->symbols);
	free(w->heap);
	free(w->text);
	w->symbols = NULL;
	w->heap = NULL;
	w->text = NULL;
	w->cap = 0;
}

/* Room for a piece of `len` bytes: pieces are short, a hostile one is not. */
static enum rc need_room(struct work *w, size_t len)
{
	size_t cap = len * SPACE_BYTES;

	if (cap <= w->cap)
		return RC_OK;
	drop_room(w);
	cap = cap < ROOM_FIRST ? ROOM_FIRST : cap;
	w->symbols = malloc(cap * sizeof(*w->symbols));
	/* A join makes at most two pairs and there are fewer joins than symbols. */
	w->heap = malloc(cap * 3 * sizeof(*w->heap));
	w->text = malloc(cap);
	if (w->symbols == NULL || w->heap == NULL || w->text == NULL)
		return RC_NOMEM;
	w->cap = cap;
	memset(w->text, 0, cap);
	memset(w->symbols, 0, cap * sizeof(*w->symbols));
	return RC_OK;
}

static enum rc encode_piece(void *ctx, const char *piece, size_t len)
{
	struct work *w = ctx;
	enum rc rc = need_room(w, len);

	if (rc != RC_OK)
		return rc;
	spell(w, piece, len);
	if (pretoken_ignores_merges(w->bpe->pretoken)) {
		int32_t whole = tokenizer_find(w->tokenizer, w->text, w->text_len);
		if (whole != TOKEN_NONE)
			return tokens_push(w->out, whole);
	}
	start_symbols(w, piece, len);
	join_all(w);
	for (uint32_t i = w->symbols_len > 0 ? 0 : NOBODY; rc == RC_OK && i != NOBODY;
	     i = w->symbols[i].next)
		rc = tokens_push(w->out, w->symbols[i].id);
	return rc;
}

static enum rc bpe_encode(const struct tokenizer *t, const char *text, size_t len, bool first,
    struct tokens *out, struct errmsg *why)
{
	struct work w = { .tokenizer = t, .bpe = t->own, .out = out };

	(void)first;
	enum rc rc = pretoken_split(w.bpe->pretoken, text, len, encode_piece, &w);
	if (rc == RC_NOMEM)
		rc = errmsg_rc(why, rc, "no memory to tokenize %zu bytes", len);
	drop_room(&w);
	return rc;
}

/* ---- decoding ---- */

/* The byte of a token spelled "<0x41>"; -1 if it is none. */
static int raw_byte(const struct token *token)
{
	char digits[3] = { 0 };
	uint8_t byte;

	if (token->text.len != 6 || memcmp(token->text.text, "<0x", 3) != 0 ||
	    token->text.text[5] != '>')
		return -1;
	memcpy(digits, token->text.text + 3, 2);
	return hex_decode(digits, &byte, 1) == RC_OK ? byte : -1;
}

static size_t raw_piece(const struct token *token, char *out, size_t cap)
{
	int byte = raw_byte(token);
	size_t len = 0;

	if (byte >= 0) {
		uint8_t one = (uint8_t)byte;
		return tokenizer_give(&one, 1, out, cap);
	}
	for (size_t i = 0; i < token->text.len; len++) {
		bool space = token->text.len - i >= SPACE_BYTES &&
			     memcmp(token->text.text + i, SPACE, SPACE_BYTES) == 0;
		if (len < cap)
			out[len] = space ? ' ' : token->text.text[i];
		i += space ? SPACE_BYTES : 1;
	}
	return len;
}

static size_t bpe_piece(const struct tokenizer *t, const struct token *token, char *out, size_t cap)
{
	const struct bpe *bpe = t->own;
	const uint8_t *text = (const uint8_t *)token->text.text;
	size_t len = 0;

	if (pretoken_is_raw(bpe->pretoken))
		return raw_piece(token, out, cap);
	for (size_t at = 0; at < token->text.len; len++) {
		uint32_t cp = 0;
		size_t n = utf8_decode(text + at, token->text.len - at, &cp);
		int value = n > 0 && cp < sizeof(bpe->values) / sizeof(bpe->values[0])
				? bpe->values[cp]
				: -1;
		if (value < 0) /* not of the alphabet: as it stands */
			return tokenizer_give(token->text.text, token->text.len, out, cap);
		if (len < cap)
			out[len] = (char)value;
		at += n;
	}
	return len;
}

const struct tokenizer_kind tokenizer_bpe = {
	.model = "gpt2",
	.load = bpe_load,
	.unload = bpe_unload,
	.encode = bpe_encode,
	.piece = bpe_piece,
};

/* The same under the name that gemma4 files give it. */
const struct tokenizer_kind tokenizer_bpe_raw = {
	.model = "gemma4",
	.load = bpe_load,
	.unload = bpe_unload,
	.encode = bpe_encode,
	.piece = bpe_piece,
};
