/* Small random llama models: header, vocabulary and tensors in one buffer. */
#include "tiny_gguf.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/random.h"
#include "os/file.h"

#define FILE_BYTES_MAX ((size_t)64 << 20)
#define ALIGNMENT 32
#define TENSORS_MAX 128

enum {
	VALUE_U32 = 4,
	VALUE_I32 = 5,
	VALUE_F32 = 6,
	VALUE_BOOL = 7,
	VALUE_STRING = 8,
	VALUE_ARRAY = 9
};
enum { TOKEN_NORMAL = 1, TOKEN_UNKNOWN = 2, TOKEN_CONTROL = 3, TOKEN_BYTE = 6 };

/* Pieces above single characters, merged in order of their score. */
#define SP "\xe2\x96\x81" /* SentencePiece's blank */
static const char *const merges[] = { SP "t", "he", SP "the", "in", "er", SP "a", "on", "re", "an",
	SP "s", SP "w", "nd", SP "o", "ou", SP "b", "ing", SP "and", SP "to", SP "was", "ly", "ed",
	SP "h", SP "day", "ll", "\xc3\xa4", "\xc3\xb6", "\xc3\xbc", "\xf0\x9f\x8c\x9f" };
#define MERGES_LEN (sizeof(merges) / sizeof(merges[0]))
#define PRINTABLE_FIRST 33
#define PRINTABLE_LAST 126
#define VOCAB_LEN                                                                                  \
	(TINY_GGUF_CONTROL + 1 + 2 + (PRINTABLE_LAST - PRINTABLE_FIRST + 1) + (uint32_t)MERGES_LEN)

struct tensor {
	char name[64];
	uint64_t dims[2]; /* innermost first; dims[1] 0: one dimension */
	float scale, offset;
};

struct writer {
	struct tiny_gguf o;
	struct buf out;
	uint64_t n_kv;
	struct tensor tensors[TENSORS_MAX];
	size_t n_tensors;
};

static void put_u32(struct buf *out, uint32_t v)
{
	uint8_t b[4];

	for (int i = 0; i < 4; i++)
		b[i] = (uint8_t)(v >> (8 * i));
	buf_append(out, b, sizeof(b));
}

static void put_u64(struct buf *out, uint64_t v)
{
	put_u32(out, (uint32_t)v);
	put_u32(out, (uint32_t)(v >> 32));
}

static void put_f32(struct buf *out, float v)
{
	uint32_t bits;

	memcpy(&bits, &v, sizeof(bits));
	put_u32(out, bits);
}

static void put_string(struct buf *out, const char *text)
{
	put_u64(out, strlen(text));
	buf_puts(out, text);
}

static void key(struct writer *w, const char *name, uint32_t type)
{
	put_string(&w->out, name);
	put_u32(&w->out, type);
	w->n_kv++;
}

static void key_u32(struct writer *w, const char *name, uint32_t v)
{
	key(w, name, VALUE_U32);
	put_u32(&w->out, v);
}

static void key_array(struct writer *w, const char *name, uint32_t type, uint64_t len)
{
	key(w, name, VALUE_ARRAY);
	put_u32(&w->out, type);
	put_u64(&w->out, len);
}

/* Text, kind and score of one token. */
static uint32_t token_kind(uint32_t id, char text[16], float *score)
{
	uint32_t rest = id - (TINY_GGUF_CONTROL + 1);

	*score = 0;
	if (id <= TINY_GGUF_EOS) {
		static const char *const words[] = { "<unk>", "<s>", "</s>" };

		(void)snprintf(text, 16, "%s", words[id]);
		return id == TINY_GGUF_UNK ? TOKEN_UNKNOWN : TOKEN_CONTROL;
	}
	if (id < TINY_GGUF_CONTROL) {
		(void)snprintf(text, 16, "<0x%02X>", (unsigned)(id - TINY_GGUF_BYTE0));
		return TOKEN_BYTE;
	}
	if (id == TINY_GGUF_CONTROL) {
		(void)snprintf(text, 16, "%s", TINY_GGUF_CONTROL_TEXT);
		return TOKEN_CONTROL;
	}
	*score = -1000.0F - (float)rest;
	if (rest < 2) {
		(void)snprintf(text, 16, "%s", rest == 0 ? SP : "\n");
		return TOKEN_NORMAL;
	}
	rest -= 2;
	if (rest <= PRINTABLE_LAST - PRINTABLE_FIRST) {
		(void)snprintf(text, 16, "%c", (char)(PRINTABLE_FIRST + rest));
		return TOKEN_NORMAL;
	}
	rest -= PRINTABLE_LAST - PRINTABLE_FIRST + 1;
	(void)snprintf(text, 16, "%s", merges[rest]);
	*score = -1.0F - (float)rest;
	return TOKEN_NORMAL;
}

static void put_vocabulary(struct writer *w)
{
	char text[16];
	float score;

	key(w, "tokenizer.ggml.model", VALUE_STRING);
	if (w->o.no_vocab) {
		put_string(&w->out, "no_vocab");
		return;
	}
	put_string(&w->out, "llama");
	key_array(w, "tokenizer.ggml.tokens", VALUE_STRING, VOCAB_LEN);
	for (uint32_t i = 0; i < VOCAB_LEN; i++) {
		(void)token_kind(i, text, &score);
		put_string(&w->out, text);
	}
	key_array(w, "tokenizer.ggml.scores", VALUE_F32, VOCAB_LEN);
	for (uint32_t i = 0; i < VOCAB_LEN; i++) {
		(void)token_kind(i, text, &score);
		put_f32(&w->out, score);
	}
	key_array(w, "tokenizer.ggml.token_type", VALUE_I32, VOCAB_LEN);
	for (uint32_t i = 0; i < VOCAB_LEN; i++)
		put_u32(&w->out, token_kind(i, text, &score));
	key_u32(w, "tokenizer.ggml.bos_token_id", TINY_GGUF_BOS);
	if (!w->o.endless)
		key_u32(w, "tokenizer.ggml.eos_token_id", TINY_GGUF_EOS);
	key_u32(w, "tokenizer.ggml.unknown_token_id", TINY_GGUF_UNK);
	key(w, "tokenizer.ggml.add_bos_token", VALUE_BOOL);
	buf_putc(&w->out, 1);
}

static void put_keys(struct writer *w)
{
	key(w, "general.architecture", VALUE_STRING);
	put_string(&w->out, "llama");
	key(w, "general.name", VALUE_STRING);
	put_string(&w->out, "tiny");
	if (w->o.chat_template != NULL) {
		key(w, "tokenizer.chat_template", VALUE_STRING);
		put_string(&w->out, w->o.chat_template);
	}
	key_u32(w, "llama.context_length", w->o.n_ctx);
	key_u32(w, "llama.embedding_length", w->o.n_embd);
	key_u32(w, "llama.block_count", w->o.n_layer);
	key_u32(w, "llama.feed_forward_length", w->o.n_ff);
	key_u32(w, "llama.attention.head_count", w->o.n_head);
	key_u32(w, "llama.attention.head_count_kv", w->o.n_head_kv);
	key_u32(w, "llama.rope.dimension_count", w->o.n_embd / w->o.n_head);
	key_u32(w, "llama.vocab_size", VOCAB_LEN);
	key(w, "llama.attention.layer_norm_rms_epsilon", VALUE_F32);
	put_f32(&w->out, 1e-5F);
	put_vocabulary(w);
}

static void add_tensor(struct writer *w, const char *name, uint64_t in, uint64_t rows, float scale)
{
	struct tensor *t = &w->tensors[w->n_tensors++];

	(void)snprintf(t->name, sizeof(t->name), "%s", name);
	t->dims[0] = in;
	t->dims[1] = rows;
	t->scale = scale;
	t->offset = rows == 0 ? 1.0F : 0.0F; /* norms stay near one */
}

static void add_layer(struct writer *w, uint32_t layer)
{
	const uint64_t embd = w->o.n_embd, kv = embd / w->o.n_head * w->o.n_head_kv, ff = w->o.n_ff;
	const struct {
		const char *name;
		uint64_t in, rows;
	} list[] = {
		{ "attn_norm", embd, 0 },
		{ "attn_q", embd, embd },
		{ "attn_k", embd, kv },
		{ "attn_v", embd, kv },
		{ "attn_output", embd, embd },
		{ "ffn_norm", embd, 0 },
		{ "ffn_gate", embd, ff },
		{ "ffn_up", embd, ff },
		{ "ffn_down", ff, embd },
	};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		char name[64];

		(void)snprintf(
		    name, sizeof(name), "blk.%u.%s.weight", (unsigned)layer, list[i].name);
		add_tensor(w, name, list[i].in, list[i].rows, list[i].rows == 0 ? 0.1F : 0.35F);
	}
}

static void put_infos(struct writer *w)
{
	uint64_t offset = 0;

	for (size_t i = 0; i < w->n_tensors; i++) {
		const struct tensor *t = &w->tensors[i];
		uint64_t n = t->dims[0] * (t->dims[1] == 0 ? 1 : t->dims[1]);

		put_string(&w->out, t->name);
		put_u32(&w->out, t->dims[1] == 0 ? 1 : 2);
		put_u64(&w->out, t->dims[0]);
		if (t->dims[1] != 0)
			put_u64(&w->out, t->dims[1]);
		put_u32(&w->out, 0); /* F32 */
		put_u64(&w->out, offset);
		offset += (4 * n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	}
}

static void pad(struct buf *out)
{
	while (out->rc == RC_OK && out->len % ALIGNMENT != 0)
		buf_putc(out, 0);
}

static void put_data(struct writer *w)
{
	uint64_t state = w->o.seed;

	for (size_t i = 0; i < w->n_tensors; i++) {
		const struct tensor *t = &w->tensors[i];
		uint64_t rows = t->dims[1] == 0 ? 1 : t->dims[1];
		bool output = strcmp(t->name, "output.weight") == 0;

		for (uint64_t r = 0; r < rows; r++) {
			for (uint64_t c = 0; c < t->dims[0]; c++) {
				double u = (double)(random_next(&state) >> 11) / 9007199254740992.0;
				float v = (float)(2 * u - 1) * t->scale + t->offset;

				if (output && r == TINY_GGUF_EOS && w->o.eos_bias != 0.0F)
					v *= w->o.eos_bias;
				put_f32(&w->out, v);
			}
		}
		pad(&w->out);
	}
}

static void fill_defaults(struct tiny_gguf *o)
{
	o->n_ctx = o->n_ctx == 0 ? 256 : o->n_ctx;
	o->n_embd = o->n_embd == 0 ? 64 : o->n_embd;
	o->n_head = o->n_head == 0 ? 4 : o->n_head;
	o->n_head_kv = o->n_head_kv == 0 ? 2 : o->n_head_kv;
	o->n_layer = o->n_layer == 0 ? 2 : o->n_layer;
	o->n_ff = o->n_ff == 0 ? 96 : o->n_ff;
}

enum rc tiny_gguf_write(const char *path, const struct tiny_gguf *options, struct errmsg *why)
{
	static struct writer w; /* tests write one file at a time */
	struct buf body;

	memset(&w, 0, sizeof(w));
	w.o = *options;
	fill_defaults(&w.o);
	if ((size_t)w.o.n_layer * 9 + 3 > TENSORS_MAX)
		return errmsg_rc(why, RC_LIMIT, "tiny model of %u layers", (unsigned)w.o.n_layer);
	add_tensor(&w, "token_embd.weight", w.o.n_embd, VOCAB_LEN, 1.0F);
	for (uint32_t i = 0; i < w.o.n_layer; i++)
		add_layer(&w, i);
	add_tensor(&w, "output_norm.weight", w.o.n_embd, 0, 0.1F);
	add_tensor(&w, "output.weight", w.o.n_embd, VOCAB_LEN, 0.6F);

	/* The keys go first into a buffer of their own: the header counts them. */
	buf_init(&w.out, FILE_BYTES_MAX);
	put_keys(&w);
	body = w.out;
	buf_init(&w.out, FILE_BYTES_MAX);
	buf_puts(&w.out, "GGUF");
	put_u32(&w.out, 3);
	put_u64(&w.out, w.n_tensors);
	put_u64(&w.out, w.n_kv);
	buf_append(&w.out, body.bytes, body.len);
	put_infos(&w);
	pad(&w.out);
	put_data(&w);
	enum rc rc = buf_rc(&w.out);
	if (rc == RC_OK)
		rc = file_write_atomic(path, 0644, w.out.bytes, w.out.len, why);
	buf_fini(&body);
	buf_fini(&w.out);
	return rc;
}
