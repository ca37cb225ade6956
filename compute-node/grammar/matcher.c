/* Matcher: places, steps between them, bitmaps of tokens. */
#include "grammar/matcher.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"
#include "grammar/automaton.h"
#include "grammar/vocab.h"

#define PLACES_MAX 1024u
#define OPTIONS_ALL_MAX 16384u /* of all places */
#define FRAMES_MAX 8192u
#define BUCKETS 4096u /* a power of two: of places, of frames */
#define SEEN_MAX (2 * MATCHER_OPTIONS_MAX)
#define SEEN_INDEX_BITS 12
#define SEEN_SLOTS 2048u /* a power of two, well above SEEN_MAX */
#define BITMAPS 12u
#define WORK_MAX 100000u /* options that one bitmap looks at */
#define WORD_BITS 64u

/* Steps: not tried yet, no way on, else a place. */
#define STEP_NEW 0u
#define STEP_DEAD 1u
#define STEP_PLACE 2u

/* Where to go on behind a call.  Frame 0 is the bottom. */
struct frame {
	uint16_t back; /* state */
	uint16_t parent;
	uint16_t depth;
	uint16_t chain; /* next of the bucket */
};

struct option {
	uint16_t state, frame;
};

struct place {
	uint32_t first; /* of options */
	uint16_t n;
	uint16_t chain;
	bool accepts, goes_on;
};

struct matcher {
	struct automaton *automaton;
	const struct vocab *vocab;
	size_t words, bytes;
	uint16_t here;
	bool full; /* something did not fit: forget and try again */

	struct option options[OPTIONS_ALL_MAX];
	struct place places[PLACES_MAX];
	uint16_t steps[PLACES_MAX][UINT8_MAX + 1];
	struct frame frames[FRAMES_MAX];
	uint16_t place_buckets[BUCKETS], frame_buckets[BUCKETS]; /* index + 1; 0: empty */
	uint32_t n_options, n_places, n_frames;

	struct option seen[SEEN_MAX]; /* of the place being made */
	size_t n_seen;
	uint32_t seen_slots[SEEN_SLOTS]; /* round of the place << 12 | index in `seen` */
	uint32_t round;

	/* Of the bitmap being made: steps that it took, found before or not, and what they
	 * cost, so that where it is cut short does not depend on what is remembered. */
	uint64_t touched[PLACES_MAX][(UINT8_MAX + 1) / WORD_BITS];
	uint32_t work;
	uint16_t moved[FRAMES_MAX]; /* while forgetting: a frame's new number */
	uint16_t path[VOCAB_TOKEN_BYTES_MAX + 1];

	uint16_t bitmap_place[BITMAPS]; /* + 1; 0: empty */
	unsigned next_bitmap;
	uint64_t bitmaps[]; /* [BITMAPS][words] */
};

/* ---- frames and places ---- */

static uint32_t mix(uint32_t h, uint32_t value)
{
	h = (h ^ value) * UINT32_C(0x9E3779B1);
	return h ^ h >> 15;
}

static uint16_t frame_of(struct matcher *m, uint16_t back, uint16_t parent)
{
	uint32_t bucket = mix(mix(0, back), parent) & (BUCKETS - 1);

	for (uint16_t at = m->frame_buckets[bucket]; at != 0; at = m->frames[at - 1].chain) {
		if (m->frames[at - 1].back == back && m->frames[at - 1].parent == parent)
			return (uint16_t)(at - 1);
	}
	if (m->n_frames == FRAMES_MAX) {
		m->full = true;
		return 0;
	}
	m->frames[m->n_frames] = (struct frame){ .back = back,
		.parent = parent,
		.depth = (uint16_t)(m->frames[parent].depth + 1),
		.chain = m->frame_buckets[bucket] };
	m->frame_buckets[bucket] = (uint16_t)++m->n_frames;
	return (uint16_t)(m->n_frames - 1);
}

/* Note an option of the place being made, unless it leads nowhere within the depth. */
static void see(struct matcher *m, uint16_t state, uint16_t frame)
{
	if (m->frames[frame].depth + m->automaton->states[state].need > AUTOMATON_DEPTH_MAX)
		return;
	uint32_t slot = mix(mix(0, state), frame) & (SEEN_SLOTS - 1);
	for (; m->seen_slots[slot] >> SEEN_INDEX_BITS == m->round;
	     slot = (slot + 1) & (SEEN_SLOTS - 1)) {
		const struct option *have =
		    &m->seen[m->seen_slots[slot] & ((1u << SEEN_INDEX_BITS) - 1)];

		if (have->state == state && have->frame == frame)
			return;
	}
	if (m->n_seen == SEEN_MAX)
		return;
	m->seen_slots[slot] = m->round << SEEN_INDEX_BITS | (uint32_t)m->n_seen;
	m->seen[m->n_seen++] = (struct option){ state, frame };
}

/* An empty list of options; the slots of old ones are told by their round. */
static void see_nothing(struct matcher *m)
{
	m->n_seen = 0;
	if (++m->round == 1u << (32 - SEEN_INDEX_BITS)) {
		memset(m->seen_slots, 0, sizeof(m->seen_slots));
		m->round = 1;
	}
}

/* Follow what takes no byte; the list grows while it is walked. */
static void close_over(struct matcher *m)
{
	const struct automaton *automaton = m->automaton;

	for (size_t i = 0; i < m->n_seen; i++) {
		struct option at = m->seen[i];
		const struct state *state = &automaton->states[at.state];
		unsigned depth = m->frames[at.frame].depth;

		for (uint32_t e = state->first; e < state->first + state->n; e++) {
			const struct edge *edge = &automaton->edges[e];

			if (edge->kind == EDGE_EMPTY)
				see(m, edge->to, at.frame);
			else if (edge->kind == EDGE_CALL &&
				 depth + 1 + automaton->states[edge->callee].need <=
				     AUTOMATON_DEPTH_MAX &&
				 depth + automaton->states[edge->to].need <= AUTOMATON_DEPTH_MAX)
				see(m, edge->callee, frame_of(m, edge->to, at.frame));
		}
		if (state->final && at.frame != 0)
			see(m, m->frames[at.frame].back, m->frames[at.frame].parent);
	}
}

static bool takes_bytes(const struct automaton *automaton, uint16_t state)
{
	const struct state *s = &automaton->states[state];

	for (uint32_t e = s->first; e < s->first + s->n; e++) {
		if (automaton->edges[e].kind == EDGE_BYTES)
			return true;
	}
	return false;
}

/* Of the options seen those that take a byte or end the answer. */
static size_t keep_useful(struct matcher *m, bool *accepts)
{
	size_t kept = 0;

	*accepts = false;
	for (size_t i = 0; i < m->n_seen; i++) {
		struct option at = m->seen[i];

		if (m->automaton->states[at.state].final && at.frame == 0)
			*accepts = true;
		if (kept < MATCHER_OPTIONS_MAX && takes_bytes(m->automaton, at.state))
			m->seen[kept++] = at;
	}
	return kept;
}

static uint16_t *place_bucket(struct matcher *m, size_t n, bool accepts)
{
	uint32_t h = accepts;

	for (size_t i = 0; i < n; i++)
		h = mix(mix(h, m->seen[i].state), m->seen[i].frame);
	return &m->place_buckets[h & (BUCKETS - 1)];
}

/* The place that was seen, as a step there; STEP_NEW: it did not fit. */
static uint16_t place_of(struct matcher *m)
{
	bool accepts;
	size_t n = keep_useful(m, &accepts);
	uint16_t *bucket = place_bucket(m, n, accepts);

	if (m->full)
		return STEP_NEW;
	if (n == 0 && !accepts)
		return STEP_DEAD;
	for (uint16_t at = *bucket; at != 0; at = m->places[at - 1].chain) {
		const struct place *place = &m->places[at - 1];

		if (place->n == n && place->accepts == accepts &&
		    memcmp(&m->options[place->first], m->seen, n * sizeof(m->seen[0])) == 0)
			return (uint16_t)(at - 1 + STEP_PLACE);
	}
	if (m->n_places == PLACES_MAX || m->n_options + n > OPTIONS_ALL_MAX) {
		m->full = true;
		return STEP_NEW;
	}
	m->places[m->n_places] = (struct place){ .first = m->n_options,
		.n = (uint16_t)n,
		.chain = *bucket,
		.accepts = accepts,
		.goes_on = n > 0 };
	memcpy(&m->options[m->n_options], m->seen, n * sizeof(m->seen[0]));
	memset(m->steps[m->n_places], 0, sizeof(m->steps[0]));
	m->n_options += (uint32_t)n;
	*bucket = (uint16_t)++m->n_places;
	return (uint16_t)(m->n_places - 1 + STEP_PLACE);
}

static uint16_t take_step(struct matcher *m, uint16_t from, uint8_t byte)
{
	const struct place *place = &m->places[from];

	see_nothing(m);
	for (size_t i = 0; i < place->n; i++) {
		struct option at = m->options[place->first + i];
		const struct state *state = &m->automaton->states[at.state];

		for (uint32_t e = state->first; e < state->first + state->n; e++) {
			const struct edge *edge = &m->automaton->edges[e];

			if (edge->kind == EDGE_BYTES && edge->lo <= byte && byte <= edge->hi)
				see(m, edge->to, at.frame);
		}
	}
	close_over(m);
	return place_of(m);
}

static uint16_t step(struct matcher *m, uint16_t from, uint8_t byte)
{
	uint16_t to = m->steps[from][byte];

	if (to == STEP_NEW && !m->full)
		to = m->steps[from][byte] = take_step(m, from, byte);
	return to;
}

/* ---- forgetting ---- */

static void forget_all(struct matcher *m)
{
	m->n_options = m->n_places = 0;
	m->n_frames = 1;
	m->frames[0] = (struct frame){ .depth = 0 };
	memset(m->place_buckets, 0, sizeof(m->place_buckets));
	memset(m->frame_buckets, 0, sizeof(m->frame_buckets));
	memset(m->bitmap_place, 0, sizeof(m->bitmap_place));
	m->full = false;
}

/* Keep the place `m->here` alone, with its frames in the order they have. */
static void forget_but_here(struct matcher *m)
{
	struct place here = m->places[m->here];
	uint32_t n_frames = m->n_frames;

	memmove(m->seen, &m->options[here.first], here.n * sizeof(m->seen[0]));
	m->n_seen = here.n;
	memset(m->moved, 0, n_frames * sizeof(m->moved[0]));
	for (size_t i = 0; i < m->n_seen; i++) {
		for (uint16_t f = m->seen[i].frame; f != 0 && m->moved[f] == 0;
		     f = m->frames[f].parent)
			m->moved[f] = 1;
	}
	forget_all(m);
	/* A parent is older than its frames, so it has moved already. */
	for (uint16_t f = 1; f < n_frames; f++) {
		if (m->moved[f] != 0) {
			struct frame old = m->frames[f];

			m->moved[f] = frame_of(m, old.back, m->moved[old.parent]);
		}
	}
	for (size_t i = 0; i < m->n_seen; i++)
		m->seen[i].frame = m->moved[m->seen[i].frame];
	m->options[0] = (struct option){ 0 };
	m->places[0] =
	    (struct place){ .n = here.n, .accepts = here.accepts, .goes_on = here.goes_on };
	memcpy(m->options, m->seen, here.n * sizeof(m->seen[0]));
	memset(m->steps[0], 0, sizeof(m->steps[0]));
	*place_bucket(m, here.n, here.accepts) = 1;
	m->n_options = here.n;
	m->n_places = 1;
	m->here = 0;
}

/* ---- life ---- */

static size_t words_of(size_t n_vocab)
{
	return (n_vocab + WORD_BITS - 1) / WORD_BITS;
}

size_t matcher_bytes(size_t n_vocab)
{
	return sizeof(struct matcher) + BITMAPS * words_of(n_vocab) * sizeof(uint64_t);
}

/* The first place, with nothing remembered; false: there is none. */
static bool begin(struct matcher *m)
{
	forget_all(m);
	see_nothing(m);
	see(m, m->automaton->start, 0);
	close_over(m);
	m->here = 0;
	return place_of(m) == STEP_PLACE;
}

enum rc matcher_new(
    struct automaton *automaton_take, const struct vocab *vocab, struct matcher **out)
{
	size_t bytes = matcher_bytes(vocab->n_vocab);
	struct matcher *m = calloc(1, bytes);

	if (m == NULL)
		return RC_NOMEM;
	m->automaton = automaton_take;
	m->vocab = vocab;
	m->words = words_of(vocab->n_vocab);
	m->bytes = bytes;
	/* What takes a byte can stand behind more choices than are kept. */
	if (!begin(m)) {
		m->automaton = NULL;
		matcher_free(m);
		return RC_LIMIT;
	}
	*out = m;
	return RC_OK;
}

void matcher_free(struct matcher *m)
{
	if (m == NULL)
		return;
	automaton_free(m->automaton);
	wipe(m, m->bytes);
	free(m);
}

void matcher_restart(struct matcher *m)
{
	/* There was a first place, and what it is made of has not changed. */
	bool is = begin(m);

	assert(is);
	(void)is;
}

/* ---- tokens ---- */

static uint16_t walk(struct matcher *m, const uint8_t *bytes, size_t len)
{
	uint16_t at = m->here;

	for (size_t i = 0; i < len; i++) {
		uint16_t to = step(m, at, bytes[i]);

		if (to < STEP_PLACE)
			return to;
		at = (uint16_t)(to - STEP_PLACE);
	}
	return (uint16_t)(at + STEP_PLACE);
}

bool matcher_push_bytes(struct matcher *m, const uint8_t *bytes, size_t len)
{
	uint16_t to = walk(m, bytes, len);

	if (m->full) {
		forget_but_here(m);
		to = walk(m, bytes, len);
		m->full = false;
	}
	if (to < STEP_PLACE)
		return false;
	m->here = (uint16_t)(to - STEP_PLACE);
	return true;
}

bool matcher_push(struct matcher *m, int32_t token)
{
	uint8_t text[VOCAB_TOKEN_BYTES_MAX];
	size_t len = vocab_text(m->vocab->tokenizer, token, text);

	return len > 0 && matcher_push_bytes(m, text, len);
}

static void set_bit(uint64_t *bitmap, int32_t id)
{
	bitmap[(uint32_t)id / WORD_BITS] |= UINT64_C(1) << (uint32_t)id % WORD_BITS;
}

/* A step of a bitmap: each counts once, by the options that it starts from; past
 * WORK_MAX there are no more. */
static uint16_t counted_step(struct matcher *m, uint16_t from, uint8_t byte)
{
	uint64_t *word = &m->touched[from][byte / WORD_BITS], bit = UINT64_C(1) << byte % WORD_BITS;

	if ((*word & bit) == 0) {
		if (m->work > WORK_MAX)
			return STEP_DEAD;
		*word |= bit;
		m->work += m->places[from].n;
	}
	return step(m, from, byte);
}

/* Tokens in the order of their bytes: what follows a dead prefix is passed over.  `whole`:
 * give up as soon as something does not fit. */
static void fill(struct matcher *m, uint64_t *bitmap, bool whole)
{
	const struct vocab *vocab = m->vocab;
	const uint8_t *bytes = vocab->bytes;
	unsigned alive = 0; /* bytes of the token before that have a place */

	memset(bitmap, 0, m->words * sizeof(bitmap[0]));
	memset(m->touched, 0, sizeof(m->touched));
	m->work = 0;
	m->path[0] = m->here;
	for (size_t i = 0; i < vocab->n; bytes += vocab->rest[i], i++) {
		unsigned depth = vocab->common[i], end = depth + vocab->rest[i];

		if (whole && m->full)
			return;
		if (depth > alive)
			continue;
		for (; depth < end; depth++) {
			uint16_t to =
			    counted_step(m, m->path[depth], bytes[depth - vocab->common[i]]);

			if (to < STEP_PLACE)
				break;
			m->path[depth + 1] = (uint16_t)(to - STEP_PLACE);
		}
		alive = depth;
		if (depth == end)
			set_bit(bitmap, vocab->ids[i]);
	}
	for (size_t i = 0; matcher_accepts(m) && i < vocab->n_ends; i++)
		set_bit(bitmap, vocab->ends[i]);
}

const uint64_t *matcher_allowed(struct matcher *m)
{
	for (unsigned i = 0; i < BITMAPS; i++) {
		if (m->bitmap_place[i] == m->here + 1)
			return m->bitmaps + i * m->words;
	}
	unsigned slot = m->next_bitmap;
	uint64_t *bitmap = m->bitmaps + slot * m->words;

	m->bitmap_place[slot] = 0;
	fill(m, bitmap, true);
	if (m->full) {
		/* From here on it depends on this place alone: what does not fit now is
		 * not allowed, in each run of this answer. */
		forget_but_here(m);
		fill(m, bitmap, false);
		m->full = false;
	}
	m->bitmap_place[slot] = (uint16_t)(m->here + 1);
	m->next_bitmap = (slot + 1) % BITMAPS;
	return bitmap;
}

static size_t blanks_of(const uint8_t *text, size_t len)
{
	size_t n = 0;

	while (n < len && memchr(" \n\r\t", text[n], 4) != NULL)
		n++;
	return n;
}

/* Of tokens that begin with `front` those that do not fit.  Where `front` is part of the answer
 * (`from` 0) blanks may stand before it, and are not. */
static void clear_behind(
    struct matcher *m, const uint8_t *front, size_t len, size_t from, uint64_t *bitmap)
{
	const struct vocab *vocab = m->vocab;
	const uint8_t *bytes = vocab->bytes;
	uint8_t text[VOCAB_TOKEN_BYTES_MAX];

	memset(bitmap, UINT8_MAX, m->words * sizeof(bitmap[0]));
	for (size_t i = 0; i < vocab->n && !m->full; bytes += vocab->rest[i], i++) {
		size_t n = (size_t)vocab->common[i] + vocab->rest[i];

		memcpy(text + vocab->common[i], bytes, vocab->rest[i]);
		size_t gap = from == 0 ? blanks_of(text, n) : 0;
		if (n - gap > len && memcmp(text + gap, front, len) == 0 &&
		    walk(m, text + gap + from, n - gap - from) < STEP_PLACE)
			bitmap[(uint32_t)vocab->ids[i] / WORD_BITS] &=
			    ~(UINT64_C(1) << (uint32_t)vocab->ids[i] % WORD_BITS);
	}
}

const uint64_t *matcher_allowed_behind(struct matcher *m, const char *front, size_t len, bool whole)
{
	uint64_t *bitmap = m->bitmaps + m->next_bitmap * m->words;
	const size_t from = whole ? 0 : len;

	m->bitmap_place[m->next_bitmap] = 0;
	clear_behind(m, (const uint8_t *)front, len, from, bitmap);
	if (m->full) {
		forget_but_here(m);
		clear_behind(m, (const uint8_t *)front, len, from, bitmap);
		m->full = false;
	}
	return bitmap;
}

bool matcher_accepts(const struct matcher *m)
{
	return m->places[m->here].accepts;
}

bool matcher_over(const struct matcher *m)
{
	return m->places[m->here].accepts && !m->places[m->here].goes_on;
}
