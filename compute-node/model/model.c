/* Opening a model: map, find the architecture, bind, describe. */
#include "model/model.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "model/bind.h"
#include "model/model_impl.h"
#include "tokenize/tokenizer.h"

#define ARENA_BYTES_MAX (64u << 20)

static char *file_stem(struct arena *arena, const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash != NULL ? slash + 1 : path;
	size_t len = strlen(base);

	if (len > 5 && strcmp(base + len - 5, ".gguf") == 0)
		len -= 5;
	return arena_copy(arena, base, len);
}

/* Of all parts, one behind another. */
static bool hash_headers(const struct gguf *g, uint8_t out[MODEL_HASH_BYTES])
{
	crypto_generichash_state state;
	bool ok = crypto_generichash_init(&state, NULL, 0, MODEL_HASH_BYTES) == 0;

	for (size_t i = 0; ok && i < gguf_parts_len(g); i++) {
		struct gguf_string_view header = gguf_header(g, i);

		ok = crypto_generichash_update(&state, (const uint8_t *)header.text, header.len) ==
		     0;
	}
	return ok && crypto_generichash_final(&state, out, MODEL_HASH_BYTES) == 0;
}

static enum rc describe(struct model *m, const char *path, struct errmsg *why)
{
	struct model_info *info = &m->info;
	struct gguf_string_view template = { NULL, 0 };
	enum rc rc = gguf_get_string(m->gguf, "tokenizer.chat_template", &template, why);

	if (rc != RC_OK && rc != RC_NOTFOUND)
		return rc;
	info->name = file_stem(&m->arena, path);
	info->architecture = m->arch->name;
	info->n_vocab = m->n_vocab;
	info->n_embd = m->n_embd;
	info->n_layer = m->n_layer;
	info->n_head = m->n_head;
	info->n_ctx_train = m->n_ctx_train;
	for (size_t i = 0; i < gguf_tensors_len(m->gguf); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(m->gguf, i);

		info->parameters += t->dims[0] * t->dims[1] * t->dims[2] * t->dims[3];
		info->weights_bytes += t->n_bytes;
	}
	if (!hash_headers(m->gguf, info->content_hash))
		return errmsg_rc(why, RC_BUG, "hash of the header");
	if (template.text != NULL)
		info->chat_template = arena_copy(&m->arena, template.text, template.len);
	info->tables_bytes = sizeof(*m) + m->arena.used_bytes + gguf_tables_bytes(m->gguf);
	if (m->tokenizer != NULL)
		info->tables_bytes += tokenizer_bytes(m->tokenizer);
	info->pools = m->pooling != POOLING_NONE;
	info->causal = !info->pools;
	if (info->name == NULL || (template.text != NULL && info->chat_template == NULL))
		return RC_NOMEM;
	return RC_OK;
}

/* A file that says how to pool is there to embed; encoders do in any case. */
static enum rc bind_pooling(struct model *m, struct errmsg *why)
{
	uint32_t pooling = 0;
	enum rc rc = bind_u32_or(m, "pooling_type", UINT32_MAX - 1,
	    m->encoder != NULL ? POOLING_MEAN : 0, &pooling, why);

	if (rc != RC_OK)
		return rc;
	if (pooling > POOLING_LAST)
		return errmsg_rc(why, RC_UNSUPPORTED,
		    "GGUF: key %s.pooling_type: %u%s is not supported", m->arch->name, pooling,
		    pooling == POOLING_RANK ? " (ranking)" : "");
	m->pooling = (enum pooling)pooling;
	return RC_OK;
}

static enum rc load_tokenizer(struct model *m, struct errmsg *why)
{
	enum rc rc = tokenizer_load(m->gguf, &m->tokenizer, why);

	if (rc == RC_NOTFOUND) {
		errmsg_reset(why);
		return RC_OK;
	}
	if (rc != RC_OK)
		return rc;
	if (tokenizer_vocab_size(m->tokenizer) > m->n_vocab)
		return errmsg_rc(why, RC_INVALID,
		    "GGUF: %zu tokens in the vocabulary, %u rows in token_embd.weight",
		    tokenizer_vocab_size(m->tokenizer), m->n_vocab);
	return RC_OK;
}

static enum rc open_checked(struct model *m, const char *path, struct errmsg *why)
{
	struct gguf_string_view name = { NULL, 0 };
	enum rc rc = gguf_open(path, &m->gguf, why);

	if (rc != RC_OK)
		return rc;
	rc = gguf_get_string(m->gguf, "general.architecture", &name, why);
	if (rc == RC_NOTFOUND)
		return errmsg_rc(why, RC_INVALID, "GGUF: key general.architecture is missing");
	if (rc != RC_OK)
		return rc;
	m->arch = arch_find(name);
	if (m->arch == NULL)
		return errmsg_rc(why, RC_UNSUPPORTED, "GGUF: unknown architecture '%.*s'",
		    (int)name.len, name.text);
	rc = m->arch->bind(m, why);
	if (rc == RC_OK)
		rc = bind_cache(m, why);
	if (rc == RC_OK)
		rc = bind_pooling(m, why);
	if (rc == RC_OK)
		rc = load_tokenizer(m, why);
	if (rc == RC_OK)
		rc = describe(m, path, why);
	return rc;
}

enum rc model_open(const char *path, struct model **out, struct errmsg *why)
{
	struct model *m = calloc(1, sizeof(*m));
	enum rc rc;

	if (m == NULL)
		return RC_NOMEM;
	arena_init(&m->arena, ARENA_BYTES_MAX);
	rc = open_checked(m, path, why);
	if (rc != RC_OK) {
		model_close(m);
		return rc;
	}
	*out = m;
	return RC_OK;
}

void model_close(struct model *m)
{
	if (m == NULL)
		return;
	tokenizer_free(m->tokenizer);
	gguf_close(m->gguf);
	arena_fini(&m->arena);
	free(m);
}

void model_forget_pages(const struct model *m)
{
	gguf_forget_pages(m->gguf);
}

const struct model_info *model_info(const struct model *m)
{
	return &m->info;
}

const struct gguf *model_gguf(const struct model *m)
{
	return m->gguf;
}

const struct tokenizer *model_tokenizer(const struct model *m)
{
	return m->tokenizer;
}
