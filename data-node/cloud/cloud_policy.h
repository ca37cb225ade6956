/*
 * Cloud policy: which models elsewhere may be asked, and what may leave for them.
 *
 * DIR/cloud.json, one JSON object; what it leaves out is absent or forbidden, what it
 * has besides is an error that names it.  Without the file there is no upstream and
 * nothing leaves.
 *
 *  upstreams  OpenAI-compatible servers, in order of preference.  trust "home" is the
 *             owner's own (a private address may then go without TLS), "outside" is
 *             anybody else's.
 *  leave      for each trust, what of the person may go along when "hearth" is answered
 *             there.  A moment may if its layer, its source or one of its labels is
 *             listed, and neither its source nor a label stands in a not_ list.  A fact
 *             may if facts may and nothing that it was read from is in such a list.
 *  hearth     when "hearth" is answered there: the first rule that holds.
 *
 * A label is named "RULE" or "RULE=VALUE" (gateway/cloud_labels.h).  Budgets count tokens
 * and money, in any one currency, of a local day or month; 0 is no limit.  What is
 * reserved before a request leaves is an estimate, four bytes of its body a token and the
 * longest answer; it is settled by what the server says was used, which may be more.
 */
#ifndef CLOUD_CLOUD_POLICY_H
#define CLOUD_CLOUD_POLICY_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/errmsg.h"

#define CLOUD_POLICY_FILE_NAME "cloud.json"
#define CLOUD_POLICY_BYTES_MAX ((size_t)256 << 10)
#define CLOUD_UPSTREAMS_MAX ((size_t)16)
#define CLOUD_RULES_MAX ((size_t)16)
#define CLOUD_WORDS_MAX ((size_t)64) /* of one list */
#define CLOUD_WORD_BYTES_MAX ((size_t)128)
#define CLOUD_NAME_BYTES_MAX ((size_t)32)
#define CLOUD_URL_BYTES_MAX ((size_t)512)
#define CLOUD_PRICE_MAX 1e6 /* of a million tokens */
#define CLOUD_CA_BYTES_MAX ((size_t)32 << 10)

enum cloud_trust { CLOUD_OUTSIDE, CLOUD_HOME, CLOUD_TRUSTS };
enum cloud_size { CLOUD_MEDIUM, CLOUD_LARGE };

struct cloud_budget {
	int64_t day_tokens, month_tokens; /* 0: no limit */
	int64_t day_micros, month_micros; /* millionths of the currency; 0: no limit */
	int64_t in_micros, out_micros;    /* of a million tokens */
};

struct cloud_upstream {
	const char *name;
	const char *url; /* "https://HOST[:PORT]/v1", no slash at its end */
	const char *model;
	const char *ca; /* PEM: trust these instead of the system's; "" = the system's */
	enum cloud_size size;
	enum cloud_trust trust;
	int64_t context; /* tokens; 0: not known */
	int64_t connect_ns, idle_ns;
	struct cloud_budget budget;
};

struct cloud_words {
	const char **words; /* [len] */
	size_t len;
};

struct cloud_leave {
	bool question;     /* what the person asks, where no rule of theirs names the model */
	bool conversation; /* all else that the client says: turns, system messages, tools */
	bool facts;        /* what is known about the person, unless it was read from what stays */
	unsigned layers;   /* LAYER_MASK bits */
	struct cloud_words sources, labels, not_sources, not_labels;
};

enum cloud_when { CLOUD_ALWAYS, CLOUD_LONG, CLOUD_AWAY };

struct cloud_rule {
	const char *to; /* an upstream's name, or "medium", "large": the first of that size */
	enum cloud_when when;
	int64_t tokens; /* LONG: a prompt of so many or more */
};

struct cloud_policy {
	struct cloud_upstream upstreams[CLOUD_UPSTREAMS_MAX]; /* [upstreams_len] */
	size_t upstreams_len;
	struct cloud_leave leave[CLOUD_TRUSTS];
	struct cloud_rule rules[CLOUD_RULES_MAX]; /* [rules_len] */
	size_t rules_len;
};

/* Read the text of one; strings in `arena`.  RC_CONFIG names what is wrong, in it or
 * between its parts: names are there once, rules name something, URLs fit the trust. */
enum rc cloud_policy_parse(const char *text, size_t len, struct arena *arena,
    struct cloud_policy *out, struct errmsg *why) RC_CHECK;

/* DIR/cloud.json; empty if there is none. */
enum rc cloud_policy_load(
    const char *dir, struct arena *arena, struct cloud_policy *out, struct errmsg *why) RC_CHECK;

/* As text that cloud_policy_parse() reads back; ends in a newline. */
void cloud_policy_print(const struct cloud_policy *policy, struct buf *out);

/* NULL. */
const struct cloud_upstream *cloud_policy_find(const struct cloud_policy *policy, const char *name);

const char *cloud_trust_word(enum cloud_trust trust);
const char *cloud_size_word(enum cloud_size size);
bool cloud_when_parse(const char *word, enum cloud_when *out);

/* A number with at most six decimals as millionths; RC_INVALID. */
enum rc cloud_micros(double number, int64_t *out) RC_CHECK;

#endif
