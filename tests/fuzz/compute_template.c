/* Fuzz target: any bytes as a chat template, rendered on a small chat. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "template/template.h"

#define FUZZ_ARENA_BYTES ((size_t)4 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char chat[] =
	    "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi <|x|>\"}],"
	    "\"tools\":[{\"name\":\"f\",\"n\":[1,2.5,null]}],\"bos_token\":\"<s>\"}";
	const struct template_clock clock = { 0 };
	struct template *template = NULL;
	const struct text *text;
	struct value variables;
	struct arena arena;
	bool refused;

	if (template_compile((const char *)data, size, &template, NULL) != RC_OK)
		return 0;
	arena_init(&arena, FUZZ_ARENA_BYTES);
	enum rc rc = template_parse_json(chat, strlen(chat), &arena, &variables, NULL);
	if (rc == RC_OK)
		rc = template_render(template, variables, &clock, &arena, &text, &refused, NULL);
	(void)rc;
	arena_fini(&arena);
	template_free(template);
	return 0;
}
