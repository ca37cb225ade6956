/*
 * Automaton: which byte strings a constrained answer may be, as a recursive
 * transition network.
 *
 * States are joined by edges that take one byte of a range, by empty edges, and by
 * calls: the callee runs until one of its final states, then the caller goes on behind
 * the call.  A schema becomes one (schema.h) and the matcher walks it (matcher.h).
 *
 * Invariants:
 *  A1  `need` of a state is the least depth of calls with which a final state can be
 *      reached from it; AUTOMATON_NEVER if none can.  Whoever enters only states whose
 *      need fits below AUTOMATON_DEPTH_MAX never comes to a dead end.
 *  A2  Immutable once built; any thread.
 */
#ifndef GRAMMAR_AUTOMATON_H
#define GRAMMAR_AUTOMATON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errmsg.h"

#define AUTOMATON_STATES_MAX 32768u
#define AUTOMATON_EDGES_MAX 131072u
#define AUTOMATON_DEPTH_MAX 64u /* of calls within calls */
#define AUTOMATON_NEVER UINT8_MAX

/* Bytes that no text has: a control token is its text between these two. */
#define AUTOMATON_MARK_OPEN 0xFFu
#define AUTOMATON_MARK_CLOSE 0xFEu

enum edge_kind { EDGE_BYTES, EDGE_EMPTY, EDGE_CALL };

struct edge {
	uint8_t kind;   /* enum edge_kind */
	uint8_t lo, hi; /* BYTES */
	uint16_t to;
	uint16_t callee; /* CALL: its first state */
};

struct state {
	uint32_t first; /* of its edges */
	uint16_t n;
	uint8_t need; /* A1 */
	bool final;
};

struct automaton {
	struct state *states; /* [n_states] */
	struct edge *edges;   /* [n_edges], by state */
	uint32_t n_states, n_edges;
	uint16_t start;
	size_t bytes; /* of all */
};

/*
 * Builder: states and edges in any order.  A full builder fails for good, so rows of
 * calls are checked once, by builder_rc(); what it then hands out is state 0.
 */
struct builder;

enum rc builder_new(struct builder **out) RC_CHECK;
void builder_free(struct builder *builder);
enum rc builder_rc(const struct builder *builder) RC_CHECK; /* RC_OK, RC_LIMIT */

uint16_t builder_state(struct builder *builder);
void builder_final(struct builder *builder, uint16_t state);
void builder_bytes(struct builder *builder, uint16_t from, uint8_t lo, uint8_t hi, uint16_t to);
void builder_empty(struct builder *builder, uint16_t from, uint16_t to);
void builder_call(struct builder *builder, uint16_t from, uint16_t callee, uint16_t to);

/* A row of bytes from `from` to `to`. */
void builder_text(
    struct builder *builder, uint16_t from, const char *bytes, size_t len, uint16_t to);

/* The same, or the control token that has this text. */
void builder_mark(
    struct builder *builder, uint16_t from, const char *bytes, size_t len, uint16_t to);

/* Every code point of [lo, hi] that is a scalar value, as UTF-8. */
void builder_code_points(
    struct builder *builder, uint16_t from, uint32_t lo, uint32_t hi, uint16_t to);

/*
 * The automaton, in one block.  RC_UNSUPPORTED: no byte string at all is allowed within
 * the depth; RC_LIMIT, RC_NOMEM.
 */
enum rc builder_finish(
    struct builder *builder, uint16_t start, struct automaton **out, struct errmsg *why) RC_CHECK;
void automaton_free(struct automaton *automaton);

#endif
