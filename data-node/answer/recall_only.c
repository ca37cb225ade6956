/* Recall-only: the answer without a model, made of quotes. */
#include "answer/recall_only.h"

#include "answer/quote.h"

#define SCORE_SHARE_MIN 0.2 /* of the best one's: weaker ones say little */

void recall_only_write(struct pack *pack, struct buf *out)
{
	size_t len = 0;

	while (len < pack->len && len < RECALL_ONLY_ITEMS_MAX &&
	       pack->items[len].score >= SCORE_SHARE_MIN * pack->items[0].score)
		len++;
	pack->len = len;
	if (len == 0) {
		buf_puts(out, "The model is away, and nothing in your timeline matches this.\n");
		return;
	}
	buf_puts(out, pack->support < RECALL_SUPPORT_MIN
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
