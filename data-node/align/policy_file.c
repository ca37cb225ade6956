/* Policy files: one table of members, read and written by the same rows. */
#include "align/policy_file.h"

#include <jansson.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "os/file.h"

#define DAY_S 86400.0
#define VERSION_MAX INT64_C(9007199254740992)

enum kind { KIND_TIME, KIND_COUNT, KIND_METRES, KIND_BOOL, KIND_CARRY, KIND_BLEND };

struct member {
	const char *name;
	enum kind kind;
	size_t offset;
	double min, max; /* seconds, metres or a count */
};

#define TOP(name, field, min, max)                                                                 \
	{                                                                                          \
		name, KIND_TIME, offsetof(struct policy, field), min, max                          \
	}
static const struct member top[] = {
	TOP("error_s", error_ns, 0, 10),
	TOP("period_default_s", period_default_ns, 1, DAY_S),
	TOP("period_max_s", period_max_ns, 1, DAY_S),
	TOP("pulse_max_s", pulse_max_ns, 1, DAY_S),
	TOP("late_s", late_ns, 0, 30 * DAY_S),
	TOP("idle_s", idle_ns, 1, 30 * DAY_S),
	{ "accuracy_m", KIND_METRES, offsetof(struct policy, accuracy_m), 0, 1e6 },
	{ .name = NULL },
};

#define RULE(name, kind, field, max)                                                               \
	{                                                                                          \
		name, kind, offsetof(struct policy_rule, field), 0, max                            \
	}
static const struct member rule[] = {
	RULE("all", KIND_BOOL, all, 0),
	RULE("best_only", KIND_BOOL, best_only, 0),
	RULE("nearest_s", KIND_TIME, nearest_ns, DAY_S),
	RULE("nearest_periods", KIND_COUNT, nearest_times, 1000),
	RULE("carry", KIND_CARRY, carry, 0),
	RULE("carry_s", KIND_TIME, carry_ns, 30 * DAY_S),
	RULE("carry_periods", KIND_COUNT, carry_times, 1000),
	RULE("blend", KIND_BLEND, blend, 0),
	RULE("blend_s", KIND_TIME, blend_ns, DAY_S),
	{ .name = NULL },
};

static const char *const carries[] = { "never", "stationary", "unchanged", "pulse", "periods",
	"step", NULL };
static const char *const blends[] = { "none", "location", "numeric", NULL };

/* ---- reading -------------------------------------------------------------------- */

struct parse {
	const char *facet; /* "" outside of facets */
	struct errmsg *why;
};

static enum rc refuse(const struct parse *parse, const char *name, const char *wants)
{
	return errmsg_rc(parse->why, RC_CONFIG, "policy: %s%s%s: %s", parse->facet,
	    parse->facet[0] == '\0' ? "" : ".", name, wants);
}

static enum rc read_word(const struct parse *parse, const char *name, const json_t *value,
    const char *const *words, unsigned *out)
{
	const char *text = json_string_value(value);

	for (unsigned i = 0; text != NULL && words[i] != NULL; i++) {
		if (strcmp(text, words[i]) == 0) {
			*out = i;
			return RC_OK;
		}
	}
	return refuse(parse, name, "not a word it can be");
}

static enum rc read_number(
    const struct parse *parse, const struct member *m, const json_t *value, void *at)
{
	char wants[80];
	double number = json_number_value(value);

	if (m->kind == KIND_TIME && json_is_null(value) && strcmp(m->name, "carry_s") == 0) {
		*(int64_t *)at = INT64_MAX; /* without a limit */
		return RC_OK;
	}
	(void)snprintf(wants, sizeof wants, "a number from %.15g to %.15g", m->min, m->max);
	if (!json_is_number(value) || !(number >= m->min && number <= m->max))
		return refuse(parse, m->name, wants);
	if (m->kind == KIND_METRES)
		*(double *)at = number;
	else if (m->kind == KIND_TIME)
		*(int64_t *)at = (int64_t)floor(number * 1e9 + 0.5);
	else if (json_is_integer(value))
		*(int64_t *)at = json_integer_value(value);
	else
		return refuse(parse, m->name, "a whole number");
	return RC_OK;
}

static enum rc read_member(
    const struct parse *parse, const struct member *m, const json_t *value, char *base)
{
	void *at = base + m->offset;
	unsigned word = 0;
	enum rc rc;

	switch (m->kind) {
	case KIND_BOOL:
		if (!json_is_boolean(value))
			return refuse(parse, m->name, "true or false");
		*(bool *)at = json_is_true(value);
		return RC_OK;
	case KIND_CARRY:
		rc = read_word(parse, m->name, value, carries, &word);
		*(enum policy_carry *)at = (enum policy_carry)word;
		return rc;
	case KIND_BLEND:
		rc = read_word(parse, m->name, value, blends, &word);
		*(enum policy_blend *)at = (enum policy_blend)word;
		return rc;
	case KIND_TIME:
	case KIND_COUNT:
	case KIND_METRES:
		break;
	}
	return read_number(parse, m, value, at);
}

static const struct member *find_member(const struct member *members, const char *name)
{
	for (; members->name != NULL; members++) {
		if (strcmp(members->name, name) == 0)
			return members;
	}
	return NULL;
}

static enum rc read_rules(struct parse *parse, json_t *facets, struct policy *out)
{
	const char *word, *name;
	json_t *members, *value;

	if (!json_is_object(facets))
		return refuse(parse, "facets", "an object");
	json_object_foreach(facets, word, members)
	{
		int facet = facet_parse(word);
		if (facet < 0 || facet == FACET_SCENE || !json_is_object(members))
			return refuse(parse, word, "not a facet with rules");
		parse->facet = facet_word((enum facet)facet);
		json_object_foreach(members, name, value)
		{
			const struct member *m = find_member(rule, name);
			if (m == NULL)
				return refuse(parse, name, "unknown");
			enum rc rc = read_member(parse, m, value, (char *)&out->rules[facet]);
			if (rc != RC_OK)
				return rc;
		}
		parse->facet = "";
	}
	return RC_OK;
}

/* What a window must hold for these rules, and whether they fit together. */
static enum rc derive(struct parse *parse, struct policy *out)
{
	out->reach_ns = out->pulse_max_ns;
	out->ahead_ns = 0;
	for (int facet = 0; facet < FACET_COUNT; facet++) {
		const struct policy_rule *r = &out->rules[facet];
		int64_t carry_ns = r->carry_ns;
		parse->facet = facet_word((enum facet)facet);
		if (r->carry == POLICY_CARRY_STEP && facet != FACET_HOME)
			return refuse(parse, "carry", "step is for the home alone");
		if (r->carry != POLICY_CARRY_STEP && r->carry_ns == INT64_MAX)
			return refuse(parse, "carry_s", "without a limit only where carry is step");
		if (r->carry == POLICY_CARRY_PERIODS)
			carry_ns += out->period_max_ns;
		if (r->carry != POLICY_CARRY_STEP && carry_ns > out->reach_ns)
			out->reach_ns = carry_ns;
		if (r->nearest_ns > out->ahead_ns)
			out->ahead_ns = r->nearest_ns;
		if (r->blend != POLICY_BLEND_NONE && r->blend_ns > out->ahead_ns)
			out->ahead_ns = r->blend_ns;
	}
	parse->facet = "";
	/* A window looks back twice its reach and forward over its slices. */
	if (out->late_ns < out->ahead_ns)
		return refuse(parse, "late_s", "must not be less than what slices look ahead for");
	return RC_OK;
}

static enum rc read_policy(json_t *root, struct policy *out, struct errmsg *why)
{
	struct parse parse = { "", why };
	bool numbered = false;
	const char *name;
	json_t *value;
	enum rc rc = RC_OK;

	if (!json_is_object(root))
		return errmsg_rc(why, RC_CONFIG, "policy: not a JSON object");
	*out = *policy_default();
	json_object_foreach(root, name, value)
	{
		const struct member *m = find_member(top, name);
		if (strcmp(name, "version") == 0) {
			numbered = json_is_integer(value) && json_integer_value(value) >= 1 &&
				   json_integer_value(value) <= VERSION_MAX;
			out->version = (uint64_t)json_integer_value(value);
		} else if (strcmp(name, "facets") == 0) {
			rc = read_rules(&parse, value, out);
		} else if (m != NULL) {
			rc = read_member(&parse, m, value, (char *)out);
		} else {
			rc = refuse(&parse, name, "unknown");
		}
		if (rc != RC_OK)
			return rc;
	}
	if (!numbered)
		return refuse(&parse, "version", "a whole number from 1 on");
	return derive(&parse, out);
}

enum rc policy_parse(const char *text, size_t len, struct policy *out, struct errmsg *why)
{
	json_error_t error;
	struct policy read;

	if (len > POLICY_FILE_BYTES_MAX)
		return errmsg_rc(
		    why, RC_CONFIG, "policy: more than %zu bytes", POLICY_FILE_BYTES_MAX);
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (root == NULL)
		return errmsg_rc(why, RC_CONFIG, "policy: line %d: %s", error.line, error.text);
	enum rc rc = read_policy(root, &read, why);
	json_decref(root);
	if (rc == RC_OK)
		*out = read;
	return rc;
}

enum rc policy_load(const char *dir, struct policy *out, struct errmsg *why)
{
	uint8_t *bytes = NULL;
	char path[4200];
	size_t len = 0;

	(void)snprintf(path, sizeof path, "%s/" POLICY_FILE_NAME, dir);
	if (!file_exists(path)) {
		*out = *policy_default();
		return RC_OK;
	}
	enum rc rc = file_read(path, POLICY_FILE_BYTES_MAX, &bytes, &len, why);
	if (rc == RC_OK)
		rc = policy_parse((const char *)bytes, len, out, why);
	free(bytes);
	return rc;
}

/* ---- writing -------------------------------------------------------------------- */

static void print_time(struct buf *out, int64_t ns)
{
	if (ns == INT64_MAX)
		buf_puts(out, "null");
	else if (ns % NS_PER_S == 0)
		buf_printf(out, "%lld", (long long)(ns / NS_PER_S));
	else
		buf_printf(
		    out, "%lld.%09lld", (long long)(ns / NS_PER_S), (long long)(ns % NS_PER_S));
}

static void print_member(const struct member *m, const char *base, struct buf *out)
{
	const void *at = base + m->offset;

	buf_printf(out, "\"%s\": ", m->name);
	switch (m->kind) {
	case KIND_TIME:
		print_time(out, *(const int64_t *)at);
		break;
	case KIND_COUNT:
		buf_printf(out, "%lld", (long long)*(const int64_t *)at);
		break;
	case KIND_METRES:
		buf_printf(out, "%.15g", *(const double *)at);
		break;
	case KIND_BOOL:
		buf_puts(out, *(const bool *)at ? "true" : "false");
		break;
	case KIND_CARRY:
		buf_printf(out, "\"%s\"", carries[*(const enum policy_carry *)at]);
		break;
	case KIND_BLEND:
		buf_printf(out, "\"%s\"", blends[*(const enum policy_blend *)at]);
		break;
	}
}

void policy_print(const struct policy *policy, struct buf *out)
{
	bool first = true;

	buf_printf(out, "{\n  \"version\": %llu,\n", (unsigned long long)policy->version);
	for (const struct member *m = top; m->name != NULL; m++) {
		buf_puts(out, "  ");
		print_member(m, (const char *)policy, out);
		buf_puts(out, ",\n");
	}
	buf_puts(out, "  \"facets\": {");
	for (int facet = 0; facet < FACET_COUNT; facet++) {
		if (facet == FACET_SCENE)
			continue;
		buf_printf(
		    out, "%s\n    \"%s\": {", first ? "" : ",", facet_word((enum facet)facet));
		for (const struct member *m = rule; m->name != NULL; m++) {
			buf_puts(out, m == rule ? " " : ", ");
			print_member(m, (const char *)&policy->rules[facet], out);
		}
		buf_puts(out, " }");
		first = false;
	}
	buf_puts(out, "\n  }\n}\n");
}

void policy_hash(const struct policy *policy, uint8_t out[POLICY_HASH_BYTES])
{
	struct buf text;

	buf_init(&text, POLICY_FILE_BYTES_MAX);
	policy_print(policy, &text);
	/* Without memory for so little the zeros name no policy: all is built anew. */
	memset(out, 0, POLICY_HASH_BYTES);
	if (buf_rc(&text) == RC_OK)
		(void)crypto_generichash(out, POLICY_HASH_BYTES, text.bytes, text.len, NULL, 0);
	buf_fini(&text);
}
