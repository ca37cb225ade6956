#!/usr/bin/env bash
# kill -9 of the compute node in mid-answer, then a restart: the client's stream
# stays open and the whole text has the same bytes as without the crash.
# limit_s: 240
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

slow_model "$T/slow.gguf"
data_init
compute_init box
pair box
compute_start box "$T/slow.gguf" -t 1
data_start
wait_for_model slow

# One uninterrupted, one interrupted, for each way to ask.
try() { # NAME PATH JSON
	stream "$2" "$3" "$T/$1.whole"
	stream_wait
	stream "$2" "$3" "$T/$1.cut"
	wait_until 60 'some of the answer' has_text "$T/$1.cut" 40
	cut_short box
	local before
	before=$(sse_bytes "$T/$1.cut")
	compute_start box "$T/slow.gguf" -t 1
	stream_wait
	sse_text "$T/$1.whole" >"$T/$1.whole.txt"
	sse_text "$T/$1.cut" >"$T/$1.cut.txt"
	[ "$before" -lt "$(wc -c <"$T/$1.whole.txt")" ] || fail "$1: it was complete before the kill"
	cmp "$T/$1.whole.txt" "$T/$1.cut.txt" || fail "$1: the resumed text differs"
	[ "$(grep -c '^data: \[DONE\]' "$T/$1.cut")" = 1 ] || fail "$1: no [DONE] at the end"
	expect "$1: finish reason" "$(sse_chunks "$T/$1.cut" | jq -r '.choices[0].finish_reason // empty')" \
		"$(sse_chunks "$T/$1.whole" | jq -r '.choices[0].finish_reason // empty')"
}

try greedy /v1/completions \
	'{"model":"slow","prompt":"the day was","max_tokens":250,"temperature":0,"ignore_eos":true,"stream":true}'
try sampled /v1/completions \
	'{"model":"slow","prompt":"and the","max_tokens":250,"temperature":1.1,"top_p":0.95,"seed":42,"ignore_eos":true,"stream":true}'
try chat /v1/chat/completions \
	'{"model":"slow","messages":[{"role":"user","content":"the day"}],"max_tokens":250,"temperature":0.8,"seed":7,"ignore_eos":true,"stream":true}'
try stop /v1/completions \
	'{"model":"slow","prompt":"and","max_tokens":250,"temperature":1,"seed":5,"stop":["zqzqzq"],"ignore_eos":true,"stream":true}'

# The same without streaming: the whole answer waits for the node.
body='{"model":"slow","prompt":"the day was","max_tokens":250,"temperature":0,"ignore_eos":true}'
curl -sS -m 120 -o "$T/plain.json" -H "Authorization: Bearer $TOKEN" --data-binary "$body" \
	"$(url /v1/completions)" &
PID[client]=$!
busy() {
	api GET /metrics >"$T/metrics"
	! gone client
}
wait_until 10 'the request runs' busy
node_kill box
compute_start box "$T/slow.gguf" -t 1
stream_wait
expect 'text of the answer that was not streamed' "$(jq -rj '.choices[0].text' "$T/plain.json" | sha256sum)" \
	"$(sha256sum <"$T/greedy.whole.txt")"
alive data || fail 'the data node did not survive'
