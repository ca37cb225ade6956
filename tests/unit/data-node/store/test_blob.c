/* Blobs as files: what went in comes out from any byte on, equal content is one
 * file, and nothing of it can be read or changed without being noticed. */
#include "store_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "os/file.h"
#include "store/blob.h"

#define CONTENT_MAX ((size_t)300000)

static uint8_t content[CONTENT_MAX], secret[32];
static struct blob_dir place;

static int begin(void **state)
{
	static char dir[256];

	fixture_dir(dir);
	(void)snprintf(place.path, sizeof(place.path), "%s/blobs", dir);
	random_bytes(secret, sizeof(secret));
	place.secret = secret;
	uint64_t seed = 5;
	for (size_t i = 0; i < CONTENT_MAX; i++)
		content[i] = (uint8_t)random_next(&seed);
	*state = dir;
	return 0;
}

static int end(void **state)
{
	fixture_remove(*state);
	return 0;
}

/* In pieces of `step`. */
static void put(size_t len, size_t step, uint8_t id[BLOB_ID_BYTES])
{
	struct blob_writer *w = NULL;

	PASS(blob_write_open(&place, &w, &pass_why));
	for (size_t at = 0; at < len; at += step)
		PASS(blob_write(w, content + at, len - at < step ? len - at : step, &pass_why));
	assert_int_equal(blob_write_bytes(w), len);
	PASS(blob_write_finish(w, id, &pass_why));
	blob_write_close(w);
}

static void path_of(const uint8_t id[BLOB_ID_BYTES], char path[BLOB_PATH_BYTES])
{
	uint8_t name[BLOB_NAME_BYTES];

	blob_name(&place, id, name);
	blob_path(&place, name, path);
}

static size_t files_in(const char *folder)
{
	char path[BLOB_PATH_BYTES];
	size_t n = 0;

	(void)snprintf(path, sizeof(path), "%s/%s", place.path, folder);
	DIR *dir = opendir(path);
	for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;)
		n += e->d_name[0] != '.';
	if (dir != NULL)
		(void)closedir(dir);
	return n;
}

static void test_what_was_written_is_read_from_any_byte_on(void **state)
{
	(void)state;
	const size_t sizes[] = { 0, 1, BLOB_CHUNK_BYTES - 1, BLOB_CHUNK_BYTES, BLOB_CHUNK_BYTES + 1,
		2 * BLOB_CHUNK_BYTES, CONTENT_MAX };
	static uint8_t back[CONTENT_MAX];
	uint64_t seed = 3;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct blob_reader *r = NULL;
		uint8_t id[BLOB_ID_BYTES];
		size_t got = 0;
		put(sizes[i], 10007, id);
		PASS(blob_verify(&place, id, &pass_why));
		PASS(blob_open(&place, id, &r, &pass_why));
		assert_int_equal(blob_bytes(r), sizes[i]);
		for (size_t at = 0; at < sizes[i]; at += got) {
			PASS(blob_read(r, at, back + at, sizes[i] - at, &got, &pass_why));
			assert_true(got > 0);
		}
		assert_memory_equal(back, content, sizes[i]);
		for (int k = 0; k < 50 && sizes[i] > 0; k++) {
			size_t at = random_next(&seed) % sizes[i];
			PASS(blob_read(r, at, back, 100, &got, &pass_why));
			assert_true(got > 0 && got <= 100);
			assert_memory_equal(back, content + at, got);
		}
		PASS(blob_read(r, sizes[i], back, 100, &got, &pass_why));
		assert_int_equal(got, 0);
		blob_close(r);
	}
}

static void test_equal_content_is_one_file_however_it_came(void **state)
{
	(void)state;
	uint8_t a[BLOB_ID_BYTES], b[BLOB_ID_BYTES], c[BLOB_ID_BYTES], other[32] = { 1 };
	char path[BLOB_PATH_BYTES];

	put(100000, 100000, a);
	put(100000, 333, b);
	put(100001, 333, c);
	assert_memory_equal(a, b, sizeof(a));
	assert_memory_not_equal(a, c, sizeof(a));
	path_of(a, path);
	assert_true(file_exists(path));
	place.secret = other; /* another node: other ids */
	put(100000, 333, b);
	place.secret = secret;
	assert_memory_not_equal(a, b, sizeof(a));
}

static void test_the_file_shows_neither_content_nor_id(void **state)
{
	(void)state;
	uint8_t id[BLOB_ID_BYTES], wrong[BLOB_ID_BYTES], *bytes = NULL;
	struct blob_reader *r = NULL;
	char path[BLOB_PATH_BYTES], wrong_path[BLOB_PATH_BYTES];
	size_t len = 0;

	put(70000, 70000, id);
	path_of(id, path);
	PASS(file_read(path, 1 << 20, &bytes, &len, &pass_why));
	assert_null(memmem(bytes, len, content + 1000, 16));
	assert_null(memmem(bytes, len, id, 8));
	free(bytes);
	/* The file under the name of another id does not open with it. */
	memcpy(wrong, id, sizeof(wrong));
	wrong[0] ^= 1;
	path_of(wrong, wrong_path);
	assert_int_equal(blob_open(&place, wrong, &r, NULL), RC_NOTFOUND);
	*strrchr(wrong_path, '/') = '\0';
	PASS(file_mkdir(wrong_path, 0700, &pass_why));
	path_of(wrong, wrong_path);
	assert_int_equal(link(path, wrong_path), 0);
	assert_int_equal(blob_open(&place, wrong, &r, NULL), RC_CORRUPT);
	assert_int_equal(unlink(wrong_path), 0);
}

static void flip(const char *path, off_t at)
{
	uint8_t byte;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 0x10;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	assert_int_equal(close(fd), 0);
}

static void test_any_change_of_the_file_is_noticed(void **state)
{
	(void)state;
	uint8_t id[BLOB_ID_BYTES];
	char path[BLOB_PATH_BYTES];
	struct stat st;

	put(BLOB_CHUNK_BYTES + 500, 4096, id);
	path_of(id, path);
	assert_int_equal(stat(path, &st), 0);
	for (off_t at = 0; at < st.st_size; at += at < 88 ? 1 : 977) {
		if (at >= 88 && at < 96)
			continue; /* zeros without a meaning */
		flip(path, at);
		assert_int_equal(blob_verify(&place, id, NULL), RC_CORRUPT);
		flip(path, at);
	}
	PASS(blob_verify(&place, id, &pass_why));
	assert_int_equal(truncate(path, st.st_size - 1), 0);
	assert_int_equal(blob_verify(&place, id, NULL), RC_CORRUPT);
	/* Cut off behind the first chunk: the size and the last mark say so. */
	assert_int_equal(truncate(path, 96 + (off_t)BLOB_CHUNK_BYTES + 16), 0);
	assert_int_equal(blob_verify(&place, id, NULL), RC_CORRUPT);
	assert_int_equal(truncate(path, 10), 0);
	assert_int_equal(blob_verify(&place, id, NULL), RC_CORRUPT);
	put(BLOB_CHUNK_BYTES + 500, 4096, id); /* sent again, it is whole again */
	PASS(blob_verify(&place, id, &pass_why));
}

static void test_an_upload_that_is_broken_off_leaves_nothing(void **state)
{
	(void)state;
	struct blob_writer *w = NULL;

	PASS(blob_write_open(&place, &w, &pass_why));
	PASS(blob_write(w, content, CONTENT_MAX, &pass_why));
	assert_int_equal(files_in("new"), 1);
	blob_write_close(w);
	assert_int_equal(files_in("new"), 0);
	blob_write_close(NULL);
}

static void test_a_blob_has_a_largest_size(void **state)
{
	(void)state;
	struct blob_writer *w = NULL;
	enum rc rc = RC_OK;

	PASS(blob_write_open(&place, &w, &pass_why));
	assert_int_equal(blob_write(w, content, (size_t)BLOB_BYTES_MAX + 1, NULL), RC_LIMIT);
	rc = blob_write(w, content, CONTENT_MAX, NULL);
	assert_int_equal(rc, RC_OK);
	blob_write_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_written_is_read_from_any_byte_on),
		cmocka_unit_test(test_equal_content_is_one_file_however_it_came),
		cmocka_unit_test(test_the_file_shows_neither_content_nor_id),
		cmocka_unit_test(test_any_change_of_the_file_is_noticed),
		cmocka_unit_test(test_an_upload_that_is_broken_off_leaves_nothing),
		cmocka_unit_test(test_a_blob_has_a_largest_size),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
