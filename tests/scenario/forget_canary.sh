#!/usr/bin/env bash
# Forgetting: a canary is planted, found by every way in, forgotten by time, layer
# and source over HTTP and by command, and then had by no way: not by search,
# answer or list, not by a raw search of the directory with its free pages and
# copies, not with any key that is left.  A phone's re-upload brings nothing back,
# and kill -9 in the middle changes nothing of that.
# limit_s: 120
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

canary='xylophone-canary-4711'
event() { # SOURCE ID LAYER START-NS TEXT
	printf '{"source":"%s","id":"%s","layer":"%s","kind":"note","start":%s,"text":"%s","data":{"from":"%s"}}\n' \
		"$@" "$5"
}
hour() { # N: nanoseconds
	echo $((1795100400000000000 + $1 * 3600000000000))
}
all_events() {
	local i
	for i in $(seq 0 199); do
		event phone "p$i" text "$(hour "$i")" "$( ((i % 10 != 3)) || echo "$canary") at hour $i"
		event watch "w$i" behaviour "$(hour "$i")" "$canary seen by the watch $i"
	done
}
figure() { # NAME: of the last search
	sed -n "s/.* $1 \([0-9]*\).*/\1/p" "$T/canary"
}
# look WANT: exit code of a raw search of everything, also of a copy of the whole
# directory made before, whose keyring is not the live one any more
look() { # WANT [WHERE]
	local code=0
	"$TOOLS/data_canary" "$T/data" "$canary" "${2:-$T/data}" >"$T/canary" || code=$?
	expect "raw search of ${2:-the directory}: $(cat "$T/canary")" $code "$1"
}

data_init
data_start
all_events >"$T/events"
send_events "$T/events" >/dev/null
found() { # what holds it, without neighbours that only stood beside it
	api GET "/api/v1/search?q=$canary&k=1000" |
		jq --arg c "$canary" '[.results[] | select(.text | contains($c))] | length'
}
expect 'found before' "$(found)" 220
people() { # that episodes name
	api GET "/api/v1/episodes?from=$(hour 0)&to=$(hour 200)" |
		jq --arg c "$canary" '[.episodes[].people[] | select(contains($c))] | length > 0'
}
expect 'episodes name it' "$(people)" true
look 1
[ "$(figure leaked)" -ge 220 ] || fail "the search must find what is there: $(cat "$T/canary")"
# One backup stays within reach, one is taken away.
data_cli backup "$T/near" >/dev/null
data_cli backup "$T/stick" >/dev/null
mv "$T/stick" "$T/away"
look 1 "$T/near"
# A copy of the timeline as another backup program would have made it.
mkdir "$T/copy"
cp "$T/data/timeline/data.mdb" "$T/copy/"

# By source over HTTP; killed in the middle; by time and layer as a command.
expect 'a dry run counts' "$(post_json /api/v1/forget '{"source":"watch","dry_run":true}' | jq .forgotten)" 200
post_json /api/v1/forget '{"source":"watch"}' >"$T/report"
expect 'forgotten' "$(jq .forgotten "$T/report")" 200
expect 'found after' "$(found)" 20
expect 'in the list' "$(api GET '/api/v1/events?source=watch' | jq '.events | length')" 0
curl -sS -N -o /dev/null -m 20 -X POST -H "Authorization: Bearer $TOKEN" \
	--data-binary "{\"from\":$(hour 0),\"to\":$(hour 100),\"layer\":\"text\",\"progress\":true}" \
	"$(url /api/v1/forget)" 2>/dev/null &
PID[client]=$!
node_kill data
{ wait "${PID[client]}" || true; } 2>/dev/null
unset 'PID[client]'
data_start
data_cli forget --from "$(hour 0)" --to "$(hour 200)" --layer text --json >"$T/report"
expect 'found at the end' "$(found)" 0
expect 'episodes name it no more' "$(people)" false
follows() { # PATH: as the report says
	jq --arg p "$1" '.backups[] | select(.path == $p) | .follows' "$T/report"
}
expect 'the near backup' "$(follows "$(realpath "$T/near")")" true
expect 'the one that is away' "$(jq '[.backups[] | select(.path | endswith("/stick")) | .follows]' -c "$T/report")" '[false]'
answer=$(post_json /v1/chat/completions "{\"model\":\"hearth\",\"messages\":[{\"role\":\"user\",\"content\":\"$canary?\"}]}" |
	jq -r '[.hearth.sources[]?.quote] | join(" ")')
[[ $answer != *"$canary"* ]] || fail "an answer quotes it: $answer"
# The question above is an observation too.
data_cli forget --layer text >/dev/null
look 0
look 0 "$T/copy"
look 0 "$T/near"
# Not with the keyring of the backup either; the one that is away still has its own.
with_keyring_of() { # BACKUP: exit code of a search in it with its own keyring
	local code=0
	rm -rf "$T/try" && mkdir "$T/try"
	cp "$T/data/key" "$T/try/key"
	cp "$1"/keyring* "$T/try/keyring"
	"$TOOLS/data_canary" "$T/try" "$canary" "$1" >"$T/canary" || code=$?
	echo $code
}
expect 'the near backup with its own keyring' "$(with_keyring_of "$T/near")" 0
expect 'the away one keeps what it has' "$(with_keyring_of "$T/away")" 1
[ "$(figure values)" -ge 400 ] || fail "the copy was not looked at: $(cat "$T/canary")"
send_events "$T/events" >"$T/again"
expect 'a re-upload' "$(jq -c '[.accepted, .duplicate]' "$T/again")" '[0,400]'
expect 'brings nothing back' "$(found)" 0
node_stop data
look 0
data_cli verify >/dev/null || fail 'verify after forgetting'
grep -q "$canary" "$T"/data.log && fail 'it stands in the log'
data_cli rebuild >/dev/null || fail 'rebuild after forgetting'
data_cli verify >/dev/null || fail 'verify after rebuilding'
look 0

# What makes no sense is refused, and nothing is guessed.
code=0
data_cli forget >/dev/null 2>&1 || code=$?
expect 'forget without a word' $code 1
code=0
data_cli forget --from 2026-01-02T00:00:00Z --to 2026-01-01T00:00:00Z >/dev/null 2>&1 || code=$?
expect 'an inverted range' $code 1
