/* Gate: lines, links, orders and names. */
#include "night/gate.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/unicode.h"
#include "base/utf8.h"
#include "night/line.h"

#define FOLDED_BYTES 4096 /* of a text's words; longer texts did not pass gate_line() */

const char *gate_word(enum gate gate)
{
	static const char *const words[GATE_COUNT] = { "passed",
#define X(name, word) [GATE_##name] = word,
		GATE_LIST(X)
#undef X
	};

	return words[gate];
}

uint64_t gate_refused(const struct gate_counts *counts)
{
	uint64_t sum = 0;

	for (size_t i = GATE_PASSED + 1; i < GATE_COUNT; i++)
		sum += counts->of[i];
	return sum;
}

void gate_put(const struct gate_counts *counts, struct buf *out)
{
	bool any = false;

	buf_putc(out, '{');
	for (size_t i = GATE_PASSED + 1; i < GATE_COUNT; i++) {
		if (counts->of[i] == 0)
			continue;
		buf_printf(out, "%s\"%s\":%" PRIu64, any ? "," : "", gate_word((enum gate)i),
		    counts->of[i]);
		any = true;
	}
	buf_putc(out, '}');
}

/* ---- lines ---------------------------------------------------------------------------- */

/* Signs of templates and pages, their full-width twins, the bars and blocks that special
 * tokens are written with. */
static bool is_markup(uint32_t cp)
{
	static const uint32_t signs[] = { '<', '>', '[', ']', '{', '}', '|', '`', '\\', 0x2581,
		0xFF1C, 0xFF1E, 0xFF3B, 0xFF3D, 0xFF5B, 0xFF5C, 0xFF5D, 0x2039, 0x203A, 0x27E8,
		0x27E9 };

	for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
		if (signs[i] == cp)
			return true;
	}
	return false;
}

static bool breaks_line(uint32_t cp)
{
	switch (unicode_category(cp)) {
	case UNICODE_CC:
	case UNICODE_CF:
	case UNICODE_CN:
	case UNICODE_CO:
	case UNICODE_CS:
	case UNICODE_ZL:
	case UNICODE_ZP:
		return true;
	default:
		return false;
	}
}

enum gate gate_line(const char *text, size_t chars_max)
{
	size_t len = strlen(text), chars = 0, word = 0, step;
	enum gate gate = GATE_PASSED;

	for (size_t i = 0; i < len && gate == GATE_PASSED; i += step, chars++) {
		uint32_t cp = 0;
		step = utf8_decode((const uint8_t *)text + i, len - i, &cp);
		if (step == 0 || breaks_line(cp))
			return GATE_LINE;
		if (is_markup(cp))
			gate = GATE_MARKUP;
		/* Scripts without spaces have no words to be too long. */
		word = unicode_is_space(cp) || cp >= 0x2E80 ? 0 : word + step;
		if (word > GATE_WORD_BYTES_MAX)
			gate = GATE_LENGTH;
	}
	if (gate == GATE_PASSED && (chars == 0 || chars > chars_max))
		gate = GATE_LENGTH;
	return gate;
}

/* ---- links ---------------------------------------------------------------------------- */

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
	       ((unsigned char)c & 0x80) != 0;
}

static bool is_alpha(char c)
{
	return is_alnum(c) && !(c >= '0' && c <= '9');
}

/* "https://…", "name@host", "host.tld": a dot between letters with at least two behind it. */
static bool is_link(const char *token, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		size_t left = len - i;
		if (left >= 3 && memcmp(token + i, "://", 3) == 0)
			return true;
		if (token[i] == '@' && i > 0 && left > 1)
			return true;
		if (token[i] == '.' && i > 0 && left > 2 && is_alnum(token[i - 1]) &&
		    is_alpha(token[i + 1]) && is_alpha(token[i + 2]))
			return true;
	}
	return false;
}

static bool holds_anywhere(const char *shown, const char *token, size_t len)
{
	for (; *shown != '\0'; shown++) {
		if (strncasecmp(shown, token, len) == 0)
			return true;
	}
	return false;
}

enum gate gate_links(const char *text, const char *shown)
{
	while (*text != '\0') {
		size_t len = strcspn(text, " ");
		size_t bare = len;
		while (bare > 0 && !is_alnum(text[bare - 1]) && text[bare - 1] != '/')
			bare--;
		if (is_link(text, bare) && !holds_anywhere(shown, text, bare))
			return GATE_LINK;
		text += len;
		text += strspn(text, " ");
	}
	return GATE_PASSED;
}

/* ---- orders --------------------------------------------------------------------------- */

/* Words that stand in a row in texts that mean to steer a model, folded. */
static const char *const orders[] = { " ignore previous ", " ignore all ", " ignore the ",
	" ignore any ", " ignore your ", " ignore above ", " disregard previous ",
	" disregard all ", " disregard the ", " disregard any ", " disregard your ",
	" forget previous ", " forget all previous ", " forget your instructions ",
	" forget everything ", " override ", " previous instructions ", " prior instructions ",
	" above instructions ", " new instructions ", " instructions ", " system prompt ",
	" system message ", " developer mode ", " developer message ", " jailbreak ",
	" you are now ", " you must ", " you are a ", " you are an ", " act as ", " pretend to ",
	" roleplay ", " do anything now ", " as an ai ", " language model ", " the assistant ",
	" assistant must ", " assistant should ", " your response ", " your answer ",
	" answer only ", " respond only ", " reply only ", " respond with ", " tool call ",
	" function call ", " tool result ", " remember that ", " remember this ", " save this ",
	" store this ", " add this fact ", " memory update ", " update memory ", " end of prompt ",
	" end of input ", " begin system ", " im start ", " im end ", " ignoriere ",
	" vergiss alle ", " vergiss die ", " anweisungen ", " merke dir ", " du bist jetzt ",
	" systemnachricht ", " ignora ", " instrucciones ", " recuerda que ", " olvida todo ",
	" ignorez ", " ignore les ", " oublie ", " oubliez ", " souviens toi que ",
	" mensaje del sistema " };

static const char *const roles[] = { "system:", "assistant:", "user:", "tool:", "developer:",
	"human:", "ai:", "function:", "### " };

static bool begins_with_role(const char *text)
{
	for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
		size_t len = strlen(roles[i]);
		for (const char *p = text; *p != '\0'; p++) {
			bool begins = p == text || !is_alnum(p[-1]);
			if (begins && strncasecmp(p, roles[i], len) == 0)
				return true;
		}
	}
	return false;
}

enum gate gate_orders(struct words *words, const char *text)
{
	char folded[FOLDED_BYTES];

	if (begins_with_role(text))
		return GATE_ORDER;
	if (words_fold(words, text, folded, sizeof folded) != RC_OK)
		return GATE_ORDER;
	for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
		if (strstr(folded, orders[i]) != NULL)
			return GATE_ORDER;
	}
	return GATE_PASSED;
}

/* ---- names and numbers ------------------------------------------------------------------ */

/* What a title or a sentence may begin with although nobody said it, folded. */
static const char openers[] =
    " afternoon appointment arrival at breakfast break brief busy call calls chat cleaning coffee "
    "commute commuting conversation cooking day dinner discussion doctor early errands evening "
    "exercise family first free friends getting going home late lunch making meal meeting meetings "
    "message messages morning music news night note notes phone plan planning plans preparing "
    "reading reminder rest ride run search searching shopping short sleep some talk talking "
    "then time today travel trip two visit visiting waiting walk walking watching weekend work "
    "working writing owner person they "
    "abend abendessen anruf arbeit aufgaben ausflug besprechung besuch einkauf einkaufen essen "
    "fahrt familie feierabend fruhstuck gesprach gesprache heimweg kaffee kochen kurze lesen "
    "mittag mittagessen morgen musik nachmittag nachricht nachrichten nacht notiz notizen pause "
    "planung reise ruhe schlaf spaziergang suche tag telefonat termin training treffen "
    "verabredung vorbereitung weg wochenende "
    "almuerzo cena charla cita compras comida conversacion desayuno descanso dia fin llamada "
    "manana mensaje mensajes noche nota paseo planes reunion tarde trabajo viaje visita "
    "appel apres course courses dejeuner diner discussion journee matin nuit pause promenade "
    "rendez repas reunion soir soiree trajet travail visite voyage ";

struct naming {
	struct words *words;
	const char *text;
	enum gate gate;
};

static bool has_digit(const struct word *word)
{
	for (size_t i = 0; i < word->folded_len; i++) {
		if (word->folded[i] >= '0' && word->folded[i] <= '9')
			return true;
	}
	return false;
}

static bool is_capital(const char *text, const struct word *word)
{
	uint32_t cp = 0;

	if (utf8_decode((const uint8_t *)text + word->begin, word->end - word->begin, &cp) == 0)
		return false;
	enum unicode_category category = unicode_category(cp);
	return category == UNICODE_LU || category == UNICODE_LT;
}

/* Nothing but blanks and signs that open before it, or what ends a sentence. */
static bool begins_sentence(const char *text, size_t at)
{
	while (at > 0 && strchr(" \"'(", text[at - 1]) != NULL)
		at--;
	return at == 0 || strchr(".!?:;", text[at - 1]) != NULL;
}

static bool check_word(void *ctx, const struct word *word)
{
	struct naming *naming = ctx;

	if (word->known)
		return true;
	if (has_digit(word))
		naming->gate = GATE_NUMBER;
	else if (is_capital(naming->text, word) && !word->stop &&
		 !(begins_sentence(naming->text, word->begin) && words_listed(openers, word)))
		naming->gate = GATE_NAME;
	return naming->gate == GATE_PASSED;
}

enum gate gate_names(struct words *words, const char *text)
{
	struct naming naming = { .words = words, .text = text, .gate = GATE_PASSED };

	return words_walk(words, text, check_word, &naming) == RC_OK ? naming.gate : GATE_NAME;
}
