/* Background calls, recognised by how the known clients open them. */
#include "answer/background.h"

#include <string.h>
#include <strings.h>

/* Open WebUI puts its tasks under a heading; LibreChat's have none. */
static const char heading[] = "### Task:";
static const char answers_user[] = "Respond to the user";
static const char *const openings[] = {
	"Provide a concise, 5-word-or-less title",
	"Please generate a concise, 5-word-or-less title",
	"Write a concise title for this conversation",
	"Analyze this conversation and provide:\n1. The detected language",
	"Detect user language and write in the same language an extremely concise title",
	"Your task is to reflect the speaker's likely facial expression",
};

static const char *skip_blanks(const char *text, const char *end)
{
	while (text < end && (*text == ' ' || *text == '\n' || *text == '\r' || *text == '\t'))
		text++;
	return text;
}

static bool begins(const char *text, const char *end, const char *word)
{
	size_t len = strlen(word);

	return (size_t)(end - text) >= len && strncasecmp(text, word, len) == 0;
}

bool background_is(const char *text, size_t len)
{
	const char *end = text + len;

	text = skip_blanks(text, end);
	if (begins(text, end, heading))
		return !begins(skip_blanks(text + strlen(heading), end), end, answers_user);
	for (size_t i = 0; i < sizeof(openings) / sizeof(openings[0]); i++) {
		if (begins(text, end, openings[i]))
			return true;
	}
	return false;
}

void background_unwrap(const char *text, size_t len, const char **out, size_t *out_len)
{
	static const char open[] = "<user_query>";
	static const char shut[] = "</user_query>";

	*out = text;
	*out_len = len;
	const char *from = memmem(text, len, open, strlen(open));
	if (from == NULL)
		return;
	from += strlen(open);
	const char *to = memmem(from, (size_t)(text + len - from), shut, strlen(shut));
	if (to == NULL)
		return;
	from = skip_blanks(from, to);
	while (to > from && (to[-1] == ' ' || to[-1] == '\n' || to[-1] == '\r' || to[-1] == '\t'))
		to--;
	if (to == from)
		return;
	*out = from;
	*out_len = (size_t)(to - from);
}
