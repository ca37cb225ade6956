/* The list of files, and the port, from what `serve` was told. */
#include "serve/confinement.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "os/confine.h"

#define PATHS_MAX ((size_t)2 * CONF_LIST_MAX + 16)

struct paths {
	const char *items[PATHS_MAX];
	size_t n;
};

static enum rc add(struct paths *paths, struct arena *arena, const char *root, const char *path)
{
	char *joined = arena_alloc(arena, strlen(root) + strlen(path) + 1);

	if (joined == NULL || paths->n == PATHS_MAX)
		return RC_NOMEM;
	(void)memcpy(joined, root, strlen(root));
	(void)memcpy(joined + strlen(root), path, strlen(path) + 1);
	paths->items[paths->n++] = joined;
	return RC_OK;
}

/* The directory of a file: parts of a model lie beside each other. */
static enum rc add_directory_of(struct paths *paths, struct arena *arena, const char *file)
{
	char dir[PATH_MAX];
	size_t len = strlen(file);

	if (len >= sizeof(dir))
		return RC_LIMIT;
	(void)memcpy(dir, file, len + 1);
	char *slash = strrchr(dir, '/');
	if (slash == NULL)
		return add(paths, arena, "", ".");
	slash[slash == dir ? 1 : 0] = '\0';
	return add(paths, arena, "", dir);
}

/* Where it is named, and where it lies if that is a link. */
static enum rc add_model(struct paths *paths, struct arena *arena, const char *model)
{
	char resolved[PATH_MAX];
	enum rc rc = add_directory_of(paths, arena, model);

	if (rc == RC_OK && realpath(model, resolved) != NULL)
		rc = add_directory_of(paths, arena, resolved);
	return rc;
}

static enum rc add_figures(struct paths *paths, struct arena *arena, const char *root)
{
	static const char *const names[] = { "/proc/self", "/proc/meminfo", "/proc/vmstat",
		"/proc/pressure", "/sys/fs/cgroup", "/sys/devices/system/cpu" };
	enum rc rc = RC_OK;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && rc == RC_OK; i++)
		rc = add(paths, arena, root, names[i]);
	return rc;
}

enum rc confinement_of_files(
    const struct confinement *what, struct arena *arena, struct errmsg *why)
{
	const char *port = strrchr(what->listen, ':');
	struct paths paths = { .n = 0 };
	enum rc rc = add(&paths, arena, "", what->home->dir);

	if (rc == RC_OK)
		rc = add_figures(&paths, arena, what->memory_root);
	for (size_t i = 0; i < what->models->n && rc == RC_OK; i++)
		rc = add_model(&paths, arena, what->models->items[i]);
	if (rc != RC_OK)
		return errmsg_rc(why, rc, "too many paths, or too long ones, to be confined to");
	return confine_files(
	    paths.items, paths.n, port != NULL ? (uint16_t)strtoul(port + 1, NULL, 10) : 0, why);
}
