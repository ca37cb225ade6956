/*
 * A world (world.h) with one upstream, "near", that is a fake; three moments; and what the
 * ledger and the budget came to.
 */
#ifndef ANSWER_REMOTE_WORLD_H
#define ANSWER_REMOTE_WORLD_H

#include "world.h"

#include <ftw.h>

#include "fake_upstream.h"
#include "gateway/catalogue.h"
#include "gateway/cloud_place.h"
#include "os/file.h"
#include "store/keyring.h"

#define ASK_HEARTH                                                                                 \
	"{\"model\":\"hearth\",\"user\":\"talk-of-mine\",\"messages\":"                            \
	"[{\"role\":\"user\",\"content\":\"What was for lunch?\"}]"
#define ASK_NEAR                                                                                   \
	"{\"model\":\"cloud/near\",\"user\":\"talk-of-mine\",\"messages\":"                        \
	"[{\"role\":\"user\",\"content\":\"Plain words\"}]"
#define RULE "\"hearth\":[{\"to\":\"near\"}]"

static const struct fake_answer said[] = {
	{ FAKE_STREAM FAKE_TEXT("from ") FAKE_TEXT("elsewhere") FAKE_END, false }
};

static struct world world;
static struct fake_upstream fake;
static struct catalogue *catalogue;
static struct keyring *keyring;
static char dir[256];

static inline int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static inline int setup(void **state)
{
	const char *base = getenv("TMPDIR");
	struct keyring_unlock unlock = { 0 };
	struct fake_script script = fake_script_default();

	(void)state;
	script.tokens = 2;
	(void)snprintf(dir, sizeof(dir), "%s/remote-test-XXXXXX", base == NULL ? "/tmp" : base);
	assert_non_null(mkdtemp(dir));
	assert_int_equal(keyring_create(dir, &unlock, NULL), RC_OK);
	assert_int_equal(keyring_open(dir, &unlock, &keyring, NULL), RC_OK);
	assert_int_equal(catalogue_create(dir, NULL), RC_OK);
	assert_int_equal(catalogue_open(dir, &catalogue, NULL), RC_OK);
	world_open(&world, &script, 1);
	assert_int_equal(cloud_place_open(dir, catalogue, keyring, &world.host.cloud), RC_OK);
	fake_upstream_open(&fake, said, 1);
	world_moment(&world, "note-1", WORLD_NOW_NS - 3600 * NS_PER_S, "phone",
	    "CANARY-TEXT lunch was soup");
	world_moment(&world, "note-2", WORLD_NOW_NS - 7200 * NS_PER_S, "diary",
	    "CANARY-DIARY lunch was sad");
	world_moment(&world, "note-3", WORLD_NOW_NS - 9000 * NS_PER_S, "phone",
	    "CANARY-HOME lunch in the kitchen")
	    ->obs.layer = LAYER_HOME;
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	world_reset(&world);
	fake_upstream_close(&fake);
	cloud_place_close(world.host.cloud);
	catalogue_close(catalogue);
	keyring_close(keyring);
	world_close(&world);
	(void)nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	return 0;
}

/* `more` of the upstream, and what the policy has besides. */
static inline void policy(const char *more, const char *rest)
{
	char text[2048], path[300];

	(void)snprintf(text, sizeof(text),
	    "{\"upstreams\":[{\"name\":\"near\",\"url\":\"%s\",\"model\":\"m-70b\","
	    "\"trust\":\"home\"%s}]%s%s}",
	    fake.url, more, rest[0] == '\0' ? "" : ",", rest);
	(void)snprintf(path, sizeof(path), "%s/cloud.json", dir);
	assert_int_equal(file_write_atomic(path, 0600, text, strlen(text), NULL), RC_OK);
}

static inline void read_all(const char *body)
{
	world_post(&world, false, body);
	if (world.response.pull != NULL)
		world_pull_all(&world);
}

static inline bool reads(const char *text)
{
	return strstr(buf_text(&world.read), text) != NULL;
}

static inline const struct catalogue_audit *last_line(void)
{
	struct catalogue_audit *lines = NULL;
	size_t len = 0;

	assert_int_equal(
	    catalogue_audit_list(catalogue, false, 10, &world.arena, &lines, &len, NULL), RC_OK);
	return len > 0 ? &lines[0] : NULL;
}

static inline struct spend spent_so_far(void)
{
	int32_t day = spend_day(clock_utc_ns(), 3600);
	struct spend spent;

	assert_int_equal(catalogue_spend_sum(catalogue, "near", day - 1, day, &spent, NULL), RC_OK);
	return spent;
}

static inline void expect_line(const char *action, const char *object)
{
	const struct catalogue_audit *line = last_line();

	assert_non_null(line);
	assert_string_equal(line->action, action);
	if (strncmp(line->object, object, strlen(object)) != 0)
		fail_msg("%s is not %s", line->object, object);
	assert_null(strstr(line->object, "CANARY"));
	assert_null(strstr(line->object, "lunch"));
}

#define REMOTE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
