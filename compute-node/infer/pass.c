/* Which layers a pass goes through. */
#include "infer/pass.h"

#include "model/model_impl.h"

struct pass_layers pass_layers_of(const struct model *m, const struct engine_config *config)
{
	uint32_t n = config->n_host_layers;

	if (config->backend != NULL)
		return (struct pass_layers){ n, m->n_layer };
	return (struct pass_layers){ 0, n > 0 ? n : m->n_layer };
}
