/* The book: read from the log, kept up with it, asked. */
#include "memory/book.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "memory/book_write.h"
#include "memory/fact_words.h"
#include "store/store_forget.h"
#include "store/store_memory.h"

#define BOOK_BYTES_MAX ((size_t)256 << 20)
#define RECORD_BYTES_MAX (2 * OBS_RECORD_BYTES_MAX)
#define DRAFT_BYTES_MAX ((size_t)64 << 20)
#define ENTRIES_FIRST 64
/* Between looks at what could not be read: the first time, and twice as long each time until: */
#define RETRY_NS_MIN NS_PER_S
#define RETRY_NS_MAX (600 * NS_PER_S)

struct book {
	struct store *store;
	pthread_mutex_t mutex; /* all below */
	struct stemmer *stemmer;
	struct arena arena;         /* what entries point to */
	struct book_entry *entries; /* [len] by number */
	size_t len, cap;
	uint64_t number;   /* records read so far */
	uint64_t cursor;   /* of the store, when that was */
	uint64_t rewrites; /* likewise */
	bool read;
	size_t unread; /* records that could not be read, as of `read_mono_ns` */
	int64_t read_mono_ns;
	int64_t retry_ns; /* from then on, until they are tried again */
	uint64_t told;    /* the last of them that the log has: they come in order */
	unsigned holds;   /* book_hold() */
};

enum rc book_open(struct store *store, struct book **out, struct errmsg *why)
{
	struct book *book = calloc(1, sizeof *book);

	if (book == NULL || stemmer_new(&book->stemmer) != RC_OK) {
		free(book);
		return errmsg_rc(why, RC_NOMEM, "no memory for the book of facts");
	}
	book->store = store;
	pthread_mutex_init(&book->mutex, NULL);
	arena_init(&book->arena, BOOK_BYTES_MAX);
	*out = book;
	return RC_OK;
}

void book_close(struct book *book)
{
	if (book == NULL)
		return;
	pthread_mutex_destroy(&book->mutex);
	arena_fini(&book->arena);
	stemmer_free(book->stemmer);
	free(book->entries);
	free(book);
}

bool book_entry_holds(const struct book_entry *entry, int64_t at_ns)
{
	return entry->state != FACT_STATE_PROPOSED && entry->state != FACT_STATE_REFUSED &&
	       entry->from_ns <= at_ns && at_ns < entry->to_ns;
}

/* ---- records to entries ------------------------------------------------------------- */

enum rc book_keys(
    const struct fact *fact, struct arena *arena, const char **text_key, const char **slot_key)
{
	const char *subject = fact_fold(fact->subject, arena);
	const char *text = fact_fold(fact->text, arena);
	const char *attribute = fact_fold(fact->attribute, arena);

	if (subject == NULL || text == NULL || attribute == NULL)
		return RC_NOMEM;
	*text_key = arena_printf(arena, "%d\n%s\n%s", (int)fact->class, subject, text);
	*slot_key = attribute[0] == '\0'
			? ""
			: arena_printf(arena, "%d\n%s\n%s", (int)fact->class, subject, attribute);
	return *text_key == NULL || *slot_key == NULL ? RC_NOMEM : RC_OK;
}

static enum rc room_for_one(struct book *book)
{
	if (book->len < book->cap)
		return RC_OK;
	size_t cap = book->cap == 0 ? ENTRIES_FIRST : 2 * book->cap;
	struct book_entry *entries = realloc(book->entries, cap * sizeof *entries);
	if (entries == NULL)
		return RC_NOMEM;
	book->entries = entries;
	book->cap = cap;
	return RC_OK;
}

/* What a question is held against. */
static enum rc read_words(struct book *book, struct book_entry *entry)
{
	const char *const texts[] = { entry->fact.subject, entry->fact.attribute,
		entry->fact.text };
	uint32_t words[FACT_WORDS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		n = fact_words(book->stemmer, texts[i], strlen(texts[i]), words, n);
	uint32_t *kept = arena_array(&book->arena, n, sizeof *kept);
	if (kept == NULL || stemmer_failed(book->stemmer))
		return RC_NOMEM;
	if (n > 0)
		memcpy(kept, words, n * sizeof *kept);
	entry->words = kept;
	entry->words_len = n;
	return RC_OK;
}

static enum rc take_fact(struct book *book, const struct observation *obs)
{
	struct book_entry entry = { .state = FACT_STATE_HOLDS };

	enum rc rc = fact_decode(obs, &book->arena, &entry.fact);
	if (rc == RC_OK)
		rc = book_keys(&entry.fact, &book->arena, &entry.text_key, &entry.slot_key);
	if (rc == RC_OK)
		rc = read_words(book, &entry);
	if (rc == RC_OK)
		rc = room_for_one(book);
	if (rc != RC_OK)
		return rc;
	entry.from_ns = entry.fact.valid_from_ns;
	entry.to_ns = entry.fact.valid_to_ns;
	if (entry.fact.proposed)
		entry.state = FACT_STATE_PROPOSED;
	memcpy(entry.obs_id, obs->obs_id, OBS_ID_BYTES);
	book->entries[book->len++] = entry;
	return RC_OK;
}

static struct book_entry *find(const struct book *book, uint64_t number)
{
	size_t low = 0, high = book->len;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (book->entries[mid].fact.number == number)
			return &book->entries[mid];
		if (book->entries[mid].fact.number < number)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* A mark whose fact was forgotten says nothing. */
static void apply_mark(struct book *book, const struct fact_mark *mark)
{
	struct book_entry *entry = find(book, mark->fact);

	if (entry == NULL)
		return;
	bool waits = entry->state == FACT_STATE_PROPOSED;
	if (waits != (mark->act == FACT_ACCEPTED || mark->act == FACT_REFUSED))
		return;
	switch (mark->act) {
	case FACT_ENDED:
	case FACT_SUPERSEDED:
		entry->state = mark->act == FACT_ENDED ? FACT_STATE_ENDED : FACT_STATE_SUPERSEDED;
		if (mark->at_ns < entry->to_ns)
			entry->to_ns = mark->at_ns;
		entry->next = mark->next;
		break;
	case FACT_ACCEPTED:
		entry->state = FACT_STATE_HOLDS;
		if (entry->from_ns == FACT_ALWAYS_FROM_NS)
			entry->from_ns = mark->at_ns;
		break;
	case FACT_REFUSED:
		entry->state = FACT_STATE_REFUSED;
		break;
	}
	entry->changed_ns = mark->marked_ns;
	entry->changed_by = mark->by;
}

static enum rc take_record(struct book *book, const struct observation *obs)
{
	struct fact_mark mark;

	if (obs->tombstone)
		return RC_OK;
	if (!observation_is_mark(obs))
		return take_fact(book, obs);
	enum rc rc = fact_mark_decode(obs, &book->arena, &mark);
	if (rc == RC_OK)
		apply_mark(book, &mark);
	return rc;
}

/* One that cannot be read is reported, once, and passed over: the others still count.  (Of a
 * follower it may be readable a moment later, with the keyring that comes.) */
static enum rc take_number(struct book *book, uint64_t number, struct errmsg *why)
{
	struct errmsg detail = ERRMSG_INIT;
	struct observation obs;
	struct arena arena;

	arena_init(&arena, RECORD_BYTES_MAX);
	enum rc rc = store_memory_get(book->store, number, &arena, &obs, &detail);
	bool there = rc != RC_NOTFOUND;
	if (rc == RC_OK)
		rc = take_record(book, &obs);
	arena_fini(&arena);
	if (there && (rc == RC_CORRUPT || rc == RC_NOTFOUND)) {
		if (number > book->told) {
			log_warn("MEMORY-RECORD", "number=%llu rc=%s", (unsigned long long)number,
			    rc_word(rc));
			book->told = number;
		}
		book->unread++;
		rc = RC_OK;
	}
	return rc == RC_OK || !there ? rc : errmsg_rc(why, rc, "%s", errmsg_text(&detail, rc));
}

static enum rc refresh(struct book *book, struct errmsg *why)
{
	uint64_t cursor = store_cursor(book->store), rewrites = store_rewrites(book->store);
	int64_t now_ns = clock_mono_ns();
	enum rc rc = RC_OK;

	bool anew = !book->read || book->rewrites != rewrites;
	bool again = !anew && book->unread > 0 && now_ns - book->read_mono_ns > book->retry_ns;
	if (!anew && !again && book->cursor == cursor)
		return RC_OK;
	if (anew || again) {
		arena_reset(&book->arena);
		book->len = 0;
		book->number = 0;
		book->read = false;
		book->unread = 0;
	}
	size_t unread = book->unread;
	while (rc == RC_OK) {
		rc = take_number(book, book->number + 1, why);
		book->number += rc == RC_OK;
	}
	if (book->unread > unread) {
		int64_t longer_ns = 2 * book->retry_ns;
		book->read_mono_ns = now_ns;
		book->retry_ns = !again                     ? RETRY_NS_MIN
				 : longer_ns < RETRY_NS_MAX ? longer_ns
							    : RETRY_NS_MAX;
	}
	if (rc != RC_NOTFOUND) {
		book->read = false; /* from the beginning, the next time */
		return rc;
	}
	book->read = true;
	book->cursor = cursor;
	book->rewrites = rewrites;
	return RC_OK;
}

enum rc book_refresh(struct book *book, struct errmsg *why)
{
	pthread_mutex_lock(&book->mutex);
	enum rc rc = refresh(book, why);
	pthread_mutex_unlock(&book->mutex);
	return rc;
}

void book_hold(struct book *book)
{
	pthread_mutex_lock(&book->mutex);
	book->holds++;
	pthread_mutex_unlock(&book->mutex);
}

void book_release(struct book *book)
{
	pthread_mutex_lock(&book->mutex);
	book->holds--;
	pthread_mutex_unlock(&book->mutex);
}

/* ---- asking -------------------------------------------------------------------------- */

static bool wanted(const struct book_query *query, const struct book_entry *entry)
{
	return (!query->holds || book_entry_holds(entry, query->at_ns)) &&
	       (!query->proposals || entry->state == FACT_STATE_PROPOSED) &&
	       !(query->decided &&
		   (entry->state == FACT_STATE_PROPOSED || entry->state == FACT_STATE_REFUSED)) &&
	       (query->number == 0 || entry->fact.number == query->number);
}

static int by_order(const void *a, const void *b)
{
	const struct book_entry *x = a, *y = b;

	if (x->fact.class != y->fact.class)
		return x->fact.class < y->fact.class ? -1 : 1;
	int order = strcmp(x->fact.subject, y->fact.subject);
	if (order != 0)
		return order;
	return x->fact.number < y->fact.number ? -1 : x->fact.number > y->fact.number;
}

/* Of its own, in `arena`. */
static enum rc copy(const struct book_entry *entry, struct arena *arena, struct book_entry *out)
{
	const struct fact *fact = &entry->fact;

	*out = *entry;
	out->fact.subject = arena_strdup(arena, fact->subject);
	out->fact.attribute = arena_strdup(arena, fact->attribute);
	out->fact.text = arena_strdup(arena, fact->text);
	out->fact.who = arena_strdup(arena, fact->who);
	out->text_key = arena_strdup(arena, entry->text_key);
	out->slot_key = arena_strdup(arena, entry->slot_key);
	uint8_t(*about)[OBS_ID_BYTES] = arena_array(arena, fact->about_len, sizeof *about);
	uint32_t *words = arena_array(arena, entry->words_len, sizeof *words);
	if (words == NULL || out->fact.subject == NULL || out->fact.attribute == NULL ||
	    out->fact.text == NULL || out->fact.who == NULL || out->text_key == NULL ||
	    out->slot_key == NULL || about == NULL)
		return RC_NOMEM;
	if (fact->about_len > 0)
		memcpy(about, fact->about, fact->about_len * sizeof *about);
	if (entry->words_len > 0)
		memcpy(words, entry->words, entry->words_len * sizeof *words);
	out->words = words;
	out->fact.about = (const uint8_t(*)[OBS_ID_BYTES])about;
	return RC_OK;
}

static enum rc read_view(const struct book *book, const struct book_query *query,
    struct arena *arena, struct book_view *out)
{
	size_t n = 0;

	for (size_t i = 0; i < book->len; i++)
		n += wanted(query, &book->entries[i]);
	struct book_entry *entries = arena_array(arena, n, sizeof *entries);
	if (entries == NULL)
		return RC_NOMEM;
	n = 0;
	for (size_t i = 0; i < book->len; i++) {
		if (!wanted(query, &book->entries[i]))
			continue;
		enum rc rc = copy(&book->entries[i], arena, &entries[n++]);
		if (rc != RC_OK)
			return rc;
	}
	qsort(entries, n, sizeof *entries, by_order);
	*out = (struct book_view){ .entries = entries, .len = n, .number = book->number };
	return RC_OK;
}

enum rc book_read(struct book *book, const struct book_query *query, struct arena *arena,
    struct book_view *out, struct errmsg *why)
{
	pthread_mutex_lock(&book->mutex);
	enum rc rc = refresh(book, why);
	if (rc == RC_OK)
		rc = read_view(book, query, arena, out);
	pthread_mutex_unlock(&book->mutex);
	return rc == RC_NOMEM ? errmsg_rc(why, rc, "no memory for what is known") : rc;
}

enum rc book_get_stats(
    struct book *book, int64_t now_ns, struct book_stats *out, struct errmsg *why)
{
	struct book_stats stats = { 0 };

	pthread_mutex_lock(&book->mutex);
	enum rc rc = refresh(book, why);
	for (size_t i = 0; rc == RC_OK && i < book->len; i++) {
		stats.holds += book_entry_holds(&book->entries[i], now_ns);
		stats.proposals += book->entries[i].state == FACT_STATE_PROPOSED;
	}
	stats.records = book->number;
	pthread_mutex_unlock(&book->mutex);
	if (rc == RC_OK)
		*out = stats;
	return rc;
}

/* ---- writing -------------------------------------------------------------------------- */

const struct book_entry *book_entries(const struct book *book, size_t *len)
{
	*len = book->len;
	return book->entries;
}

const struct book_entry *book_find(const struct book *book, uint64_t number)
{
	return find(book, number);
}

struct store *book_store(struct book *book)
{
	return book->store;
}

enum rc book_write_begin(struct book *book, struct book_draft *draft, struct errmsg *why)
{
	pthread_mutex_lock(&book->mutex);
	enum rc rc = book->holds == 0 ? refresh(book, why)
				      : errmsg_rc(why, RC_BUSY,
					    "something is being forgotten: try again once it is");
	if (rc != RC_OK) {
		pthread_mutex_unlock(&book->mutex);
		return rc;
	}
	*draft = (struct book_draft){ .next_number = book->number + 1 };
	arena_init(&draft->arena, DRAFT_BYTES_MAX);
	return RC_OK;
}

enum rc book_write_end(struct book *book, struct book_draft *draft, bool keep, struct errmsg *why)
{
	enum rc rc = RC_OK;

	if (keep && draft->len > 0)
		rc = store_append(book->store, draft->obs, draft->len, NULL, NULL, why);
	pthread_mutex_unlock(&book->mutex);
	free(draft->obs);
	arena_fini(&draft->arena);
	return rc;
}

static enum rc draft_room(struct book_draft *draft)
{
	if (draft->next_number > BOOK_RECORDS_MAX)
		return RC_LIMIT;
	if (draft->len < draft->cap)
		return RC_OK;
	size_t cap = draft->cap == 0 ? ENTRIES_FIRST : 2 * draft->cap;
	struct observation *obs = realloc(draft->obs, cap * sizeof *obs);
	if (obs == NULL)
		return RC_NOMEM;
	draft->obs = obs;
	draft->cap = cap;
	return RC_OK;
}

enum rc book_draft_fact(struct book_draft *draft, const struct fact *fact, uint64_t *number)
{
	struct fact numbered = *fact;

	numbered.number = draft->next_number;
	enum rc rc = draft_room(draft);
	if (rc == RC_OK)
		rc = fact_encode(&numbered, &draft->arena, &draft->obs[draft->len]);
	if (rc != RC_OK)
		return rc;
	draft->len++;
	*number = draft->next_number++;
	return RC_OK;
}

enum rc book_draft_mark(struct book_draft *draft, const struct fact_mark *mark)
{
	struct fact_mark numbered = *mark;

	numbered.number = draft->next_number;
	enum rc rc = draft_room(draft);
	if (rc == RC_OK)
		rc = fact_mark_encode(&numbered, &draft->arena, &draft->obs[draft->len]);
	if (rc != RC_OK)
		return rc;
	draft->len++;
	draft->next_number++;
	return RC_OK;
}
