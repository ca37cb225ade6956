#!/usr/bin/env bash
# The shape of every HTTP route of the contract, with and without a model.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

tiny_model "$T/tiny.gguf" --seed 3 --ctx 1024
data_init
compute_init box
pair box
compute_start box "$T/tiny.gguf"
data_start
wait_for_model tiny

has() { # FILE JQ-EXPRESSION WHAT
	jq -e "$2" "$1" >/dev/null || fail "$3: $(head -c 400 "$1")"
}
get() { # PATH: into $T/got
	api GET "$1" >"$T/got"
}

# ---- events: as sent, plus obs_id ---------------------------------------------------
cat >"$T/array" <<'END'
[{"source":"phone","id":"e1","layer":"text","kind":"note","start":"2026-11-19T18:30:00.123Z","tz":"Europe/Berlin","text":"walnuts from the market"},
 {"source":"home","id":"e2","layer":"home","kind":"light","start":1795113060000000000,"shape":"state","data":{"entity":"light.hall","state":"on"}},
 {"source":"watch","layer":"behaviour","kind":"heart_rate","start":"2026-11-19T18:32:00+00:00","shape":"block","rate":0.5,"values":[61,62,60.5]},
 {"source":"laptop","id":"e4","layer":"behaviour","kind":"window","start":"2026-11-19T19:00:00Z","end":"2026-11-19T19:10:00Z","pulse":60,"text":"editor"},
 {"source":"glasses","id":"e5","layer":"behaviour","kind":"input","start":"2026-11-19T19:20:00Z","gap":true,"clock":"rtc","boot":"b1","seq":4}]
END
api POST /api/v1/events -H 'Content-Type: application/json' --data-binary "@$T/array" >"$T/report"
has "$T/report" '.accepted == 5 and .duplicate == 0 and .rejected == [] and (.cursor | type == "number")' 'report'
api POST /api/v1/events -H 'Content-Type: application/json' --data-binary "@$T/array" >"$T/report"
has "$T/report" '.accepted == 0 and .duplicate == 5' 'the same again'
# The body's form is told by its content, not by its type.
jq -c '.[0]' "$T/array" | api POST /api/v1/events -H 'Content-Type: text/plain' --data-binary @- >"$T/report"
has "$T/report" '.duplicate == 1' 'one object'

range='from=2026-11-19T00:00:00Z&to=2026-11-20T00:00:00Z'
get "/api/v1/events?$range"
has "$T/got" '.events | length == 5' 'events'
has "$T/got" 'has("next") and .next == null' 'next'
has "$T/got" 'all(.events[]; .obs_id | type == "string" and length > 0)' 'obs_id'
has "$T/got" '.events[] | select(.id == "e1") | .text == "walnuts from the market" and .tz == "Europe/Berlin" and .kind == "note" and .layer == "text"' 'as sent'
has "$T/got" '.events[] | select(.kind == "heart_rate") | .values == [61,62,60.5] and .rate == 0.5 and (has("id") | not)' 'block'
has "$T/got" '.events[] | select(.id == "e4") | .pulse == 60 and (.end | startswith("2026-11-19T19:10:00"))' 'interval'
has "$T/got" '.events[] | select(.id == "e5") | .gap == true and .clock == "rtc" and .boot == "b1" and .seq == 4' 'clock fields'
has "$T/got" '[.events[].start] | . == sort' 'order of time'
get "/api/v1/events?$range&layer=home"
has "$T/got" '[.events[].id] == ["e2"]' 'layer filter'
get "/api/v1/events?$range&source=phone"
has "$T/got" '[.events[].id] == ["e1"]' 'source filter'
get "/api/v1/events?$range&limit=2"
has "$T/got" '(.events | length == 2) and .next != null' 'first page'
next=$(jq -r .next "$T/got")
get "/api/v1/events?$range&limit=2&cursor=$next"
has "$T/got" '(.events | length == 2) and .next != null' 'second page'
next=$(jq -r .next "$T/got")
get "/api/v1/events?$range&limit=2&cursor=$next"
has "$T/got" '(.events | length == 1) and .next == null' 'last page'
get '/api/v1/events?from=1795113060000000000&to=1795113060000000001'
has "$T/got" '[.events[].id] == ["e2"]' 'integer nanoseconds'

# ---- clocks: two requests make one exchange of stamps ------------------------------------
t1=$(date -u +%FT%T.%NZ)
api POST /api/v1/time -d "{\"clock\":\"rtc\",\"boot\":\"b2\",\"t1\":\"$t1\"}" >"$T/got"
has "$T/got" '.t2 <= .t3 and (.stamp | type == "string")' 'stamps of this node'
jq -c ". + {clock:\"rtc\",boot:\"b2\",t1:\"$t1\",t4:\"$(date -u +%FT%T.%NZ)\"}" "$T/got" |
	 api POST /api/v1/time -d @- >"$T/report"
has "$T/report" '.accepted and .error_s >= 0 and .error_s < 30 and .cursor == 6' 'the exchange'
get /api/v1/status
has "$T/got" '[.clocks[] | select(.name == "rtc")] | length == 2' 'two boots of one clock'
has "$T/got" '.clocks[] | select(.boot == "b1") | .synced == "no" and .limbo == 1 and .error_s == null' 'limbo'
has "$T/got" '.clocks[] | select(.boot == "b2") | .synced == "pings" and .limbo == 0 and .error_s < 30' 'synced'
"$DATA" status --dir "$T/data" >"$T/got"
grep -q '^clock     rtc  boot b2 ' "$T/got" || fail "status shows no clock: $(cat "$T/got")"

# ---- slices --------------------------------------------------------------------------------
get '/api/v1/slices?from=2026-11-19T18:30:00Z&to=2026-11-19T18:33:00Z&step=60s'
has "$T/got" 'has("clock_map") and has("policy")' 'versions'
has "$T/got" '.slices | length == 3' 'grid'
has "$T/got" 'all(.slices[]; has("start") and has("end") and has("version") and has("state") and has("cells"))' 'slice'
has "$T/got" 'all(.slices[].cells[]; has("mode") and has("values") and has("age_s") and has("error_s") and has("certainty"))' 'cell'
has "$T/got" '.slices[0].cells | keys | sort == (["visual","audio","language","device","location","environment","body","scene","home"] | sort)' 'facets'
has "$T/got" '.slices[0].start == "2026-11-19T18:30:00.000000000Z"' 'times'
has "$T/got" '.slices[0].cells.language | .mode == "overlap" or .mode == "observed"' 'the note'
has "$T/got" '.slices[1].cells.home.mode == "observed" and .slices[2].cells.home.mode == "carried"' 'the light'
has "$T/got" '.slices[2].cells.body.mode != "absent"' 'the heart'
get '/api/v1/slices?from=2026-11-19T18:30:00Z&to=2026-11-19T18:33:00Z&step=60s&facets=home,body'
has "$T/got" 'all(.slices[]; .cells | keys | sort == ["body","home"])' 'facets asked for'

# ---- search: what was acknowledged is found ------------------------------------------------
for i in 1 2 3 4 5; do
	printf '{"source":"phone","id":"q%d","layer":"text","kind":"note","start":"2026-11-18T12:00:0%dZ","text":"quince jelly number%d"}' $i $i $i |
		api POST /api/v1/events --data-binary @- >/dev/null
	get "/api/v1/search?q=number$i&k=3"
	has "$T/got" ".results[0].id == \"q$i\"" "found at once: $i"
done
has "$T/got" '.results[0] | has("id") and has("obs_id") and has("source") and has("start") and has("layer") and has("score") and has("text")' 'result'
get '/api/v1/search?q=quince+jelly&k=2'
has "$T/got" '.results | length == 2' 'k'
has "$T/got" '[.results[].score] | . == (sort | reverse)' 'best first'
get '/api/v1/search?q=quince&from=2026-11-19T00:00:00Z&to=2026-11-20T00:00:00Z'
has "$T/got" '.results == []' 'range'

# ---- status, health, metrics, page ------------------------------------------------------------
get /api/v1/status
has "$T/got" 'type == "object"' 'status'
get /healthz
[ "$(wc -c <"$T/got")" -lt 64 ] || fail 'healthz tells details'
get /metrics
grep -q '^# TYPE ' "$T/got" || fail 'metrics have no types'
grep -vE '^(#|[a-z_0-9]+(\{[^}]*\})? [0-9.e+-]+$|$)' "$T/got" && fail 'a metrics line is malformed'
grep -qE 'walnuts|quince' "$T/got" && fail 'content in metrics'
status_of GET / >"$T/code"
expect 'the page' "$(cat "$T/code")" 200
grep -qi '<html' "$T/body" || fail 'the page is no HTML'

# ---- models --------------------------------------------------------------------------------
get /v1/models
has "$T/got" '.object == "list" and any(.data[]; .id == "hearth") and any(.data[]; .id == "tiny") and all(.data[]; .object == "model")' 'models'

# ---- completions ------------------------------------------------------------------------------
post_json /v1/completions '{"model":"tiny","prompt":"the day","max_tokens":6,"temperature":0}' >"$T/got"
has "$T/got" '.object == "text_completion" and .model == "tiny" and (.choices | length == 1) and (.choices[0].text | type == "string") and (.id | length > 0) and (.created | type == "number")' 'completion'
has "$T/got" '.choices[0].finish_reason | . == "length" or . == "stop"' 'finish_reason'
has "$T/got" '.usage | .prompt_tokens > 0 and .completion_tokens <= 6 and .total_tokens == .prompt_tokens + .completion_tokens' 'usage'
text=$(jq -rj '.choices[0].text' "$T/got")
stream /v1/completions '{"model":"tiny","prompt":"the day","max_tokens":6,"temperature":0,"stream":true}' "$T/sse"
stream_wait
expect 'streamed equals whole' "$(sse_text "$T/sse")" "$text"
tail -n 3 "$T/sse" | grep -q '^data: \[DONE\]' || fail 'no [DONE]'

chat='"model":"tiny","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"the day"}],"max_tokens":6,"temperature":0'
post_json /v1/chat/completions "{$chat}" >"$T/got"
has "$T/got" '.object == "chat.completion" and .choices[0].message.role == "assistant" and (.choices[0].message.content | type == "string")' 'chat'
text=$(jq -rj '.choices[0].message.content' "$T/got")
stream /v1/chat/completions "{$chat,\"stream\":true,\"stream_options\":{\"include_usage\":true}}" "$T/sse"
stream_wait
expect 'streamed chat equals whole' "$(sse_text "$T/sse")" "$text"
sse_chunks "$T/sse" | jq -s . >"$T/chunks"
has "$T/chunks" '.[0].choices[0].delta.role == "assistant" and all(.[]; .object == "chat.completion.chunk")' 'role chunk first'
has "$T/chunks" '.[-1].choices == [] and .[-1].usage.total_tokens > 0' 'usage chunk last'
has "$T/chunks" '.[-2].choices[0] | .finish_reason != null and ((.delta.content // "") == "")' 'finish chunk is empty'
# Content as parts, unknown fields, zero penalties: accepted.
post_json /v1/chat/completions '{"model":"tiny","user":"u1","presence_penalty":0,"frequency_penalty":0,"x_unknown":{"a":1},"max_tokens":2,"messages":[{"role":"user","content":[{"type":"text","text":"the day"}]}]}' >"$T/got"
has "$T/got" '.choices[0].message.content | type == "string"' 'parts'
# A model's own id is never stored as memory.
get "/api/v1/search?q=Be+brief&from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z"
has "$T/got" 'all(.results[]; .text | contains("Be brief") | not)' 'a model without context left no memory'

# hearth: with context, sources, and the exchange is remembered with provenance.
post_json /v1/chat/completions '{"model":"hearth","max_tokens":8,"temperature":0,"messages":[{"role":"user","content":"Which walnuts did I see on 19 November 2026?"}]}' >"$T/got"
has "$T/got" '.hearth.mode == "full"' 'mode'
has "$T/got" 'any(.hearth.sources[]; .id == "e1" and (.quote | contains("walnuts")) and .layer == "text" and (.start | startswith("2026-11-19T18:30:00")))' 'sources'
stream /v1/chat/completions '{"model":"hearth","max_tokens":8,"stream":true,"messages":[{"role":"user","content":"And the quince jelly?"}]}' "$T/sse"
stream_wait
sse_chunks "$T/sse" | jq -s . >"$T/chunks"
has "$T/chunks" 'any(.[]; .hearth.mode == "full" and (.hearth.sources | type == "array"))' 'sources in the stream'
remembered() {
	get '/api/v1/search?q=Which+walnuts+did+I+see&k=5'
	jq -e 'any(.results[]; .text | contains("Which walnuts"))' "$T/got" >/dev/null
}
wait_until 20 'the question is remembered' remembered

# Too long a prompt: 400, never cut off in silence.
long=$(printf 'the day was %.0s' $(seq 2000))
expect 'an over-long prompt' "$(status_of POST /v1/completions -H 'Content-Type: application/json' \
	--data-binary "{\"model\":\"tiny\",\"prompt\":\"$long\",\"max_tokens\":4}")" 400
has "$T/body" '.error.code == "context_length_exceeded"' 'context_length_exceeded'
