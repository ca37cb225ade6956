/* A shared page by descriptor, from supervisor to worker. */
#include "serve/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define VARIABLE "HEARTH_WATCH" /* "DESCRIPTOR:PID of the supervisor" */

static enum rc map(int fd, struct watch **out, struct errmsg *why)
{
	void *page = mmap(NULL, sizeof(struct watch), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (page == MAP_FAILED)
		return errmsg_errno(why, "cannot map the page of supervisor and worker");
	*out = page;
	return RC_OK;
}

static enum rc make_page(int fd, struct watch **out, struct errmsg *why)
{
	char text[64];

	if (ftruncate(fd, sizeof(struct watch)) != 0)
		return errmsg_errno(why, "cannot size the page of supervisor and worker");
	(void)snprintf(text, sizeof(text), "%d:%ld", fd, (long)getpid());
	if (setenv(VARIABLE, text, 1) != 0)
		return errmsg_errno(why, "cannot name the page of supervisor and worker");
	return map(fd, out, why);
}

enum rc watch_renew(struct watch **watch, int *fd, struct errmsg *why)
{
	struct watch *last = *watch, *next = NULL;

	*fd = memfd_create("hearth-watch", 0);
	if (*fd < 0)
		return errmsg_errno(why, "cannot make the page of supervisor and worker");
	enum rc rc = make_page(*fd, &next, why);
	if (rc != RC_OK) {
		(void)close(*fd);
		return rc;
	}
	if (last != NULL) {
		memcpy(next->address, last->address, sizeof(next->address));
		for (size_t i = 0; i < WATCH_MODELS_MAX; i++) {
			atomic_store(&next->parted[i].model, atomic_load(&last->parted[i].model));
			atomic_store(&next->parted[i].device_layers,
			    atomic_load(&last->parted[i].device_layers));
		}
		atomic_store(&next->short_of_memory, atomic_load(&last->short_of_memory));
		atomic_store(&next->restarts, atomic_load(&last->restarts));
		atomic_store(&next->memory_kills, atomic_load(&last->memory_kills));
		atomic_store(&next->watchdog_kills, atomic_load(&last->watchdog_kills));
		next->halvings = last->halvings;
		(void)munmap(last, sizeof(*last));
	}
	*watch = next;
	return RC_OK;
}

enum rc watch_attach(struct watch **out, struct errmsg *why)
{
	const char *text = getenv(VARIABLE);
	struct stat st;
	char *end = NULL;

	*out = NULL;
	if (text == NULL)
		return RC_OK;
	long fd = strtol(text, &end, 10);
	long pid = *end == ':' ? strtol(end + 1, &end, 10) : 0;
	if (*end != '\0' || fd < 3 || pid < 1 || fstat((int)fd, &st) != 0 ||
	    st.st_size != (off_t)sizeof(struct watch))
		return errmsg_rc(why, RC_CONFIG, VARIABLE " is set, but not by a supervisor");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		return errmsg_errno(why, "cannot tie the worker to its supervisor");
	if (getppid() != (pid_t)pid) /* gone between fork and here */
		return errmsg_rc(why, RC_CLOSED, "the supervisor is gone");
	enum rc rc = map((int)fd, out, why);
	(void)close((int)fd);
	(void)unsetenv(VARIABLE);
	return rc;
}
