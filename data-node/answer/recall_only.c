/* Recall-only: the answer without a model, made of quotes. */
#include "answer/recall_only.h"

#include "answer/quote.h"

#define FACTS_MAX ((size_t)3)
#define SCORE_SHARE_MIN 0.2 /* of the best one's: weaker ones say little */

/* The facts that the question names best, as lines; how many. */
static size_t put_facts(struct pack *pack, struct buf *out)
{
	unsigned best = 0;
	size_t n = 0;

	for (size_t i = 0; i < pack->facts_len; i++) {
		struct pack_fact *fact = &pack->facts[i];
		fact->kept = false;
		if (fact->share >= RECALL_SUPPORT_MIN && fact->named > best)
			best = fact->named;
	}
	for (size_t i = 0; i < pack->facts_len && n < FACTS_MAX && best > 0; i++) {
		struct pack_fact *fact = &pack->facts[i];
		if (fact->named < best)
			continue;
		if (n++ == 0)
			buf_puts(out, "The model is away; this is known:\n");
		fact->kept = true;
		buf_printf(
		    out, "\n- %s (%s %s)", fact->item.quote, fact->item.obs->source, fact->item.id);
	}
	buf_puts(out, n > 0 ? "\n" : "");
	return n;
}

void recall_only_write(struct pack *pack, struct buf *out)
{
	size_t len = 0;

	while (len < pack->len && len < RECALL_ONLY_ITEMS_MAX &&
	       pack->items[len].score >= SCORE_SHARE_MIN * pack->items[0].score)
		len++;
	pack->len = len;
	size_t facts = put_facts(pack, out);
	if (len == 0 && facts == 0)
		buf_puts(out, "The model is away, and nothing in your timeline matches this.\n");
	if (len == 0)
		return;
	if (facts > 0)
		buf_puts(out, "\nThese moments of your timeline come nearest:\n");
	else
		buf_puts(
		    out, pack->support < RECALL_SUPPORT_MIN
			     ? "The model is away, and nothing in your timeline clearly answers "
			       "this; these moments come nearest:\n"
			     : "The model is away; these moments of your timeline match best:\n");
	for (size_t i = 0; i < len; i++) {
		const struct pack_item *item = &pack->items[i];
		char when[QUOTE_TIME_BYTES];
		quote_time(item->obs->place.t0_ns, item->offset_s, when);
		buf_printf(out, "\n- %s, %s (%s): \xE2\x80\x9C%s\xE2\x80\x9D", when,
		    item->obs->source, item->obs->kind, item->quote);
	}
	buf_putc(out, '\n');
}
