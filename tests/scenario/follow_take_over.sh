#!/usr/bin/env bash
# A second data node follows the first: both are killed again and again while
# events come in; then the follower is level and shows the same events and
# slices, byte for byte; forgetting reaches it; it takes over and clients go on.
# limit_s: 200
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

cycles=${HEARTH_FOLLOW_CYCLES:-3}

data_init
# Slices by a policy of its own, at either node.
echo '{"version":7,"facets":{"body":{"nearest_s":2,"blend":"none","carry":"never"}}}' >"$T/data/policy.json"
first_port=$DATA_PORT second_port=$(free_port) follow_port=$(free_port)
first() { # the functions of scenario.sh are about this one
	data_start --follow-listen "tcp://127.0.0.1:$follow_port"
}
second() {
	node_start second "$DATA" serve --dir "$T/second" --listen "127.0.0.1:$second_port"
}
second_cli() {
	local command=$1
	shift
	"$DATA" "$command" --dir "$T/second" "$@"
}
at_second() { # COMMAND...: with the second node's port
	local DATA_PORT=$second_port
	"$@"
}
events() { # FIRST LAST
	local i
	for ((i = $1; i <= $2; i++)); do
		printf '{"source":"phone","id":"n%d","layer":"text","kind":"note","start":%d,"text":"note %d"}\n' \
			"$i" $((1795100000000000000 + i * 7000000000)) "$i"
		printf '{"source":"watch","id":"h%d","layer":"behaviour","kind":"heart_rate","start":%d,"data":{"bpm":%d}}\n' \
			$((i / 2)) $((1795100000000000000 + i * 7000000000)) $((60 + i % 40))
	done >"$T/events"
}
cursor_of() { # the newest record of the node at $DATA_PORT
	api GET /api/v1/status | jq .store.cursor
}
is_level() {
	[ "$(at_second cursor_of)" = "$(cursor_of)" ]
}
shown() { # FILE: what a client sees at $DATA_PORT
	api GET '/api/v1/events?limit=10000' >"$1.events"
	api GET '/api/v1/slices?from=1795100000000000000&to=1795107200000000000&step=60' >"$1.slices"
}
same() { # WHAT
	shown "$T/a"
	at_second shown "$T/b"
	cmp "$T/a.events" "$T/b.events" || fail "$1: other events"
	cmp "$T/a.slices" "$T/b.slices" || fail "$1: other slices"
}

# ---- let in, and what it may not do -----------------------------------------------------
first
events 1 300
send_events "$T/events" >/dev/null
code=0
second_cli follow --wait 1s "tcp://127.0.0.1:$follow_port" "$DATA_KEY" >"$T/out" 2>"$T/err" || code=$?
expect 'follow before it is let in' $code 1
key=$(sed -n 's/^public key: //p' "$T/out")
expect_match 'public key of the follower' "$key" '^[0-9a-f]{64}$'
data_cli follower allow "$key" >/dev/null
code=0
second_cli follow "tcp://127.0.0.1:$follow_port" "$DATA_KEY" >"$T/out" 2>"$T/err" || code=$?
expect 'follow without the key' $code 1
grep -q -- '--key-file' "$T/err" || fail 'follow without the key does not say what to do'
expect 'its public key stays' "$(sed -n 's/^public key: //p' "$T/out")" "$key"
grep -rqF "$(head -c 64 "$T/data/key")" "$T/second" && fail 'the key came over the wire'
mkdir -p "$T/carried"
cp "$T/data/key" "$T/carried/key"
second_cli follow --key-file "$T/carried/key" "tcp://127.0.0.1:$follow_port" "$DATA_KEY" >/dev/null
second
wait_until 30 'the follower is level' is_level
same 'level for the first time'
expect 'the policy here' "$(jq .policy "$T/b.slices")" 7
expect 'events at the follower' "$(at_second status_of POST /api/v1/events --data-binary "@$T/events" -H 'Content-Type: application/x-ndjson')" 503
expect 'why' "$(jq -r .error.code "$T/body")" read_only
grep -q take-over "$T/body" || fail 'the refusal does not say what to do'
expect 'an edit of memory there' "$(at_second status_of POST /api/v1/memory/change --data-binary '{"how":"end","id":"f1"}')" 503
second_cli night --now >"$T/out" 2>&1 && fail 'a night at the follower'
grep -q 'follows another one' "$T/out" || fail "a night at the follower does not say why not: $(cat "$T/out")"
expect 'a command at the follower' "$(second_cli import "$T/events" >/dev/null 2>&1 && echo taken)" ''
data_cli device add watch >"$T/device"
token=$(sed -n 's/.*token: *//p' "$T/device" | head -1)
[ -n "$token" ] || token=$(grep -oE '[A-Za-z0-9_-]{30,}' "$T/device" | head -1)

# ---- blobs ------------------------------------------------------------------------------------
head -c 6000000 /dev/urandom >"$T/film"
blob=$(api POST /api/v1/blobs -H 'Content-Type: application/octet-stream' --data-binary "@$T/film" | jq -r .blob)
printf '{"source":"phone","id":"film","layer":"visual","kind":"photo","start":1795100000000000000,"blob":"%s"}\n' "$blob" >"$T/events"
send_events "$T/events" >/dev/null
wait_until 30 'the follower is level with a film' is_level
at_second api GET "/api/v1/blobs/$blob" >"$T/back"
cmp "$T/film" "$T/back" || fail 'the film is another one at the follower'

# ---- killed, both, in any order -------------------------------------------------------------
for ((i = 1; i <= cycles; i++)); do
	events $((i * 300)) $((i * 300 + 400))
	send_events "$T/events" >/dev/null
	case $((i % 3)) in
	0)
		node_kill data
		node_kill second
		second
		first
		;;
	1)
		node_kill second
		send_events "$T/events" >/dev/null
		second
		;;
	2)
		node_kill data
		first
		;;
	esac
done
wait_until 60 'the follower is level again' is_level
same 'after the kills'
second_cli verify >/dev/null || fail 'verify of the follower'
data_cli status | grep -q "follower.* 0 events behind" || fail "status of the first: $(data_cli status)"
second_cli status | grep -q "follows .*up .* 0 events behind" || fail "status of the second: $(second_cli status)"

# ---- forgetting reaches it --------------------------------------------------------------------
data_cli forget --yes --from 2026-11-19T18:00:00Z --to 2026-11-19T19:30:00Z --layer text >"$T/out" 2>&1 ||
	data_cli forget --from 2026-11-19T18:00:00Z --to 2026-11-19T19:30:00Z --layer text >"$T/out" 2>&1 ||
	fail "forget: $(cat "$T/out")"
keys_equal() {
	cmp -s "$T/data/keyring" "$T/second/keyring"
}
wait_until 60 'the follower has the keys of after the forgetting' keys_equal
wait_until 30 'the follower is level after the forgetting' is_level
same 'after forgetting'
second_cli verify >/dev/null || fail 'verify of the follower after forgetting'

# ---- take-over ----------------------------------------------------------------------------------
node_kill data
mv "$T/data" "$T/gone"
second_cli follow --take-over >/dev/null
second_cli follow --take-over >/dev/null 2>&1 && fail 'it took over twice'
DATA_PORT=$second_port
expect "the owner's token" "$(status_of GET /api/v1/status)" 200
TOKEN=$token
events 9000 9010
expect "the device's token" "$(status_of POST /api/v1/events --data-binary "@$T/events" -H 'Content-Type: application/x-ndjson')" 200
jq -e '.accepted > 0' "$T/body" >/dev/null || fail 'nothing is accepted after the take-over'
second_cli night --now --quiet >"$T/out" || fail 'no night after the take-over'
grep -q 'labels written' "$T/out" || fail "the night after the take-over: $(cat "$T/out")"
node_kill second
second
TOKEN=$(sed -n 's/^owner token: //p' "$T/data.init")
expect 'it takes events after a restart too' "$(status_of POST /api/v1/events --data-binary "@$T/events" -H 'Content-Type: application/x-ndjson')" 200
second_cli verify >/dev/null || fail 'verify after the take-over'

# ---- the first one comes back and follows ----------------------------------------------------------
mv "$T/gone" "$T/data"
node_stop second
node_start second "$DATA" serve --dir "$T/second" --listen "127.0.0.1:$second_port" --follow-listen "tcp://127.0.0.1:$follow_port"
second_cli follower allow "$DATA_KEY" >/dev/null
data_cli follow "tcp://127.0.0.1:$follow_port" "$key" >/dev/null || fail 'the first one cannot follow'
DATA_PORT=$first_port
data_start
wait_until 30 'the first one is level' is_level
same 'the other way round'
