/* Units: a table of words, a table of endings, and where senders put them. */
#include "night/unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "align/peek.h"

#define NUMBER_BYTES_MAX ((size_t)40)

static const struct unit units[] = {
	{ "°C", QUANTITY_TEMPERATURE, 1, 0 },
	{ "C", QUANTITY_TEMPERATURE, 1, 0 },
	{ "℃", QUANTITY_TEMPERATURE, 1, 0 },
	{ "celsius", QUANTITY_TEMPERATURE, 1, 0 },
	{ "°F", QUANTITY_TEMPERATURE, 5.0 / 9.0, -32 },
	{ "F", QUANTITY_TEMPERATURE, 5.0 / 9.0, -32 },
	{ "℉", QUANTITY_TEMPERATURE, 5.0 / 9.0, -32 },
	{ "fahrenheit", QUANTITY_TEMPERATURE, 5.0 / 9.0, -32 },
	{ "K", QUANTITY_TEMPERATURE, 1, -273.15 },
	{ "kelvin", QUANTITY_TEMPERATURE, 1, -273.15 },
	{ "m/s", QUANTITY_SPEED, 1, 0 },
	{ "mps", QUANTITY_SPEED, 1, 0 },
	{ "km/h", QUANTITY_SPEED, 1 / 3.6, 0 },
	{ "kmh", QUANTITY_SPEED, 1 / 3.6, 0 },
	{ "kph", QUANTITY_SPEED, 1 / 3.6, 0 },
	{ "mph", QUANTITY_SPEED, 0.44704, 0 },
	{ "kn", QUANTITY_SPEED, 1852.0 / 3600, 0 },
	{ "kt", QUANTITY_SPEED, 1852.0 / 3600, 0 },
	{ "knots", QUANTITY_SPEED, 1852.0 / 3600, 0 },
	{ "ft/s", QUANTITY_SPEED, 0.3048, 0 },
	{ "m", QUANTITY_LENGTH, 1, 0 },
	{ "km", QUANTITY_LENGTH, 1000, 0 },
	{ "cm", QUANTITY_LENGTH, 0.01, 0 },
	{ "mm", QUANTITY_LENGTH, 0.001, 0 },
	{ "mi", QUANTITY_LENGTH, 1609.344, 0 },
	{ "miles", QUANTITY_LENGTH, 1609.344, 0 },
	{ "ft", QUANTITY_LENGTH, 0.3048, 0 },
	{ "in", QUANTITY_LENGTH, 0.0254, 0 },
	{ "yd", QUANTITY_LENGTH, 0.9144, 0 },
	{ "nmi", QUANTITY_LENGTH, 1852, 0 },
	{ "hPa", QUANTITY_PRESSURE, 1, 0 },
	{ "mbar", QUANTITY_PRESSURE, 1, 0 },
	{ "Pa", QUANTITY_PRESSURE, 0.01, 0 },
	{ "kPa", QUANTITY_PRESSURE, 10, 0 },
	{ "bar", QUANTITY_PRESSURE, 1000, 0 },
	{ "inHg", QUANTITY_PRESSURE, 33.86389, 0 },
	{ "mmHg", QUANTITY_PRESSURE, 1.33322387415, 0 },
	{ "psi", QUANTITY_PRESSURE, 68.9475729, 0 },
	{ "Wh", QUANTITY_ENERGY, 1, 0 },
	{ "kWh", QUANTITY_ENERGY, 1000, 0 },
	{ "MWh", QUANTITY_ENERGY, 1e6, 0 },
	{ "J", QUANTITY_ENERGY, 1 / 3600.0, 0 },
	{ "kJ", QUANTITY_ENERGY, 1 / 3.6, 0 },
	{ "MJ", QUANTITY_ENERGY, 1 / 0.0036, 0 },
	{ "cal", QUANTITY_ENERGY, 4.184 / 3600, 0 },
	{ "kcal", QUANTITY_ENERGY, 4.184 / 3.6, 0 },
	{ "BTU", QUANTITY_ENERGY, 1055.05585262 / 3600, 0 },
	{ "W", QUANTITY_POWER, 1, 0 },
	{ "kW", QUANTITY_POWER, 1000, 0 },
	{ "mW", QUANTITY_POWER, 0.001, 0 },
	{ "hp", QUANTITY_POWER, 745.69987158, 0 },
	{ "kg", QUANTITY_MASS, 1, 0 },
	{ "g", QUANTITY_MASS, 0.001, 0 },
	{ "mg", QUANTITY_MASS, 1e-6, 0 },
	{ "lb", QUANTITY_MASS, 0.45359237, 0 },
	{ "lbs", QUANTITY_MASS, 0.45359237, 0 },
	{ "oz", QUANTITY_MASS, 0.028349523125, 0 },
	{ "st", QUANTITY_MASS, 6.35029318, 0 },
};

static const struct {
	const char *word, *unit;
} quantities[QUANTITY_COUNT] = { { "temperature", "°C" }, { "speed", "m/s" }, { "length", "m" },
	{ "pressure", "hPa" }, { "energy", "Wh" }, { "power", "W" }, { "mass", "kg" } };

/* Endings of member names.  A short one says a unit only behind a stem that
 * is about its quantity: "temp_c", but not "vitamin_c". */
static const struct {
	const char *ending, *unit, *stems; /* " a b " or NULL: any */
} endings[] = {
	{ "c", "°C", " temp temperature target current dew dewpoint feels feels_like apparent " },
	{ "f", "°F", " temp temperature target current dew dewpoint feels feels_like apparent " },
	{ "k", "K", " temp temperature " },
	{ "kmh", "km/h", NULL },
	{ "kph", "km/h", NULL },
	{ "mph", "mph", NULL },
	{ "mps", "m/s", NULL },
	{ "m", "m", " distance altitude alt height elevation depth visibility " },
	{ "km", "km", NULL },
	{ "mi", "mi", " distance visibility " },
	{ "miles", "mi", NULL },
	{ "ft", "ft", NULL },
	{ "cm", "cm", NULL },
	{ "mm", "mm", NULL },
	{ "hpa", "hPa", NULL },
	{ "kpa", "kPa", NULL },
	{ "mbar", "mbar", NULL },
	{ "inhg", "inHg", NULL },
	{ "mmhg", "mmHg", NULL },
	{ "psi", "psi", NULL },
	{ "wh", "Wh", NULL },
	{ "kwh", "kWh", NULL },
	{ "kj", "kJ", NULL },
	{ "kcal", "kcal", NULL },
	{ "w", "W", " power load " },
	{ "kw", "kW", NULL },
	{ "kg", "kg", NULL },
	{ "g", "g", " weight mass " },
	{ "lb", "lb", NULL },
	{ "lbs", "lb", NULL },
};

#define LEN(table) (sizeof(table) / sizeof((table)[0]))

const char *quantity_word(enum quantity quantity)
{
	return quantities[quantity].word;
}

const char *quantity_unit(enum quantity quantity)
{
	return quantities[quantity].unit;
}

const struct unit *unit_find(const char *word, size_t len)
{
	for (size_t i = 0; i < LEN(units); i++) {
		if (strlen(units[i].word) == len && memcmp(units[i].word, word, len) == 0)
			return &units[i];
	}
	return NULL;
}

bool unit_is_normal(const struct unit *unit)
{
	return strcmp(unit->word, quantities[unit->quantity].unit) == 0 ||
	       (unit->factor >= 1 && unit->factor <= 1 && unit->shift >= 0 && unit->shift <= 0);
}

/* ---- numbers ------------------------------------------------------------------- */

/* A number, or a text that is one from end to end: Home Assistant's states are
 * texts. */
static bool number_of(const struct peek *member, double *out)
{
	char copy[NUMBER_BYTES_MAX];
	const char *text;
	size_t len;
	char *end;

	if (peek_number(member, out))
		return true;
	if (!peek_string(member, &text, &len) || len == 0 || len >= sizeof copy)
		return false;
	if (strspn(text, "0123456789+-.eE") < len)
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	*out = strtod(copy, &end);
	return *end == '\0' && isfinite(*out);
}

/* ---- readings -------------------------------------------------------------------- */

struct readings {
	struct reading *list; /* [UNIT_READINGS_MAX] */
	size_t len;
};

static void add(
    struct readings *out, const struct peek *member, const struct unit *unit, double raw)
{
	double value = (raw + unit->shift) * unit->factor;

	if (out->len == UNIT_READINGS_MAX || !isfinite(value))
		return;
	out->list[out->len++] = (struct reading){
		.member = member->key,
		.member_len = member->key_len,
		.unit = unit,
		.raw = raw,
		.value = value,
	};
}

static bool listed(const char *list, const char *word, size_t len)
{
	char text[UNIT_WORD_BYTES_MAX + 3];

	if (len == 0 || len > UNIT_WORD_BYTES_MAX)
		return false;
	text[0] = ' ';
	memcpy(text + 1, word, len);
	memcpy(text + 1 + len, " ", 2);
	return strstr(list, text) != NULL;
}

/* The unit that a member's own name ends with: "wind_kmh"; "kcal" alone. */
static const struct unit *unit_of_name(const struct peek *member)
{
	const char *key = member->key;
	size_t begin = member->key_len;

	while (begin > 0 && key[begin - 1] != '_')
		begin--;
	size_t len = member->key_len - begin;
	for (size_t i = 0; i < LEN(endings); i++) {
		if (strlen(endings[i].ending) != len ||
		    memcmp(endings[i].ending, key + begin, len) != 0)
			continue;
		bool fits =
		    begin > 0 ? endings[i].stems == NULL || listed(endings[i].stems, key, begin - 1)
			      : len == 4; /* kcal, mbar, inhg: words of their own */
		return fits ? unit_find(endings[i].unit, strlen(endings[i].unit)) : NULL;
	}
	return NULL;
}

static bool is_unit_name(const struct peek *member)
{
	return peek_is(member, "unit") || peek_is(member, "units") ||
	       peek_is(member, "unit_of_measurement");
}

static bool is_value_name(const struct peek *member)
{
	return peek_is(member, "value") || peek_is(member, "state") ||
	       peek_is(member, "native_value");
}

/* The unit named beside the value, or under "attributes". */
static const struct unit *unit_beside(const char *json, bool inner)
{
	const struct unit *unit = NULL;
	struct peek member;
	const char *text;
	size_t len;

	peek_open(&member, json);
	while (unit == NULL && peek_next(&member)) {
		if (is_unit_name(&member) && peek_string(&member, &text, &len))
			unit = unit_find(text, len);
		else if (!inner && peek_is(&member, "attributes") && member.value[0] == '{')
			unit = unit_beside(member.value, true);
	}
	return unit;
}

const struct unit *unit_of_block(const struct observation *obs)
{
	return obs->data_json == NULL ? NULL : unit_beside(obs->data_json, false);
}

size_t unit_read(const struct observation *obs, struct reading out[UNIT_READINGS_MAX])
{
	static const struct unit kilometres_per_hour = { "km/h", QUANTITY_SPEED, 1 / 3.6, 0 };
	struct readings readings = { .list = out };
	struct peek member;
	double raw;

	if (obs->data_json == NULL || obs->data_json[0] == '\0')
		return 0;
	bool location = strcmp(obs->kind, "location") == 0;
	const struct unit *beside = unit_beside(obs->data_json, false);
	peek_open(&member, obs->data_json);
	while (peek_next(&member)) {
		const struct unit *unit = NULL;
		if (is_value_name(&member))
			unit = beside;
		else if (location && peek_is(&member, "vel"))
			unit = &kilometres_per_hour;
		else
			unit = unit_of_name(&member);
		if (unit != NULL && number_of(&member, &raw))
			add(&readings, &member, unit, raw);
	}
	return readings.len;
}
