/*
 * Generation, the half on the links' I/O threads: take in what a node says,
 * drop what is known already, refuse what cannot be.
 */
#include <stdlib.h>
#include <string.h>

#include "answer/generation_state.h"
#include "base/utf8.h"
#include "base/wipe.h"

#define IDS_FIRST ((size_t)256)

void generation_inbox_reset(struct inbox *inbox)
{
	inbox->started = inbox->down = inbox->error = inbox->done = inbox->fault = false;
	inbox->refusal = (struct wire_error_body){ 0 };
	inbox->refusal_text[0] = '\0';
	inbox->finish = WIRE_FINISH_UNKNOWN;
}

static void ids_free(uint32_t *ids, size_t len)
{
	if (ids != NULL)
		wipe(ids, len * sizeof(*ids));
	free(ids);
}

void generation_inbox_fini(struct inbox *inbox)
{
	ids_free(inbox->prompt_ids, inbox->prompt_ids_len);
	ids_free(inbox->ids, inbox->ids_cap);
	inbox->prompt_ids = inbox->ids = NULL;
	buf_fini(&inbox->text);
	buf_fini(&inbox->logprobs);
}

static void keep_text(char *out, size_t size, const char *text)
{
	size_t len = text == NULL ? 0 : strlen(text);

	if (len >= size) {
		len = size - 1;
		len -= utf8_pending(text, len);
	}
	if (len > 0)
		memcpy(out, text, len);
	out[len] = '\0';
}

static bool take_first_started(struct inbox *inbox, const struct wire_started *started)
{
	uint32_t *ids = malloc((started->prompt_ids_len + 1) * sizeof(*ids));

	if (ids == NULL)
		return false;
	if (started->prompt_ids_len > 0)
		memcpy(ids, started->prompt_ids, started->prompt_ids_len * sizeof(*ids));
	inbox->prompt_ids = ids;
	inbox->prompt_ids_len = started->prompt_ids_len;
	memcpy(inbox->content_hash, started->content_hash, WIRE_HASH_BYTES);
	keep_text(inbox->first_numerics_id, sizeof(inbox->first_numerics_id), started->numerics_id);
	keep_text(inbox->cache_type, sizeof(inbox->cache_type), started->cache_type);
	inbox->reasoning = started->reasoning;
	inbox->cached = started->cached_tokens < started->prompt_ids_len
			    ? started->cached_tokens
			    : (uint32_t)started->prompt_ids_len;
	inbox->known = true;
	return true;
}

static bool take_started(struct inbox *inbox, const struct wire_started *started)
{
	char cache_type[sizeof(inbox->cache_type)];

	if (inbox->started)
		return false;
	if (!inbox->known && !take_first_started(inbox, started))
		return false;
	if (memcmp(inbox->content_hash, started->content_hash, WIRE_HASH_BYTES) != 0)
		return false; /* another model: its ids mean other words */
	keep_text(inbox->numerics_id, sizeof(inbox->numerics_id), started->numerics_id);
	keep_text(cache_type, sizeof(cache_type), started->cache_type);
	if (strcmp(inbox->numerics_id, inbox->first_numerics_id) != 0 ||
	    strcmp(cache_type, inbox->cache_type) != 0)
		inbox->numerics_changed = true;
	inbox->started = true;
	return true;
}

static bool append_ids(struct inbox *inbox, const uint32_t *ids, size_t len)
{
	if (len > WIRE_IDS_MAX - inbox->ids_len)
		return false;
	if (inbox->ids_len + len > inbox->ids_cap) {
		size_t cap = inbox->ids_cap == 0 ? IDS_FIRST : inbox->ids_cap;
		while (cap < inbox->ids_len + len)
			cap *= 2;
		uint32_t *grown = malloc(cap * sizeof(*grown));
		if (grown == NULL)
			return false;
		if (inbox->ids_len > 0)
			memcpy(grown, inbox->ids, inbox->ids_len * sizeof(*grown));
		ids_free(inbox->ids, inbox->ids_cap);
		inbox->ids = grown;
		inbox->ids_cap = cap;
	}
	memcpy(inbox->ids + inbox->ids_len, ids, len * sizeof(*ids));
	inbox->ids_len += len;
	return true;
}

/* G2: only what lies behind the known end counts; a gap is the node's fault. */
static bool take_tokens(
    struct inbox *inbox, const struct wire_tokens *tokens, uint32_t top_logprobs)
{
	if (!inbox->started || tokens->first_index > inbox->ids_len)
		return false;
	if (tokens->text_offset > inbox->text_end) {
		inbox->text_gap = true;
		return false;
	}
	size_t old_ids = inbox->ids_len - tokens->first_index;
	if (tokens->ids_len > old_ids) {
		size_t fresh = tokens->ids_len - old_ids;
		if (inbox->ids_len + fresh > inbox->limit ||
		    !append_ids(inbox, tokens->ids + old_ids, fresh))
			return false;
		for (size_t i = old_ids; i < tokens->logprobs_len; i++)
			generation_put_logprob(
			    &inbox->logprobs, &tokens->logprobs[i], top_logprobs);
		if (buf_rc(&inbox->logprobs) != RC_OK)
			return false;
	}
	uint64_t old_text = inbox->text_end - tokens->text_offset;
	if (tokens->text_len > old_text) {
		const uint8_t *fresh = tokens->text + old_text;
		size_t len = tokens->text_len - (size_t)old_text;
		if (!utf8_valid(fresh, len))
			return false;
		buf_append(&inbox->text, fresh, len);
		if (buf_rc(&inbox->text) != RC_OK)
			return false;
		inbox->text_end += len;
	}
	return true;
}

static void take_error(struct inbox *inbox, const struct wire_error_body *error)
{
	inbox->refusal = *error;
	inbox->refusal.text = NULL;
	keep_text(inbox->refusal_text, sizeof(inbox->refusal_text), error->text);
	inbox->error = true;
}

void generation_on_message(void *ctx, const struct message *message)
{
	struct generation *generation = ctx;
	struct inbox *inbox = &generation->inbox;
	bool ok = true;

	(void)pthread_mutex_lock(&generation->lock);
	if (!inbox->error && !inbox->done && !inbox->fault) {
		switch (message->kind) {
		case MESSAGE_STARTED:
			ok = take_started(inbox, &message->u.started);
			break;
		case MESSAGE_TOKENS:
			ok = take_tokens(inbox, &message->u.tokens, generation->top_logprobs);
			break;
		case MESSAGE_DONE:
			ok = inbox->started;
			inbox->done = ok;
			inbox->finish = message->u.done.finish;
			break;
		case MESSAGE_ERROR:
			take_error(inbox, &message->u.error);
			break;
		default:
			break; /* a newer node may say more than we know */
		}
		inbox->fault = !ok;
		inbox->news++;
		(void)pthread_cond_signal(&generation->cond);
	}
	(void)pthread_mutex_unlock(&generation->lock);
}

void generation_on_down(void *ctx, enum rc reason)
{
	struct generation *generation = ctx;

	(void)reason;
	(void)pthread_mutex_lock(&generation->lock);
	generation->inbox.down = true;
	generation->inbox.news++;
	(void)pthread_cond_signal(&generation->cond);
	(void)pthread_mutex_unlock(&generation->lock);
}

void generation_on_change(void *ctx)
{
	struct generation *generation = ctx;

	(void)pthread_mutex_lock(&generation->lock);
	generation->inbox.news++;
	(void)pthread_cond_signal(&generation->cond);
	(void)pthread_mutex_unlock(&generation->lock);
}
