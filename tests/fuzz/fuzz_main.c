/*
 * Stand-alone driver of the fuzz targets, for compilers without libFuzzer.
 *
 *   TARGET [-n COUNT] [-s SEED] [-t SECONDS] [-m BYTES] [FILE|DIRECTORY]...
 *
 * Runs every file given, then COUNT mutations (default 10000) of them drawn
 * from SEED (default 1), for at most SECONDS.  The run is a function of files
 * and seed.  An input that ends the process is left in ./crash-SEED-INDEX.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "os/file.h"

#define CORPUS_FILES_MAX ((size_t)10000)
#define CORPUS_FILE_BYTES_MAX ((size_t)1 << 20)
#define MUTATIONS_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

struct entry {
	uint8_t *bytes;
	size_t len;
};

static struct entry corpus[CORPUS_FILES_MAX];
static size_t corpus_len;

/* What runs now, for the crash file. */
static const int fatal_signals[] = { SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE };
static const uint8_t *current;
static size_t current_len;
static uint64_t current_index, run_seed = 1;

static void leave_crash_file(void)
{
	char name[64];

	if (current == NULL)
		return;
	(void)snprintf(name, sizeof(name), "crash-%llu-%llu", (unsigned long long)run_seed,
	    (unsigned long long)current_index);
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	(void)!write(fd, current, current_len);
	(void)close(fd);
	(void)!write(STDERR_FILENO, "input left in ", 14);
	(void)!write(STDERR_FILENO, name, strlen(name));
	(void)!write(STDERR_FILENO, "\n", 1);
	current = NULL;
}

static void on_fatal(int sig)
{
	leave_crash_file();
	struct sigaction plain = { .sa_handler = SIG_DFL };
	(void)sigaction(sig, &plain, NULL);
	(void)raise(sig);
}

static void run_one(const uint8_t *bytes, size_t len)
{
	/* A block of exactly `len` bytes: reading past it is an error the
	 * sanitizer sees. */
	uint8_t *exact = malloc(len > 0 ? len : 1);

	if (exact == NULL)
		abort();
	if (len > 0)
		memcpy(exact, bytes, len);
	current = exact;
	current_len = len;
	(void)LLVMFuzzerTestOneInput(exact, len);
	current = NULL;
	current_index++;
	free(exact);
}

static void add_path(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0) {
		(void)fprintf(stderr, "cannot read %s\n", path);
		exit(2);
	}
	if (S_ISDIR(st.st_mode)) {
		struct dirent **names;
		int n = scandir(path, &names, NULL, alphasort);
		for (int i = 0; i < n; i++) {
			char child[4096];
			int len = snprintf(child, sizeof(child), "%s/%s", path, names[i]->d_name);
			if (names[i]->d_name[0] != '.' && len > 0 && (size_t)len < sizeof(child))
				add_path(child);
			free(names[i]);
		}
		if (n >= 0)
			free(names);
		return;
	}
	struct entry *entry = &corpus[corpus_len];
	if (corpus_len < CORPUS_FILES_MAX &&
	    file_read(path, CORPUS_FILE_BYTES_MAX, &entry->bytes, &entry->len, NULL) == RC_OK)
		corpus_len++;
}

static size_t below(uint64_t *state, size_t n)
{
	return n == 0 ? 0 : (size_t)(random_next(state) % n);
}

/* One small change in place; returns the new length, at most `max`. */
static size_t mutate(uint8_t *bytes, size_t len, size_t max, uint64_t *state)
{
	static const uint8_t interesting[] = { 0, 1, 0x7F, 0x80, 0xFF, '"', '{', '[', '\\', '\n',
		'-', '9', 0xC0, 0xED };
	size_t at = below(state, len);
	size_t n = 1 + below(state, 16);

	switch (random_next(state) % 7) {
	case 0: /* flip a bit */
		if (len > 0)
			bytes[at] ^= (uint8_t)(1u << random_next(state) % 8);
		return len;
	case 1: /* an interesting byte, or a row of them */
		if (len - at < n)
			n = len - at;
		memset(bytes + at, interesting[below(state, sizeof(interesting))], n);
		return len;
	case 2: /* a random byte */
		if (len > 0)
			bytes[at] = (uint8_t)random_next(state);
		return len;
	case 3: /* insert */
		if (n > max - len)
			n = max - len;
		memmove(bytes + at + n, bytes + at, len - at);
		for (size_t i = 0; i < n; i++)
			bytes[at + i] = (uint8_t)random_next(state);
		return len + n;
	case 4: /* delete */
		if (n > len - at)
			n = len - at;
		memmove(bytes + at, bytes + at + n, len - at - n);
		return len - n;
	case 5: /* cut off */
		return at;
	default: /* copy a piece of another file over */
		if (corpus_len > 0 && len > 0) {
			const struct entry *other = &corpus[below(state, corpus_len)];
			size_t from = below(state, other->len);
			size_t room = len - at < other->len - from ? len - at : other->len - from;
			memcpy(bytes + at, other->bytes + from, below(state, room + 1));
		}
		return len;
	}
}

static void run_mutations(uint64_t count, size_t max, int64_t deadline_ns)
{
	uint8_t *bytes = malloc(max);
	uint64_t state = run_seed;

	if (bytes == NULL)
		abort();
	for (uint64_t i = 0; i < count && clock_mono_ns() < deadline_ns; i++) {
		size_t len = 0;
		if (corpus_len > 0) {
			const struct entry *entry = &corpus[below(&state, corpus_len)];
			len = entry->len < max ? entry->len : max;
			memcpy(bytes, entry->bytes, len);
		} else {
			len = below(&state, max < 512 ? max : 512);
			for (size_t k = 0; k < len; k++)
				bytes[k] = (uint8_t)random_next(&state);
		}
		size_t changes = 1 + below(&state, MUTATIONS_MAX);
		for (size_t k = 0; k < changes; k++)
			len = mutate(bytes, len, max, &state);
		run_one(bytes, len);
	}
	free(bytes);
}

static uint64_t number(const char *text)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 10);

	if (*text == '\0' || *end != '\0') {
		(void)fprintf(stderr, "not a number: %s\n", text);
		exit(2);
	}
	return value;
}

int main(int argc, char **argv)
{
	uint64_t count = 10000, seconds = 3600;
	size_t max = CORPUS_FILE_BYTES_MAX;
	struct sigaction fatal = { .sa_handler = on_fatal };
	int opt;

	if (LLVMFuzzerInitialize != NULL)
		(void)LLVMFuzzerInitialize(&argc, &argv);
	if (__sanitizer_set_death_callback != NULL)
		__sanitizer_set_death_callback(leave_crash_file);
	for (size_t i = 0; i < sizeof(fatal_signals) / sizeof(fatal_signals[0]); i++) {
		/* A sanitizer reports the faults itself. */
		if (fatal_signals[i] == SIGABRT || __sanitizer_set_death_callback == NULL)
			(void)sigaction(fatal_signals[i], &fatal, NULL);
	}
	while ((opt = getopt(argc, argv, "n:s:t:m:")) != -1) {
		switch (opt) {
		case 'n':
			count = number(optarg);
			break;
		case 's':
			run_seed = number(optarg);
			break;
		case 't':
			seconds = number(optarg);
			break;
		case 'm':
			max = (size_t)number(optarg);
			break;
		default:
			return 2;
		}
	}
	for (int i = optind; i < argc; i++)
		add_path(argv[i]);
	int64_t deadline_ns = clock_mono_ns() + (int64_t)seconds * NS_PER_S;
	for (size_t i = 0; i < corpus_len; i++)
		run_one(corpus[i].bytes, corpus[i].len);
	run_one((const uint8_t *)"", 0);
	run_mutations(count, max > 0 ? max : 1, deadline_ns);
	(void)printf("%llu inputs, none ended the process\n", (unsigned long long)current_index);
	for (size_t i = 0; i < corpus_len; i++)
		free(corpus[i].bytes);
	return 0;
}
