/* Policy files: any text is refused or reads as a policy that prints as one
 * that reads the same. */
#include <stdlib.h>
#include <string.h>

#include "align/policy_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy first, second;
	struct buf text, again;

	buf_init(&text, POLICY_FILE_BYTES_MAX);
	buf_init(&again, POLICY_FILE_BYTES_MAX);
	if (policy_parse((const char *)data, size, &first, NULL) == RC_OK) {
		policy_print(&first, &text);
		if (policy_parse(buf_text(&text), text.len, &second, NULL) != RC_OK)
			abort();
		policy_print(&second, &again);
		if (text.len != again.len || memcmp(text.bytes, again.bytes, text.len) != 0)
			abort();
	}
	buf_fini(&text);
	buf_fini(&again);
	return 0;
}
