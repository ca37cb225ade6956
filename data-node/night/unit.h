/*
 * Units: what a measured value is in the one unit of its quantity.
 *
 * Temperature in °C, speed in m/s, length in m, pressure in hPa, energy in Wh,
 * power in W, mass in kg.  A reading is found where the sender said its unit:
 * beside the value ("unit", Home Assistant's "unit_of_measurement", also under
 * "attributes"), at the end of the member's name ("temp_c", "wind_kmh"), or by
 * the convention of a known format (OwnTracks "vel" is km/h).  A number without
 * a unit is no reading.  Pure, no allocation, any thread.
 */
#ifndef NIGHT_UNIT_H
#define NIGHT_UNIT_H

#include "store/observation.h"

#define UNIT_READINGS_MAX 16 /* of one observation */
#define UNIT_WORD_BYTES_MAX ((size_t)24)

enum quantity {
	QUANTITY_TEMPERATURE,
	QUANTITY_SPEED,
	QUANTITY_LENGTH,
	QUANTITY_PRESSURE,
	QUANTITY_ENERGY,
	QUANTITY_POWER,
	QUANTITY_MASS,
	QUANTITY_COUNT,
};

/* normalised = (raw + shift) × factor */
struct unit {
	const char *word;
	enum quantity quantity;
	double factor, shift;
};

struct reading {
	const char *member; /* [member_len] in the observation's data */
	size_t member_len;
	const struct unit *unit;
	double raw, value; /* value is normalised */
};

/* The unit that `word` [len] names; NULL if it names none known. */
const struct unit *unit_find(const char *word, size_t len);

/* True if values in `unit` are normalised as they are. */
bool unit_is_normal(const struct unit *unit);

const char *quantity_word(enum quantity quantity); /* "temperature" */
const char *quantity_unit(enum quantity quantity); /* "°C" */

/* Readings of `obs` in the order of its members; their number.  Views live as
 * long as the observation.  What is not finite, normalised, is left out. */
size_t unit_read(const struct observation *obs, struct reading out[UNIT_READINGS_MAX]);

/* The unit of a block's values, named beside them; NULL if none is. */
const struct unit *unit_of_block(const struct observation *obs);

#endif
