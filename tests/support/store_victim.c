/* Victim: fork, pipe, kill -9. */
#include "store_victim.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void must(bool condition)
{
	if (!condition)
		abort();
}

void store_victim_start(struct store_victim *victim, store_victim_fn *work, void *ctx)
{
	int ends[2];

	must(pipe(ends) == 0);
	victim->pid = fork();
	must(victim->pid >= 0);
	if (victim->pid == 0) {
		(void)close(ends[0]);
		work(ctx, ends[1]);
		_exit(1);
	}
	(void)close(ends[1]);
	victim->in = ends[0];
}

bool store_victim_hear(struct store_victim *victim, void *out, size_t len)
{
	return read(victim->in, out, len) == (ssize_t)len;
}

void store_victim_kill(const struct store_victim *victim)
{
	must(kill(victim->pid, SIGKILL) == 0);
}

bool store_victim_end(struct store_victim *victim)
{
	int status;

	(void)close(victim->in);
	must(waitpid(victim->pid, &status, 0) == victim->pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}
