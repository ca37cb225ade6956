/* What a request leaves in the compute node once its lease is gone: nothing.
 * The memory of the real program is searched byte by byte, as root, for the
 * prompt's text, its token ids in every form they take, the answer, and the lease's
 * adapter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapter_build.h"
#include "base/clock.h"
#include "base/random.h"
#include "model/model.h"
#include "os/process.h"
#include "serve/wiping_free.h"
#include "serve_fixture.h"

#define PATTERNS_MAX 8
#define PATTERN_BYTES_MAX 256
#define CANARY_BYTES 120
#define LEFT_NS (20 * NS_PER_S)
#define RUN_IDS 12 /* token ids in a row that make a pattern */
#define CHUNK_BYTES ((size_t)1 << 20)

struct pattern {
	const char *name;
	uint8_t bytes[PATTERN_BYTES_MAX];
	size_t len;
};

static struct serve_fixture node;
static struct pattern patterns[PATTERNS_MAX];
static size_t patterns_len;

static int setup(void **state)
{
	(void)state;
	serve_fixture_init(&node, &(struct tiny_gguf){ .seed = 5 });
	serve_fixture_spawn(&node);
	serve_fixture_connect(&node, 0);
	patterns_len = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	serve_fixture_fini(&node);
	return 0;
}

static void add_pattern(const char *name, const void *bytes, size_t len)
{
	struct pattern *pattern = &patterns[patterns_len++];

	assert_true(patterns_len <= PATTERNS_MAX && len <= PATTERN_BYTES_MAX && len >= 10);
	pattern->name = name;
	memcpy(pattern->bytes, bytes, len);
	pattern->len = len;
}

/* Ids as the engine, protobuf's structs and protobuf's bytes have them. */
static void add_ids(const char *name, const char *packed_name, const uint32_t *ids)
{
	uint8_t packed[RUN_IDS * 5];
	size_t len = 0;

	add_pattern(name, ids, RUN_IDS * sizeof(ids[0]));
	for (size_t i = 0; i < RUN_IDS; i++) {
		uint32_t id = ids[i];

		for (; id >= 0x80; id >>= 7)
			packed[len++] = (uint8_t)(id | 0x80);
		packed[len++] = (uint8_t)id;
	}
	add_pattern(packed_name, packed, len);
}

static size_t count_in(const uint8_t *bytes, size_t len, const struct pattern *pattern)
{
	size_t hits = 0;
	const uint8_t *at = bytes;

	while (
	    (at = memmem(at, len - (size_t)(at - bytes), pattern->bytes, pattern->len)) != NULL) {
		hits++;
		at++;
	}
	return hits;
}

/* Every readable byte of one process, added to the counts of each pattern. */
static void search_process(pid_t pid, size_t hits[PATTERNS_MAX])
{
	static uint8_t chunk[CHUNK_BYTES + PATTERN_BYTES_MAX];
	char path[64], line[512];

	(void)snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	FILE *maps = fopen(path, "r");
	assert_non_null(maps);
	(void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	int mem = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(mem >= 0);
	size_t searched = 0;
	while (fgets(line, sizeof(line), maps) != NULL) {
		uint64_t from = 0, to = 0;

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " r", &from, &to) != 2)
			continue;
		/* Chunks overlap by one pattern, so none is cut in two. */
		for (uint64_t at = from; at < to; at += CHUNK_BYTES) {
			ssize_t n = pread(mem, chunk, sizeof(chunk), (off_t)at);

			if (n <= 0)
				break;
			searched += (size_t)n;
			for (size_t i = 0; i < patterns_len; i++)
				hits[i] += count_in(chunk, (size_t)n, &patterns[i]);
		}
	}
	(void)close(mem);
	(void)fclose(maps);
	assert_true(searched > 1 << 20);
}

static void search(size_t hits[PATTERNS_MAX])
{
	memset(hits, 0, PATTERNS_MAX * sizeof(hits[0]));
	search_process(node.pid, hits);
	search_process(serve_fixture_worker(&node), hits);
}

static void fill_canary(char *out, size_t len)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";

	for (size_t i = 0; i + 1 < len; i++)
		out[i] = letters[random_u64() % 36];
	out[len - 1] = '\0';
}

/* A random adapter for the lease 9 9, in chunks that part it anywhere. */
static void put_adapter(void)
{
	const struct adapter_build how = { .seed = random_u64() | 1, .rank = 6, .type = TYPE_F16 };
	struct message put = {
		.has_lease = true, .lease_id = { 9, 9 }, .kind = MESSAGE_ADAPTER_PUT
	};
	struct wire_adapter_put *chunk = &put.u.adapter_put;
	struct model *model = NULL;
	struct wire_adapter_state state = { 0 };
	size_t len = 0;
	uint8_t *bytes;

	assert_int_equal(model_open(node.model_path, &model, NULL), RC_OK);
	bytes = adapter_build(model, &how, &len);
	model_close(model);
	chunk->total_bytes = len;
	assert_int_equal(
	    crypto_generichash(chunk->content_hash, WIRE_HASH_BYTES, bytes, len, NULL, 0), 0);
	for (size_t at = 0; at < len; at += chunk->chunk_len) {
		chunk->offset = at;
		chunk->chunk = bytes + at;
		chunk->chunk_len = len - at < 7777 ? len - at : 7777;
		state = serve_fixture_wait(&node, serve_fixture_send(&node, 0, &put))->adapter;
	}
	assert_true(state.active);
	add_pattern("adapter", bytes + len / 2, 200);
	free(bytes);
}

static void add_answer(const char canary[CANARY_BYTES], const struct serve_answer *answer)
{
	add_pattern("prompt text", canary, 40);
	add_pattern("prompt text, end", canary + 80, CANARY_BYTES - 81);
	add_ids("prompt ids", "prompt ids, packed", answer->prompt_ids + 4);
	add_ids("answer ids", "answer ids, packed", answer->ids + 4);
	add_pattern("answer text", answer->text.bytes, 24);
}

/* Hits of all patterns, as soon as there are none, or after `within_ns`. */
static size_t left_after(int64_t within_ns)
{
	const int64_t until_ns = clock_mono_ns() + within_ns;
	size_t hits[PATTERNS_MAX], left;

	do {
		search(hits);
		left = 0;
		for (size_t i = 0; i < patterns_len; i++)
			left += hits[i];
	} while (left != 0 && clock_mono_ns() < until_ns);
	for (size_t i = 0; i < patterns_len; i++) {
		if (hits[i] != 0)
			print_error("%s: %zu hits\n", patterns[i].name, hits[i]);
	}
	return left;
}

static void test_nothing_of_a_request_is_left_after_its_lease(void **state)
{
	(void)state;
	char canary[CANARY_BYTES];
	size_t hits[PATTERNS_MAX];
	fill_canary(canary, sizeof(canary));
	const struct wire_part part = { .data = (const uint8_t *)canary,
		.data_len = CANARY_BYTES - 1 };
	struct message open = {
		.has_lease = true, .lease_id = { 9, 9 }, .kind = MESSAGE_LEASE_OPEN
	};
	struct message ask = { .has_lease = true, .lease_id = { 9, 9 }, .kind = MESSAGE_GENERATE };
	struct message end = {
		.has_lease = true, .lease_id = { 9, 9 }, .kind = MESSAGE_LEASE_CLOSE
	};
	open.u.lease_open.model = "tiny";
	ask.u.generate = (struct wire_generate){ .model = "tiny",
		.raw = &part,
		.raw_len = 1,
		.max_tokens = 60,
		.credit = 1000,
		.sampling = { .temperature = 1, .seed = random_u64(), .ignore_eos = true } };
	assert_true(serve_fixture_wait(&node, serve_fixture_send(&node, 0, &open))->lease.open);
	put_adapter();
	struct serve_answer *answer = serve_fixture_wait(&node, serve_fixture_send(&node, 0, &ask));
	assert_true(answer->done);
	assert_int_equal(answer->len, 60);

	add_answer(canary, answer);
	search(hits);
	/* While the lease is open its adapter and tokens are there: the search can see. */
	assert_true(hits[0] > 0 && hits[3] > 0 && hits[5] > 0);

	assert_false(serve_fixture_wait(&node, serve_fixture_send(&node, 0, &end))->lease.open);
	assert_int_equal(left_after(0), 0);
}

/* Asks with a canary, under the lease 9 9 or none; credit lasts for 60 tokens, and
 * they have come. */
static uint64_t ask_with_canary(bool leased, uint32_t max_tokens)
{
	char canary[CANARY_BYTES];
	fill_canary(canary, sizeof(canary));
	const struct wire_part part = { .data = (const uint8_t *)canary,
		.data_len = CANARY_BYTES - 1 };
	struct message ask = {
		.has_lease = leased, .lease_id = { 9, 9 }, .kind = MESSAGE_GENERATE
	};
	size_t hits[PATTERNS_MAX];
	ask.u.generate = (struct wire_generate){ .model = "tiny",
		.raw = &part,
		.raw_len = 1,
		.max_tokens = max_tokens,
		.credit = 60,
		.sampling = { .temperature = 1, .seed = random_u64(), .ignore_eos = true } };
	uint64_t id = serve_fixture_send(&node, 0, &ask);
	add_answer(canary, serve_fixture_wait_tokens(&node, id, 60));
	search(hits);
	/* While it rests its tokens are there; a lease may have expired already. */
	assert_true(leased || (hits[2] > 0 && hits[4] > 0));
	return id;
}

static void test_nothing_is_left_of_an_answer_that_was_cancelled(void **state)
{
	(void)state;
	struct message cancel = { .kind = MESSAGE_CANCEL };
	cancel.request_id = ask_with_canary(false, 100);
	serve_fixture_send_as(&node, 0, &cancel);
	(void)serve_fixture_wait(&node, cancel.request_id);
	assert_int_equal(left_after(LEFT_NS), 0);
}

static void test_nothing_is_left_of_a_data_node_that_vanished(void **state)
{
	(void)state;
	(void)ask_with_canary(false, 100);
	serve_fixture_disconnect(&node, 0);
	assert_int_equal(left_after(LEFT_NS), 0);
}

static void test_nothing_is_left_of_a_lease_that_expired(void **state)
{
	(void)state;
	struct message open = {
		.has_lease = true, .lease_id = { 9, 9 }, .kind = MESSAGE_LEASE_OPEN
	};
	open.u.lease_open = (struct wire_lease_open){ .model = "tiny", .idle_ms = 200 };
	assert_true(serve_fixture_wait(&node, serve_fixture_send(&node, 0, &open))->lease.open);
	(void)ask_with_canary(true, 60);
	assert_int_equal(left_after(LEFT_NS), 0);
}

/* How many regular files it has open; all of them for reading. */
static size_t check_files_of(pid_t pid)
{
	char path[300], target[300];
	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	DIR *dir = opendir(path);
	assert_non_null(dir);
	const struct dirent *entry;
	size_t seen = 0;
	while ((entry = readdir(dir)) != NULL) {
		struct stat st;

		if (strtol(entry->d_name, NULL, 10) <= STDERR_FILENO)
			continue; /* whoever started it gave it these */
		(void)snprintf(path, sizeof(path), "/proc/%d/fd/%.20s", (int)pid, entry->d_name);
		if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
			continue;
		(void)snprintf(
		    target, sizeof(target), "/proc/%d/fdinfo/%.20s", (int)pid, entry->d_name);
		FILE *info = fopen(target, "r");
		unsigned flags = 0;
		assert_non_null(info);
		assert_int_equal(fscanf(info, "pos: %*d flags: %o", &flags), 1);
		(void)fclose(info);
		assert_int_equal(flags & O_ACCMODE, O_RDONLY);
		seen++;
	}
	(void)closedir(dir);
	return seen;
}

static void test_no_regular_file_is_open_for_writing_while_it_serves(void **state)
{
	(void)state;
	print_message("%zu regular files, all read-only\n",
	    check_files_of(node.pid) + check_files_of(serve_fixture_worker(&node)));
}

/* Of the mappings that the worker can write and has no file for: how many are locked. */
static void count_locked(pid_t pid, size_t *locked, size_t * not )
{
	char path[64], line[512], rights[8] = "";
	uint64_t inode = 0;

	*locked = *not = 0;
	(void)snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
	FILE *smaps = fopen(path, "r");
	assert_non_null(smaps);
	while (fgets(line, sizeof(line), smaps) != NULL) {
		char first[8];
		uint64_t file;

		if (sscanf(line, "%*x-%*x %7s %*s %*s %" SCNu64, first, &file) == 2) {
			memcpy(rights, first, sizeof(rights));
			inode = file;
		} else if (strncmp(line, "VmFlags:", 8) == 0 && inode == 0 &&
			   strncmp(rights, "rw", 2) == 0) {
			*(strstr(line, " lo") != NULL ? locked : not ) += 1;
		}
	}
	(void)fclose(smaps);
}

static void test_the_workers_memory_is_locked(void **state)
{
	size_t locked, not ;

	(void)state;
	count_locked(serve_fixture_worker(&node), &locked, &not );
	if (process_lock_what_comes() != RC_OK)
		skip(); /* may not lock here, and nor may the worker */
	(void)munlockall();
	assert_true(locked > 5);
	assert_int_equal(not, 0);
}

static void test_sigterm_ends_it_with_zero_while_answers_run(void **state)
{
	(void)state;
	const struct wire_part part = { .data = (const uint8_t *)"go on", .data_len = 5 };
	struct message ask = { .kind = MESSAGE_GENERATE };
	ask.u.generate = (struct wire_generate){ .model = "tiny",
		.raw = &part,
		.raw_len = 1,
		.credit = 100000,
		.sampling = { .ignore_eos = true } };
	uint64_t id = 0;
	for (int i = 0; i < 8; i++)
		id = serve_fixture_send(&node, 0, &ask);
	(void)serve_fixture_wait_tokens(&node, id, 1);
	assert_int_equal(serve_fixture_end(&node), 0);
}

#define UNIT(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT(test_nothing_of_a_request_is_left_after_its_lease),
		UNIT(test_nothing_is_left_of_an_answer_that_was_cancelled),
		UNIT(test_nothing_is_left_of_a_data_node_that_vanished),
		UNIT(test_nothing_is_left_of_a_lease_that_expired),
		UNIT(test_no_regular_file_is_open_for_writing_while_it_serves),
		UNIT(test_the_workers_memory_is_locked),
		UNIT(test_sigterm_ends_it_with_zero_while_answers_run),
	};

	/* Another user's memory is root's to read; a sanitizer keeps freed memory. */
	if (geteuid() != 0 || !wiping_free_active())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
