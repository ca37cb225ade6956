#!/usr/bin/env bash
# The owner's page, its real code against both real nodes: an answer that the data node's
# crash cuts short, memory seen and changed, also by two at once, what left for models
# elsewhere, and what a device's token sees.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

npm_packages page jsdom@26

tiny_model "$T/tiny.gguf" --seed 3 --ctx 8192
slow_model "$T/slow.gguf"
data_init
compute_init box
pair box
compute_start box "$T/tiny.gguf" --model "$T/slow.gguf"
data_start --model slow --answer-tokens 1500
cat >"$T/events" <<'END_OF_EVENTS'
{"source":"phone","id":"t1","layer":"text","kind":"note","start":"2026-11-19T12:30:00Z","text":"lunch with Ines was <b>pumpkin</b> soup"}
{"source":"diary","id":"t2","layer":"text","kind":"note","start":"2026-11-19T21:30:00Z","text":"lunch with Ines made me sad"}
END_OF_EVENTS
send_events "$T/events" >/dev/null
cat >"$T/memory.md" <<'END_OF_MEMORY'
## Profile
- Works at the quarry #employer
- <img src=x onerror="pwned=1"><script>pwned=1</script>
## People
### Anna
- Anna is a nurse (since 2024-05-01)
- Anna plays chess
- Anna lives in Bonn
END_OF_MEMORY
data_cli memory import "$T/memory.md" >/dev/null
token_of() { # NAME [FLAGS...]
	data_cli device add "$@" | sed -n 's/.*token: //p' | head -n 1
}
DEVICE=$(token_of phone)
LIMITED=$(token_of sensor --layers environment)
for proposal in '"class":"profile","attribute":"employer","text":"Works at the mill"' \
	'"class":"people","subject":"Ines","text":"Ines sings"'; do
	curl -sS -o "$T/body" -X POST -H "Authorization: Bearer $DEVICE" \
		--data-binary "{$proposal}" "$(url /api/v1/memory/proposals)"
done
wait_for_model slow

# What the page's test asks of this side, by a line: it goes on once that is done.
do_cut() { # the data node dies in the middle of an answer
	find_worker box
	kill -STOP "$WORKER"
	node_kill data
	kill -CONT "$WORKER"
}
do_start() { # and is back, with short answers
	data_start --model tiny --night-model tiny --answer-tokens 12 --start-timeout 30s
	wait_for_model tiny
}
do_kill() {
	node_kill data
}
do_import() { # what somebody else writes meanwhile, its lines parted by '|'
	tr '|' '\n' <<<"$1" | data_cli memory import - >/dev/null
}
do_refuse() {
	data_cli memory refuse "$1"
}
do_night() {
	data_cli night >/dev/null
}
do_elsewhere() { # TOKENS A DAY; the same node stands for one elsewhere, so that none is started
	echo "$TOKEN" >"$T/token"
	data_cli cloud add self "$(url /v1)" --model tiny --trust home --key-file "$T/token" --day-tokens "$1"
	data_cli cloud allow question text --trust home
	data_cli cloud deny source:diary
	data_cli cloud route none
	data_cli cloud route self
}

export TZ=Pacific/Auckland # of whoever looks at the page; the nodes run already
coproc PAGE {
	timeout 100 node tests/scenario/web_page.mjs "$NPM" "$T" "$(url '')" "$TOKEN" "$DEVICE" \
		"$LIMITED" 2>"$T/page.log"
}
PID[page]=$PAGE_PID
exec 5<&"${PAGE[0]}" 6>&"${PAGE[1]}"
while read -r word rest <&5; do
	case $word in
	done) done=1 ;;
	*) "do_$word" "$rest" && echo ok >&6 ;;
	esac
done
[ -n "${done:-}" ] || fail 'the page'
