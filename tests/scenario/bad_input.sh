#!/usr/bin/env bash
# Input that nobody should send, against a node as a person runs it.  Row by row:
#
#   before 1900, after 2200; an end before its start    bad_http, test_ingest
#   NaN, infinite                                       here, test_ingest, test_observation
#   a text of 100 MB                                    here (a file), bad_http (a request)
#   very many sources                                   here; SOURCES=1000000 for a million
#   a clock that jumps each hour                        here, test_clock_truth
#   an id again with other content                      here, test_store
#   an import stopped half-way and repeated             here, test_import
#   a store or keyring of a newer program               keys, test_store_damage, test_store_migrate
#   a wrong passphrase, a key file cut off or swapped   keys, test_keyring
#   a damaged page, a flipped bit                       here, blobs, test_store_damage
#   a wall clock that jumps or stands still             fault/clock_jumps
# limit_s: 120
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

data_init
data_start --night-at never
start=1795100400 # 2026-11-19T15:00:00Z
event() { # ID START-S REST
	printf '{"source":"phone","id":"%s","layer":"behaviour","kind":"heart_rate","start":%d000000000%s}\n' "$1" "$2" "$3"
}

# ---- numbers that are none ------------------------------------------------------------
{
	event nan $start ',"data":{"value":NaN}'
	event inf $start ',"data":{"value":Infinity}'
	event huge $start ',"rate":1,"values":[1e999]'
	event neg $start ',"rate":-1,"values":[1]'
	event good $start ',"data":{"value":62}'
} >"$T/numbers"
send_events "$T/numbers" >"$T/report"
expect 'numbers that are none' "$(jq -c '[.accepted, [.rejected[].index]]' "$T/report")" '[1,[0,1,2,3]]'

# ---- a text of 100 MB -------------------------------------------------------------------
{
	event before $((start + 1)) ',"text":"fine"'
	printf '{"source":"phone","id":"big","layer":"text","kind":"note","start":1,"text":"'
	head -c 100000000 /dev/zero | tr '\0' x
	printf '"}\n'
	event behind $((start + 2)) ',"text":"fine too"'
} >"$T/big"
code=0
data_cli import --quiet "$T/big" >"$T/imported" 2>&1 || code=$?
expect 'one event that was not taken' "$code" 1
expect_match 'what to do about it' "$(cat "$T/imported")" '1 of its events were not taken: mend'
expect_match 'it is named' "$(cat "$T/imported")" 'event 2: is larger than [0-9]+ bytes'
expect_match 'those around it are in' "$(cat "$T/imported")" '2 accepted, 0 duplicate, 1 rejected'
rm "$T/big"

# ---- very many sources ---------------------------------------------------------------------
sources=${SOURCES:-20000}
awk -v n="$sources" -v start=$start 'BEGIN { for (i = 0; i < n; i++)
	printf "{\"source\":\"s%d\",\"id\":\"1\",\"layer\":\"text\",\"kind\":\"note\",\"start\":%d000000000,\"text\":\"said by s%d\"}\n",
		i, start + i % 86400, i }' >"$T/crowd"
data_cli import --quiet "$T/crowd" >"$T/imported"
expect_match 'all of them' "$(cat "$T/imported")" "$sources accepted, 0 duplicate, 0 rejected"
data_cli slices --from 2026-11-19T16:00:00Z --to 2026-11-19T16:05:00Z --step 60s --json | jq -e '.slices | length == 5' >/dev/null ||
	fail 'no slices among many sources'
expect 'one of them is found' "$(data_cli search "said by s$((sources - 1))" -k 1 --json | jq -r '.results[0].source')" "s$((sources - 1))"

# ---- a clock that jumps each hour -----------------------------------------------------------
# A month on, a year back, and so on: the truth is somewhere before the receipt.
for ((i = 0; i < 600; i++)); do
	event "jump-$i" $((start + i * 600 + (i / 6 % 2 ? -31536000 : 2592000) * (i / 6 % 5))) \
		",\"clock\":\"jumpy\",\"boot\":\"1\",\"seq\":$i,\"data\":{\"value\":60}"
done >"$T/jumps"
expect 'a clock that jumps' "$(send_events "$T/jumps" | jq -c '[.accepted, .rejected]')" '[600,[]]'
expect_match 'nobody says that it is right' "$(data_cli status | grep '^clock')" 'jumpy .*never synced +limbo 600'

# ---- the same id, other content --------------------------------------------------------------
event good $start ',"data":{"value":63}' >"$T/again"
expect 'a new version' "$(send_events "$T/again" | jq .accepted)" 1
expect 'sent again, nothing' "$(send_events "$T/again" | jq -c '[.accepted, .duplicate]')" '[0,1]'
expect 'the old one sent again, nothing' "$(send_events "$T/numbers" | jq -c '[.accepted, .duplicate]')" '[0,1]'
expect 'the newer one counts' "$(api GET "/api/v1/events?from=${start}000000000&to=${start}000000001&source=phone" |
	jq -c '[.events[] | select(.id == "good") | .data.value]')" '[63]'

# ---- an import stopped half-way, and repeated ---------------------------------------------------
sed 's/"id":"1"/"id":"2"/' "$T/crowd" >"$T/second"
stored() {
	data_cli status --json | jq .store.records
}
before=$(stored)
data_cli import --quiet "$T/second" >/dev/null 2>&1 &
PID[import]=$!
grown() {
	[ "$(stored)" -gt "$before" ] || gone import
}
wait_until 30 'some of it is in' grown
kill -9 "${PID[import]}" 2>/dev/null || true
{ wait "${PID[import]}" || true; } 2>/dev/null
unset 'PID[import]'
data_cli import --quiet "$T/second" >"$T/imported"
expect_match 'repeated' "$(cat "$T/imported")" ' 0 rejected'
expect 'all of it is in, once' "$(stored)" $((before + sources))
node_stop data
data_cli verify >"$T/verify" || fail "verify: $(tail -n 3 "$T/verify")"

# ---- damaged pages --------------------------------------------------------------------------------
# Every 16th page gets some other bytes: whatever they hold is named, and nothing breaks.
file=$T/data/timeline/data.mdb
pages=$(($(stat -c %s "$file") / 4096))
for ((page = 20; page < pages; page += 16)); do
	printf '\xa5\x5a\xa5\x5a' | dd of="$file" bs=1 seek=$((page * 4096 + 1000)) conv=notrunc status=none
done
code=0
data_cli verify >"$T/verify" 2>&1 || code=$?
expect 'verify of damaged pages' "$code" 4
expect_match 'and names them' "$(cat "$T/verify")" 'page [0-9]+ is damaged|log seq [0-9]+: '
for command in 'events -n 100000' 'slices --from 2026-11-19T16:00:00Z --to 2026-11-19T16:05:00Z' 'search said'; do
	code=0
	# shellcheck disable=SC2086
	data_cli $command >/dev/null 2>"$T/err" || code=$?
	[ $code -le 5 ] || fail "$command on damaged pages: exit $code"
done
