#!/usr/bin/env bash
# Beyond loopback a data node speaks TLS alone: the pairing code holds the pin of
# its key, a device that knows the pin is served, and one with another is not.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

data_init
data_listen=0.0.0.0
node_start data "$DATA" serve --dir "$T/data" --listen "$data_listen:$DATA_PORT"
pairing=$(data_cli device add phone | sed -n 's/^pairing: //p')
pin=$(jq -r .pin <<<"$pairing")
token=$(jq -r .token <<<"$pairing")
expect_match 'the pin' "$pin" '^sha256//[A-Za-z0-9+/]{43}=$'
expect_match 'the address in the code' "$(jq -r .url <<<"$pairing")" "^https://.*:$DATA_PORT$"
url=https://127.0.0.1:$DATA_PORT

get() { # PIN PATH [CURL...]: the status and the body
	curl -s -k --pinnedpubkey "$1" -H "Authorization: Bearer $token" -w '\n%{http_code}' "${@:3}" "$url$2"
}
expect 'with the pin' "$(get "$pin" /api/v1/status | tail -n 1)" 200
expect 'an event in' "$(get "$pin" /api/v1/events -d '[{"source":"phone","id":"a","layer":"text","kind":"note","start":1,"text":"over TLS"}]' | head -n 1 | jq .accepted)" 1
expect_match 'and out, streamed' "$(get "$pin" '/api/v1/events?from=0&to=10')" 'over TLS'
wrong=sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
get "$wrong" /api/v1/status >/dev/null && fail 'another pin was taken'

# Nothing is said in plain, nor by old versions of the protocol.
plain=$(curl -s -m 5 -H "Authorization: Bearer $token" "http://127.0.0.1:$DATA_PORT/api/v1/status" || true)
expect 'plain HTTP' "$plain" ''
get "$pin" /healthz --tls-max 1.1 >/dev/null && fail 'TLS 1.1 was taken'

# A page of another name is still refused, an address of ours is not.
expect 'a foreign Host' "$(get "$pin" /healthz -H 'Host: evil.example' | tail -n 1)" 403
expect 'an address as Host' "$(get "$pin" /healthz -H "Host: 192.168.1.4:$DATA_PORT" | tail -n 1)" 200

# The pin outlives restarts, and what stands in the directory's own file is read.
node_stop data
echo "listen = 0.0.0.0:$DATA_PORT" >"$T/data/data.conf"
node_start data "$DATA" serve --dir "$T/data"
expect 'after a restart' "$(get "$pin" /healthz | tail -n 1)" 200
