/* Note gate: each part against what was shown. */
#include "night/note_gate.h"

#include <jansson.h>
#include <string.h>

#include "night/line.h"
#include "night/negation.h"

/* The bounds of note.h, and a little room: the gate counts characters as people do. */
const char note_schema[] =
    "{\"type\":\"object\",\"additionalProperties\":false,"
    "\"required\":[\"title\",\"summary\",\"tags\",\"mood\"],\"properties\":{"
    "\"title\":{\"type\":\"string\",\"maxLength\":60},"
    "\"summary\":{\"type\":\"string\",\"maxLength\":400},"
    "\"tags\":{\"type\":\"array\",\"maxItems\":6,\"items\":{\"type\":\"string\",\"maxLength\":24}},"
    "\"mood\":{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"object\",\"additionalProperties\":false,"
    "\"required\":[\"word\",\"quote\"],\"properties\":{"
    "\"word\":{\"type\":\"string\",\"maxLength\":24},"
    "\"quote\":{\"type\":\"string\",\"maxLength\":200}}}]}}}";

struct checking {
	struct words *words;
	const struct moments *moments;
	const char *shown;
	struct arena *arena;
	enum rc rc;
};

/* A string member, one line with blanks folded; NULL: it is none. */
static const char *string_of(struct checking *checking, const json_t *value)
{
	const char *text = json_string_value(value);
	size_t len = json_string_length(value);

	if (text == NULL || strlen(text) != len)
		return NULL;
	/* Blanks at its ends are nobody's fault. */
	while (len > 0 && text[len - 1] == ' ')
		len--;
	size_t lead = strspn(text, " ");
	lead = lead > len ? len : lead;
	const char *copy = arena_copy(checking->arena, text + lead, len - lead);
	if (copy == NULL)
		checking->rc = RC_NOMEM;
	return copy;
}

/* What every text of a model's own has to be. */
static enum gate check_text(struct checking *checking, const char *text, size_t chars_max)
{
	enum gate gate = gate_line(text, chars_max);

	if (gate == GATE_PASSED)
		gate = gate_links(text, checking->shown);
	if (gate == GATE_PASSED)
		gate = gate_orders(checking->words, text);
	if (gate == GATE_PASSED)
		gate = gate_secrets(checking->words, text);
	if (gate == GATE_PASSED)
		gate = gate_names(checking->words, text);
	return gate;
}

static int sentences_of(const char *text)
{
	static const char *const wide[] = { "。", "！", "？" };
	int n = 0;

	for (const char *p = text; *p != '\0'; p++) {
		bool ends = strchr(".!?", *p) != NULL && (p[1] == ' ' || p[1] == '\0');
		for (size_t i = 0; i < sizeof wide / sizeof wide[0] && !ends; i++)
			ends = strncmp(p, wide[i], strlen(wide[i])) == 0;
		n += ends || p[1] == '\0';
	}
	return n;
}

static enum gate check_words(struct checking *checking, const json_t *root, struct note *out)
{
	out->title = string_of(checking, json_object_get(root, "title"));
	out->summary = string_of(checking, json_object_get(root, "summary"));
	if (out->title == NULL || out->summary == NULL)
		return GATE_FORM;
	enum gate gate = check_text(checking, out->title, NOTE_TITLE_CHARS_MAX);
	if (gate == GATE_PASSED)
		gate = check_text(checking, out->summary, NOTE_SUMMARY_CHARS_MAX);
	if (gate == GATE_PASSED && sentences_of(out->summary) > NOTE_SENTENCES_MAX)
		gate = GATE_LENGTH;
	return gate;
}

static bool has_tag(const struct note *note, const char *tag)
{
	for (size_t i = 0; i < note->tags_len; i++) {
		if (strcmp(note->tags[i], tag) == 0)
			return true;
	}
	return false;
}

static void take_tags(struct checking *checking, const json_t *tags, struct note *out)
{
	for (size_t i = 0; i < json_array_size(tags) && out->tags_len < NOTE_TAGS_MAX; i++) {
		const char *tag = string_of(checking, json_array_get(tags, i));
		if (tag != NULL && !has_tag(out, tag) &&
		    check_text(checking, tag, NOTE_TAG_CHARS_MAX) == GATE_PASSED)
			out->tags[out->tags_len++] = tag;
	}
}

/* ---- mood ------------------------------------------------------------------------------- */

struct mood {
	bool any, all;
};

static bool is_in_quote(void *ctx, const struct word *word)
{
	struct mood *mood = ctx;

	mood->any = true;
	mood->all = mood->all && word->known;
	return true;
}

static bool says_no(struct checking *checking, const char *sentence)
{
	bool any = true;
	enum rc rc = negation_any(checking->words, sentence, &any);

	if (rc != RC_OK)
		checking->rc = rc;
	return rc != RC_OK || any;
}

/* In a sentence of the owner's that neither asks nor says no: the whole of it counts, not only
 * what was cut out of it. */
static bool owner_wrote(struct checking *checking, const char *quote)
{
	const struct moments *moments = checking->moments;

	for (size_t i = 0; i < moments->len; i++) {
		size_t len = 0;
		const struct moment *moment = &moments->list[i];
		const char *at =
		    moment->owner ? line_sentences(moment->text, moment->cut, quote, &len) : NULL;
		if (at == NULL)
			continue;
		const char *sentence = arena_copy(checking->arena, at, len);
		if (sentence == NULL)
			checking->rc = RC_NOMEM;
		else if (strchr(sentence, '?') == NULL && strstr(sentence, "？") == NULL &&
			 !says_no(checking, sentence))
			return true;
	}
	return false;
}

/* The word stands in the quote, and the quote in a text of the owner's. */
static bool is_said(struct checking *checking, const char *mood, const char *quote)
{
	struct mood said = { .all = true };

	if (gate_line(mood, NOTE_MOOD_CHARS_MAX) != GATE_PASSED ||
	    gate_line(quote, NOTE_QUOTE_CHARS_MAX) != GATE_PASSED ||
	    gate_secrets(checking->words, quote) != GATE_PASSED)
		return false;
	words_begin(checking->words, quote);
	enum rc rc = words_add(checking->words, quote);
	if (rc == RC_OK)
		rc = words_walk(checking->words, mood, is_in_quote, &said);
	if (rc != RC_OK)
		checking->rc = rc;
	return rc == RC_OK && said.any && said.all && owner_wrote(checking, quote);
}

static void take_mood(struct checking *checking, const json_t *mood, struct note *out)
{
	const char *word = string_of(checking, json_object_get(mood, "word"));
	const char *text = string_of(checking, json_object_get(mood, "quote"));
	const char *quote =
	    text == NULL ? NULL
			 : line_make(text, strlen(text), NOTE_QUOTE_CHARS_MAX * 4, checking->arena);

	if (word == NULL || quote == NULL || !is_said(checking, word, quote))
		return;
	out->mood = word;
	out->mood_quote = quote;
}

enum rc note_gate(struct words *words, const struct moments *moments, const char *shown,
    const char *answer, size_t len, struct arena *arena, struct note *out)
{
	struct checking checking = {
		.words = words, .moments = moments, .shown = shown, .arena = arena, .rc = RC_OK
	};

	json_t *root = json_loadb(answer, len, JSON_REJECT_DUPLICATES, NULL);
	words_begin(words, shown);
	enum rc rc = words_add(words, shown);
	out->refused = GATE_FORM;
	if (rc == RC_OK && json_is_object(root))
		out->refused = check_words(&checking, root, out);
	if (rc == RC_OK && out->refused == GATE_PASSED) {
		take_tags(&checking, json_object_get(root, "tags"), out);
		take_mood(&checking, json_object_get(root, "mood"), out);
	}
	json_decref(root);
	return rc != RC_OK ? rc : checking.rc;
}
