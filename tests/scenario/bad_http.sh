#!/usr/bin/env bash
# Bad input over HTTP: each gets its status and a typed error that names the
# field; good events among bad ones are kept; nothing of the content is logged.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

data_init
data_start
json='Content-Type: application/json'
ndjson='Content-Type: application/x-ndjson'

error_body() { # the last status_of left an OpenAI-shaped error
	jq -e '.error | has("message") and has("type") and has("param") and has("code")' "$T/body" >/dev/null ||
		fail "no error body: $(head -c 200 "$T/body")"
}
refused() { # STATUS WHAT METHOD PATH [CURL ARGS...]
	local want=$1 what=$2
	shift 2
	expect "$what" "$(status_of "$@")" "$want"
	error_body
}

# ---- who may ask -----------------------------------------------------------------
without_token() { # CURL ARGS...
	curl -sS -m 20 -o "$T/body" -w '%{http_code}' "$@"
}
expect 'no token' "$(without_token "$(url /api/v1/status)")" 401
expect 'a wrong token' "$(without_token -H 'Authorization: Bearer 00' "$(url /api/v1/status)")" 401
expect 'the token in the URL' "$(without_token "$(url "/api/v1/status?token=$TOKEN")")" 401
expect 'another scheme' "$(without_token -H "Authorization: Basic $TOKEN" "$(url /api/v1/status)")" 401
expect 'healthz is open' "$(without_token "$(url /healthz)")" 200
expect_match 'a foreign Host' "$(status_of GET /api/v1/status -H 'Host: evil.example')" '^(400|403|421)$'
expect_match 'a foreign Origin' "$(status_of GET /api/v1/status -H 'Origin: https://evil.example')" '^403$'
expect 'our own Origin' "$(status_of GET /api/v1/status -H "Origin: http://127.0.0.1:$DATA_PORT")" 200

# ---- paths and methods ---------------------------------------------------------------
refused 404 'no such path' GET /api/v1/nothing
refused 405 'wrong method' DELETE /api/v1/events
expect_match 'a path that climbs' "$(status_of GET /../../etc/passwd --path-as-is)" '^(400|404)$'
expect_match 'a long path' "$(status_of GET "/$(printf 'a%.0s' $(seq 9000))")" '^(400|404|414|431)$'

# ---- events -------------------------------------------------------------------------------
refused 400 'no JSON at all' POST /api/v1/events -H "$ndjson" --data-binary 'hello'
refused 400 'a JSON array cut off' POST /api/v1/events -H "$json" --data-binary '[{"source":"a"'
# No line is no event: nothing is wrong with it.
expect 'an empty body' "$(status_of POST /api/v1/events -H "$ndjson" --data-binary '')" 200
jq -e '.accepted == 0 and .rejected == []' "$T/body" >/dev/null || fail 'an empty body stored something'

# Each bad line is named by index and field; the good ones are kept.
{
	echo '{"source":"s","id":"good-0","layer":"text","kind":"note","start":"2026-11-19T10:00:00Z","text":"MARMALADE one"}'
	echo '{"source":"s","layer":"smell","kind":"note","start":"2026-11-19T10:00:00Z"}'
	echo '{"source":"s","layer":"text","kind":"note","start":"2026-04-31T10:00:00Z"}'
	echo '{"source":"s","layer":"text","kind":"note","start":"2300-01-01T00:00:00Z"}'
	echo '{"source":"s","layer":"text","kind":"note","start":"1850-01-01T00:00:00Z"}'
	echo '{"source":"s","layer":"text","kind":"note"}'
	echo '{"layer":"text","kind":"note","start":"2026-11-19T10:00:00Z"}'
	echo '{"source":"s","layer":"text","start":"2026-11-19T10:00:00Z"}'
	echo '{"source":"s","layer":"text","kind":"note","start":"2026-11-19T10:00:00Z","end":"2026-11-19T09:00:00Z"}'
	echo '{"source":"s","layer":"text","kind":"note","start":"2026-11-19T10:00:00Z","text":17}'
	echo '{"source":"s","layer":"text","kind":"note","start":"2026-11-19T10:00:00Z","data":[1]}'
	echo '{"source":"s","layer":"text","kind":"note","start":"2026-11-19T10:00:00Z","shape":"round"}'
	echo '{"source":"s","layer":"text","kind":"note","start":true}'
	echo 'MARMALADE is not json'
	echo '{"source":"s","id":"good-14","layer":"text","kind":"note","start":1795100000000000000,"text":"MARMALADE two"}'
} >"$T/mixed"
send_events "$T/mixed" >"$T/report"
expect 'accepted' "$(jq .accepted "$T/report")" 2
expect 'rejected' "$(jq '.rejected | length' "$T/report")" 13
field_of() { # INDEX
	jq -r --argjson i "$1" '.rejected[] | select(.index == $i) | .field' "$T/report"
}
expect 'unknown layer' "$(field_of 1)" layer
expect '31 April' "$(field_of 2)" start
expect 'too late' "$(field_of 3)" start
expect 'too early' "$(field_of 4)" start
expect 'no start' "$(field_of 5)" start
expect 'no source' "$(field_of 6)" source
expect 'no kind' "$(field_of 7)" kind
expect 'ends before it starts' "$(field_of 8)" end
expect 'text that is no text' "$(field_of 9)" text
expect 'data that is no object' "$(field_of 10)" data
expect 'unknown shape' "$(field_of 11)" shape
expect 'a start that is no time' "$(field_of 12)" start
jq -e '.rejected[] | select(.index == 13)' "$T/report" >/dev/null || fail 'the line that is no JSON is not named'
jq -e 'all(.rejected[]; .error | length > 0)' "$T/report" >/dev/null || fail 'a rejection without a reason'
jq -r '.rejected[].error' "$T/report" | grep -q MARMALADE && fail 'an error text repeats the content'
expect 'the good ones' "$(api GET '/api/v1/events?from=2026-11-01T00:00:00Z&to=2026-12-01T00:00:00Z' | jq -c '[.events[].id] | sort')" \
	'["good-0","good-14"]'

# Depth, sizes.
deep=$(printf '[%.0s' $(seq 200))$(printf ']%.0s' $(seq 200))
printf '{"source":"s","layer":"text","kind":"note","start":1795100000000000000,"data":{"a":%s}}' "$deep" >"$T/deep"
code=$(status_of POST /api/v1/events -H "$json" --data-binary "@$T/deep")
[ "$code" = 400 ] || { [ "$code" = 200 ] && jq -e '.accepted == 0' "$T/body" >/dev/null; } || fail "a deep body: $code"
head -c 40000000 /dev/zero | tr '\0' ' ' >"$T/huge"
code=$(status_of POST /api/v1/events -H "$json" -H 'Expect:' --data-binary "@$T/huge" 2>/dev/null || true)
expect_match 'a body that is too large' "$code" '^413'
rm "$T/huge"

# ---- queries -----------------------------------------------------------------------------------
refused 400 'events: bad from' GET '/api/v1/events?from=yesterday-ish'
refused 400 'events: bad limit' GET '/api/v1/events?limit=0'
refused 400 'events: limit too large' GET '/api/v1/events?limit=10001'
refused 400 'events: bad layer' GET '/api/v1/events?layer=smell'
refused 400 'events: bad cursor' GET '/api/v1/events?cursor=%00%ff'
refused 400 'slices: bad step' GET '/api/v1/slices?from=2026-11-19T00:00:00Z&to=2026-11-20T00:00:00Z&step=7s'
refused 400 'slices: bad facet' GET '/api/v1/slices?from=2026-11-19T00:00:00Z&to=2026-11-20T00:00:00Z&step=1h&facets=aura'
refused 400 'slices: too many' GET '/api/v1/slices?from=1990-01-01T00:00:00Z&to=2026-11-20T00:00:00Z&step=1s'
refused 400 'slices: backwards' GET '/api/v1/slices?from=2026-11-20T00:00:00Z&to=2026-11-19T00:00:00Z&step=1h'
refused 400 'search: bad k' GET '/api/v1/search?q=x&k=1001'
refused 400 'search: k is no number' GET '/api/v1/search?q=x&k=many'

# ---- chat ------------------------------------------------------------------------------------------
chat() { # STATUS WHAT JSON
	refused "$1" "$2" POST /v1/chat/completions -H "$json" --data-binary "$3"
}
chat 400 'chat: malformed JSON' '{"model":"hearth","messages":['
chat 400 'chat: no messages' '{"model":"hearth"}'
chat 400 'chat: empty messages' '{"model":"hearth","messages":[]}'
chat 400 'chat: messages of the wrong type' '{"model":"hearth","messages":"hi"}'
chat 400 'chat: content of the wrong type' '{"model":"hearth","messages":[{"role":"user","content":5}]}'
chat 400 'chat: temperature of the wrong type' '{"model":"hearth","temperature":"hot","messages":[{"role":"user","content":"hi"}]}'
chat 400 'chat: negative max_tokens' '{"model":"hearth","max_tokens":-1,"messages":[{"role":"user","content":"hi"}]}'
code=$(status_of POST /v1/chat/completions -H "$json" --data-binary '{"model":"no-such-model","messages":[{"role":"user","content":"hi"}]}')
expect_match 'chat: unknown model' "$code" '^(404|503)$'
error_body
refused 400 'completions: malformed' POST /v1/completions -H "$json" --data-binary '{"model":'
refused 400 'completions: no prompt' POST /v1/completions -H "$json" --data-binary '{"model":"x"}'

# ---- the transport ------------------------------------------------------------------------------
raw() { # BYTES: sent as they are; what comes back, at most a moment later
	exec 9<>"/dev/tcp/127.0.0.1/$DATA_PORT"
	printf '%b' "$1" >&9
	timeout 10 head -c 200 <&9 || true
	exec 9>&-
}
raw 'nonsense\r\n\r\n' >/dev/null
raw 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n' >/dev/null
raw 'POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n' >/dev/null
expect 'still serving' "$(status_of GET /healthz)" 200

# Many connections at once: some are refused, none of them ends the node.
pids=()
for _ in $(seq 300); do
	(exec 9<>"/dev/tcp/127.0.0.1/$DATA_PORT" && read -r -t 3 <&9) 2>/dev/null &
	pids+=($!)
done
wait "${pids[@]}" || true
serving() {
	[ "$(status_of GET /healthz 2>/dev/null)" = 200 ]
}
wait_until 30 'serving after the flood' serving

grep -q MARMALADE "$T"/*.log && fail 'content stands in the log'
grep -q "$TOKEN" "$T"/*.log && fail 'the token stands in the log'
data_cli verify >/dev/null
node_stop data
