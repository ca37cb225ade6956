/* Constraint: compiling, and how many there are. */
#include "serve/constraint.h"

#include <stdatomic.h>
#include <string.h>

#include "grammar/automaton.h"
#include "grammar/calls.h"
#include "grammar/schema.h"
#include "grammar/vocab.h"

static atomic_uint taken;

static enum rc compile(const struct served_model *model, const struct wire_constraint *constraint,
    struct automaton **out, struct errmsg *why)
{
	const size_t len = strlen(constraint->schema);
	const bool must = constraint->kind == WIRE_CONSTRAINT_MUST_CALL;
	const struct calls_want calls = {
		.form = must ? model->hold.forced : model->hold.form,
		.must = must,
		.thinks = model->hold.thinks,
		.one = must && constraint->one,
	};

	if (constraint->kind == WIRE_CONSTRAINT_CALLS || must)
		return calls_compile(&calls, constraint->schema, len, out, why);
	if (constraint->kind == WIRE_CONSTRAINT_JSON_OBJECT)
		return schema_any_object(out, why);
	return schema_compile(constraint->schema, len, out, why);
}

enum rc constraint_new(const struct served_model *model, const struct wire_constraint *constraint,
    struct matcher **out, struct errmsg *why)
{
	struct automaton *automaton = NULL;

	*out = NULL;
	if (constraint->kind == WIRE_CONSTRAINT_NONE)
		return RC_OK;
	if (model->vocab == NULL || !model->vocab->whole)
		return errmsg_rc(why, RC_UNSUPPORTED,
		    "constraint: the vocabulary of this model cannot spell every text");
	if (atomic_fetch_add(&taken, 1) >= CONSTRAINTS_MAX) {
		atomic_fetch_sub(&taken, 1);
		return errmsg_rc(
		    why, RC_BUSY, "constraint: %u answers have one already", CONSTRAINTS_MAX);
	}
	enum rc rc = compile(model, constraint, &automaton, why);
	if (rc == RC_OK) {
		rc = matcher_new(automaton, model->vocab, out);
		if (rc != RC_OK) {
			automaton_free(automaton);
			rc = errmsg_rc(why, rc, "%s",
			    rc == RC_LIMIT ? "schema: too many choices within choices"
					   : "no memory for a constraint");
		}
	}
	if (rc != RC_OK)
		atomic_fetch_sub(&taken, 1);
	return rc;
}

void constraint_free(struct matcher *matcher)
{
	if (matcher == NULL)
		return;
	matcher_free(matcher);
	atomic_fetch_sub(&taken, 1);
}
