/* The shortlist first. */
#include "infer/choose.h"

enum rc choose_token(struct engine *engine, size_t i, const struct sample_params *params,
    const struct sample_row *row, void *scratch, int32_t *out, struct errmsg *why)
{
	const struct backend_shortlist *list = engine_shortlist(engine, i);
	enum rc rc = RC_OK;

	if (list != NULL && sample_short(params, row, list, scratch, out))
		return RC_OK;
	if (list != NULL)
		rc = engine_fetch(engine, i, row->logits, why);
	if (rc == RC_OK)
		*out = sample_token(params, row, scratch);
	return rc;
}
