/* Cloud edit: upstreams, words of what may leave, rules. */
#include "gateway/cloud_edit.h"

#include <string.h>

#include "store/observation.h"

enum rc cloud_edit_put(
    struct cloud_policy *policy, const struct cloud_upstream *upstream, struct errmsg *why)
{
	size_t i = 0;

	while (i < policy->upstreams_len && strcmp(policy->upstreams[i].name, upstream->name) != 0)
		i++;
	if (i == CLOUD_UPSTREAMS_MAX)
		return errmsg_rc(
		    why, RC_LIMIT, "there are %zu upstreams already", CLOUD_UPSTREAMS_MAX);
	policy->upstreams[i] = *upstream;
	policy->upstreams_len += i == policy->upstreams_len;
	return RC_OK;
}

enum rc cloud_edit_remove(struct cloud_policy *policy, const char *name, struct errmsg *why)
{
	size_t kept = 0, rules = 0;

	for (size_t i = 0; i < policy->upstreams_len; i++) {
		if (strcmp(policy->upstreams[i].name, name) != 0)
			policy->upstreams[kept++] = policy->upstreams[i];
	}
	if (kept == policy->upstreams_len)
		return errmsg_rc(why, RC_NOTFOUND, "no upstream is named %s", name);
	policy->upstreams_len = kept;
	for (size_t i = 0; i < policy->rules_len; i++) {
		if (strcmp(policy->rules[i].to, name) != 0)
			policy->rules[rules++] = policy->rules[i];
	}
	policy->rules_len = rules;
	return RC_OK;
}

/* ---- words ---- */

static void take_out(struct cloud_words *list, const char *word)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->len; i++) {
		if (strcmp(list->words[i], word) != 0)
			list->words[kept++] = list->words[i];
	}
	list->len = kept;
}

static enum rc put_in(
    struct cloud_words *list, const char *word, struct arena *arena, struct errmsg *why)
{
	take_out(list, word);
	if (list->len == CLOUD_WORDS_MAX)
		return errmsg_rc(
		    why, RC_LIMIT, "such a list holds %zu words at most", CLOUD_WORDS_MAX);
	const char **words = arena_array(arena, list->len + 1, sizeof(*words));
	const char *copy = arena_strdup(arena, word);
	if (words == NULL || copy == NULL)
		return RC_NOMEM;
	if (list->len > 0)
		memcpy(words, list->words, list->len * sizeof(*words));
	words[list->len] = copy;
	*list = (struct cloud_words){ .words = words, .len = list->len + 1 };
	return RC_OK;
}

static enum rc move(struct cloud_words *leaves, struct cloud_words *stays, const char *word,
    bool may, struct arena *arena, struct errmsg *why)
{
	if (word[0] == '\0' || strlen(word) > CLOUD_WORD_BYTES_MAX)
		return errmsg_rc(why, RC_INVALID, "source: and label: need a name");
	take_out(may ? stays : leaves, word);
	return put_in(may ? leaves : stays, word, arena, why);
}

static bool *flag_of(struct cloud_leave *leave, const char *word)
{
	if (strcmp(word, "question") == 0)
		return &leave->question;
	if (strcmp(word, "conversation") == 0)
		return &leave->conversation;
	return strcmp(word, "facts") == 0 ? &leave->facts : NULL;
}

enum rc cloud_edit_leave(
    struct cloud_leave *leave, const char *word, bool may, struct arena *arena, struct errmsg *why)
{
	bool *flag = flag_of(leave, word);
	enum layer layer = layer_parse(word);

	if (strncmp(word, "source:", 7) == 0)
		return move(&leave->sources, &leave->not_sources, word + 7, may, arena, why);
	if (strncmp(word, "label:", 6) == 0)
		return move(&leave->labels, &leave->not_labels, word + 6, may, arena, why);
	if (flag != NULL)
		*flag = may;
	else if (layer != 0)
		leave->layers =
		    may ? leave->layers | LAYER_MASK(layer) : leave->layers & ~LAYER_MASK(layer);
	else
		return errmsg_rc(why, RC_INVALID,
		    "%.40s: a layer, question, conversation, facts, source:NAME or "
		    "label:RULE[=VALUE]",
		    word);
	return RC_OK;
}

enum rc cloud_edit_rule(
    struct cloud_policy *policy, const struct cloud_rule *rule, struct errmsg *why)
{
	if (policy->rules_len == CLOUD_RULES_MAX)
		return errmsg_rc(why, RC_LIMIT, "there are %zu rules already", CLOUD_RULES_MAX);
	policy->rules[policy->rules_len++] = *rule;
	return RC_OK;
}
