/*
 * Node-to-node messages as plain structs, and their codec.
 *
 * The generated protobuf code is seen by message_encode.c and
 * message_decode.c only.  Field meanings: proto/compute.proto.  Pointers in a
 * decoded message live in the arena it was decoded into; in a message to
 * encode they are borrowed for the call.  Strings are NUL-terminated UTF-8,
 * never NULL after decoding; bytes are pointer and length.
 */
#ifndef WIRE_MESSAGE_H
#define WIRE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/errmsg.h"

#define WIRE_PROTOCOL_MIN 1
#define WIRE_PROTOCOL_MAX 1
#define WIRE_MESSAGE_BYTES_MAX ((size_t)8 << 20) /* one Envelope on the wire */
#define WIRE_ARENA_BYTES_MAX ((size_t)32 << 20)  /* its decoded form */
#define WIRE_LEASE_BYTES 16
#define WIRE_HASH_BYTES 32
#define WIRE_IDS_MAX ((size_t)1 << 20) /* token ids in one message */
#define WIRE_PARTS_MAX ((size_t)16384) /* parts, messages, texts */
#define WIRE_MODELS_MAX ((size_t)64)
#define WIRE_STORE_ID_BYTES 16
#define WIRE_SEQS_MAX ((size_t)65536) /* in one FollowAsk */
#define WIRE_STOPS_MAX ((size_t)16)
#define WIRE_STOP_BYTES_MAX ((size_t)256)
#define WIRE_SCHEMA_BYTES_MAX ((size_t)128 << 10) /* of a constraint */
#define WIRE_NAME_BYTES_MAX ((size_t)1024)        /* names, roles, ids in text */
#define WIRE_ERROR_TEXT_BYTES_MAX ((size_t)4096)

enum message_kind {
	MESSAGE_UNKNOWN, /* a body this version does not know: answer UNSUPPORTED */
	MESSAGE_HELLO,
	MESSAGE_CAPABILITIES,
	MESSAGE_HEARTBEAT,
	MESSAGE_ERROR,
	MESSAGE_PLAN_REQUEST,
	MESSAGE_PLAN,
	MESSAGE_LEASE_OPEN,
	MESSAGE_LEASE_RENEW,
	MESSAGE_LEASE_CLOSE,
	MESSAGE_LEASE_STATE,
	MESSAGE_ADAPTER_PUT,
	MESSAGE_ADAPTER_STATE,
	MESSAGE_GENERATE,
	MESSAGE_STARTED,
	MESSAGE_TOKENS,
	MESSAGE_DONE,
	MESSAGE_CREDIT,
	MESSAGE_CANCEL,
	MESSAGE_EMBED,
	MESSAGE_VECTORS,
	MESSAGE_TOKENIZE,
	MESSAGE_TOKEN_IDS,
	MESSAGE_STATS_REQUEST,
	MESSAGE_STATS,
	MESSAGE_FOLLOW_ASK,
	MESSAGE_FOLLOW_PART,
};

/* "generate", "lease-open", …: for logs. */
const char *message_kind_word(enum message_kind kind);

enum wire_error {
	WIRE_ERROR_UNKNOWN,
	WIRE_ERROR_INVALID,
	WIRE_ERROR_UNSUPPORTED,
	WIRE_ERROR_VERSION,
	WIRE_ERROR_NO_MODEL,
	WIRE_ERROR_CONTEXT,
	WIRE_ERROR_BUSY,
	WIRE_ERROR_NO_LEASE,
	WIRE_ERROR_MEMORY,
	WIRE_ERROR_TIMEOUT,
	WIRE_ERROR_CANCELLED,
	WIRE_ERROR_INTERNAL,
	WIRE_ERROR_LIMIT,
};

enum wire_finish {
	WIRE_FINISH_UNKNOWN,
	WIRE_FINISH_STOP,
	WIRE_FINISH_LENGTH,
	WIRE_FINISH_CANCELLED,
	WIRE_FINISH_ERROR,
};

enum wire_part_kind { WIRE_PART_TEXT, WIRE_PART_IMAGE, WIRE_PART_AUDIO };

struct wire_hello {
	uint32_t protocol_min, protocol_max;
	const char *program;
};

struct wire_load {
	uint32_t active, queued, slots;
	double tokens_per_second;
};

struct wire_model {
	const char *name;
	uint8_t content_hash[WIRE_HASH_BYTES];
	const char *architecture;
	uint64_t context, parameters, weights_bytes;
	bool chat, embed, absent, constrains, holds_calls;
	const char *chat_template;
	const char *cache_type;
	const char *tool_format;
	uint32_t embedding_length;
};

struct wire_capabilities {
	uint32_t protocol;
	const char *program;
	const char *numerics_id;
	const struct wire_model *models; /* [models_len] */
	size_t models_len;
	struct wire_load load;
	uint64_t budget_bytes;
	uint8_t boot_id[WIRE_LEASE_BYTES];
};

struct wire_heartbeat {
	uint64_t sequence;
	struct wire_load load;
};

struct wire_error_body {
	enum wire_error code;
	const char *text;
	uint64_t context, needed;
};

struct wire_plan_request {
	const char *model;
	uint64_t context;
	uint32_t parallel;
};

struct wire_plan {
	bool fits;
	uint64_t weights_bytes, cache_bytes, scratch_bytes, total_bytes, budget_bytes;
	uint64_t largest_context;
};

struct wire_lease_open {
	const char *model;
	uint32_t idle_ms;
};

struct wire_lease_state {
	bool open;
	uint32_t idle_ms;
};

struct wire_adapter_put {
	uint8_t content_hash[WIRE_HASH_BYTES];
	uint64_t total_bytes, offset;
	const uint8_t *chunk; /* [chunk_len] */
	size_t chunk_len;
};

struct wire_adapter_state {
	uint64_t received_bytes;
	bool active;
};

struct wire_part {
	enum wire_part_kind kind;
	const uint8_t *data; /* [data_len]; TEXT: checked UTF-8 after decoding */
	size_t data_len;
	bool trusted;
	const char *media_type;
};

static inline struct wire_part wire_part_text(const char *text, bool trusted)
{
	return (struct wire_part){ .kind = WIRE_PART_TEXT,
		.data = (const uint8_t *)text,
		.data_len = strlen(text),
		.trusted = trusted,
		.media_type = "" };
}

struct wire_chat_message {
	const char *role;
	const struct wire_part *parts; /* [parts_len] */
	size_t parts_len;
	const char *name;
	const char *tool_call_id;
	const char *tool_calls_json;
};

struct wire_sampling {
	float temperature;
	uint32_t top_k;
	float top_p, min_p;
	float repeat_penalty;
	uint32_t repeat_last_n;
	float presence_penalty, frequency_penalty;
	uint64_t seed;
	bool ignore_eos;
};

enum wire_constraint_kind {
	WIRE_CONSTRAINT_NONE,
	WIRE_CONSTRAINT_JSON_OBJECT,
	WIRE_CONSTRAINT_JSON_SCHEMA,
	WIRE_CONSTRAINT_CALLS,     /* of the tools in `schema`; text is free */
	WIRE_CONSTRAINT_MUST_CALL, /* nothing but calls of these, behind reasoning */
};

struct wire_constraint {
	enum wire_constraint_kind kind;
	const char *schema;
	bool one; /* MUST_CALL: a single call */
};

struct wire_generate {
	const char *model;
	const struct wire_chat_message *messages; /* [messages_len] */
	size_t messages_len;
	const struct wire_part *raw; /* [raw_len] */
	size_t raw_len;
	const uint32_t *prompt_ids; /* [prompt_ids_len] */
	size_t prompt_ids_len;
	const uint32_t *generated_ids; /* [generated_ids_len] */
	size_t generated_ids_len;
	struct wire_sampling sampling;
	uint32_t max_tokens;
	const char *const *stop; /* [stop_len] */
	size_t stop_len;
	int64_t now_utc_ns;
	const char *now_zone;
	uint32_t credit;
	const char *tools_json;
	uint32_t logprobs;
	bool add_generation_prompt, markers;
	struct wire_constraint constraint;
};

struct wire_started {
	const uint32_t *prompt_ids; /* [prompt_ids_len] */
	size_t prompt_ids_len;
	const char *numerics_id;
	uint8_t content_hash[WIRE_HASH_BYTES];
	const char *chat_template;
	uint32_t cached_tokens;
	const char *cache_type;
	bool reasoning;
};

struct wire_token_logprobs {
	float logprob;
	const uint8_t *text; /* [text_len] bytes of the token, any bytes */
	size_t text_len;
	const uint32_t *top_ids; /* [top_len] */
	const float *top_logprobs;
	const uint8_t *const *top_texts; /* [top_len], lengths beside */
	const size_t *top_text_lens;
	size_t top_len;
};

struct wire_tokens {
	uint32_t first_index;
	const uint32_t *ids; /* [ids_len] */
	size_t ids_len;
	const uint8_t *text; /* [text_len], whole code points, checked */
	size_t text_len;
	uint64_t text_offset;
	const struct wire_token_logprobs *logprobs; /* [logprobs_len], 0 or ids_len */
	size_t logprobs_len;
};

struct wire_done {
	enum wire_finish finish;
	uint32_t prompt_tokens, generated_tokens;
	uint64_t prompt_ns, generate_ns;
	const char *stop;
};

struct wire_embed {
	const char *model;
	const char *const *texts; /* [texts_len] */
	size_t texts_len;
};

struct wire_vectors {
	uint32_t length;
	const float *values; /* [values_len] = [texts][length] */
	size_t values_len;
	uint32_t prompt_tokens;
};

struct wire_tokenize {
	const char *model;
	const struct wire_part *parts; /* [parts_len] */
	size_t parts_len;
	bool add_bos, count_only;
};

struct wire_token_ids {
	const uint32_t *ids; /* [ids_len] */
	size_t ids_len;
	const uint32_t *part_counts; /* [part_counts_len] */
	size_t part_counts_len;
};

struct wire_stats {
	struct wire_load load;
	uint64_t uptime_ns;
	uint64_t tokens_generated, tokens_prompt, requests, refused;
	uint32_t leases;
	uint64_t budget_bytes, planned_bytes, mem_available_bytes;
	uint64_t restarts, memory_kills, watchdog_kills;
	bool memory_short;
	uint64_t kv_tokens, kv_tokens_used, memory_stalled_us;
};

struct wire_follow_ask {
	uint32_t what;
	uint8_t store_id[WIRE_STORE_ID_BYTES];
	uint64_t after;
	uint8_t last_id[WIRE_STORE_ID_BYTES];
	const uint64_t *seqs; /* [seqs_len] */
	size_t seqs_len;
	const char *name;
};

struct wire_follow_part {
	uint32_t what;
	uint8_t store_id[WIRE_STORE_ID_BYTES];
	uint64_t cursor;
	uint8_t keyring_hash[WIRE_HASH_BYTES], state_hash[WIRE_HASH_BYTES];
	uint64_t total, offset;
	const uint8_t *data; /* [data_len] */
	size_t data_len;
};

struct message {
	uint32_t protocol; /* 0 in a message to encode: WIRE_PROTOCOL_MAX */
	uint64_t request_id;
	bool has_lease;
	uint8_t lease_id[WIRE_LEASE_BYTES];
	uint32_t ttl_ms;
	enum message_kind kind;
	union {
		struct wire_hello hello;
		struct wire_capabilities capabilities;
		struct wire_heartbeat heartbeat;
		struct wire_error_body error;
		struct wire_plan_request plan_request;
		struct wire_plan plan;
		struct wire_lease_open lease_open;
		struct wire_lease_state lease_state;
		struct wire_adapter_put adapter_put;
		struct wire_adapter_state adapter_state;
		struct wire_generate generate;
		struct wire_started started;
		struct wire_tokens tokens;
		struct wire_done done;
		uint32_t credit; /* tokens */
		struct wire_embed embed;
		struct wire_vectors vectors;
		struct wire_tokenize tokenize;
		struct wire_token_ids token_ids;
		struct wire_stats stats;
		struct wire_follow_ask follow_ask;
		struct wire_follow_part follow_part;
	} u;
};

/*
 * Append the encoded message to `out`.  RC_LIMIT if it exceeds
 * WIRE_MESSAGE_BYTES_MAX or any limit above, RC_INVALID for what the peer
 * would not decode (`why` names the field), RC_NOMEM; `out` is then as it was, and
 * nothing was written behind its content.  Pure, any thread.
 */
enum rc message_encode(const struct message *message, struct buf *out, struct errmsg *why) RC_CHECK;

/*
 * Decode `len` bytes of a peer.  Checks every limit above, enum ranges, hash
 * and lease lengths, UTF-8 of strings, finite floats; `why` names the field.
 * RC_INVALID, RC_LIMIT, RC_NOMEM (the arena's cap).  A body that is not known
 * gives RC_OK and MESSAGE_UNKNOWN; a code of Error or Done that is not known
 * reads as its UNKNOWN.  On an error `out` is empty but for the request id, if
 * that could be read, so that the sender can be told.  Pure, any thread.
 */
enum rc message_decode(const uint8_t *bytes, size_t len, struct arena *arena, struct message *out,
    struct errmsg *why) RC_CHECK;

#endif
