/*
 * A data node of its own in a directory under $TMPDIR, opened as a station
 * and removed at the end; requests to its handlers.  Header only.
 */
#ifndef GATEWAY_GATEWAY_FIXTURE_H
#define GATEWAY_GATEWAY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "gateway/api.h"
#include "gateway/station.h"
#include "gateway/target.h"

#define UNUSED __attribute__((unused))
UNUSED static struct errmsg pass_why;
#define PASS(call)                                                                                 \
	do {                                                                                       \
		errmsg_reset(&pass_why);                                                           \
		enum rc pass_rc = (call);                                                          \
		if (pass_rc != RC_OK)                                                              \
			fail_msg("%s: %s (%s)", #call, rc_word(pass_rc), pass_why.text);           \
	} while (0)

struct fixture {
	char dir[256];
	struct station_created created;
	struct station *station;
	struct arena arena;
	struct api_response response; /* of the last request */
	json_t *json;                 /* its body, NULL if it is none */
};

UNUSED static void fixture_dir(char out[256])
{
	const char *base = getenv("TMPDIR");

	(void)snprintf(out, 256, "%s/gateway-test-XXXXXX", base == NULL ? "/tmp" : base);
	assert_non_null(mkdtemp(out));
}

UNUSED static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

UNUSED static void fixture_remove(const char *dir)
{
	(void)nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

UNUSED static void fixture_open(struct fixture *f, unsigned parts)
{
	struct station_config config = { .dir = f->dir, .parts = parts, .zone = "UTC" };

	PASS(station_open(&config, &f->station, &pass_why));
}

UNUSED static void fixture_init(struct fixture *f, unsigned parts)
{
	struct station_config config = { .dir = f->dir };

	memset(f, 0, sizeof(*f));
	fixture_dir(f->dir);
	PASS(station_create(&config, &f->created, &pass_why));
	fixture_open(f, parts);
	arena_init(&f->arena, (size_t)256 << 20);
	api_response_init(&f->response);
}

UNUSED static void fixture_forget(struct fixture *f)
{
	json_decref(f->json);
	f->json = NULL;
	api_response_fini(&f->response);
	arena_reset(&f->arena);
	api_response_init(&f->response);
}

UNUSED static void fixture_fini(struct fixture *f)
{
	fixture_forget(f);
	api_response_fini(&f->response);
	arena_fini(&f->arena);
	station_close(f->station);
	fixture_remove(f->dir);
}

/* A pull stream read to its end becomes the body. */
UNUSED static void fixture_pull(struct fixture *f)
{
	struct api_response *r = &f->response;
	char bytes[4096];
	struct buf all;
	long n = 0;

	if (r->pull == NULL)
		return;
	buf_init(&all, (size_t)256 << 20);
	while ((n = r->pull(r->pull_ctx, bytes, sizeof(bytes))) >= 0)
		buf_append(&all, bytes, (size_t)n);
	assert_int_equal(n, API_PULL_END);
	buf_fini(&r->body);
	r->body = all;
}

UNUSED static int fixture_send(
    struct fixture *f, struct api_request *request, const char *target, const char *body)
{
	fixture_forget(f);
	PASS(target_parse(target, &f->arena, request, &pass_why));
	request->body = body != NULL ? body : "";
	request->body_len = strlen(request->body);
	api_handle(f->station, request, &f->arena, &f->response);
	fixture_pull(f);
	f->json = json_loadb(buf_text(&f->response.body), f->response.body.len, 0, NULL);
	return f->response.status;
}

/* As the owner with a token; the status. */
UNUSED static int fixture_call(
    struct fixture *f, const char *method, const char *target, const char *body)
{
	struct api_request request = { .method = method, .peer = API_PEER_TOKEN };

	return fixture_send(f, &request, target, body);
}

/* As the operator. */
UNUSED static int fixture_control(
    struct fixture *f, const char *method, const char *target, const char *body)
{
	struct api_request request = { .method = method, .peer = API_PEER_CONTROL };

	return fixture_send(f, &request, target, body);
}

UNUSED static const char *fixture_error(struct fixture *f, const char *member)
{
	const char *text =
	    json_string_value(json_object_get(json_object_get(f->json, "error"), member));

	return text != NULL ? text : "";
}

UNUSED static long long fixture_number(struct fixture *f, const char *member)
{
	return (long long)json_integer_value(json_object_get(f->json, member));
}

#endif
