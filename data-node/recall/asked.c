/* Words that ask for a kind of moment, in four languages. */
#include "recall/asked.h"

#include <string.h>

#define PLACES "visit location"
#define MEALS "photo caption meal"
#define SIGHTS "caption photo"
#define SHOWS "tv player video film"
#define NIGHTS "sleep"
#define SPORTS "workout"
#define TALK "speech message"
#define WEATHER "weather temperature"

static const struct {
	enum language language;
	const char *words, *kinds;
} asked[] = {
	{ LANGUAGE_EN, " where place places visit visited went been ", PLACES },
	{ LANGUAGE_EN,
	    " eat ate eaten eating cook cooked cooking lunch dinner breakfast dish meal ", MEALS },
	{ LANGUAGE_EN, " see saw seen look looked ", SIGHTS },
	{ LANGUAGE_EN, " watch watched watching movie show series ", SHOWS },
	{ LANGUAGE_EN, " sleep slept sleeping asleep ", NIGHTS },
	{ LANGUAGE_EN, " sport sports exercise train trained training run ran swim swam ", SPORTS },
	{ LANGUAGE_EN, " say said tell told talk talked mention mentioned hear heard ", TALK },
	{ LANGUAGE_EN, " weather cold warm rain ", WEATHER },
	{ LANGUAGE_DE, " wo wohin ort orte besucht gewesen ", PLACES },
	{ LANGUAGE_DE, " gegessen essen gekocht kochen mittagessen abendessen fruhstuck gericht ",
	    MEALS },
	{ LANGUAGE_DE, " gesehen sah sehen ", SIGHTS },
	{ LANGUAGE_DE, " geschaut angeschaut film serie ", SHOWS },
	{ LANGUAGE_DE, " geschlafen schlief schlafen ", NIGHTS },
	{ LANGUAGE_DE, " sport training trainiert gelaufen geschwommen ", SPORTS },
	{ LANGUAGE_DE, " gesagt sagte erzahlt erzahlte geschrieben schrieb gehort ", TALK },
	{ LANGUAGE_DE, " notiz notizen notiert ", "note" },
	{ LANGUAGE_DE, " foto fotos bild bilder ", "photo" },
	{ LANGUAGE_DE, " gesucht suche ", "search" },
	{ LANGUAGE_DE, " wetter kalt warm geregnet ", WEATHER },
	{ LANGUAGE_ES, " donde lugar lugares visite estuve fui ", PLACES },
	{ LANGUAGE_ES, " comi comer comimos cene cocine cocinar cena almuerzo desayuno plato ",
	    MEALS },
	{ LANGUAGE_ES, " vi ver vimos visto ", SIGHTS },
	{ LANGUAGE_ES, " mire pelicula serie ", SHOWS },
	{ LANGUAGE_ES, " dormi dormir dormido ", NIGHTS },
	{ LANGUAGE_ES, " deporte entrene entrenar corri nade ", SPORTS },
	{ LANGUAGE_ES, " dijo dijeron conto escribio escrito oi ", TALK },
	{ LANGUAGE_ES, " nota notas anote ", "note" },
	{ LANGUAGE_ES, " foto fotos ", "photo" },
	{ LANGUAGE_ES, " busque buscar ", "search" },
	{ LANGUAGE_ES, " frio calor llovio ", WEATHER },
	{ LANGUAGE_FR, " ou endroit endroits visite alle allee ", PLACES },
	{ LANGUAGE_FR, " mange manger cuisine cuisiner diner dejeuner plat ", MEALS },
	{ LANGUAGE_FR, " vu voir ", SIGHTS },
	{ LANGUAGE_FR, " regarde regarder film serie ", SHOWS },
	{ LANGUAGE_FR, " dormi dormir ", NIGHTS },
	{ LANGUAGE_FR, " sport entraine couru nage ", SPORTS },
	{ LANGUAGE_FR, " dit raconte ecrit entendu ", TALK },
	{ LANGUAGE_FR, " note notes ", "note" },
	{ LANGUAGE_FR, " photo photos ", "photo" },
	{ LANGUAGE_FR, " cherche chercher ", "search" },
	{ LANGUAGE_FR, " meteo froid chaud plu ", WEATHER },
};

static const struct {
	enum language language;
	const char *words;
} asking[] = {
	/* sorts of answers */
	{ LANGUAGE_EN, " city town country street place day date month year hour time name number "
		       "colour color price cost costs pay paid amount age size kind sort type "
		       "person people thing reason title book film movie song dish much many "
		       "long far often " },
	{ LANGUAGE_DE,
	    " stadt ort land strasse tag datum monat jahr stunde uhrzeit zeit name namen "
	    "nummer farbe preis kosten kostet gekostet bezahlt alter grosse sorte person "
	    "leute ding grund titel buch film lied gericht viel viele lange weit "
	    "oft " },
	{ LANGUAGE_ES, " ciudad pueblo pais calle lugar dia fecha mes ano hora nombre numero color "
		       "precio cuesta costo pago edad tamano tipo persona gente cosa razon titulo "
		       "libro pelicula cancion plato cuanto cuanta cuantos cuantas " },
	{ LANGUAGE_FR,
	    " ville pays rue endroit jour date mois annee heure nom numero couleur prix "
	    "coute cout paye age taille type personne gens chose raison titre livre film "
	    "chanson plat combien " },
	/* times of day, which time words may leave over; "qu'est-ce que" */
	{ LANGUAGE_EN, " morning noon afternoon evening night " },
	{ LANGUAGE_DE, " morgen morgens mittag mittags nachmittag abend abends nacht nachts " },
	{ LANGUAGE_ES, " manana mediodia tarde noche " },
	{ LANGUAGE_FR, " matin midi soir soiree nuit quest " },
	/* that something was said */
	{ LANGUAGE_EN,
	    " say said tell told talk talked mention mentioned write wrote written send sent ask "
	    "asked recommend recommended suggest suggested propose proposed promise promised "
	    "explain explained announce announced " },
	{ LANGUAGE_DE, " gesagt sagte sagt erzahlt erzahlte erwahnt geschrieben schrieb geschickt "
		       "gefragt empfohlen empfahl vorgeschlagen versprochen erklart berichtet " },
	{ LANGUAGE_ES, " dijo dijeron conto menciono escribio mando envio pregunto recomendo "
		       "recomendaron propuso prometio explico anuncio " },
	{ LANGUAGE_FR, " dit raconte mentionne ecrit envoye demande recommande propose promis "
		       "explique annonce " },
	/* that something happened */
	{ LANGUAGE_EN, " go goes going went gone come comes came turn turned become became happen "
		       "happened take took taken get got make made want wanted supposed " },
	{ LANGUAGE_DE, " geht ging gegangen kommt kam gekommen geworden wurde passiert geschehen "
		       "nehmen nimmt genommen bekommen gemacht wollen wollte soll sollte gehort " },
	{ LANGUAGE_ES, " paso pasado vino viene quiso queria quiere hizo hice hacer tomo tuvo " },
	{ LANGUAGE_FR, " passe devenu devenue venu vient voulait veut fait faire pris eu " },
};

/* A word of `words`, which have blanks around them. */
static bool is_among(const char *words, const char *word, size_t len)
{
	char key[72];

	if (len + 3 > sizeof key)
		return false;
	key[0] = ' ';
	memcpy(key + 1, word, len);
	memcpy(key + 1 + len, " ", 2);
	return strstr(words, key) != NULL;
}

const char *asked_kinds(enum language language, const char *word, size_t len)
{
	for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
		if (asked[i].language == language && is_among(asked[i].words, word, len))
			return asked[i].kinds;
	}
	return NULL;
}

bool asked_only(enum language language, const char *word, size_t len)
{
	for (size_t i = 0; i < sizeof asking / sizeof asking[0]; i++) {
		if (asking[i].language == language && is_among(asking[i].words, word, len))
			return true;
	}
	return false;
}
