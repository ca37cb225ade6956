/* Negation: the no of a sentence, its clause, and what comes behind it. */
#include "night/negation.h"

#include <string.h>

#include "night/line.h"

#define WORD_BYTES ((size_t)256)

/* All folded.  What turns a sentence round: */
static const char negations[] =
    " not no never dont didnt doesnt isnt arent wasnt werent cant cannot couldnt wont wouldnt "
    "shouldnt hasnt havent hadnt aint neither nor without less nobody nothing none hardly "
    "nicht kein keine keinen keinem keiner keines nie niemals niemand ohne nichts weder kaum "
    "wenig nunca ni sin jamas nada nadie ninguno ninguna tampoco ne pas jamais sans non rien "
    "aucun aucune mai senza nao nem sem niet geen nooit zonder не нет никогда без ";
/* What says that it was so, and is no more: */
static const char enders[] =
    " stop stops stopped stopping quit quits quitting cease ceased former formerly previously "
    "abandoned aufgehort aufhoren aufhore aufgegeben abgewohnt abgeschworen gekundigt fruher "
    "fruhere fruherer ehemals ehemalige ehemaliger damals einst deje dejo dejado dejar dejamos "
    "antes antiguamente solia soliamos cese arrete arreter jarrete darreter cesse cesser renonce "
    "autrefois jadis parei parar parado deixei deixar antigamente costumava smesso smetto smettere "
    "cessato gestopt stopte opgehouden vroeger voorheen бросил бросила бросили перестал перестала "
    "перестали раньше прежде ";
/* "used to", "gave it up": such a word alone says nothing. */
static const char used[] = " used ", used_to[] = " to ";
static const char gave[] =
    " gave give given giving gab gaben gebe geben hore horen hort horte horten ";
static const char gave_up[] = " up auf ";
/* Of scripts without spaces, anywhere in a pair: */
static const char *const dense_negations[] = { "不", "没", "沒", "無", "无", "ない", "せん", "않",
	"못", "없", "아니", "戒了", "戒掉", "停止", "放弃", "放棄", "以前", "曾", "やめ", "止め",
	"辞め", "그만", "끊었", "예전" };
/* The first half of "ne … pas", which is one: */
static const char halves[] = " ne ";
/* What a no may be about, instead of the word behind it; and what sets in behind it: */
static const char shifts[] =
    " and but although though yet except only just merely alone every each all always everything "
    "everyone both und aber sondern doch ausser außer nur bloss bloß allein jeder jede jeden jedes "
    "alle alles immer beide y e pero sino aunque excepto solo solamente todo todos toda todas "
    "siempre et mais sauf seulement tout tous toute toutes toujours ma ed mas porem apenas sempre "
    "tutto tutti maar enkel alleen altijd и но а только всегда все всё ";
static const char *const borders[] = { ",", ":", "(", ")", "\"", " - ", "–", "—", "，", "、", "。",
	"！" };
#define BORDERS (sizeof(borders) / sizeof(borders[0]))

/* ---- the no ------------------------------------------------------------------------------ */

struct no {
	bool any;
	size_t n;          /* but for halves */
	size_t begin, end; /* of the last one, bytes of its text */
	bool used, gave;   /* the word before was; one so far was */
};

static bool is_no(const struct word *word)
{
	for (size_t i = 0; i < sizeof dense_negations / sizeof dense_negations[0]; i++) {
		if (strstr(word->folded, dense_negations[i]) != NULL)
			return true;
	}
	return words_listed(negations, word) || words_listed(enders, word);
}

static bool ends_pair(struct no *no, const struct word *word)
{
	bool ends =
	    (no->used && words_listed(used_to, word)) || (no->gave && words_listed(gave_up, word));

	no->used = words_listed(used, word);
	no->gave = no->gave || words_listed(gave, word);
	return ends;
}

static bool look_for_no(void *ctx, const struct word *word)
{
	struct no *no = ctx;

	if (!ends_pair(no, word) && !is_no(word))
		return true;
	no->any = true;
	if (words_listed(halves, word))
		return true;
	no->n++;
	no->begin = word->begin;
	no->end = word->end;
	return true;
}

enum rc negation_any(struct words *words, const char *text, bool *any)
{
	struct no no = { .n = 0 };
	enum rc rc = words_walk(words, text, look_for_no, &no);

	*any = no.any;
	return rc;
}

static bool look_for_shift(void *ctx, const struct word *word)
{
	bool *shifts_it = ctx;

	*shifts_it = words_listed(shifts, word);
	return !*shifts_it;
}

/* ---- its clause -------------------------------------------------------------------------- */

/* Around `no`, which is moved to its place in the clause.  NULL: no memory. */
static const char *clause_of(const char *sentence, struct no *no, struct arena *arena)
{
	size_t begin = 0, end = no->end;

	for (size_t i = 0; i < no->begin; i++) {
		size_t len = line_mark_len(borders, BORDERS, sentence + i);
		if (len > 0 && i + len <= no->begin)
			begin = i + len;
	}
	while (sentence[end] != '\0' && line_mark_len(borders, BORDERS, sentence + end) == 0)
		end++;
	no->begin -= begin;
	no->end -= begin;
	return arena_copy(arena, sentence + begin, end - begin);
}

/* ---- behind it --------------------------------------------------------------------------- */

/* The first word that says something: copied, or held against the set. */
struct next {
	char *copy; /* [WORD_BYTES]; NULL */
	bool any, known;
	const char *text;
};

static bool take_next(void *ctx, const struct word *word)
{
	struct next *next = ctx;
	size_t len = word->end - word->begin;

	if (word->stop)
		return true;
	next->any = true;
	next->known = word->known;
	if (next->copy != NULL && len < WORD_BYTES) {
		memcpy(next->copy, next->text + word->begin, len);
		next->copy[len] = '\0';
	}
	return false;
}

/* Is the first word of `rest` that of `said`, in any of its forms, or is there none in both? */
static enum rc begins_alike(struct words *words, const char *said, const char *rest, bool *alike)
{
	char word[WORD_BYTES] = "";
	struct next first = { .copy = word, .text = said }, second = { .text = rest };

	enum rc rc = words_walk(words, said, take_next, &first);
	if (rc == RC_OK)
		rc = words_add(words, word);
	if (rc == RC_OK)
		rc = words_walk(words, rest, take_next, &second);
	*alike = first.any == second.any && (!first.any || second.known);
	return rc;
}

enum rc negation_agrees(struct words *words, const char *sentence, const char *text,
    struct arena *arena, const char **clause, bool *agrees)
{
	struct no said = { .n = 0 }, repeated = { .n = 0 };
	bool shifts_it = false;

	*clause = sentence;
	*agrees = false;
	words_begin(words, sentence);
	enum rc rc = words_walk(words, sentence, look_for_no, &said);
	if (rc == RC_OK)
		rc = words_walk(words, text, look_for_no, &repeated);
	*agrees = !said.any && !repeated.any;
	if (rc != RC_OK || said.n != 1 || repeated.n != 1)
		return rc;
	*clause = clause_of(sentence, &said, arena);
	if (*clause == NULL)
		return RC_NOMEM;
	rc = words_walk(words, *clause, look_for_shift, &shifts_it);
	if (rc != RC_OK || shifts_it)
		return rc;
	return begins_alike(words, *clause + said.end, text + repeated.end, agrees);
}
