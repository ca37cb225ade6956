/*
 * A scripted model for the tests of what the night asks one, and a diary to ask about.
 * Header only: included by one test each.
 */
#ifndef NIGHT_MODEL_H
#define NIGHT_MODEL_H

#include "../store/store_fixture.h"
#include "align/policy.h"
#include "memory/book.h"
#include "night/annotate.h"
#include "night/note.h"

#define NO_FACTS "{\"facts\":[]}"
#define GOOD_NOTE                                                                                  \
	"{\"title\":\"Flowers\",\"summary\":\"The flowers are lovely.\",\"tags\":[\"flowers\"],"   \
	"\"mood\":null}"

struct scripted {
	const char *name;
	enum rc which, rc; /* RC_OK: it answers */
	uint64_t context;
	size_t bytes_max; /* of material; more is RC_CONTEXT; 0: no limit */
	const char *answer;
	/* Says what to answer instead, where it is not NULL. */
	const char *(*think)(const struct ask_question *question);
	unsigned questions, of_facts; /* about episodes; about what the owner said */
	char last[16384];             /* the material of the last question */
};

UNUSED static enum rc scripted_which(void *ctx, struct ask_model *out)
{
	const struct scripted *model = ctx;

	(void)snprintf(out->name, sizeof out->name, "%s", model->name);
	out->context = model->context;
	return model->which;
}

UNUSED static enum rc scripted_answer(void *ctx, const struct ask_model *model,
    const struct ask_question *question, bool (*go_on)(void *), void *go_on_ctx, struct buf *out,
    struct errmsg *why)
{
	struct scripted *self = ctx;

	(void)why;
	assert_string_equal(model->name, self->name);
	if (go_on != NULL && !go_on(go_on_ctx))
		return RC_CANCELLED;
	if (self->bytes_max != 0 && strlen(question->material) > self->bytes_max)
		return RC_CONTEXT;
	if (self->rc != RC_OK)
		return self->rc;
	bool facts = strstr(question->schema, "\"facts\"") != NULL;
	self->questions += !facts;
	self->of_facts += facts;
	if (facts && self->think == NULL) {
		buf_puts(out, NO_FACTS);
		return RC_OK;
	}
	(void)snprintf(self->last, sizeof self->last, "%s", question->material);
	buf_puts(out, self->think != NULL ? self->think(question) : self->answer);
	return RC_OK;
}

UNUSED static struct scripted scripted_new(void)
{
	return (struct scripted){ .name = "scripted", .answer = GOOD_NOTE };
}

UNUSED static struct annotate_report annotated;

UNUSED static enum rc annotate_with(struct fixture *f, struct scripted *model,
    bool (*go_on)(void *, const struct annotate_report *), void *ctx)
{
	const struct ask ask = { .ctx = model, .which = scripted_which, .answer = scripted_answer };
	struct book *book = NULL;
	struct annotate_config config = { .store = f->store,
		.ask = &ask,
		.policy = policy_default(),
		.go_on = go_on,
		.go_on_ctx = ctx };

	PASS(book_open(f->store, &book, &pass_why));
	config.book = book;
	enum rc rc = annotate_run(&config, &annotated, &pass_why);
	book_close(book);
	return rc;
}

UNUSED static void annotate(struct fixture *f, struct scripted *model)
{
	PASS(annotate_with(f, model, NULL, NULL));
}

UNUSED static void write_text(struct fixture *f, const char *id, int64_t t0_ns, const char *text)
{
	struct observation obs = make_obs(id, t0_ns, text);

	(void)append_one(f->store, &obs);
}

#endif
