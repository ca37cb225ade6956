#!/usr/bin/env bash
# Forgetting what came from a device whose clock is 40 days behind: a range means
# the hub's time; what is in limbo goes where it may lie; nothing comes back when
# the clock is learned later, by no way, and not by a raw search either.
# limit_s: 60
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

canary='xylophone-canary-4711'
hour=3600000000000
behind=$((40 * 24 * hour))
now=$(date +%s%N)
heard() { # BOOT FIRST LAST: as the glasses saw it, so many hours ago
	local i
	for ((i = $3; i >= $2; i--)); do
		printf '{"source":"glasses","clock":"glasses","boot":"%s","seq":%d,"layer":"auditory","kind":"speech","start":%d,"text":"%s %d hours ago"}\n' \
			"$1" $((100 - i)) $((now - i * hour - behind)) "$canary" "$i"
	done >"$T/events"
	send_events "$T/events" | jq .accepted
}
slow() { # what the clock of the glasses shows
	date -u -d '-40 days' +%FT%T.%NZ
}
ping() { # BOOT: one exchange of stamps
	local t1 answer
	t1=$(slow)
	answer=$(post_json /api/v1/time "{\"clock\":\"glasses\",\"boot\":\"$1\",\"t1\":\"$t1\"}")
	post_json /api/v1/time "$(jq -c --arg t1 "$t1" --arg t4 "$(slow)" --arg boot "$1" \
		'. + {clock: "glasses", boot: $boot, t1: $t1, t4: $t4}' <<<"$answer")" >/dev/null
}
found() {
	api GET "/api/v1/search?q=$canary&k=1000" | jq '.results | length'
}
ago() { # HOURS MINUTES
	echo $((now - $1 * hour - $2 * 60000000000))
}
counted() { # FROM TO: by a dry run
	post_json /api/v1/forget "{\"from\":$1,\"to\":$2,\"dry_run\":true}" | jq .forgotten
}
look() { # WANT: exit code of a raw search of the directory
	local code=0
	"$TOOLS/data_canary" "$T/data" "$canary" "$T/data" >"$T/canary" || code=$?
	expect "raw search: $(cat "$T/canary")" $code "$1"
}

data_init
data_start
ping 1
expect 'heard' "$(heard 1 1 8)" 8
expect 'found before' "$(found)" 8
look 1

# ---- a range is of the hub's time ---------------------------------------------------------
# Until a later exchange confirms the clock they may lie anywhere up to their receipt.
expect 'by a time that it may have been' "$(counted "$(ago 3 10)" "$(ago 1 50)")" 7
ping 1
expect "by the device's own time" "$(counted $(($(ago 9 0) - behind)) $(($(ago 0 0) - behind)))" 0
expect 'by the time that it was' "$(counted "$(ago 3 10)" "$(ago 1 50)")" 2
data_cli forget --from "$(ago 3 10)" --to "$(ago 1 50)" --json >"$T/report"
expect 'as a command' "$(jq .forgotten "$T/report")" 2
expect 'found after' "$(found)" 6
post_json /api/v1/forget "{\"from\":$(ago 8 10),\"to\":$(ago 4 50),\"layer\":\"auditory\"}" >"$T/report"
expect 'over HTTP' "$(jq .forgotten "$T/report")" 4
expect 'found after that' "$(found)" 2

# ---- in limbo: somewhere since the clock was last known ------------------------------------
expect 'heard after a new start' "$(heard 2 10 12)" 3
expect 'before anything was known' "$(counted "$(ago 500 0)" "$(ago 400 0)")" 0
all=$(counted $((now - hour)) $(($(date +%s%N) + hour)))
expect_match 'what may lie in the last hour' "$all" '^[3-9]$'
data_cli forget --from $((now - hour)) --to $(($(date +%s%N) + hour)) >"$T/out"
grep -q 'forgotten' "$T/out" || fail "forget says: $(cat "$T/out")"
ping 2
expect 'after the clock was learned' "$(found)" 1
data_cli verify >/dev/null || fail 'verify after forgetting'

# ---- all of it ----------------------------------------------------------------------------------
data_cli forget --source glasses >/dev/null
expect 'found at the end' "$(found)" 0
heard 2 10 12 >/dev/null
expect 'sent again' "$(found)" 0
look 0
node_kill data
data_start
expect 'found after a kill' "$(found)" 0
node_stop data
look 0
data_cli rebuild >/dev/null || fail 'rebuild'
data_cli verify >/dev/null || fail 'verify after rebuilding'
look 0
