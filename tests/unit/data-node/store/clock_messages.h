/*
 * Clock messages: what a simulated device sends, as observations.
 */
#ifndef STORE_CLOCK_MESSAGES_H
#define STORE_CLOCK_MESSAGES_H

#include "clock_sim.h"
#include "store/store_clock.h"
#include "store_fixture.h"

static struct clock_sim sim;
static char clock_texts[CLOCK_SIM_MESSAGES_MAX][2][64];

/* The kth message as the record with seq k + 1. */
static struct observation obs_of(size_t k)
{
	const struct clock_sim_message *m = &sim.messages[k];
	struct observation obs = make_obs("", 0, "");

	(void)snprintf(clock_texts[k][0], sizeof clock_texts[k][0], "%d", m->boot);
	obs.source = "watch";
	obs.clock_id = "watch";
	obs.boot_epoch = clock_texts[k][0];
	obs.layer = LAYER_BEHAVIOUR;
	obs.kind = "steps";
	obs.has_source_seq = true; /* no two are the same */
	obs.source_seq = k;
	obs.dev_t0_ns = m->dev_t0_ns;
	obs.dev_t1_ns = m->dev_t1_ns;
	obs.recv_utc_ns = obs.recv_mono_ns = m->recv_ns;
	obs.shape = m->dev_t1_ns > m->dev_t0_ns ? SHAPE_INTERVAL : SHAPE_INSTANT;
	obs.has_end = obs.shape == SHAPE_INTERVAL;
	if (m->kind == CLOCK_SIM_PING) {
		(void)snprintf(clock_texts[k][1], sizeof clock_texts[k][1],
		    "{\"t2\":%lld,\"t3\":%lld}", (long long)m->t2_ns, (long long)m->t3_ns);
		obs.kind = STORE_CLOCK_PING_KIND;
		obs.origin = ORIGIN_SYSTEM;
		obs.data_json = clock_texts[k][1];
		obs.dev_t0_ns = m->t1_ns;
		obs.dev_t1_ns = m->t4_ns;
		obs.shape = SHAPE_INTERVAL;
		obs.has_end = true;
	}
	return obs;
}

#endif
