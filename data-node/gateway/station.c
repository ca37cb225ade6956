/* Opening and closing one data node's directory, part by part. */
#include "gateway/station.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "align/builder.h"
#include "answer/encoder.h"
#include "answer/pool.h"
#include "backup/backup_dir.h"
#include "base/clock.h"
#include "base/log.h"
#include "gateway/asker.h"
#include "gateway/auth.h"
#include "gateway/catalogue.h"
#include "gateway/cloud_place.h"
#include "gateway/nightly.h"
#include "gateway/policy_place.h"
#include "gateway/secret.h"
#include "gateway/station_follow.h"
#include "gateway/station_key.h"
#include "memory/book.h"
#include "os/file.h"
#include "recall/recall.h"
#include "store/keyring.h"
#include "store/store.h"
#include "store/store_rebuild.h"
#include "wire/key.h"

#define PATH_BYTES_MAX 4096
#define LIST_ARENA_BYTES ((size_t)1 << 20)
#define ZONE_BYTES_MAX 64

struct station {
	struct station_config config;
	struct keyring *keyring;
	struct store *store;
	struct catalogue *catalogue;
	struct cloud_place *cloud;
	struct auth *auth;
	struct wire_keypair keys;
	char public_key[WIRE_KEY_TEXT_BYTES];
	struct recall *recall;
	struct book *book;
	_Atomic(struct builder *) builder; /* these two: once set it stays */
	_Atomic(struct nightly *) nightly;
	struct policy_place *policies;
	struct pool *pool;
	struct encoder *encoder;
	struct asker *asker;
	struct ask ask; /* `asker`'s */
	struct station_following *following;
	struct follow_serve *followed;
	int64_t opened_mono_ns;
	atomic_bool stopping;
	_Atomic(const char *) url, pin;
};

/* The zone becomes the process's: localtime_r() has no other input. */
static enum rc set_zone(const char *zone, struct errmsg *why)
{
	char path[PATH_BYTES_MAX];

	if (zone != NULL && strcmp(zone, "UTC") != 0) {
		size_t len = strlen(zone);
		if (len == 0 || len > ZONE_BYTES_MAX || zone[0] == '/' ||
		    strstr(zone, "..") != NULL)
			return errmsg_rc(why, RC_CONFIG, "zone: not an IANA name");
		(void)snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", zone);
		if (!file_exists(path))
			return errmsg_rc(
			    why, RC_CONFIG, "zone: %s is not in /usr/share/zoneinfo", zone);
	}
	if (zone != NULL && setenv("TZ", zone, 1) != 0)
		return RC_NOMEM;
	tzset();
	return RC_OK;
}

static enum rc check_dir(const char *dir, struct errmsg *why)
{
	char path[PATH_BYTES_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/catalogue.sqlite", dir) >= sizeof(path))
		return errmsg_rc(why, RC_CONFIG, "the directory's name is too long");
	if (backup_dir_begun(dir))
		return errmsg_rc(why, RC_CONFIG,
		    "%s is unfinished: run the restore or follow that made it again", dir);
	if (!file_exists(path))
		return errmsg_rc(why, RC_CONFIG,
		    "%s holds no data node: run `data-node init --dir %s` first", dir, dir);
	return RC_OK;
}

static enum rc open_keys(struct station *s, struct errmsg *why)
{
	const struct station_unlock unlock = { .key_file = s->config.key_file,
		.passphrase_file = s->config.passphrase_file };
	char path[PATH_BYTES_MAX];

	enum rc rc = station_keyring_open(s->config.dir, s->catalogue, &unlock, &s->keyring, why);
	if (rc != RC_OK)
		return rc;
	(void)snprintf(path, sizeof(path), "%s/wire.key", s->config.dir);
	rc = wire_keypair_load(path, &s->keys, why);
	if (rc == RC_OK)
		wire_key_format(s->keys.public_key, s->public_key);
	return rc;
}

static void log_link(void *ctx, const char *name, bool up, enum rc reason)
{
	(void)ctx;
	if (up)
		log_info("COMPUTE-UP", "name=%s", name);
	else
		log_warn("COMPUTE-DOWN", "name=%s reason=%s", name, rc_word(reason));
}

static enum rc add_node(struct pool *pool, const struct catalogue_compute *node, struct errmsg *why)
{
	enum rc rc = pool_add(pool, node->name, node->address, node->public_key, why);

	if (rc == RC_OK && node->drained_ns != 0)
		rc = pool_drain(pool, node->name, true);
	return rc;
}

static enum rc open_pool(struct station *s, struct errmsg *why)
{
	struct catalogue_compute *nodes = NULL;
	size_t len = 0;
	struct arena arena;

	enum rc rc = pool_open(&s->keys, &s->pool, why);
	if (rc != RC_OK)
		return rc;
	if (s->config.log_links)
		pool_on_link(s->pool, log_link, NULL);
	arena_init(&arena, LIST_ARENA_BYTES);
	rc = catalogue_compute_list(s->catalogue, &arena, &nodes, &len, why);
	for (size_t i = 0; i < len && rc == RC_OK; i++)
		rc = add_node(s->pool, &nodes[i], why);
	arena_fini(&arena);
	return rc;
}

static enum rc open_encoder(struct station *s, struct errmsg *why)
{
	struct recall_encoder for_recall;

	enum rc rc = encoder_new(s->pool, s->config.embed_model, &s->encoder);
	if (rc != RC_OK)
		return rc;
	for_recall = encoder_for_recall(s->encoder);
	return recall_set_encoder(s->recall, &for_recall, why);
}

static int32_t offset_s(const void *ctx, int64_t utc_ns)
{
	return station_time_offset(ctx, utc_ns);
}

static enum rc open_builder(struct station *s, struct errmsg *why)
{
	struct builder *builder = NULL;

	enum rc rc = builder_open(s->store, policy_place_now(s->policies), &builder, why);
	if (rc == RC_OK)
		atomic_store(&s->builder, builder);
	return rc;
}

static const struct policy *policy_now(const void *ctx)
{
	return station_policy(ctx);
}

static enum rc open_asker(struct station *s)
{
	enum rc rc = asker_new(s->pool, s->config.night_model, &s->asker);

	if (rc == RC_OK)
		s->ask = asker_for_night(s->asker);
	return rc;
}

static enum rc open_nightly(struct station *s, struct errmsg *why)
{
	struct nightly_config config = { .store = s->store,
		.offset_s = offset_s,
		.offset_ctx = s,
		.at_s = s->config.night_at_s > 0 ? s->config.night_at_s : NIGHTLY_NEVER,
		.most_ns = s->config.night_most_ns,
		.log = s->config.log_links,
		.policy = policy_now,
		.policy_ctx = s,
		.book = s->book,
		.builder = station_builder(s) };
	struct nightly *nightly = NULL;

	enum rc rc = s->pool != NULL && s->asker == NULL ? open_asker(s) : RC_OK;
	config.ask = s->asker != NULL ? &s->ask : NULL;
	if (rc == RC_OK)
		rc = nightly_open(&config, &nightly, why);
	if (rc == RC_OK)
		atomic_store(&s->nightly, nightly);
	return rc;
}

enum rc station_open_own(struct station *s, struct errmsg *why)
{
	enum rc rc = RC_OK;

	if ((s->config.parts & STATION_SLICES) != 0 && station_builder(s) == NULL)
		rc = open_builder(s, why);
	if (rc == RC_OK && (s->config.parts & STATION_NIGHT) != 0 && station_nightly(s) == NULL)
		rc = open_nightly(s, why);
	return rc;
}

static enum rc open_follow(struct station *s, struct errmsg *why)
{
	bool run = (s->config.parts & STATION_FOLLOW) != 0;

	enum rc rc = station_following_open(s, &s->keys, run, &s->following, why);
	if (rc == RC_OK && run && s->config.follow_listen != NULL)
		rc = station_followed_open(s, s->config.follow_listen, &s->keys, &s->followed, why);
	return rc;
}

static enum rc open_parts(struct station *s, struct errmsg *why)
{
	struct store_config store = { .dir = s->config.dir, .quota_bytes = s->config.quota_bytes };

	enum rc rc = policy_place_open(s->config.dir, &s->policies, why);
	if (rc == RC_OK)
		rc = catalogue_open(s->config.dir, &s->catalogue, why);
	if (rc == RC_OK)
		rc = open_keys(s, why);
	if (rc == RC_OK)
		rc = cloud_place_open(s->config.dir, s->catalogue, s->keyring, &s->cloud);
	if (rc != RC_OK)
		return rc;
	store.keyring = s->keyring;
	rc = store_open(&store, &s->store, why);
	/* A keyring of another timeline, a newer program's, a network disk. */
	if (rc == RC_DENIED || rc == RC_UNSUPPORTED)
		rc = errmsg_rc(why, RC_CONFIG, "%s", rc_text(rc));
	if (rc == RC_OK)
		rc = book_open(s->store, &s->book, why);
	if (rc == RC_OK)
		rc = auth_open(s->catalogue, s->keyring, &s->auth, why);
	if (rc == RC_OK && (s->config.parts & STATION_RECALL) != 0)
		rc = recall_open(s->store, &s->recall, why);
	if (rc == RC_OK)
		rc = open_follow(s, why);
	if (rc == RC_OK && (s->config.parts & STATION_POOL) != 0)
		rc = open_pool(s, why);
	if (rc == RC_OK && (s->config.parts & STATION_VECTORS) != 0 && s->recall != NULL &&
	    s->pool != NULL)
		rc = open_encoder(s, why);
	/* Slices and labels of a follower would be sealed under keys that the
	 * followed node does not know: it works slices out as they are asked for. */
	if (rc == RC_OK && s->following == NULL)
		rc = station_open_own(s, why);
	return rc;
}

enum rc station_open(const struct station_config *config, struct station **out, struct errmsg *why)
{
	enum rc rc = check_dir(config->dir, why);
	if (rc == RC_OK)
		rc = set_zone(config->zone, why);
	if (rc != RC_OK)
		return rc;
	struct station *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return RC_NOMEM;
	s->config = *config;
	s->opened_mono_ns = clock_mono_ns();
	rc = open_parts(s, why);
	if (rc != RC_OK) {
		station_close(s);
		return rc;
	}
	*out = s;
	return RC_OK;
}

void station_close(struct station *s)
{
	if (s == NULL)
		return;
	station_following_close(s->following);
	follow_serve_close(s->followed);
	nightly_close(station_nightly(s));
	encoder_stop(s->encoder);
	if (s->recall != NULL)
		recall_close(s->recall);
	encoder_free(s->encoder);
	asker_free(s->asker);
	if (s->pool != NULL)
		pool_close(s->pool);
	builder_close(station_builder(s));
	book_close(s->book);
	auth_close(s->auth);
	cloud_place_close(s->cloud);
	catalogue_close(s->catalogue);
	if (s->store != NULL)
		store_close(s->store);
	if (s->keyring != NULL)
		keyring_close(s->keyring);
	policy_place_close(s->policies);
	wire_keypair_wipe(&s->keys);
	free(s);
}

enum rc station_rebuild(const struct station_config *config, store_progress_fn *progress, void *ctx,
    struct store_rebuilt *out, struct errmsg *why)
{
	struct store_config store = { .dir = config->dir, .quota_bytes = config->quota_bytes };

	enum rc rc = check_dir(config->dir, why);
	if (rc != RC_OK)
		return rc;
	struct station *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return RC_NOMEM;
	s->config = *config;
	rc = catalogue_open(s->config.dir, &s->catalogue, why);
	if (rc == RC_OK)
		rc = open_keys(s, why);
	store.keyring = s->keyring;
	if (rc == RC_OK)
		rc = store_rebuild(&store, progress, ctx, out, why);
	station_close(s);
	return rc;
}

struct station_following *station_following(struct station *s)
{
	return s->following;
}

struct follow_serve *station_followed(struct station *s)
{
	return s->followed;
}

void station_set_url(struct station *s, const char *url, const char *pin)
{
	atomic_store(&s->pin, pin);
	atomic_store(&s->url, url);
}

const char *station_pin(const struct station *s)
{
	const char *pin = atomic_load(&s->pin);

	return pin != NULL ? pin : "";
}

const char *station_url(const struct station *s)
{
	const char *url = atomic_load(&s->url);

	return url != NULL ? url : "";
}

const struct station_config *station_config(const struct station *s)
{
	return &s->config;
}

struct store *station_store(struct station *s)
{
	return s->store;
}

struct recall *station_recall(struct station *s)
{
	return s->recall;
}

struct book *station_book(struct station *s)
{
	return s->book;
}

struct pool *station_pool(struct station *s)
{
	return s->pool;
}

const struct policy *station_policy(const struct station *s)
{
	return policy_place_now(s->policies);
}

struct policy_place *station_policies(struct station *s)
{
	return s->policies;
}

struct builder *station_builder(struct station *s)
{
	return atomic_load(&s->builder);
}

struct nightly *station_nightly(struct station *s)
{
	return atomic_load(&s->nightly);
}

struct catalogue *station_catalogue(struct station *s)
{
	return s->catalogue;
}

struct cloud_place *station_cloud(struct station *s)
{
	return s->cloud;
}

struct keyring *station_keyring(struct station *s)
{
	return s->keyring;
}

struct auth *station_auth(struct station *s)
{
	return s->auth;
}

const char *station_public_key(const struct station *s)
{
	return s->public_key;
}

int32_t station_time_offset(const struct station *s, int64_t utc_ns)
{
	struct tm tm = { 0 };
	time_t t = (time_t)(utc_ns / NS_PER_S);

	(void)s;
	if (utc_ns % NS_PER_S < 0)
		t--;
	return localtime_r(&t, &tm) != NULL ? (int32_t)tm.tm_gmtoff : 0;
}

const char *station_zone_name(const struct station *s)
{
	struct tm tm = { 0 };
	time_t t = (time_t)(clock_utc_ns() / NS_PER_S);

	(void)s;
	/* glibc keeps zone names for the life of the process. */
	return localtime_r(&t, &tm) != NULL && tm.tm_zone != NULL ? tm.tm_zone : "UTC";
}

int64_t station_uptime_ns(const struct station *s)
{
	return clock_mono_ns() - s->opened_mono_ns;
}

bool station_stopping(const struct station *s)
{
	return atomic_load(&s->stopping);
}

void station_stop(struct station *s)
{
	atomic_store(&s->stopping, true);
}
