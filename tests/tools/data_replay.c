/*
 * Power cuts, replayed from a write log (write_log.h) of data_workload: at every
 * sync it writes images of what a disk may hold just then (disk_model.h), opens
 * each with the real store and checks it against the marks made so far.
 *
 *   data_replay LOG SCRATCH [IMAGES [SEED [lie]]]
 *
 * IMAGES: about so many (default 1000; 0: all, with 16 random choices at each
 * sync).  `lie`: a disk that forgets every second sync it was asked for, which
 * must be found out.  Exit 1 at the first image that breaks the store's word;
 * that one is kept in SCRATCH/image.
 */
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"
#include "disk_model.h"
#include "os/file.h"
#include "store_script.h"

#define LOG_BYTES_MAX ((size_t)1 << 30)
#define CHOICES_MAX 16
#define GROW_EVERY 4 /* images that are also appended to */

struct replay {
	uint8_t *log;
	size_t len, at;
	struct disk_model *model;
	struct store_script_marks marks;
	char image[1024];
	size_t boundaries, images, choices;
	uint64_t rng, skip; /* an image is taken if the draw of 2^32 is ≥ skip */
	bool lie, failed;
};

static char now_doing[128] = "nothing";

static void on_crash(int number)
{
	(void)!write(STDERR_FILENO, now_doing, strlen(now_doing));
	(void)!write(STDERR_FILENO, ": crash\n", 8);
	_exit(128 + number);
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	return ftw->level == 0 ? 0 : remove(path);
}

static void image_check(struct replay *r, enum disk_choice choice, uint64_t seed)
{
	static const char *const words[] = { "nothing", "everything", "some" };
	char fault[256];

	(void)nftw(r->image, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	disk_model_write(r->model, choice, seed, r->image);
	(void)snprintf(now_doing, sizeof(now_doing), "sync %zu, %s of the rest, seed %llu",
	    r->boundaries, words[choice], (unsigned long long)seed);
	if (!store_script_check(r->image, &r->marks, r->images % GROW_EVERY == 0, fault)) {
		printf("%s: %s\n", now_doing, fault);
		r->failed = true;
	}
	r->images++;
}

static void boundary(struct replay *r)
{
	size_t pending = disk_model_pending(r->model);
	size_t images = pending == 0 ? 1 : 2 + r->choices;

	r->boundaries++;
	for (size_t i = 0; i < images && !r->failed; i++) {
		uint64_t draw = random_next(&r->rng);
		if (draw >> 32 >= r->skip)
			image_check(r, i == 0 ? DISK_NONE : i == 1 ? DISK_ALL : DISK_SOME, draw);
	}
}

struct step {
	struct write_log_record head;
	char path[512], path2[512];
	const uint8_t *data;
	bool is_sync;
};

static bool step_read(struct replay *r, struct step *step)
{
	struct write_log_record *head = &step->head;

	if (r->at == r->len)
		return false;
	if (r->len - r->at < sizeof(*head))
		goto bad;
	memcpy(head, r->log + r->at, sizeof(*head));
	r->at += sizeof(*head);
	if (head->path_len >= sizeof(step->path) || head->path2_len >= sizeof(step->path2) ||
	    r->len - r->at < (size_t)head->path_len + head->path2_len + head->data_len)
		goto bad;
	memset(step->path, 0, sizeof(step->path));
	memset(step->path2, 0, sizeof(step->path2));
	memcpy(step->path, r->log + r->at, head->path_len);
	r->at += head->path_len;
	memcpy(step->path2, r->log + r->at, head->path2_len);
	r->at += head->path2_len;
	step->data = r->log + r->at;
	r->at += head->data_len;
	step->is_sync = head->type == WRITE_LOG_SYNC || head->type == WRITE_LOG_SYNC_DIR ||
			(head->type == WRITE_LOG_WRITE && head->dsync != 0);
	return true;
bad:
	fprintf(stderr, "the log is cut off at byte %zu\n", r->at);
	exit(2);
}

static void step_apply(struct replay *r, struct step *step)
{
	if (step->head.type == WRITE_LOG_MARK)
		store_script_mark(&r->marks, (const char *)step->data, step->head.data_len);
	if (step->is_sync) {
		/* A write that is to be durable may yet be torn while it is made. */
		if (step->head.type == WRITE_LOG_WRITE) {
			step->head.dsync = 0;
			disk_model_apply(
			    r->model, &step->head, step->path, step->path2, step->data);
			step->head.dsync = 1;
		}
		boundary(r);
		if (r->lie && r->boundaries % 2 == 0)
			return;
	}
	disk_model_apply(r->model, &step->head, step->path, step->path2, step->data);
}

/* How many choices each sync gets, or what part of the images is left out. */
static void budget(struct replay *r, size_t images)
{
	size_t syncs = 0;
	struct step *step = malloc(sizeof(*step));

	while (step != NULL && step_read(r, step))
		syncs += step->is_sync;
	free(step);
	r->at = 0;
	r->choices = CHOICES_MAX;
	if (images == 0 || syncs == 0)
		return;
	r->choices = images / syncs > 4 ? images / syncs - 2 : 2;
	if (r->choices > CHOICES_MAX)
		r->choices = CHOICES_MAX;
	size_t all = syncs * (2 + r->choices);
	if (all > images)
		r->skip = ((uint64_t)(all - images) << 32) / all;
}

int main(int argc, char **argv)
{
	struct replay *r = calloc(1, sizeof(*r));
	struct step *step = calloc(1, sizeof(*step));
	struct errmsg why = ERRMSG_INIT;
	struct sigaction crash = { .sa_handler = on_crash };

	if (argc < 3 || r == NULL || step == NULL)
		return 2;
	(void)sigaction(SIGSEGV, &crash, NULL);
	(void)sigaction(SIGBUS, &crash, NULL);
	(void)sigaction(SIGABRT, &crash, NULL);
	enum rc rc = file_read(argv[1], LOG_BYTES_MAX, &r->log, &r->len, &why);
	(void)snprintf(r->image, sizeof(r->image), "%s/image", argv[2]);
	if (rc == RC_OK)
		rc = file_mkdir(r->image, 0700, &why);
	if (rc != RC_OK) {
		fprintf(stderr, "%s\n", errmsg_text(&why, rc));
		return 2;
	}
	budget(r, argc > 3 ? strtoul(argv[3], NULL, 10) : 1000);
	r->rng = argc > 4 ? strtoull(argv[4], NULL, 10) : 1;
	r->lie = argc > 5 && strcmp(argv[5], "lie") == 0;
	r->model = disk_model_new();
	while (!r->failed && step_read(r, step))
		step_apply(r, step);
	if (!r->failed)
		boundary(r); /* the end */
	printf("%zu images at %zu syncs, %zu batches sent, %zu acknowledged\n", r->images,
	    r->boundaries, r->marks.sent_len, r->marks.acked_len);
	int code = r->failed ? 1 : 0;
	disk_model_free(r->model);
	free(r->log);
	free(r);
	free(step);
	return code;
}
