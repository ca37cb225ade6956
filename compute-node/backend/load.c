/* dlopen() of one library, and a look at whether it has a device. */
#include "backend/load.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY "compute-cuda.so"

static enum rc beside_program(char path[PATH_MAX], struct errmsg *why)
{
	ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - 1);
	char *slash;

	if (len <= 0)
		return errmsg_errno(why, "/proc/self/exe");
	path[len] = '\0';
	slash = strrchr(path, '/');
	if (slash == NULL || (size_t)(slash - path) + 1 + sizeof(LIBRARY) > PATH_MAX)
		return errmsg_rc(why, RC_LIMIT, "the program's path is too long");
	memcpy(slash + 1, LIBRARY, sizeof(LIBRARY));
	return RC_OK;
}

static enum rc open_library(const char *path, const struct backend_api **out, struct errmsg *why)
{
	const struct backend_api *api;
	struct backend *device = NULL;
	backend_entry_fn *entry;
	void *library = NULL, *symbol;
	enum rc rc;

	if (access(path, F_OK) == 0)
		library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	else
		return errmsg_rc(why, RC_NOTFOUND, "backend %.160s is not there", path);
	if (library == NULL)
		return errmsg_rc(why, RC_NOTFOUND, "backend: %.200s", dlerror());
	symbol = dlsym(library, BACKEND_ENTRY);
	if (symbol == NULL)
		return errmsg_rc(why, RC_UNSUPPORTED, "backend %.160s: no %s", path, BACKEND_ENTRY);
	memcpy(&entry, &symbol, sizeof(entry)); /* ISO C has no other way */
	api = entry();
	if (api == NULL || api->abi != BACKEND_ABI)
		return errmsg_rc(why, RC_UNSUPPORTED, "backend %.160s: another version", path);
	rc = api->open(0, &device, why);
	if (rc != RC_OK)
		return rc;
	api->close(device);
	*out = api;
	return RC_OK;
}

enum rc backend_load(const char *word, const struct backend_api **out, struct errmsg *why)
{
	bool any = strcmp(word, "auto") == 0;
	char path[PATH_MAX];
	enum rc rc = RC_OK;

	*out = NULL;
	if (strcmp(word, "cpu") == 0)
		return RC_OK;
	if (word[0] == '/')
		(void)snprintf(path, sizeof(path), "%s", word);
	else if (any || strcmp(word, "cuda") == 0)
		rc = beside_program(path, why);
	else
		return errmsg_rc(
		    why, RC_CONFIG, "backend: cpu, cuda, auto, or the absolute path of a library");
	if (rc == RC_OK)
		rc = open_library(path, out, why);
	return any ? RC_OK : rc;
}
