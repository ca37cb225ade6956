/* Bundles: any bytes are refused or give records that can be written again. */
#include <stdlib.h>
#include <string.h>

#include "store/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct bundle_reader reader;
	static struct bundle_writer writer;
	struct observation obs;

	bundle_writer_init(&writer);
	enum rc rc = bundle_open(&reader, data, size, LAYER_HOME, NULL);
	while (rc == RC_OK && (rc = bundle_next(&reader, &obs, NULL)) == RC_OK) {
		if (strlen(obs.source) > OBS_SOURCE_BYTES_MAX || obs.dev_t1_ns < obs.dev_t0_ns)
			abort();
		if (bundle_takes(&obs) && bundle_add(&writer, &obs) == RC_NOMEM)
			abort();
	}
	bundle_writer_fini(&writer);
	return 0;
}
