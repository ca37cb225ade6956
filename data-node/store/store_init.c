/* Store init: everything a new data node needs before it can serve. */
#include <stdio.h>

#include "os/file.h"
#include "store/keyring.h"
#include "store/store_internal.h"

enum rc store_init(const char *dir, const struct keyring_unlock *unlock, struct errmsg *why)
{
	struct keyring *keyring = NULL;
	char path[4200];

	if (snprintf(path, sizeof(path), "%s/timeline/data.mdb", dir) >= (int)sizeof(path))
		return errmsg_rc(why, RC_LIMIT, "path too long");
	if (file_exists(path))
		return errmsg_rc(why, RC_EXISTS, "%s holds a timeline already", dir);
	enum rc rc = file_mkdir(dir, 0700, why);
	if (rc == RC_OK)
		rc = store_filesystem_check(dir, why);
	if (rc != RC_OK)
		return rc;
	rc = keyring_create(dir, unlock, why);
	if (rc == RC_EXISTS)
		errmsg_reset(why); /* made before the power went: go on with it */
	else if (rc != RC_OK)
		return rc;
	rc = keyring_open(dir, unlock, &keyring, why);
	if (rc == RC_OK)
		rc = store_create(dir, keyring, why);
	keyring_close(keyring);
	return rc;
}
