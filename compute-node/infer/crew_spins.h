/*
 * Crew spins: how often a waiting thread looks at a value before it sleeps.
 *
 * Of a thread that saw it move, more often next time; of one that waited in vain, less
 * often, since its partner lost its core.  Always within [CREW_SPINS_MIN,
 * CREW_SPINS_MAX].  Pure.
 */
#ifndef INFER_CREW_SPINS_H
#define INFER_CREW_SPINS_H

#define CREW_SPINS_MAX 4096u /* about 100 µs */
#define CREW_SPINS_MIN 256u

static inline unsigned crew_spins_more(unsigned spins)
{
	unsigned more = spins + spins / 8;

	return more < CREW_SPINS_MAX ? more : CREW_SPINS_MAX;
}

static inline unsigned crew_spins_fewer(unsigned spins)
{
	return spins / 2 > CREW_SPINS_MIN ? spins / 2 : CREW_SPINS_MIN;
}

#endif
