#!/usr/bin/env bash
# Pre-tokenizers against the published regular expressions, run by perl, on
# random texts of every script.
# limit_s: 180
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
build=${HEARTH_BUILD:-build}
perl -e 'use utf8; exit !("é" =~ /^\p{Ll}$/)' 2>/dev/null || {
	echo "no perl with Unicode tables"
	exit 77
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
texts=${HEARTH_PRETOKEN_TEXTS:-4000} failed=0 compared=0
perl tests/support/pretoken.pl --texts "$texts" "${HEARTH_SEED:-1}" >"$work/texts"
for name in $(perl tests/support/pretoken.pl --names); do
	perl tests/support/pretoken.pl "$name" "$work/texts" >"$work/expected" || exit 1
	"$build/tests/tools/compute_pretoken" "$name" "$work/texts" >"$work/got" || exit 1
	compared=$((compared + $(wc -l <"$work/expected")))
	if ! cmp -s "$work/expected" "$work/got"; then
		failed=$((failed + 1))
		line=$(cmp "$work/expected" "$work/got" | sed 's/.*line //')
		echo "$name differs first at text $line of seed ${HEARTH_SEED:-1}:"
		tr '\0' '\n' <"$work/texts" | wc -l
		awk -v RS='\0' -v n="$line" 'NR == n' "$work/texts" | od -c | head
		sed -n "${line}p" "$work/expected" "$work/got"
	fi
done
echo "$compared texts compared, $failed pre-tokenizers differ"
[ $failed = 0 ] && [ $compared -gt "$texts" ]
