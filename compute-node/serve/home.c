/* Where a compute node's key, allow-list and configuration are. */
#include "serve/home.h"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#define HOME_DEFAULT ".config/hearth-compute"

static const char *user_home(void)
{
	const char *home = getenv("HOME");

	if (home != NULL && home[0] == '/')
		return home;
	const struct passwd *user = getpwuid(getuid());
	return user == NULL ? NULL : user->pw_dir;
}

enum rc home_paths(const char *dir, struct arena *arena, struct home *out, struct errmsg *why)
{
	struct home home = { .dir = dir };

	if (dir == NULL) {
		const char *user = user_home();

		if (user == NULL)
			return errmsg_rc(why, RC_CONFIG, "no home directory: say --dir");
		home.dir = arena_printf(arena, "%s/" HOME_DEFAULT, user);
	}
	if (home.dir == NULL)
		return errmsg_rc(why, RC_NOMEM, "no memory for paths");
	if (home.dir[0] == '\0')
		return errmsg_rc(why, RC_CONFIG, "--dir is empty");
	home.key = arena_printf(arena, "%s/key", home.dir);
	home.allow = arena_printf(arena, "%s/allow", home.dir);
	home.conf = arena_printf(arena, "%s/compute.conf", home.dir);
	if (home.key == NULL || home.allow == NULL || home.conf == NULL)
		return errmsg_rc(why, RC_NOMEM, "no memory for paths");
	*out = home;
	return RC_OK;
}
