#!/usr/bin/env bash
# kill -9 of the data node during ingest, CYCLES times (default 40): what was acknowledged is
# stored, nothing is stored that was not sent, and no event is there twice.
# limit_s: 240
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

cycles=${CYCLES:-40}
data_init
: >"$T/acked"
: >"$T/sent"

# Sends events one batch after the other until the node is gone; a batch is
# noted in `acked` after its 200, in `sent` before.  Every third batch is sent
# twice, as a phone does that lost the answer.
sender() { # CYCLE
	local n=0 i batch
	while :; do
		batch=$T/batch
		: >"$batch"
		for i in 1 2 3 4 5; do
			printf '{"source":"phone","id":"c%d-b%d-%d","layer":"behaviour","kind":"app","start":%d,"text":"cycle %d batch %d"}\n' \
				"$1" "$n" "$i" $((1795100000000000000 + ($1 * 1000000 + n * 10 + i) * 1000000)) "$1" "$n" >>"$batch"
			printf 'c%d-b%d-%d\n' "$1" "$n" "$i" >>"$T/sent"
		done
		curl -sS -f -m 20 -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/x-ndjson' \
			--data-binary "@$batch" "$(url /api/v1/events)" >"$T/report" 2>/dev/null || return 0
		jq -e '.accepted + .duplicate == 5' "$T/report" >/dev/null || return 1
		for i in 1 2 3 4 5; do printf 'c%d-b%d-%d\n' "$1" "$n" "$i" >>"$T/acked"; done
		if [ $((n % 3)) = 0 ]; then
			curl -sS -f -m 20 -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/x-ndjson' \
				--data-binary "@$batch" "$(url /api/v1/events)" >"$T/report" 2>/dev/null || return 0
			jq -e '.duplicate == 5 and .accepted == 0' "$T/report" >/dev/null || return 1
		fi
		n=$((n + 1))
	done
}

acked_more() { # THAN
	[ "$(wc -l <"$T/acked")" -gt "$1" ] || gone client
}

for cycle in $(seq "$cycles"); do
	data_start
	before=$(wc -l <"$T/acked")
	sender "$cycle" &
	PID[client]=$!
	# A different moment each time: after 0 to 6 more batches.
	wait_until 30 'some batches' acked_more $((before + (cycle % 7) * 5 - 1))
	node_kill data
	code=0
	wait "${PID[client]}" || code=$?
	unset 'PID[client]'
	expect "what the sender saw in cycle $cycle" $code 0
done

data_start
cursor=''
: >"$T/stored"
while :; do
	api GET "/api/v1/events?from=1795000000000000000&to=1796000000000000000&limit=1000${cursor:+&cursor=$cursor}" >"$T/page"
	jq -r '.events[].id' "$T/page" >>"$T/stored"
	cursor=$(jq -r '.next // empty' "$T/page")
	[ -n "$cursor" ] || break
done
sort "$T/acked" >"$T/acked.sorted"
sort "$T/stored" >"$T/stored.sorted"
sort -u "$T/sent" >"$T/sent.sorted"
expect 'events stored twice' "$(uniq -d "$T/stored.sorted" | wc -l)" 0
expect 'acknowledged but not stored' "$(comm -23 "$T/acked.sorted" "$T/stored.sorted" | wc -l)" 0
expect 'stored but never sent' "$(comm -13 "$T/sent.sorted" "$T/stored.sorted" | wc -l)" 0
[ "$(wc -l <"$T/acked")" -ge "$cycles" ] || fail 'too few acknowledged to mean anything'
data_cli verify >"$T/verify" || fail "verify: $(tail -3 "$T/verify")"
# The index caught up too.
api GET "/api/v1/search?q=cycle+$cycles&k=5" | jq -e '.results | length > 0' >/dev/null || fail 'the index lags'
echo "$cycles cycles, $(wc -l <"$T/acked") events acknowledged, $(wc -l <"$T/stored") stored"
