/* `data-node memory`: what is known about the person, shown and edited. */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rc.h"
#include "cli/cli_list.h"
#include "cli/commands.h"
#include "cli/private_file.h"
#include "gateway/target.h"
#include "os/file.h"

#define TEXT_BYTES_MAX ((size_t)16 << 20)
#define TEXT_COLUMNS 400
#define ID_BYTES_MAX ((size_t)24)
#define BODY_BYTES 80
#define ANSWER_BYTES 80    /* more of a line is asked for by nobody */
#define SIGNAL_LOOK_MS 200 /* between looks at what is held back, while a person thinks */

struct memory_options {
	const char *dir;
	int64_t as_of_ns;
	bool json, on_disk;
};

#define ROW(row_name, row_type, field)                                                             \
	.name = row_name, .type = row_type, .offset = offsetof(struct memory_options, field)

static const struct conf_option options[] = {
	CLI_OPTION_DIR(struct memory_options),
	{ ROW("as-of", CONF_TIME, as_of_ns), .value = "TIME",
	    .help = "show, export: what held at this time" },
	{ ROW("on-disk", CONF_BOOL, on_disk),
	    .help = "edit: the text may lie on a disk while it is edited, if no place whose files "
		    "are memory is there" },
	{ ROW("json", CONF_BOOL, json), .help = "show, history, proposals: print the JSON" },
	{ .name = NULL },
};

static const struct conf_command command = {
	.name = "memory",
	.args = "[show | edit | export [FILE] | import FILE | history [ID] | proposals |\n"
		"       accept ID | refuse ID]",
	.args_min = 0,
	.args_max = 2,
	.summary = "show and edit what is known about you",
	.detail =
	    "show          what holds now, as Markdown: profile, standing wishes, preferences,\n"
	    "              people, places\n"
	    "edit          the same in $VISUAL or $EDITOR. A changed line supersedes what it\n"
	    "              said, from now on or since the date it names: \"(since 2026-05-01)\";\n"
	    "              a line taken away ends; a line without ^ is new; \"#employer\" names\n"
	    "              what there is but one of. What came meanwhile is kept.\n"
	    "export [FILE] write that text, readable by anyone who has it, to FILE or stdout\n"
	    "import FILE   take such a text in, as edit does (- is stdin)\n"
	    "history [ID]  everything that was ever known, or one fact: since when, from whom,\n"
	    "              what became of it. It is kept until it is forgotten (`data-node\n"
	    "              forget`), with what it was read from; `--source hearth-memory`\n"
	    "              forgets all of it\n"
	    "proposals     what agents would have you remember; it counts for nothing until\n"
	    "              `accept ID`; `refuse ID` does away with it\n"
	    "Answers are given with what holds: the profile, wishes and preferences always,\n"
	    "the rest where the question names it. The night learns more; what you wrote,\n"
	    "removed or refused it does not change.",
	.options = options,
};

/* One request of a connection of its own: an editor must not hold the node. */
static enum rc request(
    const struct memory_options *values, struct control_client_call *call, struct errmsg *why)
{
	struct control_client *client = NULL;
	struct arena arena;

	arena_init(&arena, CLI_ARENA_BYTES);
	enum rc rc = control_client_open(cli_dir(values->dir, &arena), 0, &client, why);
	if (rc == RC_OK)
		rc = control_client_send(client, call, why);
	if (rc == RC_OK)
		rc = control_client_check(call, why);
	control_client_close(client);
	arena_fini(&arena);
	return rc;
}

/* The Markdown of what holds, into call->answer. */
static enum rc get_text(
    const struct memory_options *values, struct control_client_call *call, struct errmsg *why)
{
	struct buf target;

	buf_init(&target, TARGET_BYTES_MAX);
	buf_printf(&target, "/api/v1/memory?format=%s", values->json ? "json" : "markdown");
	cli_list_time(&target, "as_of", values->as_of_ns);
	*call = (struct control_client_call){ .method = "GET", .target = buf_text(&target) };
	enum rc rc = request(values, call, why);
	call->target = "";
	buf_fini(&target);
	return rc;
}

/* Without the comment, which is for edit and import. */
static void print_text(const char *text)
{
	bool skipped = false;

	while (text[0] != '\0') {
		size_t len = strcspn(text, "\n");
		bool skip = strncmp(text, "<!--", 4) == 0 || (skipped && len == 0);
		len += text[len] == '\n';
		if (!skip)
			(void)fwrite(text, 1, len, stdout);
		skipped = skip;
		text += len;
	}
}

static enum rc show(const struct memory_options *values, const char *arg, struct errmsg *why)
{
	struct control_client_call call;

	(void)arg;
	enum rc rc = get_text(values, &call, why);
	if (rc == RC_OK && values->json)
		(void)fputs(buf_text(&call.answer), stdout);
	else if (rc == RC_OK)
		print_text(buf_text(&call.answer));
	control_client_done(&call);
	return rc;
}

static enum rc export(const struct memory_options *values, const char *arg, struct errmsg *why) {
	struct control_client_call call; struct memory_options plain = *values;

	plain.json = false; enum rc rc = get_text(&plain, &call, why);
	if (rc == RC_OK && (arg == NULL || strcmp(arg, "-") == 0)){
	    rc = fputs(buf_text(&call.answer), stdout) >= 0 && fflush(stdout) == 0
		     ? RC_OK
		     : errmsg_rc(why, RC_IO, "stdout took not all of it"); }
else if (rc == RC_OK)
{
	rc = file_write_atomic(arg, 0600, call.answer.bytes, call.answer.len, why);
	if (rc == RC_OK)
		(void)fprintf(stderr,
		    "%s holds what is known about you as plain text: keep it as you would "
		    "a diary\n",
		    arg);
}
control_client_done(&call);
return rc;
}

/* ---- taking a text in ------------------------------------------------------------------- */

static long long number(const json_t *root, const char *name)
{
	return (long long)json_integer_value(json_object_get(root, name));
}

static enum rc put_text(
    const struct memory_options *values, const struct buf *text, struct errmsg *why)
{
	struct control_client_call call = { .method = "PUT",
		.target = "/api/v1/memory",
		.body = buf_text(text),
		.body_len = text->len };

	enum rc rc = request(values, &call, why);
	if (rc == RC_OK) {
		json_t *root = json_loadb(buf_text(&call.answer), call.answer.len, 0, NULL);
		(void)printf("%lld new, %lld changed, %lld ended, %lld as they were\n",
		    number(root, "added"), number(root, "superseded"), number(root, "ended"),
		    number(root, "unchanged"));
		json_decref(root);
	}
	control_client_done(&call);
	return rc;
}

static enum rc read_stdin(struct buf *out, struct errmsg *why)
{
	char bytes[4096];
	size_t n;

	while ((n = fread(bytes, 1, sizeof bytes, stdin)) > 0)
		buf_append(out, bytes, n);
	return ferror(stdin) ? errmsg_rc(why, RC_IO, "stdin cannot be read") : buf_rc(out);
}

static enum rc import(const struct memory_options *values, const char *arg, struct errmsg *why)
{
	struct buf text;
	uint8_t *bytes = NULL;
	size_t len = 0;
	enum rc rc;

	buf_init(&text, TEXT_BYTES_MAX);
	if (strcmp(arg, "-") == 0) {
		rc = read_stdin(&text, why);
	} else {
		rc = file_read(arg, TEXT_BYTES_MAX, &bytes, &len, why);
		if (rc == RC_OK)
			buf_append(&text, bytes, len);
		free(bytes);
	}
	if (rc == RC_OK)
		rc = put_text(values, &text, why);
	buf_fini(&text);
	return rc;
}

/* A line from the terminal; false: none comes, or a signal does that is held back until
 * the text is gone. */
static bool read_answer(char *out, size_t size)
{
	struct pollfd terminal = { .fd = STDIN_FILENO, .events = POLLIN };

	while (!private_file_told_to_end()) {
		int ready = poll(&terminal, 1, SIGNAL_LOOK_MS);
		if (ready > 0)
			return read(STDIN_FILENO, out, size) > 0;
		if (ready < 0 && errno != EINTR)
			return false;
	}
	return false;
}

/* On a terminal: once more, so that what was typed is not lost. */
static bool again(enum rc rc, const struct errmsg *why)
{
	char answer[ANSWER_BYTES];

	if (rc == RC_OK || isatty(STDIN_FILENO) == 0)
		return false;
	(void)fprintf(stderr, "data-node memory: %s\nEdit again? [Y/n] ", errmsg_text(why, rc));
	return read_answer(answer, sizeof answer) && answer[0] != 'n' && answer[0] != 'N';
}

static enum rc edit_file(const struct memory_options *values, const struct private_file *file,
    const struct buf *before, struct errmsg *why)
{
	struct buf after;
	enum rc rc;

	buf_init(&after, TEXT_BYTES_MAX);
	do {
		errmsg_reset(why);
		buf_reset(&after);
		rc = private_file_edit(file, why);
		if (rc == RC_OK)
			rc = private_file_read(file, &after, why);
		if (rc != RC_OK)
			break;
		if (after.len == before->len &&
		    memcmp(buf_text(&after), buf_text(before), after.len) == 0)
			(void)printf("nothing was changed\n");
		else
			rc = put_text(values, &after, why);
	} while (again(rc, why));
	buf_fini(&after);
	return rc;
}

static enum rc edit(const struct memory_options *values, const char *arg, struct errmsg *why)
{
	struct memory_options plain = { .dir = values->dir, .as_of_ns = CLI_TIME_UNSET };
	struct control_client_call call;
	struct private_file file;

	(void)arg;
	enum rc rc = get_text(&plain, &call, why);
	if (rc == RC_OK)
		rc = private_file_make("memory.md", buf_text(&call.answer), call.answer.len,
		    values->on_disk, &file, why);
	if (rc == RC_OK) {
		rc = edit_file(values, &file, &call.answer, why);
		enum rc end = private_file_remove(&file, why);
		rc = rc == RC_OK ? end : rc;
	}
	control_client_done(&call);
	return rc;
}

/* ---- history and proposals ----------------------------------------------------------------- */

static void print_fact(const json_t *fact)
{
	const char *subject = cli_list_member(fact, "subject"), *who = cli_list_member(fact, "who");

	(void)printf("%-5s %-10s %-11s ", cli_list_member(fact, "id"),
	    cli_list_member(fact, "state"), cli_list_member(fact, "class"));
	cli_put_time(stdout, cli_list_member(fact, "learned"));
	(void)printf("  %s%s", cli_list_member(fact, "by"), who[0] != '\0' ? " " : "");
	cli_put_text(stdout, who, TEXT_COLUMNS);
	(void)printf("\n      ");
	cli_put_text(stdout, subject, TEXT_COLUMNS);
	(void)printf("%s", subject[0] != '\0' ? ": " : "");
	cli_put_text(stdout, cli_list_member(fact, "text"), TEXT_COLUMNS);
	static const char *const bounds[2][2] = { { "valid_from", " since " },
		{ "valid_to", " until " } };
	for (size_t i = 0; i < 2; i++) {
		if (cli_list_member(fact, bounds[i][0])[0] == '\0')
			continue;
		(void)printf("%s", bounds[i][1]);
		cli_put_time(stdout, cli_list_member(fact, bounds[i][0]));
	}
	const char *next = cli_list_member(fact, "superseded_by");
	(void)printf("%s%s\n", next[0] != '\0' ? ", then " : "", next);
}

static enum rc list(const struct memory_options *values, const struct buf *target,
    const char *member, struct errmsg *why)
{
	struct control_client *client = NULL;
	struct arena arena;

	arena_init(&arena, CLI_ARENA_BYTES);
	enum rc rc = control_client_open(cli_dir(values->dir, &arena), 0, &client, why);
	if (rc == RC_OK)
		rc = cli_list_show(client, target, values->json, member, print_fact, why);
	control_client_close(client);
	arena_fini(&arena);
	return rc;
}

static enum rc history(const struct memory_options *values, const char *arg, struct errmsg *why)
{
	struct buf target;

	buf_init(&target, TARGET_BYTES_MAX);
	buf_puts(&target, "/api/v1/memory?history=1");
	cli_list_text(&target, "id", arg);
	enum rc rc = list(values, &target, "facts", why);
	buf_fini(&target);
	return rc;
}

static enum rc proposals(const struct memory_options *values, const char *arg, struct errmsg *why)
{
	struct buf target;

	(void)arg;
	buf_init(&target, TARGET_BYTES_MAX);
	buf_puts(&target, "/api/v1/memory/proposals");
	enum rc rc = list(values, &target, "proposals", why);
	buf_fini(&target);
	return rc;
}

static enum rc decide(
    const struct memory_options *values, const char *target, const char *id, struct errmsg *why)
{
	struct buf body;

	if (strlen(id) > ID_BYTES_MAX)
		return errmsg_rc(why, RC_INVALID, "id: such as f12");
	buf_init(&body, BODY_BYTES * 6);
	buf_puts(&body, "{\"id\":");
	buf_json_string(&body, id, strlen(id));
	buf_putc(&body, '}');
	struct control_client_call call = {
		.method = "POST", .target = target, .body = buf_text(&body), .body_len = body.len
	};
	enum rc rc = request(values, &call, why);
	control_client_done(&call);
	buf_fini(&body);
	return rc;
}

static enum rc accept_one(const struct memory_options *values, const char *arg, struct errmsg *why)
{
	return decide(values, "/api/v1/memory/accept", arg, why);
}

static enum rc refuse_one(const struct memory_options *values, const char *arg, struct errmsg *why)
{
	return decide(values, "/api/v1/memory/refuse", arg, why);
}

static const struct {
	const char *word;
	size_t args_min, args_max;
	enum rc (*run)(const struct memory_options *values, const char *arg, struct errmsg *why);
} acts[] = {
	{ "show", 0, 0, show },
	{ "edit", 0, 0, edit },
	{ "export", 0, 1, export },
	{ "import", 1, 1, import },
	{ "history", 0, 1, history },
	{ "proposals", 0, 0, proposals },
	{ "accept", 1, 1, accept_one },
	{ "refuse", 1, 1, refuse_one },
};

#define ACTS_LEN (sizeof acts / sizeof acts[0])

int cli_memory(int argc, char **argv)
{
	struct memory_options values = { .as_of_ns = CLI_TIME_UNSET };
	struct conf_argv args = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct arena arena;
	size_t i = 0;

	arena_init(&arena, CLI_ARENA_BYTES);
	int code = cli_parse(&command, argc, argv, &values, &args, &arena);
	if (code == CLI_GO_ON) {
		size_t given = args.args_len > 0 ? args.args_len - 1 : 0;
		const char *word = args.args_len > 0 ? args.args[0] : acts[0].word;
		while (i < ACTS_LEN && strcmp(acts[i].word, word) != 0)
			i++;
		if (i == ACTS_LEN || given < acts[i].args_min || given > acts[i].args_max) {
			(void)fprintf(stderr,
			    "usage: data-node memory %s\n`data-node memory "
			    "--help` tells more.\n",
			    command.args);
			code = EXIT_USAGE;
		} else {
			enum rc rc = acts[i].run(&values, given > 0 ? args.args[1] : NULL, &why);
			code = rc == RC_OK ? EXIT_DONE : cli_fail(command.name, rc, &why);
		}
	}
	arena_fini(&arena);
	return code;
}
