/* Private files: where they lie, what an editor does to them, and that they go. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

/* In a child: with such an editor, and a signal of its own behind it (0: none). */
static _Noreturn void edit_and_end(const char *editor, int signal, int report)
{
	struct private_file file;
	struct errmsg why = ERRMSG_INIT;

	(void)unsetenv("VISUAL");
	(void)setenv("EDITOR", editor, 1);
	if (private_file_make("memory.md", TEXT, strlen(TEXT), true, &file, &why) != RC_OK ||
	    write(report, &file, sizeof file) != (ssize_t)sizeof file)
		_exit(1);
	enum rc rc = private_file_edit(&file, &why);
	if (signal != 0 && (rc != RC_OK || kill(getpid(), signal) != 0))
		_exit(2);
	if (!private_file_told_to_end() || private_file_edit(&file, &why) != RC_CANCELLED)
		_exit(3);
	_exit(private_file_remove(&file, &why) == RC_OK ? 4 : 5);
}

static void test_who_is_told_to_end_leaves_nothing_behind(void **state)
{
	static const struct {
		const char *editor;
		int signal, dies_of;
	} cases[] = {
		{ "sh -c 'kill -TERM $PPID'", 0, SIGTERM },
		{ "sh -c 'kill -HUP $PPID'", 0, SIGHUP },
		{ "sh -c 'kill -INT $PPID'", SIGTERM, SIGTERM }, /* ^C was the editor's */
		{ "true", SIGINT, SIGINT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct private_file file;
		int report[2], status = 0;
		assert_int_equal(pipe(report), 0);
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			edit_and_end(cases[i].editor, cases[i].signal, report[1]);
		assert_int_equal(read(report[0], &file, sizeof file), sizeof file);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), cases[i].dies_of);
		assert_int_not_equal(access(file.path, F_OK), 0);
		assert_int_not_equal(access(file.dir, F_OK), 0);
		(void)close(report[0]);
		(void)close(report[1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_else_reads_it_and_it_is_gone_afterwards),
		cmocka_unit_test(test_an_editor_may_have_arguments_and_write_beside_it),
		cmocka_unit_test(test_an_editor_that_fails_changes_nothing),
		cmocka_unit_test(test_a_text_too_long_is_refused),
		cmocka_unit_test(test_who_is_told_to_end_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
