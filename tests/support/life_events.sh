#!/usr/bin/env bash
# Turns a GPX track or an OwnTracks recorder file into events (NDJSON).
#
#   life_events.sh FILE.gpx|FILE.rec
#
# GPX points without a time get one second after the other from the file's own
# <time>, so that a track without times still has an order.
set -euo pipefail
file=$1

case $file in
*.gpx)
	name=gpx1
	[[ $file == *korita* ]] && name=gpx2
	# One point an element, whatever the line breaks.
	tr '\n\r' '  ' <"$file" | sed 's/<trkpt/\n<trkpt/g; s/<time>/\n<time>/' | awk -v name="$name" '
		function attribute(text, key,   v) {
			if (!match(text, key "=\"[-0-9.]+\"")) return ""
			v = substr(text, RSTART + length(key) + 2, RLENGTH - length(key) - 3)
			return v
		}
		function element(text, key,   v) {
			if (!match(text, "<" key ">[^<]*</" key ">")) return ""
			v = substr(text, RSTART + length(key) + 2, RLENGTH - 2 * length(key) - 5)
			return v
		}
		!base && /^<time>/ { base = element($0, "time") }
		/^<trkpt/ {
			lat = attribute($0, "lat"); lon = attribute($0, "lon"); at = element($0, "time"); ele = element($0, "ele")
			if (lat == "" || lon == "") next
			n++
			if (at == "") { timed = 0; at = base } else timed = 1
			printf "%s %d %s %s %s %d %s\n", name, n, at, lat, lon, timed, ele == "" ? "-" : ele
		}' | while read -r name n at lat lon timed ele; do
		if [ "$timed" = 0 ]; then
			: "${begin:=$(date -u -d "$at" +%s)}"
			printf -v at '%d000000000' $((begin + n))
		else
			at="\"$at\""
		fi
		[ "$ele" = - ] && altitude='' || altitude=",\"alt\":$ele"
		printf '{"source":"%s","id":"%s-%d","layer":"environment","kind":"location","start":%s,"data":{"lat":%s,"lon":%s%s}}\n' \
			"$name" "$name" "$n" "$at" "$lat" "$lon" "$altitude"
	done
	;;
*.rec)
	# Time received, a mark, JSON; tst is a number or a string (both occur).
	cut -f3- "$file" | jq -c 'select(._type == "location" and .lat and .lon) |
		{source: "rec", id: "rec-\(.tst | tonumber)", layer: "environment", kind: "location",
		 start: ((.tst | tonumber) * 1000000000), data: {lat, lon, acc, alt, batt}}'
	;;
*)
	echo "life_events.sh: $file is neither GPX nor an OwnTracks file" >&2
	exit 2
	;;
esac
