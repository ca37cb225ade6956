/* Log-probabilities of a generation's tokens, as JSON. */
#include <math.h>

#include "answer/generation_state.h"

#define LOGPROB_LEAST (-9999.0) /* what clients read as never */

static void put_token(struct buf *out, const uint8_t *text, size_t len, float logprob)
{
	double value = (double)logprob > LOGPROB_LEAST ? (double)logprob : LOGPROB_LEAST;

	buf_puts(out, "{\"token\":");
	buf_json_string(out, (const char *)text, len);
	buf_printf(out, ",\"logprob\":%.8g,\"bytes\":[", isfinite(value) ? value : LOGPROB_LEAST);
	for (size_t i = 0; i < len; i++)
		buf_printf(out, i > 0 ? ",%u" : "%u", text[i]);
	buf_putc(out, ']');
}

void generation_put_logprob(struct buf *out, const struct wire_token_logprobs *entry, uint32_t top)
{
	if (out->len > 0)
		buf_putc(out, ',');
	put_token(out, entry->text, entry->text_len, entry->logprob);
	buf_puts(out, ",\"top_logprobs\":[");
	for (size_t i = 0; i < entry->top_len && i < top; i++) {
		if (i > 0)
			buf_putc(out, ',');
		put_token(
		    out, entry->top_texts[i], entry->top_text_lens[i], entry->top_logprobs[i]);
		buf_putc(out, '}');
	}
	buf_puts(out, "]}");
}
