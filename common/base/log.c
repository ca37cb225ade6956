/* Log: one line per event on standard error, written by one write(2). */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/timestamp.h"

#define LOG_LINE_BYTES 1024

static atomic_int level_max = LOG_LEVEL_INFO;
static const char *const level_words[] = { "error", "warn", "info", "debug" };

void log_set_level(enum log_level level)
{
	atomic_store(&level_max, (int)level);
}

int log_level_parse(const char *word)
{
	for (int i = 0; i < 4; i++) {
		if (strcmp(word, level_words[i]) == 0)
			return i;
	}
	return -1;
}

void log_write(enum log_level level, const char *id, const char *fmt, ...)
{
	char line[LOG_LINE_BYTES];
	char when[TIMESTAMP_TEXT_BYTES];
	va_list ap;

	if ((int)level > atomic_load(&level_max))
		return;
	timestamp_format_ms(clock_utc_ns(), when);
	int head = snprintf(line, sizeof(line), "%s %s %s ", when, level_words[level], id);
	if (head < 0 || (size_t)head >= sizeof(line))
		return;
	size_t len = (size_t)head;
	va_start(ap, fmt);
	int body = vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);
	va_end(ap);
	if (body < 0)
		return;
	len += (size_t)body;
	if (len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	for (size_t i = (size_t)head; i < len; i++) {
		if ((unsigned char)line[i] < 0x20)
			line[i] = '?'; /* one event, one line */
	}
	line[len++] = '\n';
	ssize_t written = write(STDERR_FILENO, line, len);
	(void)written; /* nowhere left to complain */
}
