/* Sorter: runs on disk, merged through a heap. */
#include "store/sorter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/file.h"

#define READ_BYTES_MIN ((size_t)4096)

/* One sorted stretch of the file, read through a window of the buffer. */
struct run {
	off_t at, end;      /* of what is not read yet */
	uint8_t *window;    /* in sorter->rows */
	size_t len, offset; /* bytes in the window; of the current row */
};

struct sorter {
	const char *dir;
	size_t row_bytes, cap; /* cap: rows that the buffer holds */
	uint8_t *rows;
	size_t len;
	uint64_t put;
	int fd; /* -1: everything is in memory */
	off_t file_bytes;
	struct run *runs;
	size_t runs_len, runs_cap;
	size_t *heap; /* runs, the one with the smallest row first */
	size_t heap_len, window_bytes;
	bool reading, merging;
	size_t next;                       /* in memory: the row to hand out */
	uint8_t row[SORTER_ROW_BYTES_MAX]; /* handed out */
};

enum rc sorter_new(
    const char *dir, size_t row_bytes, size_t memory_bytes, struct sorter **out, struct errmsg *why)
{
	if (row_bytes == 0 || row_bytes > SORTER_ROW_BYTES_MAX)
		return errmsg_rc(why, RC_BUG, "rows of %zu bytes cannot be sorted", row_bytes);
	struct sorter *sorter = calloc(1, sizeof(*sorter));
	if (sorter == NULL)
		return RC_NOMEM;
	sorter->dir = dir;
	sorter->row_bytes = row_bytes;
	sorter->cap = memory_bytes / row_bytes > 2 ? memory_bytes / row_bytes : 2;
	sorter->fd = -1;
	sorter->rows = malloc(sorter->cap * row_bytes);
	if (sorter->rows == NULL) {
		free(sorter);
		return RC_NOMEM;
	}
	*out = sorter;
	return RC_OK;
}

void sorter_free(struct sorter *sorter)
{
	if (sorter == NULL)
		return;
	if (sorter->fd >= 0)
		(void)close(sorter->fd);
	free(sorter->runs);
	free(sorter->heap);
	free(sorter->rows);
	free(sorter);
}

uint64_t sorter_rows(const struct sorter *sorter)
{
	return sorter->put;
}

static int compare_rows(const void *a, const void *b, void *ctx)
{
	const struct sorter *sorter = ctx;

	return memcmp(a, b, sorter->row_bytes);
}

/* Without a name, so that nothing is left behind. */
static enum rc file_open(struct sorter *sorter, struct errmsg *why)
{
	char path[4200];

	sorter->fd = open(sorter->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (sorter->fd >= 0)
		return RC_OK;
	if (snprintf(path, sizeof(path), "%s/sort.XXXXXX", sorter->dir) >= (int)sizeof(path))
		return errmsg_rc(why, RC_LIMIT, "path too long");
	sorter->fd = mkostemp(path, O_CLOEXEC);
	if (sorter->fd < 0)
		return errmsg_errno(why, "cannot make a temporary file in %s", sorter->dir);
	(void)unlink(path);
	return RC_OK;
}

static enum rc run_write(struct sorter *sorter, struct errmsg *why)
{
	size_t bytes = sorter->len * sorter->row_bytes;
	enum rc rc = RC_OK;

	if (sorter->runs_len == SORTER_RUNS_MAX)
		return errmsg_rc(why, RC_LIMIT, "more than %zu runs to sort", SORTER_RUNS_MAX);
	if (sorter->fd < 0)
		rc = file_open(sorter, why);
	if (rc == RC_OK && sorter->runs_len == sorter->runs_cap) {
		size_t cap = sorter->runs_cap == 0 ? 16 : sorter->runs_cap * 2;
		struct run *runs = realloc(sorter->runs, cap * sizeof(*runs));
		if (runs == NULL)
			return RC_NOMEM;
		sorter->runs = runs;
		sorter->runs_cap = cap;
	}
	if (rc == RC_OK)
		rc = file_write_all(sorter->fd, sorter->rows, bytes, why);
	if (rc != RC_OK)
		return rc;
	sorter->runs[sorter->runs_len++] = (struct run){
		.at = sorter->file_bytes,
		.end = sorter->file_bytes + (off_t)bytes,
	};
	sorter->file_bytes += (off_t)bytes;
	sorter->len = 0;
	return RC_OK;
}

static void buffer_sort(struct sorter *sorter)
{
	if (sorter->len > 1)
		qsort_r(sorter->rows, sorter->len, sorter->row_bytes, compare_rows, sorter);
}

enum rc sorter_put(struct sorter *sorter, const uint8_t *row, struct errmsg *why)
{
	if (sorter->reading)
		return errmsg_rc(why, RC_BUG, "a sorter takes no rows once it is read");
	if (sorter->len == sorter->cap) {
		buffer_sort(sorter);
		enum rc rc = run_write(sorter, why);
		if (rc != RC_OK)
			return rc;
	}
	memcpy(sorter->rows + sorter->len * sorter->row_bytes, row, sorter->row_bytes);
	sorter->len++;
	sorter->put++;
	return RC_OK;
}

/* ---- merging ------------------------------------------------------------------ */

static enum rc run_fill(struct sorter *sorter, struct run *run, struct errmsg *why)
{
	size_t want = sorter->window_bytes, got = 0;

	if ((off_t)want > run->end - run->at)
		want = (size_t)(run->end - run->at);
	while (got < want) {
		ssize_t n = pread(sorter->fd, run->window + got, want - got, run->at + (off_t)got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return errmsg_rc(why, RC_IO, "a temporary file cannot be read back");
		got += (size_t)n;
	}
	run->at += (off_t)got;
	run->len = got;
	run->offset = 0;
	return RC_OK;
}

static bool run_before(const struct sorter *sorter, size_t a, size_t b)
{
	const struct run *x = &sorter->runs[a], *y = &sorter->runs[b];
	int order = memcmp(x->window + x->offset, y->window + y->offset, sorter->row_bytes);

	return order < 0 || (order == 0 && a < b);
}

static void heap_sink(struct sorter *sorter, size_t i)
{
	for (;;) {
		size_t least = i;
		for (size_t child = 2 * i + 1; child <= 2 * i + 2; child++) {
			if (child < sorter->heap_len &&
			    run_before(sorter, sorter->heap[child], sorter->heap[least]))
				least = child;
		}
		if (least == i)
			return;
		size_t swap = sorter->heap[i];
		sorter->heap[i] = sorter->heap[least];
		sorter->heap[least] = swap;
		i = least;
	}
}

/* The buffer becomes the windows of the runs. */
static enum rc merge_begin(struct sorter *sorter, struct errmsg *why)
{
	enum rc rc = sorter->len > 0 ? run_write(sorter, why) : RC_OK;
	size_t rows = sorter->runs_len == 0 ? 0 : sorter->cap / sorter->runs_len;

	if (rc != RC_OK)
		return rc;
	if (rows * sorter->row_bytes < READ_BYTES_MIN)
		rows = READ_BYTES_MIN / sorter->row_bytes;
	sorter->window_bytes = rows * sorter->row_bytes;
	uint8_t *windows = realloc(sorter->rows, sorter->runs_len * sorter->window_bytes);
	if (windows == NULL)
		return RC_NOMEM;
	sorter->rows = windows;
	sorter->heap = calloc(sorter->runs_len, sizeof(sorter->heap[0]));
	if (sorter->heap == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < sorter->runs_len && rc == RC_OK; i++) {
		sorter->runs[i].window = windows + i * sorter->window_bytes;
		rc = run_fill(sorter, &sorter->runs[i], why);
		sorter->heap[sorter->heap_len++] = i;
	}
	for (size_t i = sorter->heap_len; i-- > 0 && rc == RC_OK;)
		heap_sink(sorter, i);
	return rc;
}

static enum rc merge_next(struct sorter *sorter, const uint8_t **row, struct errmsg *why)
{
	if (sorter->heap_len == 0)
		return RC_NOTFOUND;
	struct run *run = &sorter->runs[sorter->heap[0]];
	memcpy(sorter->row, run->window + run->offset, sorter->row_bytes);
	run->offset += sorter->row_bytes;
	if (run->offset == run->len && run->at < run->end) {
		enum rc rc = run_fill(sorter, run, why);
		if (rc != RC_OK)
			return rc;
	} else if (run->offset == run->len) {
		sorter->heap[0] = sorter->heap[--sorter->heap_len];
	}
	heap_sink(sorter, 0);
	*row = sorter->row;
	return RC_OK;
}

enum rc sorter_next(struct sorter *sorter, const uint8_t **row, struct errmsg *why)
{
	if (!sorter->reading) {
		sorter->reading = true;
		buffer_sort(sorter);
		sorter->merging = sorter->fd >= 0;
		enum rc rc = sorter->merging ? merge_begin(sorter, why) : RC_OK;
		if (rc != RC_OK)
			return rc;
	}
	if (sorter->merging)
		return merge_next(sorter, row, why);
	if (sorter->next == sorter->len)
		return RC_NOTFOUND;
	*row = sorter->rows + sorter->next++ * sorter->row_bytes;
	return RC_OK;
}
