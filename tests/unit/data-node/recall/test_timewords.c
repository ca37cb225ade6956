/*
 * Time words: a table of questions and the ranges they name, seen from a
 * Saturday afternoon (2026-11-21 15:30), and how zones and odd input behave.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/timestamp.h"
#include "recall/recall.h"

#define NOW "2026-11-21T15:30"

static int64_t ns_of(const char *minute)
{
	char text[TIMESTAMP_TEXT_BYTES];
	int64_t ns;

	(void)snprintf(text, sizeof text, "%s:00Z", minute);
	if (timestamp_parse(text, &ns, NULL) != RC_OK)
		fail_msg("bad time in the table: %s", minute);
	return ns;
}

struct row {
	const char *query, *from, *to;
	const char *words; /* what is taken out of the query; NULL: not checked */
};

#define DAY(date, next) date "T00:00", next "T00:00"

static const struct row table[] = {
	{ "what did I eat today", DAY("2026-11-21", "2026-11-22"), "today" },
	{ "what did I eat yesterday?", DAY("2026-11-20", "2026-11-21"), "yesterday" },
	{ "Where was I the day before yesterday", DAY("2026-11-19", "2026-11-20"),
	    "the day before yesterday" },
	{ "yesterday's meeting", DAY("2026-11-20", "2026-11-21"), "yesterday's" },
	{ "what is planned tomorrow", DAY("2026-11-22", "2026-11-23"), NULL },
	{ "tonight", "2026-11-21T18:00", "2026-11-22T04:00", "tonight" },
	{ "this morning", "2026-11-21T05:00", "2026-11-21T12:00", "this morning" },
	{ "who called this afternoon", "2026-11-21T12:00", "2026-11-21T18:00", NULL },
	{ "this evening", "2026-11-21T17:00", "2026-11-22T00:00", NULL },
	{ "how did I sleep last night", "2026-11-20T18:00", "2026-11-21T06:00", "last night" },
	{ "yesterday morning", "2026-11-20T05:00", "2026-11-20T12:00", NULL },
	{ "yesterday evening", "2026-11-20T17:00", "2026-11-21T00:00", NULL },
	{ "yesterday in the afternoon", "2026-11-20T12:00", "2026-11-20T18:00", NULL },
	{ "lunch on Tuesday", DAY("2026-11-17", "2026-11-18"), "on Tuesday" },
	{ "lunch on Tuesday the 10th of November", DAY("2026-11-10", "2026-11-11"),
	    "on Tuesday the 10th of November" },
	{ "on Sunday, 4 October", DAY("2026-10-04", "2026-10-05"), "on Sunday, 4 October" },
	{ "Friday", DAY("2026-11-20", "2026-11-21"), NULL },
	{ "on Saturday", DAY("2026-11-14", "2026-11-15"), NULL },
	{ "last Friday", DAY("2026-11-20", "2026-11-21"), "last Friday" },
	{ "last sunday", DAY("2026-11-15", "2026-11-16"), NULL },
	{ "this Monday", DAY("2026-11-16", "2026-11-17"), NULL },
	{ "this sunday", DAY("2026-11-22", "2026-11-23"), NULL },
	{ "on Thu", DAY("2026-11-19", "2026-11-20"), NULL },
	{ "Tuesday night", "2026-11-17T18:00", "2026-11-18T06:00", "Tuesday night" },
	{ "monday morning", "2026-11-16T05:00", "2026-11-16T12:00", NULL },
	{ "this week", DAY("2026-11-16", "2026-11-23"), NULL },
	{ "last week", DAY("2026-11-09", "2026-11-16"), "last week" },
	{ "this weekend", DAY("2026-11-21", "2026-11-23"), NULL },
	{ "last weekend", DAY("2026-11-14", "2026-11-16"), NULL },
	{ "at the weekend", DAY("2026-11-21", "2026-11-23"), "at the weekend" },
	{ "this month", DAY("2026-11-01", "2026-12-01"), NULL },
	{ "photos of last month", DAY("2026-10-01", "2026-11-01"), NULL },
	{ "this year", DAY("2026-01-01", "2027-01-01"), NULL },
	{ "last year", DAY("2025-01-01", "2026-01-01"), NULL },
	{ "in 2024", DAY("2024-01-01", "2025-01-01"), "in 2024" },
	{ "3 days ago", DAY("2026-11-18", "2026-11-19"), "3 days ago" },
	{ "two days ago", DAY("2026-11-19", "2026-11-20"), NULL },
	{ "a day ago", DAY("2026-11-20", "2026-11-21"), NULL },
	{ "a couple of days ago", DAY("2026-11-19", "2026-11-20"), NULL },
	{ "a week ago", DAY("2026-11-09", "2026-11-16"), NULL },
	{ "two weeks ago", DAY("2026-11-02", "2026-11-09"), NULL },
	{ "a month ago", DAY("2026-10-01", "2026-11-01"), NULL },
	{ "11 months ago", DAY("2025-12-01", "2026-01-01"), NULL },
	{ "two years ago", DAY("2024-01-01", "2025-01-01"), NULL },
	{ "an hour ago", "2026-11-21T14:00", "2026-11-21T15:00", "an hour ago" },
	{ "ten minutes ago", "2026-11-21T15:15", "2026-11-21T15:25", NULL },
	{ "in the last 3 days", "2026-11-18T00:00", NOW, NULL },
	{ "the past two weeks", "2026-11-07T00:00", NOW, NULL },
	{ "last 24 hours", "2026-11-20T15:30", NOW, NULL },
	{ "past week", "2026-11-14T15:30", NOW, NULL },
	{ "last hour", "2026-11-21T14:30", NOW, NULL },
	{ "trips in March", DAY("2026-03-01", "2026-04-01"), "in March" },
	{ "December", DAY("2025-12-01", "2026-01-01"), NULL },
	{ "in november", DAY("2026-11-01", "2026-12-01"), NULL },
	{ "last November", DAY("2025-11-01", "2025-12-01"), NULL },
	{ "March 2025", DAY("2025-03-01", "2025-04-01"), NULL },
	{ "in may", DAY("2026-05-01", "2026-06-01"), NULL },
	{ "2026-03", DAY("2026-03-01", "2026-04-01"), NULL },
	{ "what happened on 2026-11-19?", DAY("2026-11-19", "2026-11-20"), "on 2026-11-19" },
	{ "19.11.2026", DAY("2026-11-19", "2026-11-20"), NULL },
	{ "11/19/2026", DAY("2026-11-19", "2026-11-20"), NULL },
	{ "19/11/2026", DAY("2026-11-19", "2026-11-20"), NULL },
	{ "19 November", DAY("2026-11-19", "2026-11-20"), "19 November" },
	{ "on the 19th of November", DAY("2026-11-19", "2026-11-20"), NULL },
	{ "Nov 19th 2026", DAY("2026-11-19", "2026-11-20"), "Nov 19th 2026" },
	{ "November 19th, 2025", DAY("2025-11-19", "2025-11-20"), NULL },
	{ "December 24", DAY("2025-12-24", "2025-12-25"), NULL },
	{ "29 February", DAY("2024-02-29", "2024-03-01"), NULL },
	{ "on the 19th", DAY("2026-11-19", "2026-11-20"), NULL },
	{ "the 25th", DAY("2026-10-25", "2026-10-26"), NULL },
	{ "last summer", DAY("2026-06-01", "2026-09-01"), NULL },
	{ "summer 2025", DAY("2025-06-01", "2025-09-01"), NULL },
	{ "in the winter", DAY("2025-12-01", "2026-03-01"), NULL },
	{ "this autumn", DAY("2026-09-01", "2026-12-01"), NULL },
	{ "last fall", DAY("2025-09-01", "2025-12-01"), NULL },
	{ "at noon today", "2026-11-21T11:30", "2026-11-21T12:30", "at noon today" },
	{ "today at noon", "2026-11-21T11:30", "2026-11-21T12:30", "today at noon" },
	{ "around 12:30 today", "2026-11-21T12:00", "2026-11-21T13:00", NULL },
	{ "yesterday at 7pm", "2026-11-20T18:30", "2026-11-20T19:30", NULL },
	{ "yesterday at 7 p.m.", "2026-11-20T18:30", "2026-11-20T19:30", NULL },
	{ "yesterday evening at 7", "2026-11-20T18:30", "2026-11-20T19:30", NULL },
	{ "at 9am", "2026-11-21T08:30", "2026-11-21T09:30", NULL },
	{ "at 7pm", "2026-11-20T18:30", "2026-11-20T19:30", NULL },
	{ "at midnight yesterday", "2026-11-20T23:30", "2026-11-21T00:30", NULL },
	{ "at 8 o'clock this morning", "2026-11-21T07:30", "2026-11-21T08:30", NULL },
	{ "on the morning of 19 November", "2026-11-19T05:00", "2026-11-19T12:00", NULL },
	{ "since Monday", "2026-11-16T00:00", NOW, "since Monday" },
	{ "from Monday to Wednesday", DAY("2026-11-16", "2026-11-19"), NULL },
	{ "between 2 March and 5 March", DAY("2026-03-02", "2026-03-06"), NULL },
};

/* In German, Spanish, French, Chinese, Korean; NOW is a Saturday. */
struct foreign_row {
	enum language language;
	struct row row;
};

static const struct foreign_row foreign[] = {
	{ LANGUAGE_DE,
	    { "Was habe ich heute gegessen", DAY("2026-11-21", "2026-11-22"), "heute" } },
	{ LANGUAGE_DE,
	    { "Wen habe ich gestern getroffen?", DAY("2026-11-20", "2026-11-21"), "gestern" } },
	{ LANGUAGE_DE, { "vorgestern", DAY("2026-11-19", "2026-11-20"), "vorgestern" } },
	{ LANGUAGE_DE, { "heute Morgen", "2026-11-21T05:00", "2026-11-21T12:00", "heute Morgen" } },
	{ LANGUAGE_DE,
	    { "gestern Abend", "2026-11-20T17:00", "2026-11-21T00:00", "gestern Abend" } },
	{ LANGUAGE_DE, { "gestern morgen", "2026-11-20T05:00", "2026-11-20T12:00", NULL } },
	{ LANGUAGE_DE, { "am Dienstag, den 10. November", DAY("2026-11-10", "2026-11-11"), NULL } },
	{ LANGUAGE_DE, { "am Dienstag", DAY("2026-11-17", "2026-11-18"), "am Dienstag" } },
	{ LANGUAGE_DE, { "letzten Freitag", DAY("2026-11-20", "2026-11-21"), "letzten Freitag" } },
	{ LANGUAGE_DE, { "Freitagabend", "2026-11-20T17:00", "2026-11-21T00:00", "Freitagabend" } },
	{ LANGUAGE_DE, { "am Montagmorgen", "2026-11-16T05:00", "2026-11-16T12:00", NULL } },
	{ LANGUAGE_DE, { "diese Woche", DAY("2026-11-16", "2026-11-23"), NULL } },
	{ LANGUAGE_DE, { "letzte Woche", DAY("2026-11-09", "2026-11-16"), "letzte Woche" } },
	{ LANGUAGE_DE, { "letztes Wochenende", DAY("2026-11-14", "2026-11-16"), NULL } },
	{ LANGUAGE_DE, { "am Wochenende", DAY("2026-11-21", "2026-11-23"), "am Wochenende" } },
	{ LANGUAGE_DE, { "im letzten Monat", DAY("2026-10-01", "2026-11-01"), NULL } },
	{ LANGUAGE_DE, { "letztes Jahr", DAY("2025-01-01", "2026-01-01"), NULL } },
	{ LANGUAGE_DE, { "vor drei Tagen", DAY("2026-11-18", "2026-11-19"), "vor drei Tagen" } },
	{ LANGUAGE_DE, { "vor einem Monat", DAY("2026-10-01", "2026-11-01"), NULL } },
	{ LANGUAGE_DE, { "vor ein paar Tagen", DAY("2026-11-19", "2026-11-20"), NULL } },
	{ LANGUAGE_DE, { "vor 2 Wochen", DAY("2026-11-02", "2026-11-09"), NULL } },
	{ LANGUAGE_DE, { "in den letzten 3 Tagen", "2026-11-18T00:00", NOW, NULL } },
	{ LANGUAGE_DE, { "im März", DAY("2026-03-01", "2026-04-01"), "im März" } },
	{ LANGUAGE_DE, { "im März letzten Jahres", DAY("2025-03-01", "2025-04-01"), NULL } },
	{ LANGUAGE_DE, { "am 19. November", DAY("2026-11-19", "2026-11-20"), "am 19. November" } },
	{ LANGUAGE_DE, { "am 3. Oktober 2025", DAY("2025-10-03", "2025-10-04"), NULL } },
	{ LANGUAGE_DE, { "letzten Sommer", DAY("2026-06-01", "2026-09-01"), NULL } },
	{ LANGUAGE_DE, { "gestern um 19 Uhr", "2026-11-20T18:30", "2026-11-20T19:30", NULL } },
	{ LANGUAGE_DE, { "heute gegen 8:15", "2026-11-21T07:45", "2026-11-21T08:45", NULL } },
	{ LANGUAGE_DE, { "seit Montag", "2026-11-16T00:00", NOW, "seit Montag" } },
	{ LANGUAGE_DE, { "von Montag bis Mittwoch", DAY("2026-11-16", "2026-11-19"), NULL } },
	{ LANGUAGE_ES, { "¿qué comí hoy?", DAY("2026-11-21", "2026-11-22"), "hoy" } },
	{ LANGUAGE_ES, { "ayer", DAY("2026-11-20", "2026-11-21"), "ayer" } },
	{ LANGUAGE_ES, { "anteayer", DAY("2026-11-19", "2026-11-20"), NULL } },
	{ LANGUAGE_ES, { "antes de ayer", DAY("2026-11-19", "2026-11-20"), NULL } },
	{ LANGUAGE_ES, { "anoche", "2026-11-20T18:00", "2026-11-21T06:00", "anoche" } },
	{ LANGUAGE_ES, { "esta mañana", "2026-11-21T05:00", "2026-11-21T12:00", "esta mañana" } },
	{ LANGUAGE_ES, { "mañana", DAY("2026-11-22", "2026-11-23"), NULL } },
	{ LANGUAGE_ES, { "ayer por la tarde", "2026-11-20T12:00", "2026-11-20T18:00", NULL } },
	{ LANGUAGE_ES, { "el martes", DAY("2026-11-17", "2026-11-18"), "el martes" } },
	{ LANGUAGE_ES,
	    { "el viernes pasado", DAY("2026-11-20", "2026-11-21"), "el viernes pasado" } },
	{ LANGUAGE_ES, { "el pasado domingo", DAY("2026-11-15", "2026-11-16"), NULL } },
	{ LANGUAGE_ES, { "esta semana", DAY("2026-11-16", "2026-11-23"), NULL } },
	{ LANGUAGE_ES, { "la semana pasada", DAY("2026-11-09", "2026-11-16"), NULL } },
	{ LANGUAGE_ES, { "el mes pasado", DAY("2026-10-01", "2026-11-01"), NULL } },
	{ LANGUAGE_ES, { "el fin de semana pasado", DAY("2026-11-14", "2026-11-16"), NULL } },
	{ LANGUAGE_ES, { "hace tres días", DAY("2026-11-18", "2026-11-19"), "hace tres días" } },
	{ LANGUAGE_ES, { "hace una semana", DAY("2026-11-09", "2026-11-16"), NULL } },
	{ LANGUAGE_ES, { "hace un par de días", DAY("2026-11-19", "2026-11-20"), NULL } },
	{ LANGUAGE_ES, { "los últimos 3 días", "2026-11-18T00:00", NOW, NULL } },
	{ LANGUAGE_ES, { "en marzo", DAY("2026-03-01", "2026-04-01"), "en marzo" } },
	{ LANGUAGE_ES, { "en marzo del año pasado", DAY("2025-03-01", "2025-04-01"), NULL } },
	{ LANGUAGE_ES,
	    { "el 19 de noviembre", DAY("2026-11-19", "2026-11-20"), "el 19 de noviembre" } },
	{ LANGUAGE_ES, { "el 3 de octubre de 2025", DAY("2025-10-03", "2025-10-04"), NULL } },
	{ LANGUAGE_ES, { "el verano pasado", DAY("2026-06-01", "2026-09-01"), NULL } },
	{ LANGUAGE_ES, { "ayer a las 19:30", "2026-11-20T19:00", "2026-11-20T20:00", NULL } },
	{ LANGUAGE_ES, { "desde el lunes", "2026-11-16T00:00", NOW, NULL } },
	{ LANGUAGE_ES,
	    { "desde el lunes hasta el miércoles", DAY("2026-11-16", "2026-11-19"), NULL } },
	{ LANGUAGE_FR,
	    { "qu'ai-je mangé aujourd'hui ?", DAY("2026-11-21", "2026-11-22"), "aujourd'hui" } },
	{ LANGUAGE_FR, { "hier", DAY("2026-11-20", "2026-11-21"), NULL } },
	{ LANGUAGE_FR, { "avant-hier", DAY("2026-11-19", "2026-11-20"), "avant-hier" } },
	{ LANGUAGE_FR, { "hier soir", "2026-11-20T17:00", "2026-11-21T00:00", "hier soir" } },
	{ LANGUAGE_FR, { "ce matin", "2026-11-21T05:00", "2026-11-21T12:00", NULL } },
	{ LANGUAGE_FR, { "cet après-midi", "2026-11-21T12:00", "2026-11-21T18:00", NULL } },
	{ LANGUAGE_FR, { "cette nuit", "2026-11-20T18:00", "2026-11-21T06:00", NULL } },
	{ LANGUAGE_FR, { "mardi", DAY("2026-11-17", "2026-11-18"), NULL } },
	{ LANGUAGE_FR,
	    { "vendredi dernier", DAY("2026-11-20", "2026-11-21"), "vendredi dernier" } },
	{ LANGUAGE_FR, { "lundi matin", "2026-11-16T05:00", "2026-11-16T12:00", NULL } },
	{ LANGUAGE_FR, { "cette semaine", DAY("2026-11-16", "2026-11-23"), NULL } },
	{ LANGUAGE_FR, { "la semaine dernière", DAY("2026-11-09", "2026-11-16"), NULL } },
	{ LANGUAGE_FR, { "le mois dernier", DAY("2026-10-01", "2026-11-01"), NULL } },
	{ LANGUAGE_FR, { "le week-end dernier", DAY("2026-11-14", "2026-11-16"), NULL } },
	{ LANGUAGE_FR,
	    { "il y a trois jours", DAY("2026-11-18", "2026-11-19"), "il y a trois jours" } },
	{ LANGUAGE_FR, { "il y a une semaine", DAY("2026-11-09", "2026-11-16"), NULL } },
	{ LANGUAGE_FR, { "il y a quelques jours", DAY("2026-11-19", "2026-11-20"), NULL } },
	{ LANGUAGE_FR, { "les 3 derniers jours", "2026-11-18T00:00", NOW, NULL } },
	{ LANGUAGE_FR, { "en mars", DAY("2026-03-01", "2026-04-01"), "en mars" } },
	{ LANGUAGE_FR, { "en mars de l'année dernière", DAY("2025-03-01", "2025-04-01"), NULL } },
	{ LANGUAGE_FR, { "le 19 novembre", DAY("2026-11-19", "2026-11-20"), "le 19 novembre" } },
	{ LANGUAGE_FR, { "le 3 octobre 2025", DAY("2025-10-03", "2025-10-04"), NULL } },
	{ LANGUAGE_FR, { "l'été dernier", DAY("2026-06-01", "2026-09-01"), NULL } },
	{ LANGUAGE_FR, { "hier à 19h30", "2026-11-20T19:00", "2026-11-20T20:00", NULL } },
	{ LANGUAGE_FR, { "hier vers 8 heures", "2026-11-20T07:30", "2026-11-20T08:30", NULL } },
	{ LANGUAGE_FR, { "depuis lundi", "2026-11-16T00:00", NOW, NULL } },
	{ LANGUAGE_FR, { "du lundi au mercredi", DAY("2026-11-16", "2026-11-19"), NULL } },
	{ LANGUAGE_ZH, { "我今天吃了什么", DAY("2026-11-21", "2026-11-22"), "今天" } },
	{ LANGUAGE_ZH, { "昨天见了谁", DAY("2026-11-20", "2026-11-21"), "昨天" } },
	{ LANGUAGE_ZH, { "前天", DAY("2026-11-19", "2026-11-20"), NULL } },
	{ LANGUAGE_ZH, { "昨晚睡得怎么样", "2026-11-20T18:00", "2026-11-21T06:00", "昨晚" } },
	{ LANGUAGE_ZH, { "昨天晚上", "2026-11-20T17:00", "2026-11-21T00:00", NULL } },
	{ LANGUAGE_ZH, { "今天早上", "2026-11-21T05:00", "2026-11-21T12:00", NULL } },
	{ LANGUAGE_ZH, { "星期二的会议", DAY("2026-11-17", "2026-11-18"), "星期二" } },
	{ LANGUAGE_ZH, { "上周五", DAY("2026-11-20", "2026-11-21"), "上周五" } },
	{ LANGUAGE_ZH, { "上周", DAY("2026-11-09", "2026-11-16"), NULL } },
	{ LANGUAGE_ZH, { "上个月的照片", DAY("2026-10-01", "2026-11-01"), "上个月" } },
	{ LANGUAGE_ZH, { "去年", DAY("2025-01-01", "2026-01-01"), NULL } },
	{ LANGUAGE_ZH, { "去年三月", DAY("2025-03-01", "2025-04-01"), NULL } },
	{ LANGUAGE_ZH, { "三天前", DAY("2026-11-18", "2026-11-19"), "三天前" } },
	{ LANGUAGE_ZH, { "3天前", DAY("2026-11-18", "2026-11-19"), "3天前" } },
	{ LANGUAGE_ZH, { "两周前", DAY("2026-11-02", "2026-11-09"), NULL } },
	{ LANGUAGE_ZH, { "两个月前", DAY("2026-09-01", "2026-10-01"), NULL } },
	{ LANGUAGE_ZH, { "11月19日", DAY("2026-11-19", "2026-11-20"), "11月19日" } },
	{ LANGUAGE_ZH, { "2025年10月3日", DAY("2025-10-03", "2025-10-04"), NULL } },
	{ LANGUAGE_ZH, { "昨天下午三点", "2026-11-20T14:30", "2026-11-20T15:30", NULL } },
	{ LANGUAGE_ZH, { "从周一到周三", DAY("2026-11-16", "2026-11-19"), NULL } },
	{ LANGUAGE_ZH, { "周一以来", "2026-11-16T00:00", NOW, NULL } },
	{ LANGUAGE_ZH, { "去年夏天", DAY("2025-06-01", "2025-09-01"), NULL } },
	{ LANGUAGE_KO, { "오늘 뭐 먹었어", DAY("2026-11-21", "2026-11-22"), "오늘" } },
	{ LANGUAGE_KO, { "어제는 누구를 만났지?", DAY("2026-11-20", "2026-11-21"), "어제" } },
	{ LANGUAGE_KO, { "그저께", DAY("2026-11-19", "2026-11-20"), NULL } },
	{ LANGUAGE_KO, { "어젯밤", "2026-11-20T18:00", "2026-11-21T06:00", NULL } },
	{ LANGUAGE_KO, { "오늘 아침", "2026-11-21T05:00", "2026-11-21T12:00", "오늘 아침" } },
	{ LANGUAGE_KO, { "어제 저녁", "2026-11-20T17:00", "2026-11-21T00:00", NULL } },
	{ LANGUAGE_KO, { "화요일에 점심", "2026-11-17T11:00", "2026-11-17T14:00", NULL } },
	{ LANGUAGE_KO, { "지난 금요일", DAY("2026-11-20", "2026-11-21"), "지난 금요일" } },
	{ LANGUAGE_KO, { "지난주", DAY("2026-11-09", "2026-11-16"), NULL } },
	{ LANGUAGE_KO, { "이번 주말", DAY("2026-11-21", "2026-11-23"), NULL } },
	{ LANGUAGE_KO, { "지난달", DAY("2026-10-01", "2026-11-01"), NULL } },
	{ LANGUAGE_KO, { "작년", DAY("2025-01-01", "2026-01-01"), NULL } },
	{ LANGUAGE_KO, { "3일 전", DAY("2026-11-18", "2026-11-19"), "3일 전" } },
	{ LANGUAGE_KO, { "2주 전에", DAY("2026-11-02", "2026-11-09"), "2주 전" } },
	{ LANGUAGE_KO, { "두 달 전", DAY("2026-09-01", "2026-10-01"), NULL } },
	{ LANGUAGE_KO, { "11월 19일", DAY("2026-11-19", "2026-11-20"), "11월 19일" } },
	{ LANGUAGE_KO, { "2025년 10월 3일", DAY("2025-10-03", "2025-10-04"), NULL } },
	{ LANGUAGE_KO, { "작년 3월", DAY("2025-03-01", "2025-04-01"), NULL } },
	{ LANGUAGE_KO, { "어제 오후 3시", "2026-11-20T14:30", "2026-11-20T15:30", NULL } },
	{ LANGUAGE_KO, { "월요일부터 수요일까지", DAY("2026-11-16", "2026-11-19"), NULL } },
	/* English, where the person writes German, and beside it. */
	{ LANGUAGE_DE, { "Standup yesterday", DAY("2026-11-20", "2026-11-21"), "yesterday" } },
};

static void check_row(const struct row *row, const enum language *languages, size_t languages_len)
{
	struct timewords when;
	char from[TIMESTAMP_TEXT_BYTES], to[TIMESTAMP_TEXT_BYTES];

	timewords_parse(
	    row->query, strlen(row->query), languages, languages_len, ns_of(NOW), 0, &when);
	if (!when.found)
		fail_msg("nothing found in: %s", row->query);
	timestamp_format_ms(when.from_ns, from);
	timestamp_format_ms(when.to_ns, to);
	if (when.from_ns != ns_of(row->from) || when.to_ns != ns_of(row->to))
		fail_msg("%s: %s to %s", row->query, from, to);
	size_t len = when.end - when.begin;
	if (row->words != NULL &&
	    (len != strlen(row->words) || memcmp(row->query + when.begin, row->words, len) != 0))
		fail_msg("%s: took \"%.*s\"", row->query, (int)len, row->query + when.begin);
}

static void test_each_question_names_its_range(void **state)
{
	(void)state;
	assert_true(sizeof table / sizeof table[0] >= 60);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		check_row(&table[i], NULL, 0);
}

static void test_each_language_says_it_in_its_own_way(void **state)
{
	(void)state;
	assert_true(sizeof foreign / sizeof foreign[0] >= 120);
	for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
		check_row(&foreign[i].row, &foreign[i].language, 1);
}

static void test_words_that_only_look_like_times_name_none(void **state)
{
	static const struct {
		enum language language;
		const char *query;
	} queries[] = { { LANGUAGE_DE, "Wer wohnt hier" }, { LANGUAGE_DE, "vor dem Haus" },
		{ LANGUAGE_DE, "Ich mag den Herbstwald" }, { LANGUAGE_DE, "um jeden Preis" },
		{ LANGUAGE_DE, "acht Leute im Raum" }, { LANGUAGE_ES, "la tarde es bella" },
		{ LANGUAGE_ES, "once amigos" }, { LANGUAGE_ES, "hace calor" },
		{ LANGUAGE_FR, "j'ai été à Paris" }, { LANGUAGE_FR, "il y a du pain" },
		{ LANGUAGE_FR, "six amis" }, { LANGUAGE_ZH, "我想要一点水" },
		{ LANGUAGE_KO, "네 알겠습니다" }, { LANGUAGE_EN, "das war gestern" } };

	(void)state;
	for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
		struct timewords when;
		timewords_parse(queries[i].query, strlen(queries[i].query), &queries[i].language, 1,
		    ns_of(NOW), 0, &when);
		if (when.found)
			fail_msg("%s: \"%.*s\"", queries[i].query, (int)(when.end - when.begin),
			    queries[i].query + when.begin);
	}
}

static void test_ordinary_words_name_no_time(void **state)
{
	static const char *const queries[] = { "", "what may I do", "they march on", "the sun sat",
		"my second dentist", "2026 reasons", "top 10", "version 3.5", "fall asleep",
		"a spring in the mattress", "12:75", "31 of them", "room 1930", "one day",
		"mon cher" };

	(void)state;
	for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
		struct timewords when;
		timewords_parse(queries[i], strlen(queries[i]), NULL, 0, ns_of(NOW), 0, &when);
		if (when.found)
			fail_msg("found a time in: %s", queries[i]);
	}
}

static void test_days_are_those_of_the_persons_zone(void **state)
{
	struct timewords when;

	(void)state;
	/* 23:30 UTC on Friday is Saturday half an hour past midnight in Berlin. */
	timewords_parse("today", 5, NULL, 0, ns_of("2026-11-20T23:30"), 3600, &when);
	assert_int_equal(when.from_ns, ns_of("2026-11-20T23:00"));
	assert_int_equal(when.to_ns, ns_of("2026-11-21T23:00"));
	timewords_parse("yesterday", 9, NULL, 0, ns_of("2026-11-20T23:30"), -5 * 3600, &when);
	assert_int_equal(when.from_ns, ns_of("2026-11-19T05:00"));
}

static void test_times_before_1970_work(void **state)
{
	struct timewords when;

	(void)state;
	timewords_parse("yesterday", 9, NULL, 0, ns_of("1965-03-01T12:00"), 0, &when);
	assert_int_equal(when.from_ns, ns_of("1965-02-28T00:00"));
}

static void test_any_row_of_words_gives_a_range_in_the_text_or_none(void **state)
{
	static const char *const words[] = { "at", "the", "last", "this", "19", "th", "november",
		"monday", "ago", "weeks", "two", "yesterday", "morning", "12:30", "pm", "2026", "-",
		"/", ".", "since", "from", "to", "of", "in", "may", "summer", "past", "couple",
		"99999" };
	uint64_t seed = 7;

	(void)state;
	for (int round = 0; round < 50000; round++) {
		char query[256] = "";
		size_t len = 0, n = random_next(&seed) % 8;
		for (size_t i = 0; i < n; i++) {
			const char *word =
			    words[random_next(&seed) % (sizeof words / sizeof words[0])];
			len += (size_t)snprintf(query + len, sizeof query - len, "%s%s", word,
			    random_next(&seed) % 4 == 0 ? "" : " ");
		}
		struct timewords when;
		timewords_parse(query, len, NULL, 0, ns_of(NOW), 0, &when);
		if (!when.found)
			continue;
		if (when.from_ns >= when.to_ns || when.begin >= when.end || when.end > len)
			fail_msg("%s", query);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_question_names_its_range),
		cmocka_unit_test(test_each_language_says_it_in_its_own_way),
		cmocka_unit_test(test_words_that_only_look_like_times_name_none),
		cmocka_unit_test(test_ordinary_words_name_no_time),
		cmocka_unit_test(test_days_are_those_of_the_persons_zone),
		cmocka_unit_test(test_times_before_1970_work),
		cmocka_unit_test(test_any_row_of_words_gives_a_range_in_the_text_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
