/* Automaton: its builder, and how deep each state has to call. */
#include "grammar/automaton.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "base/wipe.h"

#define CONTINUATION_MIN 0x80u
#define CONTINUATION_MAX 0xBFu
#define SURROGATE_MIN 0xD800u
#define SURROGATE_MAX 0xDFFFu
#define CODE_POINT_MAX 0x10FFFFu
#define NOWHERE UINT32_MAX

struct builder {
	uint32_t n_states, n_edges;
	bool full;
	bool final[AUTOMATON_STATES_MAX];
	uint16_t from[AUTOMATON_EDGES_MAX];
	struct edge edges[AUTOMATON_EDGES_MAX];
};

enum rc builder_new(struct builder **out)
{
	*out = calloc(1, sizeof(**out));
	return *out == NULL ? RC_NOMEM : RC_OK;
}

void builder_free(struct builder *builder)
{
	if (builder != NULL)
		wipe(builder->edges, builder->n_edges * sizeof(builder->edges[0]));
	free(builder);
}

enum rc builder_rc(const struct builder *builder)
{
	return builder->full ? RC_LIMIT : RC_OK;
}

uint16_t builder_state(struct builder *builder)
{
	if (builder->n_states == AUTOMATON_STATES_MAX) {
		builder->full = true;
		return 0;
	}
	return (uint16_t)builder->n_states++;
}

void builder_final(struct builder *builder, uint16_t state)
{
	builder->final[state] = true;
}

static void add(struct builder *builder, uint16_t from, struct edge edge)
{
	if (builder->n_edges == AUTOMATON_EDGES_MAX) {
		builder->full = true;
		return;
	}
	builder->from[builder->n_edges] = from;
	builder->edges[builder->n_edges++] = edge;
}

void builder_bytes(struct builder *builder, uint16_t from, uint8_t lo, uint8_t hi, uint16_t to)
{
	add(builder, from, (struct edge){ .kind = EDGE_BYTES, .lo = lo, .hi = hi, .to = to });
}

void builder_empty(struct builder *builder, uint16_t from, uint16_t to)
{
	add(builder, from, (struct edge){ .kind = EDGE_EMPTY, .to = to });
}

void builder_call(struct builder *builder, uint16_t from, uint16_t callee, uint16_t to)
{
	add(builder, from, (struct edge){ .kind = EDGE_CALL, .to = to, .callee = callee });
}

void builder_text(
    struct builder *builder, uint16_t from, const char *bytes, size_t len, uint16_t to)
{
	for (size_t i = 0; i < len; i++) {
		uint16_t next = i + 1 == len ? to : builder_state(builder);

		builder_bytes(builder, from, (uint8_t)bytes[i], (uint8_t)bytes[i], next);
		from = next;
	}
	if (len == 0)
		builder_empty(builder, from, to);
}

void builder_mark(
    struct builder *builder, uint16_t from, const char *bytes, size_t len, uint16_t to)
{
	uint16_t open = builder_state(builder), close = builder_state(builder);

	builder_text(builder, from, bytes, len, to);
	builder_bytes(builder, from, AUTOMATON_MARK_OPEN, AUTOMATON_MARK_OPEN, open);
	builder_text(builder, open, bytes, len, close);
	builder_bytes(builder, close, AUTOMATON_MARK_CLOSE, AUTOMATON_MARK_CLOSE, to);
}

/* ---- code points ---- */

static bool all_are(const uint8_t *bytes, size_t n, uint8_t byte)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] != byte)
			return false;
	}
	return true;
}

/* Sequences of `n` bytes between `a` and `b`, of one length in UTF-8. */
static void sequences(struct builder *builder, uint16_t from, const uint8_t *a, const uint8_t *b,
    size_t n, uint16_t to)
{
	static const uint8_t least[UTF8_BYTES_MAX] = { 0x80, 0x80, 0x80, 0x80 };
	static const uint8_t most[UTF8_BYTES_MAX] = { 0xBF, 0xBF, 0xBF, 0xBF };
	unsigned lo = a[0], hi = b[0];

	if (n == 1) {
		builder_bytes(builder, from, a[0], b[0], to);
		return;
	}
	if (lo == hi) {
		uint16_t next = builder_state(builder);

		builder_bytes(builder, from, a[0], a[0], next);
		sequences(builder, next, a + 1, b + 1, n - 1, to);
		return;
	}
	if (!all_are(a + 1, n - 1, CONTINUATION_MIN)) {
		uint16_t next = builder_state(builder);

		builder_bytes(builder, from, a[0], a[0], next);
		sequences(builder, next, a + 1, most, n - 1, to);
		lo++;
	}
	if (!all_are(b + 1, n - 1, CONTINUATION_MAX)) {
		uint16_t next = builder_state(builder);

		builder_bytes(builder, from, b[0], b[0], next);
		sequences(builder, next, least, b + 1, n - 1, to);
		hi--;
	}
	if (lo <= hi) {
		uint16_t next = builder_state(builder);

		builder_bytes(builder, from, (uint8_t)lo, (uint8_t)hi, next);
		sequences(builder, next, least, most, n - 1, to);
	}
}

void builder_code_points(
    struct builder *builder, uint16_t from, uint32_t lo, uint32_t hi, uint16_t to)
{
	/* Where the length changes, and where scalar values stop. */
	static const uint32_t parts[][2] = { { 0, 0x7F }, { 0x80, 0x7FF },
		{ 0x800, SURROGATE_MIN - 1 }, { SURROGATE_MAX + 1, 0xFFFF },
		{ 0x10000, CODE_POINT_MAX } };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		uint32_t first = lo > parts[i][0] ? lo : parts[i][0];
		uint32_t last = hi < parts[i][1] ? hi : parts[i][1];
		uint8_t a[UTF8_BYTES_MAX] = { 0 }, b[UTF8_BYTES_MAX] = { 0 };

		if (first > last)
			continue;
		size_t n = utf8_encode(first, a);
		(void)utf8_encode(last, b);
		sequences(builder, from, a, b, n, to);
	}
}

/* ---- need ---- */

/* Edges by what they lead to, and states by the need that was found for them. */
struct needs {
	struct automaton *automaton;
	const uint16_t *from; /* [n_edges], as in automaton->edges */
	uint32_t *into;       /* [n_states] first edge that leads or calls there */
	uint32_t *next;       /* [2 n_edges]: 2e by `to`, 2e + 1 by `callee` */
	uint32_t heads[AUTOMATON_DEPTH_MAX + 1]; /* waiting, by need */
	uint32_t *waits;                         /* [n_edges + n_states] next of the list */
	uint16_t *who;                           /* [n_edges + n_states] */
	uint32_t n_waits;
};

static void push(struct needs *needs, uint16_t state, unsigned need)
{
	if (need > AUTOMATON_DEPTH_MAX || needs->automaton->states[state].need <= need)
		return;
	needs->who[needs->n_waits] = state;
	needs->waits[needs->n_waits] = needs->heads[need];
	needs->heads[need] = needs->n_waits++;
}

/* What `edge` costs its state, once all that it leads to is known. */
static unsigned cost(const struct automaton *automaton, const struct edge *edge)
{
	unsigned need = automaton->states[edge->to].need;

	if (edge->kind == EDGE_CALL && need != AUTOMATON_NEVER) {
		unsigned callee = automaton->states[edge->callee].need;

		need = callee == AUTOMATON_NEVER ? AUTOMATON_NEVER
		       : callee + 1 > need       ? callee + 1
						 : need;
	}
	return need;
}

/* Dijkstra over a handful of values: a state is settled when it is first taken. */
static void settle(struct needs *needs)
{
	struct automaton *automaton = needs->automaton;

	for (unsigned need = 0; need <= AUTOMATON_DEPTH_MAX; need++) {
		while (needs->heads[need] != NOWHERE) {
			uint32_t at = needs->heads[need];
			struct state *state = &automaton->states[needs->who[at]];

			needs->heads[need] = needs->waits[at];
			if (state->need <= need)
				continue;
			state->need = (uint8_t)need;
			for (uint32_t e = needs->into[needs->who[at]]; e != NOWHERE;
			     e = needs->next[e])
				push(needs, needs->from[e / 2],
				    cost(automaton, &automaton->edges[e / 2]));
		}
	}
}

static void link_edges(struct needs *needs)
{
	struct automaton *automaton = needs->automaton;

	for (uint32_t i = 0; i < automaton->n_states; i++)
		needs->into[i] = NOWHERE;
	for (uint32_t e = 0; e < automaton->n_edges; e++) {
		const struct edge *edge = &automaton->edges[e];

		needs->next[2 * e] = needs->into[edge->to];
		needs->into[edge->to] = 2 * e;
		if (edge->kind != EDGE_CALL)
			continue;
		needs->next[2 * e + 1] = needs->into[edge->callee];
		needs->into[edge->callee] = 2 * e + 1;
	}
}

static enum rc find_needs(struct automaton *automaton, const uint16_t *from)
{
	/* An edge is looked at when what it leads to is settled, and when its callee is. */
	size_t n = 2 * (size_t)automaton->n_edges + automaton->n_states;
	struct needs needs = { .automaton = automaton, .from = from };
	enum rc rc = RC_NOMEM;

	needs.into = calloc(automaton->n_states, sizeof(needs.into[0]));
	needs.next = calloc(2 * (size_t)automaton->n_edges + 1, sizeof(needs.next[0]));
	needs.waits = calloc(n, sizeof(needs.waits[0]));
	needs.who = calloc(n, sizeof(needs.who[0]));
	if (needs.into != NULL && needs.next != NULL && needs.waits != NULL && needs.who != NULL) {
		for (unsigned i = 0; i <= AUTOMATON_DEPTH_MAX; i++)
			needs.heads[i] = NOWHERE;
		link_edges(&needs);
		for (uint32_t i = 0; i < automaton->n_states; i++) {
			if (automaton->states[i].final)
				push(&needs, (uint16_t)i, 0);
		}
		settle(&needs);
		rc = RC_OK;
	}
	free(needs.into);
	free(needs.next);
	free(needs.waits);
	free(needs.who);
	return rc;
}

/* ---- the whole ---- */

/* Edges in the order of their states, as they were added within one. */
static void sort_edges(const struct builder *builder, struct automaton *out, uint16_t *from)
{
	uint32_t at = 0;

	for (uint32_t e = 0; e < builder->n_edges; e++)
		out->states[builder->from[e]].n++;
	for (uint32_t i = 0; i < out->n_states; i++) {
		out->states[i].first = at;
		at += out->states[i].n;
		out->states[i].n = 0;
	}
	for (uint32_t e = 0; e < builder->n_edges; e++) {
		struct state *state = &out->states[builder->from[e]];
		uint32_t place = state->first + state->n++;

		out->edges[place] = builder->edges[e];
		from[place] = builder->from[e];
	}
}

static struct automaton *block_of(const struct builder *builder)
{
	size_t states = builder->n_states * sizeof(struct state);
	size_t edges = builder->n_edges * sizeof(struct edge);
	struct automaton *out = calloc(1, sizeof(*out) + states + edges);

	if (out == NULL)
		return NULL;
	out->bytes = sizeof(*out) + states + edges;
	out->states = (struct state *)(out + 1);
	out->edges = (struct edge *)(out->states + builder->n_states);
	out->n_states = builder->n_states;
	out->n_edges = builder->n_edges;
	return out;
}

static bool too_many_edges(const struct builder *builder, uint32_t *counts)
{
	for (uint32_t e = 0; e < builder->n_edges; e++) {
		if (++counts[builder->from[e]] > UINT16_MAX)
			return true;
	}
	return false;
}

enum rc builder_finish(
    struct builder *builder, uint16_t start, struct automaton **out, struct errmsg *why)
{
	struct automaton *automaton = NULL;
	uint16_t *from = NULL;
	uint32_t *counts = NULL;
	enum rc rc = builder_rc(builder);

	if (rc != RC_OK)
		return errmsg_rc(why, rc, "schema: it needs more than %u states or %u steps",
		    AUTOMATON_STATES_MAX, AUTOMATON_EDGES_MAX);
	automaton = block_of(builder);
	from = calloc((size_t)builder->n_edges + 1, sizeof(from[0]));
	counts = calloc((size_t)builder->n_states + 1, sizeof(counts[0]));
	if (automaton == NULL || from == NULL || counts == NULL) {
		rc = RC_NOMEM;
		goto out;
	}
	if (too_many_edges(builder, counts)) {
		rc = errmsg_rc(
		    why, RC_LIMIT, "schema: more than %u choices at one place", UINT16_MAX);
		goto out;
	}
	automaton->start = start;
	for (uint32_t i = 0; i < automaton->n_states; i++) {
		automaton->states[i].need = AUTOMATON_NEVER;
		automaton->states[i].final = builder->final[i];
	}
	sort_edges(builder, automaton, from);
	rc = find_needs(automaton, from);
	if (rc == RC_OK && automaton->states[start].need == AUTOMATON_NEVER)
		rc = errmsg_rc(why, RC_UNSUPPORTED,
		    "schema: no value is allowed that ends within %u levels", AUTOMATON_DEPTH_MAX);
out:
	free(from);
	free(counts);
	if (rc == RC_OK)
		*out = automaton;
	else
		automaton_free(automaton);
	return rc;
}

void automaton_free(struct automaton *automaton)
{
	if (automaton != NULL)
		wipe(automaton, automaton->bytes);
	free(automaton);
}
