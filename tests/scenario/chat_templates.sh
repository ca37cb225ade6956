#!/usr/bin/env bash
# Chat templates against python3-jinja2: every published template at hand on
# every chat of tests/golden/templates, and every snippet, byte for byte; a
# chat that the oracle refuses must be refused.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
build=${HEARTH_BUILD:-build}
python3 -c 'import jinja2' 2>/dev/null || {
	echo "python3-jinja2 is not installed"
	exit 77
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chats=tests/golden/templates
compared=0 failed=0

# job TEMPLATE CHAT NAME: one comparison; the oracle renders all of them at once.
jobs=0
job() {
	printf '%s\t%s\t%s\n' "$1" "$2" "$work/expected$jobs" >>"$work/jobs"
	printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$work/names"
	jobs=$((jobs + 1))
}
compare() { # TEMPLATE CHAT NAME EXPECTED
	local code
	"$build/tests/tools/compute_template" "$1" "$2" >"$work/got" 2>"$work/got.err"
	code=$?
	compared=$((compared + 1))
	if [ -f "$4" ]; then
		[ $code = 0 ] && cmp -s "$4" "$work/got" && return
	elif [ -f "$4.broken" ]; then
		return # no judge
	elif [ $code = 1 ] && [ -f "$4.refused" ]; then
		return
	fi
	failed=$((failed + 1))
	echo "differs: $3 (exit $code)"
	cat "$work/got.err"
	cat "$4.refused" 2>/dev/null || diff "$4" "$work/got" | head -10
}

for chat in "$chats"/*.json; do
	for template in ../shared/data/templates/*.jinja; do
		[ -f "$template" ] && job "$template" "$chat" "${template##*/} on ${chat##*/}"
	done
done
awk -v dir="$work" 'BEGIN { n = 0; file = sprintf("%s/snippet%02d.jinja", dir, n) }
	/^====$/ { n++; file = sprintf("%s/snippet%02d.jinja", dir, n); next }
	{ print > file }' "$chats/snippets.txt"
for snippet in "$work"/snippet*.jinja; do
	job "$snippet" "$chats/system_user.json" "$(head -1 "$snippet")"
done
python3 tests/support/render_jinja.py <"$work/jobs" || exit 1
n=0
while IFS=$'\t' read -r template chat name; do
	compare "$template" "$chat" "$name" "$work/expected$n"
	n=$((n + 1))
done <"$work/names"
echo "$compared renders compared, $failed differ"
[ $failed = 0 ] && [ $compared -gt 25 ]
