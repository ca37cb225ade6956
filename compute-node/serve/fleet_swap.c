/* Models coming into memory and going out of it, within the budget. */
#include <assert.h>
#include <stdio.h>

#include "base/log.h"
#include "serve/fleet.h"

uint64_t fleet_own_bytes(const struct served_model *model)
{
	uint64_t bytes = fleet_plan_bytes(&model->plan);

	return model->config.backend != NULL
		   ? bytes
		   : bytes - model->kept_bytes - model->plan.message_bytes;
}

bool fleet_share_room(const struct served_model *a, const struct served_model *b)
{
	return (a->config.backend != NULL) == (b->config.backend != NULL);
}

uint64_t fleet_room_bytes(const struct fleet *fleet, const struct served_model *model)
{
	bool on_device = model->config.backend != NULL;
	uint64_t budget = on_device ? fleet->device_budget_bytes : fleet->budget_bytes;
	uint64_t planned =
	    atomic_load(on_device ? &fleet->device_planned_bytes : &fleet->planned_bytes);

	return budget > planned ? budget - planned : 0;
}

static atomic_uint_fast64_t *planned_of(struct fleet *fleet, const struct served_model *model)
{
	return model->config.backend != NULL ? &fleet->device_planned_bytes : &fleet->planned_bytes;
}

enum rc fleet_bring_in(struct fleet *fleet, struct served_model *model, struct errmsg *why)
{
	uint64_t own = fleet_own_bytes(model);
	enum rc rc;

	assert(!atomic_load(&model->present) && own <= fleet_room_bytes(fleet, model));
	(void)atomic_fetch_add(planned_of(fleet, model), own);
	rc = engine_new(model->model, &model->config, &model->engine, why);
	if (rc != RC_OK) {
		(void)atomic_fetch_sub(planned_of(fleet, model), own);
		return rc;
	}
	if (model->numerics_id[0] == '\0') /* once: others read it */
		(void)snprintf(model->numerics_id, sizeof(model->numerics_id), "%s",
		    engine_numerics_id(model->engine));
	atomic_store(&model->present, true);
	return RC_OK;
}

void fleet_put_out(struct fleet *fleet, struct served_model *model)
{
	assert(atomic_load(&model->present));
	atomic_store(&model->present, false);
	engine_free(model->engine);
	model->engine = NULL;
	model_forget_pages(model->model);
	(void)atomic_fetch_sub(planned_of(fleet, model), fleet_own_bytes(model));
}
