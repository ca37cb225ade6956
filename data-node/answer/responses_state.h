/*
 * The inside of a Responses answer, for responses*.c only.
 */
#ifndef ANSWER_RESPONSES_STATE_H
#define ANSWER_RESPONSES_STATE_H

#include "answer/responses.h"
#include "base/buf.h"

enum responses_item { ITEM_NONE, ITEM_REASONING, ITEM_MESSAGE };

struct responses {
	/* Of the request, given back as it came: JSON in the arena. */
	const char *instructions, *tools, *tool_choice, *text, *metadata, *temperature, *top_p,
	    *max_output_tokens, *store;
	bool parallel;

	char id[RESPONSES_ID_BYTES], item_id[RESPONSES_ID_BYTES];
	const char *model;
	int64_t created_s;
	unsigned sequence; /* of events */
	unsigned items;    /* finished */
	enum responses_item item;
	struct buf done;    /* items, with commas between */
	struct buf current; /* text of the item that is being written */
};

#endif
