/* Private files: where they lie, what an editor does to them, and that they go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/private_file.h"
#include "os/file.h"

#define TEXT "## Profile\n- Is called Jo\n"

/* With `editor` as $EDITOR; the text afterwards into `out`. */
static enum rc edited(const char *editor, struct private_file *file, struct buf *out)
{
	struct errmsg why = ERRMSG_INIT;

	(void)unsetenv("VISUAL");
	assert_int_equal(setenv("EDITOR", editor, 1), 0);
	/* Where nothing is memory a disk has to do: that is not what is tested here. */
	assert_int_equal(
	    private_file_make("memory.md", TEXT, strlen(TEXT), true, file, &why), RC_OK);
	enum rc rc = private_file_edit(file, &why);
	buf_init(out, 1 << 16);
	if (rc == RC_OK)
		rc = private_file_read(file, out, &why);
	return rc;
}

static void remove_all(struct private_file *file, struct buf *out)
{
	assert_int_equal(private_file_remove(file, NULL), RC_OK);
	assert_int_not_equal(access(file->path, F_OK), 0);
	assert_int_not_equal(access(file->dir, F_OK), 0);
	buf_fini(out);
}

static void test_nobody_else_reads_it_and_it_is_gone_afterwards(void **state)
{
	struct private_file file;
	struct stat st;
	struct buf out;

	(void)state;
	assert_int_equal(edited("true", &file, &out), RC_OK);
	assert_string_equal(buf_text(&out), TEXT);
	assert_int_equal(stat(file.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(file.dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	remove_all(&file, &out);
}

static void test_an_editor_may_have_arguments_and_write_beside_it(void **state)
{
	struct private_file file;
	struct buf out;

	(void)state;
	/* sed writes another file and puts it in place; the old one stays beside it. */
	assert_int_equal(edited("sed -i.bak -e s/Jo/Mia/", &file, &out), RC_OK);
	assert_non_null(strstr(buf_text(&out), "Is called Mia"));
	remove_all(&file, &out);
}

static void test_an_editor_that_fails_changes_nothing(void **state)
{
	struct private_file file;
	struct buf out;

	(void)state;
	assert_int_equal(edited("false", &file, &out), RC_IO);
	remove_all(&file, &out);
	assert_int_equal(edited("/no/such/editor", &file, &out), RC_IO);
	remove_all(&file, &out);
}

static void test_a_text_too_long_is_refused(void **state)
{
	struct private_file file;
	struct buf out;

	(void)state;
	assert_int_equal(edited("truncate -s 100000", &file, &out), RC_LIMIT);
	remove_all(&file, &out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_else_reads_it_and_it_is_gone_afterwards),
		cmocka_unit_test(test_an_editor_may_have_arguments_and_write_beside_it),
		cmocka_unit_test(test_an_editor_that_fails_changes_nothing),
		cmocka_unit_test(test_a_text_too_long_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
