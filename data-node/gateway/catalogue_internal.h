/* What the files of the catalogue share; SQLite is seen in them alone. */
#ifndef GATEWAY_CATALOGUE_INTERNAL_H
#define GATEWAY_CATALOGUE_INTERNAL_H

#include <pthread.h>
#include <sqlite3.h>

#include "gateway/catalogue.h"

struct catalogue {
	pthread_mutex_t mutex; /* each call is one statement or transaction */
	sqlite3 *db;
	uint64_t audit_lines; /* since open */
};

/* SQLite's code as a result. */
enum rc catalogue_rc(struct catalogue *c, int code, struct errmsg *why) RC_CHECK;

/* Make the tables of destinations and of what was spent where they are missing. */
extern const char catalogue_backup_schema[], catalogue_spend_schema[];

#endif
