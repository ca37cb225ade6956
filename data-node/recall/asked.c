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

const char *asked_kinds(enum language language, const char *word, size_t len)
{
	char key[72];

	if (len + 3 > sizeof key)
		return NULL;
	key[0] = ' ';
	memcpy(key + 1, word, len);
	memcpy(key + 1 + len, " ", 2);
	for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
		if (asked[i].language == language && strstr(asked[i].words, key) != NULL)
			return asked[i].kinds;
	}
	return NULL;
}
