/* Memory figures out of the kernel's text files, without allocating. */
#include "os/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define TEXT_BYTES 8192
#define PATH_BYTES 4096

/* The start of a file as text; false if it cannot be read. */
static bool read_text(const char *path, char text[static TEXT_BYTES])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = 0;

	if (fd < 0)
		return false;
	do {
		n = read(fd, text + len, TEXT_BYTES - 1 - len);
		if (n > 0)
			len += (size_t)n;
	} while ((n > 0 && len < TEXT_BYTES - 1) || (n < 0 && errno == EINTR));
	(void)close(fd);
	text[len] = '\0';
	return n >= 0;
}

/* The number behind `label` where that begins a line. */
static bool find_number(const char *text, const char *label, uint64_t *out)
{
	size_t len = strlen(label);

	for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, label, len) != 0)
			continue;
		char *end;
		errno = 0;
		*out = strtoull(line + len, &end, 10);
		return end != line + len && errno == 0;
	}
	return false;
}

static void read_stall(const char *root, char text[static TEXT_BYTES], struct memory_figures *out)
{
	char path[PATH_BYTES];
	const char *line;

	(void)snprintf(path, sizeof(path), "%s/proc/pressure/memory", root);
	if (!read_text(path, text))
		return;
	line = strstr(text, "full ");
	line = line != NULL ? strstr(line, "total=") : NULL;
	if (line == NULL)
		return;
	out->stalled_us = strtoull(line + strlen("total="), NULL, 10);
	out->has_stall = true;
}

enum rc memory_read(const char *root, struct memory_figures *out, struct errmsg *why)
{
	char path[PATH_BYTES], text[TEXT_BYTES];
	uint64_t total, available, free_kib;

	(void)snprintf(path, sizeof(path), "%s/proc/meminfo", root);
	if (!read_text(path, text))
		return errmsg_errno(why, "cannot read %s", path);
	if (!find_number(text, "MemTotal:", &total) || !find_number(text, "MemFree:", &free_kib) ||
	    !find_number(text, "MemAvailable:", &available) || total > UINT64_MAX / 1024 ||
	    available > total || free_kib > total)
		return errmsg_rc(why, RC_CORRUPT, "%s: not the figures of a host", path);
	*out = (struct memory_figures){ .total_bytes = total * 1024,
		.available_bytes = available * 1024,
		.free_bytes = free_kib * 1024 };
	read_stall(root, text, out);
	return RC_OK;
}

uint64_t memory_oom_kills(const char *root)
{
	char path[PATH_BYTES], text[TEXT_BYTES];
	uint64_t n;

	(void)snprintf(path, sizeof(path), "%s/proc/vmstat", root);
	return read_text(path, text) && find_number(text, "oom_kill ", &n) ? n : 0;
}

/* ---- control groups ---------------------------------------------------------------- */

/* The names that v1 and v2 have for the same things. */
struct group_files {
	const char *mount, *limit, *usage;
	const char *cached[2]; /* lines of memory.stat: pages of files */
};

static const struct group_files v2 = { "/sys/fs/cgroup", "memory.max", "memory.current",
	{ "inactive_file ", "active_file " } };
static const struct group_files v2_beside_v1 = { "/sys/fs/cgroup/unified", "memory.max",
	"memory.current", { "inactive_file ", "active_file " } };
static const struct group_files v1 = { "/sys/fs/cgroup/memory", "memory.limit_in_bytes",
	"memory.usage_in_bytes", { "total_inactive_file ", "total_active_file " } };

static bool group_text(const char *root, const struct group_files *files, const char *group,
    const char *name, char text[static TEXT_BYTES])
{
	char path[PATH_BYTES];
	int n = snprintf(path, sizeof(path), "%s%s%s/%s", root, files->mount, group, name);

	return n > 0 && (size_t)n < sizeof(path) && read_text(path, text);
}

static uint64_t room_of(const char *root, const struct group_files *files, const char *group)
{
	char text[TEXT_BYTES];
	uint64_t limit, usage, cached = 0;

	if (!group_text(root, files, group, files->limit, text) || !find_number(text, "", &limit) ||
	    limit > INT64_MAX / 2) /* "max", or v1's many bytes */
		return MEMORY_UNLIMITED;
	if (!group_text(root, files, group, files->usage, text) || !find_number(text, "", &usage))
		return MEMORY_UNLIMITED;
	for (size_t i = 0; group_text(root, files, group, "memory.stat", text) && i < 2; i++) {
		uint64_t bytes;

		if (find_number(text, files->cached[i], &bytes))
			cached += bytes;
	}
	usage = usage > cached ? usage - cached : 0;
	return limit > usage ? limit - usage : 0;
}

/* A limit holds for a group and all below it. */
static uint64_t tightest_room(const char *root, const struct group_files *files, const char *group)
{
	char path[PATH_BYTES];
	uint64_t least = MEMORY_UNLIMITED;

	(void)snprintf(path, sizeof(path), "%s", group);
	for (;;) {
		uint64_t room = room_of(root, files, strcmp(path, "/") == 0 ? "" : path);
		char *slash = strrchr(path, '/');

		least = room < least ? room : least;
		if (slash == NULL || path[0] == '\0')
			return least;
		*slash = '\0';
	}
}

/* The group named in a line of /proc/self/cgroup; NULL: another controller's. */
static char *group_of_line(char *line, const struct group_files **files)
{
	char *controllers = strchr(line, ':');
	char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;

	if (group == NULL)
		return NULL;
	*group++ = '\0';
	controllers++;
	*files = controllers[0] == '\0' ? &v2 : &v1;
	return controllers[0] == '\0' || strcmp(controllers, "memory") == 0 ? group : NULL;
}

uint64_t memory_group_room(const char *root)
{
	char path[PATH_BYTES], text[TEXT_BYTES], *rest = text, *line;
	uint64_t least = MEMORY_UNLIMITED;

	(void)snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
	if (!read_text(path, text))
		return MEMORY_UNLIMITED;
	while ((line = strsep(&rest, "\n")) != NULL) {
		const struct group_files *files;
		const char *group = group_of_line(line, &files);
		uint64_t room;

		if (group == NULL)
			continue;
		room = tightest_room(root, files, group);
		least = room < least ? room : least;
		room = files == &v2 ? tightest_room(root, &v2_beside_v1, group) : least;
		least = room < least ? room : least;
	}
	return least;
}

bool memory_swaps(const char *root)
{
	char path[PATH_BYTES], text[TEXT_BYTES], *rest = text, *line;

	(void)snprintf(path, sizeof(path), "%s/proc/swaps", root);
	if (!read_text(path, text)) {
		if (errno != ENOENT)
			return true;
		/* Where the kernel tells of memory, and not of swap, it has none built in. */
		(void)snprintf(path, sizeof(path), "%s/proc/meminfo", root);
		return access(path, R_OK) != 0;
	}
	(void)strsep(&rest, "\n"); /* headings */
	while ((line = strsep(&rest, "\n")) != NULL) {
		if (line[0] != '\0' && strncmp(line, "/dev/zram", strlen("/dev/zram")) != 0)
			return true;
	}
	return false;
}

uint64_t memory_address_room(void)
{
	char text[TEXT_BYTES];
	struct rlimit limit;
	uint64_t kib;

	if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return MEMORY_UNLIMITED;
	if (!read_text("/proc/self/status", text) || !find_number(text, "VmSize:", &kib))
		return limit.rlim_cur;
	return limit.rlim_cur > kib * 1024 ? limit.rlim_cur - kib * 1024 : 0;
}
