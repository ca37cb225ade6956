/* Station follow: the two ends of following, as parts of a station. */
#include "gateway/station_follow.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "align/home.h"
#include "base/clock.h"
#include "base/log.h"
#include "gateway/auth.h"
#include "gateway/catalogue.h"
#include "gateway/policy_place.h"
#include "gateway/station_state.h"
#include "recall/recall.h"
#include "store/store.h"
#include "store/store_follow.h"

#define PATH_BYTES_MAX 4096
#define ARENA_BYTES ((size_t)64 << 10)

struct station_following {
	struct station *station;
	pthread_mutex_t taking_over;
	struct follow_run *run; /* NULL: a command's station does not ask */
	struct home_keep home;  /* its thread's */
	char address[CATALOGUE_ADDRESS_BYTES_MAX + 1];
	uint8_t key[WIRE_KEY_BYTES];
};

/* A policy that only a newer program knows holds no records back: slices are made
 * by the one before until this program is brought up to date. */
static enum rc adopt_policy(
    struct station_following *f, const struct station_state_view *view, struct errmsg *why)
{
	struct errmsg detail = ERRMSG_INIT;

	if (!view->tells_policy)
		return RC_OK;
	enum rc rc = policy_place_adopt(
	    station_policies(f->station), view->policy, view->policy_len, &detail);
	if (rc == RC_CONFIG) {
		log_warn("FOLLOW-POLICY", "detail=\"%s\"", errmsg_text(&detail, rc));
		return RC_OK;
	}
	return rc == RC_OK ? RC_OK : errmsg_rc(why, rc, "%s", errmsg_text(&detail, rc));
}

/* Devices, compute nodes and the policy as the other node has them. */
static enum rc adopt_state(void *ctx, const uint8_t *bytes, size_t len, struct errmsg *why)
{
	struct station_following *f = ctx;
	struct station_state_view view;

	enum rc rc = station_state_parse(bytes, len, &view, why);
	if (rc == RC_OK)
		rc = catalogue_adopt(
		    station_catalogue(f->station), view.catalogue, view.catalogue_len, why);
	if (rc == RC_OK)
		rc = auth_reload(station_auth(f->station), why);
	return rc == RC_OK ? adopt_policy(f, &view, why) : rc;
}

/* Digests are of keys that the other node knows as well, so a follower keeps its
 * own: neither its answers nor a take-over need to read all of the home's past. */
static void keep_home(void *ctx, const atomic_bool *stop)
{
	struct station_following *f = ctx;

	enum rc ignored = home_keep(&f->home, station_store(f->station), clock_utc_ns(),
	    station_policy(f->station), stop, NULL);
	(void)ignored; /* again in a moment */
}

static enum rc read_settings(struct station_following *f, bool *any, struct errmsg *why)
{
	struct catalogue *catalogue = station_catalogue(f->station);
	const char *address = NULL, *key = NULL;
	struct arena arena;

	arena_init(&arena, ARENA_BYTES);
	enum rc rc =
	    catalogue_setting_get(catalogue, STATION_SETTING_FOLLOW_ADDRESS, &arena, &address, why);
	*any = rc == RC_OK;
	if (rc == RC_OK)
		rc =
		    catalogue_setting_get(catalogue, STATION_SETTING_FOLLOW_KEY, &arena, &key, why);
	if (rc == RC_OK)
		rc = wire_key_parse(key, f->key, why);
	if (rc == RC_OK)
		(void)snprintf(f->address, sizeof(f->address), "%s", address);
	arena_fini(&arena);
	return rc == RC_NOTFOUND && !*any ? RC_OK : rc;
}

enum rc station_following_open(struct station *station, const struct wire_keypair *keys, bool run,
    struct station_following **out, struct errmsg *why)
{
	struct station_following *f = calloc(1, sizeof(*f));
	bool any = false;

	if (f == NULL)
		return RC_NOMEM;
	f->station = station;
	home_keep_init(&f->home);
	(void)pthread_mutex_init(&f->taking_over, NULL);
	enum rc rc = read_settings(f, &any, why);
	if (rc == RC_OK && any)
		store_follow_set(station_store(station), true);
	if (rc == RC_OK && any && run) {
		struct follow_run_config config = {
			.link = { .address = f->address, .server_key = f->key, .keys = keys },
			.dir = station_config(station)->dir,
			.store = station_store(station),
			.keyring = station_keyring(station),
			.state = adopt_state,
			.level = keep_home,
			.ctx = f,
		};
		rc = follow_run_open(&config, &f->run, why);
	}
	if (rc != RC_OK || !any) {
		station_following_close(f);
		return rc;
	}
	*out = f;
	return RC_OK;
}

void station_following_close(struct station_following *f)
{
	if (f == NULL)
		return;
	follow_run_close(f->run);
	(void)pthread_mutex_destroy(&f->taking_over);
	free(f);
}

/* ---- being followed ----------------------------------------------------------------------- */

static enum rc lean_state(void *ctx, struct buf *out, struct errmsg *why)
{
	return station_state(ctx, true, out, why);
}

enum rc station_followed_open(struct station *station, const char *listen,
    const struct wire_keypair *keys, struct follow_serve **out, struct errmsg *why)
{
	char allow[PATH_BYTES_MAX];
	struct follow_serve_config config = { .listen = listen,
		.allow_path = allow,
		.dir = station_config(station)->dir,
		.keys = keys,
		.store = station_store(station),
		.keyring = station_keyring(station),
		.state = lean_state,
		.ctx = station };

	(void)snprintf(allow, sizeof(allow), "%s/" STATION_FOLLOWERS, config.dir);
	return follow_serve_open(&config, out, why);
}

/* ---- both ends ------------------------------------------------------------------------------ */

const char *station_follows(struct station *station)
{
	const struct station_following *f = station_following(station);

	return f != NULL && store_following(station_store(station)) ? f->address : NULL;
}

static enum rc take_over(struct station *station, struct station_following *f, struct errmsg *why)
{
	struct catalogue *catalogue = station_catalogue(station);

	if (station_follows(station) == NULL)
		return errmsg_rc(why, RC_INVALID, "this node follows nobody");
	/* First the settings: a node that is killed here has taken over. */
	enum rc rc = catalogue_setting_del(catalogue, STATION_SETTING_FOLLOW_ADDRESS, why);
	if (rc == RC_OK)
		rc = catalogue_setting_del(catalogue, STATION_SETTING_FOLLOW_KEY, why);
	if (rc != RC_OK)
		return rc;
	follow_run_stop(f->run);
	store_follow_set(station_store(station), false);
	log_info("FOLLOW-TOOK-OVER", "cursor=%" PRIu64, store_cursor(station_store(station)));
	struct errmsg detail = ERRMSG_INIT;
	rc = station_open_own(station, &detail);
	return rc == RC_OK ? RC_OK
			   : errmsg_rc(why, rc,
				 "this node has taken over, but builds no slices and labels: %s; "
				 "restart it",
				 errmsg_text(&detail, rc));
}

enum rc station_take_over(struct station *station, struct errmsg *why)
{
	struct station_following *f = station_following(station);

	if (f == NULL)
		return errmsg_rc(why, RC_INVALID, "this node follows nobody");
	(void)pthread_mutex_lock(&f->taking_over);
	enum rc rc = take_over(station, f, why);
	(void)pthread_mutex_unlock(&f->taking_over);
	return rc;
}

static void put_following(struct station *station, struct buf *out)
{
	const struct station_following *f = station_following(station);
	struct follow_status status = { .link = "not-dialled" };
	uint64_t own = store_cursor(station_store(station));

	if (f->run != NULL)
		follow_run_status(f->run, &status);
	buf_puts(out, ",\"follow\":{\"address\":");
	buf_json_string(out, f->address, strlen(f->address));
	buf_printf(out, ",\"state\":\"%s\",\"cursor\":%" PRIu64 ",\"lag\":%" PRIu64, status.link,
	    status.cursor, status.cursor > own ? status.cursor - own : 0);
	if (status.level_ns != 0)
		buf_printf(out, ",\"level_s\":%.1f",
		    (double)(clock_mono_ns() - status.level_ns) / (double)NS_PER_S);
	else
		buf_puts(out, ",\"level_s\":null");
	buf_puts(out, ",\"error\":");
	buf_json_string(out, status.error, strlen(status.error));
	buf_putc(out, '}');
}

void station_follow_json(struct station *station, struct buf *out)
{
	struct follow_peer peers[FOLLOW_PEERS_MAX];
	struct follow_serve *serve = station_followed(station);
	uint64_t own = store_cursor(station_store(station));

	if (station_follows(station) != NULL)
		put_following(station, out);
	if (serve == NULL)
		return;
	size_t n = follow_serve_peers(serve, peers);
	buf_puts(out, ",\"followers\":[");
	for (size_t i = 0; i < n; i++)
		buf_printf(out,
		    "%s{\"key\":\"%s\",\"cursor\":%" PRIu64 ",\"lag\":%" PRIu64
		    ",\"asked_s\":%.1f}",
		    i > 0 ? "," : "", peers[i].key, peers[i].cursor,
		    own > peers[i].cursor ? own - peers[i].cursor : 0,
		    (double)(clock_mono_ns() - peers[i].asked_ns) / (double)NS_PER_S);
	buf_putc(out, ']');
}
