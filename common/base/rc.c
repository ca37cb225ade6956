/* Result codes: words, texts and exit codes. */
#include "base/rc.h"

#include <stddef.h>

static const struct {
	const char *word;
	const char *text;
} names[] = {
#define X(name, word, text) [RC_##name] = { word, text },
	RC_LIST(X)
#undef X
};

const char *rc_word(enum rc rc)
{
	if ((size_t)rc >= sizeof(names) / sizeof(names[0]))
		return "unknown";
	return names[rc].word;
}

const char *rc_text(enum rc rc)
{
	if ((size_t)rc >= sizeof(names) / sizeof(names[0]))
		return "unknown result code";
	return names[rc].text;
}

int rc_exit_code(enum rc rc)
{
	switch (rc) {
	case RC_OK:
		return EXIT_DONE;
	case RC_CONFIG:
		return EXIT_CONFIG;
	case RC_CORRUPT:
		return EXIT_INTEGRITY;
	case RC_BUDGET:
		return EXIT_PLAN;
	default:
		return EXIT_FAILED;
	}
}
