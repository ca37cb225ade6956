/* Disk model: durable bytes and names, and what came since (disk_model.h). */
#include "disk_model.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"

#define NODES_MAX 4096
#define NAME_MAX_BYTES 128
#define SECTOR_BYTES ((size_t)512)
#define NO_NODE SIZE_MAX

struct change { /* of a file */
	bool truncate, durable;
	size_t offset, len; /* truncate: offset is the size */
	uint8_t *data;
};

struct entry {
	char name[NAME_MAX_BYTES];
	size_t node;
};

struct name_change { /* of a directory: `name` becomes `node`, or goes */
	struct entry entry;
	char gone[NAME_MAX_BYTES]; /* "": none */
};

struct node {
	bool is_dir;
	uint64_t file; /* number in the log */
	uint8_t *bytes;
	size_t len;
	struct change *changes;
	size_t changes_len;
	struct entry *entries; /* durable */
	size_t entries_len;
	struct name_change *names;
	size_t names_len;
};

struct disk_model {
	struct node nodes[NODES_MAX]; /* 0 is the directory itself */
	size_t nodes_len;
	uint64_t rng;
	enum disk_choice choice;
};

static _Noreturn void give_up(const char *what, const char *name)
{
	(void)fprintf(stderr, "disk_model: %s %s\n", what, name);
	abort();
}

static void *grown(void *old, size_t n, size_t size)
{
	void *bytes = realloc(old, (n == 0 ? 1 : n) * size);

	if (bytes == NULL)
		give_up("out of memory", "");
	return bytes;
}

struct disk_model *disk_model_new(void)
{
	struct disk_model *model = calloc(1, sizeof(*model));

	if (model == NULL)
		give_up("out of memory", "");
	model->nodes[0].is_dir = true;
	model->nodes_len = 1;
	return model;
}

void disk_model_free(struct disk_model *model)
{
	for (size_t i = 0; i < model->nodes_len; i++) {
		struct node *node = &model->nodes[i];
		for (size_t k = 0; k < node->changes_len; k++)
			free(node->changes[k].data);
		free(node->changes);
		free(node->bytes);
		free(node->entries);
		free(node->names);
	}
	free(model);
}

static size_t node_add(struct disk_model *model, bool is_dir, uint64_t file)
{
	if (model->nodes_len == NODES_MAX)
		give_up("too many files", "");
	model->nodes[model->nodes_len] = (struct node){ .is_dir = is_dir, .file = file };
	return model->nodes_len++;
}

/* ---- names ------------------------------------------------------------------ */

static void entries_set(struct entry **entries, size_t *len, const struct name_change *change)
{
	for (size_t pass = 0; pass < 2; pass++) {
		const char *drop = pass == 0 ? change->gone : change->entry.name;
		for (size_t i = 0; drop[0] != '\0' && i < *len; i++) {
			if (strcmp((*entries)[i].name, drop) == 0)
				(*entries)[i--] = (*entries)[--*len];
		}
	}
	if (change->entry.name[0] == '\0')
		return;
	*entries = grown(*entries, *len + 1, sizeof(**entries));
	(*entries)[(*len)++] = change->entry;
}

/* A copy of the entries with the first `n` changes made. */
static struct entry *entries_at(const struct node *dir, size_t n, size_t *len)
{
	struct entry *entries = grown(NULL, dir->entries_len, sizeof(*entries));

	if (dir->entries_len > 0)
		memcpy(entries, dir->entries, dir->entries_len * sizeof(*entries));
	*len = dir->entries_len;
	for (size_t i = 0; i < n; i++)
		entries_set(&entries, len, &dir->names[i]);
	return entries;
}

static size_t child(const struct node *dir, const char *name)
{
	size_t len, found = NO_NODE;
	struct entry *entries = entries_at(dir, dir->names_len, &len);

	for (size_t i = 0; i < len; i++) {
		if (strcmp(entries[i].name, name) == 0)
			found = entries[i].node;
	}
	free(entries);
	return found;
}

/* The directory that holds the last part of `path`, which goes to `name`. */
static struct node *parent_of(struct disk_model *model, const char *path, char name[NAME_MAX_BYTES])
{
	size_t at = 0;

	for (;;) {
		const char *slash = strchr(path, '/');
		size_t len = slash == NULL ? strlen(path) : (size_t)(slash - path);
		if (len >= NAME_MAX_BYTES)
			give_up("a name is too long:", path);
		memcpy(name, path, len);
		name[len] = '\0';
		if (slash == NULL)
			return &model->nodes[at];
		at = child(&model->nodes[at], name);
		if (at == NO_NODE || !model->nodes[at].is_dir)
			give_up("no directory for", path);
		path = slash + 1;
	}
}

static void name_set(struct node *dir, const char *name, size_t node, const char *gone)
{
	struct name_change change = { .entry.node = node };

	(void)snprintf(change.entry.name, NAME_MAX_BYTES, "%s", name);
	(void)snprintf(change.gone, NAME_MAX_BYTES, "%s", gone);
	dir->names = grown(dir->names, dir->names_len + 1, sizeof(*dir->names));
	dir->names[dir->names_len++] = change;
}

static void dir_sync(struct node *dir)
{
	for (size_t i = 0; i < dir->names_len; i++)
		entries_set(&dir->entries, &dir->entries_len, &dir->names[i]);
	dir->names_len = 0;
}

static void two_names(struct disk_model *model, const char *path, const char *path2, bool keep_old)
{
	char from[NAME_MAX_BYTES], to[NAME_MAX_BYTES];
	struct node *dir = parent_of(model, path, from), *dir2 = parent_of(model, path2, to);
	size_t node = child(dir, from);

	if (node == NO_NODE || (dir != dir2 && keep_old))
		give_up("cannot rename or link", path);
	/* Two names of one file: rename() does nothing at all. */
	if (!keep_old && child(dir2, to) == node)
		return;
	if (dir == dir2) {
		name_set(dir2, to, node, keep_old ? "" : from);
		return;
	}
	/* Of two directories either may be durable without the other. */
	name_set(dir2, to, node, "");
	name_set(dir, "", NO_NODE, from);
}

/* ---- bytes ------------------------------------------------------------------- */

static void bytes_size(uint8_t **bytes, size_t *len, size_t size)
{
	*bytes = grown(*bytes, size, 1);
	if (size > *len)
		memset(*bytes + *len, 0, size - *len);
	*len = size;
}

static void bytes_put(
    uint8_t **bytes, size_t *len, size_t offset, const uint8_t *data, size_t data_len)
{
	if (offset + data_len > *len)
		bytes_size(bytes, len, offset + data_len);
	memcpy(*bytes + offset, data, data_len);
}

static void change_make(uint8_t **bytes, size_t *len, const struct change *change)
{
	if (change->truncate)
		bytes_size(bytes, len, change->offset);
	else
		bytes_put(bytes, len, change->offset, change->data, change->len);
}

static void file_sync(struct node *node)
{
	for (size_t i = 0; i < node->changes_len; i++) {
		change_make(&node->bytes, &node->len, &node->changes[i]);
		free(node->changes[i].data);
	}
	node->changes_len = 0;
}

static struct node *node_of(struct disk_model *model, uint64_t file)
{
	for (size_t i = 1; i < model->nodes_len; i++) {
		if (!model->nodes[i].is_dir && model->nodes[i].file == file)
			return &model->nodes[i];
	}
	give_up("a file without a beginning", "");
}

static void file_change(struct node *node, const struct write_log_record *r, const uint8_t *data)
{
	struct change change = {
		.truncate = r->type == WRITE_LOG_TRUNCATE,
		.durable = r->dsync != 0 && r->type == WRITE_LOG_WRITE,
		.offset = (size_t)r->offset,
		.len = r->data_len,
	};

	change.data = grown(NULL, change.len, 1);
	if (change.len > 0)
		memcpy(change.data, data, change.len);
	node->changes = grown(node->changes, node->changes_len + 1, sizeof(change));
	node->changes[node->changes_len++] = change;
	if (node->changes_len == 1 && change.durable)
		file_sync(node);
}

void disk_model_apply(struct disk_model *model, const struct write_log_record *record,
    const char *path, const char *path2, const uint8_t *data)
{
	char name[NAME_MAX_BYTES];
	struct node *dir;
	size_t at;

	switch ((enum write_log_type)record->type) {
	case WRITE_LOG_CREATE:
	case WRITE_LOG_MKDIR:
		dir = parent_of(model, path, name);
		at = node_add(model, record->type == WRITE_LOG_MKDIR, record->file);
		name_set(dir, name, at, "");
		break;
	case WRITE_LOG_WRITE:
	case WRITE_LOG_TRUNCATE:
		file_change(node_of(model, record->file), record, data);
		break;
	case WRITE_LOG_SYNC:
		file_sync(node_of(model, record->file));
		break;
	case WRITE_LOG_SYNC_DIR:
		dir = parent_of(model, path, name);
		if (path[0] != '\0' && (at = child(dir, name)) != NO_NODE)
			dir = &model->nodes[at];
		dir_sync(dir);
		break;
	case WRITE_LOG_RENAME:
	case WRITE_LOG_LINK:
		two_names(model, path, path2, record->type == WRITE_LOG_LINK);
		break;
	case WRITE_LOG_UNLINK:
	case WRITE_LOG_RMDIR:
		name_set(parent_of(model, path, name), "", 0, name);
		break;
	case WRITE_LOG_MARK:
		break;
	}
}

size_t disk_model_pending(const struct disk_model *model)
{
	size_t n = 0;

	for (size_t i = 0; i < model->nodes_len; i++)
		n += model->nodes[i].changes_len + model->nodes[i].names_len;
	return n;
}

/* ---- images ------------------------------------------------------------------- */

static bool coin(struct disk_model *view)
{
	return view->choice == DISK_ALL ||
	       (view->choice == DISK_SOME && random_next(&view->rng) % 2);
}

static void change_maybe(
    struct disk_model *view, uint8_t **bytes, size_t *len, const struct change *change)
{
	bool torn = view->choice == DISK_SOME && random_next(&view->rng) % 3 == 0;

	if (change->durable || change->truncate || !torn) {
		if (change->durable || coin(view))
			change_make(bytes, len, change);
		return;
	}
	for (size_t at = 0; at < change->len;) {
		size_t end = (change->offset + at) / SECTOR_BYTES * SECTOR_BYTES + SECTOR_BYTES -
			     change->offset;
		if (end > change->len)
			end = change->len;
		if (coin(view))
			bytes_put(bytes, len, change->offset + at, change->data + at, end - at);
		at = end;
	}
}

static void file_write(struct disk_model *view, const struct node *node, const char *path)
{
	size_t len = node->len;
	uint8_t *bytes = grown(NULL, len, 1);

	if (len > 0)
		memcpy(bytes, node->bytes, len);
	for (size_t i = 0; i < node->changes_len; i++)
		change_maybe(view, &bytes, &len, &node->changes[i]);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, bytes, len) != (ssize_t)len || close(fd) != 0)
		give_up("cannot write", path);
	free(bytes);
}

/* A file of two names is written once and linked; `written` holds its first path. */
static void dir_write(
    struct disk_model *view, const struct node *dir, char (*written)[512], const char *path)
{
	size_t n = view->choice == DISK_ALL ? dir->names_len : 0, len;

	if (view->choice == DISK_SOME)
		n = random_next(&view->rng) % (dir->names_len + 1);
	struct entry *entries = entries_at(dir, n, &len);
	for (size_t i = 0; i < len; i++) {
		char below[512];
		const struct node *node = &view->nodes[entries[i].node];
		char *first = written[entries[i].node];
		if (snprintf(below, sizeof(below), "%s/%s", path, entries[i].name) >=
		    (int)sizeof(below))
			give_up("a path is too long:", path);
		if (node->is_dir && mkdir(below, 0700) != 0)
			give_up("cannot make", below);
		if (node->is_dir)
			dir_write(view, node, written, below);
		else if (first[0] != '\0' && link(first, below) != 0)
			give_up("cannot link", below);
		else if (first[0] == '\0')
			file_write(view, node, below);
		memcpy(first, below, sizeof(below));
	}
	free(entries);
}

void disk_model_write(
    const struct disk_model *model, enum disk_choice choice, uint64_t seed, const char *dir)
{
	struct disk_model *view = malloc(sizeof(*view));
	char(*written)[512] = calloc(model->nodes_len, sizeof(*written));

	if (view == NULL || written == NULL)
		give_up("out of memory", "");
	memcpy(view, model, sizeof(*view)); /* borrows what its nodes point to */
	view->choice = choice;
	view->rng = seed;
	dir_write(view, &view->nodes[0], written, dir);
	free(written);
	free(view);
}
