/* States of stations: what is taken lies within the bytes, one part behind the other. */
#include <stdlib.h>

#include "align/policy_file.h"
#include "cloud/cloud_policy.h"
#include "gateway/station_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct station_state_view view;

	enum rc rc = station_state_parse(data, size, &view, NULL);
	must(rc == RC_OK || rc == RC_CORRUPT || rc == RC_UNSUPPORTED);
	if (rc != RC_OK)
		return 0;
	must(view.policy_len <= POLICY_FILE_BYTES_MAX && view.cloud_len <= CLOUD_POLICY_BYTES_MAX);
	must(view.catalogue >= data && view.catalogue + view.catalogue_len == data + size);
	if (view.wire == NULL)
		return 0; /* the catalogue alone */
	must(view.wire > data && view.wire + view.wire_len == view.policy);
	must(view.policy + view.policy_len == view.tls);
	must(view.tls + view.tls_len == view.cloud);
	must(view.cloud + view.cloud_len == view.catalogue);
	return 0;
}
