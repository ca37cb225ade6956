/* What is sent to POST /api/v1/memory/…, member by member. */
#include "gateway/memory_body.h"

#include <jansson.h>
#include <string.h>

#include "gateway/query.h"

#define NUMBER_DIGITS_MAX 18
#define SEEN_BYTES_MAX ((NUMBER_DIGITS_MAX + 2) * PROPOSAL_SEEN_MAX)

bool memory_body_id(const char *text, uint64_t *out)
{
	*out = 0;
	text += text[0] == '^';
	text += text[0] == 'f';
	size_t len = strspn(text, "0123456789");
	if (len == 0 || len > NUMBER_DIGITS_MAX || text[len] != '\0')
		return false;
	for (size_t i = 0; i < len; i++)
		*out = *out * 10 + (uint64_t)(text[i] - '0');
	return *out != 0;
}

/* NULL: refused. */
static json_t *read_body(const struct api_request *request, const char *const *names, size_t n,
    struct api_response *response)
{
	json_t *root =
	    request->body_len > MEMORY_BODY_BYTES_MAX
		? NULL
		: json_loadb(request->body, request->body_len, JSON_REJECT_DUPLICATES, NULL);
	const char *name = NULL;
	json_t *value = NULL;

	if (!json_is_object(root)) {
		json_decref(root);
		api_error(response, 400, "invalid_request_error", "invalid_json", NULL,
		    "the body must be one JSON object");
		return NULL;
	}
	json_object_foreach(root, name, value)
	{
		size_t i = 0;
		while (i < n && strcmp(names[i], name) != 0)
			i++;
		if (i < n && json_is_string(value))
			continue;
		query_error(response, i < n ? names[i] : "body",
		    i < n ? "must be a string" : "has a member that is not known");
		json_decref(root);
		return NULL;
	}
	return root;
}

static const char *member(const json_t *root, const char *name)
{
	return json_string_value(json_object_get(root, name));
}

/* A copy; `without` where it is left out.  False: no memory. */
static bool read_text(const json_t *root, const char *name, const char *without,
    struct arena *arena, const char **out, struct api_response *response)
{
	const char *text = member(root, name);

	*out = text == NULL ? without : arena_strdup(arena, text);
	if (text == NULL || *out != NULL)
		return true;
	api_error_rc(response, RC_NOMEM, NULL, NULL);
	return false;
}

/* A bound of validity into `ns`, which is kept where it is left out or "". */
static bool read_bound(
    const json_t *root, const char *name, int64_t *ns, struct api_response *response)
{
	const char *text = member(root, name);

	if (text == NULL || text[0] == '\0' || query_parse_time(text, ns) == RC_OK)
		return true;
	query_error(response, name, "must be RFC 3339, or empty for none");
	return false;
}

/* "f2 f5", in a text of its own; "": none. */
static bool read_seen(char *text, struct proposal_seen *out)
{
	char *rest = text;

	for (char *word = strtok_r(text, " ", &rest); word != NULL;
	     word = strtok_r(NULL, " ", &rest)) {
		if (out->len == PROPOSAL_SEEN_MAX || !memory_body_id(word, &out->numbers[out->len]))
			return false;
		out->len++;
	}
	return true;
}

bool memory_body_decision(const struct api_request *request, struct memory_body_decision *out,
    struct api_response *response)
{
	static const char *const names[] = { "id", "replaces" };
	char text[SEEN_BYTES_MAX] = "";

	json_t *root = read_body(request, names, sizeof names / sizeof names[0], response);
	if (root == NULL)
		return false;
	const char *id = member(root, "id"), *seen = member(root, "replaces");
	*out = (struct memory_body_decision){ .has_seen = seen != NULL };
	bool good = id != NULL && memory_body_id(id, &out->number);
	if (!good)
		query_error(response, "id", "the number of a proposal, such as f12");
	if (good && seen != NULL) {
		size_t len = strlen(seen);
		good = len < sizeof text;
		if (good)
			memcpy(text, seen, len + 1);
		good = good && read_seen(text, &out->seen);
		if (!good)
			query_error(response, "replaces", "numbers of facts, such as f2 f5");
	}
	json_decref(root);
	return good;
}

bool memory_body_proposal(const struct api_request *request, struct arena *arena, struct fact *out,
    struct api_response *response)
{
	static const char *const names[] = { "class", "subject", "attribute", "text", "valid_from",
		"valid_to" };

	json_t *root = read_body(request, names, sizeof names / sizeof names[0], response);
	if (root == NULL)
		return false;
	const char *class = member(root, "class");
	*out = (struct fact){ .class = class != NULL ? fact_class_parse(class) : 0,
		.valid_from_ns = FACT_ALWAYS_FROM_NS,
		.valid_to_ns = FACT_ALWAYS_TO_NS };
	bool good = read_text(root, "subject", "", arena, &out->subject, response) &&
		    read_text(root, "attribute", "", arena, &out->attribute, response) &&
		    read_text(root, "text", "", arena, &out->text, response) &&
		    read_bound(root, "valid_from", &out->valid_from_ns, response) &&
		    read_bound(root, "valid_to", &out->valid_to_ns, response);
	json_decref(root);
	return good;
}

/* What is to be done, and with which fact. */
static bool read_how(const json_t *root, struct edit *edit, struct api_response *response)
{
	const char *how = member(root, "how"), *id = member(root, "id");
	const char *class = member(root, "class");

	if (how == NULL || !edit_how_parse(how, &edit->how)) {
		query_error(response, "how", "add, change, correct, end or deny");
		return false;
	}
	if ((id != NULL) != (edit->how != EDIT_ADD) ||
	    (id != NULL && !memory_body_id(id, &edit->number))) {
		query_error(response, "id", "the number of a fact, such as f12; none to add one");
		return false;
	}
	edit->class = class != NULL ? fact_class_parse(class) : 0;
	if (edit->class == 0 && (class != NULL || edit->how == EDIT_ADD)) {
		query_error(response, "class", "profile, wishes, preferences, people or places");
		return false;
	}
	return true;
}

bool memory_body_edit(const struct api_request *request, struct arena *arena,
    struct memory_body_edit *out, struct api_response *response)
{
	static const char *const names[] = { "how", "id", "class", "subject", "attribute", "text",
		"valid_from", "valid_to" };
	struct edit *edit = &out->edit;

	json_t *root = read_body(request, names, sizeof names / sizeof names[0], response);
	if (root == NULL)
		return false;
	*out =
	    (struct memory_body_edit){ .from_ns = FACT_ALWAYS_FROM_NS, .to_ns = FACT_ALWAYS_TO_NS };
	edit->from_ns = member(root, "valid_from") != NULL ? &out->from_ns : NULL;
	edit->to_ns = member(root, "valid_to") != NULL ? &out->to_ns : NULL;
	bool good = read_how(root, edit, response) &&
		    read_text(root, "subject", NULL, arena, &edit->subject, response) &&
		    read_text(root, "attribute", NULL, arena, &edit->attribute, response) &&
		    read_text(root, "text", NULL, arena, &edit->text, response) &&
		    read_bound(root, "valid_from", &out->from_ns, response) &&
		    read_bound(root, "valid_to", &out->to_ns, response);
	json_decref(root);
	return good;
}
