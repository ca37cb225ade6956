/*
 * Note gate: a model's answer to a note, or the reason why not.
 *
 * A title or summary that breaks a rule refuses the note; a tag or a mood that does is
 * left out.
 */
#ifndef NIGHT_NOTE_GATE_H
#define NIGHT_NOTE_GATE_H

#include "night/moments.h"
#include "night/note.h"

/*
 * `answer` [len] is what the model wrote, `shown` the lines that it was shown.  Fills title,
 * summary, tags and mood of `out` (in `arena`) or `out->refused`.  RC_NOMEM.
 */
enum rc note_gate(struct words *words, const struct moments *moments, const char *shown,
    const char *answer, size_t len, struct arena *arena, struct note *out) RC_CHECK;

/* The schema that a model is held to. */
extern const char note_schema[];

#endif
