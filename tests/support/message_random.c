/* Random wire messages of every kind, and their comparison field by field. */
#include "message_random.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/utf8.h"

static size_t below(uint64_t *seed, size_t n)
{
	return (size_t)(random_next(seed) % n);
}

static uint32_t u32(uint64_t *seed)
{
	/* Small, large and zero: each has its own form as a varint. */
	return below(seed, 8) == 0 ? 0 : (uint32_t)(random_next(seed) >> (32 + below(seed, 32)));
}

static uint64_t u64(uint64_t *seed)
{
	return below(seed, 8) == 0 ? 0 : random_next(seed) >> below(seed, 64);
}

static bool coin(uint64_t *seed)
{
	return below(seed, 2) == 1;
}

static float number(uint64_t *seed)
{
	return ((float)below(seed, 2000001) - 1e6f) / 128.0f;
}

static void *room(struct arena *arena, size_t n, size_t size)
{
	void *out = arena_array(arena, n, size);

	if (out == NULL)
		abort();
	return out;
}

/* Text of any code points but NUL. */
static char *text(uint64_t *seed, struct arena *arena, size_t *len)
{
	static const uint32_t samples[] = { 1, '"', 0x7F, 0xE9, 0x20AC, 0xFFFD, 0x1F600, 0x10FFFF };
	char *out = room(arena, 4 * 24 + 1, 1);
	size_t n = below(seed, 24);
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t cp = coin(seed) ? samples[below(seed, 8)] : 'a' + u32(seed) % 26;
		uint8_t bytes[UTF8_BYTES_MAX];
		size_t bytes_len = utf8_encode(cp, bytes);
		memcpy(out + at, bytes, bytes_len);
		at += bytes_len;
	}
	if (len != NULL)
		*len = at;
	return out;
}

static const char *word(uint64_t *seed, struct arena *arena)
{
	return text(seed, arena, NULL);
}

static const uint8_t *blob(uint64_t *seed, struct arena *arena, size_t *len)
{
	size_t n = below(seed, 40);
	uint8_t *out = room(arena, n, 1);

	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)random_next(seed);
	*len = n;
	return out;
}

static void fixed(uint64_t *seed, uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)random_next(seed);
}

static const uint32_t *ids(uint64_t *seed, struct arena *arena, size_t *len)
{
	*len = below(seed, 20);
	uint32_t *out = room(arena, *len, sizeof(out[0]));
	for (size_t i = 0; i < *len; i++)
		out[i] = u32(seed);
	return out;
}

static const char *const *words(uint64_t *seed, struct arena *arena, size_t max, size_t *len)
{
	*len = below(seed, max + 1);
	const char **out = room(arena, *len, sizeof(out[0]));
	for (size_t i = 0; i < *len; i++)
		out[i] = word(seed, arena);
	return out;
}

static struct wire_load load(uint64_t *seed)
{
	return (struct wire_load){
		.active = u32(seed),
		.queued = u32(seed),
		.slots = u32(seed),
		.tokens_per_second = (double)number(seed),
	};
}

static const struct wire_part *parts(uint64_t *seed, struct arena *arena, size_t *len)
{
	*len = below(seed, 5);
	struct wire_part *out = room(arena, *len, sizeof(out[0]));
	for (size_t i = 0; i < *len; i++) {
		out[i].kind = (enum wire_part_kind)below(seed, 3);
		if (out[i].kind == WIRE_PART_TEXT)
			out[i].data = (uint8_t *)text(seed, arena, &out[i].data_len);
		else
			out[i].data = blob(seed, arena, &out[i].data_len);
		out[i].trusted = coin(seed);
		out[i].media_type = word(seed, arena);
	}
	return out;
}

static void random_capabilities(uint64_t *seed, struct arena *arena, struct wire_capabilities *out)
{
	out->protocol = u32(seed);
	out->program = word(seed, arena);
	out->numerics_id = word(seed, arena);
	out->models_len = below(seed, 4);
	out->load = load(seed);
	out->budget_bytes = u64(seed);
	fixed(seed, out->boot_id, sizeof(out->boot_id));
	struct wire_model *models = room(arena, out->models_len, sizeof(models[0]));
	for (size_t i = 0; i < out->models_len; i++) {
		models[i].name = word(seed, arena);
		fixed(seed, models[i].content_hash, sizeof(models[i].content_hash));
		models[i].architecture = word(seed, arena);
		models[i].context = u64(seed);
		models[i].parameters = u64(seed);
		models[i].weights_bytes = u64(seed);
		models[i].chat = coin(seed);
		models[i].embed = coin(seed);
		models[i].chat_template = word(seed, arena);
		models[i].cache_type = word(seed, arena);
		models[i].embedding_length = u32(seed);
		models[i].absent = coin(seed);
		models[i].constrains = coin(seed);
		models[i].holds_calls = coin(seed);
		models[i].tool_format = word(seed, arena);
	}
	out->models = models;
}

static void random_generate(uint64_t *seed, struct arena *arena, struct wire_generate *out)
{
	out->model = word(seed, arena);
	out->messages_len = below(seed, 4);
	struct wire_chat_message *messages = room(arena, out->messages_len, sizeof(messages[0]));
	for (size_t i = 0; i < out->messages_len; i++) {
		messages[i].role = word(seed, arena);
		messages[i].parts = parts(seed, arena, &messages[i].parts_len);
		messages[i].name = word(seed, arena);
		messages[i].tool_call_id = word(seed, arena);
		messages[i].tool_calls_json = word(seed, arena);
	}
	out->messages = messages;
	out->raw = parts(seed, arena, &out->raw_len);
	out->prompt_ids = ids(seed, arena, &out->prompt_ids_len);
	out->generated_ids = ids(seed, arena, &out->generated_ids_len);
	out->sampling = (struct wire_sampling){
		.temperature = number(seed),
		.top_k = u32(seed),
		.top_p = number(seed),
		.min_p = number(seed),
		.repeat_penalty = number(seed),
		.repeat_last_n = u32(seed),
		.presence_penalty = number(seed),
		.frequency_penalty = number(seed),
		.seed = u64(seed),
		.ignore_eos = coin(seed),
	};
	out->max_tokens = u32(seed);
	out->stop = words(seed, arena, WIRE_STOPS_MAX, &out->stop_len);
	out->now_utc_ns = (int64_t)random_next(seed);
	out->now_zone = word(seed, arena);
	out->credit = u32(seed);
	out->tools_json = word(seed, arena);
	out->logprobs = u32(seed);
	out->add_generation_prompt = coin(seed);
	out->markers = coin(seed);
	out->constraint.kind = (enum wire_constraint_kind)below(seed, 5);
	out->constraint.schema = word(seed, arena);
	out->constraint.one = below(seed, 2) == 0;
}

static void random_tokens(uint64_t *seed, struct arena *arena, struct wire_tokens *out)
{
	out->first_index = u32(seed);
	out->ids = ids(seed, arena, &out->ids_len);
	out->text = (uint8_t *)text(seed, arena, &out->text_len);
	out->text_offset = u64(seed);
	if (coin(seed))
		return;
	out->logprobs_len = out->ids_len;
	struct wire_token_logprobs *entries = room(arena, out->ids_len, sizeof(entries[0]));
	for (size_t i = 0; i < out->ids_len; i++) {
		struct wire_token_logprobs *entry = &entries[i];
		entry->logprob = number(seed);
		entry->text = blob(seed, arena, &entry->text_len);
		entry->top_len = below(seed, 4);
		uint32_t *top_ids = room(arena, entry->top_len, sizeof(top_ids[0]));
		float *top_logprobs = room(arena, entry->top_len, sizeof(top_logprobs[0]));
		const uint8_t **texts = room(arena, entry->top_len, sizeof(texts[0]));
		size_t *lens = room(arena, entry->top_len, sizeof(lens[0]));
		for (size_t k = 0; k < entry->top_len; k++) {
			top_ids[k] = u32(seed);
			top_logprobs[k] = number(seed);
			texts[k] = blob(seed, arena, &lens[k]);
		}
		entry->top_ids = top_ids;
		entry->top_logprobs = top_logprobs;
		entry->top_texts = texts;
		entry->top_text_lens = lens;
	}
	out->logprobs = entries;
}

static void random_vectors(uint64_t *seed, struct arena *arena, struct wire_vectors *out)
{
	size_t texts = below(seed, 4);

	out->length = 1 + u32(seed) % 16;
	out->values_len = texts * out->length;
	float *values = room(arena, out->values_len, sizeof(values[0]));
	for (size_t i = 0; i < out->values_len; i++)
		values[i] = number(seed);
	out->values = values;
	out->prompt_tokens = u32(seed);
}

static void random_started(uint64_t *seed, struct arena *arena, struct wire_started *out)
{
	out->prompt_ids = ids(seed, arena, &out->prompt_ids_len);
	out->numerics_id = word(seed, arena);
	fixed(seed, out->content_hash, sizeof(out->content_hash));
	out->chat_template = word(seed, arena);
	out->cached_tokens = u32(seed);
	out->cache_type = word(seed, arena);
	out->reasoning = coin(seed);
}

static void random_follow_ask(uint64_t *seed, struct arena *arena, struct wire_follow_ask *out)
{
	uint64_t *seqs = room(arena, 8, sizeof(*seqs));

	out->what = u32(seed);
	fixed(seed, out->store_id, WIRE_STORE_ID_BYTES);
	fixed(seed, out->last_id, WIRE_STORE_ID_BYTES);
	out->after = u64(seed);
	out->seqs_len = below(seed, 8);
	for (size_t i = 0; i < out->seqs_len; i++)
		seqs[i] = u64(seed);
	out->seqs = seqs;
	out->name = text(seed, arena, NULL);
}

static void random_follow_part(uint64_t *seed, struct arena *arena, struct wire_follow_part *out)
{
	out->what = u32(seed);
	fixed(seed, out->store_id, WIRE_STORE_ID_BYTES);
	fixed(seed, out->keyring_hash, WIRE_HASH_BYTES);
	fixed(seed, out->state_hash, WIRE_HASH_BYTES);
	out->cursor = u64(seed);
	out->data = blob(seed, arena, &out->data_len);
	out->offset = u64(seed) / 2;
	out->total = out->offset + out->data_len + u32(seed);
}

static void random_scalars(
    uint64_t *seed, enum message_kind kind, struct arena *arena, struct message *out)
{
	switch (kind) {
	case MESSAGE_HELLO:
		out->u.hello = (struct wire_hello){ u32(seed), u32(seed), word(seed, arena) };
		break;
	case MESSAGE_HEARTBEAT:
		out->u.heartbeat = (struct wire_heartbeat){ u64(seed), load(seed) };
		break;
	case MESSAGE_ERROR:
		out->u.error.code = (enum wire_error)below(seed, WIRE_ERROR_LIMIT + 1);
		out->u.error.text = word(seed, arena);
		out->u.error.context = u64(seed);
		out->u.error.needed = u64(seed);
		break;
	case MESSAGE_PLAN_REQUEST:
		out->u.plan_request =
		    (struct wire_plan_request){ word(seed, arena), u64(seed), u32(seed) };
		break;
	case MESSAGE_PLAN:
		out->u.plan = (struct wire_plan){ coin(seed), u64(seed), u64(seed), u64(seed),
			u64(seed), u64(seed), u64(seed) };
		break;
	case MESSAGE_LEASE_OPEN:
		out->u.lease_open = (struct wire_lease_open){ word(seed, arena), u32(seed) };
		break;
	case MESSAGE_LEASE_STATE:
		out->u.lease_state = (struct wire_lease_state){ coin(seed), u32(seed) };
		break;
	case MESSAGE_ADAPTER_STATE:
		out->u.adapter_state = (struct wire_adapter_state){ u64(seed), coin(seed) };
		break;
	case MESSAGE_CREDIT:
		out->u.credit = u32(seed);
		break;
	case MESSAGE_DONE:
		out->u.done.finish = (enum wire_finish)below(seed, WIRE_FINISH_ERROR + 1);
		out->u.done.prompt_tokens = u32(seed);
		out->u.done.generated_tokens = u32(seed);
		out->u.done.prompt_ns = u64(seed);
		out->u.done.generate_ns = u64(seed);
		out->u.done.stop = word(seed, arena);
		break;
	case MESSAGE_STATS:
		out->u.stats = (struct wire_stats){ load(seed), u64(seed), u64(seed), u64(seed),
			u64(seed), u64(seed), u32(seed), u64(seed), u64(seed), u64(seed), u64(seed),
			u64(seed), u64(seed), coin(seed), u64(seed), u64(seed), u64(seed) };
		break;
	default:
		break; /* a body without fields */
	}
}

void message_random(
    uint64_t *seed, enum message_kind kind, struct arena *arena, struct message *out)
{
	memset(out, 0, sizeof(*out));
	out->protocol = 1 + u32(seed) % 1000;
	out->request_id = u64(seed);
	out->ttl_ms = u32(seed);
	out->kind = kind;
	out->has_lease = coin(seed);
	if (out->has_lease)
		fixed(seed, out->lease_id, sizeof(out->lease_id));
	switch (kind) {
	case MESSAGE_CAPABILITIES:
		random_capabilities(seed, arena, &out->u.capabilities);
		break;
	case MESSAGE_FOLLOW_ASK:
		random_follow_ask(seed, arena, &out->u.follow_ask);
		break;
	case MESSAGE_FOLLOW_PART:
		random_follow_part(seed, arena, &out->u.follow_part);
		break;
	case MESSAGE_ADAPTER_PUT:
		fixed(seed, out->u.adapter_put.content_hash, WIRE_HASH_BYTES);
		out->u.adapter_put.chunk = blob(seed, arena, &out->u.adapter_put.chunk_len);
		out->u.adapter_put.offset = u64(seed) / 2;
		out->u.adapter_put.total_bytes =
		    out->u.adapter_put.offset + out->u.adapter_put.chunk_len + u32(seed);
		break;
	case MESSAGE_GENERATE:
		random_generate(seed, arena, &out->u.generate);
		break;
	case MESSAGE_STARTED:
		random_started(seed, arena, &out->u.started);
		break;
	case MESSAGE_TOKENS:
		random_tokens(seed, arena, &out->u.tokens);
		break;
	case MESSAGE_EMBED:
		out->u.embed.model = word(seed, arena);
		out->u.embed.texts = words(seed, arena, 5, &out->u.embed.texts_len);
		break;
	case MESSAGE_VECTORS:
		random_vectors(seed, arena, &out->u.vectors);
		break;
	case MESSAGE_TOKENIZE:
		out->u.tokenize.model = word(seed, arena);
		out->u.tokenize.parts = parts(seed, arena, &out->u.tokenize.parts_len);
		out->u.tokenize.add_bos = coin(seed);
		out->u.tokenize.count_only = coin(seed);
		break;
	case MESSAGE_TOKEN_IDS:
		out->u.token_ids.ids = ids(seed, arena, &out->u.token_ids.ids_len);
		out->u.token_ids.part_counts = ids(seed, arena, &out->u.token_ids.part_counts_len);
		break;
	default:
		random_scalars(seed, kind, arena, out);
	}
}
