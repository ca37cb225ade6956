/*
 * The write log: every change to the files below one directory, in one order.
 *
 * Written by tests/fault/shim_log.c under a program, read by disk_model.c.  A
 * log is a row of records, each followed by its path, second path and data.
 */
#ifndef SUPPORT_WRITE_LOG_H
#define SUPPORT_WRITE_LOG_H

#include <stdint.h>

enum write_log_type {
	WRITE_LOG_CREATE = 1, /* path, file: a new file got a name */
	WRITE_LOG_MKDIR,      /* path */
	WRITE_LOG_WRITE,      /* file, offset, data; dsync: durable on return */
	WRITE_LOG_TRUNCATE,   /* file, offset: its new size */
	WRITE_LOG_SYNC,       /* file */
	WRITE_LOG_SYNC_DIR,   /* path */
	WRITE_LOG_RENAME,     /* path → path2 */
	WRITE_LOG_LINK,       /* path → path2 */
	WRITE_LOG_UNLINK,     /* path */
	WRITE_LOG_RMDIR,      /* path */
	WRITE_LOG_MARK,       /* data: what the program says of itself */
};

/* Paths are relative to the directory ("" is itself); `file` numbers files in
 * the order of their making, so that a number means one file for ever. */
struct write_log_record {
	uint32_t type, dsync;
	uint64_t file;
	int64_t offset;
	uint32_t path_len, path2_len, data_len, zero;
};

#endif
