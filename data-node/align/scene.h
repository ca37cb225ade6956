/*
 * Scene: what the person is doing, derived from a slice's other cells.
 */
#ifndef ALIGN_SCENE_H
#define ALIGN_SCENE_H

#include "align/slice.h"

/*
 * The first rule of the table in scene.c that finds its evidence names the
 * scene; so does a label of the nightly rule "scene" (a value of `labels`),
 * with the rank that the table gives its word: it
 * has seen the whole day, and goes before a rule of the same rank.  Mode, age, ε and certainty are
 * those of the evidence; the value's kind is "scene", its text the scene's word, its obs_id the
 * evidence's, its data the rules' version.  No evidence: absent ("none").  RC_NOMEM.
 */
enum rc scene_derive(const struct cell cells[FACET_COUNT], const struct cell *labels,
    struct arena *arena, struct cell *out) RC_CHECK;

#endif
