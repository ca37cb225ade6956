/*
 * A store and the book over it, with short ways to put observations and to learn.
 * Header only: included by one test each.
 */
#ifndef MEMORY_FIXTURE_H
#define MEMORY_FIXTURE_H

#include "../store/store_fixture.h"
#include "memory/book_write.h"
#include "memory/learn.h"

#define DAY_NS NS_PER_DAY

struct memory_fixture {
	struct fixture store;
	struct book *book;
	struct arena arena;
};

UNUSED static void memory_init(struct memory_fixture *m)
{
	*m = (struct memory_fixture){ .store = { .in_memory = true } };
	fixture_init(&m->store);
	PASS(book_open(m->store.store, &m->book, &pass_why));
	arena_init(&m->arena, (size_t)16 << 20);
}

UNUSED static void memory_fini(struct memory_fixture *m)
{
	book_close(m->book);
	arena_fini(&m->arena);
	fixture_fini(&m->store);
}

/* A book that has read nothing yet. */
UNUSED static void memory_reopen(struct memory_fixture *m)
{
	book_close(m->book);
	PASS(book_open(m->store.store, &m->book, &pass_why));
}

/* An observation of the person's, its id into `out`. */
UNUSED static void memory_said(struct memory_fixture *m, const char *id, int64_t t_ns,
    enum origin origin, uint8_t out[1][OBS_ID_BYTES])
{
	struct observation obs = make_obs(id, t_ns, "words");

	obs.origin = origin;
	memcpy(out[0], append_one(m->store.store, &obs).obs_id, OBS_ID_BYTES);
}

/* As `about` has them: C17 does not see that they are only read. */
UNUSED static void memory_about(struct fact *fact, uint8_t (*ids)[OBS_ID_BYTES], size_t n)
{
	fact->about = (const uint8_t(*)[OBS_ID_BYTES])ids;
	fact->about_len = n;
}

UNUSED static struct fact memory_fact(enum fact_class class, const char *subject,
    const char *attribute, const char *text, uint8_t (*about)[OBS_ID_BYTES])
{
	return (struct fact){ .class = class,
		.subject = subject,
		.attribute = attribute,
		.text = text,
		.valid_from_ns = FACT_ALWAYS_FROM_NS,
		.valid_to_ns = FACT_ALWAYS_TO_NS,
		.learned_ns = T0_NS + 30 * DAY_NS,
		.who = "small-model",
		.about = (const uint8_t(*)[OBS_ID_BYTES])about,
		.about_len = about == NULL ? 0 : 1 };
}

UNUSED static enum learn_outcome memory_learn_one(struct memory_fixture *m, struct fact fact)
{
	enum learn_outcome outcome = LEARN_REFUSED;

	PASS(memory_learn(m->book, &fact, 1, &outcome, &pass_why));
	return outcome;
}

UNUSED static struct book_view memory_view(struct memory_fixture *m, struct book_query query)
{
	struct book_view view;

	PASS(book_read(m->book, &query, &m->arena, &view, &pass_why));
	return view;
}

UNUSED static struct book_view memory_holds(struct memory_fixture *m, int64_t at_ns)
{
	return memory_view(m, (struct book_query){ .holds = true, .at_ns = at_ns });
}

#endif
