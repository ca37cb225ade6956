/* Exchange: a question and its answer become observations, with provenance. */
#include "answer/exchange.h"

#include <jansson.h>
#include <string.h>

#include "base/clock.h"

#define EXCHANGE_ARENA_BYTES_MAX ((size_t)8 << 20)

static const char *cut(struct arena *arena, const char *text, size_t len)
{
	if (len > OBS_TEXT_BYTES_MAX) {
		len = OBS_TEXT_BYTES_MAX;
		while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80)
			len--;
	}
	return arena_copy(arena, text, len);
}

/* Canonical JSON (sorted keys, compact) in the arena; takes `data`. */
static const char *dump(struct arena *arena, json_t *data)
{
	size_t len = data == NULL ? 0 : json_dumpb(data, NULL, 0, JSON_COMPACT | JSON_SORT_KEYS);
	char *text = len == 0 || len > OBS_DATA_BYTES_MAX ? NULL : arena_alloc(arena, len + 1);

	if (text != NULL)
		(void)json_dumpb(data, text, len, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(data);
	return text;
}

static json_t *question_data(const struct exchange *exchange)
{
	return json_pack("{s:s, s:s, s:s}", "exchange", exchange->id, "role", "user",
	    "conversation", exchange->request->user);
}

static json_t *answer_data(const struct exchange *exchange)
{
	const struct pack *pack = exchange->pack;
	json_t *sources = json_array();
	int bad = sources == NULL;

	for (size_t i = 0; pack != NULL && i < pack->facts_len; i++) {
		if (pack->facts[i].kept)
			bad |= json_array_append_new(sources, json_string(pack->facts[i].item.id));
	}
	for (size_t i = 0; pack != NULL && i < pack->len; i++)
		bad |= json_array_append_new(sources, json_string(pack->items[i].id));
	if (bad != 0) {
		json_decref(sources);
		return NULL;
	}
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "exchange", exchange->id,
	    "role", "assistant", "conversation", exchange->request->user, "mode", exchange->mode,
	    "model", exchange->model, "numerics", exchange->numerics_id, "finish", exchange->finish,
	    "sources", sources);
}

static enum rc fill(const struct host *host, const struct exchange *exchange, bool answer,
    struct arena *arena, struct observation *out)
{
	int64_t at_ns = answer ? exchange->answered_utc_ns : exchange->asked_utc_ns;
	bool quoted = answer && strcmp(exchange->mode, "full") != 0;

	*out = (struct observation){
		.source = PACK_SOURCE_CHAT,
		.client_id =
		    arena_printf(arena, "%s/%s", exchange->id, answer ? "answer" : "question"),
		.layer = LAYER_TEXT,
		.kind = "message",
		.shape = SHAPE_INSTANT,
		.clock_id = "",
		.boot_epoch = "",
		.dev_t0_ns = at_ns,
		.dev_t1_ns = at_ns,
		.recv_utc_ns = clock_utc_ns(),
		.recv_mono_ns = clock_mono_ns(),
		.zone = "",
		.has_offset = host->offset_s != NULL,
		.offset_s = host->offset_s == NULL ? 0 : host->offset_s(host->ctx, at_ns),
		.origin = answer ? ORIGIN_ASSISTANT : ORIGIN_OWNER,
		.data_json = dump(arena, answer ? answer_data(exchange) : question_data(exchange)),
	};
	if (answer)
		out->text = cut(arena, exchange->text, quoted ? 0 : exchange->text_len);
	else
		out->text =
		    cut(arena, exchange->request->question, exchange->request->question_len);
	return out->client_id == NULL || out->text == NULL || out->data_json == NULL ? RC_NOMEM
										     : RC_OK;
}

enum rc exchange_store(const struct host *host, const struct exchange *exchange, struct errmsg *why)
{
	struct observation obs[2];
	struct arena arena;

	if (host->append == NULL)
		return RC_OK;
	arena_init(&arena, EXCHANGE_ARENA_BYTES_MAX);
	enum rc rc = fill(host, exchange, false, &arena, &obs[0]);
	if (rc == RC_OK)
		rc = fill(host, exchange, true, &arena, &obs[1]);
	bool asked = exchange->request->question_len > 0;
	if (rc == RC_OK)
		rc = asked ? host->append(host->ctx, obs, 2, why)
			   : host->append(host->ctx, &obs[1], 1, why);
	arena_fini(&arena);
	return rc;
}
