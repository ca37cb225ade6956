#!/usr/bin/env bash
# Real recordings: two GPX tracks and an OwnTracks file become events, are
# loaded twice, read back and aligned.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

need_shared life/owntracks-demo-iphone.rec
tests/support/life_events.sh "$SHARED/life/cerknicko-jezero.gpx" >"$T/gpx1"
tests/support/life_events.sh "$SHARED/life/korita-zbevnica.gpx" >"$T/gpx2"
tests/support/life_events.sh "$SHARED/life/owntracks-demo-iphone.rec" >"$T/rec"
data_init
data_start
total=0
for file in gpx1 gpx2 rec; do
	sent=$(wc -l <"$T/$file")
	[ "$sent" -gt 0 ] || fail "$file: no events"
	distinct=$(jq -r .id "$T/$file" | sort -u | wc -l)
	send_events "$T/$file" >"$T/report"
	expect "$file: rejected" "$(jq -c .rejected "$T/report")" '[]'
	expect "$file: accepted" "$(jq .accepted "$T/report")" "$distinct"
	send_events "$T/$file" >"$T/report"
	expect "$file: accepted again" "$(jq .accepted "$T/report")" 0
	total=$((total + distinct))

	# Every fix comes back with its coordinates, in order of time.
	cursor=''
	: >"$T/back"
	while :; do
		api GET "/api/v1/events?from=2000-01-01T00:00:00Z&to=2020-01-01T00:00:00Z&source=$file&limit=500${cursor:+&cursor=$cursor}" >"$T/page"
		jq -c '.events[]' "$T/page" >>"$T/back"
		cursor=$(jq -r '.next // empty' "$T/page")
		[ -n "$cursor" ] || break
	done
	jq -c '[.id, .data.lat, .data.lon]' "$T/$file" | sort -u >"$T/want"
	jq -c '[.id, .data.lat, .data.lon]' "$T/back" | sort >"$T/have"
	cmp "$T/want" "$T/have" || fail "$file: fixes differ"
	jq -r .start "$T/back" >"$T/order"
	LC_ALL=C sort -c "$T/order" || fail "$file: not in order of time"
done

# Aligned: a minute with fixes has an observed location that is one of them; a
# minute 5 minutes later without any is interpolated, carried or absent, never observed.
first=$(jq -rs '.[0].start' "$T/back")
from=$(date -u -d "$first" +%Y-%m-%dT%H:00:00Z)
to=$(date -u -d "$from + 12 hours" +%Y-%m-%dT%H:00:00Z)
api GET "/api/v1/slices?from=$from&to=$to&step=60s&facets=location" >"$T/slices"
jq -e '.slices | length > 0' "$T/slices" >/dev/null || fail 'no slices'
jq -r '.data | "\(.lat) \(.lon)"' "$T/rec" | sort -u >"$T/fixes"
jq -r '.slices[] | select(.cells.location.mode == "observed" and (.start <= "2015")) | .start' "$T/slices" | grep . && fail 'a slice out of range'
observed=$(jq '[.slices[] | select(.cells.location.mode == "observed")] | length' "$T/slices")
[ "$observed" -gt 0 ] || fail 'no observed location'
# Slices with an observed cell are those with a fix inside, nothing else.
jq -r '.slices[] | select(.cells.location.mode == "observed") | .start[0:16]' "$T/slices" | sort -u >"$T/observed"
jq -r .start "$T/back" | cut -c1-16 | sort -u | awk -v a="${from:0:16}" -v b="${to:0:16}" '$0 >= a && $0 < b' >"$T/minutes"
comm -13 "$T/minutes" "$T/observed" | grep . && fail 'observed without a fix'
comm -23 "$T/minutes" "$T/observed" | grep . && fail 'a fix that no slice observed'
echo "$total fixes, $observed minutes with a location"
