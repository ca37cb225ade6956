#!/usr/bin/env bash
# stories260K: the command line's text, the data node's whole answer and its
# streamed one are the same bytes, and the ones that are expected.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

need_shared models/stories260K.gguf
model=$SHARED/models/stories260K.gguf
"$COMPUTE" run "$model" -p '' -n 200 --temp 0 >"$T/cli"
cmp "$T/cli" "$SHARED/models/stories260K.expected.txt" || fail 'the command line differs from the expected text'

data_init
compute_init box
pair box
compute_start box "$model"
data_start
wait_for_model stories260K
ask='"model":"stories260K","prompt":"","max_tokens":200,"temperature":0'
post_json /v1/completions "{$ask}" >"$T/whole.json"
jq -rj '.choices[0].text' "$T/whole.json" >"$T/whole"
stream /v1/completions "{$ask,\"stream\":true}" "$T/sse"
stream_wait
sse_text "$T/sse" >"$T/streamed"
cmp "$T/whole" "$T/streamed" || fail 'streamed and whole differ'
# A file of text ends in a newline, an answer need not.
expected=$(cat "$SHARED/models/stories260K.expected.txt")
expect 'the answer over HTTP' "$(cat "$T/whole")" "$expected"
expect 'tokens' "$(jq .usage.completion_tokens "$T/whole.json")" 200

# A prompt, sampled with a seed: the same both ways (OpenAI clients expect no
# filters unless they ask for them).
"$COMPUTE" run "$model" -p 'Once upon a time, there was a cat' -n 60 --temp 0.9 --seed 4 \
	--top-k 0 --top-p 1 --min-p 0 >"$T/cli"
post_json /v1/completions '{"model":"stories260K","prompt":"Once upon a time, there was a cat","max_tokens":60,"temperature":0.9,"seed":4}' |
	jq -rj '.choices[0].text' >"$T/http"
expect 'sampled text' "$(cat "$T/http")" "$(cat "$T/cli")"

# A stop string that spans tokens ends the answer before itself.
post_json /v1/completions "{$ask,\"stop\":[\"named Li\"]}" >"$T/stopped"
expect 'stop' "$(jq -r '.choices[0].text' "$T/stopped")" "${expected%%named Li*}"
expect 'finish reason' "$(jq -r '.choices[0].finish_reason' "$T/stopped")" stop

# What a prompt begins with is computed once: the next that begins alike says how much
# of it was there, and says the same as without; what is forgotten here is wiped there.
head='Once upon a time, there was a little girl named Lily. She loved to play outside in the park with her dog. One day, she saw a big red ball in the sky. '
head="$head${head}She wanted to have it. Her mom said, \"No, Lily. You can not have the ball. It is too high.\" "
again() { # LAST-SENTENCE
	jq -n --arg p "$head$1" '{model:"stories260K",prompt:$p,max_tokens:30,temperature:0}' >"$T/ask"
	api POST /v1/completions --data-binary "@$T/ask" >"$T/again.json"
	jq -rj '.choices[0].text' "$T/again.json" >"$T/again"
	cached=$(jq '.usage.prompt_tokens_details.cached_tokens // 0' "$T/again.json")
}
again 'Lily was sad.'
expect 'cached of the first' "$cached" 0
again 'Lily was happy.'
[ "$cached" -ge $(($(jq .usage.prompt_tokens "$T/again.json") * 8 / 10)) ] || fail "cached: $cached"
mv "$T/again" "$T/warm"
api POST /api/v1/forget --data-binary '{"source":"nobody"}' >/dev/null
again 'Lily was happy.'
expect 'cached after something was forgotten' "$cached" 0
cmp "$T/again" "$T/warm" || fail 'what was kept of a prompt changes the answer'
