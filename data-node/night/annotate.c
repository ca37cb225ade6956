/* Annotate: which days, in which order, and when to stop. */
#include "night/annotate_inner.h"

#include <string.h>

#include "base/clock.h"
#include "night/fact_gate.h"
#include "night/night_progress.h"
#include "night/note.h"

#define UNIT_ARENA_BYTES ((size_t)16 << 20)
#define DAY_ARENA_BYTES ((size_t)16 << 20)
/* An episode begins at most two days before its end, and a cut shows a day later. */
#define NOTES_BEFORE_NS NS_PER_DAY
#define NOTES_AFTER_NS (2 * NS_PER_DAY)
#define DAYS_AGAIN 3 /* of the last pass: what was not over then is now */

/* What is asked, as rows for the plan and the progress; no functions. */
static const struct night_rule notes_row = { .name = "notes",
	.version = NOTE_VERSION,
	.layers = LAYER_MASK_ALL,
	.before_ns = NOTES_BEFORE_NS,
	.after_ns = NOTES_AFTER_NS,
	.sees_scenes = true };

static const struct night_rule facts_row = { .name = "facts",
	.version = FACT_GATE_VERSION,
	.layers = LAYER_MASK(LAYER_TEXT) | LAYER_MASK(LAYER_AUDITORY) };

static const struct night_rule *const rows[] = { &notes_row, &facts_row };
static const struct night_table table = { rows, sizeof rows / sizeof rows[0], "annotate" };

enum { ROW_NOTES, ROW_FACTS, ROWS_LEN };
#define ROWS_MASK ((UINT32_C(1) << ROWS_LEN) - 1)

const char *annotate_end_word(enum annotate_end end)
{
	static const char *const words[] = { "finished", "stopped", "no-model", "unfit-model" };

	return words[end];
}

static void stop(struct annotate_pass *pass, enum annotate_end end)
{
	pass->stopped = true;
	pass->report->end = end;
}

static bool asked_to_go_on(void *ctx)
{
	const struct annotate_pass *pass = ctx;
	const struct annotate_config *config = pass->config;

	return config->go_on == NULL || config->go_on(config->go_on_ctx, pass->report);
}

bool annotate_may_go_on(struct annotate_pass *pass)
{
	int64_t deadline_ns = pass->config->deadline_mono_ns;

	if (!pass->stopped &&
	    ((deadline_ns != 0 && clock_mono_ns() >= deadline_ns) || !asked_to_go_on(pass)))
		stop(pass, ANNOTATE_STOPPED);
	return !pass->stopped;
}

enum rc annotate_ask(
    struct annotate_pass *pass, const struct ask_question *question, enum gate *gate)
{
	const struct ask *ask = pass->config->ask;
	struct errmsg detail = ERRMSG_INIT;

	buf_reset(&pass->answer);
	*gate = GATE_PASSED;
	enum rc rc = ask->answer(
	    ask->ctx, &pass->model, question, asked_to_go_on, pass, &pass->answer, &detail);
	switch (rc) {
	case RC_OK:
		pass->report->questions++;
		*gate = buf_rc(&pass->answer) == RC_OK ? GATE_PASSED : GATE_ANSWER;
		return RC_OK;
	case RC_LIMIT:
		pass->report->questions++;
		*gate = GATE_ANSWER;
		return RC_OK;
	case RC_CONTEXT:
		*gate = GATE_CONTEXT;
		return RC_OK;
	case RC_CANCELLED:
		stop(pass, ANNOTATE_STOPPED);
		return RC_OK;
	case RC_NOMEM:
		return rc;
	case RC_INVALID:
	case RC_UNSUPPORTED:
		stop(pass, ANNOTATE_UNFIT);
		return RC_OK;
	default:
		stop(pass, ANNOTATE_NO_MODEL);
		return RC_OK;
	}
}

/* ---- days ------------------------------------------------------------------------------- */

static int32_t day_of(int64_t utc_ns)
{
	int64_t day = utc_ns / NS_PER_DAY;

	return (int32_t)(utc_ns % NS_PER_DAY < 0 ? day - 1 : day);
}

/* The last midnight where the owner is. */
static int64_t day_began_ns(const struct moments_zone *zone, int64_t now_ns)
{
	int64_t offset_ns =
	    zone->offset_s == NULL ? 0 : zone->offset_s(zone->ctx, now_ns) * NS_PER_S;
	int64_t local_ns = now_ns + offset_ns;

	return local_ns - local_ns % NS_PER_DAY - offset_ns;
}

/* What the log touched, and what was not over when the last pass looked. */
static enum rc make_plan(
    struct annotate_pass *pass, const struct night_progress *progress, struct night_plan **out)
{
	uint64_t seen[NIGHT_RULES_MAX] = { 0 };
	struct night_plan *plan = NULL;

	for (size_t i = 0; i < ROWS_LEN; i++)
		seen[i] = progress->versions[i] == rows[i]->version ? progress->cursor : 0;
	enum rc rc = night_plan_new(ROWS_LEN, &plan);
	if (rc == RC_OK)
		rc = night_plan_read(
		    plan, pass->config->store, &table, seen, progress->target, false, pass->why);
	if (rc == RC_CORRUPT) {
		errmsg_reset(pass->why);
		rc = RC_OK;
	}
	if (rc != RC_OK) {
		night_plan_free(plan);
		return rc;
	}
	bool again = progress->finished_ns != 0 && progress->finished_ns != pass->until_ns;
	for (int32_t day = day_of(progress->finished_ns) - DAYS_AGAIN;
	     again && day <= day_of(pass->until_ns); day++) {
		for (size_t i = 0; i < ROWS_LEN; i++)
			night_plan_mark(plan, i, day, 0);
	}
	*out = plan;
	return RC_OK;
}

static enum rc run_day(struct annotate_pass *pass, const struct night_plan *plan, int32_t day)
{
	enum rc rc = RC_OK;

	arena_reset(&pass->day_arena);
	if (night_plan_has(plan, ROW_NOTES, day))
		rc = annotate_notes(pass, day);
	arena_reset(&pass->day_arena);
	if (rc == RC_OK && !pass->stopped && night_plan_has(plan, ROW_FACTS, day))
		rc = annotate_facts(pass, day);
	return rc;
}

/* Days from progress->day on; where it was cut off is in `progress`. */
static enum rc run_days(
    struct annotate_pass *pass, const struct night_plan *plan, struct night_progress *progress)
{
	struct annotate_report *report = pass->report;
	int32_t day = progress->day;
	enum rc rc = RC_OK;

	report->days_total += night_plan_count(plan, ROWS_MASK);
	while (rc == RC_OK && night_plan_next(plan, ROWS_MASK, &day) &&
	       day <= day_of(pass->until_ns) && annotate_may_go_on(pass)) {
		uint64_t questions = report->questions;
		rc = run_day(pass, plan, day);
		if (rc != RC_OK || pass->stopped)
			break;
		report->days++;
		progress->day = ++day;
		if (report->questions != questions)
			rc = night_progress_write(pass->config->store, &table, progress, pass->why);
	}
	return rc;
}

/* A pass that was begun with these rows goes on where it was, up to where it wanted. */
static void set_target(struct annotate_pass *pass, struct night_progress *progress)
{
	bool resumes = progress->target != 0;

	for (size_t i = 0; i < ROWS_LEN; i++)
		resumes = resumes && progress->target_versions[i] == rows[i]->version;
	if (resumes)
		return;
	progress->target = store_cursor(pass->config->store);
	progress->day = NIGHT_DAY_FIRST;
	for (size_t i = 0; i < ROWS_LEN; i++)
		progress->target_versions[i] = rows[i]->version;
}

/* Was there anything to remember of the pass? */
static bool has_moved(const struct annotate_pass *pass, const struct night_progress *before)
{
	const struct annotate_report *report = pass->report;

	if (report->questions > 0 || report->notes_withdrawn > 0)
		return true;
	if (pass->stopped)
		return report->end == ANNOTATE_STOPPED && report->days > 0;
	for (size_t i = 0; i < ROWS_LEN; i++) {
		if (before->versions[i] != rows[i]->version)
			return true;
	}
	return before->target != 0 || before->cursor == 0 ||
	       day_of(before->finished_ns) != day_of(pass->until_ns);
}

static enum rc end_pass(struct annotate_pass *pass, const struct night_progress *before,
    struct night_progress *progress)
{
	bool moved = has_moved(pass, before);

	if (!pass->stopped) {
		progress->cursor = progress->target;
		memcpy(progress->versions, progress->target_versions, sizeof progress->versions);
		progress->target = 0;
		progress->finished_ns = pass->until_ns;
	}
	return moved ? night_progress_write(pass->config->store, &table, progress, pass->why)
		     : RC_OK;
}

/* `*again`: it went on where the last one was cut off; what came since is still to do. */
static enum rc run(struct annotate_pass *pass, bool *again)
{
	struct night_progress before, progress;
	struct night_plan *plan = NULL;

	enum rc rc = night_progress_read(pass->config->store, &table, &before, pass->why);
	if (rc != RC_OK)
		return rc;
	progress = before;
	set_target(pass, &progress);
	rc = make_plan(pass, &progress, &plan);
	if (rc == RC_OK)
		rc = run_days(pass, plan, &progress);
	if (rc == RC_OK)
		rc = end_pass(pass, &before, &progress);
	*again = rc == RC_OK && !pass->stopped && before.target != 0;
	night_plan_free(plan);
	return rc;
}

enum rc annotate_run(
    const struct annotate_config *config, struct annotate_report *out, struct errmsg *why)
{
	struct errmsg detail = ERRMSG_INIT;
	struct annotate_pass pass = { .config = config, .report = out, .why = &detail };

	*out = (struct annotate_report){ .end = ANNOTATE_FINISHED };
	if (store_cursor(config->store) == 0)
		return RC_OK;
	enum rc rc = config->ask->which(config->ask->ctx, &pass.model);
	if (rc == RC_UNAVAILABLE) {
		out->end = ANNOTATE_NO_MODEL;
		return RC_OK;
	}
	if (rc != RC_OK)
		return rc;
	memcpy(out->model, pass.model.name, sizeof out->model);
	pass.until_ns = day_began_ns(&config->zone, clock_utc_ns());
	arena_init(&pass.arena, UNIT_ARENA_BYTES);
	arena_init(&pass.day_arena, DAY_ARENA_BYTES);
	buf_init(&pass.answer, ASK_ANSWER_BYTES_MAX);
	rc = words_new(&pass.words);
	for (bool again = true; rc == RC_OK && again;)
		rc = run(&pass, &again);
	words_free(pass.words);
	buf_fini(&pass.answer);
	arena_fini(&pass.day_arena);
	arena_fini(&pass.arena);
	return rc == RC_OK ? rc : errmsg_rc(why, rc, "%s", errmsg_text(&detail, rc));
}
