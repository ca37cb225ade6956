#!/usr/bin/env bash
# The wall clock jumps by hours and by years, both ways, stands still, and passes
# 2038 and 2106, while a data node takes events in and is restarted: what was
# acknowledged is there and found, tokens open, the night runs, verify passes,
# and what is worked out anew from the log is what was served.
# limit_s: 120
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

[[ $HEARTH_BUILD != *sanitize* ]] || skip 'the shim comes before the runtime of an instrumented program'
data_init
real=$(date +%s)
echo 'shift 0' >"$T/clock"
# SERVE is `serve` under the clock that "$T/clock" tells.
serve() { # FLAGS...
	node_start data env HEARTH_CLOCK_FILE="$T/clock" LD_PRELOAD="$HEARTH_BUILD/tests/fault/shim_clock.so" \
		"$DATA" serve --dir "$T/data" --listen "127.0.0.1:$DATA_PORT" "$@"
}
node_now() { # seconds, as the node sees it
	date -u -d "$(api GET /api/v1/status | jq -r .now)" +%s
}

sent=0
# send_some WHAT: events of a device that trusts the hub's time, of one with a
# clock of its own (and a ping of it), and of one that reports yesterday.
send_some() {
	local now asked t1
	now=$(node_now)
	for _ in 1 2 3; do
		sent=$((sent + 1))
		printf '{"source":"phone","id":"p%d","layer":"text","kind":"note","start":%d000000000,"text":"word%dq after %s"}\n' \
			$sent $((real + sent)) $sent "$1"
		printf '{"source":"home","id":"h%d","layer":"home","kind":"light","start":%d000000000,"data":{"state":"on"}}\n' \
			$sent "$now"
		printf '{"source":"watch","id":"w%d","layer":"behaviour","kind":"heart_rate","start":%d000000000,"clock":"watch","boot":"1","seq":%d,"data":{"value":%d}}\n' \
			$sent $((real + 10 * sent)) $sent $((60 + sent))
	done >"$T/batch"
	expect "$1: acknowledged" "$(send_events "$T/batch" | jq -c '[.accepted, .rejected]')" '[9,[]]'
	t1=$(((real + 10 * sent) * 1000000000))
	asked=$(post_json /api/v1/time "{\"clock\":\"watch\",\"boot\":\"1\",\"t1\":$t1}")
	post_json /api/v1/time "${asked%\}},\"clock\":\"watch\",\"boot\":\"1\",\"t1\":$t1,\"t4\":$((t1 + 2000000000))}" >"$T/ping"
}
found() { # N
	api GET "/api/v1/search?q=word$1q&k=5" | jq -e --arg w "word$1q" '.results[0].text | startswith($w)' >/dev/null
}
slices() { # what the whole of it is, as one hash
	data_cli slices --from "$(date -u -d "@$((real - 60))" +%FT%TZ)" --to "$(date -u -d "@$((real + 3600))" +%FT%TZ)" \
		--step 60s --manifest | jq -r .hash
}
all_there() { # WHAT
	expect "$1: stored" "$(data_cli events --source phone --from 1970-01-01T00:00:00Z --to 2120-01-01T00:00:00Z --limit 10000 --json |
		jq '.events | length')" $sent
	found $sent || fail "$1: the newest is not found"
	found 1 || fail "$1: the oldest is not found"
}

serve --night-at never
year=31557600
#  as it is, an hour on, back, years on and back, 1970, and through the ends of 32 bits
faults=("shift 0" "shift 3600" "shift -3600" "shift $((10 * year))" "shift $((-10 * year))" "stop $real"
	"stop 100" "shift $((2147483646 - real))" "shift $((4294967294 - real))" "shift 0")
for fault in "${faults[@]}"; do
	echo "$fault" >"$T/clock"
	send_some "$fault"
	all_there "$fault"
	data_cli night --now --quiet >"$T/night" || fail "$fault: the night: $(cat "$T/night")"
done
for fault in "shift $((-5 * year))" "shift $((5 * year))" "stop 4294967296" 'shift 0'; do
	node_stop data
	echo "$fault" >"$T/clock"
	serve --night-at never
	send_some "start under $fault"
	all_there "start under $fault"
done
before=$(slices)
node_stop data
data_cli verify >"$T/verify" || fail "verify: $(tail -n 3 "$T/verify")"
expect 'slices, in a process of its own' "$(slices)" "$before"
data_cli rebuild >"$T/rebuild" 2>&1 || fail "rebuild: $(tail -n 3 "$T/rebuild")"
expect 'slices, made anew' "$(slices)" "$before"
