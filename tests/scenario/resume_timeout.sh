#!/usr/bin/env bash
# kill -9 of the compute node that does not come back: an error chunk after the
# resume time-out, then recall-only answers, 503 for the model's own id.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

slow_model "$T/slow.gguf"
data_init
compute_init box
pair box
compute_start box "$T/slow.gguf" -t 1
data_start --resume-timeout 3s
wait_for_model slow

cat >"$T/events" <<'END'
{"source":"phone","layer":"text","kind":"note","start":"2026-11-19T12:40:00Z","text":"The lentil soup at Ofelia was far too salty."}
END
send_events "$T/events" >/dev/null

stream /v1/completions \
	'{"model":"slow","prompt":"the day was","max_tokens":1500,"temperature":0,"ignore_eos":true,"stream":true}' "$T/cut"
wait_until 60 'some of the answer' has_text "$T/cut" 40
cut_short box
stream_wait
sse_chunks "$T/cut" | jq -e 'select(.error) | .error.message' >/dev/null ||
	fail "no error chunk at the end: $(tail -c 300 "$T/cut")"
grep -q '^:' "$T/cut" || fail 'no comment line kept the stream open meanwhile'

# hearth answers from memory alone, and says so; the source is quoted.
post_json /v1/chat/completions \
	'{"model":"hearth","messages":[{"role":"user","content":"How was the soup at Ofelia?"}]}' >"$T/answer"
expect 'mode' "$(jq -r '.hearth.mode' "$T/answer")" recall-only
jq -e '.hearth.sources | length > 0' "$T/answer" >/dev/null || fail 'no sources'
jq -e '.hearth.sources[0] | has("id") and has("start") and has("layer") and has("quote")' "$T/answer" >/dev/null ||
	fail "shape of a source: $(jq -c '.hearth.sources[0]' "$T/answer")"
jq -r '.choices[0].message.content' "$T/answer" | grep -q 'too salty' || fail 'the moment is not quoted'

# The model's own id has nobody to answer.
expect 'status of the model itself' "$(status_of POST /v1/chat/completions \
	--data-binary '{"model":"slow","messages":[{"role":"user","content":"Hello"}]}')" 503
grep -qi '^retry-after: [0-9]' "$T/headers" || fail 'no Retry-After'
jq -e '.error.message and .error.type' "$T/body" >/dev/null || fail 'no OpenAI error body'

# Everything else works.
api GET '/api/v1/search?q=lentil+soup' | jq -e '.results | length > 0' >/dev/null || fail 'search'
api GET /api/v1/status | jq -e . >/dev/null

# It comes back: full answers again.
compute_start box "$T/slow.gguf" -t 1
wait_for_model slow
post_json /v1/chat/completions \
	'{"model":"hearth","messages":[{"role":"user","content":"How was the soup at Ofelia?"}],"max_tokens":16}' |
	jq -e '.hearth.mode == "full"' >/dev/null || fail 'not full after the node came back'
