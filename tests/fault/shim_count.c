/*
 * Preloaded shim: counts what threads take from the memory allocator and what they
 * map, by the threads' names, into a file that a test reads while the program runs.
 *
 *   HEARTH_COUNT_FILE  mapped when the program starts (so a program that may not open
 *                      files later can still be counted); made if it is not there
 *
 * The file is an array of rows of five numbers behind a name of 16 bytes: calls that
 * allocate, bytes, mappings, bytes mapped, and the address that made the last call.  Row 0 is for
 * threads without a row.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROWS 64
#define NAME_BYTES 16

struct row {
	char name[NAME_BYTES];
	_Atomic uint64_t allocations, bytes, mappings, mapped_bytes, from;
};

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t align, size_t size);

static struct row spare[ROWS];
static struct row *rows = spare;
static atomic_uint rows_used = 1;
static _Thread_local struct row *own;

static struct row *row(void)
{
	return own != NULL ? own : &rows[0];
}

static void count(size_t bytes, const void *from)
{
	struct row *at = row();

	(void)atomic_fetch_add_explicit(&at->allocations, 1, memory_order_relaxed);
	(void)atomic_fetch_add_explicit(&at->bytes, bytes, memory_order_relaxed);
	atomic_store_explicit(&at->from, (uintptr_t)from, memory_order_relaxed);
}

static void count_map(size_t bytes)
{
	struct row *at = row();

	(void)atomic_fetch_add_explicit(&at->mappings, 1, memory_order_relaxed);
	(void)atomic_fetch_add_explicit(&at->mapped_bytes, bytes, memory_order_relaxed);
}

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("HEARTH_COUNT_FILE");

	if (path == NULL)
		return;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)sizeof(spare)) != 0)
		abort();
	void *map = mmap(NULL, sizeof(spare), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		abort();
	(void)close(fd);
	memset(map, 0, sizeof(spare)); /* the newest process counts from nothing */
	rows = map;
	memcpy(rows[0].name, "others", sizeof("others"));
}

/* Threads of one name share a row: a row of its own for each would tell no more. */
static struct row *row_of(const char *name)
{
	unsigned used = atomic_load(&rows_used);

	for (unsigned i = 1; i < used; i++) {
		if (strncmp(rows[i].name, name, NAME_BYTES - 1) == 0)
			return &rows[i];
	}
	if (used == ROWS)
		return &rows[0];
	memcpy(rows[used].name, name, strnlen(name, NAME_BYTES - 1)); /* it was zero */
	atomic_store(&rows_used, used + 1);
	return &rows[used];
}

int pthread_setname_np(pthread_t thread, const char *name)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static int (*real)(pthread_t, const char *);

	(void)pthread_mutex_lock(&lock);
	if (real == NULL) {
		void *sym = dlsym(RTLD_NEXT, "pthread_setname_np");
		memcpy(&real, &sym, sizeof(sym));
	}
	if (pthread_equal(thread, pthread_self()))
		own = row_of(name);
	(void)pthread_mutex_unlock(&lock);
	return real(thread, name);
}

void *malloc(size_t size)
{
	count(size, __builtin_return_address(0));
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	count(n * size, __builtin_return_address(0));
	return __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
	count(size, __builtin_return_address(0));
	return __libc_realloc(old, size);
}

void *aligned_alloc(size_t align, size_t size)
{
	count(size, __builtin_return_address(0));
	return __libc_memalign(align, size);
}

void *memalign(size_t align, size_t size)
{
	count(size, __builtin_return_address(0));
	return __libc_memalign(align, size);
}

int posix_memalign(void **out, size_t align, size_t size)
{
	count(size, __builtin_return_address(0));
	*out = __libc_memalign(align, size);
	return *out == NULL ? ENOMEM : 0;
}

void *mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	count_map(len);
	return (void *)syscall(SYS_mmap, at, len, prot, flags, fd, offset);
}

void *mmap64(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	return mmap(at, len, prot, flags, fd, offset);
}
