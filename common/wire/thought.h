/*
 * Thought: the marks between which models write their reasoning.
 *
 * The data node parts reasoning from the answer by them, and the compute node looks
 * behind them for where an answer or its calls begin: both have to see the same.
 */
#ifndef WIRE_THOUGHT_H
#define WIRE_THOUGHT_H

#include <stdbool.h>

struct wire_thought {
	const char *open, *close;
	bool again; /* also behind a call */
};

/* The first is what a prompt opens. */
#define WIRE_THOUGHTS_LEN ((size_t)2)
static const struct wire_thought wire_thoughts[WIRE_THOUGHTS_LEN] = {
	{ "<think>", "</think>", false }, { "<|channel>thought", "<channel|>", true }, /* Gemma 4 */
};

#endif
