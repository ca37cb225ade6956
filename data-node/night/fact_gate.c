/* Fact gate: one candidate after the other. */
#include "night/fact_gate.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/timestamp.h"
#include "night/line.h"
#include "night/moments.h"
#include "night/negation.h"

#define SENTENCE_BYTES ((size_t)4096)

const char fact_schema[] =
    "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"facts\"],"
    "\"properties\":{\"facts\":{\"type\":\"array\",\"maxItems\":12,\"items\":{"
    "\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"class\",\"subject\","
    "\"attribute\",\"text\",\"quote\",\"moment\",\"from\",\"to\"],\"properties\":{"
    "\"class\":{\"enum\":[\"profile\",\"wishes\",\"preferences\",\"people\",\"places\"]},"
    "\"subject\":{\"type\":\"string\",\"maxLength\":60},"
    "\"attribute\":{\"enum\":[\"\",\"name\",\"birthday\",\"home\",\"employer\",\"job\",\"school\"]}"
    ","
    "\"text\":{\"type\":\"string\",\"maxLength\":160},"
    "\"quote\":{\"type\":\"string\",\"maxLength\":300},"
    "\"moment\":{\"type\":\"integer\"},"
    "\"from\":{\"type\":[\"string\",\"null\"],\"maxLength\":10},"
    "\"to\":{\"type\":[\"string\",\"null\"],\"maxLength\":10}}}}}}";

static const char *const attributes[] = { "", "name", "birthday", "home", "employer", "job",
	"school" };

/* All folded.  What makes it less than said: */
static const char suppositions[] =
    " if whether maybe perhaps might imagine suppose pretend joke joking kidding ironic dream "
    "dreamed dreamt wenn falls ob vielleicht angenommen geträumt getraumt witz quizas acaso ojala "
    "talvez peut si imagine rumor rumour allegedly ";
/* What says that the owner speaks of themselves: */
static const char firsts[] =
    " i im ive id ill me my mine myself we our ours us were weve ich mich mir mein meine meinem "
    "meinen meiner meines wir uns unser unsere unserem unseren yo mi mis mio mia conmigo nosotros "
    "nuestro nuestra je j jai moi mon ma mes nous notre nos eu meu minha meus minhas nosso nossa "
    "io "
    "mio mia miei mie noi nostro nostra ik mij mijn wij ons onze я меня мне мой моя мои мы наш ";
static const char *const dense_firsts[] = { "我", "私", "僕", "俺", "나는", "나의", "내가", "내 ",
	"저는", "제가", "우리" };
/* What a fact may say of its own accord, by class. */
static const char *const frames[FACT_CLASS_COUNT + 1] = {
	[FACT_PROFILE] = " owner owners person named name called besitzer name heißt heisst llama ",
	[FACT_WISHES] = " owner wants wishes asks besitzer wünscht wunscht quiere souhaite ",
	[FACT_PREFERENCES] = " owner owners besitzer ",
	[FACT_PEOPLE] = " owner owners named name called ",
	[FACT_PLACES] = " owner owners named name called place ",
};

struct candidate {
	const char *subject, *attribute, *text, *quote;
	const json_t *from, *to;
	enum fact_class class;
	const struct fact_source *source;
	char sentence[SENTENCE_BYTES]; /* that the quote stands in */
	const char *clause;            /* of it, that counts: negation_agrees() */
};

struct gating {
	struct words *words;
	const struct moments_zone *zone;
	struct arena *arena;
	enum rc rc;
};

/* ---- shapes ----------------------------------------------------------------------------- */

/* A string member as one line; NULL: it is none. */
static const char *line_of(struct gating *gating, const json_t *item, const char *name)
{
	const json_t *value = json_object_get(item, name);
	const char *text = json_string_value(value);

	if (text == NULL || strlen(text) != json_string_length(value))
		return NULL;
	const char *line = line_make(text, strlen(text), SIZE_MAX, gating->arena);
	if (line == NULL)
		gating->rc = RC_NOMEM;
	return line;
}

static bool is_attribute(const char *word)
{
	for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++) {
		if (strcmp(attributes[i], word) == 0)
			return true;
	}
	return false;
}

static enum gate read_candidate(struct gating *gating, const json_t *item,
    const struct fact_source *sources, size_t sources_len, struct candidate *out)
{
	const char *class = json_string_value(json_object_get(item, "class"));
	const json_t *moment = json_object_get(item, "moment");

	out->subject = line_of(gating, item, "subject");
	out->attribute = line_of(gating, item, "attribute");
	out->text = line_of(gating, item, "text");
	out->quote = line_of(gating, item, "quote");
	out->from = json_object_get(item, "from");
	out->to = json_object_get(item, "to");
	if (out->subject == NULL || out->text == NULL || out->quote == NULL || class == NULL)
		return GATE_FORM;
	out->class = fact_class_parse(class);
	if (out->class == 0 || out->attribute == NULL || !is_attribute(out->attribute))
		return GATE_CLASS;
	if (out->attribute[0] != '\0' && (out->class != FACT_PROFILE || out->subject[0] != '\0'))
		out->attribute = "";
	if (!json_is_integer(moment) || json_integer_value(moment) < 1 ||
	    (uint64_t)json_integer_value(moment) > sources_len)
		return GATE_MOMENT;
	out->source = &sources[json_integer_value(moment) - 1];
	return out->source->owner ? GATE_PASSED : GATE_ORIGIN;
}

/* ---- the quote and its sentence ------------------------------------------------------------ */

static enum gate find_sentence(struct candidate *candidate)
{
	size_t len = 0;
	const char *begin =
	    line_sentences(candidate->source->text, candidate->source->cut, candidate->quote, &len);

	if (begin == NULL)
		return GATE_QUOTE;
	if (len >= sizeof candidate->sentence)
		return GATE_LENGTH;
	memcpy(candidate->sentence, begin, len);
	candidate->sentence[len] = '\0';
	return GATE_PASSED;
}

struct listed {
	const char *list;
	bool any;
};

static bool look_for(void *ctx, const struct word *word)
{
	struct listed *listed = ctx;

	listed->any = words_listed(listed->list, word);
	return !listed->any;
}

static bool has_any(struct gating *gating, const char *text, const char *list)
{
	struct listed listed = { .list = list };
	enum rc rc = words_walk(gating->words, text, look_for, &listed);

	if (rc != RC_OK)
		gating->rc = rc;
	return listed.any;
}

static bool speaks_of_owner(struct gating *gating, const char *sentence)
{
	for (size_t i = 0; i < sizeof dense_firsts / sizeof dense_firsts[0]; i++) {
		if (strstr(sentence, dense_firsts[i]) != NULL)
			return true;
	}
	return has_any(gating, sentence, firsts);
}

/* ---- words -------------------------------------------------------------------------------- */

struct covering {
	const char *frame;
	size_t content; /* words that say something, and stand in the quote */
	bool all;
};

static bool is_covered(void *ctx, const struct word *word)
{
	struct covering *covering = ctx;

	if (word->known && !word->stop)
		covering->content++;
	covering->all =
	    covering->all && (word->known || word->stop || words_listed(covering->frame, word));
	return covering->all;
}

static bool all_known(struct gating *gating, const char *text)
{
	struct covering covering = { .frame = " ", .all = true };
	enum rc rc = words_walk(gating->words, text, is_covered, &covering);

	if (rc != RC_OK)
		gating->rc = rc;
	return covering.all && covering.content > 0;
}

/* Every word of `text` stands in `a` or `b`, or is of the frame of its class. */
static bool is_made_of(
    struct gating *gating, const struct candidate *candidate, const char *a, const char *b)
{
	struct covering covering = { .frame = frames[candidate->class], .all = true };

	words_begin(gating->words, candidate->sentence);
	enum rc rc = words_add(gating->words, a);
	if (rc == RC_OK)
		rc = words_add(gating->words, b);
	if (rc == RC_OK)
		rc = words_walk(gating->words, candidate->text, is_covered, &covering);
	if (rc != RC_OK)
		gating->rc = rc;
	return rc == RC_OK && covering.all && covering.content > 0;
}

/* Every word of the subject stands in the clause that counts, and every one of the fact in it
 * and in the quote, or in the subject. */
static enum gate check_words(struct gating *gating, const struct candidate *candidate)
{
	words_begin(gating->words, candidate->sentence);
	gating->rc = words_add(gating->words, candidate->clause);
	if (gating->rc != RC_OK)
		return GATE_WORDS;
	if (candidate->subject[0] != '\0' ? !all_known(gating, candidate->subject)
					  : !speaks_of_owner(gating, candidate->clause))
		return GATE_NAME;
	return is_made_of(gating, candidate, candidate->quote, candidate->subject) &&
		       is_made_of(gating, candidate, candidate->clause, candidate->subject)
		   ? GATE_PASSED
		   : GATE_WORDS;
}

static enum gate check_negation(struct gating *gating, struct candidate *candidate)
{
	bool agrees = false;
	enum rc rc = negation_agrees(gating->words, candidate->sentence, candidate->text,
	    gating->arena, &candidate->clause, &agrees);

	if (rc != RC_OK)
		gating->rc = rc;
	return rc == RC_OK && agrees ? GATE_PASSED : GATE_NEGATION;
}

static enum gate check_text(struct gating *gating, const char *text, size_t chars_max)
{
	enum gate gate = gate_line(text, chars_max);

	if (gate == GATE_PASSED)
		gate = gate_orders(gating->words, text);
	return gate == GATE_PASSED ? gate_secrets(gating->words, text) : gate;
}

static enum gate check(struct gating *gating, struct candidate *candidate)
{
	enum gate gate = check_text(gating, candidate->text, FACT_GATE_TEXT_CHARS_MAX);

	if (gate == GATE_PASSED && candidate->subject[0] != '\0')
		gate = check_text(gating, candidate->subject, FACT_GATE_SUBJECT_CHARS_MAX);
	if (gate == GATE_PASSED)
		gate = check_text(gating, candidate->quote, FACT_GATE_QUOTE_CHARS_MAX);
	if (gate == GATE_PASSED)
		gate = find_sentence(candidate);
	if (gate == GATE_PASSED)
		gate = gate_secrets(gating->words, candidate->sentence);
	if (gate == GATE_PASSED)
		gate = gate_orders(gating->words, candidate->sentence);
	if (gate == GATE_PASSED)
		gate = gate_links(candidate->text, candidate->quote);
	if (gate == GATE_PASSED && (strchr(candidate->sentence, '?') != NULL ||
				       strstr(candidate->sentence, "？") != NULL ||
				       has_any(gating, candidate->sentence, suppositions)))
		gate = GATE_QUESTION;
	if (gate == GATE_PASSED)
		gate = check_negation(gating, candidate);
	return gate == GATE_PASSED ? check_words(gating, candidate) : gate;
}

/* ---- facts ----------------------------------------------------------------------------------- */

/* "2026-03-01", where the sentence names that year or it is the day it was said on: its
 * beginning, where the owner is. */
static bool read_day(const struct candidate *candidate, const struct moments_zone *zone,
    const json_t *value, int64_t *out)
{
	const char *text = json_string_value(value);
	int year, month, day, end = 0;
	struct civil said;
	char digits[16];

	if (text == NULL || strlen(text) != 10 ||
	    sscanf(text, "%4d-%2d-%2d%n", &year, &month, &day, &end) != 3 || end != 10 ||
	    year < 1900 || year > 2199 || month < 1 || month > 12 || day < 1 ||
	    day > civil_days_in_month(year, month))
		return false;
	civil_of_ns(moments_local_ns(zone, candidate->source->at_ns), &said);
	(void)snprintf(digits, sizeof digits, "%04d", year);
	if (strstr(candidate->sentence, digits) == NULL &&
	    (said.year != year || said.month != month || said.day != day))
		return false;
	*out = moments_midnight_ns(zone, civil_days(year, month, day));
	return true;
}

static enum gate take(struct gating *gating, const struct candidate *candidate, struct fact *out)
{
	uint8_t(*about)[OBS_ID_BYTES] = arena_array(gating->arena, 1, sizeof *about);

	if (about == NULL) {
		gating->rc = RC_NOMEM;
		return GATE_FORM;
	}
	memcpy(about[0], candidate->source->obs_id, OBS_ID_BYTES);
	*out = (struct fact){ .class = candidate->class,
		.subject = candidate->subject,
		.attribute = candidate->attribute,
		.text = candidate->text,
		.valid_from_ns = FACT_ALWAYS_FROM_NS,
		.valid_to_ns = FACT_ALWAYS_TO_NS,
		.about = (const uint8_t(*)[OBS_ID_BYTES])about,
		.about_len = 1 };
	(void)read_day(candidate, gating->zone, candidate->from, &out->valid_from_ns);
	if (read_day(candidate, gating->zone, candidate->to, &out->valid_to_ns) &&
	    out->valid_to_ns <= out->valid_from_ns)
		out->valid_to_ns = FACT_ALWAYS_TO_NS;
	bool fits = fact_line_is_good(out->text, strlen(out->text), FACT_TEXT_BYTES_MAX) &&
		    (out->subject[0] == '\0' || fact_line_is_good(out->subject,
						    strlen(out->subject), FACT_SUBJECT_BYTES_MAX));
	return fits ? GATE_PASSED : GATE_LENGTH;
}

enum rc fact_gate(struct words *words, const struct moments_zone *zone,
    const struct fact_source *sources, size_t sources_len, const char *answer, size_t len,
    struct arena *arena, struct fact *out, size_t *out_len, struct gate_counts *counts)
{
	struct gating gating = { .words = words, .zone = zone, .arena = arena, .rc = RC_OK };
	json_t *root = json_loadb(answer, len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *facts = json_object_get(root, "facts");

	*out_len = 0;
	if (!json_is_array(facts))
		counts->of[GATE_FORM]++;
	for (size_t i = 0; i < json_array_size(facts) && gating.rc == RC_OK; i++) {
		struct candidate candidate = { .class = FACT_PROFILE };
		enum gate gate = i < FACT_GATE_FACTS_MAX ? GATE_PASSED : GATE_LENGTH;
		if (gate == GATE_PASSED)
			gate = read_candidate(
			    &gating, json_array_get(facts, i), sources, sources_len, &candidate);
		words_begin(words, gate == GATE_PASSED ? candidate.source->text : "");
		if (gate == GATE_PASSED)
			gate = check(&gating, &candidate);
		if (gate == GATE_PASSED)
			gate = take(&gating, &candidate, &out[*out_len]);
		*out_len += gate == GATE_PASSED;
		counts->of[gate]++;
	}
	json_decref(root);
	return gating.rc;
}
