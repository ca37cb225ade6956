/* Words for message kinds, for logs. */
#include "wire/message.h"

static const char *const words[] = {
	[MESSAGE_UNKNOWN] = "unknown",
	[MESSAGE_HELLO] = "hello",
	[MESSAGE_CAPABILITIES] = "capabilities",
	[MESSAGE_HEARTBEAT] = "heartbeat",
	[MESSAGE_ERROR] = "error",
	[MESSAGE_PLAN_REQUEST] = "plan-request",
	[MESSAGE_PLAN] = "plan",
	[MESSAGE_LEASE_OPEN] = "lease-open",
	[MESSAGE_LEASE_RENEW] = "lease-renew",
	[MESSAGE_LEASE_CLOSE] = "lease-close",
	[MESSAGE_LEASE_STATE] = "lease-state",
	[MESSAGE_ADAPTER_PUT] = "adapter-put",
	[MESSAGE_ADAPTER_STATE] = "adapter-state",
	[MESSAGE_GENERATE] = "generate",
	[MESSAGE_STARTED] = "started",
	[MESSAGE_TOKENS] = "tokens",
	[MESSAGE_DONE] = "done",
	[MESSAGE_CREDIT] = "credit",
	[MESSAGE_CANCEL] = "cancel",
	[MESSAGE_EMBED] = "embed",
	[MESSAGE_VECTORS] = "vectors",
	[MESSAGE_TOKENIZE] = "tokenize",
	[MESSAGE_TOKEN_IDS] = "token-ids",
	[MESSAGE_STATS_REQUEST] = "stats-request",
	[MESSAGE_STATS] = "stats",
	[MESSAGE_FOLLOW_ASK] = "follow-ask",
	[MESSAGE_FOLLOW_PART] = "follow-part",
};

const char *message_kind_word(enum message_kind kind)
{
	if ((unsigned)kind >= sizeof(words) / sizeof(words[0]))
		return words[MESSAGE_UNKNOWN];
	return words[kind];
}
