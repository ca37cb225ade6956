/*
 * A pool with fake compute nodes around it, for the tests of this folder.
 */
#ifndef ANSWER_RIG_H
#define ANSWER_RIG_H

#include <stdio.h>
#include <unistd.h>

#include "answer/generation.h"
#include "base/clock.h"
#include "fake_compute.h"

#define RIG_NODES_MAX 3
#define RIG_DEADLINE_NS (60 * NS_PER_S) /* ends a hang, measures nothing */

struct rig {
	struct wire_keypair keys;
	struct pool *pool;
	struct fake_compute nodes[RIG_NODES_MAX];
	size_t nodes_len;
};

static inline void rig_await_up(struct rig *rig, size_t n)
{
	int64_t deadline = clock_mono_ns() + RIG_DEADLINE_NS;
	size_t up = 0;

	while (up < n) {
		struct arena arena;
		struct pool_node *nodes = NULL;
		size_t len = 0;

		assert_true(clock_mono_ns() < deadline);
		arena_init(&arena, (size_t)1 << 20);
		assert_int_equal(pool_list(rig->pool, &arena, &nodes, &len), RC_OK);
		up = 0;
		for (size_t i = 0; i < len; i++)
			up += nodes[i].state == WIRE_LINK_UP;
		arena_fini(&arena);
		if (up < n)
			(void)usleep(1000);
	}
}

static inline void rig_add(struct rig *rig, const struct fake_script *script)
{
	char name[16];
	struct fake_compute *node = &rig->nodes[rig->nodes_len++];

	fake_compute_open(node, script, rig->keys.public_key);
	(void)snprintf(name, sizeof(name), "node%zu", rig->nodes_len);
	assert_int_equal(
	    pool_add(rig->pool, name, node->address, node->keys.public_key, NULL), RC_OK);
}

/* What the nodes have written down by now may be read: sockets order nothing in the eyes
 * of a checker of threads. */
static inline void rig_look(struct rig *rig)
{
	for (size_t i = 0; i < rig->nodes_len; i++)
		(void)fake_compute_get(&rig->nodes[i], &rig->nodes[i].generates);
}

/* `scripts` [n]: as many nodes, all up. */
static inline void rig_open(struct rig *rig, const struct fake_script *scripts, size_t n)
{
	memset(rig, 0, sizeof(*rig));
	assert_int_equal(wire_keypair_new(&rig->keys, NULL), RC_OK);
	assert_int_equal(pool_open(&rig->keys, &rig->pool, NULL), RC_OK);
	for (size_t i = 0; i < n; i++)
		rig_add(rig, &scripts[i]);
	rig_await_up(rig, n);
}

static inline void rig_close(struct rig *rig)
{
	pool_close(rig->pool);
	for (size_t i = 0; i < rig->nodes_len; i++)
		fake_compute_close(&rig->nodes[i]);
}

#endif
