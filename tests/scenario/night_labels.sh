#!/usr/bin/env bash
# The night's work: the sample day and real recordings become labels, a second
# night writes nothing, late events cost what they touch, a node that serves
# does it too and survives being killed in the middle.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

data_init
data_cli import --quiet deploy/sample-day.ndjson >/dev/null
data_cli night --now --quiet >"$T/first"
expect_match 'the first night' "$(cat "$T/first")" '^[1-9][0-9]* labels written, 0 withdrawn'
expect_match 'without a compute node' "$(cat "$T/first")" '0 notes .* no compute node with a model is up'
expect 'the second night' "$(data_cli night --now --quiet | head -n 1)" '0 labels written, 0 withdrawn, from 0 observations'

data_start --night-at never
labels() { # RULE: what it says, by time
	api GET '/api/v1/events?from=2026-11-18T00:00:00Z&to=2026-11-21T00:00:00Z&source=hearth-night&limit=10000' |
		jq -c --arg r "$1" '.events[] | select(.kind == "label" and (.id | startswith($r + ":")))'
}
labels language >"$T/language"
[ "$(wc -l <"$T/language")" -ge 30 ] || fail 'fewer than 30 texts have a language'
expect 'languages' "$(jq -r .data.value "$T/language" | sort -u)" en
labels unit | jq -se 'any(.[]; .data.value | .from == "km/h" and .unit == "m/s" and (.values | length) == (.values | map(numbers) | length))' >/dev/null ||
	fail 'no speed in m/s'
labels role | jq -se 'all(.[]; .data.value.home.lat > 52.48 and .data.value.work.lat > 52.5)' >/dev/null ||
	fail 'home and work were not learned'
# Every label names its rule, the version, and observations that are there.
api GET '/api/v1/events?from=2026-11-18T00:00:00Z&to=2026-11-21T00:00:00Z&limit=10000' >"$T/events"
jq -e '[.events[].obs_id] as $there | all(.events[] | select(.kind == "label");
	.data.version >= 1 and .data.confidence > 0 and (.data.about - $there) == [])' "$T/events" >/dev/null ||
	fail 'a label is about nothing that is there'

# The labels of an event, beside it.
api GET '/api/v1/events?from=2026-11-19T06:16:00Z&to=2026-11-19T06:19:00Z&layer=text&source=phone&labels=1' |
	jq -e '.events | length == 2 and all(.[]; .labels | length == 1 and .[0].rule == "language" and .[0].value == "en")' >/dev/null ||
	fail 'an event does not show its labels'

scene_at() { # TIME
	api GET "/api/v1/slices?from=$1&to=$(date -u -d "$1 + 1 minute" +%FT%TZ)&step=60s&facets=scene" |
		jq -r '.slices[0].cells.scene.values[0] | .text + " " + (.data.rule // "")'
}
expect 'asleep' "$(scene_at 2026-11-19T02:00:00Z)" 'sleep scene'
expect 'on the way' "$(scene_at 2026-11-19T17:25:00Z)" 'commuting scene'
expect 'at work' "$(scene_at 2026-11-19T15:30:00Z)" 'work scene'
expect 'lunch' "$(scene_at 2026-11-19T11:45:00Z)" 'meal scene'
expect 'at home' "$(scene_at 2026-11-19T21:30:00Z)" 'home scene'

# Labels are no memory.
api GET '/api/v1/search?q=commuting+label+confidence&k=50' |
	jq -e 'all(.results[]; .source != "hearth-night")' >/dev/null || fail 'a label is found by a search'
# Nobody else may use their source.
printf '%s\n' '{"source":"hearth-night","id":"scene:x","layer":"environment","kind":"label","start":"2026-11-19T10:00:00Z"}' >"$T/forged"
send_events "$T/forged" | jq -e '.accepted == 0 and .rejected[0].field == "source"' >/dev/null ||
	fail 'a forged label was taken'

# The same message on another device, late; and a reading that cannot be.
cat >"$T/late" <<'END'
{"source":"tablet","id":"t-1","layer":"text","kind":"message","start":"2026-11-19T06:16:04Z","text":"Papa: the clinic moved us from nine to half past nine on Friday. Same entrance."}
{"source":"watch2","id":"h-1","layer":"behaviour","kind":"heart_rate","start":"2026-11-19T10:00:00Z","data":{"value":900}}
{"source":"porch","id":"p-1","layer":"environment","kind":"temperature","start":"2026-11-19T10:00:00Z","data":{"value":41,"unit":"°F"}}
{"source":"phone","id":"fr-1","layer":"text","kind":"message","start":"2026-11-19T10:01:00Z","text":"On se retrouve devant la gare à midi ?"}
END
send_events "$T/late" >/dev/null
data_cli night --json --quiet >"$T/night"
jq -e '.finished and .written >= 4 and .written <= 8' "$T/night" >/dev/null || fail "late events: $(cat "$T/night")"
expect 'the copy' "$(labels duplicate | jq -r '.data.value.how')" same_text
expect 'the heart' "$(labels outlier | jq -r '.data.value.reason')" limit
expect 'the porch' "$(labels unit | jq -c 'select(.data.value.from == "°F") | .data.value.values')" '[5]'
labels language | jq -se 'any(.[]; .data.value == "fr")' >/dev/null || fail 'no French'
api GET /api/v1/status | jq -e '.night.finished != null and .night.last == "ok"' >/dev/null || fail 'status has no night'

# Real tracks, and a kill in the middle: the next night goes on and ends the same.
if [ -e "$SHARED/life/owntracks-demo-iphone.rec" ]; then
	for track in cerknicko-jezero.gpx korita-zbevnica.gpx owntracks-demo-iphone.rec; do
		tests/support/life_events.sh "$SHARED/life/$track" >>"$T/tracks"
	done
	send_events "$T/tracks" >/dev/null
	data_cli night --quiet >/dev/null 2>&1 &
	night=$!
	node_kill data
	wait "$night" || true
	data_start --night-at never
	data_cli night --now --quiet >/dev/null
	expect 'after the kill' "$(data_cli night --now --quiet | head -n 1)" '0 labels written, 0 withdrawn, from 0 observations'
	api GET '/api/v1/events?from=2000-01-01T00:00:00Z&to=2026-01-01T00:00:00Z&source=hearth-night&limit=10000' |
		jq -e '[.events[].id | split(":")[0]] | index("place") != null' >/dev/null || fail 'no stays in the real tracks'
fi

# With a model on a compute node it is asked about each episode, once: this one tells
# stories, and the gate lets none of them through.
if [ -e "$SHARED/models/stories260K.gguf" ]; then
	compute_init box
	pair box
	compute_start box "$SHARED/models/stories260K.gguf"
	wait_for_model stories260K
	data_cli night --now --json --quiet | jq -ce '.notes' >"$T/notes"
	jq -e '.end == "finished" and .model == "stories260K" and .questions >= 9 and
		.notes + ([.refused[]] | add) >= 9' "$T/notes" >/dev/null || fail "notes: $(cat "$T/notes")"
	jq -e '.facts.learned == 0 and .facts.proposed == 0' "$T/notes" >/dev/null || fail "facts: $(cat "$T/notes")"
	log_has data NIGHT-NOTES 'end=finished' || fail 'the log says nothing of notes'
	api GET /api/v1/status | jq -e '.night.notes.questions >= 9' >/dev/null || fail 'status has no notes'
	api GET '/api/v1/episodes?from=2026-11-19T00:00:00Z&to=2026-11-20T00:00:00Z' |
		jq -e 'all(.episodes[]; has("title") and has("summary") and has("tags") and has("mood"))' >/dev/null ||
		fail 'episodes have no place for a note'
	data_cli night --now --json --quiet | jq -e '.notes.questions == 0' >/dev/null || fail 'a question was asked twice'
	# While it is forgotten no note is made, and those of these days go along.
	api POST /api/v1/forget --data-binary '{"from":"2026-11-19T06:00:00Z","to":"2026-11-19T07:00:00Z"}' >/dev/null
	api GET '/api/v1/events?from=2026-11-18T00:00:00Z&to=2026-11-21T00:00:00Z&source=hearth-night&limit=10000' |
		jq -e 'all(.events[]; .kind != "said")' >/dev/null || fail 'a note outlives what it was read from'
fi
node_stop data
data_cli verify | tail -n 1
