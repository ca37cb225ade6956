#!/usr/bin/env bash
# The sample day: everything in it is taken, late and repeated lines change
# nothing, and the questions it was written for find their moments.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

day=deploy/sample-day.ndjson
jq -c . "$day" >/dev/null || fail 'not every line is JSON'
[ "$(jq -r .source "$day" | sort -u | wc -l)" -ge 5 ] || fail 'fewer than five devices'
[ "$(jq -r .layer "$day" | sort -u | wc -l)" = 6 ] || fail 'not all six layers'

data_init
data_start
send_events "$day" >"$T/report"
expect 'rejected' "$(jq -c .rejected "$T/report")" '[]'
lines=$(wc -l <"$day")
expect 'accepted and duplicate' "$(jq '.accepted + .duplicate' "$T/report")" "$lines"
[ "$(jq .duplicate "$T/report")" -ge 4 ] || fail 'the repeated lines were stored again'
# obs_ids are keyed by the store, so they and the ties they break differ.
stored() {
	api GET '/api/v1/events?from=2026-11-18T00:00:00Z&to=2026-11-21T00:00:00Z&limit=10000' |
		jq -cS '.events | map(del(.obs_id)) | sort'
}
stored >"$T/once"
slices() {
	api GET '/api/v1/slices?from=2026-11-19T05:00:00Z&to=2026-11-19T23:00:00Z&step=10m' |
		jq -cS '[.slices[] | del(.version, .state) | .cells |= map_values(.values |= (map(del(.obs_id, .next_obs_id)) | sort))]'
}
slices >"$T/slices"

# Sent again, backwards, by another station: the same day.
send_events "$day" | jq -e '.accepted == 0' >/dev/null || fail 'sent again: stored again'
node_stop data
rm -rf "$T/data"
data_init
data_start
# The corrected menu must stay behind the first reading of it.
tac "$day" | grep -v '"id":"gc-0120"' | split -l 37 - "$T/part."
grep '"id":"gc-0120"' "$day" >"$T/part.zz"
for part in "$T"/part.*; do send_events "$part" >/dev/null; done
stored >"$T/backwards"
cmp "$T/backwards" "$T/once" || fail 'the order of arrival changes the events'
slices >"$T/backwards"
cmp "$T/backwards" "$T/slices" || fail 'the order of arrival changes the slices'

found() { # QUERY EXPECTED-ID: among the best five
	api GET "/api/v1/search?k=5&q=$(jq -rn --arg q "$1" '$q | @uri')" >"$T/hits"
	jq -e --arg id "$2" 'any(.results[]; .id == $id)' "$T/hits" >/dev/null ||
		fail "'$1' does not find $2 but $(jq -c '[.results[].id]' "$T/hits")"
}
found 'best lentil soup in Kreuzberg' m-3306
found 'lentil soup at Ofelia' gs-0120
found 'lunch menu gnocchi with sage butter' gc-0120
found 'article about lunch counters' bm-208
found 'search for the lunch menu on 19 November 2026' se-502
found 'inner tube for the bicycle' n-44
found 'appointment with Papa blue folder' m-3302
found 'twelve lamps for the gallery' gs-0110
found 'parcel Mrs Aydin' sp-1904
# The corrected reading replaced the first one.
found 'chalkboard menu cherries' gc-0120
api GET '/api/v1/search?q=lernon' | jq -e 'all(.results[]; .text | contains("lernon") | not)' >/dev/null || fail 'the superseded reading is still found'

# One slice at lunch: what was seen, said and where.
api GET '/api/v1/slices?from=2026-11-19T11:40:00Z&to=2026-11-19T11:50:00Z&step=10m' >"$T/lunch"
for facet in visual language audio location body home; do
	jq -e --arg f "$facet" '.slices[0].cells[$f].mode != "absent"' "$T/lunch" >/dev/null || fail "at lunch the facet $facet is absent"
done
jq -e '.slices[0].cells.language.values | any(.text | contains("best lentil soup"))' "$T/lunch" >/dev/null || fail 'what was said is not in the slice'

post_json /v1/chat/completions '{"model":"hearth","messages":[{"role":"user","content":"What did I think about the lunch place on 19 November 2026?"}]}' >"$T/answer"
expect 'mode without a model' "$(jq -r .hearth.mode "$T/answer")" recall-only
jq -e '.choices[0].message.content | test("Ofelia|lentil")' "$T/answer" >/dev/null || fail "the answer: $(jq -r '.choices[0].message.content' "$T/answer")"
