/* Cloud policy: one table of members for each object, read and written by the same rows. */
#include "cloud/cloud_policy.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cloud/cloud_url.h"
#include "os/file.h"
#include "store/observation.h"

#define PATH_BYTES_MAX 4200
#define TOKENS_MAX 1e15
#define MONEY_MAX 1e9
#define MICRO 1000000
#define CONNECT_DEFAULT_NS (10 * NS_PER_S)
#define IDLE_DEFAULT_NS (120 * NS_PER_S)

enum kind {
	KIND_TEXT,
	KIND_WORD,
	KIND_BOOL,
	KIND_COUNT,
	KIND_TIME,
	KIND_MONEY,
	KIND_LAYERS,
	KIND_WORDS
};

struct member {
	const char *name;
	enum kind kind;
	size_t offset;
	double max;               /* COUNT, TIME in seconds; TEXT: bytes */
	const char *const *words; /* WORD */
};

static const char *const trusts[] = { "outside", "home", NULL };
static const char *const sizes[] = { "medium", "large", NULL };
static const char *const whens[] = { "always", "long", "away", NULL };

#define ROW(type, name, kind, field, max, words)                                                   \
	{                                                                                          \
		name, kind, offsetof(struct type, field), max, words                               \
	}
#define UPSTREAM(name, kind, field, max, words) ROW(cloud_upstream, name, kind, field, max, words)
static const struct member upstream_members[] = {
	UPSTREAM("name", KIND_TEXT, name, CLOUD_NAME_BYTES_MAX, NULL),
	UPSTREAM("url", KIND_TEXT, url, CLOUD_URL_BYTES_MAX, NULL),
	UPSTREAM("model", KIND_TEXT, model, CLOUD_WORD_BYTES_MAX, NULL),
	UPSTREAM("size", KIND_WORD, size, 0, sizes),
	UPSTREAM("trust", KIND_WORD, trust, 0, trusts),
	UPSTREAM("context", KIND_COUNT, context, 1e9, NULL),
	UPSTREAM("connect_s", KIND_TIME, connect_ns, 600, NULL),
	UPSTREAM("idle_s", KIND_TIME, idle_ns, 3600, NULL),
	UPSTREAM("day_tokens", KIND_COUNT, budget.day_tokens, TOKENS_MAX, NULL),
	UPSTREAM("month_tokens", KIND_COUNT, budget.month_tokens, TOKENS_MAX, NULL),
	UPSTREAM("day_money", KIND_MONEY, budget.day_micros, MONEY_MAX, NULL),
	UPSTREAM("month_money", KIND_MONEY, budget.month_micros, MONEY_MAX, NULL),
	UPSTREAM("price_in", KIND_MONEY, budget.in_micros, CLOUD_PRICE_MAX, NULL),
	UPSTREAM("price_out", KIND_MONEY, budget.out_micros, CLOUD_PRICE_MAX, NULL),
	UPSTREAM("ca", KIND_TEXT, ca, CLOUD_CA_BYTES_MAX, NULL),
	{ .name = NULL },
};
#define LEAVE(name, kind, field) ROW(cloud_leave, name, kind, field, 0, NULL)
static const struct member leave_members[] = {
	LEAVE("question", KIND_BOOL, question),
	LEAVE("conversation", KIND_BOOL, conversation),
	LEAVE("facts", KIND_BOOL, facts),
	LEAVE("layers", KIND_LAYERS, layers),
	LEAVE("sources", KIND_WORDS, sources),
	LEAVE("labels", KIND_WORDS, labels),
	LEAVE("not_sources", KIND_WORDS, not_sources),
	LEAVE("not_labels", KIND_WORDS, not_labels),
	{ .name = NULL },
};
static const struct member rule_members[] = {
	ROW(cloud_rule, "to", KIND_TEXT, to, CLOUD_NAME_BYTES_MAX, NULL),
	ROW(cloud_rule, "when", KIND_WORD, when, 0, whens),
	ROW(cloud_rule, "tokens", KIND_COUNT, tokens, 1e9, NULL),
	{ .name = NULL },
};

const char *cloud_trust_word(enum cloud_trust trust)
{
	return trusts[trust];
}

const char *cloud_size_word(enum cloud_size size)
{
	return sizes[size];
}

bool cloud_when_parse(const char *word, enum cloud_when *out)
{
	for (int i = 0; whens[i] != NULL; i++) {
		if (strcmp(word, whens[i]) == 0) {
			*out = (enum cloud_when)i;
			return true;
		}
	}
	return false;
}

enum rc cloud_micros(double number, int64_t *out)
{
	if (!(number >= 0 && number <= MONEY_MAX))
		return RC_INVALID;
	*out = (int64_t)floor(number * MICRO + 0.5);
	return RC_OK;
}

/* ---- what holds of the whole ------------------------------------------------------ */

static bool name_good(const char *name)
{
	static const char *const taken[] = { "local", "medium", "large" };

	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		if (strcmp(name, taken[i]) == 0)
			return false;
	}
	for (const char *c = name; *c != '\0'; c++) {
		bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
			     (*c >= '0' && *c <= '9');
		if (!plain && (c == name || strchr("._-", *c) == NULL))
			return false;
	}
	return name[0] != '\0' && strlen(name) <= CLOUD_NAME_BYTES_MAX;
}

const struct cloud_upstream *cloud_policy_find(const struct cloud_policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->upstreams_len; i++) {
		if (strcmp(policy->upstreams[i].name, name) == 0)
			return &policy->upstreams[i];
	}
	return NULL;
}

static enum rc check_upstream(
    const struct cloud_policy *policy, const struct cloud_upstream *upstream, struct errmsg *why)
{
	struct errmsg deep = ERRMSG_INIT;

	if (!name_good(upstream->name))
		return errmsg_rc(why, RC_CONFIG,
		    "an upstream's name is 1 to %zu letters, digits, '.', '_' or '-', and not "
		    "local, medium or large",
		    CLOUD_NAME_BYTES_MAX);
	if (cloud_policy_find(policy, upstream->name) != upstream)
		return errmsg_rc(why, RC_CONFIG, "upstream %s stands twice", upstream->name);
	if (upstream->model[0] == '\0')
		return errmsg_rc(
		    why, RC_CONFIG, "upstream %s: which model it is asked for", upstream->name);
	if (upstream->connect_ns == 0 || upstream->idle_ns == 0)
		return errmsg_rc(
		    why, RC_CONFIG, "upstream %s: its timeouts must not be 0", upstream->name);
	enum rc rc = cloud_url_check(upstream->url, upstream->trust, &deep);
	return rc == RC_OK ? rc : errmsg_rc(why, rc, "upstream %s: %s", upstream->name, deep.text);
}

/* What one object does not show: names are there once, rules name something, URLs fit
 * the trust. */
static enum rc check_policy(const struct cloud_policy *policy, struct errmsg *why)
{
	for (size_t i = 0; i < policy->upstreams_len; i++) {
		enum rc rc = check_upstream(policy, &policy->upstreams[i], why);
		if (rc != RC_OK)
			return rc;
	}
	for (size_t i = 0; i < policy->rules_len; i++) {
		const char *to = policy->rules[i].to;
		if (strcmp(to, "medium") != 0 && strcmp(to, "large") != 0 &&
		    cloud_policy_find(policy, to) == NULL)
			return errmsg_rc(why, RC_CONFIG,
			    "rule %zu of hearth leads to no upstream, medium or large", i + 1);
	}
	return RC_OK;
}

/* ---- reading -------------------------------------------------------------------- */

struct parse {
	const char *place; /* "upstreams", "leave.home" */
	struct arena *arena;
	struct errmsg *why;
};

static enum rc refuse(const struct parse *parse, const char *name, const char *wants)
{
	return errmsg_rc(parse->why, RC_CONFIG, "%s: %s%s%s: %s", CLOUD_POLICY_FILE_NAME,
	    parse->place, parse->place[0] != '\0' && name[0] != '\0' ? "." : "", name, wants);
}

static bool printable(const char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < ' ' && *text != '\n')
			return false;
	}
	return true;
}

static enum rc read_text(const struct parse *parse, const struct member *m, const json_t *value,
    size_t max, const char **out)
{
	const char *text = json_string_value(value);

	if (text == NULL || strlen(text) > max || !printable(text))
		return refuse(parse, m->name, "a text that is not too long");
	*out = arena_strdup(parse->arena, text);
	return *out == NULL ? RC_NOMEM : RC_OK;
}

static enum rc read_word(
    const struct parse *parse, const struct member *m, const json_t *value, unsigned *out)
{
	const char *text = json_string_value(value);

	for (unsigned i = 0; text != NULL && m->words[i] != NULL; i++) {
		if (strcmp(text, m->words[i]) == 0) {
			*out = i;
			return RC_OK;
		}
	}
	return refuse(parse, m->name, "not a word it can be");
}

static enum rc read_number(
    const struct parse *parse, const struct member *m, const json_t *value, int64_t *out)
{
	double number = json_number_value(value);
	char wants[80];

	(void)snprintf(wants, sizeof(wants), "a%s number from 0 to %.15g",
	    m->kind == KIND_COUNT ? " whole" : "", m->max);
	if (!json_is_number(value) || !(number >= 0 && number <= m->max) ||
	    (m->kind == KIND_COUNT && !json_is_integer(value)))
		return refuse(parse, m->name, wants);
	if (m->kind == KIND_COUNT)
		*out = json_integer_value(value);
	else if (m->kind == KIND_TIME)
		*out = (int64_t)floor(number * 1e3 + 0.5) * NS_PER_MS;
	else
		return cloud_micros(number, out);
	return RC_OK;
}

static enum rc read_layers(
    const struct parse *parse, const struct member *m, const json_t *list, unsigned *out)
{
	*out = 0;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *word = json_string_value(json_array_get(list, i));
		enum layer layer = word == NULL ? 0 : layer_parse(word);
		if (layer == 0)
			return refuse(parse, m->name, "an array of layers");
		*out |= LAYER_MASK(layer);
	}
	return json_is_array(list) ? RC_OK : refuse(parse, m->name, "an array of layers");
}

static enum rc read_words(
    const struct parse *parse, const struct member *m, const json_t *list, struct cloud_words *out)
{
	size_t n = json_array_size(list);

	if (!json_is_array(list) || n > CLOUD_WORDS_MAX)
		return refuse(parse, m->name, "an array of not too many texts");
	*out = (struct cloud_words){ .words = arena_array(parse->arena, n, sizeof(char *)) };
	if (out->words == NULL)
		return RC_NOMEM;
	for (; out->len < n; out->len++) {
		enum rc rc = read_text(parse, m, json_array_get(list, out->len),
		    CLOUD_WORD_BYTES_MAX, &out->words[out->len]);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

static enum rc read_member(
    const struct parse *parse, const struct member *m, const json_t *value, char *base)
{
	void *at = base + m->offset;
	unsigned word = 0;
	enum rc rc;

	switch (m->kind) {
	case KIND_TEXT:
		return read_text(parse, m, value, (size_t)m->max, at);
	case KIND_WORD:
		rc = read_word(parse, m, value, &word);
		memcpy(at, &word, sizeof(word)); /* all such enums are of this size */
		return rc;
	case KIND_BOOL:
		if (!json_is_boolean(value))
			return refuse(parse, m->name, "true or false");
		*(bool *)at = json_is_true(value);
		return RC_OK;
	case KIND_LAYERS:
		return read_layers(parse, m, value, at);
	case KIND_WORDS:
		return read_words(parse, m, value, at);
	default:
		return read_number(parse, m, value, at);
	}
}

_Static_assert(sizeof(enum cloud_trust) == sizeof(unsigned) &&
		   sizeof(enum cloud_size) == sizeof(unsigned) &&
		   sizeof(enum cloud_when) == sizeof(unsigned),
    "read_member() writes words as unsigned");

static enum rc read_object(
    const struct parse *parse, const struct member *members, json_t *object, void *base)
{
	const char *name;
	json_t *value;

	if (!json_is_object(object))
		return refuse(parse, "", "an object");
	json_object_foreach(object, name, value)
	{
		const struct member *m = members;
		while (m->name != NULL && strcmp(m->name, name) != 0)
			m++;
		enum rc rc = m->name == NULL ? refuse(parse, name, "unknown")
					     : read_member(parse, m, value, base);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

static enum rc read_upstreams(struct parse *parse, const json_t *list, struct cloud_policy *out)
{
	if (!json_is_array(list) || json_array_size(list) > CLOUD_UPSTREAMS_MAX)
		return refuse(parse, "", "an array of not too many");
	for (; out->upstreams_len < json_array_size(list); out->upstreams_len++) {
		struct cloud_upstream *upstream = &out->upstreams[out->upstreams_len];
		*upstream = (struct cloud_upstream){ .name = "",
			.url = "",
			.model = "",
			.ca = "",
			.connect_ns = CONNECT_DEFAULT_NS,
			.idle_ns = IDLE_DEFAULT_NS };
		enum rc rc = read_object(
		    parse, upstream_members, json_array_get(list, out->upstreams_len), upstream);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

static enum rc read_leave(struct parse *parse, json_t *object, struct cloud_policy *out)
{
	static const char *const places[CLOUD_TRUSTS] = { "leave.outside", "leave.home" };
	const char *name;
	json_t *value;

	if (!json_is_object(object))
		return refuse(parse, "", "an object");
	json_object_foreach(object, name, value)
	{
		size_t i = 0;
		while (i < CLOUD_TRUSTS && strcmp(trusts[i], name) != 0)
			i++;
		if (i == CLOUD_TRUSTS)
			return refuse(parse, name, "unknown");
		parse->place = places[i];
		enum rc rc = read_object(parse, leave_members, value, &out->leave[i]);
		if (rc != RC_OK)
			return rc;
		parse->place = "leave";
	}
	return RC_OK;
}

static enum rc read_rules(struct parse *parse, const json_t *list, struct cloud_policy *out)
{
	if (!json_is_array(list) || json_array_size(list) > CLOUD_RULES_MAX)
		return refuse(parse, "", "an array of not too many");
	for (; out->rules_len < json_array_size(list); out->rules_len++) {
		struct cloud_rule *rule = &out->rules[out->rules_len];
		rule->to = "";
		enum rc rc =
		    read_object(parse, rule_members, json_array_get(list, out->rules_len), rule);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

static enum rc read_policy(
    json_t *root, struct arena *arena, struct cloud_policy *out, struct errmsg *why)
{
	struct parse parse = { "", arena, why };
	enum rc rc = RC_OK;
	const char *name;
	json_t *value;

	if (!json_is_object(root))
		return refuse(&parse, "the whole", "a JSON object");
	json_object_foreach(root, name, value)
	{
		parse.place = name;
		if (strcmp(name, "upstreams") == 0)
			rc = read_upstreams(&parse, value, out);
		else if (strcmp(name, "leave") == 0)
			rc = read_leave(&parse, value, out);
		else if (strcmp(name, "hearth") == 0)
			rc = read_rules(&parse, value, out);
		else
			rc = refuse(&parse, "", "unknown");
		if (rc != RC_OK)
			return rc;
	}
	return check_policy(out, why);
}

enum rc cloud_policy_parse(
    const char *text, size_t len, struct arena *arena, struct cloud_policy *out, struct errmsg *why)
{
	json_error_t error;

	*out = (struct cloud_policy){ 0 };
	if (len > CLOUD_POLICY_BYTES_MAX)
		return errmsg_rc(why, RC_CONFIG, CLOUD_POLICY_FILE_NAME ": more than %zu bytes",
		    CLOUD_POLICY_BYTES_MAX);
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (root == NULL)
		return errmsg_rc(
		    why, RC_CONFIG, CLOUD_POLICY_FILE_NAME ": line %d: %s", error.line, error.text);
	enum rc rc = read_policy(root, arena, out, why);
	json_decref(root);
	if (rc != RC_OK)
		*out = (struct cloud_policy){ 0 };
	return rc;
}

enum rc cloud_policy_load(
    const char *dir, struct arena *arena, struct cloud_policy *out, struct errmsg *why)
{
	char path[PATH_BYTES_MAX];
	uint8_t *bytes = NULL;
	size_t len = 0;

	*out = (struct cloud_policy){ 0 };
	if (snprintf(path, sizeof(path), "%s/" CLOUD_POLICY_FILE_NAME, dir) >= PATH_BYTES_MAX)
		return errmsg_rc(why, RC_LIMIT, "the directory's name is too long");
	if (!file_exists(path))
		return RC_OK;
	enum rc rc = file_read(path, CLOUD_POLICY_BYTES_MAX, &bytes, &len, why);
	if (rc == RC_OK)
		rc = cloud_policy_parse((const char *)bytes, len, arena, out, why);
	free(bytes);
	return rc;
}

/* ---- writing -------------------------------------------------------------------- */

static void print_words(const char *const *words, size_t len, struct buf *out)
{
	buf_putc(out, '[');
	for (size_t i = 0; i < len; i++) {
		buf_puts(out, i > 0 ? ", " : "");
		buf_json_string(out, words[i], strlen(words[i]));
	}
	buf_putc(out, ']');
}

static void print_layers(unsigned layers, struct buf *out)
{
	const char *words[LAYER_COUNT];
	size_t len = 0;

	for (unsigned l = 1; l <= LAYER_COUNT; l++) {
		if ((layers & LAYER_MASK(l)) != 0)
			words[len++] = layer_word((enum layer)l);
	}
	print_words(words, len, out);
}

/* `unit`: how many of the number's are one; the decimals that it has. */
static void print_parts(int64_t number, int64_t unit, int decimals, struct buf *out)
{
	buf_printf(out, "%" PRId64, number / unit);
	if (number % unit != 0)
		buf_printf(out, ".%0*" PRId64, decimals, number % unit);
}

static void print_member(const struct member *m, const char *base, struct buf *out)
{
	const void *at = base + m->offset;
	const struct cloud_words *words = at;
	unsigned word = 0;

	switch (m->kind) {
	case KIND_TEXT:
		buf_json_string(out, *(const char *const *)at, strlen(*(const char *const *)at));
		break;
	case KIND_WORD:
		memcpy(&word, at, sizeof(word));
		buf_printf(out, "\"%s\"", m->words[word]);
		break;
	case KIND_BOOL:
		buf_puts(out, *(const bool *)at ? "true" : "false");
		break;
	case KIND_COUNT:
		buf_printf(out, "%" PRId64, *(const int64_t *)at);
		break;
	case KIND_TIME:
		print_parts(*(const int64_t *)at / NS_PER_MS, 1000, 3, out);
		break;
	case KIND_MONEY:
		print_parts(*(const int64_t *)at, MICRO, 6, out);
		break;
	case KIND_LAYERS:
		print_layers(*(const unsigned *)at, out);
		break;
	case KIND_WORDS:
		print_words((const char *const *)words->words, words->len, out);
		break;
	}
}

static void print_object(const struct member *members, const void *base, struct buf *out)
{
	for (const struct member *m = members; m->name != NULL; m++) {
		buf_printf(out, "%s\"%s\": ", m == members ? "{ " : ", ", m->name);
		print_member(m, base, out);
	}
	buf_puts(out, " }");
}

void cloud_policy_print(const struct cloud_policy *policy, struct buf *out)
{
	buf_puts(out, "{\n  \"upstreams\": [");
	for (size_t i = 0; i < policy->upstreams_len; i++) {
		buf_puts(out, i > 0 ? ",\n    " : "\n    ");
		print_object(upstream_members, &policy->upstreams[i], out);
	}
	buf_puts(out, policy->upstreams_len > 0 ? "\n  ],\n  \"leave\": {" : "],\n  \"leave\": {");
	for (size_t i = 0; i < CLOUD_TRUSTS; i++) {
		buf_printf(out, "%s\n    \"%s\": ", i > 0 ? "," : "", trusts[i]);
		print_object(leave_members, &policy->leave[i], out);
	}
	buf_puts(out, "\n  },\n  \"hearth\": [");
	for (size_t i = 0; i < policy->rules_len; i++) {
		buf_puts(out, i > 0 ? ",\n    " : "\n    ");
		print_object(rule_members, &policy->rules[i], out);
	}
	buf_puts(out, policy->rules_len > 0 ? "\n  ]\n}\n" : "]\n}\n");
}
