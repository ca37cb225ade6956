/*
 * Loads a serving compute node, as many data nodes would at their worst, and checks
 * that every request is answered or refused with a typed error.
 *
 *   compute_load --address A --key HEX --allow FILE [flags]
 *
 * Its keys are added to the allow-list FILE.  hostile: more at once than the node can
 * run, cancels, readers that never read, deadlines of a millisecond, leases that are
 * foreign, guessed or gone, prompts that do not fit, models that are not there, links
 * that are cut without a word.  Else: as many answers at once as the node can run, of
 * the same lengths.  One line of JSON tells how it went; exit code 1: a request was
 * lost, or refused without a reason.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "conf/conf.h"
#include "wire/client.h"

#define LINKS 6u
#define KEYS 3u /* two links each */
#define ASKS_MAX 96u
#define LOST_NS (120 * NS_PER_S) /* no answer: lost */
#define CODES (WIRE_ERROR_LIMIT + 1)

/* What is wrong with a request. */
enum malice {
	FAIR,
	CANCELLED,   /* after some tokens */
	UNREAD,      /* no credit beyond a few tokens, then cancelled */
	LATE,        /* a deadline of a millisecond */
	LONG,        /* more than the context */
	NO_MODEL,    /* not served there */
	BAD_LEASE,   /* guessed */
	OTHER_LEASE, /* open, of another key */
	LEASED,      /* nothing: under a lease of its own */
	COUNT,       /* a Tokenize */
	MALICES,
};

struct ask {
	uint64_t id; /* 0: free */
	unsigned link;
	enum malice malice;
	int64_t at_ns;
	uint32_t tokens, cancel_at;
	bool cancelled;
};

struct link {
	struct wire_client *client;
	bool up;
	uint8_t lease[WIRE_LEASE_BYTES];
	bool has_lease;
	uint64_t lease_ask; /* LeaseOpen under way */
};

struct values {
	const char *address, *key, *allow, *model;
	int64_t requests, seed, context, slots, prompt, answer;
	bool hostile;
};

static struct values values;
static struct wire_keypair keys[KEYS];
static uint8_t server_key[WIRE_KEY_BYTES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct link links[LINKS]; /* [lock], but for `client`: the main thread's */
static struct ask asks[ASKS_MAX];
static size_t asks_len;
static uint64_t random_state;
/* [lock] how requests ended */
static uint64_t done, refused[CODES], untyped, cut, broken, tokens;
static struct wire_stats sums[KEYS]; /* the last of each key */
static unsigned stats_missing;

static uint64_t below(uint64_t n)
{
	return random_next(&random_state) % n;
}

static void must(enum rc rc, const struct errmsg *why)
{
	if (rc == RC_OK)
		return;
	(void)fprintf(stderr, "compute_load: %s\n", errmsg_text(why, rc));
	exit(1);
}

/* ---- what comes back: the links' threads ------------------------------------------- */

static struct ask *find(uint64_t id)
{
	for (size_t i = 0; id != 0 && i < ASKS_MAX; i++) {
		if (asks[i].id == id)
			return &asks[i];
	}
	return NULL;
}

static void end(struct ask *ask)
{
	ask->id = 0;
	asks_len--;
	(void)pthread_cond_signal(&changed);
}

static void on_error(struct ask *ask, const struct wire_error_body *error)
{
	if (error->code == WIRE_ERROR_UNKNOWN || error->text[0] == '\0')
		untyped++;
	refused[error->code]++;
	end(ask);
}

static void on_ask(struct ask *ask, const struct message *message)
{
	switch (message->kind) {
	case MESSAGE_ERROR:
		on_error(ask, &message->u.error);
		break;
	case MESSAGE_TOKENS:
		broken += message->u.tokens.first_index != ask->tokens;
		ask->tokens += (uint32_t)message->u.tokens.ids_len;
		tokens += message->u.tokens.ids_len;
		(void)pthread_cond_signal(&changed);
		break;
	case MESSAGE_DONE:
		broken += message->u.done.generated_tokens < ask->tokens;
		done++;
		end(ask);
		break;
	case MESSAGE_TOKEN_IDS:
		done++;
		end(ask);
		break;
	default:
		break;
	}
}

static void on_message(void *ctx, const struct message *message)
{
	struct link *link = ctx;
	const unsigned index = (unsigned)(link - links);

	(void)pthread_mutex_lock(&lock);
	struct ask *ask = find(message->request_id);
	if (ask != NULL && ask->link == index) {
		on_ask(ask, message);
	} else if (message->kind == MESSAGE_STATS) {
		sums[index % KEYS] = message->u.stats;
		stats_missing--;
		(void)pthread_cond_signal(&changed);
	} else if (message->request_id == link->lease_ask && link->lease_ask != 0) {
		link->has_lease =
		    message->kind == MESSAGE_LEASE_STATE && message->u.lease_state.open;
		link->lease_ask = 0;
	}
	(void)pthread_mutex_unlock(&lock);
}

static void on_up(void *ctx, const struct wire_capabilities *can)
{
	struct link *link = ctx;

	(void)can;
	(void)pthread_mutex_lock(&lock);
	link->up = true;
	(void)pthread_cond_signal(&changed);
	(void)pthread_mutex_unlock(&lock);
}

/* What was under way on a link that is cut is over there too. */
static void on_down(void *ctx, enum rc reason)
{
	struct link *link = ctx;

	(void)reason;
	(void)pthread_mutex_lock(&lock);
	link->up = link->has_lease = false;
	link->lease_ask = 0;
	for (size_t i = 0; i < ASKS_MAX; i++) {
		if (asks[i].id != 0 && asks[i].link == (unsigned)(link - links)) {
			cut++;
			end(&asks[i]);
		}
	}
	(void)pthread_cond_signal(&changed);
	(void)pthread_mutex_unlock(&lock);
}

/* ---- what is sent: the main thread -------------------------------------------------- */

static void connect_link(unsigned i)
{
	const struct wire_client_config config = { .address = values.address,
		.server_key = server_key,
		.keys = &keys[i % KEYS],
		.program = "compute_load",
		.ctx = &links[i],
		.on_up = on_up,
		.on_message = on_message,
		.on_down = on_down };
	struct errmsg why = ERRMSG_INIT;

	must(wire_client_open(&config, &links[i].client, &why), &why);
}

static void wait_a_moment(int64_t ns)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	ns += until.tv_nsec;
	until.tv_sec += (time_t)(ns / NS_PER_S);
	until.tv_nsec = (long)(ns % NS_PER_S);
	(void)pthread_cond_timedwait(&changed, &lock, &until);
}

static void send_small(unsigned link, enum message_kind kind, uint64_t id)
{
	struct message message = { .kind = kind, .request_id = id, .has_lease = true };

	memcpy(message.lease_id, links[link].lease, WIRE_LEASE_BYTES);
	if (kind == MESSAGE_LEASE_OPEN)
		message.u.lease_open = (struct wire_lease_open){ .model = values.model,
			.idle_ms = 50 + (uint32_t)below(5000) };
	message.has_lease = kind == MESSAGE_LEASE_OPEN || kind == MESSAGE_LEASE_CLOSE;
	(void)!wire_client_send(links[link].client, &message);
}

/* Under the lock: a lease for this link, a new one now and then. */
static void tend_lease(unsigned i)
{
	struct link *link = &links[i];

	if (link->lease_ask != 0)
		return;
	if (link->has_lease && below(4) == 0) {
		send_small(i, MESSAGE_LEASE_CLOSE, wire_client_next_id());
		link->has_lease = false;
	} else if (!link->has_lease) {
		random_bytes(link->lease, sizeof(link->lease));
		link->lease_ask = wire_client_next_id();
		send_small(i, MESSAGE_LEASE_OPEN, link->lease_ask);
	}
}

static enum malice choose(void)
{
	/* Six of ten are fair. */
	static const enum malice mix[] = { FAIR, FAIR, FAIR, FAIR, FAIR, FAIR, FAIR, FAIR, FAIR,
		FAIR, LEASED, LEASED, CANCELLED, CANCELLED, COUNT, UNREAD, LATE, LONG, NO_MODEL,
		BAD_LEASE, OTHER_LEASE };

	return values.hostile ? mix[below(sizeof(mix) / sizeof(mix[0]))] : FAIR;
}

/* Which lease it names. */
static void put_lease(struct message *message, const struct ask *ask)
{
	const unsigned link = ask->malice == OTHER_LEASE ? (ask->link + 1) % LINKS : ask->link;

	message->has_lease = ask->malice == BAD_LEASE || ask->malice == OTHER_LEASE ||
			     (ask->malice == LEASED && links[link].has_lease);
	if (ask->malice == BAD_LEASE)
		random_bytes(message->lease_id, WIRE_LEASE_BYTES);
	else
		memcpy(message->lease_id, links[link].lease, WIRE_LEASE_BYTES);
}

/* Under the lock. */
static void send_ask(struct ask *ask)
{
	static uint32_t ids[1 << 16];
	const bool is_long = ask->malice == LONG;
	size_t n = 1 + below((uint64_t)values.prompt);
	struct message message = { .request_id = ask->id };
	struct wire_part part = { .data = (const uint8_t *)"how many of them", .data_len = 16 };

	n = is_long ? (size_t)values.context + 1 : n;
	for (size_t i = 0; i < n; i++)
		ids[i] = (uint32_t)(3 + below(250));
	message.ttl_ms = ask->malice == LATE ? 1 : 0;
	if (ask->malice == COUNT) {
		message.kind = MESSAGE_TOKENIZE;
		message.u.tokenize =
		    (struct wire_tokenize){ .model = values.model, .parts = &part, .parts_len = 1 };
	} else {
		message.kind = MESSAGE_GENERATE;
		put_lease(&message, ask);
		message.u.generate =
		    (struct wire_generate){ .model =
						ask->malice == NO_MODEL ? "nobody" : values.model,
			    .prompt_ids = ids,
			    .prompt_ids_len = n,
			    .max_tokens = 1 + (uint32_t)below((uint64_t)values.answer),
			    .credit = ask->malice == UNREAD ? 2 : 1 << 20,
			    .sampling = { .temperature = 1,
				.seed = random_next(&random_state),
				.ignore_eos = true } };
	}
	if (wire_client_send(links[ask->link].client, &message) != RC_OK) {
		cut++;
		end(ask);
	}
}

/* Under the lock: one more, on a link that is up; false: there is none. */
static bool begin_ask(void)
{
	unsigned link = (unsigned)below(LINKS);
	struct ask *ask = NULL;

	for (unsigned i = 0; i < LINKS && !links[link].up; i++)
		link = (link + 1) % LINKS;
	for (size_t i = 0; i < ASKS_MAX && ask == NULL; i++)
		ask = asks[i].id == 0 ? &asks[i] : NULL;
	if (ask == NULL || !links[link].up)
		return false;
	*ask = (struct ask){ .id = wire_client_next_id(),
		.link = link,
		.malice = choose(),
		.at_ns = clock_mono_ns(),
		.cancel_at = 1 + (uint32_t)below((uint64_t)values.answer) };
	asks_len++;
	if (values.hostile)
		tend_lease(link);
	send_ask(ask);
	return true;
}

/* Under the lock: cancels that are due; what is lost. */
static void look_after(void)
{
	int64_t now_ns = clock_mono_ns();

	for (size_t i = 0; i < ASKS_MAX; i++) {
		struct ask *ask = &asks[i];
		struct message message = { .kind = MESSAGE_CANCEL, .request_id = ask->id };

		if (ask->id == 0)
			continue;
		if (now_ns - ask->at_ns > LOST_NS) {
			(void)fprintf(stderr, "compute_load: no answer to a request of kind %d\n",
			    (int)ask->malice);
			exit(1);
		}
		bool due = (ask->malice == CANCELLED && ask->tokens >= ask->cancel_at) ||
			   (ask->malice == UNREAD && ask->tokens >= 2 &&
			       now_ns - ask->at_ns > 300 * NS_PER_MS);
		if (!due || ask->cancelled)
			continue;
		ask->cancelled = true;
		(void)!wire_client_send(links[ask->link].client, &message);
	}
}

/* A data node vanishes and comes back. */
static void cut_link(void)
{
	unsigned i = (unsigned)below(LINKS);

	wire_client_close(links[i].client);
	connect_link(i);
}

/* How many at once: hostile ones come in waves, up to more than can wait. */
static size_t width(uint64_t n)
{
	const size_t slots = (size_t)values.slots;

	return values.hostile ? slots + n / 32 * 37 % (ASKS_MAX - slots) : slots;
}

static void run(void)
{
	uint64_t next_cut = 50 + below(100);

	(void)pthread_mutex_lock(&lock);
	for (uint64_t n = 0; n < (uint64_t)values.requests;) {
		if (asks_len < width(n) && begin_ask()) {
			n++;
			continue;
		}
		look_after();
		if (values.hostile && n >= next_cut) {
			next_cut = n + 50 + below(100);
			(void)pthread_mutex_unlock(&lock);
			cut_link();
			(void)pthread_mutex_lock(&lock);
		}
		wait_a_moment(5 * NS_PER_MS);
	}
	while (asks_len > 0) {
		look_after();
		wait_a_moment(5 * NS_PER_MS);
	}
	(void)pthread_mutex_unlock(&lock);
}

/* What the node counted for all keys: tokens of prompts and of answers. */
static void ask_stats(uint64_t *prompt, uint64_t *generated)
{
	*prompt = *generated = 0;
	(void)pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < LINKS; i++) {
		while (!links[i].up)
			wait_a_moment(NS_PER_S);
	}
	for (unsigned i = 0; i < KEYS; i++) {
		stats_missing++;
		send_small(i, MESSAGE_STATS_REQUEST, wire_client_next_id());
	}
	while (stats_missing > 0)
		wait_a_moment(NS_PER_S);
	for (unsigned i = 0; i < KEYS; i++) {
		*prompt += sums[i].tokens_prompt;
		*generated += sums[i].tokens_generated;
	}
	(void)pthread_mutex_unlock(&lock);
}

static int report(double seconds, const uint64_t before[2], const uint64_t after[2])
{
	static const char *const words[CODES] = { "unknown", "invalid", "unsupported", "version",
		"no_model", "context", "busy", "no_lease", "memory", "timeout", "cancelled",
		"internal", "limit" };
	uint64_t all = 0;

	for (size_t i = 0; i < CODES; i++)
		all += refused[i];
	(void)printf("{\"requests\":%lld,\"done\":%llu,\"cut\":%llu,\"refused\":%llu,",
	    (long long)values.requests, (unsigned long long)done, (unsigned long long)cut,
	    (unsigned long long)all);
	for (size_t i = 0; i < CODES; i++) {
		if (refused[i] != 0)
			(void)printf("\"%s\":%llu,", words[i], (unsigned long long)refused[i]);
	}
	const double prompt = (double)(after[0] - before[0]);
	const double generated = (double)(after[1] - before[1]);
	(void)printf("\"untyped\":%llu,\"broken\":%llu,\"received_tokens\":%llu,\"seconds\":%.1f,"
		     "\"prompt_tps\":%.0f,\"answer_tps\":%.0f,\"tps\":%.0f}\n",
	    (unsigned long long)untyped, (unsigned long long)broken, (unsigned long long)tokens,
	    seconds, prompt / seconds, generated / seconds, (prompt + generated) / seconds);
	return untyped + broken + refused[WIRE_ERROR_INTERNAL] == 0 &&
		       done + cut + all == (uint64_t)values.requests
		   ? EXIT_DONE
		   : EXIT_FAILED;
}

#define AT(field) offsetof(struct values, field)
static const struct conf_option options[] = {
	{ "address", 0, CONF_STRING, AT(address), "A", "", 0, 0, false, "of the node" },
	{ "key", 0, CONF_STRING, AT(key), "HEX", "", 0, 0, false, "its public key" },
	{ "allow", 0, CONF_STRING, AT(allow), "FILE", "", 0, 0, false, "its allow-list" },
	{ "model", 0, CONF_STRING, AT(model), "NAME", "tiny", 0, 0, false, "what to ask for" },
	{ "requests", 0, CONF_INT, AT(requests), "N", "300", 1, 1e9, false, "how many" },
	{ "seed", 0, CONF_INT, AT(seed), "N", "1", 0, 1e9, false, "of all that is random" },
	{ "context", 0, CONF_INT, AT(context), "N", "1024", 1, 65000, false, "of the node" },
	{ "slots", 0, CONF_INT, AT(slots), "N", "4", 1, 64, false, "answers that run at once" },
	{ "prompt", 0, CONF_INT, AT(prompt), "N", "120", 1, 65000, false, "longest prompt" },
	{ "answer", 0, CONF_INT, AT(answer), "N", "40", 1, 65000, false, "longest answer" },
	{ .name = "hostile", .type = CONF_BOOL, .offset = AT(hostile), .help = "at its worst" },
	{ .name = NULL },
};
static const struct conf_command command = { "", "", 0, 0, "Loads a compute node.", NULL, options };

int main(int argc, char **argv)
{
	struct errmsg why = ERRMSG_INIT;
	uint64_t before[2], after[2];
	struct conf_argv rest;
	struct arena arena;

	log_set_level(LOG_LEVEL_ERROR);
	arena_init(&arena, (size_t)1 << 16);
	must(conf_defaults(&command, &values, &arena, &why), &why);
	must(conf_parse_argv(&command, argc - 1, argv + 1, &values, &rest, &arena, &why), &why);
	random_state = (uint64_t)values.seed;
	must(wire_key_parse(values.key, server_key, &why), &why);
	for (unsigned i = 0; i < KEYS; i++) {
		must(wire_keypair_new(&keys[i], &why), &why);
		must(wire_allow_add(values.allow, keys[i].public_key, &why), &why);
	}
	for (unsigned i = 0; i < LINKS; i++)
		connect_link(i);
	ask_stats(&before[0], &before[1]);
	int64_t from_ns = clock_mono_ns();
	run();
	double seconds = (double)(clock_mono_ns() - from_ns) / (double)NS_PER_S;
	ask_stats(&after[0], &after[1]);
	for (unsigned i = 0; i < LINKS; i++)
		wire_client_close(links[i].client);
	int code = report(seconds, before, after);
	arena_fini(&arena);
	return code;
}
