/* A compute node for tests. */
#include "fake_compute.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define WAIT_S 60 /* ends a hang, measures nothing */
#define PROMPT_BYTES_MAX ((size_t)1 << 20)

static void require(bool holds, const char *what)
{
	if (holds)
		return;
	(void)fprintf(stderr, "fake_compute: %s\n", what);
	abort();
}

struct fake_script fake_script_default(void)
{
	return (struct fake_script){
		.model = "tiny",
		.hash = 1,
		.numerics_id = "cpu/fake/1",
		.cache_type = "f16",
		.context = 4096,
		.parameters = 1000,
		.tokens = 40,
		.prompt_tokens = 7,
		.batch = 1,
		.stall_at = FAKE_NEVER,
		.finish = WIRE_FINISH_STOP,
	};
}

/* ---- the model ---- */

#define FAKE_PIECE_BYTES ((size_t)3)

static uint32_t token_id(uint32_t index)
{
	return index * 7919U % 30011U;
}

static void put_piece(const struct fake_script *script, uint32_t index, struct buf *out)
{
	static const char *const pieces[] = { "one", " two", " \xC3\xA9t\xC3\xA9", "\n",
		" \"quoted\"", " \xE6\xBC\xA2\xE5\xAD\x97", " \xF0\x9F\x8C\x8D" };

	if (script == NULL || script->text == NULL) {
		buf_printf(out, "%s%u", pieces[index % 7], (unsigned)index);
		return;
	}
	size_t len = strlen(script->text), at = (size_t)index * FAKE_PIECE_BYTES;
	if (at < len)
		buf_append(out, script->text + at,
		    len - at < FAKE_PIECE_BYTES ? len - at : FAKE_PIECE_BYTES);
}

/* How many tokens' text is out once `n` tokens are: each third lags. */
static uint32_t text_tokens(uint32_t n)
{
	return n > 0 && n % 3 == 0 ? n - 1 : n;
}

static uint64_t text_end(const struct fake_script *script, uint32_t n)
{
	struct buf text;

	buf_init(&text, PROMPT_BYTES_MAX);
	for (uint32_t i = 0; i < text_tokens(n); i++)
		put_piece(script, i, &text);
	uint64_t len = text.len;
	buf_fini(&text);
	return len;
}

void fake_compute_text(uint32_t tokens, struct buf *out)
{
	for (uint32_t i = 0; i < tokens; i++)
		put_piece(NULL, i, out);
}

/* ---- sending ---- */

static enum rc send_message(struct fake_compute *fake, wire_peer peer, struct message *message)
{
	return fake->server == NULL ? RC_CLOSED : wire_server_send(fake->server, peer, message);
}

static void send_error(struct fake_compute *fake, wire_peer peer, uint64_t request_id,
    enum wire_error code, uint64_t context, uint64_t needed)
{
	struct message message = {
		.kind = MESSAGE_ERROR,
		.request_id = request_id,
		.u.error = { .code = code,
		    .text = "scripted",
		    .context = context,
		    .needed = needed },
	};

	(void)send_message(fake, peer, &message);
}

static void send_started(struct fake_compute *fake, const struct fake_run *run)
{
	uint32_t ids[64];
	struct message message = {
		.kind = MESSAGE_STARTED,
		.request_id = run->request_id,
		.u.started = { .prompt_ids = ids,
		    .prompt_ids_len = fake->script.prompt_tokens,
		    .numerics_id = fake->script.numerics_id,
		    .chat_template = "plain",
		    .cache_type = fake->script.cache_type,
		    .cached_tokens = run->cached ? fake->script.prompt_tokens - 1 : 0,
		    .reasoning = fake->script.reasoning },
	};

	for (uint32_t i = 0; i < fake->script.prompt_tokens; i++)
		ids[i] = 1000 + i;
	memset(message.u.started.content_hash, fake->script.hash, WIRE_HASH_BYTES);
	(void)send_message(fake, run->peer, &message);
}

/* Tokens [from, to) and the text that became safe with them. */
static enum rc send_tokens(
    struct fake_compute *fake, const struct fake_run *run, uint32_t from, uint32_t to, bool last)
{
	uint32_t ids[64];
	struct buf text;
	uint32_t until = last ? to : text_tokens(to);

	require(to - from <= 64, "batch");
	buf_init(&text, PROMPT_BYTES_MAX);
	for (uint32_t i = from; i < to; i++)
		ids[i - from] = token_id(i);
	for (uint32_t i = text_tokens(from); i < until; i++)
		put_piece(&fake->script, i, &text);
	struct message message = {
		.kind = MESSAGE_TOKENS,
		.request_id = run->request_id,
		.u.tokens = { .first_index = from,
		    .ids = ids,
		    .ids_len = to - from,
		    .text = text.bytes,
		    .text_len = text.len,
		    .text_offset = text_end(&fake->script, from) },
	};
	const uint32_t best = 7;
	const float worse = -1.5F;
	const uint8_t *best_text = (const uint8_t *)"\xff";
	const size_t best_len = 1;
	struct wire_token_logprobs logprobs[64];
	for (uint32_t i = from; run->logprobs > 0 && i < to; i++)
		logprobs[i - from] = (struct wire_token_logprobs){ .logprob = -0.5F,
			.text = (const uint8_t *)"t",
			.text_len = 1,
			.top_ids = &best,
			.top_logprobs = &worse,
			.top_texts = &best_text,
			.top_text_lens = &best_len,
			.top_len = 1 };
	if (run->logprobs > 0) {
		message.u.tokens.logprobs = logprobs;
		message.u.tokens.logprobs_len = to - from;
	}
	if (fake->script.lie_about_text) {
		message.u.tokens.text_offset += 1;
		fake->script.lie_about_text = false;
	}
	enum rc rc = send_message(fake, run->peer, &message);
	buf_fini(&text);
	return rc;
}

/* One step of one run; false if it must wait for something. */
static bool step(struct fake_compute *fake, struct fake_run *run)
{
	uint32_t end = run->end;

	if (run->next >= fake->script.stall_at)
		return false;
	if (run->next >= end) {
		struct message message = {
			.kind = MESSAGE_DONE,
			.request_id = run->request_id,
			.u.done = { .finish = end < fake->script.tokens ? WIRE_FINISH_LENGTH
									: fake->script.finish,
			    .prompt_tokens = fake->script.prompt_tokens,
			    .generated_tokens = run->next,
			    .stop = "" },
		};
		if (send_message(fake, run->peer, &message) == RC_AGAIN)
			return false;
		run->active = false;
		return true;
	}
	uint32_t to = run->next + fake->script.batch;
	if (to > end)
		to = end;
	if (to > run->limit && !fake->script.ignore_credit)
		to = run->limit;
	if (to > fake->script.stall_at)
		to = fake->script.stall_at;
	if (to <= run->next)
		return false;
	enum rc rc = send_tokens(fake, run, run->next, to, to == end);
	if (rc == RC_AGAIN)
		return false;
	run->active = rc == RC_OK;
	run->next = to;
	return true;
}

/* Wait for news; not for long, as a full queue gives none when it empties. */
static void rest(struct fake_compute *fake)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += 5 * NS_PER_MS;
	if (until.tv_nsec >= NS_PER_S) {
		until.tv_sec++;
		until.tv_nsec -= NS_PER_S;
	}
	(void)pthread_cond_timedwait(&fake->changed, &fake->lock, &until);
}

static void *work(void *ctx)
{
	struct fake_compute *fake = ctx;

	(void)pthread_mutex_lock(&fake->lock);
	while (!fake->stop) {
		bool moved = false;
		for (size_t i = 0; i < FAKE_RUNS_MAX; i++) {
			if (fake->runs[i].active && fake->server != NULL)
				moved = step(fake, &fake->runs[i]) || moved;
		}
		if (moved)
			(void)pthread_cond_broadcast(&fake->changed);
		else
			rest(fake);
	}
	(void)pthread_mutex_unlock(&fake->lock);
	return NULL;
}

/* ---- receiving; under the lock ---- */

static void put_part(struct fake_compute *fake, const char *role, const struct wire_part *part)
{
	buf_printf(&fake->last_prompt, "<%s>%s: %.*s\n", part->trusted ? "trusted" : "untrusted",
	    role, (int)part->data_len, (const char *)part->data);
}

static void note_prompt(struct fake_compute *fake, const struct wire_generate *generate)
{
	buf_reset(&fake->last_prompt);
	for (size_t i = 0; i < generate->messages_len; i++) {
		for (size_t j = 0; j < generate->messages[i].parts_len; j++)
			put_part(fake, generate->messages[i].role, &generate->messages[i].parts[j]);
	}
	for (size_t i = 0; i < generate->raw_len; i++)
		put_part(fake, "raw", &generate->raw[i]);
	fake->last_max_tokens = generate->max_tokens;
	fake->last_sampling = generate->sampling;
	buf_reset(&fake->last_tools);
	buf_puts(&fake->last_tools, generate->tools_json);
}

/* A resumed answer must bring the ids we made, and the prompt's. */
static bool resumes_well(const struct fake_compute *fake, const struct wire_generate *generate)
{
	if (generate->messages_len != 0 || generate->raw_len != 0 ||
	    generate->prompt_ids_len != fake->script.prompt_tokens)
		return false;
	for (size_t i = 0; i < generate->prompt_ids_len; i++) {
		if (generate->prompt_ids[i] != 1000 + i)
			return false;
	}
	for (size_t i = 0; i < generate->generated_ids_len; i++) {
		if (generate->generated_ids[i] != token_id((uint32_t)i))
			return false;
	}
	return true;
}

static int find_lease(const struct fake_compute *fake, const uint8_t id[WIRE_LEASE_BYTES])
{
	for (int i = 0; i < FAKE_LEASES_MAX; i++) {
		if (fake->leases[i].open && memcmp(fake->leases[i].id, id, WIRE_LEASE_BYTES) == 0)
			return i;
	}
	return -1;
}

static void start_run(struct fake_compute *fake, wire_peer peer, const struct message *message)
{
	const struct wire_generate *generate = &message->u.generate;
	struct fake_run *run = NULL;

	for (size_t i = 0; i < FAKE_RUNS_MAX && run == NULL; i++) {
		if (!fake->runs[i].active)
			run = &fake->runs[i];
	}
	require(run != NULL, "too many runs");
	uint32_t from = (uint32_t)generate->generated_ids_len;
	uint32_t back = from < fake->script.overlap ? from : fake->script.overlap;
	*run = (struct fake_run){
		.active = true,
		.peer = peer,
		.request_id = message->request_id,
		.next = from - back,
		.limit = from + generate->credit,
		.end = fake->script.tokens,
		.logprobs = generate->logprobs,
	};
	if (generate->max_tokens != 0 && generate->max_tokens < run->end)
		run->end = generate->max_tokens;
	if (message->has_lease) {
		int i = find_lease(fake, message->lease_id);

		run->cached = fake->leases[i].used;
		fake->leases[i].used = true;
		fake->leased++;
		memcpy(fake->last_lease, message->lease_id, WIRE_LEASE_BYTES);
	}
	send_started(fake, run);
}

static void on_lease(struct fake_compute *fake, wire_peer peer, const struct message *message)
{
	struct message answer = {
		.kind = MESSAGE_LEASE_STATE, .request_id = message->request_id, .has_lease = true
	};
	int i = find_lease(fake, message->lease_id);

	memcpy(answer.lease_id, message->lease_id, WIRE_LEASE_BYTES);
	if (message->kind == MESSAGE_LEASE_CLOSE) {
		fake->leases_closed++;
		if (i >= 0)
			fake->leases[i].open = false;
	} else if (fake->script.no_leases) {
		send_error(fake, peer, message->request_id, WIRE_ERROR_LIMIT, 0, 0);
		return;
	} else {
		fake->leases_opened++;
		for (int j = 0; j < FAKE_LEASES_MAX && i < 0; j++) {
			if (fake->leases[j].open)
				continue;
			i = j;
			fake->leases[i].open = true;
			fake->leases[i].used = false;
			memcpy(fake->leases[i].id, message->lease_id, WIRE_LEASE_BYTES);
		}
		answer.u.lease_state.open = true;
	}
	(void)!send_message(fake, peer, &answer);
}

static void on_generate(struct fake_compute *fake, wire_peer peer, const struct message *message)
{
	const struct wire_generate *generate = &message->u.generate;
	struct fake_script *script = &fake->script;

	fake->generates++;
	fake->last_generate_ns = clock_mono_ns();
	fake->last_constraint = generate->constraint.kind;
	fake->last_one = generate->constraint.one;
	buf_reset(&fake->last_schema);
	buf_puts(&fake->last_schema, generate->constraint.schema);
	if (generate->prompt_ids_len > 0) {
		fake->resumes++;
		fake->last_resumed_from = (uint32_t)generate->generated_ids_len;
	} else {
		note_prompt(fake, generate);
	}
	if (script->refuse_times > 0) {
		script->refuse_times--;
		fake->refused++;
		send_error(fake, peer, message->request_id, script->refuse, script->refuse_context,
		    script->refuse_needed);
	} else if (script->prompt_bytes_max > 0 &&
		   fake->last_prompt.len > script->prompt_bytes_max) {
		fake->refused++;
		send_error(fake, peer, message->request_id, WIRE_ERROR_CONTEXT, script->context,
		    fake->last_prompt.len);
	} else if (message->has_lease && find_lease(fake, message->lease_id) < 0) {
		fake->refused++;
		send_error(fake, peer, message->request_id, WIRE_ERROR_NO_LEASE, 0, 0);
	} else if (generate->prompt_ids_len > 0 && !resumes_well(fake, generate)) {
		send_error(fake, peer, message->request_id, WIRE_ERROR_INVALID, 0, 0);
	} else if (!script->mute) {
		start_run(fake, peer, message);
	}
}

static struct fake_run *find_run(struct fake_compute *fake, wire_peer peer, uint64_t request_id)
{
	for (size_t i = 0; i < FAKE_RUNS_MAX; i++) {
		struct fake_run *run = &fake->runs[i];
		if (run->active && run->peer == peer && run->request_id == request_id)
			return run;
	}
	return NULL;
}

/* A token for each four bytes, as the estimate has it, doubled. */
static void on_tokenize(struct fake_compute *fake, wire_peer peer, const struct message *message)
{
	const struct wire_tokenize *tokenize = &message->u.tokenize;
	uint32_t counts[256];

	fake->tokenizes++;
	if (fake->script.mute_tokenize)
		return;
	require(tokenize->parts_len <= 256, "parts");
	for (size_t i = 0; i < tokenize->parts_len; i++)
		counts[i] = (uint32_t)tokenize->parts[i].data_len / 2;
	struct message answer = {
		.kind = MESSAGE_TOKEN_IDS,
		.request_id = message->request_id,
		.u.token_ids = { .part_counts = counts, .part_counts_len = tokenize->parts_len },
	};
	(void)send_message(fake, peer, &answer);
}

void fake_compute_vector(const char *text, float out[FAKE_VECTOR_LEN])
{
	size_t len = strlen(text);

	out[0] = (float)len / 3.0F;
	out[1] = -1.0e-7F * (float)(uint8_t)text[0];
	out[2] = (float)(uint8_t)text[len == 0 ? 0 : len - 1];
	out[3] = 0.1F;
	out[4] = 0;
}

/* A prompt token for each byte. */
static void on_embed(struct fake_compute *fake, wire_peer peer, const struct message *message)
{
	const struct wire_embed *embed = &message->u.embed;
	struct message answer = { .kind = MESSAGE_VECTORS, .request_id = message->request_id };
	float *values = calloc(embed->texts_len + 1, FAKE_VECTOR_LEN * sizeof(*values));

	require(values != NULL, "memory");
	fake->embeds++;
	fake->texts += (unsigned)embed->texts_len;
	for (size_t i = 0; i < embed->texts_len; i++) {
		fake_compute_vector(embed->texts[i], values + i * FAKE_VECTOR_LEN);
		answer.u.vectors.prompt_tokens += (uint32_t)strlen(embed->texts[i]);
	}
	answer.u.vectors.length = FAKE_VECTOR_LEN;
	answer.u.vectors.values = values;
	answer.u.vectors.values_len = embed->texts_len * FAKE_VECTOR_LEN;
	if (fake->script.refuse_times > 0) {
		fake->script.refuse_times--;
		fake->refused++;
		send_error(fake, peer, message->request_id, fake->script.refuse,
		    fake->script.refuse_context, fake->script.refuse_needed);
	} else if (!fake->script.mute_embed) {
		(void)send_message(fake, peer, &answer);
	}
	free(values);
}

static void on_stats(struct fake_compute *fake, wire_peer peer, uint64_t request_id)
{
	struct message answer = {
		.kind = MESSAGE_STATS, .request_id = request_id, .u.stats = fake->script.stats
	};

	fake->stats++;
	(void)send_message(fake, peer, &answer);
}

static void on_message(void *ctx, wire_peer peer, const struct message *message)
{
	struct fake_compute *fake = ctx;

	(void)pthread_mutex_lock(&fake->lock);
	struct fake_run *run = find_run(fake, peer, message->request_id);
	if (message->kind == MESSAGE_LEASE_OPEN || message->kind == MESSAGE_LEASE_CLOSE) {
		on_lease(fake, peer, message);
	} else if (message->kind == MESSAGE_GENERATE) {
		on_generate(fake, peer, message);
	} else if (message->kind == MESSAGE_TOKENIZE) {
		on_tokenize(fake, peer, message);
	} else if (message->kind == MESSAGE_EMBED) {
		on_embed(fake, peer, message);
	} else if (message->kind == MESSAGE_STATS_REQUEST) {
		on_stats(fake, peer, message->request_id);
	} else if (message->kind == MESSAGE_CREDIT && run != NULL) {
		run->limit += message->u.credit;
		if (run->limit - run->next > fake->sent_ahead_max)
			fake->sent_ahead_max = run->limit - run->next;
	} else if (message->kind == MESSAGE_CANCEL) {
		fake->cancels++;
		if (run != NULL)
			run->active = false;
	}
	(void)pthread_cond_broadcast(&fake->changed);
	(void)pthread_mutex_unlock(&fake->lock);
}

static void on_gone(void *ctx, wire_peer peer)
{
	struct fake_compute *fake = ctx;

	(void)pthread_mutex_lock(&fake->lock);
	for (size_t i = 0; i < FAKE_RUNS_MAX; i++) {
		if (fake->runs[i].peer == peer)
			fake->runs[i].active = false;
	}
	(void)pthread_cond_broadcast(&fake->changed);
	(void)pthread_mutex_unlock(&fake->lock);
}

static void on_peer(void *ctx, wire_peer peer, const uint8_t key[WIRE_KEY_BYTES])
{
	(void)ctx;
	(void)peer;
	(void)key;
}

static void capabilities(void *ctx, struct wire_capabilities *out)
{
	struct fake_compute *fake = ctx;

	(void)pthread_mutex_lock(&fake->lock);
	fake->offered = (struct wire_model){
		.name = fake->script.model,
		.architecture = "fake",
		.context = fake->script.context,
		.parameters = fake->script.parameters,
		.weights_bytes = 1000,
		.chat = !fake->script.embeds,
		.embed = fake->script.embeds,
		.embedding_length = fake->script.embeds ? FAKE_VECTOR_LEN : 0,
		.chat_template = "plain",
		.cache_type = fake->script.cache_type,
		.constrains = !fake->script.free_only,
		.holds_calls = fake->script.holds_calls,
		.tool_format = fake->script.tool_format,
	};
	memset(fake->offered.content_hash, fake->script.hash, WIRE_HASH_BYTES);
	out->program = "compute-node fake";
	out->numerics_id = fake->script.numerics_id;
	out->models = &fake->offered;
	out->models_len = 1;
	out->load = (struct wire_load){ .slots = 4 };
	(void)pthread_mutex_unlock(&fake->lock);
}

static void load(void *ctx, struct wire_load *out)
{
	(void)ctx;
	*out = (struct wire_load){ .slots = 4 };
}

/* ---- life ---- */

void fake_compute_start(struct fake_compute *fake)
{
	struct wire_server_config config = {
		.listen = fake->address[0] == '\0' ? "tcp://127.0.0.1:0" : fake->address,
		.keys = &fake->keys,
		.allow_path = fake->allow_path,
		.ctx = fake,
		.on_peer = on_peer,
		.on_message = on_message,
		.on_gone = on_gone,
		.capabilities = capabilities,
		.load = load,
	};
	struct errmsg why = ERRMSG_INIT;
	int64_t deadline = clock_mono_ns() + WAIT_S * NS_PER_S;

	/* Locked, so that no request is heard before we can answer.  The port of
	 * the one just killed may be taken a moment longer. */
	(void)pthread_mutex_lock(&fake->lock);
	while (wire_server_open(&config, &fake->server, &why) != RC_OK) {
		require(clock_mono_ns() < deadline, why.text);
		errmsg_reset(&why);
		(void)usleep(1000);
	}
	(void)snprintf(
	    fake->address, sizeof(fake->address), "%s", wire_server_address(fake->server));
	(void)pthread_cond_broadcast(&fake->changed);
	(void)pthread_mutex_unlock(&fake->lock);
}

void fake_compute_kill(struct fake_compute *fake)
{
	(void)pthread_mutex_lock(&fake->lock);
	struct wire_server *server = fake->server;
	fake->server = NULL;
	for (size_t i = 0; i < FAKE_RUNS_MAX; i++)
		fake->runs[i].active = false;
	memset(fake->leases, 0, sizeof(fake->leases));
	(void)pthread_mutex_unlock(&fake->lock);
	if (server != NULL)
		wire_server_close(server);
}

void fake_compute_open(struct fake_compute *fake, const struct fake_script *script,
    const uint8_t client_key[WIRE_KEY_BYTES])
{
	pthread_condattr_t attr;

	memset(fake, 0, sizeof(*fake));
	fake->script = *script;
	buf_init(&fake->last_prompt, PROMPT_BYTES_MAX);
	buf_init(&fake->last_schema, PROMPT_BYTES_MAX);
	buf_init(&fake->last_tools, PROMPT_BYTES_MAX);
	(void)snprintf(fake->dir, sizeof(fake->dir), "/tmp/hearth-fake-XXXXXX");
	require(mkdtemp(fake->dir) != NULL, "mkdtemp");
	(void)snprintf(fake->allow_path, sizeof(fake->allow_path), "%s/allow", fake->dir);
	require(wire_keypair_new(&fake->keys, NULL) == RC_OK, "keys");
	require(wire_allow_add(fake->allow_path, client_key, NULL) == RC_OK, "allow");
	require(pthread_mutex_init(&fake->lock, NULL) == 0, "mutex");
	require(pthread_condattr_init(&attr) == 0, "attr");
	require(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0, "clock");
	require(pthread_cond_init(&fake->changed, &attr) == 0, "cond");
	(void)pthread_condattr_destroy(&attr);
	require(pthread_create(&fake->thread, NULL, work, fake) == 0, "thread");
	fake_compute_start(fake);
}

void fake_compute_close(struct fake_compute *fake)
{
	fake_compute_kill(fake);
	(void)pthread_mutex_lock(&fake->lock);
	fake->stop = true;
	(void)pthread_cond_broadcast(&fake->changed);
	(void)pthread_mutex_unlock(&fake->lock);
	(void)pthread_join(fake->thread, NULL);
	buf_fini(&fake->last_prompt);
	buf_fini(&fake->last_schema);
	buf_fini(&fake->last_tools);
	(void)unlink(fake->allow_path);
	(void)rmdir(fake->dir);
	(void)pthread_cond_destroy(&fake->changed);
	(void)pthread_mutex_destroy(&fake->lock);
}

void fake_compute_set(struct fake_compute *fake, const struct fake_script *script)
{
	(void)pthread_mutex_lock(&fake->lock);
	fake->script = *script;
	(void)pthread_cond_broadcast(&fake->changed);
	(void)pthread_mutex_unlock(&fake->lock);
}

void fake_compute_wait(struct fake_compute *fake, const unsigned *counter, unsigned n)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += WAIT_S;
	(void)pthread_mutex_lock(&fake->lock);
	while (*counter < n)
		require(pthread_cond_timedwait(&fake->changed, &fake->lock, &until) == 0,
		    "nothing came in a minute");
	(void)pthread_mutex_unlock(&fake->lock);
}

unsigned fake_compute_get(struct fake_compute *fake, const unsigned *counter)
{
	(void)pthread_mutex_lock(&fake->lock);
	unsigned n = *counter;
	(void)pthread_mutex_unlock(&fake->lock);
	return n;
}
