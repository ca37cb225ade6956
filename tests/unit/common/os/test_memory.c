/* Memory figures: a host of files, with control groups of both versions. */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/file.h"
#include "os/memory.h"

#define MIB (UINT64_C(1) << 20)

static char root[MEMORY_ROOT_BYTES_MAX];

static void put(const char *name, const char *text)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", root, name);
	*strrchr(path, '/') = '\0';
	assert_int_equal(file_mkdir(path, 0700, NULL), RC_OK);
	(void)snprintf(path, sizeof(path), "%s/%s", root, name);
	assert_int_equal(file_write_atomic(path, 0600, text, strlen(text), NULL), RC_OK);
}

static int setup(void **state)
{
	(void)state;
	(void)snprintf(root, sizeof(root), "%s/hearth-memory.XXXXXX",
	    getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
	return mkdtemp(root) != NULL ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
	(void)st;
	(void)kind;
	(void)walk;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void test_figures_of_a_host(void **state)
{
	struct memory_figures figures;

	(void)state;
	put("proc/meminfo", "MemTotal:       2048 kB\nMemFree:  100 kB\nMemAvailable: 1024 kB\n"
			    "SwapTotal: 9 kB\n");
	assert_int_equal(memory_read(root, &figures, NULL), RC_OK);
	assert_int_equal(figures.total_bytes, 2 * MIB);
	assert_int_equal(figures.available_bytes, MIB);
	assert_int_equal(figures.free_bytes, 100 * 1024);
	assert_false(figures.has_stall);
	put("proc/pressure/memory", "some avg10=1.00 avg60=0.00 avg300=0.00 total=99\n"
				    "full avg10=0.50 avg60=0.00 avg300=0.00 total=42\n");
	assert_int_equal(memory_read(root, &figures, NULL), RC_OK);
	assert_true(figures.has_stall);
	assert_int_equal(figures.stalled_us, 42);
}

static void test_figures_that_make_no_sense_are_refused(void **state)
{
	static const char *const bad[] = { "", "MemTotal: 5 kB\n",
		"MemTotal: 5 kB\nMemFree: 6 kB\nMemAvailable: 1 kB\n",
		"MemTotal: 5 kB\nMemFree: 1 kB\nMemAvailable: 6 kB\n",
		"MemTotal: x\nMemFree: 1 kB\nMemAvailable: 1 kB\n",
		"MemTotal: 18446744073709551615 kB\nMemFree: 1 kB\nMemAvailable: 1 kB\n" };
	struct memory_figures figures;

	(void)state;
	assert_int_equal(memory_read(root, &figures, NULL), RC_NOTFOUND);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put("proc/meminfo", bad[i]);
		assert_int_equal(memory_read(root, &figures, NULL), RC_CORRUPT);
	}
}

static void test_the_systems_own_figures_can_be_read(void **state)
{
	struct memory_figures figures;

	(void)state;
	assert_int_equal(memory_read("", &figures, NULL), RC_OK);
	assert_true(figures.total_bytes > MIB);
	(void)memory_group_room("");
	assert_int_equal(memory_oom_kills(root), 0);
	put("proc/vmstat", "nr_free_pages 5\noom_kill 7\n");
	assert_int_equal(memory_oom_kills(root), 7);
}

static void test_the_tightest_group_above_counts_in_version_2(void **state)
{
	(void)state;
	assert_true(memory_group_room(root) == MEMORY_UNLIMITED);
	put("proc/self/cgroup", "0::/a/b\n");
	assert_true(memory_group_room(root) == MEMORY_UNLIMITED);
	put("sys/fs/cgroup/a/b/memory.max", "max\n");
	put("sys/fs/cgroup/a/b/memory.current", "1000\n");
	assert_true(memory_group_room(root) == MEMORY_UNLIMITED);
	put("sys/fs/cgroup/a/memory.max", "10000\n");
	put("sys/fs/cgroup/a/memory.current", "4000\n");
	put("sys/fs/cgroup/a/memory.stat", "anon 1\ninactive_file 300\nactive_file 200\n");
	assert_int_equal(memory_group_room(root), 10000 - (4000 - 500));
	put("sys/fs/cgroup/a/b/memory.max", "1500\n");
	assert_int_equal(memory_group_room(root), 500);
	put("sys/fs/cgroup/a/b/memory.max", "900\n"); /* less than is in use */
	assert_int_equal(memory_group_room(root), 0);
}

static void test_groups_of_version_1_and_of_both_at_once(void **state)
{
	(void)state;
	put("proc/self/cgroup", "5:cpu:/other\n4:memory:/box\n0::/\n");
	put("sys/fs/cgroup/memory/box/memory.limit_in_bytes", "9223372036854771712\n");
	put("sys/fs/cgroup/memory/box/memory.usage_in_bytes", "5000\n");
	assert_true(memory_group_room(root) == MEMORY_UNLIMITED);
	put("sys/fs/cgroup/memory/box/memory.limit_in_bytes", "7000\n");
	put("sys/fs/cgroup/memory/box/memory.stat",
	    "inactive_file 4\ntotal_inactive_file 1000\ntotal_active_file 500\n");
	assert_int_equal(memory_group_room(root), 7000 - 3500);
	put("sys/fs/cgroup/unified/memory.max", "200\n");
	put("sys/fs/cgroup/unified/memory.current", "100\n");
	assert_int_equal(memory_group_room(root), 100);
}

static void test_swap_is_what_is_no_memory_itself(void **state)
{
	static const char heads[] = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
	char text[512];

	(void)state;
	assert_true(memory_swaps(root)); /* nobody says that there is none */
	put("proc/meminfo", "MemTotal: 10 kB\n");
	assert_false(memory_swaps(root)); /* a kernel without */
	put("proc/swaps/x", "");
	assert_true(memory_swaps(root)); /* it cannot be read */
	(void)snprintf(text, sizeof(text), "%s/proc/swaps", root);
	assert_int_equal(nftw(text, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	put("proc/swaps", heads);
	assert_false(memory_swaps(root));
	(void)snprintf(text, sizeof(text), "%s/dev/zram0 partition 8388604 0 100\n", heads);
	put("proc/swaps", text);
	assert_false(memory_swaps(root));
	(void)snprintf(text, sizeof(text),
	    "%s/dev/zram0 partition 8388604 0 100\n/swapfile file 2097148 0 -2\n", heads);
	put("proc/swaps", text);
	assert_true(memory_swaps(root));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_figures_of_a_host, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_figures_that_make_no_sense_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_the_systems_own_figures_can_be_read, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_the_tightest_group_above_counts_in_version_2, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_groups_of_version_1_and_of_both_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_swap_is_what_is_no_memory_itself, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
