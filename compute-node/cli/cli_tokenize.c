/* `compute-node tokenize`: text on stdin to ids on one line. */
#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"
#include "cli/cli_args.h"
#include "cli/commands.h"
#include "model/gguf.h"
#include "tokenize/tokenizer.h"

#define TEXT_BYTES_MAX (64u << 20)

struct tokenize_options {
	bool bos, special;
};

#define AT(field) offsetof(struct tokenize_options, field)

static const struct conf_option options[] = {
	{ "bos", 0, CONF_BOOL, AT(bos), NULL, "true", 0, 0, true,
	    "put the start token first if the vocabulary says so" },
	{ "special", 0, CONF_BOOL, AT(special), NULL, "true", 0, 0, true,
	    "read special tokens; without, they are ordinary text" },
	{ 0 },
};

static const struct conf_command command = { "tokenize", "MODEL", 1, 1,
	"turn text on standard input into token ids",
	"Prints the ids on one line.  A file with a vocabulary and no weights will do.", options };

static enum rc read_all(FILE *in, struct buf *out, struct errmsg *why)
{
	char chunk[65536];
	size_t n;

	while ((n = fread(chunk, 1, sizeof(chunk), in)) > 0)
		buf_append(out, chunk, n);
	if (ferror(in) != 0)
		return errmsg_errno(why, "standard input");
	if (buf_rc(out) == RC_LIMIT)
		return errmsg_rc(
		    why, RC_LIMIT, "standard input: more than %u bytes", TEXT_BYTES_MAX);
	return buf_rc(out);
}

static enum rc tokenize(
    const char *path, const struct tokenize_options *o, struct tokens *ids, struct errmsg *why)
{
	unsigned flags = TOKENIZE_FIRST | (o->special ? TOKENIZE_SPECIAL : 0);
	struct gguf *gguf = NULL;
	struct tokenizer *t = NULL;
	struct buf text;
	enum rc rc = gguf_open(path, &gguf, why);

	buf_init(&text, TEXT_BYTES_MAX);
	if (rc == RC_OK)
		rc = tokenizer_load(gguf, &t, why);
	if (rc == RC_NOTFOUND && gguf != NULL)
		rc = errmsg_rc(why, RC_UNSUPPORTED, "the file has no vocabulary");
	if (rc == RC_OK)
		rc = read_all(stdin, &text, why);
	if (rc == RC_OK && o->bos && tokenizer_add_bos(t))
		rc = tokens_push(ids, tokenizer_bos(t));
	if (rc == RC_OK)
		rc = tokenizer_encode(t, buf_text(&text), text.len, flags, ids, why);
	if (rc == RC_OK && o->bos && tokenizer_add_eos(t))
		rc = tokens_push(ids, tokenizer_eos(t));
	buf_fini(&text);
	tokenizer_free(t);
	gguf_close(gguf);
	return rc;
}

int cli_tokenize(int argc, char **argv)
{
	struct tokenize_options values = { 0 };
	struct conf_argv args = { 0 };
	struct arena arena;
	struct tokens ids = { 0 };
	struct errmsg why = ERRMSG_INIT;
	enum rc rc;
	int code;

	arena_init(&arena, CLI_ARENA_BYTES);
	code = cli_args(&command, argc, argv, &values, &args, &arena);
	if (code != CLI_GO_ON)
		goto out;
	rc = tokenize(args.args[0], &values, &ids, &why);
	for (size_t i = 0; rc == RC_OK && i < ids.len; i++)
		(void)printf("%s%" PRId32, i > 0 ? " " : "", ids.ids[i]);
	if (rc == RC_OK && (printf("\n") < 0 || fflush(stdout) != 0))
		rc = errmsg_errno(&why, "standard output");
	code = rc == RC_OK ? EXIT_DONE : cli_fail(&command, args.args[0], rc, &why);
out:
	tokens_free(&ids);
	arena_fini(&arena);
	return code;
}
