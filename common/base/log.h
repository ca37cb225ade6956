/*
 * Log: one line per event on standard error, with a stable id.
 *
 *   2026-11-19T18:30:00.123Z info ALIGN-GAP source=phone gap_ms=1200
 *
 * Never user content: ids, sizes, times, names of fields.  Any thread.  Only
 * the request loops and main() log; library code returns errors instead.
 * Each id is documented in deploy/LOG-IDS.md (a lint keeps it complete).
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Lines above `level` are dropped; the start value is LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);

/* Parse "error", "warn", "info" or "debug"; -1 if it is none of them. */
int log_level_parse(const char *word);

void log_write(enum log_level level, const char *id, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(id, ...) log_write(LOG_LEVEL_ERROR, id, __VA_ARGS__)
#define log_warn(id, ...) log_write(LOG_LEVEL_WARN, id, __VA_ARGS__)
#define log_info(id, ...) log_write(LOG_LEVEL_INFO, id, __VA_ARGS__)
#define log_debug(id, ...) log_write(LOG_LEVEL_DEBUG, id, __VA_ARGS__)

#endif
