/*
 * `compute-node inspect`: what a GGUF file holds, whether or not this program
 * can run it.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/hex.h"
#include "cli/cli_args.h"
#include "cli/commands.h"
#include "model/gguf.h"
#include "model/model.h"

#define OUT_BYTES_MAX (256u << 20)
#define TEXT_SHOWN 72u
#define ITEMS_SHOWN 8u

struct inspect_options {
	bool json, tensors;
};

#define AT(field) offsetof(struct inspect_options, field)

static const struct conf_option options[] = {
	{ "json", 0, CONF_BOOL, AT(json), NULL, "false", 0, 0, true, "print one JSON object" },
	{ "tensors", 0, CONF_BOOL, AT(tensors), NULL, "false", 0, 0, true,
	    "list every tensor, not only the sums by type" },
	{ 0 },
};

static const struct conf_command command = { "inspect", "MODEL", 1, 1, "what a model file holds",
	"Works on any GGUF file, also on architectures that cannot be run.\n"
	"Long values are shortened.",
	options };

struct type_sum {
	uint64_t n, bytes, weights;
};

static uint64_t weights_of(const struct gguf_tensor *t)
{
	return t->dims[0] * t->dims[1] * t->dims[2] * t->dims[3];
}

static void sum_types(const struct gguf *g, struct type_sum sums[TYPE_NUMBER_MAX + 1])
{
	for (size_t i = 0; i < gguf_tensors_len(g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);

		sums[t->type].n++;
		sums[t->type].bytes += t->n_bytes;
		sums[t->type].weights += weights_of(t);
	}
}

static struct type_sum sum_all(const struct type_sum sums[TYPE_NUMBER_MAX + 1])
{
	struct type_sum all = { 0 };

	for (size_t i = 0; i <= TYPE_NUMBER_MAX; i++) {
		all.n += sums[i].n;
		all.bytes += sums[i].bytes;
		all.weights += sums[i].weights;
	}
	return all;
}

static void put_text(struct buf *out, struct gguf_string_view text)
{
	size_t len = text.len;

	if (len > TEXT_SHOWN) {
		len = TEXT_SHOWN;
		while (len > 0 && ((uint8_t)text.text[len] & 0xc0) == 0x80)
			len--; /* not inside a code point */
	}
	buf_json_string(out, text.text, len);
}

static void put_number(struct buf *out, const struct gguf_pair *pair, uint64_t i)
{
	enum gguf_value_type type = pair->type == GGUF_ARRAY ? pair->item_type : pair->type;
	int64_t integer = 0;
	double real = 0;
	uint64_t u64 = 0;

	if (type == GGUF_BOOL) {
		(void)gguf_item_i64(pair, i, &integer);
		buf_puts(out, integer != 0 ? "true" : "false");
	} else if (type == GGUF_F32 || type == GGUF_F64) {
		(void)gguf_item_f64(pair, i, &real);
		if (isfinite(real))
			buf_printf(out, "%.9g", real);
		else
			buf_puts(out, "null");
	} else if (gguf_item_i64(pair, i, &integer)) {
		buf_printf(out, "%" PRId64, integer);
	} else { /* more than INT64_MAX */
		memcpy(&u64, pair->bytes + i * sizeof(u64), sizeof(u64));
		buf_printf(out, "%" PRIu64, u64);
	}
}

/* The value as JSON; a long text or array is cut (see put_note). */
static void put_value(struct buf *out, const struct gguf_pair *pair)
{
	bool array = pair->type == GGUF_ARRAY;
	bool strings = (array ? pair->item_type : pair->type) == GGUF_STRING;
	const uint8_t *cursor = NULL;

	if (array)
		buf_putc(out, '[');
	for (uint64_t i = 0; i < pair->n && i < ITEMS_SHOWN; i++) {
		struct gguf_string_view text;

		if (i > 0)
			buf_puts(out, ", ");
		if (strings && gguf_next_string(pair, &cursor, &text))
			put_text(out, text);
		else
			put_number(out, pair, i);
	}
	if (array)
		buf_putc(out, ']');
}

/* How much there is of what was cut; 0 if nothing was. */
static uint64_t cut_length(const struct gguf_pair *pair)
{
	struct gguf_string_view text = { NULL, 0 };
	const uint8_t *cursor = NULL;

	if (pair->type == GGUF_ARRAY)
		return pair->n > ITEMS_SHOWN ? pair->n : 0;
	if (pair->type == GGUF_STRING)
		(void)gguf_next_string(pair, &cursor, &text);
	return text.len > TEXT_SHOWN ? text.len : 0;
}

static void put_metadata_json(struct buf *out, const struct gguf *g)
{
	buf_puts(out, "\"metadata\":{");
	for (size_t i = 0; i < gguf_pairs_len(g); i++) {
		const struct gguf_pair *pair = gguf_pair_at(g, i);

		if (i > 0)
			buf_putc(out, ',');
		buf_json_string(out, pair->key.text, pair->key.len);
		buf_putc(out, ':');
		if (cut_length(pair) > 0)
			buf_printf(out, "{\"length\":%" PRIu64 ",\"first\":", cut_length(pair));
		put_value(out, pair);
		if (cut_length(pair) > 0)
			buf_putc(out, '}');
	}
	buf_putc(out, '}');
}

static void put_tensor_json(struct buf *out, const struct gguf_tensor *t)
{
	buf_puts(out, "{\"name\":");
	buf_json_string(out, t->name.text, t->name.len);
	buf_printf(out, ",\"type\":\"%s\",\"shape\":[", type_info(t->type)->name);
	for (uint32_t i = 0; i < t->n_dims; i++)
		buf_printf(out, "%s%" PRIu64, i > 0 ? "," : "", t->dims[i]);
	buf_printf(out, "],\"bytes\":%" PRIu64 "}", t->n_bytes);
}

static void put_types_json(struct buf *out, const struct type_sum sums[TYPE_NUMBER_MAX + 1])
{
	const char *comma = "";

	buf_puts(out, "\"types\":{");
	for (uint32_t i = 0; i <= TYPE_NUMBER_MAX; i++) {
		if (sums[i].n == 0)
			continue;
		buf_printf(out,
		    "%s\"%s\":{\"tensors\":%" PRIu64 ",\"weights\":%" PRIu64 ",\"bytes\":%" PRIu64
		    "}",
		    comma, type_info(i)->name, sums[i].n, sums[i].weights, sums[i].bytes);
		comma = ",";
	}
	buf_puts(out, "},");
}

/* What only an opened model knows; `why_not` where it cannot be run. */
static void put_model_json(struct buf *out, const struct model *model, const char *why_not)
{
	const struct model_info *info = model != NULL ? model_info(model) : NULL;
	char hash[2 * MODEL_HASH_BYTES + 1];

	if (info == NULL) {
		buf_puts(out, "\"runs\":false,\"why_not\":");
		buf_json_string(out, why_not, strlen(why_not));
		buf_putc(out, ',');
		return;
	}
	hex_encode(info->content_hash, MODEL_HASH_BYTES, hash);
	buf_printf(out,
	    "\"runs\":true,\"content_hash\":\"%s\",\"vocab\":%u,\"embedding\":%u,"
	    "\"layers\":%u,\"heads\":%u,\"context\":%u,\"has_vocabulary\":%s,"
	    "\"has_chat_template\":%s,",
	    hash, info->n_vocab, info->n_embd, info->n_layer, info->n_head, info->n_ctx_train,
	    model_tokenizer(model) != NULL ? "true" : "false",
	    info->chat_template != NULL ? "true" : "false");
}

static struct gguf_string_view architecture(const struct gguf *g)
{
	struct gguf_string_view name = { "", 0 };

	if (gguf_get_string(g, "general.architecture", &name, NULL) != RC_OK)
		return (struct gguf_string_view){ "", 0 };
	return name;
}

static void put_json(struct buf *out, const struct gguf *g, const struct model *model,
    const char *why_not, const struct inspect_options *o)
{
	struct type_sum sums[TYPE_NUMBER_MAX + 1] = { 0 }, all;

	sum_types(g, sums);
	all = sum_all(sums);
	buf_puts(out, "{\"architecture\":");
	buf_json_string(out, architecture(g).text, architecture(g).len);
	buf_printf(out,
	    ",\"gguf_version\":%u,\"file_bytes\":%" PRIu64 ",\"tensors\":%" PRIu64
	    ",\"parameters\":%" PRIu64 ",\"weights_bytes\":%" PRIu64 ",",
	    gguf_version(g), gguf_file_bytes(g), all.n, all.weights, all.bytes);
	put_model_json(out, model, why_not);
	put_types_json(out, sums);
	if (o->tensors) {
		buf_puts(out, "\"tensor_list\":[");
		for (size_t i = 0; i < gguf_tensors_len(g); i++) {
			if (i > 0)
				buf_putc(out, ',');
			put_tensor_json(out, gguf_tensor_at(g, i));
		}
		buf_puts(out, "],");
	}
	put_metadata_json(out, g);
	buf_puts(out, "}\n");
}

static void put_metadata_text(struct buf *out, const struct gguf *g)
{
	buf_puts(out, "\nmetadata\n");
	for (size_t i = 0; i < gguf_pairs_len(g); i++) {
		const struct gguf_pair *pair = gguf_pair_at(g, i);

		buf_printf(out, "  %-44.*s ", (int)pair->key.len, pair->key.text);
		put_value(out, pair);
		if (cut_length(pair) > 0)
			buf_printf(out, " … of %" PRIu64, cut_length(pair));
		buf_putc(out, '\n');
	}
}

static void put_text_report(struct buf *out, const struct gguf *g, const struct model *model,
    const char *why_not, const struct inspect_options *o)
{
	struct type_sum sums[TYPE_NUMBER_MAX + 1] = { 0 }, all;
	struct gguf_string_view arch = architecture(g);

	sum_types(g, sums);
	all = sum_all(sums);
	buf_printf(out, "architecture   %.*s\n", (int)arch.len, arch.text);
	buf_printf(out, "parameters     %" PRIu64 "\n", all.weights);
	buf_printf(
	    out, "weights        %" PRIu64 " bytes in %" PRIu64 " tensors\n", all.bytes, all.n);
	if (model != NULL) {
		const struct model_info *info = model_info(model);

		buf_printf(out,
		    "layers         %u\nembedding      %u\nheads          %u\n"
		    "vocabulary     %u%s\ncontext        %u\n",
		    info->n_layer, info->n_embd, info->n_head, info->n_vocab,
		    model_tokenizer(model) != NULL ? "" : " (no texts)", info->n_ctx_train);
	} else {
		buf_printf(out, "cannot run     %s\n", why_not);
	}
	buf_puts(out, "\ntensors by type\n");
	for (uint32_t i = 0; i <= TYPE_NUMBER_MAX; i++) {
		if (sums[i].n > 0)
			buf_printf(out, "  %-8s %6" PRIu64 " tensors %16" PRIu64 " bytes\n",
			    type_info(i)->name, sums[i].n, sums[i].bytes);
	}
	for (size_t i = 0; o->tensors && i < gguf_tensors_len(g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);

		buf_printf(out, "  %-40.*s %-8s %8" PRIu64 " x %" PRIu64 "\n", (int)t->name.len,
		    t->name.text, type_info(t->type)->name, t->dims[0], weights_of(t) / t->dims[0]);
	}
	put_metadata_text(out, g);
}

static enum rc inspect(const char *path, const struct inspect_options *o, struct errmsg *why)
{
	struct gguf *g = NULL;
	struct model *model = NULL;
	struct errmsg why_not = ERRMSG_INIT;
	struct buf out;
	enum rc rc = gguf_open(path, &g, why), opened;

	if (rc != RC_OK)
		return rc;
	opened = model_open(path, &model, &why_not);
	buf_init(&out, OUT_BYTES_MAX);
	if (o->json)
		put_json(&out, g, model, errmsg_text(&why_not, opened), o);
	else
		put_text_report(&out, g, model, errmsg_text(&why_not, opened), o);
	rc = buf_rc(&out);
	if (rc == RC_OK &&
	    (fwrite(out.bytes, 1, out.len, stdout) != out.len || fflush(stdout) != 0))
		rc = errmsg_errno(why, "standard output");
	buf_fini(&out);
	model_close(model);
	gguf_close(g);
	return rc;
}

int cli_inspect(int argc, char **argv)
{
	struct inspect_options values = { 0 };
	struct conf_argv args = { 0 };
	struct arena arena;
	struct errmsg why = ERRMSG_INIT;
	enum rc rc;
	int code;

	arena_init(&arena, CLI_ARENA_BYTES);
	code = cli_args(&command, argc, argv, &values, &args, &arena);
	if (code == CLI_GO_ON) {
		rc = inspect(args.args[0], &values, &why);
		code = rc == RC_OK ? EXIT_DONE : cli_fail(&command, args.args[0], rc, &why);
	}
	arena_fini(&arena);
	return code;
}
