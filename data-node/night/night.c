/*
 * Night: steps of rules over the days that the log touched.
 *
 * A step is a run of rules in the table that do not depend on each other; they
 * share a scan.  Steps go one after the other over the whole calendar, so that
 * a rule finds the labels of its neighbours' days.
 */
#include "night/night.h"

#include <string.h>

#include "base/clock.h"
#include "night/night_day.h"
#include "night/night_plan.h"
#include "night/night_progress.h"

#define CHECKPOINT_NS (5 * NS_PER_S)
#define CHECKPOINT_DAYS 64

struct pass {
	const struct night_config *config;
	const struct night_table *table;
	struct night_report *report;
	struct night_progress progress;
	struct night_step steps[NIGHT_RULES_MAX]; /* one a rule */
	struct night_plan *plan;
	struct night_day *day;
	uint64_t days_done;
	int64_t checkpoint_ns; /* when the last one was written */
	int days_since;
	bool stopped, damaged;
	struct errmsg damage;
};

/* Rules of step `step`: [*first, return value). */
static size_t step_rules(const struct night_table *table, unsigned step, size_t *first)
{
	size_t begin = 0, end = 0;

	for (unsigned at = 0; end < table->len; at++) {
		begin = end;
		/* A rule that depends on another begins a step of its own. */
		do
			end++;
		while (end < table->len && table->rules[end]->from == NULL);
		if (at == step)
			break;
		begin = end;
	}
	*first = begin;
	return end;
}

static uint32_t mask_of(size_t first, size_t end)
{
	return (uint32_t)((UINT64_C(1) << end) - (UINT64_C(1) << first));
}

static bool may_go_on(struct pass *pass, size_t first)
{
	const struct night_config *config = pass->config;
	struct night_state state = {
		.days_done = pass->days_done,
		.days_total = pass->days_done +
			      night_plan_count(pass->plan, mask_of(first, pass->table->len)),
		.rule = pass->table->rules[first]->name,
		.observations = pass->report->observations,
		.written = pass->report->written + pass->report->withdrawn,
	};

	if (config->deadline_mono_ns != 0 && clock_mono_ns() >= config->deadline_mono_ns)
		return false;
	return config->go_on == NULL || config->go_on(config->go_on_ctx, &state);
}

/* Progress within the pass, now and then. */
static enum rc checkpoint(
    struct pass *pass, unsigned step, int32_t day, bool force, struct errmsg *why)
{
	int64_t now_ns = clock_mono_ns();

	pass->days_since++;
	if (!force && pass->days_since < CHECKPOINT_DAYS &&
	    now_ns - pass->checkpoint_ns < CHECKPOINT_NS)
		return RC_OK;
	enum rc rc = night_day_flush(pass->day, why);
	if (rc != RC_OK)
		return rc;
	pass->days_since = 0;
	pass->checkpoint_ns = now_ns;
	pass->progress.step = step;
	pass->progress.day = day;
	return night_progress_write(pass->config->store, pass->table, &pass->progress, why);
}

/* Labels that changed on `number` touch the days of rules that read them. */
static void touch_dependents(struct pass *pass, size_t first, size_t end, int32_t number)
{
	for (size_t k = first; k < end; k++) {
		if (pass->steps[k].changed == 0)
			continue;
		for (size_t i = end; i < pass->table->len; i++) {
			if (pass->table->rules[i]->from == pass->table->rules[k]->name)
				night_plan_mark(
				    pass->plan, i, number, pass->table->rules[i]->from_days);
		}
	}
}

static enum rc run_day(
    struct pass *pass, size_t first, size_t end, int32_t number, struct errmsg *why)
{
	struct errmsg detail = ERRMSG_INIT;

	for (size_t i = 0; i < pass->table->len; i++)
		pass->steps[i].active =
		    i >= first && i < end && night_plan_has(pass->plan, i, number);
	enum rc rc = night_day_run(pass->day, number, pass->report, &detail);
	if (rc == RC_CORRUPT) {
		if (!pass->damaged)
			pass->damage = detail;
		pass->damaged = true;
		rc = RC_OK;
	}
	if (rc != RC_OK)
		return errmsg_rc(why, rc, "%s", errmsg_text(&detail, rc));
	pass->days_done++;
	touch_dependents(pass, first, end, number);
	return RC_OK;
}

static enum rc run_step(
    struct pass *pass, unsigned step, size_t first, size_t end, int32_t from, struct errmsg *why)
{
	uint32_t mask = mask_of(first, end);
	int32_t number = from;

	while (night_plan_next(pass->plan, mask, &number)) {
		if (!may_go_on(pass, first)) {
			pass->stopped = true;
			return checkpoint(pass, step, number, true, why);
		}
		enum rc rc = run_day(pass, first, end, number, why);
		number++;
		if (rc == RC_OK)
			rc = checkpoint(pass, step, number, false, why);
		if (rc != RC_OK)
			return rc;
	}
	return night_day_flush(pass->day, why); /* the next step reads them */
}

/* From where the pass stands to its target. */
static enum rc run_steps(struct pass *pass, bool resumed, struct errmsg *why)
{
	unsigned step = resumed ? pass->progress.step : 0;
	int32_t from = resumed ? pass->progress.day : NIGHT_DAY_FIRST;
	size_t first, end;

	for (;; step++, from = NIGHT_DAY_FIRST) {
		end = step_rules(pass->table, step, &first);
		if (first == end)
			return RC_OK;
		enum rc rc = run_step(pass, step, first, end, from, why);
		if (rc != RC_OK || pass->stopped)
			return rc;
	}
}

/* What each rule has seen: nothing if it is not the version that saw it. */
static void seen_of(const struct night_table *table, const struct night_progress *progress,
    uint64_t seen[NIGHT_RULES_MAX])
{
	for (size_t i = 0; i < table->len; i++)
		seen[i] = progress->versions[i] == table->rules[i]->version ? progress->cursor : 0;
}

/* A pass that was begun goes on only if it was begun with these rules. */
static bool can_resume(const struct night_table *table, const struct night_progress *progress)
{
	for (size_t i = 0; i < table->len; i++) {
		if (progress->target_versions[i] != table->rules[i]->version)
			return false;
	}
	return progress->target != 0;
}

/* One pass up to the newest record; `*idle`: there was nothing to do. */
static enum rc run_pass(struct pass *pass, bool *idle, struct errmsg *why)
{
	struct store *store = pass->config->store;
	struct night_progress *progress = &pass->progress;
	uint64_t seen[NIGHT_RULES_MAX];

	*idle = true;
	enum rc rc = night_progress_read(store, pass->table, progress, why);
	if (rc != RC_OK)
		return rc;
	bool resumed = can_resume(pass->table, progress);
	if (!resumed)
		progress->target = store_cursor(store);
	seen_of(pass->table, progress, seen);
	rc = night_plan_new(pass->table->len, &pass->plan);
	if (rc == RC_OK && progress->target > 0)
		rc = night_plan_read(
		    pass->plan, store, pass->table, seen, progress->target, resumed, why);
	if (rc == RC_CORRUPT) {
		pass->damaged = true;
		rc = RC_OK;
	}
	if (rc == RC_OK)
		rc = night_day_new(
		    pass->config, pass->steps, pass->table->len, progress->target, &pass->day);
	if (rc == RC_OK && (resumed || night_plan_count(pass->plan, UINT32_MAX) > 0)) {
		*idle = false;
		for (size_t i = 0; i < pass->table->len; i++)
			progress->target_versions[i] = pass->table->rules[i]->version;
		rc = run_steps(pass, resumed, why);
		if (rc == RC_OK && !pass->stopped) {
			progress->cursor = progress->target;
			memcpy(progress->versions, progress->target_versions,
			    sizeof progress->versions);
			progress->target = 0;
			progress->finished_ns = clock_utc_ns();
			rc = night_progress_write(store, pass->table, progress, why);
		}
	}
	night_day_free(pass->day);
	night_plan_free(pass->plan);
	pass->day = NULL;
	pass->plan = NULL;
	return rc;
}

static enum rc open_rules(struct pass *pass)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; i < pass->table->len && rc == RC_OK; i++) {
		pass->steps[i].rule = pass->table->rules[i];
		if (pass->table->rules[i]->open != NULL)
			rc = pass->table->rules[i]->open(&pass->steps[i].state);
	}
	return rc;
}

enum rc night_run(const struct night_config *config, struct night_report *out, struct errmsg *why)
{
	struct pass pass = { .config = config,
		.table = config->table != NULL ? config->table : &night_rules,
		.report = out,
		.checkpoint_ns = clock_mono_ns() };
	bool idle = false;

	*out = (struct night_report){ .cursor = 0 };
	enum rc rc = open_rules(&pass);
	/* What came in meanwhile makes another pass; our own labels do not. */
	while (rc == RC_OK && !idle && !pass.stopped)
		rc = run_pass(&pass, &idle, why);
	for (size_t i = 0; i < pass.table->len; i++) {
		if (pass.steps[i].rule != NULL && pass.table->rules[i]->close != NULL)
			pass.table->rules[i]->close(pass.steps[i].state);
	}
	out->cursor = pass.progress.cursor;
	out->finished = rc == RC_OK && !pass.stopped;
	if (rc == RC_OK && pass.damaged)
		return errmsg_rc(why, RC_CORRUPT, "%s", errmsg_text(&pass.damage, RC_CORRUPT));
	return rc;
}

enum rc night_last(struct store *store, uint64_t *cursor, int64_t *at_ns, struct errmsg *why)
{
	struct night_progress progress;
	enum rc rc = night_progress_read(store, &night_rules, &progress, why);

	*cursor = progress.cursor;
	*at_ns = progress.finished_ns;
	return rc;
}
