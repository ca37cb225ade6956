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

# Aligned: every minute with a fix has an observed location; one without is only
# observed where a fix lies at most 60 s away (the policy of the facet).
first=$(jq -rs '.[0].start' "$T/back")
from=$(date -u -d "$first" +%Y-%m-%dT%H:00:00Z)
to=$(date -u -d "$from + 12 hours" +%Y-%m-%dT%H:00:00Z)
api GET "/api/v1/slices?from=$from&to=$to&step=60s&facets=location" >"$T/slices"
jq -r '.slices[] | select(.cells.location.mode == "observed") | .start[0:16]' "$T/slices" | sort -u >"$T/observed"
[ -s "$T/observed" ] || fail 'no observed location'
jq -r '.start[0:19] + "Z" | fromdate' "$T/back" | awk -v from="$(date -u -d "$from" +%s)" -v to="$(date -u -d "$to" +%s)" \
	-v near="$T/near.s" -v inside="$T/inside.s" '
	{
		if ($1 >= from && $1 < to) print $1 - $1 % 60 >inside
		# A fix is up to 1 s off by its own granularity.
		for (t = $1 - 61 - ($1 - 61) % 60; t <= $1 + 61; t += 60) print t >near
	}'
minutes_of() { # FILE of epoch seconds
	jq -r 'todate | .[0:16]' "$1" | sort -u
}
minutes_of "$T/inside.s" >"$T/inside"
minutes_of "$T/near.s" >"$T/near"
comm -13 "$T/near" "$T/observed" | grep . && fail 'observed without a fix near'
comm -23 "$T/inside" "$T/observed" | grep . && fail 'a fix that no slice observed'
observed=$(wc -l <"$T/observed")
echo "$total fixes, $observed minutes with a location"
