/* Memory: any text is read as Markdown or refused, and what is read is good; any
 * record decodes to a fact that is written and read back the same, or is refused. */
#include <stdlib.h>
#include <string.h>

#include "memory/markdown.h"

#define FUZZ_ARENA_BYTES ((size_t)32 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

static int32_t no_offset(const void *ctx, int64_t utc_ns)
{
	(void)ctx;
	(void)utc_ns;
	return 0;
}

/* A fact written as a line is read back as that fact. */
static void write_and_read(const struct fact *fact, struct arena *arena)
{
	const struct markdown_zone zone = { .offset_s = no_offset };
	const struct book_entry entry = {
		.fact = *fact, .from_ns = fact->valid_from_ns, .to_ns = fact->valid_to_ns
	};
	const struct book_view view = { .entries = &entry, .len = 1, .number = fact->number };
	const struct markdown_base base = { .store = "0011223344556677", .number = fact->number };
	struct markdown doc;
	struct buf text, line;

	buf_init(&text, MARKDOWN_BYTES_MAX);
	buf_init(&line, MARKDOWN_LINE_BYTES_MAX);
	markdown_write(&view, &base, &zone, &text);
	markdown_put_line(fact, entry.from_ns, entry.to_ns, &zone, &line);
	must(buf_rc(&text) == RC_OK && buf_rc(&line) == RC_OK);
	must(markdown_read(buf_text(&text), text.len, arena, &doc, NULL) == RC_OK);
	must(doc.len == 1 && doc.lines[0].number == fact->number);
	must(strcmp(doc.lines[0].whole, buf_text(&line)) == 0);
	must(doc.lines[0].class == fact->class && strcmp(doc.lines[0].subject, fact->subject) == 0);
	buf_fini(&text);
	buf_fini(&line);
}

static void read_fact(char *text, struct arena *arena)
{
	struct observation obs = { .source = OBS_SOURCE_MEMORY,
		.client_id = "7",
		.kind = OBS_KIND_FACT,
		.origin = ORIGIN_SYSTEM,
		.layer = LAYER_TEXT,
		.text = text };
	struct fact first, second;
	char *line = strchr(text, '\n');

	if (line == NULL)
		return;
	*line = '\0';
	obs.data_json = line + 1;
	if (fact_decode(&obs, arena, &first) != RC_OK)
		return;
	must(fact_check(&first, NULL) == RC_OK);
	must(fact_encode(&first, arena, &obs) == RC_OK);
	must(fact_decode(&obs, arena, &second) == RC_OK);
	must(strcmp(first.text, second.text) == 0 && strcmp(first.subject, second.subject) == 0 &&
	     strcmp(first.who, second.who) == 0 && first.class == second.class &&
	     first.valid_from_ns == second.valid_from_ns &&
	     first.valid_to_ns == second.valid_to_ns && first.about_len == second.about_len);
	write_and_read(&first, arena);
}

/* A mark reads whatever the data is. */
static void read_mark(const char *data, struct arena *arena)
{
	const struct observation obs = { .source = OBS_SOURCE_MEMORY,
		.client_id = "7",
		.kind = OBS_KIND_MARK,
		.origin = ORIGIN_SYSTEM,
		.layer = LAYER_TEXT,
		.text = "",
		.data_json = data };
	struct fact_mark mark;

	if (fact_mark_decode(&obs, arena, &mark) == RC_OK)
		must(mark.fact != 0 && mark.act != 0 && mark.by != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct markdown doc;
	struct arena arena;

	arena_init(&arena, FUZZ_ARENA_BYTES);
	if (markdown_read((const char *)data, size, &arena, &doc, NULL) == RC_OK) {
		for (size_t i = 0; i < doc.len; i++)
			must(doc.lines[i].class != 0 && doc.lines[i].text[0] != '\0' &&
			     strlen(doc.lines[i].text) <= FACT_TEXT_BYTES_MAX);
	}
	char *text = arena_copy(&arena, data, size);
	if (text != NULL) {
		read_mark(text, &arena);
		read_fact(text, &arena);
	}
	arena_fini(&arena);
	return 0;
}
