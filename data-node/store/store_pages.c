/* Store pages: walk the B+trees of data.mdb as bytes (store_pages.h). */
#include "store/store_pages.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store_internal.h"

#define PAGE_MAGIC 0xBEEFC0DEu
#define PAGE_DATA_VERSION 1u
#define PAGE_HEAD_BYTES 16
#define PAGE_SIZE_MIN 512u
#define PAGE_SIZE_MAX 65536u
#define PAGE_BRANCH 0x01u
#define PAGE_LEAF 0x02u
#define PAGE_OVERFLOW 0x04u
#define PAGE_META 0x08u
#define NODE_HEAD_BYTES 8
#define NODE_BIGDATA 0x01u
#define NODE_SUBDATA 0x02u
#define TREE_BYTES 48
#define META_BYTES (24 + 2 * TREE_BYTES + 16)
#define NO_PAGE UINT64_MAX
#define DEPTH_MAX 32 /* CURSOR_STACK of LMDB */
#define META_TRIES 100

struct tree {
	uint16_t depth;
	uint64_t branch, leaf, overflow, entries, root;
};

struct meta {
	uint32_t page_bytes;
	struct tree free, main;
	uint64_t last_pgno, txnid;
};

struct pages {
	int fd;
	size_t page_bytes;
	uint64_t last_pgno;
	uint8_t *used; /* bit per page */
	store_fault_fn *report;
	void *ctx;
	uint64_t read, faults;
	enum rc rc;        /* RC_NOMEM: the walk is of no use any more, and no fault either */
	struct tree found; /* counts of the tree being walked */
};

static uint16_t get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static struct tree tree_parse(const uint8_t *p)
{
	return (struct tree){ get16(p + 6), get64(p + 8), get64(p + 16), get64(p + 24),
		get64(p + 32), get64(p + 40) };
}

static bool meta_parse(const uint8_t *page, struct meta *out)
{
	const uint8_t *m = page + PAGE_HEAD_BYTES;

	if ((get16(page + 10) & PAGE_META) == 0 || get32(m) != PAGE_MAGIC)
		return false;
	out->page_bytes = get32(m + 24);
	out->free = tree_parse(m + 24);
	out->main = tree_parse(m + 24 + TREE_BYTES);
	out->last_pgno = get64(m + 24 + 2 * TREE_BYTES);
	out->txnid = get64(m + 24 + 2 * TREE_BYTES + 8);
	return out->page_bytes >= PAGE_SIZE_MIN && out->page_bytes <= PAGE_SIZE_MAX &&
	       (out->page_bytes & (out->page_bytes - 1)) == 0 && out->last_pgno >= 1 &&
	       out->last_pgno < UINT64_C(1) << 40;
}

static enum rc read_at(int fd, uint64_t offset, uint8_t *out, size_t len, struct errmsg *why)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = pread(fd, out + got, len - got, (off_t)(offset + got));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errmsg_errno(why, "data.mdb cannot be read");
		if (n == 0)
			return errmsg_rc(why, RC_CORRUPT, "data.mdb is cut off");
		got += (size_t)n;
	}
	return RC_OK;
}

enum rc store_pages_check_head(const char *path, struct errmsg *why)
{
	uint8_t page[PAGE_HEAD_BYTES + META_BYTES];
	struct meta first, second;

	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errmsg_errno(why, "cannot open %s", path);
	enum rc rc = read_at(fd, 0, page, sizeof(page), why);
	if (rc == RC_OK && get32(page + PAGE_HEAD_BYTES) == PAGE_MAGIC &&
	    get32(page + PAGE_HEAD_BYTES + 4) != PAGE_DATA_VERSION)
		rc = errmsg_rc(why, RC_UNSUPPORTED, "data.mdb has another database version");
	if (rc == RC_OK && !meta_parse(page, &first))
		rc = errmsg_rc(why, RC_CORRUPT, "data.mdb: its first head page is damaged");
	if (rc == RC_OK)
		rc = read_at(fd, first.page_bytes, page, sizeof(page), why);
	if (rc == RC_OK && (!meta_parse(page, &second) || second.page_bytes != first.page_bytes))
		rc = errmsg_rc(why, RC_CORRUPT, "data.mdb: its second head page is damaged");
	(void)close(fd);
	return rc;
}

static void fault(struct pages *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void fault(struct pages *w, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	if (w->rc != RC_OK)
		return;
	w->faults++;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	w->report(w->ctx, text);
}

static uint8_t *room(struct pages *w, size_t len)
{
	uint8_t *bytes = w->rc == RC_OK ? malloc(len) : NULL;

	if (bytes == NULL)
		w->rc = RC_NOMEM;
	return bytes;
}

/* Mark `n` pages from `pgno` as used; false (and a fault) if they cannot be. */
static bool take_pages(struct pages *w, const char *tree, uint64_t pgno, uint64_t n)
{
	if (pgno < 2 || pgno > w->last_pgno || n > w->last_pgno + 1 - pgno) {
		fault(w, "%s: refers to page %" PRIu64 ", which does not exist", tree, pgno);
		return false;
	}
	for (uint64_t i = pgno; i < pgno + n; i++) {
		uint8_t bit = (uint8_t)(1u << (i & 7));
		if ((w->used[i >> 3] & bit) != 0) {
			fault(w, "%s: page %" PRIu64 " is in use twice", tree, i);
			return false;
		}
		w->used[i >> 3] |= bit;
	}
	return true;
}

/* A page of the tree, of the type wanted, into `page`. */
static bool page_read(
    struct pages *w, const char *tree, uint64_t pgno, unsigned want, uint8_t *page)
{
	struct errmsg why = ERRMSG_INIT;

	if (read_at(w->fd, pgno * w->page_bytes, page, w->page_bytes, &why) != RC_OK) {
		fault(w, "%s: page %" PRIu64 ": %s", tree, pgno, why.text);
		return false;
	}
	w->read++;
	unsigned flags = get16(page + 10);
	if (get64(page) != pgno ||
	    (flags & (PAGE_BRANCH | PAGE_LEAF | PAGE_OVERFLOW | PAGE_META)) != want) {
		fault(w, "%s: page %" PRIu64 " is damaged: its head is not its own", tree, pgno);
		return false;
	}
	if (want == PAGE_OVERFLOW)
		return true;
	size_t lower = get16(page + 12), upper = get16(page + 14);
	if (lower < PAGE_HEAD_BYTES || lower % 2 != 0 || lower > upper || upper > w->page_bytes) {
		fault(w, "%s: page %" PRIu64 " is damaged: its bounds are off", tree, pgno);
		return false;
	}
	return true;
}

struct node {
	const uint8_t *key, *data;
	size_t key_len, data_len; /* data_len: of a leaf, as stored in the page */
	uint64_t child;           /* branch */
	unsigned flags;
};

static bool node_parse(
    const struct pages *w, const uint8_t *page, size_t i, bool branch, struct node *out)
{
	size_t upper = get16(page + 14);
	size_t at = get16(page + PAGE_HEAD_BYTES + 2 * i);

	if (at < upper || at + NODE_HEAD_BYTES > w->page_bytes)
		return false;
	const uint8_t *p = page + at;
	size_t room = w->page_bytes - at - NODE_HEAD_BYTES;
	uint64_t low = get16(p), high = get16(p + 2), flags = get16(p + 4);
	*out = (struct node){ .key = p + NODE_HEAD_BYTES, .key_len = get16(p + 6) };
	if (out->key_len > room)
		return false;
	if (branch) {
		out->child = low | high << 16 | flags << 32;
		return true;
	}
	out->flags = (unsigned)flags;
	out->data = out->key + out->key_len;
	out->data_len = (size_t)(low | high << 16);
	size_t stored = (flags & NODE_BIGDATA) != 0 ? 8 : out->data_len;
	return stored <= room - out->key_len && (flags & ~(NODE_BIGDATA | NODE_SUBDATA)) == 0;
}

/* Keys of plain trees sort as bytes; those of the free list as numbers. */
static bool key_order(const struct node *a, const struct node *b, bool numbers)
{
	if (numbers)
		return a->key_len == 8 && b->key_len == 8 && get64(a->key) < get64(b->key);
	size_t n = a->key_len < b->key_len ? a->key_len : b->key_len;
	int c = memcmp(a->key, b->key, n);
	return c < 0 || (c == 0 && a->key_len < b->key_len);
}

typedef void leaf_fn(struct pages *w, const char *tree, const struct node *node, uint64_t pgno);

static void overflow_take(struct pages *w, const char *tree, const struct node *node)
{
	uint64_t pgno = get64(node->data);
	uint64_t n = (node->data_len + PAGE_HEAD_BYTES + w->page_bytes - 1) / w->page_bytes;
	uint8_t *page = room(w, w->page_bytes);

	if (page != NULL && take_pages(w, tree, pgno, n) &&
	    page_read(w, tree, pgno, PAGE_OVERFLOW, page)) {
		if (get32(page + 12) < n)
			fault(w, "%s: page %" PRIu64 " is damaged: too short a run", tree, pgno);
		w->found.overflow += get32(page + 12);
		for (uint64_t i = n; i < get32(page + 12); i++)
			(void)take_pages(w, tree, pgno + i, 1);
	}
	free(page);
}

static void leaf_walk(struct pages *w, const char *tree, uint64_t pgno, const uint8_t *page,
    bool numbers, leaf_fn *each)
{
	size_t n = (get16(page + 12) - PAGE_HEAD_BYTES) / 2u;
	struct node node, before = { 0 };

	w->found.leaf++;
	for (size_t i = 0; i < n; i++) {
		if (!node_parse(w, page, i, false, &node) ||
		    (i > 0 && !key_order(&before, &node, numbers))) {
			fault(w, "%s: page %" PRIu64 " is damaged: entry %zu", tree, pgno, i);
			return;
		}
		w->found.entries++;
		if ((node.flags & NODE_BIGDATA) != 0)
			overflow_take(w, tree, &node);
		if (each != NULL)
			each(w, tree, &node, pgno);
		before = node;
	}
}

static void subtree_walk(
    struct pages *w, const char *tree, uint64_t pgno, unsigned depth, bool numbers, leaf_fn *each)
{
	uint8_t *page = room(w, w->page_bytes);
	struct node node, before = { 0 };

	if (page == NULL)
		return;
	if (!take_pages(w, tree, pgno, 1) ||
	    !page_read(w, tree, pgno, depth > 1 ? PAGE_BRANCH : PAGE_LEAF, page))
		goto out;
	if (depth == 1) {
		leaf_walk(w, tree, pgno, page, numbers, each);
		goto out;
	}
	w->found.branch++;
	size_t n = (get16(page + 12) - PAGE_HEAD_BYTES) / 2u;
	if (n < 2)
		fault(w, "%s: page %" PRIu64 " is damaged: too few branches", tree, pgno);
	for (size_t i = 0; i < n; i++) {
		if (!node_parse(w, page, i, true, &node) ||
		    (i > 1 && !key_order(&before, &node, numbers))) {
			fault(w, "%s: page %" PRIu64 " is damaged: branch %zu", tree, pgno, i);
			break;
		}
		subtree_walk(w, tree, node.child, depth - 1, numbers, each);
		before = node;
	}
out:
	free(page);
}

static void tree_walk(
    struct pages *w, const char *name, const struct tree *tree, bool numbers, leaf_fn *each)
{
	w->found = (struct tree){ 0 };
	if (tree->root == NO_PAGE && tree->depth == 0 && tree->entries == 0)
		return;
	if (tree->depth == 0 || tree->depth > DEPTH_MAX) {
		fault(w, "%s: its depth is damaged", name);
		return;
	}
	uint64_t before = w->faults;
	subtree_walk(w, name, tree->root, tree->depth, numbers, each);
	if (w->faults == before &&
	    (w->found.entries != tree->entries || w->found.leaf != tree->leaf ||
		w->found.branch != tree->branch || w->found.overflow != tree->overflow))
		fault(w, "%s: it holds %" PRIu64 " entries where its head counts %" PRIu64, name,
		    w->found.entries, tree->entries);
}

/* ---- the two trees of a head page ------------------------------------------ */

/* One list of free pages: a count, then page numbers. */
static void free_entry(struct pages *w, const char *tree, const struct node *node, uint64_t pgno)
{
	size_t len = node->data_len;
	struct errmsg why = ERRMSG_INIT;

	if (len > 8 * (w->last_pgno + 2))
		len = 0; /* more than there are pages: named below */
	uint8_t *list = room(w, len + 1);
	if (list == NULL)
		return;
	if ((node->flags & NODE_BIGDATA) == 0)
		memcpy(list, node->data, len);
	else if (read_at(w->fd, get64(node->data) * w->page_bytes + PAGE_HEAD_BYTES, list, len,
		     &why) != RC_OK)
		len = 0;
	uint64_t n = len >= 8 ? get64(list) : 0;
	if (len < 8 || n > (len - 8) / 8)
		fault(w, "%s: page %" PRIu64 " is damaged: a list of free pages", tree, pgno);
	else
		for (uint64_t i = 0; i < n; i++) {
			if (!take_pages(w, tree, get64(list + 8 + 8 * i), 1))
				break;
		}
	free(list);
}

struct named {
	char name[16];
	struct tree tree;
};

/* Databases found in the main tree; the walk is single-threaded per check. */
struct main_walk {
	struct pages pages; /* first: the callbacks get its address */
	struct named dbs[DB_COUNT + 8];
	size_t dbs_len;
};

static void main_entry(struct pages *w, const char *tree, const struct node *node, uint64_t pgno)
{
	struct main_walk *m = (struct main_walk *)(void *)w;

	if ((node->flags & NODE_SUBDATA) == 0 || node->data_len != TREE_BYTES ||
	    node->key_len >= sizeof(m->dbs[0].name) ||
	    m->dbs_len >= sizeof(m->dbs) / sizeof(m->dbs[0])) {
		fault(w, "%s: page %" PRIu64 " is damaged: a database's head", tree, pgno);
		return;
	}
	struct named *db = &m->dbs[m->dbs_len++];
	memcpy(db->name, node->key, node->key_len);
	db->tree = tree_parse(node->data);
}

static void walk_all(struct main_walk *m, const struct meta *meta)
{
	struct pages *w = &m->pages;

	tree_walk(w, "main", &meta->main, false, main_entry);
	for (size_t i = 0; i < m->dbs_len; i++)
		tree_walk(w, m->dbs[i].name, &m->dbs[i].tree, false, NULL);
	tree_walk(w, "free", &meta->free, true, free_entry);
}

/* The head page of the transaction's snapshot: at most two commits may have
 * happened since it began, or the head is overwritten: begin again. */
static bool meta_of_txn(int fd, size_t page_bytes, uint64_t txnid, struct meta *out)
{
	uint8_t page[PAGE_HEAD_BYTES + META_BYTES];

	for (unsigned i = 0; i < 2; i++) {
		if (read_at(fd, i * page_bytes, page, sizeof(page), NULL) == RC_OK &&
		    meta_parse(page, out) && out->txnid == txnid)
			return true;
	}
	return false;
}

enum rc store_pages_check(
    struct store *store, store_fault_fn *report, void *ctx, uint64_t *pages, struct errmsg *why)
{
	struct main_walk m = {
		.pages = { .page_bytes = store->page_bytes, .report = report, .ctx = ctx }
	};
	struct meta meta = { 0 };
	MDB_txn *txn = NULL;
	bool found = false;

	if (mdb_env_get_fd(store->env, &m.pages.fd) != 0)
		return RC_BUG;
	for (int i = 0; i < META_TRIES && !found; i++) {
		if (txn != NULL)
			store_read_end(store, txn);
		enum rc rc = store_read_begin(store, &txn, why);
		if (rc != RC_OK)
			return rc;
		found = meta_of_txn(m.pages.fd, store->page_bytes, mdb_txn_id(txn), &meta);
	}
	enum rc rc = RC_OK;
	m.pages.last_pgno = meta.last_pgno;
	if (!found)
		fault(&m.pages, "data.mdb: no head page belongs to the current state");
	else if ((m.pages.used = calloc(1, meta.last_pgno / 8 + 1)) == NULL)
		m.pages.rc = RC_NOMEM;
	else
		walk_all(&m, &meta);
	if (m.pages.rc != RC_OK)
		rc = errmsg_rc(why, m.pages.rc, "no memory to check data.mdb");
	store_read_end(store, txn);
	free(m.pages.used);
	*pages = m.pages.read;
	return rc;
}
