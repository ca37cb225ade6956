/*
 * A small validator of JSON schemas, as naive as the words of the specification: the
 * oracle for compute-node/grammar.  Knows what that honours; patterns and formats are
 * not looked at.
 */
#ifndef SUPPORT_SCHEMA_VALIDATE_H
#define SUPPORT_SCHEMA_VALIDATE_H

#include <stdbool.h>

#include "template/value.h"

/* Does `value` satisfy `schema`, whose $refs lead into `root`? */
bool schema_validate(struct value root, struct value schema, struct value value);

#endif
