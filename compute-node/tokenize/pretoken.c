/*
 * Pre-tokenizers of published models.  The expression each follows stands above
 * its scanner (L letters, M marks, N numbers, P punctuation, S symbols).
 */
#include "tokenize/pretoken.h"

#include <string.h>

#include "base/unicode.h"
#include "tokenize/pretoken_scan.h"

#define STAGES_MAX 6

typedef size_t match_fn(const struct span *span, size_t at);

struct pretoken {
	const char *name;
	bool ignores_merges, adds_bos, raw;
	match_fn *stages[STAGES_MAX]; /* ends with NULL */
};

/* ---- parts ---- */

/* [^\r\n\p{L}\p{N}]? */
static size_t prefix(const struct span *span, size_t at)
{
	uint32_t cp;
	size_t n = scan_peek(span, at, &cp);

	return n > 0 && !scan_is_break(cp) && !scan_is_letter(cp) && !scan_is_number(cp) ? n : 0;
}

/* [^\r\n\p{L}\p{N}]?CLASS+ */
static size_t word(const struct span *span, size_t at, scan_class_fn *in)
{
	size_t lead = prefix(span, at);
	size_t run = scan_run(span, at + lead, in, 0);

	if (run > 0)
		return lead + run;
	return lead > 0 ? scan_run(span, at, in, 0) : 0;
}

static bool is_other(uint32_t cp)
{
	return !unicode_is_space(cp) && !scan_is_letter(cp) && !scan_is_number(cp);
}

static bool is_other_but_marks(uint32_t cp)
{
	return is_other(cp) && !unicode_is_mark(cp);
}

/* CLASS+ behind an optional blank */
static size_t spaced(const struct span *span, size_t at, scan_class_fn *in)
{
	size_t lead = at < span->len && span->bytes[at] == ' ';
	size_t run = scan_run(span, at + lead, in, 0);

	if (run > 0)
		return lead + run;
	return lead > 0 ? scan_run(span, at, in, 0) : 0;
}

/* ' '?CLASS+[\r\n…]* | \s*[\r\n]+ | \s+(?!\S) | \s+ : how most of them end */
static size_t rest(const struct span *span, size_t at, scan_class_fn *in, const char *breaks)
{
	size_t n = spaced(span, at, in);

	if (n > 0)
		return n + scan_breaks(span, at + n, breaks);
	n = scan_newlines(span, at);
	return n > 0 ? n : scan_blanks(span, at);
}

/* ---- gpt-2: 's|'t|'re|'ve|'m|'ll|'d| ?L+| ?N+| ?[^\sLN]+|\s+(?!\S)|\s+ ---- */

static size_t match_gpt2(const struct span *span, size_t at)
{
	scan_class_fn *const classes[] = { scan_is_letter, scan_is_number, is_other };
	size_t n = scan_contraction(span, at, false);

	for (size_t i = 0; n == 0 && i < 3; i++)
		n = spaced(span, at, classes[i]);
	return n > 0 ? n : scan_blanks(span, at);
}

/* ---- smollm, starcoder and their kin: each digit alone, then gpt-2 ---- */

static size_t match_one_number(const struct span *span, size_t at)
{
	return scan_run(span, at, scan_is_number, 1);
}

/* ---- llama-bpe, with N{1,3}; qwen2, with one N:
 * (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\nLN]?L+|N{1,3}| ?[^\sLN]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ */

static size_t match_llama3(const struct span *span, size_t at, size_t digits)
{
	size_t n = scan_contraction(span, at, true);

	if (n == 0)
		n = word(span, at, scan_is_letter);
	if (n == 0)
		n = scan_run(span, at, scan_is_number, digits);
	return n > 0 ? n : rest(span, at, is_other, "");
}

static size_t match_llama_bpe(const struct span *span, size_t at)
{
	return match_llama3(span, at, 3);
}

static size_t match_qwen2(const struct span *span, size_t at)
{
	return match_llama3(span, at, 1);
}

/* ---- qwen35: as qwen2, with [LM]+ for L+ and [^\sLMN] for [^\sLN] ---- */

static size_t match_qwen35(const struct span *span, size_t at)
{
	size_t n = scan_contraction(span, at, true);

	if (n == 0)
		n = word(span, at, scan_is_letter_or_mark);
	if (n == 0)
		n = scan_run(span, at, scan_is_number, 1);
	return n > 0 ? n : rest(span, at, is_other_but_marks, "");
}

/* ---- gpt-4o and tekken: words split where lower case turns to upper:
 * [^\r\nLN]?[Lu Lt Lm Lo M]*[Ll Lm Lo M]+ | [^\r\nLN]?[Lu Lt Lm Lo M]+[Ll Lm Lo M]* ---- */

static bool is_upper_part(uint32_t cp)
{
	enum unicode_category c = unicode_category(cp);

	return c == UNICODE_LU || c == UNICODE_LT || c == UNICODE_LM || c == UNICODE_LO ||
	       (c >= UNICODE_MN && c <= UNICODE_ME);
}

static bool is_lower_part(uint32_t cp)
{
	enum unicode_category c = unicode_category(cp);

	return c == UNICODE_LL || c == UNICODE_LM || c == UNICODE_LO ||
	       (c >= UNICODE_MN && c <= UNICODE_ME);
}

/* [upper]*[lower]+ with the backtracking that a letter of both kinds needs */
static size_t upper_then_lower(const struct span *span, size_t at)
{
	size_t uppers = scan_run(span, at, is_upper_part, 0);
	size_t lowers = scan_run(span, at + uppers, is_lower_part, 0);
	size_t back = uppers;
	uint32_t cp;

	if (lowers > 0)
		return uppers + lowers;
	while (back > 0) {
		size_t end = back;
		do
			back--;
		while (back > 0 && ((uint8_t)span->bytes[at + back] & 0xC0) == 0x80);
		(void)scan_peek(span, at + back, &cp);
		if (is_lower_part(cp))
			return end;
	}
	return 0;
}

/* [upper]+[lower]* */
static size_t uppers_first(const struct span *span, size_t at)
{
	size_t uppers = scan_run(span, at, is_upper_part, 0);

	return uppers == 0 ? 0 : uppers + scan_run(span, at + uppers, is_lower_part, 0);
}

static size_t cased_word(const struct span *span, size_t at)
{
	size_t lead = prefix(span, at);

	for (int alternative = 0; alternative < 2; alternative++) {
		size_t (*match)(const struct span *, size_t) =
		    alternative == 0 ? upper_then_lower : uppers_first;
		size_t n = match(span, at + lead);
		if (n > 0)
			return lead + n;
		n = lead > 0 ? match(span, at) : 0;
		if (n > 0)
			return n;
	}
	return 0;
}

/* gpt-4o: WORD(?i:'s|'t|'re|'ve|'m|'ll|'d)?|N{1,3}| ?[^\sLN]+[\r\n/]*|… */
static size_t match_gpt4o(const struct span *span, size_t at)
{
	size_t n = cased_word(span, at);

	if (n > 0)
		return n + scan_contraction(span, at + n, true);
	n = scan_run(span, at, scan_is_number, 3);
	return n > 0 ? n : rest(span, at, is_other, "/");
}

/* tekken: WORD|N| ?[^\sLN]+[\r\n/]*|… */
static size_t match_tekken(const struct span *span, size_t at)
{
	size_t n = cased_word(span, at);

	if (n == 0)
		n = scan_run(span, at, scan_is_number, 1);
	return n > 0 ? n : rest(span, at, is_other, "/");
}

/* ---- deepseek-llm: line breaks, \s?[cased letters]+, \s?[punctuation]+, \s+$,
 * CJK runs, N+, one stage each ---- */

static size_t match_line_break(const struct span *span, size_t at)
{
	return scan_run(span, at, scan_is_break, 1);
}

/* Letters of scripts with case; of the Latin additions, Georgian and others the
 * published list holds just what has (or is) a case form. */
static bool is_cased(uint32_t cp)
{
	enum unicode_category c = unicode_category(cp);

	return c == UNICODE_LU || c == UNICODE_LL || c == UNICODE_LT;
}

static bool is_deepseek_punctuation(uint32_t cp)
{
	return (cp >= '!' && cp <= '/') || (cp >= ':' && cp <= '~' && !scan_is_letter(cp)) ||
	       (cp >= 0xFF01 && cp <= 0xFF0F) ||
	       (cp >= 0xFF1A && cp <= 0xFF5E && !scan_is_letter(cp)) ||
	       (cp >= 0x2018 && cp <= 0x201F) || (cp >= 0x3000 && cp <= 0x3002);
}

/* \s?CLASS+ */
static size_t blank_then(const struct span *span, size_t at, scan_class_fn *in)
{
	size_t lead = scan_run(span, at, unicode_is_space, 1);
	size_t run = scan_run(span, at + lead, in, 0);

	if (run > 0)
		return lead + run;
	return lead > 0 ? scan_run(span, at, in, 0) : 0;
}

static size_t match_cased_word(const struct span *span, size_t at)
{
	return blank_then(span, at, is_cased);
}

static size_t match_deepseek_punctuation(const struct span *span, size_t at)
{
	return blank_then(span, at, is_deepseek_punctuation);
}

static size_t match_last_blanks(const struct span *span, size_t at)
{
	size_t run = scan_run(span, at, unicode_is_space, 0);

	return at + run == span->len ? run : 0;
}

static bool is_deepseek_cjk(uint32_t cp)
{
	return (cp >= 0x4E00 && cp <= 0x9FA5) || (cp >= 0x0800 && cp <= 0x4E00) ||
	       (cp >= 0xAC00 && cp <= 0xD7FF);
}

static size_t match_deepseek_cjk(const struct span *span, size_t at)
{
	return scan_run(span, at, is_deepseek_cjk, 0);
}

static size_t match_numbers(const struct span *span, size_t at)
{
	return scan_run(span, at, scan_is_number, 0);
}

/* ---- deepseek-v3: N{1,3}; CJK runs; then
 * [ASCII punctuation][A-Za-z]+|[^\r\nLPS]?[LM]+| ?[PS]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ ---- */

static size_t match_three_numbers(const struct span *span, size_t at)
{
	return scan_run(span, at, scan_is_number, 3);
}

static bool is_v3_cjk(uint32_t cp)
{
	return (cp >= 0x4E00 && cp <= 0x9FA5) || (cp >= 0x3040 && cp <= 0x30FF);
}

static size_t match_v3_cjk(const struct span *span, size_t at)
{
	return scan_run(span, at, is_v3_cjk, 0);
}

static bool is_punctuation_or_symbol(uint32_t cp)
{
	return unicode_is_punctuation(cp) || unicode_is_symbol(cp);
}

static bool is_ascii_letter(uint32_t cp)
{
	return cp < 0x80 && scan_is_letter(cp);
}

static size_t v3_word(const struct span *span, size_t at)
{
	uint32_t cp;
	size_t lead = scan_peek(span, at, &cp);

	if (lead == 0)
		return 0;
	size_t run = scan_run(span, at + lead, is_ascii_letter, 0);
	if (cp < 0x80 && is_punctuation_or_symbol(cp) && run > 0)
		return lead + run;
	if (!scan_is_break(cp) && !scan_is_letter(cp) && !is_punctuation_or_symbol(cp)) {
		run = scan_run(span, at + lead, scan_is_letter_or_mark, 0);
		if (run > 0)
			return lead + run;
	}
	return scan_run(span, at, scan_is_letter_or_mark, 0);
}

static size_t match_v3(const struct span *span, size_t at)
{
	size_t n = v3_word(span, at);

	return n > 0 ? n : rest(span, at, is_punctuation_or_symbol, "");
}

/* ---- gemma4: lines and the breaks between them ---- */

static bool is_newline(uint32_t cp)
{
	return cp == '\n';
}

static size_t match_newlines(const struct span *span, size_t at)
{
	return scan_run(span, at, is_newline, 0);
}

/* ---- the table ---- */

static const struct pretoken pretokens[] = {
	{ "llama-bpe", true, true, false, { match_llama_bpe } },
	{ "llama3", true, true, false, { match_llama_bpe } },
	{ "llama-v3", true, true, false, { match_llama_bpe } },
	{ "dbrx", false, false, false, { match_llama_bpe } },
	{ "glm4", false, false, false, { match_llama_bpe } },
	{ "chatglm-bpe", false, false, false, { match_llama_bpe } },
	{ "smaug-bpe", false, false, false, { match_llama_bpe } },
	{ "qwen2", false, false, false, { match_qwen2 } },
	{ "deepseek-r1-qwen", false, false, false, { match_qwen2 } },
	{ "qwen35", false, false, false, { match_qwen35 } },
	{ "gpt-2", false, false, false, { match_gpt2 } },
	{ "phi-2", false, false, false, { match_gpt2 } },
	{ "smollm", false, false, false, { match_one_number, match_gpt2 } },
	{ "starcoder", false, false, false, { match_one_number, match_gpt2 } },
	{ "command-r", false, false, false, { match_one_number, match_gpt2 } },
	{ "gpt-4o", false, false, false, { match_gpt4o } },
	{ "tekken", true, true, false, { match_tekken } },
	{ "deepseek-llm", false, false, false,
	    { match_line_break, match_cased_word, match_deepseek_punctuation, match_last_blanks,
		match_deepseek_cjk, match_numbers } },
	{ "deepseek-v3", false, false, false, { match_three_numbers, match_v3_cjk, match_v3 } },
	{ "gemma4", false, true, true, { match_newlines } },
};

const struct pretoken *pretoken_find(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(pretokens) / sizeof(pretokens[0]); i++) {
		if (strlen(pretokens[i].name) == len && memcmp(pretokens[i].name, name, len) == 0)
			return &pretokens[i];
	}
	return NULL;
}

bool pretoken_ignores_merges(const struct pretoken *pretoken)
{
	return pretoken->ignores_merges;
}

bool pretoken_adds_bos(const struct pretoken *pretoken)
{
	return pretoken->adds_bos;
}

bool pretoken_is_raw(const struct pretoken *pretoken)
{
	return pretoken->raw;
}

/* Cut `span` by the stages from `stage` on. */
static enum rc cut(
    const struct pretoken *p, size_t stage, struct span span, pretoken_fn *fn, void *ctx)
{
	size_t from = 0;
	size_t at = 0;
	uint32_t cp;

	if (span.len == 0)
		return RC_OK;
	if (stage == STAGES_MAX || p->stages[stage] == NULL)
		return fn(ctx, span.bytes, span.len);
	while (at < span.len) {
		size_t n = p->stages[stage](&span, at);
		if (n == 0) {
			at += scan_peek(&span, at, &cp);
			continue;
		}
		enum rc rc =
		    cut(p, stage + 1, (struct span){ span.bytes + from, at - from }, fn, ctx);
		if (rc == RC_OK)
			rc = cut(p, stage + 1, (struct span){ span.bytes + at, n }, fn, ctx);
		if (rc != RC_OK)
			return rc;
		at += n;
		from = at;
	}
	return cut(p, stage + 1, (struct span){ span.bytes + from, at - from }, fn, ctx);
}

enum rc pretoken_split(
    const struct pretoken *pretoken, const char *text, size_t len, pretoken_fn *fn, void *ctx)
{
	return cut(pretoken, 0, (struct span){ text, len }, fn, ctx);
}
