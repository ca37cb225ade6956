/*
 * Schema: from a JSON schema to the automaton of the JSON texts that it allows.
 *
 * Honoured: type (one or several), properties, required, additionalProperties, items,
 * prefixItems, minItems, maxItems, enum, const, minLength, maxLength, pattern (without
 * assertions and references back), minimum, maximum, exclusiveMinimum, exclusiveMaximum,
 * anyOf, allOf, oneOf (where its alternatives can be told apart), $ref within the schema, also
 * recursive, $defs, nullable; format of dates, times and uuids.  Annotations are ignored.
 * Everything else is refused by name: nothing that restricts is ever passed over.
 *
 * The texts are a part of what the schema allows, such as a model writes them:
 *  - properties come in the schema's order, those that it does not name last;
 *  - properties that it does not name come only where it says so (additionalProperties), or
 *    where it names none;
 *  - a schema without a type, but with keywords of some types, means those types;
 *  - between tokens of JSON stands nothing, one blank, or a line feed with at most
 *    SCHEMA_INDENT_MAX blanks or tabs; before and behind the whole, nothing;
 *  - numbers have at most 15 digits before and behind the point, exponents two, and where
 *    there are bounds no exponent; integers have neither;
 *  - texts never hold U+0000; in those with a pattern nothing is escaped that need not be.
 */
#ifndef GRAMMAR_SCHEMA_H
#define GRAMMAR_SCHEMA_H

#include <stddef.h>

#include "base/errmsg.h"

struct automaton;

#define SCHEMA_BYTES_MAX ((size_t)128 << 10)
#define SCHEMA_DEPTH_MAX 64
#define SCHEMA_STEPS_MAX 20000u /* schemas looked at, also those that others refer to */
#define SCHEMA_PROPERTIES_MAX ((size_t)1000)  /* of one object */
#define SCHEMA_CHOICES_MAX ((size_t)5000)     /* values of an enum */
#define SCHEMA_ALTERNATIVES_MAX ((size_t)256) /* of anyOf and oneOf */
#define SCHEMA_COUNT_MAX 10000                /* minItems, maxLength and their kin */
#define SCHEMA_NAME_BYTES_MAX 256             /* of a property, where others may stand beside it */
#define SCHEMA_INDENT_MAX 20
#define SCHEMA_DIGITS_MAX 15

/*
 * RC_INVALID: not JSON, or no schema; RC_UNSUPPORTED: a keyword that cannot be honoured, or
 * no value at all is allowed; RC_LIMIT; RC_NOMEM.  `why` names the place.  Pure, any thread;
 * takes at most some 10 MiB for its work.
 */
enum rc schema_compile(
    const char *json, size_t len, struct automaton **out, struct errmsg *why) RC_CHECK;

/* Any JSON object. */
enum rc schema_any_object(struct automaton **out, struct errmsg *why) RC_CHECK;

#endif
