/* Fibers by two jumps: one into a fresh stack (makecontext), the others by _setjmp. */
#include "cuda/emulate.h"

#include <setjmp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <vector>

#define THREADS_MAX 1024
#define STACK_BYTES (256u << 10)
#define SHARED_BYTES (256u << 10)
#define COPIES_MAX 256
#define WARPS_MAX (THREADS_MAX / 32)

struct copy {
	void *to;
	const void *from;
	int bytes, size;
};

struct fiber {
	jmp_buf at;
	ucontext_t first;
	bool made, ended; /* has a stack; is through with the block */
	dim3 thread;
	std::vector<std::vector<copy>> groups; /* committed, oldest first */
	std::vector<copy> open;
	unsigned n_exchanges;
};

struct barrier {
	unsigned arrived, alive, turn;
};

struct warp {
	struct barrier barrier;
	uint32_t lanes; /* alive */
	emulate_words words[2][32];
};

struct emulate_place emulate_place;
bool emulate_backwards;
std::vector<std::function<void()>> *emulate_kept;

static struct fiber fibers[THREADS_MAX];
static struct warp warps[WARPS_MAX];
static struct barrier block;
static unsigned n_threads, current, n_alive;
static uint8_t *stacks;
static jmp_buf scheduler;
static const std::function<void()> *body;
static uint8_t shared_bytes[SHARED_BYTES] __attribute__((aligned(128)));

void *emulate_shared()
{
	return shared_bytes;
}

int emulate_lane()
{
	return (int)(current % 32);
}

uint32_t emulate_alive()
{
	return warps[current / 32].lanes;
}

/* A fiber's whole life: a kernel, back to the scheduler, the next one. */
static void start()
{
	for (;;) {
		struct fiber *f = &fibers[current];

		(*body)();
		f = &fibers[current];
		f->ended = true;
		if (_setjmp(f->at) == 0)
			_longjmp(scheduler, 1);
	}
}

static void enter(unsigned i)
{
	struct fiber *f = &fibers[i];

	current = i;
	emulate_place.thread = f->thread;
	if (f->made)
		_longjmp(f->at, 1);
	f->made = true;
	if (getcontext(&f->first) != 0)
		abort();
	f->first.uc_stack.ss_sp = stacks + (size_t)i * STACK_BYTES;
	f->first.uc_stack.ss_size = STACK_BYTES;
	f->first.uc_link = NULL;
	makecontext(&f->first, start, 0);
	(void)setcontext(&f->first);
	abort();
}

/* To the next living fiber of the block. */
static void yield()
{
	unsigned next = current;

	do
		next = next + 1 < n_threads ? next + 1 : 0;
	while (fibers[next].ended);
	if (next == current || _setjmp(fibers[current].at) != 0)
		return;
	enter(next);
}

static void leave(struct barrier *b)
{
	b->alive--;
	if (b->arrived > 0 && b->arrived == b->alive) {
		b->arrived = 0;
		b->turn++;
	}
}

static void wait_at(struct barrier *b)
{
	unsigned turn = b->turn;
	unsigned rounds = 0;

	if (++b->arrived == b->alive) {
		b->arrived = 0;
		b->turn++;
		return;
	}
	while (b->turn == turn) {
		if (++rounds > 1000000) {
			(void)fprintf(stderr, "emulate: a barrier that not all threads reach\n");
			abort();
		}
		yield();
	}
}

void emulate_block_barrier()
{
	wait_at(&block);
}

void emulate_warp_barrier()
{
	wait_at(&warps[current / 32].barrier);
}

const emulate_words *emulate_exchange(const uint64_t *words, int n)
{
	unsigned me = current;
	struct warp *w = &warps[me / 32];
	unsigned side = fibers[me].n_exchanges++ % 2;

	memcpy(w->words[side][me % 32], words, (size_t)n * sizeof(*words));
	wait_at(&w->barrier);
	return w->words[side];
}

static void run_block(dim3 dim)
{
	block = { 0, n_threads, 0 };
	for (unsigned i = 0; i < n_threads; i++) {
		struct fiber *f = &fibers[i];

		f->ended = false;
		f->thread = dim3(i % dim.x, i / dim.x % dim.y, i / dim.x / dim.y);
		f->groups.clear();
		f->open.clear();
		f->n_exchanges = 0;
	}
	for (unsigned i = 0; i * 32 < n_threads; i++) {
		unsigned n = n_threads - i * 32 < 32 ? n_threads - i * 32 : 32;

		warps[i].barrier = { 0, n, 0 };
		warps[i].lanes = n == 32 ? ~0u : (1u << n) - 1;
	}
	n_alive = n_threads;
	current = 0;
	if (_setjmp(scheduler) != 0) { /* a fiber has ended */
		unsigned next = current;

		leave(&block);
		leave(&warps[current / 32].barrier);
		warps[current / 32].lanes &= ~(1u << current % 32);
		if (--n_alive == 0)
			return;
		while (fibers[next].ended)
			next = next + 1 < n_threads ? next + 1 : 0;
		enter(next);
	}
	enter(current);
}

void emulate_run(dim3 grid, dim3 dim, size_t shared, const std::function<void()> &kernel)
{
	if (emulate_kept != NULL) {
		emulate_kept->push_back([=]() { emulate_run(grid, dim, shared, kernel); });
		return;
	}
	n_threads = dim.x * dim.y * dim.z;
	if (n_threads > THREADS_MAX || shared > SHARED_BYTES) {
		(void)fprintf(stderr, "emulate: %u threads, %zu bytes\n", n_threads, shared);
		abort();
	}
	if (stacks == NULL)
		stacks = (uint8_t *)mmap(NULL, (size_t)THREADS_MAX * STACK_BYTES,
		    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	body = &kernel;
	emulate_place.block_dim = dim;
	emulate_place.grid_dim = grid;
	for (unsigned z = 0; z < grid.z; z++) {
		for (unsigned y = 0; y < grid.y; y++) {
			for (unsigned x = 0; x < grid.x; x++) {
				emulate_place.block =
				    emulate_backwards
					? dim3(grid.x - 1 - x, grid.y - 1 - y, grid.z - 1 - z)
					: dim3(x, y, z);
				memset(shared_bytes, 0xff, shared);
				run_block(dim);
			}
		}
	}
}

/* A device ends the program that does otherwise. */
static void must_be_aligned(const void *at, uintptr_t to)
{
	if ((uintptr_t)at % to != 0)
		abort();
}

void cp_async16(void *shared, const void *global, int bytes)
{
	must_be_aligned(shared, 16);
	must_be_aligned(global, 16);
	fibers[current].open.push_back({ shared, global, bytes, 16 });
}

void cp_async8(void *shared, const void *global, int bytes)
{
	must_be_aligned(shared, 8);
	must_be_aligned(global, 8);
	fibers[current].open.push_back({ shared, global, bytes, 8 });
}

void cp_async_commit()
{
	struct fiber *f = &fibers[current];

	f->groups.push_back(f->open);
	f->open.clear();
}

void emulate_copies_wait(int n)
{
	struct fiber *f = &fibers[current];

	while ((int)f->groups.size() > n) {
		for (const copy &c : f->groups.front()) {
			memset(c.to, 0, (size_t)c.size);
			memcpy(c.to, c.from, (size_t)c.bytes);
		}
		f->groups.erase(f->groups.begin());
	}
}

static uint32_t half_pair(uint64_t row, int i, int step)
{
	const uint8_t *at = (const uint8_t *)(uintptr_t)row;
	uint16_t low, high;

	memcpy(&low, at + 2 * i, 2);
	memcpy(&high, at + 2 * (i + step), 2);
	return (uint32_t)high << 16 | low;
}

void ldmatrix_x4(uint32_t r[4], const void *row)
{
	uint64_t word = (uint64_t)(uintptr_t)row;
	int lane = emulate_lane();

	must_be_aligned(row, 16);
	const emulate_words *rows = emulate_exchange(&word, 1);

	for (int m = 0; m < 4; m++)
		r[m] = half_pair(rows[8 * m + lane / 4][0], 2 * (lane % 4), 1);
	emulate_warp_barrier(); /* shared memory is read before any lane writes it again */
}

void ldmatrix_x4_trans(uint32_t r[4], const void *row)
{
	uint64_t word = (uint64_t)(uintptr_t)row;
	int lane = emulate_lane();

	must_be_aligned(row, 16);
	const emulate_words *rows = emulate_exchange(&word, 1);

	for (int m = 0; m < 4; m++) {
		uint32_t low = half_pair(rows[8 * m + 2 * (lane % 4)][0], lane / 4, 0);
		uint32_t high = half_pair(rows[8 * m + 2 * (lane % 4) + 1][0], lane / 4, 0);

		r[m] = (low & 0xffff) | high << 16;
	}
	emulate_warp_barrier();
}

/* Every half as a float. */
static const float *halves()
{
	static std::vector<float> table;

	if (table.empty()) {
		table.resize(1u << 16);
		for (uint32_t h = 0; h < 1u << 16; h++)
			table[h] = half_from_f16((uint16_t)h);
	}
	return table.data();
}

void mma_f16(float c[4], const uint32_t a[4], const uint32_t b[2])
{
	uint64_t words[6] = { a[0], a[1], a[2], a[3], b[0], b[1] };
	int lane = emulate_lane(), g = lane / 4, t = lane % 4;
	const emulate_words *all = emulate_exchange(words, 6);
	const float *table = halves();

	for (int i = 0; i < 4; i++) {
		int below = i / 2, col = 2 * t + i % 2;

		for (int k = 0; k < 16; k++) {
			uint32_t x = (uint32_t)all[4 * g + k % 8 / 2][below + 2 * (k / 8)];
			uint32_t y = (uint32_t)all[4 * col + k % 8 / 2][4 + k / 8];

			/* halves' products are exact in float */
			c[i] += table[x >> 16 * (k % 2) & 0xffff] * table[y >> 16 * (k % 2) & 0xffff];
		}
	}
	emulate_warp_barrier();
}

/* Each lane's `n` words of a and `n` / 2 of b: rows g, g + 8 of a, and column g of b, bytes
 * 4t … 4t + 3 of the first 16 and of the others. */
static void mma_bytes(int c[4], const uint64_t *words, int n)
{
	int lane = emulate_lane(), g = lane / 4, t = lane % 4;
	const emulate_words *all = emulate_exchange(words, n + n / 2);

	for (int i = 0; i < 4; i++) {
		for (int word = 0; word < 2 * n; word++) {
			int half = word / 4, from = word % 4;
			uint32_t x = (uint32_t)all[4 * g + from][i / 2 + 2 * half];
			uint32_t y = (uint32_t)all[4 * (2 * t + i % 2) + from][n + half];

			c[i] = __dp4a((int)x, (int)y, c[i]);
		}
	}
	emulate_warp_barrier();
}

void mma_s8(int c[4], const uint32_t a[4], const uint32_t b[2])
{
	const uint64_t words[6] = { a[0], a[1], a[2], a[3], b[0], b[1] };

	mma_bytes(c, words, 4);
}

void mma_s8_half(int c[4], const uint32_t a[2], uint32_t b)
{
	const uint64_t words[3] = { a[0], a[1], b };

	mma_bytes(c, words, 2);
}
