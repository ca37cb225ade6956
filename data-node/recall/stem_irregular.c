/*
 * Irregular forms that people use when they tell or ask, and the words that say
 * little.  A form that stands for itself only looks like one with an ending.
 * Forms are lower case with their accents; stop words are folded.
 */
#include <string.h>

#include "recall/stem.h"

/* A form and what it is a form of. */
struct form {
	const char *form, *base;
};

static const struct form english[] = { { "ate", "eat" }, { "began", "begin" }, { "begun", "begin" },
	{ "bitten", "bite" }, { "blew", "blow" }, { "bought", "buy" }, { "broke", "break" },
	{ "broken", "break" }, { "brought", "bring" }, { "built", "build" }, { "came", "come" },
	{ "caught", "catch" }, { "children", "child" }, { "chose", "choose" },
	{ "chosen", "choose" }, { "dealt", "deal" }, { "drank", "drink" }, { "drawn", "draw" },
	{ "drew", "draw" }, { "driven", "drive" }, { "drove", "drive" }, { "drunk", "drink" },
	{ "eaten", "eat" }, { "evening", "evening" }, { "fallen", "fall" }, { "fed", "feed" },
	{ "feet", "foot" }, { "fell", "fall" }, { "felt", "feel" }, { "flew", "fly" },
	{ "flown", "fly" }, { "forgot", "forget" }, { "forgotten", "forget" },
	{ "fought", "fight" }, { "found", "find" }, { "froze", "freeze" }, { "gave", "give" },
	{ "given", "give" }, { "gone", "go" }, { "grew", "grow" }, { "grown", "grow" },
	{ "held", "hold" }, { "hid", "hide" }, { "hidden", "hide" }, { "kept", "keep" },
	{ "knew", "know" }, { "known", "know" }, { "laid", "lay" }, { "led", "lead" },
	{ "left", "leave" }, { "lent", "lend" }, { "lives", "life" }, { "lost", "lose" },
	{ "made", "make" }, { "meant", "mean" }, { "men", "man" }, { "met", "meet" },
	{ "mice", "mouse" }, { "paid", "pay" }, { "people", "person" }, { "ran", "run" },
	{ "rang", "ring" }, { "ridden", "ride" }, { "rode", "ride" }, { "said", "say" },
	{ "sang", "sing" }, { "sat", "sit" }, { "saw", "see" }, { "seen", "see" },
	{ "sent", "send" }, { "shot", "shoot" }, { "slept", "sleep" }, { "sold", "sell" },
	{ "spent", "spend" }, { "spoke", "speak" }, { "spoken", "speak" }, { "stole", "steal" },
	{ "stolen", "steal" }, { "stood", "stand" }, { "sung", "sing" }, { "swam", "swim" },
	{ "swum", "swim" }, { "taken", "take" }, { "taught", "teach" }, { "teeth", "tooth" },
	{ "thought", "think" }, { "threw", "throw" }, { "thrown", "throw" }, { "told", "tell" },
	{ "took", "take" }, { "tore", "tear" }, { "torn", "tear" }, { "understood", "understand" },
	{ "went", "go" }, { "wedding", "wedding" }, { "wives", "wife" }, { "woke", "wake" },
	{ "woken", "wake" }, { "women", "woman" }, { "won", "win" }, { "wore", "wear" },
	{ "worn", "wear" }, { "written", "write" }, { "wrote", "write" } };

static const struct form german[] = { { "angerufen", "anrufen" }, { "aß", "essen" },
	{ "blieb", "bleiben" }, { "brachte", "bringen" }, { "bringt", "bringen" },
	{ "brach", "brechen" }, { "dachte", "denken" }, { "fand", "finden" }, { "fiel", "fallen" },
	{ "flog", "fliegen" }, { "fuhr", "fahren" }, { "fuhren", "fahren" }, { "fährt", "fahren" },
	{ "gab", "geben" }, { "geblieben", "bleiben" }, { "gebracht", "bringen" },
	{ "gebrochen", "brechen" }, { "gedacht", "denken" }, { "gefahren", "fahren" },
	{ "gefallen", "fallen" }, { "geflogen", "fliegen" }, { "gefunden", "finden" },
	{ "gegangen", "gehen" }, { "gegeben", "geben" }, { "gegessen", "essen" },
	{ "geholfen", "helfen" }, { "gekommen", "kommen" }, { "gelaufen", "laufen" },
	{ "gelesen", "lesen" }, { "genommen", "nehmen" }, { "gerufen", "rufen" },
	{ "geschlafen", "schlafen" }, { "geschrieben", "schreiben" },
	{ "geschwommen", "schwimmen" }, { "gesehen", "sehen" }, { "gesessen", "sitzen" },
	{ "gesprochen", "sprechen" }, { "getroffen", "treffen" }, { "getrunken", "trinken" },
	{ "gewonnen", "gewinnen" }, { "gibt", "geben" }, { "ging", "gehen" }, { "gingen", "gehen" },
	{ "half", "helfen" }, { "isst", "essen" }, { "kam", "kommen" }, { "kamen", "kommen" },
	{ "las", "lesen" }, { "lief", "laufen" }, { "liefen", "laufen" }, { "liest", "lesen" },
	{ "läuft", "laufen" }, { "nahm", "nehmen" }, { "rief", "rufen" }, { "sah", "sehen" },
	{ "sahen", "sehen" }, { "schlief", "schlafen" }, { "schläft", "schlafen" },
	{ "schrieb", "schreiben" }, { "schwamm", "schwimmen" }, { "sprach", "sprechen" },
	{ "spricht", "sprechen" }, { "traf", "treffen" }, { "trafen", "treffen" },
	{ "trank", "trinken" }, { "trifft", "treffen" }, { "verlor", "verlieren" },
	{ "verloren", "verlieren" }, { "vergaß", "vergessen" } };

static const struct form spanish[] = { { "dicho", "decir" }, { "dijeron", "decir" },
	{ "dijo", "decir" }, { "di", "dar" }, { "dio", "dar" }, { "durmió", "dormir" },
	{ "escrito", "escribir" }, { "fue", "ir" }, { "fueron", "ir" }, { "fui", "ir" },
	{ "fuimos", "ir" }, { "hace", "hacer" }, { "hago", "hacer" }, { "hecho", "hacer" },
	{ "hice", "hacer" }, { "hicieron", "hacer" }, { "hicimos", "hacer" }, { "hizo", "hacer" },
	{ "perdido", "perder" }, { "pidió", "pedir" }, { "pierde", "perder" },
	{ "puesto", "poner" }, { "puso", "poner" }, { "quiere", "querer" }, { "quiso", "querer" },
	{ "roto", "romper" }, { "supe", "saber" }, { "supo", "saber" }, { "traje", "traer" },
	{ "trajo", "traer" }, { "tuve", "tener" }, { "tuvo", "tener" }, { "vi", "ver" },
	{ "vimos", "ver" }, { "vine", "venir" }, { "vino", "venir" }, { "vio", "ver" },
	{ "visto", "ver" }, { "voy", "ir" }, { "vuelto", "volver" }, { "vuelve", "volver" } };

static const struct form french[] = { { "acheté", "acheter" }, { "achète", "acheter" },
	{ "allé", "aller" }, { "allée", "aller" }, { "appelle", "appeler" }, { "bu", "boire" },
	{ "conduit", "conduire" }, { "dit", "dire" }, { "dormi", "dormir" }, { "eu", "avoir" },
	{ "fait", "faire" }, { "font", "faire" }, { "lu", "lire" }, { "mis", "mettre" },
	{ "parti", "partir" }, { "partie", "partir" }, { "perdu", "perdre" }, { "pris", "prendre" },
	{ "prise", "prendre" }, { "reçu", "recevoir" }, { "va", "aller" }, { "vais", "aller" },
	{ "vendu", "vendre" }, { "venu", "venir" }, { "venue", "venir" }, { "vont", "aller" },
	{ "vu", "voir" }, { "vue", "voir" }, { "écrit", "écrire" } };

static const char *find(const struct form *forms, size_t len, const char *word)
{
	for (size_t i = 0; i < len; i++) {
		if (forms[i].form[0] == word[0] && strcmp(forms[i].form, word) == 0)
			return forms[i].base;
	}
	return NULL;
}

#define FIND(forms) find(forms, sizeof(forms) / sizeof(forms)[0], word)

const char *stem_irregular(enum language language, const char *word)
{
	switch (language) {
	case LANGUAGE_EN:
		return FIND(english);
	case LANGUAGE_DE:
		return FIND(german);
	case LANGUAGE_ES:
		return FIND(spanish);
	case LANGUAGE_FR:
		return FIND(french);
	default:
		return NULL;
	}
}

/* ---- words that say little --------------------------------------------------------------------
 */

static const char *const stops[LANGUAGE_COUNT] = {
	[LANGUAGE_EN] =
	    " a about after again all also am an and any are as at be because been before being "
	    "but by can could did didnt do does doing dont during each for from get go got had "
	    "happen happened happening has have having he her here him his how i if im in into "
	    "is it its ive just like me more most my no not of on or our out over please said "
	    "say she should so some tell than that the their them then there these they this "
	    "those to too up us very was we were what whats when where which while who whom why "
	    "will with would you your ",
	[LANGUAGE_DE] =
	    " aber alle als also am an auch auf aus bei beim bin bis bist da damit dann das dass "
	    "dein dem den der des dich die dir doch du ein eine einem einen einer eines er es "
	    "etwas euch fur gab gerade hab habe haben hat hatte hatten hattest ich ihm ihn ihr "
	    "ihre im in ins ist ja kann kein keine mal man mein meine meinem meinen meiner mich "
	    "mir mit nach nicht noch nun nur ob oder ohne sag sage schon sein seine sich sie "
	    "sind so uber um und uns unser unter vom von vor wann war waren warst warum was "
	    "welche welchem welchen welcher welches wem wen wenn wer wie wieder wir wird wo "
	    "wohin wurde zu zum zur zwischen ",
	[LANGUAGE_ES] =
	    " a al algo como con cual cuales cuando cuanto cuantos de del desde di dijo donde e "
	    "el ella ellos en entre era eran es esa ese eso esta estaba estado estar estas este "
	    "esto estoy estuve ha habia haber han has hasta hay he la las le les lo los mas me "
	    "mi mis muy nada ni no nos o para pero por porque que quien quienes se ser si sin "
	    "sobre son su sus tambien te tengo tiene todo tu tuve tuvo un una unos y ya yo ",
	[LANGUAGE_FR] =
	    " a ai ainsi alors au aussi aux avait avec avez avons c ce cela ces cet cette ci "
	    "combien comme comment d dans de des dit du elle elles en est et etaient etait etais "
	    "ete etre eu il ils j jai je l la le les leur lui m ma mais me mes moi mon n ne nos "
	    "notre nous on ont ou par pas pour pourquoi plus qu quand que quel quelle quelles "
	    "quels qui quoi s sa sans se ses si son sont sur t ta te tes toi ton tu un une vos "
	    "votre vous y ",
	[LANGUAGE_ZH] =
	    " 什么 时候 哪里 哪儿 我的 我们 你们 怎么 没有 这个 那个 多少 为什 是谁 在哪 么时 了什 "
	    "是什 ",
	[LANGUAGE_KO] =
	    " 언제 어디 무엇 누구 얼마 어떤 나는 내가 나의 제가 있었 했어 했나 나요 습니 니까 ",
};

bool stem_is_stop(enum language language, const char *word, size_t len)
{
	char key[STEM_BYTES_MAX + 3];

	if (len >= STEM_BYTES_MAX || stops[language] == NULL)
		return false;
	key[0] = ' ';
	memcpy(key + 1, word, len);
	memcpy(key + 1 + len, " ", 2);
	return strstr(stops[language], key) != NULL;
}
