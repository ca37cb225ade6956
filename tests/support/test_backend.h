/*
 * The backend that a test runs on: the one that HEARTH_BACKEND names, or else the emulated
 * one that was built with the test (compute-emulated.so, in a folder above it).
 */
#ifndef SUPPORT_TEST_BACKEND_H
#define SUPPORT_TEST_BACKEND_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/load.h"

#define TEST_BACKEND_PATH 4096

/* False: there is none, and the test is to be skipped.  One that cannot be loaded ends the
 * program. */
static inline bool test_backend_find(const struct backend_api **out, bool *emulated)
{
	static const char name[] = "/compute-emulated.so";
	const char *given = getenv("HEARTH_BACKEND");
	struct errmsg why = ERRMSG_INIT;
	char path[TEST_BACKEND_PATH + sizeof(name)] = "", *end;

	*emulated = given == NULL;
	if (given == NULL && readlink("/proc/self/exe", path, TEST_BACKEND_PATH - 1) > 0) {
		while (given == NULL && (end = strrchr(path, '/')) != NULL) {
			memcpy(end, name, sizeof(name));
			given = access(path, R_OK) == 0 ? path : NULL;
			*end = '\0';
		}
		if (given != NULL)
			memcpy(path + strlen(path), name, sizeof(name));
	}
	if (given == NULL)
		return false;
	if (backend_load(given, out, &why) != RC_OK) {
		(void)fprintf(stderr, "%s\n", why.text);
		exit(1);
	}
	return true;
}

#endif
