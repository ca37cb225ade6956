/* A recall month: facts in conversations among chatter and what devices say. */
#include "recall_month.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/timestamp.h"
#include "recall_month_text.h"

#define DAYS 30
#define MOMENTS_MAX 8000
#define QUESTIONS_MAX 600
#define TALKS_A_DAY 5
#define TEXT_BYTES 400
#define NEEDED_NONE UINT32_MAX

/* Fillings of the slots of one fact. */
struct filling {
	size_t person, thing, place, city, dish, title, colour;
	unsigned number;
	char word[12];
};

struct make {
	struct recall_month *month;
	uint64_t seed;
	int64_t first_ns; /* of the month */
};

static void must(bool holds)
{
	if (!holds)
		abort();
}

static char *copy(const char *text)
{
	char *out = strdup(text);

	must(out != NULL);
	return out;
}

static size_t draw(struct make *make, size_t n)
{
	return (size_t)(random_next(&make->seed) % n);
}

static void draw_word(struct make *make, char word[12])
{
	static const char *const parts[] = { "bra", "ne", "lo", "vix", "ta", "rum", "el", "dor",
		"qui", "sa", "fen", "mok" };

	(void)snprintf(word, 12, "%s%s%s", parts[draw(make, 12)], parts[draw(make, 12)],
	    parts[draw(make, 12)]);
	word[0] = (char)(word[0] - 'a' + 'A');
}

static struct filling fill(struct make *make, size_t person)
{
	struct filling filling = { .person = person,
		.thing = draw(make, recall_things_len),
		.place = draw(make, recall_places_len),
		.city = draw(make, recall_cities_len),
		.dish = draw(make, recall_dishes_len),
		.title = draw(make, recall_titles_len),
		.colour = draw(make, recall_colours_len),
		.number = 10 + (unsigned)draw(make, 980) };

	draw_word(make, filling.word);
	return filling;
}

static void write_text(const char *form, const struct filling *f, char out[TEXT_BYTES])
{
	size_t len = 0;
	char number[16];

	(void)snprintf(number, sizeof number, "%u", f->number);
	for (; *form != '\0' && len + 80 < TEXT_BYTES; form++) {
		const char *put = NULL;
		if (*form != '%') {
			out[len++] = *form;
			continue;
		}
		switch (*++form) {
		case 'p':
			put = recall_persons[f->person].name;
			break;
		case 't':
			put = recall_things[f->thing];
			break;
		case 'l':
			put = recall_places[f->place];
			break;
		case 'c':
			put = recall_cities[f->city];
			break;
		case 'd':
			put = recall_dishes[f->dish];
			break;
		case 'b':
			put = recall_titles[f->title];
			break;
		case 'k':
			put = recall_colours[f->colour];
			break;
		case 'w':
			put = f->word;
			break;
		default:
			put = number;
			break;
		}
		len += (size_t)snprintf(out + len, TEXT_BYTES - len, "%s", put);
	}
	out[len] = '\0';
}

/* Returns its number: a moment's place is known when all are sorted by time. */
static uint32_t add_moment(struct make *make, enum layer layer, const char *kind,
    const char *source, int64_t t0_ns, const char *text, const char *data)
{
	struct recall_month *month = make->month;
	char id[16];

	must(month->moments_len < MOMENTS_MAX);
	uint32_t number = (uint32_t)month->moments_len;
	(void)snprintf(id, sizeof id, "m%u", number);
	struct observation *obs = &month->moments[month->moments_len++];
	*obs = (struct observation){ .seq = number,
		.source = copy(source),
		.client_id = copy(id),
		.layer = layer,
		.kind = copy(kind),
		.clock_id = "",
		.boot_epoch = "",
		.zone = "",
		.origin = ORIGIN_OWNER,
		.text = copy(text),
		.data_json = copy(data) };
	obs->dev_t0_ns = obs->dev_t1_ns = t0_ns;
	obs->place.t0_ns = obs->place.t1_ns = t0_ns;
	return number;
}

static struct recall_question *add_question(struct make *make, enum recall_question_kind kind,
    enum language language, const char *text, uint32_t a, uint32_t b)
{
	struct recall_month *month = make->month;

	must(month->questions_len < QUESTIONS_MAX);
	struct recall_question *question = &month->questions[month->questions_len++];
	*question = (struct recall_question){ .kind = kind, .language = language };
	(void)snprintf(question->text, sizeof question->text, "%s", text);
	if (a != NEEDED_NONE)
		question->needed[question->needed_len++] = a;
	if (b != NEEDED_NONE)
		question->needed[question->needed_len++] = b;
	return question;
}

/* ---- conversations -----------------------------------------------------------------------------
 */

static uint32_t add_turn(struct make *make, const struct recall_person *with, bool theirs,
    int64_t t0_ns, const char *text)
{
	char line[TEXT_BYTES + 32], data[80];

	(void)snprintf(line, sizeof line, "%s: %s", theirs ? with->name : "me", text);
	(void)snprintf(
	    data, sizeof data, "{\"with\":\"%s\",\"conversation\":\"%s\"}", with->name, with->name);
	return add_moment(make, LAYER_TEXT, "message", "chat", t0_ns, line, data);
}

static int64_t add_chatter(
    struct make *make, const struct recall_person *with, size_t turns, int64_t t0_ns)
{
	char text[TEXT_BYTES];

	for (size_t i = 0; i < turns; i++) {
		struct filling filling = fill(make, draw(make, recall_persons_len));
		const char *form = recall_chatter_en[draw(make, recall_chatter_en_len)];
		if (with->language == LANGUAGE_DE)
			form = recall_chatter_de[draw(make, recall_chatter_de_len)];
		else if (with->language == LANGUAGE_ES)
			form = recall_chatter_es[draw(make, recall_chatter_es_len)];
		write_text(form, &filling, text);
		(void)add_turn(make, with, draw(make, 2) == 0, t0_ns, text);
		t0_ns += (int64_t)(20 + draw(make, 160)) * NS_PER_S;
	}
	return t0_ns;
}

static int64_t day_ns(const struct make *make, size_t day, int hour)
{
	return make->first_ns + (int64_t)day * NS_PER_DAY + hour * NS_PER_HOUR;
}

/* A talk with something in it: chatter, what is said, chatter. */
static uint32_t add_talk(struct make *make, const struct recall_person *with, int64_t t0_ns,
    const char *said, const char *then, const struct filling *filling)
{
	char text[TEXT_BYTES];

	t0_ns = add_chatter(make, with, 1 + draw(make, 6), t0_ns);
	write_text(said, filling, text);
	uint32_t number = add_turn(make, with, true, t0_ns, text);
	t0_ns += 60 * NS_PER_S;
	if (then != NULL) {
		write_text(then, filling, text);
		(void)add_turn(make, with, false, t0_ns, text);
	}
	(void)add_chatter(make, with, 1 + draw(make, 5), t0_ns + 60 * NS_PER_S);
	return number;
}

static void add_facts(struct make *make)
{
	char text[TEXT_BYTES];

	for (size_t i = 0; i < recall_facts_len; i++) {
		const struct recall_fact *fact = &recall_facts[i];
		for (size_t p = 0; p < recall_persons_len; p++) {
			if (recall_persons[p].language != fact->language)
				continue;
			struct filling filling = fill(make, p);
			uint32_t number = add_talk(make, &recall_persons[p],
			    day_ns(make, draw(make, DAYS - 1), 8 + (int)draw(make, 13)),
			    fact->first, fact->second, &filling);
			write_text(fact->question, &filling, text);
			(void)add_question(
			    make, RECALL_SINGLE, fact->language, text, number, NEEDED_NONE);
		}
	}
}

static void add_pairs(struct make *make)
{
	char text[TEXT_BYTES];

	for (size_t i = 0; i < recall_pairs_len; i++) {
		const struct recall_fact *fact = &recall_pairs[i];
		for (size_t p = 0; p < recall_persons_len; p++) {
			if (recall_persons[p].language != fact->language)
				continue;
			struct filling filling = fill(make, p);
			size_t day = draw(make, DAYS - 8);
			uint32_t first = add_talk(make, &recall_persons[p],
			    day_ns(make, day, 9 + (int)draw(make, 10)), fact->first, NULL,
			    &filling);
			uint32_t second = add_talk(make, &recall_persons[p],
			    day_ns(make, day + 2 + draw(make, 5), 9 + (int)draw(make, 10)),
			    fact->second, NULL, &filling);
			write_text(fact->question, &filling, text);
			(void)add_question(make, RECALL_MULTI, fact->language, text, first, second);
		}
	}
}

static void add_absent(struct make *make)
{
	char text[TEXT_BYTES];

	for (size_t i = 0; i < recall_absent_len; i++) {
		for (size_t p = 0; p < recall_persons_len; p++) {
			struct filling filling = fill(make, p);
			if (recall_persons[p].language != recall_absent[i].language)
				continue;
			write_text(recall_absent[i].question, &filling, text);
			(void)add_question(make, RECALL_ABSENT, recall_absent[i].language, text,
			    NEEDED_NONE, NEEDED_NONE);
		}
	}
}

/* ---- days ---------------------------------------------------------------------------------------
 */

/* What only a day tells apart: the same things on every one. */
static void ask_of_day(struct make *make, size_t day, uint32_t visit, uint32_t watched,
    uint32_t noted, uint32_t cooked)
{
	char text[160];
	int date = (int)day + 1;

	(void)snprintf(text, sizeof text, "Which place did I visit on %d November?", date);
	if (day % 3 == 0)
		(void)add_question(make, RECALL_TEMPORAL, LANGUAGE_EN, text, visit, NEEDED_NONE);
	(void)snprintf(text, sizeof text, "What did I watch on the evening of %d November?", date);
	if (day % 3 == 1)
		(void)add_question(make, RECALL_TEMPORAL, LANGUAGE_EN, text, watched, NEEDED_NONE);
	(void)snprintf(text, sizeof text, "What did I cook %d days ago?", DAYS - 1 - (int)day);
	if (day % 3 == 2 && day + 2 < DAYS)
		(void)add_question(make, RECALL_TEMPORAL, LANGUAGE_EN, text, cooked, NEEDED_NONE);
	(void)snprintf(text, sizeof text, "Welche Notiz habe ich am %d. November gemacht?", date);
	if (day % 2 == 0)
		(void)add_question(make, RECALL_TEMPORAL, LANGUAGE_DE, text, noted, NEEDED_NONE);
	(void)snprintf(text, sizeof text, "¿Qué cociné el %d de noviembre?", date);
	if (day % 2 == 1)
		(void)add_question(make, RECALL_TEMPORAL, LANGUAGE_ES, text, cooked, NEEDED_NONE);
	if (DAYS - 1 - day == 1)
		(void)add_question(make, RECALL_TEMPORAL, LANGUAGE_EN,
		    "What did I watch last night?", watched, NEEDED_NONE);
	if (DAYS - 1 - day == 2)
		(void)add_question(make, RECALL_TEMPORAL, LANGUAGE_DE, "Wo war ich vorgestern?",
		    visit, NEEDED_NONE);
	if (DAYS - 1 - day < 7) {
		static const char *const names[] = { "Monday", "Sunday", "Saturday", "Friday",
			"Thursday", "Wednesday", "Tuesday" };
		(void)snprintf(
		    text, sizeof text, "Which dish did I cook on %s?", names[DAYS - 1 - day]);
		if (DAYS - 1 - day > 0)
			(void)add_question(
			    make, RECALL_TEMPORAL, LANGUAGE_EN, text, cooked, NEEDED_NONE);
	}
}

static void add_devices(struct make *make, size_t day)
{
	char text[TEXT_BYTES];

	for (int hour = 7; hour < 23; hour++) {
		int64_t t0_ns = day_ns(make, day, hour) + (int64_t)draw(make, 3000) * NS_PER_S;
		(void)snprintf(text, sizeof text, "{\"value\":%.1f,\"unit\":\"C\"}",
		    4 + (double)draw(make, 100) / 10);
		(void)add_moment(
		    make, LAYER_ENVIRONMENT, "temperature", "balcony", t0_ns, "", text);
		(void)snprintf(text, sizeof text, "%s light %s", draw(make, 2) ? "kitchen" : "hall",
		    draw(make, 2) ? "on" : "off");
		(void)add_moment(
		    make, LAYER_HOME, "light", "home", t0_ns + 60 * NS_PER_S, text, "");
		if (hour > 8 && hour < 18)
			(void)add_moment(make, LAYER_BEHAVIOUR, "app", "laptop",
			    t0_ns + 120 * NS_PER_S,
			    draw(make, 2) ? "Mail: inbox" : "Editor: report_draft", "");
	}
}

static void add_day(struct make *make, size_t day)
{
	struct filling f = fill(make, draw(make, recall_persons_len));
	char text[TEXT_BYTES];

	for (size_t i = 0; i < TALKS_A_DAY; i++)
		(void)add_chatter(make, &recall_persons[draw(make, recall_persons_len)],
		    4 + draw(make, 9), day_ns(make, day, 8 + (int)draw(make, 13)));
	add_devices(make, day);
	write_text("%l", &f, text);
	uint32_t visit = add_moment(make, LAYER_ENVIRONMENT, "visit", "phone",
	    day_ns(make, day, 13) + (int64_t)draw(make, 7000) * NS_PER_S, text, "");
	write_text("Player: %b", &f, text);
	uint32_t watched = add_moment(make, LAYER_BEHAVIOUR, "app", "tv",
	    day_ns(make, day, 20) + (int64_t)draw(make, 7000) * NS_PER_S, text, "");
	write_text("idea: the %k %t needs a new handle", &f, text);
	uint32_t noted = add_moment(make, LAYER_TEXT, "note", "notes",
	    day_ns(make, day, 10) + (int64_t)draw(make, 7000) * NS_PER_S, text, "");
	write_text("a plate of %d on the kitchen table", &f, text);
	uint32_t cooked = add_moment(make, LAYER_VISUAL, "photo", "phone",
	    day_ns(make, day, 18) + (int64_t)draw(make, 6000) * NS_PER_S, text, "");
	ask_of_day(make, day, visit, watched, noted, cooked);
}

/* ---- by hand ------------------------------------------------------------------------------------
 */

static int64_t parse_time(const char *start)
{
	char text[40];
	int64_t ns;

	(void)snprintf(text, sizeof text, "%s:00Z", start);
	must(timestamp_parse(text, &ns, NULL) == RC_OK);
	return ns;
}

static enum recall_question_kind kind_of(char letter)
{
	return letter == 's'   ? RECALL_SINGLE
	       : letter == 'm' ? RECALL_MULTI
	       : letter == 't' ? RECALL_TEMPORAL
			       : RECALL_ABSENT;
}

static void add_by_hand(struct make *make)
{
	uint32_t *numbers = calloc(recall_hand_moments_len, sizeof *numbers);

	must(numbers != NULL);
	for (size_t i = 0; i < recall_hand_moments_len; i++) {
		const struct recall_hand_moment *moment = &recall_hand_moments[i];
		numbers[i] = add_moment(make, moment->layer, moment->kind, moment->source,
		    parse_time(moment->start), moment->text, "");
	}
	for (size_t i = 0; i < recall_hand_questions_len; i++) {
		const struct recall_hand_question *from = &recall_hand_questions[i];
		struct recall_question *question = add_question(make, kind_of(from->kind),
		    from->language, from->text, NEEDED_NONE, NEEDED_NONE);
		question->by_hand = true;
		for (size_t k = 0; k < recall_hand_moments_len; k++) {
			if (strstr(from->needed, recall_hand_moments[k].id) != NULL)
				question->needed[question->needed_len++] = numbers[k];
		}
		must((question->needed_len == 0) == (question->kind == RECALL_ABSENT));
	}
	free(numbers);
}

/* ---- all of it ----------------------------------------------------------------------------------
 */

static int by_time(const void *a, const void *b)
{
	const struct observation *x = a, *y = b;

	if (x->place.t0_ns != y->place.t0_ns)
		return x->place.t0_ns < y->place.t0_ns ? -1 : 1;
	return x->seq < y->seq ? -1 : 1;
}

/* Moments by time; questions name their places from now on. */
static void settle(struct recall_month *month)
{
	uint32_t *places = calloc(month->moments_len, sizeof *places);

	must(places != NULL);
	qsort(month->moments, month->moments_len, sizeof *month->moments, by_time);
	for (size_t i = 0; i < month->moments_len; i++) {
		places[month->moments[i].seq] = (uint32_t)i;
		month->moments[i].seq = i + 1;
	}
	for (size_t i = 0; i < month->questions_len; i++) {
		struct recall_question *question = &month->questions[i];
		for (size_t k = 0; k < question->needed_len; k++)
			question->needed[k] = places[question->needed[k]];
	}
	free(places);
}

void recall_month_init(struct recall_month *month, uint64_t seed)
{
	struct make make = { .month = month, .seed = seed };

	*month = (struct recall_month){
		.moments = calloc(MOMENTS_MAX, sizeof *month->moments),
		.questions = calloc(QUESTIONS_MAX, sizeof *month->questions),
		.now_ns = parse_time("2026-11-30T22:00"),
	};
	must(month->moments != NULL && month->questions != NULL);
	make.first_ns = parse_time("2026-11-01T00:00");
	for (size_t day = 0; day < DAYS; day++)
		add_day(&make, day);
	add_facts(&make);
	add_pairs(&make);
	add_absent(&make);
	add_by_hand(&make);
	settle(month);
}

void recall_month_fini(struct recall_month *month)
{
	for (size_t i = 0; i < month->moments_len; i++) {
		free((char *)month->moments[i].source);
		free((char *)month->moments[i].client_id);
		free((char *)month->moments[i].kind);
		free((char *)month->moments[i].text);
		free((char *)month->moments[i].data_json);
	}
	free(month->moments);
	free(month->questions);
}
