/* Files: bounded reads, whole replacements, and no name left half-made. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/file.h"

static char dir[] = "/tmp/hearth-test-file.XXXXXX";
static char path[256];

static const char *in_dir(const char *name)
{
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int remove_dir(void **state)
{
	char command_path[512];
	DIR *handle = opendir(dir);
	struct dirent *entry;

	(void)state;
	while (handle != NULL && (entry = readdir(handle)) != NULL) {
		(void)snprintf(command_path, sizeof(command_path), "%s/%s", dir, entry->d_name);
		if (entry->d_name[0] != '.' && unlink(command_path) != 0)
			(void)rmdir(command_path);
	}
	if (handle != NULL)
		(void)closedir(handle);
	return rmdir(dir);
}

static size_t entries(void)
{
	DIR *handle = opendir(dir);
	size_t n = 0;

	assert_non_null(handle);
	while (readdir(handle) != NULL)
		n++;
	(void)closedir(handle);
	return n - 2; /* "." and ".." */
}

static void assert_content(const char *name, const char *want)
{
	struct errmsg why = ERRMSG_INIT;
	uint8_t *bytes = NULL;
	size_t len = 0;

	assert_int_equal(file_read(in_dir(name), 1000, &bytes, &len, &why), RC_OK);
	assert_int_equal(len, strlen(want));
	assert_string_equal((char *)bytes, want);
	free(bytes);
}

static void test_file_comes_back_as_written_with_its_mode(void **state)
{
	struct errmsg why = ERRMSG_INIT;
	struct stat st;

	(void)state;
	assert_int_equal(file_write_atomic(in_dir("a"), 0600, "hello", 5, &why), RC_OK);
	assert_content("a", "hello");
	assert_int_equal(stat(in_dir("a"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(file_write_atomic(in_dir("a"), 0600, "", 0, &why), RC_OK);
	assert_content("a", "");
	assert_int_equal(unlink(in_dir("a")), 0);
}

static void test_file_create_refuses_to_replace(void **state)
{
	struct errmsg why = ERRMSG_INIT;

	(void)state;
	assert_int_equal(file_create(in_dir("key"), 0600, "first", 5, &why), RC_OK);
	assert_int_equal(file_create(in_dir("key"), 0600, "second", 6, &why), RC_EXISTS);
	assert_content("key", "first");
	assert_int_equal(entries(), 1); /* no temporary stays behind */
	assert_int_equal(unlink(in_dir("key")), 0);
}

static void test_file_read_knows_its_limits(void **state)
{
	struct errmsg why = ERRMSG_INIT;
	uint8_t *bytes = NULL;
	size_t len = 0;

	(void)state;
	assert_int_equal(file_write_atomic(in_dir("b"), 0600, "12345", 5, &why), RC_OK);
	assert_int_equal(file_read(in_dir("b"), 5, &bytes, &len, &why), RC_OK);
	free(bytes);
	bytes = NULL;
	assert_int_equal(file_read(in_dir("b"), 4, &bytes, &len, &why), RC_LIMIT);
	assert_int_equal(file_read(in_dir("none"), 4, &bytes, &len, NULL), RC_NOTFOUND);
	assert_int_not_equal(file_read(dir, 4, &bytes, &len, NULL), RC_OK);
	assert_null(bytes);
	assert_int_equal(unlink(in_dir("b")), 0);
}

static void test_file_write_into_a_missing_directory_leaves_nothing(void **state)
{
	struct errmsg why = ERRMSG_INIT;

	(void)state;
	assert_int_equal(file_write_atomic(in_dir("no/where"), 0600, "x", 1, &why), RC_NOTFOUND);
	assert_true(strlen(why.text) > 0);
	assert_int_equal(entries(), 0);
}

static void test_file_mkdir_makes_every_part(void **state)
{
	struct errmsg why = ERRMSG_INIT;
	struct stat st;

	(void)state;
	assert_int_equal(file_mkdir(in_dir("p/q"), 0700, &why), RC_OK);
	assert_int_equal(file_mkdir(in_dir("p/q"), 0700, &why), RC_OK);
	assert_int_equal(stat(in_dir("p/q"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(file_write_atomic(in_dir("plain"), 0600, "x", 1, &why), RC_OK);
	assert_int_not_equal(file_mkdir(in_dir("plain"), 0700, &why), RC_OK);
	assert_int_equal(unlink(in_dir("plain")), 0);
	assert_int_equal(rmdir(in_dir("p/q")), 0);
	assert_int_equal(rmdir(in_dir("p")), 0);
}

/* A writer that is killed at random moments: a reader sees only whole files. */
static void test_file_is_whole_whenever_its_writer_dies(void **state)
{
	static char old_text[20000], new_text[20000];

	(void)state;
	memset(old_text, 'o', sizeof(old_text));
	memset(new_text, 'n', sizeof(new_text));
	for (int round = 0; round < 30; round++) {
		int ready[2];
		char byte;
		assert_int_equal(
		    file_write_atomic(in_dir("w"), 0600, old_text, sizeof(old_text), NULL), RC_OK);
		assert_int_equal(pipe(ready), 0);
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			(void)in_dir("w");
			if (write(ready[1], "x", 1) != 1)
				_exit(1);
			for (;;) {
				enum rc a =
				    file_write_atomic(path, 0600, new_text, sizeof(new_text), NULL);
				enum rc b =
				    file_write_atomic(path, 0600, old_text, sizeof(old_text), NULL);
				if (a != RC_OK || b != RC_OK)
					_exit(1);
			}
		}
		assert_int_equal(read(ready[0], &byte, 1), 1);
		for (int spin = 0; spin < round * 3; spin++)
			(void)getppid();
		assert_int_equal(kill(child, SIGKILL), 0);
		assert_int_equal(waitpid(child, NULL, 0), child);
		(void)close(ready[0]);
		(void)close(ready[1]);
		uint8_t *bytes = NULL;
		size_t len = 0;
		assert_int_equal(file_read(in_dir("w"), 100000, &bytes, &len, NULL), RC_OK);
		assert_int_equal(len, sizeof(old_text));
		assert_true(memcmp(bytes, old_text, len) == 0 || memcmp(bytes, new_text, len) == 0);
		free(bytes);
	}
	/* A temporary that the killed writer left does not stand in the way. */
	assert_int_equal(file_write_atomic(in_dir("w"), 0600, "end", 3, NULL), RC_OK);
	assert_content("w", "end");
	assert_int_equal(entries(), 1);
	assert_int_equal(unlink(in_dir("w")), 0);
}

static void test_file_left_with_two_names_is_replaced_and_not_written_into(void **state)
{
	(void)state;
	char old[8] = "";

	/* As after a power cut between link() and unlink() of file_create(). */
	assert_int_equal(file_create(in_dir("w"), 0600, "old", 3, NULL), RC_OK);
	char temp[256];
	(void)snprintf(temp, sizeof(temp), "%s/w.tmp", dir);
	assert_int_equal(link(in_dir("w"), temp), 0);
	FILE *f = fopen(in_dir("w"), "re");
	assert_non_null(f);
	assert_int_equal(file_write_atomic(in_dir("w"), 0600, "newer", 5, NULL), RC_OK);
	assert_content("w", "newer");
	assert_int_equal(fread(old, 1, sizeof(old), f), 3);
	assert_memory_equal(old, "old", 3);
	(void)fclose(f);
	assert_int_equal(entries(), 1);
	assert_int_equal(unlink(in_dir("w")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_comes_back_as_written_with_its_mode),
		cmocka_unit_test(test_file_create_refuses_to_replace),
		cmocka_unit_test(test_file_read_knows_its_limits),
		cmocka_unit_test(test_file_write_into_a_missing_directory_leaves_nothing),
		cmocka_unit_test(test_file_mkdir_makes_every_part),
		cmocka_unit_test(test_file_is_whole_whenever_its_writer_dies),
		cmocka_unit_test(test_file_left_with_two_names_is_replaced_and_not_written_into),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
